"""The instance as data of the reference model ``models/scratchpad.mzn``."""

from __future__ import annotations

from typing import Any

import numpy as np

from optsched.problems.scratchpad.problem import ScratchpadSchedule, ScratchpadSolution
from optsched.solvers.minizinc import Reference, Specification, model_path

SUPPORTS: frozenset[str] = frozenset({"free order", "fixed order"})


class _Reference(Reference):
    def __init__(self, problem: ScratchpadSchedule) -> None:
        graph = problem.graph
        operators = range(graph.n_operators)
        order = graph.default_order() if problem.order is None else problem.order
        data = {
            "n_operators": graph.n_operators,
            "n_tensors": graph.n_tensors,
            "capacity": problem.capacity,
            "reads": [{t + 1 for t in graph.inputs(i).tolist()} for i in operators],
            "writes": [{t + 1 for t in graph.outputs(i).tolist()} for i in operators],
            "size": graph.size.tolist(),
            "kind": (graph.kind + 1).tolist(),
            "fixed": problem.order is not None,
            "given": (np.argsort(order) + 1).tolist(),
        }
        self.model = Specification(model_path("scratchpad"), data)

    def decode(self, values: Any) -> ScratchpadSolution:
        """Return the order, stays and addresses in the model's variables."""
        here, begins = np.array(values["here"]), np.array(values["begins"])
        stays, offsets = [], []
        for t, s in np.argwhere(begins).tolist():
            last = s
            while last + 1 < here.shape[1] and here[t, last + 1] and not begins[t, last + 1]:
                last += 1
            stays.append((t, s, last))
            offsets.append(values["address"][t][s])
        return ScratchpadSolution(np.argsort(values["step"]), stays, offsets)


def build(problem: ScratchpadSchedule, **_: Any) -> Reference:
    """State the instance to the reference model; what is known already is not used."""
    return _Reference(problem)
