"""Constructive rules: the usual dispatching rules, in semi-active and non-delay form.

A rule ranks the operations that wait; the schedule form says which operations compete.
"Semi-active" takes, of all jobs' next operations, the one of best rank and appends it to its
machine, however long that machine then idles. "Non-delay" simulates the shop: a machine that is
free and has something waiting starts the waiting operation of best rank. See Pinedo, Scheduling
(2016), and Haupt, A survey of priority rule-based scheduling (1989).

An operation with several eligible machines goes to the one that would finish it first, given what
is already waiting there.

Shops with breaks, setups or no room to wait are not dispatched but filled job by job; see
`optsched.problems.job_shop.insertion`.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from optsched.core import Deadline, InputError, IntArray
from optsched.problems.job_shop.insertion import insert_jobs, orders
from optsched.problems.job_shop.problem import JobShop, JobShopSolution
from optsched.session import Session

#: Features that the dispatching rules honour; a deadline they may miss, and then offer nothing.
DISPATCHED = frozenset(
    {
        "flexible", "release dates", "deadlines", "lags", "transport",
        "objective makespan", "objective total_weighted_tardiness",
        "objective total_completion_time", "objective maximum_lateness",
    }
)  # fmt: skip
#: Features that `construct` honours.
SUPPORTS = DISPATCHED | {"calendars", "blocking", "no-wait", "setup"}
#: Operations that job insertion may place in all, and orders of the jobs that it tries at most.
MOST_PLACED, MOST_ORDERS = 20_000, 60

FORMS = ("non-delay", "semi-active")


@dataclass(frozen=True)
class _Ranks:
    """What the rules look at, per operation; the least rank goes first."""

    duration: list[float]
    work_left: list[float]  # the operation included
    operations_left: list[int]
    due: list[float]
    weight: list[float]
    release: list[float]
    rng: random.Random


Rank = Callable[[_Ranks, int, float], float]

#: Rule name to rank of operation ``o`` that became ready at time ``t``.
RULES: dict[str, Rank] = {
    "MWKR": lambda r, o, t: -r.work_left[o],
    "LWKR": lambda r, o, t: r.work_left[o],
    "MOPNR": lambda r, o, t: -r.operations_left[o],
    "SPT": lambda r, o, t: r.duration[o],
    "LPT": lambda r, o, t: -r.duration[o],
    "FIFO": lambda r, o, t: t,
    "LIFO": lambda r, o, t: -t,
    "EDD": lambda r, o, t: r.due[o],
    "SLACK": lambda r, o, t: r.due[o] - r.work_left[o],
    "WSPT": lambda r, o, t: r.duration[o] / max(r.weight[o], 1e-9),
    "MDD": lambda r, o, t: max(r.due[o], t + r.work_left[o]),
    "CR": lambda r, o, t: (r.due[o] - t) / max(r.work_left[o], 1e-9),
    "RANDOM": lambda r, o, t: r.rng.random(),
}

_MAKESPAN_RULES = ("MWKR", "MOPNR", "LPT", "SPT", "FIFO")
_DUE_RULES = ("MDD", "EDD", "SLACK", "CR", "WSPT", "SPT", "MWKR", "FIFO")


def default_rules(problem: JobShop) -> tuple[str, ...]:
    """Return the rules worth trying for the problem's objective, best first."""
    if problem.objective_kind == "makespan":
        return _MAKESPAN_RULES
    if problem.objective_kind == "total_completion_time":
        return ("WSPT", "SPT", "LWKR", "MWKR", "FIFO")
    return _DUE_RULES


def dispatch(
    problem: JobShop,
    rule: str = "MWKR",
    form: str = "non-delay",
    *,
    seed: int = 0,
    deadline: Deadline | None = None,
) -> JobShopSolution:
    """Build a schedule by one dispatching rule, in O(n log n).

    Parameters
    ----------
    problem : JobShop
        An instance whose features are among `DISPATCHED`; deadlines are not looked at.
    rule : str
        A key of `RULES`.
    form : str
        ``"non-delay"`` or ``"semi-active"``.
    seed : int
        For the rule ``RANDOM``.
    deadline : Deadline, optional
        Raises `DeadlineExpired` when it passes meanwhile.

    Raises
    ------
    InputError
        On an unknown rule or form.
    """
    if rule not in RULES:
        raise InputError(f"unknown rule {rule!r}: one of {', '.join(RULES)}")
    if form not in FORMS:
        raise InputError(f"unknown schedule form {form!r}: one of {', '.join(FORMS)}")
    shop = _Shop(problem, RULES[rule], random.Random(seed))
    return shop.simulate(form == "non-delay", deadline)


class _Shop:
    """The state of a simulated shop; plain lists, since NumPy is slow on single entries."""

    def __init__(self, problem: JobShop, rank: Rank, rng: random.Random) -> None:
        self.problem = problem
        self.rank = rank
        self.ranks = _ranks(problem, rng)
        self.next_op = problem.job_offset[:-1].tolist()
        self.last_op = (problem.job_offset[1:] - 1).tolist()
        self.job_of = problem.op_job.tolist()
        self.alternatives = problem.alt_offset.tolist()
        self.machine_of = problem.alt_machine.tolist()
        self.duration_of = problem.alt_duration.tolist()
        self.lag = problem.lag.tolist()
        self.transport = None if problem.transport is None else problem.transport.tolist()
        self.free = [0] * problem.n_machines
        self.queued = [0] * problem.n_machines
        self.start = [0] * problem.n_ops
        self.machine = [-1] * problem.n_ops

    def choose(self, op: int, ready: int, previous: int) -> tuple[int, int, int]:
        """Return ``(machine, duration, arrival)`` of the alternative that ends first."""
        first, last = self.alternatives[op], self.alternatives[op + 1]
        best: tuple[int, int, int] = (0, 0, 0)
        best_end = -1
        for alt in range(first, last):
            machine, duration = self.machine_of[alt], self.duration_of[alt]
            arrival = ready
            if self.transport is not None and previous >= 0:
                arrival += self.transport[previous][machine]
            end = max(arrival, self.free[machine] + self.queued[machine]) + duration
            if best_end < 0 or end < best_end:
                best, best_end = (machine, duration, arrival), end
        return best

    def simulate(self, non_delay: bool, deadline: Deadline | None) -> JobShopSolution:
        release = self.problem.release.tolist()
        if non_delay:
            self._non_delay(release, deadline)
        else:
            self._semi_active(release, deadline)
        return JobShopSolution(self.start, self.machine)

    def _semi_active(self, release: list[int], deadline: Deadline | None) -> None:
        waiting: list[tuple[float, int, int]] = []
        ranks, rank, last = self.ranks, self.rank, self.last_op
        for job, op in enumerate(self.next_op):
            waiting.append((rank(ranks, op, release[job]), op, release[job]))
        heapq.heapify(waiting)
        previous = [-1] * len(last)
        for count in range(self.problem.n_ops):
            if deadline is not None and count % 4096 == 4095:
                deadline.check()
            _, op, ready = heapq.heappop(waiting)
            job = self.job_of[op]
            machine, duration, arrival = self.choose(op, ready, previous[job])
            begin = max(arrival, self.free[machine])
            self.start[op], self.machine[op] = begin, machine
            self.free[machine] = begin + duration
            previous[job] = machine
            if op < last[job]:
                ready = begin + duration + self.lag[op]
                heapq.heappush(waiting, (rank(ranks, op + 1, ready), op + 1, ready))

    def _non_delay(self, release: list[int], deadline: Deadline | None) -> None:
        # Events are arrivals of operations at machines and the ends of operations there.
        queues: list[list[tuple[float, int, int]]] = [[] for _ in self.free]
        events: list[tuple[int, int, int, int]] = []  # (time, machine, op or -1, duration)
        for job, op in enumerate(self.next_op):
            machine, duration, arrival = self.choose(op, release[job], -1)
            self.queued[machine] += duration
            events.append((arrival, machine, op, duration))
        heapq.heapify(events)
        ranks, rank, last, lag = self.ranks, self.rank, self.last_op, self.lag
        push, pop = heapq.heappush, heapq.heappop
        busy = [False] * len(self.free)
        count = 0
        while events:
            now = events[0][0]
            touched = set()
            while events and events[0][0] == now:
                _, machine, op, duration = pop(events)
                touched.add(machine)
                if op < 0:
                    busy[machine] = False
                else:
                    push(queues[machine], (rank(ranks, op, now), op, duration))
            for machine in sorted(touched):
                if busy[machine] or not queues[machine]:
                    continue
                count += 1
                if deadline is not None and count % 4096 == 0:
                    deadline.check()
                _, op, duration = pop(queues[machine])
                end = now + duration
                self.start[op], self.machine[op] = now, machine
                self.queued[machine] -= duration
                self.free[machine] = end
                busy[machine] = True
                push(events, (end, machine, -1, 0))
                if op < last[self.job_of[op]]:
                    following, length, arrival = self.choose(op + 1, end + lag[op], machine)
                    self.queued[following] += length
                    push(events, (arrival, following, op + 1, length))


def _ranks(problem: JobShop, rng: random.Random) -> _Ranks:
    starts = problem.alt_offset[:-1]
    mean = np.add.reduceat(problem.alt_duration.astype(float), starts) / np.diff(problem.alt_offset)
    total = np.concatenate(([0.0], np.cumsum(mean)))
    end = problem.job_offset[1:][problem.op_job]
    index = np.arange(problem.n_ops)
    # Without due dates, release plus twice the work is the usual stand-in (TWK rule).
    work: IntArray | np.ndarray = total[problem.job_offset[1:]] - total[problem.job_offset[:-1]]
    due = problem.release + 2 * work if problem.due is None else problem.due
    return _Ranks(
        duration=mean.tolist(),
        work_left=(total[end] - total[index]).tolist(),
        operations_left=(end - index).tolist(),
        due=np.asarray(due, dtype=float)[problem.op_job].tolist(),
        weight=problem.weight[problem.op_job].astype(float).tolist(),
        release=problem.release[problem.op_job].astype(float).tolist(),
        rng=rng,
    )


def construct(problem: JobShop, session: Session, seed: int) -> None:
    """Offer constructed schedules to the session until they or the time are at their end."""
    if not problem.features() <= DISPATCHED:
        _insert(problem, session, seed)
        return
    for count, rule in enumerate((rule, form) for form in FORMS for rule in default_rules(problem)):
        # The first rule always runs: a time limit of 0 asks for a heuristic solution.
        if session.stopped and (count or session.solution is not None):
            return
        deadline = session.deadline if count else None
        solution = dispatch(problem, *rule, seed=seed, deadline=deadline)
        if problem.deadline is None or not problem.check(solution):
            session.offer(solution, f"heuristic:{rule[0]}")


def _insert(problem: JobShop, session: Session, seed: int) -> None:
    """Offer what job insertion finds with several orders of the jobs."""
    count = min(MOST_ORDERS, max(1, MOST_PLACED // problem.n_ops))
    for k, order in enumerate(orders(problem, random.Random(seed), count)):
        if session.stopped and (k or session.solution is not None):
            return
        solution = insert_jobs(problem, order, session.deadline if k else None)
        if not problem.check(solution):
            session.offer(solution, "heuristic:insertion")
