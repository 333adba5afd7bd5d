"""Pickles of plain data: what Python's pickle writes and reads, and nothing that does anything."""

import array
import collections
import datetime as dt
import pickle
import subprocess
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from artifacts import plain_pickle
from artifacts.plain_pickle import PlainPickleError, dumps, loads

TEXTS = st.text(max_size=200)
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**119), 2**119)
    | st.floats(allow_nan=False)
    | TEXTS
    | st.binary(max_size=300),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXTS, inner, max_size=5),
    max_leaves=30,
)


@pytest.mark.slow(1)
@given(PLAIN)
def test_what_is_written_is_read_by_us_and_by_python(value):
    content = dumps(value)
    assert loads(content) == value == pickle.loads(content)


def test_equal_values_give_equal_bytes_whatever_objects_they_share():
    word = "".join(["wo", "rd"])
    assert dumps([word, word]) == dumps(["word", "".join(["w", "ord"])])


@pytest.mark.slow(1)
@given(PLAIN, st.data())
def test_a_changed_file_is_refused_or_plain(value, data):
    content = bytearray(dumps(value))
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(content) - 1))
        content[position] = data.draw(st.integers(0, 255))
    check(bytes(content))


@pytest.mark.slow(1)
@settings(max_examples=500)
@given(
    st.lists(st.sampled_from([bytes([code]) for code in range(256)] + [b"\x80\x04", b"(", b"]", b"}", b"\x8c\x01a"]))
)
@example([b"]", b"(", b"(", b"e", b"e"])
@example([b"}", b"(", b"K", b"\x01", b"N", b"u"])
@example([b"(", b"e"])
@example([b"\x94"])
@example([b"h", b"\x00"])
def test_any_opcodes_are_refused_or_plain(parts):
    check(b"\x80\x04" + b"".join(parts) + b".")


def check(content: bytes) -> None:
    try:
        value = loads(content)
    except PlainPickleError:
        return
    assert_plain(value)
    assert repr(pickle.loads(content)) == repr(value)


def assert_plain(value: object) -> None:
    assert type(value) in (type(None), bool, int, float, str, bytes, list, dict)
    for item in value if isinstance(value, list) else value.values() if isinstance(value, dict) else ():
        assert_plain(item)


class Callable:
    def __reduce__(self):
        return print, ("run",)


@pytest.mark.parametrize(
    "value",
    [
        print,
        Callable(),
        dt.datetime(2025, 7, 2, tzinfo=dt.UTC),
        collections.OrderedDict(a=1),
        array.array("d", [1.0]),
        (1, 2),
        {1: 2},
        {("a",): 1},
        {1, 2},
        frozenset(),
        bytearray(b"a"),
        1j,
        [[]] * 2,
        object,
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_python_s_own_pickles_of_other_things_are_refused(value, protocol, capsys):
    with pytest.raises(PlainPickleError):
        loads(pickle.dumps(value, protocol))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "value", [(1,), {1: 2}, {1}, bytearray(), 1j, object(), 2**128, [2**200]], ids=lambda value: type(value).__name__
)
def test_what_is_not_plain_is_not_written(value):
    with pytest.raises(PlainPickleError):
        dumps(value)


def test_depth_is_bounded_in_both_directions():
    value = []
    for _ in range(plain_pickle.DEEPEST + 1):
        value = [value]
    with pytest.raises(PlainPickleError, match="deeper"):
        dumps(value)
    deep = b"\x80\x04" + b"](" * 100_000 + b"e" * 100_000 + b"."
    with pytest.raises(PlainPickleError, match="too deep"):
        loads(deep)


BOMBS = {
    "an index of the memo": b"\x80\x04\x8c\x01ar" + (2 * 10**8).to_bytes(4, "little") + b".",
    "many lists": b"\x80\x04](" + b"]" * 20_000_000 + b"e.",
    "many numbers": b"\x80\x04](" + b"K\x01" * 10_000_000 + b"e.",
    "many repeated texts": b"\x80\x04](\x8c\x7f" + b"a" * 127 + b"\x94" + b"h\x00" * 10_000_000 + b"e.",
    "many memo entries": b"\x80\x04\x8c\x01a" + b"\x94" * 20_000_000 + b".",
    "a length beyond the end": b"\x80\x04B\xff\xff\xff\xffabc.",
    "nested tuples as a key": b"\x80\x04}(" + b")" + b"\x86" * 30 + b"Nu.",
    "a frame": b"\x80\x04\x95" + b"\xff" * 8 + b"N.",
}


@pytest.mark.slow(1)
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_within_a_second_and_100_mib(name, tmp_path):
    """In a process of its own: its CPU time and its memory beyond the file are measured there."""
    path = tmp_path / "bomb"
    path.write_bytes(BOMBS[name])
    code = (
        "import resource, sys, time\n"
        "from artifacts.plain_pickle import PlainPickleError, loads\n"
        "content = open(sys.argv[1], 'rb').read()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "began = time.process_time()\n"
        "try:\n"
        "    loads(content)\n"
        "except PlainPickleError:\n"
        "    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before\n"
        "    print(time.process_time() - began, used / 1024)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    seconds, mebibytes = map(float, done.stdout.split())
    assert seconds < 1
    assert mebibytes < 100
