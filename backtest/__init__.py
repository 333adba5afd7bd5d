"""A stored day, run again with other parameters beside the live history, and the two compared."""

from backtest.comparison import Comparison, EventDifference, PositionDifference, compare
from backtest.frames import Exported, export_frames, stored_slots
from backtest.trial import Trial

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
