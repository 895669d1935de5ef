"""Lower bounds before any search: critical path, energy with heads and tails, cliques.

The makespan bound is destructive (Klein and Scholl 1999): a trial value that windows, orders of
conflicting pairs and energetic reasoning refute is below the optimum. What these leave is refuted
by weights over all resources, or by shaving, which takes longer.
"""

from __future__ import annotations

import threading
import weakref

import numpy as np

from optsched.core import Deadline, IntArray
from optsched.problems.rcpsp import energy, windows
from optsched.problems.rcpsp.network import Network, network
from optsched.problems.rcpsp.problem import Rcpsp
from optsched.problems.rcpsp.validation import NO_DEADLINE, NO_DUE
from optsched.problems.rcpsp.weights import Weights
from optsched.session import Session

#: Stretches of time for which weights are sought, a trial value.
STRETCHES = 12
#: Rounds of that.
ROUNDS = 3
#: Weights kept.
MOST_KEPT = 24
#: Most activities for weights over all resources.
MOST_WEIGHED = 200
#: Seconds for the destructive bound, at most; and its share of the time that is left.
SECONDS, SHARE = 5.0, 0.1
#: Most activities for energetic reasoning.
MOST = 400


def lower_bound(problem: Rcpsp, deadline: Deadline) -> int | None:
    """Return a lower bound on the optimum, or None where nothing is known.

    Raises
    ------
    ProvenInfeasible
        With the reason, where the instance is soon shown to have no schedule.
    """
    # It builds models, and those take their windows from here.
    from optsched.problems.rcpsp import conflicts

    if problem.features() & conflicts.RISKY:
        conflicts.refute(problem, deadline)
    net = network(problem)
    kind = problem.objective_kind
    if kind == "makespan":
        return makespan_bound(problem, net, deadline)
    if kind == "total_weighted_tardiness":
        return tardiness_bound(problem, net)
    if kind == "negative_net_present_value":
        return value_bound(problem, net)
    return levelling_bound(problem, net)


def improve(problem: Rcpsp, session: Session, seconds: float) -> None:
    """Raise the session's bound on the makespan by weights, for some seconds at most.

    It goes on from where `lower_bound` has stopped; one thread at a time.
    """
    net = network(problem)
    fits = net.distance is not None and problem.n_activities <= MOST_WEIGHED
    if session.bound is None or not fits or problem.objective_kind != "makespan":
        return
    trial = trial_of(problem, net)
    until = Deadline(min(seconds, session.deadline.remaining()))
    if not trial.lock.acquire(blocking=False):
        return
    try:
        while not session.stopped and not until.expired():
            bound = int(session.bound)
            if not trial.refutes_by_weights(bound, until):
                return
            session.prove(bound + 1, "weights")
    finally:
        trial.lock.release()


def tardiness_bound(problem: Rcpsp, net: Network) -> int:
    """Return the tardiness of a schedule on resources without limit."""
    end = net.head + net.shortest
    with_due = problem.due != NO_DUE
    late = np.maximum(0, end[with_due] - problem.due[with_due])
    total = int((problem.weight[with_due] * late).sum())
    for p in np.flatnonzero(problem.project_due != NO_DUE).tolist():
        members = problem.project == p
        if members.any():
            after = max(0, int(end[members].max() - problem.project_due[p]))
            total += int(problem.project_weight[p]) * after
    return total


def value_bound(problem: Rcpsp, net: Network) -> int:
    """Return the value of receiving as early and paying as late as windows allow."""
    early = net.head + net.shortest
    late = problem.latest_end()
    end = np.where(problem.cash_flow >= 0, early, late).astype(float)
    worth = problem.cash_flow * (1.0 + problem.discount_rate) ** -end
    return -int(np.floor(worth + 0.5).sum())


def levelling_bound(problem: Rcpsp, net: Network) -> int:
    """Return what perfectly level usage would cost between the first start and the last end."""
    span = int(problem.latest_end().max()) - int(net.head.min())
    least = least_work(problem, net)
    total = 0
    for k in np.flatnonzero(problem.renewable).tolist():
        # Whole units: some instants carry one unit more than the others.
        level, rest = divmod(int(least[k]), max(span, 1))
        squares = (span - rest) * level**2 + rest * (level + 1) ** 2
        total += int(problem.levelling_weight[k]) * squares
    return total


def makespan_bound(problem: Rcpsp, net: Network, deadline: Deadline) -> int:
    """Return the best of the critical path and destructive bounds."""
    low = int((net.head + net.tail).max())
    if net.distance is None or problem.n_activities > MOST:
        return max(low, work_bound(problem, net))
    low = max(low, work_bound(problem, net))
    trial = trial_of(problem, net)
    seconds = min(SECONDS, SHARE * deadline.remaining())
    until = Deadline(seconds)
    step = 1
    refuted, open_ = low - 1, None
    # Doubling steps, then bisection: refutations come quickly far below the optimum.
    while not until.expired():
        target = refuted + step if open_ is None else (refuted + open_) // 2
        if open_ is not None and open_ - refuted <= 1:
            break
        if trial.refutes(target):
            refuted = target
            step *= 2
        else:
            open_ = target
    if problem.n_activities <= MOST_WEIGHED:
        while not until.expired() and trial.refutes_by_weights(refuted + 1, until):
            refuted += 1
            while not until.expired() and trial.refutes(refuted + 1):
                refuted += 1
    return refuted + 1


def least_work(problem: Rcpsp, net: Network) -> IntArray:
    """Return what all activities together need of each resource, times time, at least."""
    work = np.where(
        net.usable[:, None], problem.mode_duration[:, None] * problem.mode_demand, 2**60
    )
    return np.asarray(np.minimum.reduceat(work, problem.mode_offset[:-1], axis=0).sum(axis=0))


def work_bound(problem: Rcpsp, net: Network) -> int:
    """Return the least makespan by which capacity suffices for all work, heads and tails aside."""
    least = least_work(problem, net)
    low = 0
    for k in np.flatnonzero(problem.renewable).tolist():
        times, levels = problem.profile(k)
        left = int(least[k])
        for s, level in enumerate(levels.tolist()):
            begin = int(times[s])
            if left <= 0:
                break
            if s + 1 == len(times):
                low = max(low, begin + -(-left // level)) if level else low
                break
            span = int(times[s + 1]) - begin
            if left <= level * span:
                low = max(low, begin + -(-left // level))
            left -= level * span
    return low


#: The trials of the instances last asked for: the weights found serve the models built later.
_trials: dict[int, tuple[weakref.ref[Rcpsp], Trial]] = {}


def trial_of(problem: Rcpsp, net: Network) -> Trial:
    """Return the instance's trial, with the weights that were found before."""
    key = id(problem)
    known = _trials.get(key)
    if known is not None and known[0]() is problem:
        return known[1]
    trial = Trial(problem, net)
    _trials[key] = (weakref.ref(problem, lambda _: _trials.pop(key, None)), trial)
    return trial


class Trial:
    """Tries to refute makespans of one instance."""

    def __init__(self, problem: Rcpsp, net: Network) -> None:
        assert net.distance is not None
        n = problem.n_activities
        self.net = net
        self.n = n
        self.apart = np.argwhere(np.triu(net.conflict, 1)).astype(np.int64)
        #: Lags, heads and latest starts that shaving leaves of a makespan, and where it has ended.
        self.shaved: dict[int, tuple[IntArray, IntArray, IntArray]] = {}
        self.at_rest: set[int] = set()
        self.rows = rows(problem, net)
        self.plain_rows = len(self.rows.capacity)
        self.renewable = np.flatnonzero(problem.renewable)
        most = [int(problem.profile(k)[1].max()) for k in self.renewable.tolist()]
        self.capacity = np.array(most, dtype=np.int64)
        self.weights: Weights | None = None
        self.lock = threading.Lock()

    def windows(self, makespan: int) -> tuple[IntArray, IntArray] | None:
        """Return heads and latest starts under a makespan; None when refuted."""
        state = self._state(makespan)
        if windows.propagate(*state, *self._rows(makespan)):
            return None
        return state[1][: self.n], state[2][: self.n]

    def _state(self, makespan: int) -> tuple[IntArray, IntArray, IntArray]:
        """Return lags between starts, heads and latest starts, fillers included, to be narrowed.

        What shaving has found for the least makespan from this one on holds here too.
        """
        assert self.net.distance is not None
        fixed = self.rows.filler_start
        latest = np.minimum(makespan - self.net.tail, self.net.latest)
        # A copy of the keys: other threads may shave meanwhile.
        known = min((m for m in list(self.shaved) if m >= makespan), default=None)
        if known is None:
            first = self.net.head
            return self.net.distance.copy(), np.append(first, fixed), np.append(latest, fixed)
        distance, head, before = self.shaved[known]
        return distance.copy(), head.copy(), np.minimum(before, np.append(latest, fixed))

    def _rows(self, makespan: int) -> tuple[IntArray, IntArray, IntArray, IntArray]:
        """Return pairs apart, durations, and demands and capacities of rows, for the kernels."""
        rows = self.rows
        length = np.maximum(0, np.minimum(rows.filler_end, makespan + 1) - rows.filler_start)
        duration = np.append(self.net.shortest, length)
        return self.apart, duration, rows.demand, rows.capacity

    def refutes_by_shaving(self, makespan: int, deadline: Deadline) -> bool:
        """Return whether a round of shaving refutes a makespan; what it narrows is kept."""
        state = self._state(makespan)
        rows = self._rows(makespan)
        if windows.propagate(*state, *rows):
            return True
        if makespan in self.at_rest:
            return False
        found = 0
        # The longest first: most depends on them.
        for i in np.argsort(-self.net.shortest, kind="stable").tolist():
            if deadline.expired() or self.net.shortest[i] == 0:
                break
            refuted = windows.shave(i, *state, *rows)
            if refuted < 0:
                return True
            found += refuted
        self.shaved[makespan] = state
        if not found and not deadline.expired():
            self.at_rest.add(makespan)
        return False

    def refutes_by_weights(self, makespan: int, deadline: Deadline) -> bool:
        """Return whether weights over all resources refute a makespan; they are kept."""
        if self.weights is None:
            self.weights = self._weights()
        # Each round finds other stretches: the weights of the one before have filled its own.
        return any(self._round(makespan, deadline) for _ in range(ROUNDS))

    def _round(self, makespan: int, deadline: Deadline) -> bool:
        assert self.weights is not None
        narrowed = self.windows(makespan)
        if narrowed is None:
            return True
        head, latest = narrowed
        duration = self.net.shortest
        table, capacity = self.rows.demand[:, : self.n], self.rows.capacity
        stretches = np.zeros((STRETCHES, 2), dtype=np.int64)
        span = max(2, makespan // 20)
        data = (head, latest, duration, np.ascontiguousarray(table), capacity)
        count = energy.tightest(*data, span, STRETCHES, stretches)
        for begin, end in stretches[:count].tolist():
            early, late = head + duration - begin, end - latest
            work = np.minimum(np.minimum(duration, end - begin), np.minimum(early, late))
            found = self.weights.best(np.maximum(0, work), deadline)
            if found is None:
                if deadline.expired():
                    return False
                continue
            self._keep(*found)
            if self.windows(makespan) is None:
                return True
        return False

    def _weights(self) -> Weights:
        """Return the search for weights; what may overlap does so in some schedule."""
        assert self.net.distance is not None
        before = self.net.distance >= self.net.shortest[:, None]
        together = ~(before | before.T | self.net.conflict)
        np.fill_diagonal(together, True)
        return Weights(together, self.net.demand[:, self.renewable], self.capacity)

    def _keep(self, weight: IntArray, total: int) -> None:
        """Add weights to the rows; the oldest of those that were added go."""
        fillers = np.zeros(len(self.rows.filler_start), dtype=np.int64)
        row = np.concatenate((weight, fillers))[None, :]
        own = slice(0, self.plain_rows)
        later = slice(max(self.plain_rows, len(self.rows.capacity) - MOST_KEPT), None)
        table, capacity = self.rows.demand, self.rows.capacity
        self.rows = energy.Rows(
            np.concatenate((table[own], table[later], row)),
            np.concatenate((capacity[own], capacity[later], [total])),
            self.rows.filler_start,
            self.rows.filler_end,
        )

    def refutes(self, makespan: int) -> bool:
        """Return whether no schedule of at most this makespan exists."""
        return self.windows(makespan) is None


def rows(problem: Rcpsp, net: Network) -> energy.Rows:
    """Return the cumulative constraints of an instance, in several readings."""
    n = problem.n_activities
    least = net.demand
    starts: list[int] = []
    ends: list[int] = []
    owner: list[tuple[int, int]] = []
    for k in np.flatnonzero(problem.renewable).tolist():
        times, levels = problem.profile(k)
        most = int(levels.max())
        until = np.append(times[1:], NO_DEADLINE // 4)
        for begin, end, level in zip(times.tolist(), until.tolist(), levels.tolist(), strict=True):
            if level < most:
                starts.append(begin)
                ends.append(end)
                owner.append((k, most - level))
    demand: list[IntArray] = []
    capacity: list[int] = []
    for k in np.flatnonzero(problem.renewable).tolist():
        missing = np.array([amount if o == k else 0 for o, amount in owner], dtype=np.int64)
        own = np.concatenate((least[:, k], missing))
        if not least[:, k].any():
            continue
        spans = np.concatenate((net.shortest, np.zeros(len(owner), dtype=np.int64)))
        for changed, total in energy.readings(own, int(problem.profile(k)[1].max()), spans):
            demand.append(changed)
            capacity.append(total)
    assert net.distance is not None
    before = net.distance >= net.shortest[:, None]
    exclude = net.conflict | before | before.T
    np.fill_diagonal(exclude, False)
    undecided = net.conflict & ~before & ~before.T
    for clique in energy.cliques(exclude, undecided, net.shortest):
        if len(clique) > 2:
            row = np.zeros(n + len(owner), dtype=np.int64)
            row[clique] = 1
            demand.append(row)
            capacity.append(1)
    return energy.Rows(
        np.array(demand, dtype=np.int64).reshape(len(demand), n + len(owner)),
        np.array(capacity, dtype=np.int64),
        np.array(starts, dtype=np.int64),
        np.array(ends, dtype=np.int64),
    )
