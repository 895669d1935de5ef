"""What a solve returns: status, reason, bound, incumbent and the trace of both."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from optsched.core import Number, Problem, Solution


class Status(StrEnum):
    """What is known about the problem at the end."""

    OPTIMAL = "OPTIMAL"  #: a checked solution, and a bound that equals its objective
    FEASIBLE = "FEASIBLE"  #: a checked solution, not proven optimal
    INFEASIBLE = "INFEASIBLE"  #: proven to have no solution
    UNKNOWN = "UNKNOWN"  #: neither a solution nor a proof that there is none


class StopReason(StrEnum):
    """Why the solve ended."""

    PROOF = "PROOF"  #: optimal or infeasible, proven
    TIME = "TIME"  #: the time limit
    USER = "USER"  #: Ctrl-C, or the stream was closed
    GAP = "GAP"  #: the gap limit that was asked for is met
    STEPS = "STEPS"  #: a step, node or iteration limit given as an option
    HEURISTIC = "HEURISTIC"  #: the heuristic is at its end; it proves nothing
    SOLVER = "SOLVER"  #: the solver gave up by itself (memory, numerical trouble)


@dataclass(frozen=True, slots=True)
class Event:
    """One step of progress: an incumbent, a bound, or both.

    Attributes
    ----------
    time : float
        Seconds since `solve` was called.
    objective : int or float or None
        Best objective known at that time; `None` before the first solution.
    bound : int or float or None
        Best bound proven for the whole instance at that time; `None` before the first.
    source : str
        The part that found it, such as ``"cpsat"`` or ``"heuristic:MWKR"``.
    """

    time: float
    objective: Number | None
    bound: Number | None
    source: str

    def to_dict(self) -> dict[str, Any]:
        """Return the event as plain data."""
        return {
            "time": round(self.time, 4),
            "objective": self.objective,
            "bound": self.bound,
            "source": self.source,
        }


def relative_gap(objective: Number | None, bound: Number | None) -> float | None:
    """Return ``(objective - bound) / |objective|``, or `None` where either is absent.

    Where the objective is 0 and the bound is not, the gap is 1.
    """
    if objective is None or bound is None:
        return None
    if objective == bound:
        return 0.0
    return abs(objective - bound) / abs(objective) if objective else 1.0


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of `optsched.solve`.

    Attributes
    ----------
    status : Status
        OPTIMAL, FEASIBLE, INFEASIBLE or UNKNOWN.
    stop : StopReason
        Why the solve ended.
    objective : int or float or None
        Objective of `solution`, recomputed by the independent checker.
    bound : int or float or None
        Proven lower bound for the whole instance.
    solution : Solution or None
        The best solution found; it has passed ``problem.check``.
    trace : tuple of Event
        Every improvement of the incumbent or the bound, in time order.
    time : float
        Seconds that the solve took.
    solver, seed, workers
        What was run.
    problem : Problem
        The instance.
    message : str
        A remark of the solver, such as why an instance is infeasible.
    """

    status: Status
    stop: StopReason
    objective: Number | None
    bound: Number | None
    solution: Any
    trace: tuple[Event, ...]
    time: float
    solver: str
    seed: int
    workers: int
    problem: Problem = field(repr=False)
    message: str = ""

    @property
    def gap(self) -> float | None:
        """Relative gap between objective and bound; `None` where either is absent."""
        return relative_gap(self.objective, self.bound)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain data; ``solution`` can be fed back as a hint."""
        solution = self.solution
        return {
            "optsched": "result",
            "instance": self.problem.name,
            "family": self.problem.family,
            "status": str(self.status),
            "stop": str(self.stop),
            "objective": self.objective,
            "bound": self.bound,
            "gap": self.gap,
            "solver": self.solver,
            "seed": self.seed,
            "workers": self.workers,
            "time": round(self.time, 4),
            "message": self.message,
            "trace": [event.to_dict() for event in self.trace],
            "solution": solution.to_dict() if isinstance(solution, Solution) else None,
        }

    def to_json(self, path: str | Path | None = None) -> str:
        """Return the result as JSON text, and write it to `path` when that is given."""
        text = json.dumps(self.to_dict(), indent=1)
        if path is not None:
            Path(path).write_text(text + "\n", encoding="utf-8")
        return text
