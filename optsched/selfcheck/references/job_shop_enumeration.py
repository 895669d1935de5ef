"""The optimum of a tiny job shop with any features, by enumeration of schedules.

Written from the definition and on top of `judge`. Every schedule of each job by itself is listed
(machines, starts, release, precedence, no-wait, calendar, deadline); then jobs are combined, as
long as no unit of time on a machine is taken twice; what is left is judged as a whole by
`judge.kinds`, which knows swaps, setups and instants.
"""

from __future__ import annotations

from dataclasses import dataclass

from optsched.selfcheck.references import TooLong
from optsched.selfcheck.references import job_shop as judge
from optsched.selfcheck.references.job_shop import Shop


@dataclass(frozen=True)
class JobSchedule:
    """One way to run one job: when, where, which units of which machines it holds, its cost."""

    start: tuple[int, ...]
    machine: tuple[int, ...]
    held: int  # bit ``machine * span + time``
    done: int
    cost: int


#: Combinations of job schedules looked at, at most; and schedules of one job.
MOST_NODES, MOST_SCHEDULES = 60_000, 3000


def horizon(shop: Shop) -> int:
    """Return a time by which some optimal schedule has ended.

    One thing at a time after the last release and break: setups, operations, lags, moves.
    """
    jobs = [[judge.alternatives(op) for op in job] for job in shop["jobs"]]
    total = int(max(shop.get("release", [0])))
    total += max((b for rows in shop.get("calendars", {}).values() for _, b in rows), default=0)
    setup = shop.get("setup", [[0]])
    tables = setup if isinstance(setup[0][0], list) else [setup]
    for j, job in enumerate(jobs):
        for k, op in enumerate(job):
            total += max(op.values())
            total += max(row[j] if len(row) > j else 0 for table in tables for row in table)
            if k + 1 < len(job):
                total += judge.per_operation(shop, "lags", (j, k), 0)
                if "transport" in shop:
                    total += max(shop["transport"][a][b] for a in op for b in job[k + 1])
    return total


def _one_job(shop: Shop, j: int) -> Shop:
    """Return the shop that has only job `j`."""
    part: Shop = {key: shop[key] for key in ("transport", "calendars", "swap") if key in shop}
    part["n_machines"] = judge.machine_count(shop)
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
    weight = int(shop.get("weight", [1] * len(shop["jobs"]))[j])
    if kind == "makespan":
        return done
    if kind == "total_completion_time":
        return weight * done
    late = done - int(shop["due"][j])
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
            plan = judge.Schedule(part, list(start), list(machine))
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
        for m, duration in judge.alternatives(job[k]).items():
            for begin in range(low, latest - duration + 1):
                extend((*start, begin), (*machine, m))

    def _part_broken(part: Shop, start: tuple[int, ...], machine: tuple[int, ...]) -> bool:
        k = len(start)
        cut = dict(part)
        cut["jobs"] = [job[:k]]
        if k < len(job):
            cut.pop("deadline", None)
        plan = judge.Schedule(cut, list(start), list(machine))
        if plan.end[0, k - 1] > latest:
            return True
        checked = [(0, k - 1)] if k == 1 else [(0, k - 2), (0, k - 1)]
        return any(judge.operation_kinds(plan, op) for op in checked)

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
            if not judge.kinds(shop, start, machine):
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
