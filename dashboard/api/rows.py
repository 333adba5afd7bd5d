"""From the history's types to those of the API."""

from collections.abc import Sequence
from hashlib import sha256
from itertools import pairwise
from typing import Any

import numpy as np
import shapely
from shapely import Polygon

from dashboard.api.models import Ring
from tracking.history import HistoryEvent, Stay
from tracking.history.reviews import JUDGEMENTS, Corrections, Review, corrections

NOTHING = corrections(())
"""Where people corrected nothing."""
_DECIMALS = 2  # centimetres


def stay_rows(stays: Sequence[Stay], corrected: Corrections = NOTHING) -> list[dict[str, Any]]:
    """The values of `BlockStay`s: stays with their outlines, to the centimetre, and what people corrected.

    A floor has five hundred: to make a model of each takes as long as all the rest of the answer.
    """
    outlines = _rings([stay.footprint for stay in stays])
    return [
        {
            "track_id": stay.track_id,
            "since": stay.since,
            "until": stay.until,
            "standing_since": stay.standing_since,
            "last_seen": stay.last_seen,
            "sightings": stay.sightings,
            "status": stay.status,
            "class_name": stay.class_name,
            "area": stay.area,
            "stage": (given := corrected.stage(stay)) or stay.stage,
            "height_m": round(stay.height_m, _DECIMALS),
            "position_std_m": round(stay.position_std_m, 3),
            "confidence": round(stay.confidence, 3),
            "footprint": outline,
            "name": corrected.name(stay.track_id),
            "continues": corrected.same.get(stay.track_id),
            "seen_stage": stay.stage if given else None,
        }
        for stay, outline in zip(stays, outlines, strict=True)
    ]


def unjudged_rows(bay_id: str, found: Sequence[HistoryEvent]) -> list[dict[str, Any]]:
    """The values of `BlockEvent`s of which nobody has said anything.

    A busy day has three thousand: to make a model of each, or to call a function, takes longer than all the rest.
    """
    times = {time: time.isoformat() for time in {event.time for event in found}}
    rows = []
    for slot, kind, track_id, time, from_area, to_area, from_stage, to_stage, others, details in found:
        between = "".join([f"\x1f{other}" for other in others]) if others else ""
        # What happened to which block when. The slot that made it certain does not count.
        identity = (
            f"{bay_id}\x1f{kind}\x1f{track_id}\x1f{times[time]}\x1f{from_area or ''}"
            f"\x1f{to_area or ''}\x1f{from_stage or ''}\x1f{to_stage or ''}{between}"
        )
        rows.append(
            {
                "key": sha256(identity.encode()).hexdigest()[:24],
                "slot": slot,
                "time": time,
                "kind": kind,
                "track_id": track_id,
                "from_area": from_area,
                "to_area": to_area,
                "from_stage": from_stage,
                "to_stage": to_stage,
                "others": others,
                "details": details,
                "name": None,
                "judgement": None,
                "comments": 0,
            }
        )
    return rows


def judgement_of(said: Sequence[Review]) -> dict[str, Any]:
    """The values of a `BlockEvent` by what people said of it, in the order in which they did."""
    judged = [review.kind for review in said if review.kind in JUDGEMENTS]
    return {
        "judgement": judged[-1].value if judged else None,
        "comments": sum(1 for review in said if review.comment),
    }


def rings_of(shape: shapely.Geometry) -> list[list[Ring]]:
    """The polygons of a shape, each as its outer ring and then its holes; rings are not closed."""
    polygons = [part for part in getattr(shape, "geoms", [shape]) if isinstance(part, Polygon) and not part.is_empty]
    return [[_ring(ring.coords) for ring in (polygon.exterior, *polygon.interiors)] for polygon in polygons]


def _rings(polygons: Sequence[Polygon]) -> list[Ring]:
    """Outer rings of many polygons, read in one go."""
    if not polygons:
        return []
    rings = shapely.get_exterior_ring(np.array(polygons, dtype=object))
    coordinates, owners = shapely.get_coordinates(rings, return_index=True)
    cuts = np.searchsorted(owners, np.arange(len(polygons) + 1))
    values = coordinates.round(_DECIMALS).tolist()
    return [[tuple(point) for point in values[begin : end - 1]] for begin, end in pairwise(cuts)]


def _ring(coordinates: object) -> Ring:
    points = np.asarray(coordinates, dtype=float)[:-1, :2].round(_DECIMALS).tolist()
    return [(x, y) for x, y in points]
