"""The integer program of COSMA, as the reference: order, residency and addresses, step by step.

After Li, Gupta and Malik (2023), with the variables of a step pruned to the windows in which
operators can run and tensors be alive. Two tensors that are in the scratchpad in the same step lie
one above the other, which takes a pair of binaries for every step and pair of tensors: O(T A^2) of
them, so that only small graphs are within reach.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pulp

from optsched.core import Deadline
from optsched.problems.scratchpad.graph import INTERMEDIATE
from optsched.problems.scratchpad.problem import ScratchpadSchedule, ScratchpadSolution
from optsched.problems.scratchpad.windows import from_steps, replay, windows
from optsched.solvers.base import Compiled

SUPPORTS = frozenset({"fixed order", "free order"})

Key = tuple[int, int]


class ScratchpadMilp(Compiled):
    """A scratchpad schedule as a PuLP model.

    Attributes
    ----------
    runs : dict of (operator, step) to LpVariable
        Whether the operator runs in the step.
    resident, load : dict of (tensor, step) to LpVariable
        Whether the tensor is in the scratchpad during the step, or loaded before it.
    address : dict of (tensor, step) to LpVariable
        Where it is, as a share of the capacity; for tensors of at least one byte.
    below : dict of (tensor, tensor, step) to LpVariable
        Whether the first lies below the second.
    stored : dict of tensor to LpVariable
        Whether an intermediate is spilled.
    """

    def __init__(self, problem: ScratchpadSchedule, deadline: Deadline) -> None:
        self.problem = problem
        self.deadline = deadline
        self.model = pulp.LpProblem("scratchpad", pulp.LpMinimize)
        self.windows = windows(problem)
        self._rows = 0
        self.runs: dict[Key, Any] = {}
        self.resident: dict[Key, Any] = {}
        self.load: dict[Key, Any] = {}
        self.address: dict[Key, Any] = {}
        self.below: dict[tuple[int, int, int], Any] = {}
        self.stored: dict[int, Any] = {}
        self._order()
        for t in range(problem.graph.n_tensors):
            self._tensor(t)
        self._memory()
        self._objective()

    def _add(self, terms: Iterable[tuple[Any, float]], sense: int, right: float) -> None:
        self._rows += 1
        expression = pulp.LpAffineExpression(list(terms))
        self.model.addConstraint(pulp.LpConstraint(expression, sense, f"r{self._rows}", right))
        if self._rows % 512 == 0:
            self.deadline.check()

    def _binary(self, name: str) -> Any:
        return self.model.add_variable(name, 0, 1, pulp.LpInteger)

    def _order(self) -> None:
        graph = self.problem.graph
        early, late = self.windows.early.tolist(), self.windows.late.tolist()
        for i in range(graph.n_operators):
            for s in range(early[i], late[i] + 1):
                self.runs[i, s] = self._binary(f"x{i}_{s}")
            self._add([(self.runs[i, s], 1.0) for s in range(early[i], late[i] + 1)], 0, 1.0)
        for s in range(graph.n_operators):
            row = [(x, 1.0) for (_, at), x in self.runs.items() if at == s]
            self._add(row, 0, 1.0)
        for i in range(graph.n_operators):
            for j in graph.successors(i).tolist():
                for s in range(early[j], min(late[j], late[i]) + 1):
                    done = [(self.runs[j, k], 1.0) for k in range(early[j], s + 1)]
                    before = [(self.runs[i, k], -1.0) for k in range(early[i], s)]
                    self._add([*done, *before], -1, 0.0)

    def _tensor(self, t: int) -> None:
        """Say where a tensor in the scratchpad came from, and who needs it there."""
        graph = self.problem.graph
        first, last = int(self.windows.first[t]), int(self.windows.last[t])
        producer = int(graph.producer[t])
        for s in range(first, last + 1):
            here, load = self._binary(f"r{t}_{s}"), self._binary(f"l{t}_{s}")
            self.resident[t, s], self.load[t, s] = here, load
            came = [(load, -1.0)]
            if s > first:
                came.append((self.resident[t, s - 1], -1.0))
            if (producer, s) in self.runs:
                came.append((self.runs[producer, s], -1.0))
            self._add([(here, 1.0), *came], -1, 0.0)
            self._add([(load, 1.0), (here, -1.0)], -1, 0.0)
            if producer >= 0:
                written = [
                    (self.runs[producer, k], -1.0) for k in range(s) if (producer, k) in self.runs
                ]
                self._add([(load, 1.0), *written], -1, 0.0)
            for i in [*graph.consumers(t).tolist(), *([producer] if producer >= 0 else [])]:
                if (i, s) in self.runs:
                    self._add([(self.runs[i, s], 1.0), (here, -1.0)], -1, 0.0)
        if graph.kind[t] == INTERMEDIATE and last > first:
            self.stored[t] = self._binary(f"s{t}")
            for s in range(first, last + 1):
                self._add([(self.load[t, s], 1.0), (self.stored[t], -1.0)], -1, 0.0)

    def _share(self, t: int) -> float:
        """Return the bytes of a tensor as a share of the capacity: small numbers for big rows."""
        return float(self.problem.graph.size[t]) / self.problem.capacity

    def _memory(self) -> None:
        graph = self.problem.graph
        for t, s in self.resident:
            if graph.size[t]:
                room = 1.0 - self._share(t)
                self.address[t, s] = self.model.add_variable(f"a{t}_{s}", 0.0, room)
        for t, s in self.address:
            if (t, s - 1) in self.address:
                self._same_address(t, s)
        for s in range(graph.n_operators):
            here = [t for t, at in self.address if at == s]
            row = [(self.resident[t, s], self._share(t)) for t in here]
            self._add(row, -1, 1.0)
            for k, t in enumerate(here):
                for u in here[k + 1 :]:
                    self._apart(t, u, s)

    def _same_address(self, t: int, s: int) -> None:
        """Keep the address from the step before, unless the tensor comes or goes."""
        here, before, load = self.resident[t, s], self.resident[t, s - 1], self.load[t, s]
        slack = [(load, -1.0), (here, 1.0), (before, 1.0)]
        now, then = self.address[t, s], self.address[t, s - 1]
        self._add([(now, 1.0), (then, -1.0), *slack], -1, 2.0)
        self._add([(then, 1.0), (now, -1.0), *slack], -1, 2.0)

    def _apart(self, t: int, u: int, s: int) -> None:
        """Put one of two tensors above the other, where both are in the scratchpad."""
        if self._share(t) + self._share(u) > 1.0:
            self._add([(self.resident[t, s], 1.0), (self.resident[u, s], 1.0)], -1, 1.0)
            return
        pair = self._binary(f"b{t}_{u}_{s}"), self._binary(f"b{u}_{t}_{s}")
        self.below[t, u, s], self.below[u, t, s] = pair
        both = [(self.resident[t, s], -1.0), (self.resident[u, s], -1.0)]
        self._add([(pair[0], 1.0), (pair[1], 1.0), *both], 1, -1.0)
        for low, high, variable in ((t, u, pair[0]), (u, t, pair[1])):
            row = [(self.address[low, s], 1.0), (self.address[high, s], -1.0), (variable, 1.0)]
            self._add(row, -1, 1.0 - self._share(low))

    def _objective(self) -> None:
        graph = self.problem.graph
        size = graph.size.tolist()
        terms = [(x, float(size[t])) for (t, _), x in self.load.items()]
        terms += [(x, float(size[t])) for t, x in self.stored.items()]
        used = (graph.producer < 0) & (np.diff(graph.consumer_offset) > 0)
        compulsory = float(graph.size[used].sum())
        self.model.setObjective(pulp.LpAffineExpression(terms, constant=-compulsory))

    def hint(self, solution: ScratchpadSolution) -> npt.NDArray[np.float64]:
        """Return the value of every variable in `solution`, in ``model.variables()`` order."""
        value: dict[Any, float] = {}
        for s, i in enumerate(solution.order.tolist()):
            value[self.runs[i, s]] = 1.0
        steps = replay(self.problem, solution)
        for key, low in steps.resident.items():
            if key in self.resident:
                value[self.resident[key]] = 1.0
                if key in self.address:
                    value[self.address[key]] = low / self.problem.capacity
        for key in steps.loads:
            if key in self.load:
                value[self.load[key]] = 1.0
            if key[0] in self.stored:
                value[self.stored[key[0]]] = 1.0
        for (t, u, s), variable in self.below.items():
            places = steps.resident.get((t, s)), steps.resident.get((u, s))
            if places[0] is not None and places[1] is not None:
                value[variable] = float(places[0] < places[1])
        return np.array([value.get(variable, 0.0) for variable in self.model.variables()])

    def decode(self, values: npt.NDArray[np.float64]) -> ScratchpadSolution:
        """Return the solution that the variables' values stand for."""
        value = dict(zip(self.model.variables(), values.tolist(), strict=True))
        order = np.empty(self.problem.graph.n_operators, dtype=np.int64)
        for (i, s), x in self.runs.items():
            if value[x] > 0.5:
                order[s] = i
        here = {key for key, x in self.resident.items() if value[x] > 0.5}
        loads = {key for key, x in self.load.items() if value[x] > 0.5 and key in here}
        return from_steps(self.problem, order, self._addresses(here, loads, value), loads)

    def _addresses(
        self, here: set[Key], loads: set[Key], value: dict[Any, float]
    ) -> dict[Key, int]:
        """Return whole addresses: stays in the order of the program's, each as low as it goes.

        The program's addresses are floating point; what they say for certain is who lies below
        whom.
        """
        size = self.problem.graph.size.tolist()
        stay_of: dict[Key, int] = {}
        height: list[float] = []
        for t, s in sorted(here):
            known = stay_of.get((t, s - 1)) if (t, s) not in loads else None
            if known is None:
                known = len(height)
                # An address in no row is no variable of PuLP's model: any will do.
                height.append(value.get(self.address.get((t, s)), 0.0))
            stay_of[t, s] = known
        rows: dict[int, list[tuple[int, int]]] = {}
        for (t, s), stay in stay_of.items():
            if size[t]:
                rows.setdefault(s, []).append((stay, size[t]))
        floor = [0] * len(height)
        spans: dict[int, list[int]] = {}
        for s, row in rows.items():
            for stay, _ in row:
                spans.setdefault(stay, []).append(s)
        done: set[int] = set()
        for stay in sorted(spans, key=lambda k: height[k]):
            for s in spans[stay]:
                for other, bytes_ in rows[s]:
                    if other in done:
                        floor[stay] = max(floor[stay], floor[other] + bytes_)
            done.add(stay)
        return {key: floor[stay] for key, stay in stay_of.items()}


def build(
    problem: ScratchpadSchedule,
    *,
    upper_bound: int | None = None,
    lower_bound: int | None = None,
    deadline: Deadline | None = None,
) -> ScratchpadMilp:
    """Compile `problem` to the integer program of COSMA, in PuLP.

    Parameters
    ----------
    problem : ScratchpadSchedule
    upper_bound, lower_bound : int, optional
        Not used: the program is the reference.
    deadline : Deadline, optional
        Raises `DeadlineExpired` when it passes meanwhile.
    """
    return ScratchpadMilp(problem, deadline or Deadline())
