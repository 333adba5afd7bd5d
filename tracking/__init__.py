"""What the floor shows becomes tracks and events over time.

The types and the history come without scipy; the tracker brings it at its first use.
"""

import importlib
from typing import TYPE_CHECKING, Any

from tracking.parameters import TrackerParameters
from tracking.types import (
    EventKind,
    Form,
    Rates,
    Shape,
    Sighting,
    Streak,
    Track,
    TrackerState,
    TrackEvent,
    TrackingResult,
    TrackStatus,
)

if TYPE_CHECKING:
    from tracking.slot_order import replay, track
    from tracking.tracker import Tracker

_HEAVY = {"Tracker": "tracking.tracker", "replay": "tracking.slot_order", "track": "tracking.slot_order"}

__all__ = [
    "EventKind",
    "Form",
    "Rates",
    "Shape",
    "Sighting",
    "Streak",
    "Track",
    "TrackEvent",
    "TrackStatus",
    "Tracker",
    "TrackerParameters",
    "TrackerState",
    "TrackingResult",
    "replay",
    "track",
]


def __getattr__(name: str) -> Any:
    if name in _HEAVY:
        return getattr(importlib.import_module(_HEAVY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
