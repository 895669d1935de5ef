"""Rescheduling: the least fragmentation that so many migrations reach, mostly with a proof.

The bound comes from a linear program over the columns of hosts (`vm_columns`), which does not see
rules between pods; its integer program says how many pods of each kind leave and come where, and a
small model which pods these are, so that the rules hold.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from ortools.sat.python import cp_model

from optsched.core import IntArray
from optsched.problems.pod_packing.grouping import limits, loads
from optsched.problems.pod_packing.problem import PodPacking, PodPackingSolution
from optsched.problems.pod_packing.vm_columns import Master
from optsched.problems.pod_packing.vm_descent import descend
from optsched.problems.pod_packing.vm_grid import Column, Grid, grid_of
from optsched.session import Session

#: Integer programs, each with other columns among equals, before the search gives up.
TRIES = 6
#: Rounds of further columns before each.
ROUNDS = 5
#: Deterministic seconds for telling which pods migrate.
EFFORT = 2.0


class Reschedule:
    """Fragmentation of an instance in which all pods run and stay placed.

    Parameters
    ----------
    problem : PodPacking
    session : Session
    seed : int
    offer : callable(solution)
        Takes solutions that keep every rule.
    prove : callable(value)
        Takes proven lower bounds on the fragmentation.
    met : callable() -> bool
        Whether the bound is attained.
    """

    def __init__(
        self,
        problem: PodPacking,
        session: Session,
        seed: int,
        offer: Callable[[PodPackingSolution], object],
        prove: Callable[[int], object],
        met: Callable[[], bool],
    ) -> None:
        self.problem, self.session, self.seed = problem, session, seed
        self.offer, self.prove, self.met = offer, prove, met
        self.main = int(problem.slot.argmax())
        limit, _ = limits(problem)
        self.free = int((limit - loads(problem, problem.current))[:, self.main].sum())

    def run(self) -> None:
        """Bound the level, and look for a solution that attains the bound."""
        grid = grid_of(self.problem)
        if grid is None or self.session.stopped:
            return
        self._offer(descend(self.problem))
        limit = self.problem.migration_limit
        most = self.problem.n_pods if limit is None else limit
        master = Master(grid, most, self.session.deadline, self._stopped)
        if not master.generate(self._bounded):
            return
        for turn in range(TRIES):
            if self._stopped():
                return
            master.enrich(self.seed + turn, ROUNDS)
            least = self._slots(self._best()) + 1
            chosen = master.solve(least, self.seed + turn)
            if chosen is None:
                continue
            solution = Realisation(self.problem, grid, chosen, self.seed + turn).solve()
            if solution is not None:
                self._offer(solution)

    def _stopped(self) -> bool:
        return self.met() or self.session.stopped

    def _slots(self, fragments: int) -> int:
        return (self.free - fragments) // int(self.problem.slot[self.main])

    def _best(self) -> int:
        solution = self.session.solution or self.problem.incoming()
        return self._fragments(solution)

    def _fragments(self, solution: PodPackingSolution) -> int:
        at = self.problem.level_keys().index(("fragmentation", -1))
        return self.problem.levels(solution)[at]

    def _bounded(self, slots: int) -> bool:
        self.prove(max(0, self.free - slots * int(self.problem.slot[self.main])))
        return self._stopped()

    def _offer(self, solution: PodPackingSolution) -> None:
        if not self.problem.check(solution):
            self.offer(solution)


class Realisation:
    """Which pods migrate, given how many of each kind leave and come where."""

    def __init__(self, problem: PodPacking, grid: Grid, columns: list[Column], seed: int) -> None:
        self.problem, self.grid, self.seed = problem, grid, seed
        self.out: dict[tuple[int, int], int] = {}
        self.into: dict[tuple[int, int], int] = {}
        for column in columns:
            first = int(grid.host_start[column.host])
            for table, found in ((column.out, self.out), (column.into, self.into)):
                for k, kind in np.argwhere(table).tolist():
                    found[int(grid.nodes[first + k]), kind] = int(table[k, kind])
        self.model = cp_model.CpModel()
        #: Pods that may go, and where each may go.
        self.go: dict[int, cp_model.IntVar] = {}
        self.to: dict[tuple[int, int], cp_model.IntVar] = {}

    def solve(self) -> PodPackingSolution | None:
        """Return a solution with these numbers; None where the rules allow none, or in time."""
        self._flows()
        self._room()
        for term in self.problem.terms:
            if term.kind == "anti_affinity":
                row = self.problem.topology[self.problem.topology_keys.index(term.key)]
                self._apart(row, set(term.owners.tolist()), set(term.targets.tolist()))
        solver = cp_model.CpSolver()
        solver.parameters.num_workers = 1
        solver.parameters.random_seed = self.seed % 2**31
        solver.parameters.max_deterministic_time = EFFORT
        solver.parameters.catch_sigint_signal = False
        if solver.solve(self.model) not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            return None
        node = self.problem.current.copy()
        for (pod, n), var in self.to.items():
            if solver.value(var):
                node[pod] = n
        return PodPackingSolution(node)

    def _flows(self) -> None:
        problem, kind = self.problem, self.grid.kind
        open_ = problem.eligible
        coming: dict[tuple[int, int], list[cp_model.IntVar]] = {key: [] for key in self.into}
        for (n, t), number in self.out.items():
            pods = np.flatnonzero((problem.current == n) & (kind == t) & problem.movable)
            for pod in pods.tolist():
                self.go[pod] = self.model.new_bool_var(f"go{pod}")
                targets = []
                for (m, other), _ in self.into.items():
                    able = open_[problem.pod_class[pod], problem.node_class[m]]
                    if other == t and m != n and able:
                        var = self.to[pod, m] = self.model.new_bool_var(f"to{pod}_{m}")
                        targets.append(var)
                        coming[m, t].append(var)
                self.model.add(cp_model.LinearExpr.sum(targets) == self.go[pod])
            chosen = [self.go[pod] for pod in pods.tolist()]
            self.model.add(cp_model.LinearExpr.sum(chosen) == number)
        for key, found in coming.items():
            self.model.add(cp_model.LinearExpr.sum(found) == self.into[key])

    def _sites(self, pod: int, n: int) -> list[int]:
        return self.problem.host_nodes(n).tolist() if self.problem.spans[pod] else [n]

    def _room(self) -> None:
        """Keep what the steps of the grid may have rounded away."""
        problem = self.problem
        limit, _ = limits(problem)
        free = limit - loads(problem, problem.current)
        come: dict[int, list[tuple[int, cp_model.IntVar]]] = {}
        leave: dict[int, list[tuple[int, cp_model.IntVar]]] = {}
        for (pod, n), var in self.to.items():
            for site in self._sites(pod, n):
                come.setdefault(site, []).append((pod, var))
        for pod, var in self.go.items():
            for site in self._sites(pod, int(problem.current[pod])):
                leave.setdefault(site, []).append((pod, var))
        for n, here in come.items():
            for r in range(problem.request.shape[1]):
                terms = [int(problem.request[pod, r]) * var for pod, var in here]
                terms += [-int(problem.request[pod, r]) * var for pod, var in leave.get(n, ())]
                self.model.add(cp_model.LinearExpr.sum(terms) <= int(free[n, r]))

    def _apart(self, domain: IntArray, owners: set[int], targets: set[int]) -> None:
        """Keep those that come to a domain apart from all that clash with them."""
        current = self.problem.current
        inside: dict[int, list[int]] = {}
        for pod in sorted(owners | targets):
            if (d := int(domain[current[pod]])) >= 0:
                inside.setdefault(d, []).append(pod)
        coming: dict[int, list[tuple[int, cp_model.IntVar]]] = {}
        for (pod, n), var in self.to.items():
            if (pod in owners or pod in targets) and domain[n] >= 0:
                coming.setdefault(int(domain[n]), []).append((pod, var))

        def clash(a: int, b: int) -> bool:
            return a != b and ((a in owners and b in targets) or (b in owners and a in targets))

        for d, arrivals in coming.items():
            for k, (pod, var) in enumerate(arrivals):
                for other in inside.get(d, ()):
                    if clash(pod, other):
                        gone = self.go.get(other)
                        self.model.add(var <= (0 if gone is None else gone))
                for other, second in arrivals[:k]:
                    if clash(pod, other):
                        self.model.add_at_most_one(var, second)
