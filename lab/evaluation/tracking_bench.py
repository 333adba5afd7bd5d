"""`make eval-tracking`: the tracker over busy days, beside three others on the same floor plans.

Prints every figure beside its bar, writes `lab/benchmarks/results/tracking.json`, and exits
with 1 when a bar does not hold. Every figure is of the tracker as it is: to the last slot of
each day, on every reported track. With `--parts` a run can be stopped and gone on with: each case
and seed is kept in that folder, and measured again only when the code or the bays changed.
"""

import argparse
import json
import os
import pickle
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from rich.table import Table

from artifacts.format import to_bytes
from bay_observation.commands import output_console, run_command
from bay_observation.files import write_atomically
from bays import Area, BayConfig, Layout, batch_id, load_bay
from fusion.types import FusedBlock, FusionResult
from lab.bars import Bar, bars_table
from lab.evaluation import place_first
from lab.evaluation.tracking_baselines import byte_track, greedy
from lab.evaluation.tracking_cases import CASES
from lab.evaluation.tracking_days import SLOT, Sight
from lab.evaluation.tracking_runs import KINDS, WORK_KINDS, Run, run_of
from lab.evaluation.twin_days import answers, shares, twin_day
from lab.machine import machine
from tracking import Tracker, TrackingResult, replay

_RESULTS = Path("lab/benchmarks/results")
_LIBRARIES = ("trackeval", "trackers", "numpy", "shapely")
_MANY = 500
_MANY_SLOTS = 12
_LATE_SLOTS = 6  # by which a batch may come late
_REPEATED = 0.1
_ORDERED_CASES = ("ordinary", "15 % of slots missing")
_ORDERED_SLOTS = 72
_RENDERED_BAY = "demo_bay"  # whose models know the simulated yard
_CODE = ("tracking", "lab/evaluation", "lab/simulation", "bays", "fusion")
_WITH, _WITHOUT = "with descriptors", "without"
_DECILE_CLAIMS = 50  # that a decile of said probabilities must hold to be held against a bar

TRACKER, PLACE_FIRST, GREEDY, BYTE_TRACK = "tracker", "place first", "greedy", "ByteTrack"
OTHERS = (PLACE_FIRST, GREEDY, BYTE_TRACK)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; 0 when every bar holds, 1 when one does not."""
    options = _parser().parse_args(arguments)
    chosen = [case for case in CASES if not options.case or case in options.case]
    results = measure(load_bay(options.bay), options.seeds, chosen, options.workers, options.parts)
    results["twins"] = _twins(load_bay(_RENDERED_BAY), options.twin_seeds)
    results["settings"] = {"bay": options.bay, "seeds": options.seeds, "twin_seeds": options.twin_seeds}
    bars = bars_of(results)
    results["bars"] = [asdict(bar) | {"holds": bar.holds} for bar in bars]
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "tracking.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    console = output_console(170)
    console.print(_cases_table(results))
    console.print(_claims_table(results))
    console.print(_twins_table(results))
    console.print(bars_table(bars))
    console.print(f"written to {options.out}/tracking.json")
    return 0 if all(bar.holds for bar in bars) else 1


def measure(
    bay: BayConfig, seeds: Sequence[int], cases: Sequence[str], workers: int = 1, parts: Path | None = None
) -> dict[str, Any]:
    """Every case over the days of each seed, the order of arrival and the speed, as one document of JSON types."""
    began = time.monotonic()
    runs = {case: {name: Run() for name in (TRACKER, *OTHERS)} for case in cases}
    same, seconds = [], []
    for case, of_seed, in_order, spent in _measured(bay, seeds, cases, workers, parts):
        for name, run in of_seed.items():
            runs[case][name] += run
        same += in_order
        seconds += spent
    results = {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(_LIBRARIES),
        "cases": {case: {name: run.document() for name, run in of.items()} for case, of in runs.items()},
        "claims": _deciles([claim for of in runs.values() for claim in of[TRACKER].claims]),
        "same_history": same,
        "update_cpu_ms": {
            "30 blocks": _spread(seconds),
            f"{_MANY} blocks": _spread(_many_blocks(bay)),
        },
        "took_s": time.monotonic() - began,
    }
    return json.loads(json.dumps(results))  # type: ignore[no-any-return]  # as it is when read back


_Measured = tuple[str, dict[str, Run], list[bool], list[float]]


def _measured(
    bay: BayConfig, seeds: Sequence[int], cases: Sequence[str], workers: int, parts: Path | None
) -> Iterator[_Measured]:
    folder = None if parts is None else parts / _digest_of_code()
    jobs = [(bay, case, seed, folder) for case in cases for seed in seeds]
    if workers == 1:
        yield from (_part(*job) for job in jobs)
        return
    with ProcessPoolExecutor(workers) as pool:
        for number, done in enumerate(pool.map(_part, *zip(*jobs, strict=True)), start=1):
            print(f"{number} of {len(jobs)}: {done[0]}", file=sys.stderr, flush=True)
            yield done


def _part(bay: BayConfig, case: str, seed: int, folder: Path | None) -> _Measured:
    """One case on the days of one seed, as it was measured before where it was."""
    if folder is None:
        return _one(bay, case, seed)
    path = folder / f"{bay.bay_id}-{list(CASES).index(case)}-{seed}.pickle"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, pickle.dumps(_one(bay, case, seed)))
    kept: _Measured = pickle.loads(path.read_bytes())
    return kept


def _digest_of_code() -> str:
    """Of all that a case's figures depend on, as far as it lies in this project."""
    files = sorted(path for name in _CODE for path in Path(name).rglob("*") if path.suffix in (".py", ".yaml"))
    return sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


def _one(bay: BayConfig, case: str, seed: int) -> _Measured:
    """One case on the days of one seed, under every tracker."""
    day = CASES[case].day(bay, seed, Sight(bay))
    seconds: list[float] = []
    history = _timed(bay, day.results, seconds)
    runs = {TRACKER: run_of(day, _floor_of(history), [event for one in history for event in one.events])}
    before = _followed_by(place_first.Tracker, bay, day.results)
    runs[PLACE_FIRST] = run_of(day, _floor_of(before), [event for one in before for event in one.events])
    for name, follow in ((GREEDY, greedy), (BYTE_TRACK, byte_track)):
        followed = follow(day.results)
        runs[name] = run_of(day, followed.floor, followed.events)
    some = day.results[:_ORDERED_SLOTS]
    ordered = _exported(history[: len(some)])
    in_order = [_exported(_as_they_come(bay, some, seed)) == ordered] if case in _ORDERED_CASES else []
    return case, runs, in_order, seconds


def bars_of(results: Mapping[str, Any]) -> list[Bar]:
    """The figures that have a bar, of what was measured."""
    bars: list[Bar] = []
    for case, of in results["cases"].items():
        scores = of[TRACKER]
        bars += [Bar(f"{case}: {_NAMES[name]}", scores[name], ">=", bar) for name, bar in CASES[case].scores]
        bars += [Bar(f"{case}: F1 of {kind}", scores["events"][kind]["f1"], ">=", bar) for kind, bar in CASES[case].f1]
        if CASES[case].standing:
            bars.append(Bar(f"{case}: switches of standing blocks", scores["standing_switches"], "<=", 0))
            bars.append(Bar(f"{case}: slots from event to report (median)", scores["late_slots"], "<=", 1))
        for name in OTHERS:
            bars.append(Bar(f"{case}: HOTA, against {name}", scores["hota"], ">", of[name]["hota"]))
            bars.append(Bar(f"{case}: F1 of events, against {name}", scores["event_f1"], ">", of[name]["event_f1"]))
    bars += [
        Bar(f"identities said to be {one['from']:.0%} to {one['to']:.0%} likely: off by", abs(one["off"]), "<=", 0.05)
        for one in results["claims"]
        if one["count"] >= _DECILE_CLAIMS
    ]
    twins = results.get("twins", {})
    if twins:
        seen, unseen = (twins[name]["looks different"] for name in (_WITH, _WITHOUT))
        of = "twins that look different, from frames"
        bars.append(Bar(f"{of}: told apart", seen["told apart"], ">=", 0.8))
        bars.append(Bar(f"{of}: wrongly claimed", seen["wrong"], "<=", 0.02))
        bars.append(Bar(f"{of}: told apart, against no descriptors", seen["told apart"], ">", unseen["told apart"]))
    same, cpu = results["same_history"], results["update_cpu_ms"]
    bars.append(
        Bar("shuffled and repeated: days whose history is byte for byte the ordered one", sum(same), ">=", len(same))
    )
    bars.append(Bar("one update, 24 to 30 blocks, CPU (median)", cpu["30 blocks"]["median"], "<=", 15, "ms"))
    bars.append(Bar(f"one update, {_MANY} blocks, CPU (median)", cpu[f"{_MANY} blocks"]["median"], "<=", 300, "ms"))
    return bars


_NAMES = {"hota": "HOTA", "idf1": "IDF1", "ass_a": "AssA"}


def _twins(bay: BayConfig, seeds: Sequence[int]) -> dict[str, dict[str, dict[str, float]]]:
    """Answers about twins from rendered frames, with descriptors and without; {} without a seed."""
    days = [twin_day(bay, seed) for seed in seeds]
    result = {}
    for name, with_looks in ((_WITH, True), (_WITHOUT, False)):
        given = [answer for day in days for answer in answers(bay, day, with_looks=with_looks)]
        different = [one for one in given if one.looks_different]
        result[name] = {"all": shares(given), "looks different": shares(different)}
    return result if days else {}


# -- trackers --------------------------------------------------------------------------------


def _timed(bay: BayConfig, results: Iterable[FusionResult], seconds: list[float]) -> list[TrackingResult]:
    state, history = None, []
    for result in results:
        before = time.process_time()
        history.append(Tracker(bay, state).update(result))
        seconds.append(time.process_time() - before)
        state = history[-1].state
    return history


def _followed_by(
    tracker: Callable[[BayConfig, Any], Any], bay: BayConfig, results: Iterable[FusionResult]
) -> list[Any]:
    state, history = None, []
    for result in results:
        history.append(tracker(bay, state).update(result))
        state = history[-1].state
    return history


def _floor_of(history: Iterable[Any]) -> dict[datetime, dict[str, Any]]:
    return {one.state.slot: {t.track_id: t for t in one.tracks if t.on_floor} for one in history}


# -- order of arrival ------------------------------------------------------------------------


def _as_they_come(bay: BayConfig, results: Sequence[FusionResult], seed: int) -> list[TrackingResult]:
    """Track batches that come up to an hour late, some of them twice, each as a processor would when it comes."""
    dice = np.random.default_rng([seed, 13])
    order = np.argsort(np.arange(len(results)) + dice.uniform(0, _LATE_SLOTS, len(results)))
    arrivals = [results[index] for index in order]
    for index in dice.permutation(len(arrivals))[: int(_REPEATED * len(arrivals))]:
        arrivals.insert(min(len(arrivals), int(index + dice.integers(1, 2 * _LATE_SLOTS))), arrivals[index])
    come: dict[datetime, FusionResult] = {}
    tracked: dict[datetime, TrackingResult] = {}
    for arrival in arrivals:
        if come.get(arrival.slot) is arrival:
            continue
        come[arrival.slot] = arrival
        before = max((slot for slot in tracked if slot < arrival.slot), default=None)
        again = [come[slot] for slot in sorted(come) if slot >= arrival.slot]
        replayed = replay(bay, tracked[before].state if before else None, again)
        tracked.update(zip((result.slot for result in again), replayed, strict=True))
    return [tracked[slot] for slot in sorted(tracked)]


def _exported(history: Iterable[TrackingResult]) -> bytes:
    """Every slot's whole result, as it is stored."""
    return b"".join(to_bytes("tracking", result) for result in history)


# -- speed -----------------------------------------------------------------------------------


def _many_blocks(bay: BayConfig) -> list[float]:
    """CPU seconds of updates with 500 blocks, on a floor as large as that takes."""
    side = 15.0
    columns = int(np.ceil(np.sqrt(_MANY)))
    area = Area(x=(0.0, side * columns), y=(0.0, side * columns))
    large = bay.model_copy(update={"layout": Layout(width=side * columns, height=side * columns, areas={"A": area})})
    dice = np.random.default_rng(17)
    sizes = dice.uniform((8, 6, 1), (12, 10, 6), (_MANY, 3))
    results = []
    for number in range(_MANY_SLOTS):
        blocks = []
        for index, (width, depth, height) in enumerate(sizes):
            x, y = (np.array(divmod(index, columns)) + 0.5) * side + dice.normal(0, 0.04, 2)
            shape = shapely.box(x - width / 2, y - depth / 2, x + width / 2, y + depth / 2)
            blocks.append(
                FusedBlock("block", shape, height, "A", "unit_assembly", 0.9, ("C_2", "D_2"), {}, 0.05, (), 0.9)
            )
        found = tuple(block for block in blocks if dice.random() > 0.02)
        time_ = datetime(2025, 7, 2, tzinfo=UTC) + number * SLOT
        results.append(FusionResult(batch_id(bay.bay_id, time_), bay.bay_id, found, shapely.MultiPolygon()))
    seconds: list[float] = []
    _timed(large, results, seconds)
    return seconds[1:]


# -- output ----------------------------------------------------------------------------------


def _deciles(claims: Sequence[tuple[float, bool]]) -> list[dict[str, float]]:
    """By tenths of the said probability: how many claims, what was said of them, and how many were right."""
    said, right = np.array([said for said, _ in claims]), np.array([right for _, right in claims], dtype=float)
    result = []
    for tenth in range(10):
        here = np.minimum((said * 10).astype(int), 9) == tenth if len(claims) else np.zeros(0, dtype=bool)
        if here.any():
            mean, share = float(said[here].mean()), float(right[here].mean())
            limits = {"from": tenth / 10, "to": (tenth + 1) / 10}
            result.append({**limits, "count": int(here.sum()), "said": mean, "right": share, "off": share - mean})
    return result


def _spread(seconds: Sequence[float]) -> dict[str, float]:
    return {"median": 1000 * statistics.median(seconds), "max": 1000 * max(seconds)}


def _cases_table(results: Mapping[str, Any]) -> Table:
    table = Table(title="Days of 24 to 30 blocks, from true footprints with fusion's own noise")
    for name in ("case", "", "HOTA", "DetA", "AssA", "IDF1", "switches", "standing", "error m", *KINDS, *WORK_KINDS):
        table.add_column(name, justify="left" if name in ("case", "") else "right")
    for case, of in results["cases"].items():
        for row, (name, one) in enumerate(of.items()):
            table.add_row(
                case if not row else "",
                name,
                *(f"{one[key]:.3f}" for key in ("hota", "det_a", "ass_a", "idf1")),
                str(one["switches"]),
                str(one["standing_switches"]),
                f"{one['position_error_m']['median']:.3f}",
                *(f"{one['events'][kind]['f1']:.3f}" for kind in (*KINDS, *WORK_KINDS)),
            )
        table.add_section()
    return table


def _claims_table(results: Mapping[str, Any]) -> Table:
    table = Table("said to be", "claims", "said", "right", title="How likely identities are said to be, and are")
    for one in results["claims"]:
        said, right = f"{one['said']:.3f}", f"{one['right']:.3f}"
        table.add_row(f"{one['from']:.0%} to {one['to']:.0%}", str(one["count"]), said, right)
    return table


def _twins_table(results: Mapping[str, Any]) -> Table:
    table = Table("twins that change, from frames", "", "answers", "told apart", "ambiguous", "wrong", "lost")
    for name, groups in results["twins"].items():
        for group, one in groups.items():
            of = (f"{one[verdict]:.3f}" for verdict in ("told apart", "ambiguous", "wrong", "lost"))
            table.add_row(name, group, str(int(one["answers"])), *of)
    return table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make eval-tracking", description=__doc__)
    parser.add_argument("--bay", default="3bay_north", help="whose cameras, areas and hours (default: %(default)s)")
    parser.add_argument("--seeds", type=_seeds, default=[7201, 7202, 7203, 7204, 7205], help="days of each: 1,2,3")
    parser.add_argument(
        "--twin-seeds",
        type=_seeds,
        default=[8711, 8712],
        help="days of twins from rendered frames, some minutes each until their frames are kept; empty for none",
    )
    parser.add_argument("--parts", type=Path, help="folder that keeps each case and seed, to go on with later")
    parser.add_argument("--case", action="append", choices=list(CASES), help="only this one; may be given again")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1), help="processes")
    parser.add_argument("--out", type=Path, default=_RESULTS, help="folder of tracking.json (default: %(default)s)")
    return parser


def _seeds(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


if __name__ == "__main__":
    run_command(main)
