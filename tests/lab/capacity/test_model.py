"""The model: fitted to one bay, and what must hold of any queue."""

from dataclasses import replace

import pytest

from lab.capacity.model import Model, Yard


@pytest.fixture
def model(cost):
    return Model.fitted(cost)


def test_one_bay_takes_what_the_cluster_took(model, cost):
    assert model.of_the_cluster(1) == pytest.approx(cost.totals_s[1], rel=0.02)
    assert model.rounds_s > 0


def test_more_bays_take_longer_and_less_than_one_after_the_other(model):
    one, two, three = (model.of_the_cluster(bays) for bays in (1, 2, 3))
    assert one < two < three < 3 * one


def test_nothing_computes_for_nothing(model, cost):
    """What all cores did is what the batches cost and what idles meanwhile, whatever waited for what."""
    yard = Yard(bays=6, main_cores=3, processor_cores=2)
    slot = model.slot(yard)
    last = max(slot.tracked_s)
    assert slot.main_busy_s == pytest.approx(6 * cost.main_cpu_s + cost.idle_cores * last, rel=0.05)
    on_processors = sum(task.work_s for task in cost.tasks if "fusion" in task.name or "tracking" in task.name)
    assert slot.processors_busy_s == pytest.approx(6 * (on_processors + 3 * cost.worker_s), rel=0.2)
    assert len(slot.asked_s) == len(slot.tracked_s) == 6


def test_one_core_is_the_bound(cost):
    busy = Model(replace(cost, idle_cores=0.0))
    last = max(busy.slot(Yard(bays=20, main_cores=1, processor_cores=64, api_servers=64, schedulers=64)).tracked_s)
    least = 20 * cost.main_cpu_s
    alone = max(busy.slot(Yard(bays=1)).tracked_s)
    assert least < last < least + alone


def test_one_scheduler_and_one_api_server_are_bounds(cost):
    wide = Yard(bays=20, main_cores=64, processor_cores=64, api_servers=64, schedulers=64)
    model = Model(cost)
    best = max(model.slot(wide).tracked_s)
    for part, least in (("schedulers", 20 * 8 * cost.scheduler_s), ("api_servers", 20 * 8 * cost.api_s)):
        narrow = max(model.slot(replace(wide, **{part: 1})).tracked_s)
        assert narrow > max(best, least)
