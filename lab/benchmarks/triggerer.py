"""`make bench-triggerer`: the captures of a whole yard in one triggerer, beside what a slot allows.

A real `airflow triggerer` with the queues of all bays runs in front of its own PostgreSQL. Wave after wave
(ten by default) the capture of every bay is deferred at the same moment, as at the beginning of a slot, and the
next wave follows when the last task is resumed. The cameras are simulated ones in processes of their own; they,
the database and this program share the machine with the triggerer. Prints every figure beside its bar, writes
`lab/benchmarks/results/triggerer.json`, and exits with 1 when a bar does not hold, with 2 when nothing can
be measured.
"""

import argparse
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import yaml

from bay_observation.commands import output_console, positive_number, run_command
from bay_observation.errors import BayObservationError, SimulationError
from bays import observer_queue, onvif_connection_id
from lab.bars import Bar, bars_table, progress, spread
from lab.benchmarks.deferred import DAG_FILE
from lab.benchmarks.yard import Cameras, Yard, allow_open_files, draw_frames
from lab.machine import machine
from lab.services.ending import end_in_good_order
from lab.services.postgresql import PostgreSQL

_RESULTS = Path(__file__).parent / "results"
_LIBRARIES = ("apache-airflow", "aiohttp")
_DEADLINE_S = 30.0  # the default of a bay's capture_deadline
_LAG_BAR_MS = 100.0
_WAVE_LIMIT_S = 300.0
_START_LIMIT_S = 300.0
_LOOK_S = 0.2
# What Airflow says of itself where its loop was held up for 0.2 s and more.
_BLOCKED = "triggers.blocked_main_thread"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; 0 when every bar holds, 1 when one does not, 2 when nothing can be measured."""
    options = _parser().parse_args(arguments)
    try:
        allow_open_files(2 * options.bays * options.cameras)
        results = measure(options)
    except BayObservationError as error:
        print(error, file=sys.stderr)
        return 2
    bars = bars_of(results)
    results["bars"] = [{"name": bar.name, "figure": bar.figure, "bar": bar.bar, "holds": bar.holds} for bar in bars]
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "triggerer.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    console = output_console()
    console.print(bars_table(bars, _title(results)))
    for line in said(results):
        console.print(line)
    console.print(f"written to {options.out}/triggerer.json")
    return 0 if all(bar.holds for bar in bars) else 1


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All waves, as one document of JSON types.

    Raises:
        SimulationError: cameras, database or triggerer do not start, or captures are not resumed.
    """
    home = Path(tempfile.mkdtemp(prefix="bench-triggerer-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        progress(f"{options.bays * options.cameras} cameras")
        yard = Yard(
            options.bays * options.cameras,
            latency_s=options.latency,
            soap_latency_s=0.02,
            frames=draw_frames(home, options.frames),
            niceness=options.niceness,
        )
        cameras = stack.enter_context(yard)
        names = write_bays(home / "bays", cameras, options.cameras)
        database = stack.enter_context(PostgreSQL({"fsync": "off"}))
        metrics = stack.enter_context(Statsd())
        environment = _environment(home, database.url, cameras, names) | metrics.environment
        progress("Airflow's database")
        _run([sys.executable, "-m", "airflow", "db", "migrate"], environment)
        progress(f"{len(names) * options.waves} runs")
        deferring = stack.enter_context(_Deferring(home, environment, names, options.waves))
        triggerer = stack.enter_context(_Triggerer(home, environment, names))
        waves = []
        for number in range(options.waves):
            progress(f"wave {number + 1} of {options.waves}: {len(names)} captures")
            cameras.show(number)
            waves.append(_wave(number, deferring, triggerer, metrics, home / "data"))
    return {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(_LIBRARIES),
        "settings": {"bays": options.bays, "cameras": options.cameras, "waves": options.waves, "deadline": _DEADLINE_S},
        "waves": waves,
    }


def bars_of(results: Mapping[str, Any]) -> list[Bar]:
    """The figures that have a bar, of what was measured."""
    settings, waves = results["settings"], results["waves"]
    captures = [capture for wave in waves for capture in wave["captures"]]
    late = sum(capture["seconds"] > settings["deadline"] for capture in captures)
    whole = sum(capture["status"] == "captured" and capture["frames"] == settings["cameras"] for capture in captures)
    seconds = [capture["seconds"] for capture in captures]
    lags = [wave["lag_ms"] for wave in waves]
    deadline = f"{settings['deadline']:g} s"
    return [
        Bar(
            f"captures later than their deadline of {deadline}, of {len(captures)}",
            late,
            "<=",
            0,
            "",
            f"{spread(seconds)} s",
        ),
        Bar("captures with the frames of all cameras", whole, ">=", len(captures)),
        Bar("largest loop lag while cameras are asked", max(lags), "<=", _LAG_BAR_MS, "ms", spread(lags)),
    ]


def said(results: Mapping[str, Any]) -> list[str]:
    """What has no bar: rate, memory, CPU, and how many triggerers a yard needs."""
    waves, settings = results["waves"], results["settings"]
    slowest = [max(capture["seconds"] for capture in wave["captures"]) for wave in waves]
    rate = settings["bays"] / statistics.median(slowest)
    blocked = sum(wave["blocked"] for wave in waves)
    cpu = sum(wave["cpu_s"] for wave in waves) / sum(len(wave["captures"]) for wave in waves)
    had, waited = (sum(wave["loop_s"][part] for wave in waves) for part in (0, 1))
    return [
        f"captures a minute: {60 * rate:.0f} (median wave: {statistics.median(slowest):.1f} s)",
        f"memory of the process that runs the triggers: {waves[0]['memory_mib']:.0f} MiB at most in the first wave,"
        f" {max(wave['memory_mib'] for wave in waves):.0f} MiB in any",
        f"CPU of the triggerer: {cpu:.2f} s a capture of {settings['cameras']} cameras",
        f"the loop's thread computed for {had:.1f} s, and waited for {waited:.1f} s for one of this machine's cores",
        f"Airflow found its loop held up for 0.2 s or more: {blocked} times",
        f"the longest wave took {max(slowest):.1f} s of the {settings['deadline']:g} s. Where all bars hold,"
        f" a yard of N bays needs N / {settings['bays']} triggerers, rounded up, and one more to take over",
    ]


def _title(results: Mapping[str, Any]) -> str:
    settings = results["settings"]
    return (
        f"{settings['bays'] * settings['waves']} deferred captures, {settings['bays']} bays of"
        f" {settings['cameras']} cameras, one triggerer"
    )


def write_bays(folder: Path, cameras: Cameras, size: int) -> list[str]:
    """A bay's file for every `size` cameras; the ids of the bays."""
    folder.mkdir()
    names = []
    for number, part in enumerate(cameras.parts(size)):
        names.append(f"bay_{number:03}")
        content = part.bay(deadline_s=_DEADLINE_S).model_dump(mode="json", exclude={"bay_id"}, exclude_unset=True)
        for camera in content["cameras"]:
            camera["fusion"] = False  # none of them has a pose
        (folder / f"{names[-1]}.yaml").write_text(yaml.safe_dump(content | {"enabled": True}), encoding="utf-8")
    return names


class Statsd:
    """A statsd server that keeps what Airflow's services send.

    Args:
        host, port: where it listens; a free port of this machine by default.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**22)
        self._socket.bind((host, port))
        self._thread = threading.Thread(target=self._listen, name="statsd")
        self._lines: list[str] = []
        self.environment = statsd_environment(*self._socket.getsockname())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def take(self) -> list[str]:
        """What came since the last time."""
        taken, self._lines = self._lines, []
        return taken

    def _listen(self) -> None:
        while received := self._socket.recv(65536):
            self._lines += received.decode().splitlines()


def statsd_environment(host: str, port: int) -> dict[str, str]:
    """What lets Airflow send its metrics there, tags and all."""
    return {
        "AIRFLOW__METRICS__STATSD_ON": "True",
        "AIRFLOW__METRICS__STATSD_HOST": host,
        "AIRFLOW__METRICS__STATSD_PORT": str(port),
        "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
    }


def values(lines: Sequence[str], metric: str) -> list[float]:
    """The values of one metric, of lines as `airflow.bay_capture.loop_lag,bay=bay_000:1.5|ms`."""
    pattern = re.compile(rf"\bairflow\.{re.escape(metric)}(?:,[^:]*)?:([-\d.]+)\|")
    return [float(match[1]) for line in lines if (match := pattern.search(line))]


class _Program:
    """A program that ends with this one, with its output in a file."""

    def __init__(self, log: Path, environment: Mapping[str, str], command: Sequence[str]) -> None:
        self._log, self._environment, self._command = log, environment, command

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                self._command,
                env=dict(self._environment),
                cwd=self._log.parent,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if self._answers else log,
                stderr=log,
                start_new_session=True,
                text=True,
            )
        return self

    _answers = False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        family = []
        if self.process.poll() is None:
            family = psutil.Process(self.process.pid).children(recursive=True)
            self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for child in family:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def failed(self, what: str) -> SimulationError:
        return SimulationError(f"{what}; the end of its log:\n{self._log.read_text(errors='replace')[-2000:]}")


class _Deferring(_Program):
    """`lab.benchmarks.deferred`."""

    _answers = True

    def __init__(self, home: Path, environment: Mapping[str, str], names: Sequence[str], waves: int) -> None:
        dags = home / "bundle"  # not `dags`, which is a package of the product
        dags.mkdir()
        (dags / "captures.py").write_text(DAG_FILE, encoding="utf-8")
        command = [sys.executable, "-m", "lab.benchmarks.deferred", str(dags / "captures.py"), ",".join(names)]
        super().__init__(home / "deferring.log", environment, [*command, str(waves), str(_WAVE_LIMIT_S)])

    def __enter__(self) -> Self:
        super().__enter__()
        self._answer()
        return self

    def begin(self, number: int) -> None:
        """Defer a wave's captures."""
        if self.process.stdin is None:
            raise self.failed("the program that defers has no input")
        self.process.stdin.write(f"{number}\n")
        self.process.stdin.flush()

    def ends(self) -> list[dict[str, Any]]:
        """How the wave's captures ended, once all are resumed."""
        captures: list[dict[str, Any]] = self._answer()["captures"]
        return captures

    def _answer(self) -> dict[str, Any]:
        while self.process.stdout is not None and (line := self.process.stdout.readline()):
            if line.startswith("{"):  # Airflow prints as well
                answer: dict[str, Any] = json.loads(line)
                return answer
        raise self.failed("the program that defers captures ended")


class _Triggerer(_Program):
    """One `airflow triggerer` for all bays."""

    def __init__(self, home: Path, environment: Mapping[str, str], names: Sequence[str]) -> None:
        queues = ",".join(observer_queue(name) for name in names)
        command = [sys.executable, "-m", "airflow", "triggerer", "--skip-serve-logs", "--queues", queues]
        super().__init__(home / "triggerer.log", environment, command)

    def __enter__(self) -> Self:
        super().__enter__()
        until = time.monotonic() + _START_LIMIT_S
        while not psutil.Process(self.process.pid).children():
            if self.process.poll() is not None or time.monotonic() > until:
                self.__exit__(None, None, None)
                raise self.failed("the triggerer does not start")
            time.sleep(_LOOK_S)
        return self

    def processes(self) -> list[psutil.Process]:
        """The one that talks to the database, then the one that runs the triggers."""
        leader = psutil.Process(self.process.pid)
        return [leader, *leader.children(recursive=True)]


def _wave(
    number: int, deferring: _Deferring, triggerer: _Triggerer, metrics: Statsd, artifacts: Path
) -> dict[str, Any]:
    processes = triggerer.processes()
    used, loop = _cpu_s(processes), _loop_s(processes[1])
    metrics.take()
    with _Highest(lambda: sum(process.memory_info().rss for process in processes[1:])) as memory:
        deferring.begin(number)
        captures = deferring.ends()
    time.sleep(1.0)  # the last metrics are on their way
    lines = metrics.take()
    lags = values(lines, "bay_capture.loop_lag")
    if not lags:
        raise triggerer.failed("the triggerer sent no loop lag of any capture")
    shutil.rmtree(artifacts, ignore_errors=True)  # a wave of 100 bays is 400 MB
    return {
        "captures": captures,
        "lag_ms": max(lags),
        "blocked": int(sum(values(lines, _BLOCKED))),
        "memory_mib": memory.value / 2**20,
        "cpu_s": _cpu_s(processes) - used,
        "loop_s": [now - before for now, before in zip(_loop_s(processes[1]), loop, strict=True)],
    }


class _Highest:
    """The highest value of a question that is asked again and again while the context is open."""

    def __init__(self, ask: Callable[[], float]) -> None:
        self.value = 0.0
        self._ask = ask
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(_LOOK_S):
            self.value = max(self.value, self._ask())


def _environment(home: Path, database: str, cameras: Cameras, names: Sequence[str]) -> dict[str, str]:
    address = database.replace("postgresql://", "postgresql+psycopg://", 1)
    login = json.dumps({"conn_type": "generic", "login": cameras.username, "password": cameras.password})
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "BAYS_"))}
    return (
        kept
        | {f"AIRFLOW_CONN_{onvif_connection_id(name).upper()}": login for name in names}
        | {
            "AIRFLOW_HOME": str(home / "airflow"),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": address,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": address.replace("+psycopg", "+psycopg_async"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(home / "bundle"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__TRIGGERER__QUEUES_ENABLED": "True",
            "BAYS_PATH": str(home / "bays"),
            "DATA_PATH": str(home / "data"),
            "CLOCK": "slot",
            "PYTHONUNBUFFERED": "1",
        }
    )


def _run(command: Sequence[str], environment: Mapping[str, str]) -> None:
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        raise SimulationError(f"{' '.join(command[1:4])} failed: {(done.stdout + done.stderr).strip()[-2000:]}")


def _cpu_s(processes: Sequence[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def _loop_s(runner: psutil.Process) -> tuple[float, float]:
    """Seconds that the first thread of a process, which is the loop's, has had a core and has waited for one."""
    had, waited, _ = Path(f"/proc/{runner.pid}/task/{runner.pid}/schedstat").read_text(encoding="ascii").split()
    return int(had) / 1e9, int(waited) / 1e9


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab.benchmarks.triggerer", description=__doc__.splitlines()[0])
    parser.add_argument("--bays", type=positive_number, default=100, help="bays, all captured at the same moment (100)")
    parser.add_argument("--cameras", type=positive_number, default=12, help="cameras of each bay (12)")
    parser.add_argument(
        "--waves", type=positive_number, default=10, help="captures of each bay, one after the other (10)"
    )
    parser.add_argument("--latency", type=float, default=0.2, help="seconds that a snapshot takes (0.2)")
    parser.add_argument(
        "--frames", type=positive_number, default=6, help="different frames that are drawn and served (6)"
    )
    parser.add_argument(
        "--niceness", type=int, default=19, help="of the cameras, which are other machines on a real day (19); 0: none"
    )
    parser.add_argument("--out", type=Path, default=_RESULTS, help=f"folder for the results ({_RESULTS})")
    return parser


if __name__ == "__main__":
    end_in_good_order()
    run_command(main)
