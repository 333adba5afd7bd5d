"""What people say of events and blocks: the one thing that this API writes."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Annotated

import shapely
from fastapi import APIRouter, HTTPException, Query, Request, Response
from pydantic import Field

from artifacts import ArtifactStore
from bay_observation.errors import ArtifactError, HistoryError, HistoryUnavailableError
from bays import BayConfig, batch_id
from dashboard.api.access import Bay, User, WritableBay
from dashboard.api.answers import Paging, answer, page
from dashboard.api.history import history, said_of
from dashboard.api.models import TRACK_ID, NewReview, ReviewFigures, ReviewRow, Reviews, Rightness
from dashboard.api.routes.floor import newest_slot
from dashboard.api.times import Period
from dashboard.plans import loaded
from tracking.history import HistoryEvent
from tracking.history.block_names import NAME, BlockNames
from tracking.history.reviews import JUDGEMENTS, Place, Review, ReviewKind, add_review, figures, place_of

router = APIRouter(tags=["reviews"])

_LONGEST = timedelta(days=92)
_MOMENT = timedelta(microseconds=1)
_OF_BLOCKS = (ReviewKind.NAME, ReviewKind.SAME, ReviewKind.STAGE)


class ReviewFilter(Period, Paging):
    """Which reviews: those about times within a period."""

    track: Annotated[str | None, Field(pattern=TRACK_ID, description="of this block only")] = None


@router.get("/bays/{bay_id}/reviews", response_model=Reviews)
def list_reviews(request: Request, bay: Bay, wanted: Annotated[ReviewFilter, Query()]) -> Response:
    """What people said of events and blocks within a period of at most 92 days, in the order in which they did."""
    wanted.check(_LONGEST)
    found = [review for review in said_of(bay.bay_id) if wanted.start <= review.at < wanted.end]
    rows = [_row(review) for review in found if wanted.track in (None, review.track_id)]
    shown, following = page(rows, lambda row: (row.made_at.isoformat(), row.review_id), wanted)
    return answer(request, Reviews(reviews=shown, next_cursor=following))


@router.post("/bays/{bay_id}/reviews", response_model=ReviewRow, status_code=201)
def make_review(bay: WritableBay, user: User, said: NewReview) -> ReviewRow:
    """Say something of an event or a block, under your name. Nothing that was observed changes."""
    _check(said)
    _check_name(bay, said)
    event, places = _event(bay, said), _places(bay, said)
    review = Review(
        review_id=secrets.token_hex(16),
        bay_id=bay.bay_id,
        made_at=datetime.now(UTC),
        author=str(user.get_name())[:256],
        kind=ReviewKind(said.kind),
        track_id=said.track_id,
        at=said.at,
        event_kind=said.event_kind,
        value=said.value.strip(),
        comment=said.comment.strip(),
        cameras=() if event is None else _cameras(bay, event, places[said.track_id]),
        places=places,
    )
    add_review(history(), review)
    return _row(review)


@router.get("/bays/{bay_id}/reviews/figures", response_model=ReviewFigures)
def show_figures(request: Request, bay: Bay, wanted: Annotated[Period, Query()]) -> Response:
    """How often events of a period of at most 92 days were right, by kind and by camera, as people said."""
    wanted.check(_LONGEST)
    found = figures([review for review in said_of(bay.bay_id) if wanted.start <= review.at < wanted.end])
    known = newest_slot(bay.bay_id) is not None
    return answer(
        request,
        ReviewFigures(
            bay_id=bay.bay_id,
            start=wanted.start,
            end=wanted.end,
            events=len(history().events(bay.bay_id, wanted.start, wanted.end)) if known else 0,
            kinds=_rightness(found.kinds),
            cameras=_rightness(found.cameras),
        ),
    )


def _check(said: NewReview) -> None:
    """Refuse what says nothing.

    Raises:
        HTTPException: 422, with the remedy.
    """
    kind = ReviewKind(said.kind)
    if kind in JUDGEMENTS and said.event_kind is None:
        raise HTTPException(422, f"{said.kind}: event_kind says which event")
    if kind in _OF_BLOCKS and said.event_kind is not None:
        raise HTTPException(422, f"{said.kind} is about a block: leave event_kind out")
    if kind not in _OF_BLOCKS and said.value:
        raise HTTPException(422, f"{said.kind} has no value: write a comment")
    if kind is ReviewKind.COMMENT and not said.comment.strip():
        raise HTTPException(422, "the comment is empty")
    if kind is ReviewKind.SAME and said.value == said.track_id:
        raise HTTPException(422, "a track cannot continue itself")


def _check_name(bay: BayConfig, said: NewReview) -> None:
    """Refuse a block number that is none, or that another block has.

    Raises:
        HTTPException: 422 or 409, with the remedy.
    """
    name = said.value.strip()
    if said.kind != "name" or not name:
        return
    if NAME.fullmatch(name) is None:
        raise HTTPException(422, f"block number {name!r}: use letters, digits and . - _ only, 32 at most")
    try:
        holder = BlockNames(history(), bay.bay_id).find(name).track_id
    except HistoryUnavailableError:
        raise
    except HistoryError:
        return
    if holder != said.track_id:
        raise HTTPException(409, f"{name} is the number of {holder}: take it from there first")


def _event(bay: BayConfig, said: NewReview) -> HistoryEvent | None:
    """The event that is meant; None where the block is.

    Raises:
        HTTPException: 404, there is no such event.
    """
    if said.event_kind is None:
        return None
    kinds = [said.event_kind]
    found = history().events(bay.bay_id, said.at, said.at + _MOMENT, kinds=kinds, track_id=said.track_id)
    own = [event for event in found if event.track_id == said.track_id]
    if not own:
        raise HTTPException(404, f"block {said.track_id} has no event {said.event_kind} at {said.at.isoformat()}")
    return own[0]


def _places(bay: BayConfig, said: NewReview) -> dict[str, Place]:
    """Where the blocks that are named stood.

    Raises:
        HTTPException: 404, one had not come yet.
        HistoryError: there is no such block.
    """
    tracks = [said.track_id, said.value] if said.kind == "same" and said.value else [said.track_id]
    found = {}
    for track in tracks:
        place = place_of(history().stays(bay.bay_id, track), said.at)
        if place is None:
            raise HTTPException(404, f"block {track} had not come yet at {said.at.isoformat()}")
        found[track] = place
    return found


def _cameras(bay: BayConfig, event: HistoryEvent, place: Place) -> tuple[str, ...]:
    """Cameras that saw the block in the event's floor plan, or in the last one before; none where neither is kept."""
    for slot in (event.time, event.after, place.at):
        if slot is None:
            continue
        try:
            plan = loaded(ArtifactStore(), "fusion", bay.bay_id, batch_id(bay.bay_id, slot))
        except ArtifactError:
            continue
        point = shapely.Point(place.x, place.y)
        for block in () if plan is None else plan.blocks:
            if block.footprint.contains(point):
                return tuple(block.cameras)
    return ()


def _rightness(counts: dict[str, tuple[int, int]]) -> list[Rightness]:
    return [Rightness(name=name, confirmed=right, rejected=wrong) for name, (right, wrong) in counts.items()]


def _row(review: Review) -> ReviewRow:
    return ReviewRow(
        review_id=review.review_id,
        made_at=review.made_at,
        author=review.author,
        kind=review.kind.value,
        track_id=review.track_id,
        at=review.at,
        event_kind=review.event_kind,
        value=review.value,
        comment=review.comment,
        cameras=list(review.cameras),
    )
