"""What the pictures show is looked at by people; here: that they are drawn, and where."""

import numpy as np
import pytest
import shapely

from inference.types import CameraObservation, DetectedObject
from lab.evaluation import floor_picture
from lab.evaluation.pictures import annotated_frame, contact_sheet, floor_plan
from tracking import Tracker, TrackStatus, replay


@pytest.fixture
def plans(plan, fused):
    """A block moves, one is new, one left, one is hidden, one is on ignored floor."""
    here = [fused(3), fused(46, area="A13", stage=None), fused(88, area="A1D", height_m=1.0)]
    there = [fused(118, area="A1F"), here[1], fused(132, area="A1G", stage="painting"), fused(66, area="A18(T/O)")]
    there[3] = fused(66, area="A18(T/O)", footprint=shapely.box(66, 25, 74, 31))
    return [
        plan(0, here),
        *(plan(n, there, unseen=shapely.box(86, 0, 100, 20), missing=["C_7"]) for n in (1, 2)),
    ]


def read(path):
    cv2 = pytest.importorskip("cv2")
    return cv2.imread(str(path))


@pytest.mark.slow(5)
def test_floor_plan_is_a_wide_picture_with_colours(bay, plans, true, tmp_path):
    history = replay(bay, None, plans)
    assert TrackStatus.UNOBSERVED in {track.status for track in history[-1].tracks}
    path = floor_plan(bay, plans[-1], history, tmp_path / "new" / "plan.png", truth=[true("a", 118)])
    picture = read(path)
    assert picture.shape[1] > 2 * picture.shape[0] > 1000
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 50


@pytest.mark.slow(1)
def test_floor_plan_of_an_empty_floor(bay, plan, tmp_path):
    empty = plan(0, [])
    path = floor_plan(bay, empty, [Tracker(bay).update(empty)], tmp_path / "plan.png")
    assert path.stat().st_size > 10_000


def test_the_box_is_drawn_where_the_camera_sees_it(bay, plans, slot):
    pytest.importorskip("cv2")
    camera = bay.camera("C_2")  # it hangs opposite of the block
    picture = np.full((1080, 1920, 3), 90, dtype=np.uint8)
    track = replay(bay, None, plans[:1])[0].tracks[0]
    drawn = annotated_frame(picture, camera, None, [track], title="")
    changed = np.argwhere((drawn != picture).any(axis=-1))[:, ::-1]

    from bays.camera_model import CameraModel

    model = CameraModel.of(camera)
    ring = shapely.get_coordinates(track.footprint.exterior)
    corners = np.concatenate([np.column_stack([ring, np.full(len(ring), z)]) for z in (0, track.height_m)])
    pixels, _ = model.project(corners)
    inside = pixels[model.inside(pixels, margin=5)]
    assert len(inside) >= 4
    for pixel in inside:
        assert np.abs(changed - pixel).max(axis=1).min() < 4
    assert (picture == 90).all()  # the given picture stays as it is


def test_masks_are_drawn_with_labels(bay, slot):
    pytest.importorskip("cv2")
    outline = np.array([[400, 400], [800, 400], [800, 700], [400, 700]], dtype=np.float32)
    seen = [
        DetectedObject("block", 0.9, [400, 400, 800, 700], outline, "unit_assembly", 0.8),
        DetectedObject("welder", 0.7, [1000, 100, 1100, 200]),
    ]
    observation = CameraObservation("D_2", slot(0), (1920, 1080), tuple(seen))
    picture = np.zeros((1080, 1920, 3), dtype=np.uint8)
    drawn = annotated_frame(picture, bay.camera("D_2"), observation)
    assert drawn[500, 600].any()
    assert not drawn[900, 1500].any()
    assert drawn[:60, :700].any()  # the title


def test_contact_sheet_names_the_camera_without_picture():
    pytest.importorskip("cv2")
    one = np.full((1080, 1920, 3), 200, dtype=np.uint8)
    sheet = contact_sheet({"C_2": one, "C_4": None, "C_6": one, "C_7": one}, columns=2, width=818)
    assert sheet.shape == (2 * 225 + 3 * 6, 818, 3)
    assert (sheet[100, 200] == 200).all()
    assert (sheet[20, 700] == 60).all()


def test_every_status_of_a_track_has_a_line_and_a_word():
    assert set(floor_picture._STATUS_LINES) == set(floor_picture._STATUS_WORDS) == set(TrackStatus)
