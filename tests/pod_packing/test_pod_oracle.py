"""Our rules against the real kube-scheduler: pod by pod and node by node, and plan by plan."""

from __future__ import annotations

from collections.abc import Iterator

import kube_objects as kube
import numpy as np
import pytest
from kube_worlds import RULES, World, world
from real_scheduler import RealScheduler, needs_oracle

import optsched as op
from optsched.problems.pod_packing.placing import State

#: Clusters a rule; each has 25 nodes and 50 pods to place.
CLUSTERS = 8
#: Pairs of pod and node that are compared for every rule, at least.
PAIRS = 10_000


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealScheduler]:
    with RealScheduler(tmp_path_factory.mktemp("oracle")) as scheduler:
        yield scheduler


def problem_of(given: World) -> op.PodPacking:
    return op.PodPacking.from_kubernetes(kube.cluster(*given.objects()))


def admitted(problem: op.PodPacking, pod: int) -> set[str]:
    """Return the nodes on which our rules let a pending pod be placed: searches and checker."""
    state = State(problem)
    able = {int(n) for n in state.open_nodes(pod) if state.allows(pod, int(n))}
    known = {v.message for v in problem.check(problem.incoming())}
    for n in range(problem.n_nodes):
        node = problem.current.copy()
        node[pod] = n
        found = {v.message for v in problem.check(op.PodPackingSolution(node))} - known
        assert (n in able) == (not found), (problem.pod_name(pod), problem.node_name(n), found)
    return {problem.node_name(n) for n in able}


@pytest.mark.parametrize("rule", list(RULES))
def test_clusters_can_be_read_and_have_both_answers(rule: str) -> None:
    given = world(rule, 0)
    problem = problem_of(given)
    answers = [len(admitted(problem, p)) for p in np.flatnonzero(problem.current < 0)[:20]]
    assert 0 < sum(answers) < 20 * problem.n_nodes


@needs_oracle
@pytest.mark.slow
@pytest.mark.parametrize("rule", list(RULES))
def test_filters_agree_with_the_real_scheduler(rule: str, oracle: RealScheduler) -> None:
    pairs, passed = 0, 0
    wrong = []
    for seed in range(CLUSTERS):
        given = world(rule, seed)
        problem = problem_of(given)
        number = {problem.pod_name(p): p for p in range(problem.n_pods)}
        oracle.load(given.objects())
        names = {node["metadata"]["name"] for node in given.nodes}
        for pod, theirs in zip(given.probes, oracle.passing(given.probes), strict=True):
            label = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
            theirs &= names
            ours = admitted(problem, number[label])
            if ours != theirs:
                wrong.append((seed, label, sorted(ours - theirs), sorted(theirs - ours)))
            pairs += len(names)
            passed += len(theirs)
    assert not wrong, f"{len(wrong)} pods; seed, pod, only ours, only theirs: {wrong[:5]}"
    assert pairs >= PAIRS
    assert 0.02 * pairs < passed < 0.98 * pairs


@needs_oracle
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_every_step_of_a_plan_passes_the_real_scheduler(seed: int, oracle: RealScheduler) -> None:
    given = fragmented(seed)
    problem = problem_of(given)
    result = op.solve(problem, "native", time_limit=5, workers=1)
    plan = problem.plan(result.solution)
    objects = {
        f"{item['metadata']['namespace']}/{item['metadata']['name']}": item
        for item in (*given.running, *given.probes)
    }
    assert sum(step.kind != "evict" for wave in plan.waves for step in wave)
    for backwards in (False, True):
        oracle.load(given.objects())
        name = dict(zip(range(problem.n_pods), problem.pods or (), strict=True))
        for wave in plan.waves:
            for step in wave[::-1] if backwards else wave:
                if step.source >= 0:
                    oracle.evict(name[step.pod])
                if step.target < 0:
                    continue
                pod = objects[problem.pod_name(step.pod)]
                successor = pod | {"metadata": dict(pod["metadata"])}
                successor["metadata"]["name"] += "-next"
                name[step.pod] = f"{pod['metadata']['namespace']}/{successor['metadata']['name']}"
                said = oracle.place_patiently(successor, problem.node_name(step.target))
                assert not said, f"{step}: {said}"


def fragmented(seed: int) -> World:
    """Return a full cluster with rules, in which some pods wait."""
    rng = np.random.default_rng([99, seed])
    given = World(rng)
    given.add_nodes(8)
    for node in given.nodes:
        node["status"]["allocatable"] = {"cpu": "4", "memory": "16Gi", "pods": "10"}
        used = 0
        while (need := given.number(5, 15) * 100) + used <= 4000:
            used += need
            name = f"run{len(given.running):03}"
            pod = given.pod(name, cpu=f"{need}m", at=node["metadata"]["name"], namespace="red")
            pod["spec"]["priority"] = given.number(0, 2)
            given.running.append(pod)
    for _ in range(6):
        probe = given.add_probe(cpu=f"{given.number(4, 16) * 100}m", namespace="red")
        probe["spec"]["priority"] = given.number(1, 3)
        dice = given.rng.random()
        app = probe["metadata"]["labels"]["app"]
        if dice < 0.3:
            probe["spec"]["nodeSelector"] = {"disk": given.one(("ssd", "hdd"))}
        elif dice < 0.5:
            own = f"alone-{probe['metadata']['name']}"
            probe["metadata"]["labels"]["app"] = own
            probe["spec"]["affinity"] = kube.affinity("podAntiAffinity", own)
        elif dice < 0.7:
            probe["spec"]["affinity"] = kube.affinity("podAffinity", app, "disk")
        elif dice < 0.8:
            probe["spec"]["containers"][0]["ports"] = [{"containerPort": 80, "hostPort": 80}]
    given.others.append(kube.budget("web", "web", given.number(1, 3)))
    given.others[-1]["metadata"]["namespace"] = "red"
    return given
