"""A first schedule by the rule of Belady, and what allocators do that look no further."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

import numpy as np

from optsched.core import IntArray
from optsched.problems.scratchpad import online
from optsched.problems.scratchpad.baselines import (
    POLICIES,
    greedy_order,
    least_peak_order,
    replay,
)
from optsched.problems.scratchpad.fixed_order import repaired
from optsched.problems.scratchpad.gaps import gaps_of
from optsched.problems.scratchpad.graph import OperatorGraph
from optsched.problems.scratchpad.problem import ScratchpadSchedule
from optsched.session import Session

#: Features that the rule honours.
SUPPORTS = frozenset({"fixed order", "free order"})
#: A problem, its session, and a seed.
Rule = Callable[[ScratchpadSchedule, Session, int], None]


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


def _rule(make_order: Callable[[OperatorGraph], IntArray], policy: str, fit: str) -> Rule:
    def run(problem: ScratchpadSchedule, session: Session, seed: int) -> None:
        order = make_order(problem.graph) if problem.order is None else problem.order
        session.offer(online.schedule(problem, order, policy, fit), f"{policy} {fit}")

    return run


#: Where the order is free: as listed, least left alive, least peak.
ORDERS: Mapping[str, Callable[[OperatorGraph], IntArray]] = {
    "": OperatorGraph.default_order,
    "greedy-": greedy_order,
    "least-peak-": lambda graph: least_peak_order(graph).order,
}
#: What ``solver="heuristic:NAME"`` runs instead of `construct`, by name: an order (if not the
#: listed one), who leaves, and which gap is taken, as in ``greedy-belady-first-fit``.
VARIANTS: Mapping[str, Rule] = {
    f"{order}{policy}-{fit}": _rule(make_order, policy, fit)
    for (order, make_order), policy, fit in itertools.product(ORDERS.items(), POLICIES, online.FITS)
}
