"""Replanning: the past stays, the rest is optimal, changes have their price, refusals say why."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

import brute_force
import numpy as np
import pytest
from brute_force import Shop
from hypothesis import given
from hypothesis import strategies as st

import optsched as op
from optsched import InputError, JobShop, JobShopSolution, Status, StopReason
from optsched.core import MAX_TIME
from optsched.problems.job_shop.replan import Replan, replan_problem

#: Plans looked at by the enumeration, at most.
MOST_PLANS = 3000


# ---- the definition, once more ------------------------------------------------------------


def new_shop(
    shop: Shop, plan: brute_force.Schedule, now: int, breaks: Any, interrupted: str
) -> tuple[Shop, list[bool]]:
    """Return the shop from `now` on as plain data, and which operations are frozen."""
    ops = plan.ops
    ahead = {m: [(max(a, now), b) for a, b in rows if b > now] for m, rows in breaks.items()}
    hit = {
        o: plan.start[o] < now < plan.end[o]
        and not brute_force.per_operation(shop, "resumable", o, False)
        and any(plan.start[o] < b and plan.end[o] > a for a, b in ahead.get(plan.machine[o], []))
        for o in ops
    }
    changed = dict(shop)
    own = shop.get("calendars", {})
    changed["calendars"] = {
        m: [*own.get(m, []), *ahead.get(m, [])] for m in own.keys() | ahead.keys()
    }
    restart = interrupted == "restart"
    rows = [[(j, k) for k in range(len(job))] for j, job in enumerate(shop["jobs"])]
    changed["resumable"] = [
        [
            brute_force.per_operation(shop, "resumable", o, False) or (hit[o] and not restart)
            for o in row
        ]
        for row in rows
    ]
    changed["buffers"] = [
        [
            "unlimited"
            if restart and hit.get((o[0], o[1] + 1), False)
            else brute_force.per_operation(shop, "buffers", o, "unlimited")
            for o in row
        ]
        for row in rows
    ]
    return changed, [plan.start[o] < now and not (restart and hit[o]) for o in ops]


def plans(
    shop: Shop, plan: brute_force.Schedule, frozen: list[bool], now: int, span: int
) -> Iterator[tuple[list[int], list[int]]]:
    """Yield every continuation with starts below `span`, feasible or not."""
    choices: list[list[tuple[int, int]]] = []
    for o, keep in zip(plan.ops, frozen, strict=True):
        if keep:
            choices.append([(plan.start[o], plan.machine[o])])
            continue
        machines = brute_force.alternatives(shop["jobs"][o[0]][o[1]])
        choices.append([(t, m) for t in range(now, span) for m in machines])
    for combination in itertools.product(*choices):
        yield [t for t, _ in combination], [m for _, m in combination]


def best_plan(
    shop: Shop, plan: brute_force.Schedule, frozen: list[bool], now: int, weight: dict[str, int]
) -> int | None:
    """Return the least objective, price included, over all continuations."""
    ends = [b for rows in shop["calendars"].values() for _, b in rows]
    span = max([now, *plan.end.values(), *ends]) + 1
    # Beyond the old plan and the last break, one thing after the other fits.
    span += (
        sum(max(brute_force.alternatives(shop["jobs"][j][k]).values()) + 1 for j, k in plan.ops)
        if any(not keep for keep in frozen)
        else 0
    )
    span += max(max(row) for row in shop.get("transport", [[0]]))
    size = 1
    for o, keep in zip(plan.ops, frozen, strict=True):
        if not keep:
            size *= (span - now) * len(brute_force.alternatives(shop["jobs"][o[0]][o[1]]))
    if size > MOST_PLANS:
        raise OverflowError
    best = None
    old = [plan.start[o] for o in plan.ops], [plan.machine[o] for o in plan.ops]
    for start, machine in plans(shop, plan, frozen, now, span):
        cost = brute_force.objective(shop, start, machine)
        for s, t, m, n in zip(start, old[0], machine, old[1], strict=True):
            cost += weight.get("start", 0) * (s != t) + weight.get("machine", 0) * (m != n)
            cost += weight.get("shift", 0) * abs(s - t)
        if (best is None or cost < best) and not brute_force.kinds(shop, start, machine):
            best = cost
    return best


def cases(seed: int, count: int) -> Iterator[tuple[Shop, JobShop, JobShopSolution, int, Any, Any]]:
    """Yield shop, problem, feasible plan, time, new breaks and weights, with every feature."""
    rng = random.Random(seed)
    while count:
        shop = brute_force.random_full_shop(rng)
        shop["objective"] = rng.choice(brute_force.OBJECTIVES)
        if shop["objective"] in ("total_weighted_tardiness", "maximum_lateness"):
            shop["due"] = [rng.randint(0, 12) for _ in shop["jobs"]]
        problem = JobShop(**shop)
        for start, machine in brute_force.random_schedules(shop, rng, 2):
            if brute_force.kinds(shop, start, machine):
                continue
            if rng.random() < 0.4:  # just met by the plan
                done = problem.completion(JobShopSolution(start, machine))
                last = problem.job_offset[1:] - 1
                shop = shop | {"deadline": [int(t) + rng.randint(0, 1) for t in done[last]]}
                problem = JobShop(**shop)
            plan = JobShopSolution(start, machine)
            now = rng.randint(0, max(start) + 1)
            breaks = {
                m: [
                    (b, b + rng.randint(1, 4))
                    for b in rng.sample(range(max(1, now - 2), now + 8), 1)
                ]
                for m in range(problem.n_machines)
                if rng.random() < 0.6
            }
            weight = rng.choice(
                ({}, {"start": 1}, {"start": 2, "machine": 3}, {"shift": 1}, {"machine": 4})
            )
            count -= 1
            yield shop, problem, plan, now, breaks, weight
            if not count:
                return


# ---- against the definition ---------------------------------------------------------------


@pytest.mark.parametrize("interrupted", ["resume", "restart"])
@pytest.mark.parametrize("seed", range(2))
def test_replan_is_optimal(seed: int, interrupted: str) -> None:
    """The optimum of every continuation, by enumeration, for all features and objectives."""
    compared = infeasible = 0
    for shop, problem, plan, now, breaks, weight in cases(seed, 70):
        schedule = brute_force.Schedule(shop, plan.start.tolist(), plan.machine.tolist())
        changed, frozen = new_shop(shop, schedule, now, breaks, interrupted)
        try:
            expected = best_plan(changed, schedule, frozen, now, weight)
        except OverflowError:
            continue
        result = op.replan(
            problem, plan, now, new_calendars=breaks, weight=weight,
            interrupted=interrupted, workers=1,
        )  # fmt: skip
        context = (shop, plan.to_dict(), now, breaks, weight)
        compared += 1
        if expected is None:
            infeasible += 1
            assert result.status is Status.INFEASIBLE, context
            assert result.message, context
            continue
        assert result.status is Status.OPTIMAL, context
        assert result.objective == result.bound == expected, context
        start, machine = result.solution.start.tolist(), result.solution.machine.tolist()
        assert not brute_force.kinds(changed, start, machine), context
        for k, keep in enumerate(frozen):
            if keep:
                assert (start[k], machine[k]) == (plan.start[k], plan.machine[k]), context
            else:
                assert start[k] >= now, context
    print(f"{compared} compared, {infeasible} of them infeasible")
    assert compared >= 30
    assert infeasible >= 1


def shop_and_plan(seed: int, **options: Any) -> tuple[JobShop, JobShopSolution]:
    """Return a shop of 4 jobs and 3 machines, half of it flexible, and a good plan."""
    rng = random.Random(seed)
    jobs = [
        [
            [(m, rng.randint(1, 9)) for m in rng.sample(range(3), rng.randint(1, 2))]
            for _ in range(3)
        ]
        for _ in range(4)
    ]
    problem = JobShop(jobs=jobs, n_machines=3, **options)
    plan = op.solve(problem, "cpsat", workers=1, time_limit=20).solution
    return problem, plan


@pytest.mark.parametrize("seed", range(4))
def test_at_time_zero_without_weight_it_is_the_ordinary_optimum(seed: int) -> None:
    problem, plan = shop_and_plan(seed)
    late = JobShopSolution(plan.start * 2, plan.machine)
    assert problem.check(late) == []
    result = op.replan(problem, late, 0, workers=1)
    ordinary = op.solve(problem, "cpsat", workers=1)
    assert (result.status, result.objective) == (Status.OPTIMAL, ordinary.objective)


@pytest.mark.parametrize("weight", [10**6, {"start": 10**6, "machine": 10**6}, {"shift": 10**6}])
def test_large_weight_changes_nothing_without_need(weight: Any) -> None:
    problem, plan = shop_and_plan(7)
    late = JobShopSolution(plan.start * 3, plan.machine)  # an invitation to improve
    for now in (0, int(late.start.max()) // 2):
        result = op.replan(problem, late, now, weight=weight, workers=1)
        assert result.solution.to_dict() == late.to_dict()
        # A break where nothing runs is no need either.
        end = int(problem.completion(late).max())
        result = op.replan(
            problem, late, now, new_calendars={0: [(end, end + 9)]}, weight=weight, workers=1
        )
        assert result.solution.to_dict() == late.to_dict()
        assert result.objective == problem.objective(late)


def test_large_weight_changes_the_one_operation_that_is_hit() -> None:
    problem = JobShop(jobs=[[(0, 2)], [(1, 2)], [(2, 2)]])
    plan = JobShopSolution([3, 3, 3], [0, 1, 2])
    result = op.replan(problem, plan, 1, new_calendars={1: [(4, 6)]}, weight=100, workers=1)
    assert result.solution.start.tolist() == [3, 1, 3] or result.solution.start.tolist() == [
        3,
        6,
        3,
    ]
    assert result.objective == 105  # the plan's makespan, and one change


def test_all_that_has_begun_stays_even_when_everything_has() -> None:
    problem, plan = shop_and_plan(1)
    end = int(problem.completion(plan).max())
    result = op.replan(problem, plan, end + 5, new_calendars={0: [(0, end + 50)]}, workers=1)
    assert result.status is Status.OPTIMAL
    assert result.solution.to_dict() == plan.to_dict()


# ---- operations under way -----------------------------------------------------------------


def test_interrupted_operation_resumes_behind_the_break() -> None:
    problem = JobShop(jobs=[[(0, 5), (1, 1)]])
    plan = JobShopSolution([0, 5], [0, 1])
    result = op.replan(problem, plan, 2, new_calendars={0: [(3, 10)]}, workers=1)
    assert result.solution.start.tolist() == [0, 12]
    assert result.problem.completion(result.solution).tolist() == [12, 13]


def test_interrupted_operation_restarts_on_any_machine() -> None:
    problem = JobShop(jobs=[[[(0, 5), (1, 6)], (1, 1)]])
    plan = JobShopSolution([0, 5], [0, 1])
    result = op.replan(
        problem, plan, 2, new_calendars={0: [(3, 10)]}, interrupted="restart", workers=1
    )
    assert result.solution.start.tolist() == [2, 8]
    assert result.solution.machine.tolist() == [1, 1]


def test_restart_lets_a_blocked_machine_go() -> None:
    """The job left machine 0 for machine 1 already; another may have it, blocking or not."""
    problem = JobShop(jobs=[[(0, 1), (1, 4)], [(0, 6), (2, 1)]], buffers="none")
    plan = JobShopSolution([0, 1, 1, 7], [0, 1, 0, 2])
    result = op.replan(
        problem, plan, 3, new_calendars={1: [(4, 20)]}, interrupted="restart", workers=1
    )
    assert result.status is Status.OPTIMAL
    assert result.solution.start.tolist() == [0, 20, 1, 7]


def test_resumable_operation_pauses_whatever_the_option() -> None:
    problem = JobShop(jobs=[[(0, 5)]], resumable=True)
    plan = JobShopSolution([0], [0])
    for interrupted in ("resume", "restart"):
        result = op.replan(
            problem, plan, 2, new_calendars={0: [(3, 10)]}, interrupted=interrupted, workers=1
        )
        assert result.solution.start.tolist() == [0]
        assert result.objective == 12


@pytest.mark.parametrize(
    ("break_", "start"),
    [
        ((0, 2), [0, 3]),  # over before: it did not happen
        ((0, 4), [0, 5]),  # goes on from now: one unit of the operation is left
        ((3, 4), [0, 3]),  # the operation ends as it begins
    ],
)
def test_breaks_before_now_count_from_now_on(break_: tuple[int, int], start: list[int]) -> None:
    problem = JobShop(jobs=[[(0, 3), (1, 1)]])
    plan = JobShopSolution([0, 3], [0, 1])
    result = op.replan(problem, plan, 2, new_calendars={0: [break_]}, workers=1)
    assert result.solution.start.tolist() == start


def test_what_begins_exactly_now_is_free() -> None:
    problem = JobShop(jobs=[[(0, 1)], [(0, 3)]], due=[9, 3], objective="maximum_lateness")
    plan = JobShopSolution([2, 3], [0, 0])
    assert op.replan(problem, plan, 2, workers=1).solution.start.tolist() == [5, 2]
    assert op.replan(problem, plan, 3, workers=1).solution.start.tolist() == [2, 3]


# ---- requests that cannot be met ----------------------------------------------------------


def test_infeasible_names_a_minimal_set() -> None:
    problem = JobShop(
        jobs=[[(0, 4)], [(0, 4)], [(1, 4)]], deadline=[8, 8, 20], calendars={1: [(30, 40)]}
    )
    plan = JobShopSolution([0, 4, 0], [0, 0, 1])
    result = op.replan(problem, plan, 1, new_calendars={0: [(6, 7)], 1: [(50, 60)]}, workers=1)
    assert (result.status, result.stop) == (Status.INFEASIBLE, StopReason.PROOF)
    assert result.solution is None
    assert result.bound is None
    assert result.message == (
        "these cannot all hold: the deadline of job 1 at 8, the break of machine 0 from 6 to 7"
    )


def test_infeasible_no_wait_is_named() -> None:
    problem = JobShop(jobs=[[(0, 4), (1, 2)]], buffers="no-wait")
    plan = JobShopSolution([0, 4], [0, 1])
    result = op.replan(problem, plan, 1, new_calendars={1: [(3, 9)]}, workers=1)
    assert result.status is Status.INFEASIBLE
    assert "no wait behind job 0, operation 0" in result.message
    assert "machine 1 from 3 to 9" in result.message


def test_cyclic_plan_is_refused() -> None:
    """Two blocking jobs exchange machines at one instant: a cycle, unless swaps are allowed."""
    jobs = [[(0, 2), (1, 2)], [(1, 2), (0, 2)]]
    plan = JobShopSolution([0, 2, 0, 2], [0, 1, 1, 0])
    assert op.replan(JobShop(jobs=jobs, buffers="none", swap=True), plan, 3, workers=1).solution
    with pytest.raises(InputError, match="exchange machines at 2"):
        op.replan(JobShop(jobs=jobs, buffers="none"), plan, 3)


GOOD = JobShopSolution([0, 3], [0, 1])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"schedule": JobShopSolution([0, 1], [0, 1])}, "not a plan of this shop: job 0"),
        ({"schedule": JobShopSolution([0], [0])}, "not a plan of this shop"),
        ({"schedule": JobShopSolution([-1, 3], [0, 1])}, "not a plan of this shop"),
        ({"schedule": None}, "expected a JobShopSolution, not NoneType"),
        ({"schedule": [0, 3]}, "expected a JobShopSolution, not list"),
        ({"schedule": {"start": [0, 3]}}, "expected an object with 'start' and 'machine'"),
        ({"schedule": {"solution": None}}, "expected"),
        ({"now": -1}, "now -1 is negative"),
        ({"now": 1.5}, "now: 1.5 is not a whole number"),
        ({"now": float("nan")}, "now: nan"),
        ({"now": True}, "now: True"),
        ({"now": None}, "now: None"),
        ({"now": 2**60}, "exceeds"),
        ({"new_calendars": {7: [(1, 2)]}}, "unknown machine 7"),
        ({"new_calendars": {0: [(5, 5)]}}, r"\[5, 5\) is not an interval"),
        ({"new_calendars": {0: [(1, 2, 3)]}}, "pairs"),
        ({"new_calendars": {0: [(1, float("inf"))]}}, "calendar of machine 0"),
        ({"new_calendars": [(0, 1)]}, "calendars: expected"),
        ({"weight": -1}, "negative"),
        ({"weight": 0.5}, "weight: 0.5"),
        ({"weight": {"starts": 1}}, "unknown change 'starts'"),
        ({"weight": {"shift": -2}}, "weight of shift: -2 is negative"),
        ({"weight": MAX_TIME}, "weight"),
        ({"interrupted": "stop"}, "interrupted 'stop': one of resume, restart"),
        ({"interrupted": ["resume"]}, "interrupted"),
        ({"time_limit": -1}, "time_limit -1"),
        ({"time_limit": float("nan")}, "time_limit nan"),
        ({"workers": 0}, "workers 0"),
        ({"seed": -1}, "seed -1"),
    ],
)
def test_bad_requests_name_the_culprit(change: dict[str, Any], text: str) -> None:
    request: dict[str, Any] = {"schedule": GOOD, "now": 1, "workers": 1} | change
    problem = JobShop(jobs=[[(0, 3), (1, 2)]])
    with pytest.raises(InputError, match=text):
        op.replan(problem, request.pop("schedule"), request.pop("now"), **request)


def test_other_problems_are_refused() -> None:
    with pytest.raises(InputError, match="expected a JobShop, not str"):
        op.replan("ft06", GOOD, 1)  # type: ignore[arg-type]


@given(
    now=st.one_of(st.integers(-5, 30), st.floats(), st.none(), st.text(max_size=3)),
    calendars=st.dictionaries(
        st.integers(-1, 3),
        st.lists(st.tuples(st.integers(-3, 40), st.integers(-3, 60)), max_size=3),
        max_size=3,
    ),
    weight=st.one_of(
        st.integers(-2, 10**18),
        st.dictionaries(st.text(max_size=6), st.integers(-2, 9), max_size=2),
    ),
)
def test_any_request_is_understood_or_refused(now: Any, calendars: Any, weight: Any) -> None:
    problem = JobShop(jobs=[[(0, 3), (1, 2)], [(1, 2), (0, 4)]])
    plan = JobShopSolution([0, 3, 0, 3], [0, 1, 1, 0])
    try:
        shop = replan_problem(problem, plan, now, new_calendars=calendars, weight=weight)
    except InputError:
        return
    assert shop.frozen.tolist() == (plan.start < now).tolist()


# ---- the checker of the new shop ----------------------------------------------------------


def test_new_shop_refuses_a_changed_past() -> None:
    problem = JobShop(jobs=[[[(0, 3), (1, 3)], (1, 2)]])
    shop = replan_problem(problem, JobShopSolution([0, 5], [0, 1]), 2, weight={"shift": 2})
    assert isinstance(shop, Replan)
    kinds = [v.kind for v in shop.check(JobShopSolution([1, 5], [0, 1]))]
    assert kinds == ["frozen"]
    assert [v.kind for v in shop.check(JobShopSolution([0, 5], [1, 1]))] == ["frozen"]
    assert "past" in [v.kind for v in shop.check(JobShopSolution([0, 1], [0, 1]))]
    assert [v.kind for v in shop.check(JobShopSolution([0], [0]))] == ["shape"]
    earlier = JobShopSolution([0, 3], [0, 1])
    assert shop.check(earlier) == []
    assert shop.objective(earlier) == 5 + 2 * 2
    with pytest.raises(AttributeError):
        shop.now = 3  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        shop.frozen[0] = False


def test_problem_and_plan_are_left_alone() -> None:
    problem, plan = shop_and_plan(2)
    before = problem.to_dict(), plan.to_dict()
    op.replan(problem, plan, 3, new_calendars={0: [(4, 9)]}, weight=1, workers=1)
    assert (problem.to_dict(), plan.to_dict()) == before


def test_no_time_at_all() -> None:
    """A plan that still holds is returned checked; nothing is claimed about anything else."""
    problem, plan = shop_and_plan(3)
    result = op.replan(problem, plan, 2, time_limit=0, workers=1)
    assert result.status in (Status.FEASIBLE, Status.UNKNOWN)
    assert result.stop is StopReason.TIME
    if result.solution is not None:
        assert result.problem.check(result.solution) == []


def test_large_shop_keeps_its_deadline() -> None:
    jobs = brute_force.large_jobs(30, 10, seed=3)
    problem = JobShop(jobs=jobs)
    plan = op.solve(problem, "heuristic").solution
    now = int(np.median(plan.start))
    result = op.replan(
        problem, plan, now, new_calendars={0: [(now, now + 200)]}, weight=1,
        time_limit=3, workers=1,
    )  # fmt: skip
    assert result.time < 10
    if result.solution is not None:
        assert result.problem.check(result.solution) == []
        frozen = plan.start < now
        assert (result.solution.start[frozen] == plan.start[frozen]).all()
