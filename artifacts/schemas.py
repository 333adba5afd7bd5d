"""Which type each stage's artifact holds, and the version of it.

Types are named by text, so that this package imports none of the stages. The names stand here, in
code; a file names none. Raise a stage's version when its types change in a way that old files do not fit.
"""

from dataclasses import dataclass
from importlib import import_module

from artifacts.reference import Stage


@dataclass(frozen=True, slots=True)
class Schema:
    """Version and type of one stage's artifact, and the most bytes that its file may have."""

    version: int
    module: str
    name: str
    most_bytes: int

    def kind(self) -> type:
        """The dataclass that the artifact holds."""
        kind: type = getattr(import_module(self.module), self.name)
        return kind


SCHEMAS: dict[Stage, Schema] = {
    "capture": Schema(2, "capture_async.types", "CaptureBatch", 512 * 2**20),
    "observation": Schema(2, "inference.types", "Observation", 64 * 2**20),
    "fusion": Schema(2, "fusion.types", "FusionResult", 32 * 2**20),
    "tracking": Schema(4, "tracking.types", "TrackingResult", 64 * 2**20),
}
