"""From what a person writes to checked flat arrays; every message names the job at fault.

Jobs count from 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from optsched.core import BoolArray, InputError, IntArray
from optsched.numbers import integers, is_row

#: Deadline of a job that has none.
NO_DEADLINE = int(np.iinfo(np.int64).max)

FIELDS = (
    "processing", "due", "weight", "release", "deadline", "setup", "precedence", "objective",
    "name",
)  # fmt: skip


def processing(values: Any) -> IntArray:
    """Return the processing times; there is at least one job."""
    if not is_row(values):
        raise InputError(f"processing times: expected a list, one value a job, not {values!r}")
    array = integers(values, "processing times", lambda job: f"job {job}: processing time")
    if array.ndim != 1:
        raise InputError("processing times: expected a flat list, one entry a job")
    if not len(array):
        raise InputError("there are no jobs")
    _refuse(array < 0, array, "processing time", "is negative")
    return array


def per_job(
    values: Any, n_jobs: int, what: str, default: int | None, *, signed: bool = False
) -> IntArray | None:
    """Return one number a job; `default` where `values` is None."""
    if values is None:
        return None if default is None else np.full(n_jobs, default, dtype=np.int64)
    if not is_row(values):
        raise InputError(f"{what}s: expected a list, one value a job, not {values!r}")
    array = integers(values, what + "s", lambda job: f"job {job}: {what}")
    if array.shape != (n_jobs,):
        raise InputError(f"{what}s: expected {n_jobs} of them, one a job, got {_size(array)}")
    if not signed:
        _refuse(array < 0, array, what, "is negative")
    return array


def deadlines(values: Any, n_jobs: int) -> IntArray | None:
    """Return the latest completions; None where no job has one."""
    if values is None:
        return None
    if isinstance(values, str | bytes | Mapping) or not hasattr(values, "__len__"):
        raise InputError("deadlines: expected a list with a whole number or None for each job")
    if len(values) != n_jobs:
        raise InputError(f"deadlines: expected {n_jobs} of them, one a job, got {len(values)}")
    array = np.full(n_jobs, NO_DEADLINE, dtype=np.int64)
    given = [j for j, value in enumerate(values) if not _is_absent(value)]
    if not given:
        return None
    chosen = integers([values[j] for j in given], "deadlines")
    if chosen.ndim != 1:
        raise InputError("deadlines: expected a flat list, one entry a job")
    array[given] = chosen
    return array


def _is_absent(value: Any) -> bool:
    scalar = isinstance(value, int | np.integer)
    return value is None or bool(scalar and value == NO_DEADLINE)


def setup(values: Any, n_jobs: int) -> IntArray | None:
    """Return the matrix of setup times; None where all are 0."""
    if values is None:
        return None
    array = integers(values, "setup")
    if array.shape != (n_jobs, n_jobs):
        raise InputError(f"setup: expected {n_jobs} x {n_jobs}, got {_size(array)}")
    if (array < 0).any():
        i, j = np.argwhere(array < 0)[0]
        raise InputError(f"setup from job {i} to job {j}: {array[i, j]} is negative")
    return array if array.any() else None


def precedence(values: Any, n_jobs: int) -> IntArray:
    """Return the pairs ``(before, after)``, sorted and without repetition; they hold no cycle."""
    if values is None:
        return np.zeros((0, 2), dtype=np.int64)
    array = integers(values, "precedence")
    if array.size == 0:
        return np.zeros((0, 2), dtype=np.int64)
    if array.ndim != 2 or array.shape[1] != 2:
        raise InputError("precedence: expected pairs (before, after)")
    if (bad := array[(array < 0) | (array >= n_jobs)]).size:
        raise InputError(f"precedence: there is no job {bad[0]}")
    array = np.unique(array, axis=0)
    _refuse_cycle(array, n_jobs)
    return array


def _refuse_cycle(pairs: IntArray, n_jobs: int) -> None:
    after: list[list[int]] = [[] for _ in range(n_jobs)]
    waiting = np.bincount(pairs[:, 1], minlength=n_jobs).tolist()
    for i, j in pairs.tolist():
        after[i].append(j)
    ready = [j for j in range(n_jobs) if not waiting[j]]
    while ready:
        for j in after[ready.pop()]:
            waiting[j] -= 1
            if not waiting[j]:
                ready.append(j)
    left = {j for j in range(n_jobs) if waiting[j]}
    if not left:
        return
    # Every job left has a predecessor that is left: walking back must close a cycle.
    before = {j: i for i, j in pairs.tolist() if i in left and j in left}
    path = [min(left)]
    while path[-1] not in path[:-1]:
        path.append(before[path[-1]])
    cycle = path[path.index(path[-1]) :][::-1]
    raise InputError(f"precedence: a cycle, {' before '.join(f'job {j}' for j in cycle)}")


def _refuse(bad: BoolArray, array: IntArray, what: str, why: str) -> None:
    if bad.any():
        j = int(np.flatnonzero(bad)[0])
        raise InputError(f"job {j}: {what} {array[j]} {why}")


def _size(array: IntArray) -> str:
    return " x ".join(map(str, array.shape)) if array.ndim else "one number"


def constructor_arguments(data: Any) -> dict[str, Any]:
    """Return the constructor's arguments from the plain data of a JSON file."""
    if not isinstance(data, Mapping):
        raise InputError("expected a JSON object")
    arguments = {key: value for key, value in data.items() if key not in ("optsched", "family")}
    if data.get("family", "single_machine") != "single_machine":
        raise InputError(f"family {data['family']!r} is not single_machine")
    if unknown := sorted(map(str, arguments.keys() - set(FIELDS))):
        raise InputError(f"unknown field {unknown[0]!r}: one of {', '.join(FIELDS)}")
    if "processing" not in arguments:
        raise InputError("field 'processing' is missing")
    for key in ("objective", "name"):
        if not isinstance(arguments.get(key, ""), str):
            raise InputError(f"field {key!r} must be text")
    return arguments
