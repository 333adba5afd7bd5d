"""deploy/monitoring: rules of metrics that exist, each with a severity and a page; and what promtool says of them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from bay_observation.metrics import EXPORTED

PROJECT = Path(__file__).parents[2]
FOLDER = PROJECT / "deploy" / "monitoring"
RULES = [
    rule
    for group in yaml.safe_load((FOLDER / "bays.rules.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
TESTS = yaml.safe_load((FOLDER / "bays.rules.test.yml").read_text(encoding="utf-8"))["tests"]
DECLARED = {one.name: set(one.tags) for one in EXPORTED}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_asks_for_metrics_and_labels_that_are_exported(rule):
    metrics = set(re.findall(r"\bbay_\w+", rule["expr"]))
    assert metrics <= DECLARED.keys()
    labels = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    assert all(labels <= DECLARED[metric] for metric in metrics)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_has_a_severity_and_a_page(rule):
    assert rule["labels"]["severity"] in ("critical", "warning")
    page, _, section = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^## (\w+)$", (PROJECT / "docs" / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert section in [heading.lower() for heading in headings]


def test_every_rule_is_tried_and_is_silent_in_a_healthy_hour():
    names = {rule["alert"] for rule in RULES}
    fired = {one["alertname"] for test in TESTS for one in test["alert_rule_test"] if one.get("exp_alerts")}
    silent = {one["alertname"] for one in TESTS[0]["alert_rule_test"] if not one.get("exp_alerts")}
    assert fired == names
    assert silent == names


@pytest.mark.slow(1)
@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool: deploy/install-system-packages.sh")
def test_promtool_agrees():
    for command in (["check", "config", "--syntax-only", "prometheus.yml"], ["test", "rules", "bays.rules.test.yml"]):
        done = subprocess.run(["promtool", *command], cwd=FOLDER, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
