"""Lower bounds on the peak that hold for the whole instance."""

from __future__ import annotations

import numpy as np

from optsched.core import Deadline, IntArray
from optsched.problems.tensor_memory.blocks import Blocks, normal_form
from optsched.problems.tensor_memory.problem import TensorMemory


def lower_bound(problem: TensorMemory, deadline: Deadline | None = None) -> int:
    """Return the greatest load at any moment, rounded as alignments allow; 0 for objective fit.

    Parameters
    ----------
    problem : TensorMemory
    deadline : Deadline, optional
        Not looked at: the bound takes O(n log n).
    """
    if problem.objective_kind == "fit":
        return 0
    blocks, _ = normal_form(problem)
    if not len(blocks):
        return 0
    best = live_load(blocks)
    pinned = blocks.pin >= 0
    if pinned.any():
        best = max(best, int((blocks.pin + blocks.size)[pinned].max()))
    return best


def live_load(blocks: Blocks) -> int:
    """Return the greatest load at a moment.

    Where all offsets are multiples of a number, every block but the topmost takes a multiple of
    it. Holds for the sum over banks, too, without the rounding.
    """
    load = int(_load(blocks, blocks.height).max())
    step = int(np.gcd.reduce(blocks.alignment))
    if step > 1 and blocks.allowed.shape[1] == 1:
        full = -(-blocks.height // step) * step
        # The topmost block at the moment counts with its own size: at least all but one step.
        rounded = int(_load(blocks, full).max()) - int((full - blocks.height).max())
        load = max(load, rounded)
    return load


def _load(blocks: Blocks, height: IntArray) -> IntArray:
    times = np.concatenate((blocks.lower, blocks.upper))
    change = np.concatenate((height, -height))
    # Ends come before begins at the same time.
    order = np.lexsort((change > 0, times))
    return np.cumsum(change[order])
