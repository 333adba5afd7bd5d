"""A deployment of several hosts on one machine, in Linux network namespaces, for tests and benchmarks."""

from lab.cluster.account import Account, account
from lab.cluster.cluster import STAGES, Cluster, missing
from lab.cluster.network import sweep

__all__ = ["STAGES", "Account", "Cluster", "account", "missing", "sweep"]
