"""The family's own search for short makespans: two populations, and annealing over modes.

Single-mode instances go to a genetic algorithm with a population of left- and one of
right-justified schedules (Debels and Vanhoucke 2005); multi-mode ones to simulated annealing
(Bouleimen and Lecocq 2003). The kernels run in slices; between them this driver looks at the
clock, offers what was found and takes over what others have found.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np

from optsched.core import CannotExpressError, InputError, IntArray, Number, ProvenInfeasible
from optsched.problems.rcpsp import bounds, kernels, modes
from optsched.problems.rcpsp.network import network
from optsched.problems.rcpsp.problem import Rcpsp
from optsched.problems.rcpsp.project_arrays import Arrays
from optsched.result import StopReason
from optsched.session import Session

#: Features that this search can express, by the names of `Rcpsp.features`.
SUPPORTS: frozenset[str] = frozenset(
    {
        "modes", "non-renewable resources", "capacity profiles", "lags", "release dates",
        "disjunctive", "objective makespan",
    }
)  # fmt: skip
#: Members of each population; a stagnant one is followed by one so many times as large, up to a
#: limit.
SIZE, GROWTH, SIZE_MOST = 40, 4, 2560
#: Where a prover waits for the core, the search of projects of at most so many activities ends with
#: a population of this size that has not found anything better; larger ones are rarely refuted.
REST_TO, SIZE_REST = 80, 160
#: Schedules without improvement after which a population starts anew, a member.
PATIENCE = 500
#: Seconds for the bound between two populations.
BOUND_SECONDS = 2.0
#: Schedules of one annealing, an activity; each is followed by one twice as long, up to a limit.
ANNEALING, ANNEALING_MOST = 200, 20_000
#: Temperatures of annealing, in units of time.
HOT, COLD = 3.0, 0.15
#: Seconds that a kernel may run before the driver looks at the clock again.
SLICE = 0.03
#: Schedules a second times activities: an estimate that turns effort into schedules.
ACTIVITIES_PER_SECOND = 6_000_000


class _Stop(Exception):
    """The session has stopped, or the schedules are used up."""


class _Driver:
    """What both searches share: the budget and the talk with the session."""

    def __init__(
        self,
        problem: Rcpsp,
        session: Session,
        seed: int,
        most: int | None,
        continued: bool,
        rest: bool,
    ) -> None:
        self.problem = problem
        self.rest = rest
        self.session = session
        self.random = np.random.default_rng(seed)
        self.state = self.random.integers(1, 2**62, 1).astype(np.uint64)
        self.most = most
        self.made = 0
        self.net = network(problem)
        self.slice = max(20, min(2000, 100_000 // problem.n_activities))
        self.best = 2**50
        self.continued = continued

    def sliced(self, work: Callable[[int], int]) -> None:
        """Run one slice of schedules and look at clock and budget."""
        steps = self.slice
        if self.most is not None:
            steps = min(steps, self.most - self.made)
            if steps <= 0:
                raise _Stop
        began = time.perf_counter()
        self.made += work(steps)
        spent = time.perf_counter() - began
        if self.session.stopped:
            raise _Stop
        # Slices do not change what the search does, only how often the clock is read.
        self.slice = int(np.clip(steps * SLICE / max(spent, 1e-4), steps // 2 + 1, 2 * steps))

    def offer(self, arrays: Arrays, value: int, start: IntArray, source: str) -> None:
        """Offer a schedule to the session when it is the best so far."""
        self.best = min(self.best, value)
        objective = self.session.objective
        if objective is None or value < objective:
            self.session.offer(arrays.solution(start), source, claimed=value)

    def target(self) -> int:
        """Return the makespan that needs no improvement."""
        return -1 if self.session.bound is None else int(self.session.bound)


class _Genetic(_Driver):
    """Two populations of one single-mode instance."""

    def run(self) -> None:
        """Evolve until `_Stop`."""
        self.arrays = Arrays(self.problem)
        n = self.problem.n_activities
        self.top = np.zeros(n, dtype=np.int64)
        size = SIZE
        first = True
        weighed: Number | None = None
        while True:
            before = self.best
            self.start_population(size)
            self.adopt(force=first and self.continued)
            first = False
            while self.record[3] < PATIENCE * size:
                self.sliced(self.evolve)
                if self.record[0] < self.best:
                    self.offer(self.arrays, int(self.record[0]), self.top, "genetic")
                self.adopt()
            if not self.continued and self.session.bound != weighed:
                # A search that has come to rest leaves time for the bound.
                bounds.improve(self.problem, self.session, BOUND_SECONDS)
                weighed = self.session.bound
            rested = size >= SIZE_REST and self.best >= before
            if self.rest and rested and not patient(self.problem):
                raise _Stop
            size = min(GROWTH * size, SIZE_MOST)

    def start_population(self, size: int) -> None:
        """Fill both populations with schedules of random orders around the longest tail."""
        arrays, n = self.arrays, self.problem.n_activities
        self.members = np.zeros((2, size, n), dtype=np.int64)
        self.values = np.zeros((2, size), dtype=np.int64)
        self.record = np.array([kernels.NOWHERE, 0, 0, 0], dtype=np.int64)
        start = np.empty(n, dtype=np.int64)
        tail = self.net.tail
        data = (arrays.duration, arrays.demand)
        for member in range(size):
            spread = 1 + int(tail.max() * self.random.random())
            key = self.random.integers(0, spread, n) - tail
            value = kernels.serial(key, *data, *arrays.forward.parts, *arrays.room, start)
            self.made += 2
            if value >= kernels.NOWHERE:
                raise _Stop
            self.members[0, member], self.values[0, member] = start, value
            if value < self.record[0]:
                self.record[0] = value
                self.top[:] = start
            kernels.mirrored(start, arrays.duration, value, key)
            value = kernels.serial(key, *data, *arrays.mirrored.parts, *arrays.room, start)
            self.members[1, member], self.values[1, member] = start, value
            if self.session.stopped:
                raise _Stop
        if self.record[0] < self.best:
            self.offer(arrays, int(self.record[0]), self.top, "genetic")
        best = min(self.best, int(self.record[0]))
        # Members may be this much worse than the best before they find no room.
        arrays.shorten(int(2 * best) + int(self.net.longest.max()) + 2)

    def evolve(self, steps: int) -> int:
        """Make some schedules."""
        forward, mirrored = self.arrays.forward, self.arrays.mirrored
        done: int = kernels.evolve(
            steps, self.target(), self.members, self.values, self.top, self.record, self.state,
            self.arrays.duration, self.arrays.demand,
            forward.free, forward.release, *forward.parts[2:],
            *mirrored.parts[2:], mirrored.free, mirrored.release, *self.arrays.room,
        )  # fmt: skip
        if done < steps and self.record[0] <= self.target():
            # Nothing is left to find; the session will stop when it has heard of it.
            self.offer(self.arrays, int(self.record[0]), self.top, "genetic")
            raise _Stop
        return done

    def adopt(self, *, force: bool = False) -> None:
        """Take the better schedule of somebody else into the population."""
        solution = self.session.solution
        if solution is None:
            return
        objective = self.problem.objective(solution)
        if not (force or objective < self.best) or objective >= self.record[0]:
            return
        worst = int(np.argmax(self.values[0]))
        self.best = min(self.best, objective)
        self.members[0, worst], self.values[0, worst] = solution.start, objective
        self.record[0], self.record[3] = objective, 0
        self.top[:] = solution.start


class _Annealing(_Driver):
    """Simulated annealing over modes and orders."""

    def run(self) -> None:
        """Anneal until `_Stop`, longer each time."""
        problem = self.problem
        n = problem.n_activities
        chosen = modes.initial(problem, self.net, int(self.random.integers(2**31)))
        if self.session.solution is not None:
            chosen = self.session.solution.mode
        if chosen is None:
            chosen = np.zeros(n, dtype=np.int64)
        arrays = Arrays(problem, chosen)
        length = ANNEALING
        while True:
            self.anneal(arrays, chosen + problem.mode_offset[:-1], length * n)
            length = min(2 * length, ANNEALING_MOST)
            if self.session.solution is not None:
                chosen = self.session.solution.mode

    def anneal(self, arrays: Arrays, mode: IntArray, length: int) -> None:
        """Run one annealing of `length` schedules."""
        problem, n = self.problem, self.problem.n_activities
        i, _, kind, least = problem.lag.T
        order = np.argsort(i, kind="stable")
        lags = tuple(np.ascontiguousarray(x[order]) for x in (kind, least, i))
        kept, scarce = np.flatnonzero(problem.renewable), np.flatnonzero(~problem.renewable)
        demand = problem.mode_demand[:, kept]
        owner = np.repeat(np.arange(n), np.diff(problem.mode_offset))
        groups = [np.isin(owner, group).astype(np.int64)[:, None] for group in problem.groups()]
        table = np.ascontiguousarray(np.concatenate([demand, *groups], axis=1))
        stock = np.array([problem.profile(k)[1][0] for k in scarce.tolist()], dtype=np.int64)
        key = (int(self.net.tail.max()) - self.net.tail).astype(np.int64)
        mode = mode.copy()
        best_mode, start = mode.copy(), np.zeros(n, dtype=np.int64)
        record = np.array([2**48, 2**48], dtype=np.int64)
        forward = arrays.forward
        done = 0
        while done < length:
            hot = HOT * (COLD / HOT) ** (done / length)

            def work(steps: int, hot: float = hot, done: int = done) -> int:
                steps = min(steps, length - done)
                cold = HOT * (COLD / HOT) ** ((done + steps) / length)
                modes.anneal(
                    steps, hot, cold, key, mode, best_mode, start, record, self.state,
                    problem.mode_offset, problem.mode_duration, table,
                    np.ascontiguousarray(problem.mode_demand[:, scarce]), self.net.usable,
                    stock, *lags, forward.free, forward.release, forward.first, forward.after,
                    forward.waiting, *arrays.room,
                )  # fmt: skip
                return steps

            before = self.made
            self.sliced(work)
            done += self.made - before
            if record[0] < self.best and record[0] < modes.PENALTY * 1000:
                found = Arrays.solution(_in_modes(arrays, best_mode), start)
                if not problem.check(found):
                    self.best = int(record[0])
                    self.session.offer(found, "annealing")
            if self.session.stopped:
                raise _Stop


def _in_modes(arrays: Arrays, mode: IntArray) -> Arrays:
    return Arrays(arrays.problem, mode - arrays.problem.mode_offset[:-1])


def patient(problem: Rcpsp) -> bool:
    """Return whether the instance will hardly be solved to the end where that is not easy.

    The search then never rests, and the prover goes on asking for better bounds.
    """
    return problem.n_activities > REST_TO


def run(
    problem: Rcpsp,
    session: Session,
    *,
    seed: int,
    max_schedules: int | None = None,
    effort: float | None = None,
    rest: bool = False,
) -> StopReason:
    """Search until the session stops or `max_schedules` schedules are made.

    Parameters
    ----------
    problem : Rcpsp
        Features within `SUPPORTS`.
    session : Session
        Receives every improvement; its incumbents from elsewhere are taken over.
    seed : int
        Same seed and same `max_schedules`, and nobody else in the session: same result.
    max_schedules : int, optional
        Limit on the schedules made.
    effort : float, optional
        The same in deterministic seconds, about as long as real ones; the search then begins
        with the session's incumbent.
    rest : bool
        Whether to end, too, when a population of some size has come to rest without a better
        schedule: its core then serves a prover better.

    Returns
    -------
    StopReason
        STEPS when the schedules are used up; otherwise what stopped the session.

    Raises
    ------
    CannotExpressError
        When the problem has features beyond `SUPPORTS`.
    """
    if unknown := sorted(problem.features() - SUPPORTS):
        raise CannotExpressError(f"the project scheduling search cannot express: {unknown}")
    continued = effort is not None
    if effort is not None:
        max_schedules = max(200, round(effort * ACTIVITIES_PER_SECOND / problem.n_activities))
        seed += round(1000 * effort)  # turns differ in effort, and should in their random choices
    kind = _Annealing if problem.n_modes > problem.n_activities else _Genetic
    if "non-renewable resources" in problem.features():
        kind = _Annealing
    try:
        kind(problem, session, seed, max_schedules, continued, rest).run()
    except ProvenInfeasible as reason:
        session.prove_infeasible("presolve", str(reason))
    except (_Stop, InputError):  # a horizon too long for this search: nothing
        pass
    if not session.stopped:
        return StopReason.STEPS
    return session.outcome(StopReason.STEPS)[1]


def warm_up() -> threading.Thread:
    """Compile the kernels, or load them from the cache, in a background thread; return it."""
    thread = threading.Thread(target=_compile, name="optsched-warm-up", daemon=True)
    thread.start()
    return thread


def _compile() -> None:
    from optsched.core import Deadline

    for modes_of_first in ([(1, [1])], [(1, [1]), (2, [0])]):
        problem = Rcpsp([modes_of_first, (1, [1]), (1, [0])], [1], [(0, 1)])
        run(problem, Session(problem, Deadline()), seed=0, max_schedules=100)
