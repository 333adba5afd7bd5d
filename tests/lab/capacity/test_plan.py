"""The plan of a yard: in time, and no larger than it must be."""

from dataclasses import replace

import pytest

from bay_observation.errors import SimulationError
from lab.capacity import plan as planning
from lab.capacity.model import Model
from lab.capacity.plan import MOST_BUSY, TRACKED_S, plan


@pytest.fixture
def model(cost, monkeypatch):
    monkeypatch.setattr(planning, "ASKED_S", 2.5)
    return Model.fitted(cost)


@pytest.mark.slow(0.7)
def test_a_plan_is_in_time(model):
    few, many = plan(model, 2), plan(model, 25)
    for one in (few, many):
        assert one.asked_s <= 2.5
        assert one.tracked_s <= TRACKED_S
        assert one.main_busy <= MOST_BUSY
    assert (few.yard.schedulers, few.yard.api_servers, few.yard.main_cores) == (1, 1, 2)
    assert many.yard.main_cores > few.yard.main_cores
    assert many.connections == 25 * 12
    assert many.wal_gb_day == pytest.approx(25 * 144 * 1e6 / 1e9)
    assert few.main_triggerers == 2


@pytest.mark.slow(1)
def test_no_part_of_a_plan_can_be_left_out(model):
    found = plan(model, 25)
    for part in ("schedulers", "api_servers", "main_cores"):
        count = getattr(found.yard, part)
        less = count - (2 if part == "main_cores" else 1)
        if less >= 1:
            yard = replace(found.yard, **{part: less})
            slot = model.slot(yard)
            assert not planning._in_time(yard, slot)


def test_what_no_yard_can_do(model, monkeypatch):
    monkeypatch.setattr(planning, "_MOST", 4)
    monkeypatch.setattr(planning, "ASKED_S", 0.1)
    with pytest.raises(SimulationError, match="2 bays"):
        plan(model, 2)
