"""Truth against result: how right the floor plan and the tracks are."""

from lab.evaluation.day import DayReport, Sighting, compare_day
from lab.evaluation.events import EventComparison, EventScore, Verdict, compare_events
from lab.evaluation.floor import FloorMatch, FloorScore, score_floor
from lab.evaluation.tracks import Frame, HotaScore, IdentitySwitch, TrackScore, frame_of, hota, idf1, score_tracks
from lab.evaluation.truth import TruthBlock, TruthEvent

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
