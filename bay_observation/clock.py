"""Which clock says whether a slot may be captured: the real one, or the slots themselves.

A simulated day or a stored one runs whenever someone starts it: there each slot counts as
now (`CLOCK=slot`). Production refuses that: a storage with the marker is a yard's.
"""

from bay_observation import settings
from bay_observation.errors import ConfigError


def every_slot_is_now() -> bool:
    """Whether this process runs a simulated or stored day.

    Raises:
        ConfigError: it is said of a production's storage.
    """
    simulated = settings.CLOCK.read() == "slot"
    if simulated and settings.STORE_MARKER.read():
        raise ConfigError("CLOCK=slot is for demo, lab and backtest: with STORE_MARKER=required leave it unset")
    return simulated
