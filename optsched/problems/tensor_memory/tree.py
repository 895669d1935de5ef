"""One part of an instance, ready for the branch and bound: its arrays, orders and restarts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from optsched.core import IntArray
from optsched.problems.tensor_memory import branching as kernel
from optsched.problems.tensor_memory.blocks import Blocks, overlaps, sections

#: Orders in which blocks of equal offset are tried, when the load ahead (the greatest of what waits
#: in a section of theirs) goes before, and the noise on the keys: Lifetime, Area, Total load, siZe,
#: number of Overlaps. The first three are those of MiniMalloc. Different instances fall to
#: different ones, mostly at once or never, so that short runs of many are better than long runs of
#: one (Gomes, Selman and Kautz 1998).
ORDERS: tuple[tuple[str, int, float], ...] = (
    ("LA", kernel.AT_SPLIT, 0.03),
    ("AL", kernel.AT_SPLIT, 0.03),
    ("LAT", kernel.NEVER, 0.1),
    ("LA", kernel.ALWAYS, 0.03),
    ("AL", kernel.ALWAYS, 0.2),
    ("TLA", kernel.NEVER, 0.0),
    ("OLA", kernel.ALWAYS, 0.03),
    ("LA", kernel.AT_SPLIT, 0.2),
    ("AL", kernel.ALWAYS, 0.03),
    ("ZL", kernel.ALWAYS, 0.2),
    ("LA", kernel.ALWAYS, 0.2),
    ("OLA", kernel.ALWAYS, 0.2),
)


class Tree:
    """The branch and bound on a set of blocks.

    Parameters
    ----------
    blocks : Blocks
        Of one bank; best of one part.
    stopped : callable() -> bool
        Looked at between slices.
    """

    def __init__(self, blocks: Blocks, stopped: Callable[[], bool]) -> None:
        self.blocks, self.stopped = blocks, stopped
        n = len(blocks)
        self.sections = found = sections(blocks)
        self.overlaps = overlaps(blocks, found)
        self.load = found.load
        n_sections, pairs = len(found.time), len(self.overlaps[1])

        def zeros(*shape: int) -> IntArray:
            return np.zeros(shape, dtype=np.int64)

        self.low = zeros(n)
        self._perm, self._waiting = zeros(n), np.zeros(n, dtype=bool)
        self._section_state = [zeros(n_sections) for _ in range(4)]
        self._frames, self._parts = zeros(n + 2, kernel.WIDTH), zeros(2 * n + 2, kernel.PART)
        self._candidates = zeros(n * (n + 1) // 2 + 1, 2)
        self._asleep, self._ahead = zeros(n), zeros(n)
        self._trail = zeros(pairs + n * (n_sections + 1) + n * (n + 1) // 2 + 16, 3)
        self._scratch, self.state = zeros(n_sections + 1), zeros(8)
        total = np.maximum.reduceat(self.load[found.section], found.block_ptr[:-1])
        self._keys = {
            "L": blocks.end - blocks.begin,
            "A": blocks.duration * blocks.size.astype(float),
            "T": total,
            "Z": blocks.size,
            "O": np.diff(self.overlaps[0]),
        }
        self._slice = max(20, 3_000_000 // (n + n_sections))
        self.nodes = 0

    def rank(self, order: str, noise: float, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
        """Return rank and twin (the like block that must come first) of every block."""
        n = len(self.blocks)
        keys = [self._keys[letter] * np.exp(rng.normal(0, noise, n)) for letter in order]
        by_rank = np.lexsort([-key for key in keys[::-1]])
        rank = np.empty(n, dtype=np.int64)
        rank[by_rank] = np.arange(n)
        return rank, self._twins(by_rank)

    def _twins(self, by_rank: IntArray) -> IntArray:
        b = self.blocks
        twin = np.full(len(b), -1, dtype=np.int64)
        single = (np.diff(b.piece_offset) == 1) & (b.pin < 0)
        seen: dict[tuple[int, ...], int] = {}
        columns = zip(
            by_rank.tolist(), b.begin[by_rank].tolist(), b.end[by_rank].tolist(),
            b.size[by_rank].tolist(), b.alignment[by_rank].tolist(),
            single[by_rank].tolist(), strict=True,
        )  # fmt: skip
        for block, *key, alone in columns:
            if alone:
                twin[block] = seen.get(tuple(key), -1)
                seen[tuple(key)] = block
        return twin

    def search(
        self, capacity: int, nodes: int, rank: IntArray, twin: IntArray, look: int
    ) -> tuple[int, IntArray | None]:
        """Look for offsets within `capacity` for so many nodes.

        Returns
        -------
        tuple
            FOUND with the offsets, NONE (proven), or RUNNING when the nodes are used up or the
            search was stopped.
        """
        b, s = self.blocks, self.sections
        of_blocks = (b.size, b.alignment, b.pin)
        incidence = (s.block_ptr, s.section, s.height, s.section_ptr, s.block)
        good = kernel.reset(
            capacity, *of_blocks, s.first, s.last, *incidence,
            self._perm, self.low, self._waiting, *self._section_state,
            self._asleep, self._ahead, self._frames, self._parts, self._trail, self.state,
            self._scratch,
        )  # fmt: skip
        if not good:
            return kernel.NONE, None
        while nodes > 0 and not self.stopped():
            some = min(nodes, self._slice)
            answer = kernel.run(
                some, capacity, look, *of_blocks, rank, twin, s.first, s.last, *self.overlaps,
                *incidence, self._perm, self.low, self._waiting, *self._section_state,
                self._asleep, self._ahead, self._frames, self._parts, self._candidates,
                self._trail, self._scratch, self.state,
            )  # fmt: skip
            nodes -= some
            self.nodes += some
            if answer == kernel.FOUND:
                return answer, self.low.copy()
            if answer == kernel.NONE:
                return answer, None
        return kernel.RUNNING, None
