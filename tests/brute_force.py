"""What the job-shop tests hold the package against, and shops and schedules to hold there."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from optsched.selfcheck.families.job_shop import random_jobs, random_shop
from optsched.selfcheck.references.job_shop import (
    OBJECTIVES,
    Op,
    Schedule,
    Shop,
    alternatives,
    kinds,
    machine_count,
    objective,
    operations,
    optimum,
    per_operation,
)

__all__ = [
    "FT06", "FT10", "OBJECTIVES", "Schedule", "Shop", "alternatives", "kinds", "large_jobs",
    "objective", "optimum", "per_operation", "random_full_shop", "random_jobs", "random_schedules",
    "random_shop",
]  # fmt: skip


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
