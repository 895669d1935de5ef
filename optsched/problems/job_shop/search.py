"""The job shop's own search: tabu search and path relinking on the disjunctive graph.

A population of schedules is improved by tabu search (N7 of Zhang et al. 2007) and recombined by
path relinking (Peng, Lu and Cheng 2015). The kernels run in slices of some 30 ms; between them
this driver looks at the clock, offers what was found and takes over what others have found.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
import time
from typing import TYPE_CHECKING

import numpy as np

from optsched.core import CannotExpressError
from optsched.problems.job_shop.problem import JobShop, JobShopSolution
from optsched.result import StopReason
from optsched.session import Session

if TYPE_CHECKING:
    from optsched.problems.job_shop.shop import Order, Shop

#: Features that this search can express, by the names of `JobShop.features`.
SUPPORTS: frozenset[str] = frozenset(
    {
        "release dates",
        "lags",
        "transport",
        "objective makespan",
        "objective maximum_lateness",
    }
)
#: The population starts small, so that a short run gets to relinking, and grows as it converges:
#: quickly up to a size that serves half a minute well, then by one every so many near copies.
POPULATION_FIRST, POPULATION_QUICK, POPULATION_MOST, COPIES = 4, 10, 30, 25
#: Moves without improvement after which a tabu search ends: so many an operation, within limits.
PATIENCE, PATIENCE_LEAST, PATIENCE_MOST = 50, 12_500, 50_000
#: The first tabu search, from the given start, is so many times as patient.
FIRST = 20
#: Share of the distance of independent local optima below which two schedules count as copies.
NEAR = 0.04
#: Seconds that a kernel may run before the driver looks at the clock again.
SLICE = 0.03
#: Moves a second times operations: an estimate that turns effort into a number of moves.
OPERATIONS_PER_SECOND = 60_000_000


class _Stop(Exception):
    """The session has stopped, or the moves are used up."""


class _Driver:
    """One run: the population, the budget and the talk with the session."""

    def __init__(self, shop: Shop, session: Session, seed: int, max_moves: int | None) -> None:
        self.shop = shop
        self.session = session
        self.random = np.random.default_rng(seed)
        self.max_moves = max_moves
        self.moves = 0
        self.slice = max(1, min(5000, 2_000_000 // shop.problem.n_ops))
        self.patience = int(np.clip(PATIENCE * shop.problem.n_ops, PATIENCE_LEAST, PATIENCE_MOST))
        self.size = POPULATION_FIRST
        self.copies = 0
        self.pool: list[tuple[int, Order]] = []
        self.apart = 0.0  # distance of two independent schedules
        self.best = int(np.iinfo(np.int64).max)

    def offer(self, value: int, order: Order, source: str) -> None:
        """Offer a schedule to the session when it is the best so far."""
        if value < self.best:
            self.best = value
            objective = self.session.objective
            if objective is None or value - self.shop.offset < objective:
                solution = self.shop.solution(order)
                self.session.offer(solution, source, claimed=value - self.shop.offset)

    def improve(self, order: Order, patience: int, source: str) -> tuple[int, Order]:
        """Run a tabu search to its end; offer what it finds on the way."""
        shop, session = self.shop, self.session
        shop.begin(order, patience)
        while True:
            moves = self.slice
            if self.max_moves is not None:
                moves = min(moves, self.max_moves - self.moves)
            bound = session.bound
            began = time.perf_counter()
            done = shop.search(moves, -1 if bound is None else int(bound) + shop.offset)
            spent = time.perf_counter() - began
            self.moves += done
            if shop.best < self.best:
                self.offer(shop.best, shop.best_order(), source)
            if session.stopped or (self.max_moves is not None and self.moves >= self.max_moves):
                raise _Stop
            if done < moves or self.beaten():
                return shop.best, shop.best_order()
            # Slices do not change what the search does, only how often the clock is read.
            self.slice = int(np.clip(moves * SLICE / max(spent, 1e-4), moves // 2 + 1, 2 * moves))

    def beaten(self) -> bool:
        """Return whether somebody else has found a better schedule."""
        objective = self.session.objective
        return objective is not None and objective + self.shop.offset < self.best

    def adopt(self) -> None:
        """Go on from the better schedule of somebody else."""
        if self.beaten():
            order = self.shop.order(self.session.solution)
            self.offer(self.shop.load(order), order, "tabu")  # shifting to the left may gain
            self.insert(*self.improve(order, self.patience, "tabu"))

    def insert(self, value: int, order: Order) -> None:
        """Put a schedule into the population: no near copies, the worst one goes.

        A near copy of a member tells that the population has converged: it may grow.
        """
        pool = self.pool
        apart = [self.shop.distance(order, other) for _, other in pool]
        if apart and min(apart) < max(2.0, NEAR * self.apart):
            near = int(np.argmin(apart))
            if value <= pool[near][0]:
                pool[near] = (value, order)
            self.copies += 1
            quick = min(POPULATION_FIRST + self.copies, POPULATION_QUICK)
            self.size = min(max(quick, self.copies // COPIES), POPULATION_MOST)
            return
        if len(pool) >= self.size:
            worst = max(range(len(pool)), key=lambda k: pool[k][0])
            if value > pool[worst][0]:
                return
            del pool[worst]
        pool.append((value, order))

    def run(self, start: JobShopSolution | None) -> None:
        """Search until `_Stop`."""
        shop = self.shop
        order = shop.dispatch(0.0) if start is None else shop.order(start)
        self.offer(shop.load(order), order, "dispatching")
        if self.beaten():
            order = shop.order(self.session.solution)
            self.offer(shop.load(order), order, "tabu")
        self.apart = float(shop.distance(order, shop.dispatch(0.5)))
        self.insert(*self.improve(order, FIRST * self.patience, "tabu"))
        while True:
            self.adopt()
            if len(self.pool) < self.size:
                self.insert(*self.improve(shop.dispatch(0.5), self.patience, "tabu"))
                continue
            a, b = self.random.choice(len(self.pool), 2, replace=False)
            share = float(self.random.uniform(0.3, 0.7))
            child = shop.relink(self.pool[a][1], self.pool[b][1], share)
            self.insert(*self.improve(child, self.patience, "path relinking"))


def run(
    problem: JobShop,
    session: Session,
    *,
    seed: int,
    max_moves: int | None = None,
    effort: float | None = None,
    start: JobShopSolution | None = None,
) -> StopReason:
    """Search until the session stops or `max_moves` moves are made.

    Parameters
    ----------
    problem : JobShop
        One machine an operation; features within `SUPPORTS`.
    session : Session
        Receives every improvement; its incumbents from elsewhere are taken over.
    seed : int
        Same seed and same `max_moves`, and nobody else in the session: same result.
    max_moves : int, optional
        Limit on the moves of all tabu searches together.
    effort : float, optional
        The same in deterministic seconds, about as long as real ones; the search then begins
        with the session's incumbent.
    start : JobShopSolution, optional
        A feasible schedule to begin with; default is a dispatching rule.

    Returns
    -------
    StopReason
        STEPS when the moves are used up; otherwise what stopped the session.

    Raises
    ------
    CannotExpressError
        When the problem has features beyond `SUPPORTS`.
    """
    if unknown := sorted(problem.features() - SUPPORTS):
        raise CannotExpressError(f"the job-shop search cannot express: {', '.join(unknown)}")
    if effort is not None:
        max_moves = max(1000, round(effort * OPERATIONS_PER_SECOND / problem.n_ops))
        start = session.solution if start is None else start
        seed += round(1000 * effort)  # turns differ in effort, and should in their random choices
    from optsched.problems.job_shop.shop import Shop  # compiles on import

    driver = _Driver(Shop(problem, seed), session, seed, max_moves)
    with contextlib.suppress(_Stop):
        driver.run(start)
    if not session.stopped:
        return StopReason.STEPS
    return session.outcome(StopReason.STEPS)[1]


def warm_up() -> threading.Thread:
    """Compile the kernels, or load them from the cache, in a background thread; return it."""
    thread = threading.Thread(target=_compile, name="optsched-warm-up", daemon=True)
    thread.start()
    return thread


def _compile() -> None:
    importlib.import_module("optsched.problems.job_shop.shop")
