"""Tracks, positions, events, batches and camera health in SQL: written once per slot, to be asked."""

from tracking.history.block_names import BlockName, BlockNames, ListedName, ListOutcome
from tracking.history.cameras import DOWN_AFTER, camera_changes
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
from tracking.history.writing import HistoryWriter

__all__ = [
    "DOWN_AFTER",
    "LATE_S",
    "Batch",
    "BatchOutcome",
    "BlockName",
    "BlockNames",
    "CameraChange",
    "CameraChangeKind",
    "Database",
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
    "camera_changes",
    "database_url",
    "local_day",
    "mark_notified",
    "nested_areas",
    "notices_of_slots",
    "pending_notices",
    "scheduled_slots",
]
