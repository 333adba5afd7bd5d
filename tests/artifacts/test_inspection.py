"""What an artifact holds in the types of JSON."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import numpy as np
from shapely import MultiPolygon, box

from artifacts.inspection import to_plain


class Kind(StrEnum):
    ONE = "one"


@dataclass(frozen=True)
class Value:
    when: datetime
    content: bytes
    inner: object


def test_every_type_becomes_json():
    value = Value(datetime(2025, 7, 2, tzinfo=UTC), b"abc", {1: Kind.ONE, "span": timedelta(minutes=2)})
    assert to_plain(value) == {
        "when": "2025-07-02T00:00:00+00:00",
        "content": {"bytes": 3},
        "inner": {"1": "one", "span": 120.0},
    }
    assert to_plain((np.array([[1, 2]], np.float32), np.float64(3), None)) == [[[1.0, 2.0]], 3.0, None]
    square = [[[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0], [1.0, 0.0]]]
    assert to_plain(box(0, 0, 1, 1)) == square
    assert to_plain(MultiPolygon([box(0, 0, 1, 1)])) == [square]
    json.dumps(to_plain(MultiPolygon()))
