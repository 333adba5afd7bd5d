"""What all cameras saw becomes one picture of the floor.

The types come without scipy and OpenCV; `fuse` brings them at its first use.
"""

from typing import TYPE_CHECKING, Any

from fusion.types import UNKNOWN_WORK, FusedBlock, FusionResult

if TYPE_CHECKING:
    from fusion.pipeline import fuse

__all__ = ["UNKNOWN_WORK", "FusedBlock", "FusionResult", "fuse"]


def __getattr__(name: str) -> Any:
    if name == "fuse":
        from fusion.pipeline import fuse

        return fuse
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
