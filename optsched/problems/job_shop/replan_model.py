"""The model of replanning, its solution, and why there may be none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from optsched.core import Deadline, ProvenInfeasible
from optsched.exact import run_exact
from optsched.problems.job_shop import cutting, parts
from optsched.problems.job_shop.problem import NO_DEADLINE, NO_WAIT, UNLIMITED, JobShopSolution
from optsched.problems.job_shop.replan import Replan, Weights, operation
from optsched.result import StopReason
from optsched.search import sub_solve
from optsched.session import Session
from optsched.solvers import cpsat as solver
from optsched.solvers.base import Compiled, Verdict

#: Deterministic seconds for one question of the search for a conflict, and how many at most.
ASKING, QUESTIONS = 2.0, 200
_KINDS = ("deadline", "break", "no-wait")


class ReplanModel(Compiled):
    """The CP-SAT model of a `Replan`: the ordinary one, with the price of changes on top.

    Parameters
    ----------
    problem : Replan
    upper_bound : int, optional
        Leave out plans of a greater objective, price included.
    lower_bound : int, optional
        Not used: the bounds that are known are those of the shop without the price.
    deadline : Deadline, optional
    """

    def __init__(
        self,
        problem: Replan,
        *,
        upper_bound: int | None = None,
        lower_bound: int | None = None,
        deadline: Deadline | None = None,
    ) -> None:
        self.problem = problem
        state = np.where(problem.frozen, cutting.FIXED, cutting.FREE).astype(np.int8)
        self._part = parts.Part(
            problem,
            problem.old,
            state,
            upper_bound=upper_bound,
            not_before=problem.now,
            deadline=deadline,
        )
        self.model = self._part.model
        self._changed: list[tuple[int, Any]] = []  # operation, whether its start changed
        self._shift: list[tuple[int, Any]] = []
        self._objective()

    def _objective(self) -> None:
        model, part, weights = self.model, self._part, self.problem.weights
        proto = model.proto.objective
        terms = [
            coefficient * model.get_int_var_from_proto_index(index)
            for index, coefficient in zip(list(proto.vars), list(proto.coeffs), strict=True)
        ]
        total = sum(terms) + int(proto.offset)
        old = self.problem.old
        for k in np.flatnonzero(part.state != cutting.FIXED).tolist():
            op = int(part.ops[k])
            start, before = part.inner.start[k], int(old.start[op])
            if weights.start:
                changed = model.new_bool_var(f"changed{op}")
                model.add(start == before).only_enforce_if(~changed)
                self._changed.append((op, changed))
                total += weights.start * changed
            if weights.shift:
                shift = model.new_int_var(0, self.problem.horizon() + before, f"shift{op}")
                model.add(shift >= start - before)
                model.add(shift >= before - start)
                self._shift.append((op, shift))
                total += weights.shift * shift
            if weights.machine:
                total += weights.machine * self._elsewhere(k, int(old.machine[op]))
        model.clear_objective()
        model.minimize(total)

    def _elsewhere(self, k: int, machine: int) -> Any:
        """Return 1 minus whether operation `k` of the part is on `machine`."""
        shop = self._part.shop
        first, last = shop.alt_offset[k : k + 2].tolist()
        if last == first + 1:
            return 0
        alt = first + int(np.flatnonzero(shop.alt_machine[first:last] == machine)[0])
        return 1 - self._part.inner.presence[alt]

    def options(self, solver: str, workers: int) -> dict[str, Any]:
        """Return what the formulation asks for; the price needs the LP where it is a sum."""
        chosen = self._part.options(solver, workers)
        if self._changed or self._shift:
            chosen.pop("linearization_level", None)
        return chosen

    def hint(self, solution: JobShopSolution) -> npt.NDArray[np.float64]:
        """Return the value of every variable in `solution`, in model order."""
        inner = self._part.hint(solution)
        values = np.zeros(len(self.model.proto.variables))
        values[: len(inner)] = inner
        shift = np.abs(solution.start - self.problem.old.start)
        for op, variable in self._changed:
            values[variable.index] = shift[op] > 0
        for op, variable in self._shift:
            values[variable.index] = shift[op]
        return values

    def decode(self, values: npt.NDArray[np.float64]) -> JobShopSolution:
        """Return the plan that the variables' values stand for."""
        return self._part.decode(values)


# ---- solving it ---------------------------------------------------------------------------


def work(session: Session, *, workers: int, seed: int) -> StopReason:
    """Offer the old plan or one in its order, then solve the model; say why there is none."""
    shop: Replan = session.problem  # type: ignore[assignment]
    if not shop.check(shop.old):
        session.offer(shop.old, "old plan")
    try:
        if session.solution is None:
            _keep_order(session, seed)
        reason = run_exact(
            session, solver, ReplanModel, source="cpsat", workers=workers, seed=seed, options={}
        )
    except ProvenInfeasible as error:
        session.prove_infeasible("presolve", str(error))
        reason = StopReason.PROOF
    if session.infeasible:
        session.message = conflict(shop, session.deadline)
    return reason


def _keep_order(session: Session, seed: int) -> None:
    """Offer a plan that keeps every machine and every order, as a beginning."""
    shop: Replan = session.problem  # type: ignore[assignment]
    state = np.where(shop.frozen, cutting.FIXED, cutting.ORDERED).astype(np.int8)
    try:
        part = parts.Part(shop, shop.old, state, not_before=shop.now, deadline=session.deadline)
    except ProvenInfeasible:
        return
    switch = sub_solve.Switch(session)
    with switch.registering() as when_stopped:
        sub_solve.solve_part(
            part,
            sub_solve.Limits(session.deadline.remaining(), effort=5.0),
            seed=seed,
            workers=1,
            stopped=lambda: session.stopped,
            when_stopped=when_stopped,
            on_solution=lambda plan: session.offer(plan, "order kept"),
        )


# ---- why there is no plan -----------------------------------------------------------------


def conflict(shop: Replan, deadline: Deadline) -> str:
    """Return in words a set of deadlines, breaks and no-waits that cannot hold together.

    One after the other is left out; what is not missed stays out (deletion filter, Chinneck and
    Dravnieks 1991). Where the time ends before, the set may hold more than it has to.
    """
    kept = _demands(shop)
    minimal = True
    for demand in list(kept):
        fewer = [other for other in kept if other is not demand]
        answer = _possible(shop, fewer, deadline) if len(kept) <= QUESTIONS else None
        if answer is False:
            kept = fewer
        minimal &= answer is not None
    if not kept:
        return "what has started allows no continuation, even without deadlines and breaks"
    those = ", ".join(demand.text for demand in kept)
    return (
        "these cannot all hold: " if minimal else "some of these cannot hold together: "
    ) + those


@dataclass(frozen=True, eq=False)
class _Demand:
    """Something that could be left out, so that a plan might be possible."""

    text: str
    kind: str  # deadline, break, no-wait
    index: int  # job, break, operation


def _demands(shop: Replan) -> list[_Demand]:
    found = []
    if shop.deadline is not None:
        for j, latest in enumerate(shop.deadline.tolist()):
            if latest != NO_DEADLINE:
                found.append(_Demand(f"the deadline of job {j} at {latest}", "deadline", j))
    machine = np.repeat(np.arange(shop.n_machines), np.diff(shop.break_offset))
    for k in np.flatnonzero(shop.break_end > shop.now).tolist():
        text = (
            f"the break of machine {machine[k]} from {shop.break_start[k]} to {shop.break_end[k]}"
        )
        found.append(_Demand(text, "break", k))
    final = np.zeros(shop.n_ops, dtype=bool)
    final[shop.job_offset[1:] - 1] = True
    waiting = (shop.buffer == NO_WAIT) & ~final
    waiting[:-1] &= ~shop.frozen[1:]
    for op in np.flatnonzero(waiting).tolist():
        found.append(_Demand(f"no wait behind {operation(shop, op)}", "no-wait", op))
    return found


def _possible(shop: Replan, demands: Sequence[_Demand], deadline: Deadline) -> bool | None:
    """Return whether there is a plan with these demands alone, None where that stays open."""
    if deadline.expired():
        return None
    index = {kind: [d.index for d in demands if d.kind == kind] for kind in _KINDS}
    options = cutting.arguments(shop)
    if shop.deadline is not None:
        latest = np.full(shop.n_jobs, NO_DEADLINE)
        latest[index["deadline"]] = shop.deadline[index["deadline"]]
        options["deadline"] = latest
    over = np.flatnonzero(shop.break_end <= shop.now).tolist()
    machine = np.repeat(np.arange(shop.n_machines), np.diff(shop.break_offset))
    breaks: dict[int, list[tuple[int, int]]] = {}
    for k in sorted(over + index["break"]):
        pair = (int(shop.break_start[k]), int(shop.break_end[k]))
        breaks.setdefault(int(machine[k]), []).append(pair)
    options["calendars"] = breaks
    buffer = np.where(shop.buffer == NO_WAIT, UNLIMITED, shop.buffer)
    buffer[index["no-wait"]] = NO_WAIT
    options["buffers"] = cutting.arguments(shop, buffer=buffer)["buffers"]
    relaxed = Replan.from_arrays(
        shop.job_offset, shop.alt_offset, shop.alt_machine, shop.alt_duration, **options
    )
    state = {"old": shop.old, "now": shop.now, "frozen": shop.frozen, "weights": Weights()}
    relaxed.__dict__.update(state, reach=shop.__dict__["reach"])
    found: list[Any] = []
    try:
        verdict = sub_solve.solve_part(
            ReplanModel(relaxed, deadline=deadline),
            sub_solve.Limits(deadline.remaining(), effort=ASKING),
            seed=0,
            workers=1,
            stopped=lambda: bool(found),
            when_stopped=lambda _: None,
            on_solution=found.append,
        )
    except ProvenInfeasible:
        return False
    if found:
        return True
    return False if verdict is Verdict.INFEASIBLE else None
