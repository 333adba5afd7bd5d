"""The plant's network in Linux network namespaces: a centre, bays, their cameras, and a router between.

    main 10.150.150.1 ──┐              ┌── obs_a 10.150.160.1 ── cameras_a 10.150.160.183 …
                        ├── router ────┤
                        │              └── obs_b 10.150.161.1 ── cameras_b 10.150.161.183 …

Every host is a namespace, every line a veth pair. An observer does not forward, so that nothing
reaches its cameras but itself; the router takes a bay's packets to the centre and nowhere else.
A packet that was meant for a camera and came from another host gets as far as the router, which
has no route for it, and is counted there.
"""

import contextlib
import ctypes
import ipaddress
import itertools
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from bay_observation.errors import ClusterError

MAIN = "main"
ROUTER = "router"
MAIN_ADDRESS = "10.150.150.1"
_CENTRE_NET = "10.150.150.0/24"
_ROUTER_IN_CENTRE = "10.150.150.254"
_ROUTER_AT_BAYS = "169.254.0.1"  # the router's end of every bay's line; the lines have no subnet of their own
_PREFIX = "bay"
_OWNED = re.compile(rf"{_PREFIX}(\d+)\.\d+-")
_NAMESPACES = Path("/run/netns")
_HOSTS_FILES = Path("/etc/netns")  # `ip netns exec NAME` shows /etc/netns/NAME/hosts as /etc/hosts
_CLONE_NEWNET = 0x40000000
_PROGRAMS = {"ip": "iproute2", "unshare": "util-linux", "setpriv": "util-linux"}
_numbers = itertools.count(1)
_libc = ctypes.CDLL(None, use_errno=True)


class Host:
    """One machine of the plant: a network namespace and the name that its processes give as hostname.

    Args:
        name: in this project's words, as `main` or `obs_3bay_north`.
        namespace: its name for `ip netns`.
        address: its own address.
        hostname: what `hostname` says there, and what the other hosts call it.
    """

    def __init__(self, name: str, namespace: str, address: str, hostname: str) -> None:
        self.name = name
        self.namespace = namespace
        self.address = address
        self.hostname = hostname

    def command(self, command: Sequence[str], *, user: str | None = None, view: "View | None" = None) -> list[str]:
        """`command` as it is run on this host: with its hostname and processes of its own.

        As a container's, all its processes die with the first one, and that one with its starter.

        Args:
            command: program and arguments.
            user: account that runs it; None is this one.
            view: what it sees of the disk, without any capability; None is everything, with all of them.
        """
        account = ["setpriv", f"--reuid={user}", "--regid=nogroup", "--clear-groups", "--"] if user else []
        if view is not None:
            account = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--"]
        own = ["unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]
        # Not by the program `hostname`, which refuses the underscores of bay ids; the kernel does not. And a shared
        # memory of its own: PostgreSQL and others name theirs after process ids, which repeat between hosts.
        prepared = f"echo {self.hostname} > /proc/sys/kernel/hostname && mount -t tmpfs tmpfs /dev/shm"
        prepared = " && ".join([prepared, *(() if view is None else view.commands())])
        named = ["sh", "-c", f'{prepared} && exec "$@"', "sh"]
        return ["ip", "netns", "exec", self.namespace, *own, *named, *account, *command]

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Sockets that this thread makes in the context are this host's."""
        with (
            Path("/proc/thread-self/ns/net").open("rb") as home,
            (_NAMESPACES / self.namespace).open("rb") as there,
        ):
            _set_namespace(there.fileno())
            try:
                yield
            finally:
                _set_namespace(home.fileno())

    def ip(self, *arguments: str) -> None:
        """`ip ...` on this host.

        Raises:
            ClusterError: it refused.
        """
        _run("ip", "-netns", self.namespace, *arguments)


@dataclass(frozen=True)
class View:
    """What the processes of a service see of the disk, as the volumes of a container.

    Attributes:
        store: root of the artifact store, which they can read.
        writable: folders below it that they can write.
        hidden: folders of other hosts and services.
    """

    store: Path
    writable: tuple[Path, ...]
    hidden: tuple[Path, ...]

    def commands(self) -> list[str]:
        """Of a shell with a mount namespace of its own."""
        for folder in self.writable:
            folder.mkdir(parents=True, exist_ok=True)
        binds = [
            f"mount --bind {shlex.quote(str(folder))} {shlex.quote(str(folder))}"
            for folder in (self.store, *self.writable)
        ]
        hides = [f"mount -t tmpfs -o size=0,mode=000 tmpfs {shlex.quote(str(folder))}" for folder in self.hidden]
        return [*binds, f"mount -o remount,bind,ro {shlex.quote(str(self.store))}", *hides]


class Network:
    """The hosts of a centre and its bays, while the context is open.

    Args:
        bays: camera addresses of each bay by its id, and the observer's.
        hostnames: of the observers, by bay; by default `observer-{bay_id}`.
    """

    def __init__(self, bays: Mapping[str, "BayAddresses"]) -> None:
        self.bays = dict(bays)
        self._label = f"{_PREFIX}{os.getpid()}.{next(_numbers)}"
        self.main = self._host(MAIN, MAIN_ADDRESS, "main")
        self.router = self._host(ROUTER, _ROUTER_IN_CENTRE, "router")
        self.observers = {bay: self._host(f"obs_{bay}", a.observer, f"observer-{bay}") for bay, a in self.bays.items()}
        self.cameras = {
            bay: self._host(f"cameras_{bay}", a.cameras[0], f"cameras-{bay}") for bay, a in self.bays.items()
        }
        self.hosts = {
            host.name: host for host in (self.main, self.router, *self.observers.values(), *self.cameras.values())
        }
        self._cut: set[frozenset[str]] = set()

    def __enter__(self) -> Self:
        sweep()
        try:
            self._build()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def remove(self) -> None:
        """Take every host down, with what still runs there; safe to call again."""
        for host in self.hosts.values():
            _remove(host.namespace)

    def cut(self, one: str, other: str) -> None:
        """Cut the line between two hosts: packets are lost without a word, as behind a switch that died.

        Between an observer and its cameras it is the cameras' plug that is pulled.

        Raises:
            ClusterError: no line runs between them.
        """
        line = self._line(one, other)
        if line in self._cut:
            return
        bay, cameras = self._bay_of(line)
        if cameras:
            self.cameras[bay].ip("link", "set", "eth0", "down")
        else:
            for rule in self._silence(bay):
                self.router.ip("rule", "add", *rule)
        self._cut.add(line)

    def mend(self, one: str, other: str) -> None:
        """Undo `cut`.

        Raises:
            ClusterError: no line runs between them.
        """
        line = self._line(one, other)
        if line not in self._cut:
            return
        bay, cameras = self._bay_of(line)
        if cameras:
            self.cameras[bay].ip("link", "set", "eth0", "up")
        else:
            for rule in self._silence(bay):
                self.router.ip("rule", "del", *rule)
        self._cut.discard(line)

    def _silence(self, bay: str) -> tuple[tuple[str, ...], ...]:
        number = list(self.bays).index(bay)
        return (
            ("priority", "10", "iif", f"bay{number}", "blackhole"),
            ("priority", "10", "to", self.bays[bay].observer, "blackhole"),
        )

    def _line(self, one: str, other: str) -> frozenset[str]:
        line = frozenset((one, other))
        lines = [frozenset((MAIN, f"obs_{bay}")) for bay in self.bays]
        lines += [frozenset((f"obs_{bay}", f"cameras_{bay}")) for bay in self.bays]
        if line not in lines:
            known = "; ".join(sorted(" and ".join(sorted(each)) for each in lines))
            raise ClusterError(f"no line runs between {one} and {other}; there are: {known}")
        return line

    def _bay_of(self, line: frozenset[str]) -> tuple[str, bool]:
        bay = next(bay for bay in self.bays if f"obs_{bay}" in line)
        return bay, f"cameras_{bay}" in line

    def _host(self, name: str, address: str, hostname: str) -> Host:
        return Host(name, f"{self._label}-{name}", address, hostname)

    def _build(self) -> None:
        for host in self.hosts.values():
            _run("ip", "netns", "add", host.namespace)
            host.ip("link", "set", "lo", "up")
            self._forward(host, host is self.router)
            self._write_hosts(host)
        self._connect(self.main, "eth0", self.router, "main0")
        self.main.ip("address", "add", f"{MAIN_ADDRESS}/24", "dev", "eth0")
        self.router.ip("address", "add", f"{_ROUTER_IN_CENTRE}/24", "dev", "main0")
        self.main.ip("route", "add", "default", "via", _ROUTER_IN_CENTRE)
        for number, bay in enumerate(self.bays):
            self._build_bay(bay, f"bay{number}")

    def _build_bay(self, bay: str, port: str) -> None:
        observer, cameras, addresses = self.observers[bay], self.cameras[bay], self.bays[bay]
        self._connect(observer, "uplink", self.router, port)
        self._connect(observer, "cams", cameras, "eth0")
        width = ipaddress.ip_network(addresses.subnet).prefixlen
        observer.ip("address", "add", f"{addresses.observer}/{width}", "dev", "cams")
        for address in addresses.cameras:
            cameras.ip("address", "add", f"{address}/{width}", "dev", "eth0")
        observer.ip("route", "add", f"{_ROUTER_AT_BAYS}/32", "dev", "uplink", "src", addresses.observer)
        observer.ip("route", "add", "default", "via", _ROUTER_AT_BAYS, "src", addresses.observer)
        self.router.ip("address", "add", f"{_ROUTER_AT_BAYS}/32", "dev", port)
        self.router.ip("route", "add", f"{addresses.observer}/32", "dev", port)
        self.router.ip("rule", "add", "priority", "100", "iif", port, "to", _CENTRE_NET, "lookup", "main")
        self.router.ip("rule", "add", "priority", "101", "iif", port, "unreachable")

    def _connect(self, one: Host, its_end: str, other: Host, others_end: str) -> None:
        pair = ("link", "add", "name", its_end, "type", "veth", "peer", "name", others_end, "netns", other.namespace)
        one.ip(*pair)
        one.ip("link", "set", its_end, "up")
        other.ip("link", "set", others_end, "up")

    def _forward(self, host: Host, forwards: bool) -> None:
        _run("ip", "netns", "exec", host.namespace, "sh", "-c", f"echo {int(forwards)} > /proc/sys/net/ipv4/ip_forward")

    def _write_hosts(self, host: Host) -> None:
        known = {each.hostname: each.address for each in (self.main, *self.observers.values(), host)}
        lines = ["127.0.0.1 localhost", *(f"{address} {name}" for name, address in known.items())]
        folder = _HOSTS_FILES / host.namespace
        folder.mkdir(parents=True)
        (folder / "hosts").write_text("\n".join(lines) + "\n", encoding="ascii")
        (folder / "resolv.conf").write_text("# no name server in the plant\n", encoding="ascii")


class BayAddresses:
    """Where a bay's observer and cameras are.

    Args:
        subnet: the bay's camera network, as `10.150.160.0/24`.
        observer: address of its observer.
        cameras: addresses of its cameras, in that subnet.
    """

    def __init__(self, subnet: str, observer: str, cameras: Sequence[str]) -> None:
        self.subnet = subnet
        self.observer = observer
        self.cameras = tuple(cameras)


def missing() -> str:
    """What this machine lacks for namespaces, in one sentence; empty when it has all."""
    for program, package in _PROGRAMS.items():
        if shutil.which(program) is None:
            return f"the program {program} is missing (Debian's package {package})"
    if os.geteuid() != 0:
        return "network namespaces need root here"
    probe = f"{_PREFIX}{os.getpid()}.0-probe"
    tried = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        return f"this machine allows no network namespaces: {tried.stderr.strip()}"
    try:
        pair = ["ip", "-netns", probe, "link", "add", "name", "one", "type", "veth", "peer", "name", "other"]
        tried = subprocess.run(pair, capture_output=True, text=True, check=False)
        if tried.returncode != 0:
            return f"this machine has no veth pairs: {tried.stderr.strip()}"
    finally:
        _remove(probe)
    return ""


def sweep() -> list[str]:
    """Remove what a crashed run left: namespaces whose owner is no longer alive. Their names."""
    left = [path.name for path in _NAMESPACES.glob(f"{_PREFIX}*")] if _NAMESPACES.is_dir() else []
    left += [path.name for path in _HOSTS_FILES.glob(f"{_PREFIX}*")] if _HOSTS_FILES.is_dir() else []
    dead = sorted({name for name in left if (found := _OWNED.match(name)) and not _alive(int(found[1]))})
    for name in dead:
        _remove(name)
    return dead


def _alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _remove(namespace: str) -> None:
    deadline = time.monotonic() + 10
    while running := _processes(namespace):
        for pid in running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise ClusterError(f"namespace {namespace}: processes {running} outlive SIGKILL")
        time.sleep(0.1)
    if (_NAMESPACES / namespace).exists():
        _run("ip", "netns", "delete", namespace)
    shutil.rmtree(_HOSTS_FILES / namespace, ignore_errors=True)


def _processes(namespace: str) -> list[int]:
    if not (_NAMESPACES / namespace).exists():
        return []
    asked = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True, check=False)
    return [int(pid) for pid in asked.stdout.split()]


def _set_namespace(descriptor: int) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise ClusterError(f"setns: {os.strerror(ctypes.get_errno())}")


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ClusterError(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
