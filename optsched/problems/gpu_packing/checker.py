"""The independent checker: the definition of a feasible placement, and nothing else.

It shares no code with any formulation or heuristic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optsched.core import InputError, Violation

if TYPE_CHECKING:
    from optsched.problems.gpu_packing.problem import GpuPacking, GpuPackingSolution


def require_shape(problem: GpuPacking, solution: GpuPackingSolution) -> None:
    """Raise `InputError` when the solution has the wrong length."""
    if violations := _shape(problem, solution):
        raise InputError(f"solution: {violations[0]}")


def check(problem: GpuPacking, solution: GpuPackingSolution) -> list[Violation]:
    """Return every violation of `solution`, in words; an empty list means feasible."""
    if found := _shape(problem, solution):
        return found
    node, n_nodes = solution.node, problem.n_nodes
    if (strange := np.flatnonzero((node < -1) | (node >= n_nodes))).size:
        p = int(strange[0])
        return [Violation("node", f"{problem.pod_name(p)} is on {node[p]}, which is no node")]
    return _resources(problem, solution) + _gpus(problem, solution)


def _shape(problem: GpuPacking, solution: GpuPackingSolution) -> list[Violation]:
    return [
        Violation("shape", f"{name} has {len(array)} entries, the instance has {problem.n_pods}")
        for name, array in (("node", solution.node), ("gpus", solution.gpus))
        if len(array) != problem.n_pods
    ]


def _resources(problem: GpuPacking, solution: GpuPackingSolution) -> list[Violation]:
    load = np.zeros_like(problem.capacity)
    placed = solution.node >= 0
    np.add.at(load, solution.node[placed], problem.request[placed])
    return [
        Violation(
            "capacity",
            f"{problem.node_name(n)}: the pods on it need {load[n, r]} of "
            f"{problem.resource_name(r)}, it has {problem.capacity[n, r]}",
        )
        for n, r in np.argwhere(load > problem.capacity).tolist()
    ]


def _gpus(problem: GpuPacking, solution: GpuPackingSolution) -> list[Violation]:
    found = []
    used: dict[tuple[int, int], int] = {}
    for p, (n, bits) in enumerate(zip(solution.node.tolist(), solution.gpus.tolist(), strict=True)):
        name = problem.pod_name(p)
        if n < 0:
            if bits:
                found.append(Violation("gpus", f"{name} is not placed, but has GPUs"))
            continue
        wanted = problem.wanted[p].split("|") if problem.wanted[p] else None
        if wanted is not None and problem.model[n] not in wanted:
            text = f"{name} runs on {problem.wanted[p]}, not on {problem.node_name(n)}"
            found.append(Violation("model", text))
        devices = [d for d in range(63) if bits >= 0 and bits >> d & 1]
        if bits < 0 or any(d >= problem.gpus[n] for d in devices):
            text = f"{name} has a GPU that {problem.node_name(n)} does not have"
            found.append(Violation("gpus", text))
        elif len(devices) != problem.count[p]:
            text = f"{name} has {len(devices)} GPUs, it needs {problem.count[p]}"
            found.append(Violation("gpus", text))
        for d in devices:
            used[n, d] = used.get((n, d), 0) + int(problem.share[p])
    for (n, d), share in used.items():
        if share > 1000:
            text = f"{problem.node_name(n)}: {share} thousandths of GPU {d} are used"
            found.append(Violation("sharing", text))
    return found
