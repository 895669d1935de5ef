"""The family's own exact algorithms: which one suits an instance, and its run for a session.

Total tardiness (and weighted tardiness with equal weights) goes to branch and memorize, weighted
tardiness to successive sublimation dynamic programming. Completion time, maximum lateness and the
number of tardy jobs are solved by a rule.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from optsched.core import CannotExpressError, Deadline, IntArray
from optsched.problems.single_machine import bounds, heuristics, local, tardiness, weighted
from optsched.problems.single_machine.problem import OBJECTIVES, SingleMachine
from optsched.result import StopReason
from optsched.session import Session

#: Features that this search can express, by the names of `SingleMachine.features`.
SUPPORTS: frozenset[str] = frozenset(f"objective {kind}" for kind in OBJECTIVES)
#: This search proves optimality by itself; another prover beside it would only take its cores.
EXACT = True
#: Descents of the local search before an exact weighted run, and between two looks at the clock.
DESCENTS, SLICE = 1000, 50
#: Exchanges of a kick of that search, and how far apart their jobs may be.
KICK = (2, 15)


def run(
    problem: SingleMachine,
    session: Session,
    *,
    seed: int,
    stopped: Callable[[], bool] | None = None,
    memory: int = tardiness.MEMORY,
) -> StopReason:
    """Solve to optimality, or until the session stops.

    Parameters
    ----------
    problem : SingleMachine
        Features within `SUPPORTS`.
    session : Session
        Receives every improvement of incumbent and bound.
    seed : int
        Seed of the local search; the exact parts are deterministic.
    stopped : callable() -> bool, optional
        Whether to stop; default: whether the session has stopped.
    memory : int
        Bytes for solved sub-problems of branch and memorize.

    Returns
    -------
    StopReason
        PROOF; SOLVER when the memory does not suffice; otherwise what stopped the session.

    Raises
    ------
    CannotExpressError
        When the problem has features beyond `SUPPORTS`.
    """
    if unknown := sorted(problem.features() - SUPPORTS):
        raise CannotExpressError(f"the single-machine search cannot express: {', '.join(unknown)}")
    task = _Task(problem, session, seed, stopped or (lambda: session.stopped), memory)
    reason = task.run()
    if session.proven:
        return StopReason.PROOF
    return session.outcome(reason)[1]


def warm_up() -> threading.Thread:
    """Compile the kernels in a background thread, and return it; later calls cost nothing."""
    thread = threading.Thread(target=_compile, name="optsched-warm-up", daemon=True)
    thread.start()
    return thread


def _compile() -> None:
    rng = np.random.default_rng(0)
    p, w = rng.integers(1, 20, 24), rng.integers(1, 9, 24)
    d = rng.integers(0, int(p.sum()), 24)
    for weight in (None, w):
        kind = "total_tardiness" if weight is None else "total_weighted_tardiness"
        problem = SingleMachine(p, d, weight, objective=kind)
        run(problem, Session(problem, Deadline()), seed=0)


class _Task:
    def __init__(
        self,
        problem: SingleMachine,
        session: Session,
        seed: int,
        stopped: Callable[[], bool],
        memory: int,
    ) -> None:
        self.problem = problem
        self.session = session
        self.stopped = stopped
        self.memory = memory
        self.rng = local.generator(seed)

    def run(self) -> StopReason:
        problem, session = self.problem, self.session
        if session.solution is None:
            heuristics.construct(problem, session, 0)
        bound = bounds.lower_bound(problem, session.deadline)
        if bound is not None:
            session.prove(bound, "bounds")
        terms = heuristics.additive(problem)
        if session.proven or terms is None:
            return StopReason.SOLVER
        p, w, d = terms
        # Jobs of no duration stand in front at no cost to others, those of no weight behind.
        front, back = np.flatnonzero(p == 0), np.flatnonzero((p > 0) & (w == 0))
        core = np.flatnonzero((p > 0) & (w > 0))
        self.constant = int((w[front] * np.maximum(0, -d[front])).sum())
        self.front, self.core, self.back = front, core, back
        if not len(core):
            self._offer(np.zeros(0, dtype=np.int64), "native")
            session.prove(self.constant, "native")
            return StopReason.SOLVER
        p, w, d = p[core], w[core], d[core]
        if (w == w[0]).all() and len(core) <= tardiness.MOST_JOBS:
            return self._decompose(p, d, int(w[0]))
        sequence = self._start()
        sequence = self._search(p, w, d, sequence, DESCENTS)
        if self.stopped():
            return StopReason.TIME
        exact = weighted.Sublimation(
            p, d, w,
            stopped=self.stopped,
            on_bound=lambda value: session.prove(value + self.constant, "sublimation"),
            on_sequence=lambda order: self._offer(order, "sublimation"),
        )  # fmt: skip
        exact.start_from(sequence)
        try:
            exact.run()
        except weighted.Stopped:
            return StopReason.TIME
        except (weighted.TooLarge, MemoryError):
            # Nothing is left to prove; the local search may still find something better.
            self._search(p, w, d, self._start(), 20 * DESCENTS)
            return StopReason.SOLVER
        session.prove(exact.lower + self.constant, "sublimation")
        return StopReason.SOLVER

    def _start(self) -> IntArray:
        """Return the incumbent as a sequence of the core."""
        sequence = self.session.solution.sequence
        number = np.full(self.problem.n_jobs, -1, dtype=np.int64)
        number[self.core] = np.arange(len(self.core))
        order = number[sequence]
        return np.asarray(order[order >= 0])

    def _offer(self, order: IntArray, source: str) -> None:
        whole = np.concatenate((self.front, self.core[order], self.back))
        self.session.offer(self.problem.schedule(whole), source)

    def _decompose(self, p: IntArray, d: IntArray, weight: int) -> StopReason:
        exact = tardiness.Decomposition(p, d, memory=self.memory)
        value = exact.solve(self.stopped)
        if value is None:
            bound = exact.bound()
            self.session.prove(weight * bound + self.constant, "decomposition")
            return StopReason.TIME
        order = exact.sequence(self.stopped)
        if order is not None:
            self._offer(order, "decomposition")
        self.session.prove(weight * value + self.constant, "decomposition")
        return StopReason.TIME

    def _search(
        self, p: IntArray, w: IntArray, d: IntArray, sequence: IntArray, rounds: int
    ) -> IntArray:
        """Return the best of `rounds` descents from `sequence`, or fewer when stopped."""
        current, best = sequence.copy(), sequence.copy()
        value = int(local.cost(p, w, d, sequence))
        values = np.array([value, value], dtype=np.int64)
        slice_ = max(1, SLICE * 100 // max(100, len(p)))
        reach = heuristics.reach(len(p))
        for _ in range(0, rounds, slice_):
            if self.stopped() or not values[1]:
                break
            local.iterate(p, w, d, current, best, values, self.rng, reach, slice_, *KICK)
            if values[1] < value:
                value = int(values[1])
                self._offer(best, "local search")
        return best
