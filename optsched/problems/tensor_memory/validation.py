"""From what a person writes to checked flat arrays; every message names the buffer at fault.

Buffers count from 0; those that have an id of their own are named by it as well.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from optsched.core import MAX_TIME, BoolArray, InputError, IntArray
from optsched.numbers import integer, integers, is_row, shown

COLUMNS = ("id", "alignment", "gaps", "pinned", "hint", "banks")
FIELDS = ("buffers", *COLUMNS, "alias", "capacity", "objective", "name")
#: Keys of a buffer that is written as a mapping.
KEYS = ("lower", "upper", "size", *COLUMNS)
#: Stands for "no bank capacity".
UNLIMITED = MAX_TIME

Name = Callable[[int], str]


def rows(buffers: Any) -> tuple[Any, dict[str, list[Any]]]:
    """Return ``(lower, upper, size)`` rows, and the columns that buffers as mappings hold."""
    if not is_row(buffers):
        raise InputError(f"buffers: expected a list, not {shown(buffers)}")
    if not len(buffers):
        raise InputError("there are no buffers")
    if isinstance(buffers, np.ndarray) or not any(isinstance(b, Mapping) for b in buffers):
        return buffers, {}
    plain, columns = [], {}
    for b, buffer in enumerate(buffers):
        if not isinstance(buffer, Mapping):
            raise InputError(f"buffer {b}: expected an object, as the other buffers are")
        if unknown := sorted(str(key) for key in buffer if key not in KEYS):
            known = ", ".join(KEYS)
            raise InputError(f"buffer {b}: unknown key {shown(unknown[0])}: one of {known}")
        for key in ("lower", "upper", "size"):
            if key not in buffer:
                raise InputError(f"buffer {b}: {key!r} is missing")
        plain.append([buffer["lower"], buffer["upper"], buffer["size"]])
    for key in COLUMNS:
        if any(key in buffer for buffer in buffers):
            columns[key] = [buffer.get(key) for buffer in buffers]
    return plain, columns


def names(values: Any, n: int) -> tuple[str, ...] | None:
    """Return the buffers' ids, all different; None where there are none."""
    if values is None:
        return None
    if not is_row(values) or len(values) != n:
        raise InputError(f"ids: expected a list of {n}, one a buffer")
    found: dict[str, int] = {}
    for b, value in enumerate(values):
        text = str(b if value is None else value)
        if text in found:
            raise InputError(f"id {shown(text)} belongs to buffers {found[text]} and {b}")
        found[text] = b
    return tuple(found)


def namer(ids: Sequence[str] | None) -> Name:
    """Return what calls a buffer by number and id."""

    def name(b: int) -> str:
        if ids is None or ids[b] == str(b):
            return f"buffer {b}"
        return f"buffer {b} ({shown(ids[b])})"

    return name


def lifetimes(values: Any, name: Name) -> tuple[IntArray, IntArray, IntArray]:
    """Return lower, upper and size of every buffer."""
    if not isinstance(values, np.ndarray):
        for b, row in enumerate(values):
            if not is_row(row) or len(row) != 3:
                raise InputError(f"{name(b)}: expected (lower, upper, size), not {shown(row)}")
    table = integers(values, "buffers")
    if table.ndim != 2 or table.shape[1] != 3:
        raise InputError("buffers: expected rows (lower, upper, size)")
    lower, upper, size = (np.ascontiguousarray(column) for column in table.T)
    _refuse(lower < 0, lambda b: f"{name(b)}: lower {lower[b]} is negative")
    _refuse(
        upper <= lower,
        lambda b: (
            f"{name(b)}: the lifetime [{lower[b]}, {upper[b]}) is "
            + ("empty" if upper[b] == lower[b] else "inverted")
        ),
    )
    _refuse(size < 0, lambda b: f"{name(b)}: size {size[b]} is negative")
    return lower, upper, size


def per_buffer(values: Any, n: int, what: str, default: int, least: int, name: Name) -> IntArray:
    """Return a number for each buffer; `None` stands for the default."""
    if values is None:
        return np.full(n, default, dtype=np.int64)
    if isinstance(values, int | float | np.number) and not isinstance(values, bool):
        values = [values] * n
    if not is_row(values) or len(values) != n:
        raise InputError(f"{what}: expected a list of {n}, one a buffer, or one number for all")
    if not isinstance(values, np.ndarray):
        values = [default if value is None else value for value in values]
    array = integers(values, what, lambda b: f"{name(b)}: {what}")
    if array.shape != (n,):
        raise InputError(f"{what}: expected a flat list, one entry a buffer")
    bad = (array < least) & (array != default)
    _refuse(bad, lambda b: f"{name(b)}: {what} {array[b]} is less than {least}")
    return array


def gaps(values: Any, lower: IntArray, upper: IntArray, name: Name) -> IntArray:
    """Return rows ``(buffer, lower, upper)``, sorted, merged where they touch."""
    n = len(lower)
    found: list[tuple[int, int, int]] = []
    if values is not None:
        if not is_row(values) or len(values) != n:
            raise InputError(f"gaps: expected a list of {n}, one list of (lower, upper) a buffer")
        for b, pairs in enumerate(values):
            if pairs is not None:
                found += _gaps_of(b, pairs, int(lower[b]), int(upper[b]), name(b))
    return np.array(found, dtype=np.int64).reshape(-1, 3)


def _gaps_of(b: int, pairs: Any, lower: int, upper: int, name: str) -> list[tuple[int, int, int]]:
    if not is_row(pairs):
        raise InputError(f"{name}: gaps: expected a list of (lower, upper), not {shown(pairs)}")
    known: list[tuple[int, int]] = []
    for pair in pairs:
        if not is_row(pair) or len(pair) != 2:
            raise InputError(f"{name}: gap {shown(pair)}: expected (lower, upper)")
        low, high = (integer(value, f"{name}: gap") for value in pair)
        if low >= high:
            raise InputError(f"{name}: the gap [{low}, {high}) is empty or inverted")
        if low < lower or high > upper:
            text = f"the gap [{low}, {high}) is not within the lifetime [{lower}, {upper})"
            raise InputError(f"{name}: {text}")
        known.append((low, high))
    merged: list[tuple[int, int, int]] = []
    for low, high in sorted(known):
        if merged and low <= merged[-1][2]:
            merged[-1] = (b, merged[-1][1], max(high, merged[-1][2]))
        else:
            merged.append((b, low, high))
    if merged and merged[0][1:] == (lower, upper):
        raise InputError(f"{name}: the gaps leave nothing of the lifetime")
    return merged


def aliases(groups: Any, n: int, name: Name) -> IntArray:
    """Return, for each buffer, the first buffer of those that share its offset."""
    leader = list(range(n))
    if groups is None:
        return np.arange(n)
    if not is_row(groups):
        raise InputError(f"alias: expected a list of groups of buffers, not {shown(groups)}")

    def root(b: int) -> int:
        while leader[b] != b:
            leader[b] = leader[leader[b]]
            b = leader[b]
        return b

    for k, group in enumerate(groups):
        if not is_row(group):
            raise InputError(f"alias group {k}: expected a list of buffers, not {shown(group)}")
        members = [integer(b, f"alias group {k}") for b in group]
        for b in members:
            if not 0 <= b < n:
                raise InputError(f"alias group {k}: there is no buffer {b}")
            first, second = sorted((root(members[0]), root(b)))
            leader[second] = first
    return np.array([root(b) for b in range(n)], dtype=np.int64)


def capacities(values: Any) -> tuple[IntArray, bool]:
    """Return the capacity of each bank, and whether `values` lists several banks."""
    several = is_row(values)
    listed = list(values) if several else [values]
    if not listed:
        raise InputError("capacity: there are no banks")
    found = []
    for k, value in enumerate(listed):
        where = f"capacity of bank {k}" if several else "capacity"
        amount = UNLIMITED if value is None else integer(value, where)
        if amount < 1:
            raise InputError(f"{where}: {amount} is less than 1")
        found.append(amount)
    return np.array(found, dtype=np.int64), len(found) > 1


def allowed(values: Any, n: int, n_banks: int, name: Name) -> BoolArray:
    """Return whether each buffer may lie in each bank, shape (n, n_banks)."""
    table = np.ones((n, n_banks), dtype=bool)
    if values is None:
        return table
    if not is_row(values) or len(values) != n:
        raise InputError(f"banks: expected a list of {n}, one list of banks a buffer")
    for b, banks in enumerate(values):
        if banks is None:
            continue
        if not is_row(banks) or not len(banks):
            raise InputError(f"{name(b)}: banks: expected a list of banks, not {shown(banks)}")
        table[b] = False
        for bank in banks:
            k = integer(bank, f"{name(b)}: bank")
            if not 0 <= k < n_banks:
                raise InputError(f"{name(b)}: there is no bank {k}, only 0 to {n_banks - 1}")
            table[b, k] = True
    return table


def consistent(values: Mapping[str, Any], name: Name) -> None:
    """Refuse sizes above the capacity, and pins that no solution can keep."""
    size, pinned, align = values["size"], values["pinned"], values["alignment"]
    capacity = np.where(values["allowed"], values["capacity"], 0).max(axis=1)
    _refuse(
        size > capacity, lambda b: f"{name(b)}: size {size[b]} exceeds the capacity {capacity[b]}"
    )
    is_pinned = pinned >= 0
    _refuse(
        is_pinned & (pinned + size > capacity) & (size > 0),
        lambda b: (
            f"{name(b)}: pinned at {pinned[b]}, size {size[b]} exceeds the capacity {capacity[b]}"
        ),
    )
    _refuse(
        is_pinned & (pinned % align != 0),
        lambda b: f"{name(b)}: pinned at {pinned[b]}, which is no multiple of {align[b]}",
    )
    total = float(size.astype(float).sum() + align.astype(float).sum() + pinned.max(initial=0))
    if total >= MAX_TIME:
        raise InputError("the sum of sizes and alignments exceeds 2^53")
    _consistent_groups(values, name)
    _pins_apart(values, name)


def _consistent_groups(values: Mapping[str, Any], name: Name) -> None:
    """Refuse aliases that cannot share an offset."""
    alias, pinned, align = values["alias"], values["pinned"], values["alignment"]
    order = np.argsort(alias, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(alias[order])) + 1):
        if len(group) == 1:
            continue
        pins = group[pinned[group] >= 0]
        if len(pins) and (wrong := pins[pinned[pins] != pinned[pins[0]]]).size:
            a, b = int(pins[0]), int(wrong[0])
            text = f"aliases, but pinned at {pinned[a]} and {pinned[b]}"
            raise InputError(f"{name(a)} and {name(b)}: {text}")
        step = math.lcm(*align[group].tolist())
        if step > MAX_TIME:
            raise InputError(f"{name(int(group[0]))}: the common alignment of its aliases is huge")
        if len(pins) and pinned[pins[0]] % step:
            text = f"pinned at {pinned[pins[0]]}, but its aliases need a multiple of {step}"
            raise InputError(f"{name(int(pins[0]))}: {text}")
        banks = values["allowed"][group].all(axis=0)
        largest = int(group[np.argmax(values["size"][group])])
        if not banks.any():
            raise InputError(f"{name(largest)}: no bank is allowed for all of its aliases")
        room, most = int(values["capacity"][banks].max()), int(values["size"][largest])
        if max(0, int(pinned[group].max())) + most > room:
            text = f"size {most} exceeds the capacity {room} left to it and its aliases"
            raise InputError(f"{name(largest)}: {text}")


def _pins_apart(values: Mapping[str, Any], name: Name) -> None:
    """Refuse two pinned buffers that are live together, in one bank for certain, and overlap."""
    sure = (values["pinned"] >= 0) & (values["size"] > 0) & (values["allowed"].sum(axis=1) == 1)
    pins = np.flatnonzero(sure).tolist()
    bank = values["allowed"].argmax(axis=1)
    gaps_of: dict[int, list[tuple[int, int]]] = {}
    for b, low, high in values["gaps"].tolist():
        gaps_of.setdefault(b, []).append((low, high))
    events: list[tuple[int, int, int]] = []
    for b in pins:
        at = int(values["lower"][b])
        for low, high in [*gaps_of.get(b, []), (int(values["upper"][b]), 0)]:
            if at < low:
                events += [(at, 1, b), (low, 0, b)]
            at = high
    live: list[tuple[int, int, int, int, int]] = []  # disjoint, so neighbours tell
    for _, begins, b in sorted(events):
        at = int(values["pinned"][b])
        group = int(values["alias"][b])
        entry = (int(bank[b]), at, at + int(values["size"][b]), group, b)
        if not begins:
            live.remove(entry)
            continue
        k = bisect.bisect(live, entry)
        # Aliases may lie on each other: look past them.
        for step in (-1, 1):
            i = k - 1 if step < 0 else k
            while 0 <= i < len(live) and live[i][0] == entry[0]:
                other = live[i]
                if other[1] < entry[2] and entry[1] < other[2] and other[3] != group:
                    text = f"pinned at {other[1]} and {at}, where they overlap"
                    raise InputError(f"{name(other[4])} and {name(b)}: {text}")
                if other[3] != group and other[1] != at:
                    break
                i += step
        live.insert(k, entry)


def _refuse(bad: BoolArray, text: Callable[[int], str]) -> None:
    if bad.any():
        raise InputError(text(int(np.flatnonzero(bad)[0])))


def constructor_arguments(data: Any) -> dict[str, Any]:
    """Return the constructor's arguments from the plain data of a JSON file."""
    if not isinstance(data, Mapping):
        raise InputError("expected a JSON object")
    arguments = {key: value for key, value in data.items() if key not in ("optsched", "family")}
    if data.get("family", "tensor_memory") != "tensor_memory":
        raise InputError(f"family {shown(data['family'])} is not tensor_memory")
    if unknown := sorted(map(str, arguments.keys() - set(FIELDS))):
        raise InputError(f"unknown field {shown(unknown[0])}: one of {', '.join(FIELDS)}")
    if "buffers" not in arguments:
        raise InputError("field 'buffers' is missing")
    for key in ("objective", "name"):
        if not isinstance(arguments.get(key, ""), str):
            raise InputError(f"field {key!r} must be text")
    return arguments
