"""Every rule of the checker has a schedule that breaks it; objectives are recomputed by hand."""

import numpy as np
import pytest

import optsched as op
from optsched.core import InputError
from optsched.problems.rcpsp.problem import RcpspSolution
from optsched.selfcheck.families.rcpsp import random_instance
from optsched.selfcheck.references.rcpsp import cost, end_of, schedules

TWO = [(3, [2]), (2, [1])]


def kinds(problem, start, mode=None):
    return sorted({v.kind for v in problem.check(RcpspSolution(start, mode))})


@pytest.mark.parametrize(
    ("options", "start", "kind"),
    [
        ({}, [0], "shape"),
        ({}, [0, -1], "start"),
        ({"capacity": [2]}, [0, 2], "capacity"),
        ({"capacity": [[(0, 3), (4, 0), (6, 3)]]}, [0, 3], "capacity"),
        ({"precedence": [(0, 1)]}, [0, 2], "precedence"),
        ({"precedence": [(0, 1, "SS", 2)]}, [0, 1], "precedence"),
        ({"precedence": [(0, 1, "FF", 2)]}, [0, 2], "precedence"),
        ({"precedence": [(0, 1, "SF", 4)]}, [0, 1], "precedence"),
        ({"precedence": [(0, 1, "FS", 0, 1)]}, [0, 5], "precedence"),
        ({"precedence": [(0, 1, "SS", None, 1)]}, [0, 2], "precedence"),
        ({"release": [0, 4]}, [0, 3], "release"),
        ({"project": [0, 1], "project_release": [0, 4]}, [0, 3], "release"),
        ({"deadline": [None, 4]}, [0, 3], "deadline"),
        ({"project": [0, 1], "project_deadline": [None, 4]}, [0, 3], "deadline"),
        ({"disjunctive": [[0, 1]]}, [0, 2], "disjunctive"),
        ({"calendars": [[(1, 2)]], "calendar": [0, None]}, [0, 0], "calendar"),
        ({"calendars": [[(1, 2)]], "calendar": [0, None], "breakable": True}, [1, 0], "calendar"),
    ],
)
def test_every_rule_can_be_broken(options, start, kind):
    capacity = options.pop("capacity", [9])
    problem = op.Rcpsp(TWO, capacity, options.pop("precedence", None), **options)
    assert kinds(problem, start, [0] * len(start)) == [kind]


def test_modes_and_consumption():
    problem = op.Rcpsp([[(3, [2]), (1, [4])], (2, [3])], [6], renewable=[False])
    assert kinds(problem, [0, 0], [1, 0]) == ["non-renewable"]
    assert kinds(problem, [0, 0], [2, 0]) == ["mode"]
    assert kinds(problem, [0, 0], [0, 0]) == []
    with pytest.raises(InputError, match="mode that it does not have"):
        problem.objective(RcpspSolution([0, 0], [2, 0]))


def test_a_capacity_violation_names_time_and_activities():
    problem = op.Rcpsp(TWO, [[(0, 3), (2, 1)]])
    (violation,) = problem.check(RcpspSolution([0, 0]))
    assert str(violation) == ("resource 0: from 2 on 2 are in use by activities 0; there are 1")


def test_breakable_activities_pause():
    problem = op.Rcpsp(
        [(3, [1]), (3, [1])],
        [2],
        calendars=[[(1, 3), (4, 6)]],
        calendar=[0, 0],
        breakable=[True, False],
    )
    solution = RcpspSolution([0, 6])
    assert problem.check(solution) == []
    assert problem.completion(solution).tolist() == [7, 9]
    # Work that is done when a break begins ends there.
    assert problem.completion(RcpspSolution([3, 6])).tolist()[0] == 8


def test_objectives_by_hand():
    options = {"due": [2, None], "weight": [3, 1], "project_due": [4]}
    tardy = op.Rcpsp(TWO, [9], objective="total_weighted_tardiness", **options)
    assert tardy.objective(RcpspSolution([0, 4])) == 3 * 1 + 2
    worth = op.Rcpsp(
        TWO, [9], objective="negative_net_present_value", cash_flow=[100, 50], discount_rate=0.1
    )
    assert worth.objective(RcpspSolution([0, 0])) == -(75 + 41)
    level = op.Rcpsp(TWO, [9], objective="resource_levelling", deadline=[9, 9])
    assert level.objective(RcpspSolution([0, 1])) == 4 + 9 + 9
    assert level.objective(RcpspSolution([0, 3])) == 3 * 4 + 2


def test_the_checker_agrees_with_walking_through_time():
    for seed in range(60):
        problem = random_instance(seed)
        last = min(7, problem.horizon())
        feasible = {
            (tuple(s), tuple(m)): cost(problem, s, e, m) for s, e, m in schedules(problem, last)
        }
        rng = np.random.default_rng(seed)
        for start, mode in list(feasible)[:: max(1, len(feasible) // 20)]:
            solution = RcpspSolution(start, mode)
            assert problem.check(solution) == []
            assert problem.objective(solution) == feasible[start, mode]
        for _ in range(30):
            start = rng.integers(0, last + 1, problem.n_activities)
            mode = [int(rng.integers(count)) for count in np.diff(problem.mode_offset)]
            ends = [
                end_of(problem, i, int(s), int(problem.mode_duration[problem.mode_offset[i] + m]))
                for i, (s, m) in enumerate(zip(start, mode, strict=True))
            ]
            if any(e is None or e > last for e in ends):
                continue
            violations = problem.check(RcpspSolution(start, mode))
            assert (not violations) == ((tuple(start.tolist()), tuple(mode)) in feasible)
