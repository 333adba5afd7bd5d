"""What a capture leaves behind besides its artifact: the bay's camera health, and metrics."""

from datetime import UTC, datetime

import pytest

from bay_observation.errors import ConfigError
from bays import batch_id
from capture_async.health import health_path, read_health
from capture_async.observer_note import read_observer_note
from triggers import CaptureTrigger
from triggers.stats import airflow_stats

pytestmark = pytest.mark.slow(4)

SLOT = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)
SCRIPTED = {"image_provider": "scripted", "image_provider_config": {}}


async def fire() -> str:
    trigger = CaptureTrigger(bay_id="yard", batch_id=batch_id("yard", SLOT), timeout=60.0)
    (event,) = [event async for event in trigger.run()]
    return event.payload["status"]


async def test_a_capture_is_recorded_and_a_run_from_the_start_counts_no_more(make_bay, store, scripted_cameras):
    make_bay(**SCRIPTED)
    scripted_cameras.down = frozenset({"C_2"})
    assert [await fire(), await fire()] == ["captured", "captured"]
    health = read_health(store.root, "yard")
    assert health.last_slot == SLOT
    assert {camera.camera_name: camera.failures_in_row for camera in health.cameras if not camera.is_well} == {"C_2": 1}
    assert len(health.cameras) == 12


async def test_a_capture_below_the_quorum_is_recorded_and_its_retry_takes_its_place(make_bay, store, scripted_cameras):
    make_bay(camera_quorum=12, **SCRIPTED)
    scripted_cameras.down = frozenset({"C_2"})
    assert [await fire(), await fire()] == ["below_quorum", "below_quorum"]
    (failing,) = [camera for camera in read_health(store.root, "yard").cameras if not camera.is_well]
    assert (failing.camera_name, failing.failures_in_row) == ("C_2", 1)
    scripted_cameras.down = frozenset()
    assert await fire() == "captured"
    assert all(camera.is_well for camera in read_health(store.root, "yard").cameras)


async def test_a_run_that_was_killed_before_it_recorded_is_recorded_by_the_next(make_bay, store, scripted_cameras):
    make_bay(**SCRIPTED)
    await fire()
    health_path(store.root, "yard").unlink()
    await fire()
    assert scripted_cameras.asked == 12
    assert len(read_health(store.root, "yard").cameras) == 12


async def test_a_capture_is_told_also_when_its_health_cannot_be_written(make_bay, store, scripted_cameras, capsys):
    make_bay(**SCRIPTED)
    store.root.mkdir(parents=True)
    (store.root / "health").write_text("a file where a folder is wanted")
    assert await fire() == "captured"
    said = capsys.readouterr().out
    assert "camera health cannot be written" in said
    assert "word of the observer of yard" in said


async def test_the_observer_leaves_word_of_itself(make_bay, store, scripted_cameras):
    make_bay(**SCRIPTED)
    await fire()
    note = read_observer_note(store.root, "yard")
    assert (note.spool, note.replicator, note.inference_server, note.clock_offsets) == (False, None, False, {})
    assert abs((datetime.now(UTC) - note.at).total_seconds()) < 60


async def test_a_store_that_is_no_folder_stops_no_capture(make_bay, store, scripted_cameras, monkeypatch, capsys):
    """An object store takes no word of the observer."""

    def no_folder(_):
        raise ConfigError("s3://yard is no folder")

    make_bay(**SCRIPTED)
    monkeypatch.setattr("artifacts.ArtifactStore.root", property(no_folder))
    assert await fire() == "captured"
    assert "s3://yard is no folder" in capsys.readouterr().out


async def test_metrics_go_through_airflows_stats_tagged_with_the_bay(
    make_bay, store, scripted_cameras, airflow_metrics
):
    make_bay(**SCRIPTED)
    scripted_cameras.down = frozenset({"C_2", "D_4"})
    await fire()
    bay = {"bay": "yard"}
    assert ("bay_capture.frames", 10, bay) in airflow_metrics
    assert ("bay_capture.failures", 2, bay | {"reason": "unreachable"}) in airflow_metrics
    timers = ("bay_capture.duration", "bay_capture.loop_lag")
    durations = {stat: value.total_seconds() for stat, value, tags in airflow_metrics if stat in timers and tags == bay}
    assert set(durations) == set(timers)
    assert durations["bay_capture.duration"] > 0
    # A run that touches no camera has nothing to tell of them.
    airflow_metrics.clear()
    await fire()
    assert airflow_metrics == []


@pytest.fixture
def airflow_metrics():
    """What Airflow's backend was given: (name, value, tags)."""
    from airflow.sdk._shared.observability.metrics.base_stats_logger import NoStatsLogger
    from airflow.sdk.observability import stats

    sent = []

    class Backend(NoStatsLogger):
        @classmethod
        def incr(cls, stat, count=1, rate=1, *, tags=None):
            sent.append((stat, count, tags))

        gauge = incr

        @classmethod
        def timing(cls, stat, dt, *, tags=None):
            sent.append((stat, dt, tags))

    airflow_stats()
    stats.initialize(factory=Backend, export_legacy_names=True)
    yield sent
    stats.initialize(factory=NoStatsLogger, export_legacy_names=True)
    airflow_stats.cache_clear()
