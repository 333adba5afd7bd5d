"""Who hides whom, and where the faces lie in the image."""

from dataclasses import replace

import numpy as np
import pytest

from bays import BayConfig, Intrinsics, Pose, load_bay
from bays.camera_model import CameraModel
from simulation.objects import Equipment, SimulatedBlock, YardState
from simulation.scene import SIDES, TOP, build_scene, draw, face_corners, face_id, paint_order, solid_and_side
from simulation.yard import DEFAULT_START, Yard


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
    long = block("B0001", 58, 24, 6.0, width=30, depth=3, yaw=-25)
    short = block("B0002", 45.5, 34.0, 6.0, width=4, depth=3)
    model = camera(tilt=35)
    scene = build_scene(replace(empty, blocks=(long, short)))
    drawing = draw(scene, model)
    eye = model.position
    assert np.linalg.norm([58, 24, 3] - eye) < np.linalg.norm([45.5, 34, 3] - eye)
    far_long = block("B0001", 66, 26, 6.0, width=44, depth=3, yaw=-10)
    scene = build_scene(replace(empty, blocks=(far_long, short)))
    drawing = draw(scene, model)
    assert np.linalg.norm([66, 26, 3] - eye) > 0
    assert paint_order(scene, model, drawing.outlines) == [1, 0]


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
        pixels = np.column_stack([rng.uniform(2, 1918, 300), rng.uniform(2, 1078, 300)]).astype(int)
        rays = model.rays(pixels + 0.5)
        wrong = 0
        for (column, row), ray in zip(pixels, rays, strict=True):
            around = ids[row - 1 : row + 2, column - 1 : column + 2]
            if len(np.unique(around)) > 1:
                continue  # at an edge the pixel's middle may lie on either side
            hit = first_hit(scene, model.position, ray)
            face = int(ids[row, column])
            wrong += hit != (None if face == 0 else solid_and_side(face)[0])
        assert wrong == 0


def first_hit(scene, eye, ray):
    """Index of the solid that the ray meets first: slabs of each turned box; flat things lose to all others."""
    best, nearest = None, np.inf
    for index, solid in enumerate(scene.solids):
        edges = np.roll(solid.ring, -1, axis=0) - solid.ring
        normals = np.column_stack([edges[:, 1], -edges[:, 0]])
        planes = [(*normal, 0.0, normal @ corner) for normal, corner in zip(normals, solid.ring, strict=True)]
        planes += [(0.0, 0.0, 1.0, solid.z1), (0.0, 0.0, -1.0, -solid.z0)]
        enter, leave = 0.0, np.inf
        for *normal, offset in planes:
            speed, gap = np.dot(normal, ray), offset - np.dot(normal, eye)
            if abs(speed) < 1e-12:
                if gap < 0:
                    leave = -1.0
            elif speed < 0:
                enter = max(enter, gap / speed)
            else:
                leave = min(leave, gap / speed)
        if enter <= leave + 1e-9 and enter < nearest - 1e-9:
            best, nearest = index, enter
    return best


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
        assert np.min(np.linalg.norm(outline - pixel, axis=1)) < 60
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


def test_demo_bay_fits(empty: YardState) -> None:
    bay: BayConfig = load_bay("demo_bay")
    assert all(camera.pose is not None for camera in bay.cameras)
