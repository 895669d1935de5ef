"""Replacement with addresses, decided operator by operator: what a run-time allocator does.

Unlike the policies of `baselines`, which count bytes alone, these lose to fragmentation; what they
return is a schedule that the checker accepts.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from optsched.core import InputError, IntArray
from optsched.numbers import shown
from optsched.problems.scratchpad.baselines import POLICIES
from optsched.problems.scratchpad.problem import ScratchpadSchedule, ScratchpadSolution

#: Which of the gaps that are large enough is taken: the lowest, or the smallest.
FITS = ("first-fit", "best-fit")


def schedule(
    problem: ScratchpadSchedule, order: IntArray, policy: str = "belady", fit: str = "first-fit"
) -> ScratchpadSolution:
    """Run the operators in a given order; tensors are placed as they come and never move.

    Each step places the tensors that it lacks, largest first. While one finds no gap, a tensor
    that the step does not use leaves by `policy`; where none is left, the step's own operands lie
    in the way, and move through main memory.

    Parameters
    ----------
    problem : ScratchpadSchedule
        Its own order, if it has one, is not looked at.
    order : ndarray of int64, shape (n_operators,)
        A topological order.
    policy : str
        ``"belady"`` (the furthest next use leaves) or ``"lru"`` (the last use longest ago); the
        largest leaves of several.
    fit : str
        ``"first-fit"`` or ``"best-fit"``.

    Raises
    ------
    InputError
        On an unknown policy or fit, or a wrong order.
    """
    for value, known, what in ((policy, POLICIES, "policy"), (fit, FITS, "fit")):
        if value not in known:
            raise InputError(f"unknown {what} {shown(value)}: one of {', '.join(known)}")
    graph = problem.graph
    order = graph.check_order(order)
    steps = [(*graph.inputs(i).tolist(), *graph.outputs(i).tolist()) for i in order.tolist()]
    uses: list[list[int]] = [[] for _ in range(graph.n_tensors)]
    for step in reversed(range(len(steps))):
        for t in steps[step]:
            uses[t].append(step)  # the next use is the last of the list
    pad = _Pad(graph.size.tolist(), problem.capacity, fit)
    last = [-1] * graph.n_tensors

    def urgency(t: int) -> tuple[int, int]:
        return (uses[t][-1] if policy == "belady" else -last[t], pad.size[t])

    for step, tensors in enumerate(steps):
        _make_present(pad, step, set(tensors), last, urgency)
        for t in set(tensors):
            last[t] = step
            while uses[t] and uses[t][-1] <= step:
                uses[t].pop()
            if not uses[t]:
                pad.leave(t, step)
    stays = np.array(pad.stays, dtype=np.int64).reshape(-1, 4)
    stays = stays[np.lexsort((stays[:, 1], stays[:, 0]))]
    return ScratchpadSolution(order, stays[:, :3], stays[:, 3])


def _make_present(
    pad: _Pad,
    step: int,
    needed: set[int],
    last: list[int],
    urgency: Callable[[int], tuple[int, int]],
) -> None:
    """Place what a step needs and lacks; others leave as far as that takes."""
    while not pad.enter(sorted(needed - pad.place.keys(), key=lambda t: (-pad.size[t], t)), step):
        others = [t for t in pad.place if t not in needed]
        for t in [max(others, key=urgency)] if others else list(pad.place):
            pad.leave(t, last[t])


class _Pad:
    """The scratchpad: where the tensors in it lie, and all stays so far."""

    def __init__(self, size: list[int], capacity: int, fit: str) -> None:
        self.size = size
        self.capacity = capacity
        self.fit = fit
        self.place: dict[int, tuple[int, int]] = {}  # offset, and step of entry
        self.stays: list[tuple[int, int, int, int]] = []

    def enter(self, tensors: list[int], step: int) -> bool:
        """Place all of the tensors, or none where one finds no gap."""
        for k, t in enumerate(tensors):
            offset = self._gap(self.size[t])
            if offset is None:
                for placed in tensors[:k]:
                    del self.place[placed]
                return False
            self.place[t] = (offset, step)
        return True

    def leave(self, t: int, last: int) -> None:
        """End a stay, whose last use was in step `last`."""
        offset, entered = self.place.pop(t)
        self.stays.append((t, entered, last, offset))

    def _gap(self, size: int) -> int | None:
        best: tuple[int, int] | None = None
        end = 0
        occupied = sorted((offset, offset + self.size[t]) for t, (offset, _) in self.place.items())
        for low, high in (*occupied, (self.capacity, self.capacity)):
            if low - end >= size and (best is None or low - end < best[0]):
                best = low - end, end
                if self.fit == "first-fit":
                    break
            end = max(end, high)
        return None if best is None else best[1]
