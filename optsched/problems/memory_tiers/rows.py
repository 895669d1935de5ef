"""The whole problem as linear rows over integer variables, step by step; for CP-SAT and MILP.

For every tensor, memory and step: whether it takes room, whether it is complete, what the channel
brings, and what it has brought. All is linear, so that one formulation serves both backends. It
grows with the product of lifetimes and memories, and is for small graphs.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from optsched.core import Deadline, IntArray
from optsched.problems.memory_tiers.problem import MemoryTiers, MemoryTiersSolution
from optsched.problems.scratchpad.graph import OUTPUT

#: Terms of a row: variable and coefficient.
Terms = list[tuple[int, int]]


@dataclass(frozen=True)
class Row:
    """``low <= sum(coefficient * variable) <= high``; None: no bound."""

    terms: Terms
    low: int | None
    high: int | None


@dataclass
class _Stay:
    """The variables of one tensor in one memory, by step from ``begin`` on."""

    memory: int
    begin: int
    room: list[int] = field(default_factory=list)
    complete: list[int] = field(default_factory=list)
    work: list[int] = field(default_factory=list)  # all but the last step
    progress: list[int] = field(default_factory=list)  # at the beginning of the step


@dataclass
class _Tensor:
    """The variables of one tensor.

    ``use[j][m]`` says that touch ``j`` is in memory ``m``; ``valid`` and ``evicted`` (what the
    channel has done) hold from the step behind the production on, for tensors that are written.
    """

    tensor: int
    first_touch: int
    steps: list[int]
    written: bool
    time: int
    use: list[dict[int, int]] = field(default_factory=list)
    stays: list[_Stay] = field(default_factory=list)
    valid: list[int] = field(default_factory=list)
    evicted: list[int] = field(default_factory=list)


def n_variables(problem: MemoryTiers) -> int:
    """Return about how many variables the formulation has."""
    tensor, step = problem.touches().T
    if not len(tensor):
        return 0
    first = np.full(problem.graph.n_tensors, problem.graph.n_operators)
    last = np.zeros(problem.graph.n_tensors, dtype=np.int64)
    np.minimum.at(first, tensor, step)
    np.maximum.at(last, tensor, step)
    first[problem.graph.producer < 0] = 0
    last[problem.graph.kind == OUTPUT] = problem.graph.n_operators - 1
    length = np.maximum(0, last - first + 1)
    return int(4 * (problem.n_tiers - 1) * length.sum() + problem.n_tiers * len(tensor))


class TimedRows:
    """Variables, rows and objective of an instance, and the way from and to its solutions.

    Attributes
    ----------
    lower, upper : list of int
        Bounds of the variables, which are all integer.
    rows : list of Row
    objective : list of int
        Variables whose sum is minimised: the time of each step.
    """

    def __init__(
        self,
        problem: MemoryTiers,
        upper_bound: int | None,
        lower_bound: int | None,
        deadline: Deadline,
    ) -> None:
        self.problem = problem
        self.lower: list[int] = []
        self.upper: list[int] = []
        self.rows: list[Row] = []
        self.n_steps = problem.graph.n_operators
        self.access = problem.access_time()
        self._accesses: list[Terms] = [[] for _ in range(self.n_steps)]
        self._channel: list[Terms] = [[] for _ in range(self.n_steps)]
        self._room: dict[tuple[int, int], Terms] = {}
        self.tensors = [self._tensor(*each) for each in self._touched()]
        deadline.check()
        for (memory, _), terms in self._room.items():
            self._row(terms, None, int(problem.capacity[memory]))
        self.objective = self._times(upper_bound, lower_bound)

    def _variable(self, high: int, low: int = 0) -> int:
        self.lower.append(low)
        self.upper.append(high)
        return len(self.lower) - 1

    def _row(self, terms: Terms, low: int | None, high: int | None) -> None:
        self.rows.append(Row(terms, low, high))

    def _touched(self) -> list[tuple[int, int, list[int]]]:
        """Return tensor, index of its first touch, and steps of all of them."""
        tensor, step = self.problem.touches().T
        at = np.flatnonzero(np.diff(tensor, prepend=-1))
        parts = np.split(step, at[1:])
        return (
            [(int(tensor[k]), int(k), part.tolist()) for k, part in zip(at, parts, strict=True)]
            if len(tensor)
            else []
        )

    def _tensor(self, tensor: int, first_touch: int, steps: list[int]) -> _Tensor:
        problem = self.problem
        size = int(problem.graph.size[tensor])
        written = bool(problem.graph.producer[tensor] >= 0)
        output = bool(problem.graph.kind[tensor] == OUTPUT)
        made = _Tensor(tensor, first_touch, steps, written, int(problem.copy_time()[tensor]))
        rooms = [m for m in range(1, problem.n_tiers) if 0 < size <= problem.capacity[m]]
        for step in steps:
            use = {m: self._variable(1) for m in (0, *rooms)}
            made.use.append(use)
            self._row([(v, 1) for v in use.values()], 1, 1)
            for m, variable in use.items():
                if self.access[tensor, m]:
                    self._accesses[step].append((variable, int(self.access[tensor, m])))
        begin = steps[0] if written else 0
        end = self.n_steps - 1 if output else steps[-1]
        if written:
            self._main_memory(made, begin, end, output)
        for m in rooms:
            made.stays.append(self._stay(made, m, begin, end, size))
        if written:
            self._evictions(made)
        return made

    def _main_memory(self, made: _Tensor, begin: int, end: int, output: bool) -> None:
        """Say from when on main memory has a tensor that is written."""
        here = made.use[0][0]
        for _ in range(begin + 1, end + 2):
            valid, evicted = self._variable(1), self._variable(made.time)
            made.valid.append(valid)
            made.evicted.append(evicted)
            if made.time:
                self._row([(valid, made.time), (here, -made.time), (evicted, -1)], None, 0)
        self.upper[made.evicted[0]] = 0
        if output:
            self.lower[made.valid[-1]] = 1
        for step, use in zip(made.steps[1:], made.use[1:], strict=True):
            self._row([(use[0], 1), (made.valid[step - begin - 1], -1)], None, 0)

    def _stay(self, made: _Tensor, memory: int, begin: int, end: int, size: int) -> _Stay:
        time = made.time
        stay = _Stay(memory, begin)
        for step in range(begin, end + 1):
            room, complete = self._variable(1), self._variable(1)
            progress = self._variable(time if step > begin else 0)
            stay.room.append(room)
            stay.complete.append(complete)
            stay.progress.append(progress)
            self._room.setdefault((memory, step), []).append((room, size))
            self._row([(complete, 1), (room, -1)], None, 0)
            self._row([(complete, time), (progress, -1)], None, 0)
            if step > begin:
                before = [(stay.progress[-2], -1), (stay.work[-1], -1)]
                if made.written and step == begin + 1:
                    before.append((made.use[0][memory], -time))
                self._row([(progress, 1), *before], None, 0)
                self._row([(progress, 1), (stay.room[-2], -time)], None, 0)
            if step < end:
                work = self._variable(time)
                stay.work.append(work)
                self._channel[step].append((work, 1))
                self._row([(work, 1), (room, -time)], None, 0)
                if made.written and step == begin:
                    self.upper[work] = 0
                elif made.written:
                    self._row([(work, 1), (made.valid[step - begin - 1], -time)], None, 0)
        for j, step in enumerate(made.steps):
            there = stay.room if made.written and j == 0 else stay.complete
            self._row([(made.use[j][memory], 1), (there[step - begin], -1)], None, 0)
        return stay

    def _evictions(self, made: _Tensor) -> None:
        """What the channel takes to main memory in a step, it takes from a complete stay."""
        begin = made.steps[0]
        for k, (before, after) in enumerate(itertools.pairwise(made.evicted)):
            step = begin + 1 + k
            self._row([(after, 1), (before, -1)], 0, None)
            source = [(stay.complete[step - begin], -made.time) for stay in made.stays]
            self._row([(after, 1), (before, -1), *source], None, 0)
            self._channel[step] += [(after, 1), (before, -1)]

    def _times(self, upper_bound: int | None, lower_bound: int | None) -> list[int]:
        compute = self.problem.compute[self.problem.order].tolist()
        copies = int(self.problem.copy_time().sum()) * self.problem.n_tiers
        times = []
        for accesses, channel, least in zip(self._accesses, self._channel, compute, strict=True):
            most = max(least, sum(cost for _, cost in accesses), copies if channel else 0)
            if upper_bound is not None:
                most = max(least, min(most, upper_bound))
            times.append(self._variable(most, least))
            for terms in (accesses, channel):
                if terms:
                    self._row([(times[-1], 1), *((v, -c) for v, c in terms)], 0, None)
        if upper_bound is not None or lower_bound is not None:
            self._row([(time, 1) for time in times], lower_bound, upper_bound)
        return times

    # ---- solutions -----------------------------------------------------------------------

    def encode(self, solution: MemoryTiersSolution) -> npt.NDArray[np.float64]:
        """Return the value of every variable in a feasible `solution`."""
        values = np.zeros(len(self.lower))
        stays: dict[tuple[int, int], list[tuple[int, int]]] = {}
        copies: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for tensor, memory, first, last in solution.stays.tolist():
            stays.setdefault((tensor, memory), []).append((first, last))
        for tensor, memory, step, time in solution.copies.tolist():
            copies.setdefault((tensor, memory), []).append((step, time))
        for made in self.tensors:
            tier = solution.tier[made.first_touch : made.first_touch + len(made.steps)].tolist()
            for use, memory in zip(made.use, tier, strict=True):
                values[use[memory]] = 1
            if made.written:
                self._encode_main(made, values, tier[0] == 0, copies.get((made.tensor, 0), []))
            for stay in made.stays:
                key = (made.tensor, stay.memory)
                produced = made.written and tier[0] == stay.memory
                for first, last in stays.get(key, []):
                    parts = [p for p in copies.get(key, []) if first <= p[0] <= last]
                    here = produced and first == stay.begin
                    self._encode_stay(made, stay, values, (first, last), parts, here)
        values[self.objective] = self.problem.step_times(solution)
        return values

    @staticmethod
    def _encode_main(
        made: _Tensor, values: npt.NDArray[np.float64], here: bool, parts: list[tuple[int, int]]
    ) -> None:
        for k, (valid, evicted) in enumerate(zip(made.valid, made.evicted, strict=True)):
            step = made.steps[0] + 1 + k
            done = sum(time for at, time in parts if at < step)
            values[evicted] = done
            values[valid] = here or done >= made.time

    @staticmethod
    def _encode_stay(
        made: _Tensor,
        stay: _Stay,
        values: npt.NDArray[np.float64],
        span: tuple[int, int],
        parts: list[tuple[int, int]],
        produced: bool,
    ) -> None:
        first = span[0] - stay.begin
        last = min(span[1] - stay.begin, len(stay.room) - 1)
        for at, time in parts:
            values[stay.work[at - stay.begin]] = time
        for k in range(first, last + 1):
            values[stay.room[k]] = 1
            if k == first:
                continue  # nothing is there at the beginning of the first step
            done = made.time if produced else sum(t for at, t in parts if at < stay.begin + k)
            values[stay.progress[k]] = done
            values[stay.complete[k]] = done >= made.time

    def decode(self, values: Sequence[float] | npt.NDArray[np.float64]) -> MemoryTiersSolution:
        """Return the solution that the variables' values stand for, without what is of no use."""
        value: IntArray = np.rint(np.asarray(values)).astype(np.int64)
        tier = np.zeros(sum(len(made.steps) for made in self.tensors), dtype=np.int64)
        stays: list[tuple[int, int, int, int]] = []
        copies: list[tuple[int, int, int, int]] = []
        for made in self.tensors:
            used = [next(m for m, v in use.items() if value[v]) for use in made.use]
            tier[made.first_touch : made.first_touch + len(used)] = used
            saved = []
            if made.written and used[0] and made.evicted and value[made.evicted[-1]] == made.time:
                levels = value[made.evicted]
                for k in np.flatnonzero(np.diff(levels)).tolist():
                    saved.append(made.steps[0] + 1 + k)
                    copies.append((made.tensor, 0, saved[-1], int(levels[k + 1] - levels[k])))
            for stay in made.stays:
                touched = [
                    step for step, m in zip(made.steps, used, strict=True) if m == stay.memory
                ]
                produced = made.written and used[0] == stay.memory
                self._decode_stay(made, stay, value, touched, saved, produced, stays, copies)
        return MemoryTiersSolution(tier, stays, copies)

    @staticmethod
    def _decode_stay(
        made: _Tensor,
        stay: _Stay,
        value: IntArray,
        touched: list[int],
        saved: list[int],
        produced: bool,
        stays: list[tuple[int, int, int, int]],
        copies: list[tuple[int, int, int, int]],
    ) -> None:
        room = np.concatenate(([0], value[stay.room], [0]))
        edges = np.flatnonzero(np.diff(room)).reshape(-1, 2)
        edges += np.array([stay.begin, stay.begin - 1])
        for first, last in edges.tolist():
            parts: list[tuple[int, int, int, int]] = []
            left = made.time
            made_here = produced and first == stay.begin
            for step in range(first, last + 1):
                k = step - stay.begin
                done = min(left, int(value[stay.work[k]])) if k < len(stay.work) else 0
                if done and not made_here:
                    parts.append((made.tensor, stay.memory, step, done))
                    left -= done
            ready = first if made_here else parts[-1][2] + 1 if parts and not left else last + 1
            needed = [step for step in (*touched, *saved) if ready <= step <= last]
            if needed:
                begin = parts[0][2] if parts else first
                stays.append((made.tensor, stay.memory, begin, max(needed)))
                copies += parts
