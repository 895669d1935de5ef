"""Plans: every one is replayed step by step by an independent checker."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from kube_objects import budget, cluster, node, pod
from pods_brute import random_cluster

import optsched as op
from optsched.datasets import generators
from optsched.problems.pod_packing.plan import Plan, Step
from optsched.problems.pod_packing.plan_checker import replay


@pytest.mark.parametrize("seed", range(0, 80, 2))
def test_plans_with_every_rule_replay(seed: int) -> None:
    problem = random_cluster(seed)
    result = op.solve(problem, "native", time_limit=120, workers=1)
    if result.solution is None:
        return
    made = problem.plan(result.solution)
    assert replay(made) == []
    assert all(pod in range(problem.n_pods) for pod in made.stuck)


@pytest.mark.parametrize(("nodes", "pods"), [(4, 8), (8, 8), (16, 4)])
def test_plans_of_generated_clusters_replay_and_arrive(nodes: int, pods: int) -> None:
    problem = generators.pod_cluster(nodes, pods, utilisation=1.0, seed=0)
    result = op.solve(problem, time_limit=2, workers=1)
    made = problem.plan(result.solution)
    assert replay(made) == []
    assert made.stuck == ()
    moves = [step for wave in made.waves for step in wave]
    assert len({step.pod for step in moves}) + len(made.cycles) >= len(moves)


def test_a_cycle_needs_a_temporary_node_or_an_early_eviction() -> None:
    swap = op.PodPackingSolution([1, 0])
    tight = op.PodPacking([[2], [2]], [[2], [2]], current=[0, 1])
    made = tight.plan(swap)
    assert replay(made) == []
    assert [step.kind for step in made.cycles] == ["evict"]
    roomy = op.PodPacking([[2], [2], [2]], [[2], [2]], current=[0, 1])
    made = roomy.plan(swap)
    assert replay(made) == []
    assert [(step.kind, step.target) for step in made.cycles] == [("move", 2)]


def test_a_budget_is_spread_over_waves() -> None:
    problem = op.PodPacking(
        [[3], [3]], [[1], [1], [1]], current=[0, 0, 0],
        budgets=[{"pods": [0, 1, 2], "allowed": 1, "name": "web"}],
    )  # fmt: skip
    made = problem.plan(op.PodPackingSolution([1, 1, 1]))
    assert [len(wave) for wave in made.waves] == [1, 1, 1]
    assert replay(made) == []
    at_once = Plan(problem, made.solution, (tuple(step for wave in made.waves for step in wave),))
    assert {violation.kind for violation in replay(at_once)} == {"budget"}


def test_the_checker_sees_what_is_wrong() -> None:
    problem = op.PodPacking([[2], [2]], [[2], [1]], current=[0, 1], movable=[True, False])
    there = op.PodPackingSolution([0, 1])
    wrong = Plan(problem, there, ((Step("move", 0, 0, 1), Step("move", 1, 0, -1)),))
    kinds = {violation.kind for violation in replay(wrong)}
    assert kinds == {"capacity", "step", "end"}
    assert "immovable" in {
        v.kind for v in replay(Plan(problem, there, ((Step("evict", 1, 1, -1),),)))
    }


def test_infeasible_targets_are_refused() -> None:
    problem = op.PodPacking([[1]], [[1], [1]])
    with pytest.raises(op.InputError, match="not a solution"):
        problem.plan(op.PodPackingSolution([0, 0]))
    with pytest.raises(op.InputError, match="from_kubernetes"):
        problem.plan(op.PodPackingSolution([0, -1])).script()


def test_outputs_of_a_plan(tmp_path: Path) -> None:
    problem = op.PodPacking.from_kubernetes(
        cluster(
            node("a", cpu="2100m"), node("b", cpu="2"), budget("web", "x", 1),
            pod("x", cpu="1", at="a", labels={"app": "x"}), pod("y", cpu="1", at="b"),
            pod("big", cpu="2", priority=7), pod("it's", cpu="10m"),
        )
    )  # fmt: skip
    result = op.solve(problem, time_limit=60, workers=1)
    made = problem.plan(result.solution)
    assert replay(made) == []
    data = json.loads(made.to_json(tmp_path / "plan.json"))
    assert {step["kind"] for wave in data["waves"] for step in wave} == {"move", "place"}
    assert "default/big" in made.diff()
    assert "1 -> 0" in made.diff()
    script = made.script()
    assert "resourceVersion" in script
    assert "dryRun" in script
    path = tmp_path / "plan.sh"
    path.write_text(script, encoding="utf-8")
    subprocess.run(["bash", "-n", str(path)], check=True)
