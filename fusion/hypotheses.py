"""Possible blocks as rows of arrays: a box each, and the silhouettes that it explains."""

from dataclasses import dataclass

import numpy as np

from fusion.scene import Scene
from fusion.upright_box import PARAMETERS, Bools, Floats, Ints


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


def empty(scene: Scene) -> Hypotheses:
    """No hypothesis at all."""
    cameras = len(scene.frames)
    return Hypotheses(
        np.zeros((0, PARAMETERS)),
        np.zeros((0, cameras), dtype=np.int64),
        np.zeros((0, cameras)),
        np.zeros((0, cameras), dtype=bool),
    )


def distinct(found: Hypotheses) -> Hypotheses:
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
