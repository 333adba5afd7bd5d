"""PostgreSQL, Redis and the API server as the compose file starts them: with TLS, and without it for nobody.

The distribution's PostgreSQL and Redis: those of the wheels are built without TLS.
"""

import os
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import redis
import yaml
from kombu import Connection

from lab.services.ports import free_port
from lab.services.postgresql import account, initialise

PROJECT = Path(__file__).parents[2]
SERVICES = yaml.safe_load((PROJECT / "docker-compose.yaml").read_text("utf-8"))["services"]
PASSWORD = "secret-of-postgres"

pytestmark = [pytest.mark.slow(5), pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def secrets(tmp_path_factory):
    """What the first start makes."""
    folder = tmp_path_factory.mktemp("tls")
    script = (
        f"source {PROJECT}/deploy/deployment.sh; AIRFLOW_UID=$(id -u); umask 077; mkdir -p $SECRETS_PATH;"
        "provide_certificates localhost 127.0.0.1; printf secret-of-redis >$SECRETS_PATH/redis_password;"
        "printf secret-of-obs >$SECRETS_PATH/redis_obs_a;"
        f"{PROJECT}/deploy/redis-acl.sh $SECRETS_PATH obs_a >$SECRETS_PATH/redis_acl"
    )
    variables = {"PATH": os.environ["PATH"], "SECRETS_PATH": str(folder / "secrets")}
    done = subprocess.run(["bash", "-euc", script], env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "secrets"


def compose_script(service, replaced):
    """The service's command, with folders of this test in place of the container's."""
    shell, option, script = SERVICES[service]["command"]
    assert (shell, option) == ("sh", "-c")
    for container, here in replaced.items():
        assert container in script, container
        script = script.replace(container, str(here))
    return script.replace("$$", "$")


@contextmanager
def running(command, log, ready, **options):
    """A server until the block ends; `ready()` raises until it answers."""
    with log.open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True, **options)
    try:
        end = time.monotonic() + 60
        while True:
            try:
                ready()
                break
            except (psycopg.OperationalError, redis.exceptions.ConnectionError):
                assert server.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.1)
        yield
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(20)


# -- PostgreSQL ----------------------------------------------------------------------------------------


def debian_postgresql():
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return found[0] if found else None


@pytest.fixture(scope="module")
def postgresql(secrets):
    programs = debian_postgresql()
    if programs is None:
        pytest.skip("the distribution's PostgreSQL is not installed (apt-get install postgresql)")
    port, user = free_port(), account()
    with tempfile.TemporaryDirectory(prefix="tls-postgresql-") as made:  # pytest's folders are root's alone
        yield from _postgresql(Path(made), programs, port, user, secrets)


def _postgresql(folder, programs, port, user, secrets):
    folder.chmod(0o755)  # root gives up its rights below
    sockets = folder / "run"
    sockets.mkdir()
    initialise(folder, programs, user, PASSWORD, superuser="postgres")
    script = compose_script(
        "postgres",
        {
            "/run/secrets": secrets,
            "/run/postgresql": sockets,
            "chown -R postgres": f"chown -R {user or os.geteuid()}",
            "exec docker-entrypoint.sh postgres": (
                (f"exec setpriv --reuid {user} --clear-groups " if user else "exec ")
                + f"{programs}/postgres -D {folder}/data -c listen_addresses=127.0.0.1 -c port={port}"
                f" -c unix_socket_directories={sockets}"
            ),
        },
    )
    address = f"host=127.0.0.1 port={port} user=postgres password={PASSWORD} dbname=postgres"

    def ready():
        psycopg.connect(f"{address} sslmode=require").close()

    with running(["sh", "-euc", script], folder / "log", ready, cwd="/"):
        yield address


def test_postgresql_is_recognised_and_speaks_tls_1_2_or_newer(postgresql, secrets, monkeypatch):
    monkeypatch.setenv("PGSSLMODE", "verify-full")  # as the compose file has it
    monkeypatch.setenv("PGSSLROOTCERT", str(secrets / "tls_ca_certificate"))
    for name in ("127.0.0.1", "localhost"):
        with psycopg.connect(postgresql.replace("127.0.0.1", name)) as connection:
            used = connection.execute("SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone()
            assert used in [(True, "TLSv1.2"), (True, "TLSv1.3")]


def test_postgresql_answers_nobody_without_tls(postgresql):
    with pytest.raises(psycopg.OperationalError, match=r"no pg_hba\.conf entry"):
        psycopg.connect(f"{postgresql} sslmode=disable")


def test_a_postgresql_of_another_authority_is_refused(postgresql, tmp_path, monkeypatch):
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    monkeypatch.setenv("PGSSLROOTCERT", str(other_authority(tmp_path)))
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        psycopg.connect(postgresql)


def other_authority(folder):
    path = folder / "other"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=other -keyout /dev/null"
    )
    subprocess.run([*command.split(), "-out", path], check=True, capture_output=True)
    return path


# -- Redis ---------------------------------------------------------------------------------------------


DISTRIBUTION = "/usr/local/bin:/usr/bin:/bin"  # where its programs lie; those of a Python package have no TLS


def debian_redis():
    """The distribution's server; its tools are the same program by another name."""
    for name in ("redis-server", "redis-check-rdb"):
        if found := shutil.which(name, path=DISTRIBUTION):
            return f"exec -a redis-server {found}"
    return None


@pytest.fixture(scope="module")
def broker(secrets, tmp_path_factory):
    program = debian_redis()
    if program is None:
        pytest.skip("the distribution's Redis is not installed (apt-get install redis-tools)")
    folder, port = tmp_path_factory.mktemp("redis"), free_port()
    script = compose_script(
        "redis",
        {
            "/run/secrets": secrets,
            "/run/redis": folder,
            "chown -R redis": f"chown -R {os.geteuid()}",
            "6379": port,
            "exec docker-entrypoint.sh redis-server": f"cd {folder}; {program}",
        },
    )
    address = f"rediss://{{}}:{{}}@127.0.0.1:{port}/0"

    def ready():
        login = address.format("airflow", "secret-of-redis")
        redis.Redis.from_url(login, ssl_ca_certs=str(secrets / "tls_ca_certificate")).ping()

    with running(["bash", "-euc", script], folder / "log", ready):
        yield address


def use_ssl(authority):
    """As Airflow's Celery provider makes it of SSL_ACTIVE and SSL_CACERT."""
    return {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_ca_certs": str(authority)}


def test_a_worker_reaches_its_queue_over_tls(broker, secrets):
    trusted = use_ssl(secrets / "tls_ca_certificate")
    with Connection(broker.format("airflow", "secret-of-redis"), ssl=trusted) as scheduler:
        scheduler.SimpleQueue("obs_a").put({"task": 1})
    own = {f"{key}_key": f"{key}.obs_a" for key in ("unacked", "unacked_index", "unacked_mutex")}
    with Connection(broker.format("obs_a", "secret-of-obs"), ssl=trusted, transport_options=own) as worker:
        message = worker.SimpleQueue("obs_a").get(timeout=5)
        assert message.payload == {"task": 1}
        message.ack()


def test_redis_answers_nobody_without_tls(broker):
    with pytest.raises(redis.exceptions.ConnectionError):
        redis.Redis.from_url(broker.format("airflow", "secret-of-redis").replace("rediss", "redis")).ping()


def test_a_redis_of_another_authority_is_refused(broker, tmp_path):
    address = broker.format("airflow", "secret-of-redis")
    with pytest.raises(redis.exceptions.ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
        redis.Redis.from_url(address, ssl_ca_certs=str(other_authority(tmp_path))).ping()


def test_the_health_check_of_the_compose_file(broker, secrets):
    if shutil.which("redis-cli", path=DISTRIBUTION) is None:
        pytest.skip("no redis-cli")
    check = SERVICES["redis"]["healthcheck"]["test"][1].replace("$$", "$").replace("/run/secrets", str(secrets))
    port = broker.rpartition(":")[2].partition("/")[0]
    command = check.replace("redis-cli ", f"redis-cli -p {port} ")
    assert subprocess.run(["sh", "-c", command], env={"PATH": DISTRIBUTION}, check=False).returncode == 0
