"""What a run claims, checked from scratch: solution, objective, bound, status, trace."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from optsched.core import InputError, Number, Problem

STATUSES = ("OPTIMAL", "FEASIBLE", "INFEASIBLE", "UNKNOWN")
#: Seconds by which the last event may lie behind the end, for rounding and for late callbacks.
LATE = 0.05


def faults(problem: Problem, record: dict[str, Any]) -> list[str]:
    """Return everything that is wrong with the claims of a finished run, in words.

    Parameters
    ----------
    problem : Problem
        The instance; its checker judges the solution.
    record : dict
        With ``status``, ``objective``, ``bound``, ``solution``, ``time`` and ``trace``.
    """
    found = list(_numbers(record))
    if found:
        return found  # nothing below is defined for such a record
    found += _solution(problem, record)
    found += _status(record)
    found += _trace(record)
    return found


def below(value: Number, limit: Number) -> bool:
    """Return whether `value` is less than `limit`; floats with a tolerance, integers exactly."""
    if isinstance(value, int) and isinstance(limit, int):
        return value < limit
    return value < limit - 1e-6 * max(1.0, abs(limit))


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number."""
    return type(value) is int or (type(value) is float and math.isfinite(value))


def _numbers(record: dict[str, Any]) -> Iterator[str]:
    for key in ("objective", "bound"):
        value = record.get(key)
        if value is not None and not is_number(value):
            yield f"{key} {value!r} is not a number"
    if not is_number(record.get("time")) or record["time"] < 0:
        yield f"time {record.get('time')!r} is not a time"
    if record.get("status") not in STATUSES:
        yield f"status {record.get('status')!r} is none"
    trace = record.get("trace")
    if not isinstance(trace, list) or not all(isinstance(event, dict) for event in trace):
        yield "the trace is no list of events"
        return
    for event in trace:
        values = [event.get("objective"), event.get("bound")]
        if not is_number(event.get("time")) or any(
            value is not None and not is_number(value) for value in values
        ):
            yield f"the trace holds {event!r}"
            return


def _solution(problem: Problem, record: dict[str, Any]) -> Iterator[str]:
    data, claimed = record.get("solution"), record.get("objective")
    if data is None:
        if claimed is not None:
            yield f"objective {claimed} without a solution"
        return
    try:
        solution = problem.solution_type.from_dict(data)
        violations = problem.check(solution)
        if violations:
            more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
            yield f"invalid solution: {violations[0]}{more}"
            return
        value = problem.objective(solution)
    except InputError as error:
        yield f"invalid solution: {error}"
        return
    if claimed is None:
        yield f"a solution without an objective; it is {value}"
    elif below(claimed, value) or below(value, claimed):
        yield f"claims objective {claimed}, the solution's is {value}"


def _status(record: dict[str, Any]) -> Iterator[str]:
    status: str = record["status"]
    objective: Any = record.get("objective")
    bound: Any = record.get("bound")
    has = objective is not None
    if has and bound is not None and below(objective, bound):
        yield f"objective {objective} is below its own bound {bound}"
    if status == "OPTIMAL" and not (has and bound is not None and not below(bound, objective)):
        yield f"claims OPTIMAL with objective {objective} and bound {bound}"
    if status == "FEASIBLE" and not has:
        yield "claims FEASIBLE without a solution"
    if status in ("INFEASIBLE", "UNKNOWN") and has:
        yield f"claims {status} with a solution of {objective}"


def _trace(record: dict[str, Any]) -> Iterator[str]:
    now = 0.0
    objective: Any = None
    bound: Any = None
    for event in record["trace"]:
        if event["time"] < now:
            yield f"the trace goes back from {now} s to {event['time']} s"
            return
        now = event["time"]
        new, proven = event.get("objective"), event.get("bound")
        if objective is not None and (new is None or below(objective, new)):
            yield f"the trace's objective goes from {objective} to {new} at {now} s"
            return
        if bound is not None and (proven is None or below(proven, bound)):
            yield f"the trace's bound goes from {bound} to {proven} at {now} s"
            return
        if new is not None and proven is not None and below(new, proven):
            yield f"the trace has objective {new} below bound {proven} at {now} s"
            return
        objective, bound = new, proven
    if now > record["time"] + LATE:
        yield f"the trace ends at {now} s, the run at {record['time']} s"
    for key, last in (("objective", objective), ("bound", bound)):
        final = record.get(key)
        if record["status"] != "INFEASIBLE" and last != final:
            yield f"the trace ends with {key} {last}, the run with {final}"
