"""`python -m lab.backtest run BAY --from TIME --to TIME`: a stored day again, beside the live history.

The live artifacts are those under `DATA_PATH`, the bay's file is in `BAYS_PATH`. Times
without an offset are the bay's own.
"""

import argparse
import json
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from artifacts import ArtifactStore
from bay_observation.commands import existing_path, failed, output_console, program, run_command
from bay_observation.errors import BacktestError, BayObservationError, ConfigError
from bays import BayConfig, load_bay
from bays.zones import written_time
from lab.backtest.comparison import Comparison, compare, counted
from lab.backtest.frames import export_frames, stored_slots
from lab.backtest.trial import Ran, Trial, read_changes

_SHOWN = 20
_CLOSE_M = 0.1


def main(arguments: list[str] | None = None) -> int:
    """Run the command: 0; 1 when a run of the trial failed, or the command could not be done; 2 for wrong use."""
    options = make_parser().parse_args(arguments)
    # So that a `kill` stops the trial's Airflow too, through its context manager.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return int(options.run(options))
    except BayObservationError as error:
        return failed(error)
    except KeyboardInterrupt:
        print("backtest: stopped", file=sys.stderr)
        return 130


def _run(options: argparse.Namespace) -> int:
    trial = _trial(options)
    # What is said on the way must not get between the lines of a JSON document.
    console = Console(stderr=True)
    bay = trial.prepare(read_changes(options.params), fresh=options.fresh)
    console.print(f"{len(list((trial.folder / 'frames').rglob('*.jpg')))} frames written; starting Airflow …")
    ran = trial.run(bay, lambda words: console.print(words, highlight=False), options.port)
    for name, runs in ran.failed.items():
        console.print(f"{name}: failed: {', '.join(runs)}", style="red", highlight=False, soft_wrap=True)
    _tell(trial, bay, options, ran)
    return 1 if ran.failed else 0


def _compare(options: argparse.Namespace) -> int:
    _tell(_trial(options), load_bay(options.bay), options, None)
    return 0


def _export(options: argparse.Namespace) -> int:
    bay = load_bay(options.bay)
    store = ArtifactStore()
    slots = stored_slots(store, bay.bay_id, written_time(options.start, bay.zone), written_time(options.end, bay.zone))
    exported = export_frames(store, bay.bay_id, slots, options.into)
    print(f"{options.into}: {exported.frames} frames of {len(exported.slots)} slots")
    for slot, cameras in exported.missing.items():
        print(f"{slot.astimezone(bay.zone):%Y-%m-%d %H:%M}: no frame of {', '.join(cameras)}")
    return 0


def _trial(options: argparse.Namespace) -> Trial:
    bay = load_bay(options.bay)
    start, end = written_time(options.start, bay.zone), written_time(options.end, bay.zone)
    if start >= end:
        raise ConfigError("--from must lie before --to")
    if end > datetime.now(UTC):
        raise ConfigError("--to lies in the future: Airflow refuses a backfill of future slots")
    folder = options.output or Path("backtests") / f"{bay.bay_id}_{start:%Y%m%d-%H%M}"
    return Trial(folder, bay.bay_id, ArtifactStore(), start, end)


def _tell(trial: Trial, bay: BayConfig, options: argparse.Namespace, ran: Ran | None) -> None:
    live, again = trial.results(trial.live), trial.results()
    if not again:
        raise BacktestError(f"{trial.folder}: no slot of the trial was tracked; logs: {trial.folder / 'airflow/logs'}")
    comparison = compare(live, again)
    if options.json:
        failed = {} if ran is None else {name: list(runs) for name, runs in ran.failed.items()}
        document = {"bay_id": bay.bay_id, "folder": str(trial.folder), "failed": failed, **comparison.to_dict()}
        print(json.dumps(document, indent=1))
        return
    console = output_console()
    for table in tables(comparison, bay):
        console.print(table)
    if ran is not None and ran.off_schedule:
        console.print(f"{len(ran.off_schedule)} stored slots are off the schedule and were not run again")
    console.print(f"trial: {trial.folder}", soft_wrap=True)


def tables(comparison: Comparison, bay: BayConfig) -> list[Table]:
    """For a person: the sums, then each difference."""
    sums = Table(title=f"{bay.bay_id}: live and trial", box=SIMPLE_HEAD, title_justify="left", show_header=False)
    shared = [count for count in comparison.slots if count.live is not None and count.trial is not None]
    sums.add_row("slots in both, only live, only trial", _slots(comparison))
    sums.add_row(
        "blocks in all slots of both", f"{sum(c.live or 0 for c in shared)}, {sum(c.trial or 0 for c in shared)}"
    )
    sums.add_row("tracks only live, only trial", f"{len(comparison.only_live)}, {len(comparison.only_trial)}")
    sums.add_row("live tracks that are several in the trial", str(len(comparison.split)))
    sums.add_row("trial tracks that are several live ones", str(len(comparison.joined)))
    sums.add_row("events of both", str(comparison.events_of_both))
    for what, count in counted(comparison.events).items():
        sums.add_row(f"events: {what}", str(count))
    return [sums, _count_table(comparison, bay), _track_table(comparison), _event_table(comparison, bay)]


def _slots(comparison: Comparison) -> str:
    live = sum(count.trial is None for count in comparison.slots)
    trial = sum(count.live is None for count in comparison.slots)
    return f"{len(comparison.slots) - live - trial}, {live}, {trial}"


def _count_table(comparison: Comparison, bay: BayConfig) -> Table:
    table = Table("slot", "live", "trial", title="Slots with another number of blocks", box=SIMPLE_HEAD)
    for count in [count for count in comparison.slots if count.live != count.trial][:_SHOWN]:
        shown = ("–" if number is None else str(number) for number in (count.live, count.trial))
        table.add_row(f"{count.slot.astimezone(bay.zone):%Y-%m-%d %H:%M}", *shown)
    return table


def _track_table(comparison: Comparison) -> Table:
    table = Table("live", "trial", "slots", "mean m", "largest m", "other area", "other stage", box=SIMPLE_HEAD)
    table.title = f"Blocks more than {_CLOSE_M:g} m apart, or in another area or stage"
    apart = [d for d in comparison.positions if d.largest_m > _CLOSE_M or d.other_area or d.other_stage]
    for each in apart[:_SHOWN]:
        numbers = (f"{each.mean_m:.2f}", f"{each.largest_m:.2f}", str(each.other_area), str(each.other_stage))
        table.add_row(each.live, each.trial, str(each.slots), *numbers)
    for track in comparison.only_live[:_SHOWN]:
        table.add_row(track, "–")
    for track in comparison.only_trial[:_SHOWN]:
        table.add_row("–", track)
    return table


def _event_table(comparison: Comparison, bay: BayConfig) -> Table:
    table = Table("time", "only", "kind", "track", "from", "to", title="Events of one alone", box=SIMPLE_HEAD)
    for each in comparison.events[:_SHOWN]:
        event = each.event
        before, after = (
            " ".join(filter(None, pair)) or "–"
            for pair in ((event.from_area, event.from_stage), (event.to_area, event.to_stage))
        )
        moment = f"{event.time.astimezone(bay.zone):%m-%d %H:%M}"
        table.add_row(moment, each.only, str(event.kind), event.track_id, before, after)
    return table


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def make_parser() -> argparse.ArgumentParser:
    """The commands and their arguments."""
    parser = argparse.ArgumentParser(
        prog=program("python -m lab.backtest"),
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = _command(commands, "run", _run, "run a stored period again, and compare")
    run.add_argument(
        "--params", type=existing_path, metavar="FILE", help="YAML with the keys of the bay's file that differ"
    )
    run.add_argument("--fresh", action="store_true", help="start with an empty floor instead of the live state")
    run.add_argument("--port", type=int, help="of the trial's Airflow UI (a free one)")
    again = _command(commands, "compare", _compare, "compare a trial that was run with the live history")
    for command in (run, again):
        command.add_argument("--output", type=Path, metavar="FOLDER", help="of the trial (backtests/BAY_FROM)")
        command.add_argument("--json", action="store_true", help="one JSON document in place of tables")
    export = _command(commands, "export", _export, "write stored frames as files, for the provider `file`")
    export.add_argument("--into", type=Path, required=True, metavar="FOLDER", help="where the frames go")
    return parser


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, run: object, words: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=words)
    command.add_argument("bay", help="a bay's id, as 3bay_north")
    command.add_argument("--from", dest="start", required=True, metavar="TIME", help="begin of the period")
    command.add_argument("--to", dest="end", required=True, metavar="TIME", help="its end, not included")
    command.set_defaults(run=run)
    return command


if __name__ == "__main__":
    run_command(main)
