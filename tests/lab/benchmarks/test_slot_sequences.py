"""The plain model of what must stay, and that it notices what does not."""

import pytest

from bays import load_bay
from lab.benchmarks.slot_sequences import run_sequences
from tracking.history import HistoryWriter

pytestmark = pytest.mark.slow(1)


def test_nothing_is_lost_in_random_sequences():
    outcome = run_sequences(load_bay("demo_bay"), 2, seed=7)
    assert (outcome.sequences, outcome.operations) == (2, 24)
    assert (outcome.lost, outcome.invented, outcome.changed, outcome.unordered, outcome.details) == (0, 0, 0, 0, [])


def test_a_history_that_forgets_a_slot_is_noticed(monkeypatch):
    monkeypatch.setattr(HistoryWriter, "replace", lambda *_: None)
    outcome = run_sequences(load_bay("demo_bay"), 1, seed=0)
    assert outcome.lost > 0
    assert "lost" in outcome.details[0]
