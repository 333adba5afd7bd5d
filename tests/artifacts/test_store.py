"""The artifact store: publish, read back, and every way a file can be wrong."""

import errno
import os
import pickle
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from artifacts import ArtifactReference, ArtifactStore, data_path
from artifacts.schemas import SCHEMAS
from bay_observation.errors import ArtifactError
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
    with pytest.raises(ArtifactError, match="cannot be unpickled"):
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


def test_members_of_an_enumeration_are_stored_alike_by_every_python(
    store: ArtifactStore, reference: ArtifactReference, monkeypatch: pytest.MonkeyPatch
) -> None:
    def as_python_3_11_2_does(member: FailureReason, _: int) -> tuple:
        return getattr, (FailureReason, member.name)

    monkeypatch.setattr(FailureReason, "__reduce_ex__", as_python_3_11_2_does)
    assert b"getattr" in pickle.dumps(capture())
    again = store.save("capture", BAY, BATCH, capture())
    assert again == reference
    assert store.load(again) == capture()


class Evil:
    def __reduce__(self) -> tuple:
        return os.system, ("touch /tmp/bay-observation-was-here",)


@pytest.mark.parametrize("value", [Evil(), {"an": Evil()}])
def test_a_hostile_pickle_with_a_right_digest_runs_nothing(
    store: ArtifactStore, reference: ArtifactReference, value: object
) -> None:
    marker = Path("/tmp/bay-observation-was-here")
    marker.unlink(missing_ok=True)
    forged = published(store, reference, b"bay-observation capture 1\n" + pickle.dumps(value))
    with pytest.raises(ArtifactError, match="which this stage does not allow"):
        store.load(forged)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"x", "foreign"),
        (b"\n\n\n", "foreign"),
        (pickle.dumps({"images": []}), "foreign"),
        (b"bay-observation capture 9\n" + pickle.dumps(1), "outdated: schema 9"),
        (b"bay-observation fusion 1\n" + pickle.dumps(1), "holds a fusion artifact, not capture"),
        (b"bay-observation capture 1\n" + pickle.dumps(1), r"holds builtins\.int"),
        (b"bay-observation capture 1\n", "cannot be unpickled"),
        (b"bay-observation capture 1\n\x80\x05garbage", "cannot be unpickled"),
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
    with pytest.raises(ArtifactError, match="which this stage does not allow"):
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


def test_the_allow_list_names_real_classes() -> None:
    import importlib

    for schema in SCHEMAS.values():
        for module, name in schema.allowed | {schema.root}:
            if module.startswith("numpy._core.numeric"):
                continue  # protocol 5 names it only for buffers out of band
            assert hasattr(importlib.import_module(module), name), (module, name)


def test_the_root_is_the_environment_s(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATA_PATH", str(tmp_path))
    assert data_path() == tmp_path
    monkeypatch.delenv("DATA_PATH")
    assert data_path() == Path("/opt/airflow/data")
