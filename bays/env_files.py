"""The two env files that a bay's hosts are started with (chapter 5 of the specification).

`start-observers.sh` and `start-processors.sh` hand them to docker-compose; `docs/deploy.md`
says what each variable does.
"""

import os
from ipaddress import IPv4Address
from pathlib import Path
from typing import Literal

from bay_observation.errors import ArtifactError, ConfigError
from bay_observation.files import read_regular_file
from bays.models import BayConfig
from bays.naming import observer_name, observer_queue, processor_name, processor_queue

Environment = Literal["dev", "prod"]

MAIN_SERVER = IPv4Address("10.150.150.1")
"""The main server of the specification's network plan."""

_POSTGRES_PORT, _REDIS_PORT = 55432, 56379  # as the main server shows them to other hosts
_STORAGE = "/mnt/airflow-data"
_MOST_BYTES = 1_000_000


def env_files(bay: BayConfig, environment: Environment, main_server: IPv4Address = MAIN_SERVER) -> dict[str, str]:
    """Texts of the bay's env files, by file name: `observer_{bay_id}.env`, `processor_{bay_id}.env`."""
    made = {"dev": _dev, "prod": _prod}[environment](bay, main_server)
    return {f"{role}_{bay.bay_id}.env": text for role, text in made.items()}


def write_env_files(
    bay: BayConfig, folder: Path, environment: Environment, main_server: IPv4Address = MAIN_SERVER
) -> list[Path]:
    """Write the bay's env files into `folder/{environment}`; files that say the same already are left alone.

    Raises:
        ConfigError: one is there and says something else, or cannot be written. Nothing is written then.
    """
    wanted = {folder / environment / name: text for name, text in env_files(bay, environment, main_server).items()}
    try:
        missing = [path for path in wanted if not os.path.lexists(path)]  # a link that leads nowhere is there
        differing = [path for path in wanted if path not in missing and _content(path) != wanted[path].encode()]
        if differing:
            raise ConfigError(f"{differing[0]}: exists with other content; remove it to have it written again")
        for path in missing:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[path], "utf-8")
    except OSError as error:
        raise ConfigError(f"{error.filename}: {error.strerror}") from error
    return missing


def _content(path: Path) -> bytes:
    try:
        return read_regular_file(path, _MOST_BYTES)
    except ArtifactError as error:  # no regular file, or too large a one
        raise ConfigError(f"{error}: remove it to have an env file there") from error


def _prod(bay: BayConfig, main_server: IPv4Address) -> dict[str, str]:
    observer = f"""\
# {_title(bay)}: observer, on the bay's own host ({bay.network.observer_ip}).
BAY_ID={bay.bay_id}
WORKER_NAME={observer_name(bay.bay_id)}
WORKER_QUEUES={observer_queue(bay.bay_id)}
WORKER_CONCURRENCY=4
WORKER_AUTOSCALE=8,4
WORKER_CPUS=4
WORKER_MEMORY=8g

# The bay's cameras; the host has a route there, and no other bay's host has.
CAMERA_SUBNET={bay.network.camera_subnet}
# Where the main server fetches the logs of running tasks. A second observer has its own.
ADVERTISED_HOST={bay.network.observer_ip}

# The main server
MAIN_SERVER_IP={main_server}
POSTGRES_HOST={main_server}
REDIS_HOST={main_server}
POSTGRES_PORT={_POSTGRES_PORT}
REDIS_PORT={_REDIS_PORT}

# The file server's mount on this host
SHARED_DATA_PATH={_STORAGE}
"""
    processor = f"""\
# {_title(bay)}: processor, on the main server's host.
BAY_ID={bay.bay_id}
WORKER_NAME={processor_name(bay.bay_id)}
WORKER_QUEUES={processor_queue(bay.bay_id)}
WORKER_CONCURRENCY=8
WORKER_AUTOSCALE=16,8
WORKER_CPUS=4
WORKER_MEMORY=8g

# The same host as the main server, so its loopback address
MAIN_SERVER_IP={main_server}
POSTGRES_HOST=localhost
REDIS_HOST=localhost
POSTGRES_PORT=5432
REDIS_PORT=6379

# The file server's mount on this host
SHARED_DATA_PATH={_STORAGE}
"""
    return {"observer": observer, "processor": processor}


def _title(bay: BayConfig) -> str:
    """For a comment, which ends with its line."""
    return " ".join(bay.description.split())


def _dev(bay: BayConfig, _: IPv4Address) -> dict[str, str]:
    common = """\

# Everything on one host: data in ./data, which the containers have at /opt/airflow/data.
SHARED_DATA_PATH=./data
"""
    cameras = """\

# Only the bay's triggerer sees loopback addresses: the simulated cameras run beside it.
SIMULATED_CAMERAS=yes
"""
    observer = f"""\
# {_title(bay)}: observer, on the developer's own machine.
BAY_ID={bay.bay_id}
WORKER_NAME={observer_name(f"dev-{bay.bay_id}")}
WORKER_QUEUES={observer_queue(bay.bay_id)},default
WORKER_CONCURRENCY=2
WORKER_AUTOSCALE=4,2
"""
    processor = f"""\
# {_title(bay)}: processor, on the developer's own machine.
BAY_ID={bay.bay_id}
WORKER_NAME={processor_name(f"dev-{bay.bay_id}")}
WORKER_QUEUES={processor_queue(bay.bay_id)}
WORKER_CONCURRENCY=2
WORKER_AUTOSCALE=4,2
"""
    simulated = cameras if bay.network.camera_subnet.is_loopback else ""
    return {"observer": observer + common + simulated, "processor": processor + common}
