"""Scratchpad schedules: the data, its validation, and the entry points of the checker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from optsched.core import Frozen, InputError, IntArray, Problem, Solution, Violation
from optsched.numbers import integer, integers, shown
from optsched.problems.scratchpad import checker
from optsched.problems.scratchpad.checker import Traffic
from optsched.problems.scratchpad.graph import OperatorGraph


class ScratchpadSolution(Solution):
    """An order of the operators, and who is in the scratchpad when and where.

    A *stay* is a stretch of consecutive steps during which a tensor lies at one address. It begins
    with the tensor's production, or with a load from main memory before its first step; it ends
    behind its last step, when its bytes are free again. Stays are kept sorted by tensor and step.

    Attributes
    ----------
    order : ndarray of int64, shape (n_operators,)
        The operators in the order in which they run; step ``s`` runs ``order[s]``.
    resident : ndarray of int64, shape (n_stays, 3)
        Tensor, first step and last step (inclusive) of each stay.
    offset : ndarray of int64, shape (n_stays,)
        Address of each stay, bytes from the start of the scratchpad.
    """

    __slots__ = ("offset", "order", "resident")

    def __init__(self, order: Any, resident: Any, offset: Any) -> None:
        self.order = integers(order, "solution: order")
        stays = integers(resident, "solution: resident")
        if stays.size == 0:
            stays = stays.reshape(0, 3)
        address = integers(offset, "solution: offset")
        if self.order.ndim != 1 or address.ndim != 1:
            raise InputError("solution: order and offset must be flat lists")
        if stays.ndim != 2 or stays.shape[1] != 3:
            raise InputError("solution: resident must hold (tensor, first step, last step)")
        if len(stays) != len(address):
            raise InputError(f"solution: {len(stays)} stays, but {len(address)} offsets")
        sort = np.lexsort((stays[:, 2], stays[:, 1], stays[:, 0]))
        self.resident, self.offset = stays[sort], address[sort]
        for values in (self.order, self.resident, self.offset):
            values.flags.writeable = False

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"order": [], "resident": [[tensor, first, last], ...], "offset": []}``."""
        return {
            "order": self.order.tolist(),
            "resident": self.resident.tolist(),
            "offset": self.offset.tolist(),
        }

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Inverse of `to_dict`."""
        fields = ("order", "resident", "offset")
        if not isinstance(data, Mapping) or not set(fields) <= data.keys():
            raise InputError("solution: expected an object with 'order', 'resident' and 'offset'")
        return cls(*(data[field] for field in fields))

    def __repr__(self) -> str:
        return f"ScratchpadSolution({len(self.order)} operators, {len(self.resident)} stays)"


class ScratchpadSchedule(Frozen, Problem):
    """Operator order, residency and addresses in a scratchpad, at least traffic.

    Each step runs one operator, whose inputs and outputs must all lie in the scratchpad, each
    contiguous. A tensor may leave, which frees its bytes, and be loaded again, perhaps to another
    address. The objective is the traffic with main memory, in bytes, beyond the compulsory: the
    first load of every input and weight that is used, and the store of every output. What counts
    is therefore (Li, Gupta and Malik 2023, "COSMA")

    - every load of an input or weight after its first;
    - every load of an intermediate or an output;
    - one store of each intermediate that is ever loaded (main memory then keeps the copy).

    Nothing is computed twice.

    Parameters
    ----------
    graph : OperatorGraph or mapping
        The operators and tensors, or the plain data of a graph.
    capacity : int
        Bytes of the scratchpad: at least what the largest operator needs at once.
    order : sequence of int, optional
        The order in which the operators run, where it is given; default: it is chosen.
    name : str
        For people; default: the graph's.

    Raises
    ------
    InputError
        Naming the operator that does not fit in the capacity, or what is wrong with the order.
    """

    family = "scratchpad"
    solution_type = ScratchpadSolution

    graph: OperatorGraph
    capacity: int
    order: IntArray | None

    def __init__(
        self,
        graph: OperatorGraph | Mapping[str, Any],
        capacity: int,
        *,
        order: Any = None,
        name: str = "",
    ) -> None:
        values = self.__dict__
        if not isinstance(graph, OperatorGraph):
            graph = OperatorGraph.from_dict(graph)
        values["graph"] = graph
        values["name"] = str(name) or graph.name
        values["capacity"] = integer(capacity, "capacity")
        need = graph.working_sets()
        largest = int(need.argmax())
        if need[largest] > self.capacity:
            raise InputError(
                f"operator {shown(graph.names[largest])} needs {need[largest]} bytes at once, more "
                f"than the capacity of {self.capacity}; the least capacity is {need[largest]} (M_R)"
            )
        values["order"] = None if order is None else graph.check_order(order).copy()
        self._freeze()

    def with_order(self, order: Any) -> ScratchpadSchedule:
        """Return the same instance with the order fixed, or free where `order` is None."""
        return ScratchpadSchedule(self.graph, self.capacity, order=order, name=self.name)

    def features(self) -> frozenset[str]:
        """Return the features in use, by the names that solvers declare."""
        return frozenset({"free order" if self.order is None else "fixed order"})

    def describe(self) -> str:
        """Return one line: name, size, capacity, order."""
        name = f"{self.name}: " if self.name else ""
        order = "free order" if self.order is None else "fixed order"
        return (
            f"{name}scratchpad schedule, {self.graph.n_operators} operators, "
            f"{self.graph.n_tensors} tensors, capacity {self.capacity}, {order}"
        )

    def check(self, solution: ScratchpadSolution) -> list[Violation]:
        """Return every violation of `solution`; an empty list means feasible."""
        return checker.check(self, solution)

    def objective(self, solution: ScratchpadSolution) -> int:
        """Return the bytes of non-compulsory traffic, replayed from the solution.

        Raises
        ------
        InputError
            When the solution does not fit the graph.
        """
        return self.traffic(solution).non_compulsory

    def traffic(self, solution: ScratchpadSolution) -> Traffic:
        """Return the bytes loaded and stored, compulsory and not.

        Raises
        ------
        InputError
            When the solution does not fit the graph.
        """
        return checker.traffic(self, solution)

    def to_dict(self) -> dict[str, Any]:
        """Return the instance as plain data."""
        data: dict[str, Any] = {
            "optsched": "problem",
            "family": self.family,
            "name": self.name,
            "capacity": self.capacity,
            "graph": self.graph.to_dict(),
        }
        if self.order is not None:
            data["order"] = self.order.tolist()
        return data

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Inverse of `to_dict`."""
        if not isinstance(data, Mapping):
            raise InputError("expected a JSON object")
        if data.get("family", cls.family) != cls.family:
            raise InputError(f"family {shown(data['family'])} is not {cls.family}")
        arguments = {key: value for key, value in data.items() if key not in ("optsched", "family")}
        fields = ("graph", "capacity", "order", "name")
        if unknown := sorted(map(str, arguments.keys() - set(fields))):
            raise InputError(f"unknown field {shown(unknown[0])}: one of {', '.join(fields)}")
        for field in fields[:2]:
            if field not in arguments:
                raise InputError(f"field {field!r} is missing")
        if not isinstance(arguments.get("name", ""), str):
            raise InputError("field 'name' must be text")
        return cls(**arguments)
