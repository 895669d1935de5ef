"""Rules between pods: (anti-)affinity and spread over topology domains, disruption budgets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from optsched.core import InputError, IntArray
from optsched.numbers import integer, integers, is_row, shown

KINDS = ("affinity", "anti_affinity", "spread")
_TERM_KEYS = ("kind", "key", "owners", "targets", "max_skew", "min_domains", "nodes")


@dataclass(frozen=True, eq=False)
class Term:
    """One required rule over the domains of a topology key, such as the zones.

    A pod is *new* in a solution where it is on another node than before. Rules are judged when a
    pod is placed, so pods that stay where they are break none by themselves.

    ``affinity``: a new owner shares its domain with another target, unless it is a target itself
    and the only one placed on `nodes`. ``anti_affinity``: a new owner shares its domain with no
    other target, and a new target with no other owner. ``spread``: in the domain of a new owner
    there are at most `max_skew` more targets than in the domain that has the fewest.

    Attributes
    ----------
    kind : str
        ``"affinity"``, ``"anti_affinity"`` or ``"spread"``.
    key : str
        Topology key. A node without it takes no new owner of ``affinity`` and ``spread``.
    owners, targets : ndarray of int64
        Pods that state the rule, and pods that it looks at, ascending.
    max_skew, min_domains : int
        Of ``spread``. With fewer than `min_domains` domains the fewest targets count as 0.
    nodes : ndarray of int64 or None
        Of ``spread``: the nodes whose domains and pods count (None: all that have the key); of
        ``affinity``: the nodes whose pods count where an owner is the first (None: all).
    """

    kind: str
    key: str
    owners: IntArray
    targets: IntArray
    max_skew: int = 1
    min_domains: int = 1
    nodes: IntArray | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the term as plain data."""
        data: dict[str, Any] = {
            "kind": self.kind,
            "key": self.key,
            "owners": self.owners.tolist(),
            "targets": self.targets.tolist(),
        }
        if self.kind == "spread":
            data |= {"max_skew": self.max_skew, "min_domains": self.min_domains}
        if self.nodes is not None:
            data["nodes"] = self.nodes.tolist()
        return data


@dataclass(frozen=True, eq=False)
class Budget:
    """A disruption budget: at no moment are more than `allowed` of its running pods away.

    Attributes
    ----------
    pods : ndarray of int64
        The pods that it covers, ascending.
    allowed : int
        Disruptions allowed now, at least 0.
    name : str
        For people.
    """

    pods: IntArray
    allowed: int
    name: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the budget as plain data."""
        return {"pods": self.pods.tolist(), "allowed": self.allowed, "name": self.name}


def read_terms(values: Any, n_pods: int, n_nodes: int, keys: tuple[str, ...]) -> tuple[Term, ...]:
    """Return `values` (terms, or mappings with their fields) as checked terms."""
    found = []
    for k, value in enumerate(_listed(values, "terms")):
        where = f"term {k}"
        data = value.to_dict() if isinstance(value, Term) else value
        data = _mapping(data, _TERM_KEYS, where)
        if data.get("kind") not in KINDS:
            raise InputError(f"{where}: kind {shown(data.get('kind'))}: one of {', '.join(KINDS)}")
        if data.get("key") not in keys:
            raise InputError(f"{where}: topology key {shown(data.get('key'))} is not in topology")
        nodes = data.get("nodes")
        found.append(
            Term(
                data["kind"],
                data["key"],
                _members(data.get("owners"), n_pods, f"{where}: owners", "pod"),
                _members(data.get("targets"), n_pods, f"{where}: targets", "pod"),
                _least(data.get("max_skew", 1), 1, f"{where}: max_skew"),
                _least(data.get("min_domains", 1), 1, f"{where}: min_domains"),
                None if nodes is None else _members(nodes, n_nodes, f"{where}: nodes", "node"),
            )
        )
    return tuple(found)


def read_budgets(values: Any, n_pods: int) -> tuple[Budget, ...]:
    """Return `values` (budgets, or mappings with their fields) as checked budgets."""
    found = []
    for k, value in enumerate(_listed(values, "budgets")):
        where = f"budget {k}"
        data = value.to_dict() if isinstance(value, Budget) else value
        data = _mapping(data, ("pods", "allowed", "name"), where)
        name = data.get("name", "")
        if not isinstance(name, str):
            raise InputError(f"{where}: name {shown(name)} is no text")
        pods = _members(data.get("pods"), n_pods, f"{where}: pods", "pod")
        found.append(Budget(pods, _least(data.get("allowed"), 0, f"{where}: allowed"), name))
    return tuple(found)


def _listed(values: Any, what: str) -> list[Any]:
    if values is None:
        return []
    if not is_row(values):
        raise InputError(f"{what}: expected a list, not {shown(values)}")
    return list(values)


def _mapping(data: Any, known: tuple[str, ...], where: str) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise InputError(f"{where}: expected an object, not {shown(data)}")
    for key in data:
        if key not in known:
            raise InputError(f"{where}: unknown field {shown(key)}: one of {', '.join(known)}")
    return data


def _least(value: Any, least: int, where: str) -> int:
    number = integer(value, where)
    if number < least:
        raise InputError(f"{where}: {number} is less than {least}")
    return number


def _members(values: Any, n: int, where: str, what: str) -> IntArray:
    if not is_row(values):
        raise InputError(f"{where}: expected a list of {what}s, not {shown(values)}")
    array = np.unique(integers(values, where)) if len(values) else np.zeros(0, dtype=np.int64)
    for index in array[(array < 0) | (array >= n)].tolist():
        raise InputError(f"{where}: there is no {what} {index}")
    array.flags.writeable = False
    return array
