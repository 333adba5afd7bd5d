"""`python -m tracking`: tables, JSON, CSV, exit statuses."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest

from artifacts import ArtifactStore
from tracking import Tracker
from tracking.__main__ import main
from tracking.history import BatchOutcome, History, TrackedBatch
from tracking.history.reviews import Review, ReviewKind, add_review
from tracking.history.schema import SCHEMA_VERSION

START = datetime(2025, 7, 2, 0, 0, tzinfo=UTC)
SLOT = timedelta(minutes=10)
SLOTS = 6
DAY = ["--day", "2025-07-02"]


@pytest.fixture(scope="module")
def floors(fused, block):
    def floor(n):
        moves = block("A13", 51, 10, 6, 5, 3) if n < 3 else block("A12_S", 36, 5, 6, 5, 3)
        return fused(n, [block("A25", 10, 10), moves], missing=["D_4"] if n < 3 else [])

    return [floor(n) for n in range(SLOTS)]


@pytest.fixture
def yard(store, bay, floors, monkeypatch):
    """Artifacts and history of six slots, and a slot that was too dark."""
    monkeypatch.delenv("HISTORY_DB", raising=False)
    state, before = None, None
    with History.at(store.root) as history, history.writer(bay.bay_id) as writer:
        for floor in floors:
            store.save("fusion", bay.bay_id, floor.batch_id, floor)
            result = Tracker(bay, state).update(floor)
            reference = store.save("tracking", bay.bay_id, result.batch_id, result)
            writer.replace(before, [TrackedBatch(result, reference.sha256, floor.cameras, floor.missing_cameras)])
            state, before = result.state, result
        history.record(bay.bay_id, START + SLOTS * SLOT, BatchOutcome.SKIPPED, "9 of 12 frames are dark")
    return store


def run(capsys, *arguments):
    status = main(arguments)
    told = capsys.readouterr()
    return status, told.out, told.err


def rows(capsys, *arguments):
    status, out, _ = run(capsys, *arguments, "--json")
    assert status == 0
    document = json.loads(out)
    assert document["timezone"] == "Asia/Seoul"
    return document["rows"]


def test_show_tells_what_stands_in_the_bays_own_time(yard, capsys):
    status, out, _ = run(capsys, "show", "demo_bay")
    assert status == 0
    assert "2 blocks as of 2025-07-02 09:50, " in out
    assert "2025-07-02 09:00" in out  # midnight, UTC
    assert "A12_S" in out
    assert max(map(len, out.splitlines())) <= 160


def test_show_by_area_takes_those_within_it(yard, capsys):
    (inner,) = rows(capsys, "show", "demo_bay", "--area", "A12")
    assert (inner["area"], inner["since"], len(inner["footprint"])) == ("A12_S", "2025-07-02T09:30:00+09:00", 4)
    assert rows(capsys, "show", "demo_bay", "--area", "A12", "--at", "2025-07-02 09:10") == []
    assert len(rows(capsys, "show", "demo_bay", "--at", "2025-07-02T00:10:00+00:00")) == 2


@pytest.mark.slow(1)
def test_show_a_track_tells_its_stays(yard, capsys):
    (moved,) = rows(capsys, "events", "demo_bay", *DAY, "--kind", "moved")
    stays = rows(capsys, "show", "demo_bay", "--track", moved["track_id"])
    assert [(stay["area"], stay["until"]) for stay in stays] == [
        ("A13", "2025-07-02T09:30:00+09:00"),
        ("A12_S", None),
    ]
    (then,) = rows(capsys, "show", "demo_bay", "--track", moved["track_id"], "--at", "2025-07-02 09:20")
    assert then["area"] == "A13"


def test_events_of_a_day_as_csv(yard, capsys):
    status, out, _ = run(capsys, "events", "demo_bay", *DAY, "--area", "A12", "--csv")
    assert status == 0
    (moved,) = csv.DictReader(io.StringIO(out))
    assert (moved["kind"], moved["from_area"], moved["to_area"]) == ("moved", "A13", "A12_S")
    assert moved["time"] == "2025-07-02T09:30:00+09:00"
    status, out, error = run(capsys, "events", "demo_bay", "--day", "yesterday")
    assert (status, out) == (3, "")
    assert "was tracked, so that it is not known what happened" in error


@pytest.mark.slow(1)
def test_dwell_tells_hours_and_minutes(yard, capsys):
    status, out, _ = run(capsys, "dwell", "demo_bay", *DAY)
    assert status == 0
    assert "0:50 h" in out
    totals = {row["area"]: row["total"] for row in rows(capsys, "dwell", "demo_bay", *DAY)}
    assert totals == {"A25": 3000.0, "A13": 1800.0, "A12_S": 1200.0}


@pytest.mark.slow(1)
def test_gaps_say_why(yard, capsys):
    period = ["--from", "2025-07-02 09:00", "--to", "2025-07-02 10:30"]
    told = [(row["slot"][11:16], row["outcome"], row["reason"]) for row in rows(capsys, "gaps", "demo_bay", *period)]
    assert told == [
        ("10:00", "skipped", "9 of 12 frames are dark"),
        ("10:10", "not run", "no run was recorded"),
        ("10:20", "not run", "no run was recorded"),
    ]
    _, out, _ = run(capsys, "gaps", "demo_bay", *period)
    assert [line.split()[4] for line in out.splitlines() if "not run" in line] == ["2"]  # as one row


@pytest.mark.slow(1)
def test_cameras_went_down(yard, capsys):
    told = [(row["kind"], row["camera"], row["slot"][11:16]) for row in rows(capsys, "cameras", "demo_bay", *DAY)]
    assert told == [("camera_down", "D_4", "09:20")]


@pytest.mark.slow(1)
def test_rebuild_makes_the_same_history_again(yard, capsys):
    _, before, _ = run(capsys, "export", "demo_bay")
    (yard.root / "history.db").unlink()
    status, out, _ = run(capsys, "rebuild", "demo_bay")
    assert status == 0
    assert "6 slots from demo_bay_20250702-000000" in out
    assert run(capsys, "export", "demo_bay")[1] == before
    assert run(capsys, "rebuild", "demo_bay")[0] == 0
    assert run(capsys, "export", "demo_bay")[1] == before


def test_rebuild_makes_no_store_where_there_is_none(store, bay, capsys):
    status, _, error = run(capsys, "rebuild", "demo_bay")
    assert status == 2
    assert "is DATA_PATH right?" in error
    assert not store.root.exists()


def test_rebuild_says_where_there_is_nothing_to_rebuild_from(store, bay, capsys):
    store.root.mkdir()
    status, _, error = run(capsys, "rebuild", "demo_bay")
    assert status == 1
    assert "its history is empty: there is nothing to rebuild from" in error


@pytest.mark.slow(1)
def test_rebuild_from_the_artifacts_alone_deletes_what_they_do_not_have(yard, bay, floors, capsys):
    import shutil

    for stage in ("tracking", "fusion"):
        shutil.rmtree(yard.root / stage)
    result = Tracker(bay, None).update(floors[4])
    yard.save("tracking", bay.bay_id, result.batch_id, result)
    assert run(capsys, "rebuild", "demo_bay")[0] == 0
    assert len(rows(capsys, "show", "demo_bay", "--at", "2025-07-02 09:10")) == 2
    assert run(capsys, "rebuild", "demo_bay", "--source", "artifacts")[0] == 0
    assert run(capsys, "show", "demo_bay", "--at", "2025-07-02 09:10")[0] == 3


@pytest.mark.slow(1)
def test_rebuild_from_the_history_alone_restores_the_trackers_state(yard, bay, capsys):
    import shutil

    shutil.rmtree(yard.root / "tracking")
    status, out, _ = run(capsys, "rebuild", "demo_bay", "--source", "history")
    assert (status, "demo_bay_20250702-005000" in out) == (0, True)
    assert len(yard.load(yard.find("tracking", "demo_bay", "demo_bay_20250702-005000")).state.tracks) == 2


@pytest.mark.slow(1)
def test_withdraw_needs_a_reason_and_can_be_undone(yard, capsys):
    batch = "demo_bay_20250702-002000"
    _, before, _ = run(capsys, "export", "demo_bay")
    assert run(capsys, "withdraw", "demo_bay", batch)[0] == 2
    status, out, _ = run(capsys, "withdraw", "demo_bay", batch, "--why", "a test picture")
    assert (status, out) == (0, f"batch {batch} is withdrawn; 3 later batches were tracked again without it\n")
    (gap,) = rows(capsys, "gaps", "demo_bay", "--from", "2025-07-02 09:20", "--to", "2025-07-02 09:30")
    assert gap["outcome"] == "withdrawn"
    assert gap["reason"].startswith("a test picture (")
    status, out, _ = run(capsys, "withdraw", "demo_bay", batch, "--undo")
    assert (status, out) == (0, f"batch {batch} is tracked again; 3 later batches with it\n")
    assert run(capsys, "export", "demo_bay")[1] == before


def test_prune_and_migrate(yard, capsys):
    status, out, _ = run(capsys, "prune", "--older-than", "1", "demo_bay")
    assert status == 0
    assert "history_events: 3 rows deleted" in out
    assert len(rows(capsys, "show", "demo_bay")) == 2
    status, out, _ = run(capsys, "migrate")
    assert (status, out) == (0, f"sqlite:///{yard.root}/history.db: schema {SCHEMA_VERSION}, now up to date\n")


@pytest.mark.slow(1)
@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["show", "no_such_bay"], 2, "there is no bay no_such_bay"),
        (["show", "4bay"], 3, "no history yet of bay 4bay"),
        (["gaps", "4bay"], 3, "no history yet of bay 4bay"),
        (["export", "4bay"], 3, "no history yet of bay 4bay"),
        (["show", "demo_bay", "--track", "demo_bay-000999"], 1, "has no track demo_bay-000999"),
        (["show", "demo_bay", "--area", "A99"], 2, "has no area A99; it has A25"),
        (["show", "demo_bay", "--at", "noon"], 2, "'noon' is not a time"),
        (
            ["show", "demo_bay", "--at", "2024-02-01 10:00"],
            3,
            "was not observed at 2024-02-01 10:00 KST: its history begins at 2025-07-02 09:00 KST",
        ),
        (
            ["show", "demo_bay", "--day", "2024-02-01"],
            3,
            "0 of 0 slots tracked; its history begins at 2025-07-02 09:00, so that it is not known",
        ),
        (["dwell", "demo_bay", "--day", "2024-02-01"], 3, "no slot from 2024-02-01 00:00 to 2024-02-02 00:00 KST"),
        (["use", "demo_bay", "--day", "2024-02-01"], 3, "no slot from 2024-02-01 00:00"),
        (["diff", "demo_bay", "--day", "2024-02-01"], 3, "was not observed at 2024-02-01 00:00"),
        (["events", "demo_bay", *DAY, "--kind", "move"], 2, "no kind of event 'move': did you mean moved?"),
        (["show", "demo_bay", "--track", "H-203"], 1, "no block of bay demo_bay is called 'H-203'"),
        (["events", "demo_bay", *DAY, "--from", "2025-07-02 09:10"], 2, "give --day, or --from and --to, and not both"),
        (["show", "demo_bay", "--track", "#1", "--area", "A12"], 2, "give a block, or --area, and not both"),
        (["gaps", "demo_bay", "--day", "2024-02-01"], 3, "its history begins at 2025-07-02 09:00 KST"),
        (["events", "demo_bay", *DAY, "--track", "#999"], 1, "has no track demo_bay-000999"),
        (
            ["diff", "demo_bay", "--from", "2025-07-02 15:00", "--to", "2025-07-02 16:00"],
            3,
            "at both moments the newest slot that was tracked is 2025-07-02 09:50",
        ),
        (["events", "demo_bay", "--day", "tuesday"], 2, "write today, yesterday, or a date"),
        (["dwell", "demo_bay", "--from", "2025-07-03", "--to", "2025-07-02"], 2, "--from must lie before --to"),
    ],
)
def test_what_cannot_be_answered_is_said(yard, capsys, arguments, status, words):
    told = run(capsys, *arguments)
    assert told[0] == status
    assert words in told[2]
    assert told[1] == ""


def test_an_answer_says_what_it_rests_on(yard, capsys):
    document = json.loads(run(capsys, "events", "demo_bay", *DAY, "--json")[1])
    assert document["source"] == f"sqlite:///{yard.root}/history.db"
    known = document["known"]
    assert (known["slots"], known["tracked"], known["as_of"]) == (90, 6, "2025-07-02T00:50:00+00:00")  # from 9:00
    _, out, _ = run(capsys, "events", "demo_bay", *DAY)
    assert "6 of 90 slots tracked, 84 missing; its history begins at 2025-07-02 09:00" in out
    assert f"sqlite:///{yard.root}/history.db" in out


def test_show_says_as_of_when_and_where_it_was_not_observed(yard, capsys):
    _, out, _ = run(capsys, "show", "demo_bay", "--at", "2025-07-02 09:15")
    assert "2 blocks at 2025-07-02 09:15, as of 2025-07-02 09:10" in out
    _, out, _ = run(capsys, "show", "demo_bay", "--at", "2025-07-02 18:00")
    assert "as of 2025-07-02 09:50: not observed for the 8 hours since" in out
    document = json.loads(run(capsys, "show", "demo_bay", "--at", "2025-07-02 18:00", "--json")[1])
    assert document["known"]["observed"] is False


def test_what_stood_in_an_area_between_two_times(yard, capsys):
    period = ["--from", "2025-07-02 09:10", "--to", "2025-07-02 09:35"]
    assert {row["area"] for row in rows(capsys, "show", "demo_bay", *period)} == {"A25", "A13", "A12_S"}
    (inner,) = rows(capsys, "show", "demo_bay", *period, "--area", "A12")
    assert inner["area"] == "A12_S"
    assert run(capsys, "show", "demo_bay", *period, "--at", "2025-07-02 09:10")[0] == 2


@pytest.mark.slow(1)
def test_a_block_is_meant_by_id_number_or_name(yard, bay, capsys):
    (moved,) = rows(capsys, "events", "demo_bay", *DAY, "--kind", "moved")
    number = int(moved["track_id"].rpartition("-")[2])
    with History.at(yard.root) as history:
        said = Review("r1", bay.bay_id, START, "kim", ReviewKind.NAME, moved["track_id"], START, value="H-203")
        add_review(history, said)
    assert run(capsys, "name", "demo_bay", f"#{number}", "H-203")[0] == 0
    for name in (moved["track_id"], f"#{number}", str(number), "H-203"):
        assert {row["track_id"] for row in rows(capsys, "show", "demo_bay", "--track", name)} == {moved["track_id"]}
        assert len(rows(capsys, "events", "demo_bay", *DAY, "--track", name, "--kind", "moved")) == 1


def test_events_of_a_shift(yard, capsys):
    assert len(rows(capsys, "events", "demo_bay", *DAY, "--kind", "moved", "--hours", "09:00-10:00")) == 1
    assert rows(capsys, "events", "demo_bay", *DAY, "--kind", "moved", "--hours", "09:50-10:30") == []
    day = ["--from", "2025-07-02", "--to", "2025-07-03"]
    assert len(rows(capsys, "events", "demo_bay", *day, "--kind", "moved", "--hours", "09:00-10:00")) == 1


def test_a_night_shift_is_of_two_days_and_unknown_where_no_slot_of_it_was_tracked(yard, capsys):
    assert main(["events", "demo_bay", *DAY, "--hours", "20:00-06:00"]) == 3
    assert "no slot from 2025-07-02 20:00 to 2025-07-03 06:00 KST" in capsys.readouterr().err
    assert main(["events", "demo_bay", "--from", "2025-07-02", "--to", "2025-07-03", "--hours", "20:00-06:00"]) == 3
    assert "not known what stood there or happened" in capsys.readouterr().err
    night = ["events", "demo_bay", "--day", "2025-07-01", "--hours", "22:00-10:00", "--json"]
    assert main(night) == 0
    known = json.loads(capsys.readouterr().out)["known"]
    assert (known["from"], known["to"]) == ("2025-07-01T13:00:00+00:00", "2025-07-02T01:00:00+00:00")


def test_use_and_diff(yard, capsys):
    use = {row["area"]: row for row in rows(capsys, "use", "demo_bay", *DAY)}
    assert use["A12"]["used_m2h"] == pytest.approx(use["A12_S"]["used_m2h"])
    assert use["A12_S"]["used_m2h"] == pytest.approx(30 * 20 / 60, rel=0.02)
    period = ["--from", "2025-07-02 09:10", "--to", "2025-07-02 09:50"]
    (moved,) = rows(capsys, "diff", "demo_bay", *period)
    assert (moved["change"], moved["before_area"], moved["after_area"]) == ("moved", "A13", "A12_S")


def test_durations_name_their_unit(yard, capsys):
    _, out, _ = run(capsys, "dwell", "demo_bay", *DAY, "--csv")
    assert out.splitlines()[0].split(",")[-5:] == [
        "total_s",
        "longest_s",
        "whole",
        "whole_total_s",
        "mean_s",
    ]
    document = json.loads(run(capsys, "dwell", "demo_bay", *DAY, "--json")[1])
    assert document["units"] == dict.fromkeys(("total", "longest", "whole_total", "mean"), "s")


def test_numbers_of_things_are_said_in_words_that_fit(yard, capsys):
    out = run(capsys, "events", "demo_bay", *DAY, "--kind", "moved")[1]
    assert "demo_bay: 1 event, 2025-07-02 00:00" in out


def test_names_say_what_they_rest_on(yard, capsys):
    assert "0 blocks with a number, as of 2025-07-02 " in run(capsys, "names", "demo_bay")[1]
    assert json.loads(run(capsys, "names", "demo_bay", "--json")[1])["known"]["as_of"].startswith("2025-07-02")


@pytest.mark.parametrize(
    "question",
    [
        ["show", "demo_bay", "--at", "2097-01-01"],
        ["show", "demo_bay", "--from", "2097-01-01", "--to", "2097-01-02"],
        ["gaps", "demo_bay", "--day", "2097-01-01"],
        ["gaps", "demo_bay", "--from", "2097-01-01"],
        ["events", "demo_bay", "--from", "2097-01-01", "--to", "2097-01-02"],
        ["diff", "demo_bay", "--from", "2025-07-02 09:10", "--to", "2097-01-01"],
    ],
)
def test_the_future_is_not_known(yard, capsys, question):
    status, out, error = run(capsys, *question)
    assert (status, out) == (3, "")
    assert "lies in the future, of which nothing is known: now it is" in error


def test_a_file_that_says_another_format_is_no_parquet_file(yard, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        run(capsys, "events", "demo_bay", *DAY, "--parquet", str(tmp_path / "events.csv"))
    assert ended.value.code == 2
    assert "a Parquet file ends in .parquet; for CSV: --csv > events.csv" in capsys.readouterr().err
    assert list(tmp_path.glob("events*")) == []


@pytest.mark.slow(0.8)
def test_an_answer_as_a_parquet_file(yard, tmp_path, capsys):
    polars = pytest.importorskip("polars")
    path = tmp_path / "stays.parquet"
    assert run(capsys, "show", "demo_bay", "--parquet", str(path))[0] == 0
    frame = polars.read_parquet(path)
    assert frame["area"].to_list() == ["A25", "A12_S"]
    assert frame["since"][1].isoformat() == "2025-07-02T09:30:00+09:00"
    assert frame["footprint"][0].startswith("POLYGON")
    assert run(capsys, "dwell", "demo_bay", *DAY, "--parquet", str(path))[0] == 0
    assert polars.read_parquet(path)["total"].max() == timedelta(seconds=3000)
    status, _, error = run(capsys, "show", "demo_bay", "--parquet", str(tmp_path / "no" / "x.parquet"))
    assert status == 2
    assert "cannot be written" in error


def test_without_any_history(store, capsys, monkeypatch):
    monkeypatch.delenv("HISTORY_DB", raising=False)
    status, _, error = run(capsys, "show", "demo_bay")
    assert status == 3
    assert "no history yet: sqlite:///" in error
    assert "is DATA_PATH that of the bay" in error
    assert not ArtifactStore().root.exists()  # a question makes no file


@pytest.mark.slow(0.1)
@pytest.mark.parametrize(
    "command", ["show demo_bay", "events demo_bay", "rebuild demo_bay", "migrate", "prune --older-than 9"]
)
def test_a_database_that_is_away(yard, capsys, monkeypatch, command):
    monkeypatch.setenv("HISTORY_DB", "postgresql://yard:secret@127.0.0.1:1/bays")
    status, out, error = run(capsys, *command.split())
    assert (status, out) == (3, "")
    assert error.startswith("history postgresql://127.0.0.1:1/bays: ")
    assert "secret" not in error


@pytest.mark.parametrize(
    "arguments", [[], ["show"], ["prune"], ["prune", "--older-than", "0"], ["show", "x", "--json", "--csv"]]
)
def test_wrong_use(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_gaps_are_one_row_only_where_their_slots_follow_one_another(yard, capsys):
    """Windows that were tracked lie between closed ones, and stay visible."""
    with History.at(yard.root) as history:
        for minutes in (-20, -10):
            history.record(
                "demo_bay", START + timedelta(minutes=minutes), BatchOutcome.SKIPPED, "9 of 12 frames are dark"
            )
    _, out, _ = run(capsys, "gaps", "demo_bay", "--from", "2025-07-02 08:40", "--to", "2025-07-02 10:10")
    lines = [line.split() for line in out.splitlines() if "skipped" in line]
    assert [(line[1], line[3], line[4]) for line in lines] == [("08:40", "08:50", "2"), ("10:00", "10:00", "1")]


@pytest.mark.slow(1)
def test_late_frames_and_seams_are_marked(yard, capsys):
    with History.at(yard.root) as history:
        history.record("demo_bay", START, BatchOutcome.CAPTURED, cameras=["C_2"], lateness_s=185.0, spread_s=61.0)
    marked = rows(capsys, "gaps", "demo_bay", "--from", "2025-07-02 09:00", "--to", "2025-07-02 09:10")
    assert [(row["outcome"], row["reason"]) for row in marked] == [
        ("late", "frames taken 3:05 min after the slot"),
        ("frames apart", "frames taken over 1:01 min"),
    ]
    _, out, _ = run(capsys, "gaps", "demo_bay", "--from", "2025-07-02 09:00", "--to", "2025-07-02 09:10")
    assert "0 slots missing, 1 marked" in out


@pytest.mark.slow(0.5)
def test_a_block_is_asked_for_by_the_yards_own_number(yard, capsys, tmp_path):
    assert run(capsys, "name", "demo_bay", "demo_bay-000001", "4412P") == (0, "demo_bay-000001 is block 4412P\n", "")
    (stay,) = rows(capsys, "show", "demo_bay", "--block", "4412P")
    assert (stay["track_id"], stay["area"], stay["block"]) == ("demo_bay-000001", "A25", "4412P")
    assert "block 4412P" in run(capsys, "show", "demo_bay", "--block", "4412P")[1]
    (name,) = rows(capsys, "names", "demo_bay")
    assert (name["name"], name["probability"], bool(name["given_by"])) == ("4412P", 1.0, True)
    listed = tmp_path / "blocks.csv"
    listed.write_text("number,area\n4412P,A25\n88,A12\n89,A13\n", encoding="utf-8")
    status, out, _ = run(capsys, "name", "demo_bay", "--list", str(listed))
    assert (status, "2 of 3 numbers are a block's" in out) == (1, True)
    assert [one["name"] for one in rows(capsys, "names", "demo_bay")] == ["4412P", "88"]
    assert run(capsys, "name", "demo_bay", "--take", "88")[0] == 0
    assert len(rows(capsys, "names", "demo_bay")) == 1


@pytest.mark.slow(0.2)
@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["show", "demo_bay", "--block", "4412P"], 1, "no block of bay demo_bay is called '4412P'"),
        (["name", "demo_bay", "demo_bay-000001"], 2, "say which block and which number"),
        (["name", "demo_bay", "demo_bay-000001", "a b"], 2, "block number 'a b'"),
    ],
)
def test_a_number_that_is_none_is_refused(yard, capsys, arguments, status, words):
    told = run(capsys, *arguments)
    assert (told[0], told[1]) == (status, "")
    assert words in told[2]
