"""A file system that fails on request: a file server for tests, where no NFS can be had.

    python -m lab.simulation.failing_store BACKING MOUNT CONTROL

mounts, with FUSE, the folder BACKING at MOUNT. CONTROL is a file outside of it that says how it
behaves, read again before every call:

    healthy                 calls go to BACKING
    slow 0.3                each after that many seconds
    hang                    none returns until the word changes; no signal ends the caller meanwhile
    full, quota, read-only, stale, input/output, disconnected, permission
                            each fails with that error of the operating system

After the word, the calls that it is to hold for may follow (`hang rename write`); by default it
holds for all that reach this process. CONTROL.log counts what was done: one line per file that
was given its name (`rename`, `link`), so that a test can say what was published how often.

`FailingStore` does all of that from Python and ends the mount in every case.
"""

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bay_observation.errors import SimulationError

FAULTS = {
    "full": errno.ENOSPC,
    "quota": errno.EDQUOT,
    "read-only": errno.EROFS,
    "stale": errno.ESTALE,
    "input/output": errno.EIO,
    "disconnected": errno.ENOTCONN,
    "permission": errno.EACCES,
}
# What only reads, and therefore succeeds on a file system that takes nothing.
_READING = frozenset({"getattr", "readdir", "open", "read", "release", "statfs"})
_TAKES_NOTHING = frozenset({"full", "quota", "read-only"})
_POLL_S = 0.02
_START_S = 15.0


class FailingStore:
    """A mounted folder that fails on request; a context manager.

    Args:
        folder: holds everything: `backing`, `mount`, the control file.
    """

    def __init__(self, folder: Path) -> None:
        self.backing = folder / "backing"
        self.mount = folder / "mount"
        self._control = folder / "control"
        self._output = folder / "fuse.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        for path in (self.backing, self.mount):
            path.mkdir(parents=True)
        self.set_fault("healthy")
        command = [sys.executable, "-m", __name__, *map(str, (self.backing, self.mount, self._control))]
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output)
        deadline = time.monotonic() + _START_S
        while not os.path.ismount(self.mount):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._end()
                raise SimulationError(f"no FUSE mount at {self.mount}: {self._output.read_text()}")
            time.sleep(_POLL_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.set_fault("healthy")  # calls that hang return
        self._end()

    def set_fault(self, word: str) -> None:
        """Behave like this from now on."""
        new = self._control.with_suffix(".new")
        new.write_text(word, encoding="utf-8")
        new.replace(self._control)

    def named(self) -> list[str]:
        """Paths of the files that were given their name, in that order, relative to the mount."""
        log = Path(f"{self._control}.log")
        return log.read_text(encoding="utf-8").splitlines() if log.exists() else []

    def _end(self) -> None:
        if self._process is None:
            return
        # The process first: a mount whose process is gone lets go of every call.
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        subprocess.run(["fusermount3", "-u", "-z", "-q", str(self.mount)], check=False, capture_output=True)


def why_not() -> str:
    """What is missing here for a `FailingStore`, empty when nothing is."""
    from importlib.util import find_spec
    from shutil import which

    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "no /dev/fuse that this user may open"
    if which("fusermount3") is None:
        return "no fusermount3: deploy/install-system-packages.sh installs fuse3"
    if find_spec("mfusepy") is None:
        return "no mfusepy: make install"
    return ""


def _serve(backing: str, mount: str, control: str) -> None:
    import mfusepy

    served: Any = mfusepy.FUSE
    served(_operations(mfusepy, backing, control), mount, foreground=True, attr_timeout=0, entry_timeout=0)


def _operations(mfusepy: Any, backing: str, control: str) -> Any:
    """The calls of the file system, each behind the control file."""

    def obeying(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def obey(*arguments: Any) -> Any:
            while (fault := _fault_of(control, name)) and fault[0] == "hang":
                time.sleep(_POLL_S)
            if fault and fault[0] == "slow":
                time.sleep(float(fault[1]))
            elif fault:
                raise mfusepy.FuseOSError(FAULTS[fault[0]])
            return call(*arguments)

        return obey

    def at(path: str) -> str:
        return backing + path

    def status(path: str, handle: int | None = None) -> dict[str, Any]:
        found = os.lstat(at(path))
        names = ("st_mode", "st_nlink", "st_size", "st_uid", "st_gid", "st_ino")
        times = {f"st_{name}time": getattr(found, f"st_{name}time_ns") for name in "acm"}
        return {name: getattr(found, name) for name in names} | times

    def named(path: str) -> None:
        if not path.endswith(".part"):
            with Path(f"{control}.log").open("a", encoding="utf-8") as log:
                log.write(path.removeprefix("/") + "\n")

    def rename(old: str, new: str) -> None:
        os.replace(at(old), at(new))  # noqa: PTH105
        named(new)

    def link(new: str, old: str) -> None:
        os.link(at(old), at(new))
        named(new)

    def truncate(path: str, length: int, handle: int | None = None) -> None:
        os.truncate(at(path), length)

    calls: dict[str, Callable[..., Any]] = {
        "getattr": status,
        "readdir": lambda path, _: [".", "..", *os.listdir(at(path))],  # noqa: PTH208
        "open": lambda path, flags: os.open(at(path), flags),
        "create": lambda path, mode, _: os.open(at(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, mode),
        "read": lambda _, size, offset, handle: os.pread(handle, size, offset),
        "write": lambda _, content, offset, handle: os.pwrite(handle, content, offset),
        "fsync": lambda _, __, handle: os.fsync(handle),
        "release": lambda _, handle: os.close(handle),
        "rename": rename,
        "link": link,
        "unlink": lambda path: os.unlink(at(path)),  # noqa: PTH108
        "mkdir": lambda path, mode: os.mkdir(at(path), mode),  # noqa: PTH102
        "rmdir": lambda path: os.rmdir(at(path)),  # noqa: PTH106
        "chmod": lambda path, mode: os.chmod(at(path), mode),  # noqa: PTH101
        "truncate": truncate,
        "utimens": lambda path, times=None: os.utime(at(path), ns=times),
        "statfs": lambda path: _room(at(path)),
    }
    kind = type(
        "Operations",
        (mfusepy.Operations,),
        {"use_ns": True} | {name: staticmethod(obeying(name, call)) for name, call in calls.items()},
    )
    return kind()


def _room(path: str) -> dict[str, int]:
    found = os.statvfs(path)
    return {
        name: getattr(found, name) for name in ("f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail", "f_files")
    }


def _fault_of(control: str, call: str) -> list[str]:
    """How a call is to fail, empty where it is not."""
    words = Path(control).read_text(encoding="utf-8").split()
    if words[0] == "healthy":
        return []
    argument = 2 if words[0] == "slow" else 1
    calls = words[argument:]
    if call not in calls if calls else words[0] in _TAKES_NOTHING and call in _READING:
        return []
    return words[:argument]


if __name__ == "__main__":
    _serve(*sys.argv[1:])
