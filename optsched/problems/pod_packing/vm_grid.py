"""Migrations on a grid of two resources: what a host can give away and take in, and for what.

A column of a host says how many pods of each kind leave and come, and how many slots it holds
then. `Grid` prepares all that can leave; `best_columns` finds each host's best column for given
prices: what comes to a node is a knapsack over its free amounts, one table for all nodes.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from numba.types import Array, float64, int64, void

from optsched.core import IntArray
from optsched.problems.pod_packing.grouping import limits, loads
from optsched.problems.pod_packing.kernels import F1, I1, I2
from optsched.problems.pod_packing.problem import PodPacking

FloatArray = npt.NDArray[np.float64]
#: Steps of the two axes at most, and of combinations that can leave.
MOST_CELLS, MOST_STEPS, MOST_LEAVING = 2_000, 256, 400_000


@dataclass(frozen=True, eq=False)
class Grid:
    """What the nodes hold and can give away, in steps of two resources.

    Kinds are pods alike in steps and in whether they span a host: first those on single nodes.

    Attributes
    ----------
    kind : ndarray of int64, shape (n_pods,)
    n_single : int
        Number of kinds on single nodes.
    need : ndarray of int64, shape (n_kinds, 2)
    slot : int
        Steps of the first resource in a slot.
    free : ndarray of int64, shape (n_nodes, 2)
        Nodes stand host by host.
    nodes : ndarray of int64, shape (n_nodes,)
        The problem's number of each node here.
    host_start : ndarray of int64, shape (n_hosts + 1,)
    out_start, out : ndarray of int64, shapes (n_nodes + 1,), (n_outs, n_single)
        What can leave each node, kind by kind.
    wide_start, wide_out, wide_in : ndarray of int64, (n_hosts + 1,), (n_wides, n_wide) twice
        What of the kinds that span can leave and come to each host.
    """

    kind: IntArray
    n_single: int
    need: IntArray
    slot: int
    free: IntArray
    nodes: IntArray
    host_start: IntArray
    out_start: IntArray
    out: IntArray
    wide_start: IntArray
    wide_out: IntArray
    wide_in: IntArray

    @property
    def base(self) -> IntArray:
        """Slots on each host as it is, shape (n_hosts,)."""
        return np.asarray(np.add.reduceat(self.free[:, 0] // self.slot, self.host_start[:-1]))


def grid_of(problem: PodPacking) -> Grid | None:
    """Return the grid of an instance; None where it would be too large, or is not to be used.

    All pods run and the slot is of one resource. The second resource is the scarcest other one,
    rounded so that whatever fits in truth fits in steps; rules between pods and eligibility are
    not seen. So a bound for the grid is one for the instance.
    """
    if (problem.slot > 0).sum() != 1 or (problem.current < 0).any():
        return None
    limit, room = limits(problem)
    load = loads(problem, problem.current)
    if (load > limit).any():
        return None
    main = int(problem.slot.argmax())
    others = [r for r in range(limit.shape[1]) if r != main and limit[:, r].any()]
    share = load.sum(axis=0) / np.maximum(1, limit.sum(axis=0))
    side = max(others, key=lambda r: float(share[r]), default=-1)
    request, movable = problem.request, problem.movable
    first = [request[:, main], room[:, main], problem.slot]
    step = math.gcd(*(int(value) for value in np.unique(np.concatenate(first)))) or 1
    if room[:, main].max(initial=0) // step > MOST_CELLS:
        return None
    need = np.zeros((problem.n_pods, 2), dtype=np.int64)
    space = np.zeros((problem.n_nodes, 2), dtype=np.int64)
    need[:, 0], space[:, 0] = request[:, main] // step, room[:, main] // step
    if side >= 0:
        amounts = np.unique(np.concatenate((request[:, side], room[:, side])))
        exact = math.gcd(*(int(value) for value in amounts)) or 1
        coarse = max(exact, -(-int(room[:, side].max()) // MOST_STEPS))
        need[:, 1], space[:, 1] = request[:, side] // coarse, room[:, side] // coarse
    table = np.column_stack((problem.spans, need))
    unique, inverse = np.unique(table, axis=0, return_inverse=True)
    kinds: IntArray = unique.astype(np.int64)
    kind: IntArray = inverse.reshape(-1).astype(np.int64)
    n_single = int((kinds[:, 0] == 0).sum())
    nodes = np.argsort(problem.first, kind="stable").astype(np.int64)
    _, start = np.unique(problem.first[nodes], return_index=True)
    host_start = np.append(start, problem.n_nodes).astype(np.int64)
    count = np.zeros((problem.n_nodes, len(kinds)), dtype=np.int64)
    np.add.at(count, (problem.current[movable], kind[movable]), 1)
    wide = count[:, n_single:]
    used = count[:, :n_single] @ kinds[:n_single, 1:] + (wide @ kinds[n_single:, 1:])[problem.first]
    leaving = _leaving(count[nodes], kinds[:, 1:], space[nodes], host_start, n_single, problem)
    if leaving is None:
        return None
    return Grid(
        kind, n_single, kinds[:, 1:], int(problem.slot[main]) // step, (space - used)[nodes], nodes,
        host_start, *leaving,
    )  # fmt: skip


def _leaving(
    count: IntArray,
    need: IntArray,
    space: IntArray,
    host_start: IntArray,
    n_single: int,
    problem: PodPacking,
) -> tuple[IntArray, IntArray, IntArray, IntArray, IntArray] | None:
    """Return what can leave each node, and what that spans can leave and come to each host."""
    most = problem.n_pods if problem.migration_limit is None else problem.migration_limit
    outs: list[tuple[int, ...]] = []
    out_start = [0]
    for row in count[:, :n_single].tolist():
        if math.prod(c + 1 for c in row) > MOST_LEAVING:
            return None
        outs += [o for o in itertools.product(*(range(c + 1) for c in row)) if sum(o) <= most]
        out_start.append(len(outs))
        if len(outs) > MOST_LEAVING:
            return None
    wide_need = need[n_single:]
    pairs: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
    wide_start = [0]
    able: dict[bytes, list[tuple[int, ...]]] = {}
    for a, b in itertools.pairwise(host_start.tolist()):
        least = space[a:b].min(axis=0)
        if least.tobytes() not in able:
            able[least.tobytes()] = _fitting(wide_need, least)
        # A pod that spans is counted on its host's first node, which stands first here.
        counts = count[a, n_single:].tolist()
        for o in itertools.product(*(range(c + 1) for c in counts)):
            pairs += [
                (o, i)
                for i in able[least.tobytes()]
                if not any(x and y for x, y in zip(o, i, strict=True))
            ]
        wide_start.append(len(pairs))
        if len(pairs) > MOST_LEAVING:
            return None
    n_wide = len(wide_need)
    return (
        np.array(out_start), _table(outs, n_single),
        np.array(wide_start), _table([o for o, _ in pairs], n_wide),
        _table([i for _, i in pairs], n_wide),
    )  # fmt: skip


def _table(rows: list[tuple[int, ...]], width: int) -> IntArray:
    return np.array(rows, dtype=np.int64).reshape(len(rows), width)


def _fitting(need: IntArray, room: IntArray) -> list[tuple[int, ...]]:
    """Return every combination of kinds that fits into `room`."""
    found: list[tuple[int, ...]] = []

    def extend(chosen: tuple[int, ...], left: IntArray) -> None:
        if len(chosen) == len(need):
            found.append(chosen)
            return
        each, number = need[len(chosen)], 0
        while (left >= number * each).all() and len(found) <= MOST_LEAVING:
            extend((*chosen, number), left - number * each)
            number += 1
            if not each.any():
                return

    extend((), room)
    return found


# ---- prices --------------------------------------------------------------------------------------


A2, F2 = Array(int64, 2, "A"), Array(float64, 2, "C")


@numba.njit(void(int64, A2, F1, F2, I2), nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _fill(slot: int, need: Any, price: Any, value: Any, choice: Any) -> None:
    """Write the value of coming to a node with so much free, and what comes first (-1: nothing)."""
    for c in range(value.shape[0]):
        for m in range(value.shape[1]):
            best, which = float(c // slot), -1
            for k in range(len(need)):
                if c >= need[k, 0] and m >= need[k, 1]:
                    other = value[c - need[k, 0], m - need[k, 1]] - price[k]
                    if other > best + 1e-12:
                        best, which = other, k
            value[c, m] = best
            choice[c, m] = which


@numba.njit(  # type: ignore[untyped-decorator]
    void(F2, I2, I1, I1, I2, F1, I1, I2, F1, F1, I1, I1), nogil=True, cache=True
)
def _price(
    value: Any,
    free: Any,
    host_start: Any,
    out_start: Any,
    out_need: Any,
    out_value: Any,
    wide_start: Any,
    wide_need: Any,
    wide_value: Any,
    best: Any,
    best_wide: Any,
    best_out: Any,
) -> None:
    """Write each host's best value, and which combinations attain it."""
    chosen = np.zeros(len(free), dtype=np.int64)
    for h in range(len(host_start) - 1):
        best[h] = -np.inf
        for w in range(wide_start[h], wide_start[h + 1]):
            total = wide_value[w]
            for k in range(host_start[h], host_start[h + 1]):
                top = -np.inf
                for o in range(out_start[k], out_start[k + 1]):
                    c = free[k, 0] + out_need[o, 0] + wide_need[w, 0]
                    m = free[k, 1] + out_need[o, 1] + wide_need[w, 1]
                    if c < 0 or m < 0:
                        continue
                    found = out_value[o] + value[c, m]
                    if found > top:
                        top = found
                        chosen[k] = o
                total += top
                if total == -np.inf:
                    break
            if total > best[h]:
                best[h] = total
                best_wide[h] = w
                for k in range(host_start[h], host_start[h + 1]):
                    best_out[k] = chosen[k]


@dataclass(frozen=True, eq=False)
class Column:
    """What leaves and comes to a host, and the slots that it then holds.

    Attributes
    ----------
    host : int
    out, into : ndarray of int64, shape (n_nodes_of_host, n_kinds)
        Kinds that span count on the host's first node.
    slots : int
    """

    host: int
    out: IntArray
    into: IntArray
    slots: int

    @property
    def key(self) -> tuple[int, bytes, bytes]:
        """Tells columns apart."""
        return self.host, self.out.tobytes(), self.into.tobytes()


class Pricing:
    """Finds the best column of every host for given prices; see `Grid`."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        single, wide = grid.need[: grid.n_single], grid.need[grid.n_single :]
        self.out_need = grid.out @ single
        self.wide_need = (grid.wide_out - grid.wide_in) @ wide
        least = grid.free + np.maximum.reduceat(self.out_need, grid.out_start[:-1])
        gain = np.maximum.reduceat(self.wide_need, grid.wide_start[:-1])
        sizes = np.diff(grid.host_start)
        shape = np.maximum(0, least + np.repeat(gain, sizes, axis=0)).max(axis=0) + 1
        self.value = np.zeros(shape)
        self.choice = np.zeros(shape, dtype=np.int64)
        n_hosts = len(grid.host_start) - 1
        self.best = np.zeros(n_hosts)
        self.best_wide = np.zeros(n_hosts, dtype=np.int64)
        self.best_out = np.zeros(len(grid.free), dtype=np.int64)

    def run(self, fee: float, price: FloatArray) -> FloatArray:
        """Return the best value of every host: slots, less a fee a migration and the prices.

        Parameters
        ----------
        fee : float
            Of each pod that leaves.
        price : ndarray of float64, shape (n_kinds,)
            What coming costs and leaving earns.
        """
        grid = self.grid
        single, wide = price[: grid.n_single], price[grid.n_single :]
        _fill(grid.slot, grid.need[: grid.n_single], single, self.value, self.choice)
        out_value = grid.out @ single - fee * grid.out.sum(axis=1)
        wide_value = (grid.wide_out - grid.wide_in) @ wide - fee * grid.wide_out.sum(axis=1)
        _price(
            self.value, grid.free, grid.host_start, grid.out_start, self.out_need, out_value,
            grid.wide_start, self.wide_need, wide_value, self.best, self.best_wide, self.best_out,
        )  # fmt: skip
        return self.best

    def column(self, h: int) -> Column:
        """Return the column that attains the best value of a host."""
        grid = self.grid
        a, b = grid.host_start[h : h + 2].tolist()
        out = np.zeros((b - a, len(grid.need)), dtype=np.int64)
        into = np.zeros_like(out)
        w = self.best_wide[h]
        out[0, grid.n_single :] = grid.wide_out[w]
        into[0, grid.n_single :] = grid.wide_in[w]
        slots = 0
        for k in range(a, b):
            o = self.best_out[k]
            out[k - a, : grid.n_single] = grid.out[o]
            c, m = (grid.free[k] + self.out_need[o] + self.wide_need[w]).tolist()
            while (kind := int(self.choice[c, m])) >= 0:
                into[k - a, kind] += 1
                c, m = c - int(grid.need[kind, 0]), m - int(grid.need[kind, 1])
            slots += c // grid.slot
        # What leaves and comes again in the same kind has not left.
        both = np.minimum(out, into)
        return Column(h, out - both, into - both, slots)
