"""Cameras refined by the blocks that stand in a bay, on yards by independent geometry."""

import json
from dataclasses import replace

import numpy as np
import pytest

from bay_observation.errors import CalibrationError
from bays import load_bay
from bays.camera_model import CameraModel
from fusion import fuse
from fusion.__main__ import main
from fusion.refining import Survey, refine_poses
from lab.evaluation.self_calibration import hung
from lab.evaluation.silhouette_yard import SilhouetteYard


def angles_between(one, other):
    """(cameras,) degrees by which the cameras of two bays look elsewhere."""
    pairs = [(CameraModel.of(a).rotation, CameraModel.of(b).rotation) for a, b in zip(one, other, strict=True)]
    cosines = [(np.trace(a @ b.T) - 1) / 2 for a, b in pairs]
    return np.degrees(np.arccos(np.clip(cosines, -1, 1)))


@pytest.fixture(scope="module")
def half_a_degree(make_yard, demo_bay):
    """A bay all of whose cameras really hang half a degree off its file, and two batches of it."""
    true = hung(demo_bay, 0.5, 2000)
    return true, [replace(make_yard(seed=seed), bay=true).observe() for seed in (2000, 2001)]


@pytest.fixture(scope="module")
def refined(half_a_degree, demo_bay):
    return refine_poses(half_a_degree[1], demo_bay)


@pytest.mark.slow(8)
def test_cameras_that_are_off_alike_are_noticed_and_put_right(half_a_degree, refined, demo_bay):
    true = half_a_degree[0]
    assert refined.all_off
    assert np.median(angles_between(demo_bay.cameras, true.cameras)) > 0.45
    left = angles_between(refined.bay(demo_bay).cameras, true.cameras)
    assert np.median(left) < 0.06
    assert all(camera.after_px < camera.before_px for camera in refined.cameras)


@pytest.mark.slow(1)
def test_what_it_says_of_its_own_certainty_holds(half_a_degree, refined, demo_bay):
    left = angles_between(refined.bay(demo_bay).cameras, half_a_degree[0].cameras)
    said = np.array([camera.turn_std_deg for camera in refined.cameras])
    assert np.median(left / said) < 3  # three axes, and the last one is the least certain
    assert 0 < refined.gauge_std_m < 0.05


def test_a_lens_that_nobody_has_measured_may_bend_much(demo_bay):
    """Taken to be straight to 0.01, as a measured one is, it left blocks 5 cm off where 2 cm are possible."""
    known, flat = demo_bay.cameras[:2]
    flat = flat.model_copy(update={"intrinsics": flat.intrinsics.model_copy(update={"distortion": (0.0,) * 5})})
    std = Survey().std([known, flat])
    assert std[:, 7] == pytest.approx([0.01, 0.1])
    assert (std[0, :7] == std[1, :7]).all()


@pytest.mark.slow(3)
def test_the_doubt_of_refined_poses_reaches_the_floor_plan(half_a_degree, refined, demo_bay, geometry):
    """The plan as a whole may be off, which no batch shows."""
    yard = SilhouetteYard(half_a_degree[0], geometry.random_boxes(demo_bay, 12, 2003), seed=2003)
    bay = refined.bay(demo_bay)
    sure = bay.model_copy(update={"cameras": tuple(_without_doubt(camera) for camera in bay.cameras)})
    blocks, surer = (fuse(yard.observe(), one).blocks for one in (bay, sure))
    whole = np.array([camera.pose.doubt.x for camera in refined.cameras])
    assert (whole > 0.8 * refined.gauge_std_m).all()
    assert (whole < 0.1).all()
    for block, other in zip(blocks, surer, strict=True):
        assert block.footprint.equals(other.footprint)
        assert np.hypot(other.position_std_xy_m[0], whole.min()) <= block.position_std_xy_m[0]
    truth = [one.footprint.centroid for one in yard.blocks]
    off = [min(block.footprint.centroid.distance(one) for one in truth) / block.position_std_m for block in blocks]
    assert np.sqrt(np.mean(np.square(off)) / 2) < 2


def _without_doubt(camera):
    return camera.model_copy(update={"pose": camera.pose.model_copy(update={"doubt": None})})


@pytest.mark.slow(5)
def test_cameras_in_their_pose_stay_there(make_yard, demo_bay):
    result = refine_poses([make_yard(seed=2002).observe()], demo_bay)
    assert not result.all_off
    assert np.median(angles_between(result.bay(demo_bay).cameras, demo_bay.cameras)) < 0.05


def test_too_few_blocks_are_refused(make_yard, demo_bay, geometry):
    box = geometry.Box("block", 48.0, 20.0, 10.0, 7.0, 0.0, 4.0)
    with pytest.raises(CalibrationError, match="at 1 places, and 6 are needed: take more batches"):
        refine_poses([make_yard(boxes=(box,), missed=0.0).observe()], demo_bay)
    with pytest.raises(CalibrationError, match="at 0 places"):
        refine_poses([make_yard(boxes=()).observe()], demo_bay)
    with pytest.raises(CalibrationError, match="at 0 places"):
        refine_poses([], demo_bay)


@pytest.mark.slow(5)
def test_a_survey_that_is_sure_of_itself_is_believed(half_a_degree, demo_bay):
    sure = Survey(turn_deg=1e-4, place_m=1e-4, focal=1e-6, k1=1e-6)
    result = refine_poses(half_a_degree[1][:1], demo_bay, sure)
    assert all(camera.turn_deg < 0.01 for camera in result.cameras)


@pytest.mark.slow(8)
def test_the_command_proposes_and_writes_only_when_asked(half_a_degree, make_bay, demo_bay, store, bays_folder, capsys):
    cameras = [json.loads(camera.model_dump_json()) for camera in demo_bay.cameras]  # no YAML anchors
    make_bay("demo_bay", enabled=False, cameras=cameras)
    observation = half_a_degree[1][0]
    store.save("observation", "demo_bay", observation.batch_id, observation)
    path = bays_folder / "demo_bay.yaml"
    before = path.read_bytes()
    assert main(["refine-poses", "demo_bay"]) == 0
    text = capsys.readouterr().out
    assert "all are off alike" in text
    assert "not written (give --apply)" in text
    assert "surveyed positions" in text
    assert path.read_bytes() == before
    assert main(["refine-poses", "demo_bay", "--apply", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["all_off"] is True
    written = {camera.name: camera for camera in load_bay("demo_bay").cameras}
    for camera in document["cameras"]:
        assert written[camera["camera"]].pose.model_dump() == camera["pose"]


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        ([], 3, "no observation of bay demo_bay"),
        (["--batches", "0"], 2, "--batches must be at least 1"),
        (["--from", "yesterday"], 2, "is not a time"),
        (["--to", "2020-01-01"], 3, "give another --from and --to"),
    ],
)
def test_what_cannot_be_done_is_said(store, half_a_degree, capsys, arguments, status, reason):
    if arguments:
        observation = half_a_degree[1][0]
        store.save("observation", "demo_bay", observation.batch_id, observation)
    assert main(["refine-poses", "demo_bay", *arguments]) == status
    assert reason in capsys.readouterr().err
