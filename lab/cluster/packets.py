"""What crosses a host, by sender: packets to cameras, and connections between hosts."""

import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterable
from ipaddress import ip_address
from types import TracebackType
from typing import Self

from bay_observation.errors import ClusterError
from lab.cluster.network import Host

_ETH_P_IP = 0x0800
_SOL_PACKET = 263
_PACKET_STATISTICS = 6
_TCP = 6
_SYN, _ACK = 0x02, 0x10
_HEADERS = 120  # bytes: the longest IPv4 header and TCP's first 20; what follows is cut off
_BUFFER = 8 << 20


class PacketCounter:
    """Looks at every IPv4 packet that arrives on a host.

    Args:
        host: where to look.
        addresses: the destinations whose packets are counted.

    Raises:
        ClusterError: when asked, if the kernel had no room and packets went by unseen.
    """

    def __init__(self, host: Host, addresses: Iterable[str]) -> None:
        self._host = host
        self._addresses = frozenset(addresses)
        self._counts: Counter[tuple[str, str]] = Counter()
        self._opened: set[tuple[str, str, int]] = set()
        self._unseen = 0
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        with self._host.entered():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_IP))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self._socket.settimeout(0.2)
        self._thread = threading.Thread(target=self._look, name=f"packets on {self._host.name}", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._socket.close()

    def counts(self) -> Counter[tuple[str, str]]:
        """Packets to `addresses` so far, by sender's and destination's address.

        Raises:
            ClusterError: packets went by unseen.
        """
        self._refuse_unseen()
        return self._counts.copy()

    def opened(self) -> set[tuple[str, str, int]]:
        """TCP connections that were asked for so far: sender's and destination's address, and the port.

        Raises:
            ClusterError: packets went by unseen.
        """
        self._refuse_unseen()
        return set(self._opened)

    def _refuse_unseen(self) -> None:
        statistics = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        self._unseen += struct.unpack("II", statistics)[1]
        if self._unseen:
            raise ClusterError(f"{self._unseen} packets on {self._host.name} went by unseen")

    def _look(self) -> None:
        while not self._ended.is_set():
            try:
                packet, sender = self._socket.recvfrom(_HEADERS)
            except TimeoutError:
                continue
            if sender[2] != socket.PACKET_OUTGOING:
                self._note(packet)

    def _note(self, packet: bytes) -> None:
        length = (packet[0] & 0x0F) * 4
        source, destination = str(ip_address(packet[12:16])), str(ip_address(packet[16:20]))
        if destination in self._addresses:
            self._counts[source, destination] += 1
        segment = packet[length:]
        if packet[9] == _TCP and len(segment) >= 14 and segment[13] & (_SYN | _ACK) == _SYN:
            self._opened.add((source, destination, int.from_bytes(segment[2:4], "big")))
