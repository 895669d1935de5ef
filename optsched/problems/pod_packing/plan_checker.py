"""The independent checker of plans: replays them step by step."""

from __future__ import annotations

from itertools import permutations
from typing import Any, TypeAlias

import numpy as np

from optsched.core import IntArray, Violation
from optsched.problems.pod_packing import checker
from optsched.problems.pod_packing.plan import Plan, Step
from optsched.problems.pod_packing.problem import PodPacking
from optsched.problems.pod_packing.terms import Term

#: The terms, and the rows of `PodPacking.token_pairs`, that concern one pod.
Rules: TypeAlias = tuple[tuple[Term, ...], IntArray]
#: Waves of at most this many steps are replayed in every order.
EVERY_ORDER = 4


def replay(plan: Plan) -> list[Violation]:
    """Return every violation on the way from the incoming state to the plan's end.

    A step must be allowed when it is done: room on the target (with all that come in the wave, and
    before anything leaves), the rules for a pod newly placed, and no budget exceeded by the pods
    that the wave takes away on top of those that are away.
    """
    problem = plan.problem
    rules = rules_of(problem, {step.pod for wave in plan.waves for step in wave})
    limit = checker.limit(problem)
    node = problem.current.copy()
    found: list[Violation] = []
    for k, wave in enumerate(plan.waves):
        found += _together(problem, limit, node, wave, k)
        orders = permutations(wave) if len(wave) <= EVERY_ORDER else iter((wave, wave[::-1]))
        after = node
        for order in orders:
            after = node.copy()
            for step in order:
                found += _step(problem, rules[step.pod], after, step, k)
                after[step.pod] = step.target
        node = after
    reached = np.array(plan.solution.node)
    reached[list(plan.stuck)] = node[list(plan.stuck)]
    for pod in np.flatnonzero(node != reached).tolist():
        found.append(Violation("end", f"the plan does not bring {problem.pod_name(pod)} home"))
    return found


def rules_of(problem: PodPacking, pods: set[int]) -> dict[int, Rules]:
    """Return, for each of `pods`, the terms and tokens that have a say in where it goes."""
    terms: dict[int, list[Term]] = {pod: [] for pod in pods}
    for term in problem.terms:
        for pod in set(term.owners.tolist()) | set(term.targets.tolist()):
            if pod in terms:
                terms[pod].append(term)
    holders, tokens = problem.token_pairs.T
    rules = {}
    for pod in pods:
        rivals = np.isin(tokens, tokens[holders == pod])
        rules[pod] = tuple(terms[pod]), problem.token_pairs[rivals]
    return rules


def _together(
    problem: PodPacking, limit: IntArray, node: IntArray, wave: tuple[Step, ...], k: int
) -> list[Violation]:
    """Room for all that come before any leaves, and budgets while all that leave are away."""
    found = []
    come = np.full(problem.n_pods, -1)
    for step in wave:
        come[step.pod] = step.target
    more = checker.load(problem, come)
    load = checker.load(problem, node) + more
    for n in np.flatnonzero(more.any(axis=1) & (load > limit).any(axis=1)).tolist():
        text = f"wave {k}: {problem.node_name(n)} cannot hold all that come"
        found.append(Violation("capacity", text))
    leaving = np.zeros(problem.n_pods, dtype=bool)
    leaving[[step.pod for step in wave if step.source >= 0]] = True
    for budget in problem.budgets:
        ran = budget.pods[problem.current[budget.pods] >= 0]
        away = int(((node[ran] < 0) | leaving[ran]).sum())
        if leaving[ran].any() and away > budget.allowed:
            text = f"wave {k}: {away} pods of {budget.name or 'a budget'} are away"
            found.append(Violation("budget", text))
    return found


def _step(problem: PodPacking, rules: Rules, node: IntArray, step: Step, k: int) -> list[Violation]:
    name = problem.pod_name(step.pod)
    if node[step.pod] != step.source:
        return [Violation("step", f"wave {k}: {name} is not where the step takes it from")]
    if step.source >= 0 and not problem.movable[step.pod]:
        return [Violation("immovable", f"wave {k}: {name} is immovable")]
    if step.target < 0:
        return []
    # Capacity and budgets are judged for the wave as a whole, migrations for the solution.
    after = node.copy()
    after[step.pod] = step.target
    return checker.arrivals(at(problem, rules, node), after)


def at(problem: PodPacking, rules: Rules, node: IntArray) -> Any:
    """Return the problem as it is when the pods run at `node`, with the rules for one of them."""
    now = object.__new__(PodPacking)
    now.__dict__.update(problem.__dict__)
    now.__dict__["current"] = node
    now.__dict__["terms"], now.__dict__["token_pairs"] = rules
    return now
