"""The normal form that searches and bounds work on: blocks, pieces, parts apart in time.

A block is what gets one offset: a buffer, or buffers that are aliases of each other. Its pieces
are stretches of time with the space that it needs then; outside of them it needs none.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optsched.core import BoolArray, IntArray

if TYPE_CHECKING:
    from optsched.problems.tensor_memory.problem import TensorMemory


@dataclass(frozen=True)
class Blocks:
    """Blocks with their pieces, each block's sorted by time and apart from each other.

    Attributes
    ----------
    piece_offset : ndarray of int64, shape (n + 1,)
        Pieces of block ``b`` are ``piece_offset[b] : piece_offset[b + 1]``.
    lower, upper, height : ndarray of int64, shape (n_pieces,)
        Half-open time and space of each piece; heights are at least 1.
    size, alignment, pin, hint : ndarray of int64, shape (n,)
        Greatest height; offsets must be multiples of the alignment; fixed and preferred offset,
        -1 for none.
    allowed : ndarray of bool, shape (n, n_banks)
        The banks in which the block may lie.
    """

    piece_offset: IntArray
    lower: IntArray
    upper: IntArray
    height: IntArray
    size: IntArray
    alignment: IntArray
    pin: IntArray
    hint: IntArray
    allowed: BoolArray

    def __len__(self) -> int:
        return len(self.size)

    @property
    def owner(self) -> IntArray:
        """The block of each piece."""
        return np.repeat(np.arange(len(self)), np.diff(self.piece_offset))

    @property
    def begin(self) -> IntArray:
        """When each block first needs space."""
        return self.lower[self.piece_offset[:-1]]

    @property
    def end(self) -> IntArray:
        """When each block last ceases to need space."""
        return self.upper[self.piece_offset[1:] - 1]

    @property
    def duration(self) -> IntArray:
        """For how long each block needs space."""
        if len(self.lower) == len(self):
            return self.upper - self.lower
        return np.add.reduceat(self.upper - self.lower, self.piece_offset[:-1])

    @property
    def simple(self) -> bool:
        """Whether every block is one rectangle."""
        return len(self.lower) == len(self)

    def take(self, chosen: IntArray) -> Blocks:
        """Return the chosen blocks, in that order."""
        counts = np.diff(self.piece_offset)[chosen]
        offset = np.concatenate(([0], np.cumsum(counts)))
        inside = np.arange(offset[-1]) - np.repeat(offset[:-1], counts)
        pieces = np.repeat(self.piece_offset[:-1][chosen], counts) + inside
        return Blocks(
            offset, self.lower[pieces], self.upper[pieces], self.height[pieces],
            self.size[chosen], self.alignment[chosen], self.pin[chosen], self.hint[chosen],
            self.allowed[chosen],
        )  # fmt: skip

    def within(self, begin: int, end: int) -> Blocks:
        """Return what is live in a window of time, cut off at its borders: a relaxation."""
        inside = np.flatnonzero((self.lower < end) & (self.upper > begin))
        owner = self.owner[inside]
        chosen, first = np.unique(owner, return_index=True)
        height = self.height[inside]
        return Blocks(
            np.append(first, len(inside)),
            np.maximum(self.lower[inside], begin), np.minimum(self.upper[inside], end), height,
            np.maximum.reduceat(height, first) if len(first) else height,
            self.alignment[chosen], self.pin[chosen], self.hint[chosen], self.allowed[chosen],
        )  # fmt: skip


def normal_form(problem: TensorMemory) -> tuple[Blocks, IntArray]:
    """Return the blocks of a problem, and the block of each buffer (-1: it needs no space)."""
    n = problem.n_buffers
    live = np.flatnonzero(problem.size > 0)
    if not len(problem.gaps) and not problem.has_aliases:
        block = np.full(n, -1, dtype=np.int64)
        block[live] = np.arange(len(live))
        blocks = Blocks(
            np.arange(len(live) + 1), problem.lower[live], problem.upper[live],
            problem.size[live], problem.size[live], problem.alignment[live],
            problem.pinned[live], problem.hint[live], problem.allowed[live],
        )  # fmt: skip
        return blocks, block
    return _grouped(problem)


def _grouped(problem: TensorMemory) -> tuple[Blocks, IntArray]:
    names, group = np.unique(problem.alias, return_inverse=True)
    members: list[list[int]] = [[] for _ in names]
    for buffer, g in enumerate(group.tolist()):
        members[g].append(buffer)
    gaps: dict[int, list[tuple[int, int]]] = {}
    for buffer, low, high in problem.gaps.tolist():
        gaps.setdefault(buffer, []).append((low, high))
    block = np.full(problem.n_buffers, -1, dtype=np.int64)
    pieces: list[tuple[int, int, int]] = []
    offset = [0]
    rows: list[tuple[int, int, int, int]] = []
    allowed = []
    for buffers in members:
        heights = _profile(problem, buffers, gaps)
        if not heights:
            continue
        block[buffers] = len(rows)
        pieces += heights
        offset.append(len(pieces))
        rows.append(
            (
                max(height for _, _, height in heights),
                math.lcm(*problem.alignment[buffers].tolist()),
                int(problem.pinned[buffers].max()),
                int(problem.hint[buffers].max()),
            )
        )
        allowed.append(problem.allowed[buffers].all(axis=0))
    table = np.array(rows, dtype=np.int64).reshape(-1, 4)
    times = np.array(pieces, dtype=np.int64).reshape(-1, 3)
    shape = (len(rows), problem.n_banks)
    lower, upper, height = times.T.copy()
    size, alignment, pin, hint = table.T.copy()
    blocks = Blocks(
        np.array(offset, dtype=np.int64), lower, upper, height, size, alignment, pin, hint,
        np.array(allowed, dtype=bool).reshape(shape),
    )  # fmt: skip
    return blocks, block


def _profile(
    problem: TensorMemory, buffers: list[int], gaps: dict[int, list[tuple[int, int]]]
) -> list[tuple[int, int, int]]:
    """Return ``(lower, upper, height)`` of buffers that share an offset: the greatest live one."""
    spans: list[tuple[int, int, int]] = []
    for buffer in buffers:
        size, at = int(problem.size[buffer]), int(problem.lower[buffer])
        if not size:
            continue
        for low, high in gaps.get(buffer, []):
            if at < low:
                spans.append((at, low, size))
            at = high
        if at < problem.upper[buffer]:
            spans.append((at, int(problem.upper[buffer]), size))
    if len(buffers) == 1:
        return spans
    times = sorted({t for low, high, _ in spans for t in (low, high)})
    merged: list[tuple[int, int, int]] = []
    for low, high in itertools.pairwise(times):
        height = max((size for a, b, size in spans if a <= low < b), default=0)
        if height and merged and merged[-1][1:] == (low, height):
            merged[-1] = (merged[-1][0], high, height)
        elif height:
            merged.append((low, high, height))
    return merged


def parts(blocks: Blocks) -> list[IntArray]:
    """Return the blocks of each part, where parts have no moment in common."""
    order = np.argsort(blocks.begin, kind="stable")
    reach = np.maximum.accumulate(blocks.end[order])
    cut = np.flatnonzero(blocks.begin[order][1:] >= reach[:-1]) + 1
    return np.split(order, cut) if len(order) else []


@dataclass(frozen=True)
class Sections:
    """Moments at which a set of blocks is live that no other moment holds, and who is there.

    Attributes
    ----------
    time : ndarray of int64, shape (n_sections,)
        A moment of each section.
    first, last : ndarray of int64, shape (n,)
        First and last section of each block.
    block_ptr, section, height : ndarray of int64
        Sections of block ``b`` and its heights there: ``block_ptr[b] : block_ptr[b + 1]``.
    section_ptr, block : ndarray of int64
        Blocks of section ``s``: ``section_ptr[s] : section_ptr[s + 1]``.
    """

    time: IntArray
    first: IntArray
    last: IntArray
    block_ptr: IntArray
    section: IntArray
    height: IntArray
    section_ptr: IntArray
    block: IntArray

    @property
    def load(self) -> IntArray:
        """Space that is needed in each section."""
        return np.bincount(self.section, weights=self.height, minlength=len(self.time)).astype(
            np.int64
        )


def section_times(blocks: Blocks) -> IntArray:
    """Return the moments that matter: something starts there, and ends before anything starts."""
    starts = np.unique(blocks.lower)
    # The last start before each end: what is live at any other moment is live there, too.
    at = np.searchsorted(starts, np.unique(blocks.upper), side="left") - 1
    return starts[np.unique(at)]


def sections(blocks: Blocks) -> Sections:
    """Return the sections of `blocks`; memory grows with the number of (block, section) pairs."""
    time = section_times(blocks)
    low = np.searchsorted(time, blocks.lower, side="left")
    high = np.searchsorted(time, blocks.upper, side="left")
    count = high - low  # 0 for a piece within another of the same block's neighbours
    offset = np.concatenate(([0], np.cumsum(count)))
    section = np.arange(offset[-1]) - np.repeat(offset[:-1], count) + np.repeat(low, count)
    height = np.repeat(blocks.height, count)
    block_ptr = offset[blocks.piece_offset]
    owner = np.repeat(blocks.owner, count)
    order = np.argsort(section, kind="stable")
    section_ptr = np.searchsorted(section[order], np.arange(len(time) + 1))
    first = section[np.minimum(block_ptr[:-1], len(section) - 1)]
    last = section[block_ptr[1:] - 1]
    return Sections(
        time, first, last, block_ptr, section, height, section_ptr.astype(np.int64), owner[order]
    )


def overlaps(blocks: Blocks, found: Sections) -> tuple[IntArray, IntArray, IntArray]:
    """Return pairs of blocks that are live together, as ``(pointer, other, separation)``.

    Where block ``b`` lies beneath ``other``, their offsets differ by at least the separation.
    """
    n = len(blocks)
    pointer = np.zeros(n + 1, dtype=np.int64)
    others, apart = [], []
    starts, ends = blocks.begin, blocks.end
    for b in range(n):
        at, to = found.block_ptr[b], found.block_ptr[b + 1]
        if blocks.simple:
            other = np.flatnonzero((starts < ends[b]) & (ends > starts[b]))
            distance = np.full(len(other), blocks.size[b])
        else:
            who, height = [], []
            for k in range(at, to):
                s = found.section[k]
                mates = found.block[found.section_ptr[s] : found.section_ptr[s + 1]]
                who.append(mates)
                height.append(np.full(len(mates), found.height[k]))
            everybody, all_heights = np.concatenate(who), np.concatenate(height)
            other = np.unique(everybody)
            distance = np.zeros(len(other), dtype=np.int64)
            np.maximum.at(distance, np.searchsorted(other, everybody), all_heights)
        keep = other != b
        others.append(other[keep])
        apart.append(distance[keep])
        pointer[b + 1] = pointer[b] + keep.sum()
    none = np.zeros(0, dtype=np.int64)
    return pointer, np.concatenate([none, *others]), np.concatenate([none, *apart])
