"""How well boxes explain silhouettes: agreement of the two, what to expect of it, and what that is worth."""

import numpy as np
import shapely

from fusion.hypotheses import Hypotheses
from fusion.scene import Scene
from fusion.upright_box import Bools, Floats, Ints, X, Y
from fusion.visibility import in_sight

EXPLAINED = 0.62  # agreement from which a fitted box explains a silhouette
_COLLECT = 0.50  # agreement from which a box collects a silhouette
_GOOD = 0.90  # agreement that counts in full before anything is known of the batch
_UNSURE = 0.15  # what a detection of confidence 0 counts less than one of confidence 1
_ONE_LOST = 0.15  # what one camera's miss takes from a block that one other sees
_BESIDE_FLOOR_M = 1.0  # how far off the floor a block's centre may be found
_MUST_SEE = 0.5  # share of a silhouette in open view from which missing it counts


def agreement_of(outline: np.ndarray, silhouette: Ints, scene: Scene) -> Floats:
    """Intersection over union of predicted and observed silhouettes where nothing else may hide them."""
    shared = shapely.area(shapely.intersection(outline, scene.polygons[silhouette]))
    # Of what is predicted besides, only what lies in open view would have been seen.
    surplus = shapely.area(shapely.intersection(outline, scene.free[scene.camera[silhouette]]))
    either = shapely.area(scene.polygons[silhouette]) + surplus
    return np.asarray(np.where(shared + surplus > 0, shared / np.maximum(either, 1e-9), 0.0))


def judged(found: Hypotheses, scene: Scene) -> Hypotheses:
    """Agreement with every member, and the cameras that should have one and do not."""
    agreement = np.zeros(found.members.shape)
    missed = np.zeros(found.members.shape, dtype=bool)
    box, camera, outline = in_sight(found.boxes, scene)
    silhouette = found.members[box, camera]
    member = silhouette >= 0
    agreement[box[member], camera[member]] = agreement_of(outline[member], silhouette[member], scene)
    box, camera, outline = box[~member], camera[~member], outline[~member]
    open_view = shapely.area(shapely.intersection(outline, scene.free[camera])) / shapely.area(outline)
    missed[box, camera] = open_view > _MUST_SEE
    return Hypotheses(found.boxes, found.members, agreement, missed)


def collect(found: Hypotheses, scene: Scene, available: Bools | None = None) -> Hypotheses:
    """Give every hypothesis, in each camera where it has none, the silhouette that it explains best.

    Only of the `available` (n,) silhouettes, where given.
    """
    members, agreement, missed = found.members.copy(), found.agreement.copy(), found.missed
    box, camera, outline = in_sight(found.boxes, scene)
    open_slot = members[box, camera] < 0
    box, camera, outline = box[open_slot], camera[open_slot], outline[open_slot]
    pair, silhouette = _touching(outline, camera, scene)
    match = agreement_of(outline[pair], silhouette, scene)
    if available is not None:
        match = np.where(available[silhouette], match, 0.0)
    order = np.lexsort((silhouette, match))
    for index in order[match[order] >= _COLLECT]:  # the best comes last and stays
        members[box[pair[index]], camera[pair[index]]] = silhouette[index]
        agreement[box[pair[index]], camera[pair[index]]] = match[index]
    return Hypotheses(found.boxes, members, agreement, missed)


def expected_agreement(found: Hypotheses, scene: Scene) -> Floats:
    """(n,) the agreement that each silhouette should reach in this batch, by its size.

    Masks and poses are off by some pixels, the same for a large and a small silhouette:
    that error, estimated over all blocks that several cameras see, costs a small one more.
    """
    per_pixel = shapely.length(scene.polygons) / shapely.area(scene.polygons)
    several = found.take(found.sizes > 1)
    member = several.members >= 0
    if not member.any():
        return np.full(len(scene.objects), _GOOD)
    error_px = np.median((1 - several.agreement[member]) / per_pixel[several.members[member]])
    return np.asarray(np.clip(1 - error_px * per_pixel, 0.7, 0.99))


def excess(found: Hypotheses, expected: Floats) -> Floats:
    """(h, cameras) agreement above what is expected of each member; infinite where there is none."""
    return np.where(found.members >= 0, found.agreement - expected[np.maximum(found.members, 0)], np.inf)


def worth_of(found: Hypotheses, missed: Bools, scene: Scene, expected: Floats | None = None) -> Floats:
    """(h,) what each hypothesis explains, less what (h, cameras) `missed` it; above 0 it is worth having.

    Nothing stands beside the bay's floor.

    A silhouette that agrees as expected counts 1, a little less where its detection is
    unsure, so that of rivals for one place the surer stays; one that hardly agrees takes
    away. Of a block that two cameras see well, no more than two may miss it; of one that one camera
    sees, none, or a single one once it is known that the silhouette agrees as a block's does: then
    a detection lost there is likelier than a shape by chance.
    """
    if expected is None:
        shortfall = (_GOOD - found.agreement) / 0.4
    else:
        shortfall = (expected[np.maximum(found.members, 0)] - found.agreement) / 0.2
    confidence = np.array([thing.confidence for thing in scene.objects])[np.maximum(found.members, 0)]
    most = 1 - _UNSURE * (1 - confidence)
    explained = np.where(found.members >= 0, np.clip(1 - shortfall, -1.0, most), 0.0).sum(axis=1)
    block = np.where(found.sizes > 1, 0.4, 0.7)
    misses = missed.sum(axis=1)
    penalty = 0.7 * misses
    if expected is not None:
        penalty = np.where((found.sizes == 1) & (misses == 1), _ONE_LOST, penalty)
    centre = found.boxes[:, [X, Y]]
    on_floor = ((centre >= -_BESIDE_FLOOR_M) & (centre <= np.array(scene.floor) + _BESIDE_FLOOR_M)).all(axis=1)
    return np.asarray(np.where(on_floor, explained - block - penalty, -1.0))


def _touching(outline: np.ndarray, camera: Ints, scene: Scene) -> tuple[Ints, Ints]:
    """Pairs of a predicted outline and a silhouette of the same camera whose bounds overlap well."""
    pairs, rows = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for row in range(len(scene.frames)):
        mine, own = np.flatnonzero(camera == row), np.flatnonzero(scene.camera == row)
        if not len(mine) or not len(own):
            continue
        frame = np.array(scene.frames[row].outline.bounds)
        a, b = shapely.bounds(outline[mine]), shapely.bounds(scene.polygons[own])
        a = np.concatenate([np.maximum(a[:, :2], frame[:2]), np.minimum(a[:, 2:], frame[2:])], axis=1)
        low = np.maximum(a[:, None, :2], b[None, :, :2])
        high = np.minimum(a[:, None, 2:], b[None, :, 2:])
        shared = np.clip(high - low, 0, None).prod(axis=-1)
        smaller = np.minimum((a[:, 2:] - a[:, :2]).prod(axis=1)[:, None], (b[:, 2:] - b[:, :2]).prod(axis=1)[None])
        i, j = np.nonzero(shared > 0.3 * smaller)
        pairs.append(mine[i])
        rows.append(own[j])
    return np.concatenate(pairs), np.concatenate(rows)
