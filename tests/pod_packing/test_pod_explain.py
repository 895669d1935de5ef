"""Explanations of pods that are left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kube_objects import affinity, cluster, node, pod
from pods_brute import random_cluster

import optsched as op
from optsched.problems.pod_packing import commands
from optsched.problems.pod_packing.explain import EVERY_SET, Explanation, alike
from optsched.problems.pod_packing.placing import State
from optsched.problems.pod_packing.problem import PodPackingSolution

FULL = pod("full", cpu="4", at="full")
GPU = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}
GATED = "Scheduling is blocked due to non-empty scheduling gates."
WITHIN = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
    {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]},
]}}  # fmt: skip

OF_RULES = {
    "node(s) didn't have free ports for the requested pod ports": "token",
    "node(s) didn't match pod topology spread constraints": "spread",
    "node(s) didn't match pod affinity rules": "affinity",
    "node(s) didn't match pod anti-affinity rules": "anti-affinity",
    "node(s) didn't satisfy existing pods anti-affinity rules": "anti-affinity",
}


def told_of(*items: dict[str, Any], name: str = "late") -> tuple[op.PodPacking, Explanation]:
    """Return the problem, and why the pod `name` is left out of the state as it is."""
    problem = op.PodPacking.from_kubernetes(cluster(*items))
    found = {problem.pod_name(each.pod): each for each in problem.explain(problem.incoming())}
    return problem, found[f"default/{name}"]


def test_wording_blockers_and_remedy() -> None:
    problem, told = told_of(
        node("a", cpu="2"), node("b", cpu="2"), node("c", cpu="500m", unschedulable=True),
        pod("x", cpu="1500m", at="a", priority=5), pod("y", cpu="1", at="b", priority=5),
        pod("z", cpu="600m", at="b", priority=5), pod("late", cpu="1"),
    )  # fmt: skip
    assert problem.pod_name(told.pod) == "default/late"
    assert told.reasons == {
        0: ("Insufficient cpu",), 1: ("Insufficient cpu",), 2: ("node(s) were unschedulable",),
    }  # fmt: skip
    assert told.summary == (
        "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu."
    )
    assert len(told.blocking) == 1
    assert told.remedy == "500 more cpu on a, or as much less in its requests"


@pytest.mark.parametrize(
    ("of_node", "of_pod", "reason", "remedy"),
    [
        ({"unschedulable": True}, {}, "node(s) were unschedulable", "uncordon free"),
        ({"taints": [GPU]}, {}, "node(s) had untolerated taint {gpu: yes}",
         "let it tolerate gpu=yes:NoSchedule of free"),
        ({"taints": [GPU | {"value": ""}]}, {}, "node(s) had untolerated taint {gpu: }",
         "let it tolerate gpu:NoSchedule of free"),
        ({"ready": False}, {}, "node(s) had untolerated taint {node.kubernetes.io/not-ready: }",
         "bring free back to Ready"),
        ({"taints": [{"key": "node.kubernetes.io/disk-pressure", "effect": "NoSchedule"}]}, {},
         "node(s) had untolerated taint {node.kubernetes.io/disk-pressure: }",
         "clear node.kubernetes.io/disk-pressure on free"),
        ({}, {"nodeSelector": {"disk": "ssd"}}, "node(s) didn't match Pod's node affinity/selector",
         "label free disk=ssd"),
        ({}, {"nodeSelector": {"kubernetes.io/hostname": "gone"}},
         "node(s) didn't match Pod's node affinity/selector",
         "drop kubernetes.io/hostname=gone from its node selector"),
        ({}, {"affinity": {"nodeAffinity": WITHIN}},
         "node(s) didn't match Pod's node affinity/selector",
         "let its node affinity admit free"),
        # The first plugin speaks; the remedy is for all.
        ({"unschedulable": True, "taints": [GPU]}, {}, "node(s) were unschedulable",
         "uncordon free, and let it tolerate gpu=yes:NoSchedule of free"),
        ({"unschedulable": True, "cpu": "500m"}, {}, "node(s) were unschedulable",
         "uncordon free, and 500 more cpu on free, or as much less in its requests"),
        ({"taints": [GPU]}, {"tolerations": [{"key": "gpu", "operator": "Exists"}], "cpu": "5"},
         "Insufficient cpu", "1000 more cpu on free, or as much less in its requests"),
        ({"allocatable": {"pods": "0"}}, {"cpu": "5"}, "Too many pods",
         "1000 more cpu, 1 more pods on free, or as much less in its requests"),
    ],
)  # fmt: skip
def test_what_keeps_a_pod_off_a_node(
    of_node: dict[str, Any], of_pod: dict[str, Any], reason: str, remedy: str
) -> None:
    _, told = told_of(node("free", **of_node), pod("late", **({"cpu": "1"} | of_pod)))
    assert told.reasons[0][0] == reason
    assert told.remedy == remedy


def test_the_smallest_remedy_is_the_empty_node_that_is_cordoned() -> None:
    _, told = told_of(node("full"), node("idle", unschedulable=True), FULL, pod("late"))
    assert told.summary == (
        "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) were unschedulable."
    )
    assert told.remedy == "uncordon idle"
    # Two changes there are more than one here.
    _, told = told_of(
        node("full"), node("idle", unschedulable=True, taints=[GPU]), FULL, pod("late")
    )
    assert told.remedy == "1000 more cpu on full, or as much less in its requests"


def test_pods_that_the_scheduler_does_not_take() -> None:
    gates = [{"name": "quota"}]
    _, told = told_of(node("a"), pod("late", schedulingGates=gates))
    assert told.summary == GATED
    assert told.remedy == "remove its scheduling gate quota"
    _, told = told_of(node("a"), pod("late", cpu="5", schedulingGates=[*gates, {"name": "late"}]))
    assert told.summary == GATED
    assert told.remedy == (
        "remove its scheduling gates late, quota, and 1000 more cpu on a, or as much less in its "
        "requests"
    )
    _, told = told_of(node("a"), pod("late", schedulerName="volcano"))
    assert told.summary == "Pod is left to the scheduler volcano."
    assert told.remedy == ("look into the scheduler volcano, or make it anew for default-scheduler")


def volume(name: str, spec: dict[str, Any], labels: dict[str, str]) -> list[dict[str, Any]]:
    """Return a persistent volume, and the claim of the same name that it is bound to."""
    return [
        {"apiVersion": "v1", "kind": "PersistentVolume", "spec": spec,
         "metadata": {"name": name, "labels": labels}},
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "spec": {"volumeName": name},
         "metadata": {"name": name, "namespace": "default"}},
    ]  # fmt: skip


def test_volumes_are_looked_at_after_room() -> None:
    zone = "topology.kubernetes.io/zone"
    needs = {"nodeAffinity": {"required": {"nodeSelectorTerms": [
        {"matchExpressions": [{"key": zone, "operator": "In", "values": ["west"]}]},
    ]}}}  # fmt: skip
    claims = [{"name": "v", "persistentVolumeClaim": {"claimName": "disk"}}]
    late = pod("late", volumes=claims)
    east = {"labels": {zone: "east"}}
    nodes = [node("full", **east), node("idle", **east), node("off", unschedulable=True, **east)]
    _, told = told_of(*nodes, FULL, late, *volume("disk", needs, {}))
    assert told.summary == (
        "0/3 nodes are available: 1 Insufficient cpu, "
        "1 node(s) had volume node affinity conflict, 1 node(s) were unschedulable."
    )
    assert told.remedy == "a node more that its volumes can reach"
    _, told = told_of(node("idle", **east), late, *volume("disk", {}, {zone: "west"}))
    assert told.summary == "0/1 nodes are available: 1 node(s) had no available volume zone."


def test_rules_between_pods_are_named() -> None:
    apart = affinity("podAntiAffinity", "db")
    db = {"app": "db"}
    port = {"containers": [{"name": "c", "ports": [{"hostPort": 80}]}]}
    items = [
        node("a"), pod("d1", at="a", labels=db, affinity=apart),
        pod("d2", labels=db, affinity=apart), pod("theirs", labels=db),
        pod("port", at="a", **port), pod("also", **port),
        pod("lonely", affinity=affinity("podAffinity", "nobody")),
    ]  # fmt: skip
    said = {
        "d2": "node(s) didn't match pod anti-affinity rules",
        "theirs": "node(s) didn't satisfy existing pods anti-affinity rules",
        "also": "node(s) didn't have free ports for the requested pod ports",
        "lonely": "node(s) didn't match pod affinity rules",
    }
    for name, reason in said.items():
        problem, told = told_of(*items, name=name)
        assert told.summary == f"0/1 nodes are available: 1 {reason}."
        if name == "lonely":
            assert told.blocking_node == -1
            assert told.remedy.startswith("a node more that it may use, as its rules towards")
        else:
            blocker = "port" if name == "also" else "d1"
            assert [problem.pod_name(p) for p in told.blocking] == [f"default/{blocker}"]
            assert told.remedy == f"a without default/{blocker}"


def test_ports_are_looked_at_before_room() -> None:
    port = {"containers": [{"name": "c", "ports": [{"hostPort": 80}], "resources": {
        "requests": {"cpu": "3"}}}]}  # fmt: skip
    _, told = told_of(node("a"), pod("port", at="a", **port), pod("late", **port))
    assert told.reasons == {0: ("node(s) didn't have free ports for the requested pod ports",)}


def test_spread_blocked_from_another_node_of_the_zone() -> None:
    zone = "topology.kubernetes.io/zone"
    web = {"app": "web"}
    spread = {"labels": web, "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": zone, "whenUnsatisfiable": "DoNotSchedule",
         "labelSelector": {"matchLabels": web}},
    ]}  # fmt: skip
    problem, told = told_of(
        node("w1", labels={zone: "west"}), node("w2", labels={zone: "west"}),
        node("full", cpu="500m", labels={zone: "east"}), node("bare"),
        pod("there", at="w1", **spread), pod("late", **spread),
    )  # fmt: skip
    text = "node(s) didn't match pod topology spread constraints"
    assert told.summary == (
        f"0/4 nodes are available: 1 Insufficient cpu, 1 {text} (missing required label), 2 {text}."
    )
    # On w2 alone nobody is in the way.
    assert told.blocking == (0,)
    apart = affinity("podAntiAffinity", "web", zone)
    problem, told = told_of(
        node("w1", cpu="1500m", labels={zone: "west"}), node("w2", labels={zone: "west"}),
        pod("there", at="w1", labels=web), pod("late", cpu="2", affinity=apart),
    )  # fmt: skip
    assert told.remedy == "w2 without default/there"
    assert (problem.node_name(told.blocking_node), told.blocking) == ("w2", (0,))


def test_without_a_cluster_one_text_is_for_all() -> None:
    problem = op.PodPacking([[4], [4]], [[1]], node_class=[0, 1], eligible=[[False, False]])
    (told,) = problem.explain(problem.incoming())
    assert told.summary == (
        "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector, taints or "
        "readiness."
    )
    assert told.remedy == (
        "no node admits it: change its selector, affinity or tolerations, or the nodes"
    )
    problem = op.PodPacking([[4]], [[5]], eligible=[[False]])
    (told,) = problem.explain(problem.incoming())
    assert told.remedy == "no node admits it, and none is large enough"


def test_a_pod_left_out_for_nothing() -> None:
    problem = op.PodPacking([[4]], [[1]])
    (told,) = problem.explain(problem.incoming())
    assert told.summary == "1/1 nodes are available."
    assert (told.blocking_node, told.blocking) == (0, ())
    assert told.remedy == "none is needed: node 0 takes it"


def test_reasons_are_kept_in_files() -> None:
    problem, told = told_of(node("idle", unschedulable=True), pod("late"))
    again = op.PodPacking.from_dict(problem.to_dict())
    assert again == problem
    assert again.explain(again.incoming()) == [told]
    other = problem.with_goals(order="placement_first")
    assert other.explain(other.incoming()) == [told]
    assert not problem.refused.flags.writeable


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"refusals": 3}, "refusals: expected a list"),
        ({"refusals": [3]}, "refusal 0: expected an object"),
        ({"refusals": [{"why": "x"}]}, "refusal 0: unknown field 'why'"),
        ({"refusals": [{"reason": 3}]}, "refusal 0: 3 is no text"),
        ({"refusals": [{"reason": "x", "remedies": "y"}]}, "refusal 0: remedies"),
        ({"refusals": [{"reason": "x", "stage": "y"}]}, "refusal 0: stage 'y'"),
        ({"refused": 0}, "refused: expected 1 rows of 2 numbers"),
        ({"refused": [[0]]}, "refused: expected 1 rows of 2 numbers"),
        ({"refused": [[-1, 0]]}, "refused: there is no refusal 0"),
        ({"refused": [[0, -1]], "refusals": [{"reason": "x"}]}, "class 0 may be placed on nodes"),
    ],
)
def test_bad_refusals(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(op.InputError) as caught:
        op.PodPacking([[4], [4]], [[1]], node_class=[0, 1], eligible=[[True, False]], **fields)
    assert message in str(caught.value)


def test_alike_pods_have_one_explanation() -> None:
    problem = op.PodPacking([[4]], [[5], [6], [5], [1], [5]])
    solution = PodPackingSolution(np.array([-1, -1, -1, 0, -1]))
    left = np.flatnonzero(solution.node < 0)
    assert alike(problem, left) == [[0, 2, 4], [1]]
    told = problem.explain(solution)
    assert [each.pod for each in told] == [0, 1, 2, 4]
    assert told[0].reasons is told[2].reasons
    assert [each.pod for each in problem.explain(solution, [4])] == [4]
    for wrong in ([3], [9], 4):
        with pytest.raises(op.InputError, match="explain"):
            problem.explain(solution, wrong)


def test_only_what_is_printed_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    explain = op.PodPacking.explain

    def counted(self: op.PodPacking, *arguments: Any) -> list[Explanation]:
        found = explain(self, *arguments)
        asked.extend(found)
        return found

    monkeypatch.setattr(op.PodPacking, "explain", counted)
    monkeypatch.setattr(commands, "MOST_EXPLAINED", 2)
    problem = op.PodPacking([[4]], [[5], [6], [5], [1], [5], [7], [7]])
    result = op.solve(problem, time_limit=20, solver="heuristic")
    text = commands.summary(problem, result, explain=True)
    told = text[text.index("pod 0") :].splitlines()
    assert told == [
        "pod 0 and 2 like it are left out: 0/1 nodes are available: 1 Insufficient resource 0.",
        "  remedy: 2 more resource 0 on node 0, or as much less in its requests",
        "pod 1 is left out: 0/1 nodes are available: 1 Insufficient resource 0.",
        "  remedy: 3 more resource 0 on node 0, or as much less in its requests",
        "and 2 more",
    ]
    assert len(asked) == 2


@pytest.mark.parametrize("seed", range(0, 60, 3))
def test_blocking_sets_suffice_and_are_minimal(seed: int) -> None:
    problem = random_cluster(seed)
    if problem.check(problem.incoming()):
        return
    for told in problem.explain(problem.incoming()):
        if told.blocking_node < 0 or problem.current[told.pod] >= 0:
            continue
        assert_minimal(problem, told)


@pytest.mark.parametrize("seed", range(60))
def test_reasons_are_one_a_node_and_true(seed: int) -> None:
    problem = random_cluster(seed)
    if problem.check(problem.incoming()):
        return
    for told in problem.explain(problem.incoming()):
        assert set(told.reasons) == set(range(problem.n_nodes))
        for n, texts in told.reasons.items():
            if problem.spans[told.pod] and n != problem.first[n]:
                continue
            after = problem.incoming().node.copy()
            after[told.pod] = n
            kinds = {violation.kind for violation in problem.check(PodPackingSolution(after))}
            assert bool(texts) == bool(kinds)
            short = [text.startswith(("Insufficient", "Too many")) for text in texts]
            assert len(texts) <= 1 or all(short)
            for text, kind in OF_RULES.items():
                assert text not in texts or kind in kinds


def assert_minimal(problem: op.PodPacking, told: Explanation) -> None:
    """Assert that the pod can be placed without all that block it, and not with one of them."""
    for without in (None, *told.blocking):
        state = State(problem)
        for other in told.blocking:
            if other != without:
                state.remove(other)
        n = told.blocking_node
        possible = state.fits(told.pod, n) and state.allows(told.pod, n)
        assert possible == (without is None)


@pytest.mark.parametrize("seed", range(5))
def test_sets_among_many_pods_are_irreducible(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = EVERY_SET + 6
    request = [*rng.integers(1, 9, size=(count, 2)).tolist(), [20, 25]]
    load = np.sum(request[:-1], axis=0)
    problem = op.PodPacking([load.tolist()], request, current=[0] * count + [-1])
    (told,) = problem.explain(problem.incoming())
    assert 1 < len(told.blocking) < count
    assert_minimal(problem, told)
