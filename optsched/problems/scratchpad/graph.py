"""Operator graphs: operators, the tensors that they read and write, and orders of execution."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heappush
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np

from optsched.core import Frozen, InputError, IntArray
from optsched.numbers import integers
from optsched.problems.scratchpad import validation

#: Codes of `OperatorGraph.kind`, in the order of `KINDS`.
INPUT, WEIGHT, INTERMEDIATE, OUTPUT = range(4)
#: Names of the kinds of tensors, as they are written.
KINDS = validation.KINDS

#: A tensor as a person writes it: ``(name, size)`` or ``(name, size, kind)``.
TensorLike: TypeAlias = Any
#: An operator as a person writes it: ``(name, inputs, outputs)``.
OperatorLike: TypeAlias = Any


class OperatorGraph(Frozen):
    """A directed acyclic graph of operators that read and write tensors. Frozen.

    Operators and tensors count from 0, in the order in which they are given. Sizes are bytes.

    Parameters
    ----------
    tensors : sequence of (name, size) or (name, size, kind)
        Names are text and unique, sizes whole numbers of at least 0. Kinds are

        - ``"input"``: read from main memory, where it lies at the start and stays;
        - ``"weight"``: the same, a constant of the model;
        - ``"intermediate"``: written by one operator, of no interest after its last use;
        - ``"output"``: written by one operator, and in main memory at the end.

        Without a kind (or with None), a tensor that no operator writes is an input, one that is
        written but never read an output, and every other an intermediate.
    operators : sequence of (name, inputs, outputs)
        Names are text and unique; inputs and outputs are lists of tensors, by index or by name.
        A tensor that an operator lists twice counts once. At least one operator; an operator may
        have no inputs or no outputs. The order of the list need not be topological.
    name : str
        For people.

    Attributes
    ----------
    names : tuple of str, length n_operators
        The operators' names.
    tensor_names : tuple of str, length n_tensors
    size : ndarray of int64, shape (n_tensors,)
        Bytes of each tensor.
    kind : ndarray of int64, shape (n_tensors,)
        `INPUT`, `WEIGHT`, `INTERMEDIATE` or `OUTPUT`, an index into `KINDS`.
    producer : ndarray of int64, shape (n_tensors,)
        The operator that writes the tensor; -1 for inputs and weights.
    input_offset, input_tensor : ndarray of int64
        Operator ``i`` reads ``input_tensor[input_offset[i] : input_offset[i + 1]]``.
    output_offset, output_tensor : ndarray of int64
        Operator ``i`` writes ``output_tensor[output_offset[i] : output_offset[i + 1]]``.
    consumer_offset, consumer : ndarray of int64
        Tensor ``t`` is read by ``consumer[consumer_offset[t] : consumer_offset[t + 1]]``,
        ascending.
    successor_offset, successor : ndarray of int64
        Operator ``i`` must run before ``successor[successor_offset[i] : ...]``, ascending and
        without repetition.
    predecessor_offset, predecessor : ndarray of int64
        The reverse.

    Raises
    ------
    InputError
        Naming the operator or tensor: an unknown tensor, two producers, an input that is written,
        an intermediate that is not, an operator that reads what it writes, a cycle.

    Examples
    --------
    >>> graph = OperatorGraph(
    ...     tensors=[("x", 4), ("w", 2, "weight"), ("h", 3), ("y", 1)],
    ...     operators=[("conv", ["x", "w"], ["h"]), ("pool", ["h"], ["y"])],
    ... )
    >>> graph.largest_working_set, graph.peak(graph.default_order())
    (9, 9)
    """

    name: str
    names: tuple[str, ...]
    tensor_names: tuple[str, ...]
    size: IntArray
    kind: IntArray
    producer: IntArray
    input_offset: IntArray
    input_tensor: IntArray
    output_offset: IntArray
    output_tensor: IntArray
    consumer_offset: IntArray
    consumer: IntArray
    successor_offset: IntArray
    successor: IntArray
    predecessor_offset: IntArray
    predecessor: IntArray

    def __init__(
        self,
        tensors: Sequence[TensorLike],
        operators: Sequence[OperatorLike],
        name: str = "",
    ) -> None:
        values = self.__dict__
        values["name"] = validation.text(name, "name")
        tensor_names, size, kinds = validation.tensors(tensors)
        names, reads, writes = validation.operators(operators, tensor_names)
        values["names"], values["tensor_names"], values["size"] = names, tensor_names, size
        values["producer"] = validation.producers(names, tensor_names, writes)
        values["input_offset"], values["input_tensor"] = rows_to_csr(reads)
        values["output_offset"], values["output_tensor"] = rows_to_csr(writes)
        values["consumer_offset"], values["consumer"] = rows_to_csr(_transpose(reads, len(size)))
        validation.refuse_loops(names, tensor_names, reads, writes)
        read = np.diff(values["consumer_offset"]) > 0
        values["kind"] = validation.kinds(kinds, tensor_names, values["producer"] >= 0, read)
        after = [sorted({i for t in row for i in self.consumers(t).tolist()}) for row in writes]
        values["successor_offset"], values["successor"] = rows_to_csr(after)
        before = _transpose(after, len(names))
        values["predecessor_offset"], values["predecessor"] = rows_to_csr(before)
        validation.refuse_cycle(names, before, self._kahn())
        self._freeze()

    # ---- the graph -----------------------------------------------------------------------

    @property
    def n_operators(self) -> int:
        """Number of operators."""
        return len(self.names)

    @property
    def n_tensors(self) -> int:
        """Number of tensors."""
        return len(self.tensor_names)

    def inputs(self, operator: int) -> IntArray:
        """Return the tensors that `operator` reads."""
        return self.input_tensor[self.input_offset[operator] : self.input_offset[operator + 1]]

    def outputs(self, operator: int) -> IntArray:
        """Return the tensors that `operator` writes."""
        return self.output_tensor[self.output_offset[operator] : self.output_offset[operator + 1]]

    def consumers(self, tensor: int) -> IntArray:
        """Return the operators that read `tensor`, ascending."""
        return self.consumer[self.consumer_offset[tensor] : self.consumer_offset[tensor + 1]]

    def predecessors(self, operator: int) -> IntArray:
        """Return the operators whose results `operator` reads, ascending."""
        first, last = self.predecessor_offset[operator : operator + 2]
        return self.predecessor[first:last]

    def successors(self, operator: int) -> IntArray:
        """Return the operators that read what `operator` writes, ascending."""
        first, last = self.successor_offset[operator : operator + 2]
        return self.successor[first:last]

    # ---- orders --------------------------------------------------------------------------

    def default_order(self) -> IntArray:
        """Return the order of the list, where it is topological; else the closest to it.

        Of the operators that are ready, the one that is listed first runs next; shape
        (n_operators,).
        """
        return np.array(self._kahn(), dtype=np.int64)

    def check_order(self, order: Any) -> IntArray:
        """Return `order` as an array, shape (n_operators,).

        Raises
        ------
        InputError
            When it does not name every operator once, or runs an operator before one whose result
            it reads.
        """
        array = integers(order, "order")
        if array.shape != (self.n_operators,):
            raise InputError(f"order: expected each of the {self.n_operators} operators once")
        if (wrong := array[(array < 0) | (array >= self.n_operators)]).size:
            raise InputError(f"order: there is no operator {wrong[0]}")
        position = np.full(self.n_operators, -1, dtype=np.int64)
        position[array] = np.arange(len(array))
        if (position < 0).any():
            missing = self.names[int(np.argmin(position))]
            raise InputError(f"order: operator {missing!r} is missing")
        source = np.repeat(np.arange(self.n_operators), np.diff(self.successor_offset))
        late = position[source] > position[self.successor]
        if late.any():
            k = int(np.argmax(late))
            first, then = self.names[int(source[k])], self.names[int(self.successor[k])]
            raise InputError(
                f"order: operator {then!r} runs before {first!r}, whose result it reads"
            )
        return array

    # ---- memory --------------------------------------------------------------------------

    def working_sets(self) -> IntArray:
        """Return the bytes of the inputs and outputs of each operator, shape (n_operators,)."""
        weight = self.size.astype(np.int64)
        read = np.concatenate(([0], np.cumsum(weight[self.input_tensor])))
        written = np.concatenate(([0], np.cumsum(weight[self.output_tensor])))
        total = np.diff(read[self.input_offset]) + np.diff(written[self.output_offset])
        return np.asarray(total, dtype=np.int64)

    @property
    def largest_working_set(self) -> int:
        """M_R, bytes: the least capacity in which every operator can run (COSMA, 2023)."""
        return int(self.working_sets().max())

    def lifetimes(self, order: IntArray) -> tuple[IntArray, IntArray]:
        """Return the first and the last step in which each tensor is written or read.

        Parameters
        ----------
        order : ndarray of int64, shape (n_operators,)
            A topological order; step ``s`` runs operator ``order[s]``.

        Returns
        -------
        first, last : ndarray of int64, shape (n_tensors,)
            Steps, both inclusive; 0 and -1 for a tensor that no operator touches.
        """
        position = np.empty(self.n_operators, dtype=np.int64)
        position[order] = np.arange(self.n_operators)
        first = np.full(self.n_tensors, self.n_operators, dtype=np.int64)
        last = np.full(self.n_tensors, -1, dtype=np.int64)
        for offset, tensor in (
            (self.input_offset, self.input_tensor),
            (self.output_offset, self.output_tensor),
        ):
            step = np.repeat(position, np.diff(offset))
            np.minimum.at(first, tensor, step)
            np.maximum.at(last, tensor, step)
        first[last < 0] = 0
        return first, last

    def live_bytes(self, order: IntArray) -> IntArray:
        """Return the bytes live in each step of `order`, shape (n_operators,).

        A tensor is live from its production (inputs and weights: from their first use) to its
        last use: nothing is spilled.
        """
        first, last = self.lifetimes(order)
        change = np.zeros(self.n_operators + 1, dtype=np.int64)
        np.add.at(change, first, self.size)
        np.subtract.at(change, last + 1, self.size)
        return np.asarray(np.cumsum(change[:-1]), dtype=np.int64)

    def peak(self, order: IntArray) -> int:
        """Return the largest of `live_bytes`: at this capacity nothing need be spilled."""
        return int(self.live_bytes(order).max())

    # ---- plain data ----------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"name", "tensors": [[name, size, kind]], "operators": [[name, in, out]]}``."""
        return {
            "name": self.name,
            "tensors": [
                [name, size, KINDS[kind]]
                for name, size, kind in zip(
                    self.tensor_names, self.size.tolist(), self.kind.tolist(), strict=True
                )
            ],
            "operators": [
                [name, self.inputs(i).tolist(), self.outputs(i).tolist()]
                for i, name in enumerate(self.names)
            ],
        }

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Inverse of `to_dict`; tensors and operators may also be objects with those fields.

        Raises
        ------
        InputError
            On anything else.
        """
        return cls(**validation.graph_arguments(data))

    def to_json(self, path: str | Path | None = None) -> str:
        """Return the graph as JSON text, and write it to `path` when that is given."""
        text = json.dumps(self.to_dict(), separators=(",", ":"))
        if path is not None:
            Path(path).write_text(text + "\n", encoding="utf-8")
        return text

    def __repr__(self) -> str:
        name = f"{self.name}: " if self.name else ""
        return f"OperatorGraph({name}{self.n_operators} operators, {self.n_tensors} tensors)"

    def _kahn(self) -> list[int]:
        """Return the operators in topological order, lowest first; fewer where there is a cycle."""
        waiting = np.diff(self.predecessor_offset).tolist()
        ready = [i for i, count in enumerate(waiting) if not count]
        heapify(ready)
        order: list[int] = []
        while ready:
            order.append(heappop(ready))
            for j in self.successors(order[-1]).tolist():
                waiting[j] -= 1
                if not waiting[j]:
                    heappush(ready, j)
        return order


def rows_to_csr(rows: Iterable[Sequence[int]]) -> tuple[IntArray, IntArray]:
    """Return offsets and values: row ``i`` is ``values[offset[i] : offset[i + 1]]``."""
    listed = list(rows)
    offset = np.zeros(len(listed) + 1, dtype=np.int64)
    offset[1:] = np.cumsum([len(row) for row in listed])
    return offset, np.array([value for row in listed for value in row], dtype=np.int64)


def _transpose(rows: Sequence[Sequence[int]], n_columns: int) -> list[list[int]]:
    columns: list[list[int]] = [[] for _ in range(n_columns)]
    for i, row in enumerate(rows):
        for column in row:
            columns[column].append(i)
    return columns
