"""How the tracker decides: the `tracking` keys of the bay's YAML file, or other values for a trial."""

from bays import TrackerParameters

__all__ = ["TrackerParameters"]
