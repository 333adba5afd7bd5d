"""Which days are whole: slots that are missing, by date of the bay's own clock."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from bays import BayConfig
from dashboard.api.access import Bay
from dashboard.api.answers import answer
from dashboard.api.history import history, one_state
from dashboard.api.models import Calendar, CalendarDay
from dashboard.api.routes.floor import newest_slot
from dashboard.api.times import Period, now_of, slot_length
from tracking.history import Gap, GapOutcome, local_day, scheduled_slots

router = APIRouter(tags=["reports"])

_LONGEST = timedelta(days=92)


@router.get("/bays/{bay_id}/calendar", response_model=Calendar)
@one_state()
def show_calendar(request: Request, bay: Bay, wanted: Annotated[Period, Query()]) -> Response:
    """For each date within a period of at most 92 days: slots that were due, and those of them that are missing.

    What lies before the first slot of which anything is known was not missed.
    """
    wanted.check(_LONGEST)
    newest = newest_slot(bay.bay_id)
    known = None if newest is None else history().first_slot(bay.bay_id)
    if known is None or known >= wanted.end:
        return answer(request, Calendar(bay_id=bay.bay_id, start=wanted.start, end=wanted.end, days=[]))
    start, end = max(wanted.start, known), min(wanted.end, now_of(bay, newest) - (slot_length(bay) or timedelta()))
    days = _days(bay, list(scheduled_slots(bay, start, end)), history().gaps(bay, start, max(start, end)))
    return answer(request, Calendar(bay_id=bay.bay_id, start=wanted.start, end=wanted.end, days=days))


def _days(bay: BayConfig, scheduled: Sequence[datetime], missing: Sequence[Gap]) -> list[CalendarDay]:
    due = _due(bay, scheduled)
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


def _due(bay: BayConfig, scheduled: Sequence[datetime]) -> Counter[str]:
    """How many slots, which are in order, each date has. A date's begin is looked up once, and not each slot's date."""
    due: Counter[str] = Counter()
    begin = 0
    while begin < len(scheduled):
        date = scheduled[begin].astimezone(bay.zone).date()
        end = bisect_left(scheduled, local_day(bay, date)[1], begin)
        due[date.isoformat()] = end - begin
        begin = end
    return due


def _date(bay: BayConfig, slot: datetime) -> str:
    return slot.astimezone(bay.zone).date().isoformat()
