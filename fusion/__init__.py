"""What all cameras saw becomes one picture of the floor."""

from fusion.pipeline import fuse
from fusion.types import FusedBlock, FusionResult

__all__ = ["FusedBlock", "FusionResult", "fuse"]
