"""Dispatching rules: feasible for every feature they claim, and of the form they claim."""

from __future__ import annotations

import random
import time

import brute_force
import js_enumeration
import pytest

import optsched
from optsched import InputError, JobShop
from optsched.core import Deadline, DeadlineExpired
from optsched.problems.job_shop import heuristics
from optsched.problems.job_shop.heuristics import FORMS, RULES, dispatch
from optsched.problems.job_shop.insertion import insert_jobs, orders


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rule", sorted(RULES))
def test_rules_give_feasible_schedules(rule: str, form: str) -> None:
    rng = random.Random(7)
    for i in range(40):
        shop = brute_force.random_shop(
            rng, objective=brute_force.OBJECTIVES[i % 4], flexible=i % 3 == 0, n_jobs=4
        )
        shop.pop("deadline", None)
        problem = JobShop(**shop)
        solution = dispatch(problem, rule, form, seed=i)
        assert problem.check(solution) == [], (rule, form, shop)


@pytest.mark.parametrize("rule", sorted(set(RULES) - {"RANDOM"}))
def test_non_delay_leaves_no_machine_idle_with_something_waiting(rule: str) -> None:
    rng = random.Random(3)
    for _ in range(30):
        shop = {"jobs": brute_force.random_jobs(rng, 4, 3, 4), "n_machines": 3}
        plan = brute_force.Schedule(
            shop, *(array.tolist() for array in _arrays(dispatch(JobShop(**shop), rule)))
        )
        for op in plan.ops:
            before = (op[0], op[1] - 1)
            ready = plan.end.get(before, 0)
            for now in range(ready, plan.start[op]):
                assert any(
                    plan.machine[o] == plan.machine[op] and plan.start[o] <= now < plan.end[o]
                    for o in plan.ops
                ), (rule, shop, op, now)


def _arrays(solution: optsched.JobShopSolution) -> tuple[object, object]:
    return solution.start, solution.machine


@pytest.mark.parametrize("form", FORMS)
def test_semi_active_nothing_can_start_earlier_alone(form: str) -> None:
    rng = random.Random(4)
    for i in range(80):
        shop = brute_force.random_shop(rng, flexible=i % 2 == 0)
        shop.pop("deadline", None)
        solution = dispatch(JobShop(**shop), "SPT", form)
        start, machine = solution.start.tolist(), solution.machine.tolist()
        plan = brute_force.Schedule(shop, start, machine)
        for index, op in enumerate(plan.ops):
            # What has no duration can be jumped over, which is a change of the order.
            if start[index] == 0 or 0 in plan.duration.values():
                continue
            earlier = [*start[:index], start[index] - 1, *start[index + 1 :]]
            assert brute_force.kinds(shop, earlier, machine), (form, shop, start, op)


def test_known_schedules_of_two_rules() -> None:
    """Job 0 is short and job 1 long on the only machine."""
    problem = JobShop([[(0, 2)], [(0, 5)]])
    assert dispatch(problem, "SPT").start.tolist() == [0, 2]
    assert dispatch(problem, "LPT").start.tolist() == [5, 0]


def test_due_dates_and_weights_reach_the_rules() -> None:
    problem = JobShop([[(0, 2)], [(0, 2)]], due=[9, 1], weight=[1, 1])
    assert dispatch(problem, "EDD").start.tolist() == [2, 0]
    problem = JobShop([[(0, 2)], [(0, 2)]], due=[9, 9], weight=[1, 5])
    assert dispatch(problem, "WSPT").start.tolist() == [2, 0]


def test_flexible_operation_goes_where_it_ends_first() -> None:
    problem = JobShop([[[(0, 9), (1, 2)]], [[(0, 3), (1, 2)]]])
    solution = dispatch(problem, "FIFO")
    assert sorted(solution.machine.tolist()) == [0, 1]
    assert problem.objective(solution) == 3


def test_random_rule_is_repeatable() -> None:
    problem = JobShop(brute_force.FT06)
    one, two = (dispatch(problem, "RANDOM", seed=5).to_dict() for _ in range(2))
    assert one == two
    assert any(dispatch(problem, "RANDOM", seed=s).to_dict() != one for s in range(6, 16))


def test_unknown_rule_and_form() -> None:
    problem = JobShop([[(0, 1)]])
    with pytest.raises(InputError, match="SPT"):
        dispatch(problem, "SPTT")
    with pytest.raises(InputError, match="non-delay"):
        dispatch(problem, "SPT", "active")


def test_rules_keep_to_a_deadline() -> None:
    problem = JobShop(brute_force.large_jobs(400, 60))
    begun = time.perf_counter()
    with pytest.raises(DeadlineExpired):
        dispatch(problem, deadline=Deadline(0.0))
    assert time.perf_counter() - begun < 3


@pytest.mark.parametrize("objective", brute_force.OBJECTIVES)
def test_the_rules_are_all_tried_and_the_best_kept(objective: str) -> None:
    problem = JobShop(brute_force.FT06, objective=objective, due=[40] * 6)
    result = optsched.solve(problem, "heuristic")
    values = [
        problem.objective(dispatch(problem, rule, form))
        for rule in heuristics.default_rules(problem)
        for form in FORMS
    ]
    assert result.objective <= min(values)


def test_a_schedule_that_misses_a_deadline_is_not_offered() -> None:
    problem = JobShop([[(0, 5)], [(0, 5)]], deadline=[9, 9])
    result = optsched.solve(problem, "heuristic")
    assert result.solution is None
    assert result.status in ("UNKNOWN", "INFEASIBLE")


# ---- job insertion ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", js_enumeration.KINDS)
def test_insertion_gives_feasible_schedules(kind: str) -> None:
    """Of any features; a job set up for itself on a machine that it returns to may not fit."""
    rng = random.Random(kind)
    tried = failed = 0
    while tried < 80:
        shop = js_enumeration.random_variant(rng, kind)
        shop.pop("deadline", None)
        problem = JobShop(**shop)
        for order in orders(problem, rng, 6):
            violations = problem.check(insert_jobs(problem, order))
            if violations and "setup" not in shop:
                pytest.fail(f"{violations[0]}: {shop}, {order}")
            failed += bool(violations)
            tried += 1
    assert failed < 0.4 * tried


@pytest.mark.parametrize("swap", [False, True])
def test_insertion_into_a_classic_shop_without_buffers(swap: bool) -> None:
    problem = JobShop(brute_force.FT10, buffers="none", swap=swap)
    result = optsched.solve(problem, "heuristic")
    assert problem.check(result.solution) == []
    assert result.objective < 2300  # one job after the other takes 5109


def test_insertion_uses_gaps() -> None:
    """Job 2 fits before job 1 on the only machine, though it comes last."""
    problem = JobShop([[(1, 4), (0, 2)], [(0, 4)], [(0, 4)]], release=[0, 6, 0])
    assert insert_jobs(problem, [0, 1, 2]).start.tolist() == [0, 4, 6, 0]


def test_insertion_keeps_to_a_deadline() -> None:
    problem = JobShop(brute_force.large_jobs(300, 30), buffers="none")
    with pytest.raises(DeadlineExpired):
        insert_jobs(problem, range(300), Deadline(0.0))
