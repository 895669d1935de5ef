"""CP-SAT as in a first model: the textbook job shop, default parameters, no hint.

It needs ortools alone; nothing here knows of optsched.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from ortools.sat.python import cp_model

PEER = {
    "name": "plain-cpsat",
    "title": "CP-SAT, plain model",
    "families": ["job_shop"],
    "features": ["objective makespan", "flexible"],
    "install": "pip install ortools",
}


class _Watch(cp_model.CpSolverSolutionCallback):
    """Tells incumbents and bounds as they come."""

    def __init__(self, began: float, emit: Callable[[dict[str, Any]], None]) -> None:
        super().__init__()
        self.began, self.emit = began, emit
        self.trace: list[dict[str, Any]] = []
        self.objective: int | None = None
        self.bound: int | None = None

    def tell(self, objective: float | None, bound: float | None) -> None:
        """Add an event where something got better."""
        if objective is not None and (self.objective is None or objective < self.objective):
            self.objective = round(objective)
        if bound is not None and (self.bound is None or bound > self.bound):
            self.bound = math.ceil(bound - 1e-6)
        if self.objective is not None and self.bound is not None:
            self.bound = min(self.bound, self.objective)
        values = {"objective": self.objective, "bound": self.bound}
        if not self.trace or any(self.trace[-1][key] != value for key, value in values.items()):
            now = round(time.perf_counter() - self.began, 4)
            self.trace.append({"time": now, **values, "source": "cpsat"})
            self.emit(self.trace[-1])

    def on_solution_callback(self) -> None:
        """Take an incumbent from CP-SAT."""
        self.tell(self.objective_value, self.best_objective_bound)


def run(job: dict[str, Any], emit: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Solve one job shop; see README.md for job and answer."""
    began = time.perf_counter()
    problem = job["problem"]
    # An operation is a pair (machine, duration), or a list of them where it has a choice.
    jobs = [[[o] if isinstance(o[0], int) else o for o in row] for row in problem["jobs"]]
    horizon = sum(max(duration for _, duration in choices) for row in jobs for choices in row)
    model = cp_model.CpModel()
    on_machine: dict[int, list[Any]] = {}
    starts, ends, chosen = [], [], []
    for j, row in enumerate(jobs):
        for k, choices in enumerate(row):
            start = model.new_int_var(0, horizon, f"start_{j}_{k}")
            end = model.new_int_var(0, horizon, f"end_{j}_{k}")
            literals = []
            for machine, duration in choices:
                if len(choices) == 1:
                    literal = None
                    interval = model.new_interval_var(start, duration, end, f"interval_{j}_{k}")
                else:
                    literal = model.new_bool_var(f"on_{j}_{k}_{machine}")
                    interval = model.new_optional_interval_var(
                        start, duration, end, literal, f"interval_{j}_{k}_{machine}"
                    )
                on_machine.setdefault(machine, []).append(interval)
                literals.append((machine, literal))
            if len(choices) > 1:
                model.add_exactly_one(literal for _, literal in literals)
            if k:
                model.add(start >= ends[-1])
            starts.append(start)
            ends.append(end)
            chosen.append(literals)
    for intervals in on_machine.values():
        model.add_no_overlap(intervals)
    makespan = model.new_int_var(0, horizon, "makespan")
    model.add_max_equality(makespan, ends)
    model.minimize(makespan)

    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = max(
        0.0, job["time_limit"] - (time.perf_counter() - began)
    )
    solver.parameters.num_workers = job["workers"]
    solver.parameters.random_seed = job["seed"]
    watch = _Watch(began, emit)
    solver.best_bound_callback = lambda bound: watch.tell(None, bound)
    status = solver.solve(model, watch)
    solution = None
    if status in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        watch.tell(solver.objective_value, solver.best_objective_bound)
        machines = [
            next(m for m, literal in some if literal is None or solver.value(literal))
            for some in chosen
        ]
        solution = {"start": [solver.value(start) for start in starts], "machine": machines}
    return {
        "status": "UNKNOWN" if status == cp_model.UNKNOWN else solver.status_name(status),
        "objective": watch.objective,
        "bound": watch.bound,
        "solution": solution,
        "time": round(time.perf_counter() - began, 4),
        "trace": watch.trace,
    }
