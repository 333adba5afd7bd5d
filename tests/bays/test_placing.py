"""Cameras are placed where they see what no other does."""

import json
from itertools import combinations

import numpy as np
import pytest
import yaml

from bay_observation.errors import ConfigError
from bays import Camera, Intrinsics
from bays.__main__ import main
from bays.checking import check_bay, floor_view
from bays.models import LensPrior, Pose
from bays.placing import place_cameras, with_placed
from bays.plan import figures


@pytest.fixture
def bay(make_bay):
    """A hall of 60 x 30 m with a camera at one end."""
    areas = {"west": {"x": [0, 30], "y": [0, 30]}, "east": {"x": [30, 60], "y": [0, 30]}}
    whole = make_bay(factory_layout={"width": 60, "height": 30, "areas": areas}, camera_quorum=1, witnesses={})
    camera = whole.cameras[0].model_copy(
        update={"pose": whole.cameras[0].pose.model_copy(update={"x": 8, "y": 30, "z": 18})}
    )
    return whole.model_copy(update={"cameras": (camera,)})


def test_a_new_camera_has_the_nominal_lens(bay):
    """What was measured of the other's own lens is not its: focal length as it was known before, and image size."""
    measured = Intrinsics(
        width=2560, height=1440, focal_px=1333, fy=1330, cx=1290, cy=700, distortion=(-0.1, 0.02, 0, 0, 0),
        prior=LensPrior(focal_px=1327, std=0.01),
    )  # fmt: skip
    like = bay.cameras[0].model_copy(update={"intrinsics": measured})
    for given in (None, like):
        [placed] = place_cameras(bay.model_copy(update={"cameras": (like,)}), 1, like=given)
        assert placed.intrinsics == Intrinsics(width=2560, height=1440, focal_px=1327)


def blind(bay):
    return figures(bay, floor_view(bay)).blind_m2


@pytest.mark.slow(1)
def test_each_camera_leaves_less_floor_unseen(bay):
    left = [blind(with_placed(bay, place_cameras(bay, number), instead=False)) for number in (1, 2, 4)]
    assert blind(bay) > left[0] > left[1]
    assert left[2] < 0.05 * 1800


@pytest.mark.slow(0.6)
def test_further_cameras_go_where_the_old_one_does_not_see(bay):
    (placed,) = place_cameras(bay, 1)
    assert placed.pose.x > 30
    assert placed.gained_m2 > 300
    assert placed.pose.z == 18
    given = bay.cameras[0].intrinsics
    assert placed.intrinsics == Intrinsics(width=given.width, height=given.height, focal_px=given.focal_px)


@pytest.mark.slow(0.7)
def test_instead_forgets_the_bays_own_cameras(bay):
    placed = place_cameras(bay, 2, instead=True)
    after = with_placed(bay, placed, instead=True)
    assert [camera.name for camera in after.cameras] == ["NEW_1", "NEW_2"]
    assert abs(placed[0].pose.x - placed[1].pose.x) > 10 or placed[0].pose.y != placed[1].pose.y


@pytest.mark.slow(1)
@pytest.mark.parametrize("number", [4, 8])
def test_no_camera_sees_what_another_at_its_place_sees(bay, number):
    poses = [placed.pose for placed in place_cameras(bay, number, instead=True)]
    for one, other in combinations(poses, 2):
        apart = np.hypot(one.x - other.x, one.y - other.y)
        assert apart > 2 or abs((one.pan - other.pan + 180) % 360 - 180) >= 60


def test_they_hang_on_the_walls_that_are_given_and_look_into_the_hall(bay):
    for placed in place_cameras(bay, 3, height_m=12, walls=[((60, 0), (60, 30))]):
        assert (placed.pose.x, placed.pose.z) == (60, 12)
        assert np.sin(np.radians(placed.pose.pan)) < 0  # towards -x


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"number": 0}, "0 cameras cannot be placed"),
        ({"number": 1, "height_m": 0.5}, "--height 0.5"),
        ({"number": 1, "walls": [((3, 3), (3, 3))]}, "has no length"),
        (
            {"number": 1, "walls": [((0, 30), (75, 30))]},
            r"--wall 0,30,75,30: \(75, 30\) lies outside of the hall, which is",
        ),
        ({"number": 1, "walls": [((0, float("nan")), (60, 30))]}, "lies outside of the hall"),
        ({"number": 1, "like": Camera(name="X", host="127.60.0.9")}, "X has no intrinsics"),
    ],
)
def test_what_is_out_of_range_is_refused(bay, arguments, reason):
    with pytest.raises(ConfigError, match=reason):
        place_cameras(bay, **arguments)


@pytest.mark.slow(0.6)
def test_a_subnet_that_is_full_is_named(bay):
    small = bay.network.model_copy(update={"camera_subnet": "127.60.0.0/30"})
    full = bay.model_copy(update={"network": type(bay.network).model_validate(small.model_dump(mode="json"))})
    with pytest.raises(ConfigError, match="has no 4 addresses left"):
        with_placed(full, place_cameras(bay, 4), instead=True)


@pytest.mark.slow(2)
def test_the_command_prints_what_the_file_takes(make_bay, tmp_path, capsys):
    make_bay()
    plan = tmp_path / "plan.svg"
    assert main(["place-cameras", "yard", "--add", "1", "--plan", str(plan)]) == 0
    text = capsys.readouterr().out
    (camera,) = yaml.safe_load(text[: text.index("seen by no camera")])
    assert Camera.model_validate(camera).intrinsics is not None
    assert plan.exists()
    assert main(["place-cameras", "yard", "--instead", "12", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["cameras"]) == 12
    assert found["after"]["blind_m2"] < 0.02 * found["after"]["tracked_m2"]
    assert main(["place-cameras", "yard", "--add", "0"]) == 2
    assert main(["place-cameras", "yard", "--add", "1", "--like", "X_1"]) == 2


@pytest.mark.slow(2)
def test_where_nothing_is_unseen_none_is_needed(make_bay, capsys):
    """Of a side that has more cameras than it needs: every square is seen by two already."""
    bay = make_bay(
        witnesses={}, factory_layout={"width": 20, "height": 20, "areas": {"A": {"x": [0, 20], "y": [0, 20]}}}
    )
    poses = [Pose(x=x, y=y, z=30, pan=pan, tilt=60) for y, pan in ((0, 0), (20, 180)) for x in (9, 11)]
    cameras = tuple(
        camera.model_copy(update={"pose": pose, "intrinsics": Intrinsics(focal_px=900)})
        for camera, pose in zip(bay.cameras, poses, strict=False)
    )
    assert place_cameras(bay.model_copy(update={"cameras": cameras}), 3) == ()
    [one] = place_cameras(bay.model_copy(update={"cameras": cameras[:1]}), 2)
    assert one.gained_m2 > 0
    written = [camera.model_dump(mode="json", exclude_defaults=True) for camera in cameras]
    layout = bay.layout.model_dump(mode="json")
    make_bay(witnesses={}, factory_layout=layout, cameras=written, camera_quorum=1)
    assert main(["place-cameras", "yard", "--add", "1"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("# none is needed: a further one on these walls sees no floor that fewer than two")
    assert "pose" not in said
    assert main(["place-cameras", "yard", "--add", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cameras"] == []


@pytest.mark.slow(0.5)
def test_a_placed_bay_is_in_order(bay):
    after = with_placed(bay, place_cameras(bay, 5), instead=False)
    assert [one for one in check_bay(after) if one.level == "error"] == []
