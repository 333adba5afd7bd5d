"""Who hides whom, and where the faces lie in the image."""

from dataclasses import replace

import numpy as np
import pytest

from bays import Intrinsics, Pose, load_bay
from bays.camera_model import CameraModel
from lab.simulation.objects import Equipment, SimulatedBlock, YardState
from lab.simulation.scene import SIDES, TOP, build_scene, draw, face_corners, face_id, paint_order, solid_and_side
from lab.simulation.yard import DEFAULT_START, Yard


@pytest.fixture(scope="module")
def empty() -> YardState:
    state = Yard(load_bay("demo_bay"), blocks=0).at(DEFAULT_START)
    return replace(state, jigs=(), equipment=(), cranes=(), people=())


def camera(distortion: tuple[float, float, float, float, float] = (0, 0, 0, 0, 0), **pose: float) -> CameraModel:
    given = {"x": 50.0, "y": 0.0, "z": 25.0, "pan": 0.0, "tilt": 45.0, **pose}
    return CameraModel(Pose(**given), Intrinsics(focal_px=1450, distortion=distortion))


def block(name: str, x: float, y: float, height: float, width: float = 10.0, depth: float = 8.0, yaw: float = 0.0):
    return SimulatedBlock(name, "block", (x, y), yaw, width, depth, height, "grand_assembly", None, DEFAULT_START)


def shown(state: YardState, model: CameraModel) -> set[str]:
    scene = build_scene(state)
    faces = np.unique(draw(scene, model).ids)
    solids = {solid_and_side(int(face))[0] for face in faces if face}
    return {thing.object_id for thing in scene.objects if solids & set(range(thing.first, thing.last + 1))}


def test_a_tall_block_hides_a_low_one_behind_it(empty: YardState) -> None:
    near, far = block("B0001", 50, 25, 8.0, width=16), block("B0002", 50, 33, 0.8, width=6, depth=6)
    for order in ((near, far), (far, near)):
        assert shown(replace(empty, blocks=order), camera(tilt=35)) == {"B0001"}
    # From the other side it is the low one that is in front.
    assert shown(replace(empty, blocks=(near, far)), camera(y=58.0, pan=180.0)) == {"B0001", "B0002"}


def test_order_is_not_by_the_distance_of_the_middles(empty: YardState) -> None:
    """A long block whose middle is far still covers a short one beside its near end."""
    long, short = block("B0001", 66, 26, 6.0, width=44, depth=3, yaw=-10), block("B0002", 45.5, 34.0, 6.0, 4, 3)
    model = camera(tilt=35)
    scene = build_scene(replace(empty, blocks=(long, short)))
    distances = [np.hypot(thing.center[0] - 50, thing.center[1]) for thing in (long, short)]
    assert abs(distances[0] - distances[1]) < 5
    assert paint_order(scene, model, draw(scene, model).outlines) == [1, 0]


@pytest.mark.slow(1)
@pytest.mark.parametrize("seed", range(4))
def test_ids_agree_with_rays(seed: int) -> None:
    """Every pixel of the id buffer shows the face that a ray through its middle meets first."""
    bay = load_bay("demo_bay")
    state = Yard(bay, seed=seed, blocks=34).at(DEFAULT_START)
    scene = build_scene(state)
    rng = np.random.default_rng(seed)
    for name in ("C_4", "D_9"):
        model = CameraModel.of(bay.camera(name))
        ids = draw(scene, model).ids
        columns, rows = rng.integers(2, 1918, 400), rng.integers(2, 1078, 400)
        hits = first_hits(scene, model.position, model.rays(np.column_stack([columns, rows]) + 0.5))
        compared = 0
        for column, row, hit in zip(columns, rows, hits, strict=True):
            if len(np.unique(ids[row - 1 : row + 2, column - 1 : column + 2])) > 1:
                continue  # at an edge the pixel's middle may lie on either side
            face = int(ids[row, column])
            assert hit == (-1 if face == 0 else solid_and_side(face)[0])
            compared += 1
        assert compared > 300


def first_hits(scene, eye, rays):
    """(N,) index of the solid that each ray meets first, -1 for none: slabs of every turned box."""
    hits, nearest = np.full(len(rays), -1), np.full(len(rays), np.inf)
    for index, solid in enumerate(scene.solids):
        edges = np.roll(solid.ring, -1, axis=0) - solid.ring
        normals = np.column_stack([edges[:, 1], -edges[:, 0], np.zeros(4)])
        normals = np.concatenate([normals, [[0, 0, 1], [0, 0, -1]]])
        offsets = np.append((normals[:4, :2] * solid.ring).sum(axis=1), [solid.z1, -solid.z0])
        speed, gap = rays @ normals.T, offsets - normals @ eye
        with np.errstate(divide="ignore"):
            reach = gap / speed
        enter = np.where(speed < 0, reach, -np.inf).max(axis=1)
        leave = np.where(speed > 0, reach, np.inf).min(axis=1)
        met = (enter <= leave + 1e-9) & (enter > 0) & (enter < nearest - 1e-9)
        hits[met], nearest[met] = index, enter[met]
    return hits


def test_equipment_stands_on_its_deck(empty: YardState) -> None:
    below = block("B0001", 50, 25, 4.0)
    welder = Equipment("W1", "welder", (50, 25), 30.0, 1.5, 1.1, 1.4, base_m=4.0, block_id="B0001")
    assert shown(replace(empty, blocks=(below,), equipment=(welder,)), camera()) == {"B0001", "W1"}


def test_outlines_lie_where_the_lens_bends_them(empty: YardState) -> None:
    """A long edge near the border of the frame is no straight line under distortion."""
    model = camera(distortion=(-0.2, 0.05, 0.001, 0, 0))
    state = replace(empty, blocks=(block("B0001", 50, 40, 1.0, width=30, depth=6),))
    scene = build_scene(state)
    drawing = draw(scene, model)
    outline = drawing.outlines[face_id(0, TOP)]
    corners = face_corners(scene.solids[0], TOP)
    share = np.linspace(0.1, 0.9, 5)[:, None]
    middle, valid = model.project(corners[0] + (corners[1] - corners[0]) * share)
    assert valid.all()
    for pixel in middle:
        assert distance_to_outline(pixel, outline) < 0.6
    ends, _ = model.project(corners[:2])
    chord = ends[1] - ends[0]
    across = np.array([-chord[1], chord[0]]) / np.linalg.norm(chord)
    assert np.abs((middle - ends[0]) @ across).max() > 5.0  # so far is the straight line off


def distance_to_outline(point: np.ndarray, outline: np.ndarray) -> float:
    start, along = outline, np.roll(outline, -1, axis=0) - outline
    share = np.clip(((point - start) * along).sum(axis=1) / np.maximum((along**2).sum(axis=1), 1e-12), 0, 1)
    return float(np.linalg.norm(start + along * share[:, None] - point, axis=1).min())


def test_only_faces_towards_the_camera_are_drawn(empty: YardState) -> None:
    drawing = draw(build_scene(replace(empty, blocks=(block("B0001", 50, 25, 4.0),))), camera())
    sides = sorted(solid_and_side(face)[1] for face in drawing.faces)
    assert sides == [SIDES[0], TOP]  # the side towards y = 0, and the deck


def test_things_behind_the_camera_leave_no_trace(empty: YardState) -> None:
    state = replace(empty, blocks=(block("B0001", 50, -40, 4.0), block("B0002", 50, -4, 30.0, width=60)))
    assert not draw(build_scene(state), camera()).ids.any()


def test_any_pose_and_lens(empty: YardState) -> None:
    model = CameraModel(
        Pose(x=20, y=40, z=19, pan=200, tilt=42, roll=7),
        Intrinsics(focal_px=2500, width=1280, height=960, cx=600, cy=500, distortion=(-0.3, 0.1, 0, 0, 0)),
    )
    at = model.to_plane(np.array([640.0, 480.0]))
    state = replace(empty, blocks=(block("B0001", float(at[0]), float(at[1]), 2.0, width=4, depth=3),))
    ids = draw(build_scene(state), model).ids
    assert ids.shape == (960, 1280)
    assert ids[480, 640] > 0


def test_unknown_object_is_named(empty: YardState) -> None:
    with pytest.raises(KeyError, match="B0099"):
        build_scene(empty).object("B0099")
