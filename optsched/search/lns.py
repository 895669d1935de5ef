"""Large-neighbourhood search: free a part of the incumbent, solve that exactly, and go on.

Shaw (1998) gave it its name. The neighbourhoods are the family's; this module chooses among them by
their success (adaptive, after Ropke and Pisinger 2006) and sets their sizes by what the sub-solves
report: solved to the end, the next one is larger; out of effort, smaller.

A sub-solve knows a part of the instance alone, so nothing that it proves is a bound, except where
the part was everything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from optsched.core import BoolArray, InputError, IntArray
from optsched.result import StopReason
from optsched.session import Session
from optsched.solvers.base import Verdict

#: Deterministic seconds of a sub-solve, unless told otherwise.
EFFORT = 1.0
#: Items that are free at first, and the least.
SIZE, SIZE_LEAST = 60, 6
#: What the size is multiplied by after a sub-solve that came to its end, and one that did not.
GROWTH, SHRINKAGE = 1.12, 0.9
#: Weight of the latest outcome in a neighbourhood's record, and the least chance that it keeps.
MEMORY, CHANCE = 0.15, 0.15

#: ``neighbourhood(solution, size, random)``: which of the items to free, about `size` of them.
Neighbourhood = Callable[[Any, int, np.random.Generator], BoolArray]


@dataclass(frozen=True)
class Question:
    """One sub-problem: what is best for the free items, the others held as in `solution`?

    Attributes
    ----------
    solution : Solution
        A feasible solution of the whole instance.
    objective : int or float
        Its value; only better ones are of interest.
    free : ndarray of bool
        The items that are free.
    effort : float
        Deterministic seconds that the sub-solve may take.
    seed : int
    """

    solution: Any
    objective: Any
    free: BoolArray
    effort: float
    seed: int


@dataclass(frozen=True)
class Answer:
    """The outcome of a sub-solve.

    Attributes
    ----------
    verdict : Verdict
        OPTIMAL or INFEASIBLE: nothing better than `solution`, or than what was given, is left.
    solution : Solution or None
        The best one found that is better than what was given, of the whole instance.
    """

    verdict: Verdict
    solution: Any


#: ``sub_solve(questions)``: an answer to each, in their order. What is found on the way may be
#: offered to the session at once.
SubSolve = Callable[[Sequence[Question]], Sequence[Answer]]


@dataclass
class _Arm:
    """One neighbourhood and its record."""

    name: str
    choose: Neighbourhood
    size: float
    most: int
    success: float = 0.5

    def learn(self, answer: Answer, better: bool) -> None:
        """Take the outcome into the record, and set the size."""
        self.success += MEMORY * (better - self.success)
        if answer.verdict in (Verdict.OPTIMAL, Verdict.INFEASIBLE):
            self.size *= GROWTH
        elif not better:
            self.size *= SHRINKAGE
        self.size = float(np.clip(self.size, SIZE_LEAST, max(SIZE_LEAST, self.most)))


def run(
    session: Session,
    neighbourhoods: Mapping[str, Neighbourhood],
    sub_solve: SubSolve,
    *,
    items: int,
    seed: int = 0,
    size: int = SIZE,
    effort: float = EFFORT,
    max_steps: int | None = None,
    parallel: int = 1,
    source: str = "lns",
) -> StopReason:
    """Improve the session's incumbent until the session stops or the steps are used up.

    Parameters
    ----------
    session : Session
        With an incumbent. It verifies every solution; incumbents from elsewhere are taken over.
    neighbourhoods : mapping of str to callable
        By name: given solution, size and random numbers, which items to free.
    sub_solve : callable
        Solves a list of sub-problems, side by side if it can.
    items : int
        Number of items (operations, activities, ...) that a neighbourhood chooses from.
    seed : int
        Same seed and same `max_steps`, and nobody else in the session: same result.
    size : int
        Items that are free at first.
    effort : float
        Deterministic seconds of a sub-solve.
    max_steps : int, optional
        Number of sub-solves.
    parallel : int
        Sub-problems that are handed out at a time, all of the same incumbent.
    source : str
        Name in the trace; the neighbourhood's follows it.

    Returns
    -------
    StopReason
        STEPS when the steps are used up; otherwise what stopped the session.

    Raises
    ------
    InputError
        When the session has no incumbent.
    """
    if session.solution is None:
        raise InputError(f"{source}: there is no solution to begin with")
    random = np.random.default_rng(seed)
    arms = [_Arm(name, choose, min(size, items), items) for name, choose in neighbourhoods.items()]
    steps = 0
    while not session.stopped:
        count = parallel if max_steps is None else min(parallel, max_steps - steps)
        if count < 1:
            return StopReason.STEPS
        solution, objective = session.solution, session.problem.objective(session.solution)
        batch: list[tuple[_Arm, Question]] = []
        for _ in range(count):
            arm = _pick(arms, random)
            free = arm.choose(solution, round(arm.size), random)
            draw = int(random.integers(2**31))
            batch.append((arm, Question(solution, objective, free, effort, draw)))
        answers = sub_solve([question for _, question in batch])
        steps += count
        for (arm, question), answer in zip(batch, answers, strict=True):
            better = False
            if answer.solution is not None:
                better = session.problem.objective(answer.solution) < objective
                session.offer(answer.solution, f"{source}:{arm.name}")
            arm.learn(answer, better)
            _conclude(session, question, answer, source)
    return session.outcome(StopReason.STEPS)[1]


def window(middle: IntArray, size: int, random: np.random.Generator) -> IntArray:
    """Return `size` items that follow each other in the order of `middle`.

    The window may lie across the borders, so that both ends are as often in it as the middle.
    """
    order = np.argsort(middle, kind="stable")
    first = int(random.integers(-size // 2, max(1, len(order) - size // 2)))
    first = min(max(first, 0), max(0, len(order) - size))
    return order[first : first + size]


def _pick(arms: Sequence[_Arm], random: np.random.Generator) -> _Arm:
    weight = np.array([max(arm.success, CHANCE) for arm in arms])
    return arms[int(random.choice(len(arms), p=weight / weight.sum()))]


def _conclude(session: Session, question: Question, answer: Answer, source: str) -> None:
    """Where everything was free, the end of the sub-solve is a proof for the whole instance."""
    if not question.free.all() or session.stopped:
        return
    if answer.verdict in (Verdict.OPTIMAL, Verdict.INFEASIBLE):
        best = question.objective
        if answer.solution is not None:
            best = session.problem.objective(answer.solution)
        session.prove(best, source)
