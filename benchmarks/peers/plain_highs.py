"""HiGHS as in a first model: the disjunctive job shop (Manne 1960) with big M, default parameters.

It needs highspy alone; nothing here knows of optsched.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from itertools import combinations
from typing import Any

import highspy

PEER = {
    "name": "plain-highs",
    "title": "HiGHS, big-M model",
    "families": ["job_shop"],
    "features": ["objective makespan"],
    "install": "pip install highspy",
}


def run(job: dict[str, Any], emit: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Solve one job shop; see README.md for job and answer."""
    began = time.perf_counter()
    jobs = job["problem"]["jobs"]
    big = sum(duration for row in jobs for _, duration in row)
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    makespan = highs.addVariable(0, big, obj=1)
    start: list[list[Any]] = []
    on_machine: dict[int, list[tuple[Any, int]]] = {}
    for row in jobs:
        variables = [highs.addVariable(0, big) for _ in row]
        for k, (machine, duration) in enumerate(row):
            after = variables[k + 1] if k + 1 < len(row) else makespan
            highs.addConstr(after >= variables[k] + duration)
            on_machine.setdefault(machine, []).append((variables[k], duration))
        start.append(variables)
    for operations in on_machine.values():
        for (first, p), (second, q) in combinations(operations, 2):
            order = highs.addBinary()
            highs.addConstr(second >= first + p - big * (1 - order))
            highs.addConstr(first >= second + q - big * order)

    trace: list[dict[str, Any]] = []
    best: list[int | None] = [None, None]

    def tell(objective: float | None, bound: float | None) -> None:
        if objective is not None and math.isfinite(objective):
            value = round(objective)
            best[0] = value if best[0] is None else min(best[0], value)
        if bound is not None and math.isfinite(bound):
            proven = math.ceil(bound - 1e-6 * max(1.0, abs(bound)))
            best[1] = proven if best[1] is None else max(best[1], proven)
        if best[0] is not None and best[1] is not None:
            best[1] = min(best[1], best[0])
        event = {"objective": best[0], "bound": best[1]}
        if not trace or any(trace[-1][key] != value for key, value in event.items()):
            now = round(time.perf_counter() - began, 4)
            trace.append({"time": now, **event, "source": "highs"})
            emit(trace[-1])

    def on_solution(event: Any) -> None:
        tell(event.data_out.objective_function_value, event.data_out.mip_dual_bound)

    highs.cbMipImprovingSolution.subscribe(on_solution)
    highs.cbMipLogging.subscribe(lambda event: tell(None, event.data_out.mip_dual_bound))
    highs.setOptionValue("threads", job["workers"])
    highs.setOptionValue("random_seed", job["seed"] % 2**31)
    highs.setOptionValue("time_limit", max(0.0, job["time_limit"] - time.perf_counter() + began))
    highs.run()
    info = highs.getInfo()
    solution = None
    if info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible:
        values = highs.getSolution().col_value
        guess = [[values[variable.index] for variable in row] for row in start]
        solution, objective = _schedule(jobs, guess)
        tell(objective, info.mip_dual_bound)
    elif best[0] is not None:
        trace.clear()  # an incumbent that cannot be shown does not count
        best[0] = None
        tell(None, info.mip_dual_bound)
    optimal = best[0] is not None and best[0] == best[1]
    return {
        "status": "OPTIMAL" if optimal else "UNKNOWN" if solution is None else "FEASIBLE",
        "objective": best[0],
        "bound": best[1],
        "solution": solution,
        "time": round(time.perf_counter() - began, 4),
        "trace": trace,
    }


def _schedule(
    jobs: list[list[list[int]]], guess: list[list[float]]
) -> tuple[dict[str, list[int]], int]:
    """Return the schedule of the same order in integers: big M leaves starts a little off."""
    order = sorted((guess[j][k], k, j) for j, row in enumerate(jobs) for k in range(len(row)))
    free: dict[int, int] = {}
    ready = [0] * len(jobs)
    found = [[0] * len(row) for row in jobs]
    for _, k, j in order:
        machine, duration = jobs[j][k]
        found[j][k] = max(ready[j], free.get(machine, 0))
        ready[j] = free[machine] = found[j][k] + duration
    starts = [time for row in found for time in row]
    return {"start": starts, "machine": [m for row in jobs for m, _ in row]}, max(ready)
