"""Priority rules in serial and parallel generation schemes, and forward-backward improvement.

Rules after Kolisch (1996): latest start (minimum slack at a priority by critical path), most total
successors, greatest rank positional weight and shortest duration; justification after Valls,
Ballestin and Quintanilla (2005).
"""

from __future__ import annotations

import numpy as np

from optsched.core import InputError, IntArray, ProvenInfeasible
from optsched.problems.rcpsp import kernels, modes
from optsched.problems.rcpsp.network import Network, network
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


def construct(problem: Rcpsp, session: Session, seed: int) -> None:
    """Offer the best schedule of the rules, improved by justification."""
    try:
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
