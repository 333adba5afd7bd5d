"""A deployment of several hosts on one machine, in Linux network namespaces, for tests and benchmarks."""

from cluster.account import Account, account
from cluster.cluster import STAGES, Cluster, missing
from cluster.network import sweep

__all__ = ["STAGES", "Account", "Cluster", "account", "missing", "sweep"]
