"""Single machine: the data, its validation, and the entry points of checker and objective."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from optsched.core import MAX_TIME, Frozen, InputError, IntArray, Problem, Solution, Violation
from optsched.numbers import integers
from optsched.problems.single_machine import checker, validation
from optsched.problems.single_machine.validation import NO_DEADLINE

OBJECTIVES = (
    "total_tardiness",
    "total_weighted_tardiness",
    "total_weighted_completion_time",
    "maximum_lateness",
    "number_of_tardy_jobs",
)


class SingleMachineSolution(Solution):
    """A sequence of the jobs and their start times.

    Attributes
    ----------
    sequence : ndarray of int64, shape (n_jobs,)
        The jobs in the order in which they run.
    start : ndarray of int64, shape (n_jobs,)
        Start time of each job, by job (not by position), in the instance's own unit.
    """

    __slots__ = ("sequence", "start")

    def __init__(self, sequence: Any, start: Any) -> None:
        self.sequence = integers(sequence, "solution: sequence")
        self.start = integers(start, "solution: start")
        for name, values in (("sequence", self.sequence), ("start", self.start)):
            if values.ndim != 1:
                raise InputError(f"solution: {name} must be a flat list, one entry a job")
            values.flags.writeable = False

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"sequence": [...], "start": [...]}``."""
        return {"sequence": self.sequence.tolist(), "start": self.start.tolist()}

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Inverse of `to_dict`."""
        if not isinstance(data, Mapping) or not {"sequence", "start"} <= data.keys():
            raise InputError("solution: expected an object with 'sequence' and 'start'")
        return cls(data["sequence"], data["start"])

    def __repr__(self) -> str:
        return f"SingleMachineSolution({len(self.sequence)} jobs)"


class SingleMachine(Frozen, Problem):
    """Jobs on one machine, one at a time and without interruption.

    Times are integers in the instance's own unit; jobs count from 0.

    Parameters
    ----------
    processing : sequence of int, shape (n_jobs,)
        Processing times, at least 0.
    due : sequence of int, shape (n_jobs,), optional
        Due dates, perhaps negative; needed by all objectives but the completion time.
    weight : sequence of int, shape (n_jobs,), optional
        Weights, at least 0 (default 1); they count in the weighted objectives alone.
    release : sequence of int, shape (n_jobs,), optional
        Earliest starts (default 0).
    deadline : sequence of int or None, shape (n_jobs,), optional
        Latest completions, which must be kept; `None` for a job without one.
    setup : array of int, shape (n_jobs, n_jobs), optional
        Time that the machine needs between the end of job ``i`` and the start of job ``j`` that
        follows it directly. It may pass before the release of ``j``.
    precedence : sequence of (before, after), optional
        Pairs of jobs of which the first must have ended before the second starts.
    objective : str
        ``"total_tardiness"``, ``"total_weighted_tardiness"``,
        ``"total_weighted_completion_time"``, ``"maximum_lateness"`` or
        ``"number_of_tardy_jobs"``; always minimised.
    name : str
        For people.

    Raises
    ------
    InputError
        Naming the job, when the data are no instance.
    """

    family = "single_machine"
    solution_type = SingleMachineSolution

    processing: IntArray
    due: IntArray | None
    weight: IntArray
    release: IntArray
    deadline: IntArray | None
    setup: IntArray | None
    precedence: IntArray
    objective_kind: str

    def __init__(
        self,
        processing: Sequence[int] | IntArray,
        due: Sequence[int] | IntArray | None = None,
        weight: Sequence[int] | IntArray | None = None,
        *,
        release: Sequence[int] | IntArray | None = None,
        deadline: Sequence[int | None] | IntArray | None = None,
        setup: Any = None,
        precedence: Any = None,
        objective: str = "total_tardiness",
        name: str = "",
    ) -> None:
        if objective not in OBJECTIVES:
            raise InputError(f"unknown objective {objective!r}: one of {', '.join(OBJECTIVES)}")
        values = self.__dict__
        values["name"] = str(name)
        values["objective_kind"] = objective
        values["processing"] = validation.processing(processing)
        n_jobs = len(values["processing"])
        values["due"] = validation.per_job(due, n_jobs, "due date", None, signed=True)
        values["weight"] = validation.per_job(weight, n_jobs, "weight", 1)
        values["release"] = validation.per_job(release, n_jobs, "release date", 0)
        values["deadline"] = validation.deadlines(deadline, n_jobs)
        values["setup"] = validation.setup(setup, n_jobs)
        values["precedence"] = validation.precedence(precedence, n_jobs)
        self._freeze()
        if objective != "total_weighted_completion_time" and due is None:
            raise InputError(f"objective {objective} needs due dates: pass due=[...]")
        self._check_size()

    def _check_size(self) -> None:
        # Float sums cannot wrap round; they are exact below 2^53, and above that only refused.
        total = float(self.processing.astype(float).sum()) + float(self.release.max())
        if self.setup is not None:
            total += float(self.setup.max(axis=1).astype(float).sum())
        if total >= MAX_TIME:
            raise InputError("the sum of processing, release and setup times exceeds 2^53")
        most = np.full(self.n_jobs, total)
        if self.due is not None:
            most += np.abs(self.due)
        if float((self.weight * most).sum()) >= MAX_TIME:
            raise InputError("weights times completion times can exceed 2^53 in sum")

    @property
    def n_jobs(self) -> int:
        """Number of jobs."""
        return len(self.processing)

    def horizon(self) -> int:
        """Return a time by which some optimal schedule has ended (deadlines apart)."""
        total = int(self.processing.sum() + self.release.max())
        return total if self.setup is None else total + int(self.setup.max(axis=1).sum())

    def features(self) -> frozenset[str]:
        """Return the features in use, by the names that solvers declare."""
        used = {
            "release dates": bool(self.release.any()),
            "deadlines": self.deadline is not None,
            "setup": self.setup is not None,
            "precedence": bool(len(self.precedence)),
            f"objective {self.objective_kind}": True,
        }
        return frozenset(name for name, present in used.items() if present)

    def describe(self) -> str:
        """Return one line: name, size, objective and side constraints."""
        name = f"{self.name}: " if self.name else ""
        extra = sorted(f for f in self.features() if not f.startswith("objective "))
        with_extra = f", with {', '.join(extra)}" if extra else ""
        objective = self.objective_kind.replace("_", " ")
        return f"{name}single machine, {self.n_jobs} jobs, {objective}{with_extra}"

    def schedule(self, sequence: Any) -> SingleMachineSolution:
        """Return the solution that starts the jobs in this order, each as early as possible.

        Deadlines and precedence are not looked at; `check` does that.

        Raises
        ------
        InputError
            When `sequence` does not name every job once.
        """
        order = integers(sequence, "sequence")
        if order.shape != (self.n_jobs,) or not np.array_equal(
            np.sort(order), np.arange(self.n_jobs)
        ):
            raise InputError(f"sequence: expected each of {self.n_jobs} jobs once")
        step = self.processing[order]
        if self.setup is not None:
            step[:-1] += self.setup[order[:-1], order[1:]]
        # With t0 = 0 and t = max(release, t + step): a running maximum of slack-free starts.
        offset = np.cumsum(step) - step
        start = np.empty(self.n_jobs, dtype=np.int64)
        start[order] = offset + np.maximum.accumulate(self.release[order] - offset)
        return SingleMachineSolution(order, start)

    def completion(self, solution: SingleMachineSolution) -> IntArray:
        """Return the end of every job, shape (n_jobs,)."""
        return checker.completions(self, solution)

    def check(self, solution: SingleMachineSolution) -> list[Violation]:
        """Return every violation of `solution`; an empty list means feasible."""
        return checker.check(self, solution)

    def objective(self, solution: SingleMachineSolution) -> int:
        """Return the objective value, computed from the start times."""
        return checker.objective(self, solution)

    def to_dict(self) -> dict[str, Any]:
        """Return the instance as plain data; fields at their default are left out."""
        data: dict[str, Any] = {
            "optsched": "problem",
            "family": self.family,
            "name": self.name,
            "objective": self.objective_kind,
            "processing": self.processing.tolist(),
        }
        if self.due is not None:
            data["due"] = self.due.tolist()
        if (self.weight != 1).any():
            data["weight"] = self.weight.tolist()
        if self.release.any():
            data["release"] = self.release.tolist()
        if self.deadline is not None:
            data["deadline"] = [None if d == NO_DEADLINE else d for d in self.deadline.tolist()]
        if self.setup is not None:
            data["setup"] = self.setup.tolist()
        if len(self.precedence):
            data["precedence"] = self.precedence.tolist()
        return data

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Inverse of `to_dict`."""
        return cls(**validation.constructor_arguments(data))
