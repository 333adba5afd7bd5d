"""Files that stand where an artifact should, made by someone who can write to the store.

Such a person makes the reference too: where the file is a regular one, size and digest are right. Each file
is read in every way in which the product reads, each time in a forked process whose time and memory are
measured.
"""

import hashlib
import json
import math
import os
import pickle
import resource
import select
import signal
import socket
import struct
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np

from artifacts import ArtifactReference, ArtifactStore, Stage, plain_pickle
from artifacts.reference import artifact_path
from artifacts.schemas import SCHEMAS
from bay_observation.errors import ArtifactError

LONGEST_S, MOST_MIB = 1.0, 100.0
_BAY, _BATCH = "yard", "yard_20250702-071000"
_GIVEN_UP_S = 10.0
_REPORTED = 100 * 2**20  # a larger file's digest is not computed: nothing reads that far

Maker = Callable[[Path, Stage], object]


@dataclass(frozen=True)
class Reading:
    """One file read in one way.

    Attributes:
        what: stage, file and way.
        outcome: name of the error, `value` for a file that was taken, `crash` or `hangs`.
        refused: whether the error is an `ArtifactError`.
        seconds: of CPU that it took; what takes ten times as long on the clock, hangs.
        mebibytes: by which the process grew beyond the file's own bytes.
    """

    what: str
    outcome: str
    refused: bool
    seconds: float
    mebibytes: float

    @property
    def holds(self) -> bool:
        """Refused by its name, within the second and the memory."""
        return self.refused and self.seconds <= LONGEST_S and self.mebibytes <= MOST_MIB


def read_all(folder: Path) -> Iterator[Reading]:
    """Every case of every stage, in every way.

    Args:
        folder: an empty one, for the store.
    """
    for stage in get_args(Stage):
        SCHEMAS[stage].kind()  # imported once here, and not in every forked process
    for stage in get_args(Stage):
        for name, make in cases().items():
            path = folder / str(artifact_path(stage, _BAY, _BATCH))
            path.parent.mkdir(parents=True, exist_ok=True)
            make(path, stage)
            size = min(path.stat().st_size, SCHEMAS[stage].most_bytes) if path.is_file() else 0
            for way, read in _ways(folder, path, stage).items():
                yield _measured(f"{stage}, {name}, {way}", read, size)
            for left in path.parent.iterdir():
                left.rmdir() if left.is_dir() and not left.is_symlink() else left.unlink()


def read_references() -> Iterator[Reading]:
    """References as a task's XCom or a run's `conf` may hold them."""
    right = _reference("fusion", "0" * 64, 10).to_dict()
    wrong: list[Any] = [None, [], "", 1, True, {}, ["x"], {"x": 1}, "a" * 1_000_000, b"", -1, 1e400, math.nan, "\ud800"]
    for key in right:
        for value in (*wrong, "../../etc/passwd", "/etc/passwd", "fusion/..", "\0", "🔩"):
            if value != right[key] and not (type(right[key]) is int and type(value) is int and value > 0):
                changed = {**right, key: value}
                yield _measured(f"reference, {key} {value!r:.30}", partial(ArtifactReference.from_dict, changed))
    for value in wrong:
        yield _measured(f"reference, {value!r:.30}", partial(ArtifactReference.from_dict, value))


# What stands there


def cases() -> dict[str, Maker]:
    """Makers of files, by name."""
    return {
        **_no_files(),
        **{f"header {header[:40]!r}": _bytes(header + b"\n\x80\x04}.") for header in _HEADERS},
        **{f"Python's pickle of {name}": _pickle(content) for name, content in _foreign_pickles()},
        **{name: _pickle(content) for name, content in _bombs().items()},
        **{f"plain data: {name}": _pickle(plain_pickle.dumps(value)) for name, value in _PLAIN.items()},
    }


def _no_files() -> dict[str, Maker]:
    def sparse(path: Path, size: int) -> None:
        with path.open("wb") as file:
            file.truncate(size)

    def loop(path: Path) -> None:
        other = path.with_name("other")
        other.symlink_to(path)
        path.symlink_to(other)

    def device(path: Path) -> None:
        if os.geteuid() == 0:
            os.mknod(path, 0o20_644, os.makedev(1, 5))  # as /dev/zero
        else:
            path.symlink_to("/dev/zero")

    def listening(path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as server:  # by a relative name: a socket's path has 107 bytes at most
            before = Path.cwd()
            os.chdir(path.parent)
            try:
                server.bind(path.name)
            finally:
                os.chdir(before)

    makers: dict[str, Callable[[Path], object]] = {
        "FIFO": os.mkfifo,
        "folder": Path.mkdir,
        "loop of links": loop,
        "link out of the store": lambda path: path.symlink_to("/etc/hostname"),
        "link to a device": lambda path: path.symlink_to("/dev/zero"),
        "device": device,
        "socket": listening,
        "sparse file of 3 GB": lambda path: sparse(path, 3 * 2**30),
        "sparse file of 8 EB": lambda path: sparse(path, 2**43),
        "sparse file of 60 MB": lambda path: sparse(path, 60 * 2**20),
        "empty file": Path.touch,
        "one byte": lambda path: path.write_bytes(b"\x80"),
    }
    return {name: _whatever_stage(make) for name, make in makers.items()}


def _whatever_stage(make: Callable[[Path], object]) -> Maker:
    return lambda path, _: make(path)


_HEADERS = (
    b"", b"bay-observation", b"bay-observation fusion", b"bay-observation fusion 1", b"bay-observation fusion 2",
    b"bay-observation capture 1 00000000", b"bay-observation fusion 2 zzzzzzzz",
    b"bay-observation fusion 9999 00000000",
    b"bay-observation fusion -2 00000000", b"bay-observation fusion 2 00000000 more", b"bay-observation  2 00000000",
    b"bay-observation \xff 2 00000000", b"bay-observation fusion \xff 00000000", b"x" * 5_000_000, b"\x80\x04N.",
    b"bay-observation fusion 2 \xe2\x82\xac", b"BAY-OBSERVATION fusion 2 00000000",
    b"\xef\xbb\xbfbay-observation fusion 2 0",
)  # fmt: skip


class _Runs:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("echo ran; exit 1",)


def _foreign_pickles() -> Iterator[tuple[str, bytes]]:
    forged = np.zeros(1, np.dtype([("f", "V8")]))
    values = {
        "a call": _Runs(),
        "an array": np.zeros((2, 2)),
        "an array of objects": np.array([None, {}]),
        "an array of void": forged,
        "a dtype": np.dtype("O"),
        "a numpy number": np.float64(1),
        "a class": OrderedDict,
        "an ordered dictionary": OrderedDict(a=1),
        "a set": {1},
        "a tuple": (1, 2),
        "a path": Path("/etc/passwd"),
        "an exception": ValueError("x"),
        "a range": range(3),
        "a complex number": 1j,
    }
    for name, value in values.items():
        for protocol in (0, 2, 4, 5):
            yield f"{name}, protocol {protocol}", pickle.dumps(value, protocol)


def _bombs() -> dict[str, bytes]:
    begin = b"\x80\x04"
    text = b"\x8c\x7f" + b"a" * 127 + b"\x94"
    return {
        "an index of the memo": begin + b"\x8c\x01ar" + struct.pack("<I", 2 * 10**8) + b".",
        "many lists": begin + b"](" + b"]" * 20_000_000 + b"e.",
        "many numbers": begin + b"](" + b"K\x01" * 10_000_000 + b"e.",
        "many repeated texts": begin + b"](" + text + b"h\x00" * 10_000_000 + b"e.",
        "many memo entries": begin + b"\x8c\x01a" + b"\x94" * 20_000_000 + b".",
        "many marks": begin + b"](" * 5_000_000,
        "a length beyond the end": begin + b"B\xff\xff\xff\xffabc.",
        "a text of 2^63": begin + b"\x8d" + b"\xff" * 8 + b".",
        "bytes of 2^63": begin + b"\x8e" + b"\xff" * 8 + b".",
        "a bytearray of 2^63": begin + b"\x96" + b"\xff" * 8 + b".",
        "an integer of 2 GB": begin + b"\x8b\xff\xff\xff\x7f.",
        "a frame of 2^64": begin + b"\x95" + b"\xff" * 8 + b"N.",
        "nested tuples as a key": begin + b"}(" + b")" + b"\x86" * 30 + b"Nu.",
        "a list that holds itself": begin + b"]\x94h\x00a.",
        "copies of the top": begin + b"]" + b"2a" * 100_000 + b".",
        "a persistent name": begin + b"Pfile:///etc/passwd\n.",
        "an extension": begin + b"\x82\x01.",
        "an instance": begin + b"(ios\nsystem\n.",
        "an object": begin + b"(cos\nsystem\nV/bin/true\no.",
        "a global and a state": begin + b"cartifacts.schemas\nSCHEMAS\n}b.",
        "a buffer": begin + b"\x97.",
        "protocol 255": b"\x80\xffN.",
        "nothing after the beginning": begin,
        "two values": begin + b"NN.",
        "bytes after the end": begin + b"}.N",
        "keys of numbers": begin + b"}(K\x01Nu.",
        "a key twice": begin + b"}(\x8c\x01aN\x8c\x01aNu.",
        "bad UTF-8": begin + b"\x8c\x01\xff.",
    }


_WKB = b"\x01\x06\x00\x00\x00"
_LINES: list[plain_pickle.Plain] = [{"batch_id": _BATCH}] * 5000
_PLAIN: dict[str, plain_pickle.Plain] = {
    "nothing": None,
    "a list": [],
    "an empty mapping": {},
    "names alone": {"batch_id": _BATCH, "bay_id": _BAY},
    "another field": {"batch_id": _BATCH, "bay_id": _BAY, "__class__": "os.system"},
    "numbers for texts": {"batch_id": 1, "bay_id": 2},
    "300 000 values": {"batch_id": [0] * 300_000},
    "60 MB of bytes": {"batch_id": b"\0" * 60_000_000},
    "blocks of nothing": {"batch_id": _BATCH, "bay_id": _BAY, "blocks": _LINES, "unseen": b""},
    "shapes in shapes": {"batch_id": _BATCH, "bay_id": _BAY, "blocks": [], "unseen": (_WKB + b"\1\0\0\0") * 500_000},
    "a shape of 2^32 parts": {"batch_id": _BATCH, "bay_id": _BAY, "blocks": [], "unseen": _WKB + b"\xff" * 4},
    "a shape without points": {
        "batch_id": _BATCH, "bay_id": _BAY, "blocks": [],
        "unseen": _WKB + struct.pack("<I", 2_000_000) + b"\x01\x03\x00\x00\x00\x00\x00\x00\x00" * 2_000_000 + b"\0",
    },
    "images of numbers": {"batch_id": _BATCH, "bay_id": _BAY, "images": [1, 2]},
    "an array of objects": {"batch_id": _BATCH, "bay_id": _BAY, "cameras": [["|O", [1], b"\0" * 8]]},
    "a far time": {"batch_id": _BATCH, "bay_id": _BAY, "captured_at": "9999-12-31T23:59:59-23:59"},
}  # fmt: skip


def _bytes(content: bytes) -> Maker:
    return lambda path, _: path.write_bytes(content)


def _pickle(content: bytes) -> Maker:
    """With a right header."""

    def make(path: Path, stage: Stage) -> None:
        header = f"bay-observation {stage} {SCHEMAS[stage].version} {zlib.crc32(content):08x}\n"
        path.write_bytes(header.encode() + content)

    return make


# How it is read


def _ways(folder: Path, path: Path, stage: Stage) -> dict[str, Callable[[], Any]]:
    small = _reference(stage, "0" * 64, 10)
    ways: dict[str, Callable[[], Any]] = {
        "load with a reference of 10 bytes": lambda: ArtifactStore(folder).load(small),
        "find": lambda: ArtifactStore(folder).find(stage, _BAY, _BATCH),
        "readable_size": lambda: _refused_if_smaller(ArtifactStore(folder), small),
    }
    if path.is_file() and not path.is_symlink() and 0 < path.stat().st_size <= _REPORTED:
        content = path.read_bytes()
        forged = _reference(stage, hashlib.sha256(content).hexdigest(), len(content))
        ways["load with a forged reference"] = lambda: ArtifactStore(folder).load(forged)
    return ways


def _refused_if_smaller(store: ArtifactStore, reference: ArtifactReference) -> None:
    """Fewer bytes than published are no fault yet: they may still be written."""
    size = store.readable_size(reference)
    if size is not None and size < reference.size:
        raise ArtifactError("not whole yet")


def _reference(stage: Stage, digest: str, size: int) -> ArtifactReference:
    path = str(artifact_path(stage, _BAY, _BATCH))
    return ArtifactReference(stage, _BAY, _BATCH, path, digest, size, SCHEMAS[stage].version)


# The measurement


def _measured(what: str, read: Callable[[], Any], size: int = 0) -> Reading:
    """`read` in a forked process, of a file of `size` bytes."""
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receiver)
        try:
            os.write(sender, json.dumps(_outcome(read)).encode())
        finally:
            os._exit(0)
    os.close(sender)
    began = time.monotonic()
    ended = bool(select.select([receiver], [], [], _GIVEN_UP_S)[0])
    said = os.read(receiver, 65536) if ended else b""
    os.close(receiver)
    if not ended:
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    if not said:
        return Reading(what, "crash" if ended else "hangs", False, time.monotonic() - began, 0.0)
    outcome, refused, seconds, grown = json.loads(said)
    return Reading(what, outcome, refused, seconds, max(0.0, grown - size / 2**20))


def _outcome(read: Callable[[], Any]) -> tuple[str, bool, float, float]:
    before, began = _peak_kib(), time.process_time()
    refused = False
    try:
        read()
        outcome = "value"
    except ArtifactError as error:
        outcome, refused = type(error).__name__, True
    except BaseException as error:  # noqa: BLE001 - whatever comes is the finding
        outcome = f"{type(error).__name__}: {error}"[:200]
    return outcome, refused, time.process_time() - began, (_peak_kib() - before) / 1024


def _peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
