"""Schedules taken apart, and put together again from decisions.

`Plan` says everything that follows from starts and machines: ends, departures, the alternatives
chosen, and the order in which operations enter their machines. `earliest` goes the other way: the
earliest starts that given machines and sequences allow.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np

from optsched.core import BoolArray, IntArray
from optsched.problems.job_shop.calendars import Calendar, calendars_of
from optsched.problems.job_shop.problem import BLOCKING, NO_WAIT, JobShop, JobShopSolution

#: Steps of the search for an order of what happens at one instant.
MAX_STEPS = 20_000


def followed(problem: JobShop) -> BoolArray:
    """Return whether an operation has a next one in its job, shape (n_ops,)."""
    result = np.ones(problem.n_ops, dtype=bool)
    result[problem.job_offset[1:] - 1] = False
    return result


def holding(problem: JobShop) -> BoolArray:
    """Return whether an operation blocks its machine until the next one starts, (n_ops,)."""
    return np.asarray(followed(problem) & (problem.buffer == BLOCKING))


def entries_at_once(problem: JobShop) -> int:
    """Return a bound on the operations that start at one instant."""
    least = np.minimum.reduceat(problem.alt_duration, problem.alt_offset[:-1])
    return min(problem.n_ops, problem.n_jobs + int((least == 0).sum()))


class Plan:
    """What a solution says beyond starts and machines.

    Attributes
    ----------
    start, machine, end, departure, gap : ndarray, shape (n_ops,)
        The gap is the lag plus transport behind an operation, 0 behind a job's last.
    alternative : ndarray, shape (n_ops,)
        Index of the chosen alternative.
    """

    def __init__(self, problem: JobShop, solution: JobShopSolution) -> None:
        self.problem = problem
        self.start = solution.start
        self.machine = solution.machine
        op_of_alt = np.repeat(np.arange(problem.n_ops), np.diff(problem.alt_offset))
        self.chosen = problem.alt_machine == solution.machine[op_of_alt]
        self.alternative = np.flatnonzero(self.chosen)
        self.end = problem.completion(solution)
        self.gap = gaps(problem, solution.machine)
        self.departure = self.end.copy()
        held = np.flatnonzero(holding(problem))
        self.departure[held] = self.start[held + 1] - self.gap[held]

    @cached_property
    def rank(self) -> IntArray:
        """Position of each entry among those of the same instant, shape (n_ops,).

        The entries can happen one after the other in this order: each finds its machine empty
        (without swaps) and set up. Where there is no such order, or none is found soon, it is
        that of the indices.
        """
        rank = np.zeros(self.problem.n_ops, dtype=np.int64)
        order = np.argsort(self.start, kind="stable")
        borders = np.flatnonzero(np.diff(self.start[order])) + 1
        last: dict[int, int] = {}  # who entered each machine last
        for group in np.split(order, borders):
            ops = group.tolist()
            if len(ops) > 1:
                ops = _Instant(self, ops, last).order()
                rank[ops] = np.arange(len(ops))
            for op in ops:
                last[int(self.machine[op])] = op
        return rank

    @cached_property
    def sequence(self) -> list[list[int]]:
        """The operations of each machine in the order in which they enter it."""
        order = np.lexsort((self.rank, self.start, self.machine))
        bounds = np.searchsorted(self.machine[order], np.arange(self.problem.n_machines + 1))
        return [order[a:b].tolist() for a, b in pairwise(bounds)]

    @cached_property
    def position(self) -> IntArray:
        """Place of each entry in the order of all entries, shape (n_ops,)."""
        position = np.empty(self.problem.n_ops, dtype=np.int64)
        position[np.lexsort((self.rank, self.start))] = np.arange(self.problem.n_ops)
        return position

    @cached_property
    def successor(self) -> dict[int, int]:
        """The operation that enters a machine directly after another one."""
        return {a: b for row in self.sequence for a, b in pairwise(row)}


class _Instant:
    """The entries of one instant, to be put into an order that works."""

    def __init__(self, plan: Plan, ops: list[int], last: dict[int, int]) -> None:
        problem = plan.problem
        self.plan = plan
        self.now = int(plan.start[ops[0]])
        # What only passes goes first: it is in nobody's way.
        self.ops = sorted(ops, key=lambda op: (int(plan.departure[op]), op))
        self.last = {m: last[m] for m in {int(plan.machine[op]) for op in ops} if m in last}
        blocking = holding(problem)
        self.leaves_with_next = {
            op
            for op in [*ops, *self.last.values()]
            if blocking[op] and plan.gap[op] == 0
        }  # fmt: skip
        self.steps = 0

    def order(self) -> list[int]:
        found = self._enter([], frozenset(self.ops), self.last)
        return self.ops if found is None else found

    def _enter(
        self, done: list[int], todo: frozenset[int], last: dict[int, int]
    ) -> list[int] | None:
        # As deep as there are entries at one instant, which is few: recursion is safe.
        if not todo:
            return done
        for op in self.ops:
            if op not in todo or (op - 1 in todo and self._same_job(op)):
                continue
            self.steps += 1
            if self.steps > MAX_STEPS:
                return None
            if self._fits(op, todo, last):
                machine = int(self.plan.machine[op])
                found = self._enter([*done, op], todo - {op}, last | {machine: op})
                if found is not None:
                    return found
        return None

    def _same_job(self, op: int) -> bool:
        return bool(self.plan.problem.op_job[op] == self.plan.problem.op_job[op - 1])

    def _fits(self, op: int, todo: frozenset[int], last: dict[int, int]) -> bool:
        plan, problem = self.plan, self.plan.problem
        holder = last.get(int(plan.machine[op]))
        if holder is None:
            return True
        gone = int(plan.departure[holder])
        if gone > self.now:
            return False
        # A blocked job has left when it has entered its next machine, or enters it right now.
        leaving = gone == self.now and holder in self.leaves_with_next and not problem.swap
        if leaving and holder + 1 in todo and holder + 1 != op:
            return False
        if problem.setup is None:
            return True
        jobs = problem.op_job
        needed = problem.setup[int(plan.machine[op]), jobs[holder], jobs[op]]
        return bool(self.now - gone >= needed)


def gaps(problem: JobShop, machine: IntArray) -> IntArray:
    """Return the lag plus transport behind each operation for the given machines, (n_ops,)."""
    gap = problem.lag.copy()
    if problem.transport is not None:
        before = np.flatnonzero(followed(problem))
        gap[before] += problem.transport[machine[before], machine[before + 1]]
    return gap


def earliest(
    problem: JobShop,
    alternative: IntArray,
    sequence: Sequence[Sequence[int]],
    latest_start: int,
) -> JobShopSolution | None:
    """Return the earliest schedule of given alternatives and machine sequences.

    All rules of the family are monotone (a later start of one operation never lets another one
    start earlier), so that the earliest starts are the least fixed point of the rules.

    Parameters
    ----------
    problem : JobShop
    alternative : ndarray of int, shape (n_ops,)
    sequence : sequence of sequences of int
        The operations of each machine in the order in which they enter it.
    latest_start : int
        Starts beyond it mean that there is no schedule: the decisions are cyclic.

    Returns
    -------
    JobShopSolution or None
        Deadlines are not looked at.
    """
    return _Timing(problem, alternative, sequence).run(latest_start)


class _Timing:
    """Label correction: starts only rise until every rule holds."""

    def __init__(
        self, problem: JobShop, alternative: IntArray, sequence: Sequence[Sequence[int]]
    ) -> None:
        self.problem = problem
        machine = problem.alt_machine[alternative]
        self.machine = machine
        self.place: list[int] = machine.tolist()
        self.duration: list[int] = problem.alt_duration[alternative].tolist()
        self.resumable = problem.resumable.tolist()
        self.gap: list[int] = gaps(problem, machine).tolist()
        self.followed = followed(problem).tolist()
        self.holding = holding(problem).tolist()
        self.no_wait = (followed(problem) & (problem.buffer == NO_WAIT)).tolist()
        none = Calendar([])
        self.calendar = (
            calendars_of(problem) if len(problem.break_start) else [none] * problem.n_machines
        )
        self.before = [-1] * problem.n_ops
        self.after = [-1] * problem.n_ops
        for row in sequence:
            for a, b in pairwise(row):
                self.after[a], self.before[b] = b, a
        job = problem.op_job.tolist()
        setup = problem.setup
        self.setup = [0] * problem.n_ops  # in front of each operation
        if setup is not None:
            for op, a in enumerate(self.before):
                if a >= 0:
                    self.setup[op] = int(setup[self.place[op], job[a], job[op]])
        self.start = [0] * problem.n_ops

    def run(self, latest_start: int) -> JobShopSolution | None:
        problem, start = self.problem, self.start
        for op, i in enumerate(self.before):
            # A blocked job that stays on its machine has no time for a setup of its own.
            if i >= 0 and i + 1 == op and self.holding[i] and self.setup[op] > self.gap[i]:
                return None
        for job, op in enumerate(problem.job_offset[:-1].tolist()):
            start[op] = int(problem.release[job])
        for op, at in enumerate(start):  # ends are defined for allowed starts only
            calendar = self.calendar[self.place[op]]
            start[op] = calendar.earliest_start(at, self.duration[op], self.resumable[op])
        queue = deque(range(problem.n_ops))
        waiting = [True] * problem.n_ops
        # A fixed point is reached before: every further change would go round a cycle.
        patience = [problem.n_ops * (1 + len(problem.break_start)) + 1] * problem.n_ops
        while queue:
            op = queue.popleft()
            waiting[op] = False
            at = self._least(op)
            if at <= start[op]:
                continue
            start[op] = at
            patience[op] -= 1
            if at > latest_start or not patience[op]:
                return None
            for other in self._touched(op):
                if not waiting[other]:
                    waiting[other] = True
                    queue.append(other)
        return JobShopSolution(start, self.machine)

    def _touched(self, op: int) -> list[int]:
        touched = []
        if self.followed[op]:
            touched.append(op + 1)
        if op and self.followed[op - 1]:
            touched.append(op - 1)  # no-wait pulls it along
            if self.after[op - 1] >= 0:
                touched.append(self.after[op - 1])  # it waits for the departure
        if self.after[op] >= 0:
            touched.append(self.after[op])
        return touched

    def _end(self, op: int, start: int) -> int:
        calendar = self.calendar[self.place[op]]
        return calendar.end(start, self.duration[op], self.resumable[op])

    def _least(self, op: int) -> int:
        """Return the least start of `op`, at least its present one, given the others'."""
        start = self.start
        at = start[op]
        if op and self.followed[op - 1]:
            at = max(at, self._end(op - 1, start[op - 1]) + self.gap[op - 1])
        i = self.before[op]
        if i >= 0:
            gone = self._end(i, start[i])
            if self.holding[i]:
                gone = max(gone, start[i + 1] - self.gap[i])
            at = max(at, gone + self.setup[op])
        calendar = self.calendar[self.place[op]]
        duration, resumable = self.duration[op], self.resumable[op]
        at = calendar.earliest_start(at, duration, resumable)
        if self.no_wait[op]:
            wanted = start[op + 1] - self.gap[op]
            if calendar.end(at, duration, resumable) < wanted:
                low, high = at, wanted  # the first start whose end is late enough
                while low < high:
                    middle = (low + high) // 2
                    begin = calendar.earliest_start(middle, duration, resumable)
                    if calendar.end(begin, duration, resumable) >= wanted:
                        high = middle
                    else:
                        low = middle + 1
                at = calendar.earliest_start(low, duration, resumable)
        return at
