"""The independent checker of plans: replays them step by step."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np

from optsched.core import IntArray, Violation
from optsched.problems.pod_packing import checker
from optsched.problems.pod_packing.plan import Plan, Step
from optsched.problems.pod_packing.problem import PodPacking, PodPackingSolution

#: Waves of at most this many steps are replayed in every order.
EVERY_ORDER = 4


def replay(plan: Plan) -> list[Violation]:
    """Return every violation on the way from the incoming state to the plan's end.

    A step must be allowed when it is done: room on the target (with all that come in the wave, and
    before anything leaves), the rules for a pod newly placed, and no budget exceeded by the pods
    that the wave takes away on top of those that are away.
    """
    problem = plan.problem
    node = problem.current.copy()
    found: list[Violation] = []
    for k, wave in enumerate(plan.waves):
        found += _together(problem, node, wave, k)
        orders = permutations(wave) if len(wave) <= EVERY_ORDER else iter((wave, wave[::-1]))
        after = node
        for order in orders:
            after = node.copy()
            for step in order:
                found += _step(problem, after, step, k)
                after[step.pod] = step.target
        node = after
    reached = np.array(plan.solution.node)
    reached[list(plan.stuck)] = node[list(plan.stuck)]
    for pod in np.flatnonzero(node != reached).tolist():
        found.append(Violation("end", f"the plan does not bring {problem.pod_name(pod)} home"))
    return found


def _together(
    problem: PodPacking, node: IntArray, wave: tuple[Step, ...], k: int
) -> list[Violation]:
    """Room for all that come before any leaves, and budgets while all that leave are away."""
    found = []
    load = _load(problem, [(p, n) for p, n in enumerate(node.tolist()) if n >= 0])
    stuck = np.flatnonzero(~problem.movable).tolist()
    fixed = _load(problem, [(p, int(problem.current[p])) for p in stuck])
    limit = np.maximum(problem.capacity, fixed)
    come = [(step.pod, step.target) for step in wave if step.target >= 0]
    more = _load(problem, come)
    load += more
    for n in np.flatnonzero(more.any(axis=1)).tolist():
        if (load[n] > limit[n]).any():
            text = f"wave {k}: {problem.node_name(n)} cannot hold all that come"
            found.append(Violation("capacity", text))
    gone = node.copy()
    for step in wave:
        if step.source >= 0:
            gone[step.pod] = -1
    for budget in problem.budgets:
        ran = budget.pods[problem.current[budget.pods] >= 0]
        away = int((gone[ran] < 0).sum())
        touched = any(step.source >= 0 and step.pod in set(ran.tolist()) for step in wave)
        if touched and away > budget.allowed:
            text = f"wave {k}: {away} pods of {budget.name or 'a budget'} are away"
            found.append(Violation("budget", text))
    return found


def _load(problem: PodPacking, pairs: list[tuple[int, int]]) -> IntArray:
    """Return what pods need of every node, given where each of them is."""
    load = np.zeros_like(problem.capacity)
    for pod, n in pairs:
        if problem.spans[pod]:
            load[problem.host == problem.host[n]] += problem.request[pod]
        else:
            load[n] += problem.request[pod]
    return load


def _step(problem: PodPacking, node: IntArray, step: Step, k: int) -> list[Violation]:
    name = problem.pod_name(step.pod)
    if node[step.pod] != step.source:
        return [Violation("step", f"wave {k}: {name} is not where the step takes it from")]
    if step.source >= 0 and not problem.movable[step.pod]:
        return [Violation("immovable", f"wave {k}: {name} is immovable")]
    if step.target < 0:
        return []
    after = node.copy()
    after[step.pod] = step.target
    violations = checker.check(_at(problem, node), PodPackingSolution(after))
    # Capacity and budgets are judged for the wave as a whole, migrations for the solution.
    elsewhere = ("capacity", "budget", "immovable", "migrations")
    return [v for v in violations if v.kind not in elsewhere]


def _at(problem: PodPacking, node: IntArray) -> Any:
    """Return the problem as it is when the pods run at `node`."""
    now = object.__new__(PodPacking)
    now.__dict__.update(problem.__dict__)
    now.__dict__["current"] = node
    return now
