"""The job shop's own search: tabu search and path relinking on the disjunctive graph.

A population of schedules is improved by tabu search (N7 of Zhang et al. 2007; in flexible shops
also the k-insertion of Mastrolilli and Gambardella 2000) and recombined by path relinking (Peng,
Lu and Cheng 2015; González, Vela and Varela 2015). The kernels run in slices of some 30 ms; between
them this driver looks at the clock, offers what was found and takes over what others have found.

Long schedules, of thousands of operations, are improved in windows of the order instead, one after
the other from front to back, since a move then costs no more than in a small shop.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from optsched.core import CannotExpressError
from optsched.problems.job_shop.population import MOST, Population
from optsched.problems.job_shop.problem import JobShop, JobShopSolution
from optsched.result import StopReason
from optsched.search import portfolio
from optsched.session import Session

if TYPE_CHECKING:
    from optsched.problems.job_shop.shop import Order, Shop

#: Features that this search can express, by the names of `JobShop.features`.
SUPPORTS: frozenset[str] = frozenset(
    {
        "flexible",
        "release dates",
        "lags",
        "transport",
        "objective makespan",
        "objective maximum_lateness",
    }
)
#: Moves without improvement after which a tabu search ends: so many an operation, within limits.
PATIENCE, PATIENCE_LEAST, PATIENCE_MOST = 50, 12_500, 50_000
#: The first tabu search, from the given start, is so many times as patient.
FIRST = 20
#: Seconds that a kernel may run before the driver looks at the clock again.
SLICE = 0.03
#: Moves times operations of a slice, before there is a measurement.
SLICE_STEPS = 2_000_000
#: Moves a second times operations: an estimate that turns effort into a number of moves.
OPERATIONS_PER_SECOND = 60_000_000


#: Classic shops of more operations than this are searched in windows of so many operations a
#: machine, and so are flexible ones that are left to the search alone (measured). A classic shop of
#: 2,000 often falls to one search of the whole.
WINDOW_FROM, WINDOW = 3000, 30
#: Moves in a window, an operation of it, at first and at most; they double when a sweep gains
#: little. Windows without a move to make are done at once, so nothing else would end the doubling.
EFFORT_FIRST, EFFORT_MOST = 0.5, 4096.0
#: In flexible shops of at most so many operations sweeps end at this effort, and populations go on:
#: so many schedules are made afresh, and so many kept. Longer ones gain more by thorough sweeps.
SETTLED_TO, EFFORT_SETTLED, SETTLED_FIRST, SETTLED_MOST = 1000, 32.0, 6, 16
#: Share by which a sweep must shorten the schedule, lest the next one be more thorough.
WORTHWHILE = 0.002
#: Shops of more operations or alternatives than this are left to the search alone.
ALONE_FROM = 3000
#: Seconds between two offers of a long search, as a multiple of what an offer takes.
OFFER_PAUSE = 10.0

Window = tuple[int, int]


def window_size(problem: JobShop) -> int:
    """Return how many operations a tabu search looks at at once; all of them in small shops."""
    if problem.n_ops <= WINDOW_FROM and not (problem.flexible and alone(problem)):
        return problem.n_ops
    return min(problem.n_ops, WINDOW * problem.n_machines)


def settles(problem: JobShop) -> bool:
    """Return whether schedules that sweeps have settled are recombined: in long flexible shops."""
    long = window_size(problem) < problem.n_ops
    return long and problem.flexible and problem.n_ops <= SETTLED_TO


class _Stop(Exception):
    """The session has stopped, or the moves are used up."""


class _Driver:
    """One run: the budget, and the talk with the session and with the population."""

    def __init__(
        self,
        shop: Shop,
        session: Session,
        seed: int,
        max_moves: int | None,
        workers: int = 1,
        population: Population | None = None,
    ) -> None:
        self.shop = shop
        self.session = session
        self.random = np.random.default_rng(seed)
        self.max_moves = max_moves
        self.moves = 0
        self.slice = max(1, min(5000, SLICE_STEPS // shop.problem.n_ops))
        self.patience = int(np.clip(PATIENCE * shop.problem.n_ops, PATIENCE_LEAST, PATIENCE_MOST))
        self.population = population or Population()
        self.window = window_size(shop.problem)
        #: Whether the schedule is searched in windows.
        self.long = self.window < shop.problem.n_ops
        self.next_offer = 0.0
        #: One a core, for windows that are searched side by side.
        self.shops = [shop]
        if self.long:
            self.shops += [shop.twin(seed + k) for k in range(1, workers)]
        self.threads = ThreadPoolExecutor(max(1, len(self.shops) - 1), "optsched window")

    def offer(self, value: int, order: Order, source: str) -> None:
        """Offer a schedule to the session when it is the best so far."""
        if value < self.population.best:
            self.population.best = value
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
            began = time.perf_counter()
            done = shop.search(moves, self.target())
            spent = time.perf_counter() - began
            self.moves += done
            if shop.best < self.population.best:
                self.offer(shop.best, shop.best_order(), source)
            if session.stopped or (self.max_moves is not None and self.moves >= self.max_moves):
                raise _Stop
            if done < moves or self.beaten():
                return shop.best, shop.best_order()
            # Slices do not change what the search does, only how often the clock is read.
            self.slice = int(np.clip(moves * SLICE / max(spent, 1e-4), moves // 2 + 1, 2 * moves))

    def sweep(self, order: Order, effort: float, source: str) -> Order:
        """Improve a schedule window after window, from its beginning to its end.

        What is before a window keeps its heads and what is behind keeps its tails, so a move
        costs what the window costs, however long the schedule; and a window that gets shorter
        shortens the schedule, as far as no longest path goes round it. `effort` is the number of
        moves in a window, an operation of it.

        With several cores each takes a stretch of the schedule, and windows that lie apart are
        searched side by side. What was found in them is put together one by one, as long as the
        whole gets no longer: all windows are parts of one linear order, so it remains one.
        """
        shop, n = self.shop, self.shop.problem.n_ops
        size = min(n, self.window)
        limit = max(1, round(effort * size))
        step = max(1, size // 2)
        order = shop.by_start(order)
        lows = range(-int(self.random.integers(step)), n, step)
        windows = [(max(0, low), min(n, low + size)) for low in lows]
        windows = [(low, high) for low, high in windows if high - low >= 2]
        for batch in _batches(windows, len(self.shops)):
            if self.beaten():
                break
            order = self.search_windows(order, batch, limit)
            began = time.perf_counter()
            if began > self.next_offer:
                self.offer(shop.load(order), order, source)
                now = time.perf_counter()
                self.next_offer = now + OFFER_PAUSE * (now - began)
        self.offer(shop.load(order), order, source)
        return order

    def search_windows(self, order: Order, windows: list[Window], limit: int) -> Order:
        """Improve windows that lie apart side by side, with `limit` moves in each."""
        first, *others = zip(self.shops, windows, strict=False)
        running = [
            self.threads.submit(self.search_window, shop, order, window, limit)
            for shop, window in others
        ]
        found = [self.search_window(first[0], order, first[1], limit)]
        found += [future.result() for future in running]
        self.moves += sum(done for done, _ in found)
        merged = found[0][1]
        if others:
            value = self.shop.load(merged)
            for (_, better), (_, window) in zip(found[1:], others, strict=True):
                candidate = self.shop.merged(merged, better, window)
                longer = self.shop.load(candidate)
                if longer <= value:
                    merged, value = candidate, longer
        if self.session.stopped or (self.max_moves is not None and self.moves >= self.max_moves):
            self.offer(self.shop.load(merged), merged, "window tabu")
            raise _Stop
        return merged

    def search_window(
        self, shop: Shop, order: Order, window: Window, limit: int
    ) -> tuple[int, Order]:
        """Improve one window; return the moves made and the schedule."""
        shop.begin(order, max(1, limit // 4), window)
        if self.max_moves is not None:
            limit = min(limit, self.max_moves - self.moves)
        # Some ten milliseconds between two looks at the clock.
        most = max(1, SLICE_STEPS // (window[1] - window[0]))
        done = 0
        while done < limit and not self.session.stopped:
            moves = min(most, limit - done)
            made = shop.search(moves, self.target())
            done += made
            if made < moves:
                break
        return done, shop.best_order()

    def target(self) -> int:
        """Return the longest path that needs no improvement, -1 where nothing is known."""
        bound = self.session.bound
        return -1 if bound is None else int(bound) + self.shop.offset

    def beaten(self) -> bool:
        """Return whether somebody else has found a better schedule."""
        objective = self.session.objective
        return objective is not None and objective + self.shop.offset < self.population.best

    def adopt(self) -> None:
        """Go on from the better schedule of somebody else."""
        if self.beaten():
            order = self.shop.order(self.session.solution)
            self.offer(self.shop.load(order), order, "tabu")  # shifting to the left may gain
            self.insert(*self.polish(order, self.patience, "tabu"))

    def insert(self, value: int, order: Order) -> None:
        """Put a schedule into the population."""
        self.population.insert(value, order, self.shop.distance)

    def run_long(self, order: Order) -> NoReturn:
        """Search in a long schedule until `_Stop`: sweeps of windows, whose borders change.

        Sweeps are quick as long as they gain; then they get more and more thorough.
        """
        effort = EFFORT_FIRST
        while True:
            before = self.population.best
            for shop in self.shops:
                shop.reprice(order)
            order = self.sweep(order, effort, "window tabu")
            if self.beaten():  # the sweep broke off, which says nothing about its effort
                order = self.shop.order(self.session.solution)
            elif self.population.best > (1 - WORTHWHILE) * before:
                effort = min(2 * effort, EFFORT_MOST)

    def settle(self, order: Order) -> tuple[int, Order]:
        """Sweep over a schedule until that gains little."""
        effort, value = EFFORT_FIRST, self.shop.load(order)
        while effort <= EFFORT_SETTLED and not self.beaten():
            order = self.sweep(order, effort, "window tabu")
            shorter = self.shop.load(order)
            if shorter > (1 - WORTHWHILE) * value:
                effort *= 2
            value = shorter
        return value, order

    def polish(self, order: Order, patience: int, source: str) -> tuple[int, Order]:
        """Bring a schedule to a local optimum, in windows where it is long."""
        return self.settle(order) if self.long else self.improve(order, patience, source)

    def run(self, start: JobShopSolution | None) -> None:
        """Search until `_Stop`."""
        shop = self.shop
        if start is None and self.long:
            start = self.session.solution  # better than what the search would begin with
        order = shop.dispatch(0.0) if start is None else shop.order(start)
        self.offer(shop.load(order), order, "dispatching")
        if self.beaten():
            order = shop.order(self.session.solution)
            self.offer(shop.load(order), order, "tabu")
        if self.long and not settles(shop.problem):
            self.run_long(order)
        self.population.apart = float(shop.distance(order, shop.dispatch(0.5)))
        self.insert(*self.polish(order, FIRST * self.patience, "tabu"))
        self.breed()

    def breed(self) -> NoReturn:
        """Recombine the schedules of the population until `_Stop`; first make some afresh."""
        shop, population = self.shop, self.population
        fresh = SETTLED_FIRST if self.long else MOST
        while True:
            self.adopt()
            members = population.members
            if len(members) < min(population.size, fresh):
                self.insert(*self.polish(shop.dispatch(0.5), self.patience, "tabu"))
                continue
            a, b = self.random.choice(len(members), 2, replace=False)
            share = float(self.random.uniform(0.3, 0.7))
            child = shop.relink(members[a][1], members[b][1], share)
            self.insert(*self.polish(child, self.patience, "path relinking"))


def _batches(windows: list[Window], cores: int) -> list[list[Window]]:
    """Return the windows in batches of such that lie apart: one of each core's stretch."""
    each = max(2, -(-len(windows) // cores))
    stretches = [windows[k : k + each] for k in range(0, len(windows), each)]
    return [[s[k] for s in stretches if k < len(s)] for k in range(each) if k < len(windows)]


def run(
    problem: JobShop,
    session: Session,
    *,
    seed: int,
    max_moves: int | None = None,
    effort: float | None = None,
    start: JobShopSolution | None = None,
    workers: int = 1,
) -> StopReason:
    """Search until the session stops or `max_moves` moves are made.

    Parameters
    ----------
    problem : JobShop
        Features within `SUPPORTS`.
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
    workers : int
        Cores: for windows side by side where the schedule is long, else for searches of their own.

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
    if workers > 1 and window_size(problem) == problem.n_ops:

        def search(k: int, _: float | None) -> StopReason:
            return run(problem, session, seed=seed + k, max_moves=max_moves, start=start)

        return portfolio.run_alone(session, [partial(search, k) for k in range(workers)])
    shop = _shop(problem, session, seed)
    if settles(problem):
        population = Population(SETTLED_MOST)
        drivers = [
            _Driver(shop.twin(seed + k) if k else shop, session, seed + k, max_moves, 1, population)
            for k in range(workers)
        ]

        def settled(k: int, _: float | None) -> None:
            with contextlib.suppress(_Stop):
                drivers[k].breed() if k else drivers[0].run(start)

        return portfolio.run_alone(session, [partial(settled, k) for k in range(workers)])
    driver = _Driver(shop, session, seed, max_moves, workers)
    with contextlib.suppress(_Stop), driver.threads:
        driver.run(start)
    if not session.stopped:
        return StopReason.STEPS
    return session.outcome(StopReason.STEPS)[1]


def _shop(problem: JobShop, session: Session, seed: int) -> Shop:
    """Return the matrices of the kernels; the import compiles these."""
    if problem.flexible:
        from optsched.problems.job_shop.flexible import FlexibleShop

        return FlexibleShop(problem, seed, session.deadline)
    from optsched.problems.job_shop.shop import Shop

    return Shop(problem, seed)


def alone(problem: JobShop) -> bool:
    """Return whether the search makes better use of all cores than a prover beside it.

    The models of such shops take long to build, and CP-SAT neither refutes nor finds anything.
    """
    return problem.n_ops > ALONE_FROM or len(problem.alt_machine) > ALONE_FROM


def warm_up() -> threading.Thread:
    """Compile the kernels, or load them from the cache, in a background thread; return it."""
    thread = threading.Thread(target=_compile, name="optsched-warm-up", daemon=True)
    thread.start()
    return thread


def _compile() -> None:
    importlib.import_module("optsched.problems.job_shop.flexible")
