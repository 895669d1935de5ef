"""What the variables of the CP-SAT model are worth in a given schedule: the makings of its hint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from optsched.core import IntArray
from optsched.problems.rcpsp.variants import Variant

#: The value of a variable in a schedule, given starts, ends and modes.
Value = Callable[[IntArray, IntArray, IntArray], int]
#: The runs of variants at one instant: activity, mode, variant, literal.
Runs = list[tuple[int, int, Variant, Any]]


def start_of(i: int) -> Value:
    """Return the start of an activity."""
    return lambda start, end, mode: int(start[i])


def end_of(i: int) -> Value:
    """Return the end of an activity."""
    return lambda start, end, mode: int(end[i])


def chosen(i: int, way: Variant) -> Value:
    """Return whether an activity runs in this variant."""
    return lambda start, end, mode: int(
        mode[i] == way.mode
        and end[i] - start[i] == way.span
        and any(a <= start[i] <= b for a, b in way.stretches)
    )


def makespan(least: int) -> Value:
    """Return the makespan, or `least` where that is more."""
    return lambda start, end, mode: max(least, int(end.max()))


def lateness(members: list[int], due: int) -> Value:
    """Return how long after the due date the last of the members ends."""
    return lambda start, end, mode: max(0, int(end[members].max()) - due)


def entry(i: int, low: int, table: IntArray) -> Value:
    """Return the entry of a table for the end of an activity."""
    return lambda start, end, mode: int(table[end[i] - low])


def begun(i: int, instant: int) -> Value:
    """Return whether an activity has begun by an instant."""
    return lambda start, end, mode: int(start[i] <= instant)


def running(i: int, way: Variant, instant: int) -> Value:
    """Return whether an activity runs in this variant at an instant."""
    taken = chosen(i, way)
    return lambda start, end, mode: int(
        bool(taken(start, end, mode)) and start[i] <= instant < end[i]
    )


def usage(k: int, instant: int, runs: Runs, *, squared: bool = False) -> Value:
    """Return how much of a resource is in use at an instant, or the square of that."""

    def value(start: IntArray, end: IntArray, mode: IntArray) -> int:
        level = 0
        for i, m, way, _ in runs:
            if mode[i] == m and start[i] <= instant < end[i] and end[i] - start[i] == way.span:
                level += way.demand[k]
        return level * level if squared else level

    return value
