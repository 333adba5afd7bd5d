"""The ledger of a bay's tracking: in slot order, once per batch, whatever comes late or twice."""

import fcntl
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from shapely import MultiPolygon, box

from artifacts import ArtifactStore, lock
from bay_observation.errors import ArtifactError, LateBatchError, TrackingError, WrongArtifactError
from bays import batch_id, load_bay
from fusion.types import FusedBlock, FusionResult
from tracking import ledger
from tracking.history import History

pytestmark = pytest.mark.slow(1)

START = datetime(2025, 7, 2, 0, 0, tzinfo=UTC)
SLOTS = 8


def fused(bay, number, shift=0.0):
    """Six blocks that stand with some noise, one that jumps to another area, one that leaves."""
    random = np.random.default_rng(number)
    places = [("A25", 6, 6), ("A13", 50, 10), ("A14", 66, 12), ("A1D", 92, 8), ("A27", 8, 30), ("A1C", 138, 30)]
    places.append(("A11", 36, 30) if number < 3 else ("A1A", 106, 28))
    if number < 4:
        places.append(("A1F", 122, 8))
    blocks = []
    for area, x, y in places:
        dx, dy = random.normal(0, 0.03, 2) + shift
        outline = box(x - 4 + dx, y - 3 + dy, x + 4 + dx, y + 3 + dy)
        seen_by, work = ("C_2", "D_2", "D_4"), {"welder": 1, "grinder": 2}
        blocks.append(FusedBlock("block", outline, 4.0, area, "welding", 0.9, seen_by, work, 0.05, (), 0.9))
    name = batch_id(bay.bay_id, START + number * timedelta(minutes=10))
    cameras = tuple(camera.name for camera in bay.cameras)
    return FusionResult(name, bay.bay_id, tuple(blocks), MultiPolygon(), cameras)


@pytest.fixture(scope="session")
def bay():
    return load_bay("demo_bay")


@pytest.fixture
def published(bay, store):
    return [
        store.save("fusion", bay.bay_id, result.batch_id, result) for result in (fused(bay, n) for n in range(SLOTS))
    ]


def track(store, bay, reference):
    """Enter a batch, with a history under the same root, as the operator does without `HISTORY_DB`."""
    with History.at(store.root) as history:
        return ledger.track(store, bay, reference, history)


def history(store, bay):
    """What ledger and history hold: every entry's bytes, by batch, and the history's export."""
    entries = {
        batch: (store.root / store.find("tracking", bay.bay_id, batch).path).read_bytes()
        for batch in store.batch_ids("tracking", bay.bay_id)
    }
    with History.at(store.root) as told:
        return entries, list(told.export(bay.bay_id))


@pytest.fixture(scope="session")
def in_order(bay, tmp_path_factory):
    """The history of the slots when each came once and in its turn."""
    other = ArtifactStore(tmp_path_factory.mktemp("in order"))
    for number in range(SLOTS):
        result = fused(bay, number)
        track(other, bay, other.save("fusion", bay.bay_id, result.batch_id, result))
    return history(other, bay)


def test_in_order_every_batch_builds_on_the_one_before(bay, store, published, in_order):
    outcomes = [track(store, bay, reference) for reference in published]
    assert [outcome.replayed for outcome in outcomes] == [0] * SLOTS
    assert history(store, bay) == in_order
    assert len(outcomes[0].result.tracks) == 8
    kinds = [str(event.kind) for outcome in outcomes[1:] for event in outcome.result.events]
    assert sorted(kinds) == ["exited", "moved"]
    assert outcomes[-1].reference == store.find("tracking", bay.bay_id, outcomes[-1].result.batch_id)


@pytest.mark.parametrize(
    "order",
    [[7, 6, 5, 4, 3, 2, 1, 0], [0, 1, 3, 2, 4, 6, 5, 7], [1, 0, 3, 2, 5, 4, 7, 6], [4, 5, 6, 7, 0, 1, 2, 3]],
)
def test_whatever_order_the_history_is_the_same(bay, store, published, in_order, order):
    for number in order:
        track(store, bay, published[number])
    assert history(store, bay) == in_order


def test_a_repeated_batch_changes_nothing_and_replays_nothing(bay, store, published, in_order):
    for reference in [*published, published[2], published[0], published[7]]:
        outcome = track(store, bay, reference)
    assert outcome.replayed == 0
    assert track(store, bay, published[1]).replayed == 0
    assert history(store, bay) == in_order


def test_a_late_batch_replays_what_came_before_it(bay, store, published, in_order):
    for number in (0, 1, 3, 4, 5, 6, 7):
        track(store, bay, published[number])
    assert track(store, bay, published[2]).replayed == 5
    assert history(store, bay) == in_order


def test_a_batch_that_was_fused_again_replaces_its_entry_and_those_after_it(bay, store, published, tmp_path):
    for reference in published:
        track(store, bay, reference)
    changed = fused(bay, 3, shift=0.4)
    outcome = track(store, bay, store.save("fusion", bay.bay_id, changed.batch_id, changed))
    assert outcome.replayed == 4
    other = ArtifactStore(tmp_path / "other")
    for number in range(SLOTS):
        result = changed if number == 3 else fused(bay, number)
        track(other, bay, other.save("fusion", bay.bay_id, result.batch_id, result))
    assert history(store, bay) == history(other, bay)


@pytest.mark.parametrize("survived", range(6))
def test_a_run_that_dies_while_publishing_is_made_good_by_the_next(
    bay, store, published, in_order, monkeypatch, survived
):
    for number in (0, 1, 3, 4, 5, 6, 7):
        track(store, bay, published[number])
    save, saved = ArtifactStore.save, []

    def dies(self, *arguments):
        if len(saved) == survived:
            raise ArtifactError("the file system is full")
        saved.append(arguments)
        return save(self, *arguments)

    monkeypatch.setattr(ArtifactStore, "save", dies)
    with pytest.raises(ArtifactError, match="full"):
        track(store, bay, published[2])
    monkeypatch.setattr(ArtifactStore, "save", save)
    track(store, bay, published[2])
    assert history(store, bay) == in_order


def test_the_history_does_not_depend_on_the_process(bay, store, published, in_order):
    code = (
        "from artifacts import ArtifactStore\n"
        "from bays import load_bay\n"
        "from tracking import ledger\n"
        "from tracking.history import History\n"
        "store, bay = ArtifactStore(), load_bay('demo_bay')\n"
        "history = History.at(store.root)\n"
        "for batch in store.batch_ids('fusion', 'demo_bay'):\n"
        "    ledger.track(store, bay, store.find('fusion', 'demo_bay', batch), history)\n"
    )
    # The order of a set of strings is one of this number's.
    subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": "4711"}, check=True)
    assert history(store, bay) == in_order


def test_a_damaged_entry_of_the_batch_itself_is_written_again(bay, store, published, in_order):
    for reference in published:
        track(store, bay, reference)
    path = store.root / store.find("tracking", bay.bay_id, published[3].batch_id).path
    path.write_bytes(path.read_bytes()[:200])
    track(store, bay, published[3])
    assert history(store, bay) == in_order


@pytest.mark.parametrize("content", [b"nothing of ours", None])
def test_an_entry_before_the_batch_that_is_damaged_or_gone_is_made_again(bay, store, published, in_order, content):
    for reference in published[:-1]:
        track(store, bay, reference)
    for number in (3, 6):
        path = store.root / store.find("tracking", bay.bay_id, published[number].batch_id).path
        path.write_bytes(content) if content else path.unlink()
    track(store, bay, published[-1])
    rebuild(store, bay)
    assert history(store, bay) == in_order


def lose(store, stage, reference):
    (store.root / stage / reference.bay_id / reference.batch_id / "result.pkl").unlink()


def lines(store, bay):
    """Digest of every slot in the history."""
    with History.at(store.root) as told:
        batches = told.batches(bay.bay_id, START, START + timedelta(days=1))
    return {batch.slot: batch.sha256 for batch in batches if batch.sha256}


def test_a_late_batch_needs_the_fusion_of_those_after_it(bay, store, published):
    for number in (0, 2):
        track(store, bay, published[number])
    lose(store, "fusion", published[2])
    before = history(store, bay)
    with pytest.raises(LateBatchError, match="run that fusion again"):
        track(store, bay, published[1])
    assert history(store, bay) == before


def test_a_late_batch_among_lost_entries_enters_where_all_can_be_tracked_again(bay, store, published, in_order):
    for number in (0, 1, 2, 4, 5, 6, 7):
        track(store, bay, published[number])
    for number in (0, 1, 2, 5):
        lose(store, "tracking", published[number])
    assert track(store, bay, published[3]).replayed == 4
    assert history(store, bay) == in_order


def test_a_late_batch_behind_slots_that_are_gone_is_left_out_and_the_history_keeps_them(bay, store, published):
    for number in (0, 1, 2, 4, 5, 6, 7):
        track(store, bay, published[number])
    for number in (0, 1, 2):
        lose(store, "tracking", published[number])
        lose(store, "fusion", published[number])
    before = lines(store, bay)
    with pytest.raises(LateBatchError, match="later slots were tracked since"):
        track(store, bay, published[3])
    assert lines(store, bay) == before


def test_entries_of_an_older_schema_are_made_again_from_fusion(bay, store, published, in_order):
    for reference in published[:4]:
        track(store, bay, reference)
    for batch in store.batch_ids("tracking", bay.bay_id):
        path = store.root / store.find("tracking", bay.bay_id, batch).path
        path.write_bytes(path.read_bytes().replace(b"tracking 4 ", b"tracking 3 ", 1))
    with pytest.raises(WrongArtifactError, match="outdated: schema 3, this version reads 4; run the stage again"):
        store.load(store.find("tracking", bay.bay_id, published[0].batch_id))
    for reference in published[4:]:
        track(store, bay, reference)
    assert history(store, bay) == in_order


def test_the_newest_batch_goes_on_from_the_history_where_the_state_is_gone(bay, store, published):
    for reference in published[:-1]:
        before = track(store, bay, reference)
    for stage in ("fusion", "tracking"):
        shutil.rmtree(store.root / stage)
    last = fused(bay, SLOTS - 1)
    outcome = track(store, bay, store.save("fusion", bay.bay_id, last.batch_id, last))
    assert "are gone" in outcome.seam
    assert outcome.result.events == ()  # the blocks are known again, by their identities
    standing = {each.track_id for each in before.result.tracks if each.on_floor}
    assert {each.track_id for each in outcome.result.tracks} == standing
    assert len(standing) == 7
    assert len(lines(store, bay)) == SLOTS
    with History.at(store.root) as told:
        (mark,) = told.marks(bay.bay_id, START, START + timedelta(days=1))
    assert (mark.slot, mark.kind) == (START + (SLOTS - 1) * timedelta(minutes=10), "seam")


def test_a_slot_of_the_future_is_refused(bay, store, monkeypatch):
    monkeypatch.delenv("CLOCK")
    result = replace(fused(bay, 0), batch_id=batch_id(bay.bay_id, datetime.now(UTC) + timedelta(days=1)))
    with pytest.raises(TrackingError, match="lies in the future"):
        track(store, bay, store.save("fusion", bay.bay_id, result.batch_id, result))
    assert store.batch_ids("tracking", bay.bay_id) == []


# -- what a person does ------------------------------------------------------------------------------


def rebuild(store, bay):
    with History.at(store.root) as told, ledger.open_ledger(store, bay, told) as opened:
        opened.correct(all_slots=True)


def without(bay, tmp_path, gone):
    """Ledger and history that never had these slots."""
    other = ArtifactStore(tmp_path / "without")
    for number in range(SLOTS):
        if number not in gone:
            result = fused(bay, number)
            track(other, bay, other.save("fusion", bay.bay_id, result.batch_id, result))
    return history(other, bay)


@pytest.mark.parametrize("number", [0, 3, SLOTS - 1])
def test_a_withdrawn_batch_leaves_tracks_and_history_and_comes_back(bay, store, published, in_order, tmp_path, number):
    for reference in published:
        track(store, bay, reference)
    name = published[number].batch_id
    with History.at(store.root) as told:
        with ledger.open_ledger(store, bay, told) as opened:
            assert opened.withdraw(name, "frames of another day (kim)") == SLOTS - 1 - number
        (gap,) = told.gaps(bay, START, START + SLOTS * timedelta(minutes=10))
        assert (gap.outcome, gap.reason) == ("withdrawn", "frames of another day (kim)")
    entries, exported = without(bay, tmp_path, {number})
    now, lines_now = history(store, bay)
    now.pop(name)
    assert (now, lines_now) == (entries, exported)
    with pytest.raises(LateBatchError, match="was withdrawn"):
        track(store, bay, published[number])
    with History.at(store.root) as told, ledger.open_ledger(store, bay, told) as opened:
        opened.undo_withdrawal(name)
    assert history(store, bay) == in_order


def test_a_withdrawal_that_cannot_be_replayed_changes_nothing(bay, store, published):
    for reference in published:
        track(store, bay, reference)
    lose(store, "fusion", published[5])
    before = history(store, bay)
    with History.at(store.root) as told, ledger.open_ledger(store, bay, told) as opened:
        with pytest.raises(LateBatchError):
            opened.withdraw(published[3].batch_id, "wrong")
        with pytest.raises(TrackingError, match="no tracked batch"):
            opened.withdraw("demo_bay_20200101-000000", "wrong")
    assert history(store, bay) == before


def test_the_state_is_restored_from_the_history_alone(bay, store, published):
    for reference in published:
        track(store, bay, reference)
    shutil.rmtree(store.root / "tracking")
    with History.at(store.root) as told, ledger.open_ledger(store, bay, told) as opened:
        assert opened.take_history() == published[-1].batch_id
    state = store.load(store.find("tracking", bay.bay_id, published[-1].batch_id)).state
    assert len(state.tracks) == 7
    assert len(lines(store, bay)) == SLOTS


def test_one_process_at_a_time(bay, store, published, monkeypatch):
    track(store, bay, published[0])
    monkeypatch.setattr(lock, "LOCK_PATIENCE_S", 0.3)
    with (store.root / "tracking" / bay.bay_id / ".lock").open("r+") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(ArtifactError, match=r"\.lock: held by another process"):
            track(store, bay, published[1])
    track(store, bay, published[1])  # given back, also after an error
    assert len(history(store, bay)[0]) == 2


# -- the history beside the ledger -------------------------------------------------------------------


def export(store, bay):
    return history(store, bay)[1]


def test_a_history_that_is_new_is_told_everything(bay, store, published, in_order):
    for reference in published[:-1]:
        track(store, bay, reference)
    (store.root / "history.db").unlink()
    track(store, bay, published[-1])
    assert history(store, bay) == in_order


def test_a_repeated_batch_corrects_a_history_that_is_new(bay, store, published, in_order):
    for reference in published:
        track(store, bay, reference)
    (store.root / "history.db").unlink()
    assert track(store, bay, published[5]).replayed == 0
    assert history(store, bay) == in_order


def test_a_history_from_a_backup_is_brought_up_to_date(bay, store, published, in_order):
    for reference in published[:4]:
        track(store, bay, reference)
    backup = (store.root / "history.db").read_bytes()
    for reference in published[4:]:
        track(store, bay, reference)
    (store.root / "history.db").write_bytes(backup)
    track(store, bay, published[-1])
    assert history(store, bay) == in_order


@pytest.mark.parametrize("survived", [0, 2])
def test_a_history_ahead_of_the_ledger_is_corrected_by_the_next_batch(
    bay, store, published, in_order, monkeypatch, survived
):
    """The late batch died between history and ledger; before its retry comes the newest one."""
    for number in (0, 1, 3, 4, 5, 6):
        track(store, bay, published[number])
    save, saved = ArtifactStore.save, []

    def dies(self, *arguments):
        if len(saved) == survived:
            raise ArtifactError("the file system is full")
        saved.append(arguments)
        return save(self, *arguments)

    monkeypatch.setattr(ArtifactStore, "save", dies)
    with pytest.raises(ArtifactError, match="full"):
        track(store, bay, published[2])
    monkeypatch.setattr(ArtifactStore, "save", save)
    track(store, bay, published[7])
    track(store, bay, published[2])
    assert history(store, bay) == in_order


def test_artifacts_that_are_gone_beside_a_history_are_made_again(bay, store, published, in_order):
    for reference in published[:-1]:
        track(store, bay, reference)
    shutil.rmtree(store.root / "tracking")
    track(store, bay, published[-1])
    assert history(store, bay) == in_order


def test_the_cameras_of_a_batch_are_in_the_history(bay, store):
    result = replace(fused(bay, 0), cameras=("C_2",), missing_cameras=("C_4", "D_4"))
    track(store, bay, store.save("fusion", bay.bay_id, result.batch_id, result))
    with History.at(store.root) as told:
        (batch,) = told.batches(bay.bay_id, START, START + timedelta(hours=1))
    assert (batch.cameras, sorted(batch.failures)) == (("C_2",), ["C_4", "D_4"])


WORKER = """
import os, sys, time
from artifacts import ArtifactStore
from bays import load_bay
from tracking import ledger
from tracking.history import History, HistoryWriter

store, bay = ArtifactStore(), load_bay("demo_bay")
killed_at, batches = sys.argv[1], sys.argv[2:]

def die(*_):
    print("here", flush=True)
    time.sleep(600)  # until SIGKILL

if killed_at == "in the transaction":
    HistoryWriter._write_batches = die
elif killed_at == "before the artifacts":
    ArtifactStore.save = die
elif killed_at == "between the artifacts":
    save, saved = ArtifactStore.save, []
    ArtifactStore.save = lambda self, *what: die() if len(saved) == 2 else (saved.append(what), save(self, *what))[1]
with History.at(store.root) as history:
    for batch in batches:
        ledger.track(store, bay, store.find("fusion", bay.bay_id, batch), history)
"""


def worker(*arguments, url=None):
    environment = os.environ | ({"HISTORY_DB": url} if url else {})
    return subprocess.Popen([sys.executable, "-c", WORKER, *arguments], stdout=subprocess.PIPE, env=environment)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, monkeypatch):
    """Where the history is: None for SQLite under the store's root."""
    if request.param == "sqlite":
        return None
    url = request.getfixturevalue("empty_postgresql")
    with History(url) as made:
        made.database.migrate()
    monkeypatch.setenv("HISTORY_DB", url)
    return url


@pytest.mark.slow(3)
@pytest.mark.parametrize("killed_at", ["in the transaction", "before the artifacts", "between the artifacts"])
def test_the_retry_repairs_what_a_killed_process_left(bay, in_order, store, published, database, killed_at):
    for number in (0, 1, 3, 4, 5, 6, 7):
        track(store, bay, published[number])
    complete = export(store, bay)
    process = worker(killed_at, published[2].batch_id)
    assert process.stdout.readline() == b"here\n"
    if killed_at == "in the transaction":
        assert export(store, bay) == complete  # readers see the history before, and do not wait
    process.kill()
    process.wait()
    process.stdout.close()
    track(store, bay, published[2])
    assert history(store, bay) == in_order


@pytest.mark.slow(3)
def test_two_processes_on_one_bay_leave_the_history_of_one(bay, in_order, store, published, database):
    names = [reference.batch_id for reference in published]
    both = [worker("never", *names[::2], *names[1::2]), worker("never", *names[::-1])]
    for process in both:
        assert process.wait() == 0
        process.stdout.close()
    assert history(store, bay) == in_order


def test_a_batch_in_its_time_asks_about_days_and_not_about_years(bay, store, published, monkeypatch):
    for reference in published[:-1]:
        track(store, bay, reference)
    bounds = []
    batch_ids = ArtifactStore.batch_ids
    monkeypatch.setattr(
        ArtifactStore,
        "batch_ids",
        lambda self, stage, bay_id, since="", until="": (
            bounds.append(since) or batch_ids(self, stage, bay_id, since, until)
        ),
    )
    track(store, bay, published[-1])
    assert bounds
    assert min(bounds) >= batch_id(bay.bay_id, START - timedelta(days=3))


def test_after_a_long_silence_the_slot_before_is_found(bay, store, published, monkeypatch):
    for reference in published[:3]:
        track(store, bay, reference)
    late = fused(bay, 3 + 144 * 40)
    outcome = track(store, bay, store.save("fusion", bay.bay_id, late.batch_id, late))
    assert outcome.seam is None
    assert {each.track_id for each in outcome.result.tracks} & {"demo_bay-000001"}


def test_store_and_history_that_differ_for_long_are_brought_together(bay, store, published, in_order, monkeypatch):
    monkeypatch.setattr(ledger, "_LOOKED_BACK", timedelta(minutes=15))
    for reference in published[:-1]:
        track(store, bay, reference)
    (store.root / "history.db").unlink()
    track(store, bay, published[-1])
    assert history(store, bay) == in_order
