"""From a metric to a person: Prometheus, Alertmanager and `alerts serve` with the shipped files, and a receiver."""

import json
import os
import subprocess
import sys
import threading
import urllib.request
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import which

import pytest

from dashboard.export import guarded_app
from dashboard.serving import serving
from lab.services.ports import free_port

FOLDER = Path(__file__).parents[2] / "deploy" / "monitoring"
METRICS_TOKEN, ALERTS_TOKEN = "metrics-of-this-test", "alerts-of-this-test"
PATIENCE_S = 90
ROUTES = """
zone: Asia/Seoul
channels: {hook: {kind: webhook, connection: yard_hook}}
routes: [{name: all, channels: [hook]}]
"""


class Exported:
    """An exporter with one bay, whose file is wrong."""

    def collect(self):
        from prometheus_client.core import GaugeMetricFamily

        family = GaugeMetricFamily("bay_config_faulty", "of the test", labels=("bay",))
        family.add_metric(("north",), 1.0)
        yield family


class Receiver(BaseHTTPRequestHandler):
    """Takes messages."""

    def do_POST(self):
        self.server.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.server.came.set()
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


@contextmanager
def receiving():
    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        server.got, server.came = [], threading.Event()
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def running(name, *arguments, cwd, **environment):
    with (cwd / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [name if which(name) else sys.executable, *arguments],
            cwd=cwd, env=os.environ | environment, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)


def shipped(name, folder, **other):
    """A file of deploy/monitoring in a folder, with other addresses and with no time to wait for."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    for old, new in other.items():
        assert old in text or name == "bays.rules.yml", f"{name} has no {old}"
        text = text.replace(old, new)
    (folder / name).write_text(text, encoding="utf-8")


@pytest.mark.slow(25)
@pytest.mark.skipif(
    which("prometheus") is None or which("prometheus-alertmanager") is None,
    reason="no prometheus: deploy/install-system-packages.sh",
)
def test_a_metric_becomes_one_message(tmp_path, make_bay, store):
    make_bay("north")
    ports = {name: free_port("127.0.0.1") for name in ("prometheus", "alertmanager", "alerts")}
    for name, token in (("metrics_token", METRICS_TOKEN), ("alerts_token", ALERTS_TOKEN)):
        (tmp_path / name).write_text(token + "\n")
    (tmp_path / "routes.yaml").write_text(ROUTES)
    with ExitStack() as stack:
        receiver = stack.enter_context(receiving())
        exporter = stack.enter_context(serving(guarded_app(Exported(), METRICS_TOKEN), "127.0.0.1", 0))
        shipped("bays.rules.yml", tmp_path, **{"for: 2m": "for: 0s"})
        shipped(
            "prometheus.yml", tmp_path,
            **{
                "scrape_interval: 30s": "scrape_interval: 1s",
                "evaluation_interval: 30s": "evaluation_interval: 1s",
                "exporter:9470": f"127.0.0.1:{exporter}",
                "alertmanager:9093": f"127.0.0.1:{ports['alertmanager']}",
                "/run/secrets/metrics_token": "metrics_token",
            },
        )  # fmt: skip
        shipped(
            "alertmanager.yml", tmp_path,
            **{
                "group_wait: 5s": "group_wait: 0s",
                "http://alerts:9471": f"http://127.0.0.1:{ports['alerts']}",
                "/run/secrets/alerts_token": "alerts_token",
            },
        )  # fmt: skip
        stack.enter_context(
            running(
                "alerts", "-m", "dashboard.alerting", "serve", "--listen", f"127.0.0.1:{ports['alerts']}",
                "--token-file", "alerts_token", "--routes", "routes.yaml", cwd=tmp_path,
                AIRFLOW_HOME=str(tmp_path / "airflow"),
                AIRFLOW_CONN_YARD_HOOK=json.dumps({"conn_type": "http", "host": f"http://127.0.0.1:{receiver.server_port}"}),
                HISTORY_DB=f"sqlite:///{tmp_path / 'history.db'}",
                PYTHONPATH=str(Path(__file__).parents[2]),
            )
        )  # fmt: skip
        stack.enter_context(
            running(
                "prometheus-alertmanager", "--config.file=alertmanager.yml", "--storage.path=alertmanager",
                f"--web.listen-address=127.0.0.1:{ports['alertmanager']}", "--cluster.listen-address=", cwd=tmp_path,
            )
        )  # fmt: skip
        stack.enter_context(
            running(
                "prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=prometheus",
                f"--web.listen-address=127.0.0.1:{ports['prometheus']}", cwd=tmp_path,
            )
        )  # fmt: skip
        came = receiver.came.wait(PATIENCE_S)
        logs = {path.name: path.read_text()[-500:] for path in tmp_path.glob("*.log")}
        assert came, logs
        # Prometheus says it again every second, Alertmanager every minute: it stays one message.
        threading.Event().wait(3)
        url = f"http://127.0.0.1:{ports['alertmanager']}/api/v2/alerts"
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert [one["labels"]["alertname"] for one in json.load(answer)] == ["BayFileWrong"]
    assert len(receiver.got) == 1
    assert "BayFileWrong" in json.dumps(receiver.got[0])
    assert "north" in json.dumps(receiver.got[0])
