"""Packets that were sent to cameras, counted by who sent them."""

import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterable
from ipaddress import ip_address
from types import TracebackType
from typing import Self

from bay_observation.errors import ClusterError
from cluster.network import Host

_ETH_P_IP = 0x0800
_SOL_PACKET = 263
_PACKET_STATISTICS = 6
_HEADER = 20  # bytes of an IPv4 header; what follows is cut off
_BUFFER = 8 << 20


class PacketCounter:
    """Counts the IPv4 packets that arrive on a host and are meant for certain addresses.

    Args:
        host: where to look.
        addresses: the destinations that count.

    Raises:
        ClusterError: when asked, if the kernel had no room and packets went by uncounted.
    """

    def __init__(self, host: Host, addresses: Iterable[str]) -> None:
        self._host = host
        self._addresses = frozenset(addresses)
        self._counts: Counter[tuple[str, str]] = Counter()
        self._uncounted = 0
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        with self._host.entered():
            # The socket is closed in __exit__.
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_IP))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self._socket.settimeout(0.2)
        self._thread = threading.Thread(target=self._count, name=f"packets on {self._host.name}", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._socket.close()

    def counts(self) -> Counter[tuple[str, str]]:
        """Packets so far by sender's and destination's address.

        Raises:
            ClusterError: packets went by uncounted.
        """
        told = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        self._uncounted += struct.unpack("II", told)[1]
        if self._uncounted:
            raise ClusterError(f"{self._uncounted} packets on {self._host.name} went by uncounted")
        return self._counts.copy()

    def _count(self) -> None:
        while not self._ended.is_set():
            try:
                header, sender = self._socket.recvfrom(_HEADER)
            except TimeoutError:
                continue
            if sender[2] == socket.PACKET_OUTGOING or len(header) < _HEADER:
                continue
            source, destination = str(ip_address(header[12:16])), str(ip_address(header[16:20]))
            if destination in self._addresses:
                self._counts[source, destination] += 1
