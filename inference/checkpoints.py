"""Checks of a checkpoint file before a library loads it: what the file is, and that it is whole.

A checkpoint of torch is a zip archive whose entries carry checksums (CRC-32) that torch does not
verify: a damaged file may load and see other things. Here each entry is verified, or the whole
file against the `sha256` of the bay's file. The pickle inside is scanned for the names of its
classes without running it.
"""

import hashlib
import pickletools
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bay_observation.errors import InferenceError

_HEAD_BYTES = 4096
_LARGEST_PICKLE = 256 * 1024**2
_COPY_AGAIN = "copy it again from where it was trained"
# Errors by which the standard library reports a damaged archive or pickle.
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OverflowError,
    RuntimeError,  # "encrypted", and NotImplementedError for unknown compression
    UnicodeDecodeError,
    ValueError,
    IndexError,
)
# Modules of the names that a plain state dict needs.
_PLAIN_MODULES = ("builtins", "__builtin__", "collections", "torch", "torch._utils", "torch.storage", "torch._tensor")
_YOLOV5_MODULES = ("models.yolo", "models.common", "models.experimental")


@dataclass(frozen=True)
class Checkpoint:
    """A verified torch checkpoint.

    Attributes:
        path: the file.
        classes: full names of the Python classes and functions that its pickle refers to.
    """

    path: Path
    classes: tuple[str, ...]

    @property
    def is_state_dict(self) -> bool:
        """Whether it holds tensors and plain containers only."""
        return not self._objects

    @property
    def contents(self) -> str:
        """What it holds, in words for an error."""
        if self.is_state_dict:
            return "tensors without a model (a state dict)"
        if any(name.rpartition(".")[0] in _YOLOV5_MODULES for name in self._objects):
            return "a YOLOv5 or YOLOv7 model"
        if found := [name for name in self._objects if name.startswith("ultralytics.nn.tasks.")]:
            return f"an ultralytics {found[0].rpartition('.')[2]}"
        return f"Python objects of {self._objects[0].partition('.')[0]} (first: {self._objects[0]})"

    @property
    def is_ultralytics(self) -> bool:
        """Whether it holds a model of ultralytics (YOLOv8 and later)."""
        return any(name.startswith("ultralytics.nn.tasks.") for name in self._objects)

    @property
    def _objects(self) -> list[str]:
        return [name for name in self.classes if name.rpartition(".")[0] not in _PLAIN_MODULES]


def open_checkpoint(path: Path, sha256: str | None = None) -> Checkpoint:
    """Verify a checkpoint file.

    Args:
        path: an existing file.
        sha256: expected digest of the file, 64 hexadecimal digits; None verifies the archive's own checksums.

    Raises:
        InferenceError: the file is another one, is damaged, or is not a torch checkpoint; the
            message says what it is and what to do, without the path.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
        if foreign := _foreign(head, path.stat().st_size):
            raise InferenceError(foreign)
        _verify_sha256(path, sha256)
        if not head.startswith(b"PK\x03\x04"):
            return _legacy(path, head, sha256)
        return Checkpoint(path, _classes_of_archive(path, verify=sha256 is None))
    except OSError as error:
        raise InferenceError(f"cannot be read: {error.strerror or error}") from error


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _foreign(head: bytes, size: int) -> str | None:
    """What a file is by its first bytes, where that is not a checkpoint; None for a zip archive and for a pickle."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if size == 0:
        return f"is empty; {_COPY_AGAIN}"
    if head.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, not the file itself; run `git lfs pull` where it was cloned"
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "is an HTML page, as a download without a login saves one; download the file itself"
    if text.startswith((b"<?xml", b"<net ")):
        return "is an XML file (an OpenVINO export?); name the .pt file that it was exported from"
    if text.startswith((b"{", b"[")):
        return "is a JSON text; download the file itself"
    if head[:1] == b"\x08" and head[2:3] == b"\x12" and head[1:2] < b"\x20":
        return "is an ONNX export; name the .pt file that it was exported from"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < size:
        return "is a safetensors file; save the model as a torch checkpoint (torch.save)"
    if head[4:8] == b"TFL3" or head.startswith(b"\x89HDF"):
        return "is a model of TensorFlow; name a torch checkpoint"
    if head.startswith((b"\x1f\x8b", b"7z\xbc\xaf", b"\xfd7zXZ", b"BZh", b"Rar!")) or head[257:262] == b"ustar":
        return "is a packed archive; unpack it and name the checkpoint inside"
    if not head.startswith((b"PK", b"\x80")):
        return "is not a torch checkpoint (neither a zip archive nor a pickle); name a file that torch.save wrote"
    return None


def _verify_sha256(path: Path, expected: str | None) -> None:
    if expected is None:
        return
    found = file_sha256(path)
    if found != expected:
        raise InferenceError(
            f"has the sha256 {found}, the bay's file expects {expected}: {_COPY_AGAIN}, or correct models.sha256"
        )


def _legacy(path: Path, head: bytes, sha256: str | None) -> Checkpoint:
    """A file of torch before 1.6: one pickle after the other, without checksums."""
    if head[:1] != b"\x80":
        raise InferenceError(f"is a damaged zip archive; {_COPY_AGAIN}")
    if sha256 is None:
        raise InferenceError(
            "is in torch's format before 1.6, which has no checksums: save it again with torch.save, or state its"
            f" digest {file_sha256(path)} in the bay's models.sha256"
        )
    return Checkpoint(path, ())


def _classes_of_archive(path: Path, *, verify: bool) -> tuple[str, ...]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            damaged = archive.testzip() if verify else None
            if damaged is not None:
                raise InferenceError(f"is damaged: the checksum of its entry {damaged} is wrong; {_COPY_AGAIN}")
            pickles = [name for name in names if PurePosixPath(name).name == "data.pkl"]
            if not pickles:
                raise InferenceError(f"is {_archive_kind(names)}; name a file that torch.save wrote")
            if any(PurePosixPath(name).name == "constants.pkl" for name in names):
                raise InferenceError("is a TorchScript export; name the .pt file that it was exported from")
            if archive.getinfo(pickles[0]).file_size > _LARGEST_PICKLE:
                raise InferenceError("is not a checkpoint: its pickle alone has more than 256 MiB")
            return tuple(dict.fromkeys(_classes_of_pickle(archive.read(pickles[0]))))
    except _DAMAGED as error:
        raise InferenceError(f"is truncated or damaged: it has no complete zip directory; {_COPY_AGAIN}") from error


def _archive_kind(names: list[str]) -> str:
    if any(name.endswith(".npy") for name in names):
        return "an archive of numpy arrays (.npz)"
    if any(".mlmodel" in name or name.endswith("Manifest.json") for name in names):
        return "a Core ML export"
    return "a zip archive without a torch checkpoint in it"


def _classes_of_pickle(pickle: bytes) -> Iterator[str]:
    """Full names that a pickle imports, in their order; the pickle is read, never run."""
    strings: list[str] = []
    memo: dict[int, str] = {}
    memoized = 0
    for code, argument, _ in pickletools.genops(pickle):
        if code.name == "GLOBAL":
            yield str(argument).replace(" ", ".", 1)
        elif code.name == "STACK_GLOBAL":
            yield ".".join(strings[-2:])
        elif "UNICODE" in code.name:
            strings.append(str(argument))
        elif code.name == "MEMOIZE":
            memo[memoized] = strings[-1] if strings else ""
            memoized += 1
        elif code.name in ("BINGET", "LONG_BINGET") and argument in memo:
            strings.append(memo[argument])
