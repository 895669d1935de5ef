"""Tiny projects with every feature: drawing, enumerating and shrinking them."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

import numpy as np

from optsched.problems.rcpsp.problem import OBJECTIVES, Rcpsp, RcpspSolution
from optsched.problems.rcpsp.validation import LAG_KINDS
from optsched.selfcheck.references import rcpsp as reference
from optsched.selfcheck.smaller import Axis, Data, anything_less, without

ACTIVITIES = Axis(
    rows=(
        "activities", "release", "deadline", "due", "weight", "calendar", "breakable", "project",
        "cash_flow",
    ),
    pairs=("precedence",),
    indices=("disjunctive",),
)  # fmt: skip


def draw(rng: random.Random) -> Rcpsp:
    """Return a tiny project with a random choice of features, one of four a plain one."""
    if rng.random() < 0.25:
        return random_plain(np.random.default_rng(rng.getrandbits(40)))
    data = random_instance(rng.getrandbits(40)).to_dict()
    if "project" in data and data["objective"] == "total_weighted_tardiness":
        data["project_weight"] = [rng.randint(0, 3) for _ in data["project_due"]]
    return Rcpsp.from_dict(data | {"name": ""})


def optimum(problem: Rcpsp, claim: int | None) -> int | None:
    """Return the least objective over all schedules, None where there is none."""
    return reference.optimum(problem)


def value(problem: Rcpsp, solution: RcpspSolution) -> int:
    """Return the objective of a schedule by its definition."""
    start, mode = solution.start.tolist(), solution.mode.tolist()
    chosen = problem.mode_offset[:-1] + solution.mode
    duration = problem.mode_duration[chosen].tolist()
    ends = [
        reference.end_of(problem, i, start[i], duration[i]) for i in range(problem.n_activities)
    ]
    return reference.cost(problem, start, [-1 if e is None else e for e in ends], mode)


def smaller(data: Data) -> Iterator[Data]:
    """Yield smaller projects: without an activity, a resource, a rule; with lower numbers."""
    for i in range(len(data["activities"])):
        yield without(data, ACTIVITIES, i)
    for i, entry in enumerate(data["activities"]):
        if isinstance(entry[0], list):
            for m in range(len(entry)):
                less = copy.deepcopy(data)
                del less["activities"][i][m]
                if len(less["activities"][i]) == 1:
                    less["activities"][i] = less["activities"][i][0]
                yield less
    for k in range(len(data["capacity"])):
        yield _without_resource(data, k)
    yield from anything_less(data)


def _without_resource(data: Data, k: int) -> Data:
    less = copy.deepcopy(data)
    for field in ("capacity", "renewable", "levelling_weight"):
        if isinstance(less.get(field), list):
            del less[field][k]
    for entry in less["activities"]:
        for mode in entry if isinstance(entry[0], list) else [entry]:
            del mode[1][k]
    return less


def random_instance(seed: int, *, objective: str | None = None) -> Rcpsp:
    """Return a tiny instance with a random choice of features."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 5 if seed % 4 == 0 else 4))

    def chance(p: float) -> bool:
        return bool(rng.random() < p)

    if objective is None:
        objective = OBJECTIVES[int(rng.choice(4, p=[0.5, 0.2, 0.15, 0.15]))]
    n_resources = int(rng.integers(1, 3))
    several = chance(0.4)
    activities: list[Any] = []
    for _ in range(n):
        modes = [
            (int(rng.integers(0, 4)), rng.integers(0, 4, n_resources).tolist())
            for _ in range(int(rng.integers(1, 4)) if several else 1)
        ]
        activities.append(modes if len(modes) > 1 else modes[0])
    renewable = [True, not chance(0.5)][:n_resources] if chance(0.4) else [True] * n_resources
    if several and not all(renewable):  # what is quick consumes much, so that limits matter
        for modes in (entry for entry in activities if isinstance(entry, list)):
            for duration, demand in modes:
                demand[1] = 3 - duration
    capacity: list[Any] = []
    for k in range(n_resources):
        level = int(rng.integers(2, 5)) if renewable[k] else int(rng.integers(n, 2 * n))
        if renewable[k] and chance(0.3):
            a, b = sorted(rng.choice(np.arange(1, 7), 2, replace=False).tolist())
            capacity.append([(0, level), (a, int(rng.integers(0, level + 1))), (b, level)])
        else:
            capacity.append(level)
    options: dict[str, Any] = {"renewable": renewable, "objective": objective}
    options["precedence"] = _lags(rng, n, chance)
    if chance(0.3):
        options["release"] = rng.integers(0, 4, n).tolist()
    if chance(0.3) or objective in ("resource_levelling", "negative_net_present_value"):
        options["deadline"] = rng.integers(6, 11, n).tolist()
        if objective in ("makespan", "total_weighted_tardiness") and chance(0.5):
            options["deadline"][0] = None
    if chance(0.25):
        options["disjunctive"] = [rng.choice(n, 2, replace=False).tolist()]
    if chance(0.35):
        a, b = sorted(rng.choice(np.arange(0, 8), 2, replace=False).tolist())
        options["calendars"] = [[(a, b)], [(2, 3), (4, 5)]]
        options["calendar"] = [None if chance(0.3) else int(rng.integers(2)) for _ in range(n)]
        options["breakable"] = [chance(0.5) for _ in range(n)]
    if chance(0.3):
        options["project"] = [int(rng.integers(2)) for _ in range(n)]
        options["project_release"] = [0, int(rng.integers(3))]
        if chance(0.3):
            options["project_deadline"] = [None, 9]
    if objective == "total_weighted_tardiness":
        options["due"] = [None if chance(0.3) else int(rng.integers(-1, 6)) for _ in range(n)]
        options["weight"] = rng.integers(0, 4, n).tolist()
        projects = max(options.get("project", [0])) + 1
        projects = max(projects, len(options.get("project_release", [0])))
        options["project_due"] = rng.integers(0, 6, projects).tolist()
    if objective == "negative_net_present_value":
        options["cash_flow"] = rng.integers(-100, 101, n).tolist()
        options["discount_rate"] = float(rng.choice([0.0, 0.05, 0.3]))
    if objective == "resource_levelling":
        options["levelling_weight"] = rng.integers(0, 3, n_resources).tolist()
    return Rcpsp(activities, capacity, name=f"tiny{seed}", **options)


def _lags(rng: np.random.Generator, n: int, chance: Any) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    general = chance(0.5)
    for i in range(n):
        for j in range(i + 1, n):
            if not chance(0.4):
                continue
            if not general:
                rows.append((i, j))
                continue
            least = int(rng.integers(-2, 3))
            most = least + int(rng.integers(0, 4)) if chance(0.4) else None
            rows.append((i, j, LAG_KINDS[int(rng.integers(4))], least, most))
    return rows


def random_plain(rng: np.random.Generator) -> Rcpsp:
    """Return a project of one mode an activity, without lags, profiles and calendars."""
    n, n_resources = int(rng.integers(2, 5)), int(rng.integers(1, 3))
    activities = [
        (int(rng.integers(0, 4)), rng.integers(0, 3, n_resources).tolist()) for _ in range(n)
    ]
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n) if rng.random() < 0.35]
    options: dict[str, Any] = {}
    if rng.random() < 0.25:
        options["release"] = rng.integers(0, 4, n).tolist()
    if rng.random() < 0.2:
        options["deadline"] = [
            int(rng.integers(5, 11)) if rng.random() < 0.5 else None for _ in range(n)
        ]
    if rng.random() < 0.2:
        options["disjunctive"] = [rng.choice(n, 2, replace=False).tolist()]
    return Rcpsp(activities, rng.integers(2, 4, n_resources).tolist(), pairs, **options)
