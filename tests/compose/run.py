"""`make compose-test`: build the image, start every profile for the demo bay, send batches through, clean up.

Everything runs in a folder of its own, with the repository's files as they are: the Docker daemon too, where none
answers. Where no image registry can be reached, the base is made with debootstrap and PostgreSQL and Redis come from
the distribution (`tests/compose/stand_ins`). Needs root for that.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

PROJECT = Path(__file__).parents[2]
STAND_INS = Path(__file__).parent / "stand_ins"
BAY, NEW_BAY = "demo_bay", "second_bay"
DATABASES = ("airflow", "bay_history")
FIRST_SLOT = datetime.fromisoformat("2025-07-02T10:00:00+09:00")
TASKS = {
    "observation": ("capture_images", "check_should_proceed", "run_inference", "trigger_fusion"),
    "fusion": ("process_fusion", "trigger_tracking"),
    "tracking": ("process_tracking",),
}
# The cameras' control, on the loopback address that they share with their triggerer.
SET_TIME = """
import json, sys, urllib.request
body = json.dumps({"time": sys.argv[1]}).encode()
headers = {"Content-Type": "application/json"}
request = urllib.request.Request("http://127.0.0.1:8790/time", body, headers, method="PUT")
urllib.request.urlopen(request, timeout=120).close()
"""
HEALTHY_LIMIT, BATCH_LIMIT = 900.0, 900.0  # seconds, on two cores that others use as well


class ComposeTestError(Exception):
    """What does not hold, or is missing; ends the test."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--environment", choices=["dev", "prod"], default="dev", help="prod: over the host's network")
    parser.add_argument("--base-image", help="default: made with debootstrap")
    parser.add_argument("--cache", type=Path, help="folder in which a daemon of our own keeps its images")
    parser.add_argument("--keep-images", action="store_true", help="leave the images for the next time")
    options = parser.parse_args()
    try:
        with contextlib.ExitStack() as stack:
            # What a daemon still holds when it ends is no reason to fail.
            folder = tempfile.TemporaryDirectory(prefix="bay-compose-", ignore_cleanup_errors=True)
            work = Path(stack.enter_context(folder))
            environment = stack.enter_context(docker(work, options.cache))
            if not options.keep_images:
                stack.callback(remove_images, environment)
            base = options.base_image or base_image(work, environment)
            images(base, environment)
            deployment = Deployment(work / "project", options.environment, environment)
            stack.callback(deployment.clean_up)
            run(deployment)
    except ComposeTestError as error:
        print(f"compose-test: {error}", file=sys.stderr)
        return 1
    say("everything holds")
    return 0


def run(deployment: "Deployment") -> None:
    deployment.prepare()
    deployment.start("main")
    deployment.start("observer")
    deployment.start("processor")
    deployment.wait_until_healthy()
    deployment.set_camera_login()
    say(f"batch 1 was tracked in {deployment.send(FIRST_SLOT):.0f} s")
    deployment.check_hosts(FIRST_SLOT)
    deployment.check_logs(FIRST_SLOT)
    deployment.check_history(FIRST_SLOT)
    deployment.check_nothing_leaks()
    deployment.add_bay()
    deployment.back_up_and_restore()
    if deployment.environment == "dev":  # in production the second one is another host
        deployment.start("observer", 2)
        deployment.start("processor", 2)
        deployment.wait_until_healthy()
        deployment.kill("observer")
        deployment.kill("processor")
    slot = FIRST_SLOT + timedelta(minutes=10)
    say(f"batch 2 was tracked in {deployment.send(slot):.0f} s")
    deployment.check_history(slot)


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


@contextlib.contextmanager
def docker(work: Path, cache: Path | None) -> Iterator[dict[str, str]]:
    """Environment in which `docker` works: the daemon that answers, or one of our own."""
    environment = os.environ | {"DOCKER_BUILDKIT": "1", "PATH": f"{builder()}:{os.environ['PATH']}"}
    if not shutil.which("docker-compose") and not succeeds(["docker", "compose", "version"], environment):
        raise ComposeTestError("docker-compose is missing (Debian: apt install docker-compose)")
    if succeeds(["docker", "info"], environment):
        say("the Docker daemon that runs here is used")
        if output(["docker", "ps", "-aq", "--filter", "name=airflow-"], environment).strip():
            raise ComposeTestError("there is a deployment on this Docker daemon already (airflow-…): stop it first")
        yield environment
        return
    if os.geteuid() != 0 or not shutil.which("dockerd"):
        raise ComposeTestError("no Docker daemon answers, and to start one it takes root and dockerd (docker.io)")
    root = cache.resolve() if cache else work / "docker"
    environment["DOCKER_HOST"] = f"unix://{work}/docker.sock"
    command = ["dockerd", "--host", environment["DOCKER_HOST"], "--data-root", str(root)]
    command += ["--exec-root", str(work / "exec"), "--pidfile", str(work / "docker.pid")]
    with host_network_kept(), (work / "dockerd.log").open("wb") as log:
        daemon = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
        try:
            wait_for_daemon(environment, work / "dockerd.log")
            yield environment
        finally:
            daemon.terminate()
            daemon.wait(60)


def wait_for_daemon(environment: Mapping[str, str], log: Path) -> None:
    try:
        wait(lambda: succeeds(["docker", "info"], environment), 60, "dockerd does not start")
    except ComposeTestError as error:
        raise ComposeTestError(f"{error}\n{log.read_text(errors='replace')[-1500:]}") from None
    say("a Docker daemon of our own runs")


@contextlib.contextmanager
def host_network_kept() -> Iterator[None]:
    """A Docker daemon leaves a bridge, rules and forwarding behind; afterwards all is as it was."""
    rules = output(["iptables-save"], os.environ)
    for table, chains in (("filter", "INPUT FORWARD OUTPUT"), ("nat", "PREROUTING INPUT OUTPUT POSTROUTING")):
        if f"*{table}" not in rules:
            rules += "\n".join([f"*{table}", *(f":{chain} ACCEPT [0:0]" for chain in chains.split()), "COMMIT\n"])
    forwarding = Path("/proc/sys/net/ipv4/ip_forward")
    before = forwarding.read_text()
    bridge = Path("/sys/class/net/docker0")
    had_bridge = bridge.exists()
    try:
        yield
    finally:
        checked(["iptables-restore"], os.environ, given=rules)
        forwarding.write_text(before)
        if bridge.exists() and not had_bridge:
            checked(["ip", "link", "delete", "docker0"], os.environ)


def builder() -> str:
    """Folder of a docker client that builds with secrets: one with buildx, or one that has BuildKit inside."""
    for folder in os.environ["PATH"].split(":"):
        client = Path(folder) / "docker"
        environment = os.environ | {"DOCKER_BUILDKIT": "1"}
        if client.is_file() and "--secret" in output([str(client), "build", "--help"], environment):
            return folder
    raise ComposeTestError("no docker client that builds with BuildKit (Debian: apt install docker.io docker-compose)")


def base_image(work: Path, environment: Mapping[str, str]) -> str:
    """Debian with its own Python, as this machine's package sources have it."""
    tag = "bay-observation-base:compose-test"
    if succeeds(["docker", "image", "inspect", tag], environment):
        return tag
    if not shutil.which("debootstrap"):
        raise ComposeTestError("debootstrap is missing (Debian: apt install debootstrap), or name a --base-image")
    release = dict(re.findall(r"^(\w+)=\"?(.*?)\"?$", Path("/etc/os-release").read_text(), re.MULTILINE))
    codename = release["VERSION_CODENAME"]
    site = output(["apt-get", "indextargets", "--format", "$(SITE)", f"Codename: {codename}"], os.environ).splitlines()
    say("the base image is made with debootstrap")
    root = work / "base"
    packages = "ca-certificates,python3,python3-venv"
    checked(["debootstrap", "--variant=minbase", f"--include={packages}", codename, str(root), *site[:1]], os.environ)
    archive = subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE)
    with archive:
        command = ["docker", "import", "-", tag]
        done = subprocess.run(command, stdin=archive.stdout, env=dict(environment), check=False, capture_output=True)
    if done.returncode != 0 or archive.returncode != 0:
        raise ComposeTestError(f"the base cannot be imported: {done.stderr.decode(errors='replace')}")
    shutil.rmtree(root)
    return tag


def images(base: str, environment: dict[str, str]) -> None:
    """Build the image and the stand-ins; `environment` names them afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder) / "context"
        copy_project(context)
        for place in os.environ.get("PIP_FIND_LINKS", "").split():
            for wheel in Path(place).glob("*.whl"):
                shutil.copy(wheel, context / "deploy" / "wheels")
        say("the image is built")
        command = ["docker", "build", "--build-arg", f"BASE_IMAGE={base}", "--tag", "bay-observation:compose-test"]
        command += ["--file", str(context / "deploy" / "Dockerfile")]
        if certificates := os.environ.get("PIP_CERT"):
            command += ["--secret", f"id=ca_bundle,src={Path(certificates).resolve()}"]
        checked([*command, str(context)], environment)
    environment["AIRFLOW_IMAGE_NAME"] = "bay-observation:compose-test"
    for service in ("postgres", "redis"):
        image = f"bay-observation-{service}:compose-test"
        dockerfile = STAND_INS / f"{service}.Dockerfile"
        command = ["docker", "build", "--build-arg", f"BASE_IMAGE={base}", "--file", str(dockerfile), "--tag", image]
        checked([*command, str(STAND_INS)], environment)
        environment[f"{service.upper()}_IMAGE"] = image
    inspect = ["docker", "image", "inspect", "--format", "{{.Size}}", environment["AIRFLOW_IMAGE_NAME"]]
    say(f"the image has {int(output(inspect, environment)) / 1e9:.2f} GB")


def remove_images(environment: Mapping[str, str]) -> None:
    ours = ["--filter", "reference=bay-observation*:compose-test"]
    if made := output(["docker", "images", "--format", "{{.Repository}}:{{.Tag}}", *ours], environment).split():
        checked(["docker", "image", "rm", *made], environment)


def copy_project(folder: Path) -> None:
    """The repository's files as they are now, without what git ignores: data, secrets, environments."""
    names = output(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], os.environ, PROJECT)
    for name in filter(None, names.split("\0")):
        if (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, folder / name)


class Deployment:
    """The demo bay's deployment, started as a person would start it."""

    def __init__(self, folder: Path, environment: str, variables: Mapping[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self.variables = {**variables, "BAYS_ENABLED": f"{BAY} {NEW_BAY}", "BAYS_SCHEDULE": "off", "CLOCK": "slot"}
        self.variables |= {"WORKER_CONCURRENCY": "1", "WORKER_AUTOSCALE": "2,1"}  # what two cores bear
        self.started: list[str] = []
        self.observer = 1
        self.api = "https://127.0.0.1:8080"
        self._client: httpx.Client | None = None

    def prepare(self) -> None:
        """The project's files; for production, on this one host, addresses of this host."""
        copy_project(self.folder)
        checked(["docker", "network", "create", "bay-observation"], self.variables)
        if self.environment == "prod":
            host = output(
                ["docker", "network", "inspect", "--format", "{{(index .IPAM.Config 0).Gateway}}", "bay-observation"],
                self.variables,
            ).strip()
            make = [sys.executable, "-m", "bays", "env", BAY, "--main-server", host]
            checked(make, os.environ | {"PYTHONPATH": str(self.folder)}, self.folder)
            main = self.folder / "env/prod/main.env"
            # Not on every address: the simulated cameras have port 8080 of theirs, on the host's network too.
            main.write_text(main.read_text().replace("10.150.150.1", host) + "MAIN_CPUS=2\n")
            self.api = f"https://{host}:8080"
            with (self.folder / f"env/prod/observer_{BAY}.env").open("a") as file:
                file.write("SIMULATED_CAMERAS=yes\n")
            storage = self.folder / "storage"
            storage.mkdir()
            os.chown(storage, 50000, 0)
            self.variables |= {
                "ADVERTISED_HOST": host,
                "SHARED_DATA_PATH": str(storage),
                "SHARED_DATA_IS_LOCAL": "yes",
                "WORKER_CPUS": "2",
            }

    @property
    def data(self) -> Path:
        return self.folder / ("storage" if self.environment == "prod" else "data")

    def start(self, role: str, instance: int = 1) -> None:
        say(f"start {role} {instance}")
        if role == "main":
            command, name = ["./start-main.sh", self.environment], "main"
        else:
            command = [f"./start-{role}s.sh", self.environment, BAY, str(instance)]
            name = f"{role}:{BAY}:{instance}"
        if name not in self.started:
            self.started.append(name)
        variables = self.variables | {"SIMULATION_ARGS": f"--time {FIRST_SLOT.isoformat()}"}
        checked(command, variables, self.folder)

    def compose(self, service: str, *arguments: str, given: str | None = None) -> str:
        return checked(["deploy/compose.sh", self.environment, service, *arguments], self.variables, self.folder, given)

    def kill(self, role: str) -> None:
        """What a loss of power does to the first observer or processor."""
        say(f"kill {role} 1")
        self.compose(f"{role}:{BAY}:1", "kill")
        if role == "observer":
            self.observer = 2

    def containers(self) -> dict[str, dict[str, Any]]:
        """What `docker inspect` tells of every container, by name."""
        names = output(["docker", "ps", "-aq"], self.variables).split()
        found = json.loads(output(["docker", "inspect", *names], self.variables))
        return {each["Name"].lstrip("/"): each for each in found}

    def wait_until_healthy(self) -> None:
        def sick() -> list[str]:
            found = []
            for name, container in self.containers().items():
                state = container["State"]
                if "_init_" in name:
                    well = state["Status"] == "exited" and state["ExitCode"] == 0
                else:
                    well = state.get("Health", {}).get("Status") == "healthy"
                if not well:
                    found.append(name)
            return found

        started = time.monotonic()
        try:
            wait(lambda: not sick(), HEALTHY_LIMIT, "not healthy")
        except ComposeTestError:
            left = sick()
            logs = [output(["docker", "logs", "--tail", "15", name], self.variables, both=True) for name in left]
            last = "\n".join(logs)
            raise ComposeTestError(f"not healthy: {', '.join(left)}\n{last}") from None
        say(f"all {len(self.containers())} containers are healthy after {time.monotonic() - started:.0f} s")

    def set_camera_login(self) -> None:
        checked(["deploy/set-camera-login.sh", BAY], self.variables, self.folder, "yard\nyard\n")

    def send(self, slot: datetime) -> float:
        """Move the cameras to a slot, start its observation, and wait until it is tracked; seconds."""
        cameras = f"observer:{BAY}:{self.observer}"
        self.compose(cameras, "exec", "-T", "cameras", "python", "-", slot.isoformat(), given=SET_TIME)
        dag = f"observation_{BAY}_dag"
        wait(lambda: dag in self.dags(), 300, f"no {dag}")
        began = time.monotonic()
        body = {"logical_date": slot.isoformat(), "conf": {}}
        self.ask("POST", f"dags/{dag}/dagRuns", json=body)
        tracked = self.data / "tracking" / BAY / batch(slot) / "result.pkl"
        wait(lambda: tracked.exists() or self.failed(slot), BATCH_LIMIT, f"{tracked} does not appear")
        if not tracked.exists():
            raise ComposeTestError(f"batch {batch(slot)} failed:\n{self.failed(slot)}")
        took = time.monotonic() - began
        wait(lambda: self.runs(slot)["tracking"]["state"] == "success", 60, "the tracking run does not end")
        return took

    def runs(self, slot: datetime) -> dict[str, dict[str, Any]]:
        """The batch's run of each stage, as far as it has come."""
        found = {}
        for stage in TASKS:
            runs = self.get(f"dags/{stage}_{BAY}_dag/dagRuns", limit=100)["dag_runs"]
            for run in runs:
                if run["dag_run_id"].startswith(batch(slot)) or run["logical_date"] == slot_text(slot):
                    found[stage] = run
        return found

    def tasks(self, slot: datetime) -> Iterator[tuple[str, dict[str, Any]]]:
        for stage, run in self.runs(slot).items():
            path = f"dags/{stage}_{BAY}_dag/dagRuns/{run['dag_run_id']}/taskInstances"
            for task in self.get(path)["task_instances"]:
                yield stage, task

    def failed(self, slot: datetime) -> str:
        """The log of a task that has failed for good, or nothing."""
        return "\n".join(self.log(stage, task)[-3000:] for stage, task in self.tasks(slot) if task["state"] == "failed")

    def log(self, stage: str, task: Mapping[str, Any]) -> str:
        run = f"dags/{stage}_{BAY}_dag/dagRuns/{task['dag_run_id']}"
        path = f"{run}/taskInstances/{task['task_id']}/logs/{task['try_number']}"
        return json.dumps(self.get(path, full_content=True)["content"])

    def check_hosts(self, slot: datetime) -> None:
        """Every task ran, with success, where its queue is served."""
        dev = "dev-" if self.environment == "dev" else ""
        hosts = dict.fromkeys(TASKS, f"processor-{dev}{BAY}")
        hosts["observation"] = self.variables.get("ADVERTISED_HOST", f"observer-{dev}{BAY}")
        if self.environment == "prod":  # both are this machine
            hosts |= dict.fromkeys(("fusion", "tracking"), self.variables["ADVERTISED_HOST"])
        seen = {(stage, task["task_id"]): (task["state"], task["hostname"]) for stage, task in self.tasks(slot)}
        wanted = {(stage, task): ("success", hosts[stage]) for stage, tasks in TASKS.items() for task in tasks}
        if seen != wanted:
            raise ComposeTestError(f"tasks ran elsewhere or otherwise: {seen}\nexpected: {wanted}")
        say("every task ran on the worker that its queue names")

    def check_logs(self, slot: datetime) -> None:
        """The API server has the logs of worker and triggerer, over the network and from its disk."""
        for stage, task in self.tasks(slot):
            if task["task_id"] in ("capture_images", "process_tracking"):
                log = self.log(stage, task)
                words = "12 of 12 cameras" if task["task_id"] == "capture_images" else batch(slot)
                if words not in log:
                    raise ComposeTestError(f"the log of {task['task_id']} does not say {words!r}:\n{log[-2000:]}")
        say("the logs of observer and processor are to be had")

    def check_history(self, slot: datetime) -> None:
        command = 'HISTORY_DB="$(airflow-config history)" exec python -m tracking show demo_bay --json'
        blocks = json.loads(self.compose("main", "exec", "-T", "api-server", "sh", "-c", command))
        if not blocks:
            raise ComposeTestError("the history knows of no block")
        say(f"the history in PostgreSQL answers after batch {batch(slot)}")

    def back_up_and_restore(self) -> None:
        """As docs/deploy.md says, while observers and processors run."""
        database = ("exec", "-T", "postgres", "sh", "-c")
        for name in DATABASES:
            self.compose("main", *database, f"pg_dump --username postgres --format custom {name} >/tmp/{name}.dump")
        self.compose("main", "stop", "api-server", "scheduler", "dag-processor", "triggerer", "main-worker", "flower")
        for name, table in (("airflow", "task_instance_history"), ("bay_history", "history_batches")):
            drop = f"DROP TABLE {table} CASCADE"
            self.compose("main", *database, f"psql --quiet --username postgres --dbname {name} --command '{drop}'")
        for name in DATABASES:
            restore = f"pg_restore --username postgres --dbname {name} --clean --if-exists /tmp/{name}.dump"
            self.compose("main", *database, restore)
        self.start("main")
        self.wait_until_healthy()
        self.check_history(FIRST_SLOT)
        say("the database was backed up and restored")

    def add_bay(self) -> None:
        """One YAML file and two env files, on a deployment that runs: the DAGs appear by themselves."""
        began = time.monotonic()
        text = (self.folder / f"bays/{BAY}.yaml").read_text().replace("127.60.0.", "127.61.0.")
        (self.folder / f"bays/{NEW_BAY}.yaml").write_text(text)
        bays = [sys.executable, "-m", "bays"]
        environment = os.environ | {"PYTHONPATH": str(self.folder)}
        checked([*bays, "validate", NEW_BAY], environment, self.folder)
        checked([*bays, "env", NEW_BAY, "--environment", self.environment], environment, self.folder)
        dags = {f"{stage}_{NEW_BAY}_dag" for stage in TASKS}
        wait(lambda: dags <= self.dags(), 600, f"no DAGs of {NEW_BAY}")
        say(f"a new bay has its env files and its DAGs {time.monotonic() - began:.0f} s after its YAML file")

    def dags(self) -> set[str]:
        return {dag["dag_id"] for dag in self.get("dags", limit=100)["dags"]}

    def check_nothing_leaks(self) -> None:
        """No secret in any container's description, environment or log, in the image, or on a command line."""
        kept = [path for path in (self.folder / "secrets").iterdir() if not path.name.endswith("_certificate")]
        # Of a key in several lines each one counts, as a log may show them apart.
        secrets = {
            f"{path.name}:{number}": line
            for path in kept
            for number, line in enumerate(path.read_text().splitlines(), 1)
            if len(line) > 8 and not line.startswith("-----")
        }
        containers = self.containers()
        places = {"docker inspect": json.dumps(containers), "ps": output(["ps", "-eo", "args", "ww"], self.variables)}
        places["docker history"] = output(
            ["docker", "history", "--no-trunc", self.variables["AIRFLOW_IMAGE_NAME"]], self.variables
        )
        for name, container in containers.items():
            places[f"log of {name}"] = output(["docker", "logs", name], self.variables, both=True)
            image = container["Config"]["Image"]
            if image == self.variables["AIRFLOW_IMAGE_NAME"] and container["Config"]["User"] != "50000:0":
                raise ComposeTestError(f"{name} runs as {container['Config']['User']!r}")
        for secret, value in secrets.items():
            for place, text in places.items():
                if value in text:
                    raise ComposeTestError(f"{secret} stands in {place}")
        say(f"none of {len(secrets)} secrets is seen in {len(places)} places")

    def get(self, path: str, **params: Any) -> Any:
        return self.ask("GET", path, params=params)

    def ask(self, method: str, path: str, **arguments: Any) -> Any:
        if self._client is None:
            login = {"username": "admin", "password": (self.folder / "secrets/admin_password").read_text()}
            trusted = ssl.create_default_context(cafile=self.folder / "secrets/tls_ca_certificate")
            answer = httpx.post(f"{self.api}/auth/token", json=login, timeout=60, verify=trusted)
            if answer.is_error:
                raise ComposeTestError(f"the login is refused: {answer.status_code} {answer.text[:500]}")
            token = answer.json()["access_token"]
            self._client = httpx.Client(
                base_url=f"{self.api}/api/v2/",
                headers={"Authorization": f"Bearer {token}"},
                timeout=60,
                verify=trusted,
            )
        try:
            answer = self._client.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise ComposeTestError(f"{method} {path}: {error!r}") from error
        if answer.is_error:
            raise ComposeTestError(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return answer.json()

    def clean_up(self) -> None:
        """Remove containers, volumes and the network; tells what is left where that fails."""
        say("clean up")
        for name in reversed(self.started):
            self.compose(name, "down", "--volumes", "--timeout", "20")
        checked(["docker", "network", "rm", "bay-observation"], self.variables)


def batch(slot: datetime) -> str:
    return f"{BAY}_{slot.astimezone(UTC):%Y%m%d-%H%M%S}"


def slot_text(slot: datetime) -> str:
    return f"{slot.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def wait(condition: Callable[[], object], limit: float, complaint: str) -> None:
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            raise ComposeTestError(f"{complaint} within {limit:g} s")
        time.sleep(1)


def checked(
    command: list[str], environment: Mapping[str, str], folder: Path | None = None, given: str | None = None
) -> str:
    """Run a command; its standard output."""
    stdin = {"stdin": subprocess.DEVNULL} if given is None else {"input": given}
    done = subprocess.run(
        command, env=dict(environment), cwd=folder, capture_output=True, text=True, check=False, **stdin
    )
    if done.returncode != 0:
        raise ComposeTestError(
            f"{' '.join(command[:6])} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-4000:]}"
        )
    return done.stdout


def output(
    command: list[str], environment: Mapping[str, str], folder: Path | None = None, *, both: bool = False
) -> str:
    """Standard output of a command, and its standard error where asked, however it ends."""
    done = subprocess.run(command, env=dict(environment), cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if both else done.stdout


def succeeds(command: list[str], environment: Mapping[str, str]) -> bool:
    return subprocess.run(command, env=dict(environment), capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
