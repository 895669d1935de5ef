"""The CP-SAT formulation: order, residency and addresses, step by step.

A binary says that an operator runs in a step of its window, one that a tensor is in the scratchpad
in a step, one that it is loaded before the step. In each step the tensors that are there must not
overlap, and the address of a tensor changes only where it is loaded anew.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from ortools.sat.python import cp_model

from optsched.core import Deadline
from optsched.problems.scratchpad.graph import INTERMEDIATE
from optsched.problems.scratchpad.problem import ScratchpadSchedule, ScratchpadSolution
from optsched.problems.scratchpad.windows import from_steps, replay, windows
from optsched.solvers.base import Compiled

SUPPORTS = frozenset({"fixed order", "free order"})


class ScratchpadCpsat(Compiled):
    """A scratchpad schedule as a CP-SAT model.

    Attributes
    ----------
    runs : dict of (operator, step) to BoolVar
    resident, load : dict of (tensor, step) to BoolVar
    address : dict of (tensor, step) to IntVar
        For tensors of at least one byte.
    stored : dict of tensor to BoolVar
        Whether an intermediate is ever loaded, and must therefore be stored.
    """

    def __init__(
        self,
        problem: ScratchpadSchedule,
        upper_bound: int | None,
        lower_bound: int | None,
        deadline: Deadline,
    ) -> None:
        self.problem = problem
        self.model = cp_model.CpModel()
        self.model.name = problem.name
        self.deadline = deadline
        self.windows = windows(problem)
        self.runs: dict[tuple[int, int], Any] = {}
        self.resident: dict[tuple[int, int], Any] = {}
        self.load: dict[tuple[int, int], Any] = {}
        self.address: dict[tuple[int, int], Any] = {}
        self.stored: dict[int, Any] = {}
        self._order()
        for t in range(problem.graph.n_tensors):
            deadline.check()
            self._tensor(t)
        self._memory()
        self._objective(upper_bound, lower_bound)

    def _order(self) -> None:
        graph, model = self.problem.graph, self.model
        early, late = self.windows.early.tolist(), self.windows.late.tolist()
        in_step: list[list[Any]] = [[] for _ in range(graph.n_operators)]
        for i in range(graph.n_operators):
            for s in range(early[i], late[i] + 1):
                self.runs[i, s] = model.new_bool_var(f"x{i}_{s}")
                in_step[s].append(self.runs[i, s])
            model.add_exactly_one(self.runs[i, s] for s in range(early[i], late[i] + 1))
        for row in in_step:
            model.add_exactly_one(row)
        for i in range(graph.n_operators):
            for j in graph.successors(i).tolist():
                # Whoever runs at step s or before has its predecessor before s.
                for s in range(early[j], min(late[j], late[i]) + 1):
                    model.add(
                        sum(self.runs[j, k] for k in range(early[j], s + 1))
                        <= sum(self.runs[i, k] for k in range(early[i], min(s, late[i] + 1)))
                    )

    def _tensor(self, t: int) -> None:
        graph, model = self.problem.graph, self.model
        first, last = int(self.windows.first[t]), int(self.windows.last[t])
        producer, size = int(graph.producer[t]), int(graph.size[t])
        for s in range(first, last + 1):
            here = model.new_bool_var(f"r{t}_{s}")
            load = model.new_bool_var(f"l{t}_{s}")
            self.resident[t, s], self.load[t, s] = here, load
            model.add_implication(load, here)
            came: list[Any] = [load]
            if s > first:
                came.append(self.resident[t, s - 1])
            if (producer, s) in self.runs:
                came.append(self.runs[producer, s])
            model.add_bool_or(came).only_enforce_if(here)
            if producer >= 0:  # what is loaded has been written before
                written = [self.runs[producer, k] for k in range(s) if (producer, k) in self.runs]
                model.add_bool_or(written).only_enforce_if(load)
            for i in [*graph.consumers(t).tolist(), *([producer] if producer >= 0 else [])]:
                if (i, s) in self.runs:
                    model.add_implication(self.runs[i, s], here)
            if size:
                self.address[t, s] = model.new_int_var(0, self.problem.capacity - size, f"a{t}_{s}")
                if s > first:
                    before = self.resident[t, s - 1]
                    model.add(self.address[t, s] == self.address[t, s - 1]).only_enforce_if(
                        here, before, ~load
                    )
        if graph.kind[t] == INTERMEDIATE and last > first:
            self.stored[t] = model.new_bool_var(f"s{t}")
            for s in range(first, last + 1):
                model.add_implication(self.load[t, s], self.stored[t])

    def _memory(self) -> None:
        model, size = self.model, self.problem.graph.size.tolist()
        steps: list[list[int]] = [[] for _ in range(self.problem.graph.n_operators)]
        for t, s in self.address:
            steps[s].append(t)
        for s, row in enumerate(steps):
            self.deadline.check()
            model.add_no_overlap(
                model.new_optional_fixed_size_interval_var(
                    self.address[t, s], size[t], self.resident[t, s], f"i{t}_{s}"
                )
                for t in row
            )
            model.add(sum(size[t] * self.resident[t, s] for t in row) <= self.problem.capacity)

    def _objective(self, upper_bound: int | None, lower_bound: int | None) -> None:
        graph = self.problem.graph
        size = graph.size.tolist()
        used = (graph.producer < 0) & (np.diff(graph.consumer_offset) > 0)
        total = sum(size[t] * load for (t, _), load in self.load.items())
        total += sum(size[t] * stored for t, stored in self.stored.items())
        total -= int(graph.size[used].sum())  # first loads are compulsory
        self.model.minimize(total)
        if lower_bound:
            self.model.add(total >= lower_bound)
        if upper_bound is not None:
            self.model.add(total <= upper_bound)

    def hint(self, solution: ScratchpadSolution) -> npt.NDArray[np.float64]:
        """Return the value of every variable in `solution`, in model order."""
        values = np.zeros(len(self.model.proto.variables))
        for s, i in enumerate(solution.order.tolist()):
            values[self.runs[i, s].index] = 1
        steps = replay(self.problem, solution)
        for key, low in steps.resident.items():
            if key not in self.resident:  # longer than anybody could want it
                continue
            values[self.resident[key].index] = 1
            if key in self.address:
                values[self.address[key].index] = low
        for key in steps.loads:
            if key in self.load:
                values[self.load[key].index] = 1
            if key[0] in self.stored:
                values[self.stored[key[0]].index] = 1
        return values

    def decode(self, values: npt.NDArray[np.float64]) -> ScratchpadSolution:
        """Return the solution that the variables' values stand for."""
        order = np.empty(self.problem.graph.n_operators, dtype=np.int64)
        for (i, s), runs in self.runs.items():
            if values[runs.index] > 0.5:
                order[s] = i
        resident = {
            key: int(values[self.address[key].index]) if key in self.address else 0
            for key, here in self.resident.items()
            if values[here.index] > 0.5
        }
        loads = {key for key, load in self.load.items() if values[load.index] > 0.5}
        return from_steps(self.problem, order, resident, loads)


def build(
    problem: ScratchpadSchedule,
    *,
    upper_bound: int | None = None,
    lower_bound: int | None = None,
    deadline: Deadline | None = None,
) -> ScratchpadCpsat:
    """Compile `problem` to CP-SAT.

    Parameters
    ----------
    problem : ScratchpadSchedule
    upper_bound, lower_bound : int, optional
        Proven bounds on the optimum; they never cut it off.
    deadline : Deadline, optional
        Raises `DeadlineExpired` when it passes meanwhile.
    """
    return ScratchpadCpsat(problem, upper_bound, lower_bound, deadline or Deadline())
