"""A first schedule: the order as it is given, and the rule of Belady."""

from __future__ import annotations

import numpy as np

from optsched.problems.scratchpad.baselines import replay
from optsched.problems.scratchpad.fixed_order import repaired
from optsched.problems.scratchpad.gaps import gaps_of
from optsched.problems.scratchpad.problem import ScratchpadSchedule
from optsched.session import Session

#: Features that the rule honours.
SUPPORTS = frozenset({"fixed order", "free order"})


def construct(problem: ScratchpadSchedule, session: Session, seed: int) -> None:
    """Offer the schedule in the given order, or in that of the list where none is given.

    Those leave whose next use is furthest (Belady 1966), and more where first-fit finds no
    addresses.
    """
    graph = problem.graph
    order = graph.default_order() if problem.order is None else problem.order
    begins = replay(graph, order, problem.capacity).stays[:, :2] @ [graph.n_operators, 1]
    gaps = gaps_of(graph, order)
    stay = ~np.isin(gaps.tensor * graph.n_operators + gaps.last, begins)
    known = repaired(gaps, problem.capacity, stay)
    session.offer(known.solution, "belady", claimed=known.cost)
