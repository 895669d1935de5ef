"""Two MILP formulations to choose from: time-indexed and event-based, written in PuLP.

Time-indexed: a binary for each start of each variant (Pritsker, Watters and Wolfe 1969).
Event-based: a binary tells whether an activity runs between two events (the on/off formulation of
Kone, Artigues, Lopez and Mongeau 2011), whatever the length of the horizon.
"""

from __future__ import annotations

from optsched.core import CannotExpressError, Deadline, InputError
from optsched.problems.rcpsp.milp_events import OnOffEvents
from optsched.problems.rcpsp.milp_times import TimeIndexed
from optsched.problems.rcpsp.problem import Rcpsp
from optsched.solvers.base import nearest

SUPPORTS = TimeIndexed.SUPPORTS

FORMULATIONS: dict[str, type[TimeIndexed] | type[OnOffEvents]] = {
    "time-indexed": TimeIndexed,
    "event-based": OnOffEvents,
}
#: Options of `build` that a user may set, with the values that they take.
OPTIONS = {"formulation": tuple(FORMULATIONS)}


def build(
    problem: Rcpsp,
    *,
    upper_bound: int | None = None,
    lower_bound: int | None = None,
    deadline: Deadline | None = None,
    formulation: str | None = None,
) -> TimeIndexed | OnOffEvents:
    """Compile `problem` to a PuLP model; see `optsched.problems.rcpsp.cpsat.build`.

    Parameters
    ----------
    formulation : str, optional
        ``"time-indexed"`` or ``"event-based"``. Default: time-indexed, unless its horizon makes
        it too large and the events can express the instance.

    Raises
    ------
    CannotExpressError
        When events are asked for and cannot express a feature; the message names it.
    InputError
        When the horizon makes the model too large.
    """
    expressed = problem.features() <= OnOffEvents.SUPPORTS
    if formulation is None:
        formulation = "time-indexed"
        if expressed and TimeIndexed.size(problem, upper_bound) > TimeIndexed.MOST:
            formulation = "event-based"
    if formulation not in FORMULATIONS:
        raise InputError(
            f"unknown formulation {formulation!r}{nearest(formulation, FORMULATIONS)}: "
            f"one of {', '.join(FORMULATIONS)}"
        )
    if formulation == "event-based" and not expressed:
        beyond = ", ".join(sorted(problem.features() - OnOffEvents.SUPPORTS))
        raise CannotExpressError(f"the event-based formulation cannot express {beyond}")
    chosen = FORMULATIONS[formulation]
    return chosen(problem, upper_bound, lower_bound, deadline or Deadline())
