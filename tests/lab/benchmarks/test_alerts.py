"""What `make check-alerts` measures with: the rules and the inhibition of the real programs, and the repetitions."""

import shutil
from datetime import timedelta

import pytest

from lab.benchmarks.alert_once import repeated
from lab.benchmarks.alert_rules import alertmanager, firing

MINUTE = timedelta(minutes=1)
needs = pytest.mark.skipif(
    shutil.which("promtool") is None or shutil.which("prometheus-alertmanager") is None,
    reason="no Prometheus: deploy/install-system-packages.sh",
)


def labels(**own):
    return tuple(sorted(own.items()))


QUORUM = labels(alertname="BelowQuorum", bay="north", severity="critical")
SILENT = labels(alertname="BaySilent", bay="north", severity="critical")
OTHER = labels(alertname="BaySilent", bay="south", severity="critical")


@needs
def test_what_the_rules_make_of_series(tmp_path):
    up = {'up{job="bays"}': 1.0}
    below = up | {'bay_quorum_margin{bay="north"}': -2.0}
    failures = 'bay_camera_failures_in_row{bay="north",camera="C_2"}'
    captures = [below | {failures: in_row} for in_row in (1.0, 2.0, 3.0)]
    found = firing([up, *captures, up], MINUTE, tmp_path)
    assert found == [set(), set(), {QUORUM}, {QUORUM}, set()]


@needs
@pytest.mark.slow(2)
def test_what_alertmanager_keeps_back(tmp_path):
    with alertmanager(tmp_path) as manager:
        assert manager.active({SILENT, OTHER}).keys() == {SILENT, OTHER}
        assert manager.active({QUORUM, SILENT, OTHER}).keys() == {QUORUM, OTHER}
        assert manager.active(set()) == {}


@pytest.mark.slow(2)
def test_repetitions_and_deaths(tmp_path):
    found = repeated(tmp_path, seed=7, rounds=12)
    assert sum(found.done.values()) == 12
    assert found.expected > 12
    assert (found.missing, found.doubled, found.unexplained) == (0, 0, 0)
    assert found.known_again == found.sent_again
