"""Why a block stands where it stands."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import shapely

START = datetime(2025, 7, 1, 23, 0, tzinfo=UTC)
SLOT = timedelta(minutes=10)
Token = Callable[[str], dict[str, str]]


@pytest.fixture
def blocks(ask: Callable[..., Any]) -> dict[str, str]:
    """The blocks of the first slot, by area."""
    return {block["area"]: block["track_id"] for block in ask("bays/yard/floor", at=START.isoformat())["blocks"]}


def _stored(stage: Any, number: int) -> Any:
    from artifacts import ArtifactStore
    from bays import batch_id

    store = ArtifactStore()
    reference = store.find(stage, "yard", batch_id("yard", START + number * SLOT))
    assert reference is not None
    return store.load(reference)


def _keep(stage: Any, value: Any) -> None:
    from artifacts import ArtifactStore

    store = ArtifactStore()
    store.delete(stage, "yard", value.batch_id)
    store.save(stage, "yard", value.batch_id, value)


def test_who_saw_it_who_must_have_and_who_gave_no_frame(ask: Callable[..., Any], blocks: dict[str, str]) -> None:
    plan = _stored("fusion", 1)
    block = replace(plan.blocks[0], cameras=("C_2",), missed_by=("D_2",))
    _keep("fusion", replace(plan, blocks=(block, *plan.blocks[1:]), missing_cameras=("C_4",)))

    why = ask(f"bays/yard/tracks/{blocks['A25']}/why", slot=(START + SLOT).isoformat())

    says = {one["camera"]: one["says"] for one in why["cameras"]}
    assert (says["C_2"], says["D_2"], says["C_4"]) == ("seen", "missed", "no frame")
    assert why["fused"]["stage"] == "welding"
    assert why["tracked"] is None  # tracks of this slot are not kept


def test_a_block_that_no_camera_saw(ask: Callable[..., Any], blocks: dict[str, str]) -> None:
    plan = _stored("fusion", 1)
    _keep("fusion", replace(plan, blocks=plan.blocks[1:], out_of_pose=("D_2",), cameras=("C_2",)))

    why = ask(f"bays/yard/tracks/{blocks['A25']}/why", slot=(START + SLOT).isoformat())

    says = {one["camera"]: one["says"] for one in why["cameras"]}
    assert (says["C_2"], says["D_2"], why["fused"]) == ("in view", "out of pose", None)


def test_what_the_tracker_weighed(ask: Callable[..., Any], yard: Any, blocks: dict[str, str]) -> None:
    from tracking import Tracker
    from tracking.types import EventKind, Streak, TrackEvent

    slot = START + SLOT
    plan = _stored("fusion", 1)
    result = Tracker(yard, Tracker(yard).update(_stored("fusion", 0)).state).update(plan)
    track = next(one for one in result.tracks if one.footprint.intersects(shapely.Point(8, 6)))
    assert track.track_id == blocks["A25"]
    against = replace(track, stage_streaks=(Streak("painting", 2, 1.4, slot),), misses=1, missed_since=slot)
    event = TrackEvent(
        EventKind.MOVED, track.track_id, slot, plan.batch_id, probability=0.8, alternatives=(("new", 0.2),)
    )
    others = tuple(one for one in result.tracks if one is not track)
    weighed_result = replace(result, tracks=(against, *others), events=(event,), doubt="half of the cameras are dark")
    _keep("tracking", weighed_result)

    why = ask(f"bays/yard/tracks/{blocks['A25']}/why", slot=slot.isoformat())

    tracked = why["tracked"]
    (reading,) = tracked["against"]
    assert (reading["of"], reading["value"], reading["count"], reading["weight"]) == ("stage", "painting", 2, 1.4)
    assert (tracked["misses"], why["doubt"]) == (1, "half of the cameras are dark")
    (weighed,) = tracked["events"]
    assert (weighed["kind"], weighed["probability"]) == ("moved", 0.8)
    assert weighed["alternatives"] == [{"what": "new", "probability": 0.2}]


@pytest.mark.parametrize(
    ("slot", "words"), [(START - SLOT, "had not come yet"), (START + 300 * SLOT, "neither floor plan nor tracks")]
)
def test_what_cannot_be_explained(api: Any, token: Token, blocks: dict[str, str], slot: datetime, words: str) -> None:
    answer = api.get(
        f"/api/v1/bays/yard/tracks/{blocks['A25']}/why", headers=token("boss"), params={"slot": slot.isoformat()}
    )
    assert (answer.status_code, words in answer.json()["detail"]) == (404, True)
