"""From frames that failed to cameras that are down.

One failed frame is a busy camera or a lost packet. A camera is *down* once it failed in
`down_after` slots in a row, and *up* again with its next frame. Slots without a capture
(outside of the operating hours, an observer that was away) do not count: they neither end
a row of failures nor lengthen it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from tracking.history.types import Batch, CameraChange, CameraChangeKind

DOWN_AFTER = 3
"""Failures in a row that make an outage, by default: half an hour."""


@dataclass
class _Row:
    since: datetime
    count: int = 0


def camera_changes(batches: Iterable[Batch], down_after: int = DOWN_AFTER) -> list[CameraChange]:
    """Outages that begin and end within batches of one bay.

    Pure, and the same whether batches come one by one or all at once, as long as the
    first of them reaches back `down_after` captures before the slot that is asked about.

    Args:
        batches: in slot order; of every slot with a capture.
        down_after: failures in a row that make an outage.

    Returns:
        In order of slot, then of the camera's name.
    """
    changes: list[CameraChange] = []
    rows: dict[str, _Row] = {}
    for batch in batches:
        for camera in sorted({*batch.cameras, *batch.failures}):
            if camera in batch.failures:
                row = rows.setdefault(camera, _Row(batch.slot))
                row.count += 1
                if row.count == down_after:
                    changes.append(
                        CameraChange(CameraChangeKind.DOWN, camera, row.since, batch.slot, batch.failures[camera])
                    )
            elif (ended := rows.pop(camera, None)) is not None and ended.count >= down_after:
                changes.append(CameraChange(CameraChangeKind.UP, camera, batch.slot, batch.slot))
    return changes
