"""The independent checker: it replays a mapping step by step, and shares no code with solvers."""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from optsched.core import InputError, IntArray, Violation
from optsched.problems.scratchpad.graph import INPUT, OUTPUT, WEIGHT

if TYPE_CHECKING:
    from optsched.problems.memory_tiers.problem import MemoryTiers, MemoryTiersSolution


def check(problem: MemoryTiers, solution: MemoryTiersSolution) -> list[Violation]:
    """Return every violation of `solution`, in words; an empty list means feasible."""
    found = _shape(problem, solution)
    if found:
        return found  # nothing below is defined for such a solution
    found = _capacity(problem, solution)
    return found + _Replay(problem, solution).run()


def step_times(problem: MemoryTiers, solution: MemoryTiersSolution) -> IntArray:
    """Return the longest of compute, access and copy time of each step.

    Raises
    ------
    InputError
        When the solution does not fit the instance.
    """
    if found := _shape(problem, solution):
        raise InputError(f"solution: {found[0]}")
    n = problem.graph.n_operators
    compute = problem.compute[problem.order]
    tensor, step = problem.touches().T
    size, speed = problem.graph.size[tensor], problem.bandwidth[solution.tier]
    access = np.zeros(n, dtype=np.int64)
    np.add.at(access, step, (size + speed - 1) // speed)
    channel = np.zeros(n, dtype=np.int64)
    np.add.at(channel, solution.copies[:, 2], solution.copies[:, 3])
    return np.asarray(np.maximum(compute, np.maximum(access, channel)), dtype=np.int64)


def _shape(problem: MemoryTiers, solution: MemoryTiersSolution) -> list[Violation]:
    n_steps, n_tensors = problem.graph.n_operators, problem.graph.n_tensors
    n_tiers, n_touches = len(problem.tier_names), len(problem.touches())
    if len(solution.tier) != n_touches:
        text = f"tier has {len(solution.tier)} entries, the instance has {n_touches} touches"
        return [Violation("shape", text)]
    found = []
    for k in np.flatnonzero((solution.tier < 0) | (solution.tier >= n_tiers)).tolist():
        found.append(Violation("tier", f"touch {k}: there is no memory {solution.tier[k]}"))
    for row in solution.stays.tolist():
        tensor, memory, first, last = row
        if not (0 <= tensor < n_tensors and 1 <= memory < n_tiers and 0 <= first <= last < n_steps):
            found.append(Violation("stay", f"stay {row} names no tensor, memory or steps"))
    for row in solution.copies.tolist():
        tensor, memory, step, time = row
        known = 0 <= tensor < n_tensors and 0 <= memory < n_tiers and 0 <= step < n_steps
        if not known or time < 1:
            found.append(Violation("copy", f"copy {row} names no tensor, memory, step or time"))
    return found


def _capacity(problem: MemoryTiers, solution: MemoryTiersSolution) -> list[Violation]:
    found = []
    for memory in range(1, len(problem.tier_names)):
        inside = solution.stays[solution.stays[:, 1] == memory]
        change = np.zeros(problem.graph.n_operators + 1, dtype=np.int64)
        np.add.at(change, inside[:, 2], problem.graph.size[inside[:, 0]])
        np.subtract.at(change, inside[:, 3] + 1, problem.graph.size[inside[:, 0]])
        load = np.cumsum(change[:-1])
        room = int(problem.capacity[memory])
        for step in np.flatnonzero(load > room).tolist():
            name = problem.tier_names[memory]
            text = f"step {step}: {load[step]} bytes in {name}, which has room for {room}"
            found.append(Violation("capacity", text))
    return found


class _Replay:
    """Where each tensor is complete, from which step on."""

    def __init__(self, problem: MemoryTiers, solution: MemoryTiersSolution) -> None:
        self.problem = problem
        self.found: list[Violation] = []
        self.stays: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
        for tensor, memory, first, last in solution.stays.tolist():
            self.stays[tensor].append((memory, first, last))
        self.copies: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
        for tensor, memory, step, time in solution.copies.tolist():
            self.copies[tensor].append((memory, step, time))
        self.uses: dict[int, list[tuple[int, int]]] = defaultdict(list)
        touches = zip(problem.touches().tolist(), solution.tier.tolist(), strict=True)
        for (tensor, step), memory in touches:
            self.uses[tensor].append((step, memory))

    def run(self) -> list[Violation]:
        for tensor in range(self.problem.graph.n_tensors):
            self._tensor(tensor)
        return self.found

    def _add(self, kind: str, tensor: int, text: str) -> None:
        name = self.problem.graph.tensor_names[tensor]
        self.found.append(Violation(kind, f"tensor {name!r}: {text}"))

    def _tensor(self, tensor: int) -> None:
        kind = int(self.problem.graph.kind[tensor])
        time = -(-int(self.problem.graph.size[tensor]) // self.problem.dma_bandwidth)
        outside = kind in (INPUT, WEIGHT)
        uses = self.uses[tensor]
        made = uses[0] if uses and not outside else None  # step and memory of its production
        never = self.problem.graph.n_operators + 1
        evictions = [(step, part) for memory, step, part in self.copies[tensor] if memory == 0]
        if outside:
            in_main = 0
        elif made is not None and made[1] == 0:
            in_main = made[0] + 1
        elif evictions or (made is not None and time == 0):
            in_main = max([step for step, _ in evictions], default=made[0] if made else 0) + 1
        else:
            in_main = never
        complete = self._stays(tensor, made, in_main, time)
        if evictions:
            self._evictions(tensor, evictions, time, complete, redundant=outside)
        for step, memory in uses:
            if made is not None and step == made[0]:
                if memory and not any(m == memory and first == step for m, first, _, _ in complete):
                    self._add("production", tensor, f"is written to {memory} in step {step}, "
                              "where no stay begins with it")  # fmt: skip
            elif memory == 0:
                if step < in_main:
                    self._add("main memory", tensor, f"is read from main memory in step {step}, "
                              "before it is there")  # fmt: skip
            elif not any(m == memory and ready <= step <= last for m, _, last, ready in complete):
                self._add("residency", tensor, f"is read from memory {memory} in step {step}, "
                          "where it is not complete then")  # fmt: skip
        if kind == OUTPUT and in_main > self.problem.graph.n_operators:
            self._add("output", tensor, "is an output, but not in main memory at the end")

    def _stays(
        self, tensor: int, made: tuple[int, int] | None, in_main: int, time: int
    ) -> list[tuple[int, int, int, int]]:
        """Return memory, first step, last step of each stay, and the step of its completeness."""
        complete = []
        stays = sorted(self.stays[tensor])
        for one, other in itertools.pairwise(stays):
            if one[0] == other[0] and other[1] <= one[2]:
                self._add("stay", tensor, f"two stays in memory {one[0]} share step {other[1]}")
        parts = [each for each in self.copies[tensor] if each[0]]
        for memory, first, last in stays:
            own = [p for p in parts if p[0] == memory and first <= p[1] <= last]
            parts = [p for p in parts if p not in own]
            if made == (first, memory):
                if own:
                    self._add("copy", tensor, f"is produced in memory {memory}, and copied there")
                complete.append((memory, first, last, first + 1))
                continue
            copied = sum(part for _, _, part in own)
            if copied != time:
                self._add("copy", tensor, f"of the copy to memory {memory} in steps {first} to "
                          f"{last}, {copied} of {time} units of time are done")  # fmt: skip
            begins = min((step for _, step, _ in own), default=first)
            if begins < in_main:
                self._add("copy", tensor, f"is copied to memory {memory} in step {begins}, before "
                          "main memory has it")  # fmt: skip
            ready = max((step for _, step, _ in own), default=first - 1) + 1
            complete.append((memory, first, last, ready))
        for memory, step, _ in parts:
            self._add("copy", tensor, f"is copied to memory {memory} in step {step}, where it "
                      "has no room")  # fmt: skip
        return complete

    def _evictions(
        self,
        tensor: int,
        evictions: list[tuple[int, int]],
        time: int,
        complete: list[tuple[int, int, int, int]],
        *,
        redundant: bool,
    ) -> None:
        done = sum(part for _, part in evictions)
        if redundant:
            self._add("eviction", tensor, "is evicted, but main memory always has it")
        elif done != time:
            self._add("eviction", tensor, f"{done} of {time} units of its eviction are done")
        for step, _ in evictions:
            if not any(ready <= step <= last for _, _, last, ready in complete):
                self._add("eviction", tensor, f"is evicted in step {step}, when it is complete in "
                          "no memory")  # fmt: skip
