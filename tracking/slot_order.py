"""The same history whatever order batches arrive in."""

from collections.abc import Iterable, Iterator

from bays import BayConfig
from fusion.types import FusionResult
from tracking.parameters import TrackerParameters
from tracking.tracker import Tracker
from tracking.types import TrackerState, TrackingResult


def track(
    bay: BayConfig,
    results: Iterable[FusionResult],
    state: TrackerState | None = None,
    parameters: TrackerParameters | None = None,
) -> Iterator[TrackingResult]:
    """Track fusion results as they come, each from the state that the one before it left.

    Args:
        bay: the bay.
        results: in slot order.
        state: before the first of them; None for the bay's very beginning.
        parameters: gates, weights and patience; those of the bay when None.

    Yields:
        One result for each, with the events of its slot. Its `state` is where a later call goes on.

    Raises:
        TrackingError: a result is not of this bay, or not after the one before it.
    """
    for result in results:
        tracked = Tracker(bay, state, parameters).update(result)
        state = tracked.state
        yield tracked


def replay(
    bay: BayConfig,
    state_before: TrackerState | None,
    results: Iterable[FusionResult],
    parameters: TrackerParameters | None = None,
) -> list[TrackingResult]:
    """Track fusion results in slot order, from the state before the first of them.

    For a batch that arrives late or is run again: give the state before it, its
    result, and all that came after it.

    Args:
        bay: the bay.
        state_before: None for the bay's very beginning.
        results: in any order; of several for one slot, the last given counts.
        parameters: gates, weights and patience; those of the bay when None.

    Returns:
        One result for each slot, in slot order.

    Raises:
        TrackingError: a result is not of this bay, or not after the state.
    """
    by_slot = {result.slot: result for result in results}
    return list(track(bay, (by_slot[slot] for slot in sorted(by_slot)), state_before, parameters))
