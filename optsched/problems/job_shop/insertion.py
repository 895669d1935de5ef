"""Job insertion: a schedule for any shop, job after job into what the earlier ones leave free.

Operations without room to wait cannot be dispatched one by one: the shop may end in a deadlock.
Inserting whole jobs avoids that (job insertion, Groeflin and Klinkert 2009): each job finds the
earliest times at which it gets through, moving on to later gaps where it would get stuck, and
behind everything else it always gets through.
"""

from __future__ import annotations

import random
from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optsched.core import Deadline
from optsched.problems.job_shop.calendars import calendars_of
from optsched.problems.job_shop.problem import NO_WAIT, JobShop, JobShopSolution
from optsched.problems.job_shop.timing import followed, holding

#: Placements tried for one job before it is put behind everything else.
MAX_TRIES = 400


@dataclass(frozen=True, slots=True, order=True)
class _Stay:
    """An operation on its machine, from its start to its departure."""

    start: int
    departure: int
    op: int


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an operation goes: its start and end, and when it must have left (None: never)."""

    machine: int
    start: int
    end: int
    leave_by: int | None


class Insertion:
    """A partial schedule that jobs are inserted into.

    Parameters
    ----------
    problem : JobShop
        With any features; deadlines are not looked at.
    """

    def __init__(self, problem: JobShop) -> None:
        self.problem = problem
        self.calendars = calendars_of(problem)
        self.job = problem.op_job.tolist()
        self.resumable = problem.resumable.tolist()
        self.holding = holding(problem).tolist()
        self.no_wait = (followed(problem) & (problem.buffer == NO_WAIT)).tolist()
        self.followed = followed(problem).tolist()
        self.lag = problem.lag.tolist()
        pairs = list(zip(problem.alt_machine.tolist(), problem.alt_duration.tolist(), strict=True))
        bounds = problem.alt_offset.tolist()
        self.alternatives = [pairs[bounds[op] : bounds[op + 1]] for op in range(problem.n_ops)]
        self.transport = None if problem.transport is None else problem.transport.tolist()
        self.longest_setup = 0 if problem.setup is None else int(problem.setup.max())
        self.units = [self._units(j) for j in range(problem.n_jobs)]
        self.clear()

    def clear(self) -> None:
        """Take every job out."""
        self.rows: list[list[_Stay]] = [[] for _ in range(self.problem.n_machines)]
        self.placed: list[_Place | None] = [None] * self.problem.n_ops
        self.latest = 0

    def _units(self, job: int) -> list[list[int]]:
        """Return the operations of a job in runs that no-wait holds together."""
        units: list[list[int]] = []
        first, last = self.problem.job_offset[job : job + 2].tolist()
        for op in range(first, last):
            if op > first and self.no_wait[op - 1]:
                units[-1].append(op)
            else:
                units.append([op])
        return units

    def _setup(self, machine: int, before: int, after: int) -> int:
        setup = self.problem.setup
        return 0 if setup is None else int(setup[machine, self.job[before], self.job[after]])

    def _gap(self, op: int, here: int, there: int) -> int:
        """Return lag plus transport behind an operation."""
        move = 0 if self.transport is None else self.transport[here][there]
        return int(self.lag[op] + move)

    def _careful(self, op: int, duration: int) -> bool:
        """Return whether the machine must be left before the instant when the next one enters.

        So nobody waits for this job at one instant, and no cycle of exchanges can arise.
        """
        return not self.problem.swap and (self.holding[op] or duration == 0)

    def _fit(self, op: int, machine: int, duration: int, ready: int) -> _Place:
        """Return the earliest place of an operation on a machine."""
        row, calendar = self.rows[machine], self.calendars[machine]
        resumable = self.resumable[op]
        k = max(0, bisect_right(row, ready, key=lambda stay: stay.start) - 1)
        while True:
            low = ready
            if k > 0 or (row and row[0].start <= ready):
                at = k if row[k].start <= ready else k - 1
                low = max(ready, row[at].departure + self._setup(machine, row[at].op, op))
                k = at + 1
            begin = calendar.earliest_start(low, duration, resumable)
            end = calendar.end(begin, duration, resumable)
            if k == len(row):
                return _Place(machine, begin, end, None)
            after = row[k]
            high = after.start - self._setup(machine, op, after.op)
            high -= int(self._careful(op, duration))
            if end <= high:
                return _Place(machine, begin, end, high)
            ready = max(ready, after.start)
            k = k + 1 if k + 1 < len(row) and row[k + 1].start <= ready else k

    def _fit_unit(self, unit: Sequence[int], ready: int, previous: int) -> list[_Place]:
        """Return the earliest places of a run of operations, the last of which may wait there.

        `previous` is the machine that the job comes from, -1 where it enters the shop; `ready`
        is the time at which it may leave that machine.
        """
        while True:
            places: list[_Place] = []
            here, delay = previous, 0
            for op in unit:
                best: _Place | None = None
                least = 0
                for machine, duration in self.alternatives[op]:
                    arrival = places[-1].end if places else ready
                    if here >= 0:
                        arrival += self._gap(op - 1, here, machine)
                    place = self._fit(op, machine, duration, arrival)
                    late = place.start - arrival if places else 0
                    if best is None or (late, place.end) < (least, best.end):
                        best, least = place, late
                assert best is not None
                if least:
                    delay = least
                    break
                places.append(best)
                here = best.machine
            if not delay:
                return places
            ready = max(ready, places[0].start - self._arrival_gap(unit, previous, places)) + delay

    def _arrival_gap(self, unit: Sequence[int], previous: int, places: list[_Place]) -> int:
        return self._gap(unit[0] - 1, previous, places[0].machine) if previous >= 0 else 0

    def insert(self, job: int) -> None:
        """Insert a job as early as it gets through."""
        self.tries = 0
        release = int(self.problem.release[job])
        if not self._place(job, 0, release, None):
            behind = max(release, self.latest + self.longest_setup + 1)
            self.tries = -(10**9)
            self._place(job, 0, behind, None)
        for unit in self.units[job]:
            for op in unit:
                place = self.placed[op]
                assert place is not None
                self.latest = max(self.latest, place.end)

    def _place(self, job: int, u: int, ready: int, leave_by: int | None) -> bool:
        """Place the units of a job from the `u`-th on; it must leave where it is by `leave_by`."""
        if u == len(self.units[job]):
            return True
        unit = self.units[job][u]
        first = unit[0]
        before = self.placed[first - 1] if u else None
        previous = -1 if before is None else before.machine
        while self.tries < MAX_TRIES:
            self.tries += 1
            places = self._fit_unit(unit, ready, previous)
            leaves = places[0].start - self._arrival_gap(unit, previous, places)
            blocked = u > 0 and self.holding[first - 1]
            if blocked and leave_by is not None and leaves > leave_by:
                return False
            if blocked:
                assert before is not None
                self._stay(first - 1, before, leaves)
            for op, place in zip(unit, places, strict=True):
                self.placed[op] = place
                if not self.holding[op]:
                    self._stay(op, place, place.end)
            if self._place(job, u + 1, places[-1].end, places[-1].leave_by):
                return True
            for op, place in zip(unit, places, strict=True):
                self.placed[op] = None
                if not self.holding[op]:
                    self._leave(op, place, place.end)
            if blocked:
                assert before is not None
                self._leave(first - 1, before, leaves)
            if places[-1].leave_by is None:
                return False
            # It got stuck: try the next gap on the machine where it waited.
            gap = places[-1].leave_by + 1 - places[-1].start
            ready = max(ready, leaves) + max(1, gap)
        return False

    def _stay(self, op: int, place: _Place, departure: int) -> None:
        insort(self.rows[place.machine], _Stay(place.start, departure, op))
        self.latest = max(self.latest, departure)

    def _leave(self, op: int, place: _Place, departure: int) -> None:
        self.rows[place.machine].remove(_Stay(place.start, departure, op))

    def solution(self) -> JobShopSolution:
        """Return the schedule of all jobs."""
        places = [place for place in self.placed if place is not None]
        assert len(places) == self.problem.n_ops
        return JobShopSolution([p.start for p in places], [p.machine for p in places])


def insert_jobs(
    problem: JobShop, order: Sequence[int], deadline: Deadline | None = None
) -> JobShopSolution:
    """Return the schedule that arises when jobs are inserted in the given order.

    Parameters
    ----------
    problem : JobShop
        With any features; deadlines are not looked at.
    order : sequence of int
        Every job once.
    deadline : Deadline, optional
        Raises `DeadlineExpired` when it passes meanwhile.
    """
    shop = Insertion(problem)
    for job in order:
        if deadline is not None:
            deadline.check()
        shop.insert(job)
    return shop.solution()


def orders(problem: JobShop, rng: random.Random, count: int) -> list[list[int]]:
    """Return orders of the jobs worth trying: by due date, by work, then at random."""
    least = np.minimum.reduceat(problem.alt_duration, problem.alt_offset[:-1])
    work = np.add.reduceat(least, problem.job_offset[:-1])
    due = problem.release + 2 * work if problem.due is None else problem.due
    if problem.deadline is not None:
        due = np.minimum(due, problem.deadline)
    jobs = list(range(problem.n_jobs))
    found = [
        sorted(jobs, key=lambda j: (due[j], -work[j])),
        sorted(jobs, key=lambda j: -work[j]),
        sorted(jobs, key=lambda j: work[j] / max(1, problem.weight[j])),
        sorted(jobs, key=lambda j: problem.release[j]),
    ]
    while len(found) < count:
        found.append(rng.sample(jobs, len(jobs)))
    return found[:count]
