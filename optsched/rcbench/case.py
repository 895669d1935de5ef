"""One case: tasks, resources and constraints, with ids that a prompt can show."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from optsched.core import InputError
from optsched.numbers import integer, is_row, shown
from optsched.problems.rcpsp.problem import Rcpsp


@dataclass(frozen=True)
class Task:
    """A task: its id, a name for people, its duration and its demand for each resource."""

    id: str
    name: str
    duration: int
    demand: tuple[int, ...]


@dataclass(frozen=True)
class Resource:
    """A renewable resource: id, name, capacity, and half-open intervals in which it is down."""

    id: str
    name: str
    capacity: int
    downtime: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Case:
    """A feasibility problem: start times of all tasks that keep every constraint.

    Attributes
    ----------
    id : str
        Unique within a benchmark.
    tasks : tuple of Task
    resources : tuple of Resource
    precedence : tuple of (int, int)
        The second task starts at the end of the first, or later; a transitive reduction.
    release, deadline : tuple of int or None
        Earliest start and latest end of each task.
    disjunctive : tuple of (int, int)
        Tasks that must not run at the same time.
    domain : str
        ``"synthetic"`` or ``"migration"``.
    level, seed : int
    axes : tuple of str
        Which kinds of constraint are on, of `optsched.rcbench.AXES`.
    conflict : tuple of dict
        For an infeasible twin: a minimal set of constraints that cannot hold together.
    """

    id: str
    tasks: tuple[Task, ...]
    resources: tuple[Resource, ...]
    precedence: tuple[tuple[int, int], ...]
    release: tuple[int | None, ...]
    deadline: tuple[int | None, ...]
    disjunctive: tuple[tuple[int, int], ...] = ()
    domain: str = "synthetic"
    level: int = 0
    seed: int = 0
    axes: tuple[str, ...] = ()
    conflict: tuple[dict[str, Any], ...] = ()

    @property
    def feasible(self) -> bool:
        """Whether a schedule exists."""
        return not self.conflict

    def problem(self) -> Rcpsp:
        """Return the case as a project with the objective of least makespan."""
        return Rcpsp(
            activities=[(task.duration, list(task.demand)) for task in self.tasks],
            capacity=[_profile(resource) for resource in self.resources],
            precedence=[list(pair) for pair in self.precedence],
            release=[value or 0 for value in self.release],
            deadline=list(self.deadline),
            disjunctive=[list(pair) for pair in self.disjunctive],
            activity_names=[f"{task.id} {task.name}".strip() for task in self.tasks],
            resource_names=[f"{each.id} {each.name}".strip() for each in self.resources],
            name=self.id,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Return the case of `to_dict`; raise `InputError` on anything else."""
        try:
            return cls(
                id=str(data["id"]),
                tasks=tuple(
                    Task(
                        str(task["id"]),
                        str(task["name"]),
                        _natural(task["duration"], f"task {task['id']}: duration"),
                        tuple(_natural(v, f"task {task['id']}: demand") for v in task["demand"]),
                    )
                    for task in data["tasks"]
                ),
                resources=tuple(
                    Resource(
                        str(each["id"]),
                        str(each["name"]),
                        _natural(each["capacity"], f"resource {each['id']}: capacity"),
                        _pairs(each["downtime"], f"resource {each['id']}: downtime"),
                    )
                    for each in data["resources"]
                ),
                precedence=_pairs(data["precedence"], "precedence", len(data["tasks"])),
                release=_times(data["release"], "release", len(data["tasks"])),
                deadline=_times(data["deadline"], "deadline", len(data["tasks"])),
                disjunctive=_pairs(data["disjunctive"], "disjunctive", len(data["tasks"])),
                domain=str(data["domain"]),
                level=_natural(data["level"], "level"),
                seed=_natural(data["seed"], "seed"),
                axes=tuple(map(str, data["axes"])),
                conflict=tuple(map(dict, data["conflict"])),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"no case of the benchmark: {shown(str(error))}") from error


def read_lines(path: Path, what: str) -> list[dict[str, Any]]:
    """Return the JSON objects of a file, one a line; raise `InputError` naming the line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as {what}: {error}") from error
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}: line {number}: {error}") from error
        if not isinstance(value, Mapping):
            raise InputError(f"{path}: line {number}: expected an object, not {shown(value)}")
        found.append(dict(value))
    return found


def _profile(resource: Resource) -> list[tuple[int, int]]:
    """Return the steps of a capacity that is 0 while the resource is down."""
    steps = [(0, resource.capacity)]
    for start, end in resource.downtime:
        if steps[-1][0] == start:
            steps.pop()
        steps += [(start, 0), (end, resource.capacity)]
    return steps


def _natural(value: Any, what: str) -> int:
    number = integer(value, what)
    if number < 0:
        raise InputError(f"{what} {number} is negative")
    return number


def _pairs(values: Any, what: str, size: int | None = None) -> tuple[tuple[int, int], ...]:
    if not is_row(values):
        raise InputError(f"{what}: expected a list of pairs, not {shown(values)}")
    pairs = []
    for value in values:
        if not is_row(value) or len(value) != 2:
            raise InputError(f"{what}: expected a pair, not {shown(value)}")
        first, second = (_natural(v, what) for v in value)
        if size is not None and max(first, second) >= size:
            raise InputError(f"{what}: there is no task {max(first, second)}")
        pairs.append((first, second))
    return tuple(pairs)


def _times(values: Any, what: str, size: int) -> tuple[int | None, ...]:
    if not is_row(values) or len(values) != size:
        raise InputError(f"{what}: expected {size} entries, one a task")
    return tuple(None if value is None else _natural(value, what) for value in values)
