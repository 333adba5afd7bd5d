"""A camera that was moved: each slot has the pose of its day."""

from datetime import UTC, datetime, timedelta

import pytest

from bay_observation.errors import ConfigError
from bays import Intrinsics, Pose, batch_id, load_bay
from bays.checking import check_bay
from bays.editing import with_calibration

FIRST = datetime(2025, 7, 1, 6, 0, tzinfo=UTC)
SECOND = datetime(2025, 7, 5, 6, 0, tzinfo=UTC)
A, B, C = (Pose(x=x, y=40, z=25, pan=180, tilt=45) for x in (30.0, 31.0, 32.0))
LENS, OLD_LENS = Intrinsics(focal_px=1450), Intrinsics(focal_px=1000)


@pytest.fixture
def cameras(make_bay):
    """The demo's, as a file has them."""
    return [camera.model_dump(mode="json", exclude_none=True, exclude={"earlier"}) for camera in make_bay().cameras]


@pytest.fixture
def moved(make_bay, cameras):
    """C_4 hung at A, from the first moment on at B, since the second at C; its first lens was another one."""
    mine = next(camera for camera in cameras if camera["name"] == "C_4")
    earlier = [
        {"until": FIRST.isoformat(), "pose": _plain(A), "intrinsics": {"focal_px": 1000}},
        {"until": "2025-07-05T15:00:00+09:00", "pose": _plain(B)},
    ]
    mine |= {"pose": _plain(C), "intrinsics": {"focal_px": 1450}, "earlier": earlier}
    return make_bay(cameras=cameras)


def _plain(pose):
    return pose.model_dump(exclude_none=True)


@pytest.mark.parametrize(
    ("moment", "pose", "lens"),
    [
        (FIRST - timedelta(seconds=1), A, OLD_LENS),
        (FIRST, B, LENS),
        (SECOND - timedelta(seconds=1), B, LENS),
        (SECOND, C, LENS),
    ],
)
def test_a_slot_has_the_pose_of_its_day(moved, moment, pose, lens):
    bay = moved.of_batch(batch_id("yard", moment))
    assert (bay.camera("C_4").pose, bay.camera("C_4").intrinsics) == (pose, lens)
    assert bay.camera("C_6") == moved.camera("C_6")
    assert moved.unmoved_since == SECOND


def test_a_bay_whose_cameras_were_never_moved_asks_for_no_slot(make_bay):
    bay = make_bay()
    assert bay.of_batch("any text") is bay
    assert bay.unmoved_since is None


@pytest.mark.parametrize(
    ("earlier", "reason"),
    [
        ([{"until": "2025-07-01T06:00:00", "pose": _plain(A)}], "timezone"),
        ([{"until": "yesterday", "pose": _plain(A)}], "until"),
        ([{"until": "2025-07-01T06:00:00Z"}], "pose"),
        ([{"until": SECOND.isoformat(), "pose": _plain(A)}, {"until": FIRST.isoformat(), "pose": _plain(B)}], "oldest"),
        ([{"until": FIRST.isoformat(), "pose": _plain(A)}] * 2, "oldest first"),
    ],
)
def test_what_is_no_history_is_refused(make_bay, cameras, earlier, reason):
    cameras[0]["earlier"] = earlier
    with pytest.raises(ConfigError, match=reason):
        make_bay(cameras=cameras)


def test_a_move_to_come_is_doubted(make_bay, cameras):
    until = datetime.now(UTC) + timedelta(days=2)
    cameras[0]["earlier"] = [{"until": until.isoformat(), "pose": _plain(A)}]
    found = [finding for finding in check_bay(make_bay(cameras=cameras)) if "future" in finding.text]
    assert [finding.where for finding in found] == [f"cameras.{cameras[0]['name']}.earlier"]


HEAD = """\
description: moved cameras
network: {camera_subnet: 127.60.0.0/24, observer_ip: 127.60.0.1}
models: {yolo_detection: a.pt, sam_segmentation: b.pth, classification: c.pt}
factory_layout: {width: 150, height: 40}
cameras:
"""
FILES = {
    "none": """\
  - {name: C_4, host: 127.60.0.3, pose: {x: 31, y: 40, z: 25, pan: 180, tilt: 45}, intrinsics: {focal_px: 1450}}
""",
    "empty": """\
  - {name: C_4, host: 127.60.0.3, earlier: [], pose: {x: 31, y: 40, z: 25, pan: 180, tilt: 45},
     intrinsics: {focal_px: 1450}}
""",
    "flow": """\
  - name: C_4
    host: 127.60.0.3
    earlier: [{until: "2025-07-01T06:00:00Z", pose: {x: 30, y: 40, z: 25, pan: 180, tilt: 45}}]  # the old mast
    pose: {x: 31, y: 40, z: 25, pan: 180, tilt: 45}
    intrinsics: {focal_px: 1450}
""",
    "block": """\
  - name: C_4
    host: 127.60.0.3
    earlier:
    - until: "2025-07-01T06:00:00Z"   # the old mast
      pose:
        x: 30
        y: 40
        z: 25
        pan: 180
        tilt: 45
    pose: {x: 31, y: 40, z: 25, pan: 180, tilt: 45}
    intrinsics: {focal_px: 1450}
""",
    "last": """\
  - pose: {x: 31, y: 40, z: 25, pan: 180, tilt: 45}
    intrinsics: {focal_px: 1450}
    name: C_4
    host: 127.60.0.3
    earlier:
      - {until: "2025-07-01T06:00:00Z", pose: {x: 30, y: 40, z: 25, pan: 180, tilt: 45}}""",
}


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("style", FILES)
def test_a_move_is_written_behind_those_before_it(bays_folder, style, newline):
    text = (HEAD + FILES[style]).replace("\n", newline)
    after = with_calibration(text, "yard", "C_4", C, LENS, since=SECOND)
    (bays_folder / "yard.yaml").write_text(after, encoding="utf-8", newline="")
    camera = load_bay("yard").camera("C_4")
    assert (camera.pose, camera.earlier[-1].pose, camera.earlier[-1].until) == (C, B, SECOND)
    assert len(camera.earlier) == (2 if "old mast" in FILES[style] or style == "last" else 1)
    assert after.count("# the old mast") == FILES[style].count("# the old mast")
    assert after.count("\n") == after.count(newline)


@pytest.mark.parametrize(("since", "style"), [(FIRST, "flow"), (FIRST - timedelta(days=1), "block")])
def test_a_move_before_one_that_is_known_is_refused(bays_folder, since, style):
    with pytest.raises(ConfigError, match="was moved at 2025-07-01T06:00:00"):
        with_calibration(HEAD + FILES[style], "yard", "C_4", C, LENS, since=since)


def test_a_camera_without_a_pose_has_none_to_keep(bays_folder):
    text = HEAD + "  - {name: C_4, host: 127.60.0.3}\n"
    with pytest.raises(ConfigError, match="C_4 has no pose that could hold before"):
        with_calibration(text, "yard", "C_4", C, LENS, since=SECOND)


def test_what_is_shared_through_an_anchor_is_not_changed_for_others(bays_folder):
    shared = '[{until: "2025-07-01T06:00:00Z", pose: {x: 30, y: 40, z: 25, pan: 180, tilt: 45}}]'
    rest = "pose: {x: 31, y: 40, z: 25, pan: 180, tilt: 45}, intrinsics: {focal_px: 1450}"
    text = HEAD + f"  - {{name: C_4, host: 127.60.0.3, earlier: &old {shared}, {rest}}}\n"
    text += f"  - {{name: C_6, host: 127.60.0.4, earlier: *old, {rest.replace('x: 31', 'x: 51')}}}\n"
    with pytest.raises(ConfigError, match="anchor"):
        with_calibration(text, "yard", "C_4", C, LENS, since=SECOND)
