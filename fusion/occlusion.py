"""Who stands in front of whom in each camera, once it is known where blocks stand."""

import numpy as np
import shapely

from fusion.fitting import Outlines
from fusion.hypotheses import Hypotheses
from fusion.scene import AMBIGUOUS_PX, Scene
from fusion.upright_box import PARAMETERS, Bools, Floats, Ints
from fusion.visibility import in_front, in_sight

_MUST_SEE = 0.5  # share of a silhouette in open view from which a camera must have seen it


def known_outlines(found: Hypotheses, scene: Scene) -> Outlines:
    """The outlines as evidence, now that it is known where blocks stand and so what may hide each of them."""
    return scene.outlines(hiding(found, scene), behind_undetected(found, scene))


def must_have_seen(found: Hypotheses, scene: Scene) -> Bools:
    """(h, cameras) whether most of the block is in that camera's open view.

    Cranes, blocks in front (as seen by that camera, or as known from others where it
    failed to detect them), and silhouettes that belong to no block hide it. Silhouettes
    of blocks behind do not: where those are seen, it would be seen.
    """
    result = np.zeros(found.members.shape, dtype=bool)
    owner = owners(found, scene)
    box, camera, outline = in_sight(found.boxes, scene)
    detected = found.members[box, camera] >= 0
    for row, column, shape in zip(box, camera, outline, strict=True):
        own = np.flatnonzero((scene.camera == column) & (owner != row))
        own = own[shapely.intersects(scene.polygons[own], shape)]
        placed = owner[own] >= 0
        hiding = own[~placed | nearer(found, np.maximum(owner[own], 0), row, scene.views.position[column])]
        unseen = np.flatnonzero((camera == column) & (box != row) & ~detected)
        unseen = unseen[shapely.intersects(outline[unseen], shape)]
        unseen = unseen[nearer(found, box[unseen], row, scene.views.position[column])]
        frame = scene.frames[column]
        visible = shape.intersection(frame.outline).difference(frame.crane)
        visible = visible.difference(shapely.union_all([*scene.polygons[hiding], *outline[unseen]]))
        result[row, column] = visible.area > _MUST_SEE * shape.area
    return result


def owners(found: Hypotheses, scene: Scene) -> Ints:
    """(n,) hypothesis that uses each silhouette, -1 for none."""
    owner = np.full(len(scene.objects), -1, dtype=np.int64)
    row, column = np.nonzero(found.members >= 0)
    owner[found.members[row, column]] = row
    return owner


def nearer(found: Hypotheses, rows: Ints, than: int | Ints, eye: Floats) -> Bools:
    """Whether each of (n,) hypotheses can hide hypothesis `than` from (3,) or (n, 3) eyes."""
    boxes = found.boxes[rows]
    others = np.broadcast_to(found.boxes[than], boxes.shape)
    return in_front(boxes, others, np.broadcast_to(eye, (len(boxes), 3)))


def hiding(found: Hypotheses, scene: Scene) -> Bools:
    """(m,) for each contact of outlines (`Scene.beside`), whether the other object may hide this one there."""
    owner = owners(found, scene)
    mine, other = owner[scene.beside[:, 0]], owner[scene.beside[:, 2]]
    known = (mine >= 0) & (other >= 0)
    eyes = scene.views.position[scene.camera[scene.beside[known, 0]]]
    hiding = np.ones(len(scene.beside), dtype=bool)
    hiding[known] = nearer(found, other[known], mine[known], eyes)
    return hiding


def behind_undetected(found: Hypotheses, scene: Scene) -> Bools:
    """(n, k) outline points where a block may hide the silhouette that this camera failed to detect itself."""
    hidden = np.zeros(scene.at_edge.shape, dtype=bool)
    owner = owners(found, scene)
    box, camera, outline = in_sight(found.boxes, scene)
    for index in np.flatnonzero(found.members[box, camera] < 0):
        others = np.flatnonzero((scene.camera == camera[index]) & (owner >= 0) & (owner != box[index]))
        eyes = scene.views.position[camera[index]]
        behind = others[
            in_front(
                np.broadcast_to(found.boxes[box[index]], (len(others), PARAMETERS)),
                found.boxes[owner[others]],
                np.broadcast_to(eyes, (len(others), 3)),
            )
        ]
        points = shapely.points(scene.pixels[behind])
        hidden[behind] |= shapely.dwithin(points, outline[index], AMBIGUOUS_PX)
    return hidden
