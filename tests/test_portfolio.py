"""The portfolio's logic, with scripted sides; and both real sides on a small shop."""

import threading
import types

import brute_force
import numpy as np
import pytest

import optsched as op
from optsched.core import Deadline, OptschedError
from optsched.exact import asking
from optsched.families import solver_module
from optsched.problems.job_shop import cpsat, heuristics, search
from optsched.result import StopReason
from optsched.search import portfolio
from optsched.search.portfolio import Answer
from optsched.session import Session
from optsched.solvers.base import Verdict

#: What the search of the job shop is called in a trace.
FINDERS = {"dispatching", "tabu", "path relinking"}


class Line(op.JobShop):
    """One operation of length 1: the makespan is its start plus 1, whatever we choose."""

    def __init__(self):
        super().__init__([[(0, 1)]], name="line")

    def at(self, makespan):
        return op.JobShopSolution([makespan - 1], [0])


def wait_for_stop(session):
    while not session.stopped:
        session.deadline.check()
        threading.Event().wait(0.005)


def new_session(limit=20.0):
    problem = Line()
    return problem, Session(problem, Deadline(limit))


def between_10_and_40():
    problem, session = new_session()
    session.offer(problem.at(40), "heuristic")
    session.prove(10, "bounds")
    return session


def test_the_search_improving_restarts_the_prover_with_the_tighter_question():
    problem, session = new_session()
    session.offer(problem.at(10), "heuristic")
    asked, release = [], threading.Event()

    def search(effort):
        release.wait(10)
        session.offer(problem.at(7), "search")
        wait_for_stop(session)

    def ask(target, deadline, effort):
        asked.append(target)
        if target == 9:
            release.set()
            while session.objective > target and not session.stopped:
                deadline.check()
            return Answer.OPEN
        return Answer.NO

    portfolio.run(session, [search], ask, source="prover", side_by_side=True)
    assert asked == [9, 6]
    assert session.proven
    assert session.objective == session.bound == 7


def test_a_yes_of_the_prover_reaches_the_search():
    problem, session = new_session()
    session.offer(problem.at(5), "heuristic")
    seen = []

    def search(effort):
        while not session.stopped:
            if session.objective == 4:
                seen.append(session.objective)
            threading.Event().wait(0.002)

    def ask(target, deadline, effort):
        if target == 4:
            session.offer(problem.at(4), "prover")
            threading.Event().wait(0.05)
            return Answer.YES
        return Answer.NO

    portfolio.run(session, [search], ask, source="prover", side_by_side=True)
    assert seen
    assert session.objective == session.bound == 4


def refuting_below_30(session, asked):
    """Return a prover of a line whose optimum is 40, that gets stuck between 30 and 38."""

    def ask(target, deadline, effort):
        asked.append(target)
        if target == 39 and deadline.limit < 1:  # it takes longer than the patience
            while not deadline.expired():
                threading.Event().wait(0.01)
            return Answer.OPEN
        return Answer.NO if target < 30 or target == 39 else Answer.OPEN

    return ask


@pytest.mark.parametrize(("head_start", "first"), [(0.0, [39]), (5.0, [])])
def test_questions_from_below_raise_the_bound_in_growing_steps(monkeypatch, head_start, first):
    """They fill the search's head start; else they come when the patience is over."""
    monkeypatch.setattr(portfolio, "PATIENCE", 0.1)
    monkeypatch.setattr(portfolio, "HEAD_START", head_start)
    session = between_10_and_40()
    asked = []

    def search(effort):
        threading.Event().wait(0.05)

    ask = refuting_below_30(session, asked)
    portfolio.run(session, [search], ask, source="prover", side_by_side=True)
    below = len(first)
    assert asked[:below] == first
    assert asked[below : below + 3] == [10, 12, 16]  # the bound itself, then by 2 and 4 above it
    assert asked[-1] == 39
    assert session.bound == 40
    bounds = [event.bound for event in session.trace if event.bound is not None]
    assert bounds == sorted(bounds)


def test_an_open_question_in_the_head_start_does_not_end_those_from_below(monkeypatch):
    """A solver may end a little before its limit."""
    monkeypatch.setattr(portfolio, "PATIENCE", 0.1)
    monkeypatch.setattr(portfolio, "HEAD_START", 0.5)
    session = between_10_and_40()
    asked = []

    def ask(target, deadline, effort):
        asked.append(target)
        if len(asked) > 2:
            return Answer.NO
        if target == 39:
            threading.Event().wait(deadline.limit)
        return Answer.OPEN

    def search(effort):
        threading.Event().wait(0.6)

    portfolio.run(session, [search], ask, source="p", side_by_side=True)
    assert asked[:3] == [10, 39, 10]


def test_a_patient_prover_asks_from_both_sides_by_turns_and_longer_each_time(monkeypatch):
    monkeypatch.setattr(portfolio, "PATIENCE", 0.1)
    monkeypatch.setattr(portfolio, "PROBE_LIMIT", 0.2)
    monkeypatch.setattr(portfolio, "HEAD_START", 0.0)
    session = between_10_and_40()
    asked = []

    def ask(target, deadline, effort):
        if target == 39 and len(asked) > 4:
            return Answer.NO
        asked.append((target, deadline.limit))
        while not deadline.expired():
            threading.Event().wait(0.005)
        return Answer.OPEN

    portfolio.run(session, [lambda _: None], ask, source="p", side_by_side=True, patient=True)
    assert [target for target, _ in asked[:5]] == [39, 10, 39, 10, 39]
    below = [limit for target, limit in asked if target == 10]
    assert np.allclose(below[:2], [0.4, 0.8], atol=0.05)
    assert np.allclose([limit for target, limit in asked[2:5:2]], [0.4, 0.8], atol=0.05)


def test_a_model_with_halves_is_asked_in_both_when_there_are_cores_for_it():
    problem = op.load("ft06")

    class Halved(cpsat.JobShopCpsat):
        halves = True

        def keep_half(self, side):
            kept.append(side)
            start, middle = self.start[0], 10
            self.model.add(start <= middle if side == 0 else start > middle)

    def build(problem, **given):
        compiled = cpsat.build(problem, **given)
        compiled.__class__ = Halved
        return compiled

    for target, answers in ((54, {Answer.NO}), (55, {Answer.YES}), (60, {Answer.YES})):
        kept: list[int] = []
        session = Session(problem, Deadline(60))
        ask = asking(
            session, solver_module("cpsat"), build,
            source="halves", workers=lambda: 2, seed=0, options={},
        )  # fmt: skip
        assert ask(target, session.deadline, None) in answers
        assert kept == [0, 1]
        if target > 54:
            assert session.objective <= target
            assert session.bound is None or session.bound <= 55
            assert problem.check(session.solution) == []


def test_a_question_that_can_be_halved_by_now_is_asked_again():
    problem = op.load("ft06")
    cores = iter([1, *[2] * 10**6])

    class Halved(cpsat.JobShopCpsat):
        halves = True

        def keep_half(self, side):
            raise AssertionError("on one core nothing is halved")

    def build(problem, **given):
        compiled = cpsat.build(problem, **given)
        compiled.__class__ = Halved
        return compiled

    session = Session(problem, Deadline(60))
    ask = asking(
        session, solver_module("cpsat"), build,
        source="halves", workers=lambda: next(cores), seed=0, options={},
    )  # fmt: skip
    assert ask(None, session.deadline, None) in (Answer.OPEN, Answer.YES)
    assert not session.proven


def test_on_one_core_the_sides_take_turns():
    problem, session = new_session()
    session.offer(problem.at(9), "heuristic")
    running, log = [], []

    def search(effort):
        assert not running
        running.append("search")
        log.append(("search", effort))
        if len(log) == 3:
            session.offer(problem.at(6), "search")
        running.pop()

    def ask(target, deadline, effort):
        assert not running
        log.append((target, effort))
        return Answer.NO if target == 5 else Answer.OPEN

    portfolio.run(session, [search], ask, source="prover", side_by_side=False)
    assert log == [("search", 0.1), (8, 0.1), ("search", 0.2), (5, 0.2)]
    assert session.proven


def test_without_an_incumbent_the_prover_looks_for_any_solution_or_proves_there_is_none():
    _, session = new_session()

    def ask(target, deadline, effort):
        assert target is None
        return Answer.NO

    portfolio.run(session, [lambda _: wait_for_stop(session)], ask, source="p", side_by_side=True)
    assert session.infeasible
    assert session.outcome(StopReason.SOLVER)[0] is op.Status.INFEASIBLE


def test_an_error_of_the_search_is_not_lost():
    problem, session = new_session()
    session.offer(problem.at(9), "heuristic")

    def search(effort):
        raise ZeroDivisionError("a bug")

    def ask(target, deadline, effort):
        wait_for_stop(session)
        return Answer.OPEN

    portfolio.run(session, [search], ask, source="prover", side_by_side=True)
    assert isinstance(session.error, ZeroDivisionError)
    assert not isinstance(session.error, OptschedError)


@pytest.mark.parametrize("workers", [1, 2])
def test_auto_proves_a_shop_that_the_bounds_alone_do_not(workers):
    rng = np.random.default_rng(5)
    jobs = [[(int(m), int(rng.integers(1, 30))) for m in rng.permutation(6)] for _ in range(6)]
    problem = op.JobShop(jobs)
    result = op.solve(problem, workers=workers, time_limit=60)
    assert result.solver == "auto"
    assert result.status is op.Status.OPTIMAL
    assert result.objective == op.solve(problem, "cpsat", workers=1, time_limit=60).objective


def test_both_sides_are_in_the_trace_of_auto(monkeypatch):
    """A shop of which the search finds the best schedule, and the prover proves that it is."""
    search.warm_up().join()
    found, sound = threading.Event(), portfolio._Prover.step

    def after_the_search(prover, effort=None):
        assert found.wait(60)
        sound(prover, effort)

    def told(event):
        if event.source in FINDERS:
            found.set()

    monkeypatch.setattr(portfolio._Prover, "step", after_the_search)
    rng = np.random.default_rng(3)
    jobs = [[(int(m), int(rng.integers(1, 50))) for m in rng.permutation(8)] for _ in range(8)]
    result = op.solve(op.JobShop(jobs), workers=2, time_limit=120, on_event=told)
    assert result.status is op.Status.OPTIMAL
    sources = {event.source for event in result.trace}
    assert sources & FINDERS
    assert "cpsat" in sources  # the bounds before search end below the optimum


def test_the_search_goes_on_from_what_the_prover_has_found():
    problem = op.JobShop(brute_force.FT06)
    best = op.solve(problem, "cpsat", workers=1, time_limit=60).solution
    session = Session(problem, Deadline())
    driver = search._Driver(search._shop(problem, session, 0), session, 0, 1)
    with pytest.raises(search._Stop):
        driver.run(None)
    assert driver.population.best > 55
    assert session.offer(best, "cpsat")
    driver.max_moves = 100_000
    driver.adopt()
    assert driver.population.best == 55
    assert driver.population.members[0][0] == 55


def test_a_question_is_dropped_when_the_search_has_answered_it():
    """The prover stops, and asks for less than what has been found meanwhile."""
    problem = op.JobShop(brute_force.FT06)
    best = op.solve(problem, "cpsat", workers=1, time_limit=60).solution
    session = Session(problem, Deadline(100))
    session.offer(heuristics.dispatch(problem), "heuristic")
    first = int(session.objective) - 1
    assert first > 55
    targets, at_work = [], threading.Event()

    def build(problem, *, upper_bound, **given):
        targets.append(upper_bound)
        return cpsat.build(problem, upper_bound=upper_bound, **given)

    def slow_at_first(compiled, control):
        if len(targets) > 1:
            return solver_module("cpsat").run(compiled, control)
        interrupted = threading.Event()
        control.when_stopped(interrupted.set)
        at_work.set()
        assert interrupted.wait(60)
        assert control.stopped()
        return Verdict.STOPPED

    def find(effort):
        assert at_work.wait(60)
        session.offer(best, "search")

    ask = asking(
        session, types.SimpleNamespace(run=slow_at_first), build,
        source="cpsat", workers=lambda: 1, seed=0, options={},
    )  # fmt: skip
    portfolio.run(session, [find], ask, source="cpsat", side_by_side=True)
    assert targets == [first, 54]
    assert session.error is None
    assert (session.objective, session.bound) == (55, 55)
    assert [event.source for event in session.trace] == ["heuristic", "search", "cpsat"]


def test_auto_on_one_core_can_be_repeated():
    rng = np.random.default_rng(7)
    jobs = [[(int(m), int(rng.integers(1, 50))) for m in rng.permutation(7)] for _ in range(7)]
    first, second = (op.solve(op.JobShop(jobs), workers=1, seed=3) for _ in range(2))
    assert first.status is op.Status.OPTIMAL
    assert first.solution.start.tolist() == second.solution.start.tolist()
    objectives = [[event.objective for event in r.trace] for r in (first, second)]
    assert objectives[0] == objectives[1]


@pytest.mark.parametrize("loyal", [False, True])
def test_a_loyal_prover_stays_with_a_question_that_has_become_old(monkeypatch, loyal):
    monkeypatch.setattr("optsched.exact.YOUTH_LEAST", 0.0)
    problem = op.load("ft06")
    session = Session(problem, Deadline(60))
    session.offer(heuristics.dispatch(problem), "heuristic")
    best = op.solve(problem, "cpsat", workers=1, time_limit=60).solution
    left = []

    def overtaken(compiled, control):
        while session.deadline.elapsed() < 1.3 * began + 0.05:  # until it is not young any more
            threading.Event().wait(0.01)
        session.offer(best, "search")
        left.append(control.stopped())
        return Verdict.STOPPED

    solver = types.SimpleNamespace(run=overtaken)
    ask = asking(
        session, solver, cpsat.build,
        source="prover", workers=lambda: 1, seed=0, options={}, loyal=loyal,
    )  # fmt: skip
    began = session.deadline.elapsed() + 0.05
    assert ask(int(session.objective) - 1, session.deadline, None) is Answer.OPEN
    assert left == [not loyal]
