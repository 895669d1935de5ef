"""Data, checker and generator of pod packing."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pods_brute import random_cluster

import optsched as op
from optsched.datasets import generators
from optsched.formats import read_text
from optsched.problems.pod_packing import heuristics, scheduler
from optsched.problems.pod_packing.grouping import assign, counts, types_of


def kinds(problem: op.PodPacking, node: list[int]) -> set[str]:
    return {violation.kind for violation in problem.check(op.PodPackingSolution(node))}


def test_every_rule_is_seen_by_the_checker() -> None:
    two = [[4], [4]]
    capacity = op.PodPacking(two, [[3], [2]])
    assert kinds(capacity, [0, 0]) == {"capacity"}
    assert kinds(capacity, [0, 2]) == {"node"}
    assert kinds(capacity, [0]) == {"shape"}
    assert kinds(op.PodPacking(two, [[1]], current=[0], movable=[False]), [1]) == {"immovable"}
    closed = op.PodPacking(two, [[1]], node_class=[0, 1], eligible=[[True, False]])
    assert kinds(closed, [1]) == {"eligibility"}
    assert kinds(op.PodPacking(two, [[1], [1]], tokens={"80": [0, 1]}), [1, 1]) == {"token"}
    zones = {"topology": {"zone": [0, -1]}}

    def term(kind: str, **extra: Any) -> op.PodPacking:
        terms = [{"kind": kind, "key": "zone", "owners": [0, 1], "targets": [0, 1], **extra}]
        return op.PodPacking(two, [[1], [1]], terms=terms, **zones)

    assert kinds(term("anti_affinity"), [0, 0]) == {"anti-affinity"}
    assert kinds(term("anti_affinity"), [0, 1]) == set()
    assert kinds(term("affinity"), [0, 1]) == {"affinity"}
    assert kinds(term("affinity"), [0, -1]) == set()
    assert kinds(term("affinity"), [0, 0]) == set()
    assert kinds(term("spread", min_domains=2), [0, 0]) == {"spread"}
    assert kinds(term("spread"), [1, -1]) == {"spread"}
    budget = op.PodPacking(
        two, [[1], [1]], current=[0, 0], budgets=[{"pods": [0, 1], "allowed": 1}]
    )
    assert kinds(budget, [-1, -1]) == {"budget"}
    assert kinds(budget, [1, 1]) == set()
    frozen = op.PodPacking(two, [[1]], current=[0], budgets=[{"pods": [0], "allowed": 0}])
    assert kinds(frozen, [1]) == {"budget"}
    polite = op.PodPacking(
        two, [[4], [4]], priority=[0, 1], current=[0, -1], never_preempts=[False, True]
    )
    assert kinds(polite, [-1, 0]) == {"preemption"}
    assert kinds(polite, [1, 0]) == set()


def test_what_stays_breaks_no_rule_and_immovable_pods_widen_a_node() -> None:
    problem = op.PodPacking(
        [[2]], [[1], [2], [1]], current=[0, 0, -1], movable=[True, False, True],
        tokens={"80": [0, 1]}, eligible=[[False]],
    )  # fmt: skip
    assert kinds(problem, [0, 0, -1]) == {"capacity"}
    assert kinds(problem, [-1, 0, -1]) == set()


def test_levels_and_orders() -> None:
    data: dict[str, Any] = {
        "capacity": [[9], [9]], "request": [[1]] * 4, "priority": [5, 5, 1, 1],
        "current": [0, 0, 1, -1],
    }  # fmt: skip
    solution = op.PodPackingSolution([1, -1, -1, 0])
    problem = op.PodPacking(**data)
    assert problem.levels(solution) == [1, 3, 1, 1]
    other = op.PodPacking(**data, order="placement_first")
    assert other.levels(solution) == [1, 1, 3, 1]
    for each in (problem, other):
        assert each.digits(int(each.objective(solution))) == each.levels(solution)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"request": [[-1]]}, "pod 0: request -1 of resource 0 is negative"),
        ({"request": [[1, 2]]}, "different numbers of resources"),
        ({"current": [7]}, "pod 0: current node 7"),
        ({"movable": [False]}, "pod 0 is immovable, but runs nowhere"),
        ({"order": "random"}, "unknown order"),
        ({"eligible": [[1]]}, "neither true nor false"),
        ({"pod_class": [3]}, "not between"),
        ({"tokens": {"t": [5]}}, "there is no pod 5"),
        ({"terms": [{"kind": "love"}]}, "term 0: kind 'love'"),
        ({"terms": [{"kind": "spread", "key": "zone"}]}, "'zone' is not in topology"),
        ({"budgets": [{"pods": [0], "allowed": -1}]}, "-1 is less than 0"),
        ({"pods": ["a", "b"]}, "expected 1 names"),
        ({"capacity": float("nan")}, "capacity"),
        ({"priority": [True]}, "True is not a whole number"),
    ],
)
def test_bad_data_names_the_culprit(change: dict[str, Any], message: str) -> None:
    with pytest.raises(op.InputError, match=message):
        op.PodPacking(**({"capacity": [[1]], "request": [[1]]} | change))


JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3)),
    lambda each: st.one_of(
        st.lists(each, max_size=3), st.dictionaries(st.text(max_size=4), each, max_size=2)
    ),
    max_leaves=5,
)


@settings(max_examples=200)
@given(st.sampled_from(["capacity", *op.PodPacking.__init__.__kwdefaults__]), JUNK)
def test_constructor_fuzz(name: str, junk: Any) -> None:
    data = random_cluster(3).to_dict() | {name: junk}
    with contextlib.suppress(op.InputError):
        problem = op.PodPacking.from_dict(data)
        assert op.PodPacking.from_dict(problem.to_dict()) == problem


@pytest.mark.parametrize("seed", range(20))
def test_json_round_trip(seed: int) -> None:
    problem = random_cluster(seed)
    assert read_text(problem.to_json(), "x") == problem
    solution = problem.incoming()
    assert (
        op.PodPackingSolution.from_dict(solution.to_dict()).node.tolist() == solution.node.tolist()
    )


def test_a_problem_is_frozen() -> None:
    problem = op.PodPacking([[1]], [[1]])
    with pytest.raises(AttributeError, match="frozen"):
        problem.order = "x"  # type: ignore[misc]
    with pytest.raises(ValueError):
        problem.capacity[0, 0] = 2


@pytest.mark.parametrize("seed", range(0, 30, 3))
def test_numbers_of_types_bring_back_the_state(seed: int) -> None:
    problem = random_cluster(seed)
    types = types_of(problem)
    again = assign(problem, types, counts(types, problem.incoming()))
    assert again.node.tolist() == problem.current.tolist()


def test_generated_clusters_are_reproducible_and_leave_pods_pending() -> None:
    one, two = (generators.pod_cluster(8, 4, utilisation=0.95, seed=3) for _ in range(2))
    assert one == two
    assert (one.current < 0).any()
    assert one.check(one.incoming()) == []
    assert one.n_pods == 32
    assert ((one.request >= 100) & (one.request <= 1000)).all()
    for change in ({"n_nodes": 0}, {"utilisation": 0.0}, {"seed": -1}):
        with pytest.raises(op.InputError):
            generators.pod_cluster(**({"n_nodes": 4, "pods_per_node": 4} | change))


def test_the_emulated_scheduler_scores_and_preempts() -> None:
    # LeastAllocated spreads; the third pod goes where most is left.
    spread = op.PodPacking([[10, 10], [20, 20]], [[5, 5], [5, 5], [5, 5]])
    assert sorted(scheduler.schedule(spread).tolist()) == [0, 1, 1]
    # BalancedAllocation: a pod of much cpu goes where memory is in use.
    balance = op.PodPacking([[10, 10], [10, 10]], [[0, 4], [4, 0], [4, 0]], current=[0, 1, -1])
    assert scheduler.schedule(balance)[2] == 0
    # The victim is the least important pod that suffices, and queues up again.
    full = op.PodPacking(
        [[4, 4], [4, 4]], [[4, 4], [4, 4], [4, 4]], priority=[1, 0, 2], current=[0, 1, -1]
    )
    assert scheduler.schedule(full).tolist() == [0, -1, 1]
    assert scheduler.schedule(full, preemption=False).tolist() == [0, 1, -1]
    assert np.array_equal(full.current, [0, 1, -1])


def test_the_emulated_scheduler_violates_as_few_budgets_as_it_can() -> None:
    data: dict[str, Any] = {
        "capacity": [[4], [4]], "request": [[4], [4], [4]], "priority": [0, 1, 2],
        "current": [0, 1, -1], "never_preempts": [True, True, False],
    }  # fmt: skip
    # The less important victim is protected, so the other one goes.
    budget = [{"pods": [0], "allowed": 0}]
    assert scheduler.schedule(op.PodPacking(**data)).tolist() == [-1, 1, 0]
    assert scheduler.schedule(op.PodPacking(**data, budgets=budget)).tolist() == [0, -1, 1]
    # On one node the protected are reprieved before more important ones.
    one: dict[str, Any] = {
        "capacity": [[4]], "request": [[2], [2], [2]], "priority": [0, 1, 2],
        "current": [0, 0, -1], "never_preempts": [True, True, False],
    }  # fmt: skip
    assert scheduler.schedule(op.PodPacking(**one)).tolist() == [-1, 0, 0]
    assert scheduler.schedule(op.PodPacking(**one, budgets=budget)).tolist() == [0, -1, 0]
    # A budget that allows one eviction is used up by the first, also of an earlier pod.
    two: dict[str, Any] = {
        "capacity": [[2], [2], [2]], "request": [[2]] * 5, "priority": [0, 0, 1, 2, 2],
        "current": [0, 1, 2, -1, -1], "budgets": [{"pods": [0, 1], "allowed": 1}],
        "never_preempts": [False, False, True, False, False],
    }  # fmt: skip
    assert scheduler.schedule(op.PodPacking(**two)).tolist() == [-1, 1, -1, 0, 2]


def test_the_default_scheduler_is_a_solver() -> None:
    problem = generators.pod_cluster(8, 4, utilisation=1.0, seed=3)
    result = op.solve(problem, "heuristic:default", workers=1)
    assert result.solver == "heuristic:default"
    assert result.solution.node.tolist() == scheduler.schedule(problem).tolist()
    # With owners the pods of one spread over hosts; a set is of one namespace.
    data: dict[str, Any] = {"capacity": [[99], [99]], "request": [[9]] * 3}
    owned = op.PodPacking(
        **data, pods=["a/x", "a/y", "b/x"], owners=["ReplicaSet/x", "ReplicaSet/x", "ReplicaSet/x"]
    )
    assert heuristics.owner_numbers(owned).tolist() == [0, 0, 1]
    assert heuristics.owner_numbers(op.PodPacking(**data)).tolist() == [-1, -1, -1]
    # What breaks a budget is no solution.
    broken = op.PodPacking(
        [[4]], [[4], [4]], priority=[0, 1], current=[0, -1], budgets=[{"pods": [0], "allowed": 0}]
    )
    assert scheduler.schedule(broken).tolist() == [-1, 0]
    assert op.solve(broken, "heuristic:default", workers=1).solution is None
    # Without resources all nodes are alike.
    assert scheduler.schedule(op.PodPacking([[], []], [[], []])).min() >= 0
    with pytest.raises(op.InputError, match="no variant 'real': one of default"):
        op.solve(problem, "heuristic:real")
