"""Every violation in an answer, found from the definition: no solver and no other checker."""

from __future__ import annotations

import dataclasses
import itertools
import math
from dataclasses import dataclass
from typing import Any

from optsched.numbers import shown
from optsched.rcbench.answers import Answer, understand
from optsched.rcbench.case import Case

#: Kinds of violation, those of the answer's form first.
TYPES = (
    "parse",
    "missing",
    "duplicate",
    "unknown id",
    "non-integer",
    "negative start",
    "precedence",
    "capacity",
    "downtime",
    "release",
    "deadline",
    "disjunctive",
)


@dataclass(frozen=True)
class Violation:
    """One violation.

    Attributes
    ----------
    type : str
        One of `TYPES`.
    ids : tuple of str
        Tasks, and for capacity and downtime the resource last.
    time : int or None
        When it begins.
    amount : int
        By how much: units of time, units of the resource at the worst moment, or a count.
    """

    type: str
    ids: tuple[str, ...] = ()
    time: int | None = None
    amount: int = 1


@dataclass(frozen=True)
class Score:
    """The judgement of one answer.

    Attributes
    ----------
    case : str
    claim : str
        What the answer is: ``"schedule"``, ``"infeasible"`` or ``"none"``.
    feasible : bool
        Whether it is a complete schedule without violations.
    correct : bool
        Whether it is that, or rightly says that there is none.
    violations : tuple of Violation
    """

    case: str
    claim: str
    feasible: bool
    correct: bool
    violations: tuple[Violation, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return dataclasses.asdict(self)


def score(case: Case, answer: Any) -> Score:
    """Judge an answer; never raises on what a model may say.

    Parameters
    ----------
    case : Case
    answer : object
        The model's text, or data; see `optsched.rcbench.answers.understand`.
    """
    read = understand(answer)
    if read.error:
        return Score(case.id, "none", False, False, (Violation("parse"),))
    if read.infeasible:
        return Score(case.id, "infeasible", False, not case.feasible, ())
    starts, violations = starts_of(case, read)
    violations += _broken(case, starts)
    good = not violations
    return Score(case.id, "schedule", good, good, tuple(violations))


def starts_of(case: Case, answer: Answer) -> tuple[dict[int, int], list[Violation]]:
    """Return the start of every task that has a good one, and what is wrong with the others."""
    known = {task.name: i for i, task in enumerate(case.tasks) if task.name}
    known |= {task.id: i for i, task in enumerate(case.tasks)}
    violations: list[Violation] = []
    seen: dict[int, int] = {}
    starts: dict[int, int] = {}
    for label, value in answer.entries:
        i = known.get(label.strip()) if isinstance(label, str) else None
        if i is None:
            violations.append(Violation("unknown id", (shown(label),)))
            continue
        seen[i] = seen.get(i, 0) + 1
        if seen[i] > 1:
            continue
        start = _whole(value)
        if start is None:
            violations.append(Violation("non-integer", (case.tasks[i].id,)))
        elif start < 0:
            violations.append(Violation("negative start", (case.tasks[i].id,), start, -start))
            starts[i] = start
        else:
            starts[i] = start
    for i, count in seen.items():
        if count > 1:
            violations.append(Violation("duplicate", (case.tasks[i].id,), None, count - 1))
    violations += [
        Violation("missing", (task.id,)) for i, task in enumerate(case.tasks) if i not in seen
    ]
    return starts, violations


def _whole(value: Any) -> int | None:
    """Return a whole number that was written as one, 5.0 too."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and (not math.isfinite(value) or not value.is_integer()):
        return None
    return int(value)


def _broken(case: Case, start: dict[int, int]) -> list[Violation]:
    """Return the constraints that the tasks with a start violate."""
    tasks = case.tasks
    end = {i: at + tasks[i].duration for i, at in start.items()}
    found = []
    for i, j in case.precedence:
        if i in start and j in start and start[j] < end[i]:
            ids = (tasks[i].id, tasks[j].id)
            found.append(Violation("precedence", ids, start[j], end[i] - start[j]))
    for i, j in case.disjunctive:
        if i in start and j in start:
            first, last = max(start[i], start[j]), min(end[i], end[j])
            if first < last:
                ids = (tasks[i].id, tasks[j].id)
                found.append(Violation("disjunctive", ids, first, last - first))
    for i, at in start.items():
        release, deadline = case.release[i], case.deadline[i]
        if release is not None and at < release:
            found.append(Violation("release", (tasks[i].id,), at, release - at))
        if deadline is not None and end[i] > deadline:
            found.append(Violation("deadline", (tasks[i].id,), deadline, end[i] - deadline))
    for k in range(len(case.resources)):
        found += _downtime(case, k, start, end)
        found += _capacity(case, k, start, end)
    return found


def _downtime(case: Case, k: int, start: dict[int, int], end: dict[int, int]) -> list[Violation]:
    found = []
    resource = case.resources[k]
    for i, at in start.items():
        if case.tasks[i].demand[k]:
            for down, up in resource.downtime:
                first, last = max(at, down), min(end[i], up)
                if first < last:
                    ids = (case.tasks[i].id, resource.id)
                    found.append(Violation("downtime", ids, first, last - first))
    return found


def _capacity(case: Case, k: int, start: dict[int, int], end: dict[int, int]) -> list[Violation]:
    """Return one violation for each stretch of time in which the resource is overused.

    Use while the resource is down is a matter of downtime alone.
    """
    resource = case.resources[k]
    users = [i for i in start if case.tasks[i].demand[k] and end[i] > start[i]]
    times = {t for i in users for t in (start[i], end[i])}
    times |= {t for down in resource.downtime for t in down}
    events = sorted(times)
    found: list[Violation] = []
    open_: tuple[int, int, set[int]] | None = None  # since when, worst excess, who
    for t, until in itertools.pairwise(events):
        running = {i for i in users if start[i] <= t and end[i] >= until}
        use = sum(case.tasks[i].demand[k] for i in running)
        down = any(first <= t < last for first, last in resource.downtime)
        excess = 0 if down else use - resource.capacity
        if excess > 0:
            since, worst, who = open_ or (t, 0, set())
            open_ = (since, max(worst, excess), who | running)
        elif open_ is not None:
            found.append(_overuse(case, k, open_))
            open_ = None
    if open_ is not None:
        found.append(_overuse(case, k, open_))
    return found


def _overuse(case: Case, k: int, stretch: tuple[int, int, set[int]]) -> Violation:
    since, worst, who = stretch
    ids = tuple(case.tasks[i].id for i in sorted(who))
    return Violation("capacity", (*ids, case.resources[k].id), since, worst)
