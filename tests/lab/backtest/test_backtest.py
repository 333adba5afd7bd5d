"""A stored day again: frames out of the store, the trial's own bay, the comparison; and all of it in a real Airflow."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from shapely import affinity

from artifacts import ArtifactStore
from bay_observation.errors import BacktestError, ConfigError
from bays import batch_id, bays_path, load_bay
from capture_async.providers.file import FileImageProvider
from capture_async.types import CameraFailure, CapturedImage
from fusion.types import FusionResult
from lab.backtest import Trial, compare, export_frames, stored_slots
from lab.backtest.__main__ import main
from lab.backtest.trial import Ran, _without_gaps, merged, read_changes
from lab.simulation.jpegs import with_size
from tracking import EventKind, TrackEvent, TrackingResult, ledger
from tracking.history import History

START = datetime(2025, 7, 2, 1, 0, tzinfo=UTC)  # 10:00 in the bay
SLOT = timedelta(minutes=10)


def at(number):
    return START + number * SLOT


@pytest.fixture
def bay(make_bay):
    return make_bay(
        notifications=[{"name": "office", "notifier": "airflow.providers.smtp.notifications.smtp.SmtpNotifier"}]
    )


@pytest.fixture
def captured(bay, store, make_capture):
    """Captures of slots 0, 1 and 3; one camera fails in slot 1."""
    for number in (0, 1, 3):
        count = 11 if number == 1 else 12
        batch = make_capture(bay, at(number), count=count, grey=[100 + number] * count)
        images = tuple(replace(image, jpeg=with_size(image.jpeg, 1920, 1080)) for image in batch.images)
        store.save("capture", "yard", batch.batch_id, replace(batch, images=images))
    return store


# -- frames -------------------------------------------------------------------------------------


async def test_exported_frames_are_what_the_file_provider_finds(bay, captured, tmp_path):
    slots = stored_slots(captured, "yard", at(0), at(4))
    assert slots == [at(0), at(1), at(3)]
    exported = export_frames(captured, "yard", slots, tmp_path / "frames")
    assert (exported.frames, exported.missing) == (35, {at(1): (bay.cameras[11].name,)})
    provider = FileImageProvider(tmp_path / "frames", time_tolerance_hours=0.0)
    for slot in slots:
        stored = captured.load(captured.find("capture", "yard", batch_id("yard", slot)))
        outcomes = await provider.get_images(slot, bay.cameras, "yard")
        again = {each.camera_name: each.jpeg for each in outcomes if isinstance(each, CapturedImage)}
        assert again == {image.camera_name: image.jpeg for image in stored.images}
        failed = {each.camera_name for each in outcomes if isinstance(each, CameraFailure)}
        assert failed == {failure.camera_name for failure in stored.failures}


def test_the_period_ends_before_its_end(captured):
    assert stored_slots(captured, "yard", at(1), at(3)) == [at(1)]
    assert stored_slots(captured, "yard", at(5), at(9)) == []


def test_export_command(bay, captured, tmp_path, capsys):
    arguments = ["export", "yard", "--from", "2025-07-02 10:10", "--to", "2025-07-02T01:40:00+00:00"]
    assert main([*arguments, "--into", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert f"{tmp_path / 'out'}: 23 frames of 2 slots" in told
    assert f"2025-07-02 10:10: no frame of {bay.cameras[11].name}" in told
    blocked = tmp_path / "blocked"
    blocked.write_text("a file")
    assert main([*arguments, "--into", str(blocked)]) == 1
    assert "cannot be written" in capsys.readouterr().err


# -- the trial ----------------------------------------------------------------------------------


def test_a_trial_has_a_bay_of_its_own_without_notifications(bay, captured, tmp_path):
    trial = Trial(tmp_path / "trial", "yard", captured, at(0), at(4))
    changed = trial.prepare({"camera_quorum": 3, "conditions": {"min_brightness": 5}})
    assert (changed.camera_quorum, changed.conditions.min_brightness) == (3, 5)
    assert (changed.image_provider, changed.notifications) == ("file", ())
    assert changed.models == bay.models
    assert load_bay("yard").camera_quorum == bay.camera_quorum
    assert bays_path() != trial.folder / "bays"
    environment = trial._environment(at(3))
    assert environment["DATA_PATH"] == str(trial.folder / "data")
    assert environment["HISTORY_DB"] == f"sqlite:///{trial.folder}/data/history.db"
    assert environment["BAYS_SCHEDULE"] == f"until {at(3).isoformat()}"


def test_a_wrong_change_is_named_like_a_fault_of_the_file(bay, captured, tmp_path):
    with pytest.raises(ConfigError, match="camera_quorum"):
        Trial(tmp_path / "trial", "yard", captured, at(0), at(4)).prepare({"camera_quorum": 0})


@pytest.mark.slow(1)
def test_a_trial_begins_with_the_state_that_the_live_tracker_had(bay, captured, tmp_path):
    before = FusionResult(batch_id("yard", at(-1)), "yard", (), _nothing(), tuple(c.name for c in bay.cameras))
    with History.at(captured.root) as history:
        ledger.track(captured, bay, captured.save("fusion", "yard", before.batch_id, before), history)
    trial = Trial(tmp_path / "trial", "yard", captured, at(0), at(4))
    trial.prepare({})
    assert trial.store.batch_ids("tracking", "yard") == [before.batch_id]
    assert trial.store.find("tracking", "yard", before.batch_id) == captured.find("tracking", "yard", before.batch_id)
    trial.prepare({}, fresh=True)
    assert trial.store.batch_ids("tracking", "yard") == []
    assert trial.results() == {}


def _nothing():
    from shapely import MultiPolygon

    return MultiPolygon()


def test_a_folder_with_something_else_in_it_is_left_alone(bay, captured, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(BacktestError, match="files that are not a trial's"):
        Trial(tmp_path / "mine", "yard", captured, at(0), at(4)).prepare({})
    assert (tmp_path / "mine" / "notes.txt").read_text() == "keep"
    (tmp_path / ".backtest").touch()
    for folder in (tmp_path, captured.root, captured.root / "trials"):
        with pytest.raises(BacktestError, match="must not contain each other"):
            Trial(folder, "yard", captured, at(0), at(4)).prepare({})
    assert stored_slots(captured, "yard", at(0), at(4))


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        (["--from", "2025-07-02 11:00", "--to", "2025-07-02 10:00"], 2, "--from must lie before --to"),
        (["--from", "2025-07-02 10:00", "--to", "2099-07-02 10:00"], 2, "lies in the future"),
        (["--from", "yesterday", "--to", "2025-07-02 10:00"], 2, "'yesterday' is not a time"),
        (["--from", "2025-07-03 10:00", "--to", "2025-07-03 11:00"], 3, "no capture between 2025-07-03 01:00"),
        (["--from", "2025-07-02 10:00", "--to", "2025-07-02 11:00", "--params", "."], 2, "cannot be read"),
    ],
)
def test_what_cannot_be_run_is_refused_before_an_airflow_starts(
    bay, captured, tmp_path, capsys, arguments, status, reason
):
    assert main(["run", "yard", "--output", str(tmp_path / "trial"), *arguments]) == status
    assert reason in capsys.readouterr().err


def test_changes_are_merged_key_by_key(tmp_path):
    base = {"a": {"b": 1, "c": [1, 2]}, "d": 1}
    assert merged(base, {"a": {"c": [3]}, "e": 2}) == {"a": {"b": 1, "c": [3]}, "d": 1, "e": 2}
    assert base["a"]["c"] == [1, 2]
    (tmp_path / "p.yaml").write_text("- 1\n")
    with pytest.raises(ConfigError, match="keys of the bay's file"):
        read_changes(tmp_path / "p.yaml")
    assert read_changes(None) == {}


def test_a_backfill_leaves_out_slots_that_have_no_frames():
    planned = [at(n) for n in range(8)]
    assert _without_gaps([at(0), at(1), at(3), at(4), at(7)], planned) == [[at(0), at(1)], [at(3), at(4)], [at(7)]]


# -- comparing ----------------------------------------------------------------------------------


@pytest.fixture
def two_slots(bay, tmp_path):
    """Tracking results of two slots with two blocks, by slot."""
    from shapely import box

    from fusion.types import FusedBlock

    store = ArtifactStore(tmp_path / "some")
    found = {}
    with History.at(store.root) as history:
        for number in (0, 1):
            blocks = tuple(
                FusedBlock("block", box(x, 3, x + 8, 9), 4.0, area, "welding", 0.9, ("C_2",), {}, 0.05)
                for x, area in ((4, "A25"), (50, "A13"))
            )
            fused = FusionResult(batch_id("yard", at(number)), "yard", blocks, _nothing(), ("C_2",))
            reference = store.save("fusion", "yard", fused.batch_id, fused)
            found[at(number)] = ledger.track(store, bay, reference, history).result
    return found


def test_the_same_is_the_same_whatever_its_ids_are(two_slots):
    assert compare(two_slots, two_slots).same
    renamed = {
        slot: _changed(result, lambda t: replace(t, track_id=f"{t.track_id}0")) for slot, result in two_slots.items()
    }
    renamed = {
        slot: replace(result, events=tuple(replace(e, track_id=f"{e.track_id}0") for e in result.events))
        for slot, result in renamed.items()
    }
    comparison = compare(two_slots, renamed)
    assert comparison.same
    assert {(each.live, each.trial) for each in comparison.positions} == {
        (track.track_id, f"{track.track_id}0") for track in two_slots[at(0)].tracks
    }
    assert comparison.events_of_both == 2


def test_differences_are_told_by_what_they_are(two_slots):
    first, second = (track.track_id for track in two_slots[at(1)].tracks)

    def shifted(track):
        moved = affinity.translate(track.footprint, 0.3, 0.4)
        return replace(track, footprint=moved, stage="painting") if track.track_id == first else None

    trial = {at(0): two_slots[at(0)], at(1): _changed(two_slots[at(1)], shifted)}
    event = TrackEvent(EventKind.EXITED, second, at(1), batch_id("yard", at(1)), from_area="A13")
    trial[at(1)] = replace(trial[at(1)], events=(event,))
    comparison = compare(two_slots, trial | {at(2): two_slots[at(1)]})
    assert not comparison.same
    assert [(count.live, count.trial) for count in comparison.slots] == [(2, 2), (2, 1), (None, 2)]
    (apart, _) = comparison.positions
    assert (apart.live, apart.slots, apart.other_stage, apart.other_area) == (first, 2, 1, 0)
    assert apart.largest_m == pytest.approx(0.5)
    assert apart.mean_m == pytest.approx(0.25)
    assert [(each.only, each.event.kind) for each in comparison.events] == [("trial", "exited")]
    assert json.loads(json.dumps(comparison.to_dict()))["events"][0]["from_area"] == "A13"


def test_an_event_a_slot_later_is_the_same_and_two_slots_later_is_not(two_slots):
    def delayed(by):
        events = tuple(replace(event, time=event.time + by) for event in two_slots[at(0)].events)
        return {at(0): replace(two_slots[at(0)], events=events), at(1): two_slots[at(1)]}

    assert compare(two_slots, delayed(SLOT)).events == ()
    assert [each.only for each in compare(two_slots, delayed(2 * SLOT)).events] == ["live", "live", "trial", "trial"]


def test_a_track_that_falls_apart_is_told(two_slots):
    first = two_slots[at(0)].tracks[0].track_id
    trial = {
        at(0): two_slots[at(0)],
        at(1): _changed(two_slots[at(1)], lambda t: replace(t, track_id="yard-9") if t.track_id == first else t),
    }
    comparison = compare(two_slots, trial)
    assert comparison.split == {first: tuple(sorted((first, "yard-9")))}
    assert compare(trial, two_slots).joined == comparison.split
    assert not comparison.same


def _changed(result: TrackingResult, change):
    return replace(result, tracks=tuple(new for track in result.tracks if (new := change(track)) is not None))


@pytest.mark.slow(1)
def test_a_failed_run_of_the_trial_is_told_and_is_the_exit_status(
    bay, captured, two_slots, tmp_path, capsys, monkeypatch
):
    for result in two_slots.values():
        captured.save("tracking", "yard", result.batch_id, result)
    failed = {"fusion_yard_dag": ("yard_20250702-011000_abcdef01",)}

    def run(trial, *_):
        tracked = two_slots[at(0)] if tracks else None
        if tracked:
            trial.store.save("tracking", "yard", tracked.batch_id, tracked)
        return Ran((at(0), at(1)), (at(3),), failed)

    monkeypatch.setattr(Trial, "run", run)
    command = ["run", "yard", "--from", "2025-07-02 10:00", "--to", "2025-07-02 10:50", "--output", str(tmp_path / "t")]
    tracks = True
    assert main(command) == 1
    told = capsys.readouterr()
    assert "fusion_yard_dag: failed: yard_20250702-011000_abcdef01" in told.err
    assert "1 stored slots are off the schedule" in told.out
    assert "1, 1, 0" in told.out  # slots in both, only live, only trial
    assert main([*command, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["failed"] == {"fusion_yard_dag": ["yard_20250702-011000_abcdef01"]}
    tracks = False
    assert main(command) == 1
    assert "no slot of the trial was tracked" in capsys.readouterr().err


# -- all of it ----------------------------------------------------------------------------------


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.slow(60)
@pytest.mark.timeout(900)
def test_a_stored_morning_runs_again_in_an_airflow_of_its_own(make_bay, store, tmp_path, capsys, monkeypatch):
    live = _live_morning(make_bay, store)
    with History.at(store.root) as history:
        told = list(history.export("yard"))
    before = _digests(store.root)
    left_out = min(track.area for track in live[at(0)].tracks)
    params = tmp_path / "params.yaml"
    params.write_text(yaml.safe_dump({"factory_layout": {"areas": {left_out: {"kind": "aisle"}}}}))
    # What the trial must not take for its own.
    monkeypatch.setenv("HISTORY_DB", f"sqlite:///{store.root / 'history.db'}")
    output = tmp_path / "trial"
    period = ["yard", "--from", at(0).isoformat(), "--to", at(4).isoformat(), "--output", str(output)]
    assert main(["run", *period, "--params", str(params), "--json"]) == 0, capsys.readouterr().err
    document = json.loads(capsys.readouterr().out)

    assert _digests(store.root) == before
    with History.at(store.root) as history:
        assert list(history.export("yard")) == told
    assert [slot["slot"] for slot in document["slots"]] == [at(n).isoformat() for n in (0, 1, 3)]
    assert None not in [slot["trial"] for slot in document["slots"]]
    assert document["failed"] == {}
    # The frames are the same, byte for byte: only the area that the trial leaves out makes a difference.
    ignored = {t.track_id for result in live.values() for t in result.tracks if t.area == left_out}
    assert ignored
    assert set(document["only_live"]) <= ignored
    assert document["only_trial"] == []
    assert document["positions"]
    assert max(pair["largest_m"] for pair in document["positions"]) < 0.01
    trial = ArtifactStore(output / "data")
    second = trial.load(trial.find("capture", "yard", batch_id("yard", at(1))))
    assert [failure.camera_name for failure in second.failures] == ["D_6"]
    with History(f"sqlite:///{output / 'data' / 'history.db'}") as history:
        assert history.newest_slot("yard") == at(3)

    assert main(["compare", *period]) == 0
    assert "tracks only live, only trial" in capsys.readouterr().out


def _live_morning(make_bay, store):
    """Three slots of four cameras, with a gap, through all stages; the tracking results by slot."""
    from fusion import fuse
    from inference import InferenceService
    from lab.simulation.rendering import FrameSource
    from lab.simulation.yard import Yard

    names = ("C_4", "C_6", "D_4", "D_6")
    whole = make_bay()
    chosen = [
        camera
        for camera in yaml.safe_load((bays_path() / "yard.yaml").read_text())["cameras"]
        if camera["name"] in names
    ]
    bay = make_bay(cameras=chosen, camera_quorum=3)
    frames = FrameSource(Yard(whole, seed=2001))
    service = InferenceService.for_bay(bay)
    found = {}
    with History.at(store.root) as history:
        for number in (0, 1, 3):
            batch = _capture(bay, at(number), frames, failing="D_6" if number == 1 else None)
            store.save("capture", "yard", batch.batch_id, batch)
            fused = fuse(service.observe(batch), bay)
            reference = store.save("fusion", "yard", batch.batch_id, fused)
            found[at(number)] = ledger.track(store, bay, reference, history).result
    return found


def _capture(bay, slot, frames, failing):
    from capture_async.types import CaptureBatch, FailureReason

    images = tuple(
        CapturedImage(camera.name, bay.bay_id, slot + timedelta(seconds=3), frames(camera.name, slot))
        for camera in bay.cameras
        if camera.name != failing
    )
    failures = (CameraFailure(failing, FailureReason.TIMED_OUT, "no answer"),) if failing else ()
    return CaptureBatch(batch_id(bay.bay_id, slot), bay.bay_id, images, failures)
