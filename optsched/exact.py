"""Exact solvers at work for a session: what joins a formulation and a solver."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from optsched.core import (
    Deadline,
    DeadlineExpired,
    OptschedError,
    ProvenInfeasible,
    VerificationError,
)
from optsched.result import StopReason
from optsched.search import portfolio
from optsched.session import Session
from optsched.solvers.base import Compiled, Control, Verdict


def run_exact(
    session: Session,
    solver: ModuleType,
    build: Callable[..., Compiled],
    *,
    source: str,
    workers: int,
    seed: int,
    options: Mapping[str, Any],
    variant: str = "",
) -> StopReason:
    """Build the model around what the session knows, and solve it into the session."""
    problem = session.problem
    compiled = build(
        problem,
        upper_bound=session.objective,
        lower_bound=session.bound,
        deadline=session.deadline,
    )
    control = Control(
        deadline=session.deadline,
        workers=workers,
        seed=seed,
        options=compiled.options(source.partition(":")[0], workers) | dict(options),
        variant=variant,
        hint=None if session.solution is None else compiled.hint(session.solution),
        on_solution=_offering(session, compiled, source),
        on_bound=_proving(session, source),
        stopped=lambda: session.stopped,
        when_stopped=session.when_stopped,
    )
    verdict: Verdict = solver.run(compiled, control)
    if verdict is Verdict.INFEASIBLE and not session.stopped:
        session.prove_infeasible(source)
    if verdict is Verdict.STOPPED:
        if session.deadline.remaining() < 0.5:  # solvers end a little before their limit
            return StopReason.TIME
        return StopReason.STEPS if options else StopReason.SOLVER
    return StopReason.SOLVER


def _proving(session: Session, source: str, most: float = math.inf) -> Callable[[float], None]:
    """Return what takes the bounds of a model that holds every solution below `most`.

    What such a model proves beyond `most` says nothing of the instance.
    """

    def on_bound(value: float) -> None:
        if not math.isfinite(value) or abs(value) > 2**62:
            return
        value = min(value, most)
        try:
            low = value - _tolerance(value)
            session.prove(math.ceil(low) if session.problem.integral else low, source)
        except OptschedError as error:
            session.fail(error)

    return on_bound


def _offering(
    session: Session, compiled: Compiled, source: str
) -> Callable[[Any, float | None], None]:
    """Return what takes the values of a model's variables, decodes and offers them."""

    def on_solution(values: Any, claimed: float | None) -> None:
        try:
            solution = compiled.decode(values)
            objective = session.problem.objective(solution)
            # Decoding may shift a schedule to the left, but must not make it worse.
            # MILP claims carry the error of big-M rows; what counts is the recomputed objective.
            if claimed is not None and objective > claimed + max(0.1, 1e-4 * abs(claimed)):
                raise VerificationError(
                    f"{source} claims {claimed:g}, but the solution's objective is {objective}"
                )
            session.offer(solution, source)
        except OptschedError as error:  # raised in a solver's thread, it would be lost
            session.fail(error)

    return on_solution


def asking(
    session: Session,
    solver: ModuleType,
    build: Callable[..., Compiled],
    *,
    source: str,
    workers: Callable[[], int],
    seed: int,
    options: Mapping[str, Any],
) -> portfolio.Ask:
    """Return a prover for `optsched.search.portfolio` made of a CP solver and a formulation.

    `workers` tells at each question how many cores it may take.
    """

    def ask(target: int | None, deadline: Deadline, effort: float | None) -> portfolio.Answer:
        try:
            compiled = build(
                session.problem,
                upper_bound=target,
                lower_bound=session.bound,
                deadline=deadline,
            )
        except ProvenInfeasible:
            if target is None:
                raise  # with the reason why there is no solution at all
            return portfolio.Answer.NO
        except DeadlineExpired:
            return portfolio.Answer.OPEN
        found: list[float] = []  # claimed objectives, best last
        offer = _offering(session, compiled, source)

        def on_solution(values: Any, claimed: float | None) -> None:
            found.append(math.inf if claimed is None else claimed)
            offer(values, claimed)

        def stopped() -> bool:
            best = session.objective
            if session.stopped or deadline.expired():
                return True
            if best is None:
                return False
            return best < found[-1] if found else target is not None and best <= target

        interrupts: list[Callable[[], None]] = []
        done = threading.Event()

        def watch() -> None:
            while not done.wait(0.03):
                if stopped():
                    for interrupt in interrupts:
                        interrupt()

        cores = workers()
        extra = {} if effort is None else {"max_deterministic_time": effort}
        control = Control(
            deadline=deadline,
            workers=cores,
            seed=seed,
            options=compiled.options("cpsat", cores) | dict(options) | extra,
            variant="",
            hint=None,
            on_solution=on_solution,
            on_bound=_proving(session, source, math.inf if target is None else target + 1),
            stopped=stopped,
            when_stopped=interrupts.append,
        )
        threading.Thread(target=watch, daemon=True, name="optsched watch").start()
        try:
            verdict: Verdict = solver.run(compiled, control)
        finally:
            done.set()
        if verdict is Verdict.INFEASIBLE:
            return portfolio.Answer.NO
        return portfolio.Answer.YES if found else portfolio.Answer.OPEN

    return ask


def _tolerance(value: float) -> float:
    """Return the error that a float objective or bound of a solver may carry."""
    return min(0.1, 1e-6 * max(1.0, abs(value)))
