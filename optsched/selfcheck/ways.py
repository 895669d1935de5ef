"""The ways of solving that are held against each other.

A formulation, or a search that proves optima, is asked alone, without the rules and bounds that
often decide a tiny instance before any model is built; and "guided", as `optsched.solve` runs it.
Searches that prove nothing, and decompositions, get a little effort: what they find may not be
better than the optimum.
"""

from __future__ import annotations

import functools
import importlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from optsched.core import CannotExpressError, Deadline, Problem
from optsched.exact import run_exact
from optsched.families import can_express, expressing, solver_module, solver_names
from optsched.result import Result, StopReason
from optsched.running import beside, conclude, construct, prove_bounds
from optsched.selfcheck.outcome import Outcome
from optsched.session import Session
from optsched.solving import solve

#: Deterministic seconds for a search that proves nothing.
EFFORT = 0.01
#: Options of the decompositions: a few small sub-solves.
DECOMPOSITIONS: dict[str, dict[str, Any]] = {
    "lns": {"max_steps": 3, "size": 3, "effort": 0.02, "sub_solves": "here"},
    "rolling": {"window": 4, "step": 2, "effort": 0.02, "patience": None, "window_time": 10.0},
}
#: Seconds for the searches of families that have no other exact solver: where their bound stays
#: below the optimum, only the clock ends them.
BRIEF = {"gpu_packing": 0.15}
#: What is added to the name of a way that has two cores.
TWO = "2 workers"
#: Every so many cases a way takes part in; 1 where it is not named.
SHARES = {"pulp": 10, "cpsat, guided": 3, "highs, guided": 6, "lns": 4, "rolling": 4,
          f"auto, {TWO}": 10, "minizinc": 25}  # fmt: skip


@dataclass(frozen=True)
class Way:
    """One way of solving.

    Attributes
    ----------
    name : str
    method : str
        See `Outcome.method`.
    run : callable(problem, seed, limit) -> Result
        `limit` in seconds.
    proves : bool
        Whether it must end with a proof, given the time.
    may_decline : bool
        Whether it is one of several formulations, that may lack a feature which others have.
    """

    name: str
    method: str
    run: Callable[[Problem, int, float], Result]
    proves: bool = True
    may_decline: bool = False

    def __call__(self, problem: Problem, seed: int, limit: float) -> Outcome | None:
        """Solve, and return what it says; errors are outcomes, and None is a way that declines."""
        began = time.perf_counter()
        try:
            result = self.run(problem, seed, limit)
        except CannotExpressError as error:
            if self.may_decline:
                return None
            return Outcome(self.name, self.method, time.perf_counter() - began, error=str(error))
        except Exception as error:
            told = f"{type(error).__name__}: {error}"
            return Outcome(self.name, self.method, time.perf_counter() - began, error=told)
        proven = result.stop is StopReason.PROOF
        return Outcome(
            self.name,
            self.method,
            time.perf_counter() - began,
            result.status,
            result.objective,
            result.bound,
            result.solution,
            result.trace,
            gave_up=self.proves and not proven and result.stop is not StopReason.TIME,
        )


def ways(problem: Problem, case: int | None = None) -> Iterator[Way]:
    """Yield the ways that can express a problem.

    Parameters
    ----------
    problem : Problem
    case : int, optional
        The number of the case; each way takes part in its share of them. Without, in all.
    """
    for way in _all_ways(problem):
        share = SHARES.get(way.name, 1)
        if case is None or case % share == 0:
            yield way


def arguments(name: str) -> list[str]:
    """Return the options by which ``optsched solve`` comes nearest to a way; empty for no way.

    It runs rules and bounds before any model, so that these may decide an instance first.
    """
    solver, _, rest = name.partition(", ")
    if solver == "rules and bounds":
        solver = "heuristic"
    if solver not in solver_names():
        return []
    options: dict[str, Any] = dict(DECOMPOSITIONS.get(solver, {}))
    if rest and rest not in ("guided", TWO):
        options = {"formulation": rest}
    told = ["--solver", solver, "--workers", "2" if rest == TWO else "1"]
    for key, value in options.items():
        told += ["-O", f"{key}={value if isinstance(value, str) else json.dumps(value)}"]
    return told


def _all_ways(problem: Problem) -> Iterator[Way]:
    if can_express(problem, "cpsat"):
        yield Way("cpsat", "cpsat", partial(_alone, solver="cpsat", formulation=None))
        yield Way("cpsat, guided", "", partial(_solved, solver="cpsat"))
    if can_express(problem, "highs"):
        yield from _linear_ways(problem)
        yield Way("highs, guided", "", partial(_solved, solver="highs"))
    if can_express(problem, "native"):
        if getattr(expressing(problem, "native"), "EXACT", False):
            yield Way("native", "native", _searched)
        else:
            yield Way("native", "", partial(_searched, effort=EFFORT), proves=False)
    yield Way("auto", "", partial(_solved, solver="auto"))
    # Where "auto" is a portfolio, its sides take turns on one core and run side by side on two.
    yield Way(f"auto, {TWO}", "", partial(_solved, solver="auto", workers=2))
    if can_express(problem, "heuristic"):
        yield Way("rules and bounds", "", _ruled, proves=False)
    for name, options in DECOMPOSITIONS.items():
        if can_express(problem, name):
            yield Way(name, "", partial(_solved, solver=name, options=options), proves=False)
    if _has_minizinc() and can_express(problem, "minizinc"):
        yield Way("minizinc", "minizinc", partial(_alone, solver="minizinc", formulation=None))


def _linear_ways(problem: Problem) -> Iterator[Way]:
    """Yield HiGHS on every linear formulation, and CBC on the one that is the default."""
    formulations = getattr(expressing(problem, "highs"), "FORMULATIONS", {})
    for formulation in formulations:
        way = partial(_alone, solver="highs", formulation=formulation)
        yield Way(f"highs, {formulation}", f"milp {formulation}", way, may_decline=True)
    if not formulations:
        yield Way("highs", "milp", partial(_alone, solver="highs", formulation=None))
    cbc = partial(_alone, solver="pulp", formulation=None)
    yield Way("pulp", "" if formulations else "milp", cbc)


def _has_minizinc() -> bool:
    return shutil.which("minizinc") is not None


def _brief(problem: Problem, limit: float) -> float:
    """Return the seconds that a search may have."""
    if problem.family not in BRIEF:
        return limit
    _warm(problem.family)
    return min(limit, BRIEF[problem.family])


@functools.cache
def _warm(family: str) -> None:
    """Compile the kernels of a family, which would take all of a brief search."""
    importlib.import_module(f"optsched.problems.{family}.search").warm_up().join()


def _solved(
    problem: Problem,
    seed: int,
    limit: float,
    *,
    solver: str,
    options: Any = None,
    workers: int = 1,
) -> Result:
    limit = _brief(problem, limit)
    return solve(problem, solver, workers=workers, seed=seed, time_limit=limit, options=options)


def _alone(
    problem: Problem, seed: int, limit: float, *, solver: str, formulation: str | None
) -> Result:
    """Run a model by itself: no rules, no bounds, no hint."""
    module = expressing(problem, solver)
    build = module.build if formulation is None else partial(module.build, formulation=formulation)
    session = Session(problem, Deadline(limit))
    work = partial(
        run_exact,
        session,
        solver_module(solver),
        build,
        source=solver,
        workers=1,
        seed=seed,
        options={},
    )
    return _concluded(session, work, solver, seed)


def _searched(problem: Problem, seed: int, limit: float, *, effort: float | None = None) -> Result:
    """Run a family's search without the bounds that others prove; one without end for a while."""
    session = Session(problem, Deadline(_brief(problem, limit)))
    extra = {} if effort is None else {"effort": effort}

    def work() -> StopReason:
        if effort is not None:  # it goes on from there
            construct(session, seed)
        search = expressing(problem, "native")
        reason: StopReason = search.run(problem, session, seed=seed, **extra)
        return reason

    return _concluded(session, work, "native", seed)


def _ruled(problem: Problem, seed: int, limit: float) -> Result:
    """Run the constructive rules, and prove the bound by itself."""
    session = Session(problem, Deadline(limit))

    def work() -> StopReason:
        prove_bounds(session)
        construct(session, seed)
        return StopReason.HEURISTIC

    return _concluded(session, work, "heuristic", seed)


def _concluded(session: Session, work: Callable[[], StopReason], solver: str, seed: int) -> Result:
    finished = beside(session, work)
    return conclude(session, finished, solver=solver, seed=seed, workers=1)
