"""Tracks, positions, events, batches and camera health in SQL: written once per slot, to be asked."""

from tracking.history.block_names import BlockName, BlockNames, ListedName, ListOutcome
from tracking.history.cameras import DOWN_AFTER, camera_changes
from tracking.history.coverage import AsOf, Coverage, as_of, coverage, refuse_future
from tracking.history.database import Database, database_url
from tracking.history.history import History, nested_areas
from tracking.history.notifications import Notice, mark_notified, notices_of_slots, pending_notices
from tracking.history.slots import local_day, scheduled_slots
from tracking.history.types import (
    LATE_S,
    Batch,
    BatchOutcome,
    CameraChange,
    CameraChangeKind,
    Dwell,
    Gap,
    GapOutcome,
    HistoryEvent,
    Mark,
    MarkKind,
    Observed,
    Stay,
    TrackedBatch,
)
from tracking.history.use import AreaUse, Difference, area_use, differences
from tracking.history.writing import HistoryWriter

__all__ = [
    "DOWN_AFTER",
    "LATE_S",
    "AreaUse",
    "AsOf",
    "Batch",
    "BatchOutcome",
    "BlockName",
    "BlockNames",
    "CameraChange",
    "CameraChangeKind",
    "Coverage",
    "Database",
    "Difference",
    "Dwell",
    "Gap",
    "GapOutcome",
    "History",
    "HistoryEvent",
    "HistoryWriter",
    "ListOutcome",
    "ListedName",
    "Mark",
    "MarkKind",
    "Notice",
    "Observed",
    "Stay",
    "TrackedBatch",
    "area_use",
    "as_of",
    "camera_changes",
    "coverage",
    "database_url",
    "differences",
    "local_day",
    "mark_notified",
    "nested_areas",
    "notices_of_slots",
    "pending_notices",
    "refuse_future",
    "scheduled_slots",
]
