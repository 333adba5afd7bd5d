"""For how long a slot may be captured: a live camera shows what is there now, not what was there then."""

from datetime import UTC, datetime, timedelta

from croniter import croniter

from bays.models import BayConfig
from bays.provider_configs import PROVIDER_CONFIGS, LiveConfig

EARLY = timedelta(seconds=5)
"""A slot may be captured so long before its time: clocks are read to the second."""

_WITHOUT_SCHEDULE = timedelta(minutes=10)


def capture_window(bay: BayConfig, slot: datetime) -> timedelta | None:
    """How long after its (aware) slot a capture may begin: `capture_window`, else half the schedule's period.

    Returns:
        None where the bay's provider reads stored frames, which are of their slot whenever they are read.
    """
    if not _is_live(bay.image_provider):
        return None
    if bay.capture_window is not None:
        return timedelta(seconds=bay.capture_window)
    return _period(bay, slot) / 2


def outside_window(bay: BayConfig, slot: datetime, now: datetime) -> str | None:
    """Why no camera of a bay may be asked for a slot at a time, in words; None where they may.

    Args:
        bay: the bay.
        slot: the slot (aware).
        now: the time (aware), by the clock of the main server.
    """
    window = capture_window(bay, slot)
    if window is None or slot - EARLY <= now <= slot + window:
        return None
    asked = f"it is {_clock(now)}, and slot {_clock(slot)} may be captured"
    if now < slot:
        return f"before its time: {asked} from then on"
    return f"too late: {asked} until {_clock(slot + window)} (capture_window {window.total_seconds():g} s)"


def _period(bay: BayConfig, slot: datetime) -> timedelta:
    """Time between the scheduled slot at or before this one and the next."""
    if bay.schedule.observation is None:
        return _WITHOUT_SCHEDULE
    slots = croniter(bay.schedule.observation, slot.astimezone(UTC) + timedelta(seconds=1), ret_type=datetime)
    before: datetime = slots.get_prev()
    after: datetime = slots.get_next()
    return after - before


def _is_live(provider: str) -> bool:
    """Whether a provider asks cameras; one that is registered by others does, as far as is known."""
    config = PROVIDER_CONFIGS.get(provider)
    return config is None or issubclass(config, LiveConfig)


def _clock(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
