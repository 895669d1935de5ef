"""The optimum of a tiny project by looking at every schedule.

Written instant by instant from the definition, unlike the checker and the formulations.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from optsched.problems.rcpsp.problem import Rcpsp
from optsched.problems.rcpsp.validation import NO_DEADLINE


def end_of(problem: Rcpsp, i: int, start: int, duration: int) -> int | None:
    """Return when an activity ends that starts at `start`, or None where it must not."""
    if problem.calendar[i] < 0 or duration == 0:
        return start + duration
    rests, backs = problem.breaks(i)

    def closed(t: int) -> bool:
        return any(a <= t < b for a, b in zip(rests.tolist(), backs.tolist(), strict=True))

    if closed(start):
        return None
    t, left = start, duration
    while left:
        if closed(t):
            if not problem.breakable[i]:
                return None
        else:
            left -= 1
        t += 1
    return t


def schedules(problem: Rcpsp, horizon: int) -> Iterator[tuple[list[int], list[int], list[int]]]:
    """Yield starts, ends and modes of every feasible schedule within the horizon."""
    n = problem.n_activities
    room = np.zeros((horizon + 1, problem.n_resources), dtype=np.int64)
    stock = np.zeros(problem.n_resources, dtype=np.int64)
    for k in range(problem.n_resources):
        times, levels = problem.profile(k)
        stock[k] = levels[0]
        for t in range(horizon + 1):
            room[t, k] = levels[[s for s, time in enumerate(times.tolist()) if time <= t][-1]]
    renewable = problem.renewable
    release, deadline = problem.earliest_start(), problem.latest_end()
    groups = problem.groups()
    start, end, mode = [0] * n, [0] * n, [0] * n

    def lags_hold(i: int) -> bool:
        for a, b, kind, least in problem.lag.tolist():
            if max(a, b) != i:
                continue
            first = (end[a], start[a], end[a], start[a])[kind]
            second = (start[b], start[b], end[b], end[b])[kind]
            if second - first < least:
                return False
        return True

    def apart(i: int) -> bool:
        for group in groups:
            for j in group:
                if not (j < i and i in group):
                    continue
                if max(start[i], start[j]) < min(end[i], end[j]):
                    return False
        return True

    def place(i: int) -> Iterator[tuple[list[int], list[int], list[int]]]:
        if i == n:
            yield start, end, mode
            return
        first, last = problem.mode_offset[i : i + 2].tolist()
        for m in range(first, last):
            need = problem.mode_demand[m]
            if (need[~renewable] > stock[~renewable]).any():
                continue
            stock[~renewable] -= need[~renewable]
            for s in range(int(release[i]), horizon + 1):
                e = end_of(problem, i, s, int(problem.mode_duration[m]))
                if e is None or e > horizon or e > deadline[i]:
                    continue
                start[i], end[i], mode[i] = s, e, m - first
                if (room[s:e, renewable] < need[renewable]).any():
                    continue
                if not lags_hold(i) or not apart(i):
                    continue
                room[s:e, renewable] -= need[renewable]
                yield from place(i + 1)
                room[s:e, renewable] += need[renewable]
            stock[~renewable] += need[~renewable]

    yield from place(0)


def cost(problem: Rcpsp, start: list[int], end: list[int], mode: list[int]) -> int:
    """Return the objective of a schedule."""
    n = problem.n_activities
    if problem.objective_kind == "makespan":
        return max(end)
    if problem.objective_kind == "total_weighted_tardiness":
        total = 0
        for i in range(n):
            if problem.due[i] != NO_DEADLINE:
                total += int(problem.weight[i]) * max(0, end[i] - int(problem.due[i]))
        for p in range(problem.n_projects):
            ends = [end[i] for i in range(n) if problem.project[i] == p]
            if ends and problem.project_due[p] != NO_DEADLINE:
                late = max(0, max(ends) - int(problem.project_due[p]))
                total += int(problem.project_weight[p]) * late
        return total
    if problem.objective_kind == "negative_net_present_value":
        worth = 0
        for i in range(n):
            flow = int(problem.cash_flow[i])
            worth += int(np.floor(flow / (1 + problem.discount_rate) ** end[i] + 0.5))
        return -worth
    total = 0
    for k in np.flatnonzero(problem.renewable).tolist():
        for t in range(max(end)):
            used = sum(
                int(problem.mode_demand[problem.mode_offset[i] + mode[i], k])
                for i in range(n)
                if start[i] <= t < end[i]
            )
            total += int(problem.levelling_weight[k]) * used * used
    return total


def optimum(problem: Rcpsp) -> int | None:
    """Return the least objective over all schedules, None where there is none."""
    best: int | None = None
    for start, end, mode in schedules(problem, problem.horizon()):
        value = cost(problem, start, end, mode)
        if best is None or value < best:
            best = value
    return best
