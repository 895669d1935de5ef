"""The family's own solver: local search for mappings, cut generation for bounds, taking turns.

The search takes some tensors out of the mapping and gives them room anew, many thousand times a
second. The bound comes from `GapProgram`, first with a short horizon, which makes it small, then
with longer ones, until nothing is relaxed; what it finds on the way is offered, too, and searched
on from. Where its bound meets the incumbent, that is the proof.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from optsched.core import Deadline, DeadlineExpired
from optsched.problems.memory_tiers import kernels
from optsched.problems.memory_tiers.gaps import GapProgram
from optsched.problems.memory_tiers.heuristics import greedy
from optsched.problems.memory_tiers.problem import MemoryTiers
from optsched.problems.memory_tiers.program import Program, State, by_density
from optsched.result import StopReason
from optsched.session import Session

SUPPORTS: frozenset[str] = frozenset()
#: This search proves optimality by itself; another prover beside it would only take its cores.
EXACT = True
#: Iterations of the search: in the first turn, in one call of the kernel per tensor touched, and
#: in the turns after each solution of the program.
FIRST_TURN, SLICE, TURN = 30_000, 400_000, 6_000
#: Seconds for the first solutions of a program (or a share of the time left, where that is more),
#: how much longer it may take each time, and how often before the next horizon.
FIRST_LIMIT, SHARE, GROWTH, PATIENCE = 2.0, 0.1, 2.0, 3


def run(
    problem: MemoryTiers,
    session: Session,
    *,
    seed: int,
    stopped: Callable[[], bool] | None = None,
) -> StopReason:
    """Solve to optimality, or until the session stops.

    Parameters
    ----------
    problem : MemoryTiers
    session : Session
        Receives every improvement of incumbent and bound.
    seed : int
        Seed of the local search.
    stopped : callable() -> bool, optional
        Whether to stop; default: whether the session has stopped.

    Returns
    -------
    StopReason
    """
    task = _Task(problem, session, seed, stopped or (lambda: session.stopped))
    try:
        task.run()
    except DeadlineExpired:
        return StopReason.TIME
    return StopReason.PROOF if session.proven else session.outcome(StopReason.SOLVER)[1]


class _Task:
    def __init__(
        self, problem: MemoryTiers, session: Session, seed: int, stopped: Callable[[], bool]
    ) -> None:
        self.problem = problem
        self.session = session
        self.stopped = stopped
        self.program = Program(problem)
        self.random = np.random.SeedSequence(seed).generate_state(1, np.uint64) | np.uint64(1)
        start = None
        if session.solution is not None:
            start = self.program.state(session.solution)
        self.best = start or greedy(self.program, by_density(problem))
        self.value = self.program.value(self.best)
        self._offer("greedy")

    def run(self) -> None:
        if self.problem.n_tiers == 1:
            self.session.prove(self.value, "native")
            return
        self._search(FIRST_TURN)
        horizon = 1
        while not self.stopped() and not self._prove(horizon):
            if horizon >= self.problem.graph.n_operators:
                break
            horizon = min(4 * horizon, self.problem.graph.n_operators)
        # Without a limit there must be an end, proof or not.
        while not self.stopped() and self.session.deadline.limit is not None:
            self._search(FIRST_TURN)

    def _offer(self, source: str) -> None:
        self.session.offer(self.program.solution(self.best), source, claimed=self.value)

    # ---- mappings ------------------------------------------------------------------------

    def _search(self, iterations: int, start: State | None = None) -> None:
        """Search on from `start` or the best known mapping."""
        origin = self.best if start is None else start
        state = tuple(array.copy() for array in origin)
        best = tuple(array.copy() for array in origin)
        value = self.program.value(state)
        values = np.array([value, value], dtype=np.int64)
        part = max(10, SLICE // max(1, len(self.program.data[1])))
        for done in range(0, iterations, part):
            if self.stopped():
                return
            heat = np.int64(max(0, iterations - done))
            kernels.improve(
                self.program.data, state, best, values, self.random, part, heat, iterations
            )
            if values[1] < self.value:
                self.value = int(values[1])
                self.best = tuple(array.copy() for array in best)
                self._offer("local search")

    # ---- bounds --------------------------------------------------------------------------

    def _prove(self, horizon: int) -> bool:
        """Raise the bound by the program of a horizon; return whether nothing is left to prove."""
        session = self.session
        program = GapProgram(self.problem, horizon, session.deadline)
        while not self.stopped():
            bound = self._solve(program, self._clock(FIRST_LIMIT), integral=False)
            if bound is None or not program.separate():
                break
        limit, patience = FIRST_LIMIT, PATIENCE
        while not self.stopped():
            clock = self._clock(limit)
            self._solve(program, clock, integral=True)
            cut_short = clock.expired()
            if session.proven:
                return True
            state = program.state(self.program)
            if state is not None:
                value = self.program.value(state)
                if value < self.value:
                    self.value, self.best = value, state
                    self._offer("gap program")
                self._search(TURN, state)
            if not program.separate():
                if not cut_short:
                    return session.proven
                if not patience and not program.exact:
                    return False  # a longer horizon may do more in that time
                patience -= 1
                limit *= GROWTH
        return session.proven

    def _clock(self, seconds: float) -> Deadline:
        remaining = self.session.deadline.remaining()
        if np.isfinite(remaining):
            seconds = max(seconds, SHARE * remaining)
        return Deadline(min(seconds, remaining))

    def _solve(self, program: GapProgram, clock: Deadline, *, integral: bool) -> int | None:
        bound = program.solve(clock, integral=integral, value=self.value)
        if bound is not None:
            self.session.prove(min(bound, self.value), "gap program")
        return bound
