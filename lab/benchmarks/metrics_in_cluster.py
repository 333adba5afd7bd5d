"""Does every metric of `docs/metrics.md`, every panel and every rule have data? Asked of a cluster of one bay.

The bay's slots run through Airflow, Celery and PostgreSQL. What tasks and triggers send comes to a statsd server. The
exporter is scraped, and the shipped rules are evaluated, by Debian's Prometheus with the shipped configuration. One
fault after the other then gives data to what shows faults alone. Of a rule each metric must have data; that it fires
is a question of hours, and the part `faults` of `make check-alerts` answers it.
"""

import json
import re
import secrets
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import httpx
import yaml

from artifacts import ArtifactStore
from bay_observation.errors import ConfigError
from bay_observation.metrics import EXPORTED, SENT
from bays import batch_id, dag_id, observer_queue
from inference.drift import LEAST_REFERENCE
from inference.types import Observation
from lab.bars import progress
from lab.benchmarks.alert_rules import MONITORING
from lab.benchmarks.triggerer import Statsd, statsd_environment
from lab.cluster import Cluster, missing
from lab.cluster.network import MAIN_ADDRESS

_BAY, _CAMERAS = "3bay_north", 4  # drift is said of four cameras and more
_STATSD_PORT, _EXPORTER_PORT, _PROMETHEUS_PORT = 8125, 9470, 9090
_SCRAPE_S = 10  # longer than the exporter waits for a part that hangs: a scrape has no more time than that
_SLOT = timedelta(minutes=10)
_YARD_MOMENT = datetime(
    2025, 7, 2, 1, 0, tzinfo=UTC
)  # early in the simulated yard's life: the later, the longer to draw
_LIMIT_S = 240.0
_SEEN_S = 120.0
_NAME = re.compile(r"\bbay_\w+|\bup\b|\bALERTS\b")
_REFERENCE_AGE = timedelta(
    days=4
)  # of the reference week, and not of the three days in which the last slots are sought


@dataclass(frozen=True)
class Found:
    """What was asked for, and what of it had no data, by kind."""

    asked: Mapping[str, int]
    without: Mapping[str, Sequence[str]]


def metrics_in_cluster(home: Path) -> Found:
    """Run the bay and ask.

    Args:
        home: folder of the cluster; empty.

    Raises:
        ConfigError: no cluster can be built here.
        ClusterError: it does not come up, or a batch does not come through.
    """
    if lacking := missing():
        raise ConfigError(f"no cluster on this machine: {lacking}")
    environment = statsd_environment(MAIN_ADDRESS, _STATSD_PORT) | {"OMP_NUM_THREADS": "1"}
    with Cluster(
        home,
        bays=[_BAY],
        cameras=_CAMERAS,
        moment=_YARD_MOMENT,
        env=environment,
        observer_env={"SPOOL_PATH": str(home / "spool")},
        bay_changes={"camera_quorum": _CAMERAS - 1, "capture_deadline": 5, "retry_delay": 1},
    ) as cluster:
        with cluster.on_host():
            statsd = Statsd(MAIN_ADDRESS, _STATSD_PORT)
        with statsd:
            began = time.time()
            _Day(cluster, home).run()
            lines = statsd.take()
        asked = _Prometheus(cluster, began)
        return found(lines, asked)


class _Day:
    """What happens in the cluster: slots that go well, then one fault after the other."""

    def __init__(self, cluster: Cluster, home: Path) -> None:
        self._cluster, self._home = cluster, home
        self._first = _first_slot()
        self._slots = (self._first + number * _SLOT for number in range(100))

    def run(self) -> None:
        """All of it; the last fault takes the databases away."""
        progress("three slots")
        first = next(self._slots)
        self._tracked(first)
        _write_reference(ArtifactStore(self._cluster.data()), first)
        _start_watching(self._cluster, self._home)
        for _ in range(2):
            self._tracked(next(self._slots))
        progress("a bay's file is wrong; a camera fails, then all of them")
        (self._home / "bays" / "wrong.yaml").write_text("enabled: maybe\n", encoding="utf-8")
        names = [camera.name for camera in self._cluster.bays[_BAY].cameras]
        self._cluster.set_faults(_BAY, {names[0]: ["offline"]})
        for _ in range(2):
            self._tracked(next(self._slots))
        self._cluster.set_faults(_BAY, {name: ["offline"] for name in names})
        for _ in range(2):
            self._fails(next(self._slots))
        self._cluster.set_faults(_BAY, {name: [] for name in names})
        self._without_services()
        self._without_databases()

    def _without_services(self) -> None:
        progress("no triggerer, then no worker")
        queue = observer_queue(_BAY)
        self._cluster.stop(f"triggerer-{_BAY}")
        self._cluster.wait_until(lambda: len(self._cluster.live_triggerers()) == 1, _LIMIT_S, "the triggerer lives on")
        self._seen(f'bay_triggerers_alive{{queue="{queue}"}} == 0')
        self._cluster.stop(f"observer-{_BAY}")
        self._cluster.send(_BAY, next(self._slots))
        self._seen(f'bay_tasks_queued{{queue="{queue}"}} > 0')

    def _without_databases(self) -> None:
        """The last fault: Airflow's services end and end again, so that none of them is waited for."""
        progress("the databases stop")
        self._cluster.stop("postgresql")
        self._cluster.kill("exporter")  # PostgreSQL lets who is connected go on
        asked, until = _Prometheus(self._cluster, time.time()), time.monotonic() + _SEEN_S
        while not asked.has_data("bay_export_failed == 1") and time.monotonic() < until:
            time.sleep(_SCRAPE_S)

    def _tracked(self, slot: datetime) -> None:
        self._show(slot)
        self._cluster.send(_BAY, slot)
        store = ArtifactStore(self._cluster.data())
        batch = batch_id(_BAY, slot)
        self._cluster.wait_until(
            lambda: store.find("tracking", _BAY, batch) is not None, _LIMIT_S, f"{batch} is not tracked"
        )

    def _fails(self, slot: datetime) -> None:
        self._show(slot)
        run = self._cluster.send(_BAY, slot)
        self._cluster.wait_for_run(dag_id("observation", _BAY), run, _LIMIT_S)

    def _show(self, slot: datetime) -> None:
        """Let the cameras show another moment; their yard is older than the slots."""
        self._cluster.set_time(_YARD_MOMENT + (slot - self._first))

    def _seen(self, query: str) -> None:
        asked = _Prometheus(self._cluster, time.time())
        self._cluster.wait_until(lambda: asked.has_data(query), _SEEN_S, f"Prometheus does not see: {query}")


class _Prometheus:
    """The cluster's Prometheus."""

    def __init__(self, cluster: Cluster, began: float) -> None:
        self._cluster, self._began = cluster, began

    def has_data(self, query: str) -> bool:
        """Whether the query had a value at any time since the beginning."""
        span: dict[str, str | float] = {"query": query, "start": self._began, "end": time.time(), "step": _SCRAPE_S}
        with self._cluster.on_host():
            answer = httpx.get(f"http://{MAIN_ADDRESS}:{_PROMETHEUS_PORT}/api/v1/query_range", params=span, timeout=30)
        if answer.is_error:
            raise ConfigError(f"Prometheus refuses {query}: {answer.text[:300]}")
        return bool(answer.json()["data"]["result"])


class Asked(Protocol):
    """What answers queries."""

    def has_data(self, query: str) -> bool:
        """Whether the query had a value at any time since the beginning."""


def found(lines: Sequence[str], asked: Asked) -> Found:
    """Hold the documents against what came.

    Args:
        lines: that the statsd server took.
        asked: who has the exported series.
    """
    sent = {line.partition(",")[0].partition(":")[0] for line in lines}
    without = {
        "metrics that are sent": [one.name for one in SENT if f"airflow.{one.name}" not in sent],
        "metrics that are exported": [one.name for one in EXPORTED if not asked.has_data(one.name)],
        "panels": [title for title, query in panels() if not asked.has_data(query)],
        "rules": [
            f"{alert}: {', '.join(lacking)}"
            for alert, names in rules()
            if (lacking := [name for name in names if not asked.has_data(name)])
        ],
    }
    counts = [len(SENT), len(EXPORTED), len(list(panels())), len(list(rules()))]
    return Found(dict(zip(without, counts, strict=True)), without)


def panels() -> Iterator[tuple[str, str]]:
    """Each query of the shipped dashboards, with every bay and queue chosen, after the panel's name."""
    for board in sorted((MONITORING / "grafana" / "dashboards").glob("*.json")):
        for panel in json.loads(board.read_text(encoding="utf-8"))["panels"]:
            for target in panel["targets"]:
                yield f"{board.stem}: {panel['title']}", re.sub(r"\$(bay|queue)\b", ".*", target["expr"])


def rules() -> Iterator[tuple[str, list[str]]]:
    """Each shipped rule, with the metrics that it asks for."""
    for group in yaml.safe_load((MONITORING / "bays.rules.yml").read_text(encoding="utf-8"))["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], sorted(set(_NAME.findall(rule["expr"])))


def _start_watching(cluster: Cluster, home: Path) -> None:
    """The exporter and Prometheus, on the main server."""
    token, listen = home / "metrics_token", f"{MAIN_ADDRESS}:{_EXPORTER_PORT}"
    token.touch(mode=0o600)
    token.write_text(secrets.token_hex(32), encoding="ascii")
    exporter = ["-m", "dashboard", "export", "--listen", listen, "--token-file", str(token), "--every", "1"]
    cluster.add_service("exporter", [sys.executable, *exporter])
    config = home / "prometheus.yml"
    config.write_text(yaml.safe_dump(_prometheus_config(token, listen)), encoding="utf-8")
    cluster.add_service(
        "prometheus",
        [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={home / 'prometheus'}",
            f"--web.listen-address={MAIN_ADDRESS}:{_PROMETHEUS_PORT}",
        ],
    )


def _prometheus_config(token: Path, target: str) -> dict[str, Any]:
    """The shipped one, for this cluster's exporter and without an Alertmanager."""
    config: dict[str, Any] = yaml.safe_load((MONITORING / "prometheus.yml").read_text(encoding="utf-8"))
    del config["alerting"]
    config["global"] = {"scrape_interval": f"{_SCRAPE_S}s", "evaluation_interval": f"{_SCRAPE_S}s"}
    config["rule_files"] = [str(MONITORING / "bays.rules.yml")]
    (job,) = config["scrape_configs"]
    job["authorization"]["credentials_file"] = str(token)
    job["static_configs"] = [{"targets": [target]}]
    return config


def _write_reference(store: ArtifactStore, first: datetime) -> None:
    """A reference week for the drift of cameras: a cluster lives for minutes. It repeats what was observed."""
    observed = store.fetch("observation", _BAY, batch_id(_BAY, first))
    if not isinstance(observed, Observation):
        raise ConfigError(f"{batch_id(_BAY, first)}: no observation in the cluster's store")
    for number in range(LEAST_REFERENCE):
        batch = batch_id(_BAY, first - _REFERENCE_AGE + number * _SLOT)
        store.save("observation", _BAY, batch, replace(observed, batch_id=batch))


def _first_slot() -> datetime:
    """Today's, so that the exporter counts them, and so early that all of them are over."""
    now = datetime.now(UTC)
    return now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
