"""What the shipped rules make of series, and what the shipped Alertmanager keeps back: both are asked themselves.

`promtool test rules` evaluates the rules over series of a simulated clock. It knows expectations only: none is expected
at any minute, and its refusals say which alerts fire. Inhibition is asked of a running Alertmanager.
"""

import json
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import which
from typing import Any

import yaml

from bay_observation.errors import ConfigError
from lab.services.ports import free_port

MONITORING = Path(__file__).parents[2] / "deploy" / "monitoring"

Labels = tuple[tuple[str, str], ...]
"""Labels of an alert, in order."""

_FIRING = 'ALERTS{alertstate="firing"}'
_REFUSED = re.compile(r"time: (?P<time>[\dhms]+),\s+exp: nil\s+got: (?P<got>[^\n]*)")
_ALERT = re.compile(r"\{([^{}]*)\}")
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_PATIENCE_S = 20.0


def required_programs() -> None:
    """Check that Prometheus' and Alertmanager's programs are there.

    Raises:
        ConfigError: they are not.
    """
    if missing := [name for name in ("promtool", "prometheus-alertmanager") if which(name) is None]:
        raise ConfigError(f"not installed: {', '.join(missing)}: run deploy/install-system-packages.sh")


def firing(samples: Sequence[dict[str, float]], interval: timedelta, folder: Path) -> list[set[Labels]]:
    """Which alerts fire at each sample.

    Args:
        samples: values by series, one mapping after each interval; what a mapping lacks is absent then.
        interval: between two samples.
        folder: for files.
    """
    seconds = int(interval.total_seconds())
    series = sorted({name for sample in samples for name in sample})
    expected = [
        {"expr": _FIRING, "eval_time": f"{seconds * number}s", "exp_samples": []} for number in range(len(samples))
    ]
    test = {
        "interval": f"{seconds}s",
        "input_series": [{"series": name, "values": " ".join(_points(name, samples))} for name in series],
        "promql_expr_test": expected,
    }
    document = {
        "rule_files": [str(MONITORING / "bays.rules.yml")],
        "evaluation_interval": f"{min(60, seconds)}s",
        "tests": [test],
    }
    file = folder / "firing.yml"
    file.write_text(yaml.dump(document), encoding="utf-8")
    done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    found = [set[Labels]() for _ in samples]
    refused = list(_REFUSED.finditer(said))
    if (done.returncode == 0) != (not refused):
        raise ConfigError(f"promtool: {said[:500]}")
    for one in refused:
        found[_seconds(one["time"]) // seconds] = {_labels(text) for text in _ALERT.findall(one["got"])}
    return found


class Alertmanager:
    """A running Alertmanager with the shipped configuration.

    Args:
        address: of its API.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._known: set[Labels] = set()

    def active(self, alerts: set[Labels]) -> dict[Labels, str]:
        """Of these alerts, which all last now, those that it does not keep back: their fingerprints."""
        now = datetime.now(UTC)
        ends = {True: now + timedelta(hours=1), False: now - timedelta(seconds=1)}
        posted = [
            {
                "labels": dict(labels),
                "startsAt": (now - timedelta(minutes=1)).isoformat(),
                "endsAt": ends[labels in alerts].isoformat(),
            }
            for labels in alerts | self._known
        ]
        self._known = alerts
        if posted:
            self._ask("alerts", posted)
        end = time.monotonic() + _PATIENCE_S
        while True:
            found = {tuple(sorted(one["labels"].items())): one for one in self._ask("alerts")}
            if found.keys() == alerts:
                return {labels: one["fingerprint"] for labels, one in found.items() if not one["status"]["inhibitedBy"]}
            if time.monotonic() > end:
                raise ConfigError(f"Alertmanager has {len(found)} alerts, and was given {len(alerts)}")
            time.sleep(0.05)

    def _ask(self, path: str, body: object = None) -> list[dict[str, Any]]:
        request = urllib.request.Request(  # noqa: S310 - this machine's own
            f"{self._address}/api/v2/{path}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            text = answer.read()
        return json.loads(text) if text else []


@contextmanager
def alertmanager(folder: Path) -> Iterator[Alertmanager]:
    """Run one, until it is left. Its webhook's receiver is not there: what it would post is asked of its API."""
    port = free_port()
    command = [
        "prometheus-alertmanager",
        f"--config.file={MONITORING / 'alertmanager.yml'}",
        f"--storage.path={folder}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        "--log.level=error",
    ]
    address = f"http://127.0.0.1:{port}"
    with (folder / "alertmanager.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        end = time.monotonic() + _PATIENCE_S
        while True:
            try:
                urllib.request.urlopen(f"{address}/-/ready", timeout=5).close()  # noqa: S310
                break
            except (urllib.error.URLError, OSError):
                if process.poll() is not None or time.monotonic() > end:
                    raise ConfigError(f"Alertmanager does not start: {folder}/alertmanager.log") from None
                time.sleep(0.1)
        yield Alertmanager(address)
    finally:
        process.terminate()
        process.wait(timeout=20)


def _points(name: str, samples: Sequence[dict[str, float]]) -> Iterator[str]:
    """A series; where it ends, Prometheus marks it as stale."""
    there = False
    for sample in samples:
        yield f"{sample[name]:g}" if name in sample else "stale" if there else "_"
        there = name in sample


def _labels(text: str) -> Labels:
    own = (one for one in _LABEL.findall(text) if one[0] not in ("__name__", "alertstate"))
    return tuple(sorted(own))


def _seconds(text: str) -> int:
    units = {"h": 3600, "m": 60, "s": 1}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([hms])", text))
