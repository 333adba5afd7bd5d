"""How long what a bay makes is kept: the `retention` keys of its YAML file."""

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, PlainValidator, model_validator

from bays.located import LocatedError

_LONGEST = 36_500
Forever = Literal["forever"]


def _days(value: object) -> int | Forever:
    if value == "forever":
        return "forever"
    if type(value) is int and 1 <= value <= _LONGEST:
        return value
    raise ValueError(f"write whole days from 1 to {_LONGEST}, or forever")


Kept = Annotated[int | Forever, PlainValidator(_days)]

# Each is made again from the one before it; what is kept shorter would be missed by the one after it.
_IN_ORDER = ("floor_plans", "tracks", "history")


class Retention(BaseModel):
    """Days for which each kind is kept, or `forever`. `docs/housekeeping.md` has what a year of them takes.

    Attributes:
        frames: captures, as the cameras sent them. Frames of a batch that the opening hours stopped
            go at once, whatever stands here.
        observations: what the models saw in the frames.
        floor_plans: fusion's results, from which a late batch's successors are tracked again.
        tracks: tracking's results, each with the tracker's whole state.
        history: the rows of the history; what stands now stays.
        thumbnails: small pictures of frames, on the API server's own disk.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    frames: Kept = 30
    observations: Kept = 90
    floor_plans: Kept = 400
    tracks: Kept = 400
    history: Kept = "forever"
    thumbnails: Kept = 30

    @model_validator(mode="after")
    def _nothing_outlives_what_needs_it(self) -> Self:
        for shorter, longer in pairwise(_IN_ORDER):
            if self.days(shorter) > self.days(longer):
                raise LocatedError(
                    f"{longer} ({getattr(self, longer)}) must be kept at least as long as {shorter}"
                    f" ({getattr(self, shorter)})",
                    longer,
                )
        return self

    def days(self, kind: str) -> float:
        """Days for which a kind is kept; infinity for one that is kept forever."""
        kept: int | Forever = getattr(self, kind)
        return float("inf") if kept == "forever" else kept

    def begin(self, kind: str, now: datetime) -> datetime | None:
        """The time (aware) before which a kind may go; None where it is kept forever."""
        kept: int | Forever = getattr(self, kind)
        return None if kept == "forever" else now - timedelta(days=kept)
