"""The MILP formulation: an offset a block, and who lies beneath whom for every pair live together.

The pair formulation with big-M rows is the usual one for this problem (Sekiyama et al., profile-
guided memory optimization, 2018); the load at every section is added as a cut.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pulp

from optsched.core import Deadline, InputError, ProvenInfeasible
from optsched.problems.tensor_memory import heuristics
from optsched.problems.tensor_memory.blocks import normal_form, overlaps, sections
from optsched.problems.tensor_memory.problem import (
    OBJECTIVES,
    TensorMemory,
    TensorMemorySolution,
)
from optsched.solvers.base import Compiled

SUPPORTS = frozenset(
    {"alignment", "gaps", "pinned offsets", "aliases", "capacity"}
    | {f"objective {kind}" for kind in OBJECTIVES}
)
#: Most pairs of blocks that are live together.
MOST_PAIRS = 400_000


class TensorMemoryMilp(Compiled):
    """A memory allocation problem of one bank as a PuLP model.

    Attributes
    ----------
    slot : list of LpVariable, one a block
        Offset divided by the block's alignment.
    beneath : dict of (block, block) to LpVariable
        1 where the first lies beneath the second, 0 where it lies above.
    peak : LpVariable
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
        self.model = pulp.LpProblem("tensor_memory", pulp.LpMinimize)
        self._rows = 0
        blocks = self.blocks
        self.fit = problem.objective_kind == "fit"
        most = int((blocks.size + blocks.alignment).sum() + blocks.pin.max(initial=0))
        limit = min(most, int(problem.capacity[0]))
        if upper_bound is not None and not self.fit:
            limit = min(limit, upper_bound)
        self.limit = limit
        low = 0 if lower_bound is None or self.fit else min(lower_bound, limit)
        self.peak = self.model.add_variable("peak", low, limit)
        self.slot: list[Any] = []
        for b in range(len(blocks)):
            size, step, pin = (int(c[b]) for c in (blocks.size, blocks.alignment, blocks.pin))
            if max(pin, 0) + size > limit:
                raise ProvenInfeasible(f"a block of size {size} does not fit")
            first, last = (0, (limit - size) // step) if pin < 0 else (pin // step,) * 2
            self.slot.append(self.model.add_variable(f"slot{b}", first, last, pulp.LpInteger))
            self._add([(self.peak, 1.0), (self.slot[b], -float(step))], 1, size)
        self.beneath: dict[tuple[int, int], Any] = {}
        if len(blocks):
            self._pairs()
        else:  # HiGHS solves nothing that has no rows
            self._add([(self.peak, 1.0)], 1, 0)
        self.model.setObjective(pulp.LpAffineExpression([] if self.fit else [(self.peak, 1)]))

    def _pairs(self) -> None:
        blocks = self.blocks
        found = sections(blocks)
        self._add([(self.peak, 1.0)], 1, int(found.load.max()))
        pointer, other, apart = overlaps(blocks, found)
        if len(other) > 2 * MOST_PAIRS:
            raise InputError(f"the MILP takes up to {MOST_PAIRS:,} pairs of blocks live together")
        owner = np.repeat(np.arange(len(blocks)), np.diff(pointer))
        distance = dict(
            zip(zip(owner.tolist(), other.tolist(), strict=True), apart.tolist(), strict=True)
        )
        step = blocks.alignment.tolist()
        for (a, b), above in distance.items():
            if a > b:
                continue
            y = self.model.add_variable(f"y{a}_{b}", 0, 1, pulp.LpInteger)
            self.beneath[a, b] = y
            lower, upper = (self.slot[a], float(step[a])), (self.slot[b], float(step[b]))
            big = float(self.limit)
            # offset[b] - offset[a] >= above where y = 1, and the other way round where y = 0.
            self._add([upper, (lower[0], -lower[1]), (y, -big)], 1, above - big)
            self._add([lower, (upper[0], -upper[1]), (y, big)], 1, distance[b, a])

    def _add(self, terms: Iterable[tuple[Any, float]], sense: int, right: float) -> None:
        self._rows += 1
        expression = pulp.LpAffineExpression(list(terms))
        self.model.addConstraint(pulp.LpConstraint(expression, sense, f"r{self._rows}", right))
        if self._rows % 512 == 0:
            self.deadline.check()

    def hint(self, solution: TensorMemorySolution) -> npt.NDArray[np.float64]:
        """Return the value of every variable in `solution`, in model order."""
        offset = np.zeros(len(self.blocks), dtype=np.int64)
        some = np.flatnonzero(self.block >= 0)
        offset[self.block[some]] = solution.offset[some]
        value: dict[Any, float] = {self.peak: float(self.problem.peaks(solution)[0])}
        for b, variable in enumerate(self.slot):
            value[variable] = float(offset[b] // self.blocks.alignment[b])
        for (a, b), variable in self.beneath.items():
            value[variable] = float(offset[a] < offset[b])
        return np.array([value[variable] for variable in self.model.variables()])

    def decode(self, values: npt.NDArray[np.float64]) -> TensorMemorySolution:
        """Return the plan in which the blocks keep the order of their offsets.

        Each goes as low as those before it allow, so that what the solver's tolerances leave
        inexact does not matter.
        """
        index = {variable: i for i, variable in enumerate(self.model.variables())}
        slot = values[[index[variable] for variable in self.slot]]
        placer = heuristics.Placer(self.problem)
        at = placer.run(np.argsort(slot * self.blocks.alignment, kind="stable"), heuristics.FIRST)
        if isinstance(at, int):  # a pin stood in the way of an order: take the offsets as they are
            offset = np.rint(slot).astype(np.int64) * self.blocks.alignment
            return heuristics.expand(self.problem, self.block, offset)
        return placer.solution(at)


def build(
    problem: TensorMemory,
    *,
    upper_bound: int | None = None,
    lower_bound: int | None = None,
    deadline: Deadline | None = None,
) -> TensorMemoryMilp:
    """Compile `problem` to a MILP.

    Parameters
    ----------
    problem : TensorMemory
        Of one bank.
    upper_bound, lower_bound : int, optional
        Proven bounds on the optimum; they tighten the model and never cut off the optimum.
    deadline : Deadline, optional
        Raises `DeadlineExpired` when it passes meanwhile.

    Raises
    ------
    ProvenInfeasible
        When a block does not fit under the upper bound.
    InputError
        When there are too many pairs.
    """
    return TensorMemoryMilp(problem, upper_bound, lower_bound, deadline or Deadline())
