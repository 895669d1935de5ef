"""Parts of projects: held activities keep modes and order, free ones move."""

import numpy as np
import pytest

import optsched as op
from optsched.core import Deadline
from optsched.problems.rcpsp import heuristics, neighbourhoods
from optsched.problems.rcpsp.problem import RcpspSolution
from optsched.search import sub_solve
from optsched.search.lns import Question
from optsched.selfcheck.families.rcpsp import random_instance
from optsched.selfcheck.references.rcpsp import optimum
from optsched.session import Session
from optsched.solvers.base import Verdict


def project(seed, n=25):
    rng = np.random.default_rng(seed)
    activities = [
        (int(rng.integers(0, 8)), [int(x) for x in rng.integers(0, 5, 2)]) for _ in range(n)
    ]
    pairs = {(i, int(j)) for i in range(n - 1) for j in rng.integers(i + 1, min(n, i + 7), 2)}
    return op.Rcpsp(activities, [7, 6], sorted(pairs))


def start_of(problem, seed=0):
    session = Session(problem, Deadline(60))
    heuristics.construct(problem, session, seed)
    return session.solution


def ask(problem, solution, free, effort=5.0):
    question = Question(solution, problem.objective(solution), free, effort, 0)
    return sub_solve.answer(
        neighbourhoods, problem, question, 60.0,
        stopped=lambda: False, when_stopped=lambda _: None,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
def test_what_keeps_to_the_links_fits_the_resources(seed):
    problem = project(seed)
    solution = start_of(problem)
    end = problem.completion(solution)
    links = neighbourhoods.links(problem, solution, end)
    assert all(end[i] <= solution.start[j] for i, j in links)
    # The earliest schedule of precedence and links, with random waiting, is feasible.
    rng = np.random.default_rng(seed)
    duration = end - solution.start
    before = [(i, j) for i, j, _, _ in problem.lag.tolist()] + links
    start = np.zeros(problem.n_activities, dtype=np.int64)
    for j in np.lexsort((end, solution.start)).tolist():
        ready = [start[i] + duration[i] for i, k in before if k == j]
        start[j] = max(ready, default=0) + int(rng.integers(0, 3))
    assert problem.check(RcpspSolution(start, solution.mode)) == []


def test_nothing_free_is_not_better_and_everything_free_is_the_optimum():
    for seed in range(6):
        problem = project(seed, 12)
        solution = start_of(problem)
        none = ask(problem, solution, np.zeros(problem.n_activities, dtype=bool))
        assert none.solution is None or problem.objective(none.solution) <= problem.objective(
            solution
        )
        everything = ask(problem, solution, np.ones(problem.n_activities, dtype=bool))
        assert everything.verdict in (Verdict.OPTIMAL, Verdict.INFEASIBLE)
        best = solution if everything.solution is None else everything.solution
        proven = op.solve(problem, "cpsat", workers=1, time_limit=60)
        assert problem.objective(best) == proven.objective


def test_parts_of_every_feature_are_feasible_and_never_worse():
    tried = 0
    for seed in range(80):
        problem = random_instance(seed)
        if not problem.features() <= neighbourhoods.SUPPORTS:
            continue
        least = optimum(problem)
        if least is None:
            continue
        solution = op.solve(problem, "cpsat", workers=1, time_limit=60).solution
        rng = np.random.default_rng(seed)
        answer = ask(problem, solution, rng.random(problem.n_activities) < 0.5)
        # Nothing is better than an optimum, and the part still holds it.
        assert answer.solution is None
        assert answer.verdict is Verdict.OPTIMAL, problem.to_json()
        tried += 1
    assert tried > 40


@pytest.mark.parametrize("name", list(neighbourhoods.NEIGHBOURHOODS))
def test_neighbourhoods_free_about_as_many_as_asked_for(name):
    problem = project(1, 40)
    solution = start_of(problem)
    choose = neighbourhoods.neighbourhoods(problem)[name]
    rng = np.random.default_rng(0)
    for size in (1, 10, 40):
        free = choose(solution, size, rng)
        assert free.dtype == bool
        assert free.sum() == min(size, problem.n_activities)


def test_large_neighbourhood_search_solves_projects():
    problem = project(3, 30)
    result = op.solve(problem, "lns", workers=1, time_limit=60, options={"max_steps": 60})
    assert result.solution is not None
    assert result.objective == op.solve(problem, time_limit=60).objective
