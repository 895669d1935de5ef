"""The gap model of a fixed order: who stays between two uses, and what it costs to leave.

Where the order is given, a tensor is touched in known steps. Between two consecutive touches lies
a *gap*: the tensor stays resident over it or leaves, and is then loaded again just in time for the
second touch; anything in between is no better. Leaving costs the tensor's bytes once for the load
and, the first time that an intermediate leaves, once more for the store. In every step the tensors
that the operator needs and the gaps that are stayed over must fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optsched.core import BoolArray, IntArray
from optsched.problems.scratchpad.graph import INTERMEDIATE, OperatorGraph


@dataclass(frozen=True, eq=False)
class Gaps:
    """The gaps of one order, sorted by tensor and step.

    Attributes
    ----------
    graph : OperatorGraph
    order : ndarray of int64, shape (n_operators,)
    touch_tensor, touch_step : ndarray of int64, shape (n_touches,)
        Every step in which a tensor is read or written, sorted by tensor and step.
    tensor : ndarray of int64, shape (n_gaps,)
        Whose gap it is.
    first, last : ndarray of int64, shape (n_gaps,)
        The touches at its two ends, steps.
    touch : ndarray of int64, shape (n_gaps,)
        Index of the gap's first touch.
    need : ndarray of int64, shape (n_operators,)
        Bytes that the operator of each step reads and writes.
    stores : ndarray of bool, shape (n_gaps,)
        Whether the tensor must be stored before it may leave: an intermediate.
    """

    graph: OperatorGraph
    order: IntArray
    touch_tensor: IntArray
    touch_step: IntArray
    tensor: IntArray
    first: IntArray
    last: IntArray
    touch: IntArray
    need: IntArray
    stores: BoolArray

    @property
    def size(self) -> IntArray:
        """Bytes of the tensor of each gap, shape (n_gaps,)."""
        return self.graph.size[self.tensor]

    def load(self, stay: BoolArray) -> IntArray:
        """Return the bytes in the scratchpad in each step, shape (n_operators,)."""
        change = np.zeros(len(self.need) + 1, dtype=np.int64)
        inside = stay & (self.last > self.first + 1)
        np.add.at(change, self.first[inside] + 1, self.size[inside])
        np.subtract.at(change, self.last[inside], self.size[inside])
        return np.asarray(self.need + np.cumsum(change[:-1]), dtype=np.int64)

    def cost(self, stay: BoolArray) -> int:
        """Return the bytes of non-compulsory traffic where the other gaps are left."""
        left = ~stay
        stored = np.unique(self.tensor[left & self.stores])
        return int(self.size[left].sum() + self.graph.size[stored].sum())

    def stays(self, stay: BoolArray) -> IntArray:
        """Return (tensor, first step, last step) of each stay, shape (n_stays, 3)."""
        begins = self._begins(stay)
        ends = np.append(begins[1:], True)
        return np.stack(
            [self.touch_tensor[begins], self.touch_step[begins], self.touch_step[ends]], axis=1
        )

    def stay_of(self, stay: BoolArray) -> IntArray:
        """Return the stay, as `stays` counts them, at the beginning of each gap."""
        return np.asarray(np.cumsum(self._begins(stay))[self.touch] - 1, dtype=np.int64)

    def _begins(self, stay: BoolArray) -> BoolArray:
        """Return whether a stay begins with each touch; shape (n_touches,)."""
        begins = np.ones(len(self.touch_tensor), dtype=bool)
        begins[self.touch[stay] + 1] = False
        return begins


def gaps_of(graph: OperatorGraph, order: IntArray) -> Gaps:
    """Return the gaps of a topological order."""
    position = np.empty(graph.n_operators, dtype=np.int64)
    position[order] = np.arange(graph.n_operators)
    reads = np.repeat(position, np.diff(graph.input_offset))
    writes = np.repeat(position, np.diff(graph.output_offset))
    tensor = np.concatenate([graph.input_tensor, graph.output_tensor])
    step = np.concatenate([reads, writes])
    sort = np.lexsort((step, tensor))
    tensor, step = tensor[sort], step[sort]
    touch = np.flatnonzero(tensor[1:] == tensor[:-1])
    return Gaps(
        graph=graph,
        order=order,
        touch_tensor=tensor,
        touch_step=step,
        tensor=tensor[touch],
        first=step[touch],
        last=step[touch + 1],
        touch=touch,
        need=graph.working_sets()[order],
        stores=graph.kind[tensor[touch]] == INTERMEDIATE,
    )
