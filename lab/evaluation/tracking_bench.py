"""`make eval-tracking`: the tracker over simulated days, beside two baselines on the same floor plans.

Prints every figure beside its bar, writes `lab/benchmarks/results/tracking.json`, and exits
with 1 when a bar does not hold. Every figure is measured in this run.
"""

import argparse
import json
import pickle
import statistics
import sys
import time
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from rich.console import Console
from rich.table import Table

from bays import Area, BayConfig, Layout, batch_id, load_bay
from fusion.types import FusedBlock, FusionResult
from lab.bars import Bar, bars_table
from lab.evaluation.events import EventComparison, EventScore, Verdict, compare_events, score_events
from lab.evaluation.overlap import iou_matrix, pair_up
from lab.evaluation.tracking_baselines import byte_track, greedy
from lab.evaluation.tracking_days import SLOT, Day, Sight, Spoilt, simulated_day
from lab.evaluation.tracking_scores import reference_score
from lab.evaluation.tracks import MATCH_IOU, Frame, score_tracks
from lab.machine import machine
from tracking import EventKind, Tracker, TrackEvent, TrackingResult, replay

_RESULTS = Path("lab/benchmarks/results")
_COLUMNS = 160
_LIBRARIES = ("trackeval", "trackers", "numpy", "shapely")
_HOURS_OFF = (36, 72)  # slots: from the seventh to the twelfth hour, when most happens
_WORK_KINDS = (EventKind.WORK_STARTED, EventKind.WORK_STOPPED)
_KINDS = (EventKind.MOVED, EventKind.APPEARED, EventKind.EXITED, EventKind.STAGE_CHANGED)
_MANY = 500
_MANY_SLOTS = 12
_LATE_SLOTS = 6  # by which a batch may come late
_REPEATED = 0.1

CASES: dict[str, Spoilt] = {
    "normal day": Spoilt(),
    "two cameras off": Spoilt(off_slots=_HOURS_OFF),
    "10 % missed, 5 % false": Spoilt(missed=0.1, false=0.05),
    "15 % of slots missing": Spoilt(lost=0.15),
}
# Neighbours and opposite ones in turn, so that some floor is out of everybody's sight.
_OFF = (("C_2", "D_2"), ("C_9", "C_11"), ("D_4", "D_6"), ("C_4", "D_4"), ("D_9", "D_11"))


@dataclass
class Run:
    """Days of one tracker in one case, as far as they are scored."""

    frames: list[list[Frame]] = field(default_factory=list)
    comparisons: list[EventComparison] = field(default_factory=list)
    standing_switches: int = 0
    standing_exits: int = 0
    errors_m: list[float] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """All figures as JSON types."""
        events = score_events(self.comparisons)
        right = [one for one in self.comparisons if one.verdict is not Verdict.UNDECIDED]
        return {
            **asdict(reference_score(self.frames)),
            "standing_switches": self.standing_switches,
            "standing_exits": self.standing_exits,
            "events": {kind.value: _of_events(events[kind]) for kind in (*_KINDS, *_WORK_KINDS)},
            "event_f1": _f1(one for one in right if one.kind in _KINDS),
            "position_error_m": {
                "median": statistics.median(self.errors_m),
                "p95": float(np.quantile(self.errors_m, 0.95)),
            },
        }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, tell, write; 0 when every bar holds, 1 when one does not."""
    options = _parser().parse_args(arguments)
    results = measure(load_bay(options.bay), options.seeds)
    results["settings"] = {"bay": options.bay, "seeds": options.seeds}
    bars = bars_of(results)
    results["bars"] = [asdict(bar) | {"holds": bar.holds} for bar in bars]
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "tracking.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    console = Console(width=None if sys.stdout.isatty() else _COLUMNS)
    console.print(_cases_table(results))
    console.print(bars_table(bars))
    console.print(f"written to {options.out}/tracking.json")
    return 0 if all(bar.holds for bar in bars) else 1


def measure(bay: BayConfig, seeds: Sequence[int]) -> dict[str, Any]:
    """Every case over a day of each seed, the order of arrival and the speed, as one document of JSON types."""
    began = time.monotonic()
    runs = {case: {name: Run() for name in ("tracker", "greedy", "ByteTrack")} for case in CASES}
    seconds: list[float] = []
    same = []
    hidden = 0
    for number, seed in enumerate(seeds):
        sight = Sight(bay)
        for case, spoilt in CASES.items():
            _tell(f"day {number + 1} of {len(seeds)}: {case}")
            off = _OFF[number % len(_OFF)] if spoilt.off_slots[1] else ()
            day = simulated_day(bay, seed, replace(spoilt, off=off), sight=sight)
            hidden += sum(map(len, day.hidden.values())) if off else 0
            history = _timed(bay, day.results, seconds if case == "normal day" else [])
            _score(runs[case]["tracker"], day, _floor_of(history), _events_of(history), history)
            for name, follow in (("greedy", greedy), ("ByteTrack", byte_track)):
                followed = follow(day.results)
                _score(runs[case][name], day, followed.floor, followed.events)
            if spoilt.lost:
                same.append(_exported(_as_they_come(bay, day.results, seed)) == _exported(history))
    results = {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(_LIBRARIES),
        "cases": {case: {name: run.document() for name, run in of.items()} for case, of in runs.items()},
        "hidden_sightings": hidden,
        "same_history": same,
        "update_cpu_ms": {
            "30 blocks": _spread(seconds),
            f"{_MANY} blocks": _spread(_many_blocks(bay)),
        },
        "took_s": time.monotonic() - began,
    }
    return json.loads(json.dumps(results))  # type: ignore[no-any-return]  # as it is when read back


def bars_of(results: Mapping[str, Any]) -> list[Bar]:
    """The figures that have a bar, of what was measured.

    The bars for events are meant for the normal day. The other cases are held against them as well, as further lines.
    """
    cases = {case: of["tracker"] for case, of in results["cases"].items()}
    normal, off = cases["normal day"], cases["two cameras off"]
    bars = [
        Bar("normal day: HOTA", normal["hota"], ">=", 0.95),
        Bar("normal day: IDF1", normal["idf1"], ">=", 0.98),
        Bar("normal day: AssA", normal["ass_a"], ">=", 0.95),
        Bar("normal day: switches of blocks that do not move", normal["standing_switches"], "<=", 0),
        Bar("two cameras off: false exits of standing blocks", off["standing_exits"], "<=", 0),
        Bar("two cameras off: switches of standing blocks", off["standing_switches"], "<=", 0),
    ]
    for case, scores in cases.items():
        further = "" if case == "normal day" else ", the normal day's bar"
        bars += [
            Bar(
                f"{case}: F1 of {kind}{further}",
                scores["events"][kind]["f1"],
                ">=",
                0.90 if kind == "stage_changed" else 0.95,
            )
            for kind in _KINDS
        ]
    same = results["same_history"]
    bars.append(
        Bar("shuffled and repeated: days whose history is byte for byte the ordered one", sum(same), ">=", len(same))
    )
    for case, of in results["cases"].items():
        for name in ("greedy", "ByteTrack"):
            bars.append(Bar(f"{case}: HOTA, against {name}", of["tracker"]["hota"], ">", of[name]["hota"]))
            bars.append(
                Bar(f"{case}: F1 of events, against {name}", of["tracker"]["event_f1"], ">", of[name]["event_f1"])
            )
    cpu = results["update_cpu_ms"]
    bars.append(Bar("one update, 24 to 30 blocks, CPU (median)", cpu["30 blocks"]["median"], "<=", 20, "ms"))
    bars.append(Bar(f"one update, {_MANY} blocks, CPU (median)", cpu[f"{_MANY} blocks"]["median"], "<=", 500, "ms"))
    return bars


# -- one day ---------------------------------------------------------------------------------


def _timed(bay: BayConfig, results: Iterable[FusionResult], seconds: list[float]) -> list[TrackingResult]:
    state, history = None, []
    for result in results:
        before = time.process_time()
        history.append(Tracker(bay, state).update(result))
        seconds.append(time.process_time() - before)
        state = history[-1].state
    return history


def _floor_of(history: Iterable[TrackingResult]) -> dict[datetime, dict[str, Any]]:
    return {one.state.slot: {t.track_id: t for t in one.tracks if t.is_certain} for one in history if one.state.slot}


def _events_of(history: Iterable[TrackingResult]) -> list[TrackEvent]:
    return [event for one in history for event in one.events]


def _score(
    run: Run,
    day: Day,
    floor: Mapping[datetime, Mapping[str, Any]],
    events: Sequence[TrackEvent],
    history: Sequence[TrackingResult] | None = None,
) -> None:
    """Add a day to the run; `floor` has by slot what stands there as each track."""
    slots = sorted(floor)
    scored = bisect_right(slots, day.last)
    truth = [day.truth[slot] for slot in slots]
    frames, matches = [], []
    for slot, blocks in zip(slots, truth, strict=True):
        names = list(floor[slot])
        shapes = [floor[slot][name].footprint for name in names]
        frame = Frame(
            slot,
            tuple(block.block_id for block in blocks),
            tuple(names),
            iou_matrix([block.footprint for block in blocks], shapes),
        )
        frames.append(frame)
        matches.append(frame.matches())
        if slot <= day.last:
            run.errors_m += [
                blocks[row].footprint.centroid.distance(shapes[column].centroid)
                for row, column in pair_up(frame.iou, MATCH_IOU)
            ]
    plan = [{block.block_id: block for block in blocks} for blocks in truth]
    comparisons = [
        one
        for one in compare_events(slots, plan, day.events, events, matches)
        if (one.happened or one.reported or day.last) <= day.last
    ]
    run.frames.append(frames[:scored])
    run.comparisons += comparisons
    run.standing_switches += score_tracks(frames[:scored], truth[:scored]).standing_switches
    run.standing_exits += sum(_is_standing_exit(one, day, floor) for one in comparisons)


def _is_standing_exit(comparison: EventComparison, day: Day, floor: Mapping[datetime, Mapping[str, Any]]) -> bool:
    """Whether a block was said to have left the place where it stood before, and an hour after.

    That a block is no longer where it stood before it moved, unseen, is no such thing.
    """
    if comparison.kind is not EventKind.EXITED or comparison.verdict is not Verdict.FALSE:
        return False
    if comparison.reported is None or comparison.track_id is None:
        return False
    slots = sorted(floor)
    around = [slot for slot in slots if abs(slot - comparison.reported) <= 6 * SLOT]
    places = [block.footprint for slot in around for block in day.truth[slot] if block.block_id == comparison.block_id]
    if len(places) < len(around) or not all(place.equals(places[0]) for place in places):
        return False
    before = [floor[slot] for slot in slots if slot < comparison.reported and comparison.track_id in floor[slot]]
    return bool(before) and bool(before[-1][comparison.track_id].footprint.intersects(places[0]))


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
    return b"".join(pickle.dumps(result, protocol=5) for result in history)


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


# -- telling ---------------------------------------------------------------------------------


def _of_events(score: EventScore) -> dict[str, Any]:
    return {
        "found": score.found,
        "missed": score.missed,
        "false": score.false,
        "undecided": score.undecided,
        "precision": score.precision,
        "recall": score.recall,
        "f1": score.f1,
    }


def _f1(comparisons: Iterable[EventComparison]) -> float:
    verdicts = [one.verdict for one in comparisons]
    found = verdicts.count(Verdict.FOUND)
    return 2 * found / (len(verdicts) + found) if verdicts else float("nan")


def _spread(seconds: Sequence[float]) -> dict[str, float]:
    return {"median": 1000 * statistics.median(seconds), "max": 1000 * max(seconds)}


def _cases_table(results: Mapping[str, Any]) -> Table:
    table = Table(title="Days of 24 to 30 blocks, 144 slots each, from true footprints with fusion's own noise")
    for name in ("case", "", "HOTA", "DetA", "AssA", "IDF1", "switches", "standing", "error m", *_KINDS, *_WORK_KINDS):
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
                *(f"{one['events'][kind]['f1']:.3f}" for kind in (*_KINDS, *_WORK_KINDS)),
            )
        table.add_section()
    return table


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make eval-tracking", description=__doc__)
    parser.add_argument("--bay", default="3bay_north", help="whose cameras and areas (default: %(default)s)")
    parser.add_argument("--seeds", type=_seeds, default=[7101, 7102, 7103, 7104, 7105], help="one day each: 1,2,3")
    parser.add_argument("--out", type=Path, default=_RESULTS, help="folder of tracking.json (default: %(default)s)")
    return parser


def _seeds(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
