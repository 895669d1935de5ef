"""Virtual machines on hosts with NUMA nodes: search by definition, readers, generator."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pods_brute import brute_force
from vm_brute import small_vms

import optsched as op
from optsched.core import Deadline, OptschedError
from optsched.datasets import generators
from optsched.problems.pod_packing.plan_checker import replay
from optsched.problems.pod_packing.vm_columns import Master
from optsched.problems.pod_packing.vm_data import from_records
from optsched.problems.pod_packing.vm_descent import descend
from optsched.problems.pod_packing.vm_grid import grid_of


def compare(seed: int) -> None:
    problem = small_vms(seed)
    best = brute_force(problem)
    assert best is not None
    if (grid := grid_of(problem)) is not None:
        bounded_by_columns(problem, grid, best)
    for solver in ("native", "cpsat"):
        result = op.solve(problem, solver, time_limit=120, workers=1)
        assert (result.status, result.objective) == ("OPTIMAL", best), solver
        assert not problem.check(result.solution)
    assert problem.objective(descend(problem)) >= best


def bounded_by_columns(problem: op.PodPacking, grid: Any, best: int) -> None:
    limit = problem.migration_limit
    master = Master(grid, problem.n_pods if limit is None else limit, Deadline(), lambda: False)
    assert master.generate(lambda bound: False)
    load = np.zeros_like(problem.capacity)
    for vm, node in enumerate(problem.current.tolist()):
        load[problem.host_nodes(node) if problem.spans[vm] else [node]] += problem.request[vm]
    free = int((problem.capacity - load)[:, 0].sum())
    fragments = problem.digits(best)[-1]
    assert free - int(master.bound + 1e-6) * int(problem.slot[0]) <= fragments


@pytest.mark.parametrize("seed", range(30))
def test_against_brute_force(seed: int) -> None:
    compare(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1250))
def test_many_against_brute_force(seed: int) -> None:
    compare(seed)


def cluster(**details: Any) -> op.PodPacking:
    """Return two hosts: 8 cores on each NUMA node, and three machines."""
    arguments: dict[str, Any] = {
        "host": [0, 0, 1],
        "numa": [0, 1, 0],
        "spans": [False, False, True],
        "slot": [4, 0],
    }
    return op.PodPacking.from_vms(
        [[[8, 16], [8, 16]], [[8, 16], [8, 16]]],
        [[2, 4], [2, 4], [3, 4]],
        **arguments | details,
    )


def test_the_objective_is_what_holds_no_slot() -> None:
    problem = cluster(migration_limit=1)
    assert problem.levels(problem.incoming()) == [0, 2 + 2 + 1 + 1]
    assert problem.fragment_rate(problem.incoming()) == 6 / 22
    result = op.solve(problem, time_limit=60, workers=1)
    assert result.status == "OPTIMAL"
    assert problem.levels(result.solution) == [0, 2]  # both small machines on one node
    assert problem.fragment_rate(result.solution) == 2 / 22
    assert replay(problem.plan(result.solution)) == []


def test_the_checker_names_each_rule() -> None:
    problem = cluster(migration_limit=1, exclusion=[[0, 2]])

    def kinds(*node: int) -> set[str]:
        return {violation.kind for violation in problem.check(op.PodPackingSolution(node))}

    assert kinds(0, 1, 2) == set()
    assert kinds(1, 1, 2) == set()
    assert kinds(0, 1, 3) == {"span"}
    assert kinds(1, 0, 2) == {"migrations"}
    assert kinds(3, 1, 2) == {"anti-affinity"}
    assert kinds(0, 1, 0) == {"anti-affinity"}
    tight = cluster(migration_limit=3)
    full = op.PodPacking.from_vms(
        [[[4, 4], [4, 4]]], [[3, 1], [2, 1]], host=[0, 0], numa=[0, 0], spans=[True, False]
    )
    assert {v.kind for v in full.check(full.incoming())} == {"capacity"}
    assert tight.check(op.PodPackingSolution([0, 0, 0])) == []


def test_exclusion_may_cost_a_slot() -> None:
    free = cluster(migration_limit=1)
    apart = cluster(migration_limit=1, host=[0, 1, 1], exclusion=[[0, 1]])
    assert op.solve(free, time_limit=60, workers=1).status == "OPTIMAL"
    result = op.solve(apart, time_limit=60, workers=1)
    assert result.status == "OPTIMAL"
    assert result.objective == brute_force(apart)


@pytest.mark.parametrize("looked_at", [0, 6])
def test_snapshots_are_sound_and_proven(looked_at: int) -> None:
    problem = generators.vm_snapshot(16, 90, 6, seed=3, looked_at=looked_at)
    assert problem == generators.vm_snapshot(16, 90, 6, seed=3, looked_at=looked_at)
    assert problem != generators.vm_snapshot(16, 90, 6, seed=4, looked_at=looked_at)
    assert problem.check(problem.incoming()) == []
    assert len(problem.terms) > 0
    result = op.solve(problem, "native", time_limit=120, workers=1)
    assert result.status == "OPTIMAL"
    greedy = problem.levels(descend(problem))
    assert problem.levels(result.solution) <= greedy <= problem.levels(problem.incoming())
    assert replay(problem.plan(result.solution)) == []
    assert op.PodPacking.from_dict(problem.to_dict()) == problem


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_the_size_of_the_study(seed: int) -> None:
    problem = generators.vm_snapshot(seed=seed, looked_at=20)
    assert (problem.n_nodes, problem.n_pods) == (560, 2089)
    result = op.solve(problem, "native", time_limit=120, workers=1)
    assert result.status == "OPTIMAL"


@pytest.mark.parametrize(
    ("details", "message"),
    [
        ({"host": [0, 0, 2]}, "machine 2: there is no host 2"),
        ({"host": [0, 0]}, "one a machine"),
        ({"host": None}, "one a machine"),
        ({"numa": [0, 1, 5]}, "machine 2: there is no NUMA node 5"),
        ({"spans": [0, 0, 1]}, "truth values"),
        ({"exclusion": [[0, 7]]}, "group 0"),
        ({"exclusion": 3}, "groups"),
        ({"migration_limit": -1}, "migration_limit -1"),
        ({"migration_limit": 1.5}, "whole number"),
        ({"slot": [0, 0]}, "slot"),
        ({"slot": {"gpu": 1}}, "gpu"),
        ({"limit": 3}, "limit"),
    ],
)
def test_bad_snapshots_are_refused(details: dict[str, Any], message: str) -> None:
    with pytest.raises(op.InputError, match=message):
        cluster(**details)


def test_bad_arguments_of_the_generator() -> None:
    with pytest.raises(op.InputError, match="n_hosts 0"):
        generators.vm_snapshot(0)
    with pytest.raises(op.InputError, match="do not fit"):
        generators.vm_snapshot(1, 200)


def records() -> dict[str, Any]:
    """Return a snapshot as VMR2L writes it."""
    nodes = [
        {"node": k, "total_cpu": 44, "memory_huge_total_mb": 184388.0, "free_cpu": 1}
        for k in (0, 1)
    ]
    return {
        "cluster_list": [
            {
                "host_info": [{"node_id": "a", "numa": nodes}, {"node_id": "b", "numa": nodes}],
                "vm_instance": [
                    {"instance_id": "x", "host_id": "a", "allow_migration": True,
                     "numa": [{"node": 1, "cpu": 4.0, "mem_mb": 8192.0}]},
                    {"instance_id": "y", "host_id": "b", "allow_migration": False,
                     "numa": [{"node": k, "cpu": 16, "mem_mb": 32768} for k in (0, 1)]},
                ],
                "other_requirement": {
                    "deployment_set": [{"granularity": "host", "data": ["x", "y"]}]
                },
            }
        ]
    }  # fmt: skip


def test_records_are_read(tmp_path: Path) -> None:
    problem = from_records(records(), migration_limit=5)
    assert problem.nodes == ("a/0", "a/1", "b/0", "b/1")
    assert problem.current.tolist() == [1, 2]
    assert problem.spans.tolist() == [False, True]
    assert problem.movable.tolist() == [True, False]
    assert problem.request.tolist() == [[4, 8192], [16, 32768]]
    assert [term.owners.tolist() for term in problem.terms] == [[0, 1]]
    assert problem.migration_limit == 5
    path = tmp_path / "snapshot.json"
    path.write_text(json.dumps(records()), encoding="utf-8")
    assert op.load(path).with_goals(migration_limit=5).to_dict() == problem.to_dict() | {
        "name": "snapshot"
    }


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["cluster_list"], 3, "cluster_list"),
        (["cluster_list", 0, "host_info", 1, "node_id"], "a", "host a stands twice"),
        (["cluster_list", 0, "host_info", 1, "numa"], [], "different numbers"),
        (["cluster_list", 0, "vm_instance", 0, "host_id"], "c", "host c, which is not given"),
        (["cluster_list", 0, "vm_instance", 0, "instance_id"], "y", "machine y stands twice"),
        (["cluster_list", 0, "vm_instance", 0, "numa", 0, "cpu"], 1.5, "cpu 1.5"),
        (["cluster_list", 0, "vm_instance", 1, "numa", 0, "cpu"], 8, "machine y"),
        (["cluster_list", 0, "vm_instance", 1, "allow_migration"], "no", "allow_migration"),
        (["cluster_list", 0, "other_requirement", "deployment_set", 0, "data"], ["z"], "'z'"),
        (["cluster_list", 0, "other_requirement", "deployment_set", 0, "granularity"], "rack",
         "granularity host"),
    ],
)  # fmt: skip
def test_bad_records_are_refused(path: list[Any], value: Any, message: str) -> None:
    data: Any = records()
    inner = data
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(op.InputError, match=message):
        from_records(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**60) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["cluster_list", "host_info", "vm_instance", "numa", "node_id", "cpu"]),
        inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_readers_only_raise_their_own_errors(data: st.DataObject) -> None:
    changed = records()
    cluster_data = changed["cluster_list"][0]
    kind = data.draw(st.sampled_from(["host_info", "vm_instance", "other_requirement", "whole"]))
    value = data.draw(JSON)
    if kind == "whole":
        changed["cluster_list"] = value
    elif kind == "other_requirement" or data.draw(st.booleans()):
        cluster_data[kind] = value
    else:
        row = data.draw(st.sampled_from(cluster_data[kind]))
        row[data.draw(st.sampled_from(sorted(row)))] = value
    fields = {
        name: data.draw(JSON)
        for name in data.draw(
            st.sets(st.sampled_from(["host", "numa", "spans", "exclusion", "slot", "movable",
                                     "migration_limit", "resources", "hosts", "vms"]), max_size=3)
        )
    }  # fmt: skip
    for read in (lambda: from_records(changed), lambda: cluster(**fields)):
        with contextlib.suppress(OptschedError):
            read()
