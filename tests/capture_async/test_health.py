"""Camera health: counted once per slot, whole after crashes and among writers, bounded."""

import json
import multiprocessing
import os
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bay_observation.errors import ArtifactError, ConfigError
from bays import batch_id
from capture_async import Attempt, CameraFailure, CaptureBatch, CapturedImage, FailureReason
from capture_async.health import health_path, read_health, record_health

FIRST = datetime(2025, 7, 2, 7, 0, tzinfo=UTC)


def slot(number: int) -> datetime:
    return FIRST + timedelta(minutes=10 * number)


def capture(
    number: int, *, seconds: float = 0.2, bay_id: str = "yard", **outcomes: FailureReason | None
) -> CaptureBatch:
    """`capture(3, C_2=None, D_4=FailureReason.BUSY)`: the third slot, a frame of C_2 and a failure of D_4."""
    images, failures = [], []
    for name, reason in outcomes.items():
        if reason is None:
            taken = slot(number) + timedelta(seconds=7)
            images.append(
                CapturedImage(name, bay_id, taken, b"", (Attempt("resolved", 0.5), Attempt("frame", seconds)))
            )
        else:
            attempts = (Attempt(str(reason), 2.0), Attempt(str(reason), 3.0))
            failures.append(CameraFailure(name, reason, "no connection within 5 s", attempts))
    return CaptureBatch(batch_id(bay_id, slot(number)), bay_id, tuple(images), tuple(failures))


def only_camera(root):
    (camera,) = read_health(root, "yard").cameras
    return camera


def test_nothing_recorded_yet_is_a_bay_without_cameras(tmp_path):
    health = read_health(tmp_path, "yard")
    assert (health.bay_id, health.updated_at, health.last_slot, health.cameras) == ("yard", None, None, ())


def test_last_success_failures_in_row_reason_and_latency(tmp_path):
    record_health(tmp_path, capture(0, C_2=None, D_4=None, seconds=0.2))
    record_health(tmp_path, capture(1, C_2=None, D_4=FailureReason.BUSY, seconds=0.6))
    record_health(tmp_path, capture(2, C_2=None, D_4=FailureReason.UNREACHABLE, seconds=0.4))
    health = read_health(tmp_path, "yard")
    assert health.last_slot == slot(2)
    well, failing = health.cameras
    assert (well.camera_name, well.is_well, well.failures_in_row, well.reason) == ("C_2", True, 0, None)
    assert well.last_success == slot(2) + timedelta(seconds=7)
    assert (well.latency_s, well.median_latency_s, well.share_of_frames) == (0.4, 0.4, 1.0)
    assert (failing.is_well, failing.failures_in_row, failing.reason) == (False, 2, FailureReason.UNREACHABLE)
    assert failing.detail == "no connection within 5 s"
    assert failing.last_success == slot(0) + timedelta(seconds=7)
    assert (failing.latency_s, failing.share_of_frames) == (0.2, 1 / 3)
    assert failing.recent[-1].seconds == 5.0


def test_a_slot_that_is_recorded_again_counts_once_and_the_later_capture_holds(tmp_path):
    for _ in range(3):
        record_health(tmp_path, capture(0, C_2=FailureReason.TIMED_OUT))
    assert only_camera(tmp_path).failures_in_row == 1
    record_health(tmp_path, capture(0, C_2=None))
    camera = only_camera(tmp_path)
    assert (camera.failures_in_row, len(camera.recent), camera.is_well) == (0, 1, True)


def test_slots_that_arrive_out_of_order_are_put_in_order(tmp_path):
    for number in (0, 3, 1, 2):
        reason = None if number == 3 else FailureReason.TIMED_OUT
        record_health(tmp_path, capture(number, C_2=reason))
    camera = only_camera(tmp_path)
    assert [one.slot for one in camera.recent] == [slot(number) for number in range(4)]
    assert camera.is_well
    assert read_health(tmp_path, "yard").last_slot == slot(3)


def test_the_file_is_bounded_and_what_leaves_it_is_not_forgotten(tmp_path):
    record_health(tmp_path, capture(0, C_2=None), slots_kept=5)
    sizes = []
    for number in range(1, 30):
        record_health(tmp_path, capture(number, C_2=FailureReason.UNREACHABLE), slots_kept=5)
        sizes.append(health_path(tmp_path, "yard").stat().st_size)
    camera = only_camera(tmp_path)
    assert len(camera.recent) == 5
    assert camera.failures_in_row == 29
    assert camera.last_success == slot(0) + timedelta(seconds=7)
    assert max(sizes[10:]) - min(sizes[10:]) <= 2  # digits of the count
    # A slot that has left the window is counted already.
    record_health(tmp_path, capture(3, C_2=FailureReason.UNREACHABLE), slots_kept=5)
    assert only_camera(tmp_path).failures_in_row == 29


def test_a_camera_that_left_the_bay_is_forgotten_with_the_next_slot(tmp_path):
    record_health(tmp_path, capture(0, C_2=None, D_4=None))
    record_health(tmp_path, capture(1, D_6=None, C_2=None))
    assert {camera.camera_name for camera in read_health(tmp_path, "yard").cameras} == {"C_2", "D_6"}
    record_health(tmp_path, capture(0, C_2=None, D_4=None))  # a late re-run does not bring the order back
    assert "D_6" in {camera.camera_name for camera in read_health(tmp_path, "yard").cameras}


def test_data_path_is_the_root_when_none_is_given(store):
    record_health(None, capture(0, C_2=None))
    assert (store.root / "health" / "yard" / "state.json").is_file()
    assert len(read_health(None, "yard").cameras) == 1


def test_a_name_that_leads_elsewhere_is_refused(tmp_path):
    for name in ("../yard", "yard/..", "", "Yard", "/etc"):
        with pytest.raises(ConfigError, match="no bay id"):
            read_health(tmp_path, name)


def test_a_damaged_file_is_told_when_read_and_set_aside_when_written(tmp_path, caplog):
    record_health(tmp_path, capture(0, C_2=None))
    path = health_path(tmp_path, "yard")
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ArtifactError, match=r"state\.json: is no camera health"):
        read_health(tmp_path, "yard")
    record_health(tmp_path, capture(1, C_2=None))
    assert only_camera(tmp_path).is_well
    assert path.with_name("state.damaged.json").stat().st_size == 50
    assert "state.damaged.json" in caplog.text


@pytest.mark.parametrize(
    "content",
    [
        b"null",
        b"[]",
        b'{"version": 1}',
        b'{"version": 2, "bay_id": "yard"}',
        b'{"version":1,"bay_id":"other","updated_at":null,"last_slot":null,"cameras":{}}',
        b'{"version":1,"bay_id":"yard","updated_at":null,"last_slot":null,"cameras":{"C":[]}}',
        b'{"version":1,"bay_id":"yard","updated_at":5,"last_slot":null,"cameras":{}}',
        b"\xff\xfe",
        *(
            b'{"version":1,"bay_id":"yard","updated_at":null,"last_slot":null,"cameras":{"C":{"before":'
            b'{"last_success":null,"failures_in_row":0},"recent":[' + row + b"]}}}"
            for row in (b"null", b"[]", b"[5,5,5]", b'["no time","no time",1.0]', b'["","",1.0,"busy"]')
        ),
    ],
)
def test_every_other_content_is_named(tmp_path, content):
    path = health_path(tmp_path, "yard")
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="no camera health of this version"):
        read_health(tmp_path, "yard")


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "health").write_text("a file where a folder is wanted")
    with pytest.raises(ArtifactError, match="cannot be written"):
        record_health(tmp_path, capture(0, C_2=None))


def _record_many(root: str, first: int, count: int) -> None:
    for number in range(first, first + count):
        record_health(root, capture(number, C_2=FailureReason.TIMED_OUT))


@pytest.mark.slow(1)
def test_writers_of_several_processes_lose_nothing(tmp_path):
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_record_many, args=(str(tmp_path), first, 12)) for first in (0, 12, 24)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert only_camera(tmp_path).failures_in_row == 36


def _record_forever(root: str) -> None:
    number = 0
    while True:
        record_health(root, capture(number, C_2=None, D_4=FailureReason.BUSY))
        number += 1


@pytest.mark.slow(1)
def test_a_writer_that_is_killed_leaves_a_whole_file_and_no_lock(tmp_path):
    context = multiprocessing.get_context("fork")
    for _ in range(5):
        writer = context.Process(target=_record_forever, args=(str(tmp_path),))
        writer.start()
        wait_for(health_path(tmp_path, "yard"))
        time.sleep(0.02)
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        read_health(tmp_path, "yard")
    record_health(tmp_path, capture(10_000, C_2=None))
    assert sorted(path.name for path in health_path(tmp_path, "yard").parent.iterdir()) == [".lock", "state.json"]


def wait_for(path: Path) -> None:
    until = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < until, f"{path} did not appear"
        time.sleep(0.005)


def test_a_lock_that_is_held_for_long_is_named(tmp_path, monkeypatch):
    import fcntl

    import capture_async.health

    monkeypatch.setattr(capture_async.health, "_LOCK_WAIT_S", 0.1)
    record_health(tmp_path, capture(0, C_2=None))
    with health_path(tmp_path, "yard").with_name(".lock").open("r+") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(ArtifactError, match=r"\.lock: held by another process"):
            record_health(tmp_path, capture(1, C_2=None))
    record_health(tmp_path, capture(1, C_2=None))


def test_a_full_window_of_a_bay_stays_small(tmp_path):
    names = {f"C_{number}": FailureReason.UNREACHABLE if number == 3 else None for number in range(12)}
    for number in range(20):
        record_health(tmp_path, capture(number, **names), slots_kept=10)
    size = health_path(tmp_path, "yard").stat().st_size
    assert size < 12 * 10 * 160


def test_as_json_types(tmp_path):
    record_health(tmp_path, capture(0, C_2=None, D_4=FailureReason.BUSY))
    told = json.loads(json.dumps(read_health(tmp_path, "yard").to_dict()))
    assert told["bay_id"] == "yard"
    assert [camera["reason"] for camera in told["cameras"]] == [None, "busy"]
    assert told["cameras"][1]["recent"][0]["seconds"] == 5.0
