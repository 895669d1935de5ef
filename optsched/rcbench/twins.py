"""Infeasible counterparts of a case, each with a minimal set of constraints in conflict.

A twin adds or tightens time windows so that a few constraints cannot hold together. The set is
minimal: without any one of its members, the others can be kept.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from optsched.core import InputError
from optsched.rcbench.case import Case

_Change = tuple[dict[int, int], dict[int, int], tuple[dict[str, Any], ...]]


def infeasible_twin(case: Case, witness: Sequence[int], seed: int = 0) -> Case:
    """Return an infeasible case that differs from `case` in a time window or two.

    Parameters
    ----------
    case : Case
        A feasible case.
    witness : sequence of int
        A schedule of it; the new windows stand where it has the tasks.
    seed : int
        Which conflict is chosen.

    Returns
    -------
    Case
        Its ``conflict`` lists the constraints: ``{"type": ..., "ids": [...], ...}``.

    Raises
    ------
    InputError
        When `case` is infeasible itself, or nothing in it can be brought into conflict.
    """
    if not case.feasible:
        raise InputError(f"{case.id} is infeasible already")
    rng = np.random.default_rng([case.seed, case.level, seed])
    makers: list[Callable[[Case, Sequence[int], np.random.Generator], _Change | None]] = [
        _chain,
        _disjunction,
        _downtime,
        _capacity,
    ]
    for k in rng.permutation(len(makers)):
        change = makers[k](case, witness, rng)
        if change is not None:
            release, deadline, conflict = change
            return dataclasses.replace(
                case,
                id=f"{case.id}-twin",
                release=_set(case.release, release),
                deadline=_set(case.deadline, deadline),
                conflict=conflict,
            )
    raise InputError(f"{case.id}: nothing in it can be brought into conflict")


def _set(values: tuple[int | None, ...], new: dict[int, int]) -> tuple[int | None, ...]:
    return tuple(new.get(i, value) for i, value in enumerate(values))


def _window(case: Case, task: int, release: int, deadline: int) -> tuple[dict[str, Any], ...]:
    ids = [case.tasks[task].id]
    return (
        {"type": "release", "ids": ids, "time": release},
        {"type": "deadline", "ids": ids, "time": deadline},
    )


def _chain(case: Case, witness: Sequence[int], rng: np.random.Generator) -> _Change | None:
    """A chain of precedence with one unit of time too little between its ends."""
    if not case.precedence:
        return None
    after: dict[int, list[int]] = {}
    for i, j in case.precedence:
        after.setdefault(i, []).append(j)
    chain = [int(rng.choice(sorted(after)))]
    while chain[-1] in after:
        chain.append(int(rng.choice(after[chain[-1]])))
    total = sum(case.tasks[i].duration for i in chain)
    first, last = chain[0], chain[-1]
    release = max(1, witness[first])
    deadline = release + total - 1
    conflict: tuple[dict[str, Any], ...] = (
        {"type": "release", "ids": [case.tasks[first].id], "time": release},
        *(
            {"type": "precedence", "ids": [case.tasks[i].id, case.tasks[j].id]}
            for i, j in itertools.pairwise(chain)
        ),
        {"type": "deadline", "ids": [case.tasks[last].id], "time": deadline},
    )
    return {first: release}, {last: deadline}, conflict


def _crowd(
    case: Case, witness: Sequence[int], pair: tuple[int, int], reason: dict[str, Any]
) -> _Change:
    """Two tasks that cannot overlap, in a window one unit of time too short for both."""
    release = max(1, min(witness[i] for i in pair))
    deadline = release + sum(case.tasks[i].duration for i in pair) - 1
    conflict: tuple[dict[str, Any], ...] = (reason,)
    for i in pair:
        conflict += _window(case, i, release, deadline)
    return dict.fromkeys(pair, release), dict.fromkeys(pair, deadline), conflict


def _disjunction(case: Case, witness: Sequence[int], rng: np.random.Generator) -> _Change | None:
    if not case.disjunctive:
        return None
    i, j = case.disjunctive[rng.integers(len(case.disjunctive))]
    ids = [case.tasks[i].id, case.tasks[j].id]
    return _crowd(case, witness, (i, j), {"type": "disjunctive", "ids": ids})


def _capacity(case: Case, witness: Sequence[int], rng: np.random.Generator) -> _Change | None:
    choices = [
        (i, j, k)
        for k, resource in enumerate(case.resources)
        for i, a in enumerate(case.tasks)
        for j, b in enumerate(case.tasks[:i])
        if a.demand[k] + b.demand[k] > resource.capacity
    ]
    if not choices:
        return None
    i, j, k = choices[rng.integers(len(choices))]
    ids = [case.tasks[i].id, case.tasks[j].id, case.resources[k].id]
    return _crowd(case, witness, (i, j), {"type": "capacity", "ids": ids})


def _downtime(case: Case, witness: Sequence[int], rng: np.random.Generator) -> _Change | None:
    """A window around a downtime, with too little time on either side of it."""
    choices = [
        (i, k, down)
        for k, resource in enumerate(case.resources)
        for down in resource.downtime
        for i, task in enumerate(case.tasks)
        if task.demand[k] and down[0] - task.duration + 1 >= 1
    ]
    if not choices:
        return None
    i, k, (start, end) = choices[rng.integers(len(choices))]
    duration = case.tasks[i].duration
    release, deadline = start - duration + 1, end + duration - 1
    ids = [case.tasks[i].id, case.resources[k].id]
    conflict = (
        {"type": "downtime", "ids": ids, "interval": [start, end]},
        *_window(case, i, release, deadline),
    )
    return {i: release}, {i: deadline}, conflict
