"""What an observer leaves on the store about itself."""

from datetime import UTC, datetime, timedelta

import pytest

from artifacts import Spool
from bay_observation.errors import ArtifactError, ConfigError
from capture_async.observer_note import (
    BrightnessNote,
    ObserverNote,
    observer_note,
    read_brightness,
    read_observer_note,
    write_brightness,
    write_observer_note,
)

NOW = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "spool", limit_bytes=1e6, kept=timedelta(hours=1))


def test_what_was_written_is_read(tmp_path):
    assert read_observer_note(tmp_path, "yard") is None
    note = ObserverNote(NOW, True, 2, 61.5, 1, False, True, {"C_2": -3.0})
    write_observer_note(tmp_path, "yard", note)
    assert read_observer_note(tmp_path, "yard") == note


def test_without_a_spool_there_is_nothing_to_replicate():
    note = observer_note(None, "yard", NOW, inference_server=True, clock_offsets={"C_2": 1.5})
    assert (note.spool, note.pending, note.replicator) == (False, 0, None)
    assert (note.inference_server, note.clock_offsets) == (True, {"C_2": 1.5})


def test_a_spool_that_was_never_used_has_no_replicator(spool):
    note = observer_note(spool, "yard", NOW, inference_server=False, clock_offsets={})
    assert (note.spool, note.pending, note.oldest_s, note.replicator) == (True, 0, None, False)
    assert not spool.folder.exists()


def test_what_waits_and_who_publishes_it(spool):
    waiting = spool.folder / "pending" / "yard"
    waiting.mkdir(parents=True)
    (waiting / "yard_20250702-071000.capture").write_bytes(b"...")
    with spool.only_replicator(0):
        note = observer_note(
            spool, "yard", datetime.now(UTC) + timedelta(minutes=5), inference_server=False, clock_offsets={}
        )
    assert (note.pending, note.replicator) == (1, True)
    assert note.oldest_s == pytest.approx(300, abs=30)
    assert not observer_note(spool, "yard", NOW, inference_server=False, clock_offsets={}).replicator


def test_a_later_slot_stays(tmp_path):
    later = BrightnessNote(NOW, {"C_2": 90.0})
    write_brightness(tmp_path, "yard", later)
    write_brightness(tmp_path, "yard", BrightnessNote(NOW - timedelta(minutes=10), {"C_2": 20.0}))
    assert read_brightness(tmp_path, "yard") == later


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"at": "2025-07-02T07:10:00"}', '{"at": "2025-07-02T07:10:00+00:00", "horses": 2}']
)
def test_a_damaged_note_is_named_and_replaced(tmp_path, content):
    write_observer_note(tmp_path, "yard", ObserverNote(NOW))
    path = tmp_path / "health" / "yard" / "observer.json"
    path.write_text(content)
    with pytest.raises(ArtifactError, match="the next capture replaces it"):
        read_observer_note(tmp_path, "yard")
    path.with_name("brightness.json").write_text(content)
    write_brightness(tmp_path, "yard", BrightnessNote(NOW, {"C_2": 20.0}))
    assert read_brightness(tmp_path, "yard").greys == {"C_2": 20.0}


def test_a_bay_id_leads_nowhere_else(tmp_path):
    with pytest.raises(ConfigError):
        read_observer_note(tmp_path, "../yard")
