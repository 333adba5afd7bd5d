"""Floor that no working camera saw: since when, and what may have happened there.

A block that is lifted to such floor is gone from its place and is seen nowhere, as one that left the bay. A block that
is first seen when its floor comes back in view has come at any time since that was last seen.
The floor is kept in cells of a square metre. Each cell that no camera saw in the latest slot belongs to one stretch
of time (`UnseenFloor`), so that the cells of all stretches before a slot have been unseen from that slot until now.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon

from bays import Layout
from tracking.forms import LONG, SHORT, YAW, known_forms
from tracking.types import Track, UnseenFloor

Cells = NDArray[np.bool_]

_CELL_M = 1.0
_MOST = 8  # stretches of time that are told apart


class Floor:
    """The cells of a bay's floor.

    Args:
        layout: of the bay.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self.shape = max(1, round(layout.height / _CELL_M)), max(1, round(layout.width / _CELL_M))
        rows, columns = np.indices(self.shape)
        self._x, self._y = (columns + 0.5) * _CELL_M, (rows + 0.5) * _CELL_M

    def cells(self, shape: Polygon | MultiPolygon) -> Cells:
        """(rows, columns) cells whose centre lies in a shape."""
        if shape.is_empty:
            return np.zeros(self.shape, dtype=bool)
        shapely.prepare(shape)
        return np.asarray(shapely.contains_xy(shape, self._x, self._y))

    def tracked(self) -> Cells:
        """(rows, columns) cells of areas whose blocks are tracked; of nested areas the smallest counts."""
        result = np.zeros(self.shape, dtype=bool)
        areas = self._layout.areas.values()
        for area in sorted(areas, key=lambda one: -(one.x[1] - one.x[0]) * (one.y[1] - one.y[0])):
            inside = (self._x > area.x[0]) & (self._x < area.x[1]) & (self._y > area.y[0]) & (self._y < area.y[1])
            result[inside] = area.tracked
        return result

    def of(self, unseen: UnseenFloor) -> Cells:
        """(rows, columns) cells of a stretch; none where the bay was of another size then."""
        size = self.shape[0] * self.shape[1]
        bits = np.unpackbits(np.frombuffer(unseen.cells, dtype=np.uint8))
        return bits[:size].reshape(self.shape) > 0 if len(bits) == -(-size // 8) * 8 else np.zeros(self.shape, bool)

    def followed(
        self, before: Sequence[UnseenFloor], unseen: MultiPolygon, slot: datetime, last: datetime | None
    ) -> tuple[UnseenFloor, ...]:
        """The unseen floor of a slot, the longest unseen first.

        Args:
            before: that of the slot before.
            unseen: floor that no working camera saw in this slot.
            slot: aware.
            last: the slot before; None without one.
        """
        cells = self.cells(unseen)
        stretches = [UnseenFloor(_packed(self.of(one) & cells), one.since, one.last_seen) for one in before]
        fresh = cells & ~_any(map(self.of, stretches), self.shape)
        stretches = [one for one in [*stretches, UnseenFloor(_packed(fresh), slot, last)] if any(one.cells)]
        while len(stretches) > _MOST:
            # The smallest one counts as unseen for as long as the one before it; the first may never have been seen.
            sizes = [self.of(one).sum() for one in stretches[2:]]
            at = int(np.argmin(sizes)) + 1
            both = _packed(self.of(stretches[at]) | self.of(stretches[at + 1]))
            stretches[at : at + 2] = [replace(stretches[at], cells=both)]
        return tuple(stretches)

    def last_seen(
        self, footprint: Polygon, unseen: Sequence[UnseenFloor], last: datetime | None, share: float
    ) -> datetime | None:
        """The latest slot that saw a footprint's floor, but for that share of it; None if none did.

        Args:
            footprint: metres, floor frame.
            unseen: floor that the slot `last` did not see.
            last: the slot before the one in which a block was first seen there.
            share: of the footprint, which may be unseen.
        """
        cells = self.cells(footprint)
        hidden = [int((cells & self.of(one)).sum()) for one in unseen]
        while hidden and sum(hidden) > share * cells.sum():
            hidden.pop()
            last = unseen[len(hidden)].last_seen
        return last


class OutOfSight:
    """Where blocks may have been set down that are seen nowhere.

    Args:
        floor: of the bay.
        unseen: floor that no camera saw in this slot.
        standing: footprints of the blocks that stand.
        share: of a footprint that is unseen, from which on its emptiness proves nothing.
    """

    def __init__(self, floor: Floor, unseen: Sequence[UnseenFloor], standing: Iterable[Polygon], share: float) -> None:
        self._floor, self._unseen, self._share = floor, unseen, share
        self._standing = standing
        self._taken: NDArray[np.int64] | None = None

    def share(self, track: Track, slot: datetime, since: datetime | None = None) -> float:
        """Of the places where a block could be set down, the share that no camera has seen from that slot on.

        Floor that none ever saw does not count: what goes there has left what is known of the bay.

        Args:
            track: of the block.
            slot: the first that did not find it.
            since: where floor counts only if a slot saw it that was not before this one.
        """
        stretches = [one for one in self._unseen if one.since <= slot and one.last_seen is not None]
        if since is not None:
            stretches = [one for one in stretches if one.since >= since]
        if not stretches:
            return 0.0
        if self._taken is None:
            taken = [self._floor.cells(one) for one in self._standing]
            self._taken = _sums(_any(taken, self._floor.shape))
            self._home = self._floor.tracked()
        form = known_forms([track]).values[0]
        along_x = abs(np.cos(form[YAW])) > np.sqrt(0.5)
        sides = (form[SHORT], form[LONG]) if along_x else (form[LONG], form[SHORT])
        window = tuple(
            min(size, max(1, round(side / _CELL_M))) for side, size in zip(sides, self._floor.shape, strict=True)
        )
        rows, columns = (size - width + 1 for size, width in zip(self._floor.shape, window, strict=True))
        middle = self._home[window[0] // 2 :, window[1] // 2 :][:rows, :columns]
        free = middle & (_in_windows(self._taken, window) == 0)
        hidden = _in_windows(_sums(_any(map(self._floor.of, stretches), self._floor.shape)), window)
        dark = free & (hidden > self._share * window[0] * window[1])
        return float(dark.sum() / max(free.sum(), 1))


def _packed(cells: Cells) -> bytes:
    return np.packbits(cells).tobytes()


def _any(cells: Iterable[Cells], shape: tuple[int, ...]) -> Cells:
    result = np.zeros(shape, dtype=bool)
    for each in cells:
        result |= each
    return result


def _sums(cells: Cells) -> NDArray[np.int64]:
    """(rows + 1, columns + 1) cells in the rectangle from the origin on: a summed-area table."""
    return np.pad(cells.astype(np.int64), ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)


def _in_windows(sums: NDArray[np.int64], window: tuple[int, ...]) -> NDArray[np.int64]:
    """Cells in each window of so many rows and columns."""
    rows, columns = window
    return np.asarray(sums[rows:, columns:] - sums[:-rows, columns:] - sums[rows:, :-columns] + sums[:-rows, :-columns])
