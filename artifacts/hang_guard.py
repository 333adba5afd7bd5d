"""Calls of a shared storage that may hang, each with a limit on how long its caller waits.

A call into an NFS mount whose server is gone returns when the server is back, minutes or hours
later; no signal ends it, no thread that makes it can be cancelled. Here every such call has a
separate daemon thread, and its caller waits `limit_s` for it, then goes on with an error. From
then on the store is known to hang, and is not called at all: further callers have their error at
once. So no more threads can hang than were calling when it began, `_CALLS` at most per process,
and none of them is one of a pool that others need. The first of them that returns is the probe:
the server answers again, and calls are let through.

Nothing that hung may become visible later, when something else may stand in its place: a write
whose caller has gone is stopped before its last step.
"""

import logging
import os
import threading
from _thread import start_new_thread
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Generic, TypeVar

from artifacts.faults import StoreFault, unavailable
from artifacts.filesystem import MARKER, FileStatus, FileSystem
from bay_observation import settings
from bay_observation.files import BeforeCommit

logger = logging.getLogger(__name__)

# Callers at the same time: a triggerer's waiting tasks look at the store together.
_CALLS = 16

T = TypeVar("T")


def store_timeout() -> float:
    """Seconds that a call of the store may take before the store counts as hanging: `STORE_TIMEOUT`.

    Raises:
        ConfigError: it is no positive number.
    """
    return settings.STORE_TIMEOUT.read()


class HangGuard:
    """Makes the calls of one store, and knows whether it hangs.

    Args:
        root: of the store, for messages.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(_CALLS)
        self._running: set[object] = set()
        self._overdue: set[object] = set()
        self._within = threading.local()

    @property
    def under_way(self) -> int:
        """Calls that have not returned."""
        return len(self._running)

    def call(self, function: Callable[[], T], limit_s: float) -> T:
        """What `function` returns or raises, or an error after `limit_s` seconds.

        Called from within such a call it is part of it, and has its limit.

        Raises:
            StoreUnavailableError: the store hangs.
        """
        if getattr(self._within, "a_call", False):
            return function()
        if self._overdue:
            raise unavailable(self.root, "used", StoreFault.HANGING, "a call that hung before has not returned yet")
        if not self._places.acquire(timeout=limit_s):
            raise unavailable(self.root, "used", StoreFault.HANGING, f"{_CALLS} calls have not returned yet")
        call = _Call(function)
        with self._lock:
            self._running.add(call)
        # `Thread.start` would wait for the thread to come up, which on a busy host takes as long as the call.
        start_new_thread(self._make, (call,))
        if not call.done.wait(limit_s) and self._is_overdue(call):
            raise unavailable(self.root, "used", StoreFault.HANGING, f"no answer in {limit_s:g} s")
        return call.outcome()

    def _make(self, call: "_Call[T]") -> None:
        self._within.a_call = True
        try:
            call.make()
        finally:
            with self._lock:
                was_overdue = call in self._overdue
                self._running.discard(call)
                self._overdue.discard(call)
                call.done.set()
            self._places.release()
            if was_overdue:
                logger.warning("%s: a call that hung has returned; the store is tried again", self.root)

    def _is_overdue(self, call: object) -> bool:
        """Note that a call hangs, unless it has returned in this very moment."""
        with self._lock:
            if isinstance(call, _Call) and not call.done.is_set():
                self._overdue.add(call)
                return True
        return False


class _Call(Generic[T]):
    def __init__(self, function: Callable[[], T]) -> None:
        self.done = threading.Event()
        self._function = function
        self._value: T
        self._error: BaseException | None = None

    def make(self) -> None:
        try:
            self._value = self._function()
        except BaseException as error:  # noqa: BLE001 - raised again where somebody waits for it
            self._error = error

    def outcome(self) -> T:
        if self._error is not None:
            raise self._error
        return self._value


_guards: dict[str, HangGuard] = {}


def guard_for(root: str) -> HangGuard:
    """The one guard of a store in this process."""
    return _guards.setdefault(root, HangGuard(root))


# The threads of a process are not its child's: what hung there does not hang here.
os.register_at_fork(after_in_child=_guards.clear)


class WatchedFileSystem:
    """A file system whose calls end, also where the one beneath hangs.

    Args:
        files: the file system beneath.
        limit_s: seconds for one call.
        marked: every call first looks for the marker at the store's root; without it the mount
            is absent, and what is there is the folder beneath it.
        around_write: what holds while a file is written, and also while that hangs.
    """

    def __init__(
        self,
        files: FileSystem,
        limit_s: float,
        *,
        marked: bool,
        around_write: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.root = files.root
        self.where = files.where
        self._files = files
        self._limit_s = limit_s
        self._marked = marked
        self._around_write = around_write
        self._guard = guard_for(files.root)

    def check(self) -> None:
        """Ask the store for a sign of life.

        Raises:
            StoreUnavailableError: it hangs, or its marker is not there.
            OSError: it fails in another way.
        """
        self._call(lambda: self._files.status(MARKER))

    def status(self, path: str) -> FileStatus | None:
        """Size and time of a file, None where there is none."""
        return self._call(lambda: self._files.status(path))

    def read(self, path: str, most_bytes: int) -> bytes:
        """All of a file; see `FileSystem`."""
        return self._call(lambda: self._files.read(path, most_bytes))

    def publish(self, path: str, content: bytes, before_commit: BeforeCommit | None) -> None:
        """Put a file there unless it is there already; once this has raised it does not appear any more."""
        self._put(path, content, before_commit, new=False, unless_there=True)

    def write(self, path: str, content: bytes, *, before_commit: BeforeCommit | None = None, new: bool = False) -> None:
        """Put a file there; once this has raised it does not appear any more."""
        self._put(path, content, before_commit, new=new, unless_there=False)

    def _put(
        self, path: str, content: bytes, before_commit: BeforeCommit | None, *, new: bool, unless_there: bool
    ) -> None:
        abandoned = threading.Event()

        def still_wanted() -> None:
            if before_commit is not None:
                before_commit()
            if abandoned.is_set():
                raise unavailable(self.where(path), "published", StoreFault.HANGING, "its caller has given up")

        def write() -> None:
            if unless_there and self._holds(path, content):
                return
            with self._around_write():
                self._files.write(path, content, before_commit=still_wanted, new=new)

        try:
            self._call(write)
        finally:
            abandoned.set()

    def _holds(self, path: str, content: bytes) -> bool:
        status = self._files.status(path)
        return status is not None and status.size == len(content) and self._files.read(path, len(content)) == content

    def remove(self, path: str) -> None:
        """Remove a file, if it is there, and its folder once that is empty."""
        self._call(lambda: self._files.remove(path))

    def folders(self, folder: str, file_name: str, since: str = "", until: str = "") -> list[str]:
        """Names of the folders in `folder` that hold a file of that name, in order; see `FileSystem`."""
        return self._call(lambda: self._files.folders(folder, file_name, since, until))

    def newest(self, folder: str, file_name: str) -> str | None:
        """The last of `folders`; None where there is none."""
        return self._call(lambda: self._files.newest(folder, file_name))

    def oldest(self, folder: str, file_name: str) -> str | None:
        """The first of `folders`; None where there is none."""
        return self._call(lambda: self._files.oldest(folder, file_name))

    def unlisted(self, folder: str) -> list[str]:
        """Names of folders that `folders` with bounds does not find."""
        return self._call(lambda: self._files.unlisted(folder))

    def enlist(self, folder: str, names: Sequence[str], *, all_are: bool = False) -> None:
        """Let `folders` find these names; `all_are`: it finds every one now."""
        self._call(lambda: self._files.enlist(folder, names, all_are=all_are))

    def remove_leftovers(self, folder: str, since: str, older_than_s: float) -> int:
        """Remove what killed writers left in the folders from `since` on; bytes freed."""
        return self._call(lambda: self._files.remove_leftovers(folder, since, older_than_s))

    @contextmanager
    def lock(self, path: str, patience_s: float) -> Iterator[None]:
        """Be the only process that holds this lock, of a store that answers."""
        self.check()
        held: AbstractContextManager[None] = self._files.lock(path, patience_s)
        with held:
            yield

    def _call(self, function: Callable[[], T]) -> T:
        def checked() -> T:
            if self._marked and self._files.status(MARKER) is None:
                raise unavailable(
                    self._files.where(MARKER),
                    "found",
                    StoreFault.ABSENT,
                    "once it is mounted, `bay-observation store init` marks a new store",
                )
            return function()

        return self._guard.call(checked, self._limit_s)
