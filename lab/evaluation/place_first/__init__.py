"""The tracker of version 0.1, kept as a baseline: overlap of footprints decides first, shape second.

A copy of the product's packages as they were, with one event type for both. It is not
developed further.
"""

from lab.evaluation.place_first.tracker import Tracker
from lab.evaluation.place_first.types import TrackingResult

__all__ = ["Tracker", "TrackingResult"]
