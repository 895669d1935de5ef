"""What problems of pods and nodes share: how many there are, and their names."""

from __future__ import annotations

from optsched.core import Frozen, IntArray, Problem


class PodsOnNodes(Frozen, Problem):
    """Pods to be placed on nodes, whose names stand in for their indices in every message."""

    capacity: IntArray
    request: IntArray
    resources: tuple[str, ...] | None
    nodes: tuple[str, ...] | None
    pods: tuple[str, ...] | None

    @property
    def n_pods(self) -> int:
        """Number of pods."""
        return len(self.request)

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return len(self.capacity)

    def pod_name(self, pod: int) -> str:
        """Return a pod's name for messages."""
        return f"pod {pod}" if self.pods is None or pod >= len(self.pods) else self.pods[pod]

    def node_name(self, node: int) -> str:
        """Return a node's name for messages."""
        return f"node {node}" if self.nodes is None or node >= len(self.nodes) else self.nodes[node]

    def resource_name(self, resource: int) -> str:
        """Return a resource's name for messages."""
        return f"resource {resource}" if self.resources is None else self.resources[resource]
