"""The instance as data of the reference model ``models/tensor_memory.mzn``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from optsched.problems.tensor_memory.problem import (
    OBJECTIVES,
    TensorMemory,
    TensorMemorySolution,
)
from optsched.solvers.minizinc import Reference, Specification, model_path

SUPPORTS: frozenset[str] = frozenset(
    {"alignment", "gaps", "pinned offsets", "aliases", "banks", "capacity"}
    | {f"objective {kind}" for kind in OBJECTIVES}
)


def _top(problem: TensorMemory) -> int:
    """Return a space in which some optimal solution lies, if there is any.

    In a solution that is pushed down as far as it goes, every group of aliases lies at 0, is
    pinned, or stands on another group, at most its alignment above it.
    """
    total = int((problem.pinned + problem.size).max(initial=0))
    for leader in np.unique(problem.alias).tolist():
        members = problem.alias == leader
        step = math.lcm(*problem.alignment[members].tolist())
        total += int(problem.size[members].max()) + step - 1
    return total


class _Reference(Reference):
    def __init__(self, problem: TensorMemory) -> None:
        top = _top(problem)
        gaps = problem.gaps
        data = {
            "n_buffers": problem.n_buffers,
            "n_banks": problem.n_banks,
            "n_gaps": len(gaps),
            "top": top,
            "lower": problem.lower.tolist(),
            "upper": problem.upper.tolist(),
            "size": problem.size.tolist(),
            "gap_buffer": (gaps[:, 0] + 1).tolist(),
            "gap_lower": gaps[:, 1].tolist(),
            "gap_upper": gaps[:, 2].tolist(),
            "alignment": problem.alignment.tolist(),
            "pinned": problem.pinned.tolist(),
            "alias": (problem.alias + 1).tolist(),
            "allowed": [{k + 1 for k in np.flatnonzero(row).tolist()} for row in problem.allowed],
            "capacity": np.minimum(problem.capacity, top).tolist(),
            "fit": problem.objective_kind == "fit",
        }
        self.model = Specification(model_path("tensor_memory"), data)

    def decode(self, values: Any) -> TensorMemorySolution:
        """Return the offsets and banks in the model's variables."""
        return TensorMemorySolution(
            np.array(values["offset"], dtype=np.int64),
            np.array(values["bank"], dtype=np.int64) - 1,
        )


def build(problem: TensorMemory, **_: Any) -> Reference:
    """State the instance to the reference model; what is known already is not used."""
    return _Reference(problem)
