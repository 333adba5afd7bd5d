"""Artifacts on shared storage: written once, verified before they are read, holding data and never code."""

from artifacts.faults import StoreFault
from artifacts.hang_guard import guard_for, store_timeout
from artifacts.location import data_path, data_root
from artifacts.lock import exclusive
from artifacts.reference import ArtifactReference, Stage
from artifacts.replication import Replicator, report_backlog
from artifacts.spool import Spool
from artifacts.store import ArtifactStore

__all__ = [
    "ArtifactReference",
    "ArtifactStore",
    "Replicator",
    "Spool",
    "Stage",
    "StoreFault",
    "data_path",
    "data_root",
    "exclusive",
    "guard_for",
    "report_backlog",
    "store_timeout",
]
