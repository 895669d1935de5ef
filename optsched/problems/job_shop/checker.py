"""The independent checker: the definition of a job-shop schedule, and nothing else.

It shares no code with any formulation or heuristic. Everything is vectorised over operations.
"""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np

from optsched.core import MAX_TIME, BoolArray, InputError, IntArray, Violation

if TYPE_CHECKING:
    from optsched.problems.job_shop.problem import JobShop, JobShopSolution

#: Sets of entries looked at for an order in which the entries of one instant can happen.
MOST_ORDERS = 5000


def check(problem: JobShop, solution: JobShopSolution) -> list[Violation]:
    """Return every violation of `solution`, in words; an empty list means feasible."""
    shape = _shape(problem, solution)
    if shape:
        return shape
    eligible = _alternative(problem, solution)[1]
    found = [
        Violation(
            "eligibility",
            f"{_op(problem, o)} runs on machine {solution.machine[o]}, which is not eligible",
        )
        for o in np.flatnonzero(~eligible).tolist()
    ]
    found += [
        Violation("start", f"{_op(problem, o)} starts at {solution.start[o]}, which is no time")
        for o in np.flatnonzero((solution.start < 0) | (solution.start > MAX_TIME)).tolist()
    ]
    if found:
        return found  # nothing below is defined for such a schedule
    end = completions(problem, solution)
    found += _job_rules(problem, solution, end)
    found += _calendar_rules(problem, solution, end)
    departure = _departures(problem, solution, end)
    order = np.lexsort((departure, solution.start, solution.machine))
    found += _machine_rules(problem, solution, departure, order)
    if not problem.swap and not found:
        found += _swaps(problem, solution, departure, order)
    return found


def objective(problem: JobShop, solution: JobShopSolution) -> int:
    """Return the objective value, recomputed from starts and machines.

    Raises
    ------
    InputError
        When the solution has the wrong length or uses a machine that is not eligible.
    """
    shape = _shape(problem, solution)
    if shape:
        raise InputError(f"solution: {shape[0]}")
    end = completions(problem, solution)[problem.job_offset[1:] - 1]
    kind = problem.objective_kind
    if kind == "makespan":
        # A job's last end is its latest only in a feasible schedule; be right in any.
        return int(completions(problem, solution).max())
    if kind == "total_completion_time":
        return int((problem.weight * end).sum())
    assert problem.due is not None  # the constructor asks for due dates here
    if kind == "maximum_lateness":
        return int((end - problem.due).max())
    return int((problem.weight * np.maximum(0, end - problem.due)).sum())


def durations(problem: JobShop, solution: JobShopSolution) -> IntArray:
    """Return each operation's duration on its machine."""
    alternative, eligible = _alternative(problem, solution)
    if not eligible.all():
        op = int(np.flatnonzero(~eligible)[0])
        raise InputError(f"{_op(problem, op)}: machine {solution.machine[op]} is not eligible")
    return problem.alt_duration[alternative]


def completions(problem: JobShop, solution: JobShopSolution) -> IntArray:
    """Return each operation's end; a resumable operation is stretched by the breaks it spans."""
    duration = durations(problem, solution)
    end = solution.start + duration
    if not len(problem.break_start):
        return end
    for machine in np.flatnonzero(np.diff(problem.break_offset)):
        chosen = (solution.machine == machine) & problem.resumable & (duration > 0)
        ops = np.flatnonzero(chosen)
        first, last = problem.break_offset[machine : machine + 2]
        start, stop = problem.break_start[first:last], problem.break_end[first:last]
        lost = np.concatenate(([0], np.cumsum(stop - start)))  # time lost before each break
        begun = solution.start[ops]
        # Working time that has passed on this machine at the start, plus the duration: the end
        # lies before the first break at which that much has been worked.
        target = begun - lost[np.searchsorted(stop, begun, side="right")] + duration[ops]
        worked = start - lost[:-1]
        end[ops] = target + lost[np.searchsorted(worked, target, side="left")]
    return end


def _alternative(problem: JobShop, solution: JobShopSolution) -> tuple[IntArray, BoolArray]:
    """Return the chosen alternative of each operation, and whether there is one."""
    op_of_alt = np.repeat(np.arange(problem.n_ops), np.diff(problem.alt_offset))
    chosen = problem.alt_machine == solution.machine[op_of_alt]
    alternative = problem.alt_offset[:-1].copy()
    alternative[op_of_alt[chosen]] = np.flatnonzero(chosen)
    eligible = np.zeros(problem.n_ops, dtype=bool)
    eligible[op_of_alt[chosen]] = True
    return alternative, eligible


def _op(problem: JobShop, op: int) -> str:
    job = int(problem.op_job[op])
    return f"job {job}, operation {op - int(problem.job_offset[job])}"


def _shape(problem: JobShop, solution: JobShopSolution) -> list[Violation]:
    for name in ("start", "machine"):
        size = len(getattr(solution, name))
        if size != problem.n_ops:
            text = f"{name} has {size} entries, the instance has {problem.n_ops} operations"
            return [Violation("shape", text)]
    return []


def _following(problem: JobShop) -> BoolArray:
    """Return whether an operation has a next one in its job."""
    following = np.ones(problem.n_ops, dtype=bool)
    following[problem.job_offset[1:] - 1] = False
    return following


def _gap_after(problem: JobShop, solution: JobShopSolution) -> IntArray:
    """Return the lag plus transport behind each operation, 0 behind the last of a job."""
    gap = problem.lag.copy()
    if problem.transport is not None:
        before = np.flatnonzero(_following(problem))
        gap[before] += problem.transport[solution.machine[before], solution.machine[before + 1]]
    return gap


def _job_rules(problem: JobShop, solution: JobShopSolution, end: IntArray) -> list[Violation]:
    found = []
    start = solution.start
    first = problem.job_offset[:-1]
    for j in np.flatnonzero(start[first] < problem.release):
        text = f"job {j} starts at {start[first[j]]}, before its release at {problem.release[j]}"
        found.append(Violation("release", text))
    before = np.flatnonzero(_following(problem))
    ready = (end + _gap_after(problem, solution))[before]
    for k in np.flatnonzero(start[before + 1] < ready):
        op = int(before[k])
        text = (
            f"{_op(problem, op + 1)} starts at {start[op + 1]}, "
            f"before its predecessor lets it at {ready[k]}"
        )
        found.append(Violation("precedence", text))
    late = (problem.buffer[before] == 2) & (start[before + 1] > ready)
    for k in np.flatnonzero(late):
        op = int(before[k])
        text = f"{_op(problem, op + 1)} waits from {ready[k]} to {start[op + 1]}, though no-wait"
        found.append(Violation("no-wait", text))
    if problem.deadline is not None:
        done = end[problem.job_offset[1:] - 1]
        for j in np.flatnonzero(done > problem.deadline):
            text = f"job {j} ends at {done[j]}, after its deadline at {problem.deadline[j]}"
            found.append(Violation("deadline", text))
    return found


def _calendar_rules(problem: JobShop, solution: JobShopSolution, end: IntArray) -> list[Violation]:
    found = []
    for machine in np.flatnonzero(np.diff(problem.break_offset)):
        ops = np.flatnonzero(solution.machine == machine)
        first, last = problem.break_offset[machine : machine + 2]
        begin, stop = problem.break_start[first:last], problem.break_end[first:last]
        k = np.searchsorted(stop, solution.start[ops], side="right")
        at = np.minimum(k, len(begin) - 1)
        exists = k < len(begin)
        inside = exists & (begin[at] <= solution.start[ops]) & (end[ops] > solution.start[ops])
        # An operation of no duration may stand at the border of a break, not within it.
        inside |= exists & (begin[at] < solution.start[ops])
        spans = exists & (begin[at] < end[ops]) & ~problem.resumable[ops]
        for i in np.flatnonzero(inside | spans):
            op = int(ops[i])
            text = (
                f"{_op(problem, op)} runs from {solution.start[op]} to {end[op]} on machine "
                f"{machine}, which is unavailable from {begin[at[i]]} to {stop[at[i]]}"
            )
            found.append(Violation("calendar", text))
    return found


def _departures(problem: JobShop, solution: JobShopSolution, end: IntArray) -> IntArray:
    """Return until when each operation holds its machine: its end, or later when blocking."""
    departure = end.copy()
    held = np.flatnonzero(_following(problem) & (problem.buffer == 1))
    gap = _gap_after(problem, solution)[held]
    departure[held] = np.maximum(end[held], solution.start[held + 1] - gap)
    return departure


def _machine_rules(
    problem: JobShop, solution: JobShopSolution, departure: IntArray, order: IntArray
) -> list[Violation]:
    """One operation at a time on a machine, with the setup in between.

    Operations of no duration may share an instant with others, but not fall within one.
    """
    found = []
    start = solution.start
    borders = np.flatnonzero(np.diff(solution.machine[order])) + 1
    for group in np.split(order, borders):
        machine = int(solution.machine[group[0]])
        latest = np.maximum.accumulate(departure[group])[:-1]
        for i in np.flatnonzero(start[group][1:] < latest):
            op = int(group[i + 1])
            holder = int(group[np.argmax(departure[group[: i + 1]])])
            text = (
                f"{_op(problem, op)} starts at {start[op]} on machine {machine}, "
                f"which {_op(problem, holder)} holds from {start[holder]} to {departure[holder]}"
            )
            found.append(Violation("machine", text))
        if problem.setup is not None:
            group = _untie(problem, machine, group, start, departure)
            jobs = problem.op_job[group]
            needed = problem.setup[machine, jobs[:-1], jobs[1:]]
            gap = start[group][1:] - departure[group][:-1]
            for i in np.flatnonzero((gap < needed) & (gap >= 0)):
                text = (
                    f"{_op(problem, int(group[i + 1]))} starts {gap[i]} after "
                    f"{_op(problem, int(group[i]))} has left machine {machine}; "
                    f"the setup needs {needed[i]}"
                )
                found.append(Violation("setup", text))
    return found


def _untie(
    problem: JobShop, machine: int, group: IntArray, start: IntArray, departure: IntArray
) -> IntArray:
    """Order operations of no duration that share an instant so that setups fit, if they can.

    Such ties have no order of their own; the schedule stands when one of them fits. Ties of more
    than six are left as they are.
    """
    assert problem.setup is not None
    setup = problem.setup[machine]
    begin, leave = start[group], departure[group]
    tied = np.flatnonzero((begin[1:] == begin[:-1]) & (leave[1:] == leave[:-1]))
    if not tied.size:
        return group
    group = group.copy()
    at = 0
    while at < len(group):
        end = at + 1
        while end < len(group) and begin[end] == begin[at] and leave[end] == leave[at]:
            end += 1
        if 2 <= end - at <= 6:
            # The neighbours on both sides take part, as the setups to and from them count.
            low, high = max(0, at - 1), min(len(group), end + 1)

            def lacking(inner: tuple[int, ...], low: int = low, at: int = at, end: int = end,
                        high: int = high) -> int:  # fmt: skip
                row = np.concatenate((group[low:at], inner, group[end:high]))
                jobs = problem.op_job[row]
                gap = start[row][1:] - departure[row][:-1]
                return int((gap < setup[jobs[:-1], jobs[1:]]).sum())

            group[at:end] = min(permutations(group[at:end].tolist()), key=lacking)
        at = end
    return group


def _swaps(
    problem: JobShop, solution: JobShopSolution, departure: IntArray, order: IntArray
) -> list[Violation]:
    """Find cycles of jobs that wait for each other's machine and move at the same instant.

    An operation enters its machine when the operation before it there has left; that one, when
    blocking, leaves by entering the machine of its job's next operation. With an entry per
    operation and an edge for each such "at the same instant, after", a cycle is a swap.
    """
    start = solution.start
    machine_before = np.full(problem.n_ops, -1)
    same = solution.machine[order][1:] == solution.machine[order][:-1]
    machine_before[order[1:][same]] = order[:-1][same]
    follows = _following(problem)
    blocking = follows & (problem.buffer == 1)

    def waits_for(op: int) -> list[int]:
        """Entries that must have happened before `op` can enter, at the same instant."""
        result = []
        holder = int(machine_before[op])
        if holder >= 0 and departure[holder] == start[op]:
            if holder + 1 == op:
                pass  # a job that stays on its machine waits for nobody
            elif blocking[holder] and start[holder + 1] == start[op]:
                result.append(holder + 1)
            elif start[holder] == start[op]:
                result.append(holder)
        if op > 0 and follows[op - 1] and start[op - 1] == start[op]:
            result.append(op - 1)
        return result

    found = []
    state = np.zeros(problem.n_ops, dtype=np.int8)  # 0 new, 1 on the path, 2 done
    for root in np.flatnonzero(np.append(False, blocking[:-1])):
        path = [int(root)] if state[root] == 0 else []
        pending = [waits_for(int(root))] if path else []
        if path:
            state[root] = 1
        while path:
            if not pending[-1]:
                state[path.pop()] = 2
                pending.pop()
                continue
            op = pending[-1].pop()
            if state[op] == 1:
                cycle = path[path.index(op) :]
                if _can_enter(problem, solution, departure, int(start[op])):
                    continue
                jobs = sorted({int(problem.op_job[o]) for o in cycle})
                text = (
                    f"jobs {', '.join(map(str, jobs))} exchange machines at {start[op]}, "
                    "which needs swap=True"
                )
                found.append(Violation("swap", text))
            elif state[op] == 0:
                state[op] = 1
                path.append(op)
                pending.append(waits_for(op))
    return found


def _can_enter(problem: JobShop, solution: JobShopSolution, departure: IntArray, now: int) -> bool:
    """Return whether the entries of one instant have an order in which each machine is empty.

    Operations that pass a machine at one instant have no order of their own, so a cycle through
    them tells nothing yet. What only passes goes as soon as it can, being in nobody's way; the
    others are tried in every order, up to `MOST_ORDERS` sets of entries.
    """
    start, machine = solution.start, solution.machine
    entries = np.flatnonzero(start == now).tolist()
    with_next = _following(problem) & (problem.buffer == 1) & (departure == now)
    with_next[:-1] &= start[1:] == now  # they leave by entering the next machine

    def empty(op: int, done: frozenset[int]) -> bool:
        for other in np.flatnonzero((machine == machine[op]) & (departure >= now)).tolist():
            if other == op or other + 1 == op or start[other] > now:
                continue
            if start[other] == now and other not in done:
                continue
            if departure[other] > now or (with_next[other] and other + 1 not in done):
                return False
        return True

    def enterable(done: frozenset[int]) -> list[int]:
        return [
            op
            for op in entries
            if op not in done
            and not (op - 1 in entries and op - 1 not in done and _same_job(problem, op))
            and empty(op, done)
        ]

    pending = [frozenset[int]()]
    seen = set(pending)
    while pending:
        done = pending.pop()
        if len(done) == len(entries):
            return True
        if len(seen) > MOST_ORDERS:
            return False
        able = enterable(done)
        passing = [op for op in able if departure[op] == now and not with_next[op]]
        for op in passing[:1] or able:
            after = done | {op}
            if after not in seen:
                seen.add(after)
                pending.append(after)
    return False


def _same_job(problem: JobShop, op: int) -> bool:
    return bool(problem.op_job[op] == problem.op_job[op - 1])
