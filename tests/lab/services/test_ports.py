import socket
from pathlib import Path

import pytest

from bay_observation.errors import ConfigError
from lab.services import ports
from lab.services.ports import free_port, is_free


def test_a_free_port_can_be_listened_at_and_is_given_to_no_connection():
    port = free_port("127.9.8.7")
    assert port < int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    with socket.create_server(("127.9.8.7", port)):
        assert not is_free("127.9.8.7", port)
    assert is_free("127.9.8.7", port)


def test_ports_in_use_are_passed_over(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = free_port()
        monkeypatch.setattr(ports, "_PORTS", [taken.getsockname()[1], free])
        monkeypatch.setattr(ports, "_TRIES", 2)
        assert free_port() == free


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(ConfigError, match=r"203\.0\.113\.1: no port can be used"):
        free_port("203.0.113.1")
