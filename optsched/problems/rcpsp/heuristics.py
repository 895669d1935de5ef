"""Priority rules in serial and parallel generation schemes, and forward-backward improvement.

Rules after Kolisch (1996): latest start (minimum slack at a priority by critical path), most total
successors, greatest rank positional weight and shortest duration; justification after Valls,
Ballestin and Quintanilla (2005).
"""

from __future__ import annotations

import numpy as np

from optsched.core import InputError, IntArray, ProvenInfeasible
from optsched.problems.rcpsp import kernels, modes
from optsched.problems.rcpsp.network import Network, network, without_closure
from optsched.problems.rcpsp.problem import Rcpsp
from optsched.problems.rcpsp.project_arrays import Arrays
from optsched.session import Session

#: Features that the rules honour; deadlines they may miss, and then offer nothing.
SUPPORTS = frozenset(
    {
        "modes", "non-renewable resources", "capacity profiles", "lags", "release dates",
        "deadlines", "disjunctive", "objective makespan", "objective total_weighted_tardiness",
    }
)  # fmt: skip
#: Random orders tried around the best rule.
SAMPLES = 100
#: Activities times instants times resources beyond which no schedule is made without kernels.
MOST_PLAIN = 200_000_000


def construct(problem: Rcpsp, session: Session, seed: int) -> None:
    """Offer the best schedule of the rules, improved by justification.

    The first rule is followed without kernels before anything else: where these must be compiled
    first, there is a schedule meanwhile.
    """
    try:
        first(problem, session, seed)
        net = network(problem)
        chosen = modes.initial(problem, net, seed)
        if chosen is None:
            return
        arrays = Arrays(problem, chosen)
    except (InputError, ProvenInfeasible):
        # Too long a horizon for schedules instant by instant; or none, and `bounds` says why.
        return
    best: tuple[int, IntArray] | None = None
    for key in keys(net, arrays):
        for scheme in (kernels.serial, kernels.parallel):
            best = _better(best, arrays, session, scheme, key)
    rng = np.random.default_rng(seed)
    spread = max(1, int(net.tail.max()) // 4)
    for _ in range(SAMPLES):
        if session.stopped:
            return
        key = rng.integers(0, spread, problem.n_activities) - net.tail
        best = _better(best, arrays, session, kernels.serial, key)


def keys(net: Network, arrays: Arrays) -> list[IntArray]:
    """Return the orders of the priority rules; the least key goes first."""
    n = len(net.tail)
    following = np.zeros(n, dtype=np.int64)
    weight = arrays.duration.copy()
    if net.distance is not None:
        after = net.distance >= arrays.duration[:, None]
        np.fill_diagonal(after, False)
        following = after.sum(axis=1)
    np.add.at(
        weight,
        np.repeat(np.arange(n), np.diff(arrays.forward.first)),
        arrays.duration[arrays.forward.after],
    )
    rules = [-net.tail, -following, -weight, net.head, arrays.duration - net.tail]
    problem = arrays.problem
    if problem.objective_kind == "total_weighted_tardiness":
        due = np.minimum(problem.due, problem.project_due[problem.project])
        due = np.minimum(due, problem.latest_end())
        rules = [np.minimum(due, 2**40), np.minimum(due, 2**40) - net.tail, *rules]
    return [np.ascontiguousarray(rule, dtype=np.int64) for rule in rules]


def first(problem: Rcpsp, session: Session, seed: int) -> None:
    """Offer the schedule of the first rule in the serial scheme; no kernel takes part.

    It is what `kernels.serial` makes of the same order, so that the rules go on from there as if
    they had begun with it.
    """
    if problem.horizon() * problem.n_resources * problem.n_activities > MOST_PLAIN:
        return
    net = without_closure(problem)
    chosen = modes.initial(problem, net, seed)
    if chosen is None:
        return
    arrays = Arrays(problem, chosen)
    start = serial(keys(net, arrays)[0], arrays)
    if start is None:
        return
    solution = arrays.solution(start)
    if not problem.features() & {"deadlines"} or not problem.check(solution):
        session.offer(solution, "heuristic:rules")


def serial(key: IntArray, arrays: Arrays) -> IntArray | None:
    """Return the starts of the serial generation scheme, or None where the horizon ends."""
    duration, demand, after = arrays.duration, arrays.demand, arrays.forward.after.tolist()
    begin, lag = arrays.forward.first.tolist(), arrays.forward.lag.tolist()
    start, waiting = arrays.forward.release.tolist(), arrays.forward.waiting.tolist()
    left = arrays.forward.free.copy()
    # The heap of the kernels, since it is its ways that equal keys are ordered by.
    push, pop = kernels._push.py_func, kernels._pop.py_func
    heap, size = np.empty(len(key), dtype=np.int64), 0
    for i, count in enumerate(waiting):
        if count == 0:
            size = push(heap, size, key, i)
    while size:
        i = int(pop(heap, size, key))
        size -= 1
        length = int(duration[i])
        at = _earliest(left, demand[i], start[i], length)
        if at is None:
            return None
        start[i] = at
        left[at : at + length] -= demand[i]
        for e in range(begin[i], begin[i + 1]):
            j = after[e]
            start[j] = max(start[j], at + lag[e])
            waiting[j] -= 1
            if waiting[j] == 0:
                size = push(heap, size, key, j)
    return np.array(start, dtype=np.int64)


def _earliest(left: IntArray, need: IntArray, begin: int, length: int) -> int | None:
    """Return the first instant from `begin` on at which `need` is free for `length`, if any."""
    if not length:
        return begin
    span = 4 * length
    while begin + length <= len(left):
        short = np.flatnonzero((left[begin : begin + span] < need).any(axis=1))
        end = min(begin + span, len(left))
        edges = np.concatenate(([begin - 1], begin + short, [end]))
        wide = np.flatnonzero(np.diff(edges) > length)
        if len(wide):
            return int(edges[wide[0]]) + 1
        begin = int(edges[-2]) + 1
        span *= 2
    return None


def _better(
    best: tuple[int, IntArray] | None,
    arrays: Arrays,
    session: Session,
    scheme: object,
    key: IntArray,
) -> tuple[int, IntArray] | None:
    """Return the better of `best` and the schedule of an order, justified; offer it."""
    start = np.empty(len(key), dtype=np.int64)
    value = scheme(  # type: ignore[operator]
        key, arrays.duration, arrays.demand, *arrays.forward.parts, *arrays.room, start
    )
    if value >= kernels.NOWHERE:
        return best
    value, start = justified(arrays, value, start)
    cost = value
    solution = arrays.solution(start)
    if arrays.problem.objective_kind != "makespan":
        cost = arrays.problem.objective(solution)
    if best is None or cost < best[0]:
        if not arrays.problem.features() & {"deadlines"} or not arrays.problem.check(solution):
            session.offer(solution, "heuristic:rules")
        return cost, start
    return best


def justified(arrays: Arrays, value: int, start: IntArray) -> tuple[int, IntArray]:
    """Return a schedule justified to the right and to the left until that gains nothing."""
    mirror = np.empty_like(start)
    other = np.empty_like(start)
    data = (arrays.duration, arrays.demand)
    while True:
        kernels.mirrored(start, arrays.duration, value, mirror)
        length = kernels.serial(mirror, *data, *arrays.mirrored.parts, *arrays.room, other)
        if length >= kernels.NOWHERE:
            return value, start
        kernels.mirrored(other, arrays.duration, length, mirror)
        again = np.empty_like(start)
        new = kernels.serial(mirror, *data, *arrays.forward.parts, *arrays.room, again)
        if new >= value:
            return value, start
        value, start = int(new), again
