"""Dataclasses to plain data and back. The annotations of the fields are the format.

A field may be: str, int, float, bool, bytes, None, an aware datetime (as ISO 8601), an enumeration
of texts (as its value), a dataclass (as a mapping), `tuple[T, ...]`, `tuple[A, B]`,
`Mapping[str, T]`, `A | None`, `NDArray[np.float32]` and its like (as type, shape and bytes, little
endian), and shapely's Polygon and MultiPolygon (as WKB, two-dimensional).

Reading is strict: no other type, no key too many or too few (a field with a default may be
missing), no number that is not finite, no naive time. What a dataclass checks in its
`__post_init__` is checked as well.
"""

import math
import struct
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

from artifacts.plain_pickle import Plain
from bay_observation.errors import BayObservationError

T = TypeVar("T")

_MOST_DIMENSIONS = 3
_MOST_RINGS = 50_000
_FEWEST_POINTS = 4  # of a ring, whose last one is its first
_U4 = struct.Struct("<I").unpack_from
# Of WKB: byte order, then the geometry's type.
_POLYGON, _MULTI_POLYGON = b"\x01\x03\x00\x00\x00", b"\x01\x06\x00\x00\x00"


class CodecError(ValueError):
    """Data that does not fit a type. The message names the field."""


class Codec(NamedTuple):
    """How values of one type are written and read."""

    encode: Callable[[Any], Plain]
    decode: Callable[[Any], Any]


def encode(value: object) -> Plain:
    """A dataclass's value as plain data.

    Raises:
        CodecError: a field holds something that its annotation does not allow.
    """
    return _codec_of(type(value)).encode(value)


def decode(kind: type[T], data: Plain) -> T:
    """A value of `kind` from plain data.

    Raises:
        CodecError: the data does not fit.
    """
    value: T = _codec_of(kind).decode(data)
    return value


_codecs: dict[Any, Codec] = {}


def _codec_of(kind: Any) -> Codec:
    """The codec of a type, made once."""
    if kind not in _codecs:
        _codecs[kind] = _made(kind)
    return _codecs[kind]


def _made(kind: Any) -> Codec:
    """The codec of a type, as an annotation gives it.

    Raises:
        TypeError: the annotation is not one that artifacts may have.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return _enumeration(kind)
    if is_dataclass(kind):
        return _dataclass(kind)  # type: ignore[arg-type]
    if origin in (Union, types.UnionType):
        return _optional(kind, arguments)
    if origin is tuple:
        return _tuple(arguments)
    if origin is Mapping:
        return _mapping(kind, arguments)
    return _array(kind) if getattr(origin, "__name__", "") == "ndarray" else _shape(kind)


def _exactly(kind: type) -> Codec:
    def check(value: Any) -> Any:
        if type(value) is not kind:
            raise CodecError(f"{_shown(value)} where {kind.__name__} is wanted")
        return value

    return Codec(check, check)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise CodecError(f"{_shown(value)} where a text is wanted")
    return str(value)


def _number(value: Any) -> float:
    if type(value) is float and value - value == 0.0:  # finite; nearly all values end here
        return value
    # numpy's float64 is a float; what comes back is Python's own.
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise CodecError(f"{_shown(value)} where a finite number is wanted")
    return float(value)


def _whole_number(value: Any) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise CodecError(f"{_shown(value)} where a whole number is wanted")
    return int(value)


def _time_to_text(value: Any) -> str:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise CodecError(f"{_shown(value)} where a time with its zone is wanted")
    return value.isoformat()


def _time_from_text(text: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise CodecError(f"{_shown(text)} where a time is wanted") from None
    if moment.tzinfo is None:
        raise CodecError(f"{_shown(text)} where a time with its zone is wanted")
    return moment


_SIMPLE: dict[Any, Codec] = {
    str: Codec(_text, _exactly(str).decode),
    int: Codec(_whole_number, _exactly(int).decode),
    float: Codec(_number, _number),
    bool: Codec(bool, _exactly(bool).decode),
    bytes: _exactly(bytes),
    type(None): _exactly(type(None)),
    datetime: Codec(_time_to_text, _time_from_text),
}


def _enumeration(kind: type[StrEnum]) -> Codec:
    def read(value: Any) -> StrEnum:
        try:
            return kind(value)
        except ValueError:
            raise CodecError(f"{_shown(value)} is no {kind.__name__}") from None

    return Codec(lambda value: str(read(value)), read)


def _dataclass(kind: type) -> Codec:
    hints = get_type_hints(kind)
    members = [(field.name, field) for field in fields(kind)]
    required = {name for name, field in members if field.default is MISSING and field.default_factory is MISSING}
    codecs: dict[str, Codec] = {}

    def prepared() -> dict[str, Codec]:
        if not codecs:  # not before it is needed, so that a type may hold its like
            codecs.update({name: _codec_of(hints[name]) for name, _ in members})
        return codecs

    def write(value: Any) -> Plain:
        if type(value) is not kind:
            raise CodecError(f"{_shown(value)} where {kind.__name__} is wanted")
        data: dict[str, Plain] = {}
        name = ""
        try:
            for name, codec in prepared().items():
                data[name] = codec.encode(getattr(value, name))
        except CodecError as error:
            raise CodecError(f"{name}: {error}") from error
        return data

    def read(data: Any) -> Any:
        if type(data) is not dict:
            raise CodecError(f"{_shown(data)} where {kind.__name__} is wanted")
        known, values, name = prepared(), {}, ""
        try:
            for name, item in data.items():
                values[name] = known[name].decode(item)
        except CodecError as error:
            raise CodecError(f"{name}: {error}") from error
        except KeyError:
            raise CodecError(f"{kind.__name__} has no field {name[:40]!r}") from None
        if len(values) < len(known) and (missing := required - values.keys()):
            raise CodecError(f"{kind.__name__} without {', '.join(sorted(missing))}")
        try:
            return kind(**values)
        except (BayObservationError, ValueError, TypeError, OverflowError) as error:
            raise CodecError(f"{kind.__name__}: {error}") from error

    return Codec(write, read)


def _optional(kind: Any, arguments: tuple[Any, ...]) -> Codec:
    inner = [argument for argument in arguments if argument is not type(None)]
    if len(inner) != 1:
        raise TypeError(f"{kind}: of a union, artifacts may have only `A | None`")
    codec = _codec_of(inner[0])
    return Codec(
        lambda value: None if value is None else codec.encode(value),
        lambda data: None if data is None else codec.decode(data),
    )


def _tuple(arguments: tuple[Any, ...]) -> Codec:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        item = _codec_of(arguments[0])
        return Codec(
            lambda values: [item.encode(value) for value in _items(values, tuple)],
            lambda data: tuple([item.decode(value) for value in _items(data, list)]),
        )
    items = [_codec_of(argument) for argument in arguments]

    def paired(values: Any, kind: type) -> Iterator[tuple[Codec, Any]]:
        if len(_items(values, kind)) != len(items):
            raise CodecError(f"{len(values)} values where {len(items)} are wanted")
        return zip(items, values, strict=True)

    return Codec(
        lambda values: [item.encode(value) for item, value in paired(values, tuple)],
        lambda data: tuple([item.decode(value) for item, value in paired(data, list)]),
    )


def _items(values: Any, kind: type) -> Any:
    if not isinstance(values, kind | list):
        raise CodecError(f"{_shown(values)} where a list is wanted")
    return values


def _mapping(kind: Any, arguments: tuple[Any, ...]) -> Codec:
    if arguments[0] is not str:
        raise TypeError(f"{kind}: the keys of a mapping are texts")
    item = _codec_of(arguments[1])
    key = _SIMPLE[str]

    def pairs(values: Any) -> Any:
        if not isinstance(values, Mapping):
            raise CodecError(f"{_shown(values)} where a mapping is wanted")
        return values.items()

    return Codec(
        lambda values: {str(key.encode(name)): item.encode(value) for name, value in pairs(values)},
        lambda data: {name: item.decode(value) for name, value in pairs(data)},
    )


def _array(kind: Any) -> Codec:
    import numpy as np

    dtype = np.dtype(get_args(get_args(kind)[1])[0]).newbyteorder("<")
    name = dtype.str

    def write(value: Any) -> Plain:
        if not isinstance(value, np.ndarray) or value.dtype != dtype:
            raise CodecError(f"{_shown(value)} where an array of {name} is wanted")
        return [name, [int(size) for size in value.shape], np.ascontiguousarray(value, dtype).tobytes()]

    def read(data: Any) -> Any:
        if type(data) is not list or len(data) != 3 or data[0] != name:
            raise CodecError(f"{_shown(data)} where an array of {name} is wanted")
        shape, content = data[1], data[2]
        if type(shape) is not list or len(shape) > _MOST_DIMENSIONS or type(content) is not bytes:
            raise CodecError("an array without its shape or bytes")
        if any(type(size) is not int or size < 0 for size in shape):
            raise CodecError("an array's shape that is not one")
        if math.prod(shape) * dtype.itemsize != len(content):
            raise CodecError(f"an array of shape {shape} with {len(content)} bytes")
        return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="))

    return Codec(write, read)


def _shape(kind: Any) -> Codec:
    import shapely

    begin = {shapely.Polygon: _POLYGON, shapely.MultiPolygon: _MULTI_POLYGON}.get(kind)
    if begin is None:
        raise TypeError(f"{kind}: not a type that artifacts may have")

    def write(value: Any) -> Plain:
        if not isinstance(value, kind):
            raise CodecError(f"{_shown(value)} where {kind.__name__} is wanted")
        return bytes(shapely.to_wkb(value, output_dimension=2, byte_order=1, include_srid=False))

    def read(data: Any) -> Any:
        if type(data) is not bytes or data[:5] != begin:
            raise CodecError(f"{_shown(data)} where {kind.__name__} is wanted")
        if not _is_flat(data):
            raise CodecError(f"{kind.__name__}: its parts, rings and points do not fill its {len(data)} bytes")
        try:
            value = shapely.from_wkb(data)
        except shapely.errors.ShapelyError as error:
            raise CodecError(f"{kind.__name__}: {error}") from error
        if not isinstance(value, kind) or not math.isfinite(value.area):
            raise CodecError(f"{kind.__name__} with a coordinate that is not finite")
        return value

    return Codec(write, read)


def _is_flat(wkb: bytes) -> bool:
    """Whether a Polygon's or MultiPolygon's WKB holds polygons of closed rings, as many as it says, and no more.

    GEOS reads shapes within shapes by recursion, where a file of nothing else ends the process; and it makes
    objects of parts without a point, which cost the file nine bytes and the process hundreds.
    """
    try:
        several = wkb[:5] == _MULTI_POLYGON
        parts, at = (_U4(wkb, 5)[0], 9) if several else (1, 0)
        rings = 0
        for _ in range(parts):
            of_part, header, at = _U4(wkb, at + 5)[0], wkb[at : at + 5], at + 9
            rings += of_part
            if header != _POLYGON or (several and not of_part) or rings > _MOST_RINGS:
                return False
            for _ in range(of_part):
                points = _U4(wkb, at)[0]
                at += 4 + 16 * points
                if points < _FEWEST_POINTS:
                    return False
    except struct.error:
        return False
    return at == len(wkb)


def _shown(value: object) -> str:
    kind = type(value)
    if isinstance(value, str | bytes):
        value = value[:40]
    if kind in (str, int, float, bool, bytes):
        return f"{kind.__name__} {value!r:.40}"
    return kind.__name__
