"""Greedy placement of blocks in a given order: the kernel.

The pieces that lie in a bank are kept sorted by offset, so that one pass over them, looking at
those that are live with the new block, finds every hole from the bottom up.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True}
#: Which hole a block takes: the lowest, or the tightest beneath what is live with it.
FIRST_FIT, BEST_FIT = 0, 1


@njit(**_OPTIONS)  # type: ignore[untyped-decorator]
def _hole(
    begin: int, end: int, height: int, step: int, at: int, best: bool,
    piece_at: Any, piece_top: Any, piece_begin: Any, piece_end: Any, count: int,
) -> int:  # fmt: skip
    """Return where a piece goes, at `at` or above."""
    cursor = at
    tightest, chosen = 2**62, -1
    for k in range(count):
        if piece_begin[k] >= end or piece_end[k] <= begin:
            continue
        room = piece_at[k] - cursor
        if room >= height:
            if not best:
                return int(cursor)
            if room < tightest:
                tightest, chosen = room, cursor
                if room == height:
                    break
        top = piece_top[k]
        if top > cursor:
            cursor = top + (step - top % step) % step
    return int(cursor if chosen < 0 else chosen)


@njit(**_OPTIONS)  # type: ignore[untyped-decorator]
def _insert(
    begin: int, end: int, at: int, top: int,
    piece_at: Any, piece_top: Any, piece_begin: Any, piece_end: Any, count: int,
) -> None:  # fmt: skip
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if piece_at[middle] <= at:
            low = middle + 1
        else:
            high = middle
    for k in range(count, low, -1):
        piece_at[k], piece_top[k] = piece_at[k - 1], piece_top[k - 1]
        piece_begin[k], piece_end[k] = piece_begin[k - 1], piece_end[k - 1]
    piece_at[low], piece_top[low], piece_begin[low], piece_end[low] = at, top, begin, end


@njit(**_OPTIONS)  # type: ignore[untyped-decorator]
def place(
    order: Any, mode: int, start: Any,
    offset: Any, lower: Any, upper: Any, height: Any, align: Any, pin: Any, size: Any,
    allowed: Any, capacity: Any,
    at: Any, bank: Any, peak: Any,
) -> int:  # fmt: skip
    """Place blocks in this order, pinned ones first; return the first that does not fit, else -1.

    Parameters
    ----------
    order : ndarray of int64, shape (n,)
    mode : int
        FIRST_FIT or BEST_FIT (blocks of one piece; others take the lowest hole).
    start : ndarray of int64, shape (n,)
        Lowest offset to try for each block.
    offset, lower, upper, height, align, pin, size, allowed, capacity
        As in `Blocks`; ``capacity`` is that of each bank.
    at, bank : ndarray of int64, shape (n,)
        Receive offsets and banks.
    peak : ndarray of int64, shape (n_banks,)
        Receives the peak of each bank.
    """
    n_banks, n_pieces = len(capacity), len(lower)
    piece_at = np.empty((n_banks, n_pieces), np.int64)
    piece_top = np.empty((n_banks, n_pieces), np.int64)
    piece_begin = np.empty((n_banks, n_pieces), np.int64)
    piece_end = np.empty((n_banks, n_pieces), np.int64)
    count = np.zeros(n_banks, np.int64)
    peak[:] = 0
    for turn in range(2):
        for i in range(len(order)):
            b = order[i]
            if (pin[b] >= 0) != (turn == 0):
                continue
            single = offset[b + 1] - offset[b] == 1
            chosen, where, least = -1, np.int64(0), np.int64(2**62)
            for m in range(n_banks):
                if not allowed[b, m]:
                    continue
                to = pin[b] if turn == 0 else start[b]
                moved = True
                while moved:
                    moved = False
                    for p in range(offset[b], offset[b + 1]):
                        found = _hole(
                            lower[p], upper[p], height[p], align[b], to,
                            single and mode == BEST_FIT,
                            piece_at[m], piece_top[m], piece_begin[m], piece_end[m], count[m],
                        )  # fmt: skip
                        if found > to:
                            to = found
                            moved = not single
                if turn == 0 and to != pin[b]:
                    continue
                if to + size[b] > capacity[m]:
                    continue
                growth = max(0, to + size[b] - peak[m])
                if growth < least or (growth == least and to < where):
                    chosen, where, least = m, to, growth
            if chosen < 0:
                return int(b)
            at[b], bank[b] = where, chosen
            peak[chosen] = max(peak[chosen], where + size[b])
            for p in range(offset[b], offset[b + 1]):
                _insert(
                    lower[p], upper[p], where, where + height[p],
                    piece_at[chosen], piece_top[chosen], piece_begin[chosen], piece_end[chosen],
                    count[chosen],
                )  # fmt: skip
                count[chosen] += 1
    return -1
