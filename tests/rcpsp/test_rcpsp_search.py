"""Generation schemes, rules and the family's own search."""

import numpy as np
import pytest

import optsched as op
from optsched.core import CannotExpressError, Deadline
from optsched.families import can_express
from optsched.problems.rcpsp import heuristics, kernels, search
from optsched.problems.rcpsp.project_arrays import Arrays
from optsched.selfcheck.families.rcpsp import random_instance
from optsched.selfcheck.references.rcpsp import optimum
from optsched.session import Session


def larger(seed, n=20, modes=1, scarce=False):
    """Return a feasible instance of some size."""
    rng = np.random.default_rng(seed)
    activities = []
    for _ in range(n):
        choices = [
            (int(rng.integers(1, 8)), [*rng.integers(0, 5, 2).tolist(), int(rng.integers(1, 4))])
            for _ in range(modes)
        ]
        activities.append(choices if modes > 1 else choices[0])
    pairs = {(i, int(j)) for i in range(n - 1) for j in rng.integers(i + 1, min(n, i + 6), 2)}
    stock = 2 * n if scarce else 4 * n
    renewable = [True, True, False]
    return op.Rcpsp(activities, [7, 6, stock], sorted(pairs), renewable=renewable)


@pytest.mark.parametrize("scheme", [kernels.serial, kernels.parallel])
def test_schemes_make_schedules(scheme):
    for seed in range(20):
        problem = larger(seed)
        arrays = Arrays(problem)
        rng = np.random.default_rng(seed)
        start = np.empty(20, dtype=np.int64)
        key = rng.integers(0, 100, 20)
        value = scheme(
            key, arrays.duration, arrays.demand, *arrays.forward.parts, *arrays.room, start
        )
        solution = arrays.solution(start)
        assert problem.check(solution) == []
        assert problem.objective(solution) == value
        better, again = heuristics.justified(arrays, value, start)
        assert better <= value
        assert problem.check(arrays.solution(again)) == []


@pytest.mark.parametrize("seed", range(10))
def test_the_scheme_without_kernels_makes_the_same_schedules(seed):
    for problem in (larger(seed), random_instance(seed)):
        if not problem.features() <= heuristics.SUPPORTS or problem.n_modes > problem.n_activities:
            continue
        arrays = Arrays(problem)
        start = np.empty(problem.n_activities, dtype=np.int64)
        key = np.random.default_rng(seed).integers(0, 6, problem.n_activities)  # many are equal
        value = kernels.serial(
            key, arrays.duration, arrays.demand, *arrays.forward.parts, *arrays.room, start
        )
        plain = heuristics.serial(key, arrays)
        if value >= kernels.NOWHERE:
            assert plain is None
        else:
            assert plain.tolist() == start.tolist()


def test_the_first_schedule_takes_no_kernel(monkeypatch):
    def refuse(*arguments):
        raise AssertionError("a kernel was called")

    for name in ("serial", "parallel", "mirrored"):
        monkeypatch.setattr(kernels, name, refuse)
    for problem in (larger(1), larger(1, modes=3, scarce=True)):
        session = Session(problem, Deadline(30))
        with pytest.raises(AssertionError, match="a kernel was called"):
            heuristics.construct(problem, session, 0)
        assert [event.source for event in session.trace] == ["heuristic:rules"]


def test_rules_and_search_never_beat_the_optimum():
    for seed in range(60):
        problem = random_instance(seed)
        if not can_express(problem, "heuristic"):
            continue
        session = Session(problem, Deadline(30))
        heuristics.construct(problem, session, seed)
        if can_express(problem, "native"):
            search.run(problem, session, seed=seed, max_schedules=400)
        if session.solution is not None:
            assert session.objective >= optimum(problem)


@pytest.mark.parametrize(("modes", "scarce"), [(1, False), (3, False), (3, True)])
def test_the_search_is_near_the_optimum(modes, scarce):
    problem = larger(3, 12, modes, scarce)
    exact = op.solve(problem, "cpsat", time_limit=100, workers=1)
    assert exact.status == "OPTIMAL"
    session = Session(problem, Deadline(100))
    search.run(problem, session, seed=1, max_schedules=30_000)
    assert session.objective <= 1.1 * exact.objective


@pytest.mark.parametrize("modes", [1, 3])
def test_same_seed_same_result(modes):
    traces = []
    for _ in range(2):
        problem = larger(5, 25, modes)
        session = Session(problem, Deadline())
        search.run(problem, session, seed=4, max_schedules=3000)
        traces.append([event.objective for event in session.trace])
    assert traces[0] == traces[1]


def test_a_search_that_has_come_to_rest_leaves_its_core_to_the_prover():
    rng = np.random.default_rng(5)
    activities = [(int(rng.integers(1, 8)), [int(rng.integers(1, 5))]) for _ in range(12)]
    problem = op.Rcpsp(activities, [6], [(i, i + 2) for i in range(10)])
    session = Session(problem, Deadline(100))
    assert search.run(problem, session, seed=0, rest=True) == "STEPS"
    assert session.solution is not None
    assert session.deadline.elapsed() < 50


def test_the_search_takes_over_better_schedules():
    problem = larger(7, 15)
    best = op.solve(problem, "cpsat", time_limit=100, workers=1)
    session = Session(problem, Deadline())
    session.offer(best.solution, "elsewhere")
    search.run(problem, session, seed=0, effort=0.05)
    assert session.objective == best.objective


def test_what_it_cannot_express_is_named():
    problem = op.Rcpsp([(1, [1])], [1], deadline=[3])
    with pytest.raises(CannotExpressError, match="deadlines"):
        search.run(problem, Session(problem, Deadline()), seed=0)


def test_auto_proves_a_small_instance():
    problem = larger(11, 18)
    result = op.solve(problem, time_limit=100, workers=2)
    assert result.status == "OPTIMAL"
    assert problem.check(result.solution) == []


def test_long_horizons_are_left_to_others():
    problem = op.Rcpsp([(10**7, [1]), (10**7, [1])], [1])
    result = op.solve(problem, time_limit=60, workers=1)
    assert (result.status, result.objective) == ("OPTIMAL", 2 * 10**7)


def test_a_picture_shows_breaks_and_violations():
    from optsched.plotting.common import picture_of
    from optsched.problems.rcpsp.problem import RcpspSolution

    problem = op.Rcpsp(
        [(3, [1]), (2, [1])],
        [1],
        calendars=[[(1, 2)]],
        calendar=[0, None],
        breakable=True,
        due=[3, None],
        activity_names=["dig", "pour"],
    )
    good = picture_of(problem, RcpspSolution([0, 4]))
    assert (list(good.rows), good.warning) == (["dig", "pour"], "")
    assert (good.breaks.start.tolist(), good.bars.end.tolist()) == ([1], [4, 6])
    assert "infeasible: 1 violation" in picture_of(problem, RcpspSolution([0, 1])).warning
