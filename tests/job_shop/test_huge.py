"""Large shops: tabu search in windows of the order, and who works at which size."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

import optsched as op
from optsched.core import Deadline
from optsched.datasets import generators
from optsched.problems.job_shop import bounds, cpsat, search
from optsched.problems.job_shop import kernels as K
from optsched.problems.job_shop.flexible import FlexibleShop
from optsched.problems.job_shop.problem import JobShop
from optsched.problems.job_shop.shop import Shop
from optsched.result import StopReason
from optsched.session import Session


def shops(seed: int) -> list[Shop]:
    classic = generators.job_shop(12, 5, seed)
    flexible = generators.flexible_job_shop(8, 4, 8, seed)
    return [Shop(classic, seed), FlexibleShop(flexible, seed)]


@pytest.mark.parametrize("seed", range(15))
def test_a_window_changes_nothing_outside_and_keeps_times_exact(seed: int):
    random = np.random.default_rng(seed)
    for shop in shops(seed):
        n = shop.problem.n_ops
        order = shop.by_start(shop.dispatch(0.5))
        before = shop.load(order)
        low = int(random.integers(0, n - 20))
        high = low + int(random.integers(15, 30))
        shop.begin(order, 10**9, (low, min(high, n)))
        high = min(high, n)
        for _ in range(150):
            assert shop.search(1, -1) == 1
            end, tail = shop.tm[K.END].copy(), shop.tm[K.TAIL].copy()
            inside = shop.ix[K.ORDER, low:high].copy()
            now, ix, tm, ctl = int(shop.ctl[K.C_CURRENT]), shop.ix, shop.tm, shop.ctl
            shop.ix, shop.tm, shop.ctl = ix.copy(), tm.copy(), ctl.copy()
            K.load(shop.ix, shop.tm, shop.last, shop.ctl)
            assert np.array_equal(shop.tm[K.END, inside], end[inside])
            assert np.array_equal(shop.tm[K.TAIL, inside], tail[inside])
            through = end[inside] - tm[K.P, inside] + tail[inside]
            assert now == through.max() <= shop.ctl[K.C_CURRENT]
            shop.ix, shop.tm, shop.ctl = ix, tm, ctl
        best = shop.best_order()
        outside = np.r_[0:low, high:n]
        assert np.array_equal(best[outside], order[outside])
        value = shop.load(best)
        assert value <= before
        solution = shop.solution(best)
        assert shop.problem.check(solution) == []
        assert shop.problem.objective(solution) == value


def test_settled_schedules_of_flexible_shops_are_recombined(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(search, "ALONE_FROM", 50)
    monkeypatch.setattr(search, "WINDOW", 5)
    monkeypatch.setattr(search, "EFFORT_SETTLED", 1.0)
    problem = generators.flexible_job_shop(10, 5, 20, 1)
    session = Session(problem, Deadline(60))
    shop = search._shop(problem, session, 1)
    driver = search._Driver(shop, session, 1, 400_000)
    relinked = []
    monkeypatch.setattr(shop, "relink", lambda a, b, share: relinked.append(share) or a)
    with contextlib.suppress(search._Stop):
        driver.run(None)
    assert relinked
    assert len(driver.population.members) <= search.MOST
    assert problem.check(session.solution) == []
    assert problem.objective(session.solution) <= min(
        value for value, _ in driver.population.members
    )


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_sweeps_shorten_and_end_in_time(monkeypatch: pytest.MonkeyPatch, workers: int):
    monkeypatch.setattr(search, "WINDOW_FROM", 50)
    monkeypatch.setattr(search, "ALONE_FROM", 50)
    monkeypatch.setattr(search, "WINDOW", 5)
    for problem in (generators.job_shop(20, 8, 1), generators.flexible_job_shop(10, 5, 20, 1)):
        assert search.window_size(problem) < problem.n_ops
        session = Session(problem, Deadline())
        reason = search.run(problem, session, seed=1, max_moves=30_000, workers=workers)
        assert reason in (StopReason.STEPS, StopReason.PROOF)
        first, last = session.trace[0], session.trace[-1]
        assert last.source == "window tabu"
        assert last.objective < first.objective
        assert problem.check(session.solution) == []
        session = Session(problem, Deadline(0.5))
        search.run(problem, session, seed=1, workers=workers)
        assert session.deadline.elapsed() < 2.0


def test_windows_that_are_searched_side_by_side_lie_apart():
    windows = [(max(0, low), low + 20) for low in range(-7, 200, 10)]
    for cores in (1, 2, 3, 5, 40):
        batches = search._batches(windows, cores)
        assert sorted(window for batch in batches for window in batch) == sorted(windows)
        for batch in batches:
            assert len(batch) <= cores
            ends = [end for _, end in batch]
            assert all(begin >= end for (begin, _), end in zip(batch[1:], ends, strict=False))


def test_what_two_windows_find_is_put_together():
    for problem in (generators.job_shop(20, 8, 1), generators.flexible_job_shop(10, 5, 20, 1)):
        shop = search._shop(problem, Session(problem, Deadline()), 1)
        twin = shop.twin(2)
        order = shop.by_start(shop.dispatch(0.5))
        low, high = (10, 70), (80, 140)
        shop.begin(order, 10_000, low)
        shop.search(2_000, -1)
        twin.begin(order, 10_000, high)
        twin.search(2_000, -1)
        merged = shop.merged(shop.best_order(), twin.best_order(), high)
        solution = shop.solution(merged)
        assert problem.check(solution) == []
        assert problem.objective(solution) == shop.load(merged)
        n = problem.n_ops
        assert np.array_equal(merged[slice(*low)], shop.best_order()[slice(*low)])
        assert np.array_equal(merged[slice(*high)], twin.best_order()[slice(*high)])
        assert sorted(merged[:n]) == sorted(order[:n])


def test_large_shops_are_left_to_the_search(monkeypatch: pytest.MonkeyPatch):
    def refuse(*args: object, **options: object) -> None:
        raise AssertionError("a model was built")

    monkeypatch.setattr(cpsat, "build", refuse)
    # What must be compiled first is no matter of this test.
    search.warm_up().join()
    bounds.lower_bound(generators.job_shop(3, 3, 1))
    problem = generators.job_shop(80, 40, 3)
    assert search.alone(problem)
    assert not search.alone(generators.job_shop(30, 20, 3))
    result = op.solve(problem, time_limit=4, workers=2)
    assert result.status in (op.Status.FEASIBLE, op.Status.OPTIMAL)
    assert result.bound is not None
    assert result.time < 6


def test_effort_of_sweeps_stays_within_reason(monkeypatch: pytest.MonkeyPatch):
    """Sweeps that others break off, or that find no move to make, must not get ever longer."""
    monkeypatch.setattr(search, "WINDOW_FROM", 50)
    monkeypatch.setattr(search, "WINDOW", 5)
    problem = generators.job_shop(20, 8, 1)
    session = Session(problem, Deadline())
    driver = search._Driver(search._shop(problem, session, 1), session, 1, None)
    efforts: list[float] = []

    def sweep(order: object, effort: float, source: str) -> object:
        efforts.append(effort)
        if len(efforts) > 200:
            raise search._Stop
        return order

    monkeypatch.setattr(driver, "sweep", sweep)
    with contextlib.suppress(search._Stop):
        driver.run(None)
    assert max(efforts) == search.EFFORT_MOST
    monkeypatch.setattr(driver, "beaten", lambda: True)
    efforts.clear()
    with contextlib.suppress(search._Stop):
        driver.run(session.solution)
    assert set(efforts) == {search.EFFORT_FIRST}


def test_bounds_of_large_shops_keep_to_a_share_of_the_time():
    problem = generators.job_shop(100, 100, 1)
    deadline = Deadline(20.0)
    bound = bounds.lower_bound(problem, deadline)
    assert bound >= bounds.machine_bound(problem)
    assert deadline.elapsed() < 10


@pytest.mark.slow
def test_a_million_operations_within_the_time():
    problem = generators.job_shop(1000, 1000, 1)
    result = op.solve(problem, time_limit=150, workers=2)
    assert result.status is op.Status.FEASIBLE
    assert result.time < 155
    assert isinstance(problem, JobShop)
    assert result.objective < 1.7 * result.bound


def test_a_classic_shop_of_two_thousand_operations_is_searched_as_a_whole() -> None:
    problem = op.load("ta71")
    assert search.window_size(problem) == problem.n_ops == 2000


@pytest.mark.slow
def test_a_hundred_thousand_operations_have_a_schedule_within_ten_seconds() -> None:
    problem = generators.job_shop(1000, 100)
    search.warm_up().join()
    with op.stream(problem, time_limit=60, workers=2) as events:
        first = next(event for event in events if event.objective is not None)
    print(f"1000 x 100: {first.objective} after {first.time:.1f} s")
    assert first.time < 10
    assert problem.check(events.result.solution) == []
