"""A run of slots against its truth: the floor, the identities, the events."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bays import BayConfig
from fusion.types import FusionResult
from lab.evaluation.events import EventComparison, EventScore, compare_events, score_events
from lab.evaluation.floor import NOTHING, FloorScore, percent, score_floor
from lab.evaluation.overlap import iou_matrix, pair_up
from lab.evaluation.tracks import MATCH_IOU, TrackScore, frame_of, score_tracks
from lab.evaluation.truth import TruthBlock, TruthEvent
from tracking.types import EventKind, Track, TrackingResult


@dataclass(frozen=True)
class Sighting:
    """One true block in one slot, and what the system made of it.

    Attributes:
        slot: aware, UTC.
        truth: the block as it stands.
        found: whether fusion has a block there (IoU of at least 0.5).
        iou: of the fused footprint with the true one; 0 when not found.
        centre_error_m: distance of their centres, metres; None when not found.
        track: the track on it, a move that is not certain yet among them; None when there is none.
    """

    slot: datetime
    truth: TruthBlock
    found: bool
    iou: float
    centre_error_m: float | None
    track: Track | None

    @property
    def track_id(self) -> str | None:
        """Of the track on it."""
        return self.track.track_id if self.track else None


@dataclass(frozen=True)
class DayReport:
    """All that a run can be told by.

    Attributes:
        slots: of the truth, in order.
        missing_slots: those of them that have no tracking result.
        floor: over all slots that have a fusion result.
        floor_by_slot: the same, slot by slot.
        tracks: identities over the run.
        events: counts by kind.
        comparisons: every event that happened or was reported.
        sightings: every true block in every slot with a tracking result.
    """

    slots: tuple[datetime, ...]
    missing_slots: tuple[datetime, ...]
    floor: FloorScore
    floor_by_slot: Mapping[datetime, FloorScore]
    tracks: TrackScore
    events: Mapping[EventKind, EventScore]
    comparisons: tuple[EventComparison, ...]
    sightings: tuple[Sighting, ...]

    def not_found(self) -> list[Sighting]:
        """True blocks that fusion did not see, slot by slot."""
        return [sighting for sighting in self.sightings if not sighting.found]

    def tracks_of_blocks(self) -> dict[str, list[str | None]]:
        """For each true block, its track in every slot in which it stands there, in slot order."""
        result: dict[str, list[str | None]] = {}
        for sighting in self.sightings:
            result.setdefault(sighting.truth.block_id, []).append(sighting.track_id)
        return result

    def event_rows(self) -> list[tuple[str, ...]]:
        """Lines of a table: kind, happened, found, missed, false, undecided, precision, recall, F1."""
        return [
            (
                score.kind.value,
                str(score.found + score.missed + score.undecided),
                str(score.found),
                str(score.missed),
                str(score.false),
                str(score.undecided),
                percent(score.precision),
                percent(score.recall),
                percent(score.f1),
            )
            for score in self.events.values()
        ]


def compare_day(
    truth_by_slot: Mapping[datetime, Sequence[TruthBlock]],
    fusion_by_slot: Mapping[datetime, FusionResult],
    tracking_by_slot: Mapping[datetime, TrackingResult],
    truth_events: Iterable[TruthEvent],
    bay: BayConfig | None = None,
) -> DayReport:
    """Compare a run of slots with its truth.

    Args:
        truth_by_slot: every slot of the run (aware), with the blocks that stand then.
        fusion_by_slot: by slot; slots may lack.
        tracking_by_slot: by slot; slots may lack.
        truth_events: what happened, at any moment.
        bay: where given, blocks in areas that tracking ignores are no tracks to be
            found: a block that goes there has exited, and appears when it comes back.

    Raises:
        ValueError: a result is of a slot whose truth is not given.
    """
    slots = tuple(sorted(truth_by_slot))
    unknown = sorted((fusion_by_slot.keys() | tracking_by_slot.keys()) - truth_by_slot.keys())
    if unknown:
        raise ValueError(f"no truth is given for slot {unknown[0].isoformat()}")
    floor_by_slot = {
        slot: score_floor(fusion_by_slot[slot].blocks, truth_by_slot[slot]) for slot in slots if slot in fusion_by_slot
    }
    tracked_slots = [slot for slot in slots if slot in tracking_by_slot]
    tracked_truth = [[block for block in truth_by_slot[slot] if _is_tracked(block.area, bay)] for slot in tracked_slots]
    frames = [
        frame_of(slot, truth, tracking_by_slot[slot].tracks)
        for slot, truth in zip(tracked_slots, tracked_truth, strict=True)
    ]
    matches = [frame.matches() for frame in frames]
    comparisons = compare_events(
        tracked_slots,
        [{block.block_id: block for block in truth} for truth in tracked_truth],
        _as_tracking_sees_them(truth_events, bay),
        [event for slot in tracked_slots for event in tracking_by_slot[slot].events],
        matches,
    )
    return DayReport(
        slots=slots,
        missing_slots=tuple(slot for slot in slots if slot not in tracking_by_slot),
        floor=sum(floor_by_slot.values(), NOTHING),
        floor_by_slot=floor_by_slot,
        tracks=score_tracks(frames, tracked_truth),
        events=score_events(comparisons),
        comparisons=tuple(comparisons),
        sightings=tuple(
            sighting
            for slot, truth in zip(tracked_slots, tracked_truth, strict=True)
            for sighting in _sightings(slot, truth, floor_by_slot.get(slot, NOTHING), tracking_by_slot[slot])
        ),
    )


@dataclass(frozen=True)
class _Event:
    """A true event as it looks from the areas that are tracked."""

    kind: str
    block_id: str
    time: datetime
    from_area: str | None
    to_area: str | None


def _as_tracking_sees_them(events: Iterable[TruthEvent], bay: BayConfig | None) -> Iterable[TruthEvent]:
    for event in events:
        leaves = _is_tracked(event.from_area, bay) and not _is_tracked(event.to_area, bay)
        comes = _is_tracked(event.to_area, bay) and not _is_tracked(event.from_area, bay)
        if bay is None or event.kind != EventKind.MOVED or not (leaves or comes):
            yield event
        elif leaves:
            yield _Event(EventKind.EXITED, event.block_id, event.time, event.from_area, None)
        else:
            yield _Event(EventKind.APPEARED, event.block_id, event.time, None, event.to_area)


def _is_tracked(area: str | None, bay: BayConfig | None) -> bool:
    if bay is None:
        return True
    return area is not None and bay.layout.areas[area].tracked


def _sightings(
    slot: datetime,
    truth: Sequence[TruthBlock],
    floor: FloorScore,
    result: TrackingResult,
) -> Iterable[Sighting]:
    tracks = [track for track in result.tracks if track.on_floor]
    iou = iou_matrix([block.footprint for block in truth], [track.footprint for track in tracks])
    track_on = {row: tracks[column] for row, column in pair_up(iou, MATCH_IOU)}
    fused = {match.block_id: match for match in floor.matches}
    for row, block in enumerate(truth):
        match = fused.get(block.block_id)
        yield Sighting(
            slot=slot,
            truth=block,
            found=match is not None,
            iou=match.iou if match else 0.0,
            centre_error_m=match.centre_error_m if match else None,
            track=track_on.get(row),
        )
