"""Frames of a slot: what was seen in them, and their pictures."""

import io
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

SLOT = "20250701-230000"
FRAMES = f"/api/v1/bays/yard/slots/{SLOT}/frames"
Token = Callable[[str], dict[str, str]]


def test_a_slots_frames_have_what_was_seen_and_what_was_fused(ask: Callable[..., Any]) -> None:
    frames = {one["camera"]: one for one in ask(f"bays/yard/slots/{SLOT}/frames")["frames"]}

    assert len(frames) == 12
    seen = frames["C_2"]
    assert (seen["width"], seen["height"]) == (1920, 1080)
    assert [(one["class_name"], one["box"]) for one in seen["objects"]] == [("block", [100, 200, 500, 600])]
    assert frames["C_4"]["failure"] == "timed out"
    # C_2 hangs at x = 7.9 over y = 40 and looks across the bay: block 1 about (8, 6) is in the middle of its frame.
    (block,) = [one for one in seen["blocks"] if one["area"] == "A25"]
    assert block["saw"] == "seen"
    middle = sum(x for x, _ in block["foot"]) / len(block["foot"])
    assert 600 < middle < 1320
    assert min(y for _, y in block["top"]) < min(y for _, y in block["foot"])


def test_a_thumbnail_is_made_once(api: Any, token: Token, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from artifacts import ArtifactStore

    reads: list[str] = []
    load = ArtifactStore.load
    monkeypatch.setattr(
        ArtifactStore, "load", lambda self, reference: reads.append(reference.stage) or load(self, reference)
    )

    pictures = [api.get(f"{FRAMES}/C_2/thumbnail.jpg", headers=token("boss")) for _ in range(3)]

    assert {picture.status_code for picture in pictures} == {200}
    assert Image.open(io.BytesIO(pictures[0].content)).size == (480, 270)
    assert reads == ["capture"]
    assert pictures[0].headers["cache-control"].startswith("private")


def test_the_whole_frame_is_the_cameras_own(api: Any, token: Token) -> None:
    content = api.get(f"{FRAMES}/C_2/full.jpg", headers=token("boss")).content

    assert Image.open(io.BytesIO(content)).size == (1920, 1080)


@pytest.mark.parametrize("camera", ["C_4", "D_2", "nobody"])
def test_no_frame_is_no_picture(api: Any, token: Token, camera: str) -> None:
    assert api.get(f"{FRAMES}/{camera}/thumbnail.jpg", headers=token("boss")).status_code == 404


@pytest.mark.slow(0.1)
@pytest.mark.parametrize("slot", ["20250731-230000", "99999999-999999", "..", "20250701-23000"])
def test_slots_that_are_none(api: Any, token: Token, slot: str) -> None:
    answer = api.get(f"/api/v1/bays/yard/slots/{slot}/frames", headers=token("boss"))

    assert answer.status_code in (404, 422)


def test_pictures_go_once_they_are_older_than_the_bay_keeps_them(tmp_path: Path, yard: Any) -> None:
    from artifacts import ArtifactStore
    from dashboard.pictures import Pictures

    for name, days in (("yard_old", 31), ("yard_young", 29)):
        folder = tmp_path / "small" / "yard" / name
        folder.mkdir(parents=True)
        made = time.time() - days * 86_400
        os.utime(folder, (made, made))

    Pictures(tmp_path / "small").thumbnail(ArtifactStore(), "yard", f"yard_{SLOT}", "C_2")

    assert sorted(path.name for path in (tmp_path / "small" / "yard").iterdir()) == [f"yard_{SLOT}", "yard_young"]


def test_the_oldest_pictures_make_room(tmp_path: Path, yard: Any) -> None:
    from artifacts import ArtifactStore
    from dashboard.pictures import Pictures

    for number in range(5):
        (tmp_path / "small" / "yard" / f"yard_old{number}").mkdir(parents=True)

    picture = Pictures(tmp_path / "small", kept=3).thumbnail(ArtifactStore(), "yard", f"yard_{SLOT}", "C_2")

    assert picture is not None
    assert [path.name for path in (tmp_path / "small" / "yard").iterdir()] == [f"yard_{SLOT}"]
