import os
import pickle
from collections import OrderedDict
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bay_observation.errors import ConfigError
from legacy.pickles import read_pickle

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


PLAIN_TYPES = {type(None), bool, int, float, str, bytes, bytearray, datetime, list, tuple, dict, set, frozenset}


def read_plain_or_named(path):
    """Read a file of arbitrary bytes: what comes out is plain data, or the file is named with a reason."""
    try:
        value = read_pickle(path)
    except ConfigError as error:
        value, named = None, str(error).startswith(f"{path}: ")
    else:
        named = True
    assert named
    waiting = [value]
    while waiting:
        one = waiting.pop()
        assert type(one) in (
            type(None),
            bool,
            int,
            float,
            str,
            bytes,
            bytearray,
            datetime,
            list,
            tuple,
            dict,
            set,
            frozenset,
        )
        if isinstance(one, dict):
            waiting += [*one, *one.values()]
        elif isinstance(one, list | tuple | set | frozenset):
            waiting += one


class Ran:
    def __reduce__(self):
        return os.mkdir, ("ran",)


class Detection:
    """One of the old system's classes."""

    def __init__(self):
        self.box = [1, 2, 3, 4]


def written(folder, content):
    path = folder / "result.pkl"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_of_every_protocol_is_read(tmp_path, protocol):
    value = {"x": [1.5, 2**40, None, True], "t": (1, "블록")}
    if protocol >= 3:  # before, bytes are a call of a codec
        value |= {"time": datetime(2025, 7, 2, tzinfo=UTC), "raw": b"\xff"}
    assert read_pickle(written(tmp_path, pickle.dumps(value, protocol=protocol))) == value


@pytest.mark.slow(1)
@settings(max_examples=50, deadline=None)
@given(value=PLAIN)
def test_any_plain_data_is_read(tmp_path_factory, value):
    path = written(tmp_path_factory.mktemp("pickles"), pickle.dumps(value))
    assert read_pickle(path) == value


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize(
    ("value", "name"),
    [
        (Ran(), "mkdir"),
        (Detection(), "Detection|_reconstructor"),
        (np.zeros(3), "numpy"),
        (OrderedDict(a=1), "OrderedDict"),
    ],
)
def test_what_builds_objects_is_refused_by_its_name_and_runs_nothing(tmp_path, monkeypatch, value, name, protocol):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=rf"({name})(.|\n)*write it as JSON"):
        read_pickle(written(tmp_path, pickle.dumps(value, protocol=protocol)))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b".",
        b"not a pickle",
        b"\x80\x04K",
        b"(lp0\n.",  # protocol 0, which is plain and is read
        b"\x80\x02]r\xff\xff\xff\x7f.",  # a memo of 2^31 places
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f",  # 2^63 bytes
        b"\x80\x02\x82\x01.",  # an extension of copyreg
        b"\x80\x04(K\x01cos\nsystem\no.",
        b"Pnobody\n.",
        b"\x80\x04\x8c\x08datetime\x8c\x08datetime\x93).",
        pickle.dumps(datetime(2025, 7, 2))[:-12] + b"R.",
    ],
)
def test_hostile_bytes_are_named_or_read_and_nothing_else(tmp_path, content):
    read_plain_or_named(written(tmp_path, content))


@pytest.mark.slow(1)
def test_what_unfolds_without_end_is_refused(tmp_path):
    value = []
    value.append(value)
    with pytest.raises(ConfigError, match="deeper than"):
        read_pickle(written(tmp_path, pickle.dumps(value)))
    bomb = "x"
    for _ in range(30):
        bomb = [bomb, bomb]
    with pytest.raises(ConfigError, match="more than"):
        read_pickle(written(tmp_path, pickle.dumps(bomb)))


@settings(deadline=None)
@given(content=st.binary(max_size=60))
def test_arbitrary_bytes_are_named_or_read(tmp_path_factory, content):
    read_plain_or_named(written(tmp_path_factory.mktemp("pickles"), b"\x80\x04" + content))
