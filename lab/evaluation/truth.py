"""What evaluation asks of a truth: the simulated yard fulfils it, and so may a surveyed one."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from shapely import Polygon


class TruthBlock(Protocol):
    """A block as it really stands: footprint and height in metres, floor frame."""

    @property
    def block_id(self) -> str:
        """Of one block for good."""

    @property
    def class_name(self) -> str:
        """`panel`, `block` or `HP_block`."""

    @property
    def footprint(self) -> Polygon:
        """Outline on the floor, metres."""

    @property
    def height_m(self) -> float:
        """Top above the floor, metres."""

    @property
    def area(self) -> str | None:
        """Name of the area it stands in; None outside of every area."""

    @property
    def stage(self) -> str | None:
        """Assembly stage."""

    @property
    def work(self) -> Mapping[str, int]:
        """Equipment on it, counted by class."""


class TruthEvent(Protocol):
    """Something that really happened, at any moment between two slots."""

    @property
    def kind(self) -> str:
        """`appeared`, `moved`, `stage_changed`, `work_started`, `work_stopped` or `exited`."""

    @property
    def block_id(self) -> str:
        """To whom."""

    @property
    def time(self) -> datetime:
        """When (aware)."""

    @property
    def from_area(self) -> str | None:
        """Where it stood before."""

    @property
    def to_area(self) -> str | None:
        """Where it stands since."""
