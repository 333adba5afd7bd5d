"""Airflow operators: one per stage; they defer, validate events and push references. And two sensors."""

from operators.fusion import FusionOperator
from operators.inference import InferenceOperator
from operators.next_stage import TriggerStageOperator
from operators.observation import ObservationOperator
from operators.sensors import ArtifactSensor, SlotTrackedSensor
from operators.tracking import TrackingOperator

__all__ = [
    "ArtifactSensor",
    "FusionOperator",
    "InferenceOperator",
    "ObservationOperator",
    "SlotTrackedSensor",
    "TrackingOperator",
    "TriggerStageOperator",
]
