"""Constructive rules: best fit, in the order of arrival or the largest first."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from optsched.core import IntArray
from optsched.problems.gpu_packing import kernels
from optsched.problems.gpu_packing.problem import WHOLE, GpuPacking, GpuPackingSolution
from optsched.session import Session

SUPPORTS = frozenset({"GPU models", "several GPUs", "shared GPUs"})


def free_gpus(problem: GpuPacking) -> IntArray:
    """Return what is free of every GPU of an empty cluster; shape (n_nodes, most_gpus)."""
    width = int(problem.gpus.max(initial=0))
    return np.where(np.arange(width)[None, :] < problem.gpus[:, None], WHOLE, 0).astype(np.int64)


def best_fit(problem: GpuPacking, order: IntArray) -> GpuPackingSolution:
    """Return the placement of pods one by one, each where the least room is left."""
    node = np.full(problem.n_pods, -1, dtype=np.int64)
    bits = np.zeros(problem.n_pods, dtype=np.int64)
    greatest = np.maximum(1, problem.capacity.max(axis=0, initial=1))
    kernels.best_fit(
        np.ascontiguousarray(order, dtype=np.int64), problem.capacity.copy(), free_gpus(problem),
        problem.gpus, problem.node_column, greatest, problem.request, problem.count, problem.share,
        problem.pod_row, problem.admits, node, bits,
    )  # fmt: skip
    return GpuPackingSolution(node, bits)


def arrival(problem: GpuPacking, session: Session, seed: int) -> None:
    """Offer best fit in the order in which the pods are given."""
    solution = best_fit(problem, np.arange(problem.n_pods))
    session.offer(solution, "heuristic:arrival")


def largest(problem: GpuPacking, session: Session, seed: int) -> None:
    """Offer best fit with the pods of most GPUs, and of the greatest shares, first."""
    asks = problem.request / np.maximum(1, problem.capacity.max(axis=0, initial=1))
    order = np.lexsort((-asks.max(axis=1, initial=0.0), -problem.share, -problem.count))
    session.offer(best_fit(problem, order), "heuristic:largest")


Rule = Callable[[GpuPacking, Session, int], None]
VARIANTS: Mapping[str, Rule] = {"arrival": arrival, "largest": largest}
#: The names that ``heuristic:NAME`` takes.
RULES = VARIANTS


def construct(problem: GpuPacking, session: Session, seed: int) -> None:
    """Offer best fit in both orders."""
    for rule in VARIANTS.values():
        if not session.stopped:
            rule(problem, session, seed)
