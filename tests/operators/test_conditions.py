"""check_should_proceed: hours, skip windows, quorum, brightness; the reason is kept."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from bay_observation.errors import StoreUnavailableError
from capture_async.observer_note import read_brightness
from capture_async.types import CapturedImage
from operators.conditions import check_execution_conditions, greys_of, judge_frames, judge_time

SLOT = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)
SEOUL = timezone(timedelta(hours=9))


def at(clock):
    hour, minute = clock.split(":")
    return datetime(2025, 7, 2, int(hour), int(minute), tzinfo=SEOUL).astimezone(UTC)


@pytest.mark.parametrize(
    ("clock", "open_"),
    [("08:29", False), ("08:30", True), ("09:00", True), ("09:20", True), ("09:21", False), ("16:50", True)],
)
def test_operating_hours_are_the_bays_own_clock_both_ends_included(make_bay, clock, open_):
    bay = make_bay(operating_hours=["08:30-09:20", "16:00-16:50"])
    verdict = judge_time(bay, at(clock))
    assert (verdict is None) is open_
    if verdict:
        assert verdict.reason == f"{clock} Asia/Seoul is outside of the operating hours 08:30-09:20, 16:00-16:50"


def test_the_last_minute_of_a_window_holds_to_its_end(make_bay):
    bay = make_bay(operating_hours=["08:30-09:20"])
    assert judge_time(bay, at("09:20") + timedelta(seconds=59)) is None


@pytest.mark.parametrize(
    ("clock", "open_"), [("21:59", False), ("22:00", True), ("00:00", True), ("05:30", True), ("05:31", False)]
)
def test_hours_may_cross_midnight(make_bay, clock, open_):
    bay = make_bay(operating_hours=["22:00-05:30"])
    assert (judge_time(bay, at(clock)) is None) is open_


@pytest.mark.parametrize(("clock", "open_"), [("08:36", True), ("08:37", False), ("08:43", False), ("08:44", True)])
def test_skip_windows(make_bay, clock, open_):
    bay = make_bay(skip_times=["08:37-08:43"])
    verdict = judge_time(bay, at(clock))
    assert (verdict is None) is open_
    if verdict:
        assert verdict.reason == f"{clock} Asia/Seoul lies in the skip window 08:37-08:43"


def test_no_hours_means_around_the_clock(make_bay):
    assert judge_time(make_bay(operating_hours=[], skip_times=[]), at("03:00")) is None


def test_another_zone_has_another_clock(make_bay):
    bay = make_bay(timezone="Europe/Oslo", operating_hours=["09:00-09:20"])
    assert judge_time(bay, SLOT) is None  # 07:10 UTC is 09:10 in Oslo's summer
    assert judge_time(bay, SLOT.replace(month=1)) is not None  # and 08:10 in its winter


def test_dark_frames_below_the_quorum_stop_the_batch(make_bay, make_capture):
    bay = make_bay(camera_quorum=8, conditions={"min_brightness": 12})
    enough = judge_frames(bay, greys_of(make_capture(bay, SLOT, grey=[128] * 8 + [3] * 4).images))
    assert enough.proceed
    assert enough.reason.startswith("8 of 12 frames have a mean grey of 12 or more; dark: D_6 (3), ")
    too_few = judge_frames(bay, greys_of(make_capture(bay, SLOT, grey=[128] * 7 + [3] * 5).images))
    assert not too_few.proceed
    assert too_few.reason.endswith("the quorum is 8")


def test_the_limit_itself_is_bright_enough(make_bay, make_capture):
    bay = make_bay(conditions={"min_brightness": 12})
    assert judge_frames(bay, greys_of(make_capture(bay, SLOT, grey=12).images)).proceed
    assert not judge_frames(bay, greys_of(make_capture(bay, SLOT, grey=11).images)).proceed


def test_a_frame_that_cannot_be_read_counts_as_dark(make_bay, make_capture):
    bay = make_bay(camera_quorum=12)
    images = make_capture(bay, SLOT).images
    broken = (CapturedImage("C_2", bay.bay_id, SLOT, b"no picture"), *images[1:])
    verdict = judge_frames(bay, greys_of(broken))
    assert not verdict.proceed
    assert "C_2 (unreadable)" in verdict.reason


def test_fewer_frames_than_the_quorum_stop_the_batch(make_bay, make_capture):
    bay = make_bay(camera_quorum=8)
    verdict = judge_frames(bay, greys_of(make_capture(bay, SLOT, count=7).images))
    assert (verdict.proceed, verdict.reason) == (False, "frames of 7 cameras, the quorum is 8")


CLOSED = "16:10 Asia/Seoul is outside of the operating hours 00:00-00:10"
BRIGHT = "12 of 12 frames have a mean grey of 12 or more"


@pytest.mark.parametrize(("hours", "proceed", "reason"), [([], True, BRIGHT), (["00:00-00:10"], False, CLOSED)])
def test_the_reason_is_kept(make_bay, store, make_capture, airflow_context, hours, proceed, reason):
    bay = make_bay(operating_hours=hours)
    batch = make_capture(bay, SLOT)
    reference = store.save("capture", bay.bay_id, batch.batch_id, batch).to_dict()
    ti = airflow_context()["ti"]
    assert check_execution_conditions(bay_id="yard", reference=reference, ti=ti) is proceed
    assert ti.pushed == {"reason": reason}
    # Frames that nobody asked for go at once; the others stay.
    assert (store.find("capture", "yard", batch.batch_id) is not None) is proceed
    # A second try finds the same, although the frames are gone.
    assert check_execution_conditions(bay_id="yard", reference=reference, ti=ti) is proceed


def test_how_bright_the_frames_are_is_noted_and_an_older_slot_does_not_replace_it(
    make_bay, store, make_capture, airflow_context
):
    bay = make_bay()
    for slot, grey in ((SLOT, 90), (SLOT - timedelta(minutes=10), 40)):
        batch = make_capture(bay, slot, grey=grey)
        reference = store.save("capture", bay.bay_id, batch.batch_id, batch).to_dict()
        assert check_execution_conditions(bay_id="yard", reference=reference, ti=airflow_context()["ti"])
    note = read_brightness(store.root, "yard")
    assert note.slot == SLOT
    assert {camera: round(grey) for camera, grey in note.greys.items()} == {one.name: 90 for one in bay.cameras}


def test_a_note_that_cannot_be_written_stops_no_batch(make_bay, store, make_capture, airflow_context, caplog):
    bay = make_bay()
    batch = make_capture(bay, SLOT)
    reference = store.save("capture", bay.bay_id, batch.batch_id, batch).to_dict()
    (store.root / "health").write_text("a file where a folder is wanted")
    assert check_execution_conditions(bay_id="yard", reference=reference, ti=airflow_context()["ti"])
    assert "how bright its frames are is not noted" in caplog.text


def test_frames_that_a_stage_has_used_stay_for_as_long_as_the_bay_says(make_bay, store, make_capture, airflow_context):
    from inference.types import CameraObservation, Observation

    bay = make_bay(operating_hours=["00:00-00:10"])
    batch = make_capture(bay, SLOT)
    reference = store.save("capture", "yard", batch.batch_id, batch).to_dict()
    cameras = tuple(CameraObservation(camera.name, SLOT, (1920, 1080), ()) for camera in bay.cameras)
    store.save("observation", "yard", batch.batch_id, Observation(batch.batch_id, "yard", cameras))
    assert not check_execution_conditions(bay_id="yard", reference=reference, ti=airflow_context()["ti"])
    assert store.find("capture", "yard", batch.batch_id) is not None


def test_frames_that_cannot_be_deleted_now_fail_no_task(
    make_bay, store, make_capture, airflow_context, monkeypatch, caplog
):
    bay = make_bay(operating_hours=["00:00-00:10"])
    batch = make_capture(bay, SLOT)
    reference = store.save("capture", "yard", batch.batch_id, batch).to_dict()

    def fails(*_):
        raise StoreUnavailableError("the store hangs", "hanging")

    monkeypatch.setattr("artifacts.ArtifactStore.delete", fails)
    assert not check_execution_conditions(bay_id="yard", reference=reference, ti=airflow_context()["ti"])
    assert "its frames are not deleted: the store hangs" in caplog.text


def test_a_capture_marked_success_by_hand_goes_on_with_what_is_published(
    make_bay, store, make_capture, airflow_context
):
    bay, context = make_bay(), airflow_context(SLOT)
    assert not check_execution_conditions(bay_id="yard", reference=None, **context)
    assert context["ti"].pushed["reason"] == "capture_images was marked success by hand, and no capture is published"
    batch = make_capture(bay, SLOT)
    store.save("capture", "yard", batch.batch_id, batch)
    context = airflow_context(SLOT)
    assert check_execution_conditions(bay_id="yard", reference=None, **context)
    assert context["ti"].pushed["reason"].startswith("12 of 12 frames")
