"""The problem by touches and gaps: a small integer program whose channel is checked by cuts.

One binary says in which memory a touch is, one that a tensor stays over the gap between two
touches, one for each first step from which it may be brought, one for each last step of its
eviction. The channel is left out: it must do, within any stretch of steps, what can be done there
alone (Hall's condition, which is sufficient for copies that may be spread), and the stretches that
matter are found by separation. With the first steps told apart only up to a ``horizon`` before the
touch, and all earlier ones taken for one, the program is a relaxation, and far smaller.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from optsched.core import Deadline, IntArray
from optsched.problems.memory_tiers.problem import MemoryTiers
from optsched.problems.memory_tiers.program import Program, State
from optsched.problems.scratchpad.graph import OUTPUT

FloatArray = npt.NDArray[np.float64]
Terms = list[tuple[int, float]]
#: Stretches added in one round of separation.
CUTS = 40


@dataclass
class _Rows:
    """Rows of a program in the making: ``low <= A x <= high``."""

    start: list[int] = field(default_factory=lambda: [0])
    column: list[int] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)

    def add(self, terms: Terms, low: float, high: float = np.inf) -> None:
        self.column += [v for v, _ in terms]
        self.value += [c for _, c in terms]
        self.start.append(len(self.column))
        self.low.append(low)
        self.high.append(high)


@dataclass(frozen=True)
class Copy:
    """A copy that the channel may have to do: its variable, time, and first and last step."""

    variable: int
    time: float
    first: int
    last: int


@dataclass
class _Touch:
    """The variables of one touch, by memory; copies by their first step."""

    index: int
    step: int
    use: dict[int, int]
    there: dict[int, int] = field(default_factory=dict)
    kept: dict[int, int] = field(default_factory=dict)
    fetched: dict[int, dict[int, int]] = field(default_factory=dict)


class GapProgram:
    """The integer program of an instance, with the cuts found so far.

    Attributes
    ----------
    horizon : int
        Steps before a touch (behind a production) that are told apart.
    exact : bool
        Whether nothing is relaxed but the channel.
    """

    def __init__(self, problem: MemoryTiers, horizon: int, deadline: Deadline) -> None:
        self.problem = problem
        self.horizon = horizon
        self.n_steps = problem.graph.n_operators
        self.exact = horizon >= self.n_steps
        compute = problem.compute[problem.order]
        access = problem.access_time()
        # Times of about 1 are easier on the LP than ticks.
        self.unit = max(1.0, float(compute.sum() + access.sum()) / max(1, self.n_steps))
        self.access, self.time = access / self.unit, problem.copy_time() / self.unit
        self.lower: list[float] = []
        self.upper: list[float] = []
        self.rows = _Rows()
        self.copies: list[Copy] = []
        self._load: list[Terms] = [[] for _ in range(self.n_steps)]
        self._base = np.zeros(self.n_steps)
        self._room: dict[tuple[int, int], Terms] = {}
        self.step_time = [self._variable(float(c) / self.unit, np.inf) for c in compute]
        #: Variables of the touches and evictions (by memory and last step) of each tensor.
        self.plans: list[tuple[int, list[_Touch], dict[tuple[int, int], int]]] = []
        tensor, step = problem.touches().T
        at = np.flatnonzero(np.diff(tensor, prepend=-1)) if len(tensor) else np.zeros(0, dtype=int)
        for k, steps in zip(at.tolist(), np.split(step, at[1:]), strict=False):
            self._tensor(int(tensor[k]), k, steps)
            if k % 256 == 0:
                deadline.check()
        for i, terms in enumerate(self._load):
            self.rows.add([(self.step_time[i], 1.0), *terms], float(self._base[i]))
        for terms in self._room.values():
            self.rows.add(terms, -np.inf, 1.0)
        self._cuts: set[tuple[int, int]] = set()
        self.point: FloatArray = np.zeros(0)
        self._windows = np.array([(c.first, c.last) for c in self.copies]).reshape(-1, 2)

    def _variable(self, low: float = 0.0, high: float = 1.0) -> int:
        self.lower.append(low)
        self.upper.append(high)
        return len(self.lower) - 1

    def _occupy(self, memory: int, low: int, high: int, variable: int, size: float) -> None:
        """Take room in the steps from `low` to before `high`."""
        for i in range(low, high):
            self._room.setdefault((memory, i), []).append((variable, size))

    def _tensor(self, t: int, index: int, steps: IntArray) -> None:
        problem = self.problem
        size = int(problem.graph.size[t])
        np.add.at(self._base, steps, self.access[t, 0])
        share = {
            m: size / int(problem.capacity[m])
            for m in range(1, problem.n_tiers)
            if 0 < size <= problem.capacity[m]
        }
        if not share:
            return
        written = bool(problem.graph.producer[t] >= 0)
        release = int(steps[0]) + 1 if written else 0
        touches = [
            _Touch(index + k, step, {m: self._variable() for m in share})
            for k, step in enumerate(steps.tolist())
        ]
        for touch in touches:
            self.rows.add([(v, 1.0) for v in touch.use.values()], -np.inf, 1.0)
            for m, v in touch.use.items():
                self._load[touch.step].append((v, float(self.access[t, 0] - self.access[t, m])))
        for k, touch in enumerate(touches):
            for m in share:
                if written and k == 0:
                    touch.there[m] = touch.use[m]
                else:
                    before = touches[k - 1] if k else None
                    self._arrival(t, touch, before, m, release, share[m])
                self._occupy(m, touch.step, touch.step + 1, touch.there[m], share[m])
        saved = self._evictions(t, touches, share) if written else {}
        if written:
            self._validity(t, touches, saved)
        self.plans.append((t, touches, saved))

    def _arrival(
        self, t: int, touch: _Touch, before: _Touch | None, m: int, release: int, share: float
    ) -> None:
        """A tensor that is complete at a touch has stayed since the one before, or was brought."""
        here = touch.there[m] = self._variable()
        self.rows.add([(here, 1.0), (touch.use[m], -1.0)], 0.0)
        terms: Terms = [(here, -1.0)]
        if before is not None:
            kept = touch.kept[m] = self._variable()
            self.rows.add([(before.there[m], 1.0), (kept, -1.0)], 0.0)
            terms.append((kept, 1.0))
            self._occupy(m, before.step + 1, touch.step, kept, share)
        touch.fetched[m] = {}
        for begin in range(touch.step - 1, release - 1, -1):
            whole = touch.step - begin >= self.horizon  # stands for all that begin earlier
            fetched = touch.fetched[m][begin] = self._variable()
            first = release if whole else begin
            self.copies.append(Copy(fetched, float(self.time[t]), first, touch.step - 1))
            self._occupy(m, begin, touch.step, fetched, share)
            terms.append((fetched, 1.0))
            if whole:
                break
        self.rows.add(terms, 0.0, 0.0)

    def _evictions(
        self, t: int, touches: list[_Touch], share: dict[int, float]
    ) -> dict[tuple[int, int], int]:
        """Return the binaries of evictions by memory and last step."""
        made = touches[0]
        output = bool(self.problem.graph.kind[t] == OUTPUT)
        last = self.n_steps - 1 if output else touches[-1].step - 1
        saved: dict[tuple[int, int], int] = {}
        for m in share:
            ends = range(made.step + 1, min(last, made.step + self.horizon) + 1)
            for end in ends:
                whole = end - made.step == self.horizon
                v = saved[m, end] = self._variable()
                until = last if whole else end
                self.copies.append(Copy(v, float(self.time[t]), made.step + 1, until))
            own = [(saved[m, end], -1.0) for end in ends]
            self.rows.add([(made.use[m], 1.0), *own], 0.0)
            self._overlap(m, made, touches, {end: saved[m, end] for end in ends}, share[m])
        return saved

    def _overlap(
        self, m: int, made: _Touch, touches: list[_Touch], ends: dict[int, int], share: float
    ) -> None:
        """What an eviction takes room for and a stay over a gap does anyway counts once."""
        gaps = {
            i: touch.kept[m]
            for before, touch in itertools.pairwise(touches)
            for i in range(before.step + 1, touch.step)
        }
        gaps |= {touch.step: touch.there[m] for touch in touches[1:]}
        for i in sorted(ends):
            later = [(v, -1.0) for end, v in ends.items() if end >= i]
            # Extra room: at least what is evicted here, less what stays here.
            extra = self._variable()
            self.rows.add([(extra, 1.0), *later, *([(gaps[i], 1.0)] if i in gaps else [])], 0.0)
            self._occupy(m, i, i + 1, extra, share)

    def _validity(self, t: int, touches: list[_Touch], saved: dict[tuple[int, int], int]) -> None:
        """What is read from main memory, or brought from it, was written or evicted before."""
        elsewhere = [(v, -1.0) for v in touches[0].use.values()]
        if self.problem.graph.kind[t] == OUTPUT:
            self.rows.add([*((v, 1.0) for v in saved.values()), *elsewhere], 0.0)
        for touch in touches[1:]:
            before = [(v, 1.0) for (_, end), v in saved.items() if end < touch.step]
            self.rows.add([*((v, 1.0) for v in touch.use.values()), *before, *elsewhere], 0.0)
            starts = sorted({begin for each in touch.fetched.values() for begin in each})
            for begin in starts:
                before = [(v, 1.0) for (_, end), v in saved.items() if end < begin]
                own = [
                    (v, -1.0)
                    for each in touch.fetched.values()
                    for at, v in each.items()
                    if at <= begin
                ]
                if len(touch.fetched) == 1:
                    self.rows.add([*own, *before, *elsewhere], -1.0)
                else:
                    for term in own:
                        self.rows.add([term, *before, *elsewhere], -1.0)

    # ---- solving -------------------------------------------------------------------------

    def solve(self, clock: Deadline, *, integral: bool, value: int | None = None) -> int | None:
        """Solve the program, or its linear relaxation; return a proven lower bound on the time.

        Parameters
        ----------
        clock : Deadline
            None is returned where the time does not suffice for any bound.
        integral : bool
            Whether stays and copies are whole.
        value : int, optional
            The time of a known solution; better ones alone are of interest.

        Notes
        -----
        ``point`` holds the best values found, and is empty where there are none.
        """
        import highspy

        self.point = np.zeros(0)
        if clock.expired():
            return None
        n = len(self.lower)
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = n, len(self.rows.low)
        cost = np.zeros(n)
        cost[self.step_time] = 1.0
        lp.col_cost_ = cost
        lp.col_lower_, lp.col_upper_ = np.array(self.lower), np.array(self.upper)
        lp.row_lower_, lp.row_upper_ = np.array(self.rows.low), np.array(self.rows.high)
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        lp.a_matrix_.start_ = np.array(self.rows.start, dtype=np.int32)
        lp.a_matrix_.index_ = np.array(self.rows.column, dtype=np.int32)
        lp.a_matrix_.value_ = np.array(self.rows.value)
        options: dict[str, Any] = {
            "output_flag": False,
            "threads": 1,
            "mip_rel_gap": 0.0,
            "mip_abs_gap": 0.0,
        }
        if integral:
            options["presolve"] = "off"  # as in `optsched.solvers.highs`
            whole, real = highspy.HighsVarType.kInteger, highspy.HighsVarType.kContinuous
            lp.integrality_ = [real if np.isinf(high) else whole for high in self.upper]
        highs: Any = highspy.Highs()
        options |= {"mip_feasibility_tolerance": 1e-9, "primal_feasibility_tolerance": 1e-9}
        options |= {"dual_feasibility_tolerance": 1e-9}
        if np.isfinite(clock.remaining()):
            options["time_limit"] = clock.remaining()
        if value is not None:
            options["objective_bound"] = (value + 0.5) / self.unit
        for name, setting in options.items():
            highs.setOptionValue(name, setting)
        if highs.passModel(lp) == highspy.HighsStatus.kError:
            return None
        highs.run()
        info, status = highs.getInfo(), highs.getModelStatus()
        if info.primal_solution_status == 2:
            self.point = np.asarray(highs.getSolution().col_value)
        if not integral and status != highspy.HighsModelStatus.kOptimal:
            return None
        bound = info.mip_dual_bound if integral else info.objective_function_value
        if not np.isfinite(bound):
            return None
        time = bound * self.unit
        return int(np.ceil(time - min(0.5, 1e-6 + 1e-7 * abs(time))))

    def separate(self) -> bool:
        """Add stretches of steps whose copies need more time than there is; whether any did."""
        if not self.copies or not len(self.point):
            return False
        n = self.n_steps
        work = np.array([self.point[c.variable] * c.time for c in self.copies])
        inside = np.zeros((n, n))
        np.add.at(inside, (self._windows[:, 0], self._windows[:, 1]), work)
        # inside[a, b]: copies that begin in a or later and end in b or earlier.
        inside = np.cumsum(np.cumsum(inside[::-1], axis=0)[::-1], axis=1)
        passed = np.concatenate(([0.0], np.cumsum(self.point[self.step_time])))
        excess = inside - (passed[None, 1:] - passed[:-1, None])
        excess[np.tril_indices(n, -1)] = 0.0
        added: list[tuple[int, int]] = []
        for flat in np.argsort(-excess, axis=None)[: 20 * CUTS].tolist():
            a, b = divmod(flat, n)
            if excess[a, b] <= 1e-6 or len(added) == CUTS:
                break
            # One stretch about the same place is enough for a round.
            if (a, b) in self._cuts or any(abs(a - c) + abs(b - d) <= 2 for c, d in added):
                continue
            self._cuts.add((a, b))
            added.append((a, b))
            chosen = np.flatnonzero((self._windows[:, 0] >= a) & (self._windows[:, 1] <= b))
            terms = [(self.copies[k].variable, -self.copies[k].time) for k in chosen.tolist()]
            self.rows.add([*((v, 1.0) for v in self.step_time[a : b + 1]), *terms], 0.0)
        return bool(added)

    def state(self, program: Program) -> State | None:
        """Return the plans that `point` stands for; None where it is no mapping."""
        if not len(self.point):
            return None
        state = program.empty()
        tier, keep, start, evict = state[:4]
        chosen = self.point > 0.5
        state[4][:] = 0
        for t, touches, saved in self.plans:
            for (_, end), v in saved.items():
                if chosen[v]:
                    evict[t] = end
            for touch in touches:
                m = next((m for m, v in touch.use.items() if chosen[v]), 0)
                k = touch.index
                tier[k] = m
                if not m or m not in touch.fetched:
                    continue
                if m in touch.kept and chosen[touch.kept[m]]:
                    keep[k - 1] = True
                else:
                    start[k] = next((b for b, v in touch.fetched[m].items() if chosen[v]), -1)
        return program.repaired(state)
