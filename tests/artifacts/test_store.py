"""The artifact store: publish, read back, and every way a file can be wrong."""

import errno
import os
import pickle
import zlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from artifacts import ArtifactReference, ArtifactStore, Stage, data_path, plain_pickle
from artifacts.codec import CodecError, _codec_of
from artifacts.schemas import SCHEMAS
from bay_observation.errors import ArtifactError, MissingArtifactError
from capture_async.types import CameraFailure, CaptureBatch, CapturedImage, FailureReason

BAY = "3bay_north"
BATCH = "3bay_north_20250702-161000"


def capture(jpeg: bytes = b"\xff\xd8 frame \xff\xd9") -> CaptureBatch:
    image = CapturedImage("C_2", BAY, datetime(2025, 7, 2, 16, 10, 1, tzinfo=UTC), jpeg)
    return CaptureBatch(BATCH, BAY, (image,), (CameraFailure("D_2", FailureReason.BUSY, "503 from the camera"),))


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "data")


@pytest.fixture
def reference(store: ArtifactStore) -> ArtifactReference:
    return store.save("capture", BAY, BATCH, capture())


def file_of(store: ArtifactStore, reference: ArtifactReference) -> Path:
    return store.root / reference.path


def test_what_find_did_not_find_is_not_loaded(tmp_path):
    store = ArtifactStore(tmp_path)
    with pytest.raises(MissingArtifactError, match="`find` gave None"):
        store.load(store.find("capture", "yard", "yard_20250702-000000"))


def test_what_is_saved_is_loaded(store: ArtifactStore, reference: ArtifactReference) -> None:
    assert store.load(reference) == capture()
    assert reference.path == f"observation/{BAY}/{BATCH}/capture.pkl"
    assert store.is_whole(reference)
    assert store.find("capture", BAY, BATCH) == reference
    assert store.batch_ids("capture", BAY) == [BATCH]


@pytest.mark.parametrize(
    ("stage", "path"),
    [
        ("observation", f"observation/{BAY}/{BATCH}/result.pkl"),
        ("fusion", f"fusion/{BAY}/{BATCH}/result.pkl"),
        ("tracking", f"tracking/{BAY}/{BATCH}/result.pkl"),
    ],
)
def test_paths_are_the_specification_s(stage: str, path: str, store: ArtifactStore) -> None:
    with pytest.raises(ArtifactError, match=path):
        store.load(ArtifactReference(stage, BAY, BATCH, path, "0" * 64, 1, 1))


def test_the_reference_survives_xcom(reference: ArtifactReference) -> None:
    values = reference.to_dict()
    assert values["result_path"] == reference.path
    assert ArtifactReference.from_dict({**values, "processed_count": 12}) == reference


def test_publishing_the_same_again_changes_nothing(store: ArtifactStore, reference: ArtifactReference) -> None:
    before = file_of(store, reference).stat()
    assert store.save("capture", BAY, BATCH, capture()) == reference
    after = file_of(store, reference).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_a_later_run_takes_the_place_and_the_old_reference_says_so(
    store: ArtifactStore, reference: ArtifactReference
) -> None:
    newer = store.save("capture", BAY, BATCH, capture(b"\xff\xd8 other \xff\xd9"))
    assert store.load(newer) == capture(b"\xff\xd8 other \xff\xd9")
    with pytest.raises(ArtifactError, match="replaced by a later run"):
        store.load(reference)
    assert not store.is_whole(reference)


def test_nothing_is_left_beside_a_published_file(store: ArtifactStore, reference: ArtifactReference) -> None:
    assert [path.name for path in file_of(store, reference).parent.iterdir()] == ["capture.pkl"]


def test_a_crash_before_the_rename_leaves_the_old_file(
    store: ArtifactStore, reference: ArtifactReference, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ArtifactError, match="the file system is full"):
        store.save("capture", BAY, BATCH, capture(b"new"))
    assert store.load(reference) == capture()
    assert [path.name for path in file_of(store, reference).parent.iterdir()] == ["capture.pkl"]


def test_what_a_killed_writer_left_goes_with_the_next_publication(
    store: ArtifactStore, reference: ArtifactReference
) -> None:
    path = file_of(store, reference)
    abandoned, under_way = (path.with_name(f".{path.name}.{name}.part") for name in ("killed", "writing"))
    for leftover in (abandoned, under_way):
        leftover.write_bytes(b"half")
    os.utime(abandoned, (0, 0))
    path.unlink()
    store.save("capture", BAY, BATCH, capture())
    assert sorted(found.name for found in path.parent.iterdir()) == sorted([path.name, under_way.name])


def test_a_missing_file(store: ArtifactStore, reference: ArtifactReference) -> None:
    file_of(store, reference).unlink()
    with pytest.raises(ArtifactError, match="no such artifact; is the shared storage mounted"):
        store.load(reference)
    assert not store.is_whole(reference)
    assert store.find("capture", BAY, BATCH) is None


def test_a_truncated_file(store: ArtifactStore, reference: ArtifactReference) -> None:
    path = file_of(store, reference)
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(ArtifactError, match=r"capture\.pkl: \d+ bytes where \d+ were published: truncated"):
        store.load(reference)
    with pytest.raises(ArtifactError, match="damaged"):
        store.find("capture", BAY, BATCH)
    assert not store.is_whole(reference)


@pytest.mark.parametrize("position", [0, 20, -1])
def test_a_damaged_byte_is_found_before_unpickling(
    store: ArtifactStore, reference: ArtifactReference, position: int
) -> None:
    path = file_of(store, reference)
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"capture\.pkl: its sha256 is not the published one"):
        store.load(reference)


def published(store: ArtifactStore, reference: ArtifactReference, content: bytes) -> ArtifactReference:
    """Put `content` at the reference's place, and a reference that fits it."""
    import hashlib

    file_of(store, reference).write_bytes(content)
    return replace(reference, sha256=hashlib.sha256(content).hexdigest(), size=len(content))


class Evil:
    def __reduce__(self) -> tuple:
        return os.system, ("touch /tmp/bay-observation-was-here",)


def header(content: bytes, stage: str = "capture", version: int = 2) -> bytes:
    """A file with a header that fits what follows."""
    return f"bay-observation {stage} {version} {zlib.crc32(content):08x}\n".encode() + content


@pytest.mark.parametrize("value", [Evil(), {"an": Evil()}])
@pytest.mark.parametrize("format_1", [True, False])
def test_a_hostile_pickle_with_a_right_digest_runs_nothing(
    store: ArtifactStore, reference: ArtifactReference, value: object, format_1: bool
) -> None:
    content = pickle.dumps(value, protocol=4)
    whole = b"bay-observation capture 1\n" + content if format_1 else header(content)
    marker = Path("/tmp/bay-observation-was-here")
    marker.unlink(missing_ok=True)
    forged = published(store, reference, whole)
    with pytest.raises(ArtifactError, match="could name code" if format_1 else "not one of plain data"):
        store.load(forged)
    with pytest.raises(ArtifactError):
        store.find("capture", BAY, BATCH)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"x", "foreign"),
        (b"\n\n\n", "foreign"),
        (pickle.dumps({"images": []}), "foreign"),
        (b"bay-observation capture 1\n" + pickle.dumps(1), "outdated: written in format 1"),
        (header(b"", version=9), "outdated: schema 9, this version reads 2; run the stage again"),
        (header(b"", stage="fusion"), "holds a fusion artifact, not capture"),
        (b"bay-observation capture 2 00000000\nx", "damaged: its bytes are not those that were written"),
        (header(pickle.dumps((1,), protocol=4)), "not one of plain data"),
        (header(plain_pickle.dumps(1)), "int 1 where CaptureBatch is wanted"),
        (header(plain_pickle.dumps({"batch_id": "x"})), "CaptureBatch without bay_id, images"),
        (header(b""), "not one of plain data"),
        (header(b"\x80\x04garbage"), "not one of plain data"),
    ],
)
def test_foreign_and_outdated_files(
    store: ArtifactStore, reference: ArtifactReference, content: bytes, message: str
) -> None:
    with pytest.raises(ArtifactError, match=message) as caught:
        store.load(published(store, reference, content))
    assert "capture.pkl" in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"result_path": "../../etc/passwd"},
        {"result_path": "/etc/passwd"},
        {"result_path": f"observation/{BAY}/../../../x/capture.pkl"},
        {"bay_id": ".."},
        {"batch_id": "a/b"},
        {"stage": "secrets"},
        {"sha256": "abc"},
        {"size": -1},
        {"size": "12"},
        {"schema": None},
        {"bay_id": None},
    ],
)
def test_a_forged_reference_is_refused(reference: ArtifactReference, changes: dict) -> None:
    with pytest.raises(ArtifactError):
        ArtifactReference.from_dict({**reference.to_dict(), **changes})


def test_a_reference_without_a_key_is_refused(reference: ArtifactReference) -> None:
    values = reference.to_dict()
    del values["sha256"], values["size"]
    with pytest.raises(ArtifactError, match="reference without sha256, size"):
        ArtifactReference.from_dict(values)


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "/etc", "a\x00b", "x" * 200])
def test_a_name_cannot_leave_the_store(store: ArtifactStore, name: str) -> None:
    with pytest.raises(ArtifactError, match="no plain name"):
        store.save("capture", name, BATCH, capture())
    with pytest.raises(ArtifactError, match="no plain name"):
        store.find("capture", BAY, name)


def test_a_link_out_of_the_store_is_refused(store: ArtifactStore, reference: ArtifactReference, tmp_path: Path) -> None:
    outside = tmp_path / "outside.pkl"
    path = file_of(store, reference)
    path.rename(outside)
    path.symlink_to(outside)
    with pytest.raises(ArtifactError, match="leaves the store"):
        store.load(reference)


def test_only_the_stage_s_own_type_is_published(store: ArtifactStore) -> None:
    with pytest.raises(ArtifactError, match=r"a fusion artifact holds fusion\.types\.FusionResult"):
        store.save("fusion", BAY, BATCH, capture())
    with pytest.raises(ArtifactError, match="the value's bay_id is '3bay_north', not '4bay'"):
        store.save("capture", "4bay", BATCH, capture())


def test_what_could_not_be_read_back_is_not_published(store: ArtifactStore) -> None:
    smuggled = replace(capture(), failures=(Evil(),))
    with pytest.raises(ArtifactError, match="failures: Evil where CameraFailure is wanted"):
        store.save("capture", BAY, BATCH, smuggled)
    assert store.find("capture", BAY, BATCH) is None


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(errno.EROFS, "read-only"), (errno.ESTALE, "stale"), (errno.EACCES, "no permission"), (errno.EIO, "Input/output")],
)
def test_a_store_that_cannot_be_written_names_the_remedy(
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch, number: int, remedy: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "mkdir", fail)
    with pytest.raises(ArtifactError, match=remedy):
        store.save("capture", BAY, BATCH, capture())


def test_batches_are_listed_in_slot_order(store: ArtifactStore) -> None:
    slots = [f"{BAY}_20250702-{hour:02d}0000" for hour in (11, 9, 10)]
    for slot in slots:
        store.save("capture", BAY, slot, replace(capture(), batch_id=slot))
    assert store.batch_ids("capture", BAY) == sorted(slots)
    assert store.batch_ids("capture", "4bay") == []


@pytest.mark.parametrize("stage", SCHEMAS)
def test_every_type_of_the_schemas_has_a_codec(stage: Stage) -> None:
    codec = _codec_of(SCHEMAS[stage].kind())
    with pytest.raises(CodecError, match=f"{SCHEMAS[stage].name} without batch_id"):
        codec.decode({})


def test_what_is_no_regular_file_of_a_fitting_size_is_refused_at_once(
    store: ArtifactStore, reference: ArtifactReference
) -> None:
    path = file_of(store, reference)
    content = path.read_bytes()

    def refused(message: str) -> None:
        for read in (lambda: store.load(reference), lambda: store.find("capture", BAY, BATCH)):
            with pytest.raises(ArtifactError, match=message):
                read()
        path.unlink()

    path.unlink()
    os.mkfifo(path)
    refused("no regular file|bytes where")
    path.symlink_to(path.with_name("other"))
    path.with_name("other").symlink_to(path)
    refused("loop of symbolic links")
    path.with_name("other").unlink()
    path.symlink_to("/dev/zero")
    refused("leaves the store")
    with path.open("wb") as sparse:
        sparse.truncate(3 * 2**30)
    refused("bytes where|bytes, at most")
    with path.open("wb") as sparse:
        sparse.truncate(100 * 2**20)
    with pytest.raises(ArtifactError, match="were never written"):
        store.find("capture", BAY, BATCH)
    path.write_bytes(content)
    assert store.load(reference) == capture()


def test_the_root_is_the_environment_s(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATA_PATH", str(tmp_path))
    assert data_path() == tmp_path
    monkeypatch.delenv("DATA_PATH")
    assert data_path() == Path("/opt/airflow/data")
