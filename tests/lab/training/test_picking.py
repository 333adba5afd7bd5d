"""Which frames are worth labelling, from slots in which that is known."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import shapely

from bays import batch_id
from capture_async.types import CaptureBatch, CapturedImage
from fusion.types import FusedBlock, FusionResult
from inference.datasets import read_dataset
from inference.frame_look import FrameLook
from inference.types import CameraObservation, DetectedObject, Observation
from lab.training.__main__ import main
from lab.training.picking import Candidate, choose
from tests.inference.datasets.conftest import jpeg

BEGIN = datetime(2025, 7, 2, 7, 0, tzinfo=UTC)
CAMERAS = ("C_2", "C_4", "D_3")
USUAL = FrameLook(50, 0, 0, 20, -1.2)


def thing(place: int, confidence: float = 0.9, name: str = "block") -> DetectedObject:
    box = np.array([10, 10, 60, 60], np.float32)
    return DetectedObject(name, confidence, box, None, "unit_assembly", 0.9, np.full(12, place, np.float16))


def save(
    store: Any, number: int, objects: dict[str, DetectedObject], looks: dict[str, FrameLook], missed: tuple
) -> None:
    """One slot: what each camera saw and in which light, and a floor with one block, missed by some cameras."""
    slot = BEGIN + number * timedelta(minutes=10)
    name = batch_id("demo_bay", slot)
    images = tuple(CapturedImage(camera, "demo_bay", slot, jpeg()) for camera in CAMERAS)
    store.save("capture", "demo_bay", name, CaptureBatch(name, "demo_bay", images))
    seen = tuple(
        CameraObservation(
            camera,
            slot,
            (192, 108),
            (objects[camera],) if camera in objects else (),
            looks.get(camera, USUAL).to_array(),
        )
        for camera in CAMERAS
    )
    store.save("observation", "demo_bay", name, Observation(name, "demo_bay", seen))
    block = FusedBlock(
        "block", shapely.box(0, 0, 9, 9), 5.0, None, "unit_assembly", 0.9, tuple(objects), missed_by=missed,
        descriptors={camera: found.descriptor for camera, found in objects.items()},
    )  # fmt: skip
    store.save("fusion", "demo_bay", name, FusionResult(name, "demo_bay", (block,), shapely.MultiPolygon()))


@pytest.fixture
def day(store: Any) -> Any:
    """Twelve slots of three cameras, in four of which one frame stands out."""
    for number in range(12):
        objects = {camera: thing(place) for place, camera in enumerate(CAMERAS)}
        looks: dict[str, FrameLook] = {}
        missed: tuple[str, ...] = ()
        if number == 2:
            objects.pop("C_2")
            missed = ("C_2",)
        if number == 4:
            objects["C_4"] = thing(1, name="panel")
        if number == 6:
            objects["D_3"] = thing(2, confidence=0.3)
        if number == 8:
            looks["C_2"] = replace(USUAL, lightness=12)
        save(store, number, objects, looks, missed)
    return store


PERIOD = ["--from", "2025-07-02 16:00", "--to", "2025-07-02 18:00"]


def test_frames_that_stand_out_are_picked_with_the_reason(day: Any, tmp_path: Any, capsys: Any) -> None:
    assert main(["pick", "demo_bay", *PERIOD, "--out", str(tmp_path / "set"), "--json"]) == 0
    picked = {
        (each["batch_id"][-6:-2], each["camera"]): " ".join(each["reasons"])
        for each in json.loads(capsys.readouterr().out)["frames"]
    }
    assert picked.keys() == {("0720", "C_2"), ("0740", "C_4"), ("0800", "D_3"), ("0820", "C_2")}
    assert "1 missed" in picked["0720", "C_2"]
    assert "1 of another class" in picked["0740", "C_4"]
    assert "unsure detections, the least at 0.30" in picked["0800", "D_3"]
    assert "its light (dark) is that of 2.8% of the frames" in picked["0820", "C_2"]
    frames = read_dataset(tmp_path / "set").frames
    assert {frame.camera_name for frame in frames} == {"C_2", "C_4", "D_3"}
    assert len(frames) == 4


def test_the_command_says_why_in_a_table(day: Any, capsys: Any) -> None:
    assert main(["pick", "demo_bay", *PERIOD, "--count", "1"]) == 0
    said = capsys.readouterr()
    assert "of 2.8%" in said.out
    assert "chosen without drift: " in said.err
    assert "at least 48 are needed" in said.err


def test_a_time_in_which_nothing_stands_out(store: Any, capsys: Any) -> None:
    save(store, 0, {camera: thing(place) for place, camera in enumerate(CAMERAS)}, {}, ())
    assert main(["pick", "demo_bay", *PERIOD]) == 1
    assert "nothing is worth labelling" in capsys.readouterr().err


def test_the_choice_is_spread_over_cameras_and_lights() -> None:
    frames = [Candidate(f"b{number}", camera, "dim", {"doubt": 1.0 + worth}, ("",)) for number, (camera, worth) in
              enumerate([("C_2", 0.3), ("C_2", 0.2), ("C_2", 0.1), ("D_3", 0.0), ("D_4", -1.0)])]  # fmt: skip
    assert [frame.batch_id for frame in choose(frames, 3)] == ["b0", "b3", "b1"]
    assert [frame.batch_id for frame in choose(frames, 9)] == ["b0", "b3", "b1", "b2"]
