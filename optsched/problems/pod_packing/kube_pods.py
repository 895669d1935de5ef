"""One pod of Kubernetes: what it needs, where it may go, and whether it may be moved."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from optsched.core import InputError
from optsched.numbers import shown
from optsched.problems.pod_packing.kube_fields import (
    NODE_OPERATORS,
    Requirement,
    labels,
    mapped,
    objects,
    requirement,
    satisfies,
    text,
    whole,
)
from optsched.problems.pod_packing.quantities import quantity

#: Fields of a pod's spec that are looked at when all objects are known.
KEPT = ("affinity", "topologySpreadConstraints", "priority", "priorityClassName",
        "preemptionPolicy")  # fmt: skip
#: Volumes that bear on no node or are read here; in-tree disks cannot be shared or attached at
#: will, and what is not known may not either.
VOLUMES = frozenset({
    "emptyDir", "configMap", "secret", "projected", "downwardAPI", "csi", "ephemeral", "nfs",
    "hostPath", "persistentVolumeClaim", "image", "gitRepo", "azureFile", "cephfs", "glusterfs",
})  # fmt: skip
#: What a pod's affinity consists of.
AFFINITIES = ("nodeAffinity", "podAffinity", "podAntiAffinity")
MOMENTS = ("requiredDuringSchedulingIgnoredDuringExecution",
           "preferredDuringSchedulingIgnoredDuringExecution")  # fmt: skip
Toleration = tuple[str, str, str, str]
#: What the value of a label can be.
_LABEL = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?", re.ASCII)
#: Labels of nodes and volumes that tie a volume to a zone or region.
ZONE_LABELS = tuple(
    f"{domain}/{what}"
    for domain in ("failure-domain.beta.kubernetes.io", "topology.kubernetes.io")
    for what in ("region", "zone")
)
#: A node selector term: expressions on labels, and on fields.
NodeTerm = tuple[tuple[Requirement, ...], tuple[Requirement, ...]]


@dataclass(frozen=True)
class Where:
    """The part of a pod that decides which nodes it may be placed on, room apart.

    Attributes
    ----------
    selector : tuple of (key, value)
    terms : tuple of tuple of NodeTerm
        Of each of these, one must hold: the pod's own node affinity.
    tolerations : tuple of (key, operator, value, effect)
    volumes : tuple of tuple of NodeTerm
        The same of its volumes.
    gates : tuple of str
        Scheduling gates; it may be placed nowhere while there are any.
    scheduler : str
        Another scheduler to which it is left; empty where it is not.
    """

    selector: tuple[tuple[str, str], ...] = ()
    terms: tuple[tuple[NodeTerm, ...], ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    volumes: tuple[tuple[NodeTerm, ...], ...] = ()
    gates: tuple[str, ...] = ()
    scheduler: str = ""

    def label_keys(self) -> set[str]:
        """Return the labels of nodes that it looks at."""
        found = {key for key, _ in self.selector}
        for each in self.terms + self.volumes:
            for expressions, _ in each:
                found |= {key for key, _, _ in expressions}
        return found

    def selects(self, having: Mapping[str, str], name: str) -> bool:
        """Return whether node selector and affinity admit a node, which is what a spread asks.

        Neither taints nor volumes are looked at.
        """
        return all(having.get(key) == value for key, value in self.selector) and all(
            one_holds(each, having, name) for each in self.terms
        )

    def tolerates(self, key: str, value: str, effect: str) -> bool:
        """Return whether the pod tolerates a taint."""
        return any(
            e in ("", effect) and k in ("", key) and (op == "Exists" or v == value)
            for k, op, v, e in self.tolerations
        )


def one_holds(terms: Iterable[NodeTerm], having: Mapping[str, str], name: str) -> bool:
    """Return whether one of `terms` holds of the node with these labels and this name."""
    return any(_holds(term, having, name) for term in terms)


def _holds(term: NodeTerm, having: Mapping[str, str], name: str) -> bool:
    expressions, fields = term
    if not expressions and not fields:
        return False  # an empty term selects nothing
    return all(satisfies(having, need) for need in expressions) and all(
        satisfies({"metadata.name": name}, need) for need in fields
    )


def node_terms(data: Mapping[str, Any], where: str) -> tuple[NodeTerm, ...]:
    """Return the terms of a node selector, of which one must hold."""
    found = []
    for item in objects(data, "nodeSelectorTerms", where):
        expressions = [
            requirement(need, where, NODE_OPERATORS)
            for need in objects(item, "matchExpressions", where)
        ]
        fields = [
            requirement(need, where, frozenset({"In", "NotIn"}))
            for need in objects(item, "matchFields", where)
        ]
        if any(key != "metadata.name" for key, _, _ in fields):
            raise InputError(f"{where}: matchFields knows metadata.name alone")
        # The scheduler finds no node where a value cannot be that of a label, such as -1.
        valid = all(_LABEL.fullmatch(v) for _, _, values in expressions for v in values)
        found.append((tuple(expressions), tuple(fields)) if valid else ((), ()))
    return tuple(found)


def volume_terms(volume: Mapping[str, Any], where: str) -> tuple[tuple[NodeTerm, ...], ...]:
    """Return what a persistent volume asks of a node: its node affinity, and its zone.

    A node without any label of zone or region can reach every volume.
    """
    found = []
    spec, meta = mapped(volume, "spec", where), mapped(volume, "metadata", where)
    if required := mapped(mapped(spec, "nodeAffinity", where), "required", where):
        found.append(node_terms(required, where))
    zones = tuple(
        (key, "In", tuple(part.strip() for part in value.split("__")))
        for key, value in sorted(labels(meta, "labels", where).items())
        if key in ZONE_LABELS and all(part.strip() for part in value.split("__"))
    )
    if zones:
        nowhere: NodeTerm = (tuple((key, "DoesNotExist", ()) for key in ZONE_LABELS), ())
        found.append((nowhere, (zones, ())))
    return tuple(found)


def requests(spec: Mapping[str, Any], status: Mapping[str, Any], where: str) -> dict[str, int]:
    """Return what the scheduler counts for a pod: millicores of cpu, whole units of the rest.

    The greatest of what runs together: all containers and sidecars, or one init container beside
    the sidecars started before it; with the overhead on top.
    """
    actual = {
        text(item, "name", where): mapped(item, "allocatedResources", where)
        for item in objects(status, "containerStatuses", where)
    }
    total: dict[str, int] = {}
    for item in objects(spec, "containers", where):
        name = text(item, "name", where)
        need = _container(item, f"{where}: container {name}")
        held = _amounts(actual.get(name, {}), f"{where}: container {name}")
        for key in need | held:
            total[key] = total.get(key, 0) + max(need.get(key, 0), held.get(key, 0))
    peak: dict[str, int] = {}
    sidecars: dict[str, int] = {}
    for item in objects(spec, "initContainers", where):
        need = _container(item, f"{where}: init container {text(item, 'name', where)}")
        if item.get("restartPolicy") == "Always":
            for key, amount in need.items():
                sidecars[key] = sidecars.get(key, 0) + amount
            need = {}
        for key in need | sidecars:
            peak[key] = max(peak.get(key, 0), need.get(key, 0) + sidecars.get(key, 0))
    for key, amount in sidecars.items():
        total[key] = total.get(key, 0) + amount
    found = {key: max(total.get(key, 0), peak.get(key, 0)) for key in total | peak}
    # Requests of the pod as a whole replace the sums.
    found |= _amounts(
        mapped(mapped(spec, "resources", where), "requests", where), f"{where}: resources"
    )
    for key, amount in _amounts(mapped(spec, "overhead", where), f"{where}: overhead").items():
        found[key] = found.get(key, 0) + amount
    return found


def _container(item: Mapping[str, Any], where: str) -> dict[str, int]:
    resources = mapped(item, "resources", where)
    limits = mapped(resources, "limits", where)
    return _amounts(limits | mapped(resources, "requests", where), where)


def _amounts(data: Mapping[str, Any], where: str) -> dict[str, int]:
    return {
        key: quantity(value, f"{where}: {key}", scale=1000 if key == "cpu" else 1)
        for key, value in data.items()
    }


@dataclass
class Pod:
    """A pod as far as packing goes; see the fields of `PodPacking`."""

    name: str
    namespace: str
    labels: dict[str, str]
    spec: dict[str, Any]
    node: str
    request: dict[str, int]
    where: Where
    movable: bool
    ports: list[tuple[str, str, int]]
    version: str
    owner: str
    priority: int = 0
    never_preempts: bool = False
    claims: list[str] = field(default_factory=list)
    #: Whether it terminates: it holds its room, but does not count for topology spread.
    leaving: bool = False

    @property
    def label(self) -> str:
        """Return ``namespace/name``."""
        return f"{self.namespace}/{self.name}"


def read_pod(data: Mapping[str, Any], refuse: Callable[[str, str], None]) -> Pod | None:
    """Return a pod; None where it has ended, or goes before it was placed.

    `refuse` is told (a name for ``assume_ignored``, what it is) of constraints not understood.
    """
    meta = mapped(data, "metadata", "pod")
    namespace = text(meta, "namespace", "pod", "default")
    name = text(meta, "name", "pod")
    where = f"pod {namespace}/{name}"
    if not name:
        raise InputError("a pod without a name")
    spec, status = mapped(data, "spec", where), mapped(data, "status", where)
    node = text(spec, "nodeName", where)
    leaving = meta.get("deletionTimestamp") is not None
    if text(status, "phase", where) in ("Succeeded", "Failed") or (leaving and not node):
        return None
    annotations = labels(meta, "annotations", where)
    owners = objects(meta, "ownerReferences", where)
    controller = next((o for o in owners if o.get("controller")), owners[0] if owners else {})
    kind = text(controller, "kind", where)
    stuck = (
        leaving
        or kind in ("", "DaemonSet", "Node")
        or "kubernetes.io/config.mirror" in annotations
        or annotations.get("cluster-autoscaler.kubernetes.io/safe-to-evict") == "false"
        or any("hostPath" in volume for volume in objects(spec, "volumes", where))
    )
    claims = [
        text(mapped(volume, "persistentVolumeClaim", where), "claimName", where)
        for volume in objects(spec, "volumes", where)
        if "persistentVolumeClaim" in volume
    ]
    if any("ephemeral" in volume for volume in objects(spec, "volumes", where)):
        claims += [
            f"{name}-{text(volume, 'name', where)}"
            for volume in objects(spec, "volumes", where)
            if "ephemeral" in volume
        ]
    _refuse_unknown(spec, where, refuse)
    if spec.get("resourceClaims"):
        refuse("resourceClaims", f"{where}: resourceClaims (dynamic resource allocation)")
    return Pod(
        name=name,
        namespace=namespace,
        labels=labels(meta, "labels", where),
        spec={key: spec[key] for key in KEPT if key in spec},
        node=node,
        request=requests(spec, status, where),
        where=_where(spec, where),
        movable=not (node and stuck),
        ports=_ports(spec, where),
        version=text(meta, "resourceVersion", where),
        owner=f"{kind}/{text(controller, 'name', where)}" if kind else "",
        claims=claims,
        leaving=leaving,
    )


def _refuse_unknown(
    spec: Mapping[str, Any], where: str, refuse: Callable[[str, str], None]
) -> None:
    """Refuse volumes and affinities that are not understood."""
    for volume in objects(spec, "volumes", where):
        for kind in sorted(volume.keys() - VOLUMES - {"name"}):
            refuse("volumes", f"{where}: volume {text(volume, 'name', where)} of kind {kind}")
    affinity = mapped(spec, "affinity", where)
    for part in affinity:
        if part not in AFFINITIES:
            refuse("affinity", f"{where}: affinity: {shown(part)}")
            continue
        for moment in sorted(mapped(affinity, part, where).keys() - set(MOMENTS)):
            refuse("affinity", f"{where}: {part}: {shown(moment)}")


def _where(spec: Mapping[str, Any], where: str) -> Where:
    gates = [text(item, "name", where) for item in objects(spec, "schedulingGates", where)]
    scheduler = text(spec, "schedulerName", where, "default-scheduler")
    affinity = mapped(mapped(spec, "affinity", where), "nodeAffinity", where)
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    terms: tuple[tuple[NodeTerm, ...], ...] = ()
    if required is not None:
        if not isinstance(required, dict):
            raise InputError(f"{where}: node affinity: expected an object, not {shown(required)}")
        terms = (node_terms(required, f"{where}: node affinity"),)
    tolerations = []
    for item in objects(spec, "tolerations", where):
        operator = text(item, "operator", where, "Equal") or "Equal"
        if operator not in ("Equal", "Exists"):
            raise InputError(f"{where}: toleration operator {shown(operator)} is not understood")
        tolerations.append(
            (text(item, "key", where), operator, text(item, "value", where),
             text(item, "effect", where))
        )  # fmt: skip
    return Where(
        tuple(sorted(labels(spec, "nodeSelector", where).items())),
        terms,
        tuple(sorted(tolerations)),
        gates=tuple(sorted(gates)),
        scheduler="" if scheduler == "default-scheduler" else scheduler,
    )


def _ports(spec: Mapping[str, Any], where: str) -> list[tuple[str, str, int]]:
    """Return the host ports as (protocol, address, port); no address means all."""
    found = []
    on_host = spec.get("hostNetwork") is True
    containers = objects(spec, "containers", where) + [
        item for item in objects(spec, "initContainers", where)
        if item.get("restartPolicy") == "Always"
    ]  # fmt: skip
    for item in containers:
        for port in objects(item, "ports", where):
            number = whole(port, "hostPort", where, 0)
            if on_host:
                number = number or whole(port, "containerPort", where, 0)
            if number:
                address = text(port, "hostIP", where)
                wildcard = address in ("", "0.0.0.0")  # not "::", for the scheduler
                protocol = text(port, "protocol", where, "TCP")
                found.append((protocol, "" if wildcard else address, number))
    return found
