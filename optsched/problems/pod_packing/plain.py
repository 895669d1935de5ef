"""Plain data: what stands in a JSON file, and the same cluster with other goals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from optsched.core import InputError
from optsched.numbers import integers, is_row, shown

if TYPE_CHECKING:
    from optsched.problems.pod_packing.problem import PodPacking

FIELDS = (
    "capacity", "request", "priority", "current", "movable", "never_preempts", "node_class",
    "pod_class", "eligible", "refusals", "refused", "tokens", "topology", "terms", "budgets",
    "resources", "nodes", "pods", "versions", "owners", "order", "then", "slot", "price",
    "migration_limit", "host", "spans", "ignored", "name",
)  # fmt: skip
#: Truth values of which files list the exceptions alone, with the value of all others.
COMMON = {"movable": True, "never_preempts": False, "spans": False}
GOALS = ("order", "then", "slot", "price", "migration_limit")


def to_dict(problem: PodPacking) -> dict[str, Any]:
    """Return the instance as plain data; fields at their default are left out."""
    data: dict[str, Any] = {
        "optsched": "problem",
        "family": problem.family,
        "name": problem.name,
        "capacity": problem.capacity.tolist(),
        "request": problem.request.tolist(),
    }
    for key, default in (("priority", 0), ("current", -1), ("pod_class", 0), ("node_class", 0)):
        array = getattr(problem, key)
        if (array != default).any():
            data[key] = array.tolist()
    for key, usual in COMMON.items():
        if (odd := np.flatnonzero(getattr(problem, key) != usual)).size:
            data[key] = {"except": odd.tolist()}
    if not problem.eligible.all():
        data["eligible"] = problem.eligible.tolist()
    if problem.refusals:
        data["refusals"] = [refusal.to_dict() for refusal in problem.refusals]
        data["refused"] = problem.refused.tolist()
    if problem.token_names:
        pods, token = problem.token_pairs.T
        data["tokens"] = {
            name: pods[token == k].tolist() for k, name in enumerate(problem.token_names)
        }
    if problem.topology_keys:
        data["topology"] = dict(zip(problem.topology_keys, problem.topology.tolist(), strict=True))
    if problem.terms:
        data["terms"] = [term.to_dict() for term in problem.terms]
    if problem.budgets:
        data["budgets"] = [budget.to_dict() for budget in problem.budgets]
    for key in ("resources", "nodes", "pods", "versions", "owners"):
        if getattr(problem, key) is not None:
            data[key] = list(getattr(problem, key))
    if problem.order != "interleaved":
        data["order"] = problem.order
    for key in ("then", "ignored"):
        if getattr(problem, key):
            data[key] = list(getattr(problem, key))
    for key in ("slot", "price"):
        if getattr(problem, key).any() or (key == "price" and "cost" in problem.then):
            data[key] = getattr(problem, key).tolist()
    if problem.migration_limit is not None:
        data["migration_limit"] = problem.migration_limit
    if (problem.host != np.arange(problem.n_nodes)).any():
        data["host"] = problem.host.tolist()
    return data


def with_goals(problem: PodPacking, changes: Mapping[str, Any]) -> PodPacking:
    """Return the same cluster with other goals; see `PodPacking.with_goals`."""
    if unknown := sorted(changes.keys() - set(GOALS)):
        raise InputError(f"unknown goal field {shown(unknown[0])}: one of {', '.join(GOALS)}")
    arguments = constructor_arguments(problem.to_dict())
    return type(problem)(**(arguments | dict(changes)))


def constructor_arguments(data: Any) -> dict[str, Any]:
    """Return the constructor's arguments from the plain data of a JSON file."""
    if not isinstance(data, Mapping):
        raise InputError("expected a JSON object")
    if data.get("family", "pod_packing") != "pod_packing":
        raise InputError(f"family {shown(data['family'])} is not pod_packing")
    arguments = {key: value for key, value in data.items() if key not in ("optsched", "family")}
    if unknown := sorted(map(str, arguments.keys() - set(FIELDS))):
        raise InputError(f"unknown field {shown(unknown[0])}: one of {', '.join(FIELDS)}")
    for key in ("capacity", "request"):
        if key not in arguments:
            raise InputError(f"field {key!r} is missing")
    if not isinstance(arguments.get("name", ""), str):
        raise InputError("field 'name' must be text")
    for key, usual in COMMON.items():
        count = len(arguments["request"]) if is_row(arguments["request"]) else 0
        value = arguments.get(key)
        if isinstance(value, Mapping) and set(value) == {"except"}:
            rest = np.full(count, usual)
            at = value["except"]
            if not is_row(at):
                raise InputError(f"{key}: expected a list of pods")
            chosen = integers(at, key) if len(at) else np.zeros(0, dtype=np.int64)
            if ((chosen < 0) | (chosen >= count)).any() or chosen.ndim != 1:
                raise InputError(f"{key}: there is no such pod")
            rest[chosen] = not usual
            arguments[key] = rest
    return arguments
