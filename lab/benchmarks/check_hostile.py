"""`make check-hostile`: odd and hostile input of every kind stops itself alone; every figure beside its bar.

Artifacts made by an attacker, every known way in which a camera misbehaves, changed bay files stored in
Airflow's own database, and coverage-guided fuzzing. Exits with 1 where a bar does not hold; `--folder`
keeps what was found.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree as ET

from rich.console import Console

from bay_observation.commands import output_console, run_command
from bay_observation.errors import SimulationError
from lab.bars import Bar, bars_table
from lab.hostile import artifacts, bays_in_airflow, cameras
from lab.services.ending import end_in_good_order

_PROJECT = Path(__file__).parents[2]
_FUZZED_S, _FILES = 300, 1000
# Each case of a camera with its outcome: by what it sends, how often it is asked, how it is named.
_CAMERA_CASES = (
    "tests/capture_async/test_odd_cameras.py",
    "tests/capture_async/test_refusals.py",
    "tests/capture_async/test_few_files.py",
    "tests/capture_async/onvif",
    "tests/capture_async/frames",
)
_PARTS = ("artifacts", "cameras", "bays", "fuzzing")


def main(arguments: list[str] | None = None) -> int:
    """Measure, print; 0 when every bar holds, 1 when one does not, 2 for a machine that cannot be measured."""
    options = _parser().parse_args(arguments)
    console = output_console()
    os.environ["CLOCK"] = "slot"  # slots of the cameras are of one day in the past
    bars: list[Bar] = []
    try:
        with tempfile.TemporaryDirectory(prefix="check-hostile-", ignore_cleanup_errors=True) as made:
            folder = Path(options.folder or made).resolve()
            for part in options.parts or _PARTS:
                (folder / part).mkdir(parents=True, exist_ok=True)
                console.print(f"{part} ...")
                bars += _MEASURES[part](folder / part, options, console)
    except SimulationError as error:
        print(error, file=sys.stderr)
        return 2
    console.print(bars_table(bars))
    return 0 if all(bar.holds for bar in bars) else 1


def _of_artifacts(folder: Path, _: argparse.Namespace, console: Console) -> list[Bar]:
    read = [*artifacts.read_all(folder), *artifacts.read_references()]
    wrong = [reading for reading in read if not reading.holds]
    _tell(console, (f"{one.what}: {one.outcome}, {one.seconds:.2f} s, {one.mebibytes:.0f} MiB" for one in wrong))
    within = f"{artifacts.LONGEST_S:g} s and {artifacts.MOST_MIB:g} MiB"
    return [
        Bar(f"{len(read)} readings of hostile artifacts: no ArtifactError within {within}", len(wrong), "<=", 0),
        Bar("the slowest of them", max(one.seconds for one in read), "<=", artifacts.LONGEST_S, "s"),
        Bar("the largest of them", max(one.mebibytes for one in read), "<=", artifacts.MOST_MIB, "MiB"),
    ]


def _of_cameras(folder: Path, _: argparse.Namespace, console: Console) -> list[Bar]:
    beside = asyncio.run(cameras.captures())
    lost = [one for one in beside if one.lost]
    _tell(console, (f"{one.way}: lost {', '.join(one.lost)}" for one in lost))
    late = max(beside, key=lambda one: one.seconds)
    cases, wrong = _camera_cases(folder)
    _tell(console, wrong)
    return [
        Bar(
            f"{len(beside)} captures of {cameras.CAMERAS}, one misbehaves: frames of others lost",
            sum(len(one.lost) for one in beside),
            "<=",
            0,
        ),
        Bar(f"the longest of them ({late.way})", late.seconds, "<=", cameras.DEADLINE_S + 1.0, "s"),
        Bar(f"{cases} cases of odd cameras: without the right outcome", len(wrong), "<=", 0),
    ]


def _camera_cases(folder: Path) -> tuple[int, list[str]]:
    """How many tests of cases there are, and the names of those that fail."""
    report = folder / "cases.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junit-xml={report}", *_CAMERA_CASES]
    subprocess.run(command, cwd=_PROJECT, capture_output=True, check=False)
    if not report.exists():
        raise SimulationError(f"the cases of cameras do not run: {' '.join(command[2:])}")
    cases = list(ET.parse(report).iter("testcase"))  # noqa: S314 - pytest has just written it
    wrong = [
        case.get("name", "?") for case in cases if case.find("failure") is not None or case.find("error") is not None
    ]
    return len(cases), wrong


def _of_bays(folder: Path, options: argparse.Namespace, console: Console) -> list[Bar]:
    stored = bays_in_airflow.measure(folder, options.files, options.seed)
    _tell(console, (f"DAGs of other bays are lost beside {name}" for name in stored.lost))
    _tell(console, (f"no import error for {name}" for name in stored.silent))
    _tell(console, (f"no right bay for Airflow: {name}" for name in stored.late))
    return [
        Bar(
            f"{stored.files} changed bay files: DAGs of the others not in Airflow's database", len(stored.lost), "<=", 0
        ),
        Bar(f"{stored.refused} of them are no right bay: without an import error", len(stored.silent), "<=", 0),
        Bar("taken by `bays validate` and refused by Airflow", len(stored.late), "<=", 0),
        Bar("the slowest to parse and store", stored.slowest_s, "<=", bays_in_airflow.LONGEST_S, "s"),
    ]


def _of_fuzzing(folder: Path, options: argparse.Namespace, console: Console) -> list[Bar]:
    command = [sys.executable, "-m", "lab.fuzzing", "--seconds", str(options.seconds), "--findings", str(folder)]
    done = subprocess.run(command, cwd=_PROJECT, capture_output=True, text=True, check=False)
    console.print(done.stdout, markup=False)
    found = len(list(folder.glob("*.log"))) + (done.returncode not in (0, 1))
    _tell(console, [done.stderr[-2000:]] if found else [])
    return [Bar(f"{options.seconds} s of fuzzing: readers with a finding", found, "<=", 0)]


_MEASURES = {"artifacts": _of_artifacts, "cameras": _of_cameras, "bays": _of_bays, "fuzzing": _of_fuzzing}


def _tell(console: Console, findings: Iterable[str]) -> None:
    for finding in findings:
        console.print(finding, style="red", markup=False, highlight=False)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab.benchmarks.check_hostile", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", choices=[*_PARTS, []], help=f"of {', '.join(_PARTS)}")
    parser.add_argument("--seconds", type=int, default=_FUZZED_S, help=f"of fuzzing ({_FUZZED_S})")
    parser.add_argument("--files", type=int, default=_FILES, help=f"changed bay files ({_FILES})")
    parser.add_argument("--seed", type=int, default=0, help="of the first changed file")
    parser.add_argument("--folder", help="an empty folder for what is found, kept afterwards")
    return parser


if __name__ == "__main__":
    end_in_good_order()
    run_command(main)
