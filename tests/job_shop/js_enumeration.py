"""The optimum of a tiny job shop with any features, by enumeration of schedules.

Written from the definition and on top of `brute_force`, which imports nothing of the package. Every
schedule of each job by itself is listed (machines, starts, release, precedence, no-wait, calendar,
deadline); then jobs are combined, as long as no unit of time on a machine is taken twice; what is
left is judged as a whole by `brute_force.kinds`, which knows swaps, setups and instants.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import brute_force
from brute_force import Shop


@dataclass(frozen=True)
class JobSchedule:
    """One way to run one job: when, where, which units of which machines it holds, its cost."""

    start: tuple[int, ...]
    machine: tuple[int, ...]
    held: int  # bit ``machine * span + time``
    done: int
    cost: int


class TooLong(Exception):
    """The enumeration would take too long: draw another shop."""


#: Combinations of job schedules looked at, at most; and schedules of one job.
MOST_NODES, MOST_SCHEDULES = 60_000, 3000


def horizon(shop: Shop) -> int:
    """Return a time by which some optimal schedule has ended.

    One thing at a time after the last release and break: setups, operations, lags, moves.
    """
    jobs = [[brute_force.alternatives(op) for op in job] for job in shop["jobs"]]
    total = max(shop.get("release", [0]))
    total += max((b for rows in shop.get("calendars", {}).values() for _, b in rows), default=0)
    setup = shop.get("setup", [[0]])
    tables = setup if isinstance(setup[0][0], list) else [setup]
    for j, job in enumerate(jobs):
        for k, op in enumerate(job):
            total += max(op.values())
            total += max(row[j] if len(row) > j else 0 for table in tables for row in table)
            if k + 1 < len(job):
                total += brute_force._per_op(shop, "lags", (j, k), 0)
                if "transport" in shop:
                    total += max(shop["transport"][a][b] for a in op for b in job[k + 1])
    return total


def _one_job(shop: Shop, j: int) -> Shop:
    """Return the shop that has only job `j`."""
    part = {key: shop[key] for key in ("transport", "calendars", "swap") if key in shop}
    part["n_machines"] = brute_force.machine_count(shop)
    part["jobs"] = [shop["jobs"][j]]
    for key in ("release", "deadline", "lags"):
        if key in shop:
            part[key] = [shop[key][j]]
    for key in ("resumable", "buffers"):
        if key in shop:
            part[key] = [shop[key][j]] if isinstance(shop[key], list) else shop[key]
    return part


def _job_cost(shop: Shop, j: int, done: int) -> int:
    """Return what a job alone adds to a sum, or its part of a maximum."""
    kind = shop.get("objective", "makespan")
    weight = shop.get("weight", [1] * len(shop["jobs"]))[j]
    if kind == "makespan":
        return done
    if kind == "total_completion_time":
        return weight * done
    late = done - shop["due"][j]
    return late if kind == "maximum_lateness" else weight * max(0, late)


def job_schedules(shop: Shop, j: int, span: int, latest: int) -> list[JobSchedule]:
    """Return every schedule of job `j` by itself that ends by `latest`, the cheapest first.

    `span` is the stride of the machines in the bit sets.
    """
    part = _one_job(shop, j)
    job = shop["jobs"][j]
    found: list[JobSchedule] = []

    def extend(start: tuple[int, ...], machine: tuple[int, ...]) -> None:
        k = len(start)
        if k and _part_broken(part, start, machine):
            return
        if k == len(job):
            plan = brute_force.Schedule(part, list(start), list(machine))
            done = plan.end[0, k - 1]
            held = 0
            for op in plan.ops:
                for t in range(plan.start[op], plan.departure(op)):
                    held |= 1 << (plan.machine[op] * span + t)
            if len(found) >= MOST_SCHEDULES:
                raise TooLong
            found.append(JobSchedule(start, machine, held, done, _job_cost(shop, j, done)))
            return
        low = start[-1] if k else 0
        for m, duration in brute_force.alternatives(job[k]).items():
            for begin in range(low, latest - duration + 1):
                extend((*start, begin), (*machine, m))

    def _part_broken(part: Shop, start: tuple[int, ...], machine: tuple[int, ...]) -> bool:
        k = len(start)
        cut = dict(part)
        cut["jobs"] = [job[:k]]
        if k < len(job):
            cut.pop("deadline", None)
        plan = brute_force.Schedule(cut, list(start), list(machine))
        if plan.end[0, k - 1] > latest:
            return True
        checked = [(0, k - 1)] if k == 1 else [(0, k - 2), (0, k - 1)]
        return any(brute_force._operation_kinds(plan, op) for op in checked)

    extend((), ())
    return sorted(found, key=lambda s: (s.cost, s.done))


def optimum(shop: Shop, enough: int | None = None) -> int | None:
    """Return the least objective over all schedules, None when there is none.

    Parameters
    ----------
    shop : dict
    enough : int, optional
        A value that the caller can attain: the search begins with schedules of at most that
        value, and is as exhaustive below it. A wrong claim is found out, as nothing is found.
    """
    n = len(shop["jobs"])
    maximum = shop.get("objective", "makespan") in ("makespan", "maximum_lateness")
    span = horizon(shop) + 1
    limits = [span - 1] * n
    if enough is not None:
        # What a job costs at least by itself is left out of what the others may cost.
        least = [_least_cost(shop, j, span) for j in range(n)]
        for j in range(n):
            most = enough if maximum else enough - sum(least) + least[j]
            while limits[j] > 0 and _job_cost(shop, j, limits[j]) > most:
                limits[j] -= 1
    options = [job_schedules(shop, j, span, limits[j]) for j in range(n)]
    if not all(options):
        return None
    nodes = 0
    order = sorted(range(n), key=lambda j: len(options[j]))
    cheapest = [options[j][0].cost for j in order]
    best: int | None = None if enough is None else enough + 1
    found = False

    def combine(depth: int, chosen: list[JobSchedule], held: int, value: int) -> None:
        nonlocal best, found, nodes
        if depth == n:
            start: list[int] = []
            machine: list[int] = []
            for j in range(n):
                one = chosen[order.index(j)]
                start += one.start
                machine += one.machine
            if not brute_force.kinds(shop, start, machine):
                best, found = value, True
            return
        rest = cheapest[depth + 1 :]
        for one in options[order[depth]]:
            if maximum:
                total = max(value, one.cost) if depth else one.cost
                bound = max([total, *rest])
            else:
                total = value + one.cost
                bound = total + sum(rest)
            if best is not None and bound >= best:
                return
            nodes += 1
            if nodes > MOST_NODES:
                raise TooLong
            if not held & one.held:
                combine(depth + 1, [*chosen, one], held | one.held, total)

    combine(0, [], 0, 0)
    return best if found else None


def _least_cost(shop: Shop, j: int, span: int) -> int:
    """Return the least cost of job `j` by itself; 0 where that is negative or there is none."""
    for latest in range(span):
        if found := job_schedules(shop, j, span, latest):
            return found[0].cost
    return 0


KINDS = ("blocking", "no-wait", "mixed", "calendars", "setup", "due dates")


def random_variant(rng: random.Random, kind: str) -> Shop:
    """Return a tiny shop with the feature of the name, often with some others beside it."""
    n_jobs, n_machines = rng.choice((2, 3, 3)), rng.choice((2, 3))
    objective = rng.choice(brute_force.OBJECTIVES)
    if kind == "due dates":
        objective = rng.choice(("total_weighted_tardiness", "maximum_lateness"))
    jobs = brute_force.random_jobs(
        rng, n_jobs, n_machines, 3, flexible=rng.random() < 0.25, longest=3
    )
    shop: Shop = {"jobs": jobs, "n_machines": n_machines, "objective": objective}
    shop["weight"] = [rng.randint(0 if rng.random() < 0.1 else 1, 4) for _ in jobs]
    shop["due"] = [rng.randint(-1, 10) for _ in jobs]

    def sometimes(chance: float = 0.2) -> bool:
        return rng.random() < chance

    if sometimes():
        shop["release"] = [rng.randint(0, 3) for _ in jobs]
    if sometimes(0.3 if kind != "due dates" else 0.6):
        shop["deadline"] = [None if sometimes(0.1) else rng.randint(3, 12) for _ in jobs]
    if sometimes():
        shop["lags"] = [[rng.randint(0, 2) for _ in job[1:]] + [0] for job in jobs]
    if sometimes():
        shop["transport"] = [
            [0 if a == b else rng.randint(0, 2) for b in range(n_machines)]
            for a in range(n_machines)
        ]
    buffers = {"blocking": ["none"], "no-wait": ["no-wait"],
               "mixed": ["unlimited", "none", "no-wait"]}.get(kind)  # fmt: skip
    if buffers is None and sometimes():
        buffers = rng.choice((["none"], ["no-wait"], ["unlimited", "none", "no-wait"]))
    if buffers is not None:
        shop["buffers"] = [[rng.choice(buffers) for _ in job] for job in jobs]
        shop["swap"] = sometimes(0.5)
    if kind == "setup" or sometimes(0.15):
        size = n_machines if sometimes(0.5) else 1
        tables = [[[rng.randint(0, 3) for _ in jobs] for _ in jobs] for _ in range(size)]
        shop["setup"] = tables if size == n_machines else tables[0]
    if kind == "calendars" or sometimes(0.15):
        shop["calendars"] = {}
        for m in range(n_machines):
            begins = [rng.randint(0, 7) for _ in range(rng.randint(0, 3))]
            shop["calendars"][m] = [(b, b + rng.randint(1, 2)) for b in begins]
        shop["resumable"] = [[sometimes(0.5) for _ in job] for job in jobs]
    return shop
