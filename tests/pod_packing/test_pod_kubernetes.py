"""Reading a cluster: quantities, every rule, and everything that must be refused."""

from __future__ import annotations

import contextlib
import io
import json
import tracemalloc
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kube_objects import affinity, budget, cluster, node, pod

import optsched as op
from optsched.problems.pod_packing.quantities import quantity


def read(*items: dict[str, Any], **options: Any) -> op.PodPacking:
    return op.PodPacking.from_kubernetes(cluster(*items), **options)


def eligible(problem: op.PodPacking, k: int) -> list[bool]:
    return problem.eligible[problem.pod_class[k], problem.node_class].tolist()


# ---- quantities ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "scale", "value"),
    [
        ("100m", 1000, 100), ("1.5", 1000, 1500), ("2Gi", 1, 2**31), ("1e3", 1, 1000),
        ("1E", 1, 10**18 // 1000 * 0 + 0), ("12E-1", 1000, 1200), (".5", 1000, 500),
        ("5.", 1, 5), ("1k", 1, 1000), ("0.1", 1000, 100), ("100n", 1000, 1), ("1u", 1000, 1),
        ("1001m", 1, 2), (3, 1000, 3000), (0.25, 1000, 250), ("+7", 1, 7), ("1Ki", 1, 1024),
    ],
)  # fmt: skip
def test_quantities(text: Any, scale: int, value: int) -> None:
    if text == "1E":  # exa, which is beyond 2^53
        with pytest.raises(op.InputError, match="too large"):
            quantity(text, "x", scale=scale)
        return
    assert quantity(text, "x", scale=scale) == value


@pytest.mark.parametrize(
    "text",
    ["", "1GB", "-1", "1e999999999", "1.2.3", "Gi", "0x1", "\u0661", "1 Gi", "1ki", None, True, []],
)
def test_strange_quantities_are_refused(text: Any) -> None:
    with pytest.raises(op.InputError, match="cpu of p"):
        quantity(text, "cpu of p")


@given(
    st.integers(0, 10**9), st.integers(0, 6), st.sampled_from(["", "m", "k", "Ki", "M", "Mi", "u"])
)
def test_quantities_are_exact_and_rounded_up(digits: int, point: int, suffix: str) -> None:
    text = f"{digits // 10**point}.{digits % 10**point:0{point}d}" if point else str(digits)
    unit = {"": 1, "m": Fraction(1, 1000), "k": 1000, "Ki": 1024, "M": 10**6, "Mi": 2**20,
            "u": Fraction(1, 10**6)}  # fmt: skip
    exact = Fraction(digits, 10**point) * unit[suffix]
    assert exact <= quantity(text + suffix, "x") < exact + 1


@given(st.one_of(st.text(max_size=80), st.floats(), st.integers(), st.none()))
def test_quantity_fuzz(value: Any) -> None:
    with contextlib.suppress(op.InputError):
        assert quantity(value, "x", scale=1000) >= 0


# ---- what is honoured ----------------------------------------------------------------------------


def test_effective_requests() -> None:
    def container(cpu: str, **extra: Any) -> dict[str, Any]:
        return {"name": "c", "resources": {"requests": {"cpu": cpu}}} | extra

    sidecar = container("200m", restartPolicy="Always")
    spec = {
        "containers": [container("1"), container("500m")],
        "initContainers": [container("1"), sidecar, container("1600m")],
        "overhead": {"cpu": "50m", "memory": "1Mi"},
    }
    problem = read(node("a"), pod("p", **spec))
    # max(1000 + 500 + 200, 1600 + 200) + 50
    assert problem.request.tolist() == [[1850, 2**20, 1]]


def test_limits_count_where_requests_are_absent_and_gpus_are_resources() -> None:
    limits = [{"name": "c", "resources": {"limits": {"cpu": "2", "nvidia.com/gpu": "1"}}}]
    problem = read(
        node("a", allocatable={"nvidia.com/gpu": "4"}), node("b"), pod("p", containers=limits)
    )
    assert problem.resources == ("cpu", "memory", "pods", "nvidia.com/gpu")
    assert problem.request[0].tolist() == [2000, 0, 1, 1]
    assert problem.capacity[:, 3].tolist() == [4, 0]


def test_nodes_by_selector_affinity_taints_cordon_and_readiness() -> None:
    taint = [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]
    nodes = [
        node("a", labels={"disk": "ssd", "gen": "7"}),
        node("b", labels={"disk": "hdd", "gen": "3"}),
        node("c", taints=taint),
        node("d", unschedulable=True),
        node("e", ready=False),
    ]

    def needs(*expressions: dict[str, Any], fields: Any = ()) -> dict[str, Any]:
        term = {"matchExpressions": list(expressions), "matchFields": list(fields)}
        required = {"nodeSelectorTerms": [term]}
        return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}

    def expression(operator: str, *values: str, key: str = "disk") -> dict[str, Any]:
        return {"key": key, "operator": operator, "values": list(values)}

    by_name = expression("In", "b", key="metadata.name")
    pods = [
        pod("plain"),
        pod("selector", nodeSelector={"disk": "ssd"}),
        pod("in", affinity=needs(expression("In", "ssd", "nvme"))),
        pod("notin", affinity=needs(expression("NotIn", "ssd"))),
        pod("exists", affinity=needs(expression("Exists"))),
        pod("absent", affinity=needs(expression("DoesNotExist"))),
        pod("gt", affinity=needs(expression("Gt", "5", key="gen"))),
        pod("lt", affinity=needs(expression("Lt", "5", key="gen"))),
        pod("field", affinity=needs(fields=[by_name])),
        pod("empty", affinity=needs()),
        pod("tolerant", tolerations=[{"key": "gpu", "operator": "Exists"}]),
        pod("equal", tolerations=[{"key": "gpu", "value": "no"}]),
        pod("all", tolerations=[{"operator": "Exists"}]),
        pod("gated", schedulingGates=[{"name": "wait"}]),
    ]
    problem = read(*nodes, *pods)
    rows = {name: "".join("-+"[x] for x in eligible(problem, k))
            for k, name in enumerate(p["metadata"]["name"] for p in pods)}  # fmt: skip
    assert rows == {
        "plain": "++---", "selector": "+----", "in": "+----", "notin": "-+---", "exists": "++---",
        "absent": "-----", "gt": "+----", "lt": "-+---", "field": "-+---", "empty": "-----",
        "tolerant": "+++--", "equal": "++---", "all": "+++++", "gated": "-----",
    }  # fmt: skip


def test_rules_between_pods() -> None:
    spread = {
        "topologyKey": "zone", "maxSkew": 2, "whenUnsatisfiable": "DoNotSchedule", "minDomains": 2,
        "labelSelector": {"matchLabels": {"app": "web"}},
    }  # fmt: skip
    soft = spread | {"whenUnsatisfiable": "ScheduleAnyway"}
    web = {"app": "web"}
    problem = read(
        node("a", labels={"zone": "x"}), node("b", labels={"zone": "y"}), node("c"),
        pod("w1", labels=web, topologySpreadConstraints=[spread, soft]),
        pod("w2", labels=web, topologySpreadConstraints=[spread]),
        pod("db", affinity=affinity("podAntiAffinity", "db")),
        pod("near", affinity=affinity("podAffinity", "web", "zone")),
        pod("other", labels=web, namespace="elsewhere"),
    )  # fmt: skip
    terms = {term.kind: term for term in problem.terms}
    assert len(problem.terms) == 3
    assert terms["spread"].owners.tolist() == [0, 1] == terms["spread"].targets.tolist()
    assert (terms["spread"].max_skew, terms["spread"].min_domains) == (2, 2)
    assert terms["spread"].nodes.tolist() == [0, 1]
    assert terms["anti_affinity"].owners.tolist() == [2] == terms["anti_affinity"].targets.tolist()
    assert terms["affinity"].targets.tolist() == [0, 1]
    zones = problem.topology[problem.topology_keys.index("zone")]
    assert zones.tolist() == [0, 1, -1]


def test_who_may_move() -> None:
    def owned(kind: str) -> dict[str, Any]:
        return {"ownerReferences": [{"kind": kind, "name": "o", "controller": True}]}

    safe = {"annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}}
    pods = [
        pod("free", at="a"),
        pod("daemon", at="a", meta=owned("DaemonSet")),
        pod("bare", at="a", meta={"ownerReferences": []}),
        pod("static", at="a", meta=owned("Node")),
        pod("unsafe", at="a", meta=safe),
        pod("leaving", at="a", meta={"deletionTimestamp": "2026-01-01T00:00:00Z"}),
        pod("disk", at="a", volumes=[{"name": "v", "hostPath": {"path": "/"}}]),
        pod("done", at="a", status={"phase": "Succeeded"}),
        pod("gone", meta={"deletionTimestamp": "2026-01-01T00:00:00Z"}),
        pod("twice", at="a", labels={"app": "t"}),
    ]
    problem = read(
        node("a", cpu="20", memory="80Gi"), *pods, budget("1", "t", 1), budget("2", "t", 1)
    )
    assert problem.pods is not None
    movable = dict(zip(problem.pods, problem.movable.tolist(), strict=True))
    assert {name for name, free in movable.items() if free} == {"default/free"}
    assert len(problem.pods) == 8  # those that have ended are no more


def test_priorities_and_budgets() -> None:
    high = {"apiVersion": "x", "kind": "PriorityClass", "metadata": {"name": "high"}, "value": 9,
            "preemptionPolicy": "Never"}  # fmt: skip
    base = {"kind": "PriorityClass", "metadata": {"name": "base"}, "value": 2,
            "globalDefault": True}  # fmt: skip
    problem = read(
        node("a"), high, base, budget("b", "p", 0),
        pod("p", priorityClassName="high"), pod("q"), pod("r", priority=5),
        pod("s", priorityClassName="system-node-critical"),
    )  # fmt: skip
    assert problem.priority.tolist() == [9, 2, 5, 2 * 10**9 + 1000]
    assert problem.never_preempts.tolist() == [True, False, False, False]
    assert problem.budgets[0].pods.tolist() == [0]


def test_host_ports_are_exclusive() -> None:
    def ports(*given: dict[str, Any]) -> dict[str, Any]:
        return {"containers": [{"name": "c", "ports": list(given)}]}

    problem = read(
        node("a"),
        pod("wild", **ports({"hostPort": 80})),
        pod("one", **ports({"hostPort": 80, "hostIP": "10.0.0.1"})),
        pod("two", **ports({"hostPort": 80, "hostIP": "10.0.0.2"})),
        pod("udp", **ports({"hostPort": 80, "protocol": "UDP"})),
    )
    clash = {
        tuple(problem.token_pairs[problem.token_pairs[:, 1] == k, 0].tolist())
        for k in range(len(problem.token_names))
    }
    assert clash == {(0,), (0, 1), (0, 2), (3,)}


def test_local_volumes_hold_their_pods() -> None:
    required = {"nodeSelectorTerms": [{"matchExpressions": [
        {"key": "kubernetes.io/hostname", "operator": "In", "values": ["a"]}]}]}  # fmt: skip
    spec = {"local": {"path": "/d"}, "nodeAffinity": {"required": required}}
    volume = {"kind": "PersistentVolume", "metadata": {"name": "pv"}, "spec": spec}
    claim = {"kind": "PersistentVolumeClaim", "metadata": {"name": "c", "namespace": "default"},
             "spec": {"volumeName": "pv"}}  # fmt: skip
    uses = [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]
    problem = read(node("a"), node("b"), volume, claim, pod("p", volumes=uses))
    assert eligible(problem, 0) == [True, False]
    assert not read(node("a"), volume, claim, pod("p", at="a", volumes=uses)).movable[0]
    with pytest.raises(op.InputError, match="claim c: the PersistentVolumeClaim is not given"):
        read(node("a"), pod("p", volumes=uses))
    assert read(node("a"), pod("p", volumes=uses), assume_ignored=["volumes"]).n_pods == 1


def test_a_spread_counts_nodes_that_only_a_volume_rules_out() -> None:
    """What it honours by default is the pod's own selector and affinity (nodeAffinityPolicy)."""
    required = {"nodeSelectorTerms": [{"matchExpressions": [
        {"key": "zone", "operator": "In", "values": ["1"]}]}]}  # fmt: skip
    spec = {"csi": {"driver": "disk"}, "nodeAffinity": {"required": required}}
    volume = {"kind": "PersistentVolume", "metadata": {"name": "pv"}, "spec": spec}
    claim = {"kind": "PersistentVolumeClaim", "metadata": {"name": "c", "namespace": "default"},
             "spec": {"volumeName": "pv"}}  # fmt: skip
    spread = {"topologyKey": "zone", "maxSkew": 1, "labelSelector": {"matchLabels": {"app": "w"}}}
    problem = read(
        node("a", labels={"zone": "1"}), node("b", labels={"zone": "2"}), volume, claim,
        pod("p", labels={"app": "w"}, topologySpreadConstraints=[spread],
            volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]),
    )  # fmt: skip
    assert eligible(problem, 0) == [True, False]
    (term,) = problem.terms
    assert term.nodes is None or term.nodes.tolist() == [0, 1]


# ---- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([node("a"), pod("p", at="b")], "runs on node b, which is not given"),
        ([node("a"), pod("p", cpu="-1")], "cpu: '-1' is negative"),
        ([node("a"), pod("p", cpu="1 core")], "is no quantity"),
        ([node("a", memory="8GB")], "node a: allocatable memory"),
        ([node("a"), node("a")], "node a stands twice"),
        ([node("a"), pod("p"), pod("p")], "stands twice"),
        ([pod("p")], "there are no nodes"),
        ([node("a"), {"kind": "Gadget"}], "kind 'Gadget'"),
        ([node("a"), pod("p", resourceClaims=[{"name": "gpu"}])], "resourceClaims"),
        ([node("a"), pod("p", priorityClassName="none")], "no priority class 'none'"),
        ([node("a"), pod("p", tolerations=[{"operator": "Gt"}])], "operator 'Gt'"),
        ([node("a", taints=[{"key": "k", "effect": "Sometimes"}])], "taint effect"),
        ([node("a"), pod("p", containers="none")], "containers: expected a list"),
        ([node("a"), pod("p", labels={"a": 1})], "is no text"),
        (
            [node("a"), pod("p", topologySpreadConstraints=[
                {"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "Never"}])],
            "pod default/p: topology spread: whenUnsatisfiable 'Never'",
        ),
    ],
)  # fmt: skip
def test_refusals_name_the_culprit(items: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(op.InputError, match=message):
        read(*items)


@pytest.mark.parametrize(
    ("name", "spec", "message"),
    [
        ("volumes", {"volumes": [{"name": "v", "awsElasticBlockStore": {"volumeID": "x"}}]},
         "volume v of kind awsElasticBlockStore"),
        ("volumes", {"volumes": [{"name": "v", "rbd": {}}]}, "volume v of kind rbd"),
        ("volumes", {"volumes": [{"name": "v", "wonder": {}}]}, "volume v of kind wonder"),
        ("affinity", {"affinity": {"nodeAffinity": {
            "requiredDuringSchedulingRequiredDuringExecution": {}}}}, "nodeAffinity: 'required"),
        ("affinity", {"affinity": {"rackAffinity": {}}}, "rackAffinity"),
    ],
)  # fmt: skip
def test_volumes_and_affinities_not_understood(
    name: str, spec: dict[str, Any], message: str
) -> None:
    with pytest.raises(op.InputError, match=f"pod default/p: .*{message}.*{name!r}"):
        read(node("a"), pod("p", **spec))
    problem = read(node("a"), pod("p", **spec), assume_ignored=[name])
    assert message in problem.ignored[0]


def test_volumes_of_any_node_are_passed_over() -> None:
    kinds = ("emptyDir", "configMap", "secret", "projected", "downwardAPI", "csi", "nfs")
    volumes = [{"name": kind, kind: {}} for kind in kinds]
    assert read(node("a"), pod("p", volumes=volumes)).ignored == ()


@pytest.mark.parametrize("indent", [None, 1])
def test_a_file_cut_anywhere_is_called_truncated(indent: int | None) -> None:
    odd = pod("p", note=[1, -2.5, 1e-9, True, None, False, '\u00e4\\x"'], empty={})
    whole = cluster(node("a"), odd)
    late = {"kind": "List"} | whole  # its items are not read one by one
    for text in (json.dumps(whole, indent=indent), json.dumps(late, indent=indent)):
        for cut in range(1, len(text)):
            with pytest.raises(op.InputError, match=r"^line \d+: the JSON ends early"):
                op.PodPacking.from_kubernetes(io.StringIO(text[:cut]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"kind": }', "^line 1: bad JSON"),
        ('{"apiVersion": "v1", "items": [{"kind": "Job"}}', "^line 1: bad JSON"),
        ('{"apiVersion": "v1",\n"items": [],\n"kind": x}', "^line 3: bad JSON"),
        ('{"apiVersion": "v1", "items": []} and more', "^line 1: bad JSON: Extra data"),
    ],
)
def test_bad_json_is_not_called_truncated(text: str, message: str) -> None:
    with pytest.raises(op.InputError, match=message):
        op.PodPacking.from_kubernetes(io.StringIO(text))


def test_truncated_files_and_streams(tmp_path: Path) -> None:
    text = json.dumps(cluster(node("a"), pod("p")), indent=1)
    path = tmp_path / "cluster.json"
    for cut in (len(text) // 3, len(text) // 2, len(text) - 2):
        path.write_text(text[:cut], encoding="utf-8")
        with pytest.raises(op.InputError, match=r"cluster\.json.*line \d+"):
            op.PodPacking.from_kubernetes(path)
    path.write_text(text, encoding="utf-8")
    whole = op.PodPacking.from_kubernetes(path)
    assert whole == op.PodPacking.from_kubernetes(io.StringIO(text))
    parts = [tmp_path / "nodes.json", tmp_path / "pods.json"]
    parts[0].write_text(json.dumps({"kind": "NodeList", "items": [node("a")]}), encoding="utf-8")
    parts[1].write_text(json.dumps(cluster(pod("p"))), encoding="utf-8")
    assert whole == op.PodPacking.from_kubernetes(*parts)
    for source in (tmp_path / "none.json", tmp_path, 3):
        with pytest.raises(op.InputError):
            op.PodPacking.from_kubernetes(source)


def test_overcommitted_state_is_repaired_or_refused() -> None:
    items = [node("a", cpu="2"), node("b", cpu="1"), pod("p", cpu="2", at="a"), pod("q", at="a")]
    with pytest.raises(op.InputError, match="over-committed: a: the pods on it need 3000 of cpu"):
        read(*items, overcommitted="refuse")
    problem = read(*items)
    result = op.solve(problem, time_limit=60, workers=1)
    assert result.solution.node.tolist() == [0, 1]
    stays = pod("p", cpu="3", at="a", meta={"ownerReferences": []})
    with pytest.raises(op.InputError, match="a: the pods on it need 3000 of cpu, it has 2000"):
        read(node("a", cpu="2"), stays, overcommitted="refuse")


JUNK = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-5, 5),
        st.text(max_size=5),
        st.sampled_from(["a", "In", "1Gi", "Exists"]),
    ),
    lambda each: st.one_of(
        st.lists(each, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    "key",
                    "operator",
                    "values",
                    "matchLabels",
                    "name",
                    "resources",
                    "requests",
                    "cpu",
                    "effect",
                    "labelSelector",
                    "topologyKey",
                    "nodeSelectorTerms",
                ]
            ),
            each,
            max_size=3,
        ),
    ),
    max_leaves=6,
)


def _paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [at]
    if isinstance(value, dict):
        for key, item in value.items():
            found += _paths(item, (*at, key))
    elif isinstance(value, list):
        for key, item in enumerate(value):
            found += _paths(item, (*at, key))
    return found


RICH = cluster(
    node("a", labels={"zone": "x"}, taints=[{"key": "k", "effect": "NoSchedule"}]),
    pod("p", at="a", affinity=affinity("podAntiAffinity", "q"), nodeSelector={"zone": "x"},
        tolerations=[{"key": "k", "operator": "Exists"}]),
    pod("q", topologySpreadConstraints=[{"topologyKey": "zone", "maxSkew": 1,
        "labelSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}}]),
    budget("b", "p", 1),
)  # fmt: skip


@settings(max_examples=150)
@given(st.data(), JUNK)
def test_reader_fuzz(data: st.DataObject, junk: Any) -> None:
    broken = json.loads(json.dumps(RICH))
    path = data.draw(st.sampled_from(_paths(broken)[1:]))
    place = broken
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = junk
    with contextlib.suppress(op.InputError):
        problem = op.PodPacking.from_kubernetes(broken)
        assert op.PodPacking.from_dict(problem.to_dict()) == problem


@settings(max_examples=60)
@given(st.text(max_size=200))
def test_text_fuzz(text: str) -> None:
    with contextlib.suppress(op.InputError):
        op.PodPacking.from_kubernetes(io.StringIO(text))


def test_a_large_cluster_is_read_in_little_memory() -> None:
    text = io.StringIO(
        json.dumps(cluster(*(node(f"n{k}") for k in range(50)),
                           *(pod(f"p{k}", at=f"n{k % 50}", cpu="10m") for k in range(1000))))
    )  # fmt: skip
    tracemalloc.start()
    problem = op.PodPacking.from_kubernetes(text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (problem.n_nodes, problem.n_pods) == (50, 1000)
    assert peak < 40e6
    assert np.array_equal(problem.current, np.arange(1000) % 50)
