"""The declared metrics: the page has them, and what is sent is what is declared."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from artifacts import ArtifactReference, report_backlog
from artifacts.spool import Backlog
from bay_observation import metrics
from capture_async.metrics import report_capture
from inference.metrics import report_inference
from inference.serving import Observed

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
SLOT = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)
KINDS = {"timing": "timer", "incr": "counter", "gauge": "gauge"}


class Sink:
    """What Airflow's stats module would send."""

    def __init__(self):
        self.sent = set()

    def __getattr__(self, call):
        def send(name, _value, *, tags):
            self.sent.add((name, KINDS[call], tuple(tags)))

        return send


def test_the_page_is_what_the_declarations_say():
    assert PAGE.read_text(encoding="utf-8") == metrics.document(), "python -m bay_observation.metrics > docs/metrics.md"


def test_what_is_sent_is_what_is_declared(make_bay, make_capture):
    sink = Sink()
    report_capture(sink, make_capture(make_bay(), SLOT, count=9), duration_s=1.0, loop_lag_s=0.01)
    reference = ArtifactReference(
        "observation",
        "yard",
        "yard_20250702-071000",
        "observation/yard/yard_20250702-071000/result.pkl",
        "a" * 64,
        10,
        1,
    )
    report_inference(sink, Observed(reference, 9, 20, {"C_4": "dark"}, 0.5), "task")
    report_backlog(sink, [Backlog("yard", 1, 100, "yard_20250702-071000", SLOT, 0)], SLOT)
    assert sink.sent == {(one.name, one.kind, one.tags) for one in metrics.SENT}


@pytest.mark.parametrize("declared", [metrics.SENT, metrics.EXPORTED], ids=["sent", "exported"])
def test_a_name_is_declared_once(declared):
    names = [one.name for one in declared]
    assert sorted(set(names)) == sorted(names)
