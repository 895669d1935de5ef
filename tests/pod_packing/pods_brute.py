"""Random small clusters with every rule, and their optimum by trying every placement."""

from optsched.selfcheck.families.pod_packing import random_cluster
from optsched.selfcheck.references.pod_packing import optimum as brute_force

__all__ = ["brute_force", "random_cluster"]
