"""One sub-problem of a decomposition: a part of an instance, solved by CP-SAT.

A family's module says how a part of an instance becomes a model (``part``).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from optsched.core import Deadline, DeadlineExpired, Problem, ProvenInfeasible
from optsched.search.lns import Answer, Question
from optsched.session import Session
from optsched.solvers import cpsat
from optsched.solvers.base import Compiled, Control, Verdict

#: Parameters of CP-SAT for models that are solved in about a second: little presolve.
QUICK: dict[str, Any] = {"symmetry_level": 0, "cp_model_probing_level": 0}
#: Bounds from below are mostly met in a part, so that it pays to start from them. The two take
#: turns, since the first finds nothing where it is cut short.
TURNS = ("optimize_with_core", "use_objective_lb_search")


@dataclass(frozen=True)
class Limits:
    """What a sub-solve is given of cores and time.

    Attributes
    ----------
    seconds : float
        At most; infinite for none.
    effort : float or None
        Deterministic seconds at most.
    patience : float or None
        Seconds without a better solution, after the first.
    """

    seconds: float
    effort: float | None = None
    patience: float | None = None


class Switch:
    """Stops whatever sub-solves are at work when the session does.

    It registers with the session once, however many sub-solves there are.
    """

    def __init__(self, session: Session) -> None:
        self._lock = threading.Lock()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._next = 0
        session.when_stopped(self._stop)

    def _stop(self) -> None:
        with self._lock:
            callbacks = list(self._callbacks.values())
        for callback in callbacks:
            callback()

    @contextlib.contextmanager
    def registering(self) -> Any:
        """Yield a ``when_stopped``; what it registered is forgotten at the end."""
        keys: list[int] = []

        def when_stopped(callback: Callable[[], None]) -> None:
            with self._lock:
                self._callbacks[self._next] = callback
                keys.append(self._next)
                self._next += 1

        try:
            yield when_stopped
        finally:
            with self._lock:
                for key in keys:
                    del self._callbacks[key]


def solve_part(
    compiled: Compiled,
    limits: Limits,
    *,
    seed: int,
    workers: int,
    stopped: Callable[[], bool],
    when_stopped: Callable[[Callable[[], None]], None],
    on_solution: Callable[[Any], object],
    hint: Any = None,
    options: Mapping[str, Any] | None = None,
) -> Verdict:
    """Solve the model of a part by CP-SAT; `on_solution` takes decoded solutions as they come.

    Parameters
    ----------
    compiled : Compiled
    limits : Limits
    seed, workers : int
    stopped, when_stopped : callable
        See `optsched.solvers.base.Control`.
    on_solution : callable(solution)
    hint : Solution, optional
        A solution of the part to begin with.
    options : mapping, optional
        CP-SAT parameters, before those of the formulation.
    """
    seconds = limits.seconds
    deadline = Deadline(None if seconds == float("inf") else seconds)
    chosen = compiled.options("cpsat", workers) | dict(options or {})
    if limits.effort is not None:
        chosen["max_deterministic_time"] = limits.effort
    patience = _Patience(limits.patience)

    def take(values: Any, claimed: float | None) -> None:
        patience.renew()
        on_solution(compiled.decode(values))

    def register(callback: Callable[[], None]) -> None:
        when_stopped(callback)
        patience.calls(callback)

    control = Control(
        deadline=deadline,
        workers=workers,
        seed=seed,
        options=chosen,
        variant="",
        hint=None if hint is None else compiled.hint(hint),
        on_solution=take,
        on_bound=lambda _: None,
        stopped=stopped,
        when_stopped=register,
    )
    with patience:
        verdict: Verdict = cpsat.run(compiled, control)
    return verdict


class _Patience:
    """Ends a solve that has found nothing better for a while."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._since: Deadline | None = None
        self._ended = threading.Event()
        self._callback: Callable[[], None] = lambda: None

    def calls(self, callback: Callable[[], None]) -> None:
        self._callback = callback

    def renew(self) -> None:
        self._since = Deadline(self._seconds)

    def _watch(self) -> None:
        while not self._ended.wait(0.05):
            if self._since is not None and self._since.expired():
                self._callback()

    def __enter__(self) -> None:
        if self._seconds is not None:
            threading.Thread(target=self._watch, daemon=True, name="optsched patience").start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()


def answer(
    module: Any,
    problem: Problem,
    question: Question,
    seconds: float,
    *,
    stopped: Callable[[], bool],
    when_stopped: Callable[[Callable[[], None]], None],
    options: Mapping[str, Any] | None = None,
) -> Answer:
    """Answer one question with one worker.

    Parameters
    ----------
    module : module
        The family's: ``part(problem, solution, free, upper_bound=, deadline=)`` returns the
        `Compiled` model of the part.
    problem : Problem
    question : Question
    seconds : float
        Time that is left.
    stopped, when_stopped : callable
        See `optsched.solvers.base.Control`.
    options : mapping, optional
        CP-SAT parameters.
    """
    deadline = Deadline(None if seconds == float("inf") else seconds)
    found: list[Any] = []
    best = [question.objective]

    def on_solution(solution: Any) -> None:
        value = problem.objective(solution)
        if value < best[0]:
            best[0] = value
            found.append(solution)

    try:
        compiled = module.part(
            problem,
            question.solution,
            question.free,
            upper_bound=question.objective,
            deadline=deadline,
        )
        verdict = solve_part(
            compiled,
            Limits(deadline.remaining(), question.effort),
            seed=question.seed,
            workers=1,
            stopped=stopped,
            when_stopped=when_stopped,
            on_solution=on_solution,
            hint=question.solution,
            options={**QUICK, TURNS[question.seed % 2]: True, **(options or {})},
        )
    except ProvenInfeasible:
        return Answer(Verdict.INFEASIBLE, None)
    except DeadlineExpired:
        return Answer(Verdict.STOPPED, None)
    return Answer(verdict, found[-1] if found else None)
