"""Floor between areas that no area names."""

import pytest

from bays.models import Area, Layout
from bays.unnamed_floor import Gap, gaps_between


def layout(**areas):
    """A hall of 80 x 34 m; areas as (x from, x to, y from, y to)."""
    return Layout(width=80, height=34, areas={name: Area(x=(a, b), y=(c, d)) for name, (a, b, c, d) in areas.items()})


@pytest.mark.parametrize(
    ("areas", "gaps"),
    [
        ({}, []),
        ({"A": (10, 20, 10, 20)}, []),
        ({"A": (0, 40, 0, 34), "B": (40, 80, 0, 34)}, []),
        # Walls, a corner and a side where nothing stands are not between areas.
        ({"A": (2, 40, 2, 30), "B": (40, 70, 2, 20)}, []),
        # The width of a painted line, and rounding.
        ({"A": (0, 40, 0, 34), "B": (40.4, 80, 0, 34)}, []),
        ({"A": (0, 40, 0, 34), "B": (40.5, 80, 0, 34)}, [Gap((40, 40.5), (0, 34), 17.0)]),
        # A way through from one end to the other.
        ({"A": (0, 80, 0, 15), "B": (0, 80, 19, 34)}, [Gap((0, 80), (15, 19), 320.0)]),
        # Nested areas are named floor.
        ({"A": (0, 80, 0, 34), "B": (10, 20, 10, 20), "C": (30, 40, 10, 20)}, []),
        # Two holes, the larger one first; one of them is no rectangle.
        (
            {"W": (0, 10, 0, 34), "E": (70, 80, 0, 34), "N": (10, 70, 24, 34), "S": (10, 70, 0, 10),
             "M": (20, 22, 10, 24), "I": (22, 30, 10, 12)},
            [Gap((22, 70), (10, 24), 48 * 14 - 8 * 2), Gap((10, 20), (10, 24), 140.0)],
        ),
        # Smaller than a block's corner.
        ({"A": (0, 40, 0, 2), "B": (41, 80, 0, 2)}, []),
    ],
)  # fmt: skip
def test_gaps_between_areas(areas, gaps):
    assert gaps_between(layout(**areas)) == gaps
