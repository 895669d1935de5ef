"""Orders of least traffic by dynamic programming over downsets, exact or as a beam.

The states of a layer have run the same number of units. Where a layer grows beyond the beam, the
most promising states are kept, and the least cost among those dropped is remembered: no schedule
has less traffic than that or the cost found, whichever is lower. Where nothing was dropped below
the cost found, the order is optimal, addresses aside.

Where precedence forces a cut, all orders having run the same units there, a layer holds nothing but
the residencies at that boundary: the sweep then is the divide and conquer of COSMA, a shortest path
over boundary residencies, with blocks solved exactly and no cut taken that is not forced.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from optsched.core import IntArray
from optsched.problems.scratchpad import layers, states
from optsched.problems.scratchpad.units import Units

Words: TypeAlias = npt.NDArray[np.uint64]

#: No cost.
NEVER = int(np.iinfo(np.int64).max) // 2
#: Ways to make room for one unit that are followed: a share of the beam, at least and at most.
CHOICES, LEAST_CHOICES, MOST_CHOICES = 64, 8, 1024


@dataclass(frozen=True, eq=False)
class Sweep:
    """What one sweep through the layers has shown.

    Attributes
    ----------
    sequence : list of int or None
        The units in the best order found; None where nothing below the limit was.
    cost : int
        Its traffic, bytes, addresses aside; the limit where nothing was found.
    bound : int
        No order has less traffic.
    growth : int
        The least bytes by which the capacity would have to grow for an eviction that the limit
        ruled out to become unnecessary.
    widest : int
        States of the largest layer.
    """

    sequence: list[int] | None
    cost: int
    bound: int
    growth: int
    widest: int


def sweep(
    units: Units,
    capacity: int,
    beam: int,
    *,
    limit: int = NEVER,
    salt: int = 0,
    rank: IntArray | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Sweep | None:
    """Sweep through the layers once; None when stopped on the way.

    Parameters
    ----------
    units : Units
    capacity : int
        Bytes.
    beam : int
        States kept in a layer.
    limit : int
        Only orders of less traffic are of interest.
    salt : int
        Another salt may find another order of the same traffic.
    rank : ndarray of int64, shape (n_units,), optional
        Where each unit is expected in the order, a guide to who should leave; default: as numbered.
    stopped : callable() -> bool
    """
    return _Sweep(units, capacity, beam, limit, salt, rank, stopped).run()


class _Sweep:
    def __init__(
        self,
        units: Units,
        capacity: int,
        beam: int,
        limit: int,
        salt: int,
        rank: IntArray | None,
        stopped: Callable[[], bool],
    ) -> None:
        self.units = units
        self.capacity = capacity
        self.beam = beam
        self.limit = limit
        self.salt = salt
        self.stopped = stopped
        self.n = len(units.operators)
        self.w1 = max(1, -(-self.n // 64))
        self.w2 = max(1, -(-len(units.tensor) // 64))
        self.choices = min(MOST_CHOICES, max(LEAST_CHOICES, beam // CHOICES))
        self.rank = np.arange(self.n) if rank is None else rank
        room = 4 * beam + 2 * (layers.MOST_CHILDREN + 64 * self.w1)
        width = 2 * self.w1 + 2 * self.w2
        self.child = np.empty((room, width), dtype=np.uint64)
        self.g = np.empty(room, dtype=np.int64)
        self.mem = np.empty(room, dtype=np.int64)
        self.parent = np.empty(room, dtype=np.int64)
        self.unit = np.empty(room, dtype=np.int64)
        self.table = np.full(1 << (2 * room - 1).bit_length(), -1, dtype=np.int64)
        self.lost = np.array([NEVER, NEVER], dtype=np.int64)
        self.trail: list[tuple[IntArray, IntArray]] = []
        producer = np.full(len(units.tensor), -1, dtype=np.int64)
        producer[units.output_tensor] = np.repeat(np.arange(self.n), np.diff(units.output_offset))
        self.arrays = (
            units.size, units.store, producer, units.first_need, units.rest_need,
            units.input_offset, units.input_tensor, units.output_offset, units.output_tensor,
            units.reader_offset, units.reader, units.before_offset, units.before,
            units.after_offset, units.after,
        )  # fmt: skip

    def run(self) -> Sweep | None:
        state = np.zeros((1, self.child.shape[1]), dtype=np.uint64)
        for u in np.flatnonzero(np.diff(self.units.before_offset) == 0).tolist():
            state[0, self.w1 + u // 64] |= np.uint64(1) << np.uint64(u % 64)
        g = mem = np.zeros(1, dtype=np.int64)
        widest = 1
        for _ in range(self.n):
            count = self._layer(state, g, mem)
            if count is None:
                return None
            if not count:
                bound = min(self.limit, int(self.lost[0]))
                return Sweep(None, self.limit, bound, int(self.lost[1]), widest)
            widest = max(widest, count)
            state, g, mem = (
                self.child[:count].copy(),
                self.g[:count].copy(),
                self.mem[:count].copy(),
            )
            self.trail.append(
                (self.parent[:count].astype(np.int32), self.unit[:count].astype(np.int32))
            )
        best = int(np.argmin(g))
        cost = int(g[best])
        sequence = []
        for parent, unit in reversed(self.trail):
            sequence.append(int(unit[best]))
            best = int(parent[best])
        return Sweep(sequence[::-1], cost, min(cost, int(self.lost[0])), int(self.lost[1]), widest)

    def _layer(self, state: Words, g: IntArray, mem: IntArray) -> int | None:
        """Fill the buffer with the children of a layer; return how many, None when stopped."""
        self.table[:] = -1
        at = count = 0
        while at < len(g):
            if self.stopped():
                return None
            before = at
            at, count = layers.expand(
                at, len(g), state, g, mem,
                self.child, self.g, self.mem, self.parent, self.unit,
                count, self.table, self.lost, self.capacity, self.limit, self.choices, self.salt,
                self.w1, self.w2, self.rank, *self.arrays,
            )  # fmt: skip
            if at == before or (at < len(g) and count > 3 * self.beam):
                count = self._select(count)
                states.rebuild(self.child, count, self.table)
        return self._select(count)

    def _select(self, count: int) -> int:
        """Drop dominated children and, beyond the beam, the least promising; return how many."""
        order = np.lexsort((self.g[:count], *(self.child[:count, w] for w in range(self.w1))))
        bad = states.dominated(
            self.child, self.g, order, self.w1, self.w2, self.units.size, self.units.store
        )
        keep = np.flatnonzero(~bad)
        if len(keep) > self.beam:
            rank = np.lexsort((self.mem[keep], self.g[keep]))
            self.lost[0] = min(self.lost[0], int(self.g[keep[rank[self.beam :]]].min()))
            keep = np.sort(keep[rank[: self.beam]])
        for array in (self.child, self.g, self.mem, self.parent, self.unit):
            array[: len(keep)] = array[keep]
        return len(keep)
