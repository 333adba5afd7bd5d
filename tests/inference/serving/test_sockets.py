"""One server a bay: a live one keeps its socket, a killed one's is taken over; SIGTERM ends in order."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from artifacts import ArtifactReference
from bay_observation.errors import ArtifactError, ConfigError
from inference.serving import InferenceClient, NoServerError
from inference.serving.sockets import BaySocket, socket_folder, socket_path

# A separate server process whose batch never ends; it reports when the batch has begun.
SERVER = """
import asyncio, sys, time
from inference.serving.server import answer_until_stopped
from inference.serving.sockets import BaySocket
class Work:
    def observe(self, capture, check_abandoned):
        print("began", flush=True)
        while True:
            check_abandoned()
            time.sleep(0.01)
    def is_published(self, observed):
        return True
    def loads(self):
        return 0
with BaySocket("yard") as place:
    asyncio.run(answer_until_stopped({"yard": place}, Work(), 8, float(sys.argv[1])))
print("ended", flush=True)
"""
CAPTURE = ArtifactReference(
    "capture", "yard", "yard_20250702-071000", "observation/yard/yard_20250702-071000/capture.pkl", "a" * 64, 10, 1
)

Start = Callable[[float], "subprocess.Popen[str]"]


@pytest.fixture
def start(inference_sockets: Path) -> Iterator[Start]:
    """start(grace): a server in a separate process, listening."""
    servers: list[subprocess.Popen[str]] = []

    def begin(grace_s: float) -> "subprocess.Popen[str]":
        server = subprocess.Popen([sys.executable, "-c", SERVER, str(grace_s)], stdout=subprocess.PIPE, text=True)
        servers.append(server)
        asyncio.run(answers())
        return server

    yield begin
    for server in servers:
        server.kill()
        server.communicate()


async def answers() -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                await InferenceClient("yard").health()
            except NoServerError:
                await asyncio.sleep(0.05)
            else:
                return


def test_a_bay_has_one_server(inference_sockets: Path) -> None:
    with BaySocket("yard") as place:
        place.bind()
        with pytest.raises(ConfigError, match=r"yard\.sock: another server has the models of bay yard"):
            BaySocket("yard")
        with BaySocket("other") as other:
            other.bind()
        assert socket_path("yard").exists()
    BaySocket("yard").close()


@pytest.mark.slow(1)
def test_a_killed_servers_socket_is_left_and_taken_over(start: Start, inference_sockets: Path) -> None:
    killed = start(5.0)
    killed.kill()
    killed.wait()
    assert socket_path("yard").is_socket()
    with pytest.raises(NoServerError, match=r"yard\.sock"):
        asyncio.run(InferenceClient("yard").submit(CAPTURE))
    again = start(5.0)
    assert asyncio.run(InferenceClient("yard").health())["pid"] == again.pid


@pytest.mark.slow(1)
def test_a_server_that_is_killed_in_the_middle_is_no_server(start: Start) -> None:
    server = start(5.0)

    async def ask() -> None:
        asking = asyncio.create_task(InferenceClient("yard").observe(CAPTURE))
        await asyncio.to_thread(server.stdout.readline)
        server.kill()
        await asking

    with pytest.raises(NoServerError, match=r"ended before it answered|reset by peer"):
        asyncio.run(ask())


@pytest.mark.slow(1)
def test_sigterm_tells_who_waits_and_leaves_no_socket(start: Start) -> None:
    server = start(0.1)

    async def ask() -> str:
        asking = asyncio.create_task(InferenceClient("yard").observe(CAPTURE))
        await asyncio.to_thread(server.stdout.readline)
        server.send_signal(signal.SIGTERM)
        return (await asking).status

    assert asyncio.run(ask()) == "stopping"
    assert server.communicate(timeout=30)[0] == "ended\n"
    assert server.returncode == 0
    assert not socket_path("yard").exists()


def test_a_server_that_hangs_is_no_server(inference_sockets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inference.serving.client._PATIENCE_S", 0.05)
    with BaySocket("yard") as place:
        place.bind().listen()
        with pytest.raises(NoServerError, match=r"does not answer within 0\.05 s"):
            asyncio.run(InferenceClient("yard").submit(CAPTURE))


def test_another_users_socket_is_not_asked(inference_sockets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with BaySocket("yard") as place:
        place.bind().listen()
        owner = socket_path("yard").stat().st_uid
        monkeypatch.setattr(os, "getuid", lambda: owner + 1)
        if owner == 0:  # every user may ask root's server
            monkeypatch.setattr("inference.serving.sockets._TRUSTED", ())
        with pytest.raises(ConfigError, match=f"belongs to user {owner}"):
            asyncio.run(InferenceClient("yard").submit(CAPTURE))


def test_the_folder_is_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    assert socket_folder() == Path("/run/user/7/bay_observation")
    monkeypatch.setenv("INFERENCE_SOCKETS", "/run/observer")
    assert socket_path("yard") == Path("/run/observer/yard.sock")
    monkeypatch.setenv("INFERENCE_SOCKETS", "/run/" + 110 * "x")
    with pytest.raises(ConfigError, match="set INFERENCE_SOCKETS"):
        socket_path("yard")
    with pytest.raises(ArtifactError, match="no plain name"):
        socket_path("../yard")
