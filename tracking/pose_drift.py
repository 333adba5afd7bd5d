"""Cameras that no longer hang as the bay's file says: told once it has lasted, one by one or all alike."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from fusion.types import FusionResult
from tracking.types import EventKind, TrackEvent, TrackingResult

ALL = "*"  # stands for all cameras in `TrackerState.drift`
_LASTING = 3  # slots in a row, from which on it is no passing fault of a batch
# Between cameras, from which all of them are doubted: it is 0.01 to 0.03 where poses are right, 0.18 where all are
# off by 0.25.
_DISAGREE_DEG = 0.1


def with_pose_drift(result: TrackingResult, before: Mapping[str, int], floor: FusionResult) -> TrackingResult:
    """The result with an event where cameras have drifted, and how long each has been seen to be off.

    Args:
        result: of the slot.
        before: slots in a row that showed each camera to be off, as of the slot before.
        floor: the floor plan of the slot.
    """
    off = {name: before.get(name, 0) + 1 for name in _off(floor)}
    # A camera that gave no frame showed nothing: what was known of it stays.
    silent = set(floor.missing_cameras) - set(floor.out_of_pose)
    drift = {name: count for name, count in before.items() if name in silent} | off
    told = [_reason(name, floor) for name, count in sorted(off.items()) if count == _LASTING]
    state = replace(result.state, drift=drift)
    if not told:
        return replace(result, state=state)
    drifted = TrackEvent(
        EventKind.POSE_DRIFT, "", floor.slot, floor.batch_id, reason="; ".join(told), captured_at=floor.captured_at
    )
    return replace(result, events=(drifted, *result.events), state=state)


def _off(floor: FusionResult) -> Iterator[str]:
    yield from floor.out_of_pose
    if (floor.pose_disagreement_deg or 0.0) > _DISAGREE_DEG:
        yield ALL


def _reason(name: str, floor: FusionResult) -> str:
    if name == ALL:
        return (
            f"all cameras: what they see disagrees by {floor.pose_disagreement_deg:.2f} degrees,"
            " so the bay's file is wrong for many of them"
        )
    return f"camera {name}: it hangs otherwise than the bay's file says"
