"""Job shop: the data, its validation, and the entry points of checker and objective."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from optsched.core import (
    MAX_TIME,
    BoolArray,
    Frozen,
    InputError,
    IntArray,
    Problem,
    Solution,
    Violation,
)
from optsched.numbers import integers
from optsched.problems.job_shop import checker, validation

OBJECTIVES = (
    "makespan",
    "total_weighted_tardiness",
    "total_completion_time",
    "maximum_lateness",
)
#: What stands behind an operation: room for waiting jobs, none, or not even time to wait.
UNLIMITED, BLOCKING, NO_WAIT = 0, 1, 2
BUFFERS = {"unlimited": UNLIMITED, "none": BLOCKING, "no-wait": NO_WAIT}
#: Deadline of a job that has none.
NO_DEADLINE = int(np.iinfo(np.int64).max)


class JobShopSolution(Solution):
    """A schedule: a start time and a machine for every operation.

    Attributes
    ----------
    start : ndarray of int64, shape (n_ops,)
        Start time of each operation, job-major, in the instance's own unit.
    machine : ndarray of int64, shape (n_ops,)
        Machine on which each operation runs.
    """

    __slots__ = ("machine", "start")

    def __init__(self, start: Any, machine: Any) -> None:
        self.start = integers(start, "solution: start")
        self.machine = integers(machine, "solution: machine")
        for name, values in (("start", self.start), ("machine", self.machine)):
            if values.ndim != 1:
                raise InputError(f"solution: {name} must be a flat list, one entry an operation")
            values.flags.writeable = False

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"start": [...], "machine": [...]}``."""
        return {"start": self.start.tolist(), "machine": self.machine.tolist()}

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Inverse of `to_dict`."""
        if not isinstance(data, Mapping) or not {"start", "machine"} <= data.keys():
            raise InputError("solution: expected an object with 'start' and 'machine'")
        return cls(data["start"], data["machine"])

    def __repr__(self) -> str:
        return f"JobShopSolution({len(self.start)} operations)"


class JobShop(Frozen, Problem):
    """A job shop: jobs are chains of operations, each on one of its eligible machines.

    Times are integers in the instance's own unit; machines, jobs and operations count from 0.

    Parameters
    ----------
    jobs : sequence of sequences
        One entry a job: its operations in order. An operation is ``(machine, duration)``, or a
        list of such pairs where it has several eligible machines. Machines may repeat in a job
        (re-entrant), and jobs may differ in length.
    objective : str
        ``"makespan"``, ``"total_weighted_tardiness"``, ``"total_completion_time"`` (the sum of
        ``weight * completion``) or ``"maximum_lateness"``; always minimised.
    release, due, deadline, weight : sequence of int, shape (n_jobs,), optional
        Release dates (default 0), due dates (needed by the tardiness and lateness objectives),
        latest completions (`None` for a job without one) and weights (default 1).
    calendars : mapping of int to sequence of (start, end), optional
        For each machine the half-open intervals in which it is unavailable.
    resumable : bool or sequence of sequences of bool
        Whether an operation may span breaks of its machine: it pauses and continues, and holds
        the machine meanwhile. It starts at an available instant.
    buffers : str or sequence of sequences of str
        What stands behind an operation, up to the job's next one: ``"unlimited"``, ``"none"``
        (blocking: the machine is held until the job leaves for its next one) or ``"no-wait"``
        (the next operation starts at once, transport and lag apart).
    swap : bool
        Whether, with blocking, a cycle of jobs may exchange machines at one instant.
    lags : sequence of sequences of int, optional
        Least time between the end of an operation and the start of the job's next one.
    transport : array of int, shape (n_machines, n_machines), optional
        Time to bring a job from machine to machine between consecutive operations, on top of
        the lag.
    setup : array of int, shape (n_jobs, n_jobs) or (n_machines, n_jobs, n_jobs), optional
        Time that a machine needs between an operation of job ``a`` and an operation of job
        ``b`` that follows it directly.
    n_machines : int, optional
        Number of machines; default is the largest index used plus 1.
    name : str
        For people.

    Attributes
    ----------
    job_offset : ndarray, shape (n_jobs + 1,)
        Operations of job ``j`` are ``job_offset[j]`` to ``job_offset[j + 1]``, job-major.
    op_job : ndarray, shape (n_ops,)
        The job of each operation.
    alt_offset : ndarray, shape (n_ops + 1,)
        Alternatives of operation ``o`` are ``alt_offset[o]`` to ``alt_offset[o + 1]``.
    alt_machine, alt_duration : ndarray, shape (n_alts,)
        Machine and duration of each alternative.
    break_offset : ndarray, shape (n_machines + 1,)
        Breaks of machine ``m``, sorted and merged, in `break_start` and `break_end`.

    Raises
    ------
    InputError
        Naming the job and operation, when the data are not a job shop.
    """

    family = "job_shop"
    solution_type = JobShopSolution

    job_offset: IntArray
    op_job: IntArray
    alt_offset: IntArray
    alt_machine: IntArray
    alt_duration: IntArray
    release: IntArray
    due: IntArray | None
    deadline: IntArray | None
    weight: IntArray
    break_offset: IntArray
    break_start: IntArray
    break_end: IntArray
    resumable: BoolArray
    buffer: IntArray
    swap: bool
    lag: IntArray
    transport: IntArray | None
    setup: IntArray | None
    objective_kind: str
    n_machines: int

    def __init__(
        self,
        jobs: Sequence[Any],
        *,
        objective: str = "makespan",
        release: Sequence[int] | IntArray | None = None,
        due: Sequence[int] | IntArray | None = None,
        deadline: Sequence[int | None] | None = None,
        weight: Sequence[int] | IntArray | None = None,
        calendars: Mapping[int, Sequence[tuple[int, int]]] | None = None,
        resumable: bool | Sequence[Sequence[bool]] = False,
        buffers: str | Sequence[Sequence[str]] = "unlimited",
        swap: bool = False,
        lags: Sequence[Sequence[int]] | None = None,
        transport: Any = None,
        setup: Any = None,
        n_machines: int | None = None,
        name: str = "",
    ) -> None:
        job_offset, alt_offset, alt_machine, alt_duration = validation.jobs(jobs)
        self._fill(
            job_offset, alt_offset, alt_machine, alt_duration,
            objective=objective, release=release, due=due, deadline=deadline, weight=weight,
            calendars=calendars, resumable=resumable, buffers=buffers, swap=swap, lags=lags,
            transport=transport, setup=setup, n_machines=n_machines, name=name,
        )  # fmt: skip

    @classmethod
    def from_arrays(
        cls,
        job_offset: IntArray,
        alt_offset: IntArray,
        alt_machine: IntArray,
        alt_duration: IntArray,
        **options: Any,
    ) -> Self:
        """Build from flat arrays (see the attributes); `options` are those of the constructor.

        Meant for readers of large files: a million operations take well under a second.
        """
        self = cls.__new__(cls)
        defaults: dict[str, Any] = {
            "objective": "makespan", "release": None, "due": None, "deadline": None,
            "weight": None, "calendars": None, "resumable": False, "buffers": "unlimited",
            "swap": False, "lags": None, "transport": None, "setup": None,
            "n_machines": None, "name": "",
        }  # fmt: skip
        if unknown := options.keys() - defaults.keys():
            raise TypeError(f"unknown options: {', '.join(sorted(unknown))}")
        arrays = (
            integers(job_offset, "job_offset"),
            integers(alt_offset, "alt_offset"),
            integers(alt_machine, "alt_machine"),
            integers(alt_duration, "alt_duration"),
        )
        self._fill(*arrays, **(defaults | options))
        return self

    def _fill(
        self,
        job_offset: IntArray,
        alt_offset: IntArray,
        alt_machine: IntArray,
        alt_duration: IntArray,
        *,
        objective: str,
        release: Any,
        due: Any,
        deadline: Any,
        weight: Any,
        calendars: Any,
        resumable: Any,
        buffers: Any,
        swap: bool,
        lags: Any,
        transport: Any,
        setup: Any,
        n_machines: int | None,
        name: str,
    ) -> None:
        values = self.__dict__
        if not isinstance(objective, str) or objective not in OBJECTIVES:
            raise InputError(f"unknown objective {objective!r}: one of {', '.join(OBJECTIVES)}")
        validation.validate_chains(job_offset, alt_offset, alt_machine, alt_duration, n_machines)
        n_jobs = len(job_offset) - 1
        values["name"] = str(name)
        values["objective_kind"] = objective
        values["n_machines"] = (
            int(n_machines) if n_machines is not None else int(alt_machine.max()) + 1
        )
        values["job_offset"] = job_offset
        values["op_job"] = np.repeat(np.arange(n_jobs), np.diff(job_offset))
        values["alt_offset"] = alt_offset
        values["alt_machine"] = alt_machine
        values["alt_duration"] = alt_duration
        values["release"] = validation.per_job(release, n_jobs, "release date", default=0)
        values["weight"] = validation.per_job(weight, n_jobs, "weight", default=1)
        values["due"] = (
            None if due is None else validation.per_job(due, n_jobs, "due date", minimum=None)
        )
        values["deadline"] = validation.deadlines(deadline, n_jobs, NO_DEADLINE)
        if objective in ("total_weighted_tardiness", "maximum_lateness") and due is None:
            raise InputError(f"objective {objective} needs due dates: pass due=[...]")
        breaks = validation.calendars(calendars, self.n_machines)
        values["break_offset"], values["break_start"], values["break_end"] = breaks
        values["resumable"] = validation.flags(resumable, job_offset, "resumable")
        values["buffer"] = validation.buffers(buffers, job_offset, BUFFERS)
        if not isinstance(swap, bool | np.bool_):
            raise InputError(f"swap: {swap!r} is neither true nor false")
        values["swap"] = bool(swap)
        values["lag"] = validation.lags(lags, job_offset)
        values["transport"] = validation.transport(transport, self.n_machines)
        values["setup"] = validation.setup(setup, self.n_machines, n_jobs)
        self._freeze()
        if self.horizon() >= MAX_TIME:
            raise InputError("the sum of durations, dates and lags exceeds 2^53")
        if self._largest_objective() >= MAX_TIME:
            raise InputError("the objective, weights and due dates included, may exceed 2^53")

    def _largest_objective(self) -> float:
        """Return a bound on the objective's magnitude up to the horizon; floats cannot wrap."""
        horizon = float(self.horizon())
        if self.objective_kind == "makespan":
            return horizon
        weight = self.weight.astype(float)
        if self.objective_kind == "total_completion_time":
            return horizon * float(weight.sum())
        assert self.due is not None
        due = self.due.astype(float)
        if self.objective_kind == "maximum_lateness":
            return float(np.maximum(np.abs(due), horizon - due).max())
        return float((weight * np.maximum(0.0, horizon - due)).sum())

    @property
    def n_jobs(self) -> int:
        """Number of jobs."""
        return len(self.job_offset) - 1

    @property
    def n_ops(self) -> int:
        """Number of operations."""
        return len(self.alt_offset) - 1

    @property
    def flexible(self) -> bool:
        """Whether some operation has several eligible machines."""
        return len(self.alt_machine) > self.n_ops

    def horizon(self) -> int:
        """Return a time by which some optimal schedule has ended (deadlines apart).

        It is the length of the schedule that runs one operation at a time after the last release
        date and the last break, so it holds for every objective of the family.
        """
        longest = np.maximum.reduceat(self.alt_duration, self.alt_offset[:-1])
        # Float sums cannot wrap round; they are exact below 2^53, and above that only refused.
        total = float(longest.astype(float).sum() + self.lag.astype(float).sum())
        total += float(self.release.max())
        if len(self.break_end):
            total += float(self.break_end.max())
        for matrix in (self.transport, self.setup):
            if matrix is not None:
                total += float(matrix.max()) * self.n_ops
        return int(total)

    def features(self) -> frozenset[str]:
        """Return the features in use, by the names that solvers declare."""
        used = {
            "flexible": self.flexible,
            "release dates": bool(self.release.any()),
            "deadlines": self.deadline is not None,
            "calendars": bool(len(self.break_start)),
            "blocking": bool((self.buffer == BLOCKING).any()),
            "no-wait": bool((self.buffer == NO_WAIT).any()),
            "lags": bool(self.lag.any()),
            "transport": self.transport is not None and bool(self.transport.any()),
            "setup": self.setup is not None and bool(self.setup.any()),
            f"objective {self.objective_kind}": True,
        }
        return frozenset(name for name, present in used.items() if present)

    def describe(self) -> str:
        """Return one line: name, size, kind and objective."""
        kind = "flexible job shop" if self.flexible else "job shop"
        size = f"{self.n_jobs} jobs x {self.n_machines} machines, {self.n_ops} operations"
        name = f"{self.name}: " if self.name else ""
        return f"{name}{kind}, {size}, {self.objective_kind.replace('_', ' ')}"

    def duration(self, solution: JobShopSolution) -> IntArray:
        """Return the duration of every operation on its machine in `solution`, shape (n_ops,)."""
        return checker.durations(self, solution)

    def completion(self, solution: JobShopSolution) -> IntArray:
        """Return the end of every operation, breaks included, shape (n_ops,)."""
        return checker.completions(self, solution)

    def check(self, solution: JobShopSolution) -> list[Violation]:
        """Return every violation of `solution`; an empty list means feasible."""
        return checker.check(self, solution)

    def objective(self, solution: JobShopSolution) -> int:
        """Return the objective value of a schedule that keeps to eligible machines."""
        return checker.objective(self, solution)

    def to_dict(self) -> dict[str, Any]:
        """Return the instance as plain data; fields at their default are left out."""
        return validation.to_dict(self)

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Inverse of `to_dict`."""
        return cls(**validation.constructor_arguments(data))
