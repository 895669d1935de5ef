"""Nodes of Kubernetes, and which pods may be placed on which of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from optsched.core import BoolArray, InputError, IntArray
from optsched.problems.pod_packing.kube_fields import labels, mapped, objects, text
from optsched.problems.pod_packing.kube_pods import Where
from optsched.problems.pod_packing.quantities import quantity

#: The taint that stands for a cordon, and those that the node controller gives to nodes that are
#: not ready or not heard of.
CORDON = ("node.kubernetes.io/unschedulable", "", "NoSchedule")
NOT_READY = ("node.kubernetes.io/not-ready", "", "NoSchedule")
UNREACHABLE = ("node.kubernetes.io/unreachable", "", "NoSchedule")


@dataclass(frozen=True)
class Node:
    """A node as far as packing goes."""

    name: str
    labels: dict[str, str]
    allocatable: dict[str, int]
    taints: tuple[tuple[str, str, str], ...]
    version: str


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
    if spec.get("unschedulable") is True and CORDON not in taints:
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
    )


def admits(node: Node, pod: Where) -> bool:
    """Return whether a pod may be placed on a node, room and other pods apart."""
    return (
        not pod.closed
        and pod.selects(node.labels, node.name)
        and all(pod.tolerates(*taint) for taint in node.taints)
    )


def eligibility(nodes: Sequence[Node], wheres: Sequence[Where]) -> tuple[IntArray, BoolArray]:
    """Return the class of every node, and which of `wheres` (rows) admit which class (columns).

    Nodes are of one class when no rule tells them apart, so that the table stays small.
    """
    keys = sorted({key for where in wheres for key in where.label_keys()})
    named = sorted(
        {
            value
            for where in wheres
            for each in where.terms
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
            node.name if node.name in names else "",
        )
        if signature not in number:
            number[signature] = len(number)
            first.append(node)
        node_class[k] = number[signature]
    table = np.zeros((len(wheres), len(first)), dtype=bool)
    for i, where in enumerate(wheres):
        table[i] = [admits(node, where) for node in first]
    return node_class, table
