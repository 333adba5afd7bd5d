"""What lies on the disk, day by day: as much as retention lets stand, and no more."""

import pytest

from bay_observation.errors import SimulationError
from bays import Retention, load_bay
from lab.benchmarks.disk_year import BAYS, SIZES, SLOTS_A_DAY, simulate
from tracking.history import HistoryWriter

A_DAY = {stage: BAYS * SLOTS_A_DAY * size for stage, size in SIZES.items()}


@pytest.fixture
def bay():
    kept = Retention(frames=1, observations=2, floor_plans=3, tracks=3)
    return load_bay("demo_bay").model_copy(update={"retention": kept})


def test_each_kind_grows_until_it_is_as_old_as_it_may_get(bay, tmp_path):
    held = simulate(bay, tmp_path, days=6)
    days = {stage: [day[stage] // A_DAY[stage] for day in held] for stage in SIZES}
    assert days["capture"] == [1] * 6
    assert days["observation"] == [1, 2, 2, 2, 2, 2]
    assert days["fusion"] == [1, 2, 3, 3, 3, 3]
    assert days["tracking"] == [1, 2, 3, 4, 4, 4]  # and the one before all others


def test_what_cannot_be_cleaned_ends_it(bay, tmp_path, monkeypatch):
    def fails(*_):
        raise SimulationError("no answer")

    monkeypatch.setattr(HistoryWriter, "note_deletion", fails)
    with pytest.raises(SimulationError, match="demo_bay, floor plans and tracks: no answer"):
        simulate(bay, tmp_path, days=1)
