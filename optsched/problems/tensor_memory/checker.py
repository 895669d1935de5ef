"""The independent checker: the definition of a memory plan, and nothing else.

It shares no code with any formulation or heuristic. A sweep over time keeps the spaces in use
sorted by address, so that neighbours alone need to be looked at: some 0.5 s for 60,000 buffers.
"""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING

import numpy as np

from optsched.core import MAX_TIME, InputError, IntArray, Violation

if TYPE_CHECKING:
    from optsched.problems.tensor_memory.problem import TensorMemory, TensorMemorySolution

#: So many overlaps are told one by one.
MOST_OVERLAPS = 1000


def check(problem: TensorMemory, solution: TensorMemorySolution) -> list[Violation]:
    """Return every violation of `solution`, in words; an empty list means feasible.

    Of the overlaps the first 1,000 are listed.
    """
    n = problem.n_buffers
    if len(solution.offset) != n:
        text = f"offset has {len(solution.offset)} entries, the instance has {n} buffers"
        return [Violation("shape", text)]
    offset, bank, name = solution.offset, solution.bank, problem.names()
    strange = (offset < 0) | (offset > MAX_TIME)
    found = [
        Violation("offset", f"buffer {name[b]} is at {offset[b]}, which is no address")
        for b in np.flatnonzero(strange).tolist()
    ]
    unknown = (bank < 0) | (bank >= problem.n_banks)
    found += [
        Violation("bank", f"buffer {name[b]} is in bank {bank[b]}, which does not exist")
        for b in np.flatnonzero(unknown).tolist()
    ]
    if found:
        return found  # nothing below is defined for such a plan
    for b in np.flatnonzero(~problem.allowed[np.arange(n), bank]).tolist():
        text = f"buffer {name[b]} is in bank {bank[b]}, which is not allowed for it"
        found.append(Violation("bank", text))
    for b in np.flatnonzero(offset % problem.alignment).tolist():
        text = f"buffer {name[b]} is at {offset[b]}, no multiple of {problem.alignment[b]}"
        found.append(Violation("alignment", text))
    for b in np.flatnonzero((problem.pinned >= 0) & (offset != problem.pinned)).tolist():
        text = f"buffer {name[b]} is at {offset[b]}, but pinned at {problem.pinned[b]}"
        found.append(Violation("pinned", text))
    end, room = offset + problem.size, problem.capacity[bank]
    for b in np.flatnonzero((end > room) & (problem.size > 0)).tolist():
        text = f"buffer {name[b]} ends at {end[b]}, beyond the capacity {room[b]}"
        found.append(Violation("capacity", text))
    first = problem.alias
    for b in np.flatnonzero((offset != offset[first]) | (bank != bank[first])).tolist():
        other = int(first[b])
        text = f"buffers {name[other]} and {name[b]} are aliases, but lie at different places"
        found.append(Violation("alias", text))
    return found + _overlaps(problem, solution)


def _spans(problem: TensorMemory) -> tuple[IntArray, IntArray, IntArray]:
    """Return buffer, begin and end of every stretch of time at which space is needed."""
    some = np.flatnonzero(problem.size > 0)
    if not len(problem.gaps):
        return some, problem.lower[some], problem.upper[some]
    # The stretches are what the gaps, in order of time, leave between begin and end.
    buffer = np.concatenate((some, problem.gaps[:, 0]))
    begin = np.concatenate((problem.lower[some], problem.gaps[:, 2]))
    end = np.concatenate((problem.upper[some], problem.gaps[:, 1]))
    begins = np.lexsort((begin, buffer))
    ends = np.lexsort((end, buffer))
    who, begin, end = buffer[begins], begin[begins], end[ends]
    keep = (begin < end) & (problem.size[who] > 0)
    return who[keep], begin[keep], end[keep]


def _overlaps(problem: TensorMemory, solution: TensorMemorySolution) -> list[Violation]:
    """Return the pairs that need the same space at the same time."""
    buffer, begin, end = _spans(problem)
    if _apart(problem, solution, buffer, begin, end):
        return []
    name, offset, bank = problem.names(), solution.offset, solution.bank
    top = offset + problem.size
    order = np.argsort(begin, kind="stable")
    buffer, begin, end = buffer[order], begin[order], end[order]
    at, up, where = offset[buffer], top[buffer], bank[buffer]
    group = problem.alias[buffer]
    found: dict[tuple[int, int], Violation] = {}
    live = np.zeros(0, dtype=np.int64)
    for k in range(len(buffer)):
        live = live[end[live] > begin[k]]
        hit = live[
            (at[live] < up[k]) & (up[live] > at[k]) & (where[live] == where[k])
            & (group[live] != group[k])
        ]  # fmt: skip
        for i in hit.tolist():
            a, b = sorted((int(buffer[i]), int(buffer[k])))
            text = (
                f"buffers {name[a]} and {name[b]} overlap at time {begin[k]}: "
                f"[{offset[a]}, {top[a]}) and [{offset[b]}, {top[b]})"
            )
            found.setdefault((a, b), Violation("overlap", text))
        if len(found) >= MOST_OVERLAPS:
            break
        live = np.append(live, k)
    return list(found.values())


def _apart(
    problem: TensorMemory,
    solution: TensorMemorySolution,
    buffer: IntArray,
    begin: IntArray,
    end: IntArray,
) -> bool:
    """Return whether nothing overlaps: a sweep that stops at the first overlap."""
    n = len(buffer)
    # Ends come before begins at the same time, since lifetimes are half-open.
    times = np.concatenate((begin, end))
    order = np.lexsort((np.repeat((1, 0), n), times)).tolist()
    owner = buffer.tolist()
    group, size = problem.alias.tolist(), problem.size.tolist()
    place = [*zip(solution.bank.tolist(), solution.offset.tolist(), strict=True)]
    live: list[tuple[int, int, int]] = []  # (bank, offset, group), sorted
    held: dict[tuple[int, int, int], list[int]] = {}  # sizes of the live members of a group
    for event in order:
        b = owner[event % n]
        key = (*place[b], group[b])
        members = held.get(key)
        if event >= n:
            assert members is not None
            members.remove(size[b])
            if not members:
                del held[key]
                del live[bisect.bisect_left(live, key)]
            continue
        if members is None:
            members = held[key] = []
            k = bisect.bisect_left(live, key)
            if k and live[k - 1][0] == key[0]:
                before = live[k - 1]
                if before[1] + max(held[before]) > key[1]:
                    return False
            live.insert(k, key)
        members.append(size[b])
        k = bisect.bisect_left(live, key) + 1
        if k < len(live) and live[k][0] == key[0] and key[1] + max(members) > live[k][1]:
            return False
    return True


def peaks(problem: TensorMemory, solution: TensorMemorySolution) -> IntArray:
    """Return the space in use in each bank: the highest end of a buffer there.

    Raises
    ------
    InputError
        When the solution has the wrong length or a bank that does not exist.
    """
    n = problem.n_buffers
    if len(solution.offset) != n:
        text = f"offset has {len(solution.offset)} entries, the instance has {n} buffers"
        raise InputError(f"solution: {text}")
    if ((solution.bank < 0) | (solution.bank >= problem.n_banks)).any():
        raise InputError("solution: a buffer lies in a bank that does not exist")
    peak = np.zeros(problem.n_banks, dtype=np.int64)
    some = problem.size > 0
    np.maximum.at(peak, solution.bank[some], (solution.offset + problem.size)[some])
    return peak


def objective(problem: TensorMemory, solution: TensorMemorySolution) -> int:
    """Return the sum of the peaks of the banks, or 0 where it is enough to fit."""
    total = int(peaks(problem, solution).sum())
    return 0 if problem.objective_kind == "fit" else total
