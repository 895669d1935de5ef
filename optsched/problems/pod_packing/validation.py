"""From what a person writes to checked flat arrays; every message names the pod or node at fault.

Pods and nodes count from 0 where they have no names.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from optsched.core import MAX_TIME, BoolArray, InputError, IntArray
from optsched.numbers import integer, integers, is_row, shown

Namer = Callable[[int], str]


def names(
    values: Any, count: int | None, what: str, *, unique: bool = True
) -> tuple[str, ...] | None:
    """Return names as a tuple of text, all different if `unique`; None where there are none."""
    if values is None:
        return None
    if not is_row(values):
        raise InputError(f"{what}: expected a list of names, not {shown(values)}")
    found = tuple(values)
    for value in found:
        if not isinstance(value, str):
            raise InputError(f"{what}: the name {shown(value)} is no text")
    if count is not None and len(found) != count:
        raise InputError(f"{what}: expected {count} names, got {len(found)}")
    if unique and len(set(found)) != len(found):
        seen: set[str] = set()
        twice = next(name for name in found if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise InputError(f"{what}: the name {shown(twice)} stands twice")
    return found


def amounts(values: Any, what: str, name: Namer, resources: tuple[str, ...] | None) -> IntArray:
    """Return a table of amounts, a row a node or pod and a column a resource."""
    if not is_row(values):
        raise InputError(f"{what}: expected a list of rows, not {shown(values)}")
    if not len(values):
        return np.zeros((0, len(resources or ())), dtype=np.int64)
    array = integers(values, what)
    if array.ndim != 2:
        raise InputError(f"{what}: expected a row for each, with a number for each resource")
    if resources is not None and array.shape[1] != len(resources):
        raise InputError(
            f"{what}: {array.shape[1]} columns, but there are {len(resources)} resources"
        )
    if (array < 0).any():
        row, column = np.argwhere(array < 0)[0].tolist()
        label = resources[column] if resources else f"resource {column}"
        raise InputError(f"{name(row)}: {what} {array[row, column]} of {label} is negative")
    if array.astype(float).sum(axis=0).max(initial=0.0) >= 2.0**61:
        raise InputError(f"{what}: the sum over a resource exceeds 2^61")
    return array


def per_item(
    values: Any, count: int, what: str, default: int, name: Namer, low: int, high: int
) -> IntArray:
    """Return a number each, between `low` and `high`; `default` where `values` is None."""
    if values is None:
        return np.full(count, default, dtype=np.int64)
    array = _flat(values, count, what)
    if (bad := np.flatnonzero((array < low) | (array > high))).size:
        at = int(bad[0])
        raise InputError(f"{name(at)}: {what} {array[at]} is not between {low} and {high}")
    return array


def flags(values: Any, count: int, what: str, default: bool, name: Namer) -> BoolArray:
    """Return a truth value each."""
    if values is None:
        return np.full(count, default)
    if not is_row(values) or len(values) != count:
        raise InputError(f"{what}: expected a list of {count} truth values")
    for k, value in enumerate(values):
        if not isinstance(value, bool | np.bool_):
            raise InputError(f"{name(k)}: {what} {shown(value)} is neither true nor false")
    return np.array(values, dtype=bool).reshape(count)


def eligibility(values: Any, n_pod_classes: int, n_node_classes: int) -> BoolArray:
    """Return which class of pods may be placed on which class of nodes."""
    if values is None:
        return np.ones((n_pod_classes, n_node_classes), dtype=bool)
    message = f"eligible: expected {n_pod_classes} rows of {n_node_classes} truth values"
    if not is_row(values) or len(values) < n_pod_classes:
        raise InputError(message)
    rows = []
    for row in values:
        if not is_row(row) or len(row) < n_node_classes or len(row) != len(values[0]):
            raise InputError(message)
        rows.append(flags(row, len(row), "eligible", True, lambda k: f"node class {k}"))
    return np.array(rows, dtype=bool).reshape(len(rows), -1)


def tokens(values: Any, n_pods: int, name: Namer) -> tuple[tuple[str, ...], IntArray]:
    """Return the names of exclusive tokens, and (pod, token) pairs, sorted and once each."""
    none = np.zeros((0, 2), dtype=np.int64)
    if values is None:
        return (), none
    if not isinstance(values, Mapping):
        raise InputError("tokens: expected an object of token to its pods")
    pairs = []
    for k, (token, pods) in enumerate(values.items()):
        if not isinstance(token, str):
            raise InputError(f"tokens: the name {shown(token)} is no text")
        if not is_row(pods):
            raise InputError(f"token {shown(token)}: expected a list of pods")
        array = np.unique(integers(pods, f"token {token}")) if len(pods) else none[:, 0]
        for pod in array[(array < 0) | (array >= n_pods)].tolist():
            raise InputError(f"token {shown(token)}: there is no pod {pod}")
        pairs.append(np.column_stack((array, np.full(len(array), k))))
    found = np.concatenate(pairs) if pairs else none
    return tuple(values), found[np.lexsort((found[:, 1], found[:, 0]))]


def topology(values: Any, n_nodes: int) -> tuple[tuple[str, ...], IntArray]:
    """Return topology keys and the domain of every node, -1 where it has none."""
    if values is None:
        return (), np.zeros((0, n_nodes), dtype=np.int64)
    if not isinstance(values, Mapping):
        raise InputError("topology: expected an object of key to a domain a node")
    rows = []
    for key, row in values.items():
        if not isinstance(key, str):
            raise InputError(f"topology: the key {shown(key)} is no text")
        where = f"topology {shown(key)}: domain"
        rows.append(per_item(row, n_nodes, where, -1, lambda k: f"node {k}", -1, max(0, n_nodes)))
    table = np.array(rows, dtype=np.int64).reshape(len(rows), n_nodes)
    return tuple(values), table


def _flat(values: Any, count: int, what: str) -> IntArray:
    if not is_row(values):
        raise InputError(f"{what}: expected a list, not {shown(values)}")
    array = integers(values, what) if len(values) else np.zeros(0, dtype=np.int64)
    if array.shape != (count,):
        raise InputError(f"{what}: expected a flat list of {count} numbers")
    return array


def called(function: Callable[..., Any], first: Any, second: Any, details: dict[str, Any]) -> Any:
    """Return ``function(first, second, **details)``; unknown or missing details are bad input."""
    try:
        inspect.signature(function).bind(first, second, **details)
    except TypeError as error:
        raise InputError(str(error)) from None
    return function(first, second, **details)


def limit(value: Any) -> int | None:
    """Return the migration limit, None where there is none."""
    if value is None:
        return None
    found = integer(value, "migration_limit")
    if found < 0:
        raise InputError(f"migration_limit {found} is negative")
    return found


def hosts(values: Any, n_nodes: int, name: Namer) -> tuple[IntArray, IntArray]:
    """Return the host of each node, and the first node of that host."""
    if values is None:
        own = np.arange(n_nodes)
        return own, own
    host = per_item(values, n_nodes, "host", 0, name, 0, MAX_TIME)
    _, first, inverse = np.unique(host, return_index=True, return_inverse=True)
    return host, first.astype(np.int64)[inverse.reshape(-1)]


def consistent(values: dict[str, Any], pod_name: Namer) -> None:
    """Raise `InputError` where fields contradict each other."""
    stuck = np.flatnonzero(~values["movable"] & (values["current"] < 0))
    if stuck.size:
        raise InputError(f"{pod_name(int(stuck[0]))} is immovable, but runs nowhere")
    current, first = values["current"], values["first"]
    wide = np.flatnonzero(values["spans"] & (current >= 0))
    if (wrong := wide[first[current[wide]] != current[wide]]).size:
        pod = int(wrong[0])
        raise InputError(
            f"{pod_name(pod)} spans a host: its node is {first[current[pod]]}, the host's first, "
            f"not {current[pod]}"
        )
    if len(values["token_pairs"]) and (first != np.arange(len(first))).any():
        raise InputError("tokens: exclusive tokens need hosts of one node each")
