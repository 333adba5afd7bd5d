"""Two tracks that turn out to be one block, several that become one, and one that becomes several."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from tracking.evidence import reading, vote
from tracking.forms import joined_form, known_forms
from tracking.matching import cover
from tracking.model import Model
from tracking.outline import Outline
from tracking.parameters import TrackerParameters
from tracking.types import Shape, Sighting, Streak, Track, TrackStatus

_SIGMAS = 3.0  # by which the plan of a block may be measured otherwise with another upon it


def joined(
    before: Track,
    after: Track,
    parameters: TrackerParameters,
    *,
    same_place: bool,
    bad_view: bool = False,
    reshaped: bool = False,
) -> Track:
    """The track that goes on: the identity of `before`, all that was seen since of `after`.

    Its stage stays until the readings since are believed, like any other, and so does its work.
    A bad view, the one of the two that was seen less often, changes neither its outline nor its form.
    """
    stage, streaks = before.stage or after.stage, after.stage_streaks
    working, work = before.working if before.working is not None else after.working, after.work_streaks
    if after.hits <= len(after.recent) and not reshaped:
        streaks = _voted(before, after, before.stage_streaks, stage, lambda one: one.stage)
        work = _voted(before, after, before.work_streaks, reading(working), lambda one: reading(one.working))
    elif after.stage is not None and after.stage != stage:
        readings = after.stage_readings
        streaks = (Streak(after.stage, readings, float(readings), after.standing_since, before.last_seen),)
    if after.hits > len(after.recent) and after.working is not None and after.working != working:
        value = reading(after.working) or ""
        work = (Streak(value, after.hits, float(after.hits), after.standing_since, before.last_seen),)
    form, recent, paint = (
        (after.form, after.recent, after.paint if after.stage == stage else {})
        if reshaped
        else joined_form(before, after, parameters, moved=not same_place)
    )
    track = replace(
        after,
        track_id=before.track_id,
        status=TrackStatus.PRESENT,
        class_name=after.class_name if reshaped else before.class_name,
        stage=stage,
        stage_streaks=streaks,
        stage_readings=max(before.stage_readings, after.stage_readings),
        working=working,
        work_streaks=work,
        first_seen=before.first_seen,
        hits=before.hits + after.hits,
        gaps=before.gaps + after.gaps,
        initial=before.initial,
        not_before=before.last_seen,
        doubts=None,
        former=Shape(Outline(before.footprint, before.height_m, before.position_std_m), after.standing_since),
        form=form,
        recent=recent,
        paint=paint,
    )
    if bad_view and before.hits < after.hits:
        return replace(track, form=after.form, recent=after.recent)
    if bad_view:
        return replace(
            track,
            footprint=before.footprint,
            height_m=before.height_m,
            position_std_m=before.position_std_m,
            form=before.form,
            recent=before.recent,
            paint=before.paint,
        )
    return track


def _voted(
    before: Track,
    after: Track,
    streaks: tuple[Streak, ...],
    believed: str | None,
    value: Callable[[Sighting], str | None],
) -> tuple[Streak, ...]:
    """What speaks against what was believed of `before`, with every sighting of `after`."""
    last = before.last_seen
    for one in after.recent:
        streaks = vote(streaks, believed, value(one), float(one.stage_confidence) or 1.0, one.slot, after=last)
        last = one.slot
    return streaks


def places_of(before: Track, after: Track) -> dict[str, str | None]:
    """Areas and stages of an event of a block that goes on."""
    return {
        "from_area": before.area,
        "to_area": after.area,
        "from_stage": before.stage,
        "to_stage": before.stage,
    }


def merged_into(begin: Track, others: Sequence[Track], model: Model) -> tuple[Track | None, list[Track]]:
    """The track that goes on in a new outline because others were joined to it, and these.

    Side by side: the new outline covers them all. One upon the other: it covers one, and is higher
    by another's height. Only tracks that are gone from their place take part.
    """
    gone = [one for one in others if one.status in (TrackStatus.MISSED, TrackStatus.LEAVING)]
    gone = [one for one in gone if _together(one.missed_since, begin.standing_since, model)]
    under = [one for one in gone if cover(begin.footprint, one.footprint) >= model.parameters.covered_share]
    if not under:
        return None, []
    host = max(under, key=lambda one: (one.footprint.area, one.track_id))
    # Blocks that are joined stood beside each other; one that stands where the other stood has taken its place.
    shared = model.parameters.max_shared_floor
    parts = [one for one in under if one is not host and cover(host.footprint, one.footprint) <= shared]
    if len(parts) < len(under) - 1:
        return None, []
    if not parts:
        parts = [
            one
            for one in gone
            if one is not host and _stacked(begin.height_m - host.height_m, one, host, model.parameters)
        ]
        parts = parts[:1] if _same_plan(host, begin, model) else []
    return (host, parts) if parts else (None, [])


def set_apart(
    begin: Track,
    gone: Sequence[Track],
    present: Sequence[Track],
    model: Model,
    *,
    lifted: Mapping[str, str],
) -> tuple[Track, Track] | None:
    """The block that a new one was a part of until now, and the track in which its other part goes on.

    Side by side: the former outline covers both parts. One upon the other: the new one is as high
    as the former block is lower now. Where the begin itself is the larger part, it is returned as that.
    A track that another block was lifted to (`lifted`: id of that one by id of the track) is no part.
    """
    for whole in gone:
        if whole.status not in (TrackStatus.MISSED, TrackStatus.LEAVING):
            continue
        if not _together(whole.missed_since, begin.standing_since, model):
            continue
        for rest in present:
            if rest.first_seen <= whole.last_seen or lifted.get(rest.track_id, whole.track_id) != whole.track_id:
                continue
            if not _together(rest.standing_since, begin.standing_since, model):
                continue
            if cover(whole.footprint, rest.footprint) < model.parameters.covered_share:
                continue
            beside = cover(whole.footprint, begin.footprint) >= model.parameters.covered_share
            upon = _stacked(whole.height_m - rest.height_m, begin, whole, model.parameters)
            if beside or (upon and _same_plan(whole, rest, model)):
                larger = max(rest, begin, key=lambda one: (one.footprint.area, one.track_id)) if beside else rest
                return whole, larger
    return None


def _stacked(rise_m: float, part: Track, whole: Track, parameters: TrackerParameters) -> bool:
    """Whether a block as high as that rise, and no larger than the other, may lie upon it."""
    allowed = parameters.same_height_m + parameters.same_height_share * part.height_m
    fits = part.footprint.area <= parameters.same_side_ratio * whole.footprint.area
    return bool(fits and rise_m > parameters.same_height_m and abs(rise_m - part.height_m) <= allowed)


def _same_plan(known: Track, seen: Track, model: Model) -> bool:
    """Whether centre and sides are the same, as exactly as they are measured."""
    return float(model.plan_deviation(known_forms([known]), known_forms([seen]))[0]) <= _SIGMAS


def _together(first: datetime | None, second: datetime | None, model: Model) -> bool:
    if first is None or second is None:
        return False
    earlier, later = sorted([first, second])
    return 60 * model.hours(earlier, later) <= model.parameters.together_minutes
