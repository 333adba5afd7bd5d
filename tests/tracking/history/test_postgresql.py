"""The history in a real PostgreSQL: the same answers, its own lock, and a schema that a person migrates."""

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest
from shapely import box

from bay_observation.errors import HistoryError, HistoryUnavailableError
from tracking import Tracker
from tracking.history import BatchOutcome, History, TrackedBatch, database
from tracking.history.schema import SCHEMA_VERSION
from tracking.history.stays import blocks_between

pytestmark = pytest.mark.slow(1)

START = datetime(2025, 7, 2, 0, 0, tzinfo=UTC)
SLOT = timedelta(minutes=10)


@pytest.fixture
def history(empty_postgresql):
    with History(empty_postgresql) as made:
        made.database.migrate()
        yield made


@pytest.fixture(scope="module")
def tracked(bay, fused, block):
    state, batches = None, []
    for n in range(8):
        moves = block("A13", 51, 10, 6, 5, 3) if n < 4 else block("A1A", 106, 28, 6, 5, 3)
        floor = fused(n, [block("A25", 10, 10, stage="painting" if n > 4 else "welding"), moves], missing=["D_4"])
        result = Tracker(bay, state).update(floor)
        batches.append(TrackedBatch(result, f"{n:064x}", ("C_2",), floor.missing_cameras))
        state = result.state
    return batches


def write(history, batches, before=None):
    with history.writer("demo_bay") as writer:
        writer.replace(before, batches)


def places(stays):
    return [(stay.track_id, stay.area, stay.stage, stay.since, stay.until) for stay in stays]


def test_it_tells_what_sqlite_tells(history, tracked, bay, tmp_path):
    with History(f"sqlite:///{tmp_path}/history.db") as other:
        told = []
        for one in (history, other):
            write(one, tracked)
            write(one, tracked[2:], tracked[1].result)
            one.record(
                "demo_bay", START + 9 * SLOT, BatchOutcome.SKIPPED, "dark", cameras=["C_2"], failures={"D_4": "busy"}
            )
            end = START + 12 * SLOT
            told.append(
                (
                    list(one.export("demo_bay")),
                    [one.dwell("demo_bay", START + n * SLOT / 2, START + n * SLOT) for n in range(1, 12)],
                    one.gaps(bay, START, end),
                    one.events("demo_bay", START, end, areas=["A13"]),
                    one.event_counts("demo_bay", START, end, without=[("initial", "demo_bay-000002", START)]),
                    blocks_between(one, "demo_bay", START, end, "A13"),
                    one.camera_changes("demo_bay", START, end),
                    one.batches("demo_bay", START, end),
                    [places(one.standing("demo_bay", at=START + n * SLOT)) for n in range(10)],
                    [places(one.standing("demo_bay", ["A13"], at=START + n * SLOT)) for n in range(10)],
                    places(one.standing("demo_bay")),
                    places([one.where("demo_bay", "demo_bay-000002", at=START + 3 * SLOT)]),
                    one.prune(START + 6 * SLOT),
                )
            )
    assert told[0] == told[1]
    assert len(told[0][0]) > 10


def test_questions_together_see_one_state(history, tracked):
    write(history, tracked[:4])
    with history.together():
        before = history.newest_slot("demo_bay")
        with History(history.database._url) as other:
            write(other, tracked[4:6], before=tracked[3].result)
        assert history.newest_slot("demo_bay") == before
    assert history.newest_slot("demo_bay") > before


def test_times_are_utc_whatever_the_servers_zone_is(history, tracked, empty_postgresql):
    write(history, tracked)
    with history.database.writing() as connection, connection.begin():
        connection.exec_driver_sql(f"ALTER DATABASE {empty_postgresql.rpartition('/')[2]} SET timezone = 'Asia/Seoul'")
    with History(empty_postgresql) as other:
        told = other.events("demo_bay", START, START + 12 * SLOT)
    assert told == history.events("demo_bay", START, START + 12 * SLOT)
    assert {event.time.tzinfo for event in told} == {UTC}


def test_a_schema_that_is_not_there_is_refused_until_it_is_migrated(empty_postgresql, tracked):
    with History(empty_postgresql) as history:
        for use in (lambda: history.standing("demo_bay"), lambda: write(history, tracked)):
            with pytest.raises(
                HistoryUnavailableError, match=r"schema is not there.*run `bay-observation history migrate`"
            ):
                use()
        assert history.database.migrate() is None
        assert history.database.migrate() == SCHEMA_VERSION
        write(history, tracked)
        assert len(history.standing("demo_bay")) == 2


def test_a_history_of_the_version_before_is_brought_over(history, tracked, bay, empty_postgresql):
    from alembic import command

    write(history, tracked)
    history.record("demo_bay", START + 9 * SLOT, BatchOutcome.SKIPPED, "dark")
    period = (START, START + 12 * SLOT)
    told = [list(history.export("demo_bay")), history.gaps(bay, *period)]
    with history.database.writing() as connection, connection.begin():
        command.downgrade(database._migrations(connection), "0002")
    with History(empty_postgresql) as later:
        with pytest.raises(HistoryUnavailableError, match=r"schema is 0002.*run `bay-observation history migrate`"):
            later.standing("demo_bay")
        assert later.database.migrate() == "0002"
        assert [list(later.export("demo_bay")), later.gaps(bay, *period)] == told


def test_two_that_migrate_at_once_do_it_once(empty_postgresql):
    code = f"from tracking.history import History; History({empty_postgresql!r}).database.migrate()"
    processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]


def test_one_writer_of_a_bay_at_a_time(history, tracked, empty_postgresql, monkeypatch):
    monkeypatch.setattr(database, "LOCK_PATIENCE_S", 0.3)
    with history.writer("demo_bay"), History(empty_postgresql) as other:
        with pytest.raises(HistoryError, match=r"bay demo_bay is held by another process for 0\.3 s"):
            write(other, tracked)
        with other.writer("4bay"):
            pass
    write(history, tracked)


def test_the_lock_of_a_writer_that_is_killed_is_free(history, tracked, empty_postgresql):
    code = (
        "import time\n"
        "from tracking.history import History\n"
        f"with History({empty_postgresql!r}).writer('demo_bay'):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(600)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n"
    holder.kill()
    holder.wait()
    holder.stdout.close()
    began = time.monotonic()
    write(history, tracked)
    assert time.monotonic() - began < database.LOCK_PATIENCE_S / 10


def test_an_answer_of_several_statements_sees_one_state(history, tracked, empty_postgresql):
    write(history, tracked[:4])
    with history.database.reading() as connection, History(empty_postgresql) as other:
        before = connection.exec_driver_sql("SELECT count(*) FROM history_events").scalar()
        write(other, tracked[4:], tracked[3].result)
        assert connection.exec_driver_sql("SELECT count(*) FROM history_events").scalar() == before
    assert len(history.events("demo_bay", START, START + 20 * SLOT)) > before


def test_a_footprint_comes_back_as_it_was(history, tracked):
    write(history, tracked[:1])
    (stay,) = history.standing("demo_bay", ["A13"])
    assert stay.footprint.equals_exact(box(48, 7.5, 54, 12.5), 1e-9, normalize=True)


def test_a_password_that_is_wrong_is_told_to_nobody(tracked):
    with (
        History("postgresql://yard:secret@127.0.0.1:1/bays") as history,
        pytest.raises(HistoryUnavailableError, match="is the server up") as caught,
    ):
        write(history, tracked)
    assert "secret" not in str(caught.value)
