"""What people say of events and blocks: judgements, comments, names, corrections.

A review changes nothing that tracking wrote: it is a row of its own, with author and time, and is
applied when the history is read. Rows are only added; of two that contradict each other the later one counts.

A block is meant by its track and by where it stood at a time. A bay whose slots are tracked again
may give the block at that place another id: its reviews then follow it (`placed`).
"""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import shapely
import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from bay_observation.errors import HistoryError, HistoryUnavailableError
from tracking.history.history import History
from tracking.history.schema import batches, positions, reviews
from tracking.history.stays import recorded_stays
from tracking.history.types import Stay

NEAR_M = 3.0
"""A block that stands within so many metres of a review's place at the review's time is the block that is meant."""

_MOMENT = timedelta(microseconds=1)


class ReviewKind(StrEnum):
    """What a review says. The value is what the database holds."""

    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    COMMENT = "comment"
    NAME = "name"
    SAME = "same"
    STAGE = "stage"


JUDGEMENTS = (ReviewKind.CONFIRMED, ReviewKind.REJECTED)
"""Of an event: it happened, or it did not."""


@dataclass(frozen=True)
class Place:
    """Where a block stood at a time (aware, UTC): the centre of its footprint, metres, floor frame."""

    at: datetime
    x: float
    y: float


@dataclass(frozen=True)
class Review:
    """One thing that a person said.

    Attributes:
        review_id: of this row.
        bay_id: the bay.
        made_at: when it was said (aware, UTC).
        author: who said it.
        kind: what it says.
        track_id: the block.
        at: the time that it is about: that of the event; from when on a stage or an identity holds.
        event_kind: of the event that it is about; None where it is about the block.
        value: the block's name (`NAME`), its stage (`STAGE`), the track that it continues (`SAME`); empty takes
            an earlier one back.
        comment: in the person's words.
        cameras: that saw the block in the event's floor plan, as far as that was known.
        places: where the tracks that it names stood, by id.
    """

    review_id: str
    bay_id: str
    made_at: datetime
    author: str
    kind: ReviewKind
    track_id: str
    at: datetime
    event_kind: str | None = None
    value: str = ""
    comment: str = ""
    cameras: tuple[str, ...] = ()
    places: Mapping[str, Place] = field(default_factory=dict)

    @property
    def event(self) -> tuple[str, str, datetime] | None:
        """Which event it is about: kind, track, time."""
        return None if self.event_kind is None else (self.event_kind, self.track_id, self.at)


@dataclass(frozen=True)
class Corrections:
    """What the reviews of a bay change in what is read.

    Attributes:
        names: of blocks, by track.
        same: for a track the one that it continues, as a person said.
        stages: for a track the stages that a person gave it, each with the time from which on it holds, in order.
    """

    names: Mapping[str, str]
    same: Mapping[str, str]
    stages: Mapping[str, Sequence[tuple[datetime, str]]]

    def block(self, track_id: str) -> str:
        """The first track of the block that a track belongs to."""
        passed = {track_id}
        while (before := self.same.get(track_id)) is not None and before not in passed:
            passed.add(before)
            track_id = before
        return track_id

    def name(self, track_id: str) -> str | None:
        """The name of the block that a track belongs to; its own comes first."""
        return self.names.get(track_id) or self.names.get(self.block(track_id))

    def stage(self, stay: Stay) -> str | None:
        """The stage that a person gave a block within a stay; None where nobody did.

        It holds until the stay is over: the stage that the cameras see next is theirs again.
        """
        given = [
            stage
            for at, stage in self.stages.get(stay.track_id, ())
            if stay.since <= at and (stay.until is None or at < stay.until)
        ]
        return (given[-1] or None) if given else None


@dataclass
class Figures:
    """How often events were right, as people said: (confirmed, rejected) by kind, and by camera that saw the block."""

    kinds: dict[str, tuple[int, int]]
    cameras: dict[str, tuple[int, int]]


def add_review(history: History, review: Review) -> None:
    """Keep a review.

    Raises:
        HistoryUnavailableError: the database cannot be written.
    """
    places = {track: [place.at.isoformat(), place.x, place.y] for track, place in review.places.items()}
    row = {column.name: getattr(review, column.name) for column in reviews.c}
    row |= {"cameras": json.dumps(review.cameras), "places": json.dumps(places)}
    with history.database.writing() as connection, connection.begin():
        connection.execute(reviews.insert().values(row))


def place_of(stays: Sequence[Stay], at: datetime) -> Place | None:
    """Where a block stood at a time, or last before it; None where it had not come yet.

    Args:
        stays: of the block, in order.
        at: the time (aware).
    """
    begun = [stay for stay in stays if stay.since <= at]
    if not begun:
        return None
    stay, centre = begun[-1], begun[-1].footprint.centroid
    lasted = stay.until is None or at < stay.until
    return Place(at if lasted else stay.last_seen, round(centre.x, 3), round(centre.y, 3))


@dataclass(frozen=True)
class ReviewsState:
    """While it stays the same, so do a bay's reviews: their number, the newest, and the newest slot's digest."""

    count: int = 0
    newest: datetime | None = None
    sha256: str | None = None


def reviews_state(history: History, bay_id: str) -> ReviewsState:
    """The state of a bay's reviews; that of none where nothing was written yet.

    Raises:
        HistoryUnavailableError: the database cannot be used.
    """
    of_bay = batches.c.bay_id == bay_id
    digest = (
        sa.select(batches.c.sha256)
        .where(of_bay, batches.c.sha256.is_not(None))
        .order_by(batches.c.slot.desc())
        .limit(1)
        .scalar_subquery()
    )
    counted = sa.select(sa.func.count(), sa.func.max(reviews.c.made_at), digest).where(reviews.c.bay_id == bay_id)
    try:
        with history.database.reading() as connection:
            return ReviewsState(*connection.execute(counted).one())
    except HistoryUnavailableError:
        raise
    except HistoryError:
        return ReviewsState()


def reviews_of(history: History, bay_id: str) -> list[Review]:
    """Reviews of a bay in the order in which they were made.

    Each names the track that stands now where its block stood (see `placed`).
    """
    asked = sa.select(reviews).where(reviews.c.bay_id == bay_id).order_by(reviews.c.made_at, reviews.c.review_id)
    with history.database.reading() as connection:
        rows = connection.execute(asked).mappings().all()
    return placed(history, bay_id, [_review(row) for row in rows])


def placed(history: History, bay_id: str, found: Sequence[Review]) -> list[Review]:
    """Reviews with the ids that their blocks have now.

    A track that stood within `NEAR_M` of the review's place keeps its id. Otherwise the block that stands
    nearest to the place at that time is meant; where none is near, the review keeps its id.
    """
    places = [(track, place) for review in found for track, place in review.places.items()]
    stood = _stood(history, bay_id, {track for track, _ in places})
    moved: dict[tuple[str, Place], str] = {}
    for track, place in places:
        if not any(_holds(stay, place) for stay in stood.get(track, ())):
            moved[track, place] = _standing_at(history, bay_id, place) or track
    return [_renamed(review, moved) for review in found] if moved else list(found)


def corrections(found: Sequence[Review]) -> Corrections:
    """What reviews, in the order in which they were made, change."""
    names: dict[str, str] = {}
    same: dict[str, str] = {}
    stages: dict[str, dict[datetime, str]] = {}
    for review in found:
        if review.kind is ReviewKind.NAME:
            names[review.track_id] = review.value
        elif review.kind is ReviewKind.SAME:
            same[review.track_id] = review.value
        elif review.kind is ReviewKind.STAGE:
            stages.setdefault(review.track_id, {})[review.at] = review.value
    return Corrections(
        names={track: name for track, name in names.items() if name},
        same={track: before for track, before in same.items() if before},
        stages={track: sorted(given.items()) for track, given in stages.items()},
    )


def judgements(found: Sequence[Review]) -> dict[tuple[str, str, datetime], Review]:
    """The judgement that counts of each event: the latest."""
    return {review.event: review for review in found if review.kind in JUDGEMENTS and review.event is not None}


def figures(found: Sequence[Review]) -> Figures:
    """How often events were right, from their latest judgements."""
    kinds: Counter[tuple[str, ReviewKind]] = Counter()
    cameras: Counter[tuple[str, ReviewKind]] = Counter()
    for (kind, _, _), review in judgements(found).items():
        kinds[kind, review.kind] += 1
        for camera in review.cameras:
            cameras[camera, review.kind] += 1
    return Figures(_pairs(kinds), _pairs(cameras))


def _pairs(counts: Mapping[tuple[str, ReviewKind], int]) -> dict[str, tuple[int, int]]:
    names = sorted({name for name, _ in counts})
    return {name: (counts.get((name, JUDGEMENTS[0]), 0), counts.get((name, JUDGEMENTS[1]), 0)) for name in names}


def _review(row: RowMapping) -> Review:
    values = {field_.name: row[field_.name] for field_ in fields(Review)}
    places = {track: Place(datetime.fromisoformat(at), x, y) for track, (at, x, y) in json.loads(row["places"]).items()}
    cameras = tuple(json.loads(row["cameras"]))
    return Review(**values | {"kind": ReviewKind(row["kind"]), "cameras": cameras, "places": places})


def _stood(history: History, bay_id: str, track_ids: Collection[str]) -> dict[str, list[Any]]:
    if not track_ids:
        return {}
    columns = (positions.c.track_id, positions.c.since, positions.c.until, positions.c.anchor_x, positions.c.anchor_y)
    asked = sa.select(*columns).where(positions.c.bay_id == bay_id, positions.c.track_id.in_(sorted(track_ids)))
    found: dict[str, list[Any]] = {}
    with history.database.reading() as connection:
        for row in connection.execute(asked):
            found.setdefault(row.track_id, []).append(row)
    return found


def _holds(stay: Any, place: Place) -> bool:
    within = stay.since <= place.at and (stay.until is None or place.at < stay.until)
    return within and bool(abs(stay.anchor_x - place.x) <= NEAR_M and abs(stay.anchor_y - place.y) <= NEAR_M)


def _standing_at(history: History, bay_id: str, place: Place) -> str | None:
    """The track of the block that stood nearest to a place at its time; None where none was near."""
    point = shapely.Point(place.x, place.y)
    near = [
        (distance, stay.track_id)
        for stay in recorded_stays(history, bay_id, place.at, place.at + _MOMENT)
        if (distance := stay.footprint.centroid.distance(point)) <= NEAR_M
    ]
    return min(near)[1] if near else None


def _renamed(review: Review, moved: Mapping[tuple[str, Place], str]) -> Review:
    def now(track: str) -> str:
        place = review.places.get(track)
        return track if place is None else moved.get((track, place), track)

    value = now(review.value) if review.kind is ReviewKind.SAME else review.value
    places = {now(track): place for track, place in review.places.items()}
    return replace(review, track_id=now(review.track_id), value=value, places=places)
