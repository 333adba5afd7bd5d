"""`make coverage`: how much of each package the tests run, beside its bar; 1 where a package is below it."""

import json
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from coverage import Coverage
from rich.table import Table

from bay_observation.commands import output_console, run_command
from lab.bars import Bar

LINES = 90.0  # per cent of each package's statements
PACKAGES = (
    "bay_observation",
    "bays",
    "artifacts",
    "capture_async",
    "inference",
    "fusion",
    "tracking",
    "triggers",
    "operators",
    "dags",
)


def main() -> int:
    """Print the table of what `coverage combine` has left; 0 when every package's bar holds."""
    packages = covered(_report())
    table = Table("", "lines", "bar", "branches", "", title="Coverage by the tests", title_justify="left")
    for name, (bar, branches) in packages.items():
        verdict = "[green]holds[/green]" if bar.holds else "[bold red]fails[/bold red]"
        table.add_row(name, f"{bar.figure:.1f} %", f"≥ {bar.bar:.0f} %", f"{branches:.1f} %", verdict)
    output_console().print(table)
    return 0 if all(bar.holds for bar, _ in packages.values()) else 1


def covered(report: Mapping[str, Any]) -> dict[str, tuple[Bar, float]]:
    """Of each package and of all together: the bar of its lines, and the share of its branches in per cent.

    Args:
        report: as `coverage json` writes it. A package of which it has no file counts as not run.
    """
    sums = {package: Counter[str]() for package in (*PACKAGES, "all")}
    for path, file in report["files"].items():
        package = PurePath(path).parts[0]
        if package in PACKAGES:
            sums[package].update(file["summary"])
            sums["all"].update(file["summary"])
    return {
        package: (
            Bar(package, _percent(of["covered_lines"], of["num_statements"]), ">=", LINES, "%"),
            _percent(of["covered_branches"], of["num_branches"]),
        )
        for package, of in sums.items()
    }


def _report() -> dict[str, Any]:
    coverage = Coverage()
    coverage.load()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "coverage.json")
        coverage.json_report(outfile=str(path))
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return report


def _percent(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 0.0


if __name__ == "__main__":
    run_command(main)
