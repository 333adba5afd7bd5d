"""A port for a server that binds it later."""

import random
import socket

from bay_observation.errors import ConfigError

_PORTS = range(20_000, 32_000)  # below those that the kernel gives to connections: none can take it meanwhile
_TRIES = 100


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port of a local address that no process holds, by chance: two that ask hardly get the same.

    Raises:
        ConfigError: the address is not this machine's, or none of a hundred ports was free.
    """
    for port in random.SystemRandom().sample(_PORTS, _TRIES):
        if is_free(host, port):
            return port
    raise ConfigError(f"{host}: no port can be used; is it an address of this machine?")


def is_free(host: str, port: int) -> bool:
    """Whether a server can listen at this address now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
