"""Constructive rules: everything in main memory, and a greedy like XLA's memory space assignment.

XLA takes the buffers in an order of priority and gives each what room is left: it stays in the fast
memory between two uses where it fits over the whole interval, is prefetched as late as the
computation still hides the copy, and is left in main memory where neither is possible.
"""

from __future__ import annotations

import numpy as np

from optsched.core import IntArray
from optsched.problems.memory_tiers import kernels
from optsched.problems.memory_tiers.problem import MemoryTiers, MemoryTiersSolution
from optsched.problems.memory_tiers.program import Program, State, by_density
from optsched.session import Session

SUPPORTS: frozenset[str] = frozenset()


def main_memory(problem: MemoryTiers) -> MemoryTiersSolution:
    """Return the solution that reads and writes every tensor in main memory."""
    return MemoryTiersSolution(np.zeros(len(problem.touches()), dtype=np.int64), [], [])


def greedy(program: Program, order: IntArray) -> State:
    """Return the state in which the tensors were given room in this order."""
    state = program.empty()
    slack = np.zeros(program.problem.graph.n_operators, dtype=np.int64)
    kernels.construct(program.data, state, order, slack, np.ones(1, dtype=np.uint64))
    return state


def construct(problem: MemoryTiers, session: Session, seed: int) -> None:
    """Offer main memory alone, then the greedy assignment."""
    # Needs no kernel: where these must be compiled first, there is a solution meanwhile.
    session.offer(main_memory(problem), "heuristic:main memory")
    if problem.n_tiers > 1:
        program = Program(problem)
        session.offer(program.solution(greedy(program, by_density(problem))), "heuristic:greedy")
