"""Conflicts: infeasible instances name a minimal set of jobs, machines and breaks."""

from __future__ import annotations

import random
import time
from typing import Any

import brute_force
import js_enumeration
import pytest

import optsched
from optsched import InputError, JobShop, Status
from optsched.core import Deadline
from optsched.problems.job_shop import conflicts
from optsched.problems.job_shop.conflicts import find_conflict


def message(solver: str = "cpsat", **shop: Any) -> str:
    result = optsched.solve(JobShop(**shop), solver, workers=1, time_limit=60)
    assert result.status is Status.INFEASIBLE
    assert (result.objective, result.bound, result.solution) == (None, None, None)
    return result.message


@pytest.mark.parametrize("solver", ["auto", "cpsat", "highs", "pulp"])
def test_two_jobs_on_one_machine(solver: str) -> None:
    jobs = [[(0, 5)], [(1, 3)], [(0, 4)], [(1, 2)]]
    told = message(solver, jobs=jobs, deadline=[6, 9, 7, None])
    assert told == "jobs 0 and 2 cannot both meet their deadlines (6, 7) on machine 0"


def test_three_jobs_with_releases_and_a_break() -> None:
    told = message(
        jobs=[[(0, 3)], [(0, 3)], [(0, 3)], [(1, 1)]], deadline=[11, 11, 11, 1],
        release=[1, 0, 0, 0], calendars={0: [(6, 9)], 1: [(8, 9)]},
    )  # fmt: skip
    assert told == (
        "jobs 0, 1 and 2 cannot all meet their deadlines (11, 11, 11) with releases 1, 0, 0 "
        "on machine 0, given the breaks of machine 0"
    )


def test_jobs_that_must_not_trade_places() -> None:
    jobs = [[(0, 2), (1, 2)], [(1, 2), (0, 2)], [(2, 50)]]
    told = message(jobs=jobs, deadline=[4, 4, 60], buffers="none")
    assert told == "jobs 0 and 1 cannot both meet their deadlines (4, 4) on machines 0 and 1"


@pytest.mark.parametrize("solver", ["auto", "cpsat", "highs", "pulp"])
def test_breaks_that_make_a_job_impossible(solver: str) -> None:
    told = message(solver, jobs=[[(0, 5), (1, 2)]], deadline=[9], calendars={0: [(3, 8)]})
    assert told == (
        "job 0, operation 0 cannot end before 13 (release 0, breaks of machine 0), but must by 7"
    )


def test_no_room_on_any_of_several_machines() -> None:
    told = message(jobs=[[[(0, 5), (1, 6)]]], deadline=[12], calendars={0: [(3, 8)], 1: [(4, 9)]})
    assert told == "job 0 cannot end before 13 (release 0, breaks of machine 0, 1), but must by 12"


def test_deadline_before_the_release() -> None:
    assert message(jobs=[[(0, 1)]], release=[9], deadline=[5]) == (
        "job 0 cannot end before 10 (release 9), but must by 5"
    )


@pytest.mark.parametrize(
    ("calendars", "words"),
    [
        ({0: [(5, 3)]}, r"calendar of machine 0: \[5, 3\) is not an interval"),
        ({0: [(-1, 3)]}, r"calendar of machine 0: \[-1, 3\) is not an interval"),
        ({4: [(1, 3)]}, "unknown machine 4"),
        ({0: [(1, 2, 3)]}, "pairs"),
        ([(1, 2)], "calendars: expected"),
    ],
)
def test_calendars_that_are_none(calendars: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        JobShop([[(0, 1)]], calendars=calendars)


@pytest.mark.parametrize("seed", range(3))
def test_conflicts_are_conflicts_and_minimal(seed: int) -> None:
    """Held against enumeration: the jobs named have no schedule, and without any one they do."""
    rng = random.Random(seed)
    seen = 0
    while seen < 8:
        kind = rng.choice(js_enumeration.KINDS)
        shop = js_enumeration.random_variant(rng, kind)
        shop.pop("setup", None)  # without a job in between, a setup may be longer
        shop["objective"] = "makespan"
        shop["deadline"] = [rng.randint(3, 9) for _ in shop["jobs"]]
        try:
            best = js_enumeration.optimum(shop)
            conflict = find_conflict(JobShop(**shop))
            assert (conflict is None) == (best is not None), shop
            if conflict is None:
                continue
            assert conflict.minimal
            assert js_enumeration.optimum(part(shop, conflict.jobs)) is None, (shop, conflict)
            for job in conflict.jobs:
                rest = [j for j in conflict.jobs if j != job]
                if rest:
                    assert js_enumeration.optimum(part(shop, rest)) is not None, (shop, conflict)
        except js_enumeration.TooLong:
            continue
        seen += 1


def part(shop: brute_force.Shop, jobs: Any) -> brute_force.Shop:
    """Return the shop with only some of its jobs."""
    kept = dict(shop)
    for key in ("jobs", "release", "deadline", "due", "weight", "lags"):
        if key in shop:
            kept[key] = [shop[key][j] for j in jobs]
    for key in ("resumable", "buffers"):
        if isinstance(shop.get(key), list):
            kept[key] = [shop[key][j] for j in jobs]
    return kept


def test_setups_of_jobs_left_out_do_not_mislead() -> None:
    """Jobs 0 and 2 alone need a setup of 9; by way of job 1 none: that is no conflict of two."""
    setup = [[0, 0, 9], [0, 0, 0], [9, 0, 0]]
    problem = JobShop([[(0, 2)], [(0, 1)], [(0, 2)]], setup=setup, deadline=[5, 4, 5])
    assert find_conflict(problem) is None
    tight = JobShop([[(0, 2)], [(0, 1)], [(0, 2)]], setup=setup, deadline=[4, 4, 4])
    conflict = find_conflict(tight)
    assert conflict is not None
    assert conflict.jobs == (0, 1, 2)


def test_effort_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(0)
    jobs = [[(m, rng.randint(1, 99)) for m in rng.sample(range(10), 10)] for _ in range(30)]
    problem = JobShop(jobs, deadline=[1600] * 30)
    begun = time.process_time()
    find_conflict(problem)
    assert time.process_time() - begun < 30
    monkeypatch.setattr(conflicts, "ALL", 0.0)
    assert find_conflict(problem) is None


def test_expired_deadline_finds_nothing() -> None:
    assert find_conflict(JobShop([[(0, 5)], [(0, 4)]], deadline=[6, 7]), Deadline(0.0)) is None
    assert find_conflict(JobShop([[(0, 5)]])) is None
