"""The independent checker: the definition of a project schedule, and nothing else.

It shares no code with any formulation or heuristic.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from optsched.core import MAX_TIME, InputError, IntArray, Violation

if TYPE_CHECKING:
    from optsched.problems.rcpsp.problem import Rcpsp, RcpspSolution

#: A deadline or due date beyond every time: there is none.
_NEVER = int(np.iinfo(np.int64).max)
_POINTS = (("end", "start"), ("start", "start"), ("end", "end"), ("start", "end"))


def check(problem: Rcpsp, solution: RcpspSolution) -> list[Violation]:
    """Return every violation of `solution`, in words; an empty list means feasible."""
    n = problem.n_activities
    for name in ("start", "mode"):
        if (size := len(getattr(solution, name))) != n:
            text = f"{name} has {size} entries, the instance has {n} activities"
            return [Violation("shape", text)]
    start, mode = solution.start, solution.mode
    count = np.diff(problem.mode_offset)
    found = [
        Violation("mode", f"activity {i} is in mode {mode[i]}, of {count[i]}")
        for i in np.flatnonzero((mode < 0) | (mode >= count)).tolist()
    ]
    found += [
        Violation("start", f"activity {i} starts at {start[i]}, which is no time")
        for i in np.flatnonzero((start < 0) | (start > MAX_TIME)).tolist()
    ]
    if found:
        return found  # nothing below is defined for such a schedule
    end = completions(problem, solution)
    found += _calendars(problem, solution, end)
    found += _lags(problem, start, end)
    found += _windows(problem, start, end)
    found += _resources(problem, solution, end)
    found += _groups(problem, start, end)
    return found


def completions(problem: Rcpsp, solution: RcpspSolution) -> IntArray:
    """Return the end of every activity: its start, its duration, and the breaks it pauses in.

    Raises
    ------
    InputError
        When the solution has the wrong length or a mode that is none.
    """
    duration, _ = _chosen(problem, solution)
    end = solution.start + duration
    for i in np.flatnonzero((problem.calendar >= 0) & problem.breakable & (duration > 0)).tolist():
        finish = int(end[i])
        for rest, back in zip(*(side.tolist() for side in problem.breaks(i)), strict=True):
            if back <= solution.start[i]:
                continue
            if rest >= finish:
                break
            finish += back - max(rest, int(solution.start[i]))
        end[i] = finish
    return end


def _chosen(problem: Rcpsp, solution: RcpspSolution) -> tuple[IntArray, IntArray]:
    """Return duration and demands of each activity in its mode."""
    n = problem.n_activities
    if len(solution.start) != n or len(solution.mode) != n:
        raise InputError(
            f"solution: start and mode have {len(solution.start)} and {len(solution.mode)} "
            f"entries, the instance has {n} activities"
        )
    if ((solution.mode < 0) | (solution.mode >= np.diff(problem.mode_offset))).any():
        raise InputError("solution: an activity is in a mode that it does not have")
    at = problem.mode_offset[:-1] + solution.mode
    return problem.mode_duration[at], problem.mode_demand[at]


def _calendars(problem: Rcpsp, solution: RcpspSolution, end: IntArray) -> Iterator[Violation]:
    duration, _ = _chosen(problem, solution)
    for i in np.flatnonzero((problem.calendar >= 0) & (duration > 0)).tolist():
        begin, finish = int(solution.start[i]), int(end[i])
        rests, backs = problem.breaks(i)
        if problem.breakable[i]:
            for b in np.flatnonzero((rests <= begin) & (begin < backs)).tolist():
                text = f"activity {i} starts at {begin}, in the break {rests[b]} to {backs[b]}"
                yield Violation("calendar", text)
            continue
        for b in np.flatnonzero((rests < finish) & (begin < backs)).tolist():
            text = (
                f"activity {i} runs from {begin} to {finish} and cannot pause, "
                f"but there is a break from {rests[b]} to {backs[b]}"
            )
            yield Violation("calendar", text)


def _lags(problem: Rcpsp, start: IntArray, end: IntArray) -> Iterator[Violation]:
    for i, j, kind, least in problem.lag.tolist():
        first, second = _POINTS[kind]
        begin = int(end[i] if first == "end" else start[i])
        until = int(end[j] if second == "end" else start[j])
        if until - begin < least:
            verb = {"start": "starts", "end": "ends"}
            lag = f"at least {least} after" if least >= 0 else f"at most {-least} before"
            text = (
                f"activity {j} {verb[second]} at {until}, but should do so {lag} "
                f"activity {i} {verb[first]}, at {begin}"
            )
            yield Violation("precedence", text)


def _windows(problem: Rcpsp, start: IntArray, end: IntArray) -> Iterator[Violation]:
    for i in np.flatnonzero(start < problem.release).tolist():
        text = f"activity {i} starts at {start[i]}, before its release at {problem.release[i]}"
        yield Violation("release", text)
    for i in np.flatnonzero(end > problem.deadline).tolist():
        text = f"activity {i} ends at {end[i]}, after its deadline at {problem.deadline[i]}"
        yield Violation("deadline", text)
    release = problem.project_release[problem.project]
    for i in np.flatnonzero(start < release).tolist():
        text = (
            f"activity {i} starts at {start[i]}, before the release of project "
            f"{problem.project[i]} at {release[i]}"
        )
        yield Violation("release", text)
    deadline = problem.project_deadline[problem.project]
    for i in np.flatnonzero(end > deadline).tolist():
        text = (
            f"activity {i} ends at {end[i]}, after the deadline of project "
            f"{problem.project[i]} at {deadline[i]}"
        )
        yield Violation("deadline", text)


def _resources(problem: Rcpsp, solution: RcpspSolution, end: IntArray) -> Iterator[Violation]:
    _, demand = _chosen(problem, solution)
    for k in range(problem.n_resources):
        need = demand[:, k]
        times, levels = problem.profile(k)
        if not problem.renewable[k]:
            if (total := int(need.sum())) > levels[0]:
                text = f"resource {k}: {total} are consumed, there are {levels[0]}"
                yield Violation("non-renewable", text)
            continue
        instants, usage = _usage(solution.start, end, need)
        # Between two events of usage or capacity both are constant.
        events = np.unique(np.concatenate((instants, times)))
        used = usage[np.searchsorted(instants, events, side="right") - 1] if len(usage) else None
        if used is None:
            continue
        used = np.where(events < instants[0], 0, used)
        available = levels[np.maximum(np.searchsorted(times, events, side="right") - 1, 0)]
        over = used > available
        for e in np.flatnonzero(over & ~np.concatenate(([False], over[:-1]))).tolist():
            at = int(events[e])
            who = np.flatnonzero((solution.start <= at) & (at < end) & (need > 0)).tolist()
            names = ", ".join(map(str, who[:10])) + (", ..." if len(who) > 10 else "")
            text = (
                f"resource {k}: from {at} on {used[e]} are in use by activities {names}; "
                f"there are {available[e]}"
            )
            yield Violation("capacity", text)


def _usage(start: IntArray, end: IntArray, need: IntArray) -> tuple[IntArray, IntArray]:
    """Return the instants at which usage changes, and the usage from each of them on."""
    who = (need > 0) & (end > start)
    instants = np.concatenate((start[who], end[who]))
    change = np.concatenate((need[who], -need[who]))
    at, where = np.unique(instants, return_inverse=True)
    total = np.zeros(len(at), dtype=np.int64)
    np.add.at(total, where, change)
    return at, np.cumsum(total)


def _groups(problem: Rcpsp, start: IntArray, end: IntArray) -> Iterator[Violation]:
    for g, group in enumerate(problem.groups()):
        running = sorted((int(start[i]), int(end[i]), i) for i in group if end[i] > start[i])
        latest = -1  # the one that ends last so far: whoever starts before its end overlaps it
        for begin, finish, i in running:
            if latest >= 0 and begin < end[latest]:
                text = (
                    f"disjunctive group {g}: activity {i} starts at {begin}, "
                    f"while activity {latest} runs until {end[latest]}"
                )
                yield Violation("disjunctive", text)
            if latest < 0 or finish > end[latest]:
                latest = i


def objective(problem: Rcpsp, solution: RcpspSolution) -> int:
    """Return the objective value, recomputed from starts and modes.

    Raises
    ------
    InputError
        When the solution has the wrong length or a mode that is none.
    """
    end = completions(problem, solution)
    kind = problem.objective_kind
    if kind == "makespan":
        return int(end.max())
    if kind == "total_weighted_tardiness":
        return _tardiness(problem, end)
    if kind == "negative_net_present_value":
        worth = problem.cash_flow * (1.0 + problem.discount_rate) ** -end.astype(float)
        return -int(np.floor(worth + 0.5).sum())
    _, demand = _chosen(problem, solution)
    total = 0
    for k in np.flatnonzero(problem.renewable).tolist():
        instants, usage = _usage(solution.start, end, demand[:, k])
        squares = sum(
            u * u * length
            for u, length in zip(usage[:-1].tolist(), np.diff(instants).tolist(), strict=True)
        )
        total += int(problem.levelling_weight[k]) * squares
    return total


def _tardiness(problem: Rcpsp, end: IntArray) -> int:
    total = 0
    for i in np.flatnonzero(problem.due != _NEVER).tolist():
        total += int(problem.weight[i]) * max(0, int(end[i] - problem.due[i]))
    for p in np.flatnonzero(problem.project_due != _NEVER).tolist():
        members = problem.project == p
        if members.any():
            late = int(end[members].max() - problem.project_due[p])
            total += int(problem.project_weight[p]) * max(0, late)
    return total
