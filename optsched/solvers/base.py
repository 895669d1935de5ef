"""What every solver is given and returns."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from optsched.core import Deadline, InputError


class Compiled(ABC):
    """A problem compiled to one model: the model, and the way there and back.

    Attributes
    ----------
    model : ortools CpModel or pulp LpProblem
        The raw model, for extending by hand.
    """

    model: Any

    #: Whether `keep_half` can cut the model in two.
    halves: bool = False

    def keep_half(self, side: int) -> None:  # noqa: B027
        """Cut the model down to its half 0 or 1, which two cores can refute side by side.

        Every solution is in one of the two; they are meant to be equally hard.
        """

    def options(self, solver: str, workers: int) -> dict[str, Any]:
        """Return solver options that suit this formulation; the user's own go before them."""
        return {}

    @abstractmethod
    def hint(self, solution: Any) -> npt.NDArray[np.float64]:
        """Return a value for every variable of the model, in model order."""

    @abstractmethod
    def decode(self, values: npt.NDArray[np.float64]) -> Any:
        """Return the solution that the variables' values, in model order, stand for."""


class Verdict(Enum):
    """How a solver ended."""

    OPTIMAL = "optimal"
    INFEASIBLE = "infeasible"
    STOPPED = "stopped"  #: by a limit or on request
    GAVE_UP = "gave up"  #: by itself


@dataclass(frozen=True)
class Control:
    """The strings by which a running solver is held.

    Attributes
    ----------
    deadline : Deadline
        The solver must end by itself at the deadline; a solver that overruns is abandoned.
    workers, seed : int
        Threads and random seed.
    options : mapping
        The solver's own options; unknown ones must raise `InputError`.
    variant : str
        What followed the colon in ``solver="pulp:NAME"``.
    hint : ndarray or None
        A feasible value for every variable.
    on_solution : callable(values, claimed objective or None)
        Takes every improving solution.
    on_bound : callable(bound)
        Takes every better bound on the model's objective.
    stopped : callable() -> bool
        Whether to stop now.
    when_stopped : callable(callback)
        Registers a callback that interrupts the solver.
    """

    deadline: Deadline
    workers: int
    seed: int
    options: Mapping[str, Any]
    variant: str
    hint: npt.NDArray[np.float64] | None
    on_solution: Callable[[npt.NDArray[np.float64], float | None], None]
    on_bound: Callable[[float], None]
    stopped: Callable[[], bool]
    when_stopped: Callable[[Callable[[], None]], None]


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return `` (did you mean ...?)`` for a misspelt name, or nothing."""
    close = difflib.get_close_matches(name, list(valid), n=3)
    return f" (did you mean {' or '.join(close)}?)" if close else ""


def unknown_option(solver: str, name: str, valid: Iterable[str]) -> InputError:
    """Return the error for an option that the solver does not have."""
    return InputError(f"solver {solver}: unknown option {name!r}{nearest(name, valid)}")
