"""Pictures of a block, cut from the frames that are kept."""

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from PIL import Image

START = datetime(2025, 7, 1, 23, 0, tzinfo=UTC)
DAY = {"start": "2025-07-01T22:00:00Z", "end": "2025-07-02T22:00:00Z"}
Token = Callable[[str], dict[str, str]]


@pytest.fixture
def blocks(ask: Callable[..., Any]) -> dict[str, str]:
    """The blocks of the first slot, by area."""
    return {block["area"]: block["track_id"] for block in ask("bays/yard/floor", at=START.isoformat())["blocks"]}


def test_a_block_is_cut_from_the_frame_that_shows_it_best(
    api: Any, ask: Callable[..., Any], token: Token, blocks: dict[str, str]
) -> None:
    found = ask(f"bays/yard/tracks/{blocks['A25']}/crops", **DAY)

    # Frames of one slot are kept, and of its two cameras C_2 looks at the block from across the bay.
    (crop,) = found["crops"]
    assert (datetime.fromisoformat(crop["slot"]), crop["camera"]) == (START, "C_2")
    left, top, right, bottom = crop["box"]
    assert 0 <= left < 960 < right <= 1920
    picture = api.get(
        "/api/v1/bays/yard/slots/20250701-230000/frames/C_2/crop.jpg",
        headers=token("boss"),
        params={"left": left, "top": top, "right": right, "bottom": bottom},
    )
    assert picture.status_code == 200
    size = Image.open(io.BytesIO(picture.content)).size
    assert max(size) <= 320
    assert size[0] / size[1] == pytest.approx((right - left) / (bottom - top), rel=0.03)


def test_a_block_that_no_kept_frame_shows_has_no_picture(ask: Callable[..., Any], blocks: dict[str, str]) -> None:
    assert ask(f"bays/yard/tracks/{blocks['A1E']}/crops", **DAY)["crops"] == []
    late = {**DAY, "start": (START + timedelta(minutes=1)).isoformat()}
    assert ask(f"bays/yard/tracks/{blocks['A25']}/crops", **late)["crops"] == []


def test_before_and_after(ask: Callable[..., Any], blocks: dict[str, str]) -> None:
    """What happened at the first slot has an after, and what happened later a before."""
    path = f"bays/yard/tracks/{blocks['A25']}/crops"

    first = ask(path, around=START.isoformat(), **DAY)["crops"]
    later = ask(path, around=(START + timedelta(hours=1)).isoformat(), **DAY)["crops"]

    assert len(first) == len(later) == 1
    assert first == later


@pytest.mark.slow(0.1)
@pytest.mark.parametrize(
    ("box", "code"),
    [
        ((10, 10, 5, 20), 422),
        ((10, 10, 20, 99_999), 422),
        ((-1, 0, 20, 20), 422),
        ((1900, 1000, 1990, 1100), 200),
        ((1920, 0, 1990, 100), 404),
    ],
)
def test_boxes_that_are_none(api: Any, token: Token, box: tuple[int, ...], code: int) -> None:
    params = dict(zip(("left", "top", "right", "bottom"), box, strict=True))
    path = "/api/v1/bays/yard/slots/20250701-230000/frames/{}/crop.jpg"

    assert api.get(path.format("C_2"), headers=token("boss"), params=params).status_code == code
    assert api.get(path.format("C_4"), headers=token("boss"), params=params).status_code in (404, 422)


def test_a_long_time_is_thinned_and_keeps_the_begin_of_each_stay() -> None:
    from types import SimpleNamespace

    from dashboard.crops import thinned

    slots = [START + number * timedelta(minutes=10) for number in range(144)]
    stays: Any = [SimpleNamespace(since=slots[0]), SimpleNamespace(since=slots[77])]

    chosen = thinned(slots, stays, 8)

    assert len(chosen) <= 8
    assert {slots[0], slots[77], slots[143]} <= set(chosen)
    assert chosen == sorted(chosen)
    assert thinned(slots[:5], stays, 8) == slots[:5]
