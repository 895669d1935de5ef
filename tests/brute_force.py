"""What the job-shop tests hold the package against, written from the definition alone.

A shop is here a plain dict: the keyword arguments of ``JobShop``, lists and numbers only. Nothing
in this module imports optsched, so that an error there cannot hide here.

`kinds` judges a schedule by walking through it one unit of time after the other. `optimum` finds
the best objective by trying every order in which the operations can be appended to their machines
(every semi-active schedule), on every eligible machine.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

Shop = dict[str, Any]
Op = tuple[int, int]  # (job, position)

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


def _per_op(shop: Shop, key: str, op: Op, default: Any) -> Any:
    value = shop.get(key, default)
    return value[op[0]][op[1]] if isinstance(value, list) else value


def _broken_units(shop: Shop, machine: int) -> set[int]:
    pairs = shop.get("calendars", {}).get(machine, [])
    return {t for begin, end in pairs for t in range(begin, end)}


def _end(shop: Shop, op: Op, start: int, machine: int, duration: int) -> int:
    """Return the end: a resumable operation works one unit in each available unit of time."""
    if not _per_op(shop, "resumable", op, False):
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
        after = (op[0], op[1] + 1)
        return after if after in self.start else None

    def gap(self, op: Op) -> int:
        """Return the lag plus transport between an operation and its job's next one."""
        after = self.following(op)
        assert after is not None
        gap = _per_op(self.shop, "lags", op, 0)
        if "transport" in self.shop:
            gap += self.shop["transport"][self.machine[op]][self.machine[after]]
        return int(gap)

    def leaves_with_next(self, op: Op) -> bool:
        """Return whether the operation leaves its machine only by entering the next one."""
        after = self.following(op)
        blocking = after is not None and _per_op(self.shop, "buffers", op, "unlimited") == "none"
        return blocking and self.gap(op) == 0

    def departure(self, op: Op) -> int:
        """Return when the operation lets its machine go."""
        after = self.following(op)
        if after is None or _per_op(self.shop, "buffers", op, "unlimited") != "none":
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
        broken |= _operation_kinds(plan, op)
    occupied = _machines_kind(plan)
    broken |= occupied
    if not occupied and not _some_order(plan):
        broken.add("swap or setup")
    return broken


def _operation_kinds(plan: Schedule, op: Op) -> set[str]:
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
        if _per_op(shop, "buffers", op, "unlimited") == "no-wait" and plan.start[
            after
        ] > end + plan.gap(op):
            broken.add("no-wait")
    off = _broken_units(shop, plan.machine[op])
    if plan.duration[op] == 0:
        # An instant is within a break when the machine is off on both sides of it.
        if begin - 1 in off and begin in off:
            broken.add("calendar")
    elif _per_op(shop, "resumable", op, False):
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
    weight = shop.get("weight", [1] * n)
    kind = shop.get("objective", "makespan")
    if kind == "makespan":
        return max(done)
    if kind == "total_completion_time":
        return sum(w * c for w, c in zip(weight, done, strict=True))
    late = [c - d for c, d in zip(done, shop["due"], strict=True)]
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


# ---- two classics (Fisher and Thompson 1963), optima 55 and 930 -----------------------------


def _pairs(text: str) -> list[Any]:
    rows = [[int(word) for word in line.split()] for line in text.strip().splitlines()]
    return [list(zip(row[::2], row[1::2], strict=True)) for row in rows]


FT06 = _pairs("""
2 1 0 3 1 6 3 7 5 3 4 6
1 8 2 5 4 10 5 10 0 10 3 4
2 5 3 4 5 8 0 9 1 1 4 7
1 5 0 5 2 5 3 3 4 8 5 9
2 9 1 3 4 5 5 4 0 3 3 1
1 3 3 3 5 9 0 10 4 4 2 1
""")
FT10 = _pairs("""
0 29 1 78 2 9 3 36 4 49 5 11 6 62 7 56 8 44 9 21
0 43 2 90 4 75 9 11 3 69 1 28 6 46 5 46 7 72 8 30
1 91 0 85 3 39 2 74 8 90 5 10 7 12 6 89 9 45 4 33
1 81 2 95 0 71 4 99 6 9 8 52 7 85 3 98 9 22 5 43
2 14 0 6 1 22 5 61 3 26 4 69 8 21 7 49 9 72 6 53
2 84 1 2 5 52 3 95 8 48 9 72 0 47 6 65 4 6 7 25
1 46 0 37 3 61 2 13 6 32 5 21 9 32 8 89 7 30 4 55
2 31 0 86 1 46 5 74 4 32 6 88 8 19 9 48 7 36 3 79
0 76 1 69 3 76 5 51 2 85 9 11 6 40 7 89 4 26 8 74
1 85 0 13 2 61 6 7 8 64 9 76 5 47 3 52 4 90 7 45
""")


def large_jobs(n_jobs: int, n_machines: int, seed: int = 0) -> list[Any]:
    """Return jobs that visit every machine once, of durations 1 to 99 (as Taillard's)."""
    rng = random.Random(seed)
    return [
        [(m, rng.randint(1, 99)) for m in rng.sample(range(n_machines), n_machines)]
        for _ in range(n_jobs)
    ]


# ---- random shops and schedules -----------------------------------------------------------


def random_jobs(
    rng: random.Random,
    n_jobs: int,
    n_machines: int,
    most_ops: int,
    *,
    flexible: bool = False,
    longest: int = 6,
) -> list[Any]:
    """Return jobs of different length, re-entrant at times, with some operations of no duration."""

    def duration() -> int:
        return 0 if rng.random() < 0.1 else rng.randint(1, longest)

    def operation() -> Any:
        if flexible and rng.random() < 0.6:
            size = rng.randint(1, min(3, n_machines))
            return [(m, duration()) for m in rng.sample(range(n_machines), size)]
        return (rng.randrange(n_machines), duration())

    return [[operation() for _ in range(rng.randint(1, most_ops))] for _ in range(n_jobs)]


def random_shop(
    rng: random.Random, *, objective: str = "makespan", flexible: bool = False,
    n_jobs: int = 3, n_machines: int = 3, most_ops: int = 3, side: bool = True,
    tight_deadlines: bool = False,
) -> Shop:  # fmt: skip
    """Return a shop that CP-SAT and MILP can express; with `side`, some side constraints too."""
    jobs = random_jobs(rng, n_jobs, n_machines, most_ops, flexible=flexible)
    shop: Shop = {"jobs": jobs, "n_machines": n_machines, "objective": objective}
    work = [sum(min(alternatives(op).values()) for op in job) for job in jobs]
    if objective in ("total_weighted_tardiness", "maximum_lateness"):
        shop["due"] = [rng.randint(0, 2 * w + 2) for w in work]
    if objective != "makespan" and rng.random() < 0.8:
        shop["weight"] = [rng.randint(0, 4) for _ in jobs]
    if not side:
        return shop
    if rng.random() < 0.4:
        shop["release"] = [rng.randint(0, 6) for _ in jobs]
    if rng.random() < 0.3:
        shop["lags"] = [[rng.randint(0, 3) for _ in job[1:]] + [0] for job in jobs]
    if rng.random() < 0.3:
        shop["transport"] = [
            [0 if a == b else rng.randint(0, 4) for b in range(n_machines)]
            for a in range(n_machines)
        ]
    if tight_deadlines or rng.random() < 0.25:
        release = shop.get("release", [0] * n_jobs)
        slack = sum(work) // (4 if tight_deadlines else 1)
        shop["deadline"] = [
            None if rng.random() < 0.3 else release[j] + work[j] + rng.randint(0, slack + 1)
            for j in range(n_jobs)
        ]
    return shop


def random_full_shop(rng: random.Random) -> Shop:
    """Return a tiny shop with any of the features that the checker knows."""
    n_jobs, n_machines = rng.randint(1, 3), rng.randint(1, 3)
    jobs = random_jobs(rng, n_jobs, n_machines, 3, flexible=rng.random() < 0.4, longest=3)
    shop: Shop = {"jobs": jobs, "n_machines": n_machines}

    def sometimes(chance: float = 0.35) -> bool:
        return rng.random() < chance

    if sometimes():
        shop["release"] = [rng.randint(0, 4) for _ in jobs]
    if sometimes():
        shop["deadline"] = [None if sometimes() else rng.randint(3, 15) for _ in jobs]
    if sometimes():
        shop["lags"] = [[rng.randint(0, 2) for _ in job[1:]] + [0] for job in jobs]
    if sometimes():
        shop["transport"] = [
            [0 if a == b and not sometimes() else rng.randint(0, 2) for b in range(n_machines)]
            for a in range(n_machines)
        ]
    if sometimes():
        shape = [[rng.randint(0, 2) for _ in jobs] for _ in jobs]
        shop["setup"] = shape if sometimes(0.5) else [
            [[rng.randint(0, 2) for _ in jobs] for _ in jobs] for _ in range(n_machines)
        ]  # fmt: skip
    if sometimes(0.5):
        shop["calendars"] = {}
        for m in range(n_machines):
            begins = [rng.randint(0, 9) for _ in range(rng.randint(0, 3))]
            shop["calendars"][m] = [(b, b + rng.randint(1, 3)) for b in begins]
        shop["resumable"] = [[sometimes(0.5) for _ in job] for job in jobs]
    if sometimes(0.6):
        names = rng.choice((["none"], ["no-wait"], ["unlimited", "none", "no-wait"]))
        shop["buffers"] = [[rng.choice(names) for _ in job] for job in jobs]
        shop["swap"] = sometimes()
    return shop


def random_schedules(shop: Shop, rng: random.Random, count: int) -> Iterator[Any]:
    """Yield ``(start, machine)``, about as many near-feasible as plainly wrong ones."""
    for _ in range(count):
        start, machine = _greedy(shop, rng)
        for _ in range(rng.choice((0, 0, 0, 1, 1, 2))):
            i = rng.randrange(len(start))
            start[i] += rng.choice((-2, -1, -1, 1, 1, 2))
        if rng.random() < 0.02:
            machine[rng.randrange(len(machine))] = rng.randrange(machine_count(shop) + 1)
        yield start, machine


def _greedy(shop: Shop, rng: random.Random) -> tuple[list[int], list[int]]:
    """Place operations one by one at the first time that breaks no rule so far, if there is one.

    Only what is placed is judged, so blocking and no-wait may still break in the end.
    """
    queue = [j for j, job in enumerate(shop["jobs"]) for _ in job]
    rng.shuffle(queue)
    placed: dict[Op, tuple[int, int]] = {}
    for j in queue:
        k = sum(1 for op in placed if op[0] == j)
        m = rng.choice(list(alternatives(shop["jobs"][j][k])))
        low = placed[j, k - 1][0] if k else 0
        for begin in range(low, low + 14):
            trial = placed | {(j, k): (begin, m)}
            if not kinds(*_part(shop, trial)):
                break
        else:
            begin = low + rng.randint(0, 3)
        placed[j, k] = (begin, m)
    ordered = [placed[op] for op in operations(shop)]
    return [s for s, _ in ordered], [m for _, m in ordered]


def _part(shop: Shop, placed: dict[Op, tuple[int, int]]) -> tuple[Shop, list[int], list[int]]:
    """Return the shop of the operations placed so far (jobs cut short, others left out)."""
    kept = sorted({j for j, _ in placed})
    length = {j: sum(1 for op in placed if op[0] == j) for j in kept}
    part: Shop = {key: shop[key] for key in ("transport", "calendars", "swap") if key in shop}
    part["n_machines"] = machine_count(shop)
    part["jobs"] = [shop["jobs"][j][: length[j]] for j in kept]
    for key in ("release", "deadline"):
        if key in shop:
            part[key] = [shop[key][j] for j in kept]
    for key in ("lags", "resumable", "buffers"):
        if key in shop:
            part[key] = [shop[key][j][: length[j]] for j in kept]
    if "setup" in shop:
        tables = shop["setup"]
        three = isinstance(tables[0][0], list)
        cut = [[[t[a][b] for b in kept] for a in kept] for t in (tables if three else [tables])]
        part["setup"] = cut if three else cut[0]
    order = sorted(placed)
    return part, [placed[op][0] for op in order], [placed[op][1] for op in order]
