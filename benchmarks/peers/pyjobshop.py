"""PyJobShop (Lan and Berkhout 2025) with OR-Tools, modelled as its documentation shows.

It runs in an environment of its own, so that its pins never bind ours. Its time limit is CP-SAT's
alone; here the time for building the model counts, as it does for everyone.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Any

from ortools.sat.python import cp_model
from pyjobshop import Model
from pyjobshop.solvers.ortools import CPModel as ORToolsModel

PEER = {
    "name": "pyjobshop",
    "title": "PyJobShop",
    "families": ["job_shop"],
    "features": ["objective makespan", "flexible"],
    "environment": ".venv-pyjobshop",
    "install": "make peers",
}


class _Watch(cp_model.CpSolverSolutionCallback):
    """Tells incumbents and bounds as they come; PyJobShop itself returns the end alone."""

    def __init__(self, began: float, emit: Callable[[dict[str, Any]], None]) -> None:
        super().__init__()
        self.began, self.emit = began, emit
        self.trace: list[dict[str, Any]] = []
        self.objective: int | None = None
        self.bound: int | None = None
        self.lock = threading.Lock()

    def tell(self, objective: float | None, bound: float | None) -> None:
        """Add an event where something got better."""
        with self.lock:
            if objective is not None and (self.objective is None or objective < self.objective):
                self.objective = round(objective)
            if bound is not None and (self.bound is None or bound > self.bound):
                self.bound = math.ceil(bound - 1e-6)
            if self.objective is not None and self.bound is not None:
                self.bound = min(self.bound, self.objective)
            values = {"objective": self.objective, "bound": self.bound}
            if not self.trace or any(self.trace[-1][k] != value for k, value in values.items()):
                now = round(time.perf_counter() - self.began, 4)
                self.trace.append({"time": now, **values, "source": "pyjobshop"})
                self.emit(self.trace[-1])

    def on_solution_callback(self) -> None:
        """Take an incumbent from CP-SAT."""
        self.tell(self.objective_value, self.best_objective_bound)


def _solver(watch: _Watch, limit: float) -> type:
    """Return the CP-SAT solver that PyJobShop is to use: it tells, and keeps to our clock."""

    class Solver(cp_model.CpSolver):
        def solve(self, model: Any, callback: Any = None) -> Any:
            elapsed = time.perf_counter() - watch.began
            self.parameters.max_time_in_seconds = max(0.0, limit - elapsed)
            self.best_bound_callback = lambda bound: watch.tell(None, bound)
            return super().solve(model, watch)

    return Solver


def run(job: dict[str, Any], emit: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Solve one job shop; see README.md for job and answer."""
    began = time.perf_counter()
    problem = job["problem"]
    model = Model()
    machines = [model.add_machine() for _ in range(problem["n_machines"])]
    machine_of = []
    for row in problem["jobs"]:
        project = model.add_job()
        before = None
        for operation in row:
            choices = [operation] if isinstance(operation[0], int) else operation
            task = model.add_task(project)
            for machine, duration in choices:
                model.add_mode(task, machines[machine], duration)
                machine_of.append(machine)
            if before is not None:
                model.add_end_before_start(before, task)
            before = task
    watch = _Watch(began, emit)
    ORToolsModel.solve.__globals__["CpSolver"] = _solver(watch, job["time_limit"])
    result = model.solve(
        time_limit=job["time_limit"],
        display=False,
        num_workers=job["workers"],
        random_seed=job["seed"],
    )
    tasks = result.best.tasks
    solution = None
    if tasks:
        watch.tell(result.objective, result.lower_bound)
        solution = {
            "start": [int(task.start) for task in tasks],
            "machine": [machine_of[task.mode] for task in tasks],
        }
    status = {"Optimal": "OPTIMAL", "Feasible": "FEASIBLE", "Infeasible": "INFEASIBLE"}
    return {
        "status": status.get(result.status.value, "UNKNOWN"),
        "objective": watch.objective,
        "bound": watch.bound,
        "solution": solution,
        "time": round(time.perf_counter() - began, 4),
        "trace": watch.trace,
    }
