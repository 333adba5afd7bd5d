"""What moved, came, left and was worked on in a shift or a day: to read, to print, for a spreadsheet."""

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from bay_observation.errors import NotObservedError
from bays import BayConfig
from dashboard.api.access import Bay
from dashboard.api.answers import answer, with_etag
from dashboard.api.history import history, one_state, said_of
from dashboard.api.models import AreaDwell, Report
from dashboard.api.routes.events import EventFilter, event_rows, found_events, missing_slots
from dashboard.api.routes.floor import newest_slot
from dashboard.api.times import Period
from dashboard.workbook import workbook
from tracking.history import Dwell
from tracking.history.reviews import ReviewKind, judgements

router = APIRouter(tags=["reports"])

_LONGEST = timedelta(days=31)
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_EVENT_COLUMNS = (
    "time",
    "kind",
    "track_id",
    "from_area",
    "to_area",
    "from_stage",
    "to_stage",
    "others",
    "name",
    "judgement",
)
_GAP_COLUMNS = ("slot", "outcome", "reason")
_DWELL_COLUMNS = ("area", "stage", "blocks", "hours", "longest_hours")

Format = Literal["csv", "xlsx"]

Rows = list[list[str | float | int]]


@router.get("/bays/{bay_id}/report", response_model=Report)
@one_state()
def show_report(request: Request, bay: Bay, wanted: Annotated[Period, Query()]) -> Response:
    """What happened in a period of at most 31 days, in numbers, and how long blocks stood in each area.

    The events themselves are those of `/bays/{bay_id}/events`.
    """
    return answer(request, _report(bay, wanted))


@router.get("/bays/{bay_id}/report.{form}", response_class=Response)
@one_state()
def download_report(request: Request, bay: Bay, form: Format, wanted: Annotated[Period, Query()]) -> Response:
    """The same for a spreadsheet: events in CSV; events, times in areas and missing slots as sheets in XLSX.

    Times are the bay's own.
    """
    report = _report(bay, wanted)
    events = event_rows(bay.bay_id, found_events(bay.bay_id, EventFilter(start=wanted.start, end=wanted.end)))
    areas: Rows = [list(_DWELL_COLUMNS)]
    areas += [[one.area, one.stage or "", one.blocks, one.hours, one.longest_hours] for one in report.dwell]
    missing: Rows = [list(_GAP_COLUMNS)]
    missing += [[_local(bay, gap.slot), gap.outcome, gap.reason] for gap in report.missing]
    sheets = {"events": _event_rows(bay, events), "areas": areas, "missing slots": missing}
    first = wanted.start.astimezone(bay.zone)
    if form == "xlsx":
        content, media_type = workbook(sheets), _XLSX
    else:
        # A mark at the beginning, so that Excel reads Korean.
        content, media_type = _csv(sheets["events"]).encode("utf-8-sig"), "text/csv; charset=utf-8"
    found = with_etag(request, content, media_type)
    found.headers["Content-Disposition"] = f'attachment; filename="{bay.bay_id}_{first:%Y%m%d-%H%M}.{form}"'
    return found


def _report(bay: BayConfig, wanted: Period) -> Report:
    wanted.check(_LONGEST)
    rejected = [event for event, said in judgements(said_of(bay.bay_id)).items() if said.kind is ReviewKind.REJECTED]
    newest = newest_slot(bay.bay_id)
    counts = history().event_counts(bay.bay_id, wanted.start, wanted.end, without=rejected) if newest else {}
    return Report(
        bay_id=bay.bay_id,
        start=wanted.start,
        end=wanted.end,
        made_at=datetime.now(UTC).replace(second=0, microsecond=0),
        known_until=newest,
        counts=counts,
        missing=missing_slots(bay, wanted),
        dwell=[
            AreaDwell(
                area=one.area,
                stage=one.stage,
                blocks=one.blocks,
                hours=_hours(one.total),
                longest_hours=_hours(one.longest),
            )
            for one in _dwell(bay, wanted)
        ],
    )


def _dwell(bay: BayConfig, wanted: Period) -> list[Dwell]:
    try:
        return history().dwell(bay.bay_id, wanted.start, wanted.end)
    except NotObservedError:
        return []  # `missing` says that nothing is known of it


def _hours(length: timedelta) -> float:
    return round(length.total_seconds() / 3600, 2)


def _local(bay: BayConfig, time: datetime) -> str:
    return f"{time.astimezone(bay.zone):%Y-%m-%d %H:%M}"


def _event_rows(bay: BayConfig, events: Sequence[dict[str, Any]]) -> Rows:
    rows: Rows = [list(_EVENT_COLUMNS)]
    for one in events:
        before_and_after = [one[column] or "" for column in ("from_area", "to_area", "from_stage", "to_stage")]
        named = [_local(bay, one["time"]), one["kind"], one["track_id"], *before_and_after]
        rows.append([*named, ", ".join(one["others"]), one["name"] or "", one["judgement"] or ""])
    return rows


def _csv(rows: Rows) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([[_harmless(value) for value in row] for row in rows])
    return text.getvalue()


def _harmless(value: str | float) -> str | float:
    """A spreadsheet runs what begins like a formula; an apostrophe in front makes it text."""
    return f"'{value}" if isinstance(value, str) and value[:1] in tuple("=+-@\t\r") else value
