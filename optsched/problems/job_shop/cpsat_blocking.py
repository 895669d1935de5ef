"""Blocking without swap in CP-SAT: jobs enter their machines one after the other.

With swap allowed, a blocking operation is an interval that lasts until its job's next start, and
that is all. Without, the entries of one instant need an order in which each finds its machine
empty (Mascis and Pacciarelli 2002: no cycle of zero length in the alternative graph). So time is
refined: entry ``o`` happens at ``K * start + rank`` for ranks below ``K``, where ``K`` bounds the
entries of one instant; a machine is held until after the job's next entry, on this finer scale.
"""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

from optsched.core import Deadline
from optsched.problems.job_shop.timing import Plan, entries_at_once

if TYPE_CHECKING:
    from optsched.problems.job_shop.cpsat import JobShopCpsat


class EntryOrder:
    """The finer time scale of a model.

    Attributes
    ----------
    scale : int
        Points of the finer scale in one unit of time, ``K``.
    entry : list of IntVar, one an operation
    leave : list of linear expressions, one an operation
        When the machine is free for others.
    """

    def __init__(self, shop: JobShopCpsat, deadline: Deadline) -> None:
        self.shop = shop
        self.model = shop.model
        self.scale = entries_at_once(shop.problem)
        self._entries()
        self._leaves(deadline)
        self._machines(deadline)

    def _entries(self) -> None:
        shop, model, scale = self.shop, self.model, self.scale
        self.entry: list[Any] = []
        for op, start in enumerate(shop.start):
            low, high = shop.bounds(start)
            entry = model.new_int_var(low * scale, high * scale + scale - 1, f"entry{op}")
            rank = model.new_int_var(0, scale - 1, f"rank{op}")
            model.add(entry == scale * start + rank)
            self.entry.append(entry)
            shop.aux.append((entry.index, partial(self._at, op=op)))
            shop.aux.append((rank.index, partial(_rank, op=op)))
            if op and shop.follows[op - 1]:
                model.add(entry >= self.entry[op - 1] + 1)

    def _at(self, plan: Plan, op: int) -> int:
        return int(plan.start[op]) * self.scale + int(plan.rank[op])

    def _leaves(self, deadline: Deadline) -> None:
        shop, scale = self.shop, self.scale
        self.leave: list[Any] = []
        for op in range(shop.problem.n_ops):
            if op % 1024 == 1023:
                deadline.check()
            leave = self._affine(op)
            if leave is None:
                low = shop.bounds(shop.start[op])[0] * scale
                high = (int(shop.latest[op]) if not shop.holds[op] else shop.horizon) * scale
                leave = self.model.new_int_var(low, high + 2 * scale, f"leave{op}")
                self._constrain(op, leave)
                shop.aux.append((leave.index, partial(self._left, op=op)))
            self.leave.append(leave)

    def _affine(self, op: int) -> Any:
        """Return when the machine is free, where that takes no variable; None elsewhere."""
        shop, problem = self.shop, self.shop.problem
        if shop.holds[op]:
            gap = shop.fixed_gap(op)
            if gap != 0 or not (shop.single(op) and shop.single(op + 1)):
                return None
            machine = problem.alt_machine[problem.alt_offset[op : op + 2]]
            return self.entry[op + 1] + (1 if machine[0] != machine[1] else 0)
        elapsed = shop.elapsed[op]
        if elapsed is None or elapsed == 0:
            return None
        return self.scale * shop.start[op] + self.scale * elapsed

    def _constrain(self, op: int, leave: Any) -> None:
        """Say when the machine is free at the earliest; nothing needs it to be later."""
        shop, model, problem = self.shop, self.model, self.shop.problem
        model.add(leave >= self.entry[op] + 1)
        model.add(leave >= self.scale * shop.departure[op])
        if not shop.holds[op]:
            return
        first, middle, last = problem.alt_offset[op : op + 3].tolist()
        for a, b in product(range(first, middle), range(middle, last)):
            if shop.gap_between(op, a, b) == 0:
                apart = int(problem.alt_machine[a] != problem.alt_machine[b])
                chosen = [p for p in (shop.presence[a], shop.presence[b]) if p is not None]
                model.add(leave >= self.entry[op + 1] + apart).only_enforce_if(chosen)

    def _left(self, plan: Plan, op: int) -> int:
        least = max(self._at(plan, op) + 1, self.scale * int(plan.departure[op]))
        if self.shop.holds[op] and plan.gap[op] == 0:
            apart = int(plan.machine[op] != plan.machine[op + 1])
            least = max(least, self._at(plan, op + 1) + apart)
        return least

    def _size(self, plan: Plan, op: int) -> int:
        return self._left(plan, op) - self._at(plan, op)

    def _machines(self, deadline: Deadline) -> None:
        shop, model = self.shop, self.model
        for group in shop.machine_groups():
            deadline.check()
            if len(group) < 2:
                continue
            intervals = []
            for alt in group:
                op = int(shop.op_of_alt[alt])
                entry, leave = self.entry[op], self.leave[op]
                size = shop.size_variable(
                    f"fine{op}",
                    1,
                    shop.horizon * self.scale + 3 * self.scale,
                    partial(self._size, op=op),
                )
                presence = shop.presence[alt]
                if presence is None:
                    intervals.append(model.new_interval_var(entry, size, leave, f"f{alt}"))
                else:
                    intervals.append(
                        model.new_optional_interval_var(entry, size, leave, presence, f"f{alt}")
                    )
                    model.add(entry + size == leave)
            model.add_no_overlap(intervals)


def _rank(plan: Plan, op: int) -> int:
    return int(plan.rank[op])


def needs_entry_order(shop: JobShopCpsat) -> bool:
    """Return whether some jobs may want to exchange machines, and must not."""
    return not shop.problem.swap and bool(shop.holds.any())
