"""From what a person writes to checked arrays; every message names the memory or operator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from optsched.core import MAX_TIME, InputError, IntArray
from optsched.numbers import integer, integers, is_row, shown
from optsched.problems.scratchpad.graph import OperatorGraph

#: Capacity of a memory that holds everything.
UNLIMITED = MAX_TIME

FIELDS = ("graph", "tiers", "dma_bandwidth", "compute", "order", "name")


def tiers(values: Any) -> tuple[tuple[str, ...], IntArray, IntArray]:
    """Return names, bandwidths and capacities of the memories, main memory first."""
    if not is_row(values) or not len(values):
        raise InputError("tiers: expected a list of (name, bandwidth, capacity), main memory first")
    names: list[str] = []
    bandwidth, capacity = [], []
    for k, value in enumerate(values):
        row = _fields(value, f"tier {k}")
        if not isinstance(row[0], str) or row[0] in names:
            raise InputError(f"tier {k}: the name {shown(row[0])} is no text, or taken")
        where = f"tier {shown(row[0])}"
        names.append(row[0])
        bandwidth.append(positive(row[1], f"{where}: bandwidth"))
        room = row[2] if len(row) > 2 else None
        if k == 0 and room is not None:
            raise InputError(
                f"{where}: main memory, the first tier, holds everything: capacity None"
            )
        if k and room is None:
            raise InputError(f"{where}: a capacity is needed, bytes")
        size = UNLIMITED if room is None else integer(room, f"{where}: capacity")
        if size < 0:
            raise InputError(f"{where}: capacity {size} is negative")
        capacity.append(size)
    return tuple(names), np.array(bandwidth, dtype=np.int64), np.array(capacity, dtype=np.int64)


def _fields(value: Any, where: str) -> list[Any]:
    if isinstance(value, Mapping):
        known = ("name", "bandwidth", "capacity")
        if unknown := sorted(map(str, value.keys() - set(known))):
            raise InputError(f"{where}: unknown field {shown(unknown[0])}")
        if not {"name", "bandwidth"} <= value.keys():
            raise InputError(f"{where}: name and bandwidth are needed")
        return [value.get(field) for field in known]
    if not is_row(value) or len(value) not in (2, 3):
        raise InputError(f"{where}: expected (name, bandwidth, capacity), not {shown(value)}")
    return list(value)


def positive(value: Any, where: str) -> int:
    """Return a whole number of at least 1."""
    number = integer(value, where)
    if number < 1:
        raise InputError(f"{where}: {number} is less than 1")
    return number


def compute(values: Any, graph: OperatorGraph) -> IntArray:
    """Return the time that each operator computes, shape (n_operators,)."""
    n = graph.n_operators
    if values is None:
        return np.zeros(n, dtype=np.int64)
    if not is_row(values):
        raise InputError(f"compute: expected a list, one time an operator, not {shown(values)}")
    array = integers(values, "compute", lambda i: f"compute: operator {i}")
    if array.shape != (n,):
        raise InputError(f"compute: expected {n} times, one an operator")
    if (array < 0).any():
        i = int(np.argmax(array < 0))
        raise InputError(f"operator {shown(graph.names[i])}: compute time {array[i]} is negative")
    return array.copy()


def constructor_arguments(data: Any, family: str) -> dict[str, Any]:
    """Return the constructor's arguments from the plain data of a JSON file."""
    if not isinstance(data, Mapping):
        raise InputError("expected a JSON object")
    if data.get("family", family) != family:
        raise InputError(f"family {shown(data['family'])} is not {family}")
    arguments = {key: value for key, value in data.items() if key not in ("optsched", "family")}
    if unknown := sorted(map(str, arguments.keys() - set(FIELDS))):
        raise InputError(f"unknown field {shown(unknown[0])}: one of {', '.join(FIELDS)}")
    for field in FIELDS[:3]:
        if field not in arguments:
            raise InputError(f"field {field!r} is missing")
    if not isinstance(arguments.get("name", ""), str):
        raise InputError("field 'name' must be text")
    return arguments
