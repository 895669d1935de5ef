"""The meeting place of one solve: every incumbent and bound passes here and is verified.

Heuristics, exact solvers and searches run against one `Session`, from one thread or several. It
keeps the best checked solution and the best proven bound, writes the trace, and says when to stop.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

from optsched.core import (
    Deadline,
    InputError,
    Number,
    Problem,
    VerificationError,
)
from optsched.result import Event, Status, StopReason, relative_gap


class Session:
    """Incumbent, bound, trace and stop of one solve; safe to share between threads.

    Parameters
    ----------
    problem : Problem
        The instance; its checker judges every solution.
    deadline : Deadline
        The one clock of the solve.
    gap_limit : float
        Stop once the relative gap is at most this.
    on_event : callable, optional
        Called with each `Event`, under the session's lock: keep it short.
    """

    def __init__(
        self,
        problem: Problem,
        deadline: Deadline,
        *,
        gap_limit: float = 0.0,
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        self.problem = problem
        self.deadline = deadline
        self.gap_limit = gap_limit
        self.trace: list[Event] = []
        self.solution: Any = None
        self.objective: Number | None = None
        self.bound: Number | None = None
        self.infeasible = False
        self.message = ""
        self.error: BaseException | None = None
        self._on_event = on_event
        self._lock = threading.RLock()
        self._user_stop = threading.Event()
        self._closed = False
        self._wake: list[Callable[[], None]] = []

    # ---- what solvers and searches report ------------------------------------------------

    def offer(self, solution: Any, source: str, *, claimed: Number | None = None) -> bool:
        """Offer a solution; return whether it is the new incumbent.

        Parameters
        ----------
        solution : Solution
            A complete solution; it is checked here, outside the lock.
        source : str
            Which part found it.
        claimed : int or float, optional
            The objective that the solver believes in.

        Raises
        ------
        VerificationError
            When the checker refutes it, the claim is wrong, or it beats a proven bound.
        """
        violations = self.problem.check(solution)
        if violations:
            more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
            self._fail(f"{source} returned an invalid solution: {violations[0]}{more}")
        objective = self.problem.objective(solution)
        if claimed is not None and not math.isclose(claimed, objective, rel_tol=1e-6, abs_tol=1e-6):
            self._fail(f"{source} claims {claimed}, but the solution's objective is {objective}")
        with self._lock:
            if self._closed or (self.objective is not None and objective >= self.objective):
                return False
            if self.infeasible:
                self._fail(f"{source} found a solution of an instance proven infeasible")
            if self.bound is not None and objective < self.bound - _slack(self.bound):
                self._fail(f"{source} found {objective}, below the proven bound {self.bound}")
            self.solution, self.objective = solution, objective
            self._record(source)
        self._stop_others()
        return True

    def prove(self, bound: Number, source: str) -> bool:
        """Report a lower bound proven for the whole instance; return whether it is better."""
        with self._lock:
            if self._closed or (self.bound is not None and bound <= self.bound):
                return False
            if self.objective is not None and bound > self.objective:
                if bound > self.objective + _slack(self.objective):
                    self._fail(f"{source} proves {bound}, above the checked {self.objective}")
                bound = self.objective
                if self.bound is not None and bound <= self.bound:
                    return False
            self.bound = bound
            self._record(source)
        self._stop_others()
        return True

    def prove_infeasible(self, source: str, message: str = "") -> None:
        """Report that the instance has no solution."""
        with self._lock:
            if self._closed:
                return
            if self.solution is not None:
                self._fail(f"{source} proves infeasible an instance with a checked solution")
            self.infeasible = True
            self.message = message or f"proven infeasible by {source}"
        self._stop_others()

    def fail(self, error: BaseException) -> None:
        """Report an error of a part that runs in a thread of its own; `solve` raises it."""
        with self._lock:
            if self.error is None and not self._closed:
                self.error = error
        self._stop_others()

    # ---- when to stop --------------------------------------------------------------------

    @property
    def proven(self) -> bool:
        """Whether the incumbent is proven optimal, or the instance infeasible."""
        return self.infeasible or (self.objective is not None and self.objective == self.bound)

    @property
    def stopped(self) -> bool:
        """Whether everybody should stop: proof, gap, time, user or error."""
        return (
            self._closed
            or self._user_stop.is_set()
            or self.proven
            or self.error is not None
            or self._gap_met()
            or self.deadline.expired()
        )

    def interrupt(self) -> None:
        """Ask everybody to stop, on the user's behalf."""
        self._user_stop.set()
        self._stop_others()

    def when_stopped(self, callback: Callable[[], None]) -> None:
        """Call `callback` (from any thread, once or more) as soon as `stopped` turns true.

        The deadline calls nobody: a solver is given its time limit.
        """
        with self._lock:
            self._wake.append(callback)
        if self.stopped:
            callback()

    def wake(self) -> None:
        """Call what `when_stopped` registered."""
        with self._lock:
            callbacks = list(self._wake)
        for callback in callbacks:
            callback()

    def close(self) -> None:
        """End the solve: what late threads still report is ignored."""
        with self._lock:
            self._closed = True
        self._stop_others()

    def outcome(self, finished: StopReason) -> tuple[Status, StopReason]:
        """Return status and stop reason; `finished` applies where nothing else stopped it."""
        if self.infeasible:
            return Status.INFEASIBLE, StopReason.PROOF
        if self.proven:
            return Status.OPTIMAL, StopReason.PROOF
        status = Status.UNKNOWN if self.solution is None else Status.FEASIBLE
        if self._user_stop.is_set():
            return status, StopReason.USER
        if self._gap_met():
            return status, StopReason.GAP
        if self.deadline.expired():
            return status, StopReason.TIME
        return status, finished

    # ---- inside --------------------------------------------------------------------------

    def _gap_met(self) -> bool:
        gap = relative_gap(self.objective, self.bound)
        return self.gap_limit > 0 and gap is not None and gap <= self.gap_limit

    def _record(self, source: str) -> None:
        event = Event(self.deadline.elapsed(), self.objective, self.bound, source)
        self.trace.append(event)
        if self._on_event is not None:
            self._on_event(event)

    def _stop_others(self) -> None:
        if self.stopped:
            self.wake()

    def _fail(self, text: str) -> None:
        error = VerificationError(f"{self.problem.name or self.problem.family}: {text}")
        self.fail(error)
        raise error


def _slack(value: Number) -> float:
    """Return the tolerance of float objectives; integers are compared exactly."""
    return 0.0 if isinstance(value, int) else 1e-6 * max(1.0, abs(value))


def hint_from(problem: Problem, hint: Any) -> Any:
    """Return `hint` as a checked solution of `problem`; raise `InputError` when it is none.

    A hint is a solution, or the plain data of one, or of a result that holds one.
    """
    if isinstance(hint, dict):
        data = hint.get("solution", hint)
        if data is None:
            raise InputError("hint: the result holds no solution")
        try:
            hint = problem.solution_type.from_dict(data)
        except InputError as error:
            raise InputError(f"hint: {error}") from error
    if not isinstance(hint, problem.solution_type):
        kind = problem.solution_type.__name__
        raise InputError(f"hint: expected a {kind}, not {type(hint).__name__}")
    violations = problem.check(hint)
    if violations:
        raise InputError(f"hint: not a solution of this instance: {violations[0]}")
    return hint
