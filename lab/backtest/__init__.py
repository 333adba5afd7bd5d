"""A stored day, run again with other parameters beside the live history, and the two compared."""

from lab.backtest.comparison import Comparison, EventDifference, PositionDifference, compare
from lab.backtest.frames import Exported, export_frames, stored_slots
from lab.backtest.trial import Trial

__all__ = [
    "Comparison",
    "EventDifference",
    "Exported",
    "PositionDifference",
    "Trial",
    "compare",
    "export_frames",
    "stored_slots",
]
