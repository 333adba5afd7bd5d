"""Which silhouettes of different cameras are the same block.

Association and shape are found together. Every silhouette alone already suggests
boxes; each suggestion collects the silhouettes of other cameras that it explains,
is fitted to all of them, and lets go of those that it then does not explain.
Silhouettes that this leaves doubtful are tried in pairs. Of all hypotheses the
set that explains most is chosen, each silhouette used once and no two blocks in
one place (a small integer programme).
"""

from dataclasses import dataclass

import numpy as np
import shapely
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from fusion.fitting import Fit, Outlines, SizePrior, fit_boxes
from fusion.scene import Scene, floor_polygons
from fusion.upright_box import DEPTH, HEIGHT, PARAMETERS, WIDTH, YAW, Bools, Floats, Ints, X, Y
from fusion.visibility import in_sight, shared_floor

# log width, log depth, height (metres): what is known of a class before it is seen. Wide on purpose.
_PRIORS = {
    "panel": ((np.log(8.0), np.log(6.0), 0.8), (0.6, 0.6, 0.8)),
    "block": ((np.log(8.5), np.log(6.5), 3.5), (0.5, 0.5, 2.0)),
    "HP_block": ((np.log(9.0), np.log(7.0), 5.0), (0.5, 0.5, 2.5)),
}
_START_HEIGHTS = np.array([0.4, 1.0, 2.0, 3.2, 4.6, 6.2, 8.0])
_MIN_START_AREA = 1.0  # square metres

_COLLECT = 0.50  # agreement from which a box collects a silhouette
_KEEP = 0.62  # agreement under which it lets it go after the fit
_GOOD = 0.90  # agreement that counts in full before anything is known of the batch
_SURE = 0.06  # less than this below the expected agreement, a member is no doubtful one
_SAME_FLOOR = 0.35  # share of the smaller footprint: two blocks cannot both stand there
_UNSURE = 0.15  # what a detection of confidence 0 counts less than one of confidence 1
_ONE_LOST = 0.15  # what one camera's miss takes from a block that one other sees
_BESIDE_FLOOR_M = 1.0  # how far off the floor a block's centre may be found
_MUST_SEE = 0.5  # share of a silhouette in open view from which missing it tells
_SUGGESTING = 16  # cameras from which boxes are suggested before the others are asked


@dataclass(frozen=True)
class Hypotheses:
    """Possible blocks, one a row.

    Attributes:
        boxes: (h, 6).
        members: (h, cameras) silhouette that each camera contributes, -1 for none.
        agreement: (h, cameras) how well box and silhouette agree, 0 to 1.
        missed: (h, cameras) the camera has open view of it and no silhouette there.
    """

    boxes: Floats
    members: Ints
    agreement: Floats
    missed: Bools

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, rows: Ints | Bools) -> "Hypotheses":
        """These rows."""
        return Hypotheses(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    @property
    def sizes(self) -> Ints:
        """(h,) number of member silhouettes."""
        return np.asarray((self.members >= 0).sum(axis=1))


def joined(parts: list[Hypotheses]) -> Hypotheses:
    """One after the other."""
    return Hypotheses(*(np.concatenate([getattr(p, n) for p in parts]) for n in Hypotheses.__dataclass_fields__))


def associate(scene: Scene) -> tuple[Hypotheses, Floats]:
    """The blocks of the scene: a consistent set of hypotheses, singles included.

    Returns:
        The set, and for each silhouette of the scene the agreement to expect of it.
    """
    if not len(scene.objects):
        return _empty(scene), np.zeros(0)
    outlines = scene.outlines()
    suggested, grown = _suggestions(scene, outlines)
    singles = _judged(suggested, scene)
    everything = _distinct(joined([grown, singles]))
    expected = expected_agreement(everything.take(choose(everything, scene)), scene)
    pairs = _pairs(scene, outlines, _doubtful(grown, expected))
    if len(pairs):
        grown = joined([grown, pairs, _grow(pairs, scene, outlines)])
    grown = joined([grown, _without_the_worst(grown, expected, scene, outlines)])
    everything = _distinct(joined([grown, singles]))
    chosen = everything.take(choose(everything, scene, expected))
    return chosen, expected_agreement(chosen, scene)


def _suggestions(scene: Scene, outlines: Outlines) -> tuple[Hypotheses, Hypotheses]:
    """Boxes that single silhouettes suggest, and the groups that grow from them.

    Under many cameras a block is suggested by each of them, and every suggestion is looked
    for in all of them. So a few cameras spread over the bay suggest first, and of the others
    only what has found no sure group by then.
    """
    suggested = _singles(scene, outlines)
    silhouette = suggested.members.max(axis=1)
    every = -(-len(scene.frames) // _SUGGESTING)
    if every == 1:
        return suggested, _grow(suggested, scene, outlines)
    first = scene.camera[silhouette] % every == 0
    grown = _grow(suggested.take(first), scene, outlines)
    expected = expected_agreement(grown.take(choose(grown, scene)), scene)
    doubtful = np.isin(silhouette, _doubtful(grown, expected))
    return suggested.take(doubtful), joined([grown, _grow(suggested.take(doubtful & ~first), scene, outlines)])


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


def refit(found: Hypotheses, scene: Scene, outlines: Outlines, scale: float = 3.0, steps: int = 8) -> Hypotheses:
    """Fit every hypothesis to its members again, then judge it."""
    return _judged(_fitted(found.boxes, found.members, scene, outlines, scale=scale, steps=steps), scene)


def choose(found: Hypotheses, scene: Scene, expected: Floats | None = None) -> Ints:
    """Rows of the best consistent set: each silhouette once, no two blocks in one place.

    `expected` (n,) as from `expected_agreement`, None where nothing is known of the batch yet.
    """
    value = worth_of(found, found.missed, scene, expected)
    worth = np.flatnonzero(value > 0)
    if not len(worth):
        return worth
    candidates = found.take(worth)
    first, second, shared = shared_floor(candidates.boxes)
    clash = shared > _SAME_FLOOR
    hypothesis, camera = np.nonzero(candidates.members >= 0)
    _, silhouette = np.unique(candidates.members[hypothesis, camera], return_inverse=True)
    rows = [silhouette, np.repeat(np.arange(clash.sum()), 2) + silhouette.max() + 1]
    columns = [hypothesis, np.stack([first[clash], second[clash]], axis=1).ravel()]
    row, column = np.concatenate(rows), np.concatenate(columns)
    matrix = coo_array((np.ones(len(row)), (row, column)), shape=(row.max() + 1, len(worth))).tocsr()
    result = milp(
        -value[worth],
        constraints=LinearConstraint(matrix, ub=1.0),
        integrality=np.ones(len(worth)),
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": 1e-4, "time_limit": 5.0},
    )
    if result.x is None:
        return worth[_greedy(candidates, value[worth], matrix)]
    return np.asarray(worth[result.x > 0.5])


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


def _greedy(found: Hypotheses, value: Floats, matrix: coo_array) -> Ints:
    """Best first, should the integer programme run out of time."""
    taken: list[int] = []
    used = np.zeros(matrix.shape[0])
    columns = matrix.tocsc()
    for row in np.argsort(-value, kind="stable"):
        mine = columns[:, [row]].toarray()[:, 0]
        if not (used * mine).any():
            used += mine
            taken.append(int(row))
    return np.sort(np.array(taken, dtype=np.int64))


def _empty(scene: Scene) -> Hypotheses:
    cameras = len(scene.frames)
    return Hypotheses(
        np.zeros((0, PARAMETERS)),
        np.zeros((0, cameras), dtype=np.int64),
        np.zeros((0, cameras)),
        np.zeros((0, cameras), dtype=bool),
    )


def _singles(scene: Scene, outlines: Outlines) -> Hypotheses:
    """The best two boxes that each silhouette alone suggests."""
    rows = np.arange(len(scene.objects))
    start, owner = _starts(rows[:, None], scene)
    members = owner[:, None]
    rough = fit_boxes(start, members, outlines.thinned(2), size_prior(members, scene), scale=8.0, steps=5)
    best = _best_per_owner(rough, owner, 2)
    members = owner[best][:, None]
    fit = fit_boxes(rough.boxes[best], members, outlines, size_prior(members, scene), scale=3.0, steps=10)
    return _unjudged(fit, members, scene).take(_best_per_owner(fit, members[:, 0], 2))


def _pairs(scene: Scene, outlines: Outlines, doubtful: Ints) -> Hypotheses:
    """A box for every two silhouettes of different cameras, one of them doubtful, that may share floor."""
    if not len(doubtful):
        return _empty(scene)
    ground = floor_polygons(scene.polygons, scene.views.take(scene.camera), 0.0)
    first, second = shapely.STRtree(ground).query(ground[doubtful], predicate="intersects")
    first = doubtful[first]
    other = (scene.camera[first] != scene.camera[second]) & ((first < second) | ~np.isin(second, doubtful))
    pairs = np.stack([first[other], second[other]], axis=1)
    start, owner = _starts(pairs, scene)
    if not len(start):
        return _empty(scene)
    members = pairs[owner]
    rough = fit_boxes(start, members, outlines.thinned(3), size_prior(members, scene), scale=8.0, steps=4)
    best = _best_per_owner(rough, owner, 1)
    members = members[best]
    fit = fit_boxes(rough.boxes[best], members, outlines.thinned(2), size_prior(members, scene), scale=4.0, steps=6)
    judged = _judged(_unjudged(fit, members, scene), scene)
    good = np.where(judged.members >= 0, judged.agreement, 1.0).min(axis=1) >= _KEEP
    return judged.take(np.flatnonzero(good))


def _starts(groups: Ints, scene: Scene) -> tuple[Floats, Ints]:
    """Boxes to start from, and the row of `groups` (g, v) of each.

    The footprint of a box of height h lies in what all its silhouettes cover on the
    floor, and also in what they cover on the plane at h: their intersection's tight
    rectangle, for several heights.
    """
    rows = np.unique(groups)
    at = np.searchsorted(rows, groups)
    views = scene.views.take(scene.camera[rows])
    shapes = scene.polygons[rows]
    ground = _intersection(floor_polygons(shapes, views, 0.0)[at])
    starts, owners = [], []
    for height in _START_HEIGHTS:
        common = shapely.intersection(ground, _intersection(floor_polygons(shapes, views, height)[at]))
        owner = np.flatnonzero(shapely.area(common) > _MIN_START_AREA)
        if len(owner):
            starts.append(_rectangles(common[owner], height))
            owners.append(owner)
    if not starts:
        return np.zeros((0, PARAMETERS)), np.zeros(0, dtype=np.int64)
    return np.concatenate(starts), np.concatenate(owners)


def _intersection(shapes: np.ndarray) -> np.ndarray:
    common = shapes[:, 0]
    for column in range(1, shapes.shape[1]):
        common = shapely.intersection(common, shapes[:, column])
    return common


def _rectangles(shapes: np.ndarray, height: float) -> Floats:
    """(n, 6) boxes over the tight rectangles of (n,) polygons."""
    ring = shapely.get_coordinates(shapely.oriented_envelope(shapes)).reshape(-1, 5, 2)
    side, other = ring[:, 1] - ring[:, 0], ring[:, 2] - ring[:, 1]
    boxes = np.empty((len(ring), PARAMETERS))
    boxes[:, [X, Y]] = (ring[:, 0] + ring[:, 2]) / 2
    boxes[:, WIDTH], boxes[:, DEPTH] = np.linalg.norm(side, axis=1), np.linalg.norm(other, axis=1)
    boxes[:, YAW] = np.arctan2(side[:, 1], side[:, 0])
    boxes[:, HEIGHT] = height
    return boxes


def _best_per_owner(fit: Fit, owner: Ints, count: int) -> Ints:
    """Rows of the cheapest fits of each owner, those that came to the same box once."""
    kept: list[int] = []
    chosen: dict[int, list[int]] = {}
    for row in np.lexsort((fit.cost, owner)):
        others = chosen.setdefault(int(owner[row]), [])
        new = all(np.abs(fit.boxes[row, [X, Y, HEIGHT]] - fit.boxes[o, [X, Y, HEIGHT]]).max() > 0.3 for o in others)
        if len(others) < count and new:
            others.append(row)
            kept.append(int(row))
    return np.array(kept, dtype=np.int64)


def size_prior(members: Ints, scene: Scene) -> SizePrior:
    """Per hypothesis the prior of its members' classes, averaged."""
    names = sorted(_PRIORS)
    table = np.array([_PRIORS[name] for name in names])  # (classes, 2, 3)
    kind = np.array([names.index(found.class_name) for found in scene.objects], dtype=np.int64)
    present = (members >= 0)[..., None, None]
    values = np.where(present, table[kind[np.maximum(members, 0)]], 0.0).sum(axis=1) / present.sum(axis=1)
    return SizePrior(values[:, 0], values[:, 1])


def _unjudged(fit: Fit, members: Ints, scene: Scene) -> Hypotheses:
    """Member lists (h, v) become one column per camera."""
    table = np.full((len(members), len(scene.frames)), -1, dtype=np.int64)
    row, column = np.nonzero(members >= 0)
    silhouette = members[row, column]
    table[row, scene.camera[silhouette]] = silhouette
    return Hypotheses(fit.boxes, table, np.zeros(table.shape), np.zeros(table.shape, dtype=bool))


def _fitted(boxes: Floats, members: Ints, scene: Scene, outlines: Outlines, *, scale: float, steps: int) -> Hypotheses:
    """Fits in batches of equally many members: none pays for another's columns."""
    sizes = (members >= 0).sum(axis=1)
    result = joined([_empty(scene)])
    parts, order = [result], []
    for size in np.unique(sizes[sizes > 0]):
        rows = np.flatnonzero(sizes == size)
        packed = -np.sort(-members[rows], axis=1)[:, :size]
        fit = fit_boxes(boxes[rows], packed, outlines, size_prior(packed, scene), scale=scale, steps=steps)
        parts.append(_unjudged(fit, packed, scene))
        order.append(rows)
    if not order:
        return result
    return joined(parts).take(np.argsort(np.concatenate(order), kind="stable"))


def _judged(found: Hypotheses, scene: Scene) -> Hypotheses:
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


def agreement_of(outline: np.ndarray, silhouette: Ints, scene: Scene) -> Floats:
    """Intersection over union of predicted and observed silhouettes where nothing else may hide them."""
    shared = shapely.area(shapely.intersection(outline, scene.polygons[silhouette]))
    # Of what is predicted besides, only what lies in open view would have been seen.
    surplus = shapely.area(shapely.intersection(outline, scene.free[scene.camera[silhouette]]))
    either = shapely.area(scene.polygons[silhouette]) + surplus
    return np.asarray(np.where(shared + surplus > 0, shared / np.maximum(either, 1e-9), 0.0))


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


def _grow(found: Hypotheses, scene: Scene, outlines: Outlines, rounds: int = 2) -> Hypotheses:
    """Collect, fit, let go; the same again with the better box."""
    for turn in range(rounds):
        found = collect(found, scene)
        found = _distinct(found)
        found = refit(found, scene, outlines.thinned(2), scale=5.0 if turn == 0 else 3.0, steps=6)
        found = _released(found)
    return _distinct(found)


def _released(found: Hypotheses) -> Hypotheses:
    """Members that the fitted box does not explain go, but the best always stays."""
    best = found.agreement.max(axis=1, keepdims=True)
    stays = (found.members >= 0) & ((found.agreement >= _KEEP) | (found.agreement >= best))
    return Hypotheses(
        found.boxes,
        np.where(stays, found.members, -1),
        np.where(stays, found.agreement, 0.0),
        found.missed | ((found.members >= 0) & ~stays),
    )


def _without_the_worst(found: Hypotheses, expected: Floats, scene: Scene, outlines: Outlines) -> Hypotheses:
    """Groups with a member that agrees less than well, once more without it: it may be another block's."""
    excess = _excess(found, expected)
    rows = np.flatnonzero((found.sizes > 1) & (excess.min(axis=1) < -_SURE))
    members = found.members[rows].copy()
    members[np.arange(len(rows)), excess[rows].argmin(axis=1)] = -1
    fewer = Hypotheses(found.boxes[rows], members, found.agreement[rows], found.missed[rows])
    return refit(fewer, scene, outlines.thinned(2), steps=6)


def _distinct(found: Hypotheses) -> Hypotheses:
    """Of hypotheses with the same members the one that agrees best; several stay for single silhouettes."""
    value = np.where(found.members >= 0, found.agreement, 0.0).sum(axis=1)
    seen: dict[bytes, int] = {}
    kept: list[int] = []
    for row in np.argsort(-value, kind="stable"):
        key = found.members[row].tobytes()
        if seen.get(key, 0) < (2 if (found.members[row] >= 0).sum() == 1 else 1):
            seen[key] = seen.get(key, 0) + 1
            kept.append(int(row))
    return found.take(np.sort(np.array(kept, dtype=np.int64)))


def _doubtful(grown: Hypotheses, expected: Floats) -> Ints:
    """Silhouettes that belong to no group of three or more which agrees well."""
    sure = (grown.sizes >= 3) & (_excess(grown, expected).min(axis=1) >= -_SURE) & (grown.missed.sum(axis=1) <= 1)
    settled = np.unique(grown.members[sure])
    return np.setdiff1d(np.arange(len(expected)), settled)


def _excess(found: Hypotheses, expected: Floats) -> Floats:
    """(h, cameras) agreement above what is expected of each member; infinite where there is none."""
    return np.where(found.members >= 0, found.agreement - expected[np.maximum(found.members, 0)], np.inf)
