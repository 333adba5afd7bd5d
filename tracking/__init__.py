"""What the floor shows becomes tracks and events over time."""

from tracking.parameters import TrackerParameters
from tracking.slot_order import replay
from tracking.tracker import Tracker
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
]
