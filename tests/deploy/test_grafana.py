"""deploy/monitoring/grafana: each panel asks for documented metrics and labels, in words that Prometheus can read."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from bay_observation.metrics import EXPORTED

PROJECT = Path(__file__).parents[2]
FOLDER = PROJECT / "deploy" / "monitoring" / "grafana"
BOARDS = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted((FOLDER / "dashboards").glob("*.json"))}
QUERIES = [
    (f"{name}: {panel['title']}", target["expr"], target["legendFormat"])
    for name, board in BOARDS.items()
    for panel in board["panels"]
    for target in panel["targets"]
]
DECLARED = {one.name: set(one.tags) for one in EXPORTED}
# Of Prometheus itself: the labels that a firing alert has of its rule.
OF_ALERTS = {"alertname", "alertstate", "bay", "queue"}


def resolved(expr):
    """As Grafana sends it, with every bay and queue chosen."""
    return re.sub(r"\$(bay|queue)\b", ".*", expr)


@pytest.mark.parametrize(("panel", "expr", "legend"), QUERIES)
def test_a_panel_asks_for_metrics_and_labels_that_are_documented(panel, expr, legend):
    metrics = set(re.findall(r"\bbay_\w+", expr))
    assert metrics <= DECLARED.keys()
    known = set.union(*(DECLARED[metric] for metric in metrics)) if metrics else OF_ALERTS
    assert set(re.findall(r'(\w+)=~?"', expr)) | set(re.findall(r"\{\{(\w+)\}\}", legend)) <= known


def test_every_exported_metric_is_on_a_board():
    asked = {metric for _, expr, _ in QUERIES for metric in re.findall(r"\bbay_\w+", expr)}
    assert asked == DECLARED.keys()


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool: deploy/install-system-packages.sh")
def test_prometheus_reads_each_query(tmp_path):
    rules = [{"record": f"panel:{number}", "expr": resolved(expr)} for number, (_, expr, _) in enumerate(QUERIES)]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(QUERIES)} rules found" in done.stdout


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_names_the_source_and_each_panel_once(name):
    board = BOARDS[name]
    assert board["uid"] == name
    source = yaml.safe_load((FOLDER / "provisioning/datasources/bays.yml").read_text("utf-8"))["datasources"][0]
    panels = board["panels"]
    assert {panel["datasource"]["uid"] for panel in panels} == {source["uid"]}
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len(panels)
    used = {one for panel in panels for target in panel["targets"] for one in re.findall(r"\$(\w+)", target["expr"])}
    assert used == {variable["name"] for variable in board["templating"]["list"]}
