"""All cameras of a bay refined together by the blocks that stand in it; nothing is clicked.

A bundle adjustment (Triggs et al., 1999): every block is an upright box on the floor, unknown in its six
numbers, and every camera may be turned and moved a little and have another focal length and first term of
distortion. The outlines that the cameras saw must lie on the boxes' edges. The loss is robust (soft L1), and
the blocks are taken out of the normal equations (Schur complement), so that a step solves for the cameras
alone. What the bay's file says is the prior, each value with a standard deviation (`Survey`).

The gauge: blocks stand on the floor z = 0, which fixes height, tilt and roll of the whole. Nothing that is
seen fixes where the whole lies along x and y, and how it is turned about the vertical: that rests on the
cameras' surveyed positions alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from bay_observation.errors import CalibrationError
from bays import BayConfig, Camera, FloorDoubt, Intrinsics, Pose
from bays.camera_model import CameraModel, angles_of
from fusion.calibration import UNKNOWN_BEND
from fusion.fitting import Outlines, compared
from fusion.occlusion import known_outlines
from fusion.refitting import size_prior
from fusion.resection import rounded_lens
from fusion.scene import Scene, build_scene
from fusion.search import find_blocks
from fusion.upright_box import DEPTH, HEIGHT, PARAMETERS, WIDTH, Bools, Floats, Ints, Views, X, Y
from inference.types import Observation

LEAST_PLACES = 6  # of blocks that several cameras see, without which nothing is refined
ALL_OFF = 0.5  # share of the cameras that are surely off, from which all are said to be

_TURN, _PLACE, _FOCAL, _BEND = slice(0, 3), slice(3, 6), 6, 7
_SIZE = 8  # parameters of a camera: turn (radians), place (metres), logarithm of the focal length, k1
_ROUNDS = 3  # of search for the blocks with the cameras as refined so far
_STEPS = 8
_EM_ROUNDS = 20
_STATED_COUNTS = 6.0  # values that what is stated is worth, beside those of the cameras
_MOST_ALIKE = 0.9  # correlation of neighbouring points' errors
_LEAST_SCALE_PX = 1.0
_SAME_PLACE_M = 0.5
_LONGEST = np.array([0.02] * 3 + [0.2] * 3 + [0.02, 0.05])
_LONGEST_BOX = 1.5
_LIKELY = 3.0  # standard deviations within which a value may be the file's


@dataclass(frozen=True)
class Survey:
    """What the file's values are worth: their standard deviations, or less where the cameras bear them out.

    Attributes:
        turn_deg: of each camera's direction, degrees about each axis.
        place_m: of each camera's position, metres along each axis.
        focal: of the focal length, as a share of it.
        k1: of the first term of distortion, where the file gives the lens's distortion.
        unknown_k1: the same where it gives none.
    """

    turn_deg: float = 1.0
    place_m: float = 0.05
    focal: float = 0.003
    k1: float = 0.01
    unknown_k1: float = UNKNOWN_BEND

    def std(self, cameras: Sequence[Camera]) -> Floats:
        """(c, 8) of the cameras' parameters."""
        usual = [np.radians(self.turn_deg)] * 3 + [self.place_m] * 3 + [self.focal]
        return np.array([[*usual, self.k1 if _is_bend_known(camera) else self.unknown_k1] for camera in cameras])


def _is_bend_known(camera: Camera) -> bool:
    return any(CameraModel.of(camera).intrinsics.distortion)


@dataclass(frozen=True)
class RefinedCamera:
    """One camera as the blocks say.

    Attributes:
        camera: its name.
        pose, intrinsics: refined.
        turn_deg: by which it is turned against the file.
        turn_std_deg: standard deviation of its direction, in the less certain axis across the view.
        moved_m: by which it is moved.
        place_std_m: of its position, in the least certain axis.
        before_px, after_px: median distance of outlines and edges, as in the file and as refined.
        before_cm, after_cm: the same at the blocks, centimetres.
        places: on the floor that blocks stood at which it saw.
        is_off: it is surely not as the file says.
    """

    camera: str
    pose: Pose
    intrinsics: Intrinsics
    turn_deg: float
    turn_std_deg: float
    moved_m: float
    place_std_m: float
    before_px: float
    after_px: float
    before_cm: float
    after_cm: float
    places: int
    is_off: bool


@dataclass(frozen=True)
class Refinement:
    """All cameras, refined together.

    Attributes:
        cameras: by name.
        batches, places: that it rests on.
        gauge_std_m: by which the whole floor plan may be shifted, which no block shows.
    """

    cameras: tuple[RefinedCamera, ...]
    batches: int
    places: int
    gauge_std_m: float

    @property
    def all_off(self) -> bool:
        """Whether the cameras are off alike: then none is an outlier among the others."""
        return sum(camera.is_off for camera in self.cameras) > ALL_OFF * len(self.cameras)

    def bay(self, bay: BayConfig) -> BayConfig:
        """The bay with its cameras as refined."""
        refined = {one.camera: {"pose": one.pose, "intrinsics": one.intrinsics} for one in self.cameras}
        cameras = tuple(camera.model_copy(update=refined.get(camera.name, {})) for camera in bay.cameras)
        return bay.model_copy(update={"cameras": cameras})


def refine_poses(observations: Sequence[Observation], bay: BayConfig, survey: Survey | None = None) -> Refinement:
    """Estimate all cameras that take part in fusion from what they saw in several batches.

    Args:
        observations: of this bay. A block that stands still through several of them is one place.
        bay: as its file has it.
        survey: what the file's values are worth.

    Raises:
        CalibrationError: too few places where several cameras see a block, or cameras were moved after a batch.
        FusionError: an observation does not fit the bay.
    """
    for one in observations:
        if bay.of_batch(one.batch_id) != bay:
            raise CalibrationError(
                f"batch {one.batch_id} is older than {bay.unmoved_since}, when cameras were moved: take later batches"
            )
    names = tuple(sorted(camera.name for camera in bay.fusion_cameras))
    stated = std = (survey or Survey()).std([bay.camera(name) for name in names])
    values = np.zeros((len(names), _SIZE))
    fits = []
    for _ in range(_ROUNDS):
        seen = [_seen(one, _changed(bay, names, values), names) for one in observations]
        fits.append(_Fit.of(seen, std, values))
        values, last = fits[-1].improved()
        std = _borne_out(stated, last)
    return _report(bay, names, fits[0], replace(last, std=std))


@dataclass(frozen=True)
class _Seen:
    """One batch: blocks and the silhouettes that they explain.

    Attributes:
        boxes: (b, 6).
        members: (b, v) rows of the outlines, -1 for none.
        outlines: of the scene.
        camera: (n,) the bay's camera that saw each outline.
        weight: (b,) of each block: one place counts once.
        scene: for the size prior.
    """

    boxes: Floats
    members: Ints
    outlines: Outlines
    camera: Ints
    weight: Floats
    scene: Scene


def _seen(observation: Observation, bay: BayConfig, names: Sequence[str]) -> _Seen:
    scene = build_scene(observation, bay)
    found = find_blocks(scene).chosen
    found = found.take(found.sizes > 1)
    members = -np.sort(-found.members, axis=1)[:, : int(found.sizes.max(initial=1))]
    rows = np.array([names.index(frame.name) for frame in scene.frames], dtype=np.int64)
    camera = rows[scene.camera] if len(scene.camera) else np.zeros(0, dtype=np.int64)
    return _Seen(found.boxes, members, known_outlines(found, scene), camera, np.ones(len(found)), scene)


@dataclass(frozen=True)
class _Fit:
    """Blocks of all batches and the cameras, at one step."""

    seen: Sequence[_Seen]
    std: Floats  # (c, 8) of what the file says of the cameras
    values: Floats  # (c, 8) of the cameras, against the file
    done: Floats  # (c, 8) of them, what the scenes know already
    place: Sequence[Ints]
    boxes: Sequence[Floats]

    @classmethod
    def of(cls, seen: Sequence[_Seen], std: Floats, values: Floats) -> "_Fit":
        """With the blocks as they were found.

        Raises:
            CalibrationError: too few places.
        """
        fit = cls(seen, std, values, values, _places([one.boxes for one in seen]), [one.boxes for one in seen])
        if fit.places < LEAST_PLACES:
            raise CalibrationError(
                f"several cameras saw blocks at {fit.places} places, and {LEAST_PLACES} are needed: take more batches"
            )
        return fit

    @property
    def places(self) -> int:
        """On the floor, that blocks stand at."""
        return 1 + max((int(one.max(initial=-1)) for one in self.place), default=-1)

    def improved(self) -> "tuple[Floats, _Fit]":
        """After some steps of Gauss and Newton on cameras and blocks at once."""
        fit = self
        for _ in range(_STEPS):
            fit = fit.stepped()
        return fit.values, fit

    def stepped(self) -> "_Fit":
        """After one step."""
        parts = self.parts()
        step = -np.linalg.solve(parts.information, parts.gradient).reshape(self.values.shape)
        step = np.clip(step, -_LONGEST, _LONGEST)
        boxes = []
        for box, through, pull in zip(self.boxes, parts.through, parts.pull, strict=True):
            change = -pull - through @ step.ravel()
            moved = box + np.clip(change, -_LONGEST_BOX, _LONGEST_BOX)
            moved[:, [WIDTH, DEPTH]] = np.maximum(moved[:, [WIDTH, DEPTH]], 0.3)
            moved[:, HEIGHT] = np.clip(moved[:, HEIGHT], 0.05, 15.0)
            boxes.append(moved)
        return _Fit(self.seen, self.std, self.values + step, self.done, self.place, boxes)

    def parts(self) -> "_Parts":
        """The normal equations of the cameras, the blocks taken out."""
        size = self.values.size
        information = np.diag(self.std.ravel() ** -2)
        gradient = information @ self.values.ravel()
        residuals = [self._residuals(index) for index in range(len(self.seen))]
        left = np.concatenate([np.abs(one.distance[one.counts]) for one in residuals])
        scale = max(_LEAST_SCALE_PX, 1.48 * float(np.median(left)))
        less = _less_certain(residuals)
        times = np.bincount(np.concatenate(self.place))
        through, pull = [], []
        for residual, place in zip(residuals, self.place, strict=True):
            of_box, of_both, of_cameras, box_pull, camera_pull = residual.normal(scale, less, size)
            through.append(np.asarray(np.linalg.solve(of_box, of_both), dtype=float))
            pull.append(np.asarray(np.linalg.solve(of_box, box_pull[..., None])[..., 0], dtype=float))
            share = 1 / times[place]
            taken = np.einsum("bpi,bpj->bij", of_both, through[-1])
            information += np.einsum("b,bij->ij", share, of_cameras - taken)
            gradient += np.einsum("b,bi->i", share, camera_pull - np.einsum("bpi,bp->bi", of_both, pull[-1]))
        return _Parts(information, gradient, through, pull, residuals)

    def _residuals(self, index: int) -> "_Residuals":
        """Of one batch: the scene's cameras as far as they have been turned and moved since it was made."""
        one, boxes, since = self.seen[index], self.boxes[index], self.values - self.done
        views = one.outlines.views
        mine = since[one.camera]
        rotation = Rotation.from_rotvec(mine[:, _TURN]).as_matrix() @ views.rotation
        now = Views(rotation, views.position + mine[:, _PLACE], views.focal)
        pixels, focal = one.outlines.pixels, views.focal[:, None, None]
        reach = (pixels**2).sum(axis=-1, keepdims=True) / focal**2
        pixels = pixels * (1 - mine[:, _FOCAL, None, None] - mine[:, _BEND, None, None] * reach)
        outlines = Outlines(pixels, one.outlines.own, now)
        rows = np.maximum(one.members, 0)
        about = compared(boxes, one.members, outlines, size_prior(one.members, one.scene))
        slope = _camera_slopes(about.normal, about.slope, pixels[rows], now.take(rows), boxes)
        apart = np.concatenate([boxes[:, None, [X, Y]], np.zeros((len(boxes), 1, 1))], axis=-1) - now.position[rows]
        return _Residuals(
            about.distance,
            about.counts,
            about.slope,
            slope,
            one.camera[rows],
            about.prior,
            about.prior_gradient,
            np.linalg.norm(apart, axis=-1) / now.focal[rows],
        )


@dataclass(frozen=True)
class _Residuals:
    """Of one batch.

    Attributes:
        distance: (b, v, k) pixels.
        counts: (b, v, k).
        to_box: (b, v, k, 6) change with the box.
        to_camera: (b, v, k, 8) change with the camera.
        camera: (b, v) which one.
        prior: (b, 6, 6) of the boxes.
        prior_gradient: (b, 6) of the boxes.
        metres: (b, v) that a pixel is at the block.
    """

    distance: Floats
    counts: Bools
    to_box: Floats
    to_camera: Floats
    camera: Ints
    prior: Floats
    prior_gradient: Floats
    metres: Floats

    def normal(self, scale: float, less: float, size: int) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        """(b, 6, 6) of the boxes, (b, 6, size) of both, (b, size, size) of the cameras, and both gradients."""
        weight = np.where(self.counts, 1 / np.sqrt(1 + (self.distance / (2 * scale)) ** 2), 0.0)
        weight = weight / (scale * less) ** 2
        weighted = self.to_box * weight[..., None]
        of_box = np.einsum("bvkp,bvkq->bpq", weighted, self.to_box) + self.prior + 1e-6 * np.eye(PARAMETERS)
        box_pull = np.einsum("bvkp,bvk->bp", weighted, self.distance) + self.prior_gradient
        both = np.einsum("bvkp,bvki->bvpi", weighted, self.to_camera)
        own = np.einsum("bvk,bvki,bvkj->bvij", weight, self.to_camera, self.to_camera)
        pull = np.einsum("bvk,bvki,bvk->bvi", weight, self.to_camera, self.distance)
        count, views = self.camera.shape
        of_both = np.zeros((count, PARAMETERS, size // _SIZE, _SIZE))
        of_cameras = np.zeros((count, size // _SIZE, _SIZE, size // _SIZE, _SIZE))
        camera_pull = np.zeros((count, size // _SIZE, _SIZE))
        row = np.arange(count)
        for view in range(views):
            camera = self.camera[:, view]
            of_both[row, :, camera] += both[:, view]
            of_cameras[row, camera, :, camera] += own[:, view]
            camera_pull[row, camera] += pull[:, view]
        return (
            of_box,
            of_both.reshape(count, PARAMETERS, size),
            of_cameras.reshape(count, size, size),
            box_pull,
            camera_pull.reshape(count, size),
        )

    def of_camera(self, camera: int) -> tuple[float, float]:
        """Median distance of one camera's outlines from the edges, pixels and metres."""
        rows = self.counts & (self.camera == camera)[..., None]
        away = np.abs(self.distance[rows])
        metres = np.broadcast_to(self.metres[..., None], rows.shape)[rows]
        return (float(np.median(away)), float(np.median(away * metres))) if len(away) else (np.nan, np.nan)


@dataclass(frozen=True)
class _Parts:
    information: Floats
    gradient: Floats
    through: Sequence[Floats]
    pull: Sequence[Floats]
    residuals: Sequence[_Residuals]


def _borne_out(stated: Floats, fit: _Fit) -> Floats:
    """(c, 8) standard deviations as all cameras together show them, where these are less than stated.

    Empirical Bayes: expectation and maximisation over the normal equations (Dempster, Laird and Rubin, 1977).
    What is stated counts as so many further values.
    """
    parts = fit.parts()
    own, pull = (
        parts.information - np.diag(fit.std.ravel() ** -2),
        parts.information @ fit.values.ravel() - parts.gradient,
    )
    std = stated.copy()
    for _ in range(_EM_ROUNDS):
        covariance = np.linalg.inv(own + np.diag(std.ravel() ** -2))
        square = ((covariance @ pull) ** 2 + np.diag(covariance)).reshape(std.shape)
        for columns in (_TURN, _PLACE, slice(_FOCAL, _FOCAL + 1), slice(_BEND, _BEND + 1)):
            for most in np.unique(stated[:, columns]):
                alike = stated[:, columns] == most
                learnt = (_STATED_COUNTS * most**2 + square[:, columns][alike].sum()) / (_STATED_COUNTS + alike.sum())
                std[:, columns][alike] = min(np.sqrt(learnt), most)
    return std


def _less_certain(residuals: "Sequence[_Residuals]") -> float:
    """By how much points of one outline are less certain than they seem, as neighbours err alike.

    That of a mean over errors with this first-order autocorrelation (Bartlett, 1935).
    """
    left = [np.where(one.counts, one.distance, 0.0) for one in residuals]
    square = sum(float((one**2).sum()) for one in left)
    following = sum(float((one * np.roll(one, -1, axis=-1)).sum()) for one in left)
    alike = float(np.clip(following / max(square, 1e-12), 0.0, _MOST_ALIKE))
    return float(np.sqrt((1 + alike) / (1 - alike)))


def _camera_slopes(normal: Floats, to_box: Floats, pixels: Floats, views: Views, boxes: Floats) -> Floats:
    """(b, v, k, 8) change of the distances with the camera's parameters."""
    focal = views.focal[..., None]
    along = (pixels * normal).sum(axis=-1)
    right, down = (normal[..., axis] + pixels[..., axis] * along / focal**2 for axis in (0, 1))
    aside = normal[..., 1] * pixels[..., 0] - normal[..., 0] * pixels[..., 1]
    # A turn moves the box's edges; the points move against them.
    turn = [down * focal, -right * focal, -aside]
    of_x, of_y = to_box[..., X], to_box[..., Y]
    # A scene that is scaled about a point of the floor, camera and all, looks the same: so the change with the
    # camera's height follows from those with all other lengths.
    sizes = boxes[:, None, None]
    x, y, z = (views.position[..., axis, None] for axis in range(3))
    scaled = (sizes[..., X] - x) * of_x + (sizes[..., Y] - y) * of_y
    scaled += sum(sizes[..., axis] * to_box[..., axis] for axis in (WIDTH, DEPTH, HEIGHT))
    bend = -along * (pixels**2).sum(axis=-1) / focal**2
    return np.stack([*turn, -of_x, -of_y, -scaled / z, -along, bend], axis=-1)


def _places(boxes: Sequence[Floats]) -> list[Ints]:
    """Per batch (b,) number of the place on the floor that each block stands at; near ones are the same place."""
    centres = np.concatenate([np.zeros((0, 2)), *(one[:, [X, Y]] for one in boxes)])
    number = np.zeros(0, dtype=np.int64)
    if len(centres):
        number = connected_components(cdist(centres, centres) < _SAME_PLACE_M, directed=False)[1].astype(np.int64)
    return np.split(number, np.cumsum([len(one) for one in boxes])[:-1])


def _changed(bay: BayConfig, names: Sequence[str], values: Floats) -> BayConfig:
    """The bay with its cameras changed by these values."""
    cameras = tuple(
        _with(camera, values[names.index(camera.name)]) if camera.name in names else camera for camera in bay.cameras
    )
    return bay.model_copy(update={"cameras": cameras})


def _with(camera: Camera, values: Floats) -> Camera:
    model = CameraModel.of(camera)
    pan, tilt, roll = angles_of(Rotation.from_rotvec(values[_TURN]).as_matrix() @ model.rotation)
    x, y, z = (float(value) for value in model.position + values[_PLACE])
    pose = Pose(x=x, y=y, z=z, pan=pan % 360, tilt=tilt, roll=roll)
    k1, *rest = model.intrinsics.distortion
    lens = model.intrinsics.with_focal(float(model.intrinsics.focal_px * np.exp(values[_FOCAL])))
    lens = lens.model_copy(update={"distortion": (float(k1 + values[_BEND]), *rest)})
    return camera.model_copy(update={"pose": pose, "intrinsics": lens})


def _rounded(pose: Pose, lens: Intrinsics, doubt: FloorDoubt | None) -> tuple[Pose, Intrinsics]:
    """As a bay's file holds them, rounded far below what can be known."""
    k1, *rest = lens.distortion
    return (
        Pose(**{name: round(value, 4) for name, value in pose.model_dump(exclude_none=True).items()}, doubt=doubt),
        rounded_lens(lens).model_copy(update={"distortion": (round(k1, 6), *rest)}),
    )


def _report(bay: BayConfig, names: Sequence[str], before: _Fit, after: _Fit) -> Refinement:
    parts, old = after.parts(), before.parts().residuals
    covariance: Floats = np.asarray(np.linalg.inv(parts.information), dtype=float)
    refined = _changed(bay, names, after.values)
    cameras, doubts = [], _floor_doubts(after, parts, covariance)
    for row, name in enumerate(names):
        own = covariance[row * _SIZE : (row + 1) * _SIZE, row * _SIZE : (row + 1) * _SIZE]
        places = {int(p) for one, place in zip(after.seen, after.place, strict=True) for p in place[_sees(one, row)]}
        turn, moved = after.values[row, _TURN], after.values[row, _PLACE]
        model = CameraModel.of(refined.camera(name))
        (was_px, was_m), (now_px, now_m) = _typical(old, row), _typical(parts.residuals, row)
        cameras.append(
            RefinedCamera(
                name,
                *_rounded(model.pose, model.intrinsics, doubts[row]),
                turn_deg=float(np.degrees(np.linalg.norm(turn))),
                turn_std_deg=float(np.degrees(_worst(own[:2, :2]))),
                moved_m=float(np.linalg.norm(moved)),
                place_std_m=_worst(own[_PLACE, _PLACE]),
                before_px=was_px,
                after_px=now_px,
                before_cm=100 * was_m,
                after_cm=100 * now_m,
                places=len(places),
                is_off=bool(turn @ np.linalg.solve(own[_TURN, _TURN], turn) > _LIKELY**2),
            )
        )
    along = np.zeros((2, len(names), _SIZE))
    along[0, :, 3] = along[1, :, 4] = 1 / len(names)
    whole = along.reshape(2, -1)
    return Refinement(tuple(cameras), len(after.seen), after.places, _worst(whole @ covariance @ whole.T))


def _floor_doubts(fit: _Fit, parts: _Parts, covariance: Floats) -> list[FloorDoubt | None]:
    """For each camera what the others' and its own errors leave open of the blocks that it sees; None without any.

    The cameras' covariance is carried through every block's fit. Cameras that are off together move and
    stretch the floor plan without contradiction, so that no batch shows it.
    """
    variances = []
    for through in parts.through:
        square = np.einsum("bpi,ij,bpj->bp", through, covariance, through)
        sides = square[:, [WIDTH, DEPTH]].mean(axis=1)
        variances.append(np.column_stack([square[:, X], square[:, Y], sides, square[:, HEIGHT]]))
    doubts: list[FloorDoubt | None] = []
    for camera in range(len(fit.values)):
        mine = np.concatenate([one[_sees(seen, camera)] for seen, one in zip(fit.seen, variances, strict=True)])
        x, y, sides, height = (round(float(std), 4) for std in np.sqrt(mine.mean(axis=0))) if len(mine) else [0.0] * 4
        doubts.append(FloorDoubt(x=x, y=y, sides=sides, height=height) if len(mine) else None)
    return doubts


def _worst(covariance: Floats) -> float:
    """Standard deviation along the least certain direction."""
    return float(np.sqrt(np.linalg.eigvalsh(covariance)[-1]))


def _sees(one: _Seen, camera: int) -> Bools:
    """(b,) whether that camera sees each block."""
    return np.asarray(((one.members >= 0) & (one.camera[np.maximum(one.members, 0)] == camera)).any(axis=1))


def _typical(residuals: Sequence[_Residuals], camera: int) -> tuple[float, float]:
    found = np.array([one.of_camera(camera) for one in residuals])
    found = found[np.isfinite(found).all(axis=1)]
    if not len(found):
        return 0.0, 0.0
    return float(np.median(found[:, 0])), float(np.median(found[:, 1]))
