"""The names that follow from a bay's id (용어 정의, chapter 0 of the specification).

The work is called observation, fusion, tracking; who does it is called observer
and processor. Names are made here and nowhere else.
"""

import re
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from typing import Literal

from bay_observation.errors import ConfigError

TaskType = Literal["observation", "fusion", "tracking"]

BAY_ID = re.compile(r"[a-z0-9][a-z0-9_]{0,47}")
_BATCH_ID = re.compile(rf"(?P<bay>{BAY_ID.pattern})_(?P<slot>\d{{8}}-\d{{6}})")
# Years in which another zone's time may lie outside of the calendar.
_EDGES = (MINYEAR, MAXYEAR)
_SLOT_FORMAT = "%Y%m%d-%H%M%S"


def dag_id(task_type: TaskType, bay_id: str) -> str:
    """`observation_3bay_north_dag`."""
    return f"{task_type}_{bay_id}_dag"


def observer_queue(bay_id: str) -> str:
    """Celery and triggerer queue of the hosts inside the bay's camera network."""
    return f"obs_{bay_id}"


def processor_queue(bay_id: str) -> str:
    """Celery queue of the central hosts that fuse and track this bay."""
    return f"proc_{bay_id}"


def observer_name(bay_id: str) -> str:
    """Name of the bay's observer worker (관측 워커)."""
    return f"observer-{bay_id}"


def processor_name(bay_id: str) -> str:
    """Name of the bay's processor worker (fusion and tracking)."""
    return f"processor-{bay_id}"


def tracking_asset_uri(bay_id: str) -> str:
    """URI, and name, of the Airflow asset that stands for the bay's events (see `docs/events.md`)."""
    return f"tracking://{bay_id}"


def onvif_connection_id(bay_id: str) -> str:
    """Airflow Connection that holds login and password of the bay's cameras."""
    return f"onvif_{bay_id}"


def batch_id(bay_id: str, slot: datetime) -> str:
    """Name of one slot's batch: `3bay_north_20250702-161000`, the slot in UTC.

    Raises:
        ConfigError: `slot` is naive, so that its instant is not known; or in the calendar's first or last year.
    """
    if slot.tzinfo is None:
        raise ConfigError(f"slot {slot.isoformat()} of bay {bay_id} has no time zone: pass an aware datetime")
    if slot.year in _EDGES:
        raise ConfigError(f"slot {slot.isoformat()} of bay {bay_id}: the calendar ends there")
    return f"{bay_id}_{slot.astimezone(UTC).strftime(_SLOT_FORMAT)}"


def slot_of(batch_id: str) -> datetime:
    """The slot (aware, UTC) that a batch id names.

    Raises:
        ConfigError: the text is no batch id.
    """
    match = _BATCH_ID.fullmatch(batch_id)
    try:
        if match is None:
            raise ValueError("it does not read {bay_id}_{YYYYmmdd-HHMMSS}")
        slot = datetime.strptime(match["slot"], _SLOT_FORMAT).replace(tzinfo=UTC)
        if slot.year in _EDGES:
            raise ValueError("the calendar ends there")
        return slot
    except ValueError as error:
        raise ConfigError(f"{batch_id!r} is no batch id: {error}") from error
