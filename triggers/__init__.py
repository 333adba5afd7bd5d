"""Airflow triggers: what runs in a bay's triggerer while the task holds no worker."""

from triggers.artifact import ArtifactTrigger
from triggers.capture import CaptureTrigger
from triggers.inference import InferenceTrigger
from triggers.slots import PublishedTrigger, TrackedTrigger

__all__ = ["ArtifactTrigger", "CaptureTrigger", "InferenceTrigger", "PublishedTrigger", "TrackedTrigger"]
