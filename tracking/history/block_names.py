"""The yard's own block numbers: which track is block 4412P, who said so, and how far that is certain.

A number is given to a block that stands in the bay, and stays with its identity through moves, exits
and returns. It is a review (`tracking.history.reviews`), whose place says which block was meant, whatever its track is
called once late batches are tracked again; who gave and who took a number, and when, stays.

A doubt about an identity is a doubt about its name: what the tracker said of the block's moves and
returns since then, and whether it may have been another track's block that did them, is part of the answer.
"""

import csv
import io
import json
import math
import re
import secrets
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import sqlalchemy as sa

from bay_observation.errors import ConfigError, HistoryError
from bays import BayConfig
from tracking.history.history import History, nested_areas
from tracking.history.reviews import Corrections, Review, ReviewKind, add_review, corrections, place_of, reviews_of
from tracking.history.schema import events
from tracking.history.types import Stay
from tracking.types import EventKind

NAME = re.compile(r"\w[\w.-]{0,31}")
"""What a block number is made of."""

_IDENTIFYING = (EventKind.MOVED, EventKind.APPEARED, EventKind.CORRECTED)  # events that rest on an identity
_LONGEST_LIST = 10_000  # lines
_LONGEST_AUTHOR = 256
_COLUMNS = ("number", "area")


@dataclass(frozen=True)
class BlockName:
    """A number that a block holds.

    Attributes:
        name: the yard's number, as `4412P`.
        track_id: whose it is.
        slot: newest tracked slot when it was given: of the floor on which it was meant.
        given_by: who gave it.
        given_at: when (aware, UTC).
        probability: that the track is still that block, 0 to 1, by what the tracker said of its moves since.
        alternatives: other tracks that may be it, each with the probability that the tracker gave, the likeliest first.
    """

    name: str
    track_id: str
    slot: datetime
    given_by: str
    given_at: datetime
    probability: float = 1.0
    alternatives: tuple[tuple[str, float], ...] = ()


class ListOutcome(StrEnum):
    """What became of one line of a list of numbers and areas.

    NAMED: given to the only block without a number in that area. KEPT: a block in that area has it
    already. AMBIGUOUS: several blocks, or several numbers of the list, so that a person has to say. EMPTY: no
    block without a number stands there. ELSEWHERE: a block in another area has it.
    """

    NAMED = "named"
    KEPT = "kept"
    AMBIGUOUS = "ambiguous"
    EMPTY = "empty"
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True)
class ListedName:
    """One line of a list, and what became of it; `candidates` are the tracks that may be meant."""

    name: str
    area: str
    outcome: ListOutcome
    track_id: str | None = None
    candidates: tuple[str, ...] = ()


class BlockNames:
    """The numbers of one bay's blocks.

    Args:
        history: of the bay.
        bay_id: the bay.
    """

    def __init__(self, history: History, bay_id: str) -> None:
        self._history = history
        self._bay_id = bay_id

    def held(self) -> list[BlockName]:
        """Every number that a block holds, in order of the numbers."""
        return [self._with_doubts(name, review, track) for name, (review, track) in sorted(self._given().items())]

    def find(self, name: str) -> BlockName:
        """The block of a number.

        Raises:
            HistoryError: no block of the bay has it.
        """
        given = self._given().get(name)
        if given is None:
            raise HistoryError(
                f"no block of bay {self._bay_id} is called {name!r}:"
                f" `bay-observation history names {self._bay_id}` lists those that have a number"
            )
        return self._with_doubts(name, *given)

    def give(self, track_id: str, name: str, author: str, *, move: bool = False) -> BlockName:
        """Give a number to a block that stands in the bay, in place of one that it had.

        Args:
            track_id: whose it is to be.
            name: letters, digits and `. - _`, at most 32.
            author: who says so.
            move: whether it may be taken from another block.

        Raises:
            ConfigError: it is no such name.
            HistoryError: no such block stands in the bay, or another block has the number.
        """
        if NAME.fullmatch(name) is None:
            raise ConfigError(f"block number {name!r}: use letters, digits and . - _ only, 32 at most")
        stay = self._history.where(self._bay_id, track_id)
        if stay is None:
            raise HistoryError(f"{track_id} does not stand in bay {self._bay_id} now: only a block that does is named")
        slot = self._history.newest_slot(self._bay_id)
        _, holder = self._given().get(name, (None, None))
        if holder not in (None, track_id):
            if not move:
                raise HistoryError(
                    f"{name} is the number of {holder}: take it from there first (--take {name}), or say that it moves"
                    " (--move)"
                )
            self._take(str(holder), slot, author)
        if holder != track_id:
            self._say(stay, slot, name, author)
        return self.find(name)

    def take(self, name: str, author: str) -> None:
        """Take a number from its block.

        Raises:
            HistoryError: no block of the bay has it.
        """
        self._take(self.find(name).track_id, self._history.newest_slot(self._bay_id), author)

    def give_list(self, bay: BayConfig, text: str, author: str) -> list[ListedName]:
        """Give the numbers of a list, where it is clear which block is meant.

        Args:
            bay: the bay.
            text: CSV with the columns `number` and `area`.
            author: who says so.

        Returns:
            Each line with its outcome; nothing is guessed.

        Raises:
            ConfigError: it is no such list; nothing is given.
            HistoryError: the bay has no such area; nothing is given.
        """
        wanted = _read_list(text)
        within = {area: set(nested_areas(bay, area)) for _, area in wanted}
        standing = self._history.standing(self._bay_id)
        holders = {one.name: one.track_id for one in self.held()}
        area_of = {stay.track_id: stay.area for stay in standing}
        unnamed = [stay for stay in standing if stay.track_id not in holders.values()]
        open_lines = Counter(area for name, area in wanted if name not in holders)
        result = []
        for name, area in wanted:
            candidates = tuple(stay.track_id for stay in unnamed if stay.area in within[area])
            if name in holders:
                kept = area_of.get(holders[name]) in within[area]
                outcome = ListOutcome.KEPT if kept else ListOutcome.ELSEWHERE
                result.append(ListedName(name, area, outcome, holders[name]))
            elif not candidates:
                result.append(ListedName(name, area, ListOutcome.EMPTY))
            elif (
                len(candidates) > 1
                or open_lines[area] > 1
                or _is_contested(candidates[0], area, open_lines, within, area_of)
            ):
                result.append(ListedName(name, area, ListOutcome.AMBIGUOUS, None, candidates))
            else:
                result.append(ListedName(name, area, ListOutcome.NAMED, candidates[0]))
        for one in result:
            if one.outcome is ListOutcome.NAMED and one.track_id is not None:
                self.give(one.track_id, one.name, author)
        return result

    # -- what was said -----------------------------------------------------------------------------

    def _given(self) -> dict[str, tuple[Review, str]]:
        """The review that gave each number, and the track that it is about by now, by number.

        Of two tracks with one number the later review counts. Where a person said that another track
        continues the block, the one that stands in the bay has the number.
        """
        found = reviews_of(self._history, self._bay_id)
        latest = {review.track_id: review for review in found if review.kind is ReviewKind.NAME}
        said = corrections(found)
        given = {review.value: review for review in sorted(latest.values(), key=_when) if review.value}
        return {name: (review, self._goes_on(review.track_id, said)) for name, review in given.items()}

    def _goes_on(self, track_id: str, said: Corrections) -> str:
        block = said.block(track_id)
        later = [other for other in said.same if other != track_id and said.block(other) == block]
        standing = [one for one in (track_id, *later) if self._history.where(self._bay_id, one) is not None]
        return standing[-1] if later and standing else track_id

    def _say(self, stay: Stay, at: datetime, name: str, author: str) -> None:
        place = place_of([stay], at)
        review = Review(
            review_id=secrets.token_hex(16),
            bay_id=self._bay_id,
            made_at=datetime.now(UTC),
            author=author[:_LONGEST_AUTHOR],
            kind=ReviewKind.NAME,
            track_id=stay.track_id,
            at=at,
            value=name,
            places={} if place is None else {stay.track_id: place},
        )
        add_review(self._history, review)

    def _take(self, track_id: str, at: datetime, author: str) -> None:
        stays = [stay for stay in self._history.stays(self._bay_id, track_id) if stay.since <= at]
        if stays:
            self._say(stays[-1], at, "", author)

    def _with_doubts(self, name: str, review: Review, track_id: str) -> BlockName:
        after = sa.and_(events.c.bay_id == self._bay_id, events.c.slot > review.at, events.c.kind.in_(_IDENTIFYING))
        named = events.c.details.contains(f'"{track_id}"', autoescape=True)
        asked = sa.select(events.c.track_id, events.c.details).where(
            after, sa.or_(events.c.track_id == track_id, named)
        )
        with self._history.database.reading() as connection:
            found = [(of, json.loads(details or "{}")) for of, details in connection.execute(asked)]
        certainty = math.prod(float(details.get("probability", 1.0)) for of, details in found if of == track_id)
        others: dict[str, float] = {}
        for of, details in found:
            share = dict(details.get("alternatives", ())).get(track_id, 0.0)
            if of != track_id and share:
                others[of] = max(others.get(of, 0.0), float(share))
        likeliest = tuple(sorted(others.items(), key=lambda one: (-one[1], one[0])))
        return BlockName(name, track_id, review.at, review.author, review.made_at, round(certainty, 3), likeliest)


def _when(review: Review) -> tuple[datetime, str]:
    return review.made_at, review.review_id


def _is_contested(
    track_id: str,
    area: str,
    open_lines: Mapping[str, int],
    within: Mapping[str, set[str]],
    area_of: Mapping[str, str],
) -> bool:
    """Whether a line of the list for another area, one around or within this one, may mean the same block."""
    return any(other != area and area_of[track_id] in within[other] for other in open_lines)


def _read_list(text: str) -> list[tuple[str, str]]:
    """(number, area) of each line.

    Raises:
        ConfigError: a column lacks, a number is none or stands there twice, or it is too long.
    """
    try:
        lines = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    except csv.Error as error:
        raise ConfigError(f"the list is no CSV that can be read: {error}") from error
    if len(lines) > _LONGEST_LIST:
        raise ConfigError(f"the list has {len(lines)} lines: {_LONGEST_LIST} at most")
    wanted = []
    for number, line in enumerate(lines, start=2):
        values = {(key or "").strip().lower(): (value or "") for key, value in line.items() if isinstance(value, str)}
        if missing := [column for column in _COLUMNS if not values.get(column, "").strip()]:
            raise ConfigError(
                f"line {number} of the list has no {missing[0]}: its first line names {', '.join(_COLUMNS)}"
            )
        name, area = (values[column].strip() for column in _COLUMNS)
        if NAME.fullmatch(name) is None:
            raise ConfigError(f"line {number} of the list: {name!r} is no block number: letters, digits and . - _ only")
        wanted.append((name, area))
    twice = [name for name, count in Counter(name for name, _ in wanted).items() if count > 1]
    if twice:
        raise ConfigError(f"the list has {', '.join(sorted(twice))} twice: a number is one block's")
    return wanted
