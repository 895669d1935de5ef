"""What every family shares: problems, solutions, violations, errors, the clock.

This module imports nothing but the standard library and NumPy; ``problem.py`` of each
family imports this module alone.
"""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
import numpy.typing as npt

IntArray: TypeAlias = npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
Number: TypeAlias = int | float

#: Times and sums of times stay below this, so that they survive a float64 (MILP, JSON).
MAX_TIME = 2**53


class OptschedError(Exception):
    """Base of every error that optsched raises on purpose."""


class InputError(OptschedError, ValueError):
    """Data, a file, a hint or an option is wrong; the message names the culprit."""


class CannotExpressError(OptschedError):
    """The chosen solver has no formulation of a feature of the problem."""


class VerificationError(OptschedError):
    """A solver returned a solution or a bound that the independent checker refutes."""


class ProvenInfeasible(OptschedError):
    """Building a model already shows that the instance has no solution; the message says why."""


class SolverError(OptschedError):
    """A solver crashed or cannot be started."""


class MissingExtraError(OptschedError, ImportError):
    """An optional dependency is absent; the message names the extra that brings it."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed: pip install 'optsched[{extra}]'")


@dataclass(frozen=True, slots=True)
class Violation:
    """One way in which a solution breaks its problem.

    Attributes
    ----------
    kind : str
        The broken rule as a short name, such as ``"precedence"`` or ``"machine"``.
    message : str
        The same in words, with the names and times involved.
    """

    kind: str
    message: str

    def __str__(self) -> str:
        return self.message


class Solution(ABC):
    """A solution: arrays of decisions, and JSON in both directions."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return the solution as plain lists and numbers."""

    @classmethod
    @abstractmethod
    def from_dict(cls, data: Any) -> Self:
        """Inverse of `to_dict`; raises `InputError` on anything else."""

    def to_json(self, path: str | Path | None = None) -> str:
        """Return the solution as JSON text, and write it to `path` when that is given."""
        return _dump(self.to_dict(), path)


class Frozen:
    """Data that stay as they were made, with read-only arrays; equal when all attributes are.

    A constructor fills ``self.__dict__`` and ends with `_freeze`.
    """

    __hash__ = None  # type: ignore[assignment]

    def _freeze(self) -> None:
        values = self.__dict__
        for key, value in values.items():
            if isinstance(value, np.ndarray):
                if value.base is not None:  # a view would let the caller's array change it
                    values[key] = value = value.copy()
                value.flags.writeable = False

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: {name} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: {name} cannot be deleted")

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Arrays come out of a pickle or a deep copy writable.
        self.__dict__.update(state)
        self._freeze()

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        mine, theirs = self.__dict__, other.__dict__
        return mine.keys() == theirs.keys() and all(
            np.array_equal(mine[key], theirs[key]) for key in mine
        )


class Problem(ABC):
    """A problem instance: frozen data, its checker and its objective (minimised).

    Attributes
    ----------
    family : str
        The folder below ``optsched.problems`` that holds the family.
    integral : bool
        Whether every objective value is an integer, so that bounds may be rounded up.
    name : str
        The instance's name, for people.
    """

    family: ClassVar[str]
    integral: ClassVar[bool] = True
    solution_type: ClassVar[type[Solution]]
    name: str

    @abstractmethod
    def check(self, solution: Any) -> list[Violation]:
        """Return every violation of `solution`; an empty list means feasible."""

    @abstractmethod
    def objective(self, solution: Any) -> Number:
        """Return the objective value, computed from the solution alone."""

    @abstractmethod
    def features(self) -> frozenset[str]:
        """Return the names of the features that this instance uses."""

    @abstractmethod
    def describe(self) -> str:
        """Return one line for people: kind, size, objective."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.describe()})"

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return the instance as plain lists and numbers, with its ``family``."""

    @classmethod
    @abstractmethod
    def from_dict(cls, data: Any) -> Self:
        """Inverse of `to_dict`; raises `InputError` on anything else."""

    def to_json(self, path: str | Path | None = None) -> str:
        """Return the instance as JSON text, and write it to `path` when that is given."""
        return _dump(self.to_dict(), path)


def _dump(data: dict[str, Any], path: str | Path | None) -> str:
    text = json.dumps(data, separators=(",", ":"))
    if path is not None:
        Path(path).write_text(text + "\n", encoding="utf-8")
    return text


class Deadline:
    """The one clock of a solve: heuristics, model building, solving and sub-solves share it.

    Parameters
    ----------
    limit : float or None
        Seconds from now; `None` means no limit.
    """

    __slots__ = ("limit", "start")

    def __init__(self, limit: float | None = None) -> None:
        self.start = time.perf_counter()
        self.limit = limit

    def elapsed(self) -> float:
        """Return the seconds since the start."""
        return time.perf_counter() - self.start

    def remaining(self) -> float:
        """Return the seconds left, infinite without a limit and never negative."""
        if self.limit is None:
            return float("inf")
        return max(0.0, self.limit - self.elapsed())

    def expired(self) -> bool:
        """Return whether the time is up."""
        return self.limit is not None and self.elapsed() >= self.limit

    def check(self) -> None:
        """Raise `DeadlineExpired` when the time is up; long loops call it now and then."""
        if self.expired():
            raise DeadlineExpired


class DeadlineExpired(OptschedError):
    """The time was up in the middle of something that yields nothing when cut short."""
