"""Airflow triggers: what runs in a bay's triggerer while the task holds no worker."""

from triggers.artifact import ArtifactTrigger
from triggers.capture import CaptureTrigger
from triggers.inference import InferenceTrigger

__all__ = ["ArtifactTrigger", "CaptureTrigger", "InferenceTrigger"]
