"""The instance as data of the reference model ``models/memory_tiers.mzn``."""

from __future__ import annotations

from typing import Any

import numpy as np

from optsched.problems.memory_tiers.problem import MemoryTiers, MemoryTiersSolution
from optsched.solvers.minizinc import Reference, Specification, model_path

SUPPORTS: frozenset[str] = frozenset()


class _Reference(Reference):
    def __init__(self, problem: MemoryTiers) -> None:
        graph = problem.graph
        order = problem.order.tolist()
        self.touches = problem.touches()
        #: Tensors, memories beside main memory, steps.
        self.shape = (graph.n_tensors, problem.n_tiers - 1, graph.n_operators)
        data = {
            "n_steps": graph.n_operators,
            "n_tensors": graph.n_tensors,
            "n_tiers": problem.n_tiers,
            "reads": [{t + 1 for t in graph.inputs(i).tolist()} for i in order],
            "writes": [{t + 1 for t in graph.outputs(i).tolist()} for i in order],
            "compute": problem.compute[problem.order].tolist(),
            "size": graph.size.tolist(),
            "kind": (graph.kind + 1).tolist(),
            "bandwidth": problem.bandwidth.tolist(),
            # No memory needs to have room for more than everything.
            "capacity": np.minimum(problem.capacity, graph.size.sum()).tolist(),
            "dma_bandwidth": problem.dma_bandwidth,
        }
        self.model = Specification(model_path("memory_tiers"), data)

    def decode(self, values: Any) -> MemoryTiersSolution:
        """Return memories, stays and copies in the model's variables."""
        here, begins, copied = (
            np.array(values[name], dtype=np.int64).reshape(self.shape)
            for name in ("here", "begins", "copied")
        )
        stays = []
        for t, m, s in np.argwhere(begins).tolist():
            last = s
            while last + 1 < self.shape[2] and here[t, m, last + 1] and not begins[t, m, last + 1]:
                last += 1
            stays.append((t, m + 1, s, last))
        copies = [(t, m + 1, s, copied[t, m, s]) for t, m, s in np.argwhere(copied).tolist()]
        saved = np.array(values["saved"], dtype=np.int64).reshape(self.shape[::2])
        copies += [(t, 0, s, saved[t, s]) for t, s in np.argwhere(saved).tolist()]
        memory = np.array(values["memory"], dtype=np.int64).reshape(self.shape[::2]) - 1
        return MemoryTiersSolution(memory[self.touches[:, 0], self.touches[:, 1]], stays, copies)


def build(problem: MemoryTiers, **_: Any) -> Reference:
    """State the instance to the reference model; what is known already is not used."""
    return _Reference(problem)
