"""The family's own exact search: tier by tier, level by level.

A level is solved with all levels above held at their optima. What is left of a tier that nobody
has to leave is taken off the nodes, so that mostly the last tier alone is hard.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from ortools.sat.python import cp_model

from optsched.core import BoolArray, CannotExpressError, IntArray, OptschedError, SolverError
from optsched.problems.pod_packing import heuristics, windows
from optsched.problems.pod_packing.grouping import assign, counts, signatures, types_of
from optsched.problems.pod_packing.levels import FEATURES
from optsched.problems.pod_packing.model import TypeModel
from optsched.problems.pod_packing.patterns import Patterns
from optsched.problems.pod_packing.placing import State
from optsched.problems.pod_packing.problem import PodPacking, PodPackingSolution
from optsched.problems.pod_packing.vm_search import Reschedule
from optsched.result import StopReason
from optsched.session import Session

SUPPORTS = heuristics.SUPPORTS | FEATURES
#: This search proves optimality by itself.
EXACT = True
#: Types times nodes beyond which the whole is not set up as one model.
MOST_CELLS = 400_000
#: Types times nodes beyond which not even a table is made.
MOST_TABLE = 40_000_000
#: Deterministic seconds of CP-SAT on a level before the patterns, where they share one core.
FIRST_EFFORT = 0.1


def run(problem: PodPacking, session: Session, *, seed: int, workers: int = 1) -> StopReason:
    """Solve to optimality, or until the session stops.

    Parameters
    ----------
    problem : PodPacking
    session : Session
        Receives every improvement of incumbent and bound.
    seed : int
    workers : int
        Cores to use.

    Raises
    ------
    CannotExpressError
        When the problem has features beyond `SUPPORTS`.
    """
    if unknown := sorted(problem.features() - SUPPORTS):
        raise CannotExpressError(f"pod packing's search cannot express: {', '.join(unknown)}")
    if session.solution is None:
        heuristics.construct(problem, session, seed)
    if session.objective is not None and not (problem.n_nodes and problem.n_pods):
        session.prove(session.objective, "levels")  # there is no choice
        return StopReason.PROOF
    if not solve_levels(problem, session, seed, workers) and not session.stopped:
        windows.improve(problem, session, seed, solve_levels)
    return StopReason.PROOF if session.proven else session.outcome(StopReason.SOLVER)[1]


def solve_levels(problem: PodPacking, session: Session, seed: int, workers: int) -> bool:
    """Solve level after level; return whether one model could hold each."""
    search = _Search(problem, session, seed, workers)
    search.run()
    return not search.too_large


class _Search:
    def __init__(self, problem: PodPacking, session: Session, seed: int, workers: int) -> None:
        self.problem, self.session, self.seed, self.workers = problem, session, seed, workers
        self.keys = problem.level_keys()
        #: Values of the levels that are proven.
        self.proven: list[int] = []
        #: Bounds of later levels, proven by other means than the model.
        self.known: dict[int, int] = {}
        #: Rules for which it matters that a pod of a lower tier stays.
        self.coupled = bool(
            problem.budgets
            or problem.never_preempts.any()
            or any(term.kind != "anti_affinity" for term in problem.terms)
            or problem.migration_limit is not None
        )

        self.too_large = False
        #: Rules beyond what a node holds by itself.
        self.ruled = (
            self.coupled
            or bool(problem.terms)
            or bool(len(problem.token_pairs))
            or bool(problem.spans.any())
        )

    def run(self) -> None:
        """Solve level after level."""
        _, pod = signatures(self.problem)
        if len(pod) * self.problem.n_nodes > MOST_TABLE:
            self.too_large = True
            return
        self.types = types_of(self.problem)
        while len(self.proven) < len(self.keys) and not self.session.stopped:
            k = len(self.proven)
            best = self.best()
            if best is not None and best[k] == self.least(k):
                self._prove(best[k])
            elif not self._solve():
                return

    def best(self) -> list[int] | None:
        """Return the levels of the incumbent."""
        if self.session.solution is None:
            return None
        return self.problem.levels(self.session.solution)

    def _prove(self, value: int) -> None:
        """Take the value of the next level as its optimum, and report the bound."""
        self.proven.append(value)
        self.report(self.least(len(self.proven)) if len(self.proven) < len(self.keys) else 0)

    def report(self, bound: int) -> None:
        """Report the bound of the first level that is not proven."""
        levels = [*self.proven, bound][: len(self.keys)]
        levels += [0] * (len(self.keys) - len(levels))
        self.session.prove(self.problem.weigh(levels), "levels")

    def least(self, k: int) -> int:
        """Return a bound on level `k` that is known: pods that fit nowhere, or what was proven."""
        goal, tier = self.keys[k]
        if goal != "unplaced":
            return self.known.get(k, 0)
        types = self.types
        nowhere = (types.tier == tier) & ~types.fits.any(axis=1)
        return int((types.size - types.running)[nowhere].sum())

    def pinned(self) -> BoolArray:
        """Return the types whose running pods all stay in every solution of interest."""
        found = np.zeros(self.types.count, dtype=bool)
        for (goal, tier), value in zip(self.keys, self.proven, strict=False):
            if goal == "disruption" and value == 0:
                found |= self.types.tier == tier
        return found

    def active(self, tier: int) -> BoolArray:
        """Return the types that matter when the tiers up to `tier` are placed."""
        if self.coupled or tier < 0:
            return np.ones(self.types.count, dtype=bool)
        last = max([tier] + [t for _, t in self.keys[: len(self.proven)]])
        return np.asarray(self.types.tier <= last)

    def _solve(self) -> bool:
        """Solve the next level; return whether it is proven."""
        k = len(self.proven)
        goal, tier = self.keys[k]
        if goal == "fragmentation" and not any(self.proven):
            self._reschedule(k)
            best = self.best()
            if self.session.stopped or (best is not None and best[k] == self.least(k)):
                return True
        cells = int(self.active(tier).sum()) * self.problem.n_nodes
        if cells > MOST_CELLS:
            self.too_large = True
            return False
        return _LevelSolve(self, k).run()

    def _reschedule(self, k: int) -> None:
        """Lessen fragmentation by migrations alone, where nothing else counts before it."""
        if any(goal != "unplaced" for goal, _ in self.keys[:k]):
            return

        def prove(value: int) -> None:
            if value > self.known.get(k, 0):
                self.known[k] = value
                self.report(value)

        def met() -> bool:
            best = self.best()
            return best is not None and best[: k + 1] == [*self.proven, self.least(k)]

        Reschedule(
            self.problem, self.session, self.seed,
            lambda solution: self.session.offer(solution, "columns"), prove, met,
        ).run()  # fmt: skip

    def offer(self, solution: PodPackingSolution, upto: int, source: str) -> None:
        """Offer a solution whose tiers up to `upto` are decided, with the rest completed."""
        if upto < len(self.problem.tiers) - 1:
            solution = complete(self.problem, solution, upto)
        self.session.offer(solution, source)


def complete(problem: PodPacking, solution: PodPackingSolution, upto: int) -> PodPackingSolution:
    """Return `solution` with the tiers below `upto` kept where they fit, then filled up."""
    node = solution.node.copy()
    lower = (problem.tier > upto) & problem.movable
    node[lower] = -1
    stuck = ~problem.movable
    node[stuck] = problem.current[stuck]
    state = State(problem, node)
    pods = np.flatnonzero(lower & (problem.current >= 0))
    size = problem.request[pods] / np.maximum(1, problem.capacity.max(axis=0))
    for pod in pods[np.lexsort((pods, size.max(axis=1), problem.tier[pods]))].tolist():
        at = int(problem.current[pod])
        if state.fits(pod, at) and state.allows(pod, at):
            state.place(pod, at)
    heuristics.fill(state)
    return PodPackingSolution(state.node)


class _LevelSolve:
    """One level: CP-SAT for solutions, whole-node patterns mostly for the bound."""

    def __init__(self, search: _Search, k: int) -> None:
        self.search, self.k = search, k
        self.goal, tier = search.keys[k]
        active, pinned = search.active(tier), search.pinned()
        #: The last tier that is decided here.
        self.tier = tier if tier >= 0 else len(search.problem.tiers) - 1
        self.model = TypeModel(search.problem, search.types, active, pinned)
        done = [(*key, value) for key, value in zip(search.keys, search.proven, strict=False)]
        for name, of_tier, value in done:
            self.model.model.add(self.model.level(name, of_tier) <= value)
        self.value = self.model.level(self.goal, tier)
        self.model.model.minimize(self.value)
        self.patterns: Patterns | None = None
        if not search.ruled and tier >= 0:
            self.patterns = Patterns(search.types, active, pinned, done, self.goal, self.tier)
        self.bound = search.least(k)
        self._lock = threading.Lock()
        self._solver: Any = None

    def run(self) -> bool:
        """Return whether the level was proven; then it is among the search's."""
        search = self.search
        if self.patterns is None:
            self._cpsat(np.inf)
        elif search.workers > 1:
            thread = threading.Thread(target=self._guarded, daemon=True, name="optsched patterns")
            thread.start()
            self._cpsat(np.inf)
            thread.join()
        else:  # in turns, counted in effort and not in time, so that a run can be repeated
            self._cpsat(FIRST_EFFORT)
            if not self.closed():
                self._guarded()
            if not self.closed():
                self._cpsat(np.inf)
        if not self.met():
            return False
        search.report(self.bound)
        search.proven.append(self.bound)
        return True

    def target(self) -> int | None:
        """Return the best value of this level known, given those above."""
        best = self.search.best()
        if best is None or best[: self.k] != self.search.proven:
            return None
        return best[self.k]

    def met(self) -> bool:
        """Return whether the bound is reached."""
        return self.target() == self.bound

    def closed(self) -> bool:
        """Return whether nothing is left to do here."""
        return self.met() or self.search.session.stopped

    def _guarded(self) -> None:
        assert self.patterns is not None
        solution = self.search.session.solution
        if solution is None or self.target() is None:
            return  # nothing to start from
        try:
            self.patterns.run(
                self.search.session.deadline,
                counts(self.search.types, solution),
                self.target,
                self.take_bound,
                self.take_table,
                self.closed,
            )
        except OptschedError as error:
            self.search.session.fail(error)

    def _cpsat(self, effort: float) -> None:
        search, session = self.search, self.search.session
        solution = session.solution
        if solution is not None:
            self.model.hint(counts(search.types, solution), solution.node)
        solver = self._solver = cp_model.CpSolver()
        solver.parameters.num_workers = max(1, search.workers - (self.patterns is not None))
        solver.parameters.random_seed = search.seed % 2**31
        solver.parameters.catch_sigint_signal = False
        remaining = session.deadline.remaining()
        if np.isfinite(remaining):
            solver.parameters.max_time_in_seconds = remaining
        if np.isfinite(effort):
            solver.parameters.max_deterministic_time = effort
        solver.best_bound_callback = lambda value: self.take_bound(math.ceil(value - 1e-6))
        session.when_stopped(solver.stop_search)
        if self.closed():
            return
        status = solver.solve(self.model.model, _Solutions(self))
        if status == cp_model.MODEL_INVALID:
            raise SolverError(f"pod packing: invalid model: {self.model.model.validate()}")
        if status == cp_model.INFEASIBLE:
            session.prove_infeasible("levels")
        elif status == cp_model.OPTIMAL:
            # Not the solver's objective, which is 0 where the level is a constant.
            self.take_bound(int(solver.value(self.value)))

    def take_bound(self, value: int) -> None:
        """Take a proven bound on this level."""
        with self._lock:
            if value <= self.bound:
                return
            self.bound = value
        self.search.report(value)
        if self.met() and self._solver is not None:
            self._solver.stop_search()

    def take(self, value: Callable[[Any], int]) -> None:
        """Offer what CP-SAT has found."""
        self.take_table(self.model.table(value), self.model.evictions(value))

    def take_table(self, table: IntArray, evicted: IntArray | None = None) -> None:
        """Offer numbers of each type on each node."""
        search = self.search
        solution = assign(search.problem, search.types, table, evicted)
        upto = len(search.problem.tiers) - 1 if search.coupled else self.tier
        search.offer(solution, upto, "levels")
        if self.met() and self._solver is not None:
            self._solver.stop_search()


class _Solutions(cp_model.CpSolverSolutionCallback):  # type: ignore[misc]
    def __init__(self, level: _LevelSolve) -> None:
        super().__init__()
        self._level = level
        self._lock = threading.Lock()

    def on_solution_callback(self) -> None:
        """Hand the incumbent on."""
        with self._lock:
            self._level.take(self.value)
        if self._level.closed():
            self.stop_search()
