"""Airflow triggers: what runs in a bay's triggerer while the task holds no worker."""

from triggers.artifact import ArtifactTrigger
from triggers.capture import CaptureTrigger

__all__ = ["ArtifactTrigger", "CaptureTrigger"]
