"""Cutting a part out of a shop: a shop of its own, of the operations that matter.

Held operations have one eligible machine, operations beyond the horizon are left out, and so is the
past that nothing can meet any more. See `optsched.problems.job_shop.parts`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from optsched.core import IntArray
from optsched.problems.job_shop.problem import (
    BLOCKING,
    BUFFERS,
    NO_DEADLINE,
    JobShop,
    JobShopSolution,
)
from optsched.problems.job_shop.windows import heads_and_tails

#: What becomes of an operation. `ABSENT` ones are the ends of their jobs, beyond the horizon.
FREE, ORDERED, FIXED, ABSENT = 0, 1, 2, 3

States = npt.NDArray[np.int8]


class PartShop(JobShop):
    """A shop whose models reach at least as far as the schedule that it was cut from."""

    def horizon(self) -> int:
        """Return a time by which the part has ended, whatever is fixed in it."""
        return super().horizon() + int(self.__dict__.get("reach", 0))


def arguments(
    problem: JobShop,
    *,
    calendars: tuple[IntArray, IntArray, IntArray] | None = None,
    resumable: npt.NDArray[np.bool_] | None = None,
    buffer: IntArray | None = None,
) -> dict[str, Any]:
    """Return the options with which `JobShop.from_arrays` makes `problem` again.

    Parameters
    ----------
    problem : JobShop
    calendars : tuple of ndarray, optional
        Breaks in addition to the problem's own: offset a machine, starts and ends.
    resumable, buffer : ndarray, shape (n_ops,), optional
        Instead of the problem's own.
    """
    split = problem.job_offset[1:-1]
    breaks: dict[int, list[tuple[int, int]]] = {}
    own = (problem.break_offset, problem.break_start, problem.break_end)
    for offset, start, end in (own,) if calendars is None else (own, calendars):
        pairs = list(zip(start.tolist(), end.tolist(), strict=True))
        for m in np.flatnonzero(np.diff(offset)).tolist():
            breaks.setdefault(m, []).extend(pairs[offset[m] : offset[m + 1]])
    return {
        "objective": problem.objective_kind,
        "release": problem.release,
        "due": problem.due,
        "deadline": problem.deadline,
        "weight": problem.weight,
        "calendars": breaks,
        "resumable": _rows(problem.resumable if resumable is None else resumable, split),
        "buffers": _buffers(problem.buffer if buffer is None else buffer, split),
        "swap": problem.swap,
        "lags": _rows(problem.lag, split) or None,
        "transport": problem.transport,
        "setup": problem.setup,
        "n_machines": problem.n_machines,
        "name": problem.name,
    }


def _buffers(buffer: IntArray, split: IntArray) -> Any:
    if not buffer.any():
        return "unlimited"
    names = np.array(sorted(BUFFERS, key=lambda name: BUFFERS[name]))
    return [row.tolist() for row in np.split(names[buffer], split)]


def _rows(values: npt.NDArray[Any], split: IntArray) -> Any:
    if not values.any():
        return False
    return [row.tolist() for row in np.split(values, split)]


def past(
    problem: JobShop, schedule: JobShopSolution, state: States, completion: IntArray
) -> npt.NDArray[np.bool_]:
    """Return which fixed operations nothing can meet any more, beginnings of their jobs all.

    An operation is past when it has left its machine before anything that is not fixed could begin.
    The last one of a job stays, since the objective may ask for it; so does the last one of a
    machine, since setups do, and one whose successor says when it leaves its machine.
    """
    fixed = state == FIXED
    moving = np.flatnonzero((state == FREE) | (state == ORDERED))
    if not moving.size:
        return np.zeros(problem.n_ops, dtype=bool)
    first = np.zeros(problem.n_ops, dtype=bool)
    first[problem.job_offset[:-1]] = True
    # Before its first fixed operation, a job's moving ones begin at their release, or later.
    after_fixed = ~first & np.append(False, fixed[:-1])
    ready = np.where(after_fixed, np.append(0, completion[:-1]), problem.release[problem.op_job])
    soonest = int(ready[moving[first[moving] | after_fixed[moving]]].min())
    final = np.append(first[1:], True)
    departure = completion.copy()
    held = np.flatnonzero((problem.buffer == BLOCKING) & ~final)
    departure[held] = np.maximum(completion[held], schedule.start[held + 1])
    gone = fixed & (departure < soonest) & ~final & np.append(fixed[1:], False)
    latest = np.full(problem.n_machines, -1, dtype=np.int64)
    np.maximum.at(latest, schedule.machine[fixed], departure[fixed])
    gone &= departure < latest[schedule.machine]
    # Only the beginning of a job may be left out: what lies before the first that must stay.
    stays = np.concatenate(([0], np.cumsum(~gone)))
    gone = stays[1:] == stays[problem.job_offset[:-1]][problem.op_job]
    return np.asarray(gone)


def cut(
    problem: JobShop,
    schedule: JobShopSolution,
    state: States,
    ops: IntArray,
    completion: IntArray,
    not_before: int,
    tails: bool,
) -> PartShop:
    """Return the shop of the operations `ops`, a run of each job's, jobs without any left out."""
    job = problem.op_job[ops]
    jobs, size = np.unique(job, return_counts=True)
    offset = np.concatenate(([0], np.cumsum(size)))
    op_of_alt = np.repeat(np.arange(problem.n_ops), np.diff(problem.alt_offset))
    chosen = problem.alt_machine == schedule.machine[op_of_alt]
    inside = np.zeros(problem.n_ops, dtype=bool)
    inside[ops] = True
    kept = inside[op_of_alt] & ((state[op_of_alt] == FREE) | chosen)
    alternatives = np.bincount(op_of_alt[kept], minlength=problem.n_ops)[ops]
    options = arguments(problem)
    first, last = ops[offset[:-1]], ops[offset[1:] - 1]
    begun = first > problem.job_offset[jobs]
    release = np.where(begun, schedule.start[first], problem.release[jobs])
    release[state[first] != FIXED] = np.maximum(release, not_before)[state[first] != FIXED]
    split = offset[1:-1]
    lag = problem.lag[ops]
    lag[offset[1:] - 1] = 0
    options |= {
        "release": release,
        "weight": problem.weight[jobs],
        "resumable": _rows(problem.resumable[ops], split),
        "lags": _rows(lag, split) or None,
        "buffers": _buffers(problem.buffer[ops], split),
    }
    if problem.setup is not None:
        options["setup"] = problem.setup[:, jobs][:, :, jobs]
    _dates(problem, options, jobs, last, tails)
    shop = PartShop.from_arrays(
        offset,
        np.concatenate(([0], np.cumsum(alternatives))),
        problem.alt_machine[kept],
        problem.alt_duration[kept],
        **options,
    )
    # The schedule itself has to lie within the horizon, too: it is the hint.
    shop.__dict__["reach"] = int(completion[ops].max())
    return shop


def _dates(
    problem: JobShop, options: dict[str, Any], jobs: IntArray, last: IntArray, tails: bool
) -> None:
    """Set due dates and deadlines of jobs of which `last` are the last operations that are left."""
    tail = heads_and_tails(problem)[2][last]
    if problem.due is not None:
        options["due"] = problem.due[jobs] - tail
    elif tails and problem.objective_kind == "makespan" and tail.any():
        options["due"], options["objective"] = -tail, "maximum_lateness"
    if problem.deadline is not None:
        options["deadline"] = [
            None if latest == NO_DEADLINE else max(0, latest - rest)
            for latest, rest in zip(problem.deadline[jobs].tolist(), tail.tolist(), strict=True)
        ]
