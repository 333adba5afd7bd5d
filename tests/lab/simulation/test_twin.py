"""A bay's twin stands on this machine and is the same hall."""

import pytest

from bay_observation.errors import SimulationError
from bays import load_bay
from lab.simulation.__main__ import main
from lab.simulation.clock import SimulatedClock
from lab.simulation.twin import is_on_this_machine, write_twin


@pytest.fixture
def real():
    """The shipped bay whose cameras hang in a network of its own."""
    return load_bay("3bay_north")


def test_the_twin_is_the_same_hall_on_this_machine(real, tmp_path, monkeypatch):
    write_twin(real, tmp_path / "twins")
    monkeypatch.setenv("BAYS_PATH", str(tmp_path / "twins"))
    twin = load_bay("3bay_north")
    assert twin.enabled
    assert is_on_this_machine(twin)
    assert not is_on_this_machine(real)
    assert (twin.layout, twin.camera_quorum) == (real.layout, real.camera_quorum)
    assert [(c.name, c.pose, c.intrinsics) for c in twin.cameras] == [
        (c.name, c.pose, c.intrinsics) for c in real.cameras
    ]
    assert (twin.operating_hours, twin.notifications, twin.migration) == ((), (), None)
    assert str(twin.models.yolo_detection) == "inference/weights/detector.pt"


def test_a_camera_that_cannot_be_drawn_is_named(real, tmp_path):
    camera = real.cameras[0].model_copy(update={"pose": None})
    with pytest.raises(SimulationError, match=f"{camera.name} cannot be drawn"):
        write_twin(real.model_copy(update={"cameras": (camera,)}), tmp_path / "twins")
    with pytest.raises(SimulationError, match="has 0 cameras"):
        write_twin(real.model_copy(update={"cameras": ()}), tmp_path / "twins")
    assert not (tmp_path / "twins").exists()


def test_the_command_says_what_is_next(tmp_path, capsys):
    assert main(["twin", "3bay_north", "--folder", str(tmp_path)]) == 0
    assert f"BAYS_PATH={tmp_path} bay-observation simulate serve 3bay_north" in capsys.readouterr().out
    assert (tmp_path / "3bay_north.yaml").exists()


def test_time_runs_at_the_speed_that_is_given(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("lab.simulation.clock.time.monotonic", lambda: now[0])
    clock = SimulatedClock(running=True, speed=60)
    before = clock.now()
    now[0] += 10
    assert (clock.now() - before).total_seconds() == 600
    for speed in (0, -1, float("inf"), float("nan")):
        with pytest.raises(SimulationError, match="give a positive number"):
            SimulatedClock(speed=speed)
