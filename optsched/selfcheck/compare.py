"""Holding what several ways say of one instance against each other."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from optsched.core import InputError, Number, Problem
from optsched.result import Status
from optsched.selfcheck.families import Family
from optsched.selfcheck.outcome import ENUMERATION, Outcome


@dataclass(frozen=True)
class Finding:
    """Something wrong with what a way of solving says.

    Attributes
    ----------
    way : str
    kind : str
        ``"error"``, ``"answer"``, ``"bound"``, ``"solution"``, ``"trace"`` or ``"no answer"``.
    text : str
        The same in words.
    """

    way: str
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.way}: {self.text}"


def disagreements(family: Family, problem: Problem, outcomes: Sequence[Outcome]) -> list[Finding]:
    """Return everything that is wrong with what several ways say of a problem.

    That is errors, answers that differ, solutions that the checker (or the family's second judge)
    refutes, objectives below the optimum, bounds above it, also in the middle of a trace, and
    exact methods that end early without an answer.
    """
    found = list(_answers(outcomes))
    found += _wrong_bounds(outcomes)
    for outcome in outcomes:
        found += [Finding(outcome.way, *told) for told in _by_itself(family, problem, outcome)]
    return found


def cross_checked(outcomes: Sequence[Outcome]) -> bool:
    """Return whether at least two independent methods decided the instance."""
    return len({o.method for o in outcomes if o.decided and o.method}) >= 2


def enumerated(outcomes: Sequence[Outcome]) -> bool:
    """Return whether enumeration decided the instance."""
    return any(o.method == ENUMERATION and o.decided for o in outcomes)


def best_known(outcomes: Sequence[Outcome]) -> Number | None:
    """Return the least objective that anybody attains."""
    values = [o.objective for o in outcomes if o.objective is not None and not o.error]
    return min(values, default=None)


def _answers(outcomes: Sequence[Outcome]) -> Iterator[Finding]:
    """Yield answers that differ from the first one, and objectives that beat it."""
    # The enumeration is the simplest code, and is taken at its word.
    decided = sorted((o for o in outcomes if o.decided), key=lambda o: o.method != ENUMERATION)
    if not decided:
        return
    truth = decided[0]
    says = f"but {truth.way} says {truth}"
    for outcome in outcomes:
        if outcome.decided:
            if (outcome.status, outcome.objective) != (truth.status, truth.objective):
                yield Finding(outcome.way, "answer", f"{outcome}, {says}")
        elif outcome.objective is not None and (
            truth.objective is None or outcome.objective < truth.objective
        ):
            yield Finding(outcome.way, "answer", f"has {outcome.objective}, {says}")


def _wrong_bounds(outcomes: Sequence[Outcome]) -> Iterator[Finding]:
    told = next((o for o in outcomes if o.method == ENUMERATION and o.decided), None)
    least = best_known(outcomes) if told is None else told.objective
    if least is None:
        return
    for outcome in outcomes:
        for bound, where in _bounds(outcome):
            if bound > least:
                text = f"proves {bound}{where}, but {least} is attained"
                yield Finding(outcome.way, "bound", text)
                break


def _bounds(outcome: Outcome) -> Iterator[tuple[Number, str]]:
    if outcome.bound is not None:
        yield outcome.bound, ""
    for event in outcome.events:
        if event.bound is not None:
            yield event.bound, f" on its way (by {event.source})"


def _by_itself(family: Family, problem: Problem, outcome: Outcome) -> Iterator[tuple[str, str]]:
    if outcome.error:
        yield "error", outcome.error
        return
    if outcome.gave_up:
        yield "no answer", f"ends early: {outcome}"
    if outcome.method == ENUMERATION:
        return
    if outcome.status is Status.OPTIMAL and outcome.objective != outcome.bound:
        yield "answer", f"calls {outcome.objective} optimal with a bound of {outcome.bound}"
    if outcome.status is Status.INFEASIBLE and outcome.solution is not None:
        yield "answer", "returns a solution of what it calls infeasible"
    if (outcome.solution is None) != (outcome.objective is None):
        yield "answer", f"has a solution or an objective, not both: {outcome}"
    if outcome.solution is not None:
        for told in _judged(family, problem, outcome):
            yield "solution", told
    for before, after in itertools.pairwise(outcome.events):
        worse = (
            before.objective is not None
            and (after.objective is None or after.objective > before.objective)
        ) or (before.bound is not None and (after.bound is None or after.bound < before.bound))
        if worse:
            yield "trace", f"its trace gets worse from {before} to {after}"


def _judged(family: Family, problem: Problem, outcome: Outcome) -> Iterator[str]:
    solution = outcome.solution
    violations = problem.check(solution)
    if violations:
        yield f"its solution is refuted: {violations[0]}"
        return
    value = problem.objective(solution)
    if value != outcome.objective:
        yield f"its solution has an objective of {value}, not {outcome.objective}"
    try:
        again = problem.solution_type.from_dict(solution.to_dict())
        if problem.objective(again) != value:
            yield "its solution is another one when written and read again"
    except InputError as error:
        yield f"its solution cannot be read again: {error}"
    if family.broken is not None and (rules := family.broken(problem, solution)):
        yield f"its solution passes the checker but breaks, by definition: {', '.join(rules)}"
    elif family.value is not None and (other := family.value(problem, solution)) != value:
        yield f"its solution has an objective of {other} by definition, not {value}"
