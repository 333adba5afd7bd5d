"""Dataclasses as plain data: strict in both directions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon, box

from artifacts.codec import CodecError, decode, encode
from bay_observation.errors import ArtifactError


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Inner:
    name: str
    size: float = 0.0

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ArtifactError("a size below zero")


@dataclass(frozen=True, eq=False)
class Whole:
    text: str
    number: float
    count: int
    flag: bool
    content: bytes
    moment: datetime
    colour: Colour
    inner: Inner
    many: tuple[Inner, ...]
    pair: tuple[int, str]
    words: Mapping[str, int]
    floor: Polygon
    unseen: MultiPolygon
    points: NDArray[np.float32]
    maybe: str | None = None
    later: NDArray[np.float16] | None = None
    none: Inner | None = None
    more: Mapping[str, str] = field(default_factory=dict)


MOMENT = datetime(2025, 7, 2, 7, 10, 1, 250_000, tzinfo=UTC)


def whole(**changes):
    values = {
        "text": "블록 12",
        "number": 1.5,
        "count": 3,
        "flag": True,
        "content": b"\xff\xd8",
        "moment": MOMENT,
        "colour": Colour.RED,
        "inner": Inner("a", 2.0),
        "many": (Inner("b"), Inner("c", 1.0)),
        "pair": (1, "x"),
        "words": {"welder": 2},
        "floor": Polygon([(0, 0), (4, 0), (4, 3)], [[(1, 0.5), (2, 0.5), (2, 1)]]),
        "unseen": MultiPolygon([box(0, 0, 1, 1), box(2, 2, 3, 3)]),
        "points": np.array([[1, 2], [3, 4]], np.float32),
    } | changes
    return Whole(**values)


def test_all_types_come_back_equal():
    value = whole(maybe="m", later=np.array([1, 2], np.float16), none=Inner("n"), more={"C_2": "busy"})
    again = decode(Whole, encode(value))
    for name in Whole.__dataclass_fields__:
        before, after = getattr(value, name), getattr(again, name)
        if isinstance(before, np.ndarray):
            assert after.dtype == before.dtype
            assert np.array_equal(after, before)
            assert after.flags.writeable
        else:
            assert type(after) is type(before)
            assert after == before


def test_a_time_keeps_its_zone():
    moment = MOMENT.astimezone(timezone(timedelta(hours=9)))
    again = decode(Whole, encode(whole(moment=moment))).moment
    assert (again, again.utcoffset()) == (moment, timedelta(hours=9))


def test_numbers_of_numpy_are_stored_as_python_s_own():
    data = encode(whole(number=np.float64(2.5), count=np.int64(7), flag=np.bool_(False)))
    assert [type(data[name]) for name in ("number", "count", "flag")] == [float, int, bool]


def test_a_field_with_a_default_may_be_missing():
    data = encode(whole())
    del data["maybe"], data["more"]
    assert decode(Whole, data).more == {}


BOX = shapely.to_wkb(box(0, 0, 1, 1), byte_order=1)
MULTI = shapely.to_wkb(MultiPolygon([box(0, 0, 1, 1)]), byte_order=1)
EMPTY = b"\x01\x03\x00\x00\x00" + bytes(4)
MANY_EMPTY = b"\x01\x06\x00\x00\x00" + (200_000).to_bytes(4, "little") + EMPTY * 200_000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text": 1}, "text: int 1 where str is wanted"),
        ({"text": None}, "text: NoneType where str is wanted"),
        ({"number": "1"}, "number: str '1' where a finite number is wanted"),
        ({"number": float("nan")}, "number: float nan where a finite number"),
        ({"number": float("inf")}, "number: float inf where a finite number"),
        ({"number": True}, "number: bool True where a finite number"),
        ({"count": 1.0}, "count: float 1.0 where int is wanted"),
        ({"count": True}, "count: bool True where int is wanted"),
        ({"flag": 1}, "flag: int 1 where bool is wanted"),
        ({"content": "x"}, "content: str 'x' where bytes is wanted"),
        ({"moment": "2025-07-02T07:10:00"}, "moment: .* where a time with its zone is wanted"),
        ({"moment": "soon"}, "moment: .* where a time is wanted"),
        ({"moment": 5}, "moment: int 5 where a time is wanted"),
        ({"colour": "blue"}, "colour: str 'blue' is no Colour"),
        ({"colour": ["red"]}, "colour: list is no Colour"),
        ({"inner": []}, "inner: list where Inner is wanted"),
        ({"inner": {"name": "a", "size": -1.0}}, "inner: Inner: a size below zero"),
        ({"inner": {"size": 1.0}}, "inner: Inner without name"),
        ({"inner": {"name": "a", "os": "x"}}, "inner: Inner has no field 'os'"),
        ({"many": {"name": "a"}}, "many: dict where a list is wanted"),
        ({"many": [{"name": 1}]}, "many: name: int 1 where str"),
        ({"pair": [1]}, "pair: 1 values where 2 are wanted"),
        ({"words": [["a", 1]]}, "words: list where a mapping is wanted"),
        ({"words": {"a": "b"}}, "words: str 'b' where int"),
        ({"points": [1, 2]}, "points: list where an array of <f4 is wanted"),
        ({"points": ["<f8", [1], b"12345678"]}, "points: list where an array of <f4"),
        ({"points": ["|O", [1], b"12345678"]}, "points: list where an array of <f4"),
        ({"points": ["<f4", [2], b"1234"]}, "points: an array of shape .2. with 4 bytes"),
        ({"points": ["<f4", [-1], b"1234"]}, "points: an array's shape"),
        ({"points": ["<f4", [2**62, 4], b""]}, "points: an array of shape"),
        ({"points": ["<f4", [1] * 60, b"1234"]}, "points: an array without its shape"),
        ({"floor": "POLYGON"}, "floor: str 'POLYGON' where Polygon is wanted"),
        ({"floor": BOX[:5]}, "floor: Polygon: "),
        ({"floor": BOX[:5] + b"\xff\xff\xff\x7f" + BOX[9:]}, "floor: Polygon: "),
        ({"floor": BOX[:9] + b"\xff\xff\xff\x7f" + BOX[13:]}, "floor: Polygon: "),
        ({"floor": BOX[:13] + np.float64("nan").tobytes() + BOX[21:]}, "floor: Polygon"),
        ({"floor": shapely.to_wkb(shapely.Point(1, 2))}, "floor: bytes .* where Polygon is wanted"),
        ({"unseen": BOX}, "unseen: bytes .* where MultiPolygon is wanted"),
        ({"unseen": b"\x01\x06\x00\x00\x00\xff\xff\xff\xff"}, "unseen: MultiPolygon: "),
        ({"unseen": b"\x01\x06\x00\x00\x00\x01\x00\x00\x00" * 5000}, "unseen: MultiPolygon: "),
        # So many ended the process within GEOS.
        ({"unseen": b"\x01\x06\x00\x00\x00\x01\x00\x00\x00" * 500_000}, "unseen: MultiPolygon: "),
        ({"unseen": MANY_EMPTY}, "unseen: MultiPolygon: "),
        ({"unseen": MULTI + BOX}, "unseen: MultiPolygon: its parts, rings and points do not fill its 195 bytes"),
        ({"unseen": MULTI[:-1]}, "unseen: MultiPolygon: "),
        ({"floor": BOX + b"\x00"}, "floor: Polygon: "),
        ({"floor": BOX[:5] + b"\x01\x00\x00\x00\x00\x00\x00\x00"}, "floor: Polygon: "),
        ({"extra": 1}, "Whole has no field 'extra'"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_field(changes, message):
    with pytest.raises(CodecError, match=message):
        decode(Whole, encode(whole()) | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"moment": datetime(2025, 7, 2)}, "moment: .* where a time with its zone"),
        ({"number": float("nan")}, "number: "),
        ({"points": np.zeros((2, 2))}, "points: ndarray where an array of <f4"),
        ({"points": np.array([None])}, "points: ndarray"),
        ({"floor": MultiPolygon()}, "floor: MultiPolygon where Polygon"),
        ({"inner": {"name": "a"}}, "inner: dict where Inner"),
        ({"text": b"x"}, "text: bytes"),
        ({"words": {1: 1}}, "words: int 1 where a text"),
    ],
)
def test_what_does_not_fit_is_not_written(changes, message):
    with pytest.raises(CodecError, match=message):
        encode(whole(**changes))


def test_a_type_that_artifacts_may_not_have_is_a_fault_of_the_code():
    @dataclass
    class Odd:
        value: complex

    with pytest.raises(TypeError, match="not a type that artifacts may have"):
        encode(Odd(1j))
