"""Which classes each stage's artifact may hold: the whole allow-list, to be read at a glance.

Names are text, so that this package imports none of the stages. Raise a stage's
version when its types change in a way that old files do not fit.
"""

from dataclasses import dataclass

from artifacts.reference import Stage

Name = tuple[str, str]

_TIME: frozenset[Name] = frozenset({("datetime", "datetime"), ("datetime", "timedelta"), ("datetime", "timezone")})
# numpy's and shapely's own reconstruction functions; neither runs code from the data.
_ARRAYS: frozenset[Name] = frozenset(
    {
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "scalar"),
        ("numpy._core.numeric", "_frombuffer"),
    }
)
_SHAPES: frozenset[Name] = frozenset(
    {
        ("shapely.io", "from_wkb"),
        ("shapely.geometry.polygon", "Polygon"),
        ("shapely.geometry.multipolygon", "MultiPolygon"),
    }
)
_CAPTURE: frozenset[Name] = frozenset(
    {
        ("capture_async.types", "CaptureBatch"),
        ("capture_async.types", "CapturedImage"),
        ("capture_async.types", "CameraFailure"),
        ("capture_async.types", "FailureReason"),
        ("capture_async.types", "Attempt"),
    }
)
_OBSERVATION: frozenset[Name] = frozenset(
    {
        ("inference.types", "Observation"),
        ("inference.types", "CameraObservation"),
        ("inference.types", "DetectedObject"),
    }
)
_FUSION: frozenset[Name] = frozenset({("fusion.types", "FusionResult"), ("fusion.types", "FusedBlock")})
_TRACKING: frozenset[Name] = frozenset(
    {
        ("tracking.types", "TrackingResult"),
        ("tracking.types", "TrackerState"),
        ("tracking.types", "Track"),
        ("tracking.types", "Streak"),
        ("tracking.types", "Shape"),
        ("tracking.types", "Rates"),
        ("tracking.outline", "Outline"),
        ("tracking.types", "TrackEvent"),
        ("tracking.types", "TrackStatus"),
        ("tracking.types", "EventKind"),
    }
)


@dataclass(frozen=True, slots=True)
class Schema:
    """Version and content of one stage's artifact: the class of the whole, and all that it may hold."""

    version: int
    root: Name
    allowed: frozenset[Name]


SCHEMAS: dict[Stage, Schema] = {
    "capture": Schema(1, ("capture_async.types", "CaptureBatch"), _CAPTURE | _TIME),
    "observation": Schema(1, ("inference.types", "Observation"), _OBSERVATION | _TIME | _ARRAYS),
    "fusion": Schema(1, ("fusion.types", "FusionResult"), _FUSION | _TIME | _ARRAYS | _SHAPES),
    "tracking": Schema(2, ("tracking.types", "TrackingResult"), _TRACKING | _TIME | _ARRAYS | _SHAPES),
}
