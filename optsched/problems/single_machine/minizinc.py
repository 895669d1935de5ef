"""The instance as data of the reference model ``models/single_machine.mzn``."""

from __future__ import annotations

from typing import Any

import numpy as np

from optsched.problems.single_machine.problem import (
    OBJECTIVES,
    SingleMachine,
    SingleMachineSolution,
)
from optsched.problems.single_machine.validation import NO_DEADLINE
from optsched.solvers.minizinc import Reference, Specification, model_path

SUPPORTS: frozenset[str] = frozenset(
    {"release dates", "deadlines", "setup", "precedence"}
    | {f"objective {kind}" for kind in OBJECTIVES}
)


class _Reference(Reference):
    def __init__(self, problem: SingleMachine) -> None:
        n = problem.n_jobs
        horizon = problem.horizon()
        deadline = np.full(n, horizon)
        if problem.deadline is not None:
            kept = problem.deadline != NO_DEADLINE
            deadline[kept] = np.minimum(problem.deadline[kept], horizon)
        setup = np.zeros((n, n), dtype=int) if problem.setup is None else problem.setup
        due = np.zeros(n, dtype=int) if problem.due is None else problem.due
        pairs = problem.precedence + 1
        data = {
            "n": n,
            "n_pairs": len(pairs),
            "horizon": horizon,
            "processing": problem.processing.tolist(),
            "due": due.tolist(),
            "weight": problem.weight.tolist(),
            "release": problem.release.tolist(),
            "deadline": deadline.tolist(),
            "setup": setup.tolist(),
            "first": pairs[:, 0].tolist(),
            "second": pairs[:, 1].tolist(),
            "objective": OBJECTIVES.index(problem.objective_kind) + 1,
        }
        self.model = Specification(model_path("single_machine"), data)

    def decode(self, values: Any) -> SingleMachineSolution:
        """Return the schedule in the model's variables."""
        return SingleMachineSolution(
            np.array(values["sequence"], dtype=np.int64) - 1,
            np.array(values["start"], dtype=np.int64),
        )


def build(problem: SingleMachine, **_: Any) -> Reference:
    """State the instance to the reference model; what is known already is not used."""
    return _Reference(problem)
