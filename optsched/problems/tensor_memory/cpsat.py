"""The CP-SAT formulation: an offset a block, ``NoOverlap2D`` of time and address."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from ortools.sat.python import cp_model

from optsched.core import Deadline, InputError, ProvenInfeasible
from optsched.problems.tensor_memory import heuristics
from optsched.problems.tensor_memory.blocks import normal_form, section_times
from optsched.problems.tensor_memory.problem import (
    OBJECTIVES,
    TensorMemory,
    TensorMemorySolution,
)
from optsched.problems.tensor_memory.validation import UNLIMITED
from optsched.solvers.base import Compiled

SUPPORTS = frozenset(
    {"alignment", "gaps", "pinned offsets", "aliases", "banks", "capacity"}
    | {f"objective {kind}" for kind in OBJECTIVES}
)


class TensorMemoryCpsat(Compiled):
    """A memory allocation problem as a CP-SAT model.

    Attributes
    ----------
    slot : list of IntVar, one a block
        Offset divided by the block's alignment.
    inside : dict of (block, bank) to BoolVar
        With several banks: whether the block lies in the bank.
    peak : list of IntVar, one a bank
    """

    def __init__(
        self,
        problem: TensorMemory,
        upper_bound: int | None,
        lower_bound: int | None,
        deadline: Deadline,
    ) -> None:
        self.problem, self.deadline = problem, deadline
        self.blocks, self.block = normal_form(problem)
        self.model = cp_model.CpModel()
        self.model.name = problem.name
        blocks, model = self.blocks, self.model
        # Placed one by one, blocks never need more than this.
        most = int((blocks.size + blocks.alignment).sum() + blocks.pin.max(initial=0))
        limit = [min(most, c) for c in problem.capacity.tolist()]
        fit = problem.objective_kind == "fit"
        if upper_bound is not None and not fit:
            limit = [min(c, upper_bound) for c in limit]
        self.peak = [model.new_int_var(0, c, f"peak{k}") for k, c in enumerate(limit)]
        self.slot: list[Any] = []
        self.inside: dict[tuple[int, int], Any] = {}
        self._blocks(limit)
        for bank in range(problem.n_banks):
            self._bank(bank)
        if fit:
            model.minimize(0)
            return
        total = sum(self.peak)
        model.minimize(total)
        if lower_bound is not None and lower_bound > 0:
            model.add(total >= lower_bound)
        if upper_bound is not None and len(limit) > 1:
            model.add(total <= upper_bound)

    def _blocks(self, limit: list[int]) -> None:
        """Make the offsets, and the choice of bank."""
        blocks, model = self.blocks, self.model
        columns = (blocks.size, blocks.alignment, blocks.pin)
        for b, (size, step, pin) in enumerate(zip(*(c.tolist() for c in columns), strict=True)):
            room = max(limit[k] for k in np.flatnonzero(blocks.allowed[b]).tolist()) - size
            low, high = (0, room // step) if pin < 0 else (pin // step, pin // step)
            if room < max(0, pin):
                raise ProvenInfeasible(f"a block of size {size} does not fit")
            self.slot.append(model.new_int_var(low, high, f"slot{b}"))
        if len(limit) == 1:
            return
        for b in range(len(blocks)):
            banks = np.flatnonzero(blocks.allowed[b]).tolist()
            for k in banks:
                self.inside[b, k] = model.new_bool_var(f"in{b}_{k}")
            model.add_exactly_one(self.inside[b, k] for k in banks)

    def _bank(self, bank: int) -> None:
        """Keep the blocks of a bank apart and beneath its peak."""
        blocks, model = self.blocks, self.model
        times, spaces, lives = [], [], []
        at, step = blocks.piece_offset.tolist(), blocks.alignment.tolist()
        lower, upper = blocks.lower.tolist(), blocks.upper.tolist()
        height, size = blocks.height.tolist(), blocks.size.tolist()
        several = bool(self.inside)
        for b in range(len(blocks)):
            if b % 256 == 0:
                self.deadline.check()
            if not blocks.allowed[b, bank]:
                continue
            offset = step[b] * self.slot[b]
            here = self.inside[b, bank] if several else None
            top = model.add(offset + size[b] <= self.peak[bank])
            if here is not None:
                top.only_enforce_if(here)
            for p in range(at[b], at[b + 1]):
                span = upper[p] - lower[p]
                if here is None:
                    time = model.new_fixed_size_interval_var(lower[p], span, f"t{p}")
                    space = model.new_fixed_size_interval_var(offset, height[p], f"a{p}")
                else:
                    time = model.new_optional_fixed_size_interval_var(
                        lower[p], span, here, f"t{p}_{bank}"
                    )
                    space = model.new_optional_fixed_size_interval_var(
                        offset, height[p], here, f"a{p}_{bank}"
                    )
                times.append(time)
                spaces.append(space)
                lives.append((lower[p], upper[p], height[p], here))
        model.add_no_overlap_2d(times, spaces)
        if not several:
            # Redundant: the load is what the peak has to hold at the least.
            model.add_cumulative(times, [h for _, _, h, _ in lives], self.peak[bank])
            return
        for moment in section_times(blocks).tolist():
            terms = [h * here for low, high, h, here in lives if low <= moment < high]
            model.add(sum(terms) <= self.peak[bank])

    def options(self, solver: str, workers: int) -> dict[str, Any]:
        """Return what keeps the propagation of two dimensions strong."""
        return {
            "use_energetic_reasoning_in_no_overlap_2d": True,
            "use_area_energetic_reasoning_in_no_overlap_2d": True,
        }

    def hint(self, solution: TensorMemorySolution) -> npt.NDArray[np.float64]:
        """Return the value of every variable in `solution`, in model order."""
        values = np.zeros(len(self.model.proto.variables))
        some = np.flatnonzero(self.block >= 0)
        offset = np.zeros(len(self.blocks), dtype=np.int64)
        bank = np.zeros(len(self.blocks), dtype=np.int64)
        offset[self.block[some]] = solution.offset[some]
        bank[self.block[some]] = solution.bank[some]
        values[[v.index for v in self.slot]] = offset // self.blocks.alignment
        for (b, k), variable in self.inside.items():
            values[variable.index] = bank[b] == k
        values[[v.index for v in self.peak]] = self.problem.peaks(solution)
        return values

    def decode(self, values: npt.NDArray[np.float64]) -> TensorMemorySolution:
        """Return the plan that the variables' values stand for."""
        slot = np.rint(values[[v.index for v in self.slot]]).astype(np.int64)
        bank = np.zeros(len(self.blocks), dtype=np.int64)
        for (b, k), variable in self.inside.items():
            if values[variable.index] > 0.5:
                bank[b] = k
        return heuristics.expand(self.problem, self.block, slot * self.blocks.alignment, bank)


def build(
    problem: TensorMemory,
    *,
    upper_bound: int | None = None,
    lower_bound: int | None = None,
    deadline: Deadline | None = None,
) -> TensorMemoryCpsat:
    """Compile `problem` to CP-SAT.

    Parameters
    ----------
    problem : TensorMemory
    upper_bound, lower_bound : int, optional
        Proven bounds on the optimum; they tighten the domains and never cut off the optimum.
    deadline : Deadline, optional
        Raises `DeadlineExpired` when it passes meanwhile.

    Raises
    ------
    ProvenInfeasible
        When a block does not fit under the upper bound.
    InputError
        When sizes or times are too large for CP-SAT.
    """
    finite = problem.capacity[problem.capacity < UNLIMITED]
    largest = max(
        int(problem.size.sum() + problem.alignment.sum() + problem.pinned.max()),
        int(problem.upper.max()),
        int(finite.max(initial=0)),
    )
    if largest > 2**46:
        raise InputError("CP-SAT takes sizes and times up to 2^46 in sum")
    return TensorMemoryCpsat(problem, upper_bound, lower_bound, deadline or Deadline())
