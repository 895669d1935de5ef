"""A hash table of bounded size for solved sub-problems: the kernels.

A row is ``(key, start, value, info)``; a key of 0 marks a free row, and the low 16 bits of ``info``
are the sub-problem's span, the rest what was chosen in it.
"""

# Numba takes the types of kernels from the arrays.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from __future__ import annotations

import numpy as np
from numba import njit

# Entries of ``state``: rows in use, and sub-problems forgotten for lack of room.
ENTRIES, EVICTED = range(2)
#: Rows that one key may occupy.
BUCKET = 4

_OPTIONS = {"nogil": True, "cache": True, "boundscheck": False}


@njit(**_OPTIONS)
def _bucket(key, t, rows):
    """Return the first row of the bucket of a key; `rows` is a power of two."""
    h = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    h ^= (h >> np.uint64(29)) ^ (np.uint64(t) * np.uint64(0xC2B2AE3D27D4EB4F))
    h *= np.uint64(0xBF58476D1CE4E5B9)
    h ^= h >> np.uint64(32)
    return np.int64(h & np.uint64(rows - 1)) & ~np.int64(BUCKET - 1)


@njit(**_OPTIONS)
def find(memory, key, t):
    """Return the row that holds a sub-problem, or -1."""
    first = _bucket(key, t, len(memory))
    for row in range(first, first + BUCKET):
        if memory[row, 0] == key and memory[row, 1] == t:
            return row
    return np.int64(-1)


@njit(**_OPTIONS)
def store(memory, state, key, t, value, choice, span):
    """Keep a solved sub-problem; the one of least span in a full bucket makes room."""
    first = _bucket(key, t, len(memory))
    least = first
    for row in range(first, first + BUCKET):
        if memory[row, 0] == 0:
            least = row
            state[ENTRIES] += 1
            break
        if (memory[row, 3] & 0xFFFF) < (memory[least, 3] & 0xFFFF):
            least = row
    else:
        state[EVICTED] += 1
    memory[least, 0] = key
    memory[least, 1] = t
    memory[least, 2] = value
    memory[least, 3] = (choice << 16) | span


@njit(**_OPTIONS)
def rehash(old, new, state):
    """Move a memory into a larger one."""
    state[ENTRIES] = 0
    for row in range(len(old)):
        if old[row, 0] != 0:
            info = old[row, 3]
            store(new, state, old[row, 0], old[row, 1], old[row, 2], info >> 16, info & 0xFFFF)
