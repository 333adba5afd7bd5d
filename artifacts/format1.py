"""Reading files of format 1, in which a pickle named the classes of the stages.

`bay-observation store convert` alone uses this. Nothing that a file names is imported or called: the
pickle's opcodes are followed here with names in place of classes, and what they describe becomes plain
data of format 2. Names that format 1 did not have are refused, and so is any other opcode.
"""

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime, timedelta, timezone
from importlib import import_module
from typing import Any, Final

from artifacts.codec import CodecError, decode
from artifacts.plain_pickle import MOST_VALUES, Plain
from artifacts.reference import Stage
from artifacts.schemas import SCHEMAS
from bay_observation.errors import ArtifactError

VERSIONS: dict[Stage, int] = {"capture": 1, "observation": 1, "fusion": 1}
"""Stages whose artifacts are converted, and the version that they had. Tracking's are not: they hold the
state of a tracker that knew other things of its blocks, so that the slots are tracked again."""

_STAGE_MODULES = frozenset({"capture_async.types", "inference.types", "fusion.types"})
_ENUMERATIONS = frozenset({"FailureReason"})
_DTYPES = {"f4": "<f4", "f8": "<f8", "u1": "|u1", "i8": "<i8"}
_LONGEST_HEADER = 128
# A value takes a byte or more of the pickle. What format 1 wrote shares few values, and those a few times.
_SHARING = 16


class Format1Error(ValueError):
    """The pickle is not one that format 1 wrote."""


def read(where: str, stage: Stage, content: bytes) -> Any:
    """The value in a file of format 1.

    Raises:
        ArtifactError: it is no such file, or what it holds does not fit the stage's type of today.
    """
    first, separator, _ = content[:_LONGEST_HEADER].partition(b"\n")
    if not separator or first != f"bay-observation {stage} {VERSIONS.get(stage)}".encode():
        raise ArtifactError(f"{where}: not a {stage} artifact of format 1")
    try:
        pickle = content[len(first) + 1 :]
        plain = _Plain(min(MOST_VALUES, _SHARING * len(pickle))).of(_described(pickle))
        return decode(SCHEMAS[stage].kind(), plain)
    except (Format1Error, CodecError) as error:
        raise ArtifactError(f"{where}: cannot be converted: {error}") from error
    except Exception as error:  # a forged pickle can fail in any way, and is then refused like any other
        raise ArtifactError(f"{where}: cannot be converted: its pickle is damaged: {error!r:.200}") from error


@dataclass(frozen=True, slots=True)
class _Name:
    module: str
    name: str


@dataclass(slots=True)
class _Described:
    """What a pickle would have built: by which name, from which arguments and state."""

    name: _Name
    arguments: tuple[Any, ...]
    state: Any = None


_MARK: Final = object()


def _described(pickle: bytes) -> Any:
    stack: list[Any] = []
    memo: list[Any] = []
    for count, (opcode, argument, _) in enumerate(pickletools.genops(pickle)):
        if count > 4 * MOST_VALUES:
            raise Format1Error("too many opcodes")
        name = opcode.name
        if name in ("PROTO", "FRAME"):
            continue
        if name == "STOP":
            break
        if name in _PUSHED:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name]())
        elif name == "MEMOIZE":
            memo.append(stack[-1])
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument or 0])
        else:
            _COMBINED.get(name, _refuse)(stack)
    (value,) = stack
    return value


_PUSHED = frozenset(
    {
        *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "SHORT_BINUNICODE", "BINUNICODE"),
        *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    }
)
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "MARK": lambda: _MARK,
}


def _refuse(_: list[Any]) -> None:
    raise Format1Error("an opcode that format 1 does not use")


def _since_mark(stack: list[Any]) -> list[Any]:
    mark = len(stack) - 1 - next(at for at, item in enumerate(reversed(stack)) if item is _MARK)
    items = stack[mark + 1 :]
    del stack[mark:]
    return items


def _tuple_of(count: int) -> Callable[[list[Any]], None]:
    def combine(stack: list[Any]) -> None:
        stack[-count:] = [tuple(stack[-count:])]

    return combine


def _append(stack: list[Any]) -> None:
    item = stack.pop()
    stack[-1].append(item)


def _append_many(stack: list[Any]) -> None:
    items = _since_mark(stack)
    stack[-1].extend(items)


def _set(stack: list[Any]) -> None:
    value, key = stack.pop(), stack.pop()
    stack[-1][_key(key)] = value


def _set_many(stack: list[Any]) -> None:
    items = _since_mark(stack)
    stack[-1].update(zip(map(_key, items[::2]), items[1::2], strict=True))


def _key(key: Any) -> str:
    if type(key) is not str:
        raise Format1Error("a key that is no text")
    return key


def _name(stack: list[Any]) -> None:
    name, module = stack.pop(), stack.pop()
    stack.append(_Name(_key(module), _key(name)))


def _described_by_arguments(stack: list[Any]) -> None:
    arguments, name = stack.pop(), stack.pop()
    if type(name) is not _Name or type(arguments) is not tuple:
        raise Format1Error("a call of something that is no name")
    stack.append(_Described(name, arguments))


def _build(stack: list[Any]) -> None:
    state = stack.pop()
    if type(stack[-1]) is not _Described or stack[-1].state is not None:
        raise Format1Error("a state for something that has none")
    stack[-1].state = state


_COMBINED: dict[str, Callable[[list[Any]], None]] = {
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "TUPLE": lambda stack: stack.append(tuple(_since_mark(stack))),
    "APPEND": _append,
    "APPENDS": _append_many,
    "SETITEM": _set,
    "SETITEMS": _set_many,
    "STACK_GLOBAL": _name,
    "NEWOBJ": _described_by_arguments,
    "REDUCE": _described_by_arguments,
    "BUILD": _build,
}


class _Plain:
    """Descriptions as plain data of format 2; a bounded number of them, however often they are shared."""

    def __init__(self, most: int) -> None:
        self._left = most

    def of(self, value: Any) -> Plain:
        self._left -= 1
        if self._left < 0:
            raise Format1Error("too many values")
        if isinstance(value, list | tuple):
            return [self.of(item) for item in value]
        if isinstance(value, dict):
            return {key: self.of(item) for key, item in value.items()}
        if isinstance(value, bytearray):
            return bytes(value)
        return self._object(value) if isinstance(value, _Described) else value

    def _object(self, value: _Described) -> Plain:
        module, name = value.name.module, value.name.name
        if module in _STAGE_MODULES:
            return _text(value) if name in _ENUMERATIONS else self._fields(module, name, value.state)
        if module == "datetime":
            return _time(value).isoformat()
        if (module, name) == ("shapely.io", "from_wkb"):
            return bytes(value.arguments[0])
        if module.startswith("numpy"):
            return _array(name, value)
        raise Format1Error(f"it names {module}.{name}")

    def _fields(self, module: str, name: str, state: Any) -> Plain:
        if isinstance(state, list):  # of a dataclass with slots: its fields in their order
            kind = getattr(import_module(module), name)  # a stage's own module: see above
            state = dict(zip((field.name for field in fields(kind)), state, strict=False))
        if not isinstance(state, dict):
            raise Format1Error(f"{name} without its fields")
        return self.of(state)


def _text(value: _Described) -> str:
    (text,) = value.arguments
    return _key(text)


def _time(value: _Described) -> datetime:
    if value.name.name != "datetime" or len(value.arguments) != 2 or type(value.arguments[0]) is not bytes:
        raise Format1Error("a time without its zone")
    zone = value.arguments[1]
    (offset,) = zone.arguments or (_Described(value.name, (0, 0, 0)),)
    days, seconds, microseconds = map(int, offset.arguments)
    state: Any = value.arguments[0]  # datetime's constructor takes the ten bytes that its pickle holds
    return datetime(state, timezone(timedelta(days, seconds, microseconds)))  # type: ignore[call-arg, arg-type]  # noqa: DTZ001


def _array(name: str, value: _Described) -> Plain:
    if name == "scalar":
        import numpy as np

        dtype, content = value.arguments
        return np.frombuffer(content, _dtype(dtype)).item()  # type: ignore[no-any-return]
    if name == "_frombuffer":
        content, dtype, shape, order = value.arguments
    elif name == "_reconstruct":
        _, shape, dtype, fortran, content = value.state
        order = "F" if fortran else "C"
    else:
        raise Format1Error(f"it names numpy's {name}")
    if order != "C":
        raise Format1Error("an array in another order")
    return [_dtype(dtype), [int(size) for size in shape], bytes(content)]


def _dtype(value: _Described) -> str:
    if value.name != _Name("numpy", "dtype") or value.arguments[0] not in _DTYPES:
        raise Format1Error("an array of a type that format 1 did not store")
    return _DTYPES[value.arguments[0]]
