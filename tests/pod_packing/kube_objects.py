"""Kubernetes objects as ``kubectl get -o json`` writes them, as small as they can be."""

from __future__ import annotations

from typing import Any


def node(name: str, cpu: Any = "4", memory: Any = "8Gi", **extra: Any) -> dict[str, Any]:
    """Return a node; `labels`, `taints`, `unschedulable`, `ready`, `allocatable` may be given."""
    labels = {"kubernetes.io/hostname": name} | extra.get("labels", {})
    spec = {key: extra[key] for key in ("taints", "unschedulable") if key in extra}
    allocatable = {"cpu": cpu, "memory": memory, "pods": "110"} | extra.get("allocatable", {})
    ready = "True" if extra.get("ready", True) else "False"
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, "resourceVersion": "7"},
        "spec": spec,
        "status": {
            "allocatable": allocatable,
            "conditions": [{"type": "Ready", "status": ready}],
        },
    }


def pod(
    name: str, cpu: Any = "1", memory: Any = "1Gi", at: str = "", **extra: Any
) -> dict[str, Any]:
    """Return a pod on node `at`; what else is given goes into its spec, `labels` apart."""
    labels = extra.pop("labels", {"app": name})
    meta = {
        "name": name,
        "namespace": extra.pop("namespace", "default"),
        "labels": labels,
        "resourceVersion": "11",
        "ownerReferences": [{"kind": "ReplicaSet", "name": f"rs-{name}", "controller": True}],
    } | extra.pop("meta", {})
    status = {"phase": "Running" if at else "Pending"} | extra.pop("status", {})
    spec = {
        "containers": [{"name": "main", "resources": {"requests": {"cpu": cpu, "memory": memory}}}],
        **({"nodeName": at} if at else {}),
        **extra,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec, "status": status}


def cluster(*items: dict[str, Any]) -> dict[str, Any]:
    """Return a List."""
    return {"apiVersion": "v1", "items": list(items), "kind": "List", "metadata": {}}


def affinity(kind: str, label: str, key: str = "kubernetes.io/hostname") -> dict[str, Any]:
    """Return the affinity of a pod towards ``app=label``."""
    term = {"topologyKey": key, "labelSelector": {"matchLabels": {"app": label}}}
    return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def budget(name: str, app: str, allowed: int) -> dict[str, Any]:
    """Return a disruption budget of the pods with ``app=...``."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": app}}},
        "status": {"disruptionsAllowed": allowed},
    }
