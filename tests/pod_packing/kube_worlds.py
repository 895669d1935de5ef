"""Random clusters, rule by rule, for comparing our rules with those of the real scheduler.

Every cluster has some nodes, pods that run, and pods that are to be placed: the probes. All are
written as the API server would hold them, with its defaults filled in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import kube_objects as kube
import numpy as np

HOST, ZONE, RACK = "kubernetes.io/hostname", "topology.kubernetes.io/zone", "example.com/rack"
APPS = ("api", "db", "web")
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
#: Nodes, running pods and probes of a cluster.
NODES, RUNNING, PROBES = 25, 50, 50


@dataclass
class World:
    """A random cluster in the making.

    Attributes
    ----------
    nodes, running, probes, others : list of dict
        Objects of Kubernetes; `others` are volumes, claims and namespaces.
    """

    rng: np.random.Generator
    nodes: list[dict[str, Any]] = field(default_factory=list)
    running: list[dict[str, Any]] = field(default_factory=list)
    probes: list[dict[str, Any]] = field(default_factory=list)
    others: list[dict[str, Any]] = field(default_factory=list)

    def objects(self) -> list[dict[str, Any]]:
        """Return everything."""
        return [*self.nodes, *self.others, *self.running, *self.probes]

    # ---- dice --------------------------------------------------------------------------------

    def chance(self, share: float) -> bool:
        """Return true with this probability."""
        return bool(self.rng.random() < share)

    def one(self, values: Any) -> Any:
        """Return one of `values`."""
        return values[int(self.rng.integers(len(values)))]

    def some(self, values: Any, least: int = 0) -> list[Any]:
        """Return some of `values`, at least so many."""
        count = int(self.rng.integers(least, len(values), endpoint=True))
        order = self.rng.permutation(len(values))[:count]
        return [values[int(k)] for k in sorted(order)]

    def number(self, low: int, high: int) -> int:
        """Return a number from `low` to `high`."""
        return int(self.rng.integers(low, high, endpoint=True))

    # ---- parts -------------------------------------------------------------------------------

    def add_nodes(self, n: int = NODES, **extra: Any) -> None:
        """Add nodes with labels; a few lack the zone or the rack."""
        for k in range(n):
            labels = {"disk": self.one(("ssd", "hdd")), "size": str(self.number(0, 9))}
            if self.chance(0.85):
                labels[ZONE] = self.one(("a", "b", "c"))
            if self.chance(0.7):
                labels[RACK] = f"r{self.number(0, 6)}"
            if self.chance(0.5):
                labels["pool"] = self.one(("x", "y", ""))
            if self.chance(0.3):
                labels["size"] = self.one(("-3", "big", "007", "12x", "+4"))
            node = kube.node(f"n{k:03}", cpu="64", memory="256Gi", labels=labels, **extra)
            self.nodes.append(node)

    def home(self) -> str:
        """Return the name of a node."""
        return str(self.one(self.nodes)["metadata"]["name"])

    def add_running(self, n: int = RUNNING, **extra: Any) -> dict[str, Any]:
        """Add pods that run somewhere, and return the last."""
        for _ in range(n):
            name = f"run{len(self.running):03}"
            self.running.append(self.pod(name, at=self.home(), **extra))
        return self.running[-1]

    def add_probe(self, **extra: Any) -> dict[str, Any]:
        """Add a pod that is to be placed, and return it."""
        self.probes.append(self.pod(f"probe{len(self.probes):03}", **extra))
        return self.probes[-1]

    def pod(self, name: str, **extra: Any) -> dict[str, Any]:
        """Return a pod of one of the apps."""
        labels = {"app": self.one(APPS), "tier": self.one(("1", "2"))}
        return kube.pod(
            name, cpu=extra.pop("cpu", "10m"), memory=extra.pop("memory", "1Mi"),
            namespace=extra.pop("namespace", self.one(("red", "red", "blue"))),
            labels=labels, **extra,
        )  # fmt: skip

    def selector(self) -> dict[str, Any] | None:
        """Return a label selector on pods: of every form, empty or none at all now and then."""
        dice = self.rng.random()
        if dice < 0.05:
            return None
        if dice < 0.10:
            return {}
        if dice < 0.6:
            return {"matchLabels": {"app": self.one(APPS)}}
        operator = self.one(("In", "NotIn", "Exists", "DoesNotExist"))
        need: dict[str, Any] = {"key": self.one(("app", "tier", "none")), "operator": operator}
        if operator in ("In", "NotIn"):
            need["values"] = self.some((*APPS, "1"), 1)
        chosen: dict[str, Any] = {"matchExpressions": [need]}
        if self.chance(0.3):
            chosen["matchLabels"] = {"tier": self.one(("1", "2"))}
        return chosen


def _cpu(world: World, most: int) -> str:
    amount = world.number(0, most)
    return str(world.one((f"{amount}m", f"{amount / 1000:.3f}", f"{amount}e-3", f"{amount}000u")))


def _memory(world: World, most: int) -> str:
    amount = world.number(0, most)
    return str(world.one((f"{amount}Mi", f"{amount}M", f"{amount * 1000}k", str(amount << 20))))


def _amounts(world: World, most: int, keys: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for key in keys:
        amount = _cpu(world, most) if key == "cpu" else _memory(world, most)
        found[key] = str(world.number(0, 3)) if "/" in key else amount
    return found


def _sized(world: World, pod: dict[str, Any], most: int, keys: tuple[str, ...]) -> None:
    """Give a pod containers, init containers and overhead of random size."""
    spec = pod["spec"]
    spec["containers"] = [
        {"name": f"c{k}", "resources": {"requests": _amounts(world, most, tuple(world.some(keys)))}}
        for k in range(world.number(1, 3))
    ]
    if world.chance(0.2):
        spec["containers"][0]["resources"]["limits"] = _amounts(world, most, keys)
    if world.chance(0.3):
        spec["initContainers"] = [
            {"name": f"i{k}", "resources": {"requests": _amounts(world, 2 * most, keys)}}
            for k in range(world.number(1, 2))
        ]
    if world.chance(0.2):
        spec["overhead"] = _amounts(world, 200, ("cpu", "memory"))


def resources(world: World) -> None:
    """Cpu, memory and ephemeral storage; init containers, overhead, limits as requests."""
    _roomy(world, ("cpu", "memory", "ephemeral-storage"))


def extended_resources(world: World) -> None:
    """GPUs, huge pages and a made-up device, which many nodes lack."""
    _roomy(world, ("cpu", "nvidia.com/gpu", "hugepages-2Mi", "example.com/device"))


def _roomy(world: World, keys: tuple[str, ...]) -> None:
    world.add_nodes()
    for node in world.nodes:
        held = _amounts(world, 4000, keys) | {"pods": "20"}
        for key in world.some([key for key in keys if "/" in key or "-" in key]):
            del held[key]
        node["status"]["allocatable"] = held
    # The incoming state is within capacity: what runs asks for less than what there is.
    for k, node in enumerate(world.nodes):
        if world.chance(0.8):
            share = dict(node["status"]["allocatable"])
            share.pop("pods")
            pod = world.pod(f"run{k:03}", at=node["metadata"]["name"])
            part = world.one((1, 1, 2, 4))
            need = {key: _part(value, part, key) for key, value in share.items()}
            pod["spec"]["containers"][0]["resources"]["requests"] = need
            world.running.append(pod)
    for _ in range(PROBES):
        _sized(world, world.add_probe(), world.one((300, 1000, 2000)), keys)


def _part(value: str, part: int, key: str) -> str:
    from optsched.problems.pod_packing.quantities import quantity

    amount = quantity(value, key, scale=1000 if key == "cpu" else 1) // part
    return f"{amount}m" if key == "cpu" else str(amount)


def pods_limit(world: World) -> None:
    """How many pods a node takes."""
    world.add_nodes()
    for node in world.nodes:
        node["status"]["allocatable"]["pods"] = str(world.number(1, 4))
        for _ in range(world.number(0, int(node["status"]["allocatable"]["pods"]))):
            name = f"run{len(world.running):03}"
            world.running.append(world.pod(name, at=node["metadata"]["name"]))
    for _ in range(PROBES):
        probe = world.add_probe()
        if world.chance(0.3):
            probe["spec"]["containers"][0]["resources"] = {}


def node_selector(world: World) -> None:
    """Labels that a node must have."""
    world.add_nodes()
    for _ in range(PROBES):
        world.add_probe(nodeSelector=_selected(world))


def _selected(world: World) -> dict[str, str]:
    known = {"disk": ("ssd", "hdd"), "pool": ("x", "y", ""), ZONE: ("a", "b", "z"),
             "none": ("1",)}  # fmt: skip
    return {key: world.one(known[key]) for key in world.some(list(known)[: world.number(1, 4)])}


def node_affinity(world: World) -> None:
    """Required node affinity: all operators, on labels and on the name, several terms."""
    world.add_nodes()
    for _ in range(PROBES):
        probe = world.add_probe(affinity={"nodeAffinity": {REQUIRED: _node_terms(world)}})
        if world.chance(0.2):
            probe["spec"]["nodeSelector"] = _selected(world)


def _node_terms(world: World) -> dict[str, Any]:
    terms = []
    for _ in range(world.number(1, 3)):
        needs = [_node_need(world) for _ in range(world.number(0, 3))]
        term: dict[str, Any] = {"matchExpressions": needs} if needs or world.chance(0.5) else {}
        if world.chance(0.25):
            term["matchFields"] = [
                {
                    "key": "metadata.name",
                    "operator": world.one(("In", "NotIn")),
                    "values": [world.home()],
                }
            ]
        terms.append(term)
    return {"nodeSelectorTerms": terms}


def _node_need(world: World) -> dict[str, Any]:
    operator = world.one(("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"))
    if operator in ("Gt", "Lt"):
        bound = str(world.number(-5, 12))
        key = world.one(("size", "size", "none", "disk"))
        return {"key": key, "operator": operator, "values": [bound]}
    key = world.one(("disk", "pool", ZONE, "size", "none"))
    need: dict[str, Any] = {"key": key, "operator": operator}
    if operator in ("In", "NotIn"):
        need["values"] = world.some(("ssd", "x", "", "a", "b", "7", "007"), 1)
    return need


def taints(world: World) -> None:
    """Taints of all effects, tolerations of all forms."""
    world.add_nodes()
    for node in world.nodes:
        node["spec"]["taints"] = _taints(world)
    for _ in range(PROBES):
        world.add_probe(tolerations=_tolerations(world))


def _taints(world: World) -> list[dict[str, str]]:
    found = []
    for key in world.some(("dedicated", "gpu")):
        effect = world.one(("NoSchedule", "NoExecute", "PreferNoSchedule"))
        taint = {"key": key, "effect": effect}
        if world.chance(0.7):
            taint["value"] = world.one(("a", "b"))
        found.append(taint)
    return found


def _tolerations(world: World) -> list[dict[str, Any]]:
    found = []
    for _ in range(world.number(0, 3)):
        item: dict[str, Any] = {}
        if world.chance(0.85):
            item["key"] = world.one(("dedicated", "gpu", "none"))
            if world.chance(0.6):
                item["value"] = world.one(("a", "b"))
                if world.chance(0.5):
                    item["operator"] = "Equal"
            elif world.chance(0.7):
                item["operator"] = "Exists"
        else:
            item["operator"] = "Exists"
        if world.chance(0.7):
            item["effect"] = world.one(("NoSchedule", "NoExecute", "PreferNoSchedule"))
            if item["effect"] == "NoExecute" and world.chance(0.5):
                item["tolerationSeconds"] = 30
        found.append(item)
    return found


def cordon(world: World) -> None:
    """Cordoned nodes, with and without the taint, and pods that tolerate it."""
    world.add_nodes()
    taint = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    for node in world.nodes:
        if world.chance(0.5):
            node["spec"]["unschedulable"] = True
            if world.chance(0.6):
                node["spec"]["taints"] = [taint]
    _tolerant(world, taint["key"], ("NoSchedule", "NoExecute"))


def _tolerant(world: World, key: str, effects: tuple[str, ...]) -> None:
    for _ in range(PROBES):
        item: dict[str, Any] = {"operator": "Exists"}
        if world.chance(0.7):
            item["key"] = world.one((key, "other"))
        if world.chance(0.5):
            item["effect"] = world.one(effects)
        world.add_probe(tolerations=[item] if world.chance(0.6) else [])


def readiness(world: World) -> None:
    """Nodes that are not ready or not reachable, with the taints of the node controller."""
    world.add_nodes()
    for node in world.nodes:
        status = world.one(("True", "True", "False", "Unknown"))
        node["status"]["conditions"] = [{"type": "Ready", "status": status}]
        if status != "True":
            name = "not-ready" if status == "False" else "unreachable"
            node["spec"]["taints"] = [
                {"key": f"node.kubernetes.io/{name}", "effect": effect}
                for effect in ("NoSchedule", "NoExecute")
            ]
    both = world.one(("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"))
    _tolerant(world, both, ("NoSchedule", "NoExecute"))


def host_ports(world: World) -> None:
    """Ports of the host by protocol and address; the host's network."""
    world.add_nodes()
    for _ in range(2 * RUNNING):
        _ported(world, world.add_running(1))
    for _ in range(PROBES):
        _ported(world, world.add_probe())


def _ported(world: World, pod: dict[str, Any]) -> None:
    ports = []
    for _ in range(world.number(1, 2)):
        port: dict[str, Any] = {"containerPort": world.number(80, 83)}
        if world.chance(0.8):
            port["hostPort"] = world.number(80, 83)
        if world.chance(0.4):
            port["hostIP"] = world.one(("0.0.0.0", "10.0.0.1", "10.0.0.2", "127.0.0.1", "::"))
        if world.chance(0.6):
            port["protocol"] = world.one(("TCP", "UDP", "SCTP"))
        ports.append(port)
    spec = pod["spec"]
    spec["containers"][0]["ports"] = ports
    if world.chance(0.2):
        spec["initContainers"] = [
            {"name": "init", "ports": [{"containerPort": 80, "hostPort": world.number(80, 83)}]}
        ]
    if world.chance(0.15):
        spec["hostNetwork"] = True
        for port in ports:
            port["hostPort"] = port["containerPort"]


def pod_affinity(world: World) -> None:
    """Required affinity: several terms, namespaces, the first of a series."""
    _between(world, ("podAffinity",))


def pod_anti_affinity(world: World) -> None:
    """Required anti-affinity, in both directions."""
    _between(world, ("podAntiAffinity",))


def both_affinities(world: World) -> None:
    """Affinity and anti-affinity together."""
    _between(world, ("podAffinity", "podAntiAffinity"))


def _between(world: World, kinds: tuple[str, ...]) -> None:
    world.add_nodes()
    # Few pods, at times none of an app, so that the first of a series occurs.
    for _ in range(world.one((2, 6, 20))):
        pod = world.add_running(1)
        if world.chance(0.4):
            pod["spec"]["affinity"] = _pod_affinity(world, kinds, 0.5)
    for _ in range(PROBES):
        world.add_probe(affinity=_pod_affinity(world, kinds, 0.9))


def _pod_affinity(world: World, kinds: tuple[str, ...], share: float) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for kind in kinds:
        if not world.chance(share):
            continue
        terms = []
        for _ in range(world.one((1, 1, 2))):
            term: dict[str, Any] = {"topologyKey": world.one((HOST, ZONE, RACK))}
            if (selector := world.selector()) is not None:
                term["labelSelector"] = selector
            if world.chance(0.3):
                term["namespaces"] = world.some(("red", "blue"), 1)
            terms.append(term)
        found[kind] = {REQUIRED: terms}
    return found


def spread(world: World) -> None:
    """Topology spread with DoNotSchedule: skew, several keys, node selectors, leaving pods."""
    world.add_nodes()
    world.add_running(world.one((10, 30, 60)))
    for pod in world.running:
        if world.chance(0.15):
            pod["metadata"]["deletionTimestamp"] = "2024-01-01T00:00:00Z"
    for _ in range(PROBES):
        probe = world.add_probe(topologySpreadConstraints=_constraints(world))
        if world.chance(0.4):
            zones = world.some(("a", "b", "c"), 1)
            need = {"key": ZONE, "operator": "In", "values": zones}
            terms = {"nodeSelectorTerms": [{"matchExpressions": [need]}]}
            probe["spec"]["affinity"] = {"nodeAffinity": {REQUIRED: terms}}


def _constraints(world: World) -> list[dict[str, Any]]:
    found = []
    # Not the rack: see `whole domains` in the documentation of the oracle.
    for key in world.some((HOST, ZONE), 1):
        found.append(
            {
                "topologyKey": key,
                "maxSkew": world.number(1, 3),
                "whenUnsatisfiable": world.one(("DoNotSchedule",) * 4 + ("ScheduleAnyway",)),
                "labelSelector": world.selector(),
            }
        )
    return found


def node_name(world: World) -> None:
    """Pods with a node name hold their room from then on; those that have ended do not."""
    world.add_nodes()
    for node in world.nodes:
        node["status"]["allocatable"] = {"cpu": "4", "memory": "4Gi", "pods": "5"}
        for _ in range(world.number(0, 4)):
            phase = world.one(("Pending", "Running", "Succeeded", "Failed", "Unknown"))
            name = f"run{len(world.running):03}"
            pod = world.pod(name, cpu="1", memory="1Gi", at=node["metadata"]["name"])
            pod["status"]["phase"] = phase
            if world.chance(0.2):
                pod["metadata"]["deletionTimestamp"] = "2024-01-01T00:00:00Z"
            world.running.append(pod)
    for _ in range(PROBES):
        world.add_probe(cpu=str(world.number(0, 4)), memory=f"{world.number(0, 4)}Gi")


def volumes(world: World) -> None:
    """Claims bound to volumes with node affinity, and with labels of their zone."""
    world.add_nodes()
    for k in range(PROBES):
        probe = world.add_probe(namespace="red")
        names = [f"claim{k}-{j}" for j in range(world.number(1, 2))]
        probe["spec"]["volumes"] = [
            {"name": f"v{j}", "persistentVolumeClaim": {"claimName": name}}
            for j, name in enumerate(names)
        ]
        for name in names:
            world.others += _volume(world, name)


def _volume(world: World, name: str) -> list[dict[str, Any]]:
    spec: dict[str, Any] = {
        "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
        "csi": {"driver": "none", "volumeHandle": name},
        "claimRef": {"namespace": "red", "name": name},
    }  # fmt: skip
    meta: dict[str, Any] = {"name": f"pv-{name}"}
    if world.chance(0.7):
        spec["nodeAffinity"] = {"required": _node_terms(world)}
        for term in spec["nodeAffinity"]["required"]["nodeSelectorTerms"]:
            term.pop("matchFields", None)
    if world.chance(0.4):
        zones = "__".join(world.some(("a", "b", "c"), 1))
        meta["labels"] = {ZONE: zones}
    claim_meta = {
        "name": name, "namespace": "red",
        "annotations": {"pv.kubernetes.io/bind-completed": "yes"},
    }  # fmt: skip
    claim = {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": claim_meta,
        "spec": {"accessModes": ["ReadWriteOnce"], "volumeName": f"pv-{name}",
                 "storageClassName": ""},
        "status": {"phase": "Bound"},
    }  # fmt: skip
    volume = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": meta, "spec": spec,
              "status": {"phase": "Bound"}}  # fmt: skip
    return [volume, claim]


def everything(world: World) -> None:
    """All rules at once, on pods that ask for little."""
    world.add_nodes()
    for node in world.nodes:
        if world.chance(0.3):
            node["spec"]["taints"] = _taints(world)
        if world.chance(0.1):
            node["spec"]["unschedulable"] = True
        node["status"]["allocatable"] = {"cpu": "2", "memory": "4Gi", "pods": "6"}
    for k, node in enumerate(world.nodes):
        for j in range(world.number(0, 3)):
            pod = world.pod(f"run{k:03}-{j}", at=node["metadata"]["name"], cpu="600m")
            if world.chance(0.2):
                pod["spec"]["affinity"] = _pod_affinity(world, ("podAntiAffinity",), 0.5)
            if world.chance(0.3):
                _ported(world, pod)
            world.running.append(pod)
    for _ in range(PROBES):
        probe = world.add_probe(cpu=_cpu(world, 1500))
        spec = probe["spec"]
        spec["tolerations"] = _tolerations(world)
        if world.chance(0.3):
            spec["affinity"] = _pod_affinity(world, ("podAffinity", "podAntiAffinity"), 0.5)
        if world.chance(0.3):
            terms = {"nodeSelectorTerms": [{"matchExpressions": [_node_need(world)]}]}
            spec.setdefault("affinity", {})["nodeAffinity"] = {REQUIRED: terms}
        elif world.chance(0.4):
            spec["topologySpreadConstraints"] = _constraints(world)
        if world.chance(0.2):
            _ported(world, probe)


RULES: dict[str, Callable[[World], None]] = {
    "resources": resources,
    "extended resources": extended_resources,
    "pods limit": pods_limit,
    "node selector": node_selector,
    "node affinity": node_affinity,
    "taints": taints,
    "cordon": cordon,
    "readiness": readiness,
    "host ports": host_ports,
    "affinity": pod_affinity,
    "anti-affinity": pod_anti_affinity,
    "both affinities": both_affinities,
    "topology spread": spread,
    "node name": node_name,
    "volumes": volumes,
    "everything": everything,
}


def world(rule: str, seed: int) -> World:
    """Return the cluster of this rule and seed."""
    made = World(np.random.default_rng([list(RULES).index(rule), seed]))
    RULES[rule](made)
    return made
