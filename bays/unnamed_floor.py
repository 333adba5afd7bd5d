"""Floor that no area names and that lies between areas: what a mistyped edge leaves open.

The edges of all areas cut the floor into rectangles, so that a gap of any width is found as it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from bays.models import Layout

_LEAST_GAP_M = 0.5  # narrower ones are the width of a painted line
_LEAST_M2 = 3.0

Bools = NDArray[np.bool_]
Span = tuple[float, float]


@dataclass(frozen=True)
class Gap:
    """Floor between areas that no area names: how far it reaches along x and y (metres), and how large it is."""

    x: Span
    y: Span
    area_m2: float

    def __str__(self) -> str:
        (x, to_x), (y, to_y) = self.x, self.y
        return f"{self.area_m2:.0f} m² between areas are in none, x {x:g} to {to_x:g}, y {y:g} to {to_y:g}"


def gaps_between(layout: Layout) -> list[Gap]:
    """The gaps between areas of a floor, the largest first.

    Floor lies between areas where there is an area on both sides of it, along x or along y: not at the hall's walls.
    A strip that is narrower than half a metre is none.
    """
    xs, ys = _edges(layout, 0), _edges(layout, 1)
    widths, heights = np.diff(xs), np.diff(ys)
    named = np.zeros((len(heights), len(widths)), dtype=bool)
    for area in layout.areas.values():
        along_x = (xs[:-1] >= area.x[0]) & (xs[1:] <= area.x[1])
        along_y = (ys[:-1] >= area.y[0]) & (ys[1:] <= area.y[1])
        named |= along_y[:, None] & along_x
    between = _between(named, widths) | _between(named.T, heights).T
    found = []
    for rows, columns in _connected(between):
        x, y = (xs[columns.min()], xs[columns.max() + 1]), (ys[rows.min()], ys[rows.max() + 1])
        size = float((heights[rows] * widths[columns]).sum())
        if size >= _LEAST_M2:
            found.append(Gap((float(x[0]), float(x[1])), (float(y[0]), float(y[1])), size))
    return sorted(found, key=lambda gap: -gap.area_m2)


def _edges(layout: Layout, axis: int) -> NDArray[np.float64]:
    side = (layout.width, layout.height)[axis]
    return np.unique([0.0, side, *(edge for area in layout.areas.values() for edge in (area.x, area.y)[axis])])


def _between(named: Bools, lengths: NDArray[np.float64]) -> Bools:
    """Of each row the unnamed cells that have a named one on both sides, where the gap is wide enough."""
    found = np.zeros_like(named)
    for row, cells in enumerate(named):
        runs = [list(run) for _, run in groupby(range(len(cells)), cells.__getitem__)]
        for columns in runs[1:-1]:
            if not cells[columns[0]] and lengths[columns].sum() >= _LEAST_GAP_M:
                found[row, columns] = True
    return found


def _connected(cells: Bools) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Rows and columns of the cells that hang together by their sides."""
    left = {(int(row), int(column)) for row, column in np.argwhere(cells)}
    while left:
        group, reached = [], [left.pop()]
        while reached:
            row, column = reached.pop()
            group.append((row, column))
            beside = {(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)} & left
            left -= beside
            reached += beside
        rows, columns = np.array(group).T
        yield rows, columns
