"""Flower and the proxy before it, with the compose file's own settings and command: who sees, and who changes what."""

import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import yaml

from lab.services.ports import free_port

PROJECT = Path(__file__).parents[2]
SERVICES = yaml.safe_load((PROJECT / "docker-compose.yaml").read_text("utf-8"))["services"]
ADMIN, VIEWER = ("admin", "admins-own-secret-of-20"), ("viewer", "viewers-own-secret-of-20")

pytestmark = [pytest.mark.slow(20), pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def secrets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flower") / "secrets"
    bash = f"source {PROJECT}/deploy/deployment.sh; AIRFLOW_UID=$(id -u); umask 077; mkdir -p $SECRETS_PATH"
    bash += "; provide_certificates localhost 127.0.0.1"
    environment = {"PATH": os.environ["PATH"], "SECRETS_PATH": str(folder)}
    subprocess.run(["bash", "-euc", bash], env=environment, check=True, capture_output=True)
    (folder / "flower_password").write_text(ADMIN[1])
    (folder / "flower_viewer_password").write_text(VIEWER[1])
    return folder


@pytest.fixture(scope="module")
def flower(secrets):
    """Its address, without a broker: it says so in its log and answers."""
    folder, port = secrets.parent, free_port()
    script = folder / "airflow-config"
    script.write_text((PROJECT / "deploy/bin/airflow-config").read_text().replace("/run/secrets", str(secrets)))
    script.chmod(0o700)
    settings = {
        name: str(value).replace("airflow-config", str(script))
        for name, value in SERVICES["flower"]["environment"].items()
        if name.startswith("AIRFLOW__CELERY__FLOWER_")
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    broker = {"AIRFLOW__CELERY__BROKER_URL": f"redis://127.0.0.1:{free_port()}/0"}
    environment = kept | settings | broker | {"AIRFLOW_HOME": str(folder / "airflow")}
    command = [sys.executable, "-m", *SERVICES["flower"]["command"].split(), "--hostname", "127.0.0.1"]
    address = f"http://127.0.0.1:{port}"
    with running([*command, "--port", str(port)], folder / "flower.log", f"{address}/flower/healthcheck", environment):
        yield address


@pytest.fixture(scope="module")
def proxy(secrets, flower):
    """(its address, its client's TLS)."""
    if shutil.which("nginx") is None:
        pytest.skip("nginx is not installed: deploy/install-system-packages.sh")
    folder, port = secrets.parent, free_port()
    own = {"/run/secrets": str(secrets), "/tmp/proxy": str(folder / "proxy")}
    config = folder / "proxy.conf"
    text = (PROJECT / "deploy/monitoring/proxy.conf").read_text()
    config.write_text(replaced(text, own | {"http://flower:5555": flower, "listen 8443": f"listen 127.0.0.1:{port}"}))
    script = SERVICES["proxy"]["command"][-1].replace("$$", "$")
    # As root nginx gives up its rights, and could not read what pytest keeps for its owner.
    user = "daemon off; user root;" if os.geteuid() == 0 else "daemon off;"
    script = replaced(script, own | {"/etc/nginx/proxy.conf": str(config), "daemon off;": user})
    address, trusted = f"https://127.0.0.1:{port}", ssl.create_default_context(cafile=secrets / "tls_ca_certificate")
    with running(["sh", "-euc", script], folder / "nginx.log", f"{address}/flower/healthcheck", os.environ, trusted):
        yield address, trusted


def replaced(text, by):
    for former, new in by.items():
        assert former in text
        text = text.replace(former, new)
    return text


class running:  # noqa: N801 - a context
    """A server until the block ends, once it answers."""

    def __init__(self, command, log, address, environment, trusted=True):
        self.command, self.log, self.address, self.environment, self.trusted = (
            command, log, address, environment, trusted,
        )  # fmt: skip

    def __enter__(self):
        with self.log.open("wb") as output:
            self.server = subprocess.Popen(
                self.command, stdout=output, stderr=output, env=dict(self.environment), start_new_session=True
            )
        end = time.monotonic() + 90
        while not self._answers():
            assert self.server.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.2)

    def _answers(self):
        try:
            return httpx.get(self.address, verify=self.trusted, trust_env=False).is_success
        except httpx.TransportError:
            return False

    def __exit__(self, *_):
        if self.server.poll() is None:
            os.killpg(self.server.pid, signal.SIGTERM)
            try:
                self.server.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.server.pid, signal.SIGKILL)
                self.server.wait()


@pytest.fixture
def ask(proxy):
    def asked(path, who=None, method="GET", **more):
        return httpx.request(method, proxy[0] + path, auth=who, verify=proxy[1], trust_env=False, **more).status_code

    return asked


def test_flower_alone_asks_for_a_login_below_its_prefix(flower):
    def status(path, who=None):
        return httpx.get(flower + path, auth=who, trust_env=False).status_code

    assert status("/flower/workers") == status("/flower/workers", ("admin", "guessed")) == 401
    assert status("/flower/workers", ADMIN) == status("/flower/workers", VIEWER) == 200
    assert status("/workers", ADMIN) == 404


def test_nobody_sees_anything_without_a_login(ask):
    for path in ("/flower/", "/flower/workers", "/flower/api/workers", "/flower/static/css/flower.css"):
        assert ask(path) == ask(path, ("admin", "guessed")) == ask(path, ("viewer", ADMIN[1])) == 401
    assert ask("/flower/healthcheck") == 200
    assert ask("/") == ask("/metrics", ADMIN) == 404


def test_both_see_workers_and_queues(ask):
    for path in ("/flower/", "/flower/workers", "/flower/static/css/flower.css"):
        assert ask(path, ADMIN) == ask(path, VIEWER) == 200


def test_the_admin_alone_sees_tasks_and_the_programs_interface(ask):
    for path in ("/flower/tasks", "/flower/api/tasks", "/flower/metrics"):
        assert ask(path, VIEWER) == 401
        assert ask(path, ADMIN) not in (401, 403, 404)


def test_the_admin_alone_changes_anything(ask):
    for path in ("/flower/api/worker/shutdown/celery@nobody", "/flower/workers", "/flower/"):
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            assert ask(path, VIEWER, method) == 401
    assert ask("/flower/api/worker/shutdown/celery@nobody", ADMIN, "POST") == 404  # Flower's own: no such worker


@pytest.mark.parametrize(
    "path", ["/flower/workers/../api/tasks", "/flower/api/../workers", "/flower//api/tasks", "/flower/%2e%2e/workers"]
)
def test_a_path_that_two_could_read_differently_goes_to_neither(proxy, path):
    asked = ["curl", "--path-as-is", "--silent", "--insecure", "--output", "/dev/null", "--write-out", "%{http_code}"]
    if shutil.which("curl") is None:
        pytest.skip("no curl: other clients tidy the path up")
    login = ["--user", ":".join(VIEWER), "--noproxy", "*"]
    done = subprocess.run([*asked, *login, proxy[0] + path], capture_output=True, text=True, check=True)
    assert done.stdout == "400"


def test_it_speaks_tls_alone(proxy):
    plain = httpx.get(proxy[0].replace("https", "http") + "/flower/", auth=ADMIN, trust_env=False)
    assert plain.status_code == 400
    assert re.search("plain HTTP request was sent to HTTPS port", plain.text)
