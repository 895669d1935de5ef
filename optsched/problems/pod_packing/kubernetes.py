"""From what ``kubectl get ... -o json`` writes to a `PodPacking`.

Honoured: effective requests (with sidecars, init containers and overhead), allocatable, host ports,
nodeName, nodeSelector, required node affinity, taints and tolerations, cordons, readiness, required
inter-pod affinity and anti-affinity, topology spread with DoNotSchedule, disruption budgets,
priorities and ``preemptionPolicy: Never``, and pods that must not be moved. Preferences are not:
the objective is another. Pods that have ended are left out; those that terminate hold their room.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from optsched.core import InputError
from optsched.numbers import shown
from optsched.problems.pod_packing import checker, kube_rules
from optsched.problems.pod_packing.kube_fields import items, labels, mapped, text, texts, whole
from optsched.problems.pod_packing.kube_nodes import Node, read_node, refused_classes
from optsched.problems.pod_packing.kube_pods import Pod, Where, read_pod, volume_terms
from optsched.problems.pod_packing.problem import PodPacking
from optsched.unpacking import decode

#: Objects that are read, and objects that bear on no rule.
READ = ("Node", "Pod", "PodDisruptionBudget", "PriorityClass", "PersistentVolume",
        "PersistentVolumeClaim", "Namespace")  # fmt: skip
PASSED_OVER = ("ReplicaSet", "ReplicationController", "Deployment", "StatefulSet", "DaemonSet",
               "Job", "CronJob", "StorageClass", "Service", "ConfigMap")  # fmt: skip
#: What ``assume_ignored`` may name.
IGNORABLE = ("resourceClaims", "volumes", "affinity", "namespaceSelector", "kinds")
#: Resources of every cluster; pods count in pieces.
BASE = ("cpu", "memory", "pods")


def from_kubernetes(
    sources: Sequence[Any],
    *,
    assume_ignored: Iterable[str] | bool = (),
    overcommitted: str = "repair",
    order: str = "interleaved",
    name: str = "",
) -> PodPacking:
    """Return the problem of a cluster; see `PodPacking.from_kubernetes`."""
    if isinstance(assume_ignored, bool):
        assume_ignored = IGNORABLE if assume_ignored else ()
    ignored = frozenset(assume_ignored)
    if unknown := sorted(ignored - set(IGNORABLE)):
        known = ", ".join(IGNORABLE)
        raise InputError(f"assume_ignored: {shown(unknown[0])} is unknown: one of {known}")
    if overcommitted not in ("repair", "refuse"):
        raise InputError(f"overcommitted {shown(overcommitted)}: repair or refuse")
    if not sources:
        raise InputError("no source: give files of kubectl get -o json, or - for standard input")
    reader = _Reader(ignored)
    for source in sources:
        for item in _objects(source):
            reader.take(item)
    problem = reader.problem(order, name)
    if overcommitted == "refuse" and (found := overcommitment(problem)):
        raise InputError(f"the incoming state is over-committed: {found[0]}")
    return problem


def overcommitment(problem: PodPacking) -> list[str]:
    """Return, in words, each node whose pods need more than it has as the cluster is."""
    need = checker.load(problem, problem.current)
    return [
        f"{problem.node_name(n)}: the pods on it need {need[n, r]} of "
        f"{problem.resource_name(r)}, it has {problem.capacity[n, r]}"
        for n, r in np.argwhere(need > problem.capacity).tolist()
    ]


def from_text(
    text: str,
    *,
    assume_ignored: Iterable[str] | bool = (),
    overcommitted: str = "repair",
    name: str = "",
) -> PodPacking:
    """Return the problem of a cluster given as one text; see `PodPacking.from_kubernetes`."""
    return from_kubernetes(
        [io.StringIO(text)],
        assume_ignored=assume_ignored,
        overcommitted=overcommitted,
        name=name,
    )


def _objects(source: Any) -> Iterable[dict[str, Any]]:
    if isinstance(source, Mapping):
        import json

        try:
            return items(json.dumps(source), "object: ")
        except (TypeError, ValueError, RecursionError) as error:
            raise InputError(f"the object is no JSON: {error}") from error
    if hasattr(source, "read"):
        named = getattr(source, "name", "")
        where = f"{named}: " if isinstance(named, str) and named else ""
        return items(_text(source.read(), where), where)
    if source == "-":
        return items(sys.stdin.read(), "standard input: ")
    if not isinstance(source, str | Path):
        raise InputError(f"{shown(source)} is no file")
    try:
        data = Path(source).read_bytes()
    except FileNotFoundError:
        raise InputError(f"there is no file {source}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{shown(str(source))} cannot be read: {error}") from error
    return items(decode(data, str(source))[0], f"{source}: ")


def _text(data: Any, where: str) -> str:
    if isinstance(data, bytes):
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError(f"{where}not UTF-8: {error.reason} at {error.start}") from None
    if not isinstance(data, str):
        raise InputError(f"{where}expected text")
    return data


class _Reader:
    """Collects the objects of a cluster."""

    def __init__(self, ignored: frozenset[str]) -> None:
        self._ignored = ignored
        #: What is left out, once each.
        self.left_out: dict[str, None] = {}
        self.nodes: dict[str, Node] = {}
        self.pods: dict[str, Pod] = {}
        self.budgets: list[dict[str, Any]] = []
        self.classes: dict[str, dict[str, Any]] = {}
        self.volumes: dict[str, dict[str, Any]] = {}
        self.claims: dict[str, dict[str, Any]] = {}
        self.namespaces: dict[str, dict[str, str]] = {}

    def refuse(self, name: str, what: str) -> None:
        """Refuse a constraint that is not understood, or note that it is to be ignored."""
        self.left_out[what] = None
        if name not in self._ignored:
            raise InputError(f"{what}: not understood; assume_ignored={name!r} leaves it out")

    def take(self, item: Mapping[str, Any]) -> None:
        """Take one object."""
        kind = text(item, "kind", "object")
        meta = mapped(item, "metadata", kind)
        name, space = text(meta, "name", kind), text(meta, "namespace", kind, "default")
        if kind == "Node":
            if name in self.nodes:
                raise InputError(f"node {name} stands twice")
            self.nodes[name] = read_node(item)
        elif kind == "Pod":
            pod = read_pod(item, self.refuse)
            if f"{space}/{name}" in self.pods:
                raise InputError(f"pod {space}/{name} stands twice")
            if pod is not None:
                self.pods[f"{space}/{name}"] = pod
        elif kind == "PodDisruptionBudget":
            self.budgets.append(dict(item))
        elif kind == "PriorityClass":
            self.classes[name] = dict(item)
        elif kind == "PersistentVolume":
            self.volumes[name] = dict(item)
        elif kind == "PersistentVolumeClaim":
            self.claims[f"{space}/{name}"] = dict(item)
        elif kind == "Namespace":
            self.namespaces[name] = labels(meta, "labels", f"namespace {name}")
        elif kind not in PASSED_OVER:
            self.refuse("kinds", f"an object of kind {shown(kind)}")

    def problem(self, order: str, name: str) -> PodPacking:
        """Return the problem that the objects state."""
        if not self.nodes:
            raise InputError("there are no nodes")
        nodes, pods = list(self.nodes.values()), list(self.pods.values())
        at = {node.name: k for k, node in enumerate(nodes)}
        for pod in pods:
            if pod.node and pod.node not in at:
                raise InputError(f"pod {pod.label} runs on node {pod.node}, which is not given")
            self._priority(pod)
            self._volumes(pod)
        # Where immovable pods may be placed anew does not matter: they are not.
        wheres: dict[Where, int] = {Where(): 0}
        pod_class = [wheres.setdefault(pod.where, len(wheres)) if pod.movable else 0
                     for pod in pods]  # fmt: skip
        node_class, refused, refusals = refused_classes(nodes, list(wheres))
        index = kube_rules.Index(pods, self.namespaces)
        budgets = kube_rules.budgets(self.budgets, index)
        covered = np.zeros(len(pods), dtype=np.int64)
        for budget in budgets:
            covered[budget.pods] += 1
        running = np.array([bool(pod.node) for pod in pods], dtype=bool)
        # The eviction API refuses pods with more than one budget.
        movable = np.array([pod.movable for pod in pods], dtype=bool) & ~(running & (covered > 1))
        rules = kube_rules.Terms(index, nodes, self.refuse)
        for k in range(len(pods)):
            rules.add(k)
        self._shared_claims(pods)
        keys = rules.keys()
        resources = _resources(pods)
        return PodPacking(
            _capacity(nodes, resources),
            _requests(pods, resources),
            priority=[pod.priority for pod in pods],
            current=[at.get(pod.node, -1) for pod in pods],
            movable=movable,
            never_preempts=[pod.never_preempts for pod in pods],
            pod_class=pod_class,
            node_class=node_class,
            eligible=refused < 0,
            refusals=refusals,
            refused=refused,
            tokens=_ports(pods),
            topology=kube_rules.topology(nodes, keys),
            terms=rules.found(keys),
            budgets=budgets,
            resources=resources,
            nodes=[node.name for node in nodes],
            pods=[pod.label for pod in pods],
            versions=[pod.version for pod in pods],
            owners=[pod.owner for pod in pods],
            order=order,
            ignored=list(self.left_out),
            name=name or "cluster",
        )

    def _priority(self, pod: Pod) -> None:
        where = f"pod {pod.label}"
        chosen = text(pod.spec, "priorityClassName", where)
        data: Mapping[str, Any] = {}
        if chosen in self.classes:
            data = self.classes[chosen]
        elif not chosen:
            data = next((c for c in self.classes.values() if c.get("globalDefault") is True), {})
        elif "priority" not in pod.spec and not chosen.startswith("system-"):
            raise InputError(f"{where}: there is no priority class {shown(chosen)}")
        system = {"system-cluster-critical": 2 * 10**9, "system-node-critical": 2 * 10**9 + 1000}
        default = whole(data, "value", f"priority class {chosen}", system.get(chosen, 0))
        pod.priority = whole(pod.spec, "priority", where, default)
        policy = text(pod.spec, "preemptionPolicy", where) or text(data, "preemptionPolicy", where)
        if policy not in ("", "Never", "PreemptLowerPriority"):
            raise InputError(f"{where}: preemptionPolicy {shown(policy)} is not understood")
        pod.never_preempts = policy == "Never"

    def _volumes(self, pod: Pod) -> None:
        """Let the pod's volumes say where it may go; local ones hold it where it is."""
        for name in pod.claims:
            where = f"pod {pod.label}: claim {name}"
            claim = self.claims.get(f"{pod.namespace}/{name}")
            if claim is None:
                self.refuse("volumes", f"{where}: the PersistentVolumeClaim is not given")
                continue
            bound = text(mapped(claim, "spec", where), "volumeName", where)
            if bound not in self.volumes:
                why = f"PersistentVolume {bound} is not given" if bound else "it is not bound yet"
                self.refuse("volumes", f"{where}: {why}")
                continue
            spec = mapped(self.volumes[bound], "spec", f"persistent volume {bound}")
            terms = volume_terms(self.volumes[bound], f"persistent volume {bound}")
            if terms:
                pod.where = replace(pod.where, volumes=pod.where.volumes + terms)
            if pod.node and ("local" in spec or "hostPath" in spec):
                pod.movable = False

    def _shared_claims(self, pods: Sequence[Pod]) -> None:
        """Refuse claims of one node's access that several pods share: they would have to meet."""
        users: dict[str, list[int]] = {}
        for k, pod in enumerate(pods):
            for name in pod.claims:
                claim = self.claims.get(f"{pod.namespace}/{name}", {})
                modes = texts(mapped(claim, "spec", name), "accessModes", name)
                if modes and set(modes) <= {"ReadWriteOnce", "ReadWriteOncePod"}:
                    users.setdefault(f"{pod.namespace}/{name}", []).append(k)
        for name, holders in users.items():
            if len(holders) > 1:
                self.refuse("volumes", f"claim {name} is used by several pods, but ReadWriteOnce")


def _resources(pods: Sequence[Pod]) -> tuple[str, ...]:
    """Return the resources that pods ask for; what none asks for limits nobody."""
    asked = {key for pod in pods for key, amount in pod.request.items() if amount}
    return BASE + tuple(sorted(asked - set(BASE)))


def _capacity(nodes: Sequence[Node], resources: Sequence[str]) -> list[list[int]]:
    # A node that does not say how many pods it takes takes as many as the kubelet's default.
    default = {"pods": 110}
    return [[node.allocatable.get(r, default.get(r, 0)) for r in resources] for node in nodes]


def _requests(pods: Sequence[Pod], resources: Sequence[str]) -> list[list[int]]:
    return [[pod.request.get(r, 0) if r != "pods" else 1 for r in resources] for pod in pods]


def _ports(pods: Sequence[Pod]) -> dict[str, list[int]]:
    """Return the host ports as exclusive tokens: a port on all addresses clashes with each."""
    wild: dict[tuple[str, int], list[int]] = {}
    bound: dict[tuple[str, int], dict[str, list[int]]] = {}
    for k, pod in enumerate(pods):
        for protocol, address, number in pod.ports:
            if address:
                bound.setdefault((protocol, number), {}).setdefault(address, []).append(k)
            else:
                wild.setdefault((protocol, number), []).append(k)
    found = {f"{protocol} port {number}": users for (protocol, number), users in wild.items()}
    for (protocol, number), addresses in bound.items():
        for address, users in addresses.items():
            both = users + wild.get((protocol, number), [])
            found[f"{protocol} port {number} of {address}"] = both
    return found
