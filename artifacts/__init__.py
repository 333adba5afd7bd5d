"""Typed pickles on shared storage: written once, verified, read back through an allow-list."""

from artifacts.lock import exclusive
from artifacts.reference import ArtifactReference, Stage
from artifacts.store import ArtifactStore, data_path

__all__ = ["ArtifactReference", "ArtifactStore", "Stage", "data_path", "exclusive"]
