"""`python -m tracking`: ask the history of a bay, and look after its database.

show       what stands in the bay or an area, or where a block is and was
events     what happened: yesterday, on a day, in a period
dwell      how long blocks stood in each area at each stage
use        how much of each area's floor was used, day by day
diff       which blocks differ between two moments
gaps       which slots are missing, and why
cameras    which cameras went down and came back
names      which block has which number of the yard's own, by whom, and how certainly
name       give a block its number, or several by a list of numbers and areas; --take takes one away
export     everything, a JSON document a line, the same for equal histories
rebuild    bring history and tracking artifacts in line again, from both or from one of them
withdraw   take a slot out of tracks and history, with a reason; --undo takes it back in
migrate    bring the database's schema up to date
prune      delete what is older than some days

The history is the database of HISTORY_DB, else SQLite in history.db under DATA_PATH. A time
without an offset is the bay's own, as "2025-07-02 16:10".
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from getpass import getuser
from pathlib import Path
from typing import Any

from artifacts import ArtifactStore, data_path
from bay_observation import settings
from bay_observation.commands import (
    FAILED,
    counted,
    existing_path,
    failed,
    output_console,
    positive_number,
    program,
    run_command,
)
from bay_observation.errors import BayObservationError, ConfigError, HistoryError, NotObservedError
from bays import BayConfig, load_bay
from tracking.asking import ago, hours, hours_of, period_of, said, time_of, track_of, within
from tracking.history import (
    DOWN_AFTER,
    AsOf,
    BlockName,
    BlockNames,
    Coverage,
    Gap,
    GapOutcome,
    History,
    ListOutcome,
    Stay,
    area_use,
    as_of,
    coverage,
    differences,
    nested_areas,
    scheduled_slots,
)
from tracking.history.stays import recorded_stays
from tracking.history.tables import Answer
from tracking.ledger import open_ledger
from tracking.types import EventKind

# Of tables that are written where no terminal says how wide it is.
_STAY = ("track_id", "area", "stage", "class_name", "status", "standing_since", "since")
_PLACE = ("last_seen", "sightings", "x_m", "y_m", "height_m")
# What a narrow terminal does without, the first ones first.
_STAY_SPARE = (
    ("height_m",), ("sightings",), ("class_name",), ("last_seen",), ("status",), ("x_m", "y_m"), ("standing_since",),
)  # fmt: skip
_EVENT_SPARE = (("after",), ("others",), ("from_area", "from_stage"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        0 for an answer; 1 where the history does not know the block that is asked about, or an artifact cannot
        be read; 2 for wrong use, as a bay, an area or a time that is none; 3 where nothing is known of the bay or
        of the time that is asked about, or the database cannot be used.
    """
    options = make_parser().parse_args(arguments)
    try:
        with _history() as history:
            return int(options.run(history, options))
    except BayObservationError as error:
        return failed(error)


# -- questions --------------------------------------------------------------------------------------


def _show(history: History, options: argparse.Namespace) -> int:
    bay = load_bay(options.bay)
    if options.area is not None and (options.track is not None or options.block is not None):
        raise ConfigError("show: give a block, or --area, and not both")
    if options.block is not None:
        options.track = BlockNames(history, bay.bay_id).find(options.block).track_id
    if options.start is not None or options.end is not None or options.day is not None:
        return _show_period(history, bay, options)
    at = None if options.at is None else time_of(bay, options.at)
    known = as_of(history, bay, at)
    when = _as_of(bay, known, options.at is not None)
    empty = "nothing stands there"
    names = {one.track_id: one for one in BlockNames(history, bay.bay_id).held()}
    if options.track is None:
        stays = history.standing(bay.bay_id, _areas(bay, options), known.slot)
        title = f"{bay.bay_id}{_in_area(options)}: {counted(len(stays), 'block')} {when}"
    else:
        track_id = track_of(history, bay, options.track)
        called = _called(names.get(track_id))
        title, empty = f"{track_id}{called} {when}", "it was not in the bay then"
        if at is None:
            stays = history.stays(bay.bay_id, track_id)
            title = f"{track_id}{called}: its stays, the latest last, {when}"
        else:
            stay = history.where(bay.bay_id, track_id, known.slot)
            stays = [] if stay is None else [stay]
    rows = _stays(stays, names)
    return _print(Answer(title, bay.zone, _columns(stays, rows), rows, empty, _STAY_SPARE, known), options, history)


def _show_period(history: History, bay: BayConfig, options: argparse.Namespace) -> int:
    """What stood there at any time of a period."""
    if options.at is not None:
        raise ConfigError("show: give --at, or a period, and not both")
    start, end = period_of(bay, options, days=1)
    known = coverage(history, bay, start, end)
    _refuse_unobserved(bay, known)
    stays = recorded_stays(history, bay.bay_id, start, end)
    if names := _areas(bay, options):
        stays = [stay for stay in stays if stay.area in names]
    if options.track is not None:
        track_id = track_of(history, bay, options.track)
        stays = [stay for stay in stays if stay.track_id == track_id]
    blocks = len({stay.track_id for stay in stays})
    title = f"{bay.bay_id}{_in_area(options)}: {counted(blocks, 'block')} stood there, {said(bay, start, end)}"
    rows = _stays(stays, {one.track_id: one for one in BlockNames(history, bay.bay_id).held()})
    columns = _columns(stays, rows, period=True)
    return _print(Answer(title, bay.zone, columns, rows, "nothing stood there", _STAY_SPARE, known), options, history)


def _events(history: History, options: argparse.Namespace) -> int:
    bay = load_bay(options.bay)
    start, end = period_of(bay, options, days=1)
    of_hours = partial(within, options.hours)
    known = coverage(history, bay, start, end, of_hours)
    track_id = None if options.track is None else track_of(history, bay, options.track)
    found = history.events(bay.bay_id, start, end, kinds=options.kind, track_id=track_id, areas=_areas(bay, options))
    found = [event for event in found if of_hours(event.time.astimezone(bay.zone))]
    if options.hours is not None and not found:
        _refuse_unobserved(bay, known)
    columns = ("time", "kind", "track_id", "from_area", "to_area", "from_stage", "to_stage", "others", "after")
    each_day = f", {options.hours} each day" if options.hours is not None and options.day is None else ""
    title = f"{bay.bay_id}: {counted(len(found), 'event')}, {said(bay, start, end)}{each_day}"
    rows = [_row(event) | {"after": event.after} for event in found]
    return _print(Answer(title, bay.zone, columns, rows, "nothing happened", _EVENT_SPARE, known), options, history)


def _dwell(history: History, options: argparse.Namespace) -> int:
    bay = load_bay(options.bay)
    start, end = period_of(bay, options, days=7)
    seen = history.observed_dwell(bay, start, end)
    rows = [_row(dwell) | {"mean": dwell.mean} for dwell in seen.dwell]
    columns = ("area", "stage", "blocks", "stays", "total", "longest", "whole", "mean")
    title = f"{bay.bay_id}: how long blocks were seen standing, {said(bay, start, end)}"
    if seen.observed < seen.period:
        title += f"; observed {hours(seen.observed)} of {hours(seen.period)}"
    known = coverage(history, bay, start, end)
    durations = ("total", "longest", "whole_total", "mean")
    answer = Answer(title, bay.zone, columns, rows, "nothing stood there", (), known, durations=durations)
    return _print(answer, options, history)


def _use(history: History, options: argparse.Namespace) -> int:
    bay = load_bay(options.bay)
    start, end = period_of(bay, options, days=7)
    names = _areas(bay, options)
    rows = [_row(use) for use in area_use(history, bay, start, end) if not names or use.area in names]
    columns = ("day", "area", "area_m2", "blocks", "used_m2h", "observed_h", "share")
    title = f"{bay.bay_id}: floor used while it was observed, {said(bay, start, end)}"
    known = coverage(history, bay, start, end)
    return _print(Answer(title, bay.zone, columns, rows, "no area is tracked", (), known), options, history)


def _differences(history: History, options: argparse.Namespace) -> int:
    bay = load_bay(options.bay)
    start, end = period_of(bay, options, days=1)
    first, second = as_of(history, bay, start), as_of(history, bay, end)
    if first.slot == second.slot:
        raise NotObservedError(
            f"bay {bay.bay_id}: what differs from {said(bay, start, end)} is not known: at both moments the newest slot"
            f" that was tracked is {first.slot.astimezone(bay.zone):%Y-%m-%d %H:%M}"
        )
    rows = []
    for one in differences(history, bay, start, end):
        places = {
            f"{side}_{name}": None if stay is None else getattr(stay, name)
            for side, stay in (("before", one.before), ("after", one.after))
            for name in ("area", "stage")
        }
        rows.append({"track_id": one.track_id, "change": one.change, **places})
    columns = ("track_id", "change", "before_area", "after_area", "before_stage", "after_stage")
    differ = "1 block differs" if len(rows) == 1 else f"{len(rows)} blocks differ"
    title = f"{bay.bay_id}: {differ}, {_as_of(bay, first, True)} and {_as_of(bay, second, True)}"
    known = coverage(history, bay, start, end)
    return _print(Answer(title, bay.zone, columns, rows, "no block differs", (), known), options, history)


def _gaps(history: History, options: argparse.Namespace) -> int:
    bay = load_bay(options.bay)
    start, end = period_of(bay, options, days=1)
    end = min(end, datetime.now(UTC))
    known = coverage(history, bay, start, end)  # of a bay that never ran, every slot would be missing
    first = history.first_slot(bay.bay_id)
    if first is not None and end <= first:
        raise NotObservedError(
            f"bay {bay.bay_id} was not observed, {said(bay, start, end)}: its history begins at"
            f" {first.astimezone(bay.zone):%Y-%m-%d %H:%M %Z}"
        )
    gaps, marks = history.gaps(bay, start, end), history.marks(bay.bay_id, start, end)
    marked = f", {len({mark.slot for mark in marks})} marked" if marks else ""
    title = f"{bay.bay_id}: {counted(len(gaps), 'slot')} missing{marked}, {said(bay, start, end)}"
    found = sorted([*gaps, *(Gap(mark.slot, mark.kind, mark.reason) for mark in marks)], key=lambda gap: gap.slot)
    if options.json or options.csv or options.parquet:
        columns: tuple[str, ...] = ("slot", "outcome", "reason")
        rows = [_row(gap) for gap in found]
    else:
        columns = ("from", "to", "slots", "outcome", "reason")
        rows = _runs(found, list(scheduled_slots(bay, start, end)))
    return _print(Answer(title, bay.zone, columns, rows, "none is missing", (), known), options, history)


def _cameras(history: History, options: argparse.Namespace) -> int:
    bay = load_bay(options.bay)
    start, end = period_of(bay, options, days=1)
    changes = history.camera_changes(bay.bay_id, start, end, options.down_after)
    title = f"{bay.bay_id}: cameras down and up, {said(bay, start, end)}"
    columns = ("slot", "kind", "camera", "time", "reason")
    known = coverage(history, bay, start, end)
    rows = [_row(one) for one in changes]
    return _print(Answer(title, bay.zone, columns, rows, "no camera did", (), known), options, history)


def _names(history: History, options: argparse.Namespace) -> int:
    bay = load_bay(options.bay)
    rows = [_row(name) | {"alternatives": dict(name.alternatives)} for name in BlockNames(history, bay.bay_id).held()]
    columns = ("name", "track_id", "probability", "alternatives", "given_by", "given_at")
    title = f"{bay.bay_id}: {counted(len(rows), 'block')} with a number"
    known = as_of(history, bay)
    title += f", {_as_of(bay, known, False)}"
    return _print(Answer(title, bay.zone, columns, rows, "no block has one", (), known), options, history)


def _name(history: History, options: argparse.Namespace) -> int:
    bay = load_bay(options.bay)
    names = BlockNames(history, bay.bay_id)
    if options.list is not None:
        return _name_by_list(history, bay, options)
    if options.take:
        names.take(options.take, getuser())
        print(f"{options.take} is the number of no block of bay {bay.bay_id} now")
        return 0
    if options.track is None or options.number is None:
        raise ConfigError(
            "name: say which block and which number: name BAY TRACK NUMBER; or --list FILE, or --take NUMBER"
        )
    given = names.give(track_of(history, bay, options.track), options.number, getuser(), move=options.move)
    print(f"{given.track_id} is block {given.name}")
    return 0


def _name_by_list(history: History, bay: BayConfig, options: argparse.Namespace) -> int:
    names = BlockNames(history, bay.bay_id)
    try:
        text = options.list.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{options.list}: cannot be read: {error}") from error
    rows = [_row(one) for one in names.give_list(bay, text, getuser())]
    columns = ("name", "area", "outcome", "track_id", "candidates")
    done = sum(row["outcome"] in (ListOutcome.NAMED, ListOutcome.KEPT) for row in rows)
    title = f"{bay.bay_id}: {done} of {len(rows)} numbers are a block's"
    status = _print(Answer(title, bay.zone, columns, rows), options, history)
    return status if done == len(rows) else FAILED


def _called(name: BlockName | None) -> str:
    """The number of a block, and how certain that is."""
    if name is None:
        return ""
    doubts = [f"{name.probability:.0%} certain"] if name.probability < 1 else []
    doubts += [f"may be {track_id} ({share:.0%})" for track_id, share in name.alternatives]
    return f" (block {', '.join([name.name, *doubts])})"


def _export(history: History, options: argparse.Namespace) -> int:
    history.newest_slot(load_bay(options.bay).bay_id)
    for line in history.export(options.bay):
        print(line)
    return 0


# -- the database -----------------------------------------------------------------------------------


def _migrate(history: History, _: argparse.Namespace) -> int:
    before = history.database.migrate()
    print(f"{history.database.location}: schema {before or 'made'}, now up to date")
    return 0


def _rebuild(history: History, options: argparse.Namespace) -> int:
    bay, store = load_bay(options.bay), ArtifactStore().existing()
    with open_ledger(store, bay, history) as ledger:
        if options.source == "history":
            print(f"{store.location}: the tracker's state after {ledger.take_history()} restored from the history")
            return 0
        if not ledger.known:
            raise HistoryError(
                f"bay {bay.bay_id} has no tracking artifacts under {store.location}, and its history is empty:"
                " there is nothing to rebuild from"
            )
        known = ledger.known
        kept = None
        if options.source == "artifacts":
            kept = ledger.take_artifacts()
        else:
            ledger.correct(all_slots=True)
    print(f"{history.database.location}: bay {bay.bay_id}, {len(known)} slots from {known[0]} to {known[-1]} written")
    if kept is not None:
        print(f"up to {kept:%Y-%m-%d %H:%M} UTC as it was: housekeeping deleted the artifacts before")
    return 0


def _withdraw(history: History, options: argparse.Namespace) -> int:
    bay = load_bay(options.bay)
    with open_ledger(ArtifactStore().existing(), bay, history) as ledger:
        if options.undo:
            replayed = ledger.undo_withdrawal(options.batch).replayed
            print(f"batch {options.batch} is tracked again; {replayed} later batches with it")
            return 0
        if not options.why:
            raise ConfigError("withdraw: say why: --why 'the frames are of another day'")
        today = datetime.now(UTC).astimezone(bay.zone)
        replayed = ledger.withdraw(options.batch, f"{options.why} ({getuser()}, {today:%Y-%m-%d %H:%M})")
    print(f"batch {options.batch} is withdrawn; {replayed} later batches were tracked again without it")
    return 0


def _prune(history: History, options: argparse.Namespace) -> int:
    bay_id = None if options.bay is None else load_bay(options.bay).bay_id
    deleted = history.prune(datetime.now(UTC) - timedelta(days=options.older_than), bay_id)
    for table, rows in deleted.items():
        print(f"{table}: {rows} rows deleted")
    return 0


def _history() -> History:
    # A store on S3 has no folder to put an SQLite into, and needs none where there is a server.
    url = settings.HISTORY_DB.read()
    return History(url) if url else History.at(data_path())


# -- words and times --------------------------------------------------------------------------------


def _row(value: Any) -> dict[str, Any]:
    if isinstance(value, tuple):  # a named one
        return dict(value._asdict())  # type: ignore[attr-defined]
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _centre(point: Any) -> dict[str, float]:
    return {"x_m": float(point.x), "y_m": float(point.y)}


def _runs(gaps: Sequence[Gap], scheduled: Sequence[datetime]) -> list[dict[str, Any]]:
    """Gaps of the same outcome in slots that follow one another, as one row."""
    place = {slot: number for number, slot in enumerate(scheduled)}
    runs: list[list[Gap]] = []
    for gap in gaps:
        before = runs[-1][-1] if runs else None
        follows = before is not None and place.get(gap.slot, -1) - place.get(before.slot, -1) == 1
        if before is not None and follows and before.slot in place and _sort_of(before) == _sort_of(gap):
            runs[-1].append(gap)
        else:
            runs.append([gap])
    return [
        {"from": run[0].slot, "to": run[-1].slot, "slots": len(run), "outcome": run[0].outcome, "reason": run[0].reason}
        for run in runs
    ]


def _sort_of(gap: Gap) -> tuple[str, str]:
    # Each slot of a closed window has its own time of day in its reason.
    return gap.outcome, "" if gap.outcome == GapOutcome.CLOSED else gap.reason


def _areas(bay: BayConfig, options: argparse.Namespace) -> list[str]:
    """The area that is asked for and those within it; all of them when none is."""
    return [] if options.area is None else nested_areas(bay, options.area)


def _in_area(options: argparse.Namespace) -> str:
    return "" if options.area is None else f", area {options.area}"


def _as_of(bay: BayConfig, known: AsOf, asked: bool) -> str:
    """As of when an answer is: the slot that it is of, and how far that is from the time that was meant."""
    slot = f"as of {known.slot.astimezone(bay.zone):%Y-%m-%d %H:%M}"
    if not asked:
        return f"{slot}, {ago(known.age)} ago"
    moment = f"{known.moment.astimezone(bay.zone):%Y-%m-%d %H:%M}"
    if known.observed:
        return f"at {moment}, {slot}"
    return f"at {moment}, {slot}: not observed for the {ago(known.age)} since"


def _refuse_unobserved(bay: BayConfig, known: Coverage) -> None:
    if not known.tracked:
        raise NotObservedError(
            f"bay {bay.bay_id}, {said(bay, known.start, known.end)} ({bay.timezone}): {known.said(bay.zone)}, so that"
            " it is not known what stood there or happened"
        )


def _columns(stays: Sequence[Stay], rows: Sequence[dict[str, Any]], *, period: bool = False) -> tuple[str, ...]:
    lasting = all(stay.until is None for stay in stays) and not period
    named = ["block"] if any(row["block"] for row in rows) else []
    return (*named, *_STAY, *([] if lasting else ["until"]), *_PLACE)


def _stays(stays: Sequence[Stay], names: Mapping[str, BlockName]) -> list[dict[str, Any]]:
    return [
        _row(stay) | _centre(stay.footprint.centroid) | {"block": getattr(names.get(stay.track_id), "name", None)}
        for stay in stays
    ]


def _print(answer: Answer, options: argparse.Namespace, history: History) -> int:
    answer = replace(answer, source=history.database.location)
    if options.json:
        print(answer.to_json())
    elif options.csv:
        print(answer.to_csv(), end="")
    elif options.parquet is not None:
        answer.write_parquet(options.parquet)
        print(f"{options.parquet}: {counted(len(answer.rows), 'row')}", file=sys.stderr)
    else:
        console = output_console()
        console.print(answer.to_table(console.width))
    return 0


# -- arguments --------------------------------------------------------------------------------------


def make_parser() -> argparse.ArgumentParser:
    """The commands and their arguments."""
    parser = argparse.ArgumentParser(
        prog=program("python -m tracking"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=__doc__,
        epilog="exit status: 0 an answer, 1 no such block, 2 wrong use, as a bay or an area that there is not,\n"
        "3 nothing is known of that bay or time, or no database",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    show = _question(commands, "show", _show, "what stands in the bay, or where a block is and was")
    show.add_argument("--at", metavar="TIME", help="as it was then")
    show.add_argument("--area", help="in this area and those within it")
    one = show.add_mutually_exclusive_group()
    one.add_argument("--track", metavar="ID", help="one block: 3bay_north-000012, #12, or the yard's own number")
    one.add_argument("--block", metavar="NUMBER", help="one block by the yard's own number, as 4412P")
    _add_period(show)

    events = _question(commands, "events", _events, "what happened (since yesterday's begin)")
    _add_period(events)
    events.add_argument(
        "--kind",
        action="append",
        default=[],
        metavar="KIND",
        help=f"only these, may be repeated: {', '.join(EventKind)}",
    )
    events.add_argument("--area", help="from or to this area and those within it")
    events.add_argument("--track", metavar="ID", help="of one block: id, number, or name")
    events.add_argument(
        "--hours",
        type=hours_of,
        metavar="HH:MM-HH:MM",
        help="only these hours, the end not included: a shift; with --day the one that begins in it",
    )

    _add_period(_question(commands, "dwell", _dwell, "how long blocks stood per area and stage (in the last week)"))
    use = _question(commands, "use", _use, "how much of each area's floor was used, day by day (in the last week)")
    _add_period(use)
    use.add_argument("--area", help="this area and those within it")
    difference = "which blocks differ between two moments (yesterday's begin and now)"
    _add_period(_question(commands, "diff", _differences, difference))
    _add_period(_question(commands, "gaps", _gaps, "slots that are missing, and why (since yesterday's begin)"))
    cameras = _question(commands, "cameras", _cameras, "cameras that went down or came back (since yesterday's begin)")
    _add_period(cameras)
    cameras.add_argument(
        "--down-after", type=positive_number, default=DOWN_AFTER, metavar="N", help=f"failures in a row ({DOWN_AFTER})"
    )

    _question(commands, "names", _names, "the yard's own numbers of blocks, and how certain they are")
    name = _question(commands, "name", _name, "give a block the yard's own number, or take it away")
    name.add_argument("track", nargs="?", help="a block that stands in the bay: 3bay_north-000012, or #12")
    name.add_argument("number", nargs="?", help="its number, as 4412P")
    name.add_argument("--move", action="store_true", help="though another block has it")
    name.add_argument("--take", metavar="NUMBER", help="take a number from its block")
    name.add_argument("--list", type=existing_path, metavar="FILE", help="CSV with the columns number and area")

    export = commands.add_parser("export", help="everything of a bay, a JSON document a line")
    rebuild = commands.add_parser("rebuild", help="bring a bay's history and tracking artifacts in line again")
    rebuild.add_argument(
        "--source",
        choices=("both", "artifacts", "history"),
        default="both",
        help="both: nothing is lost that either has; artifacts: delete what they do not have;"
        " history: restore the tracker's state from it, where the artifacts are gone",
    )
    withdraw = commands.add_parser("withdraw", help="take a slot out of tracks and history, or back in")
    for command, run in ((export, _export), (rebuild, _rebuild), (withdraw, _withdraw)):
        command.add_argument("bay", help="a bay's id, as 3bay_north")
        command.set_defaults(run=run)
    withdraw.add_argument("batch", help="as 3bay_north_20250702-071000")
    withdraw.add_argument("--why", metavar="TEXT", help="the reason, kept with your name")
    withdraw.add_argument("--undo", action="store_true", help="track the batch again")
    commands.add_parser("migrate", help="bring the schema up to date").set_defaults(run=_migrate)
    prune = commands.add_parser("prune", help="delete what is old; what stands now stays")
    prune.add_argument("--older-than", type=positive_number, required=True, metavar="DAYS", help="days")
    prune.add_argument("bay", nargs="?", help="of this bay only")
    prune.set_defaults(run=_prune)
    return parser


def _question(commands: Any, name: str, run: Any, words: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=words)
    command.add_argument("bay", help="a bay's id, as 3bay_north")
    how = command.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="one JSON document in place of the table")
    how.add_argument("--csv", action="store_true", help="CSV in place of the table")
    how.add_argument("--parquet", type=_parquet, metavar="FILE", help="write a Parquet file in place of the table")
    command.set_defaults(run=run)
    return command


def _parquet(text: str) -> Path:
    """For argparse: a name that says another format is not meant."""
    path = Path(text)
    if path.suffix.lower() not in (".parquet", ".pq"):
        raise argparse.ArgumentTypeError(f"{text}: a Parquet file ends in .parquet; for CSV: --csv > {path.stem}.csv")
    return path


def _add_period(command: argparse.ArgumentParser) -> None:
    command.add_argument("--day", metavar="DAY", help="today, yesterday, or a date: the bay's own day")
    command.add_argument("--from", dest="start", metavar="TIME", help="begin of the period")
    command.add_argument("--to", dest="end", metavar="TIME", help="its end, not included; now when left out")


if __name__ == "__main__":
    run_command(main)
