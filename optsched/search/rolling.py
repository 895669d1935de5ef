"""Rolling horizon: solve a window of items, keep what begins first, move on.

The defaults are those of the rolling horizon that L-RHO learns from (Li, Ouyang, Ma and Wu,
Learning-guided rolling horizon optimization for long-horizon flexible job-shop scheduling, 2025):
windows of 80 operations, of which the 30 that begin first are kept, 60 s a window, ended after
3 s without a better solution, no warm start.

A window knows nothing of what comes behind it, so the result carries no bound.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np

from optsched.core import BoolArray, InputError
from optsched.result import StopReason
from optsched.search.sub_solve import Limits
from optsched.session import Session
from optsched.solvers.base import Compiled, Verdict


class Horizon(Protocol):
    """What a family tells of its instance: what comes next, and the model of a window.

    A plan is whatever the models of the family decode to, with entries that mean nothing yet.
    """

    items: int  #: number of items (operations, activities, ...)

    def empty(self) -> Any:
        """Return the plan of which nothing is done."""

    def window(self, done: BoolArray, size: int) -> BoolArray:
        """Return the next items, about `size` of those that are not done, and not none."""

    def part(self, plan: Any, done: BoolArray, window: BoolArray) -> Compiled:
        """Return the model in which `window` is free, what is done is fixed, the rest is absent.

        Raises `ProvenInfeasible` when that is plain.
        """

    def keep(self, plan: Any, window: BoolArray, step: int) -> BoolArray:
        """Return the items of the window that begin first, about `step` of them, and not none."""


@dataclass(frozen=True)
class Pace:
    """How the horizon rolls.

    Attributes
    ----------
    window, step : int
        Items in a window, and of those the number that is kept. Their difference is the overlap,
        which is decided anew in the next window.
    window_time : float
        Seconds a window; a time limit of the whole is shared among the windows that are left.
    patience : float or None
        Seconds without a better solution that end a window.
    effort : float or None
        Deterministic seconds a window, for runs that can be repeated.
    """

    window: int = 80
    step: int = 30
    window_time: float = 60.0
    patience: float | None = 3.0
    effort: float | None = None

    def __post_init__(self) -> None:
        if self.window < 1:
            raise InputError(f"rolling: window {self.window} is less than 1")
        if not 1 <= self.step <= self.window:
            raise InputError(
                f"rolling: step {self.step} is not between 1 and the window, {self.window}"
            )
        for name in ("window_time", "patience", "effort"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"rolling: {name} {value} is not above 0")


#: ``solve_window(build, limits)`` builds and solves the model of a window: the verdict, INFEASIBLE
#: where building says so, and the best plan or None.
SolveWindow = Callable[[Callable[[], Compiled], Limits], tuple[Verdict, Any]]


def run(
    session: Session,
    horizon: Horizon,
    solve_window: SolveWindow,
    *,
    pace: Pace | None = None,
    source: str = "rolling",
) -> StopReason:
    """Roll over the whole instance once, and offer the outcome to the session.

    Where a window turns out infeasible because of what was kept before, the last step is taken
    back and joins the window, as often as it needs.

    Parameters
    ----------
    session : Session
        Verifies the outcome; its deadline is shared among the windows.
    horizon : Horizon
        The family's view of the instance.
    solve_window : callable(build, limits) -> (Verdict, plan or None)
        Builds and solves the model of a window.
    pace : Pace, optional
        Default: as published.
    source : str
        Name in the trace.

    Returns
    -------
    StopReason
        HEURISTIC at the end of the instance, SOLVER when no window of any size could be solved;
        otherwise what stopped the session.
    """
    pace = pace or Pace()
    done = np.zeros(horizon.items, dtype=bool)
    plan = horizon.empty()
    history: list[tuple[Any, BoolArray]] = []  # plan and what was done, before each step
    extra, stuck, patience = 0, 0, 1.0
    while not done.all():
        if session.stopped:
            return session.outcome(StopReason.TIME)[1]
        window = horizon.window(done, pace.window + extra)
        limits = _limits(session, pace, int((~done).sum()), patience)
        build = partial(horizon.part, plan, done, window)
        verdict, found = solve_window(build, limits)
        if found is not None:
            history.append((plan, done))
            plan, patience = found, 1.0
            rest = ~done & ~window
            keep = horizon.keep(plan, window, pace.step) if rest.any() else window
            done = done | keep
            extra = extra if done.sum() <= stuck else 0
        elif verdict is not Verdict.INFEASIBLE and patience < 8:
            patience *= 2  # it may only need more time
        elif history:
            # The window stays larger until this place is passed, else it would come here again.
            stuck = max(stuck, int(done.sum()))
            plan, earlier = history.pop()
            extra += int((done & ~earlier).sum())
            done, patience = earlier, 1.0
        else:
            return session.outcome(StopReason.SOLVER)[1]
    session.offer(plan, source)
    return session.outcome(StopReason.HEURISTIC)[1]


def _limits(session: Session, pace: Pace, left: int, patience: float) -> Limits:
    """Share the time that is left among the windows that are left."""
    windows = max(1, -(-(left - pace.window) // pace.step) + 1)
    share = session.deadline.remaining() / windows
    seconds = min(pace.window_time * patience, share * patience, session.deadline.remaining())
    effort = None if pace.effort is None else pace.effort * patience
    return Limits(seconds, effort, pace.patience)
