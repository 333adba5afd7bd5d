"""What happened, and what is missing."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from bay_observation.errors import NotObservedError
from bays import BayConfig
from dashboard.api.access import Bay
from dashboard.api.answers import Paging, answer, page
from dashboard.api.history import history, one_state, said_of
from dashboard.api.models import PLAIN, TRACK_ID, Events, Gaps, MissingSlot
from dashboard.api.routes.floor import newest_slot
from dashboard.api.rows import judgement_of, unjudged_rows
from dashboard.api.times import Period, now_of, slot_length
from tracking.history import HistoryEvent
from tracking.history.reviews import Review, corrections

router = APIRouter(tags=["events"])

_LONGEST = timedelta(days=92)
_Word = Annotated[str, Field(max_length=96, pattern=PLAIN)]


class EventFilter(Period, Paging):
    """Which events of a period."""

    kind: list[_Word] = Field([], max_length=64, description="of these kinds only")
    area: list[_Word] = Field([], max_length=64, description="from or to these areas only")
    track: Annotated[str | None, Field(pattern=TRACK_ID, description="of this block only")] = None


class PagedPeriod(Period, Paging):
    """A page of a period."""


@router.get("/bays/{bay_id}/events", response_model=Events)
@one_state()
def list_events(request: Request, bay: Bay, wanted: Annotated[EventFilter, Query()]) -> Response:
    """What happened to blocks within a period of at most 92 days, in order of time."""
    wanted.check(_LONGEST)
    shown, following = page(found_events(bay.bay_id, wanted), _event_key, wanted)
    return answer(request, {"events": event_rows(bay.bay_id, shown), "next_cursor": following})


@router.get("/bays/{bay_id}/gaps", response_model=Gaps)
@one_state()
def list_gaps(request: Request, bay: Bay, wanted: Annotated[PagedPeriod, Query()]) -> Response:
    """Slots of the schedule that were not tracked within a period of at most 92 days, and why, in order."""
    wanted.check(_LONGEST)
    found = missing_slots(bay, wanted)
    shown, following = page(found, _gap_key, wanted)
    return answer(request, Gaps(gaps=shown, next_cursor=following))


def found_events(bay_id: str, wanted: EventFilter) -> list[HistoryEvent]:
    """The events that a filter lets through, in the order of `_event_key`."""
    if newest_slot(bay_id) is None:
        return []
    try:
        return history().events(
            bay_id, wanted.start, wanted.end, kinds=wanted.kind, track_id=wanted.track, areas=wanted.area
        )
    except NotObservedError:
        return []  # the gaps of the period say that nothing is known of it


def event_rows(bay_id: str, found: Sequence[HistoryEvent]) -> list[dict[str, Any]]:
    """The values of `BlockEvent`s, with what people said of them."""
    rows = unjudged_rows(bay_id, found)
    everything = said_of(bay_id)
    if everything:
        said: dict[Any, list[Review]] = {}
        for review in everything:
            said.setdefault(review.event, []).append(review)
        corrected = corrections(everything)
        for event, row in zip(found, rows, strict=True):
            row["name"] = corrected.name(event.track_id)
            if of_event := said.get((event.kind, event.track_id, event.time)):
                row.update(judgement_of(of_event))
    return rows


def missing_slots(bay: BayConfig, wanted: Period) -> list[MissingSlot]:
    """Slots of the schedule that were not tracked, in order. One is missing once the next has begun.

    What lies before the first slot of which anything is known was not missed.
    """
    newest = newest_slot(bay.bay_id)
    if newest is None:
        return []
    end = min(wanted.end, now_of(bay, newest) - (slot_length(bay) or timedelta()))
    found = history().gaps(bay, wanted.start, end)
    return [MissingSlot(slot=gap.slot, outcome=gap.outcome, reason=gap.reason) for gap in found]


def _event_key(event: HistoryEvent) -> tuple[str, ...]:
    """In the history's own order. A slot makes at most one event of a kind and a time certain of a block."""
    return (event.time.isoformat(), event.track_id, event.kind, event.slot.isoformat())


def _gap_key(gap: MissingSlot) -> tuple[str, ...]:
    return (gap.slot.isoformat(),)
