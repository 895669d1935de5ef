"""Memory tiers: the data, its validation, and the entry points of checker and objective."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from optsched.core import MAX_TIME, Frozen, InputError, IntArray, Problem, Solution, Violation
from optsched.numbers import integers
from optsched.problems.memory_tiers import checker, validation
from optsched.problems.memory_tiers.validation import UNLIMITED
from optsched.problems.scratchpad.graph import OperatorGraph


class MemoryTiersSolution(Solution):
    """Who is read from where, who stays where, and what the DMA channel carries when.

    A *touch* is a step in which a tensor is read or written. Touches are counted by tensor, then
    by step, as in ``MemoryTiers.touches()``.

    Attributes
    ----------
    tier : ndarray of int64, shape (n_touches,)
        The memory that each touch reads or writes; 0 is main memory.
    stays : ndarray of int64, shape (n_stays, 4)
        Tensor, memory (at least 1), first and last step of each stretch of steps in which a tensor
        takes room there, sorted.
    copies : ndarray of int64, shape (n_copies, 4)
        Tensor, target memory (0: an eviction to main memory), step, and the time that the channel
        spends on it in that step, sorted.
    """

    __slots__ = ("copies", "stays", "tier")

    def __init__(self, tier: Any, stays: Any, copies: Any) -> None:
        self.tier = integers(tier, "solution: tier")
        if self.tier.ndim != 1:
            raise InputError("solution: tier must be a flat list, one memory a touch")
        self.stays = _rows(stays, "stays", "(tensor, memory, first step, last step)")
        self.copies = _rows(copies, "copies", "(tensor, memory, step, time)")
        for values in (self.tier, self.stays, self.copies):
            values.flags.writeable = False

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"tier": [...], "stays": [[...], ...], "copies": [[...], ...]}``."""
        return {
            "tier": self.tier.tolist(),
            "stays": self.stays.tolist(),
            "copies": self.copies.tolist(),
        }

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Inverse of `to_dict`."""
        fields = ("tier", "stays", "copies")
        if not isinstance(data, Mapping) or not set(fields) <= data.keys():
            raise InputError("solution: expected an object with 'tier', 'stays' and 'copies'")
        return cls(*(data[field] for field in fields))

    def __repr__(self) -> str:
        return f"MemoryTiersSolution({len(self.stays)} stays, {len(self.copies)} copies)"


def _rows(values: Any, name: str, what: str) -> IntArray:
    array = integers(values, f"solution: {name}")
    if array.size == 0:
        array = array.reshape(0, 4)
    if array.ndim != 2 or array.shape[1] != 4:
        raise InputError(f"solution: {name} must hold {what}")
    return array[np.lexsort(array.T[::-1])]


class MemoryTiers(Frozen, Problem):
    """Which tensor is used from which memory, prefetched and evicted beside the computation.

    The operators run in a given order, one a step. Each tensor that an operator reads or writes is
    read from, or written to, one of several memories. The first is main memory: it holds all
    inputs and weights at the start, must hold all outputs at the end, and has room for
    everything. The others are small. One DMA channel copies between main memory and the others
    while operators run.

    **Times are those of a roofline model**, not measured: a step takes the longest of the time
    that its operator computes, the time of its accesses (bytes by the bandwidth of the memory, in
    sum over its tensors, rounded up a tensor), and the time that the channel works in it. All three
    run side by side; the next step begins when all are done. Latencies, conflicts between the
    channel and the operator, and addresses within a memory are not modelled.

    A tensor may be in several memories at once. In a memory other than main memory it takes room
    over a stretch of steps, which begins with its production there or with the copy that brings it.
    A copy may be spread over steps in any parts, and is of use, and main memory's own copy of an
    evicted tensor valid, from the step behind its last part. The objective is the sum of the times
    of all steps.

    After the memory-mapping game of Wang et al. (2023, "Optimizing Memory Mapping Using Deep
    Reinforcement Learning") and the memory space assignment of the compiler XLA.

    Parameters
    ----------
    graph : OperatorGraph or mapping
        The operators and tensors, or the plain data of a graph.
    tiers : sequence of (name, bandwidth, capacity), or of mappings
        The memories, main memory first, whose capacity is None or left out. Bandwidths are whole
        bytes a unit of time, capacities bytes.
    dma_bandwidth : int
        Bytes that the channel copies in a unit of time.
    compute : sequence of int, shape (n_operators,), optional
        Time that each operator computes (default 0: only the memory counts), by operator.
    order : sequence of int, optional
        The order in which the operators run; default: the graph's.
    name : str
        For people; default: the graph's.

    Raises
    ------
    InputError
        Naming the memory or operator, when the data are no instance.

    Examples
    --------
    A weight is prefetched while the operator before it runs:

    >>> graph = OperatorGraph(
    ...     tensors=[("x", 40), ("h", 40), ("w", 40, "weight"), ("y", 10)],
    ...     operators=[("f", ["x"], ["h"]), ("g", ["h", "w"], ["y"])],
    ... )
    >>> problem = MemoryTiers(graph, [("dram", 10), ("sram", 40, 80)], dma_bandwidth=10)
    """

    family = "memory_tiers"
    solution_type = MemoryTiersSolution

    graph: OperatorGraph
    tier_names: tuple[str, ...]
    bandwidth: IntArray
    capacity: IntArray
    dma_bandwidth: int
    compute: IntArray
    order: IntArray

    def __init__(
        self,
        graph: OperatorGraph | Mapping[str, Any],
        tiers: Any,
        dma_bandwidth: int,
        compute: Any = None,
        *,
        order: Any = None,
        name: str = "",
    ) -> None:
        values = self.__dict__
        if not isinstance(graph, OperatorGraph):
            graph = OperatorGraph.from_dict(graph)
        values["graph"] = graph
        values["name"] = str(name) or graph.name
        names, bandwidth, capacity = validation.tiers(tiers)
        values["tier_names"], values["bandwidth"], values["capacity"] = names, bandwidth, capacity
        values["dma_bandwidth"] = validation.positive(dma_bandwidth, "dma_bandwidth")
        values["compute"] = validation.compute(compute, graph)
        values["order"] = (
            graph.default_order() if order is None else graph.check_order(order).copy()
        )
        self._freeze()
        if float(self.compute.sum()) + 2.0 * float(self.access_time().max(axis=1).sum()) * (
            1 + len(graph.input_tensor)
        ) >= float(MAX_TIME):
            raise InputError("the sum of all times can exceed 2^53")

    @property
    def n_tiers(self) -> int:
        """Number of memories, main memory included."""
        return len(self.tier_names)

    def access_time(self) -> IntArray:
        """Return the time of one access to each tensor in each memory, (n_tensors, n_tiers)."""
        return np.asarray(-(-self.graph.size[:, None] // self.bandwidth[None, :]), dtype=np.int64)

    def copy_time(self) -> IntArray:
        """Return the time that the channel needs for each tensor, shape (n_tensors,)."""
        return np.asarray(-(-self.graph.size // self.dma_bandwidth), dtype=np.int64)

    def touches(self) -> IntArray:
        """Return (tensor, step) of every touch, sorted; shape (n_touches, 2)."""
        graph = self.graph
        position = np.empty(graph.n_operators, dtype=np.int64)
        position[self.order] = np.arange(graph.n_operators)
        step = np.concatenate(
            [
                np.repeat(position, np.diff(graph.input_offset)),
                np.repeat(position, np.diff(graph.output_offset)),
            ]
        )
        tensor = np.concatenate([graph.input_tensor, graph.output_tensor])
        rows = np.stack([tensor, step], axis=1)
        return rows[np.lexsort((step, tensor))]

    def features(self) -> frozenset[str]:
        """Return the features in use, by the names that solvers declare."""
        return frozenset()

    def describe(self) -> str:
        """Return one line: name, size, memories."""
        name = f"{self.name}: " if self.name else ""
        rooms = ", ".join(
            f"{tier} {capacity} bytes" if capacity < UNLIMITED else tier
            for tier, capacity in zip(self.tier_names, self.capacity.tolist(), strict=True)
        )
        return (
            f"{name}memory tiers, {self.graph.n_operators} operators, "
            f"{self.graph.n_tensors} tensors; {rooms}"
        )

    def check(self, solution: MemoryTiersSolution) -> list[Violation]:
        """Return every violation of `solution`; an empty list means feasible."""
        return checker.check(self, solution)

    def objective(self, solution: MemoryTiersSolution) -> int:
        """Return the modelled time of all steps, replayed from the solution.

        Raises
        ------
        InputError
            When the solution does not fit the instance.
        """
        return int(checker.step_times(self, solution).sum())

    def step_times(self, solution: MemoryTiersSolution) -> IntArray:
        """Return the modelled time of each step, shape (n_operators,).

        Raises
        ------
        InputError
            When the solution does not fit the instance.
        """
        return checker.step_times(self, solution)

    def to_dict(self) -> dict[str, Any]:
        """Return the instance as plain data."""
        capacity = [None if c == UNLIMITED else c for c in self.capacity.tolist()]
        rows = zip(self.tier_names, self.bandwidth.tolist(), capacity, strict=True)
        data: dict[str, Any] = {
            "optsched": "problem",
            "family": self.family,
            "name": self.name,
            "tiers": [list(row) for row in rows],
            "dma_bandwidth": self.dma_bandwidth,
            "graph": self.graph.to_dict(),
        }
        if self.compute.any():
            data["compute"] = self.compute.tolist()
        if not np.array_equal(self.order, self.graph.default_order()):
            data["order"] = self.order.tolist()
        return data

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Inverse of `to_dict`."""
        return cls(**validation.constructor_arguments(data, cls.family))
