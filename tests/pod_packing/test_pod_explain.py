"""Explanations of pods that are left out."""

from __future__ import annotations

import pytest
from kube_objects import affinity, cluster, node, pod
from pods_brute import random_cluster

import optsched as op
from optsched.problems.pod_packing.placing import State


def test_wording_blockers_and_remedy() -> None:
    problem = op.PodPacking.from_kubernetes(
        cluster(
            node("a", cpu="2"), node("b", cpu="2"), node("c", unschedulable=True),
            pod("x", cpu="1500m", at="a", priority=5), pod("y", cpu="1", at="b", priority=5),
            pod("z", cpu="500m", at="b", priority=5), pod("late", cpu="1"),
        )
    )  # fmt: skip
    (told,) = problem.explain(problem.incoming())
    assert problem.pod_name(told.pod) == "default/late"
    assert told.reasons[0] == ("Insufficient cpu",)
    assert told.summary.startswith("0/3 nodes are available: 2 Insufficient cpu, 1 node(s) didn't")
    assert len(told.blocking) == 1
    assert told.remedy == "500 more cpu on a, or as much less in its requests"


def test_rules_between_pods_are_named() -> None:
    apart = affinity("podAntiAffinity", "db")
    db = {"app": "db"}
    problem = op.PodPacking.from_kubernetes(
        cluster(
            node("a"), pod("d1", at="a", labels=db, affinity=apart),
            pod("d2", labels=db, affinity=apart),
            pod("port", at="a", containers=[{"name": "c", "ports": [{"hostPort": 80}]}]),
            pod("also", containers=[{"name": "c", "ports": [{"hostPort": 80}]}]),
            pod("lonely", affinity=affinity("podAffinity", "nobody")),
        )
    )  # fmt: skip
    told = {problem.pod_name(e.pod): e for e in problem.explain(problem.incoming())}
    assert "anti-affinity" in told["default/d2"].summary
    assert problem.pod_name(told["default/d2"].blocking[0]) == "default/d1"
    assert "free ports" in told["default/also"].summary
    assert told["default/also"].remedy == "a without default/port"
    assert told["default/lonely"].blocking_node == -1
    assert "pod affinity rules" in told["default/lonely"].summary


@pytest.mark.parametrize("seed", range(0, 60, 3))
def test_blocking_sets_suffice_and_are_minimal(seed: int) -> None:
    problem = random_cluster(seed)
    if problem.check(problem.incoming()):
        return
    for told in problem.explain(problem.incoming()):
        if told.blocking_node < 0 or problem.current[told.pod] >= 0:
            continue
        for without in (None, *told.blocking):
            state = State(problem)
            for other in told.blocking:
                if other != without:
                    state.remove(other)
            n = told.blocking_node
            possible = state.fits(told.pod, n) and state.allows(told.pod, n)
            assert possible == (without is None)
