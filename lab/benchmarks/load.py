"""`make load`: the capture against many simulated cameras, and beside it what it replaces.

Prints a table of every figure beside its bar, writes `lab/benchmarks/results/load.json` and
`load.png`, and exits with 1 when a bar does not hold. Every figure is measured in this run:
the slowest camera's latency by single requests over plain sockets, the specification's
loop on the same cameras.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.table import Table

from bay_observation.commands import output_console, run_command
from bay_observation.errors import SimulationError
from lab.bars import Bar, bars_table, progress, spread
from lab.benchmarks.yard import Cameras, Yard, allow_open_files, draw_frames
from lab.machine import machine

_RESULTS = Path(__file__).parent / "results"
_LIBRARIES = ("aiohttp", "zeep", "onvif-zeep", "requests")
# A case that takes longer than this hangs.
_CASE_LIMIT_S = 900.0
_FAULTS = ("hang", "drip", "refuse")
# In one triggerer, each of as many cameras as the smallest size.
_BAYS = 4
# Of the tables, where no terminal says.
# Times the slowest camera's latency, for up to so many known cameras.
_OVER_THE_SLOWEST = ((12, 1.1), (128, 1.3), (200, 1.5))
_MANY = 200
# What a clock's tick and the event loop's own turn may add to a deadline.
_TICK_S = 0.05
# Memory that an allocator moves by on its own: a batch of 12 frames is 5 MiB.
_MEMORY_NOISE_MIB = 5.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; 0 when every bar holds, 1 when one does not, 2 for a machine that cannot be measured."""
    options = _parser().parse_args(arguments)
    try:
        allow_open_files(max(options.sizes))
        results = measure(options)
    except SimulationError as error:
        print(error, file=sys.stderr)
        return 2
    bars = bars_of(results)
    results["bars"] = [asdict(bar) | {"holds": bar.holds} for bar in bars]
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "load.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if not options.no_picture:
        from lab.benchmarks.picture import draw

        draw(results, options.out / "load.png")
    console = output_console()
    console.print(_cases_table(results))
    console.print(bars_table(bars))
    console.print(f"written to {options.out}/load.json" + ("" if options.no_picture else " and load.png"))
    return 0 if all(bar.holds for bar in bars) else 1


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Every case, one after the other, as one document of JSON types."""
    began = time.monotonic()
    results: dict[str, Any] = {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(_LIBRARIES),
        "settings": {name: value for name, value in vars(options).items() if name not in ("out", "no_picture")},
    }
    with tempfile.TemporaryDirectory(prefix="load-test-") as folder:
        progress("drawing frames")
        frames = draw_frames(Path(folder), options.frames)
        results["frames_kb"] = [round(path.stat().st_size / 1000) for path in frames]
        pace = {"latency_s": options.latency, "soap_latency_s": options.soap_latency}
        progress(f"{max(options.sizes)} cameras")
        yard = Yard(max(options.sizes), **pace, frames=frames)
        with yard as cameras:
            few = cameras.first(options.sizes[0])
            results["latency"] = {}
            results["known"] = {}
            results["raw"] = {}
            for size in options.sizes:
                some = cameras.first(size)
                results["latency"][size] = _run("latency", some, f"the latency of {size} cameras", sample=12)
                served = yard.cpu_s()
                results["known"][size] = _run("known", some, f"{size} cameras, known", repeats=options.repeats)
                results["known"][size]["cameras_cpu_s"] = yard.cpu_s() - served
                results["raw"][size] = _run("raw", some, f"{size} cameras, aiohttp alone", repeats=options.repeats)
            results["cold"] = [
                _run("cold", few, f"{len(few.addresses)} cameras, cold process", started_at=time.time())
                for _ in range(options.repeats)
            ]
            many = cameras.first(min(_MANY, max(options.sizes)))
            results["resolving"] = [
                _run("cold", many, f"{len(many.addresses)} new cameras", started_at=time.time())
                for _ in range(options.repeats)
            ]
            names = [address.name for address in few.addresses[: len(_FAULTS)]]
            faults = {name: [fault] for name, fault in zip(names, _FAULTS, strict=True)}
            results["faulty"] = _run(
                "faulty",
                few,
                "one hangs, one drips, one refuses",
                repeats=options.repeats,
                deadline_s=options.deadline,
                faults=faults,
            )
            several = cameras.first(min(_BAYS * options.sizes[0], len(cameras.addresses)))
            results["bays"] = _run(
                "bays",
                several,
                "several bays at once",
                repeats=options.repeats,
                size=options.sizes[0],
                deadline_s=options.deadline,
            )
            results["sequential"] = _run(
                "sketch", cameras, "the specification's loop", limit_s=options.minute, threads=0
            )
            results["pool"] = _run(
                "sketch", cameras, f"{options.threads} threads", limit_s=options.minute, threads=options.threads
            )
        # Two hundred captures at a camera's real latency would take no more from this client, only longer.
        quick = Yard(options.sizes[0], latency_s=min(0.02, options.latency), soap_latency_s=0.0, frames=frames)
        with quick as cameras:
            results["repeated"] = _run(
                "repeated",
                cameras,
                f"{options.captures} captures of {options.sizes[0]}",
                captures=options.captures,
                compare_with=min(10, options.captures - 1),
            )
    results["took_s"] = time.monotonic() - began
    return json.loads(json.dumps(results))  # type: ignore[no-any-return]  # as it is when read back


def bars_of(results: dict[str, Any]) -> list[Bar]:
    """The figures that have a bar, of what was measured."""
    resolved = results["resolving"][0]["frames"]
    return [
        *_known_and_cold(results),
        *_beside_faults(results),
        *_beside_bays(results),
        _worst_lag(f"loop lag while {resolved} new cameras are resolved", results["resolving"]),
        *_after_many(results),
    ]


def _known_and_cold(results: dict[str, Any]) -> list[Bar]:
    sizes = [str(size) for size in results["settings"]["sizes"]]
    few, most = sizes[0], sizes[-1]
    slowest = _slowest(results, few)
    walls = _of(results["known"][few]["captures"], "wall_s")
    large = results["known"][most]["captures"]
    cpu_ms = [1000 * capture["cpu_s"] / capture["frames"] for capture in large]
    return [
        *(_over_the_slowest(results, size) for size in sizes if int(size) <= _MANY),
        _median(
            f"{few} cameras, cold process, over the slowest camera",
            [wall / slowest for wall in _of(results["cold"], "wall_s")],
            2.0,
            "x",
        ),
        _median(
            f"{results['resolving'][0]['frames']} cameras, cold process, over the slowest camera",
            [wall / slowest for wall in _of(results["resolving"], "wall_s")],
            4.0,
            "x",
        ),
        _median(f"{most} known cameras{_beside(results, most)}", _of(large, "wall_s"), 2.0, "s"),
        _median(f"{most} known cameras, CPU per image", cpu_ms, 1.0, "ms"),
        _worst_lag(f"{most} known cameras, largest loop lag", large),
        Bar(
            f"{few} cameras, against the specification's loop",
            loop_seconds(results) / statistics.median(walls),
            ">=",
            25,
            "x",
        ),
    ]


def _over_the_slowest(results: dict[str, Any], size: str) -> Bar:
    """Wall time of known cameras over the slowest one's: what asking many at once costs."""
    slowest = _slowest(results, size)
    bar = next(bar for most, bar in _OVER_THE_SLOWEST if int(size) <= most)
    walls = _of(results["known"][size]["captures"], "wall_s")
    name = f"{size} known cameras, over the slowest camera's {1000 * slowest:.0f} ms{_beside(results, size)}"
    return _median(name, [wall / slowest for wall in walls], bar, "x")


def _beside(results: dict[str, Any], size: str) -> str:
    """The same by aiohttp alone."""
    raw = statistics.median(results["raw"][size]["wall_s"])
    return f" (aiohttp alone {raw / _slowest(results, size):.2f} x)"


def _beside_faults(results: dict[str, Any]) -> list[Bar]:
    rounds = results["faulty"]["rounds"]
    delays = [100 * (one["beside_faults_s"] / one["healthy_s"] - 1) for one in rounds]
    walls = _of(rounds, "wall_s")
    deadline = results["settings"]["deadline"] + _TICK_S
    return [
        _median("one hangs, one drips, one refuses: delay of the others", delays, 10, "%"),
        Bar("and the batch returns at its deadline", max(walls), "<=", deadline, "s", spread(walls)),
    ]


def _beside_bays(results: dict[str, Any]) -> list[Bar]:
    bays, rounds = results["bays"]["bays"], results["bays"]["rounds"]
    beside = [100 * (one["beside_hanging_s"] / one["alone_s"] - 1) for one in rounds]
    together = [one["together_s"] / one["one_bay_s"] for one in rounds]
    return [
        _median("beside other bays whose cameras all hang: delay of a bay", beside, 10, "%"),
        _median(f"{bays} bays at once, over one bay of as many cameras", together, 1.15, "x"),
    ]


def _after_many(results: dict[str, Any]) -> list[Bar]:
    before, after = results["repeated"]["before"], results["repeated"]["after"]
    captures = results["repeated"]["captures"]
    memory = before["memory_mib"] + _MEMORY_NOISE_MIB
    return [
        Bar(f"open files after {captures} captures", after["open_files"], "<=", before["open_files"]),
        Bar(f"threads after {captures} captures", after["threads"], "<=", before["threads"]),
        Bar(f"memory after {captures} captures", after["memory_mib"], "<=", memory, "MiB"),
    ]


def _median(name: str, figures: Sequence[float], bar: float, unit: str) -> Bar:
    return Bar(name, statistics.median(figures), "<=", bar, unit, spread(figures))


def _worst_lag(name: str, measurements: Sequence[dict[str, Any]]) -> Bar:
    lags_ms = [1000 * lag for lag in _of(measurements, "lag_s")]
    return Bar(name, max(lags_ms), "<=", 100, "ms", spread(lags_ms))


def loop_seconds(results: dict[str, Any]) -> float:
    """Median seconds that the specification's loop takes for as many cameras as the smallest size."""
    few = results["settings"]["sizes"][0]
    marks: list[float] = [0.0, *results["sequential"]["finished_s"]]
    rounds = [later - earlier for earlier, later in zip(marks[::few], marks[few::few], strict=False)]
    # Where the limit came before one whole round, its cameras' mean stands for the round.
    return statistics.median(rounds) if rounds else few * marks[-1] / (len(marks) - 1)


def _run(case: str, cameras: Cameras, what: str, **settings: Any) -> dict[str, Any]:
    """One case in a process of its own.

    Raises:
        SimulationError: it failed or hung.
    """
    progress(what)
    orders = json.dumps({"case": case, "cameras": cameras.to_json(), "settings": settings}) + "\n"
    try:
        done = subprocess.run(
            [sys.executable, "-m", "lab.benchmarks.cases"],
            input=orders.encode(),
            stdout=subprocess.PIPE,
            timeout=_CASE_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SimulationError(f"{what}: no result within {_CASE_LIMIT_S:g} s") from None
    if done.returncode != 0:
        raise SimulationError(f"{what}: could not be measured; its process says why above")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _cases_table(results: dict[str, Any]) -> Table:
    table = Table(title="Cameras captured at once (medians)", title_justify="left")
    columns = (
        "cameras",
        "slowest camera",
        "wall time",
        "x slowest",
        "CPU per image",
        "peak memory",
        "largest loop lag",
    )
    for column in columns:
        table.add_column(column, justify="right")
    for size in map(str, results["settings"]["sizes"]):
        captures, slowest = results["known"][size]["captures"], _slowest(results, size)
        wall = statistics.median(_of(captures, "wall_s"))
        cpu = statistics.median(capture["cpu_s"] / capture["frames"] for capture in captures)
        table.add_row(
            size,
            f"{1000 * slowest:.0f} ms",
            f"{wall:.3f} s",
            f"{wall / slowest:.2f}",
            f"{1000 * cpu:.2f} ms",
            f"{results['known'][size]['peak_mib']:.0f} MiB",
            f"{1000 * max(_of(captures, 'lag_s')):.0f} ms",
        )
    limit = results["settings"]["minute"]
    names = {"sequential": "specification's loop", "pool": f"{results['settings']['threads']} threads over onvif-zeep"}
    for case, name in names.items():
        finished = results[case]["finished_s"]
        cpu = results[case]["cpu_s"] / max(1, len(finished))
        table.add_row(
            f"{sum(one <= limit for one in finished)}",
            "",
            f"in {limit:g} s: {name}",
            "",
            f"{1000 * cpu:.0f} ms",
            f"{results[case]['peak_mib']:.0f} MiB",
            "",
        )
    return table


def _slowest(results: dict[str, Any], size: str) -> float:
    return float(max(results["latency"][size]["seconds"].values()))


def _of(measurements: Sequence[dict[str, Any]], name: str) -> list[float]:
    return [one[name] for one in measurements]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab.benchmarks.load", description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=_sizes, default=[12, 128, 200, 1000], metavar="N,N", help="numbers of cameras")
    parser.add_argument("--repeats", type=int, default=5, help="captures per case (5)")
    parser.add_argument("--latency", type=float, default=0.2, help="seconds that a snapshot takes (0.2)")
    parser.add_argument("--soap-latency", type=float, default=0.02, help="seconds that an ONVIF operation takes (0.02)")
    parser.add_argument("--deadline", type=float, default=3.0, help="of the captures with faulty cameras, seconds (3)")
    parser.add_argument("--minute", type=float, default=60.0, help="seconds for each of the two sketches (60)")
    parser.add_argument("--threads", type=int, default=32, help="of the pool over onvif-zeep (32)")
    parser.add_argument("--captures", type=int, default=200, help="in the long run (200)")
    parser.add_argument("--frames", type=int, default=6, help="different frames that are drawn and served (6)")
    parser.add_argument("--out", type=Path, default=_RESULTS, help=f"folder for the results ({_RESULTS})")
    parser.add_argument("--no-picture", action="store_true", help="write no load.png")
    return parser


def _sizes(text: str) -> list[int]:
    """For argparse.

    Raises:
        ArgumentTypeError: no growing list of whole numbers of at least one camera more than the faulty ones.
    """
    try:
        sizes = [int(part) for part in text.split(",")]
    except ValueError:
        sizes = []
    if not sizes or sizes != sorted(set(sizes)) or sizes[0] <= len(_FAULTS):
        raise argparse.ArgumentTypeError(f"{text!r}: write numbers from {len(_FAULTS) + 1} upwards, as 12,100")
    return sizes


if __name__ == "__main__":
    run_command(main)
