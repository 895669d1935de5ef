"""How any solve is run: its limits, its thread and its end, and what comes before a search."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable

from optsched.core import DeadlineExpired, InputError, OptschedError, ProvenInfeasible
from optsched.families import family_module
from optsched.result import Result, StopReason
from optsched.session import Session

#: How long past its deadline a solver is waited for before it is abandoned, seconds.
GRACE = 0.7

#: Solves at work in side threads, with the events that tell their ends.
_at_work: set[tuple[Session, threading.Event]] = set()


@atexit.register
def _stop_all() -> None:
    """Stop what is still at work: an interpreter that ends under a running solver aborts."""
    for session, ended in list(_at_work):
        session.interrupt()
        session.wake()
        ended.wait(5)


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_limits(time_limit: float | None, workers: int | None, seed: int) -> None:
    """Raise `InputError` on what no solve takes."""
    if time_limit is not None and not time_limit >= 0:
        raise InputError(f"time_limit {time_limit}: give seconds, at least 0, or None")
    if workers is not None and workers < 1:
        raise InputError(f"workers {workers} is less than 1")
    if seed < 0:
        raise InputError(f"seed {seed} is negative")


def construct(session: Session, seed: int, variant: str = "") -> None:
    """Run the family's constructive rules, or the one called `variant`.

    They are quick, except where kernels must be compiled first; so a solve with a deadline runs
    them `beside`.
    """
    problem = session.problem
    heuristics = family_module(problem, "heuristics")
    if heuristics is not None and problem.features() <= heuristics.SUPPORTS:
        rule = heuristics.VARIANTS[variant] if variant else heuristics.construct
        rule(problem, session, seed)


def prove_bounds(session: Session) -> None:
    """Prove what the family's bounds say before any search."""
    bounds = family_module(session.problem, "bounds")
    bound = None if bounds is None else bounds.lower_bound(session.problem, session.deadline)
    if bound is not None:
        session.prove(bound, "bounds")


def beside(session: Session, work: Callable[[], StopReason]) -> StopReason:
    """Run `work` in a thread; leave it behind when it overruns the deadline or an interrupt.

    What a thread left behind still reports is ignored; solvers in processes of their own are
    killed by `optsched.solvers.worker`.
    """
    outcome: list[StopReason] = []
    failure: list[BaseException] = []
    # Not thread.join with a time limit: interrupted by Ctrl-C, it takes the thread for ended.
    ended = threading.Event()

    def guarded() -> None:
        try:
            outcome.append(work())
        except DeadlineExpired:
            outcome.append(StopReason.TIME)
        except ProvenInfeasible as reason:
            session.prove_infeasible("presolve", str(reason))
        except OptschedError as error:
            session.fail(error)
        except BaseException as error:
            failure.append(error)
        finally:
            _at_work.discard((session, ended))
            ended.set()

    _at_work.add((session, ended))
    thread = threading.Thread(target=guarded, daemon=True, name="optsched solver")
    thread.start()
    stopped_at: float | None = None
    while True:
        try:
            if ended.wait(0.05):
                break
        except KeyboardInterrupt:
            session.interrupt()
        if session.stopped:
            # Wake again and again: a solver may have been asked before it had begun.
            session.wake()
            now = session.deadline.elapsed()
            stopped_at = now if stopped_at is None else stopped_at
            if now > stopped_at + GRACE:
                break
    if failure:
        raise failure[0]
    return outcome[0] if outcome else StopReason.TIME


def conclude(
    session: Session, finished: StopReason, *, solver: str, seed: int, workers: int
) -> Result:
    """Close a session and return its result; raise the error of a part that failed.

    Parameters
    ----------
    session : Session
    finished : StopReason
        Why it ended, where the session itself does not know better.
    solver : str
    seed, workers : int
        For the record.
    """
    session.close()
    if session.error is not None:
        raise session.error
    status, stop = session.outcome(finished)
    return Result(
        status=status,
        stop=stop,
        objective=session.objective,
        bound=None if session.infeasible else session.bound,
        solution=session.solution,
        trace=tuple(session.trace),
        time=session.deadline.elapsed(),
        solver=solver,
        seed=seed,
        workers=workers,
        problem=session.problem,
        message=session.message,
    )
