"""Labels are exact: they follow from geometry that the test computes by itself."""

from dataclasses import replace

import numpy as np
import pytest
from shapely import MultiPoint, Polygon, box

from bays import BayConfig, Intrinsics, Pose, load_bay
from bays.camera_model import CameraModel
from lab.simulation.labels import FrameLabel, label_frame
from lab.simulation.objects import LABEL_CLASSES, Jig, SimulatedBlock, YardState
from lab.simulation.rendering import Renderer
from lab.simulation.truth import seen_whole_by, truth_at, whole_views
from lab.simulation.yard import DEFAULT_START, Yard

CAMERA = "C_2"


@pytest.fixture(scope="module")
def bay() -> BayConfig:
    """The demo bay with one more camera in the middle of a long side, its lens strongly distorted."""
    demo = load_bay("demo_bay")
    near = demo.cameras[0].model_copy(
        update={
            "pose": Pose(x=50, y=0, z=25, pan=0, tilt=45),
            "intrinsics": Intrinsics(focal_px=1450, distortion=(-0.12, 0.03, 0.0005, -0.0003, 0)),
        }
    )
    return demo.model_copy(update={"cameras": (near, *demo.cameras[1:])})


@pytest.fixture(scope="module")
def empty(bay: BayConfig) -> YardState:
    return replace(Yard(bay, blocks=0).at(DEFAULT_START), jigs=(), equipment=(), cranes=(), people=())


def block(name: str, x: float, y: float, height: float, width: float = 10.0, depth: float = 8.0):
    return SimulatedBlock(name, "block", (x, y), 3.0, width, depth, height, "unit_assembly", None, DEFAULT_START)


def label_of(labels: list[FrameLabel], object_id: str) -> FrameLabel:
    return next(label for label in labels if label.object_id == object_id)


def projected_hull(model: CameraModel, thing: SimulatedBlock) -> Polygon:
    """Convex hull of the projected box, its edges followed closely; for a small box the lens hardly dents it."""
    share = np.linspace(0, 1, 40)[:, None]
    edge = np.concatenate([a + (b - a) * share for a, b in zip(thing.ring, np.roll(thing.ring, -1, 0), strict=True)])
    points = np.concatenate([np.column_stack([edge, np.full(len(edge), z)]) for z in (0, thing.height_m)])
    pixels, valid = model.project(points)
    assert valid.all()
    return MultiPoint(pixels).convex_hull


def test_label_of_an_unhidden_block_is_its_projected_box(bay: BayConfig, empty: YardState) -> None:
    thing = block("B0001", 52, 24, 4.0)
    [label] = label_frame(bay, CAMERA, replace(empty, blocks=(thing,)))
    hull = projected_hull(CameraModel.of(bay.camera(CAMERA)), thing)
    assert np.abs(label.box - hull.bounds).max() < 1.6
    polygon = Polygon(label.polygon)
    assert polygon.intersection(hull).area / polygon.union(hull).area > 0.99
    assert abs(label.mask.sum() / hull.area - 1) < 0.01
    assert (label.class_name, label.stage) == ("block", "unit_assembly")
    assert (label.visible_fraction, label.occluded_fraction, label.cut_fraction) == (1.0, 0.0, 0.0)


def test_mask_lies_at_its_offset(bay: BayConfig, empty: YardState) -> None:
    [label] = label_frame(bay, CAMERA, replace(empty, blocks=(block("B0001", 52, 24, 4.0),)))
    full = label.full_mask((1920, 1080))
    assert full.shape == (1080, 1920)
    assert full.sum() == label.mask.sum()
    rows, columns = np.nonzero(full)
    assert np.allclose(label.box, [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


def test_a_hidden_block_is_labelled_by_what_is_left_of_it(bay: BayConfig, empty: YardState) -> None:
    front, back = block("B0001", 50, 21, 6.0, width=12), block("B0002", 53, 31, 3.0)
    model = CameraModel.of(bay.camera(CAMERA))
    labels = label_frame(bay, CAMERA, replace(empty, blocks=(back, front)))
    hull, cover = projected_hull(model, back), projected_hull(model, front)
    hidden = hull.intersection(cover).area / hull.area
    label = label_of(labels, "B0002")
    assert 0.1 < hidden < 0.9
    assert label.occluded_fraction == pytest.approx(hidden, abs=0.01)
    assert label.visible_fraction == pytest.approx(1 - hidden, abs=0.01)
    assert label.cut_fraction == 0.0
    assert label_of(labels, "B0001").occluded_fraction == 0.0


def test_a_cut_block_tells_how_much_is_outside(bay: BayConfig, empty: YardState) -> None:
    thing = block("B0001", 66, 20, 3.0)
    [label] = label_frame(bay, CAMERA, replace(empty, blocks=(thing,)))
    hull = projected_hull(CameraModel.of(bay.camera(CAMERA)), thing)
    outside = 1 - hull.intersection(box(0, 0, 1920, 1080)).area / hull.area
    assert 0.05 < outside < 0.95
    assert label.cut_fraction == pytest.approx(outside, abs=0.01)
    assert label.occluded_fraction == 0.0
    assert label.box[2] == 1920


def test_a_loaded_jig_is_its_rim(bay: BayConfig, empty: YardState) -> None:
    thing = block("B0001", 50, 24, 1.0)
    jig = Jig("J0001", "pinjig", thing.center, thing.yaw_deg, thing.width_m + 1.6, thing.depth_m + 1.6, "B0001")
    labels = label_frame(bay, CAMERA, replace(empty, blocks=(thing,), jigs=(jig,)))
    rim, body = label_of(labels, "J0001"), label_of(labels, "B0001")
    # A pixel or two at the block's own outline may fall to either side.
    assert rim.occluded_fraction < 0.001
    assert rim.visible_fraction > 0.999
    assert not (rim.full_mask((1920, 1080)) & body.full_mask((1920, 1080))).any()
    assert rim.stage is None


@pytest.mark.slow(1)
def test_labels_of_a_full_yard_are_disjoint_and_known(bay: BayConfig) -> None:
    state = Yard(bay, seed=4).at(DEFAULT_START)
    labels = label_frame(bay, "D_6", state)
    total = np.zeros((1080, 1920), dtype=int)
    for label in labels:
        total += label.full_mask((1920, 1080))
        assert label.class_name in LABEL_CLASSES
        assert label.polygon.shape[1] == 2
        assert len(label.polygon) >= 3
        assert 0 < label.visible_fraction <= 1
        assert 0 <= label.occluded_fraction < 1
        assert 0 <= label.cut_fraction < 1
        assert (label.stage is not None) == (label.class_name in ("panel", "block", "HP_block"))
    assert total.max() == 1
    assert len(labels) > 8


def test_a_renderer_will_do_for_the_bay(bay: BayConfig, empty: YardState) -> None:
    state = replace(empty, blocks=(block("B0001", 52, 24, 4.0),))
    from_bay, from_renderer = label_frame(bay, CAMERA, state), label_frame(Renderer(bay), CAMERA, state)
    assert np.array_equal(from_bay[0].polygon, from_renderer[0].polygon)


def test_seen_whole(bay: BayConfig, empty: YardState) -> None:
    cameras = ["C_2", "D_6"]  # in the middle at x = 50, and at x = 61.7, both looking towards +y
    alone = block("B0001", 54, 22, 3.0, width=8, depth=6)
    assert seen_whole_by(bay, replace(empty, blocks=(alone,)), "B0001", cameras) == cameras
    # A tall block before it, seen from x = 50, hides a part of it there only.
    wall = block("B0002", 52.2, 12.0, 12.0, width=2, depth=2)
    both = replace(empty, blocks=(alone, wall))
    assert seen_whole_by(bay, both, "B0001", cameras) == ["D_6"]
    assert seen_whole_by(bay, both, "B0001", cameras, max_occluded=0.9) == cameras
    # Cut by the frame's edge.
    aside = replace(empty, blocks=(block("B0001", 30, 22, 3.0),))
    assert seen_whole_by(bay, aside, "B0001", cameras) == []
    assert whole_views(bay, both, cameras)["D_6"] >= {"B0001"}
    with pytest.raises(KeyError, match="B0007"):
        seen_whole_by(bay, both, "B0007", cameras)


def test_truth_is_the_state_without_the_pictures(bay: BayConfig) -> None:
    yard = Yard(bay, seed=4)
    truth = truth_at(yard, DEFAULT_START)
    assert [block.block_id for block in truth] == sorted(block.block_id for block in yard.at(DEFAULT_START).blocks)
    one, other = truth[0], yard.at(DEFAULT_START).block(truth[0].block_id)
    assert (one.footprint, one.height_m, one.area, one.stage) == (
        other.footprint,
        other.height_m,
        other.area,
        other.stage,
    )
