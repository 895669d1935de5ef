"""Later goals, migration limits and hosts of several nodes: search and checker by definition."""

from __future__ import annotations

import pytest
from later_brute import with_hosts, with_later_goals
from pods_brute import brute_force

import optsched as op
from optsched.problems.pod_packing.plan_checker import replay


def compare(problem: op.PodPacking, solver: str) -> None:
    best = brute_force(problem)
    result = op.solve(problem, solver, time_limit=120, workers=1)
    assert result.status == ("INFEASIBLE" if best is None else "OPTIMAL")
    assert result.objective == best
    if result.solution is not None:
        assert all(level.proven for level in problem.report(result))
        assert replay(problem.plan(result.solution)) == []


@pytest.mark.parametrize("solver", ["native", "cpsat"])
@pytest.mark.parametrize("goal", ["used_nodes", "fragmentation", "cost"])
@pytest.mark.parametrize("seed", range(6))
def test_later_goals_against_brute_force(seed: int, goal: str, solver: str) -> None:
    compare(with_later_goals(seed, goal), solver)


@pytest.mark.parametrize("solver", ["native", "cpsat"])
@pytest.mark.parametrize("seed", range(15))
def test_hosts_against_brute_force(seed: int, solver: str) -> None:
    compare(with_hosts(seed), solver)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1200))
def test_many_against_brute_force(seed: int) -> None:
    for solver in ("native", "cpsat"):
        for goal in ("used_nodes", "fragmentation", "cost"):
            compare(with_later_goals(seed, goal), solver)
        compare(with_hosts(seed), solver)


def problem_of(**goals: object) -> op.PodPacking:
    """Return two nodes with a pod each, and a pending one."""
    return op.PodPacking(
        [[4, 8], [8, 8]], [[1, 2], [3, 2], [2, 2]], current=[0, 1, -1],
        resources=("cpu", "memory"), **goals,
    )  # fmt: skip


def test_later_goals_are_counted_by_definition() -> None:
    problem = problem_of(
        then=["fragmentation", "used_nodes", "cost"], slot={"cpu": 3, "memory": 4}, price=[5, 7]
    )
    # Left are 3 and 6 on the first, 3 and 4 on the second node: a slot each, and nothing beyond.
    assert problem.levels(op.PodPackingSolution([0, 1, 1])) == [0, 0, 0, 2, 12]
    # 3 and 5 cores, but 6 and 6 GB: the second slot of the second node lacks both.
    assert problem.levels(op.PodPackingSolution([0, 1, -1])) == [1, 0, 0 + 2, 2, 12]
    assert problem.levels(op.PodPackingSolution([1, 1, 1])) == [0, 2, 1 + 2, 1, 7]
    assert problem.fragment_rate(op.PodPackingSolution([1, 1, 1])) == 3 / 6
    stuck = problem_of(then=["used_nodes"], movable=[False, True, True])
    # An immovable pod keeps no host in use.
    assert stuck.levels(op.PodPackingSolution([0, 1, 1]))[-1] == 1


@pytest.mark.parametrize("solver", ["native", "cpsat"])
def test_nodes_are_emptied_within_the_migration_limit(solver: str) -> None:
    for limit, used in ((0, 2), (1, 1), (None, 1)):
        problem = problem_of(order="placement_only", then=["used_nodes"], migration_limit=limit)
        result = op.solve(problem, solver, time_limit=60, workers=1)
        assert result.status == "OPTIMAL"
        assert problem.levels(result.solution) == [0, used]
    # With disruption first, nobody moves to empty a node; the pending pod joins another.
    problem = problem_of(then=["used_nodes"])
    assert problem.levels(op.solve(problem, solver, time_limit=60, workers=1).solution)[1] == 0


def test_goals_can_be_changed_and_are_written() -> None:
    problem = problem_of()
    other = problem.with_goals(order="placement_first", then=["cost"], price=[1, 2])
    assert other.level_keys() == [("unplaced", 0), ("disruption", 0), ("cost", -1)]
    assert op.PodPacking.from_dict(other.to_dict()) == other
    assert other.with_goals(order="interleaved", then=[], price=None) == problem
    result = op.solve(other, time_limit=60, workers=1)
    rows = other.report(result)
    assert [(row.goal, row.priority) for row in rows] == [
        ("unplaced", 0), ("disruption", 0), ("cost", None)
    ]  # fmt: skip
    assert all(row.proven for row in rows)
    with pytest.raises(op.InputError, match="capacity"):
        problem.with_goals(capacity=[[1, 1]])


@pytest.mark.parametrize(
    ("goals", "message"),
    [
        ({"order": "random"}, "unknown order"),
        ({"then": ["speed"]}, "speed"),
        ({"then": "cost"}, "list of goals"),
        ({"then": [["cost"]]}, "unknown goal"),
        ({"then": ["used_nodes", "used_nodes"]}, "twice"),
        ({"then": ["fragmentation"]}, "slot"),
        ({"then": ["cost"]}, "prices"),
        ({"slot": [1]}, "slot"),
        ({"slot": {"gpu": 1}}, "gpu"),
        ({"slot": [-1, 0]}, "at least 0"),
        ({"slot": {"cpu": "many"}}, "slot"),
        ({"price": [1]}, "price"),
        ({"price": [1, -1]}, "node 1: -1 is negative"),
        ({"price": [[1], [2]]}, "price"),
        ({"migration_limit": -2}, "migration_limit -2"),
        ({"migration_limit": True}, "migration_limit"),
        ({"host": [0]}, "host"),
        ({"host": [0, -1]}, "host"),
        ({"spans": [1, 0, 0]}, "spans"),
        ({"host": [0, 0], "spans": [False, True, False]}, "pod 1 spans a host"),
        ({"host": [0, 0], "tokens": {"port 80": [0]}}, "tokens"),
        ({"ignored": "all"}, "ignored"),
    ],
)
def test_bad_goals_are_refused(goals: dict[str, object], message: str) -> None:
    with pytest.raises(op.InputError, match=message):
        problem_of(**goals)


def test_no_pod_may_leave_where_the_incoming_state_is_impossible() -> None:
    problem = op.PodPacking([[1], [1]], [[1], [1]], current=[0, 0], migration_limit=0)
    assert op.solve(problem, time_limit=60, workers=1).status == "INFEASIBLE"
    assert {v.kind for v in problem.check(op.PodPackingSolution([0, 1]))} == {"migrations"}
