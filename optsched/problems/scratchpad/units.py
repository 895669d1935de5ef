"""Chains of operators that may run without interruption: the units of the search over orders.

Two operators in a chain, ``a`` and ``b``, where only ``b`` reads what ``a`` writes and reads
nothing else that others touch, can be run one directly after the other in some schedule of least
traffic (addresses aside) if

- ``b`` may be moved up to ``a``: its result is no larger than the link between them, and running
  it needs no more than ``a`` did, beside whatever else was resident then; or
- ``a`` may be moved down to ``b``: what it reads is read by nobody else and no larger than the
  link, and running it needs no more than ``b`` does.

In both cases whatever runs in between has the smaller tensor beside it instead of the link; where
the link was spilled meanwhile, the smaller tensor is. The argument holds for chains of such
operators as for single ones, so that they are merged until nothing merges any more. It is that of
the hill-valley segments of Liu (1987) for minimum-memory orders, with spilling added.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from optsched.core import IntArray
from optsched.problems.scratchpad.graph import INTERMEDIATE, OperatorGraph, rows_to_csr


@dataclass(frozen=True, eq=False)
class Units:
    """A graph of units over the tensors that more than one unit touches.

    Units count from 0 in a topological order. A *shared* tensor is touched by at least two units.

    Attributes
    ----------
    operators : list of list of int
        The operators of each unit, in the order in which they run.
    tensor : ndarray of int64, shape (n_shared,)
        The shared tensors.
    size, store : ndarray of int64, shape (n_shared,)
        Bytes, also those of the load that an eviction makes necessary; bytes of the store that
        goes before the first eviction (0 for what main memory holds anyway).
    first_need, rest_need : ndarray of int64, shape (n_units,)
        Bytes that the first operator of the unit needs, and at most those that the others need;
        0 where there are no others.
    input_offset, input_tensor, output_offset, output_tensor : ndarray of int64
        Shared tensors that a unit reads (with its first operator) and writes (with its last one),
        by index into `tensor`.
    reader_offset, reader : ndarray of int64
        The units that read each shared tensor.
    before_offset, before, after_offset, after : ndarray of int64
        The units that must run before and after each one, those that are next to it.
    """

    operators: list[list[int]]
    tensor: IntArray
    size: IntArray
    store: IntArray
    first_need: IntArray
    rest_need: IntArray
    input_offset: IntArray
    input_tensor: IntArray
    output_offset: IntArray
    output_tensor: IntArray
    reader_offset: IntArray
    reader: IntArray
    before_offset: IntArray
    before: IntArray
    after_offset: IntArray
    after: IntArray

    def order(self, sequence: list[int]) -> IntArray:
        """Return the order of operators in which the units run in this sequence."""
        return np.array([i for unit in sequence for i in self.operators[unit]], dtype=np.int64)


@dataclass
class _Chain:
    """A unit in the making.

    ``peak`` is the most that its operators need; ``firm`` the same, where the first operator's
    shared inputs do not count, which somebody may want to keep.
    """

    operators: list[int]
    inputs: list[int]
    outputs: list[int]
    peak: int
    firm: int
    dies: bool  #: whether nobody else reads its inputs
    volume: int  #: bytes of its inputs


def banded(units: Units, sequence: list[int], reach: int) -> Units:
    """Return the same units, none of which may overtake one `reach` or more places ahead of it.

    What is left are the orders near `sequence`, exponentially many of them, whose downsets are few.

    Parameters
    ----------
    units : Units
    sequence : list of int
        All units, in an order in which they may run.
    reach : int
        At least 1.
    """
    n = len(sequence)
    after = [
        set(units.after[units.after_offset[u] : units.after_offset[u + 1]].tolist())
        for u in range(n)
    ]
    for at, u in enumerate(sequence):
        # Further ones follow from these.
        after[u].update(sequence[at + reach : at + 2 * reach])
    before: list[list[int]] = [[] for _ in range(n)]
    for u, row in enumerate(after):
        for v in row:
            before[v].append(u)
    after_offset, after_flat = rows_to_csr([sorted(row) for row in after])
    before_offset, before_flat = rows_to_csr(before)
    return replace(
        units,
        after_offset=after_offset,
        after=after_flat,
        before_offset=before_offset,
        before=before_flat,
    )


def units_of(graph: OperatorGraph, *, merge: bool = True) -> Units:
    """Return the units of a graph; without `merge` each operator is one by itself."""
    touches = np.diff(graph.consumer_offset) + (graph.producer >= 0)
    alone = touches < 2
    need = graph.working_sets()
    size = graph.size
    chains: dict[int, _Chain] = {}
    for i in graph.default_order().tolist():
        inputs = [t for t in graph.inputs(i).tolist() if not alone[t]]
        outputs = [t for t in graph.outputs(i).tolist() if not alone[t]]
        volume = int(size[inputs].sum())
        dies = all(graph.producer[t] >= 0 and touches[t] == 2 for t in inputs)
        chain = _Chain([i], inputs, outputs, int(need[i]), int(need[i]), dies, volume)
        chain.firm -= 0 if dies else volume
        chains[i] = chain
    if merge:
        _merge(graph, chains)
    return _compile(graph, list(chains.values()), need)


def _merge(graph: OperatorGraph, chains: dict[int, _Chain]) -> None:
    """Merge chains, known by their first operators, until nothing merges any more."""
    head = {i: i for i in chains}  # first operator of the chain of each first or last operator
    waiting = list(chains)[::-1]
    while waiting:
        first = waiting.pop()
        if first not in chains:
            continue
        upper = chains[first]
        if len(upper.outputs) != 1 or len(graph.outputs(upper.operators[-1])) != 1:
            continue
        link = upper.outputs[0]
        readers = graph.consumers(link)
        if len(readers) != 1 or graph.kind[link] != INTERMEDIATE:
            continue
        then = int(readers[0])
        lower = chains.get(then)
        if lower is None or lower.inputs != [link]:
            continue
        if not (_pulls_up(graph, upper, lower, link) or _pushes_down(graph, upper, lower, link)):
            continue
        upper.operators += lower.operators
        upper.outputs = lower.outputs
        upper.peak = max(upper.peak, lower.peak)
        upper.firm = max(upper.firm, lower.peak)
        del chains[then]
        head[upper.operators[-1]] = first
        waiting.append(first)
        if upper.inputs:
            above = graph.producer[upper.inputs[0]]
            waiting.append(head.get(int(above), -1))


def _pulls_up(graph: OperatorGraph, upper: _Chain, lower: _Chain, link: int) -> bool:
    outputs = int(graph.size[lower.outputs].sum())
    return outputs <= graph.size[link] and lower.peak <= upper.firm


def _pushes_down(graph: OperatorGraph, upper: _Chain, lower: _Chain, link: int) -> bool:
    return upper.dies and upper.volume <= graph.size[link] and upper.peak <= lower.peak


def _compile(graph: OperatorGraph, chains: list[_Chain], need: IntArray) -> Units:
    shared = np.array(sorted({t for c in chains for t in (*c.inputs, *c.outputs)}), dtype=np.int64)
    index = {t: k for k, t in enumerate(shared.tolist())}
    size = graph.size[shared]
    reads = [[index[t] for t in c.inputs] for c in chains]
    writes = [[index[t] for t in c.outputs] for c in chains]
    needs = [need[c.operators] for c in chains]
    unit_of = {i: k for k, c in enumerate(chains) for i in c.operators}
    after = [
        sorted({unit_of[j] for i in c.operators for j in graph.successors(i).tolist()} - {k})
        for k, c in enumerate(chains)
    ]
    before: list[list[int]] = [[] for _ in chains]
    for k, row in enumerate(after):
        for u in row:
            before[u].append(k)
    readers: list[list[int]] = [[] for _ in shared]
    for k, row in enumerate(reads):
        for t in row:
            readers[t].append(k)
    input_offset, input_tensor = rows_to_csr(reads)
    output_offset, output_tensor = rows_to_csr(writes)
    reader_offset, reader = rows_to_csr(readers)
    before_offset, before_flat = rows_to_csr(before)
    after_offset, after_flat = rows_to_csr(after)
    return Units(
        operators=[c.operators for c in chains],
        tensor=shared,
        size=size,
        store=np.where(graph.kind[shared] == INTERMEDIATE, size, 0),
        first_need=np.array([row[0] for row in needs], dtype=np.int64),
        rest_need=np.array([row[1:].max(initial=0) for row in needs], dtype=np.int64),
        input_offset=input_offset,
        input_tensor=input_tensor,
        output_offset=output_offset,
        output_tensor=output_tensor,
        reader_offset=reader_offset,
        reader=reader,
        before_offset=before_offset,
        before=before_flat,
        after_offset=after_offset,
        after=after_flat,
    )
