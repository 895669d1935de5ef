"""Rules between pods of Kubernetes: affinity, anti-affinity, spread and disruption budgets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from optsched.core import InputError
from optsched.numbers import shown
from optsched.problems.pod_packing.kube_fields import (
    Requirement,
    mapped,
    objects,
    satisfies,
    selector,
    text,
    texts,
    whole,
)
from optsched.problems.pod_packing.kube_nodes import Node
from optsched.problems.pod_packing.kube_pods import Pod
from optsched.problems.pod_packing.terms import Budget, Term

Selector = tuple[Requirement, ...]
Refuse = Callable[[str, str], None]


class Index:
    """Pods by namespace and label, so that a selector looks at few of them."""

    def __init__(self, pods: Sequence[Pod], namespaces: Mapping[str, Mapping[str, str]]) -> None:
        self.pods = pods
        self.namespaces = namespaces
        self.by_namespace: dict[str, list[int]] = {}
        self._by_label: dict[tuple[str, str, str], list[int]] = {}
        for k, pod in enumerate(pods):
            self.by_namespace.setdefault(pod.namespace, []).append(k)
            for key, value in pod.labels.items():
                self._by_label.setdefault((pod.namespace, key, value), []).append(k)
        self._known: dict[tuple[Selector, str], list[int]] = {}

    def matching(self, needs: Selector | None, namespace: str) -> list[int]:
        """Return the pods of a namespace that a selector takes; None takes none."""
        if needs is None:
            return []
        key = (needs, namespace)
        if key not in self._known:
            pods = self.by_namespace.get(namespace, [])
            for name, operator, values in needs:
                if operator == "In":
                    lists = [self._by_label.get((namespace, name, v), []) for v in values]
                    fewer = [pod for each in lists for pod in each]
                    pods = fewer if len(fewer) < len(pods) else pods
            self._known[key] = sorted(
                {k for k in pods if all(satisfies(self.pods[k].labels, need) for need in needs)}
            )
        return self._known[key]


class Terms:
    """Collects the rules between pods; those of one kind over the same pods become one term."""

    def __init__(self, index: Index, nodes: Sequence[Node], refuse: Refuse) -> None:
        self._index = index
        self._nodes = nodes
        self._refuse = refuse
        self._owners: dict[tuple[Any, ...], list[int]] = {}

    def add(self, k: int) -> None:
        """Take the rules of pod `k`."""
        pod = self._index.pods[k]
        affinity = mapped(pod.spec, "affinity", pod.label)
        field = "requiredDuringSchedulingIgnoredDuringExecution"
        reach = [
            self._reach(pod, item)
            for item in objects(mapped(affinity, "podAffinity", pod.label), field, pod.label)
        ]
        # A pod that is wanted has to match all terms, in whichever domain each looks for it.
        matching = tuple(dict.fromkeys(where for _, where in reach))
        keys = tuple(sorted({key for key, _ in reach}))
        for key in dict.fromkeys(key for key, _ in reach):
            self._own(k, ("affinity", key, matching, 1, 1, keys))
        for item in objects(mapped(affinity, "podAntiAffinity", pod.label), field, pod.label):
            key, where = self._reach(pod, item)
            self._own(k, ("anti_affinity", key, (where,), 1, 1, None))
        hard = [
            item
            for item in objects(pod.spec, "topologySpreadConstraints", pod.label)
            if _is_hard(item, f"pod {pod.label}: topology spread")
        ]
        keys = tuple(sorted({text(item, "topologyKey", pod.label) for item in hard}))
        for item in hard:
            self._own(k, self._spread(pod, item, keys))

    def _own(self, k: int, rule: tuple[Any, ...]) -> None:
        self._owners.setdefault(rule, []).append(k)

    def _reach(self, pod: Pod, item: Mapping[str, Any]) -> tuple[str, tuple[Any, ...]]:
        """Return topology key, and selector with namespaces, of an affinity term."""
        where = f"pod {pod.label}: pod (anti-)affinity"
        key = text(item, "topologyKey", where)
        if not key:
            raise InputError(f"{where}: topologyKey is missing")
        needs = selector(item.get("labelSelector"), where)
        for name, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")):
            needs = _with_keys(needs, texts(item, name, where), pod, operator)
        spaces = set(texts(item, "namespaces", where))
        chosen = item.get("namespaceSelector")
        if chosen is not None:
            wanted = selector(chosen, where) or ()
            if wanted and not self._index.namespaces:
                self._refuse("namespaceSelector", f"{where}: namespaceSelector without Namespaces")
            known = self._index.namespaces
            spaces |= {
                space
                for space in {*known, *self._index.by_namespace}
                if all(satisfies(known.get(space, {}), need) for need in wanted)
            }
        elif not spaces:
            spaces = {pod.namespace}
        return key, (needs, tuple(sorted(spaces)))

    def _spread(self, pod: Pod, item: Mapping[str, Any], keys: tuple[str, ...]) -> tuple[Any, ...]:
        where = f"pod {pod.label}: topology spread"
        key = text(item, "topologyKey", where)
        if not key:
            raise InputError(f"{where}: topologyKey is missing")
        needs = _with_keys(
            selector(item.get("labelSelector"), where),
            texts(item, "matchLabelKeys", where), pod, "In",
        )  # fmt: skip
        affinity = text(item, "nodeAffinityPolicy", where, "Honor")
        taints = text(item, "nodeTaintsPolicy", where, "Ignore")
        for policy in (affinity, taints):
            if policy not in ("Honor", "Ignore"):
                raise InputError(f"{where}: policy {shown(policy)} is not understood")
        counted = (
            keys,
            (pod.where.selector, pod.where.terms) if affinity == "Honor" else None,
            pod.where.tolerations if taints == "Honor" else None,
        )
        return (
            "spread", key, ((needs, (pod.namespace,)),), whole(item, "maxSkew", where, 1),
            whole(item, "minDomains", where, 1), counted,
        )  # fmt: skip

    def found(self, keys: Sequence[str]) -> list[Term]:
        """Return the terms; `keys` are the topology keys that were made."""
        terms = []
        for parts, owners in self._owners.items():
            kind, key, matching, skew, least, counted = parts
            assert key in keys
            targets = self._targets(matching)
            nodes = None
            if kind == "affinity":
                nodes = self._with_any(counted)
            elif counted is not None:
                pods = self._index.pods
                targets = [k for k in targets if not pods[k].leaving]
                nodes = self._counted(pods[owners[0]], *counted)
            terms.append(
                Term(kind, key, np.array(owners), np.array(targets, dtype=np.int64),
                     skew, least, nodes)
            )  # fmt: skip
        return terms

    def _targets(self, matching: Sequence[tuple[Selector | None, Sequence[str]]]) -> list[int]:
        """Return the pods that each selector, in its namespaces, matches; ascending."""
        found = [
            {k for space in spaces for k in self._index.matching(needs, space)}
            for needs, spaces in matching
        ]
        return sorted(set.intersection(*found))

    def _with_any(self, keys: Sequence[str]) -> Any:
        """Return the nodes with one of the keys at least; None where all have one."""
        found = [n for n, node in enumerate(self._nodes) if any(k in node.labels for k in keys)]
        return None if len(found) == len(self._nodes) else np.array(found, dtype=np.int64)

    def _counted(self, pod: Pod, keys: Sequence[str], affinity: Any, taints: Any) -> Any:
        """Return the nodes whose domains and pods count: those that have all keys, for one."""
        return np.array(
            [
                n
                for n, node in enumerate(self._nodes)
                if all(key in node.labels for key in keys)
                and (affinity is None or pod.where.selects(node.labels, node.name))
                and (taints is None or all(pod.where.tolerates(*t) for t in node.taints))
            ],
            dtype=np.int64,
        )

    def keys(self) -> list[str]:
        """Return the topology keys in use."""
        return sorted({parts[1] for parts in self._owners})


def _is_hard(item: Mapping[str, Any], where: str) -> bool:
    """Return whether a topology spread constraint is more than a preference."""
    what = text(item, "whenUnsatisfiable", where, "DoNotSchedule")
    if what not in ("DoNotSchedule", "ScheduleAnyway"):
        raise InputError(f"{where}: whenUnsatisfiable {shown(what)} is not understood")
    return what == "DoNotSchedule"


def _with_keys(
    needs: Selector | None, keys: Sequence[str], pod: Pod, operator: str
) -> Selector | None:
    if needs is None:
        return None
    own = [(key, operator, (pod.labels[key],)) for key in keys if key in pod.labels]
    return tuple(sorted({*needs, *own}))


def topology(nodes: Sequence[Node], keys: Sequence[str]) -> dict[str, list[int]]:
    """Return the domain of every node for each topology key, -1 where it lacks the label."""
    found = {}
    for key in keys:
        number: dict[str, int] = {}
        found[key] = [
            number.setdefault(node.labels[key], len(number)) if key in node.labels else -1
            for node in nodes
        ]
    return found


def budgets(data: Sequence[Mapping[str, Any]], index: Index) -> list[Budget]:
    """Return the disruption budgets with the pods that they cover."""
    found = []
    for item in data:
        meta = mapped(item, "metadata", "PodDisruptionBudget")
        namespace = text(meta, "namespace", "PodDisruptionBudget", "default")
        name = f"{namespace}/{text(meta, 'name', 'PodDisruptionBudget')}"
        where = f"PodDisruptionBudget {name}"
        status = mapped(item, "status", where)
        if "disruptionsAllowed" not in status:
            raise InputError(f"{where}: status.disruptionsAllowed is missing")
        allowed = whole(status, "disruptionsAllowed", where, 0)
        if allowed < 0:
            raise InputError(f"{where}: disruptionsAllowed {allowed} is negative")
        needs = selector(mapped(item, "spec", where).get("selector"), where)
        pods = np.array(index.matching(needs, namespace), dtype=np.int64)
        found.append(Budget(pods, allowed, name))
    return found
