"""What the comparison with the real scheduler has taught, rule by rule; needs no scheduler."""

from __future__ import annotations

from typing import Any

import kube_objects as kube
import numpy as np
import pytest

import optsched as op
from optsched.problems.pod_packing.placing import State

ZONE = "topology.kubernetes.io/zone"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
GONE = {"deletionTimestamp": "2024-01-01T00:00:00Z"}


def zoned(name: str, zone: str = "", **extra: Any) -> dict[str, Any]:
    return kube.node(name, labels={ZONE: zone} if zone else {}, **extra)


def admitted(*items: dict[str, Any]) -> str:
    """Return the nodes on which the last pod may be placed, by the searches and the checker."""
    problem = op.PodPacking.from_kubernetes(kube.cluster(*items))
    pod = problem.n_pods - 1
    state = State(problem)
    able = []
    for n in range(problem.n_nodes):
        node = problem.current.copy()
        node[pod] = n
        free = not problem.check(op.PodPackingSolution(node))
        assert free == (n in state.open_nodes(pod) and state.allows(pod, n))
        able += [problem.node_name(n)] if free else []
    return "".join(able)


def wants(*terms: tuple[str, str], kind: str = "podAffinity") -> dict[str, Any]:
    """Return an affinity towards pods with a label ``key: yes``, in a topology each."""
    return {
        kind: {
            REQUIRED: [
                {"topologyKey": key, "labelSelector": {"matchLabels": {label: "yes"}}}
                for label, key in terms
            ]
        }
    }


def test_one_pod_must_match_all_terms_of_an_affinity() -> None:
    nodes = [zoned("a", "1"), zoned("b", "2"), zoned("c", "2")]
    split = [
        kube.pod("x", at="a", labels={"db": "yes"}),
        kube.pod("y", at="a", labels={"web": "yes"}),
    ]
    seeker = kube.pod("s", affinity=wants(("db", ZONE), ("web", ZONE)))
    assert admitted(*nodes, *split, seeker) == ""
    both = kube.pod("z", at="b", labels={"db": "yes", "web": "yes"})
    assert admitted(*nodes, *split, both, seeker) == "bc"


def test_the_first_of_a_series_has_to_match_all_of_its_terms() -> None:
    nodes = [zoned("a", "1"), zoned("b")]
    terms = wants(("db", ZONE), ("web", ZONE))
    assert admitted(*nodes, kube.pod("s", labels={"db": "yes"}, affinity=terms)) == ""
    labels = {"db": "yes", "web": "yes"}
    assert admitted(*nodes, kube.pod("s", labels=labels, affinity=terms)) == "a"


def spread(skew: int, *keys: str) -> list[dict[str, Any]]:
    return [
        {
            "topologyKey": key, "maxSkew": skew, "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"app": "s"}},
        }
        for key in keys
    ]  # fmt: skip


def test_pods_that_terminate_do_not_count_for_spread_but_hold_their_room() -> None:
    nodes = [zoned("a", "1", cpu="2"), zoned("b", "2", cpu="2")]
    leaving = kube.pod("l", at="a", labels={"app": "s"}, meta=GONE)
    staying = kube.pod("k", at="a", labels={"app": "s"})
    seeker = kube.pod("s", topologySpreadConstraints=spread(1, ZONE))
    assert admitted(*nodes, leaving, seeker) == "ab"
    assert admitted(*nodes, staying, seeker) == "b"
    large = kube.pod("s", cpu="2", topologySpreadConstraints=spread(1, ZONE))
    assert admitted(*nodes, leaving, large) == "b"


def test_spread_counts_nodes_that_have_all_of_its_keys() -> None:
    # Without the rack of `c` its zone does not count, so that no zone has less than one pod.
    nodes = [
        kube.node("a", labels={ZONE: "1", "rack": "1"}),
        kube.node("b", labels={ZONE: "2", "rack": "2"}),
        kube.node("c", labels={ZONE: "3"}),
    ]
    running = [kube.pod(f"r{n}", at=n, labels={"app": "s"}) for n in "ab"]
    seeker = kube.pod("s", topologySpreadConstraints=spread(1, ZONE, "rack"))
    assert admitted(*nodes, *running, seeker) == "ab"
    seeker = kube.pod("s", topologySpreadConstraints=spread(1, ZONE))
    assert admitted(*nodes, *running, seeker) == "c"


@pytest.mark.parametrize(("status", "taint"), [("False", "not-ready"), ("Unknown", "unreachable")])
def test_nodes_that_are_not_ready_take_pods_that_tolerate_it(status: str, taint: str) -> None:
    node = kube.node("a")
    node["status"]["conditions"][0]["status"] = status
    key = f"node.kubernetes.io/{taint}"
    assert admitted(node, kube.pod("s")) == ""
    assert admitted(node, kube.pod("s", tolerations=[{"key": key, "operator": "Exists"}])) == "a"
    assert admitted(node, kube.pod("s", tolerations=[{"key": key, "effect": "NoExecute"}])) == ""


def test_only_the_ipv4_wildcard_takes_a_port_on_all_addresses() -> None:
    def ported(name: str, address: str, **extra: Any) -> dict[str, Any]:
        port = {"containerPort": 80, "hostPort": 80, "hostIP": address}
        item = kube.pod(name, **extra)
        item["spec"]["containers"][0]["ports"] = [port]
        return item

    nodes = [kube.node("a"), kube.node("b")]
    for held, asked, able in (
        ("::", "10.0.0.1", "ab"), ("0.0.0.0", "10.0.0.1", "b"), ("::", "0.0.0.0", "b"),
        ("10.0.0.2", "10.0.0.1", "ab"), ("::", "::", "b"),
    ):  # fmt: skip
        assert admitted(*nodes, ported("r", held, at="a"), ported("s", asked)) == able, held


def test_a_bound_that_cannot_be_a_label_is_met_by_no_node() -> None:
    nodes = [kube.node("a", labels={"size": "3"}), kube.node("b", labels={"size": "7"})]

    def bounded(*values: str) -> dict[str, Any]:
        terms = [
            {"matchExpressions": [{"key": "size", "operator": "Gt", "values": [v]}]} for v in values
        ]
        return kube.pod("s", affinity={"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": terms}}})

    assert admitted(*nodes, bounded("0")) == "ab"
    assert admitted(*nodes, bounded("-1")) == ""
    assert admitted(*nodes, bounded("-1", "5")) == "b"


def test_volumes_keep_to_their_zones() -> None:
    nodes = [zoned("a", "1"), zoned("b", "2"), zoned("c", "3"), zoned("d")]
    seeker = kube.pod("s", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}])
    claim = {
        "kind": "PersistentVolumeClaim", "metadata": {"name": "c", "namespace": "default"},
        "spec": {"volumeName": "pv", "accessModes": ["ReadWriteOnce"]},
    }  # fmt: skip

    def volume(zones: str) -> dict[str, Any]:
        meta = {"name": "pv", "labels": {ZONE: zones}}
        return {"kind": "PersistentVolume", "metadata": meta, "spec": {}}

    assert admitted(*nodes, claim, volume("1"), seeker) == "ad"
    assert admitted(*nodes, claim, volume("1__3"), seeker) == "acd"
    assert admitted(*nodes, claim, volume(""), seeker) == "abcd"


def test_pods_on_no_node_are_left_out_of_the_count() -> None:
    nodes = [zoned("a", "1"), zoned("b", "2")]
    waiting = kube.pod("w", labels={"db": "yes"})
    seeker = kube.pod("s", affinity=wants(("db", ZONE)))
    problem = op.PodPacking.from_kubernetes(kube.cluster(*nodes, waiting, seeker))
    assert np.flatnonzero(problem.current < 0).tolist() == [0, 1]
    assert admitted(*nodes, waiting, seeker) == ""


def test_a_pod_on_a_node_without_the_key_does_not_begin_a_series() -> None:
    nodes = [zoned("a"), zoned("b", "1")]
    running = kube.pod("r", at="a", labels={"db": "yes"})
    seeker = kube.pod("s", labels={"db": "yes"}, affinity=wants(("db", ZONE)))
    assert admitted(*nodes, running, seeker) == "b"
    # It is seen where another key of the pod's affinity is there.
    both = wants(("db", ZONE), ("db", "kubernetes.io/hostname"))
    seeker = kube.pod("s", labels={"db": "yes"}, affinity=both)
    assert admitted(*nodes, running, seeker) == ""
    problem = op.PodPacking.from_kubernetes(kube.cluster(*nodes, running, seeker))
    assert op.PodPacking.from_dict(problem.to_dict()) == problem
    result = op.solve(problem, "native", time_limit=20, workers=1)
    assert result.status is op.Status.OPTIMAL
    assert problem.levels(result.solution)[0] == 0
