"""How far an answer is from the nearest schedule that keeps every constraint."""

from __future__ import annotations

from typing import Any

from ortools.sat.python import cp_model

from optsched.rcbench.answers import understand
from optsched.rcbench.case import Case
from optsched.rcbench.score import starts_of

#: Starts beyond this are not measured.
FARTHEST = 10**9


def distance_to_feasible(
    case: Case, answer: Any, *, time_limit: float = 10.0, workers: int = 1
) -> int | None:
    """Return the least total change of start times that makes `answer` a feasible schedule.

    Tasks without a usable start cost nothing wherever they go.

    Parameters
    ----------
    case : Case
    answer : object
        See `optsched.rcbench.answers.understand`.
    time_limit : float
        Seconds.
    workers : int
        Cores.

    Returns
    -------
    int or None
        Units of time; None where the answer is no schedule or absurdly late, where no feasible
        schedule exists, or where the least change is not proven in time.
    """
    read = understand(answer)
    if read.error or read.infeasible or not case.feasible:
        return None
    starts, _ = starts_of(case, read)
    if any(abs(at) > FARTHEST for at in starts.values()):
        return None
    # Beyond every date of the case and every start of the answer, all work fits.
    dates = [0, *starts.values(), *(value for value in case.release if value is not None)]
    dates += [up for resource in case.resources for _, up in resource.downtime]
    horizon = max(dates) + sum(task.duration for task in case.tasks)
    model = cp_model.CpModel()
    start, interval = [], []
    for i, task in enumerate(case.tasks):
        low, high = case.release[i] or 0, case.deadline[i]
        latest = (horizon if high is None else min(high, horizon)) - task.duration
        start.append(model.new_int_var(low, latest, task.id))
        interval.append(model.new_fixed_size_interval_var(start[i], task.duration, task.id))
    for i, j in case.precedence:
        model.add(start[j] >= start[i] + case.tasks[i].duration)
    for i, j in case.disjunctive:
        model.add_no_overlap([interval[i], interval[j]])
    for k, resource in enumerate(case.resources):
        users = [i for i, task in enumerate(case.tasks) if task.demand[k]]
        down = [
            model.new_fixed_size_interval_var(first, last - first, "down")
            for first, last in resource.downtime
        ]
        model.add_cumulative(
            [*(interval[i] for i in users), *down],
            [*(case.tasks[i].demand[k] for i in users), *[resource.capacity] * len(down)],
            resource.capacity,
        )
    moved = []
    for i, at in starts.items():
        change = model.new_int_var(0, horizon + abs(at), f"change {i}")
        model.add_abs_equality(change, start[i] - at)
        moved.append(change)
    model.minimize(sum(moved))
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = time_limit
    solver.parameters.num_workers = workers
    if solver.solve(model) != cp_model.OPTIMAL:
        return None
    distance: int = round(solver.objective_value)
    return distance
