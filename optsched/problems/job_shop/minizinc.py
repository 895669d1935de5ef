"""The instance as data of the reference model ``models/job_shop.mzn``."""

from __future__ import annotations

from typing import Any

import numpy as np

from optsched.problems.job_shop.problem import JobShop, JobShopSolution
from optsched.solvers.minizinc import Reference, Specification, model_path

#: Objectives in the order of the model's numbers.
_OBJECTIVES = (
    "makespan",
    "total_weighted_tardiness",
    "total_completion_time",
    "maximum_lateness",
)
SUPPORTS: frozenset[str] = frozenset(
    {
        "flexible", "release dates", "deadlines", "calendars", "blocking", "no-wait", "lags",
        "transport", "setup",
    }
    | {f"objective {kind}" for kind in _OBJECTIVES}
)  # fmt: skip


class _Reference(Reference):
    def __init__(self, problem: JobShop) -> None:
        n_jobs, n_machines = problem.n_jobs, problem.n_machines
        horizon = problem.horizon()
        deadline = np.full(n_jobs, horizon)
        if problem.deadline is not None:
            deadline = np.minimum(problem.deadline, horizon)
        due = np.zeros(n_jobs, dtype=int) if problem.due is None else problem.due
        transport, setup = problem.transport, problem.setup
        if transport is None:
            transport = np.zeros((n_machines, n_machines), dtype=int)
        if setup is None:
            setup = np.zeros((n_machines, n_jobs, n_jobs), dtype=int)
        op_of_alt = np.repeat(np.arange(problem.n_ops), np.diff(problem.alt_offset))
        break_machine = np.repeat(np.arange(n_machines), np.diff(problem.break_offset))
        data = {
            "n_jobs": n_jobs,
            "n_machines": n_machines,
            "n_ops": problem.n_ops,
            "n_alts": len(problem.alt_machine),
            "n_breaks": len(problem.break_start),
            "horizon": horizon,
            "job": (problem.op_job + 1).tolist(),
            "alt_op": (op_of_alt + 1).tolist(),
            "alt_machine": (problem.alt_machine + 1).tolist(),
            "alt_duration": problem.alt_duration.tolist(),
            "release": problem.release.tolist(),
            "due": due.tolist(),
            "deadline": deadline.tolist(),
            "weight": problem.weight.tolist(),
            "break_machine": (break_machine + 1).tolist(),
            "break_start": problem.break_start.tolist(),
            "break_end": problem.break_end.tolist(),
            "resumable": problem.resumable.tolist(),
            "buffer": problem.buffer.tolist(),
            "swap": problem.swap,
            "lag": problem.lag.tolist(),
            "transport": transport.tolist(),
            "setup": setup.tolist(),
            "objective": _OBJECTIVES.index(problem.objective_kind),
        }
        self.model = Specification(model_path("job_shop"), data)
        self.alt_machine = problem.alt_machine

    def decode(self, values: Any) -> JobShopSolution:
        """Return the schedule in the model's variables."""
        choice = np.array(values["choice"], dtype=np.int64) - 1
        return JobShopSolution(np.array(values["start"]), self.alt_machine[choice])


def build(problem: JobShop, **_: Any) -> Reference:
    """State the instance to the reference model; what is known already is not used."""
    return _Reference(problem)
