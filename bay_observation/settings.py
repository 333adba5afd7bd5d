"""Every environment variable that the product reads: its type, default and meaning.

A variable is read when it is needed, not when the module is imported: a wrong value fails the
call that needs it and nothing else. `python -m bay_observation.settings` prints this list as
`docs/configuration.md`.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Generic, TypeVar

from bay_observation.errors import ConfigError

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Setting(Generic[T_co]):
    """One environment variable.

    Attributes:
        name: of the variable.
        default: the value where the variable is unset.
        parse: turns its text into the value; raises ValueError for a text that it does not take.
        expects: what to write, for the message that refuses another text.
        meaning: for `docs/configuration.md`.
        default_text: what the default is, where its `str` does not say it.
        empty_counts: an empty text is a value, and not the same as unset.
    """

    name: str
    default: T_co
    parse: Callable[[str], T_co]
    expects: str
    meaning: str
    default_text: str = ""
    empty_counts: bool = False

    def read(self, environment: Mapping[str, str] | None = None) -> T_co:
        """The variable's value now.

        Args:
            environment: to read from; the process's own by default.

        Raises:
            ConfigError: its text is not what the setting takes.
        """
        text = (os.environ if environment is None else environment).get(self.name)
        if text is None or (text == "" and not self.empty_counts):
            return self.default
        try:
            return self.parse(text)
        except ValueError:
            raise ConfigError(f"{self.name}={text}: {self.expects}") from None


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise ValueError(text)
    return number


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def _required_or_off(text: str) -> bool:
    return {"required": True, "off": False}[text] if text in ("required", "off") else _refuse(text)


def _on_or_off(text: str) -> bool:
    return {"on": True, "off": False}[text] if text in ("on", "off") else _refuse(text)


def _schedule(text: str) -> bool | datetime:
    if text in ("on", "off"):
        return text == "on"
    word, _, moment = text.partition(" ")
    end = datetime.fromisoformat(moment)
    return end if word == "until" and end.tzinfo is not None else _refuse(text)


def _clock(text: str) -> str:
    if text not in ("real", "slot"):
        raise ValueError(text)
    return text


def _refuse(text: str) -> bool:
    raise ValueError(text)


# The shared storage

DATA_PATH = Setting(
    "DATA_PATH",
    "/opt/airflow/data",
    str,
    "give a folder, or s3://bucket/prefix",
    "Root of the shared storage: a folder (as a rule the mount of a file server) or `s3://bucket/prefix`.",
)
STORE_TIMEOUT = Setting(
    "STORE_TIMEOUT",
    20.0,
    _positive,
    "give a positive number of seconds",
    "Seconds that one call of the storage may take. After that the storage counts as hanging.",
)
STORE_MARKER = Setting(
    "STORE_MARKER",
    False,
    _required_or_off,
    "write required, or off",
    "`required`: the storage is used only while the file `.bay-observation-store` stands at its root,"
    " so that an absent mount is not mistaken for an empty store.",
    default_text="off",
)
SPOOL_PATH: Setting[str | None] = Setting(
    "SPOOL_PATH",
    None,
    str,
    "give a folder",
    "Folder on an observer's own disk for what the storage does not take. Unset: no spool.",
    default_text="unset",
)
SPOOL_LIMIT_MB = Setting(
    "SPOOL_LIMIT_MB", 20_000.0, _positive, "give a positive number of megabytes", "Megabytes that the spool may take."
)
SPOOL_KEPT_HOURS = Setting(
    "SPOOL_KEPT_HOURS",
    1.0,
    _positive,
    "give a positive number of hours",
    "Hours for which a published artifact stays readable in the spool.",
)

# Bays

BAYS_PATH: Setting[Path | None] = Setting(
    "BAYS_PATH",
    None,
    Path,
    "give a folder",
    "Folder of the bays' YAML files.",
    default_text="the installed package `bays`",
)
BAYS_ENABLED: Setting[tuple[str, ...] | None] = Setting(
    "BAYS_ENABLED",
    None,
    _names,
    "give bay ids, separated by blanks or commas",
    "Bays that run, in place of each file's `enabled`. An empty value enables none.",
    default_text="unset",
    empty_counts=True,
)
BAYS_SCHEDULE: Setting[bool | datetime] = Setting(
    "BAYS_SCHEDULE",
    True,
    _schedule,
    'write on, off, or "until" and a time with its zone',
    "`off`: no observation DAG has a schedule. `until TIME`: the schedules end at that time.",
    default_text="on",
)

CLOCK = Setting(
    "CLOCK",
    "real",
    _clock,
    "write real, or slot",
    "`slot`: each slot counts as now, for a simulated or a stored day (demo, lab, backtest)."
    " Refused together with `STORE_MARKER=required`.",
)

# History, hosts, models

HISTORY_DB: Setting[str | None] = Setting(
    "HISTORY_DB",
    None,
    str,
    "give an SQLAlchemy URL",
    "Database of the history, as an SQLAlchemy URL. It comes before the Airflow Connection `bay_history`.",
    default_text="`history.db` (SQLite) in the storage's root",
)
TRIGGERER_ROUND: Setting[float | None] = Setting(
    "TRIGGERER_ROUND",
    None,
    _positive,
    "give a positive number of seconds",
    "Seconds between two rounds of a triggerer, at most 1; docs/speed.md. Unset: Airflow's own second.",
    default_text="unset",
)
AIRFLOW_KEPT_DAYS = Setting(
    "AIRFLOW_KEPT_DAYS",
    30.0,
    _positive,
    "give a positive number of days",
    "Days for which housekeeping keeps Airflow's own rows (runs, task instances, XCom) and logs.",
)
ADVERTISED_HOST: Setting[str | None] = Setting(
    "ADVERTISED_HOST",
    None,
    str,
    "give a host name or an address",
    "Name or address at which the API server reaches this host's task logs.",
    default_text="the host's own name",
)
MODELS_PATH: Setting[Path | None] = Setting(
    "MODELS_PATH",
    None,
    Path,
    "give a folder",
    "Folder at which relative checkpoint paths of a bay's file start.",
    default_text="the folder that holds the installed packages",
)
INFERENCE_SOCKETS: Setting[Path | None] = Setting(
    "INFERENCE_SOCKETS",
    None,
    Path,
    "give a folder",
    "Folder of the inference servers' Unix sockets.",
    default_text="`$XDG_RUNTIME_DIR/bay_observation`, else a folder of the user's in the temporary directory",
)
XDG_RUNTIME_DIR: Setting[Path | None] = Setting(
    "XDG_RUNTIME_DIR",
    None,
    Path,
    "give a folder",
    "The desktop standard's folder for sockets; see `INFERENCE_SOCKETS`.",
    default_text="unset",
)

DASHBOARD = Setting(
    "DASHBOARD",
    True,
    _on_or_off,
    "write on, or off",
    "`off`: Airflow's API server has neither the bays' pages nor their REST API.",
    default_text="on",
)
DASHBOARD_CACHE: Setting[Path | None] = Setting(
    "DASHBOARD_CACHE",
    None,
    Path,
    "give a folder",
    "Folder on the API server's own disk for small pictures of frames; it may be deleted at any time.",
    default_text="a folder of the user's in the temporary directory",
)

# The cameras' login, for commands that run outside Airflow

CAMERA_USER: Setting[str | None] = Setting(
    "CAMERA_USER",
    None,
    str,
    "give a user name",
    "User name at the cameras, for commands that run outside Airflow. Set it together with `CAMERA_PASSWORD`.",
    default_text="unset",
)
CAMERA_PASSWORD: Setting[str | None] = Setting(
    "CAMERA_PASSWORD",
    None,
    str,
    "give a password",
    "Password at the cameras, for commands that run outside Airflow.",
    default_text="unset",
    empty_counts=True,
)

# The old system's Redis, for `bay-observation legacy` alone

LEGACY_REDIS: Setting[str | None] = Setting(
    "LEGACY_REDIS",
    None,
    str,
    "give redis://HOST:PORT/DB, without a login",
    "The old system's Redis, as `redis://HOST:PORT/DB` or `rediss://…`, without a login. Never Airflow's broker.",
    default_text="unset",
)
LEGACY_REDIS_USER: Setting[str | None] = Setting(
    "LEGACY_REDIS_USER", None, str, "give a user name", "User name there.", default_text="unset"
)
LEGACY_REDIS_PASSWORD: Setting[str | None] = Setting(
    "LEGACY_REDIS_PASSWORD", None, str, "give a password", "Password there.", default_text="unset"
)
LEGACY_REDIS_PASSWORD_FILE: Setting[Path | None] = Setting(
    "LEGACY_REDIS_PASSWORD_FILE",
    None,
    Path,
    "give a file",
    "File that holds the password, in place of `LEGACY_REDIS_PASSWORD`.",
    default_text="unset",
)
LEGACY_MAPPING: Setting[Path | None] = Setting(
    "LEGACY_MAPPING",
    None,
    Path,
    "give a file",
    "The mapping of the old system's data.",
    default_text="`legacy/mapping.yaml` of the installed package",
)

# Alerts

ALERT_ROUTES: Setting[Path | None] = Setting(
    "ALERT_ROUTES",
    None,
    Path,
    "give a file",
    "The file that says who gets which alerts and events: docs/alerting.md.",
    default_text="unset",
)


def camera_connection(bay_id: str) -> Setting[str | None]:
    """The variable in which Airflow itself looks for the Connection of a bay's cameras."""
    return Setting(
        f"AIRFLOW_CONN_ONVIF_{bay_id.upper()}",
        None,
        str,
        "give an Airflow Connection as JSON or as a URI",
        "Airflow's own variable for the Connection of the bay's cameras, read by commands that run outside Airflow.",
        default_text="unset",
    )


GROUPS: dict[str, tuple[Setting[object], ...]] = {
    "Shared storage": (DATA_PATH, STORE_TIMEOUT, STORE_MARKER, SPOOL_PATH, SPOOL_LIMIT_MB, SPOOL_KEPT_HOURS),
    "Bays": (BAYS_PATH, BAYS_ENABLED, BAYS_SCHEDULE, CLOCK),
    "History, hosts, models": (
        HISTORY_DB,
        TRIGGERER_ROUND,
        AIRFLOW_KEPT_DAYS,
        ADVERTISED_HOST,
        MODELS_PATH,
        INFERENCE_SOCKETS,
        XDG_RUNTIME_DIR,
    ),
    "Alerts": (ALERT_ROUTES,),
    "Dashboard": (DASHBOARD, DASHBOARD_CACHE),
    "Cameras, outside Airflow": (CAMERA_USER, CAMERA_PASSWORD, camera_connection("{bay}")),
    "The old system, while it is replaced": (
        LEGACY_REDIS,
        LEGACY_REDIS_USER,
        LEGACY_REDIS_PASSWORD,
        LEGACY_REDIS_PASSWORD_FILE,
        LEGACY_MAPPING,
    ),
}


def document() -> str:
    """`docs/configuration.md`."""
    lines = [
        "# Configuration",
        "",
        "<!-- Written by `python -m bay_observation.settings > docs/configuration.md`; a test holds it. -->",
        "",
        "What the product reads from the environment. A bay's own settings stand in its file",
        "([add_a_bay.md](add_a_bay.md)); Airflow's settings stand in `env/base.env`, each with its reason.",
        "A wrong value is refused by name when it is needed.",
    ]
    for title, settings in GROUPS.items():
        lines += ["", f"## {title}", "", "| variable | default | meaning |", "|---|---|---|"]
        lines += [f"| `{one.name}` | {one.default_text or one.default} | {one.meaning} |" for one in settings]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Print it."""
    print(document(), end="")
    return 0


if __name__ == "__main__":
    from bay_observation.commands import run_command

    run_command(main)
