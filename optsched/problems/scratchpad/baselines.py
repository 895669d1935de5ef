"""What compilers do without an optimiser: orders of little memory, and replacement on the fly.

Addresses are not considered: what these need is a lower bound on what they would need with
fragmentation. Traffic is counted as in `ScratchpadSchedule`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from optsched.core import InputError, IntArray
from optsched.numbers import integer, shown
from optsched.problems.scratchpad.graph import INTERMEDIATE, OUTPUT, OperatorGraph

#: Replacement policies: who leaves when room is needed.
POLICIES = ("belady", "lru")
#: Partial orders that `least_peak_order` keeps of each length.
WIDTH = 512


# ---- replacement ---------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Replay:
    """What a replacement policy does with one order.

    Attributes
    ----------
    traffic : int
        Bytes of non-compulsory traffic: `reloaded` + `stored`.
    reloaded : int
        Bytes loaded, the first load of each input and weight apart.
    stored : int
        Bytes of the intermediates that leave before their last use, each stored once.
    stays : ndarray of int64, shape (n_stays, 3)
        Tensor, first step and last use of each stay, as in `ScratchpadSolution.resident`.
    """

    traffic: int
    reloaded: int
    stored: int
    stays: IntArray


def replay(graph: OperatorGraph, order: IntArray, capacity: int, policy: str = "belady") -> Replay:
    """Run the operators in a given order; where room is needed, others leave by `policy`.

    Parameters
    ----------
    graph : OperatorGraph
    order : ndarray of int64, shape (n_operators,)
        A topological order.
    capacity : int
        Bytes; at least what each operator needs at once.
    policy : str
        ``"belady"``: whose next use is furthest (Belady 1966; optimal for tensors of one size that
        need no store); ``"lru"``: whose last use is longest ago. Ties: the largest leaves.

    Notes
    -----
    A tensor is loaded just before its use and freed behind its last. One that leaves before that
    is written back unless main memory has it already: inputs and weights always, others once
    they were stored. The store of an output counts as compulsory.

    Raises
    ------
    InputError
        On an unknown policy, a wrong order, or an operator that does not fit.
    """
    if policy not in POLICIES:
        raise InputError(f"unknown policy {shown(policy)}: one of {', '.join(POLICIES)}")
    order = graph.check_order(order)
    need = graph.working_sets()
    if need.max() > integer(capacity, "capacity"):
        name = graph.names[int(need.argmax())]
        raise InputError(f"operator {shown(name)} needs {need.max()} bytes, more than {capacity}")
    offset, tensor, following = _touches(graph, order)
    kind = np.where(graph.kind == INTERMEDIATE, 2, np.where(graph.kind == OUTPUT, 1, 0))
    stays = np.empty((len(tensor), 3), dtype=np.int64)
    totals = np.zeros(3, dtype=np.int64)
    _replay(
        offset, tensor, following, graph.size.copy(), kind, graph.producer.copy(), order.copy(),
        capacity, policy == "belady", stays, totals,
    )  # fmt: skip
    stays = stays[: totals[2]]
    return Replay(
        traffic=int(totals[0] + totals[1]),
        reloaded=int(totals[0]),
        stored=int(totals[1]),
        stays=stays[np.lexsort((stays[:, 1], stays[:, 0]))],
    )


def _touches(graph: OperatorGraph, order: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Return the tensors of each step in rows, and the step of each one's next use."""
    n = graph.n_operators
    position = np.empty(n, dtype=np.int64)
    position[order] = np.arange(n)
    reads = np.repeat(position, np.diff(graph.input_offset))
    writes = np.repeat(position, np.diff(graph.output_offset))
    tensor = np.concatenate([graph.input_tensor, graph.output_tensor])
    step = np.concatenate([reads, writes])
    by_tensor = np.lexsort((step, tensor))
    following = np.full(len(step), n, dtype=np.int64)
    same = tensor[by_tensor[1:]] == tensor[by_tensor[:-1]]
    following[by_tensor[:-1][same]] = step[by_tensor[1:][same]]
    by_step = np.argsort(step, kind="stable")
    offset = np.concatenate(([0], np.cumsum(np.bincount(step, minlength=n)))).astype(np.int64)
    return offset, tensor[by_step], following[by_step]


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _replay(
    offset: Any, tensor: Any, following: Any, size: Any, kind: Any, producer: Any, order: Any,
    capacity: int, furthest: bool, stays: Any, totals: Any,
) -> None:  # fmt: skip
    """Fill `stays`, and `totals` with reloaded bytes, stored bytes and the number of stays.

    Kinds: 0 lies in main memory, 1 is stored anyway, 2 must be stored when it leaves early.
    """
    n_steps, n_tensors = len(order), len(size)
    entered = np.full(n_tensors, -1, dtype=np.int64)  # step of entry; -1 outside
    touched = np.full(n_tensors, -1, dtype=np.int64)  # step of the last use
    next_use = np.zeros(n_tensors, dtype=np.int64)
    stored = np.zeros(n_tensors, dtype=np.bool_)
    held = np.empty(n_tensors, dtype=np.int64)
    n_held, used = 0, 0
    for s in range(n_steps):
        required = 0
        for k in range(offset[s], offset[s + 1]):
            t = tensor[k]
            if entered[t] < 0:
                required += size[t]
                if touched[t] >= 0 or (kind[t] != 0 and producer[t] != order[s]):
                    totals[0] += size[t]
            else:
                # Out of reach of the eviction below.
                next_use[t] = -1
        while used + required > capacity:
            worst, at = -1, -1
            for h in range(n_held):
                t = held[h]
                if next_use[t] < 0:
                    continue
                if worst >= 0:
                    a = next_use[t] if furthest else -touched[t]
                    b = next_use[worst] if furthest else -touched[worst]
                    if a < b or (a == b and size[t] <= size[worst]):
                        continue
                worst, at = t, h
            if kind[worst] == 2 and not stored[worst]:
                stored[worst] = True
                totals[1] += size[worst]
            stays[totals[2], 0] = worst
            stays[totals[2], 1] = entered[worst]
            stays[totals[2], 2] = touched[worst]
            totals[2] += 1
            used -= size[worst]
            entered[worst] = -1
            n_held -= 1
            held[at] = held[n_held]
        for k in range(offset[s], offset[s + 1]):
            t = tensor[k]
            if entered[t] < 0:
                entered[t] = s
                held[n_held] = t
                n_held += 1
                used += size[t]
            touched[t] = s
            next_use[t] = following[k]
        h = 0
        while h < n_held:
            t = held[h]
            if next_use[t] < n_steps:
                h += 1
                continue
            stays[totals[2], 0] = t
            stays[totals[2], 1] = entered[t]
            stays[totals[2], 2] = touched[t]
            totals[2] += 1
            used -= size[t]
            entered[t] = -1
            n_held -= 1
            held[h] = held[n_held]


# ---- orders of little memory ---------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class PeakOrder:
    """An order, and the most bytes that are live in it.

    Attributes
    ----------
    order : ndarray of int64, shape (n_operators,)
    peak : int
        ``graph.peak(order)``, bytes.
    proven : bool
        Whether no order has a lower peak: the peak is then M_P.
    """

    order: IntArray
    peak: int
    proven: bool


def greedy_order(graph: OperatorGraph) -> IntArray:
    """Return a topological order that keeps little alive, shape (n_operators,).

    Of the operators that are ready, the one that leaves least alive runs next; of several, the one
    that needs least while it runs, then the first.
    """
    state = _Start(graph)
    done, live, ready = 0, 0, state.ready
    order = []
    for _ in range(graph.n_operators):
        options = []
        for i in ready:
            during, after = state.effect(i, done, live)
            options.append((after, during, i))
        live, _, chosen = min(options)
        done, ready = state.follow(chosen, done, ready)
        order.append(chosen)
    return np.array(order, dtype=np.int64)


def least_peak_order(
    graph: OperatorGraph,
    *,
    width: int = WIDTH,
    stopped: Callable[[], bool] = lambda: False,
) -> PeakOrder:
    """Return an order of least peak: by dynamic programming where the graph is narrow.

    The states are the sets of operators that have run, by their number; of each number the `width`
    best are kept (lowest peak, then least alive). Where never more occur, the order is optimal. An
    operator that raises neither the peak nor what is alive runs at once: what it frees or holds
    can only be for the better later.

    Parameters
    ----------
    graph : OperatorGraph
    width : int
        At least 1.
    stopped : callable() -> bool, optional
        Whether to give up; the better of the default and the greedy order is then returned.
    """
    if integer(width, "width") < 1:
        raise InputError(f"width: {width} is less than 1")
    largest = graph.largest_working_set
    candidates = [graph.default_order(), greedy_order(graph)]
    best = min(candidates, key=graph.peak)
    most = graph.peak(best)
    if most == largest:
        return PeakOrder(best, most, True)
    found, complete = _search(graph, width, largest, most, stopped)
    if found is not None:
        best, most = found, graph.peak(found)
    return PeakOrder(best, most, most == largest or complete)


class _Start:
    """The empty set of operators, and what running one more changes."""

    def __init__(self, graph: OperatorGraph) -> None:
        n = graph.n_operators
        self.size = graph.size.tolist()
        self.inputs = [graph.inputs(i).tolist() for i in range(n)]
        self.outputs = [graph.outputs(i).tolist() for i in range(n)]
        self.successors = [graph.successors(i).tolist() for i in range(n)]
        self.before = [_mask(graph.predecessors(i).tolist()) for i in range(n)]
        self.readers = [_mask(graph.consumers(t).tolist()) for t in range(graph.n_tensors)]
        self.written = (graph.producer >= 0).tolist()
        self.ready = tuple(i for i in range(n) if not self.before[i])

    def effect(self, operator: int, done: int, live: int) -> tuple[int, int]:
        """Return the bytes alive while an operator runs and behind it."""
        new = done | 1 << operator
        freed = 0
        for t in self.inputs[operator]:
            if not self.written[t] and not self.readers[t] & done:
                live += self.size[t]
            if not self.readers[t] & ~new:
                freed += self.size[t]
        for t in self.outputs[operator]:
            live += self.size[t]
            if not self.readers[t]:
                freed += self.size[t]
        return live, live - freed

    def follow(
        self, operator: int, done: int, ready: tuple[int, ...]
    ) -> tuple[int, tuple[int, ...]]:
        """Return the operators that have run, and those that are ready, with one more."""
        done |= 1 << operator
        released = [j for j in self.successors[operator] if not self.before[j] & ~done]
        return done, (*(i for i in ready if i != operator), *released)


def _mask(values: list[int]) -> int:
    mask = 0
    for value in values:
        mask |= 1 << value
    return mask


def _search(
    graph: OperatorGraph, width: int, least: int, most: int, stopped: Callable[[], bool]
) -> tuple[IntArray | None, bool]:
    """Return an order with a peak below `most`, and whether there is certainly no better one."""
    start = _Start(graph)
    # By the operators that have run: peak, bytes alive, those that are ready, and the way there.
    layer: dict[int, tuple[int, int, tuple[int, ...], Any]] = {0: (least, 0, start.ready, None)}
    complete = True
    for _ in range(graph.n_operators):
        if stopped():
            return None, False
        coming: dict[int, tuple[int, int, tuple[int, ...], Any]] = {}
        for done, (peak, live, ready, way) in layer.items():
            effects = [(i, *start.effect(i, done, live)) for i in ready]
            harmless = [each for each in effects if each[1] <= peak and each[2] <= live]
            for i, during, after in harmless[:1] or effects:
                height = max(peak, during)
                new = done | 1 << i
                known = coming.get(new)
                if height < most and (known is None or height < known[0]):
                    _, freed = start.follow(i, done, ready)
                    coming[new] = (height, after, freed, (i, way))
        if len(coming) > width:
            complete = False
            kept = sorted(coming.items(), key=lambda item: item[1][:2])[:width]
            coming = dict(kept)
        layer = coming
    if not layer:
        return None, complete
    way = next(iter(layer.values()))[3]
    order = []
    while way is not None:
        order.append(way[0])
        way = way[1]
    return np.array(order[::-1], dtype=np.int64), complete
