"""The optimum of a tiny memory allocation by placing the buffers in every order."""

from __future__ import annotations

import itertools

from optsched.problems.tensor_memory.problem import TensorMemory, TensorMemorySolution


def moments(problem: TensorMemory, buffer: int) -> set[int]:
    """Return the unit steps of time at which a buffer needs space."""
    steps = set(range(int(problem.lower[buffer]), int(problem.upper[buffer])))
    for owner, low, high in problem.gaps.tolist():
        if owner == buffer:
            steps -= set(range(low, high))
    return steps if problem.size[buffer] else set()


def optimum(problem: TensorMemory) -> int | None:
    """Return the least objective, or None when nothing fits.

    Every order of the groups is placed bottom up: each group as low as it goes above those before
    it (groups at one another's side keep their order), at every bank allowed.
    """
    n = problem.n_buffers
    groups = [
        [b for b in range(n) if problem.alias[b] == leader]
        for leader in sorted(set(problem.alias.tolist()))
    ]
    live = [moments(problem, b) for b in range(n)]
    best: int | None = None
    for banks in itertools.product(range(problem.n_banks), repeat=len(groups)):
        allowed = all(
            problem.allowed[b, k] for group, k in zip(groups, banks, strict=True) for b in group
        )
        if not allowed:
            continue
        value = _search(problem, groups, banks, live)
        if value is not None and (best is None or value < best):
            best = value
    return best


def _search(
    problem: TensorMemory, groups: list[list[int]], banks: tuple[int, ...], live: list[set[int]]
) -> int | None:
    """Depth-first over orders of non-decreasing offset."""
    best: list[int | None] = [None]
    size = problem.size.tolist()
    pins = [max(int(problem.pinned[b]) for b in group) for group in groups]
    place: dict[int, int] = {}

    def clash(g: int, h: int) -> bool:
        for a in groups[g]:
            for b in groups[h]:
                if banks[g] == banks[h] and live[a] & live[b]:
                    low, high = place[g], place[h]
                    if low < high + size[b] and high < low + size[a]:
                        return True
        return False

    def lowest(g: int) -> int | None:
        at = pins[g] if pins[g] >= 0 else 0
        while True:
            place[g] = at
            fits = all(at % int(problem.alignment[b]) == 0 for b in groups[g])
            others = [h for h in place if h != g]
            if fits and not any(clash(g, h) for h in others):
                return at
            if pins[g] >= 0 or at > 200:
                return None
            at += 1

    def rest(left: frozenset[int]) -> None:
        if not left:
            offset = [0] * problem.n_buffers
            bank = [0] * problem.n_buffers
            for g, at in place.items():
                for b in groups[g]:
                    offset[b], bank[b] = at, banks[g]
            solution = TensorMemorySolution(offset, bank)
            if not problem.check(solution):
                value = problem.objective(solution)
                if best[0] is None or value < best[0]:
                    best[0] = value
            return
        for g in left:
            if lowest(g) is not None:
                rest(left - {g})
            del place[g]

    pinned = [g for g in range(len(groups)) if pins[g] >= 0]
    for g in pinned:
        place[g] = pins[g]
    rest(frozenset(range(len(groups))) - frozenset(pinned))
    return best[0]
