"""Airflow operators: one per stage; they defer, validate events and push references."""

from operators.fusion import FusionOperator
from operators.inference import InferenceOperator
from operators.next_stage import TriggerStageOperator
from operators.observation import ObservationOperator
from operators.tracking import TrackingOperator

__all__ = [
    "FusionOperator",
    "InferenceOperator",
    "ObservationOperator",
    "TrackingOperator",
    "TriggerStageOperator",
]
