"""Truth against result: how right the floor plan and the tracks are."""

from evaluation.day import DayReport, Sighting, compare_day
from evaluation.events import EventComparison, EventScore, Verdict, compare_events
from evaluation.floor import FloorMatch, FloorScore, score_floor
from evaluation.tracks import Frame, HotaScore, IdentitySwitch, TrackScore, frame_of, hota, idf1, score_tracks
from evaluation.truth import TruthBlock, TruthEvent

__all__ = [
    "DayReport",
    "EventComparison",
    "EventScore",
    "FloorMatch",
    "FloorScore",
    "Frame",
    "HotaScore",
    "IdentitySwitch",
    "Sighting",
    "TrackScore",
    "TruthBlock",
    "TruthEvent",
    "Verdict",
    "compare_day",
    "compare_events",
    "frame_of",
    "hota",
    "idf1",
    "score_floor",
    "score_tracks",
]
