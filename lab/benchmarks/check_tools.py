"""`make check-tools`: the commands a person works with; every figure beside its bar.

    help         how long `bay-observation --help` takes, warm
    bays         bays that cannot be right: is each told, and are the shipped ones left alone?
    loop         from a stored day to better models: how long it takes, how much better they see
    drift        changed cameras: are they found, and healthy ones left alone?
    calibration  random calibrations with wrong points: is a wrong pose ever written, is a good one?
    examples     the fenced examples of the pages: does each run?
    witnesses    each camera in turn is knocked in an empty hall: do its floor marks say so, and of no other?

Exits with 1 where a bar does not hold.
"""

import argparse
import statistics
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from bay_observation.commands import DONE, FAILED, output_console, program, run_command
from bays import bay_ids, load_bay
from bays.checking import check_bay
from lab.bars import Bar, bars_table, chosen_parts
from lab.benchmarks.bay_cases import cases as bay_cases
from lab.benchmarks.bay_cases import told
from lab.benchmarks.calibration_cases import Outcome, cases, grid_cases, grid_outcome, outcome
from lab.benchmarks.witness_cases import knocked_cameras

_PROJECT = Path(__file__).parents[2]
_HELP_S = 0.5
_HELP_RUNS = 9
_CALIBRATIONS = 200
_GRIDS = 30
_SEED = 20260
_KNOCKED_DEG = 1.5


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and return 0 when every bar holds."""
    options = make_parser().parse_args(arguments)
    chosen = chosen_parts(options.parts, PARTS)
    console = output_console()
    bars = [bar for name in chosen for bar in PARTS[name](console, options.seed)]
    console.print(bars_table(bars))
    return DONE if all(bar.holds for bar in bars) else FAILED


def make_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog=program("python -m lab.benchmarks.check_tools"),
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--parts", default=",".join(PARTS), help="which, with commas between them; all of them without")
    parser.add_argument(
        "--seed", type=int, help="of calibration, witnesses and drift, in place of their own: a fresh one"
    )
    return parser


def _of_help(_: Console, _seed: int | None) -> list[Bar]:
    command = [str(Path(sys.executable).with_name("bay-observation")), "--help"]
    seconds = []
    for _number in range(_HELP_RUNS + 1):
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.perf_counter() - began)
    warm = seconds[1:]
    spread = f"{min(warm):.2f} to {max(warm):.2f} s"
    return [Bar("bay-observation --help, warm, median", statistics.median(warm), "<=", _HELP_S, "s", spread)]


def _of_calibration(console: Console, seed: int | None) -> list[Bar]:
    outcomes = []
    for number, case in enumerate(cases(_CALIBRATIONS, _SEED if seed is None else seed), start=1):
        outcomes.append(outcome(case))
        if number % 20 == 0:
            console.print(f"{number} of {_CALIBRATIONS} calibrations")
    written = [one for one in outcomes if one.written]
    clean = [one for one in outcomes if not one.case.wrong]
    for one in written:
        if one.wrong:
            console.print(f"wrong: {len(one.case.points)} points, {one.case.wrong} wrong, {one.angle_deg:.2f}°")
    told = f"{len(written)} of {len(outcomes)} written"
    accepted = sum(one.written for one in clean)
    return [
        *_of_grids(console, seed),
        Bar(
            "calibrations off by 3 stated deviations or 0.5°, written", sum(o.wrong for o in written), "<=", 0, "", told
        ),
        Bar(
            "of those without a wrong point, written",
            100 * accepted / len(clean),
            ">=",
            95,
            "%",
            f"{accepted} of {len(clean)}",
        ),
    ]


def _of_grids(console: Console, seed: int | None) -> list[Bar]:
    """Marks of a regular grid, named right and each as its neighbour, beside a rough pose of the bay's file."""
    right: list[Outcome] = []
    shifted: list[Outcome] = []
    for case in grid_cases(_GRIDS, _SEED if seed is None else seed):
        one = grid_outcome(case)
        (shifted if case.shifted else right).append(one)
        if one.written == case.shifted:
            console.print(f"grid, {len(case.points)} points, shifted: {case.shifted}: {one.reason or 'written'}")
    accused = sum("taken for others" in one.reason for one in right)
    return [
        Bar("marks named one grid step too far, written", sum(o.written for o in shifted), "<=", 0, "", f"of {_GRIDS}"),
        Bar("marks named right, told as named wrong", accused, "<=", 0, "", f"of {_GRIDS}"),
    ]


def _of_bays(console: Console, _seed: int | None) -> list[Bar]:
    missed = [case.name for case in bay_cases() if case.words not in told(case)]
    for name in missed:
        console.print(f"not told: {name}")
    yard = [load_bay(name) for name in bay_ids()]
    shipped = sum(len(check_bay(bay, yard)) for bay in yard)
    count = len(bay_cases())
    return [
        Bar(f"of {count} impossible or doubtful bays, told by name", count - len(missed), ">=", count),
        Bar("findings in the shipped bays", shipped, "<=", 0),
    ]


def _of_witnesses(console: Console, seed: int | None) -> list[Bar]:
    bay = load_bay("demo_bay")
    outcomes = list(knocked_cameras(bay, _SEED if seed is None else seed, _KNOCKED_DEG))
    accused = {name for one in outcomes for name in one.accused}
    for one in outcomes:
        if not one.found or one.undecided:
            console.print(f"{one.camera}: found: {one.found}; undecided: {', '.join(one.undecided) or 'none'}")
    count = len(bay.fusion_cameras)
    name = f"cameras knocked by {_KNOCKED_DEG:g}°, told by witnesses without blocks"
    return [
        Bar(name, sum(one.found for one in outcomes), ">=", count, "", f"of {count}"),
        Bar("good cameras told as knocked", len(accused), "<=", 0),
    ]


def _of_examples(console: Console, _seed: int | None) -> list[Bar]:
    """By the tests that run them: a page's commands in their order, its Python, the DAGs."""
    with TemporaryDirectory() as folder:
        report = Path(folder) / "examples.xml"
        command = [sys.executable, "-m", "pytest", "-q", "tests/docs", f"--junitxml={report}"]
        done = subprocess.run(command, cwd=_PROJECT, check=False, capture_output=True, text=True)
        root = ET.parse(report).getroot()[0]  # noqa: S314 - pytest's own
        suite, counted = root.attrib, {one.get("name"): int(one.get("value", 0)) for one in root.iter("property")}
    count, failed = int(suite["tests"]), int(suite["failures"]) + int(suite["errors"])
    run, checked, count_of_all = (counted.get(f"examples{one}", 0) for one in ("_run", "_checked", ""))
    if failed or done.returncode:
        console.print(done.stdout[-4000:])
    return [
        Bar("tests of fenced examples that pass", 100 * (count - failed) / max(count, 1), ">=", 100, "%", f"{count}"),
        Bar(
            "lines and blocks of examples that are run or checked",
            run + checked,
            ">=",
            max(count_of_all, 1),
            "",
            f"{run} run; {checked} read by their program's parser or a stand-in, each with its reason",
        ),
    ]


def _of_loop(_: Console, _seed: int | None) -> list[Bar]:
    from lab.benchmarks import model_loop

    return model_loop.measure()


def _of_drift(_: Console, seed: int | None) -> list[Bar]:
    from lab.benchmarks import model_drift

    return model_drift.measure(model_drift.SEED if seed is None else seed)


PARTS: dict[str, Callable[[Console, int | None], list[Bar]]] = {
    "help": _of_help,
    "bays": _of_bays,
    "loop": _of_loop,
    "drift": _of_drift,
    "calibration": _of_calibration,
    "witnesses": _of_witnesses,
    "examples": _of_examples,
}


if __name__ == "__main__":
    run_command(main)
