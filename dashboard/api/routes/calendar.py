"""Which days are whole: slots that are missing, by date of the bay's own clock."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from bays import BayConfig
from dashboard.api.access import Bay
from dashboard.api.answers import answer
from dashboard.api.history import history
from dashboard.api.models import Calendar, CalendarDay, MissingSlot
from dashboard.api.routes.events import missing_slots
from dashboard.api.routes.floor import newest_slot
from dashboard.api.times import Period, now_of, slot_length
from tracking.history import GapOutcome, scheduled_slots

router = APIRouter(tags=["reports"])

_LONGEST = timedelta(days=92)


@router.get("/bays/{bay_id}/calendar", response_model=Calendar)
def show_calendar(request: Request, bay: Bay, wanted: Annotated[Period, Query()]) -> Response:
    """For each date within a period of at most 92 days: slots that were due, and those of them that are missing.

    What lies before the first slot of which anything is known was not missed.
    """
    wanted.check(_LONGEST)
    newest = newest_slot(bay.bay_id)
    known = None if newest is None else history().first_slot(bay.bay_id)
    if known is None or known >= wanted.end:
        return answer(request, Calendar(bay_id=bay.bay_id, start=wanted.start, end=wanted.end, days=[]))
    watched = wanted.model_copy(update={"start": max(wanted.start, known)})
    over = now_of(bay, newest) - (slot_length(bay) or timedelta())
    scheduled = list(scheduled_slots(bay, watched.start, min(watched.end, over)))
    days = _days(bay, scheduled, missing_slots(bay, watched))
    return answer(request, Calendar(bay_id=bay.bay_id, start=wanted.start, end=wanted.end, days=days))


def _days(bay: BayConfig, scheduled: Sequence[datetime], missing: Sequence[MissingSlot]) -> list[CalendarDay]:
    due = Counter(_date(bay, slot) for slot in scheduled)
    outcomes: dict[str, Counter[str]] = {}
    for gap in missing:
        date = _date(bay, gap.slot)
        if gap.outcome == GapOutcome.CLOSED:
            due[date] -= 1
        else:
            outcomes.setdefault(date, Counter())[gap.outcome] += 1
    return [
        CalendarDay(
            date=date,
            due=max(count, outcomes.get(date, Counter()).total()),
            missing=outcomes.get(date, Counter()).total(),
            outcomes=dict(sorted(outcomes.get(date, Counter()).items())),
        )
        for date, count in sorted(due.items())
    ]


def _date(bay: BayConfig, slot: datetime) -> str:
    return slot.astimezone(bay.zone).date().isoformat()
