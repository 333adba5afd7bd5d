"""`python -m fusion refine-poses BAY`: all cameras of a bay by the blocks that stand in it."""

import argparse
import difflib
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.table import Table

from artifacts import ArtifactStore
from bay_observation.commands import DONE, output_console
from bay_observation.errors import ConfigError, NotObservedError
from bays import BayConfig, slot_of
from bays.editing import read_text, write_calibrations
from bays.loading import bay_file
from bays.zones import written_time
from fusion.refining import Refinement, Survey, refine_poses

_DAY = timedelta(days=1)


def add_refine(commands: "argparse._SubParsersAction[Any]") -> None:
    """The command and its arguments."""
    usual = Survey()
    parser = commands.add_parser("refine-poses", help="estimate all cameras by the blocks that stand in the bay")
    parser.add_argument("bay", help="a bay's id, as 3bay_north")
    parser.add_argument("--from", dest="start", metavar="TIME", help="begin of the period; default: a day before --to")
    parser.add_argument("--to", dest="end", metavar="TIME", help="end of the period; default: the newest batch")
    parser.add_argument("--batches", type=int, default=12, help="to look at, spread over the period")
    parser.add_argument("--turn-std", type=float, default=usual.turn_deg, help="of the file's directions, degrees")
    parser.add_argument("--place-std", type=float, default=usual.place_m, help="of the surveyed positions, metres")
    add_since(parser)
    parser.add_argument(
        "--apply", action="store_true", help="write the bay's file; without it the change is only shown"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document in place of the table")
    parser.add_argument("--data", type=Path, help="the store; default: DATA_PATH")
    parser.set_defaults(run=refine)


def add_since(parser: argparse.ArgumentParser) -> None:
    """The argument of commands that write poses."""
    parser.add_argument(
        "--since",
        metavar="TIME",
        help="when it was moved: slots before keep the file's pose; default: the new one holds for all slots",
    )


def since_of(options: argparse.Namespace, bay: BayConfig) -> datetime | None:
    """The moment (aware, UTC) of `--since`.

    Raises:
        ConfigError: it is no time, or one to come.
    """
    if options.since is None:
        return None
    since = written_time(options.since, bay.zone)
    if since > datetime.now(UTC):
        raise ConfigError(f"--since {options.since}: lies in the future")
    return since


def refine(options: argparse.Namespace, bay: BayConfig) -> int:
    """Estimate, report, propose; write where asked to."""
    if options.batches < 1 or options.turn_std <= 0 or options.place_std <= 0:
        raise ConfigError("--batches must be at least 1, and --turn-std and --place-std above 0")
    since = since_of(options, bay)
    store = ArtifactStore(options.data)
    batches = _chosen(store, bay, options)
    found = [reference for batch in batches if (reference := store.find("observation", bay.bay_id, batch))]
    survey = Survey(turn_deg=options.turn_std, place_m=options.place_std)
    result = refine_poses([store.load(reference) for reference in found], bay, survey)
    if options.json:
        document = {"bay_id": bay.bay_id, "batches": batches, "all_off": result.all_off}
        document |= {"gauge_std_m": result.gauge_std_m, "cameras": [_plain(one) for one in result.cameras]}
        print(json.dumps(document, indent=1))
    else:
        _print_result(result, batches)
    _propose(bay, result, options, since)
    return DONE


def _plain(camera: Any) -> dict[str, Any]:
    lens = {"pose": camera.pose.model_dump(), "intrinsics": camera.intrinsics.model_dump(mode="json")}
    return {key: value for key, value in asdict(camera).items() if key not in lens} | lens


def _chosen(store: ArtifactStore, bay: BayConfig, options: argparse.Namespace) -> list[str]:
    """Ids of the batches of the period, so many of them, spread evenly."""
    known = store.batch_ids("observation", bay.bay_id)
    if not known:
        raise NotObservedError(
            f"{store.location}: no observation of bay {bay.bay_id}: run its batches first, or give --data"
        )
    end = written_time(options.end, bay.zone) if options.end else slot_of(known[-1])
    start = written_time(options.start, bay.zone) if options.start else end - _DAY
    start = max(start, bay.unmoved_since or start)
    within = [batch for batch in known if start <= slot_of(batch) <= end]
    if not within:
        raise NotObservedError(
            f"{store.location}: no observation of bay {bay.bay_id} from {start:%Y-%m-%d %H:%M} to"
            f" {end:%Y-%m-%d %H:%M} UTC: give another --from and --to"
        )
    count = min(options.batches, len(within))
    return [within[round(number * (len(within) - 1) / max(1, count - 1))] for number in range(count)]


def _print_result(result: Refinement, batches: Sequence[str]) -> None:
    table = Table("camera", "turned", "moved", "places", "px", "refined", "cm", "refined ")
    table.title = f"{len(batches)} batches, {batches[0]} to {batches[-1]}, {result.places} places"
    for one in result.cameras:
        table.add_row(
            f"{one.camera}{' !' if one.is_off else ''}",
            f"{one.turn_deg:.3f} ± {one.turn_std_deg:.3f}°",
            f"{one.moved_m:.3f} ± {one.place_std_m:.3f} m",
            str(one.places),
            *(f"{value:.2f}" for value in (one.before_px, one.after_px)),
            *(f"{value:.1f}" for value in (one.before_cm, one.after_cm)),
        )
    output_console().print(table)
    off = [one.camera for one in result.cameras if one.is_off]
    if result.all_off:
        print(f"{len(off)} of {len(result.cameras)} cameras are surely not as the file says: all are off alike")
    elif off:
        print(f"surely not as the file says: {', '.join(off)}")
    print(
        f"No block shows where the whole floor plan lies: that rests on the cameras' surveyed positions,"
        f" to ± {100 * result.gauge_std_m:.1f} cm."
    )


def _propose(bay: BayConfig, result: Refinement, options: argparse.Namespace, since: datetime | None) -> None:
    path = bay_file(bay.bay_id)
    old = read_text(path)
    change = {one.camera: (one.pose, one.intrinsics) for one in result.cameras}
    new = write_calibrations(bay.bay_id, change, since=since, dry_run=not options.apply)
    if options.json:
        return
    print("\n".join(difflib.unified_diff(old.splitlines(), new.splitlines(), str(path), str(path), lineterm="", n=1)))
    print(f"{path}: {'written' if options.apply else 'not written (give --apply)'}")
