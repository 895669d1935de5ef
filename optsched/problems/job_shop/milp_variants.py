"""Blocking, breaks and setups in the MILP formulation.

- A break is passed before, after or across: a binary each, with big-M rows on start and end.
- Without swap, entries have positions: one that needs another job gone comes after that job's next
  entry (Mascis and Pacciarelli 2002), so that no cycle of jobs can move at one instant.
- Setups that keep the triangle inequality stand in the rows of the pairs; for others each machine
  has an assignment of direct successors (as in the travelling salesman problem of Miller, Tucker
  and Zemlin 1960, with positions against subtours).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from optsched.problems.job_shop.calendars import calendars_of
from optsched.problems.job_shop.timing import Plan

if TYPE_CHECKING:
    from optsched.problems.job_shop.milp import JobShopMilp

Terms = list[tuple[Any, float]]


def add_breaks(shop: JobShopMilp) -> None:
    """Keep operations off the breaks of their machines; fills ``shop.losses``."""
    problem = shop.problem
    calendars = calendars_of(problem)
    bounds = problem.alt_offset.tolist()
    for op in range(problem.n_ops):
        head, latest = int(shop.head[op]), int(shop.latest[op])
        for alt in range(bounds[op], bounds[op + 1]):
            calendar = calendars[int(problem.alt_machine[alt])]
            for begin, end in zip(calendar.begins, calendar.ends, strict=True):
                if end > head and begin < latest:
                    _Break(shop, op, alt, begin, end).add()


class _Break:
    """One break and one alternative of an operation."""

    def __init__(self, shop: JobShopMilp, op: int, alt: int, begin: int, end: int) -> None:
        self.shop, self.op, self.alt = shop, op, alt
        self.begin, self.end = begin, end
        self.duration = shop.duration[alt]
        self.resumable = bool(shop.problem.resumable[op]) and self.duration > 0

    def add(self) -> None:
        shop, op = self.shop, self.op
        begin, end = self.begin, self.end
        head, latest = int(shop.head[op]), int(shop.latest[op])
        latest_start = latest - int(shop.least[op])
        start = shop.start[op]
        after = self._binary("a", lambda plan: plan.start[op] >= end)
        before = self._binary("b", lambda plan: plan.start[op] < end and plan.end[op] <= begin)
        sides = [after, before]
        if self.resumable:
            across = self._binary("c", lambda plan: plan.start[op] < begin < plan.end[op])
            sides.append(across)
            shop.losses[op].append((across, end - begin))
        presence = shop.presence[self.alt]
        shop.add_equal([(x, 1) for x in sides], presence)
        slack = max(0, end - head)
        shop.add([(start, 1), (after, -slack)], end - slack)
        if not self.resumable:
            slack = max(0, latest_start + self.duration - begin)
            shop.add([(start, -1), (before, -slack)], self.duration - begin - slack)
            return
        self._ends(before, across, head, latest, latest_start)

    def _ends(self, before: Any, across: Any, head: int, latest: int, latest_start: int) -> None:
        """Rows of a resumable operation; its end counts the breaks that it spans.

        They come last, as the end is not known before every break has its binary.
        """
        shop, op, begin, end = self.shop, self.op, self.begin, self.end

        def rows() -> None:
            terms, constant = shop.end_terms(op, -1)
            slack = max(0, latest - begin)
            shop.add([*terms, (before, -slack)], -begin - slack - constant)
            slack = max(0, latest_start - begin + 1)
            shop.add([(shop.start[op], -1), (across, -slack)], 1 - begin - slack)
            terms, constant = shop.end_terms(op, 1)
            slack = max(0, end + 1 - head - int(shop.least[op]))
            shop.add([*terms, (across, -slack)], end + 1 - slack - constant)

        shop.later.append(rows)

    def _binary(self, name: str, value: Callable[[Plan], bool]) -> Any:
        variable = self.shop.binary(f"{name}{self.alt}_{self.begin}")
        op, alt = self.op, self.alt
        self.shop.aux.append(
            (variable, lambda plan: float(plan.alternative[op] == alt and value(plan)))
        )
        return variable


def add_departures(shop: JobShopMilp) -> None:
    """Give blocking operations whose gap depends on machines a variable of their departure."""
    problem = shop.problem
    for op in np.flatnonzero(shop.holds).tolist():
        first, middle, last = problem.alt_offset[op : op + 3].tolist()
        gaps = {
            (a, b): shop.gap_between(op, a, b)
            for a, b in product(range(first, middle), range(middle, last))
        }
        shop.least_gap[op] = min(gaps.values())
        if len(set(gaps.values())) == 1:
            continue
        most = shop.latest_start(op + 1) - shop.least_gap[op]
        departure = shop.model.add_variable(f"d{op}", int(shop.head[op]), most)
        shop.aux.append((departure, partial(_departs, op=op)))
        shop.departure[op] = departure
        terms, constant = shop.end_terms(op, -1)
        shop.add([(departure, 1), *terms], -constant)
        for (a, b), gap in gaps.items():
            slack = max(0, most + shop.least_gap[op] - gap - int(shop.head[op]))
            row = [(departure, 1), (shop.start[op + 1], -1)]
            shop.add_if(row, -gap, [shop.presence[a], shop.presence[b]], slack)


def _departs(plan: Plan, op: int) -> float:
    return float(plan.departure[op])


def _position(plan: Plan, op: int) -> float:
    return float(plan.position[op])


def _is_end(plan: Plan, machine: int, op: int, end: int) -> bool:
    row = plan.sequence[machine]
    return bool(row) and row[end] == op


class Positions:
    """Positions of the entries in an order that agrees with time.

    Attributes
    ----------
    entry : list of LpVariable, one an operation
    """

    def __init__(self, shop: JobShopMilp, exchanges: bool) -> None:
        self.shop = shop
        self.exchanges = exchanges  # whether they must keep jobs from exchanging machines
        n_ops = shop.problem.n_ops
        self.entry = [shop.model.add_variable(f"h{op}", 0, n_ops - 1) for op in range(n_ops)]
        for op, variable in enumerate(self.entry):
            shop.aux.append((variable, partial(_position, op=op)))
            if op and shop.follows[op - 1]:
                shop.add([(variable, 1), (self.entry[op - 1], -1)], 1)

    def before(self, i: int, j: int, a: int, conditions: list[Any]) -> None:
        """Let `j` enter the machine behind `i`, which runs as alternative `a`.

        `conditions` are variables, or ``(variable, value)``, under which that is so.
        """
        shop, problem = self.shop, self.shop.problem
        slack = problem.n_ops
        shop.add_if([(self.entry[j], 1), (self.entry[i], -1)], 1, conditions, slack)
        if not self.exchanges or not shop.holds[i] or i + 1 == j:
            return
        for b in range(*problem.alt_offset[i + 1 : i + 3].tolist()):
            if shop.gap_between(i, a, b) == 0:
                row = [(self.entry[j], 1), (self.entry[i + 1], -1)]
                shop.add_if(row, 1, [*conditions, shop.presence[b]], slack)


class Successors:
    """Direct successors on a machine whose setups break the triangle inequality."""

    def __init__(self, shop: JobShopMilp, machine: int) -> None:
        self.shop = shop
        self.machine = machine
        problem = shop.problem
        self.group = np.flatnonzero(problem.alt_machine == machine).tolist()
        self.ops = shop.op_of_alt[self.group].tolist()
        self._add()

    def _binary(self, name: str, value: Callable[[Plan], bool]) -> Any:
        variable = self.shop.binary(f"{name}_{self.machine}")
        self.shop.aux.append((variable, lambda plan: float(value(plan))))
        return variable

    def _add(self) -> None:
        shop, machine = self.shop, self.machine
        out: dict[int, list[Any]] = {}
        into: dict[int, list[Any]] = {}
        firsts = []
        for op in self.ops:
            first = self._binary(f"first{op}", partial(_is_end, machine=machine, op=op, end=0))
            last = self._binary(f"last{op}", partial(_is_end, machine=machine, op=op, end=-1))
            into[op], out[op] = [first], [last]
            firsts.append(first)
        for a, i in zip(self.group, self.ops, strict=True):
            for j in self.ops:
                if i != j:
                    arc = self._arc(i, j, a)
                    out[i].append(arc)
                    into[j].append(arc)
        for a, op in zip(self.group, self.ops, strict=True):
            shop.add_equal([(x, 1) for x in out[op]], shop.presence[a])
            shop.add_equal([(x, 1) for x in into[op]], shop.presence[a])
        shop.add([(x, -1) for x in firsts], -1)

    def _arc(self, i: int, j: int, a: int) -> Any:
        shop, machine = self.shop, self.machine

        def follows(plan: Plan) -> bool:
            return plan.successor.get(i) == j and int(plan.machine[i]) == machine

        arc = self._binary(f"z{i}_{j}", follows)
        setup = shop.setup_between(machine, i, j)
        terms, constant = shop.departure_terms(i, -1)
        slack = max(0, shop.latest_departure(i) + setup - int(shop.head[j]))
        shop.add_if([(shop.start[j], 1), *terms], setup - constant, [arc], slack)
        assert shop.positions is not None
        shop.positions.before(i, j, a, [arc])
        return arc


class Setups:
    """Which machines have setups, and which of them keep the triangle inequality."""

    def __init__(self, shop: JobShopMilp) -> None:
        self.shop = shop

    @cached_property
    def irregular(self) -> frozenset[int]:
        """Machines where a third operation in between can shorten the way from one to another."""
        problem = self.shop.problem
        if problem.setup is None:
            return frozenset()
        found = set()
        for machine in np.unique(problem.alt_machine).tolist():
            group = np.flatnonzero(problem.alt_machine == machine)
            job = problem.op_job[self.shop.op_of_alt[group]]
            least = np.full(problem.n_jobs, np.iinfo(np.int64).max // 4)
            np.minimum.at(least, job, problem.alt_duration[group])
            jobs = np.unique(job)
            setup = problem.setup[machine][np.ix_(jobs, jobs)]
            for k, middle in enumerate(jobs.tolist()):
                detour = setup[:, k, None] + least[middle] + setup[None, k, :]
                if (setup > detour).any():
                    found.add(machine)
                    break
        return frozenset(found)
