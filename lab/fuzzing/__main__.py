"""`make fuzz`: fuzz every target for a while, with atheris (libFuzzer under coverage of the Python code).

Each target runs in a process of its own, with limits: an input that takes over a second or makes the process
grow by more than 100 MiB is a finding, like an exception that is not the target's own. Exits with 1 on a
finding; its input lies in the folder that is printed, and becomes a test.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from rich.table import Table

from artifacts import Stage
from artifacts.schemas import SCHEMAS
from bay_observation.commands import output_console, program, run_command
from lab.fuzzing.targets import TARGETS, seeds

_SECONDS = 300
_ONE_INPUT_S = 1
_MEMORY_MIB = 100
# What the interpreter, numpy, shapely and the product's own modules take before the first input.
_BASE_MIB = 600
_LONGEST_INPUT = 4096


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz, print a line for each target; 1 when one has a finding."""
    parser = make_parser()
    options, rest = parser.parse_known_args(arguments)
    if options.one:
        return _fuzz(options.one, rest)
    chosen = options.targets or list(TARGETS)
    unknown = sorted(set(chosen) - set(TARGETS))
    if unknown:
        parser.error(f"no target {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    folder = options.findings or Path(tempfile.mkdtemp(prefix="fuzz-"))
    folder.mkdir(parents=True, exist_ok=True)
    seconds = max(1, options.seconds // len(chosen))
    table = Table("target", "seconds", "inputs", "finding", title=f"Fuzzing, findings in {folder}")
    found = False
    for name in chosen:
        began = time.monotonic()
        log, status = _run(name, folder, seconds)
        finding = "" if status == 0 else _reason(log)
        found |= status != 0
        table.add_row(name, f"{time.monotonic() - began:.0f}", _inputs(log), finding or "none (bar: none)")
    output_console().print(table)
    return 1 if found else 0


def make_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(prog=program("python -m lab.fuzzing"), description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"default: all of {', '.join(TARGETS)}")
    parser.add_argument("--seconds", type=int, default=_SECONDS, help=f"for all of them together ({_SECONDS})")
    parser.add_argument("--findings", type=Path, help="folder for inputs that are findings")
    parser.add_argument("--one", choices=TARGETS, help=argparse.SUPPRESS)
    return parser


def _run(name: str, folder: Path, seconds: int) -> tuple[str, int]:
    """One target in a process: its log, and its exit status."""
    with tempfile.TemporaryDirectory(prefix="fuzz-corpus-") as corpus:
        for number, content in enumerate(seeds(name)):
            Path(corpus, str(number)).write_bytes(content)
        limits = [
            f"-max_total_time={seconds}",
            f"-timeout={_ONE_INPUT_S}",
            f"-rss_limit_mb={_BASE_MIB + _MEMORY_MIB}",
            f"-max_len={_LONGEST_INPUT}",
            f"-artifact_prefix={folder}/{name}-",
        ]
        done = subprocess.run(
            [sys.executable, "-m", "lab.fuzzing", "--one", name, *limits, corpus],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    log = done.stdout + done.stderr
    if done.returncode != 0:
        (folder / f"{name}.log").write_text(log, encoding="utf-8")
    return log, done.returncode


def _fuzz(name: str, rest: list[str]) -> int:
    import atheris

    with atheris.instrument_imports(include=["artifacts", "bays", "capture_async", "inference", "fusion", "tracking"]):
        for module in [name for name in sys.modules if name.split(".")[0] in ("artifacts", "bays", "capture_async")]:
            del sys.modules[module]  # imported above without instruments
        sys.modules.pop("lab.fuzzing.targets", None)
        from lab.fuzzing import targets

        # What a stage imports at its first artifact is imported here: with instruments, and in no input's time.
        for seed in [b"", *targets.seeds(name)]:
            targets.TARGETS[name](seed)
        if stage := next((stage for stage in get_args(Stage) if name == f"artifact_{stage}"), None):
            SCHEMAS[stage].kind()
    atheris.Setup([name, *rest], targets.TARGETS[name])
    atheris.Fuzz()
    return 0


def _inputs(log: str) -> str:
    done = re.search(r"^Done (\d+) runs", log, re.MULTILINE)
    return done[1] if done else "?"


def _reason(log: str) -> str:
    lines = [line for line in log.splitlines() if "Error" in line or "timeout" in line or "out-of-memory" in line]
    return lines[0][:90] if lines else "the process ended: see its log"


if __name__ == "__main__":
    run_command(main)
