"""Squeaky wheel search: the block that does not fit under a target goes to an earlier turn.

After Joslin and Clements (Squeaky wheel optimization, 1999): blocks are placed in a list's order;
the first that finds no room beneath the target moves to a random earlier place in the list, and
the placement begins again. It stops at the failure, so that many trials take the time of one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from optsched.core import IntArray
from optsched.problems.tensor_memory import heuristics
from optsched.problems.tensor_memory.blocks import Blocks

#: Orders and fits to begin with, in turn.
STARTS = (
    ("breadth", heuristics.FIRST),
    ("size", heuristics.FIRST),
    ("lifetime", heuristics.BEST),
    ("size", heuristics.BEST),
    ("area", heuristics.FIRST),
    ("lifetime", heuristics.FIRST),
)
#: Work of a turn: trials times blocks, within limits.
WORK, LEAST_TRIALS, MOST_TRIALS = 300_000, 12, 600


class SqueakyWheel:
    """The search on blocks of one bank, turn by turn.

    Parameters
    ----------
    blocks : Blocks
    rng : Generator
    stopped : callable() -> bool
        Looked at between trials.
    """

    def __init__(
        self, blocks: Blocks, rng: np.random.Generator, stopped: Callable[[], bool]
    ) -> None:
        self.blocks, self.rng, self.stopped = blocks, rng, stopped
        self.turn = 0
        self.trials = int(np.clip(WORK // len(blocks), LEAST_TRIALS, MOST_TRIALS))

    def attempt(self, target: int) -> IntArray | None:
        """Return offsets within `target`, or None when a turn has not found any."""
        kind, mode = STARTS[self.turn % len(STARTS)]
        # Every time round, the trials of a turn are more.
        trials = self.trials * (1 + self.turn // len(STARTS))
        self.turn += 1
        order = heuristics.ORDERS[kind](self.blocks)
        limit = np.array([target])
        for _ in range(trials):
            if self.stopped():
                return None
            at = heuristics.arrange(self.blocks, limit, order, mode)
            if not isinstance(at, int):
                return np.ascontiguousarray(at[0])
            i = int(np.flatnonzero(order == at)[0])
            if self.blocks.pin[at] >= 0 or i == 0:
                return None
            j = int(i * self.rng.random())
            order = np.concatenate((order[:j], [at], order[j:i], order[i + 1 :]))
        return None
