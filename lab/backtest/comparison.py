"""Two tellings of the same slots, the live one and a trial's: where they differ."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import mean
from typing import Any

from lab.evaluation.overlap import iou_matrix, pair_up
from tracking.types import Track, TrackEvent, TrackingResult

_SAME_BLOCK_IOU = 0.3
_TOLERANCE = timedelta(minutes=10)

Results = Mapping[datetime, TrackingResult]


@dataclass(frozen=True)
class SlotCount:
    """Blocks that stand, in one slot; None where there was no such slot."""

    slot: datetime
    live: int | None
    trial: int | None


@dataclass(frozen=True)
class PositionDifference:
    """One block in both: how far apart its centres are, metres, over the slots that both have it."""

    live: str
    trial: str
    slots: int
    mean_m: float
    largest_m: float
    other_area: int
    other_stage: int


@dataclass(frozen=True)
class EventDifference:
    """An event that only one of the two has."""

    only: str
    event: TrackEvent


@dataclass(frozen=True)
class Comparison:
    """Where live and trial differ.

    Attributes:
        slots: blocks per slot.
        positions: every pair of tracks that are one block, the furthest apart first.
        only_live, only_trial: tracks that stand in one of the two and are nowhere in the other.
        split: live tracks that are several in the trial.
        joined: trial tracks that are several live ones.
        events_of_both: events that are the same, but for one slot at most.
        events: the others, in order of time.
    """

    slots: tuple[SlotCount, ...]
    positions: tuple[PositionDifference, ...]
    only_live: tuple[str, ...]
    only_trial: tuple[str, ...]
    split: dict[str, tuple[str, ...]]
    joined: dict[str, tuple[str, ...]]
    events_of_both: int
    events: tuple[EventDifference, ...]

    @property
    def same(self) -> bool:
        """Whether there is no difference but centimetres."""
        lost = self.only_live or self.only_trial or self.split or self.joined or self.events
        return not lost and all(count.live == count.trial for count in self.slots)

    def to_dict(self) -> dict[str, Any]:
        """For JSON; times are ISO 8601 in UTC."""
        return {
            "same": self.same,
            "slots": [
                {"slot": count.slot.isoformat(), "live": count.live, "trial": count.trial} for count in self.slots
            ],
            "positions": [vars(each) for each in self.positions],
            "only_live": list(self.only_live),
            "only_trial": list(self.only_trial),
            "split": {track: list(others) for track, others in self.split.items()},
            "joined": {track: list(others) for track, others in self.joined.items()},
            "events_of_both": self.events_of_both,
            "events": [{"only": each.only, **_plain(each.event)} for each in self.events],
        }


def compare(live: Results, trial: Results) -> Comparison:
    """Compare two runs over the same time, slot by slot.

    Tracks are one block where their footprints overlap (IoU 0.3, one to one in each slot),
    whatever their ids are. Events are the same if kind, block, area and stage are, and
    their times are a slot apart at most.

    Args:
        live: results by slot.
        trial: likewise.
    """
    pairs: dict[tuple[str, str], list[tuple[Track, Track]]] = defaultdict(list)
    alone: dict[str, set[str]] = {"live": set(), "trial": set()}
    shared = sorted(live.keys() & trial.keys())
    for slot in shared:
        first, second = _standing(live[slot]), _standing(trial[slot])
        matched = pair_up(iou_matrix([t.footprint for t in first], [t.footprint for t in second]), _SAME_BLOCK_IOU)
        for row, column in matched:
            pairs[first[row].track_id, second[column].track_id].append((first[row], second[column]))
        alone["live"] |= {track.track_id for track in first}
        alone["trial"] |= {track.track_id for track in second}
    partners = {"live": _partners(pairs), "trial": _partners((trial, live) for live, trial in pairs)}
    same, different = _compare_events(_events(live, shared), _events(trial, shared), partners["live"])
    return Comparison(
        slots=tuple(
            SlotCount(slot, _count(live.get(slot)), _count(trial.get(slot)))
            for slot in sorted(live.keys() | trial.keys())
        ),
        positions=tuple(
            sorted((_difference(*ids, both) for ids, both in pairs.items()), key=lambda each: -each.largest_m)
        ),
        only_live=tuple(sorted(alone["live"] - partners["live"].keys())),
        only_trial=tuple(sorted(alone["trial"] - partners["trial"].keys())),
        split={track: others for track, others in partners["live"].items() if len(others) > 1},
        joined={track: others for track, others in partners["trial"].items() if len(others) > 1},
        events_of_both=same,
        events=tuple(different),
    )


def _standing(result: TrackingResult) -> list[Track]:
    return [track for track in result.tracks if track.on_floor]


def _count(result: TrackingResult | None) -> int | None:
    return None if result is None else len(_standing(result))


def _partners(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = defaultdict(list)
    for first, second in pairs:
        found[first].append(second)
    return {track: tuple(sorted(others)) for track, others in sorted(found.items())}


def _difference(live: str, trial: str, both: Sequence[tuple[Track, Track]]) -> PositionDifference:
    apart = [first.footprint.centroid.distance(second.footprint.centroid) for first, second in both]
    return PositionDifference(
        live,
        trial,
        len(both),
        mean(apart),
        max(apart),
        sum(first.area != second.area for first, second in both),
        sum(first.stage != second.stage for first, second in both),
    )


def _events(results: Results, slots: Iterable[datetime]) -> list[TrackEvent]:
    return [event for slot in slots for event in results[slot].events]


def _compare_events(
    live: Sequence[TrackEvent], trial: Sequence[TrackEvent], partners: Mapping[str, tuple[str, ...]]
) -> tuple[int, list[EventDifference]]:
    left, missing = list(trial), []
    for event in live:
        blocks = partners.get(event.track_id, (event.track_id,))
        same = next((other for other in left if other.track_id in blocks and _is_same(event, other)), None)
        if same is None:
            missing.append(EventDifference("live", event))
        else:
            left.remove(same)
    different = [*missing, *(EventDifference("trial", event) for event in left)]
    return len(live) - len(missing), sorted(different, key=lambda each: (each.event.time, each.event.track_id))


def _is_same(first: TrackEvent, second: TrackEvent) -> bool:
    return (
        first.kind == second.kind
        and (first.to_area, first.to_stage) == (second.to_area, second.to_stage)
        and abs(first.time - second.time) <= _TOLERANCE
    )


def _plain(event: TrackEvent) -> dict[str, Any]:
    values = {name: getattr(event, name) for name in event.__dataclass_fields__}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}


def counted(events: Iterable[EventDifference]) -> dict[str, int]:
    """How many events only one of the two has, as `live moved`."""
    return dict(sorted(Counter(f"{each.only} {each.event.kind}" for each in events).items()))
