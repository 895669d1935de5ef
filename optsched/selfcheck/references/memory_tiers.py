"""The optimum of tiny memory tiers by dynamic programming over all states of memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TypeAlias

from optsched.problems.memory_tiers.problem import MemoryTiers, MemoryTiersSolution
from optsched.problems.scratchpad.graph import INPUT, OUTPUT, WEIGHT

#: What is known of one tensor at the beginning of a step: how much of it the channel has brought
#: to main memory, and to each other memory (None: no room); all of it means complete.
State: TypeAlias = tuple[int, tuple[int | None, ...]]


def optimum(problem: MemoryTiers) -> int:
    """Return the least time, by dynamic programming over the states of all tensors."""
    graph = problem.graph
    time = [-(-s // problem.dma_bandwidth) for s in graph.size.tolist()]
    fast = range(1, len(problem.tier_names))
    nowhere = (None,) * len(fast)
    enough = int(problem.step_times(all_in_main_memory(problem)).sum())
    states: dict[tuple[State, ...], int] = {
        tuple(
            (time[t] if graph.kind[t] in (INPUT, WEIGHT) else -1, nowhere)
            for t in range(graph.n_tensors)
        ): 0
    }
    for step, operator in enumerate(problem.order.tolist()):
        reads, writes = graph.inputs(operator).tolist(), graph.outputs(operator).tolist()
        later = {
            t
            for i in problem.order[step + 1 :].tolist()
            for t in (*graph.inputs(i).tolist(), *graph.outputs(i).tolist())
        }
        new: dict[tuple[State, ...], int] = {}
        for state, cost in states.items():
            choices = [
                list(moves(problem, t, state[t], time[t], t in reads, t in writes, t in later))
                for t in range(graph.n_tensors)
            ]
            for picked in itertools.product(*choices):
                room = [sum(each[1][m - 1] for each in picked) for m in fast]
                if any(room[m - 1] > problem.capacity[m] for m in fast):
                    continue
                access = sum(each[2] for each in picked)
                copied = sum(each[3] for each in picked)
                total = cost + max(int(problem.compute[operator]), access, copied)
                key = tuple(each[0] for each in picked)
                if total <= enough and total < new.get(key, total + 1):
                    new[key] = total
        states = new
    return min(
        cost
        for state, cost in states.items()
        if all(state[t][0] == time[t] for t in range(graph.n_tensors) if graph.kind[t] == OUTPUT)
    )


def all_in_main_memory(problem: MemoryTiers) -> MemoryTiersSolution:
    """Return the solution that uses no other memory."""
    return MemoryTiersSolution([0] * len(problem.touches()), [], [])


Move: TypeAlias = tuple[State, tuple[int, ...], int, int]


def moves(
    problem: MemoryTiers, t: int, state: State, time: int, read: bool, write: bool, later: bool
) -> Iterator[Move]:
    """Yield next state, bytes in each memory, access time and channel time of one tensor."""
    main, held = state
    size = int(problem.graph.size[t])
    access = [-(-size // int(b)) for b in problem.bandwidth.tolist()]
    nothing = (0,) * len(held)
    if main < 0 and not write:
        yield state, nothing, 0, 0  # not yet written
        return
    output = problem.graph.kind[t] == OUTPUT
    if not (read or write or later or (output and main < time)):
        yield (main, (None,) * len(held)), nothing, 0, 0
        return
    if write:
        for rooms in itertools.product((False, True), repeat=len(held)):
            room = tuple(size if r else 0 for r in rooms)
            empty: tuple[int | None, ...] = tuple(0 if r and time else None for r in rooms)
            yield (time, empty), room, access[0], 0
            for m, r in enumerate(rooms):
                if r:
                    after = tuple(time if k == m else e for k, e in enumerate(empty))
                    # A tensor of no bytes needs no copy to be everywhere.
                    yield (0, after), room, access[m + 1], 0
        return
    options: list[list[tuple[int | None, int]]] = []  # level behind the step, work; by memory
    for level in held:
        low = 0 if level is None else level
        most = time - low if main == time else 0
        options.append([(None, 0), *((low + work, work) for work in range(most + 1))])
    for picked in itertools.product(*options):
        room = tuple(0 if level is None else size for level, _ in picked)
        complete = [
            held[m] == time and picked[m][0] is not None and time > 0 for m in range(len(held))
        ]
        sources = [m + 1 for m, c in enumerate(complete) if c] + ([0] if main == time else [])
        if read and not sources:
            continue
        cost = min(access[m] for m in sources) if read else 0
        work = sum(w for _, w in picked)
        for saved in range(time - main + 1 if any(complete) else 1):
            yield (main + saved, tuple(level for level, _ in picked)), room, cost, work + saved
