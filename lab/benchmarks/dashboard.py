"""`make check-dashboard`: the dashboard in a real Chromium, on a real Airflow API server and a filled history.

A PostgreSQL is filled with bays as busy as a yard (`lab.benchmarks.filled`), up to now, and one lively simulated bay
that has frames. Airflow's API server runs under a path, with logins. The figures are printed beside
their bars; the screenshots lie in `dashboard_output/`, for a look. What fails is shown and counted, and the rest is
measured. In pieces: `--parts fill --folder FOLDER` once, then each of the other parts with the same folder, and of the
pages some with `--looks floor,frames`. Exits with 1 where a bar does not hold.
"""

import argparse
import gzip
import json
import os
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from artifacts import ArtifactStore
from bay_observation.commands import output_console, run_command
from bay_observation.errors import BayObservationError, SimulationError
from bays import load_bay
from lab.bars import Bar, bars_table, chosen_parts, spread
from lab.benchmarks.dashboard_server import PageServer
from lab.benchmarks.dashboard_yard import SLOT, LivelyBay, raise_alerts
from lab.benchmarks.filled import BAY, FILLING, Fill, fill
from lab.services.ending import end_in_good_order
from lab.services.postgresql import PostgreSQL
from tracking.history import History

ROOT = Path(__file__).parents[2]
WEB = ROOT / "dashboard" / "web"
BUNDLE = ROOT / "dashboard" / "static" / "dashboard.js"
LIVELY = "demo_bay"
PARTS = ("fill", "api", "routes", "pages", "speed", "server")
_CHROMIUM = "/usr/bin/chromium"
_STARTS = 5
_ROUNDS = 40
_DAY = timedelta(days=1)
_BROWSER_S = 900


@dataclass(frozen=True)
class Asked:
    """How long the API took, milliseconds: by question, and for the stays of a day."""

    small: dict[str, list[float]]
    stays: list[float]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, judge."""
    options = _parser().parse_args(arguments)
    console = output_console()
    chosen = chosen_parts(options.parts, PARTS)
    if {"pages", "speed"} & set(chosen) and (missing := _missing()):
        console.print(f"not run: {missing}")
        return 2
    output: Path = options.output.resolve()
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    bars = _measure(options, chosen, output, console)
    console.print(bars_table(bars, "Dashboard"))
    console.print(f"screenshots: {output}", soft_wrap=True)
    return 0 if all(bar.holds for bar in bars) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make check-dashboard", description=__doc__)
    parser.add_argument("--bays", type=int, default=10)
    parser.add_argument("--blocks", type=int, default=500, help="that stand in each bay")
    parser.add_argument("--days", type=int, default=365, help="of history (365)")
    parser.add_argument("--folder", type=Path, help="of the filled server, to be kept and asked again")
    parser.add_argument("--output", type=Path, default=ROOT / "dashboard_output")
    parser.add_argument("--parts", default=",".join(PARTS), help="of what is measured, with commas between them")
    parser.add_argument("--looks", default="", help="of the part pages: floor, frames, …, with commas; all without")
    parser.add_argument("--slots", type=int, default=144, help="of the lively bay")
    return parser


def _missing() -> str:
    if shutil.which("node") is None or not (WEB / "node_modules" / "playwright-core").exists():
        return "needs Node and dashboard/web/node_modules: run `make web`"
    return "" if Path(_CHROMIUM).exists() else f"needs {_CHROMIUM} (Debian's package chromium)"


def _measure(options: argparse.Namespace, chosen: list[str], output: Path, console: Console) -> list[Bar]:
    bars = [Bar("bundle, gzip", len(gzip.compress(BUNDLE.read_bytes())) / 1000, "<=", 120, "kB")]
    with tempfile.TemporaryDirectory(prefix="bay-dashboard-") as temporary:
        work = Path(temporary)
        with _filled(options, console) as server, _environment(work, server.url, options.bays):
            if chosen == ["fill"]:
                return bars
            track = _fill_lively(server.url, work, options.slots) if {"routes", "pages"} & set(chosen) else ""
            asked = _Asking(options, output, console, track)
            plain = PageServer(work / "plain", dags_folder=ROOT / "dags", env=_env(off=True), parse=False)
            plain_mib = _plain_mib(plain) if "server" in chosen else 0.0
            with PageServer(work / "airflow", dags_folder=ROOT / "dags", env=_env(off=False), parse=False) as airflow:
                for part in PARTS:
                    if part in chosen and part in asked.parts:
                        console.print(f"{part}, at a load of {os.getloadavg()[0]:.1f}")
                        bars += _measured_part(part, partial(asked.parts[part], airflow), console)
                if "server" in chosen:
                    weighed = partial(_weigh, airflow, options, plain_mib, asked="api" in chosen)
                    bars += _measured_part("server", weighed, console)
            if "server" in chosen:
                bars += _measured_part("server", partial(_started, airflow, plain), console)
    return bars


def _measured_part(part: str, measure: Callable[[], list[Bar]], console: Console) -> list[Bar]:
    """A part's figures; where it fails, that instead, so that those of the other parts are still shown."""
    try:
        return measure()
    except (BayObservationError, httpx.HTTPError, OSError, subprocess.SubprocessError) as error:
        console.print(f"  {part}: {error}", style="red", markup=False)
        return [Bar(f"{part}: not measured", 1, "<=", 0)]


def _weigh(airflow: PageServer, options: argparse.Namespace, plain_mib: float, *, asked: bool) -> list[Bar]:
    if not asked:
        _ask(airflow, options)  # it is weighed in use
    return [Bar("API server's memory beside the plain one", airflow.memory_mib() - plain_mib, "<=", 80, "MiB")]


def _plain_mib(plain: PageServer) -> float:
    """Memory (MiB) of an API server without the dashboard."""
    with plain:
        _use(plain)
        return plain.memory_mib()


def _started(airflow: PageServer, plain: PageServer) -> list[Bar]:
    """How much longer a start takes, over some in turn: the shortest by the clock, the median by the processor.

    A start computes all the while, on one core. By the clock, two starts of the same server differ by seconds on a
    shared machine, as what else runs there only makes a start longer; processor time does not know of it.
    """
    used: dict[PageServer, list[float]] = {plain: [], airflow: []}
    taken: dict[PageServer, list[float]] = {plain: [], airflow: []}
    for server in (plain, airflow) * _STARTS:
        try:
            server.start()
            server.wait_until_healthy()
        finally:
            server.stop()
        used[server].append(server.start_cpu_s)
        taken[server].append(server.start_s)
    name = "API server's start beside the plain one"
    by_clock, by_processor = (f"{_spread(of[airflow])} beside {_spread(of[plain])}" for of in (taken, used))
    longer = statistics.median(used[airflow]) - statistics.median(used[plain])
    return [
        Bar(f"{name}, shortest of {_STARTS}", min(taken[airflow]) - min(taken[plain]), "<=", 1, "s", by_clock),
        Bar(f"{name}, processor time", longer, "<=", 1, "s", by_processor),
    ]


class _Asking:
    """What is asked of a server with the dashboard, part by part."""

    def __init__(self, options: argparse.Namespace, output: Path, console: Console, track: str) -> None:
        self._options, self._output, self._console, self._track = options, output, console, track
        self.parts = {"api": self._api, "routes": self._routes, "pages": self._pages, "speed": self._speed}

    def _api(self, airflow: PageServer) -> list[Bar]:
        asked = _ask(airflow, self._options)
        for question, times in sorted(asked.small.items(), key=lambda pair: _p95(pair[1])):
            self._console.print(f"  {question}: median {_median(times):.0f}, p95 {_p95(times):.0f} ms")
        small = [time for times in asked.small.values() for time in times]
        return [
            Bar("API, p95", _p95(small), "<=", 100, "ms", spread(small)),
            *(Bar(f"{name}, p95", _p95(times), "<=", 100, "ms", spread(times)) for name, times in asked.small.items()),
            Bar("stays of a day, p95", _p95(asked.stays), "<=", 200, "ms", spread(asked.stays)),
        ]

    def _routes(self, airflow: PageServer) -> list[Bar]:
        found = self._show(_open_routes(airflow))
        return [Bar("routes that answer without a login", len(found), "<=", 0)]

    def _pages(self, airflow: PageServer) -> list[Bar]:
        seen = _browse(airflow, self._options, self._output, self._track, "pages")
        self._show([*seen["failures"], *seen["console"], *seen["axe"], *seen["wide"]])
        return [
            Bar("pages that open", seen["pages"], ">=", seen["pages"] + len(seen["failures"])),
            Bar("errors in the console", len(seen["console"]), "<=", 0),
            Bar("violations of WCAG AA (axe-core)", len(seen["axe"]), "<=", 0),
            Bar("pages with something to be scrolled sideways", len(seen["wide"]), "<=", 0),
        ]

    def _speed(self, airflow: PageServer) -> list[Bar]:
        seen = _browse(airflow, self._options, self._output, self._track, "speed")
        steps, empty = seen["steps"], seen["empty"]
        first, cold = seen["first"], seen["cold"]
        failed = self._show(seen["failures"])
        return [
            *([Bar("speed: what failed", len(failed), "<=", 0)] if failed else []),
            Bar("first floor after the click on Bays, median", _median(first), "<=", 1000, "ms", _spread(first)),
            Bar("first floor from an empty browser, median (no bar of its own)", _median(cold), ">=", 0, "ms"),
            Bar("scrub, median of a step", _median(steps), "<=", 17, "ms", _spread(steps)),
            Bar("scrub, p95 of a step", _p95(steps), "<=", 25, "ms"),
            Bar("an empty frame beside it, median (no bar of its own)", _median(empty), ">=", 0, "ms"),
            Bar("an empty frame beside it, p95 (no bar of its own)", _p95(empty), ">=", 0, "ms", _spread(empty)),
            Bar(
                "steps that drew nothing",
                seen["undrawn"],
                "<=",
                0,
                spread=f"{min(seen['blocks'], default=0)} blocks or more",
            ),
        ]

    def _show(self, lines: list[str]) -> list[str]:
        for line in lines:
            self._console.print(f"  {line}", style="red", markup=False)
        return lines


def _hour() -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


@contextmanager
def _filled(options: argparse.Namespace, console: Console) -> Iterator[PostgreSQL]:
    folder: Path | None = options.folder
    wanted = (options.bays, options.blocks, options.days)
    if folder is None or not (folder / "data").exists():
        kept = folder or Path(tempfile.mkdtemp(prefix="bay-dashboard-postgresql-", dir="/var/tmp"))
        kept.mkdir(parents=True, exist_ok=True)
        with PostgreSQL(FILLING, kept) as server:
            made = fill(
                server,
                bays=options.bays,
                blocks=options.blocks,
                days=options.days,
                start=_hour() - options.days * _DAY,
                seed=1,
                years=1,
                on_progress=lambda text: console.print(f"  {text}"),
            )
        made.keep(kept)
        console.print(f"  {sum(made.rows.values())} rows in {made.seconds:.0f} s")
    else:
        kept = folder
        found = Fill.of(kept)
        if (found.bays, found.blocks, found.days) != wanted:
            raise SimulationError(f"{kept} holds {found.bays} bays, {found.blocks} blocks, {found.days} days")
    try:
        with PostgreSQL(folder=kept) as server:
            yield server
    finally:
        if folder is None:
            shutil.rmtree(kept, ignore_errors=True)


@contextmanager
def _environment(work: Path, url: str, bays: int) -> Iterator[None]:
    """Bays as files, and where their history and store are, for this process and the servers it starts."""
    folder = work / "bays"
    folder.mkdir()
    packaged = ROOT / "bays"
    names = [f"bay{number:02d}" for number in range(bays)]
    for name in names:
        shutil.copy(packaged / f"{BAY}.yaml", folder / f"{name}.yaml")
    shutil.copy(packaged / f"{LIVELY}.yaml", folder)
    values = {
        "BAYS_PATH": str(folder),
        "BAYS_ENABLED": " ".join([*names, LIVELY]),
        "BAYS_SCHEDULE": "off",
        "DATA_PATH": str(work / "data"),
        "HISTORY_DB": url,
        "DASHBOARD_CACHE": str(work / "pictures"),
    }
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _env(*, off: bool) -> dict[str, str]:
    return {"DASHBOARD": "off" if off else "on"}


def _fill_lively(url: str, work: Path, slots: int) -> str:
    """Fill the lively bay up to now; a block that stands in it."""
    now = datetime.now(UTC)
    newest = now.replace(minute=now.minute // 10 * 10, second=0, microsecond=0) - SLOT
    bay = LivelyBay(load_bay(LIVELY), seed=41, newest=newest, slots=slots, framed=2)
    with History(url) as history:
        with history.writer(LIVELY) as writer:
            writer.clear()  # of an earlier run on a server that was kept
        bay.fill(ArtifactStore(work / "data"), history)
        raise_alerts(history, LIVELY, now)
        return history.standing(LIVELY)[0].track_id


def _ask(airflow: PageServer, options: argparse.Namespace) -> Asked:
    """Every question of the page, about random bays and days, one after the other."""
    dice = random.Random(7)
    small: dict[str, list[float]] = {}
    stays = []
    headers = {"Authorization": f"Bearer {airflow.token('looker')}"}
    with httpx.Client(base_url=f"{airflow.url}/bay/api/v1/", headers=headers, timeout=60) as client:
        for number in range(_ROUNDS + 1):
            bay = f"bays/bay{dice.randrange(options.bays):02d}"
            start = _hour() - options.days * _DAY + dice.randrange(max(1, options.days - 1)) * _DAY
            day = {"start": start.isoformat(), "end": (start + _DAY).isoformat()}
            questions: list[tuple[str, dict[str, str]]] = [
                ("bays", {}),
                (bay, {}),
                (f"{bay}/floor", {"at": (start + _DAY / 2).isoformat()}),
                (f"{bay}/events", {**day, "limit": "5000"}),
                (f"{bay}/gaps", day),
                (f"{bay}/cameras", day),
                (f"{bay}/health", {}),
                (f"{bay}/alerts", {}),
                (f"{bay}/reviews", day),
                (f"{bay}/report", day),
                (f"{bay}/tracks", day),
                (f"{bay}/calendar", {**day, "end": (start + 30 * _DAY).isoformat()}),
            ]
            times = [_time(client, path, query) for path, query in questions]
            of_day = _time(client, f"{bay}/stays", day)
            if number:  # the first round pays for what is made once
                for (path, _), taken in zip(questions, times, strict=True):
                    small.setdefault(path.removeprefix(bay).lstrip("/") or "bay", []).append(taken)
                stays.append(of_day)
    return Asked(small, stays)


def _time(client: httpx.Client, path: str, query: dict[str, str]) -> float:
    began = time.perf_counter()
    client.get(path, params=query).raise_for_status()
    return (time.perf_counter() - began) * 1000


def _open_routes(airflow: PageServer) -> list[str]:
    """Routes of the dashboard that answer anything but 401 to who is not logged in."""
    headers = {"Authorization": f"Bearer {airflow.token('looker')}"}
    schema = httpx.get(f"{airflow.url}/bay/api/v1/openapi.json", headers=headers, timeout=30).raise_for_status().json()
    described = [(method.upper(), path) for path, methods in schema["paths"].items() for method in methods]
    hidden = [("GET", path) for path in ("/static/dashboard.js", "/api/v1/openapi.json", "/api/v1/docs")]
    found = []
    values = {"{bay_id}": LIVELY, "{track_id}": f"{LIVELY}-000001", "{slot}": "20250702-000000", "{camera}": "C_2"}
    for method, path in [*described, *hidden]:
        for name, value in {**values, "{form}": "csv"}.items():
            path = path.replace(name, value)  # noqa: PLW2901
        body: dict[str, str] | None = None if method == "GET" else {}
        code = httpx.request(method, f"{airflow.url}/bay{path}", json=body, timeout=30).status_code
        if code != 401:
            found.append(f"{method} {path}: {code}")
    return found


def _use(airflow: PageServer) -> None:
    """What Airflow's own pages ask, so that the plain server has warmed up too."""
    headers = {"Authorization": f"Bearer {airflow.token('looker')}"}
    with httpx.Client(base_url=airflow.url, headers=headers, timeout=30) as client:
        for _ in range(_ROUNDS):
            for path in ("/", "/ui/config", "/ui/auth/menus", "/api/v2/plugins", "/api/v2/dags", "/ui/dags"):
                client.get(path).raise_for_status()


def _browse(airflow: PageServer, options: argparse.Namespace, output: Path, track: str, part: str) -> dict[str, Any]:
    result = output / "browser.json"
    large_at = _hour() - 2 * _DAY
    config = {
        "part": part,
        "looks": [name for name in options.looks.split(",") if name],
        "url": airflow.url,
        "tokens": {name: airflow.token(name) for name in airflow.passwords},
        "chromium": _CHROMIUM,
        "output": str(output),
        "result": str(result),
        "lively": LIVELY,
        "track": track,
        "large": "bay00",
        "large_at": f"{large_at:%Y-%m-%dT%H:%M:%SZ}",
        "rounds": 3,
        "patience_ms": 30_000,
    }
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:  # holds tokens: gone with the run
        json.dump(config, file)
        file.flush()
        done = subprocess.run(
            ["node", "check/browser.mjs", file.name],
            cwd=WEB,
            capture_output=True,
            text=True,
            timeout=_BROWSER_S,
            check=False,
        )
    if done.returncode != 0 or not result.exists():
        raise SimulationError(f"the browser's part failed: {done.stderr[-1500:]}")
    seen: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    return seen


def _spread(values: Sequence[float]) -> str:
    return spread(values) if values else ""


def _median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else float("nan")


def _p95(values: Sequence[float]) -> float:
    return sorted(values)[int(0.95 * (len(values) - 1))] if values else float("nan")


if __name__ == "__main__":
    end_in_good_order()
    run_command(main)
