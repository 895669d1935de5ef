"""Tiny job shops of every kind: drawing, enumerating and shrinking them."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

from optsched.problems.job_shop.problem import JobShop, JobShopSolution
from optsched.selfcheck.references import job_shop as judge
from optsched.selfcheck.references import job_shop_enumeration as enumeration
from optsched.selfcheck.references.job_shop import OBJECTIVES, Shop, alternatives
from optsched.selfcheck.smaller import Axis, Data, anything_less, without

KINDS = ("blocking", "no-wait", "mixed", "calendars", "setup", "due dates")
#: Beyond these, the best schedule need not be semi-active.
SEMI_ACTIVE = frozenset(
    {"flexible", "release dates", "deadlines", "lags", "transport"}
    | {f"objective {kind}" for kind in OBJECTIVES}
)
JOBS = Axis(
    rows=("jobs", "release", "due", "deadline", "weight", "lags", "resumable", "buffers"),
    square=("setup",),
)


def draw(rng: random.Random) -> JobShop:
    """Return a tiny shop: two of five without, the others with buffers, breaks and setups."""
    if rng.random() < 0.4:
        return JobShop(
            **random_shop(
                rng,
                objective=rng.choice(OBJECTIVES),
                flexible=rng.random() < 0.4,
                n_jobs=rng.randint(1, 3),
                n_machines=rng.randint(1, 3),
                tight_deadlines=rng.random() < 0.2,
            )
        )
    return JobShop(**random_variant(rng, rng.choice(KINDS)))


def shop_of(problem: JobShop) -> Shop:
    """Return the problem as the plain data that the judge reads."""
    shop = {k: v for k, v in problem.to_dict().items() if k not in ("optsched", "family", "name")}
    if "calendars" in shop:
        shop["calendars"] = {int(m): rows for m, rows in shop["calendars"].items()}
    return shop


def optimum(problem: JobShop, claim: int | None) -> int | None:
    """Return the least objective by enumeration, None where there is no schedule.

    Parameters
    ----------
    problem : JobShop
    claim : int or None
        The objective of a schedule that is known; a wrong claim is found out.

    Raises
    ------
    TooLong
    """
    shop = shop_of(problem)
    if problem.features() <= SEMI_ACTIVE:
        return judge.optimum(shop)
    return enumeration.optimum(shop, claim)


def broken(problem: JobShop, solution: JobShopSolution) -> list[str]:
    """Return the rules that a schedule breaks, as the judge sees it."""
    start, machine = solution.start.tolist(), solution.machine.tolist()
    return sorted(judge.kinds(shop_of(problem), start, machine))


def value(problem: JobShop, solution: JobShopSolution) -> int:
    """Return the objective of a schedule, as the judge sees it."""
    return judge.objective(shop_of(problem), solution.start.tolist(), solution.machine.tolist())


def smaller(data: Data) -> Iterator[Data]:
    """Yield smaller shops: without a job, an operation, a feature; with lower numbers."""
    for j in range(len(data["jobs"])):
        yield without(data, JOBS, j)
    for j, job in enumerate(data["jobs"]):
        for k in range(len(job)):
            less = copy.deepcopy(data)
            for field in ("jobs", "lags", "resumable", "buffers"):
                if isinstance(less.get(field), list):
                    del less[field][j][k]
            yield less
    yield from anything_less(data)


# ---- random shops --------------------------------------------------------------------------


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


def random_variant(rng: random.Random, kind: str) -> Shop:
    """Return a tiny shop with the feature of the name, often with some others beside it."""
    n_jobs, n_machines = rng.choice((2, 3, 3)), rng.choice((2, 3))
    objective = rng.choice(OBJECTIVES)
    if kind == "due dates":
        objective = rng.choice(("total_weighted_tardiness", "maximum_lateness"))
    jobs = random_jobs(rng, n_jobs, n_machines, 3, flexible=rng.random() < 0.25, longest=3)
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
