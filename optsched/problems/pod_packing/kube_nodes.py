"""Nodes of Kubernetes, and which pods may be placed on which of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from optsched.core import InputError, IntArray
from optsched.problems.pod_packing.kube_fields import labels, mapped, objects, text
from optsched.problems.pod_packing.kube_pods import ZONE_LABELS, NodeTerm, Where, one_holds
from optsched.problems.pod_packing.quantities import quantity
from optsched.problems.pod_packing.refusals import Refusal

#: The taint that stands for a cordon, and those that the node controller gives to nodes that are
#: not ready or not heard of.
CORDON = ("node.kubernetes.io/unschedulable", "", "NoSchedule")
NOT_READY = ("node.kubernetes.io/not-ready", "", "NoSchedule")
UNREACHABLE = ("node.kubernetes.io/unreachable", "", "NoSchedule")
#: Taints with this prefix tell of the node's state: they go when it is mended.
STATE = "node.kubernetes.io/"
#: What tells the terms of a volume's zone from those of its node affinity; see `volume_terms`.
_ZONELESS: NodeTerm = (tuple((key, "DoesNotExist", ()) for key in ZONE_LABELS), ())


@dataclass(frozen=True)
class Node:
    """A node as far as packing goes."""

    name: str
    labels: dict[str, str]
    allocatable: dict[str, int]
    taints: tuple[tuple[str, str, str], ...]
    version: str
    cordoned: bool = False


def read_node(data: Mapping[str, Any]) -> Node:
    """Return a node, with its taints that keep pods away."""
    meta = mapped(data, "metadata", "node")
    name = text(meta, "name", "node")
    if not name:
        raise InputError("a node without a name")
    where = f"node {name}"
    spec, status = mapped(data, "spec", where), mapped(data, "status", where)
    allocatable = mapped(status, "allocatable", where) or mapped(status, "capacity", where)
    if not allocatable:
        raise InputError(f"{where}: status.allocatable is missing")
    taints = [
        (text(item, "key", where), text(item, "value", where), text(item, "effect", where))
        for item in objects(spec, "taints", where)
    ]
    cordoned = spec.get("unschedulable") is True
    if cordoned and CORDON not in taints:
        taints.append(CORDON)
    conditions = {
        text(item, "type", where): text(item, "status", where)
        for item in objects(status, "conditions", where)
    }
    if (status_of := conditions.get("Ready", "True")) != "True":
        taint = NOT_READY if status_of == "False" else UNREACHABLE
        taints += [taint] if taint not in taints else []
    for _, _, effect in taints:
        if effect not in ("NoSchedule", "NoExecute", "PreferNoSchedule"):
            raise InputError(f"{where}: taint effect {effect!r} is not understood")
    return Node(
        name=name,
        labels=labels(meta, "labels", where),
        allocatable={
            key: quantity(value, f"{where}: allocatable {key}", scale=1000 if key == "cpu" else 1)
            for key, value in allocatable.items()
        },
        taints=tuple(sorted(taint for taint in taints if taint[2] != "PreferNoSchedule")),
        version=text(meta, "resourceVersion", where),
        cordoned=cordoned,
    )


def refusal(node: Node, pod: Where) -> Refusal | None:
    """Return why a pod may not be placed on a node, room and other pods apart; None where it may.

    The reason is the first that the scheduler finds, in the order of its plugins; the remedies are
    for all there are.
    """
    found: list[tuple[str, str]] = []
    remedies: dict[str, None] = {}
    if pod.gates:
        found.append(("pod", "Scheduling is blocked due to non-empty scheduling gates"))
        gates = "gate" if len(pod.gates) == 1 else "gates"
        remedies[f"remove its scheduling {gates} {', '.join(pod.gates)}"] = None
    if pod.scheduler:
        found.append(("pod", f"Pod is left to the scheduler {pod.scheduler}"))
        text = f"look into the scheduler {pod.scheduler}, or make it anew for default-scheduler"
        remedies[text] = None
    taints = [taint for taint in node.taints if not pod.tolerates(*taint)]
    if node.cordoned and CORDON in taints:
        taints.remove(CORDON)
        found.append(("node", "node(s) were unschedulable"))
        remedies["uncordon {node}"] = None
    for key, value, effect in taints:
        found.append(("node", f"node(s) had untolerated taint {{{key}: {value}}}"))
        remedies[_taint_remedy(key, value, effect)] = None
    missing = [(k, v) for k, v in pod.selector if node.labels.get(k) != v]
    unmet = [each for each in pod.terms if not one_holds(each, node.labels, node.name)]
    if missing or unmet:
        found.append(("node", "node(s) didn't match Pod's node affinity/selector"))
    for key, value in missing:
        # Labels of Kubernetes itself say what a node is; those of users what it is for.
        known = key.partition("/")[0].endswith("kubernetes.io")
        text = f"drop {key}={value} from its node selector"
        remedies[text if known else f"label {{node}} {key}={value}"] = None
    if unmet:
        remedies["let its node affinity admit {node}"] = None
    far = [each for each in pod.volumes if not one_holds(each, node.labels, node.name)]
    for each in sorted(far, key=lambda terms: _ZONELESS in terms):
        zoned = _ZONELESS in each
        text = "no available volume zone" if zoned else "volume node affinity conflict"
        found.append(("volume", f"node(s) had {text}"))
    if not found:
        return None
    stage, reason = found[0]
    # Nothing brings a volume to a node.
    return Refusal(reason, () if far else tuple(remedies), stage)


def _taint_remedy(key: str, value: str, effect: str) -> str:
    if key in (NOT_READY[0], UNREACHABLE[0]):
        return "bring {node} back to Ready"
    if key.startswith(STATE):
        return f"clear {key} on {{node}}"
    return f"let it tolerate {key}{'=' * bool(value)}{value}:{effect} of {{node}}"


def refused_classes(
    nodes: Sequence[Node], wheres: Sequence[Where]
) -> tuple[IntArray, IntArray, list[Refusal]]:
    """Return the class of every node, what keeps `wheres` (rows) off them (columns), and why.

    The numbers of the table count in the list; -1 is for a class that admits the pods. Nodes are
    of one class when no rule tells them apart, so that the table stays small.
    """
    keys = sorted({key for where in wheres for key in where.label_keys()})
    named = sorted(
        {
            value
            for where in wheres
            for each in where.terms + where.volumes
            for _, fields in each
            for _, _, values in fields
            for value in values
        }
    )
    names = frozenset(named)
    number: dict[tuple[Any, ...], int] = {}
    first: list[Node] = []
    node_class = np.zeros(len(nodes), dtype=np.int64)
    for k, node in enumerate(nodes):
        signature = (
            tuple(node.labels.get(key) for key in keys),
            node.taints,
            node.cordoned,
            node.name if node.name in names else "",
        )
        if signature not in number:
            number[signature] = len(number)
            first.append(node)
        node_class[k] = number[signature]
    refusals: dict[Refusal | None, int] = {None: -1}
    table = np.zeros((len(wheres), len(first)), dtype=np.int64)
    for i, where in enumerate(wheres):
        for j, node in enumerate(first):
            table[i, j] = refusals.setdefault(refusal(node, where), len(refusals) - 1)
    return node_class, table, [each for each in refusals if each is not None]
