"""Frames in, objects out: detect (YOLO), segment (SAM), classify the stage (YOLO-cls).

The types need numpy only; the service and the models need torch and are imported at
first use.
"""

import importlib
from typing import TYPE_CHECKING, Any

from inference.types import (
    CLASSES,
    EQUIPMENT_CLASSES,
    JIG_CLASSES,
    OCCLUDER_CLASSES,
    TRACKED_CLASSES,
    CameraObservation,
    DetectedObject,
    Observation,
)

if TYPE_CHECKING:
    from inference.loading import load_models
    from inference.models import BayModels
    from inference.service import InferenceService

_HEAVY = {
    "BayModels": "inference.models",
    "InferenceService": "inference.service",
    "load_models": "inference.loading",
}

__all__ = [
    "CLASSES",
    "EQUIPMENT_CLASSES",
    "JIG_CLASSES",
    "OCCLUDER_CLASSES",
    "TRACKED_CLASSES",
    "BayModels",
    "CameraObservation",
    "DetectedObject",
    "InferenceService",
    "Observation",
    "load_models",
]


def __getattr__(name: str) -> Any:
    if name in _HEAVY:
        return getattr(importlib.import_module(_HEAVY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
