"""Pickles that hold plain data: None, bool, int, float, str, bytes, list and dict with str keys.

What is written here is a pickle (protocol 4) that `pickle.loads` reads as well. What is read here
is read by this module alone. It knows the opcodes that push such a value, and no other: none that
imports, calls, builds or copies an object. So no file can name code.

A file costs at most time and memory in proportion to its size: a string is the only value that may
be repeated by reference, the number of values is bounded, and so is the depth.

Source of the opcodes: Python's `pickletools`, PEP 307, PEP 3154.
"""

import struct
from typing import Final

Plain = None | bool | int | float | str | bytes | list["Plain"] | dict[str, "Plain"]

MOST_VALUES: Final = 400_000
DEEPEST: Final = 24
# A field name or a word. A longer text is written out each time.
_LONGEST_SHARED = 128
# Of an integer, in bytes.
_LONGEST_INTEGER = 16


class PlainPickleError(ValueError):
    """The bytes are no pickle of plain data, or the value is not plain."""


def dumps(value: Plain) -> bytes:
    """A value as a pickle. Equal values give equal bytes.

    Raises:
        PlainPickleError: it holds something that is not plain, or is too large or too deep.
    """
    out = bytearray(b"\x80\x04")
    _Writer(out).write(value, 0)
    out += b"."
    return bytes(out)


class _Writer:
    def __init__(self, out: bytearray) -> None:
        self._out = out
        self._memo: dict[str, int] = {}
        self._left = MOST_VALUES

    def write(self, value: Plain, depth: int) -> None:
        out = self._out
        self._left -= 1
        if self._left < 0 or depth > DEEPEST:
            raise PlainPickleError(f"more than {MOST_VALUES} values, or deeper than {DEEPEST}")
        kind = type(value)
        if kind is str:
            self._text(value)  # type: ignore[arg-type]
        elif kind is float:
            out += b"G"
            out += struct.pack(">d", value)
        elif value is None:
            out += b"N"
        elif kind is bool:
            out += b"\x88" if value else b"\x89"
        elif kind is int:
            self._integer(value)  # type: ignore[arg-type]
        elif isinstance(value, bytes):
            out += b"B" + struct.pack("<I", len(value))
            out += value
        elif kind is list:
            out += b"](" if value else b"]"
            for item in value:  # type: ignore[union-attr]
                self.write(item, depth + 1)
            out += b"e" if value else b""
        elif kind is dict:
            out += b"}(" if value else b"}"
            for key, item in value.items():  # type: ignore[union-attr]
                if type(key) is not str:
                    raise PlainPickleError(f"a key is {type(key).__name__}, not str")
                self._text(key)
                self.write(item, depth + 1)
            out += b"u" if value else b""
        else:
            raise PlainPickleError(f"{kind.__module__}.{kind.__qualname__} is not plain data")

    def _text(self, text: str) -> None:
        number = self._memo.get(text)
        if number is not None:
            self._out += b"h" + bytes((number,)) if number < 256 else b"j" + struct.pack("<I", number)
            return
        encoded = text.encode("utf-8", "surrogatepass")
        self._out += (
            b"\x8c" + bytes((len(encoded),)) if len(encoded) < 256 else b"X" + struct.pack("<I", len(encoded))
        ) + encoded
        if len(encoded) <= _LONGEST_SHARED:
            self._memo[text] = len(self._memo)
            self._out += b"\x94"

    def _integer(self, number: int) -> None:
        if 0 <= number < 256:
            self._out += b"K" + bytes((number,))
        elif -(2**31) <= number < 2**31:
            self._out += b"J" + struct.pack("<i", number)
        else:
            size = number.bit_length() // 8 + 1
            if size > _LONGEST_INTEGER:
                raise PlainPickleError(f"an integer of {size} bytes; {_LONGEST_INTEGER} are allowed")
            self._out += b"\x8a" + bytes((size,)) + number.to_bytes(size, "little", signed=True)


def loads(content: bytes, start: int = 0) -> Plain:
    """The value of a pickle of plain data.

    Args:
        content: the bytes.
        start: where the pickle begins in them; it reaches to their end.

    Raises:
        PlainPickleError: an opcode is not one of plain data, a length reaches beyond the end, there are too
            many values, or anything else is wrong.
    """
    try:
        return _read(content, start)
    except (IndexError, KeyError, TypeError, struct.error, UnicodeDecodeError) as error:
        raise PlainPickleError(f"damaged: {error}") from error


_MARK: Final = object()
_DOUBLE = struct.Struct(">d").unpack_from
_I4 = struct.Struct("<i").unpack_from
_U4 = struct.Struct("<I").unpack_from


def _read(content: bytes, at: int) -> Plain:
    if content[at : at + 2] != b"\x80\x04":
        raise PlainPickleError("does not begin as a pickle of protocol 4")
    at += 2
    size = len(content)
    stack: list[object] = []
    marks: list[int] = []
    texts: list[str] = []
    push = stack.append
    text = ""
    for _ in range(3 * MOST_VALUES):
        opcode = content[at]
        at += 1
        if opcode == 0x68:  # BINGET
            push(texts[content[at]])
            at += 1
        elif opcode == 0x8C or opcode == 0x58:  # SHORT_BINUNICODE, BINUNICODE  # noqa: PLR1714
            length, at = (content[at], at + 1) if opcode == 0x8C else (_U4(content, at)[0], at + 4)
            if at + length > size:
                raise PlainPickleError("a text reaches beyond the end")
            text = content[at : at + length].decode("utf-8", "surrogatepass")
            at += length
            push(text)
        elif opcode == 0x94:  # MEMOIZE, of the text just read
            if stack[-1] is not text or len(text) > _LONGEST_SHARED:
                raise PlainPickleError("something other than a short text is to be repeated")
            texts.append(text)
        elif opcode == 0x47:  # BINFLOAT
            push(_DOUBLE(content, at)[0])
            at += 8
        elif opcode == 0x4B:  # BININT1
            push(content[at])
            at += 1
        elif opcode == 0x4A:  # BININT
            push(_I4(content, at)[0])
            at += 4
        elif opcode == 0x4E:  # NONE
            push(None)
        elif opcode == 0x88:  # NEWTRUE
            push(True)
        elif opcode == 0x89:  # NEWFALSE
            push(False)
        elif opcode == 0x42:  # BINBYTES
            length, at = _U4(content, at)[0], at + 4
            if at + length > size:
                raise PlainPickleError("bytes reach beyond the end")
            push(content[at : at + length])
            at += length
        elif opcode == 0x5D:  # EMPTY_LIST
            push([])
        elif opcode == 0x7D:  # EMPTY_DICT
            push({})
        elif opcode == 0x28:  # MARK
            if len(marks) > DEEPEST or type(stack[-1]) not in (list, dict):
                raise PlainPickleError("nested too deep, or a mark that follows no container")
            marks.append(len(stack))
            push(_MARK)
        elif opcode == 0x65:  # APPENDS
            mark = _closed(stack, marks, list)
            stack[mark - 1] = stack[mark + 1 :]
            del stack[mark:]
        elif opcode == 0x75:  # SETITEMS
            mark = _closed(stack, marks, dict)
            stack[mark - 1] = _mapping(stack[mark + 1 :: 2], stack[mark + 2 :: 2])
            del stack[mark:]
        elif opcode == 0x6A:  # LONG_BINGET
            push(texts[_U4(content, at)[0]])
            at += 4
        elif opcode == 0x8A:  # LONG1
            length = content[at]
            if length > _LONGEST_INTEGER or at + 1 + length > size:
                raise PlainPickleError("an integer that is too long")
            push(int.from_bytes(content[at + 1 : at + 1 + length], "little", signed=True))
            at += 1 + length
        elif opcode == 0x2E:  # STOP
            if at != size or len(stack) != 1 or marks:
                raise PlainPickleError("does not end with its value")
            return stack[0]  # type: ignore[return-value]  # only plain values were pushed
        else:
            raise PlainPickleError(f"opcode 0x{opcode:02x} is not one of plain data")
        if len(stack) > MOST_VALUES:
            raise PlainPickleError(f"more than {MOST_VALUES} values")
    raise PlainPickleError(f"more than {MOST_VALUES} values")


def _closed(stack: list[object], marks: list[int], kind: type) -> int:
    """Position of the mark that is closed now; what it fills is an empty container, placed before it."""
    mark = marks.pop()
    container = stack[mark - 1]
    if stack[mark] is not _MARK or type(container) is not kind or container:
        raise PlainPickleError("values that belong to no container")
    return mark


def _mapping(keys: list[object], values: list[object]) -> dict[object, object]:
    if len(keys) != len(values) or any(type(key) is not str for key in keys):
        raise PlainPickleError("a mapping with a key that is no text, or without a value")
    mapping = dict(zip(keys, values, strict=True))
    if len(mapping) != len(keys):
        raise PlainPickleError("a key stands twice")
    return mapping
