"""Where every pod runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from optsched.core import InputError, Solution
from optsched.numbers import integers


class PodPackingSolution(Solution):
    """Where every pod runs.

    Attributes
    ----------
    node : ndarray of int64, shape (n_pods,)
        Node of each pod, -1 where it is not placed.
    """

    __slots__ = ("node",)

    def __init__(self, node: Any) -> None:
        values = node if len(node) or isinstance(node, np.ndarray) else np.zeros(0, dtype=np.int64)
        self.node = integers(values, "solution: node")
        if self.node.ndim != 1:
            raise InputError("solution: node must be a flat list, one entry a pod")
        self.node = self.node.copy()
        self.node.flags.writeable = False

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"node": [...]}``."""
        return {"node": self.node.tolist()}

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Inverse of `to_dict`."""
        if not isinstance(data, Mapping) or not isinstance(data.get("node"), list | np.ndarray):
            raise InputError("solution: expected an object with a list 'node'")
        return cls(data["node"])

    def __repr__(self) -> str:
        return f"PodPackingSolution({len(self.node)} pods, {(self.node >= 0).sum()} placed)"
