"""What one way of solving says of an instance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from optsched.core import Number
from optsched.result import Event, Status

#: The method of enumerations.
ENUMERATION = "enumeration"


@dataclass(frozen=True)
class Outcome:
    """What one way of solving says of an instance.

    Attributes
    ----------
    way : str
        Its name, such as ``"highs"`` or ``"cpsat, guided"``.
    method : str
        What it decides by; ways of the same method are no check of one another. Empty for those
        that are made of others.
    seconds : float
        Time taken.
    status : Status
    objective, bound : int, float or None
    solution : Solution or None
    events : tuple of Event
    error : str
        What was raised instead; empty when nothing was.
    gave_up : bool
        Whether it should have ended with a proof, had time left, and did not.
    """

    way: str
    method: str
    seconds: float
    status: Status = Status.UNKNOWN
    objective: Number | None = None
    bound: Number | None = None
    solution: Any = None
    events: tuple[Event, ...] = ()
    error: str = ""
    gave_up: bool = False

    @property
    def decided(self) -> bool:
        """Whether it claims to know the optimum, or that there is no solution."""
        return not self.error and self.status in (Status.OPTIMAL, Status.INFEASIBLE)

    def __str__(self) -> str:
        if self.error:
            return f"failed: {self.error}"
        told = str(self.status)
        if self.status is Status.OPTIMAL:
            return f"{told} {self.objective}"
        if self.objective is not None or self.bound is not None:
            told += f" (objective {self.objective}, bound {self.bound})"
        return told + (", gave up" if self.gave_up else "")
