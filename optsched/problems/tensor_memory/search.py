"""The family's own exact search: which instances, and its run for a session."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from optsched.core import CannotExpressError, Deadline
from optsched.problems.tensor_memory import bounds, heuristics
from optsched.problems.tensor_memory.problem import OBJECTIVES, TensorMemory
from optsched.result import StopReason
from optsched.session import Session

#: Features that this search can express, by the names of `TensorMemory.features`.
SUPPORTS: frozenset[str] = frozenset(
    {"alignment", "gaps", "pinned offsets", "aliases", "capacity"}
    | {f"objective {kind}" for kind in OBJECTIVES}
)
#: This search proves optimality by itself.
EXACT = True


def run(
    problem: TensorMemory,
    session: Session,
    *,
    seed: int,
    stopped: Callable[[], bool] | None = None,
    workers: int = 1,
) -> StopReason:
    """Solve to optimality, or until the session stops; `workers` searches run side by side."""
    if unknown := sorted(problem.features() - SUPPORTS):
        raise CannotExpressError(f"the tensor-memory search cannot express: {', '.join(unknown)}")
    from optsched.problems.tensor_memory import driver

    if session.solution is None:
        heuristics.construct(problem, session, seed)
    session.prove(bounds.lower_bound(problem, session.deadline), "bounds")
    if not session.proven:
        stop = stopped or (lambda: session.stopped)
        driver.run(problem, session, seed, stop, workers)
    if session.proven:
        return StopReason.PROOF
    return session.outcome(StopReason.SOLVER)[1]


def warm_up() -> threading.Thread:
    """Compile the kernels in a background thread, and return it; later calls cost nothing."""
    thread = threading.Thread(target=_compile, name="optsched-warm-up", daemon=True)
    thread.start()
    return thread


def _compile() -> None:
    rng = np.random.default_rng(0)
    lower = rng.integers(0, 20, 24)
    rows = np.column_stack((lower, lower + rng.integers(1, 9, 24), rng.integers(1, 20, 24)))
    problem = TensorMemory(rows)
    run(problem, Session(problem, Deadline(5.0)), seed=0)
