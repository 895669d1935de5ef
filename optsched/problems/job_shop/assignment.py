"""The linear relaxation of the machine assignment of a flexible shop: a bound, and a guide.

Every operation spreads over its eligible machines, and within a makespan ``C`` no machine can do
more than ``C``, no job can last longer than ``C``, and the operations of a machine that start late
and end early have to fit between their heads and tails. This is the linear program of unrelated
parallel machines (Lenstra, Shmoys and Tardos 1990) with rows for jobs and for windows; windows
and jobs that are violated are added until none is.

What is reported does not rest on the solver's tolerances: from its multipliers the Lagrangian
bound is computed again, row by row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np
import numpy.typing as npt

from optsched.core import Deadline, IntArray
from optsched.problems.job_shop.problem import JobShop
from optsched.problems.job_shop.windows import heads_and_tails, least_gaps

FloatArray = npt.NDArray[np.float64]

#: Most alternatives for which the program is set up; beyond, it takes longer than it is worth.
MAX_ALTERNATIVES = 400_000
#: Rounds of adding violated rows, at most.
ROUNDS = 12
#: Relative violation from which on a row is added.
VIOLATED = 1e-6
#: Tightenings of the alternatives under the bound found, at most.
DESTRUCTIONS = 20


@dataclass(frozen=True)
class Relaxation:
    """The relaxed assignment.

    Attributes
    ----------
    bound : int
        Proven lower bound on the longest path (makespan, or maximum lateness plus its offset).
    share : ndarray of float, shape (n_alts,)
        Share of each operation on each of its alternatives; they sum to 1 an operation.
    price : ndarray of float, shape (n_machines,)
        Multiplier of each machine's work; what one more unit of work there costs.
    """

    bound: int
    share: FloatArray
    price: FloatArray


class _Rows:
    """Rows ``sum over alternatives in the row of duration * x <= C - constant``."""

    def __init__(self) -> None:
        self.members: list[IntArray] = []
        self.constant: list[int] = []
        self.machine: list[int] = []  # -1: a job
        self._known: set[tuple[int, int, int]] = set()

    def add(self, key: tuple[int, int, int], members: IntArray, constant: int) -> bool:
        """Add a row unless it is known; `key` starts with the machine, or -1 for a job."""
        if key in self._known or not len(members):
            return False
        self._known.add(key)
        self.members.append(members)
        self.constant.append(constant)
        self.machine.append(key[0])
        return True


class _Program:
    """The linear program: its data, its rows, and the solver that keeps its basis."""

    def __init__(
        self, problem: JobShop, head: IntArray, duration: IntArray, tail: IntArray
    ) -> None:
        self.problem = problem
        self.op_of_alt = np.repeat(np.arange(problem.n_ops), np.diff(problem.alt_offset))
        self.work = problem.alt_duration.astype(np.float64)
        self.head, self.duration, self.tail = head, duration, tail
        self.through = head[self.op_of_alt] + problem.alt_duration + tail[self.op_of_alt]
        self.rows = _Rows()
        order = np.argsort(problem.alt_machine, kind="stable")
        borders = np.flatnonzero(np.diff(problem.alt_machine[order])) + 1
        self.groups = np.split(order, borders)  # alternatives of each machine in use
        gap = least_gaps(problem)
        last = problem.job_offset[1:] - 1
        #: What a job takes besides the durations of its operations.
        self.beside = np.add.reduceat(gap, problem.job_offset[:-1]) + problem.release
        self.beside += tail[last]
        self.highs = _solver(len(self.work), self.op_of_alt, problem.n_ops)
        self.passed = 0

    def solve(self, open_: npt.NDArray[np.bool_], deadline: Deadline) -> tuple[Any, Any] | None:
        """Solve with the alternatives that are open; return shares and multipliers of rows."""
        highs, rows = self.highs, self.rows
        for k in range(self.passed, len(rows.members)):
            members = rows.members[k]
            columns = np.append(members, len(self.work)).astype(np.int32)
            values = np.append(self.work[members], -1.0)
            most = -float(rows.constant[k])
            highs.addRow(-highspy.kHighsInf, most, len(columns), columns, values)
        self.passed = len(rows.members)
        n = len(self.work)
        highs.changeColsBounds(
            n, np.arange(n, dtype=np.int32), np.zeros(n), open_.astype(np.float64)
        )
        if np.isfinite(left := deadline.remaining()):
            highs.setOptionValue("time_limit", float(highs.getRunTime() + left))
        highs.run()
        if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        solution = highs.getSolution()
        share = np.asarray(solution.col_value)[:n]
        dual = np.asarray(solution.row_dual)[self.problem.n_ops :]
        return share, np.maximum(0.0, -dual)

    def bound(self, multiplier: FloatArray, open_: npt.NDArray[np.bool_]) -> float:
        """Return the Lagrangian bound: each operation takes its cheapest open alternative."""
        total = multiplier.sum()
        if total <= 0:
            return 0.0
        cost = np.zeros(len(self.work))
        value = 0.0
        for k in np.flatnonzero(multiplier):
            weight = multiplier[k] / total
            members = self.rows.members[k]
            cost[members] += weight * self.work[members]
            value += weight * self.rows.constant[k]
        cost[~open_] = np.inf
        return value + float(np.minimum.reduceat(cost, self.problem.alt_offset[:-1]).sum())

    def violated(self, share: FloatArray, value: float, least: int) -> int:
        """Add the rows of jobs and windows that `share` violates; return how many."""
        load = np.add.reduceat(share * self.work, self.problem.alt_offset[:-1])
        job = np.add.reduceat(load, self.problem.job_offset[:-1]) + self.beside
        limit = value * (1 + VIOLATED) + 1e-9
        added = 0
        for j in np.flatnonzero(job > limit).tolist():
            first, last = self.problem.alt_offset[self.problem.job_offset[j : j + 2]].tolist()
            added += self.rows.add((-1, j, 0), np.arange(first, last), int(self.beside[j]))
        for group in self.groups:
            added += self._window(group, share, limit, least)
        return added

    def _window(self, group: IntArray, share: FloatArray, limit: float, least: int) -> bool:
        """Add the most violated window of one machine: heads from r on, tails from q on.

        ``r + q`` is at most `least`, a value below which no schedule ends; so the row holds even
        where the window stays empty.
        """
        ops = self.op_of_alt[group]
        used = share[group] > 1e-9
        if not used.any():
            return False
        head, tail = self.head[ops], self.tail[ops]
        heads, tails = np.unique(head[used]), np.unique(tail[used])
        if len(heads) * len(tails) > 1_000_000:  # thin out: any choice of rows is a valid one
            heads = heads[:: len(heads) // 1000 + 1]
            tails = tails[:: len(tails) // 1000 + 1]
        table = np.zeros((len(heads) + 1, len(tails) + 1))
        row = np.searchsorted(heads, head[used], side="right") - 1
        column = np.searchsorted(tails, tail[used], side="right") - 1
        inside = (row >= 0) & (column >= 0)
        amount = (share * self.work)[group[used]]
        np.add.at(table, (row[inside], column[inside]), amount[inside])
        load = table[::-1, ::-1].cumsum(axis=0).cumsum(axis=1)[::-1, ::-1][:-1, :-1]
        length = heads[:, None] + tails[None, :]
        total = np.where(length <= least, load + length, -np.inf)
        at = int(np.argmax(total))
        r, q = int(heads[at // len(tails)]), int(tails[at % len(tails)])
        if total.flat[at] <= limit:
            return False
        machine = int(self.problem.alt_machine[group[0]])
        return self.rows.add((machine, r, q), group[(head >= r) & (tail >= q)], r + q)


def _solver(n_alts: int, op_of_alt: IntArray, n_ops: int) -> Any:
    """Return HiGHS with the columns (alternatives, then C) and a row an operation."""
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("threads", 1)
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = n_alts + 1, n_ops
    cost = np.zeros(n_alts + 1)
    cost[-1] = 1.0
    upper = np.ones(n_alts + 1)
    upper[-1] = highspy.kHighsInf
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = cost, np.zeros(n_alts + 1), upper
    lp.row_lower_ = lp.row_upper_ = np.ones(n_ops)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    sizes = np.bincount(op_of_alt, minlength=n_ops)
    lp.a_matrix_.start_ = np.concatenate(([0], np.cumsum(sizes))).astype(np.int32)
    lp.a_matrix_.index_ = np.arange(n_alts, dtype=np.int32)
    lp.a_matrix_.value_ = np.ones(n_alts)
    highs.passModel(lp)
    return highs


def relax(
    problem: JobShop,
    delivery: tuple[IntArray, IntArray, IntArray] | None = None,
    *,
    least: int = 0,
    deadline: Deadline | None = None,
) -> Relaxation | None:
    """Solve the relaxed assignment of a flexible shop.

    Parameters
    ----------
    problem : JobShop
        Any; what the relaxation does not know (setups, calendars, buffers) only lengthens
        schedules.
    delivery : tuple of ndarray, optional
        Heads, least durations, and tails of the operations; default: those of the jobs alone.
    least : int
        A proven lower bound on the longest path.
    deadline : Deadline, optional
        When it expires, what is proven until then is returned.

    Returns
    -------
    Relaxation or None
        None where nothing is to be chosen, or the program is too large or not solved in time.
    """
    if not problem.flexible or len(problem.alt_machine) > MAX_ALTERNATIVES:
        return None
    deadline = deadline or Deadline()
    head, duration, tail = delivery if delivery is not None else heads_and_tails(problem)
    least = max(least, int((head + duration + tail).max()))
    program = _Program(problem, head, duration, tail)
    for group in program.groups:
        ops = program.op_of_alt[group]
        r, q = int(head[ops].min()), int(tail[ops].min())
        if r + q > least:
            r = q = 0
        program.rows.add((int(problem.alt_machine[group[0]]), r, q), group, r + q)
    open_ = np.ones(len(program.through), dtype=bool)
    found = _converge(program, open_, least, deadline)
    if found is None:
        return None
    proven = max(least, _ceiling(found[0]))
    for _ in range(DESTRUCTIONS):
        # Within a makespan of `proven` an alternative that takes longer cannot be chosen. What is
        # refuted without it is refuted up to where the next alternative opens.
        closed = program.through > proven
        if not closed.any():
            break
        tighter = _converge(program, ~closed, proven, deadline)
        if tighter is None or _ceiling(tighter[0]) <= proven:
            break
        found = tighter
        proven = min(_ceiling(found[0]), int(program.through[closed].min()))
    _, share, multiplier = found
    price = np.zeros(problem.n_machines)
    machine = np.array(program.rows.machine)[: len(multiplier)]
    np.add.at(price, machine[machine >= 0], multiplier[machine >= 0])
    return Relaxation(proven, share, price)


def _ceiling(value: float) -> int:
    return int(np.ceil(value - 1e-6 * max(1.0, value)))


def _converge(
    program: _Program, open_: npt.NDArray[np.bool_], least: int, deadline: Deadline
) -> tuple[float, FloatArray, FloatArray] | None:
    """Solve and add violated rows in turn; return bound, shares and multipliers."""
    best = None
    for _ in range(ROUNDS):
        solved = program.solve(open_, deadline)
        if solved is None:
            break
        share, multiplier = solved
        value = program.bound(multiplier, open_)
        best = value, share, multiplier
        if deadline.expired() or not program.violated(share, value, least):
            break
    return best
