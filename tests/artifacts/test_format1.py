"""Old files are converted, and what is no old file is refused without doing anything that it says.

`format1/` holds one small file of each stage, written by version 0.1.0.
"""

import os
import pickle
import time
from pathlib import Path

import numpy as np
import pytest
from shapely import box

from artifacts import ArtifactStore, format1
from artifacts.__main__ import main
from artifacts.reference import artifact_path
from bay_observation.errors import ArtifactError
from capture_async.types import FailureReason

pytestmark = pytest.mark.slow(1)

FILES = Path(__file__).with_name("format1")
BAY, BATCH = "3bay_north", "3bay_north_20250702-071000"
HEADERS = {"capture": 1, "observation": 1, "fusion": 1}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    for stage in (*HEADERS, "tracking"):
        path = tmp_path / "old" / artifact_path(stage, BAY, BATCH)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((FILES / f"{stage}.pkl").read_bytes())
    return tmp_path / "old"


def test_every_stage_but_tracking_is_converted(old, tmp_path, capsys):
    before = {path: path.read_bytes() for path in old.rglob("*.pkl")}
    assert main(["convert", str(old), str(tmp_path / "new")]) == 0
    printed = capsys.readouterr().out
    assert "1 capture, 1 observation, 1 fusion converted, 0 refused" in printed
    assert "1 tracking artifacts left out: the next batch of a bay tracks its slots again" in printed
    store = ArtifactStore(tmp_path / "new")
    assert store.find("tracking", BAY, BATCH) is None
    capture, observation, fusion = (store.load(store.find(stage, BAY, BATCH)) for stage in HEADERS)
    assert capture.images[0].jpeg == b"\xff\xd8x\xff\xd9"
    assert capture.failures[0].reason is FailureReason.BUSY
    assert observation.cameras[0].objects[0].polygon.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert observation.failures == {"D_2": "busy"}
    assert fusion.blocks[0].footprint.equals(box(0, 0, 3, 4))
    assert fusion.blocks[0].height_m == 2.5
    assert {path: path.read_bytes() for path in old.rglob("*.pkl")} == before


def test_what_is_refused_is_named_and_the_rest_is_converted(old, tmp_path, capsys):
    bad = old / artifact_path("fusion", BAY, BATCH)
    bad.write_bytes(bad.read_bytes()[:-20])
    assert main(["convert", str(old), str(tmp_path / "new")]) == 1
    printed = capsys.readouterr()
    assert f"refused: {bad}: cannot be converted" in printed.err
    assert "1 capture, 1 observation converted, 1 refused" in printed.out


def test_a_store_is_not_converted_onto_itself(old, capsys):
    assert main(["convert", str(old), str(old)]) == 2
    assert "the old store itself" in capsys.readouterr().err


class Evil:
    def __reduce__(self):
        return os.system, ("touch /tmp/bay-observation-was-converted",)


class Build:
    """`BUILD` on a class would change it for the whole process."""

    def __reduce__(self):
        return FailureReason, ("busy",), {"value": "evil"}


OBJECT_ARRAY = (
    b"\x80\x05\x8c\x16numpy._core.multiarray\x8c\x06scalar\x93\x8c\x05numpy\x8c\x05dtype\x93"
    b"\x8c\x02V8\x89\x88\x87RC\x08AAAAAAAA\x86R."
)


def nested(levels: int) -> bytes:
    """A tuple that holds itself twice, `levels` times: two to that power values, in a few bytes."""
    return b"\x80\x05)" + b"".join(b"\x94h" + bytes([at]) + b"\x86" for at in range(levels)) + b"."


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(Evil()),
        pickle.dumps({"a": Evil()}),
        pickle.dumps(Build()),
        pickle.dumps(np.array([None, 1], object)),
        pickle.dumps(np.zeros(3, complex)),
        OBJECT_ARRAY,
        b"\x80\x05\x8c\x02os\x8c\x06system\x93.",
        b"cos\nsystem\n(S'true'\ntR.",
        b"\x80\x02\x82\x01.",
        b"\x80\x04\x8c\x01ar\xff\xff\xff\x0b.",
        b"\x80\x05}" + nested(30)[2:-1] + b"Ns.",
        nested(60),
        b"\x80\x05" + b"]\x94" * 100 + b"a" * 99 + b".",
        b"\x80\x05N",
        b"",
        b".",
        b"garbage",
    ],
)
@pytest.mark.parametrize("stage", HEADERS)
def test_hostile_files_are_refused_soon_and_run_nothing(stage, content):
    marker = Path("/tmp/bay-observation-was-converted")
    began = time.process_time()
    with pytest.raises(ArtifactError, match="cannot be converted"):
        format1.read("x", stage, f"bay-observation {stage} {HEADERS[stage]}\n".encode() + content)
    assert time.process_time() - began < 1
    assert not marker.exists()


@pytest.mark.parametrize("content", [b"", b"x\n", b"bay-observation fusion 1\n.", b"bay-observation capture 2\n."])
def test_other_files_are_no_files_of_format_1(content):
    with pytest.raises(ArtifactError, match="not a capture artifact of format 1"):
        format1.read("x", "capture", content)
