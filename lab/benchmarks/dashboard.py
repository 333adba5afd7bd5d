"""`make check-dashboard`: the dashboard in a real Chromium, on a real Airflow API server and a filled history.

A PostgreSQL is filled with bays as busy as a yard (`lab.benchmarks.filled`) and one lively simulated bay
that has frames. Airflow's API server runs under a path, with logins. The figures are printed beside
their bars; the screenshots lie in `dashboard_output/`, for a look. `--folder` keeps what was filled, to be asked again.
Exits with 1 where a bar does not hold.
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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from artifacts import ArtifactStore
from bay_observation.commands import run_command
from bay_observation.errors import SimulationError
from bays import load_bay
from lab.bars import Bar, bars_table, spread
from lab.benchmarks.dashboard_server import PageServer
from lab.benchmarks.dashboard_yard import SLOT, LivelyBay
from lab.benchmarks.filled import BAY, FILLING, START, Fill, fill
from lab.services.postgresql import PostgreSQL
from tracking.history import History

ROOT = Path(__file__).parents[2]
WEB = ROOT / "dashboard" / "web"
BUNDLE = ROOT / "dashboard" / "static" / "dashboard.js"
LIVELY = "demo_bay"
_CHROMIUM = "/usr/bin/chromium"
_ROUNDS = 40
_DAY = timedelta(days=1)
_BROWSER_S = 900


@dataclass(frozen=True)
class Asked:
    """How long the API took, milliseconds."""

    small: list[float]
    stays: list[float]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, judge."""
    options = _parser().parse_args(arguments)
    console = Console(width=130)
    missing = _missing()
    if missing:
        console.print(f"not run: {missing}")
        return 2
    output: Path = options.output.resolve()
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    bars = _measure(options, output, console)
    console.print(bars_table(bars, "Dashboard"))
    console.print(f"screenshots: {output}", soft_wrap=True)
    return 0 if all(bar.holds for bar in bars) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make check-dashboard", description=__doc__)
    parser.add_argument("--bays", type=int, default=10)
    parser.add_argument("--blocks", type=int, default=500, help="that stand in each bay")
    parser.add_argument("--days", type=int, default=365, help="of history")
    parser.add_argument("--folder", type=Path, help="of the filled server, to be kept and asked again")
    parser.add_argument("--output", type=Path, default=ROOT / "dashboard_output")
    parser.add_argument("--slots", type=int, default=144, help="of the lively bay")
    return parser


def _missing() -> str:
    if shutil.which("node") is None or not (WEB / "node_modules" / "playwright-core").exists():
        return "needs Node and dashboard/web/node_modules: run `make web`"
    return "" if Path(_CHROMIUM).exists() else f"needs {_CHROMIUM} (Debian's package chromium)"


def _measure(options: argparse.Namespace, output: Path, console: Console) -> list[Bar]:
    with tempfile.TemporaryDirectory(prefix="bay-dashboard-") as temporary:
        work = Path(temporary)
        with _filled(options, console) as server, _environment(work, server.url, options.bays):
            track = _fill_lively(server.url, work, options.slots)
            console.print("filled; a plain API server, then one with the dashboard")
            with PageServer(work / "plain", dags_folder=ROOT / "dags", env=_env(off=True), parse=False) as plain:
                _use(plain)
                plain_mib, plain_s = plain.memory_mib(), plain.start_s
            with PageServer(work / "airflow", dags_folder=ROOT / "dags", env=_env(off=False), parse=False) as airflow:
                start_s = airflow.start_s
                asked = _ask(airflow, options)
                open_routes = _open_routes(airflow)
                seen = _browse(airflow, options, output, track)
                grown_mib = airflow.memory_mib() - plain_mib
    for line in (*seen["failures"], *seen["console"], *seen["axe"], *open_routes):
        console.print(f"  {line}", style="red", markup=False)
    return _bars(asked, open_routes, seen, grown_mib, start_s - plain_s)


def _bars(asked: Asked, open_routes: list[str], seen: dict[str, Any], grown_mib: float, later_s: float) -> list[Bar]:
    nan = float("nan")
    steps, empty = seen.get("steps") or [nan], seen.get("empty") or [nan]
    blocks = seen.get("blocks") or [0]
    return [
        Bar("pages that open", seen["pages"], ">=", seen["pages"] + len(seen["failures"])),
        Bar("errors in the console", len(seen["console"]), "<=", 0),
        Bar("first floor after the click on Bays, median", _median(seen["first"]), "<=", 1000, "ms"),
        Bar("first floor from an empty browser, median (no bar of its own)", _median(seen["cold"]), ">=", 0, "ms"),
        Bar("API, p95", _p95(asked.small), "<=", 100, "ms", spread(asked.small)),
        Bar("stays of a day, p95", _p95(asked.stays), "<=", 200, "ms", spread(asked.stays)),
        Bar("scrub, median of a step", statistics.median(steps), "<=", 17, "ms", spread(steps)),
        Bar("scrub, p95 of a step", _p95(steps), "<=", 25, "ms"),
        Bar("an empty frame beside it, median (no bar of its own)", statistics.median(empty), ">=", 0, "ms"),
        Bar("an empty frame beside it, p95 (no bar of its own)", _p95(empty), ">=", 0, "ms", spread(empty)),
        Bar("steps that drew nothing", seen.get("undrawn", nan), "<=", 0, spread=f"{min(blocks)} blocks or more"),
        Bar("bundle, gzip", len(gzip.compress(BUNDLE.read_bytes())) / 1000, "<=", 120, "kB"),
        Bar("routes that answer without a login", len(open_routes), "<=", 0),
        Bar("violations of WCAG AA (axe-core)", len(seen["axe"]), "<=", 0),
        Bar("API server's memory beside the plain one", grown_mib, "<=", 80, "MiB"),
        Bar("API server's start beside the plain one", later_s, "<=", 1, "s"),
    ]


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
                seed=1,
                years=1,
                on_progress=lambda text: console.print(f"  {text}"),
            )
        made.keep(kept)
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
        return history.standing(LIVELY)[0].track_id


def _ask(airflow: PageServer, options: argparse.Namespace) -> Asked:
    """Every question of the page, about random bays and days, one after the other."""
    dice = random.Random(7)
    small, stays = [], []
    headers = {"Authorization": f"Bearer {airflow.token('looker')}"}
    with httpx.Client(base_url=f"{airflow.url}/bay/api/v1/", headers=headers, timeout=60) as client:
        for number in range(_ROUNDS + 1):
            bay = f"bays/bay{dice.randrange(options.bays):02d}"
            start = START + dice.randrange(max(1, options.days - 1)) * _DAY
            day = {"start": start.isoformat(), "end": (start + _DAY).isoformat()}
            questions: list[tuple[str, dict[str, str]]] = [
                ("bays", {}),
                (bay, {}),
                (f"{bay}/floor", {"at": (start + _DAY / 2).isoformat()}),
                (f"{bay}/events", {**day, "limit": "5000"}),
                (f"{bay}/gaps", day),
                (f"{bay}/cameras", day),
                (f"{bay}/health", {}),
                (f"{bay}/reviews", day),
                (f"{bay}/calendar", {**day, "end": (start + 30 * _DAY).isoformat()}),
            ]
            times = [_time(client, path, query) for path, query in questions]
            of_day = _time(client, f"{bay}/stays", day)
            if number:  # the first round pays for what is made once
                small += times
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


def _browse(airflow: PageServer, options: argparse.Namespace, output: Path, track: str) -> dict[str, Any]:
    result = output / "browser.json"
    large_at = START + (options.days - 2) * _DAY + _DAY / 2
    config = {
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


def _median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else float("nan")


def _p95(values: Sequence[float]) -> float:
    return sorted(values)[int(0.95 * (len(values) - 1))] if values else float("nan")


if __name__ == "__main__":
    run_command(main)
