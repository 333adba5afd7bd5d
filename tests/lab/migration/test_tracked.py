"""Planted differences are named beside the errors of a real tracker, too."""

from datetime import UTC, datetime

import pytest

from bays import load_bay
from lab.evaluation.tracking_days import SLOT, Spoilt
from lab.evaluation.tracking_yard import Pace
from lab.migration.borne_out import BorneOut
from lab.migration.planted import plant, planted_kinds, without
from lab.migration.tracked import tracked_world
from legacy.comparison import compare
from legacy.mapping import Thresholds

START = datetime(2025, 7, 2, tzinfo=UTC)
SLOTS = [START + number * SLOT for number in range(48)]
PERIOD = (SLOTS[0], SLOTS[-1] + SLOT)
WANTED = Thresholds(slots=40)
# Far worse than fusion is, so that the tracker errs within a few hours.
SPOILT = Spoilt(missed=0.08, runs=0.01, false=0.03, false_slots=4.0, class_misread=0.1, stage_misread=0.12)


@pytest.fixture(scope="module")
def seen():
    return tracked_world(load_bay("3bay_north"), 7, SLOTS, Pace(), SPOILT)


@pytest.fixture(scope="module")
def errors(seen):
    return compare(seen.old, seen.new, seen.bay, WANTED, PERIOD).differences


@pytest.mark.slow(3)
def test_the_tracker_s_errors_are_named_and_the_truth_bears_them_out(seen, errors):
    judge = BorneOut(seen)
    assert errors
    assert [(one.kind, one.subject, one.text) for one in errors if not judge.holds(one)] == []


@pytest.mark.slow(20)
def test_planted_differences_are_named_beside_them(seen, errors):
    apart, known = without(seen, {one.subject for one in errors}), {(one.kind, one.subject) for one in errors}
    for kind in planted_kinds():
        made = plant(kind, apart, 5)
        named = {(one.kind, one.subject) for one in compare(made.old, made.new, seen.bay, WANTED, PERIOD).differences}
        assert (kind, made.subject) in named
        assert named - known == {(kind, made.subject)}
