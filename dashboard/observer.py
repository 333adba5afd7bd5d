"""What observers leave on the store about their cameras and themselves, put together for a bay."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from bay_observation.errors import BayObservationError
from bays import BayConfig
from capture_async.health import read_health
from capture_async.observer_note import ObserverNote, read_brightness, read_observer_note
from capture_async.probe import CLOCK_TOLERANCE_S, advice_for
from capture_async.types import FailureReason

__all__ = ["CameraFacts", "ObserverNote", "facts_of"]

Found = TypeVar("Found")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CameraFacts:
    """What is known of a camera besides its frames and failures; None is what nobody said.

    Attributes:
        provider: the bay's `image_provider`.
        detail: the latest failure's sentence.
        latency_s, median_latency_s: seconds that its latest frame took, and the median of a day.
        brightness: mean grey of its latest frame, 0 to 255.
        dark: whether that is below the bay's `min_brightness`.
        clock_offset_s: its clock minus the observer's, seconds.
    """

    provider: str
    detail: str = ""
    latency_s: float | None = None
    median_latency_s: float | None = None
    brightness: float | None = None
    dark: bool = False
    clock_offset_s: float | None = None

    @property
    def clock_wrong(self) -> bool:
        """Whether its clock is further off than logins bear."""
        return self.clock_offset_s is not None and abs(self.clock_offset_s) > CLOCK_TOLERANCE_S

    def advice(self, reason: str) -> str:
        """What to do about a failure; empty where there is none, or one that this version does not know."""
        return advice_for(FailureReason(reason), self.provider) if reason in set(FailureReason) else ""


def facts_of(bay: BayConfig) -> tuple[dict[str, CameraFacts], ObserverNote | None]:
    """What is known of each camera of a bay, by name, and the observer's newest word; None before the first.

    What cannot be read is logged, and is not known.
    """
    # Of `DATA_PATH`: a store that is no folder has none of these.
    health = _or_none(lambda: read_health(None, bay.bay_id))
    note = _or_none(lambda: read_observer_note(None, bay.bay_id))
    bright = _or_none(lambda: read_brightness(None, bay.bay_id))
    captured = {} if health is None else {camera.camera_name: camera for camera in health.cameras}
    greys = {} if bright is None else bright.greys
    offsets = {} if note is None else note.clock_offsets
    facts = {}
    for camera in bay.cameras:
        own, grey = captured.get(camera.name), greys.get(camera.name)
        facts[camera.name] = CameraFacts(
            bay.image_provider,
            detail="" if own is None else own.detail,
            latency_s=None if own is None else own.latency_s,
            median_latency_s=None if own is None else own.median_latency_s,
            brightness=grey,
            dark=grey is not None and grey < bay.conditions.min_brightness,
            clock_offset_s=offsets.get(camera.name),
        )
    return facts, note


def _or_none(read: Callable[[], Found]) -> Found | None:
    try:
        return read()
    except (BayObservationError, OSError) as error:
        _log.warning("%s", error)
        return None
