"""`make eval`: how right fusion and the whole way are, on yards that nothing was trained or tuned on.

Prints every yard beside its bars and the naive merge in the same run, writes
`lab/benchmarks/results/eval.json`, and exits with 1 when a bar does not hold.
"""

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bay_observation.commands import output_console, positive_number, program, run_command
from lab.bars import Bar, bars_table
from lab.evaluation.floor import FloorScore, number, percent
from lab.evaluation.from_frames import FIRST_SEED as FIRST_FRAMES_SEED
from lab.evaluation.from_frames import WholeWay, frame_bars, run_frames
from lab.evaluation.from_silhouettes import (
    CASES,
    FIRST_SEED,
    Timed,
    YardResult,
    bars_of,
    growth,
    pooled,
    run_case,
    run_times,
)
from lab.machine import machine

_RESULTS = Path("lab/benchmarks/results")
_PARTS = ("silhouettes", "time", "frames")
_TIME_BAR_S = 3.0
_NEAR_LINEAR = 1.25  # exponent of growth
_HEADINGS = (
    "yard",
    "true",
    "fused",
    "precision",
    "recall",
    "IoU",
    "centre",
    "in 1 std",
    "yaw",
    "height",
    "area",
    "stage",
    "work",
    "s",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; 0 when every bar holds, 1 when one does not."""
    options = make_parser().parse_args(arguments)
    console = output_console()
    results: dict[str, Any] = {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
    }
    bars: list[Bar] = []
    if "silhouettes" in options.parts:
        results["silhouettes"] = _silhouettes(options, console, bars)
    if "time" in options.parts:
        results["time"] = _time(console, bars)
    if "frames" in options.parts:
        results["frames"] = _frames(options, console, bars)
    results["bars"] = [asdict(bar) | {"holds": bar.holds} for bar in bars]
    console.print(bars_table(bars))
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "eval.json"
    path.write_text(json.dumps(_without_nan(results), indent=1) + "\n", encoding="utf-8")
    console.print(f"written to {path}")
    return 0 if all(bar.holds for bar in bars) else 1


def _silhouettes(options: argparse.Namespace, console: Console, bars: list[Bar]) -> dict[str, Any]:
    document = {}
    first = options.first_seed or FIRST_SEED
    for case in CASES:
        if options.cases not in case.name:
            continue
        results = run_case(case, range(first, first + options.yards))
        console.print(_yards_table(f"Fusion from silhouettes: {case.name}", results))
        bars += bars_of(case.name, case.bars, [result.fused for result in results])
        document[case.name] = _document(results)
    return document


def _time(console: Console, bars: list[Bar]) -> dict[str, Any]:
    times = run_times(FIRST_SEED)
    first = times[0]
    exponent = {
        "blocks": growth([one for one in times if one.cameras == first.cameras], lambda one: one.blocks),
        "cameras over the same floor": growth(
            [one for one in times if one.blocks == first.blocks], lambda one: one.cameras
        ),
        "the yard, blocks and cameras alike": growth(
            [first, *(one for one in times if one.halls > 1)], lambda one: one.halls
        ),
    }
    console.print(_times_table(times))
    name = f"CPU time of fusion, {first.blocks} blocks, {first.cameras} cameras"
    bars.append(Bar(name, first.seconds, "<=", _TIME_BAR_S, "s"))
    bars += [Bar(f"growth exponent with {by}", value, "<=", _NEAR_LINEAR) for by, value in exponent.items()]
    return {"sizes": [asdict(one) for one in times], "growth_exponent": exponent}


def _frames(options: argparse.Namespace, console: Console, bars: list[Bar]) -> dict[str, Any]:
    first = options.first_seed or FIRST_FRAMES_SEED
    yards, models = run_frames(range(first, first + options.frame_yards))
    console.print(_yards_table("The whole way from rendered frames (s: inference, wall time)", yards))
    table = Table("models, over all frames", "", title_justify="left")
    for name, value in models.items():
        table.add_row(name, number(value, 3))
    console.print(table)
    bars += frame_bars(yards)
    return _document(yards) | {"models": models}


def _document(results: Sequence[YardResult] | Sequence[WholeWay]) -> dict[str, Any]:
    return {
        "yards": {
            result.seed: result.fused.figures() | {"seconds": _seconds(result), "naive": result.naive.figures()}
            for result in results
        },
        "all": pooled(result.fused for result in results).figures(),
        "naive": pooled(result.naive for result in results).figures(),
    }


def _seconds(result: YardResult | WholeWay) -> float:
    return result.inference_s if isinstance(result, WholeWay) else result.seconds


def _yards_table(title: str, results: Sequence[YardResult] | Sequence[WholeWay]) -> Table:
    table = Table(*_HEADINGS, title=title, title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for result in results:
        table.add_row(str(result.seed), *_cells(result.fused), f"{_seconds(result):.2f}")
    table.add_section()
    table.add_row("all", *_cells(pooled(result.fused for result in results)), "")
    table.add_row("naive merge", *_cells(pooled(result.naive for result in results)), "")
    return table


def _cells(score: FloorScore) -> list[str]:
    return [
        str(score.truth_count),
        str(score.fused_count),
        percent(score.precision),
        percent(score.recall),
        number(score.mean_iou, 3),
        number(score.centre_error_m, 3, " m"),
        percent(score.within_one_std),
        number(score.yaw_error_deg, 2, "°"),
        number(score.height_error_m, 3, " m"),
        percent(score.area_accuracy),
        percent(score.stage_accuracy),
        percent(score.work_accuracy),
    ]


def _times_table(times: Sequence[Timed]) -> Table:
    columns = ("blocks", "cameras", "halls", "silhouettes", "CPU time", "per silhouette")
    table = Table(*columns, title="Time of fusion", title_justify="left")
    for one in times:
        sizes = (one.blocks, one.cameras, one.halls, one.silhouettes)
        each = f"{1000 * one.seconds / one.silhouettes:.1f} ms"
        table.add_row(*map(str, sizes), f"{one.seconds:.2f} s", each)
    return table


def _without_nan(value: Any) -> Any:
    """JSON knows no NaN: None stands for what could not be measured."""
    if isinstance(value, dict):
        return {str(name): _without_nan(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_without_nan(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def make_parser() -> argparse.ArgumentParser:
    """The commands and their arguments."""
    parser = argparse.ArgumentParser(
        prog=program("python -m lab.evaluation"), description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--parts", type=_parts, default=_PARTS, metavar="A,B", help=f"of {','.join(_PARTS)} (all)")
    parser.add_argument("--cases", default="", metavar="TEXT", help="only cases with this in their name")
    parser.add_argument("--yards", type=positive_number, default=10, help="per case from silhouettes (10)")
    parser.add_argument("--frame-yards", type=positive_number, default=5, help="from rendered frames (5)")
    parser.add_argument(
        "--first-seed", type=positive_number, help="of the yards, to look at others than the evaluation's own"
    )
    parser.add_argument("--out", type=Path, default=_RESULTS, help=f"folder for eval.json ({_RESULTS})")
    return parser


def _parts(text: str) -> tuple[str, ...]:
    """For argparse.

    Raises:
        ArgumentTypeError: a part that does not exist.
    """
    parts = tuple(text.split(","))
    if not set(parts) <= set(_PARTS):
        raise argparse.ArgumentTypeError(f"{text!r}: choose of {', '.join(_PARTS)}")
    return parts


if __name__ == "__main__":
    run_command(main)
