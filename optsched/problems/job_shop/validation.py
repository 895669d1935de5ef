"""From what a person writes to checked flat arrays, and to plain data and back.

Every function names the job and operation at fault. Jobs and operations count from 0.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from optsched.core import MAX_TIME, BoolArray, InputError, IntArray
from optsched.numbers import has_bool, integer, integers, is_row, shown

if TYPE_CHECKING:
    from optsched.problems.job_shop.problem import JobShop


#: More machines than any shop has; without a limit one wrong number exhausts the memory.
MAX_MACHINES = 1_000_000


def jobs(data: Any) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Return ``job_offset, alt_offset, alt_machine, alt_duration`` of nested lists."""
    if not is_row(data) and not isinstance(data, Iterator):
        raise InputError("jobs: expected a list of jobs, each a list of operations")
    job_sizes: list[int] = []
    op_sizes: list[IntArray] = []
    pairs: list[IntArray] = []
    for j, job in enumerate(data):
        if not is_row(job):
            raise InputError(f"job {j}: expected a list of operations, not {shown(job)}")
        if len(job) == 0:
            raise InputError(f"job {j} has no operations")
        table = _regular_job(job)
        if table is not None:
            sizes = np.ones(len(table), dtype=np.int64)
        else:
            sizes, table = _irregular_job(j, job)
        job_sizes.append(len(sizes))
        op_sizes.append(sizes)
        pairs.append(table)
    if not job_sizes:
        raise InputError("there are no jobs")
    table = np.concatenate(pairs)
    job_offset = np.concatenate(([0], np.cumsum(job_sizes)))
    alt_offset = np.concatenate(([0], np.cumsum(np.concatenate(op_sizes))))
    return job_offset, alt_offset, table[:, 0].copy(), table[:, 1].copy()


def _regular_job(job: Any) -> IntArray | None:
    """Return a classic job as an array of (machine, duration), or None when it is not one."""
    try:
        table = np.array(job)
    except (ValueError, TypeError, OverflowError):
        return None
    if table.ndim == 2 and table.shape[1] == 2 and table.dtype.kind == "i" and not has_bool(job):
        return table.astype(np.int64)
    return None


def _irregular_job(j: int, job: Any) -> tuple[IntArray, IntArray]:
    sizes, rows = [], []
    for k, operation in enumerate(job):
        where = f"job {j}, operation {k}"
        if not is_row(operation):
            raise InputError(f"{where}: expected (machine, duration), not {shown(operation)}")
        if len(operation) == 0:
            raise InputError(f"{where} has no eligible machine")
        alternatives = operation if is_row(operation[0]) else [operation]
        for pair in alternatives:
            if not is_row(pair) or len(pair) != 2:
                raise InputError(f"{where}: expected (machine, duration), not {shown(pair)}")
            machine = integer(pair[0], f"{where}: machine")
            rows.append((machine, integer(pair[1], f"{where}: duration")))
        sizes.append(len(alternatives))
    return np.array(sizes, dtype=np.int64), np.array(rows, dtype=np.int64)


def validate_chains(
    job_offset: IntArray,
    alt_offset: IntArray,
    alt_machine: IntArray,
    alt_duration: IntArray,
    n_machines: int | None,
) -> None:
    """Raise `InputError` unless the arrays describe jobs of operations on machines."""
    for name, offset, size in (
        ("job_offset", job_offset, len(alt_offset) - 1),
        ("alt_offset", alt_offset, len(alt_machine)),
    ):
        if offset.ndim != 1 or len(offset) < 2 or offset[0] != 0 or offset[-1] != size:
            raise InputError(f"{name} does not run from 0 to {size}")
    if alt_machine.shape != alt_duration.shape or alt_machine.ndim != 1:
        raise InputError("alt_machine and alt_duration differ in shape")
    if (empty := np.flatnonzero(np.diff(job_offset) < 1)).size:
        raise InputError(f"job {empty[0]} has no operations")
    if (empty := np.flatnonzero(np.diff(alt_offset) < 1)).size:
        raise InputError(f"{_op_name(job_offset, int(empty[0]))} has no eligible machine")
    op_of_alt = np.repeat(np.arange(len(alt_offset) - 1), np.diff(alt_offset))

    def refuse(bad: BoolArray, text: str) -> None:
        if bad.any():
            alt = int(np.flatnonzero(bad)[0])
            values = {"machine": alt_machine[alt], "duration": alt_duration[alt]}
            op = int(op_of_alt[alt])
            raise InputError(f"{_op_name(job_offset, op)}: {text.format(**values)}")

    refuse(alt_duration < 0, "duration {duration} is negative")
    refuse(alt_duration > MAX_TIME, "duration {duration} exceeds 2^53")
    refuse(alt_machine < 0, "machine {machine} is negative")
    refuse(alt_machine >= MAX_MACHINES, f"machine {{machine}}: at most {MAX_MACHINES:,} machines")
    if n_machines is not None:
        if not 1 <= integer(n_machines, "n_machines") <= MAX_MACHINES:
            raise InputError(f"n_machines: {n_machines} is not between 1 and {MAX_MACHINES:,}")
        refuse(
            alt_machine >= n_machines,
            f"unknown machine {{machine}}; there are {n_machines}, numbered from 0",
        )
    if len(alt_machine) > len(alt_offset) - 1:
        order = np.lexsort((alt_machine, op_of_alt))
        twice = np.zeros(len(order), dtype=bool)
        same_op = op_of_alt[order][1:] == op_of_alt[order][:-1]
        twice[order[1:]] = same_op & (alt_machine[order][1:] == alt_machine[order][:-1])
        refuse(twice, "machine {machine} is listed twice")


def _op_name(job_offset: IntArray, op: int) -> str:
    job = int(np.searchsorted(job_offset, op, side="right")) - 1
    return f"job {job}, operation {op - int(job_offset[job])}"


def per_job(
    values: Any, n_jobs: int, what: str, *, default: int | None = None, minimum: int | None = 0
) -> IntArray:
    """Return one integer a job, `default` everywhere when `values` is None."""
    if values is None and default is not None:
        return np.full(n_jobs, default, dtype=np.int64)
    if not is_row(values):
        raise InputError(f"{what}: expected a list, one value a job")
    array = integers(values, what, lambda j: f"job {j}: {what}")
    if array.shape != (n_jobs,):
        raise InputError(f"{what}: {array.size} values for {n_jobs} jobs")
    if minimum is not None and (low := np.flatnonzero(array < minimum)).size:
        raise InputError(f"job {low[0]}: {what} {array[low[0]]} is negative")
    return array


def deadlines(values: Any, n_jobs: int, absent: int) -> IntArray | None:
    """Return one deadline a job, `absent` for those that are None."""
    if values is None:
        return None
    if not is_row(values) or len(values) != n_jobs:
        raise InputError(f"deadline: expected {n_jobs} values, one a job")
    listed = [
        absent
        if value is None or (isinstance(value, int | np.integer) and value == absent)
        else integer(value, f"job {j}: deadline")
        for j, value in enumerate(values)
    ]
    array = np.array(listed, dtype=np.int64)
    if (low := np.flatnonzero(array < 0)).size:
        raise InputError(f"job {low[0]}: deadline {array[low[0]]} is negative")
    return array


def calendars(data: Any, n_machines: int) -> tuple[IntArray, IntArray, IntArray]:
    """Return breaks as ``offset, start, end``: sorted, merged, per machine."""
    if data is not None and not isinstance(data, Mapping):
        raise InputError("calendars: expected {machine: [(start, end), ...]}")
    merged: dict[int, list[tuple[int, int]]] = {}
    for key, intervals in (data or {}).items():
        if isinstance(key, str) and key.isdecimal() and len(key) < 10:  # as in JSON
            key = int(key)
        machine = integer(key, "calendars: machine")
        if not 0 <= machine < n_machines:
            raise InputError(
                f"calendars: unknown machine {machine}; there are {n_machines}, numbered from 0"
            )
        table = integers(intervals, f"calendar of machine {machine}")
        if table.size == 0:
            continue
        if table.ndim != 2 or table.shape[1] != 2:
            raise InputError(f"calendar of machine {machine}: expected (start, end) pairs")
        breaks = merged.setdefault(machine, [])
        for start, end in sorted((int(a), int(b)) for a, b in table):
            if start < 0 or end <= start:
                raise InputError(
                    f"calendar of machine {machine}: [{start}, {end}) is not an interval"
                )
            if breaks and start <= breaks[-1][1]:
                breaks[-1] = (breaks[-1][0], max(breaks[-1][1], end))
            else:
                breaks.append((start, end))
    sizes = np.zeros(n_machines, dtype=np.int64)
    for machine, breaks in merged.items():
        sizes[machine] = len(breaks)
    flat = [pair for machine in sorted(merged) for pair in merged[machine]]
    table = np.array(flat, dtype=np.int64).reshape(-1, 2)
    return np.concatenate(([0], np.cumsum(sizes))), table[:, 0].copy(), table[:, 1].copy()


def _per_operation(values: Any, job_offset: IntArray, what: str) -> list[Any]:
    """Flatten one value an operation, given as one list a job."""
    sizes = np.diff(job_offset)
    if not is_row(values):
        raise InputError(f"{what}: expected one list a job")
    if len(values) != len(sizes):
        raise InputError(f"{what}: {len(values)} lists for {len(sizes)} jobs")
    flat: list[Any] = []
    for j, (row, size) in enumerate(zip(values, sizes, strict=True)):
        if not is_row(row) or len(row) != size:
            raise InputError(f"job {j}: {what}: expected {size} values, one an operation")
        flat.extend(row)
    return flat


def flags(values: Any, job_offset: IntArray, what: str) -> BoolArray:
    """Return one bool an operation."""
    n_ops = int(job_offset[-1])
    if isinstance(values, bool | np.bool_):
        return np.full(n_ops, bool(values))
    flat = _per_operation(values, job_offset, what)
    for op, value in enumerate(flat):
        if not isinstance(value, bool | np.bool_):
            raise InputError(f"{_op_name(job_offset, op)}: {what} must be true or false")
    return np.array(flat, dtype=bool)


def buffers(values: Any, job_offset: IntArray, codes: Mapping[str, int]) -> IntArray:
    """Return one buffer code an operation."""
    if isinstance(values, str):
        flat: list[Any] = [values] * int(job_offset[-1])
    else:
        flat = _per_operation(values, job_offset, "buffers")
    for op, value in enumerate(flat):
        if not isinstance(value, str) or value not in codes:
            raise InputError(
                f"{_op_name(job_offset, op)}: unknown buffer {value!r}: one of {', '.join(codes)}"
            )
    return np.array([codes[value] for value in flat], dtype=np.int64)


def lags(values: Any, job_offset: IntArray) -> IntArray:
    """Return the lag behind each operation; behind a job's last it must be 0."""
    if values is None:
        return np.zeros(int(job_offset[-1]), dtype=np.int64)
    flat = _per_operation(values, job_offset, "lags")
    array = integers(flat, "lags", lambda op: f"{_op_name(job_offset, op)}: lag")
    if array.ndim != 1:
        raise InputError("lags: expected one number an operation")
    if (low := np.flatnonzero(array < 0)).size:
        op = int(low[0])
        raise InputError(f"{_op_name(job_offset, op)}: lag {array[op]} is negative")
    if (after := np.flatnonzero(array[job_offset[1:] - 1])).size:
        raise InputError(f"job {after[0]}: a lag stands behind the last operation")
    return array


def transport(values: Any, n_machines: int) -> IntArray | None:
    """Return the transport times between machines."""
    if values is None:
        return None
    array = integers(values, "transport")
    if array.shape != (n_machines, n_machines):
        raise InputError(f"transport: expected {n_machines} x {n_machines}, got {array.shape}")
    return _times(array, "transport")


def setup(values: Any, n_machines: int, n_jobs: int) -> IntArray | None:
    """Return the setup times by machine and pair of jobs."""
    if values is None:
        return None
    array = integers(values, "setup")
    if array.shape == (n_jobs, n_jobs):
        array = np.broadcast_to(array, (n_machines, n_jobs, n_jobs))  # one copy for all machines
    if array.shape != (n_machines, n_jobs, n_jobs):
        raise InputError(
            f"setup: expected {n_jobs} x {n_jobs} or {n_machines} x {n_jobs} x {n_jobs}, "
            f"got {array.shape}"
        )
    return _times(array, "setup")


def _times(array: IntArray, what: str) -> IntArray:
    if (array < 0).any():
        raise InputError(f"{what}: {array.min()} is negative")
    return array


FIELDS = (
    "jobs", "objective", "release", "due", "deadline", "weight", "calendars", "resumable",
    "buffers", "swap", "lags", "transport", "setup", "n_machines", "name",
)  # fmt: skip


def constructor_arguments(data: Any) -> dict[str, Any]:
    """Return the constructor's arguments from the plain data of a JSON file."""
    if not isinstance(data, Mapping):
        raise InputError("expected a JSON object")
    arguments = {key: value for key, value in data.items() if key not in ("optsched", "family")}
    if data.get("family", "job_shop") != "job_shop":
        raise InputError(f"family {data['family']!r} is not job_shop")
    if unknown := sorted(arguments.keys() - set(FIELDS), key=str):
        raise InputError(f"unknown field {unknown[0]!r}: one of {', '.join(FIELDS)}")
    if "jobs" not in arguments:
        raise InputError("field 'jobs' is missing")
    if not isinstance(arguments.get("name", ""), str):
        raise InputError("field 'name' must be text")
    return arguments


def to_dict(problem: JobShop) -> dict[str, Any]:
    """Return `problem` as plain data; fields at their default are left out."""
    split = problem.job_offset[1:-1]
    pairs = np.column_stack((problem.alt_machine, problem.alt_duration)).tolist()
    if problem.flexible:
        bounds = problem.alt_offset.tolist()
        operations = [pairs[a:b] for a, b in itertools.pairwise(bounds)]
    else:
        operations = pairs
    offsets = problem.job_offset.tolist()
    data: dict[str, Any] = {
        "optsched": "problem",
        "family": problem.family,
        "name": problem.name,
        "objective": problem.objective_kind,
        "n_machines": problem.n_machines,
        "jobs": [operations[a:b] for a, b in itertools.pairwise(offsets)],
    }
    if problem.release.any():
        data["release"] = problem.release.tolist()
    if problem.due is not None:
        data["due"] = problem.due.tolist()
    if problem.deadline is not None:
        absent = np.iinfo(np.int64).max
        data["deadline"] = [None if d == absent else d for d in problem.deadline.tolist()]
    if (problem.weight != 1).any():
        data["weight"] = problem.weight.tolist()
    if len(problem.break_start):
        pairs = np.column_stack((problem.break_start, problem.break_end)).tolist()
        bounds = problem.break_offset.tolist()
        data["calendars"] = {
            str(m): pairs[bounds[m] : bounds[m + 1]]
            for m in range(problem.n_machines)
            if bounds[m] < bounds[m + 1]
        }
    if problem.resumable.any():
        data["resumable"] = [row.tolist() for row in np.split(problem.resumable, split)]
    if problem.buffer.any():
        names = np.array(["unlimited", "none", "no-wait"])[problem.buffer]
        data["buffers"] = [row.tolist() for row in np.split(names, split)]
    if problem.swap:
        data["swap"] = True
    if problem.lag.any():
        data["lags"] = [row.tolist() for row in np.split(problem.lag, split)]
    for key in ("transport", "setup"):
        matrix = getattr(problem, key)
        if matrix is not None:
            data[key] = matrix.tolist()
    return data
