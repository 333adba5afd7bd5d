"""The plant's network without its services, and what is left when a run crashes."""

import os
import socket
import subprocess
from pathlib import Path

import pytest

from bay_observation.errors import ClusterError
from lab.cluster import network
from lab.cluster.network import BayAddresses, Network

BAYS = {
    "a": BayAddresses("10.150.160.0/24", "10.150.160.1", ["10.150.160.183", "10.150.160.184"]),
    "b": BayAddresses("10.150.161.0/24", "10.150.161.1", ["10.150.161.183"]),
}

pytestmark = pytest.mark.slow(1)


@pytest.fixture(scope="module")
def plant():
    if lacking := network.missing():
        pytest.skip(f"no namespaces on this machine: {lacking}")
    with Network(BAYS) as plant:
        yield plant


def reaches(plant, one, other, address):
    """Whether a connection from one host gets to another one."""
    with plant.hosts[other].entered(), socket.create_server((address, 8000)) as server:
        server.settimeout(2)
        with plant.hosts[one].entered():
            try:
                socket.create_connection((address, 8000), timeout=2).close()
            except OSError:
                return False
        server.accept()[0].close()
        return True


def test_who_reaches_whom(plant):
    main, a, b, camera = "10.150.150.1", "10.150.160.1", "10.150.161.1", "10.150.160.184"
    found = {
        (one, other)
        for one in ("main", "obs_a", "obs_b")
        for other, address in {"main": main, "obs_a": a, "obs_b": b, "cameras_a": camera}.items()
        if one != other and reaches(plant, one, other, address)
    }
    assert found == {
        ("main", "obs_a"),
        ("main", "obs_b"),
        ("obs_a", "main"),
        ("obs_b", "main"),
        ("obs_a", "cameras_a"),
    }


@pytest.mark.parametrize(
    ("line", "other", "address"),
    [(("main", "obs_a"), "obs_a", "10.150.160.1"), (("obs_a", "cameras_a"), "cameras_a", "10.150.160.183")],
)
def test_a_line_is_cut_and_mended(plant, line, other, address):
    assert reaches(plant, line[0], other, address)
    plant.cut(*line)
    plant.cut(*line)
    assert not reaches(plant, line[0], other, address)
    assert reaches(plant, "main", "obs_b", "10.150.161.1")
    plant.mend(*reversed(line))
    plant.mend(*line)
    assert reaches(plant, line[0], other, address)


def test_a_line_that_does_not_exist_is_named(plant):
    with pytest.raises(ClusterError, match=r"no line runs between obs_a and obs_b; there are: .*main and obs_a"):
        plant.cut("obs_a", "obs_b")


def test_a_host_has_its_own_name_and_processes(plant):
    command = plant.hosts["obs_a"].command(["sh", "-c", "hostname; echo $$; getent hosts main"])
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert said == ["observer-a", "1", "10.150.150.1", "main"]


def test_a_run_that_crashed_is_cleared_up_and_one_that_lives_is_not(plant):
    ended = subprocess.Popen(["true"])
    ended.wait()
    left = f"bay{ended.pid}.1-main"
    subprocess.run(["ip", "netns", "add", left], check=True)
    hosts = Path("/etc/netns") / left
    hosts.mkdir(parents=True)
    command = ["ip", "netns", "exec", left, "sh", "-c", "echo; exec sleep 600"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as sleeper:
        try:
            assert sleeper.stdout
            sleeper.stdout.readline()  # it is in the namespace now
            assert left in network.sweep()
            assert sleeper.wait(10) == -9
        finally:
            sleeper.kill()
    assert not hosts.exists()
    assert not (Path("/run/netns") / left).exists()
    assert (Path("/run/netns") / plant.main.namespace).exists()


def test_without_the_right_what_is_missing_is_said(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert network.missing() == "network namespaces need root here"


def test_without_a_program_its_package_is_said(monkeypatch):
    monkeypatch.setattr(network.shutil, "which", lambda program: None if program == "ip" else f"/bin/{program}")
    assert network.missing() == "the program ip is missing (Debian's package iproute2)"
