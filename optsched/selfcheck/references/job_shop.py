"""Schedules of job shops judged unit of time by unit of time, written from the definition alone.

A shop is here a plain dict: the keyword arguments of ``JobShop``, lists and numbers only. Nothing
in this module imports anything else of optsched, so that an error there cannot hide here.

`kinds` judges a schedule by walking through it one unit of time after the other. `optimum` finds
the best objective by trying every order in which the operations can be appended to their machines
(every semi-active schedule), on every eligible machine.
"""

from __future__ import annotations

import itertools
from typing import Any, TypeAlias

Shop: TypeAlias = dict[str, Any]
Op: TypeAlias = tuple[int, int]  # (job, position)

OBJECTIVES = (
    "makespan",
    "total_weighted_tardiness",
    "total_completion_time",
    "maximum_lateness",
)


def alternatives(operation: Any) -> dict[int, int]:
    """Return machine -> duration of an operation, classic or flexible."""
    if isinstance(operation[0], int):
        return {operation[0]: operation[1]}
    return dict(operation)


def operations(shop: Shop) -> list[Op]:
    """Return every operation, job-major."""
    return [(j, k) for j, job in enumerate(shop["jobs"]) for k in range(len(job))]


def machine_count(shop: Shop) -> int:
    """Return the number of machines of the shop."""
    if "n_machines" in shop:
        return int(shop["n_machines"])
    return 1 + max(m for job in shop["jobs"] for op in job for m in alternatives(op))


# ---- judging a schedule -------------------------------------------------------------------


def per_operation(shop: Shop, key: str, op: Op, default: Any) -> Any:
    """Return an operation's entry of a field, which may hold one value for all."""
    value = shop.get(key, default)
    return value[op[0]][op[1]] if isinstance(value, list) else value


def _broken_units(shop: Shop, machine: int) -> set[int]:
    pairs = shop.get("calendars", {}).get(machine, [])
    return {t for begin, end in pairs for t in range(begin, end)}


def _end(shop: Shop, op: Op, start: int, machine: int, duration: int) -> int:
    """Return the end: a resumable operation works one unit in each available unit of time."""
    if not per_operation(shop, "resumable", op, False):
        return start + duration
    broken, now, left = _broken_units(shop, machine), start, duration
    while left:
        left -= now not in broken
        now += 1
    return now


class Schedule:
    """A shop, and a start and a machine for every operation; end and departure worked out."""

    def __init__(self, shop: Shop, start: list[int], machine: list[int]) -> None:
        self.shop = shop
        self.ops = operations(shop)
        self.start = dict(zip(self.ops, start, strict=True))
        self.machine = dict(zip(self.ops, machine, strict=True))
        self.duration: dict[Op, int] = {}
        self.end: dict[Op, int] = {}
        for op in self.ops:
            length = alternatives(shop["jobs"][op[0]][op[1]])[self.machine[op]]
            self.duration[op] = length
            self.end[op] = _end(shop, op, self.start[op], self.machine[op], length)

    def following(self, op: Op) -> Op | None:
        """Return the next operation of the job, None after the last."""
        after = (op[0], op[1] + 1)
        return after if after in self.start else None

    def gap(self, op: Op) -> int:
        """Return the lag plus transport between an operation and its job's next one."""
        after = self.following(op)
        assert after is not None
        gap = per_operation(self.shop, "lags", op, 0)
        if "transport" in self.shop:
            gap += self.shop["transport"][self.machine[op]][self.machine[after]]
        return int(gap)

    def leaves_with_next(self, op: Op) -> bool:
        """Return whether the operation leaves its machine only by entering the next one."""
        after = self.following(op)
        blocking = (
            after is not None and per_operation(self.shop, "buffers", op, "unlimited") == "none"
        )
        return blocking and self.gap(op) == 0

    def departure(self, op: Op) -> int:
        """Return when the operation lets its machine go."""
        after = self.following(op)
        if after is None or per_operation(self.shop, "buffers", op, "unlimited") != "none":
            return self.end[op]
        return max(self.end[op], self.start[after] - self.gap(op))


def kinds(shop: Shop, start: list[int], machine: list[int]) -> set[str]:
    """Return the names of the rules that the schedule breaks; empty means feasible."""
    broken: set[str] = set()
    ops = operations(shop)
    for op, m, begin in zip(ops, machine, start, strict=True):
        if m not in alternatives(shop["jobs"][op[0]][op[1]]):
            broken.add("eligibility")
        if begin < 0:
            broken.add("start")
    if broken:
        return broken
    plan = Schedule(shop, start, machine)
    for op in ops:
        broken |= operation_kinds(plan, op)
    occupied = _machines_kind(plan)
    broken |= occupied
    if not occupied and not _some_order(plan):
        broken.add("swap or setup")
    return broken


def operation_kinds(plan: Schedule, op: Op) -> set[str]:
    """Return the rules that an operation breaks by itself, or towards its job's next one."""
    shop, begin, end = plan.shop, plan.start[op], plan.end[op]
    broken = set()
    if op[1] == 0 and begin < shop.get("release", {op[0]: 0})[op[0]]:
        broken.add("release")
    after = plan.following(op)
    if after is None:
        latest = shop.get("deadline", {op[0]: None})[op[0]]
        if latest is not None and end > latest:
            broken.add("deadline")
    else:
        if plan.start[after] < end + plan.gap(op):
            broken.add("precedence")
        if per_operation(shop, "buffers", op, "unlimited") == "no-wait" and plan.start[
            after
        ] > end + plan.gap(op):
            broken.add("no-wait")
    off = _broken_units(shop, plan.machine[op])
    if plan.duration[op] == 0:
        # An instant is within a break when the machine is off on both sides of it.
        if begin - 1 in off and begin in off:
            broken.add("calendar")
    elif per_operation(shop, "resumable", op, False):
        if begin in off:
            broken.add("calendar")
    elif any(t in off for t in range(begin, end)):
        broken.add("calendar")
    return broken


def _machines_kind(plan: Schedule) -> set[str]:
    """Return {"machine"} when two operations hold a machine in the same unit of time."""
    holder: dict[tuple[int, int], Op] = {}
    for op in plan.ops:
        for t in range(plan.start[op], plan.departure(op)):
            if (plan.machine[op], t) in holder:
                return {"machine"}
            holder[plan.machine[op], t] = op
    for op in plan.ops:
        if plan.start[op] == plan.departure(op):
            before = holder.get((plan.machine[op], plan.start[op] - 1))
            if before is not None and before == holder.get((plan.machine[op], plan.start[op])):
                return {"machine"}
    return set()


def _some_order(plan: Schedule) -> bool:
    """Return whether the operations can enter their machines one after the other.

    Instant by instant, every order of the entries of that instant is tried: a machine must be
    empty (or held by the job itself) when it is entered, and its setup must have had its time.
    With ``swap`` jobs may trade places, so that only the setups are left to look at.
    """
    swap = bool(plan.shop.get("swap", False))
    # On each machine: who is in there, and who entered last.
    inside: dict[int, Op | None] = {}
    last: dict[int, Op | None] = {}

    def setup_fits(op: Op, previous: Op | None) -> bool:
        if previous is None or "setup" not in plan.shop:
            return True
        table = plan.shop["setup"]
        if isinstance(table[0][0], list):
            table = table[plan.machine[op]]
        return bool(plan.start[op] >= plan.departure(previous) + table[previous[0]][op[0]])

    def enter(now: int, todo: tuple[Op, ...], inside: dict[int, Op | None],
              last: dict[int, Op | None]) -> tuple[Any, Any] | None:  # fmt: skip
        """Let all of `todo` enter; return the state after it, or None when no order works."""
        if not todo:
            return inside, last
        for op in todo:
            before = (op[0], op[1] - 1)
            m = plan.machine[op]
            if before in todo or not setup_fits(op, last.get(m)):
                continue
            state = dict(inside)
            if before in plan.start and state.get(plan.machine[before]) == before:
                state[plan.machine[before]] = None
            if not swap and state.get(m) is not None:
                continue
            through = plan.departure(op) == now and not plan.leaves_with_next(op)
            state[m] = None if through else op
            rest = tuple(o for o in todo if o != op)
            found = enter(now, rest, state, last | {m: op})
            if found is not None:
                return found
        return None

    for now in sorted(set(plan.start.values())):
        for m, op in inside.items():
            if op is not None and (
                plan.departure(op) < now
                or (plan.departure(op) == now and not plan.leaves_with_next(op))
            ):
                inside[m] = None
        todo = tuple(op for op in plan.ops if plan.start[op] == now)
        if swap:
            # Operations that stay on go behind those that only pass at this instant.
            order = _swap_order(plan, todo, now, last, setup_fits)
            if order is None:
                return False
            last = order
            continue
        state = enter(now, todo, inside, last)
        if state is None:
            return False
        inside, last = state
    return True


def _swap_order(
    plan: Schedule, todo: tuple[Op, ...], now: int, last: dict[int, Op | None], fits: Any
) -> dict[int, Op | None] | None:
    """Order the entries of each machine by itself so that setups fit."""
    last = dict(last)
    for m in {plan.machine[op] for op in todo}:
        here = [op for op in todo if plan.machine[op] == m]
        passing = [op for op in here if plan.departure(op) == now]
        staying = [op for op in here if plan.departure(op) > now]
        for order in itertools.permutations(passing):
            if any(a > b and a[0] == b[0] for a, b in itertools.combinations(order, 2)):
                continue
            chain = [last.get(m), *order, *staying]
            if all(fits(b, a) for a, b in itertools.pairwise(chain) if b is not None):
                last[m] = chain[-1]
                break
        else:
            return None
    return last


def objective(shop: Shop, start: list[int], machine: list[int]) -> int:
    """Return the objective value by its definition."""
    plan = Schedule(shop, start, machine)
    done = [plan.end[j, len(job) - 1] for j, job in enumerate(shop["jobs"])]
    return cost(shop, done)


def cost(shop: Shop, done: list[int] | tuple[int, ...]) -> int:
    """Return the objective of a schedule by the completion times of its jobs."""
    n = len(done)
    weight: list[int] = shop.get("weight", [1] * n)
    kind = shop.get("objective", "makespan")
    if kind == "makespan":
        return max(done)
    if kind == "total_completion_time":
        return sum(w * c for w, c in zip(weight, done, strict=True))
    late: list[int] = [c - d for c, d in zip(done, shop["due"], strict=True)]
    if kind == "maximum_lateness":
        return max(late)
    return sum(w * max(0, x) for w, x in zip(weight, late, strict=True))


# ---- the optimum of a tiny shop -----------------------------------------------------------


def optimum(shop: Shop) -> int | None:
    """Return the least objective over all semi-active schedules, None when none is feasible.

    For shops without breaks, buffers and setups: there an optimal schedule is semi-active, since
    every objective of the family is regular.
    """
    jobs = [[alternatives(op) for op in job] for job in shop["jobs"]]
    n = len(jobs)
    release = shop.get("release", [0] * n)
    deadline = shop.get("deadline", [None] * n)
    lags = shop.get("lags", [[0] * len(job) for job in jobs])
    transport = shop.get("transport")
    best: int | None = None
    seen: set[Any] = set()
    # (next operation, ready time, machine of the last operation) of each job; machines' free times
    first = tuple((0, release[j], -1) for j in range(n))
    stack: list[Any] = [(first, (0,) * machine_count(shop))]
    while stack:
        state = stack.pop()
        if state in seen:
            continue
        seen.add(state)
        progress, free = state
        if all(progress[j][0] == len(jobs[j]) for j in range(n)):
            value = cost(shop, tuple(ready for _, ready, _ in progress))
            best = value if best is None else min(best, value)
            continue
        for j, (k, ready, place) in enumerate(progress):
            if k == len(jobs[j]):
                continue
            for m, duration in jobs[j][k].items():
                arrival = ready
                if transport is not None and place >= 0:
                    arrival += transport[place][m]
                end = max(arrival, free[m]) + duration
                final = k + 1 == len(jobs[j])
                if final and deadline[j] is not None and end > deadline[j]:
                    continue
                lag = 0 if final else lags[j][k]
                after = (*progress[:j], (k + 1, end + lag, m), *progress[j + 1 :])
                stack.append((after, (*free[:m], end, *free[m + 1 :])))
    return best
