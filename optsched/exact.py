"""Exact solvers at work for a session: what joins a formulation and a solver."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
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

#: How long a loyal prover's question is young: a share of the time before it, and seconds.
YOUTH, YOUTH_LEAST = 0.25, 1.0


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
    loyal: bool = False,
) -> portfolio.Ask:
    """Return a prover for `optsched.search.portfolio` made of a CP solver and a formulation.

    `workers` tells at each question how many cores it may take. Where there are several and the
    model has halves, these are asked side by side; a question that began on one core and could be
    halved by now is broken off, to be asked again. So is one that others have overtaken; a `loyal`
    prover leaves it only while it is young, and so keeps what it has learnt.
    """

    def ask(target: int | None, deadline: Deadline, effort: float | None) -> portfolio.Answer:
        cores = workers()

        def compiled() -> Compiled:
            return build(
                session.problem,
                upper_bound=target,
                lower_bound=session.bound,
                deadline=deadline,
            )

        try:
            parts = [compiled()]
            halves = parts[0].halves and effort is None
            if halves and cores > 1:
                parts.append(compiled())
                for side, part in enumerate(parts):
                    part.keep_half(side)
        except ProvenInfeasible:
            if target is None:
                raise  # with the reason why there is no solution at all
            return portfolio.Answer.NO
        except DeadlineExpired:
            return portfolio.Answer.OPEN
        limit = {} if effort is None else {"max_deterministic_time": effort}
        question = _Question(
            session,
            solver,
            source=source,
            target=target,
            deadline=deadline,
            seed=seed,
            options={**options, **limit},
            outdated=lambda: halves and len(parts) == 1 and workers() > 1,
            loyal=loyal,
        )
        return question.put(parts, cores)

    return ask


class _Question:
    """Is there a solution of at most the target? Asked of one model, or of its two halves."""

    def __init__(
        self,
        session: Session,
        solver: ModuleType,
        *,
        source: str,
        target: int | None,
        deadline: Deadline,
        seed: int,
        options: Mapping[str, Any],
        outdated: Callable[[], bool],
        loyal: bool,
    ) -> None:
        self._session = session
        self._solver = solver
        self._source = source
        self._target = target
        self._deadline = deadline
        self._seed = seed
        self._options = dict(options)
        self._outdated = outdated
        #: When the question has become too old to be left, on the session's clock.
        self._youth = math.inf
        if loyal:
            self._youth = (1 + YOUTH) * session.deadline.elapsed() + YOUTH_LEAST
        most = math.inf if target is None else target + 1
        self._prove = _proving(session, source, most)

    def put(self, parts: Sequence[Compiled], cores: int) -> portfolio.Answer:
        """Ask all parts side by side and put their answers together."""
        n = len(parts)
        share = [cores // n + (k < cores % n) for k in range(n)]
        self._found: list[list[float]] = [[] for _ in parts]  # claimed objectives, best last
        self._bound = [-math.inf] * n
        self._lock = threading.Lock()
        verdicts: list[Verdict | None] = [None] * n

        def run(k: int) -> None:
            try:
                verdicts[k] = self._run(k, parts[k], share[k])
            except BaseException as error:
                self._session.fail(error)

        threads = [
            threading.Thread(target=run, args=(k,), daemon=True, name="optsched half")
            for k in range(1, n)
        ]
        for thread in threads:
            thread.start()
        verdicts[0] = self._run(0, parts[0], share[0])
        for thread in threads:
            thread.join()
        if all(verdict is Verdict.INFEASIBLE for verdict in verdicts):
            return portfolio.Answer.NO
        return portfolio.Answer.YES if any(self._found) else portfolio.Answer.OPEN

    def _run(self, k: int, compiled: Compiled, cores: int) -> Verdict:
        offer = _offering(self._session, compiled, self._source)
        interrupts: list[Callable[[], None]] = []
        done = threading.Event()

        def on_solution(values: Any, claimed: float | None) -> None:
            self._found[k].append(math.inf if claimed is None else claimed)
            offer(values, claimed)

        def watch() -> None:
            while not done.wait(0.03):
                if self._stopped(k):
                    for interrupt in interrupts:
                        interrupt()

        control = Control(
            deadline=self._deadline,
            workers=cores,
            seed=self._seed,
            options=compiled.options("cpsat", cores) | self._options,
            variant="",
            hint=None,
            on_solution=on_solution,
            on_bound=lambda value: self._raise(k, value),
            stopped=lambda: self._stopped(k),
            when_stopped=interrupts.append,
        )
        threading.Thread(target=watch, daemon=True, name="optsched watch").start()
        try:
            verdict: Verdict = self._solver.run(compiled, control)
        finally:
            done.set()
        if verdict is Verdict.INFEASIBLE:
            self._raise(k, math.inf)
        return verdict

    def _stopped(self, k: int) -> bool:
        best = self._session.objective
        if self._session.stopped or self._deadline.expired() or self._outdated():
            return True
        if best is None or self._session.deadline.elapsed() > self._youth:
            return False
        found = self._found[k]
        return best < found[-1] if found else self._target is not None and best <= self._target

    def _raise(self, k: int, value: float) -> None:
        """Take a bound of part `k`; that of the whole is the least of all."""
        with self._lock:
            self._bound[k] = max(self._bound[k], value)
            least = min(self._bound)
        if least < math.inf:
            self._prove(least)


def _tolerance(value: float) -> float:
    """Return the error that a float objective or bound of a solver may carry."""
    return min(0.1, 1e-6 * max(1.0, abs(value)))
