"""States of the dynamic programming over downsets: words of bits, and tables of them.

A state has, in this order, `w1` words of units that are done, as many of units that are ready,
`w2` words of tensors that are resident, and as many of those that main memory has a copy of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba import njit

_F = TypeVar("_F", bound=Callable[..., Any])
jit: Callable[[_F], _F] = njit(cache=True, nogil=True)

_ONE = np.uint64(1)
_LOW = np.uint64(63)


@jit
def has(words: Any, base: int, bit: int) -> bool:
    """Return whether a bit is set."""
    return bool((words[base + (bit >> 6)] >> (np.uint64(bit) & _LOW)) & _ONE)


@jit
def put(words: Any, base: int, bit: int) -> None:
    """Set a bit."""
    words[base + (bit >> 6)] |= _ONE << (np.uint64(bit) & _LOW)


@jit
def clear(words: Any, base: int, bit: int) -> None:
    """Clear a bit."""
    words[base + (bit >> 6)] &= ~(_ONE << (np.uint64(bit) & _LOW))


@jit
def bits_of(words: Any, base: int, count: int, out: Any) -> int:
    """Write the positions of the bits that are set to `out`; return how many."""
    found = 0
    for w in range(count):
        word = words[base + w]
        bit = 64 * w
        while word != np.uint64(0):
            while word & np.uint64(255) == np.uint64(0):
                word >>= np.uint64(8)
                bit += 8
            if word & _ONE != np.uint64(0):
                out[found] = bit
                found += 1
            word >>= _ONE
            bit += 1
    return found


@jit
def _hash(words: Any, count: int) -> np.uint64:
    value = np.uint64(0x9E3779B97F4A7C15)
    for w in range(count):
        value ^= words[w]
        value *= np.uint64(0xFF51AFD7ED558CCD)
        value ^= value >> np.uint64(32)
    return value


@jit
def insert(
    words: Any, g: int, mem: int, parent: int, unit: int,
    child: Any, child_g: Any, child_mem: Any, child_parent: Any, child_unit: Any,
    count: int, table: Any, salt: int,
) -> int:  # fmt: skip
    """Add a child, or improve its double; return how many children there are.

    Of two ways of the same cost to the same state, the salt decides which is kept.
    """
    width = len(words)
    mask = np.uint64(len(table) - 1)
    at = _hash(words, width) & mask
    while True:
        k = table[at]
        if k < 0:
            break
        same = True
        for w in range(width):
            if child[k, w] != words[w]:
                same = False
                break
        if same:
            tie = g == child_g[k] and salt > 0 and (salt * (31 * unit + count) >> 3) & 1 == 1
            if g < child_g[k] or tie:
                child_g[k], child_parent[k], child_unit[k] = g, parent, unit
            return count
        at = (at + _ONE) & mask
    table[at] = count
    child[count] = words
    child_g[count], child_mem[count] = g, mem
    child_parent[count], child_unit[count] = parent, unit
    return count + 1


@jit
def rebuild(child: Any, count: int, table: Any) -> None:
    """Enter the first `count` children, all different, into an empty table."""
    table[:] = -1
    mask = np.uint64(len(table) - 1)
    for k in range(count):
        at = _hash(child[k], child.shape[1]) & mask
        while table[at] >= 0:
            at = (at + _ONE) & mask
        table[at] = k


@jit
def dies(words: Any, t: int, unit: int, reader_offset: Any, reader: Any) -> bool:
    """Return whether `unit` is the last to read tensor `t`."""
    for k in range(reader_offset[t], reader_offset[t + 1]):
        if reader[k] != unit and not has(words, 0, reader[k]):
            return False
    return True


@jit
def dominated(state: Any, g: Any, order: Any, w1: int, w2: int, size: Any, store: Any) -> Any:
    """Return which states another one of the same downset is at least as good as.

    `order` sorts the states by downset, then by cost. A state can do as another one does by
    evicting what only it holds and storing what only the other has a copy of, at that cost.
    """
    n = len(order)
    bad = np.zeros(n, dtype=np.bool_)
    resident, stored = 2 * w1, 2 * w1 + w2
    bits = np.empty(64 * w2, dtype=np.int64)
    first = 0
    for at in range(n):
        k = order[at]
        same = True
        for w in range(w1):
            if state[k, w] != state[order[first], w]:
                same = False
                break
        if not same:
            first = at
            continue
        for other in range(first, at):
            j = order[other]
            if bad[j]:
                continue
            spare = g[k] - g[j]
            for w in range(w2):
                only = state[j, resident + w] & ~state[k, resident + w]
                both = state[j, resident + w] & state[k, resident + w]
                copy = both & state[k, stored + w] & ~state[j, stored + w]
                bits_only = _word(only, bits)
                for b in range(bits_only):
                    t = 64 * w + bits[b]
                    spare -= size[t]
                    if not has(state[j], stored, t):
                        spare -= store[t]
                bits_copy = _word(copy, bits)
                for b in range(bits_copy):
                    spare -= store[64 * w + bits[b]]
                if spare < 0:
                    break
            if spare >= 0:
                bad[k] = True
                break
    return bad


@jit
def _word(word: Any, out: Any) -> int:
    found = 0
    bit = 0
    while word != np.uint64(0):
        if word & _ONE != np.uint64(0):
            out[found] = bit
            found += 1
        word >>= _ONE
        bit += 1
    return found
