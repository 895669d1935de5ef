"""One case: a random instance, everything that solves it, and what is wrong with that."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from optsched.core import Problem
from optsched.result import Status
from optsched.selfcheck.compare import Finding, best_known, disagreements
from optsched.selfcheck.families import Family, family
from optsched.selfcheck.outcome import ENUMERATION, Outcome
from optsched.selfcheck.references import TooLong
from optsched.selfcheck.shrink import shrink
from optsched.selfcheck.ways import ways

#: Seconds for one way of solving; a tiny instance takes a few hundredths.
LIMIT = 60.0


@dataclass(frozen=True)
class Verdict:
    """What came of one instance.

    Attributes
    ----------
    problem : Problem
    outcomes : tuple of Outcome
        Of the ways of solving, and of enumeration.
    wrong : tuple of Finding
        Every disagreement.
    """

    problem: Problem
    outcomes: tuple[Outcome, ...]
    wrong: tuple[Finding, ...]


def draw(name: str, seed: int, case: int) -> Problem:
    """Return the instance of a case; it is the same each time.

    Parameters
    ----------
    name : str
        The family.
    seed, case : int
    """
    return family(name).draw(random.Random(f"{name} {seed} {case}"))


def examine(
    problem: Problem,
    *,
    seed: int = 0,
    case: int | None = None,
    limit: float = LIMIT,
    only: Sequence[str] | None = None,
) -> Verdict:
    """Solve an instance in every way, and compare.

    Parameters
    ----------
    problem : Problem
    seed : int
        Of the solvers.
    case : int, optional
        Its number: ways that are slow take part in a share of the cases. Default: all do.
    limit : float
        Seconds a way.
    only : sequence of str, optional
        The names of the ways to use.
    """
    known = family(problem.family)
    outcomes = []
    for way in ways(problem, case):
        if only is None or way.name in only:
            outcome = way(problem, seed, limit)
            if outcome is not None:
                outcomes.append(outcome)
    outcomes.append(enumerate_(known, problem, outcomes))
    return Verdict(problem, tuple(outcomes), tuple(disagreements(known, problem, outcomes)))


def enumerate_(known: Family, problem: Problem, outcomes: Sequence[Outcome]) -> Outcome:
    """Return what enumeration says; the best objective that others have cuts it short."""
    began = time.perf_counter()
    try:
        best = known.optimum(problem, best_known(outcomes))
    except TooLong:
        return Outcome(ENUMERATION, ENUMERATION, time.perf_counter() - began)
    status = Status.INFEASIBLE if best is None else Status.OPTIMAL
    seconds = time.perf_counter() - began
    return Outcome(ENUMERATION, ENUMERATION, seconds, status, best, best)


def smallest(verdict: Verdict, *, seed: int = 0, limit: float = LIMIT) -> Verdict:
    """Return what comes of a smallest instance with one of the disagreements of `verdict`.

    It is held to the same way of solving and kind of disagreement; besides that way, the methods
    that decided the instance quickest are asked.
    """
    kept = {(finding.way, finding.kind) for finding in verdict.wrong}
    judges = sorted((o for o in verdict.outcomes if o.decided), key=lambda o: o.seconds)
    names = {way for way, _ in kept} | {o.way for o in judges[:2]}

    def again(problem: Problem) -> Verdict:
        return examine(problem, seed=seed, limit=limit, only=sorted(names))

    def persists(problem: Problem) -> bool:
        return any((finding.way, finding.kind) in kept for finding in again(problem).wrong)

    if not persists(verdict.problem):
        return verdict  # only when more are asked, or not each time
    return again(shrink(family(verdict.problem.family), verdict.problem, persists))
