"""Making an instance as small as it can be while it still shows what is wrong."""

from __future__ import annotations

import time
from collections.abc import Callable

from optsched.core import InputError, Problem
from optsched.selfcheck.families import Family
from optsched.selfcheck.smaller import Data, extent


def shrink(
    family: Family, problem: Problem, persists: Callable[[Problem], bool], seconds: float = 60.0
) -> Problem:
    """Return a smallest instance for which `persists` still holds.

    Greedy: the first smaller instance for which it does is taken, until there is none.

    Parameters
    ----------
    family : Family
    problem : Problem
        An instance for which it holds.
    persists : callable(problem) -> bool
    seconds : float
        After so long what has been found is returned.
    """
    ends = time.perf_counter() + seconds
    current = problem
    while True:
        data = current.to_dict()
        size, tried = extent(data), set()
        for less in family.smaller(data):
            if time.perf_counter() > ends:
                return current
            candidate = _instance(type(problem), less)
            if candidate is None or extent(candidate.to_dict()) >= size:
                continue
            text = candidate.to_json()
            if text not in tried and persists(candidate):
                current = candidate
                break
            tried.add(text)
        else:
            return current


def _instance(kind: type[Problem], data: Data) -> Problem | None:
    try:
        return kind.from_dict(data)
    except InputError:
        return None
