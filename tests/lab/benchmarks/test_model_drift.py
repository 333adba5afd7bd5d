"""The bench counts what is found and what is named wrongly, from weeks whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest

from inference.drift import WINDOW, Reference
from lab.benchmarks import model_drift
from lab.benchmarks.model_drift import Slot, false_alarms, first_change, planted
from tests.inference.test_drift import changed, week


@pytest.fixture
def reference() -> Reference:
    return Reference(week(84))


def slots(reference: Reference) -> list[Slot]:
    """A healthy week; each camera's frames as they would be much darker, and as they are."""
    found = []
    for number, seen in enumerate(week(84, seed=1)):
        changes = {}
        for place, camera in enumerate(reference.cameras):
            if 0 <= number - first_change(place) < WINDOW:
                [darker] = changed([seen], camera, lightness=-20)
                changes[camera, "light"] = next(c for c in darker.cameras if c.camera_name == camera)
                changes[camera, "model"] = next(c for c in seen.cameras if c.camera_name == camera)
        found.append(Slot(seen, changes))
    return found


@pytest.mark.slow(5)
def test_a_change_is_found_and_none_is_not(reference: Reference, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_drift, "CHANGES", {name: model_drift.CHANGES[name] for name in ("light", "model")})
    found = list(planted(reference, slots(reference)))
    assert len(found) == 2 * len(reference.cameras)
    assert {one.after for one in found if one.change == "model"} == {None}
    # A median of twelve slots shows it once seven of them do.
    assert {one.after for one in found if one.change == "light"} <= {6, 7}
    assert sum(one.others for one in found) == 0


@pytest.mark.slow(2)
def test_a_false_alarm_is_counted(reference: Reference) -> None:
    healthy = slots(reference)
    assert false_alarms(reference, healthy) == 0
    [darker] = changed([healthy[0].healthy], "C_3", lightness=-20)
    stuck = [replace(slot, healthy=darker) for slot in healthy[:WINDOW]]
    assert false_alarms(reference, stuck) >= 1


def test_the_small_bay_sees_the_same_floor() -> None:
    from bays import load_bay
    from bays.camera_model import CameraModel

    for small, large in zip(model_drift.small_bay().cameras, load_bay("demo_bay").cameras, strict=True):
        point = CameraModel.of(large).position + CameraModel.of(large).rotation[2] * 30
        (pixel, _), (half, _) = CameraModel.of(large).project(point), CameraModel.of(small).project(point)
        np.testing.assert_allclose(half * 2, pixel, atol=1e-6)
