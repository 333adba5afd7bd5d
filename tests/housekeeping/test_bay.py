"""Retention of a bay: what goes, what stays for a later replay, and what the history is told."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bay_observation.errors import LateBatchError
from bays import batch_id
from housekeeping import clean_bay, clean_store
from lab.benchmarks.slot_sequences import fused_floor
from tracking.history import BatchOutcome, History
from tracking.ledger import open_ledger, track

pytestmark = pytest.mark.slow(0.4)

START = datetime(2025, 7, 2, tzinfo=UTC)
SLOTS = 8
# All keep a day; `keeping(4)` is then a time at which the first four slots are older than that.
SHORT = {"frames": 1, "observations": 1, "floor_plans": 1, "tracks": 1}


def slot(number):
    return START + number * timedelta(minutes=10)


def keeping(first):
    return slot(first) + timedelta(days=1)


@pytest.fixture
def bay(make_bay):
    return make_bay("yard", retention=SHORT)


@pytest.fixture
def told(store):
    with History.at(store.root) as history:
        yield history


def name(number):
    return batch_id("yard", slot(number))


def publish(store, stage, number, value):
    """Publish an artifact at the time of its slot."""
    reference = store.save(stage, "yard", name(number), value)
    seconds = slot(number).timestamp()
    os.utime(store.root / reference.path, (seconds, seconds))
    return reference


def observation(bay, number):
    from inference.types import CameraObservation, Observation

    cameras = tuple(CameraObservation(camera.name, slot(number), (1920, 1080), ()) for camera in bay.cameras)
    return Observation(name(number), "yard", cameras)


@pytest.fixture
def tracked(store, bay, told, make_capture):
    """A day of eight slots with all their artifacts."""
    for number in range(SLOTS):
        publish(store, "capture", number, make_capture(bay, slot(number)))
        publish(store, "observation", number, observation(bay, number))
        track(store, bay, publish(store, "fusion", number, fused_floor(bay, number)), told)
        path = store.root / store.find("tracking", "yard", name(number)).path
        os.utime(path, (slot(number).timestamp(),) * 2)
    return list(told.export("yard"))


def stages(store):
    return {
        stage: [number for number in range(SLOTS) if store.published(stage, "yard", name(number))]
        for stage in ("capture", "observation", "fusion", "tracking")
    }


def test_what_is_older_goes_and_what_is_younger_stays(store, bay, told, tracked):
    report = clean_bay(store, told, bay, keeping(4), dry_run=False)
    assert report.faults == []
    assert stages(store) == {
        "capture": [4, 5, 6, 7],
        "observation": [4, 5, 6, 7],
        "fusion": [4, 5, 6, 7],
        "tracking": [3, 4, 5, 6, 7],
    }
    assert [(each.what, each.count) for each in report.freed] == [
        ("frames", 4),
        ("observations", 4),
        ("floor plans", 4),
        ("tracks", 3),
    ]
    assert report.kept == [f"yard: tracks of {name(3)}, the state before all others"]
    assert report.size == sum(each.size for each in report.freed) > 0
    assert list(told.export("yard")) == tracked


def test_it_may_run_again(store, bay, told, tracked):
    clean_bay(store, told, bay, keeping(4), dry_run=False)
    before = stages(store)
    assert clean_bay(store, told, bay, keeping(4), dry_run=False).freed == []
    assert stages(store) == before


def test_a_dry_run_says_the_same_and_deletes_nothing(store, bay, told, tracked):
    dry = clean_bay(store, told, bay, keeping(4), dry_run=True)
    assert stages(store)["capture"] == list(range(SLOTS))
    with told.writer("yard") as writer:
        assert writer.artifacts_before() is None
    wet = clean_bay(store, told, bay, keeping(4), dry_run=False)
    assert (dry.freed, dry.kept) == (wet.freed, wet.kept)


def test_every_slot_that_is_kept_can_be_tracked_again(store, bay, told, tracked):
    clean_bay(store, told, bay, keeping(4), dry_run=False)
    with open_ledger(store, bay, told) as ledger:
        assert ledger.withdraw(name(4), "a test (kim)") == 3
        assert ledger.undo_withdrawal(name(4)).replayed == 3
    assert list(told.export("yard")) == tracked
    with pytest.raises(LateBatchError):  # before the state that is kept
        track(store, bay, publish(store, "fusion", 2, replace(fused_floor(bay, 2), blocks=())), told)


@pytest.mark.parametrize("source", ["both", "artifacts"])
def test_a_rebuild_afterwards_loses_no_line(store, bay, told, tracked, source):
    clean_bay(store, told, bay, keeping(4), dry_run=False)
    with open_ledger(store, bay, told) as ledger:
        if source == "both":
            ledger.correct(all_slots=True)
        else:
            assert ledger.take_artifacts() == slot(3)
    assert list(told.export("yard")) == tracked


def test_without_retention_a_rebuild_from_artifacts_has_them_alone(store, bay, told, tracked):
    for number in range(4):
        (store.root / store.find("tracking", "yard", name(number)).path).unlink()
    with open_ledger(store, bay, told) as ledger:
        assert ledger.take_artifacts() is None
    assert list(told.export("yard")) != tracked


def test_the_history_is_told_before_the_first_artifact_goes(store, bay, told, tracked, monkeypatch):
    deleted = []
    delete = store.delete

    def check(stage, bay_id, batch):
        if stage == "tracking":
            with History.at(store.root) as other, other.database.reading() as connection:
                asked = connection.exec_driver_sql("SELECT count(*) FROM history_retention")
                deleted.append(asked.scalar())
        delete(stage, bay_id, batch)

    monkeypatch.setattr(store, "delete", check)
    clean_bay(store, told, bay, keeping(4), dry_run=False)
    assert deleted == [1, 1, 1]


def test_a_bay_that_has_been_silent_keeps_the_state_from_which_it_goes_on(store, bay, told, tracked):
    clean_bay(store, told, bay, keeping(400), dry_run=False)
    assert stages(store) == {"capture": [], "observation": [], "fusion": [], "tracking": [7]}
    outcome = track(store, bay, publish(store, "fusion", 300, fused_floor(bay, 300)), told)
    assert outcome.seam is None
    assert {each.track_id for each in outcome.result.tracks} & {"yard-000001"}


def test_what_was_published_a_moment_ago_stays_however_old_its_slot_is(store, bay, told, tracked):
    path = store.root / store.find("capture", "yard", name(0)).path
    os.utime(path)
    clean_bay(store, told, bay, datetime.now(UTC), dry_run=False)
    assert stages(store)["capture"] == [0]


@pytest.mark.parametrize(
    ("outcome", "stage", "words"),
    [
        (BatchOutcome.FUSED, "fusion", "not tracked yet"),
        (BatchOutcome.TRACKING_FAILED, "fusion", "not tracked yet"),
        (BatchOutcome.INFERRED, "observation", "not fused yet"),
        (BatchOutcome.FUSION_FAILED, "observation", "not fused yet"),
    ],
)
def test_what_a_batch_under_way_needs_stays(store, bay, told, outcome, stage, words):
    publish(store, "observation", 0, observation(bay, 0))
    publish(store, "fusion", 0, fused_floor(bay, 0))
    told.record("yard", slot(0), outcome)
    report = clean_bay(store, told, bay, keeping(4), dry_run=False)
    assert stages(store)[stage] == [0]
    assert words in report.kept[0]


def test_a_batch_that_was_left_out_of_the_tracks_is_not_waited_for(store, bay, told):
    publish(store, "fusion", 0, fused_floor(bay, 0))
    told.record("yard", slot(0), BatchOutcome.SKIPPED, "left out of the tracks")
    clean_bay(store, told, bay, keeping(4), dry_run=False)
    assert stages(store)["fusion"] == []


def test_frames_of_a_stopped_batch_do_not_wait_for_their_age(store, told, make_bay, make_capture):
    bay = make_bay("yard", operating_hours=["20:00-21:00"])
    for number, outcome in enumerate([BatchOutcome.SKIPPED, BatchOutcome.INFERENCE_FAILED, BatchOutcome.SKIPPED]):
        publish(store, "capture", number, make_capture(bay, slot(number)))
        told.record("yard", slot(number), outcome)
    publish(store, "observation", 2, observation(bay, 2))
    report = clean_bay(store, told, bay, slot(0) + timedelta(hours=3), dry_run=False)
    assert stages(store)["capture"] == [1, 2]
    assert [each.what for each in report.freed] == ["frames of stopped batches"]


def test_a_file_that_a_killed_writer_left_goes(store, bay, told, tracked):
    folder = (store.root / store.find("fusion", "yard", name(6)).path).parent
    left = folder / ".result.pkl.abc.part"
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    young = folder / ".result.pkl.def.part"
    young.write_bytes(b"half")
    report = clean_bay(store, told, bay, keeping(0), dry_run=False)
    assert not left.exists()
    assert young.exists()
    assert ("unfinished files", 4) in [(each.what, each.size) for each in report.freed]


def test_the_history_goes_where_the_bay_says_so(store, told, make_bay, tracked):
    bay = make_bay("yard", retention=SHORT | {"history": 1})
    report = clean_bay(store, told, bay, keeping(400), dry_run=False)
    assert "rows of the history" in [each.what for each in report.freed]
    assert [batch.slot for batch in told.batches("yard", START, slot(SLOTS))] == [slot(7)]


def test_one_bay_that_cannot_be_cleaned_stops_no_other(store, told, make_bay, bay, tracked, monkeypatch):
    other = make_bay("another", retention=SHORT)
    history = History.at(store.root)
    slots_of = history.slots_of

    def failing(bay_id, *arguments):
        if bay_id == "another":
            raise LateBatchError("no answer")
        return slots_of(bay_id, *arguments)

    monkeypatch.setattr(history, "slots_of", failing)
    report = clean_store(store, history, [other, bay], keeping(4), dry_run=False)
    assert report.faults == ["another, frames of stopped batches: no answer"]
    assert stages(store)["capture"] == [4, 5, 6, 7]
    history.close()
