"""A copy of what the start scripts need, and a `docker` that only notes what it is asked."""

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
SCRIPTS = ("start-main.sh", "start-observers.sh", "start-processors.sh")

_DOCKER = """#!/bin/sh
echo "${0##*/} $*" >>"$DOCKER_CALLS"
echo "WORKER_NAME=${WORKER_NAME:-} WORKER_QUEUE=${WORKER_QUEUE:-} " >>"$DOCKER_CALLS"
echo "TLS_DIGEST=${TLS_DIGEST:-}" >>"$DOCKER_CALLS"
echo "WORKER_NAME=${WORKER_NAME:-} AIRFLOW_UID=${AIRFLOW_UID:-} STORE_MARKER=${STORE_MARKER:-}" >>"$DOCKER_CALLS"
case "$*" in
  "compose version") exit "${COMPOSE_PLUGIN:-0}" ;;
  info) exit "${DOCKER_INFO:-0}" ;;
  image*) exit "${IMAGE_MISSING:-0}" ;;
esac
"""


@dataclass(frozen=True)
class Result:
    """What a script said, and what it had docker do."""

    status: int
    said: str
    calls: str


@dataclass
class Host:
    """A host with the project's files and the fake docker."""

    folder: Path
    programs: Path
    made_before: Path

    @property
    def secrets(self) -> Path:
        return self.folder / "secrets"

    @property
    def marker(self) -> Path:
        return self.folder / "store" / ".bay-observation-store"

    @property
    def on_local_disk(self) -> dict[str, str]:
        """Production on a disk of this host, which start-main.sh has marked as the store."""
        self.marker.parent.mkdir(exist_ok=True)
        self.marker.touch()
        return {"SHARED_DATA_IS_LOCAL": "yes", "SHARED_DATA_PATH": str(self.marker.parent)}

    def run(self, script: str, *arguments: str, **variables: str) -> Result:
        calls = self.folder / "calls"
        calls.write_text("")
        environment = {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "DOCKER_CALLS": str(calls),
            **variables,
        }
        done = subprocess.run(
            [str(self.folder / script), *arguments], env=environment, capture_output=True, text=True, check=False
        )
        return Result(done.returncode, done.stdout + done.stderr, calls.read_text())

    def provide_secrets(self) -> None:
        """What an observer's host is given from the main server, made by its first start, once for all tests."""
        if self.made_before.exists():
            shutil.copytree(self.made_before, self.secrets, dirs_exist_ok=True)
            return
        assert self.run("start-main.sh", "dev").status == 0
        shutil.copytree(self.secrets, self.made_before)


@pytest.fixture(scope="session")
def made_before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("made") / "secrets"


@pytest.fixture
def make_host(tmp_path: Path, made_before: Path) -> Callable[[], Host]:
    def make() -> Host:
        folder, programs = tmp_path / "project", tmp_path / "bin"
        programs.mkdir()
        for name in ("docker", "docker-compose"):
            (programs / name).write_text(_DOCKER)
            (programs / name).chmod(0o755)
        for name in ("env", "deploy"):
            shutil.copytree(PROJECT / name, folder / name)
        (folder / "bays").mkdir()
        for bay in (PROJECT / "bays").glob("*.yaml"):
            shutil.copy(bay, folder / "bays")
        for name in (*SCRIPTS, "docker-compose.yaml"):
            shutil.copy(PROJECT / name, folder)
        return Host(folder, programs, made_before)

    return make


@pytest.fixture
def host(make_host: Callable[[], Host]) -> Host:
    return make_host()
