"""CP-SAT as in a first model: the textbook project schedule, default parameters, no hint.

It needs ortools alone; nothing here knows of optsched.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from ortools.sat.python import cp_model

PEER = {
    "name": "plain-cpsat-projects",
    "title": "CP-SAT, plain model",
    "families": ["rcpsp"],
    "features": [
        "objective makespan", "modes", "non-renewable resources", "lags", "maximum lags",
    ],
    "install": "pip install ortools",
}  # fmt: skip


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
        before = (self.objective, self.bound)
        if objective is not None and (self.objective is None or objective < self.objective):
            self.objective = round(objective)
        if bound is not None and (self.bound is None or bound > self.bound):
            self.bound = math.ceil(bound - 1e-6)
        if before != (self.objective, self.bound):
            now = round(time.perf_counter() - self.began, 4)
            event = {"time": now, "objective": self.objective, "bound": self.bound}
            self.trace.append({**event, "source": "cpsat"})
            self.emit(self.trace[-1])

    def on_solution_callback(self) -> None:
        """Take an incumbent from CP-SAT."""
        self.tell(self.objective_value, self.best_objective_bound)


def run(job: dict[str, Any], emit: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Solve one project; see README.md for job and answer."""
    began = time.perf_counter()
    problem = job["problem"]
    # An activity is a pair (duration, demands), or a list of them where it has a choice.
    choices = [a if isinstance(a[0], list) else [a] for a in problem["activities"]]
    lags = [(*row, "FS", 0)[:4] if len(row) == 2 else row for row in problem.get("precedence", [])]
    horizon = sum(max(d for d, _ in modes) for modes in choices)
    horizon += sum(max(0, least) for *_, least in lags)
    model = cp_model.CpModel()
    starts, ends, chosen = [], [], []
    running: list[list[tuple[Any, list[int]]]] = []
    for i, modes in enumerate(choices):
        start = model.new_int_var(0, horizon, f"start_{i}")
        end = model.new_int_var(0, horizon, f"end_{i}")
        literals, intervals = [], []
        for m, (duration, demands) in enumerate(modes):
            literal = model.new_bool_var(f"mode_{i}_{m}")
            interval = model.new_optional_interval_var(
                start, duration, end, literal, f"interval_{i}_{m}"
            )
            literals.append(literal)
            intervals.append((interval, demands))
        model.add_exactly_one(literals)
        starts.append(start)
        ends.append(end)
        chosen.append(literals)
        running.append(intervals)
    for i, j, kind, least in lags:
        first = ends[i] if kind[0] == "F" else starts[i]
        second = ends[j] if kind[1] == "F" else starts[j]
        model.add(second - first >= least)
    renewable = problem.get("renewable", [True] * len(problem["capacity"]))
    for k, capacity in enumerate(problem["capacity"]):
        if renewable[k]:
            pairs = [(interval, d[k]) for own in running for interval, d in own if d[k]]
            model.add_cumulative([p[0] for p in pairs], [p[1] for p in pairs], capacity)
        else:
            terms = [
                mode[1][k] * literal
                for modes, literals in zip(choices, chosen, strict=True)
                for mode, literal in zip(modes, literals, strict=True)
            ]
            model.add(sum(terms) <= capacity)
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
        solution = {
            "start": [solver.value(start) for start in starts],
            "mode": [
                next(m for m, literal in enumerate(own) if solver.value(literal)) for own in chosen
            ],
        }
    return {
        "status": "UNKNOWN" if status == cp_model.UNKNOWN else solver.status_name(status),
        "objective": watch.objective,
        "bound": watch.bound,
        "solution": solution,
        "time": round(time.perf_counter() - began, 4),
        "trace": watch.trace,
    }
