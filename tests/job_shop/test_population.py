"""The population that searches of a run share, and the prices that follow a schedule's loads."""

from __future__ import annotations

import threading

import numpy as np

from optsched.datasets import generators
from optsched.problems.job_shop import flexible_kernels as fk
from optsched.problems.job_shop import population
from optsched.problems.job_shop.flexible import FlexibleShop
from optsched.problems.job_shop.population import Population
from optsched.problems.job_shop.problem import JobShop


def apart(a: np.ndarray, b: np.ndarray) -> int:
    return int((a != b).sum())


def row(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.uint32)


def test_the_worst_goes_and_copies_do_not_come():
    group = Population(2)
    group.apart = 8.0
    for value, order in ((20, row(0, 0, 0, 0)), (10, row(1, 1, 1, 1)), (15, row(2, 2, 2, 2))):
        group.insert(value, order, apart)
    assert sorted(value for value, _ in group.members) == [10, 15]
    group.insert(30, row(3, 3, 3, 3), apart)  # worse than all
    assert sorted(value for value, _ in group.members) == [10, 15]
    group.insert(9, row(1, 1, 1, 0), apart)  # nearly the one of 10: takes its place
    assert sorted(value for value, _ in group.members) == [9, 15]
    group.insert(12, row(1, 1, 1, 0), apart)  # a worse copy
    assert sorted(value for value, _ in group.members) == [9, 15]
    assert group.size == population.FIRST + 2  # two copies have told that it has converged


def test_a_population_grows_up_to_a_limit():
    group = Population()
    for _ in range(population.COPIES * (population.MOST + 5)):
        group.insert(1, row(0, 0), apart)
    assert len(group.members) == 1
    assert group.size == population.MOST


def test_several_threads_share_a_population():
    group = Population(5)
    group.apart = 100.0

    def insert(seed: int) -> None:
        random = np.random.default_rng(seed)
        for _ in range(300):
            order = random.integers(0, 1000, 20).astype(np.uint32)
            group.insert(int(order.sum()), order, apart)

    threads = [threading.Thread(target=insert, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(group.members) == 5
    assert all(value == order.sum() for value, order in group.members)


def test_prices_follow_the_loads():
    shop = FlexibleShop(JobShop([[[(0, 10), (1, 10)]] for _ in range(4)]), 1)
    even = shop.dispatch(0.0).copy()
    even[4:] = [0, 2, 5, 7]
    shop.reprice(even)
    regret = shop.tables[7]
    assert (regret == 0).all()
    crowded = even.copy()
    crowded[4:] = [0, 2, 4, 7]  # three of four on the first machine
    shop.reprice(crowded)
    assert (regret[0::2] > 0).all()
    assert (regret[1::2] == 0).all()
    crowded[4:] = [0, 2, 4, 6]  # all there: the other one costs nothing
    shop.reprice(crowded)
    assert (regret[1::2] == 0).all()


def test_prices_do_not_change_what_a_schedule_is_worth():
    problem = generators.flexible_job_shop(6, 4, 10, 3)
    shop = FlexibleShop(problem, 1)
    order = shop.dispatch(0.5)
    before = shop.load(order)
    shop.reprice(order)
    assert shop.load(order) == before
    shop.begin(order, 1000)
    shop.search(500, -1)
    solution = shop.solution(shop.best_order())
    assert problem.check(solution) == []
    assert problem.objective(solution) == shop.ctl[fk.K.C_BEST] <= before
