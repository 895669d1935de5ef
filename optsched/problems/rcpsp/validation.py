"""From what a person writes to checked flat arrays; every message names the activity at fault.

Activities, modes, resources and projects count from 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from optsched.core import BoolArray, InputError, IntArray
from optsched.numbers import integer, integers, is_row, shown

#: Deadline of an activity or project that has none.
NO_DEADLINE = int(np.iinfo(np.int64).max)
#: Due date of an activity or project that has none.
NO_DUE = NO_DEADLINE
#: How a time lag is measured: from the start or end of one activity to that of the other.
LAG_KINDS = ("FS", "SS", "FF", "SF")
#: The kind of a lag seen from the other side: a largest lag is a least one backwards.
REVERSED = {"FS": "SF", "SS": "SS", "FF": "FF", "SF": "FS"}
#: Most resources, and most steps of all capacity profiles together.
MAX_RESOURCES = 100_000

FIELDS = (
    "activities", "capacity", "precedence", "renewable", "release", "deadline", "due", "weight",
    "disjunctive", "calendars", "calendar", "breakable", "project", "project_release",
    "project_deadline", "project_due", "project_weight", "objective", "cash_flow",
    "discount_rate", "levelling_weight", "activity_names", "resource_names", "name",
)  # fmt: skip


def modes(activities: Any, n_resources: int) -> tuple[IntArray, IntArray, IntArray]:
    """Return ``mode_offset``, ``mode_duration`` and ``mode_demand`` (n_modes, n_resources)."""
    if not is_row(activities):
        raise InputError(f"activities: expected a list, not {shown(activities)}")
    if not len(activities):
        raise InputError("there are no activities")
    offset = [0]
    durations: list[int] = []
    demands: list[Any] = []
    for i, entry in enumerate(activities):
        alternatives = entry if _is_mode_list(entry, i) else [entry]
        for m, mode in enumerate(alternatives):
            where = f"activity {i}" if len(alternatives) == 1 else f"activity {i}, mode {m}"
            if not is_row(mode) or len(mode) != 2:
                raise InputError(f"{where}: expected (duration, demands), not {shown(mode)}")
            duration = integer(mode[0], f"{where}: duration")
            if duration < 0:
                raise InputError(f"{where}: duration {duration} is negative")
            if not is_row(mode[1]) or len(mode[1]) != n_resources:
                count = len(mode[1]) if is_row(mode[1]) else shown(mode[1])
                raise InputError(
                    f"{where}: expected {n_resources} demands, one a resource, got {count}"
                )
            row = [integer(v, f"{where}: demand for resource {k}") for k, v in enumerate(mode[1])]
            if (least := min(row, default=0)) < 0:
                raise InputError(f"{where}: demand {least} is negative")
            durations.append(duration)
            demands.append(row)
        offset.append(len(durations))
    table = np.array(demands, dtype=np.int64).reshape(len(durations), n_resources)
    return np.array(offset, dtype=np.int64), np.array(durations, dtype=np.int64), table


def _is_mode_list(entry: Any, activity: int) -> bool:
    if not is_row(entry) or not len(entry):
        raise InputError(
            f"activity {activity}: expected (duration, demands) or a list of them, "
            f"not {shown(entry)}"
        )
    return is_row(entry[0])


def profiles(values: Any) -> tuple[IntArray, IntArray, IntArray]:
    """Return ``profile_offset``, ``profile_time`` and ``profile_capacity``.

    Each resource has a constant capacity, or steps ``(time, capacity)`` of which the first is at
    time 0 and each holds until the next.
    """
    if not is_row(values):
        raise InputError(f"capacity: expected a list, one entry a resource, not {shown(values)}")
    if len(values) > MAX_RESOURCES:
        raise InputError(f"capacity: {len(values)} resources are more than {MAX_RESOURCES:,}")
    offset = [0]
    times: list[int] = []
    levels: list[int] = []
    for k, entry in enumerate(values):
        where = f"resource {k}"
        steps = _steps(entry, where) if is_row(entry) else [(0, integer(entry, where))]
        last: int | None = None
        for time, level in steps:
            if level < 0:
                raise InputError(f"{where}: capacity {level} is negative")
            if level == last:
                continue
            times.append(time)
            levels.append(level)
            last = level
        offset.append(len(times))
    return tuple(np.array(v, dtype=np.int64) for v in (offset, times, levels))  # type: ignore[return-value]


def _steps(entry: Any, where: str) -> list[tuple[int, int]]:
    steps: list[tuple[int, int]] = []
    for step in entry:
        if not is_row(step) or len(step) != 2:
            raise InputError(f"{where}: expected steps (time, capacity), not {shown(step)}")
        time, level = (integer(v, f"{where}: step of the capacity") for v in step)
        if not steps and time != 0:
            raise InputError(f"{where}: the first step of the capacity is at {time}, not at 0")
        if steps and time <= steps[-1][0]:
            raise InputError(
                f"{where}: the step at {time} does not come after that at {steps[-1][0]}"
            )
        steps.append((time, level))
    if not steps:
        raise InputError(f"{where}: the capacity has no steps")
    return steps


def renewable(values: Any, offset: IntArray) -> BoolArray:
    """Return which resources are renewable; the others have a constant capacity."""
    n_resources = len(offset) - 1
    array = flags(True if values is None else values, n_resources, "renewable", "resource")
    for k in np.flatnonzero(~array & (np.diff(offset) > 1)).tolist():
        raise InputError(f"resource {k}: a non-renewable resource has one capacity, no steps")
    return array


def flags(values: Any, size: int, what: str, owner: str) -> BoolArray:
    """Return one flag each; a single bool stands for all."""
    if isinstance(values, bool | np.bool_):
        return np.full(size, bool(values))
    if not is_row(values) or len(values) != size:
        count = len(values) if is_row(values) else shown(values)
        raise InputError(f"{what}: expected {size} flags, one a {owner}, got {count}")
    for k, value in enumerate(values):
        if not isinstance(value, bool | np.bool_):
            raise InputError(f"{what}: {owner} {k}: {shown(value)} is neither true nor false")
    return np.array(values, dtype=bool)


def per_item(
    values: Any, size: int, what: str, owner: str, default: int, *, least: int | None = 0
) -> IntArray:
    """Return one number each; `default` where `values` is None."""
    if values is None:
        return np.full(size, default, dtype=np.int64)
    if not is_row(values):
        raise InputError(f"{what}s: expected a list, one entry a {owner}, not {shown(values)}")
    array = integers(values, what + "s", lambda i: f"{owner} {i}: {what}")
    if array.shape != (size,):
        raise InputError(f"{what}s: expected {size} of them, one a {owner}, got {array.shape}")
    if least is not None and (low := np.flatnonzero(array < least)).size:
        raise InputError(f"{owner} {low[0]}: {what} {array[low[0]]} is less than {least}")
    return array


def optional_times(
    values: Any, size: int, what: str, owner: str, *, least: int | None = None
) -> IntArray:
    """Return one time each, `NO_DEADLINE` where there is None."""
    array = np.full(size, NO_DEADLINE, dtype=np.int64)
    if values is None:
        return array
    if not is_row(values):
        raise InputError(f"{what}s: expected a list, one entry a {owner}, not {shown(values)}")
    if len(values) != size:
        raise InputError(f"{what}s: expected {size} of them, one a {owner}, got {len(values)}")
    for i, value in enumerate(values):
        absent = value is None or (isinstance(value, int | np.integer) and value == NO_DEADLINE)
        if not absent:
            array[i] = integer(value, f"{owner} {i}: {what}")
            if least is not None and array[i] < least:
                raise InputError(f"{owner} {i}: {what} {array[i]} is less than {least}")
    return array


def lags(values: Any, n_activities: int) -> IntArray:
    """Return rows ``(from, to, kind, least)``: a point of ``to`` less one of ``from`` >= least.

    A largest lag becomes a least one backwards.
    """
    rows: set[tuple[int, int, int, int]] = set()
    if values is not None and not is_row(values):
        raise InputError(f"precedence: expected a list of pairs or lags, not {shown(values)}")
    for r, entry in enumerate(() if values is None else values):
        where = f"precedence {r}"
        if not is_row(entry) or not 2 <= len(entry) <= 5:
            raise InputError(
                f"{where}: expected (before, after, kind, least lag, largest lag), "
                f"not {shown(entry)}"
            )
        i, j = (integer(v, where) for v in entry[:2])
        for activity in (i, j):
            if not 0 <= activity < n_activities:
                raise InputError(f"{where}: there is no activity {activity}")
        if i == j:
            raise InputError(f"{where}: activity {i} cannot precede itself")
        kind = entry[2] if len(entry) > 2 else "FS"
        if not isinstance(kind, str) or kind not in LAG_KINDS:
            raise InputError(f"{where}: {shown(kind)} is none of {', '.join(LAG_KINDS)}")
        least = entry[3] if len(entry) > 3 else 0
        most = entry[4] if len(entry) > 4 else None
        if least is not None:
            rows.add((i, j, LAG_KINDS.index(kind), integer(least, f"{where}: least lag")))
        if most is not None:
            most = integer(most, f"{where}: largest lag")
            if least is not None and most < least:
                raise InputError(f"{where}: the largest lag {most} is below the least {least}")
            rows.add((j, i, LAG_KINDS.index(REVERSED[kind]), -most))
    return np.array(sorted(rows), dtype=np.int64).reshape(len(rows), 4)


def groups(values: Any, n_activities: int) -> tuple[IntArray, IntArray]:
    """Return the disjunctive groups as offsets and members."""
    offset, members = [0], []
    if values is not None and not is_row(values):
        raise InputError(f"disjunctive: expected a list of groups, not {shown(values)}")
    for g, group in enumerate(() if values is None else values):
        where = f"disjunctive group {g}"
        if not is_row(group):
            raise InputError(f"{where}: expected a list of activities, not {shown(group)}")
        ids = sorted({integer(i, where) for i in group})
        if len(ids) != len(group) or len(ids) < 2:
            raise InputError(f"{where}: expected two or more different activities")
        if ids[0] < 0 or ids[-1] >= n_activities:
            raise InputError(f"{where}: there is no activity {ids[0] if ids[0] < 0 else ids[-1]}")
        members += ids
        offset.append(len(members))
    return np.array(offset, dtype=np.int64), np.array(members, dtype=np.int64)


def calendars(values: Any) -> tuple[IntArray, IntArray, IntArray]:
    """Return ``break_offset``, ``break_start`` and ``break_end``: sorted, merged breaks."""
    offset, starts, ends = [0], [], []
    if values is not None and not is_row(values):
        raise InputError(f"calendars: expected a list of calendars, not {shown(values)}")
    for c, entry in enumerate(() if values is None else values):
        where = f"calendar {c}"
        if not is_row(entry):
            raise InputError(f"{where}: expected a list of breaks, not {shown(entry)}")
        breaks = []
        for item in entry:
            if not is_row(item) or len(item) != 2:
                raise InputError(f"{where}: expected a break (start, end), not {shown(item)}")
            start, end = (integer(v, f"{where}: break") for v in item)
            if not 0 <= start < end:
                raise InputError(f"{where}: the break from {start} to {end} is no stretch of time")
            breaks.append((start, end))
        merged: list[list[int]] = []
        for start, end in sorted(breaks):
            if merged and start <= merged[-1][1]:
                merged[-1][1] = max(end, merged[-1][1])
            else:
                merged.append([start, end])
        starts += [start for start, _ in merged]
        ends += [end for _, end in merged]
        offset.append(len(starts))
    return tuple(np.array(v, dtype=np.int64) for v in (offset, starts, ends))  # type: ignore[return-value]


def choices(values: Any, size: int, count: int, what: str) -> IntArray:
    """Return for each activity the number of its `what`, -1 for none."""
    array = np.full(size, -1, dtype=np.int64)
    if values is None:
        return array
    if not is_row(values) or len(values) != size:
        got = len(values) if is_row(values) else shown(values)
        raise InputError(f"{what}: expected {size} entries, one an activity, got {got}")
    for i, value in enumerate(values):
        if value is None:
            continue
        array[i] = integer(value, f"activity {i}: {what}")
        if not -1 <= array[i] < count:
            raise InputError(f"activity {i}: there is no {what} {array[i]}")
    return array


def rate(value: Any) -> float:
    """Return the discount rate."""
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not 0 <= value <= 1000:
        raise InputError(f"discount_rate: {shown(value)} is no rate of at least 0 a unit of time")
    return float(value)


def names(values: Any, size: int, owner: str) -> tuple[str, ...]:
    """Return one name each; empty where none are given."""
    if values is None:
        return ()
    if not is_row(values) or len(values) != size:
        count = len(values) if is_row(values) else shown(values)
        raise InputError(f"{owner} names: expected {size} of them, got {count}")
    for k, value in enumerate(values):
        if not isinstance(value, str):
            raise InputError(f"{owner} {k}: the name {shown(value)} is no text")
    return tuple(values)


def constructor_arguments(data: Any) -> dict[str, Any]:
    """Return the constructor's arguments from the plain data of a JSON file."""
    if not isinstance(data, Mapping):
        raise InputError("expected a JSON object")
    arguments = {key: value for key, value in data.items() if key not in ("optsched", "family")}
    if data.get("family", "rcpsp") != "rcpsp":
        raise InputError(f"family {shown(data['family'])} is not rcpsp")
    if unknown := sorted(map(str, arguments.keys() - set(FIELDS))):
        raise InputError(f"unknown field {shown(unknown[0])}: one of {', '.join(FIELDS)}")
    for key in ("activities", "capacity"):
        if key not in arguments:
            raise InputError(f"field {key!r} is missing")
    for key in ("objective", "name"):
        if not isinstance(arguments.get(key, ""), str):
            raise InputError(f"field {key!r} must be text")
    return arguments


def absent_as_none(values: IntArray, sentinel: int) -> list[int | None]:
    """Return `values` for JSON, None where they are the sentinel."""
    return [None if v == sentinel else v for v in values.tolist()]
