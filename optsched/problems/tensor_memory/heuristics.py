"""Constructive rules: an order of the blocks, and which hole each one takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from optsched.core import IntArray
from optsched.problems.tensor_memory.blocks import Blocks, normal_form
from optsched.problems.tensor_memory.problem import (
    OBJECTIVES,
    TensorMemory,
    TensorMemorySolution,
)
from optsched.session import Session

#: Features that the rules honour; a capacity they may miss, and then offer nothing.
SUPPORTS = frozenset(
    {"alignment", "gaps", "pinned offsets", "aliases", "banks", "capacity"}
    | {f"objective {kind}" for kind in OBJECTIVES}
)
#: Above this many blocks only the first rules are tried: each takes O(n^2).
MANY = 20_000


def _by(*keys: IntArray) -> IntArray:
    """Return the order by the first key, then by the second, ..., each from large to small."""
    return np.lexsort([-key for key in keys[::-1]])


def breadth(blocks: Blocks) -> IntArray:
    """Return, for each block, the greatest load at a moment at which it is live."""
    times = np.unique(np.concatenate((blocks.lower, blocks.upper)))
    low, high = np.searchsorted(times, blocks.lower), np.searchsorted(times, blocks.upper)
    change = np.bincount(low, weights=blocks.height, minlength=len(times)).astype(np.int64)
    change -= np.bincount(high, weights=blocks.height, minlength=len(times)).astype(np.int64)
    load = np.cumsum(change)
    table = [load]  # greatest load over stretches of 1, 2, 4, ... moments
    while 2 ** len(table) <= len(times):
        half = 2 ** (len(table) - 1)
        table.append(np.maximum(table[-1][:-half], table[-1][half:]))
    level = np.floor(np.log2(high - low)).astype(np.int64)
    most = np.empty(len(low), dtype=np.int64)
    for k, row in enumerate(table):
        at = np.flatnonzero(level == k)
        most[at] = np.maximum(row[low[at]], row[high[at] - 2**k])
    return np.maximum.reduceat(most, blocks.piece_offset[:-1])


#: The orders, by name; sizes and lifetimes go from large to small, begins from early to late.
ORDERS: dict[str, Callable[[Blocks], IntArray]] = {
    "size": lambda b: _by(b.size, b.duration),
    "lifetime": lambda b: _by(b.duration, b.size),
    "area": lambda b: _by(b.size * b.duration.astype(float), b.size),
    "breadth": lambda b: _by(breadth(b), b.size),
    "begin": lambda b: _by(-b.begin, b.duration),
}
FIRST, BEST = 0, 1
#: Order and fit of each rule. Greedy by size with the tightest hole is TensorFlow Lite's planner
#: (Pisarchyk and Lee 2020), and greedy by breadth is of the same paper.
RULES: dict[str, tuple[str, int]] = {
    "first fit by lifetime": ("lifetime", FIRST),
    "greedy by size": ("size", BEST),
    "first fit by area": ("area", FIRST),
    "greedy by breadth": ("breadth", FIRST),
    "first fit by size": ("size", FIRST),
    "best fit by lifetime": ("lifetime", BEST),
    "best fit by area": ("area", BEST),
    "first fit by begin": ("begin", FIRST),
}


def arrange(
    blocks: Blocks, capacity: IntArray, order: IntArray, mode: int, start: IntArray | None = None
) -> IntArray | int:
    """Return offset and bank of every block, shape (2, n); else the block that did not fit.

    Parameters
    ----------
    blocks : Blocks
    capacity : ndarray of int64, shape (n_banks,)
    order : ndarray of int64, shape (n,)
        Blocks in the order in which they are placed; pinned ones go first.
    mode : int
        FIRST or BEST hole.
    start : ndarray of int64, shape (n,), optional
        The least offset to try for each block, a multiple of its alignment.
    """
    from optsched.problems.tensor_memory import placing  # compiles on import

    b = blocks
    at = np.zeros((2, len(b)), dtype=np.int64)
    peak = np.zeros(len(capacity), dtype=np.int64)
    start = np.zeros(len(b), dtype=np.int64) if start is None else start
    failed = placing.place(
        order, mode, start, b.piece_offset, b.lower, b.upper, b.height, b.alignment, b.pin,
        b.size, b.allowed, capacity, at[0], at[1], peak,
    )  # fmt: skip
    return at if failed < 0 else int(failed)


class Placer:
    """Places the blocks of a problem in one order after another."""

    def __init__(self, problem: TensorMemory) -> None:
        self.problem = problem
        self.blocks, self.block = normal_form(problem)
        self.capacity = problem.capacity.copy()

    def run(self, order: IntArray, mode: int, start: IntArray | None = None) -> IntArray | int:
        """Return what `arrange` returns, within the problem's capacity."""
        return arrange(self.blocks, self.capacity, order, mode, start)

    def solution(self, at: IntArray) -> TensorMemorySolution:
        """Return the solution in which block ``b`` lies at ``at[0, b]`` of bank ``at[1, b]``."""
        return expand(self.problem, self.block, at[0], at[1])


def expand(
    problem: TensorMemory, block: IntArray, at: IntArray, bank: IntArray | None = None
) -> TensorMemorySolution:
    """Return the solution that puts buffers where their blocks lie."""
    # Buffers of no size lie where they must, and else where it never matters.
    offset = np.maximum(problem.pinned, 0)
    np.maximum.at(offset, problem.alias, offset.copy())
    offset = offset[problem.alias]
    place = problem.allowed.argmax(axis=1)
    if problem.has_aliases:
        common = np.ones_like(problem.allowed)
        np.logical_and.at(common, problem.alias, problem.allowed)
        place = common[problem.alias].argmax(axis=1)
    some = block >= 0
    offset[some] = at[block[some]]
    if bank is not None:
        place[some] = bank[block[some]]
    return TensorMemorySolution(offset, place)


def construct(problem: TensorMemory, session: Session, seed: int) -> None:
    """Offer the plan of every rule, best first come; from the hints, too, where there are any."""
    placer = Placer(problem)
    if not len(placer.blocks):
        _offer_empty(placer, session)
        return
    hints = placer.blocks.hint
    if (hints >= 0).any():
        order = np.argsort(np.where(hints >= 0, hints, np.iinfo(np.int64).max), kind="stable")
        step = placer.blocks.alignment
        _offer(placer, session, order, FIRST, "hints", -(-np.maximum(hints, 0) // step) * step)
    names = list(RULES)[:3] if len(placer.blocks) > MANY else list(RULES)
    for name in names:
        if session.proven or (session.objective is not None and session.stopped):
            return
        _follow(placer, session, name)


def _follow(placer: Placer, session: Session, name: str) -> None:
    kind, mode = RULES[name]
    _offer(placer, session, ORDERS[kind](placer.blocks), mode, name)


def _offer_empty(placer: Placer, session: Session) -> None:
    nowhere = np.zeros(0, dtype=np.int64)
    session.offer(expand(placer.problem, placer.block, nowhere), "heuristic:empty")


def _offer(
    placer: Placer,
    session: Session,
    order: IntArray,
    mode: int,
    name: str,
    start: IntArray | None = None,
) -> None:
    at = placer.run(order, mode, start)
    if isinstance(at, int):
        return
    peak = int(_peak(placer, at))
    if session.objective is None or (
        peak < session.objective and placer.problem.objective_kind == "peak"
    ):
        session.offer(placer.solution(at), f"heuristic:{name}")


def _peak(placer: Placer, at: IntArray) -> int:
    peak = np.zeros(len(placer.capacity), dtype=np.int64)
    np.maximum.at(peak, at[1], at[0] + placer.blocks.size)
    return int(peak.sum())


def _alone(rule: str, problem: TensorMemory, session: Session, seed: int) -> None:
    """Offer the plan of one rule, whatever others would find; nothing where it does not fit."""
    placer = Placer(problem)
    if len(placer.blocks):
        _follow(placer, session, rule)
    else:
        _offer_empty(placer, session)


#: What ``solver="heuristic:NAME"`` runs instead of `construct`, by name: as in ``greedy-by-size``.
VARIANTS: Mapping[str, Callable[[TensorMemory, Session, int], None]] = {
    rule.replace(" ", "-"): partial(_alone, rule) for rule in RULES
}
