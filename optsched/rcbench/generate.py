"""Cases of growing constraint, each feasible by construction around a hidden schedule.

For one seed everything nests: the precedence relations of level ``k`` are the first ``k`` of one
list, and an axis that is on adds the same constraints at every level. The hidden schedule keeps
all of them at once, so that it solves every case of the seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optsched.core import BoolArray, InputError, IntArray
from optsched.numbers import require_least
from optsched.rcbench import domain as domains
from optsched.rcbench.case import Case, Resource, Task

#: Kinds of constraint beyond precedence and capacity.
AXES = ("downtime", "windows", "disjunctive")
#: Precedence relations that the hidden schedule keeps, and so the highest level.
TOP_LEVEL = 40
#: Durations, capacities and the length of a downtime are uniform between these.
DURATION, CAPACITY, DOWN = (1, 9), (4, 8), (2, 6)
#: Most slack of a time window on either side of the hidden schedule, in mean durations.
SLACK = 2.0


@dataclass(frozen=True)
class _Base:
    """What all cases of one seed have in common."""

    tasks: tuple[Task, ...]
    resources: tuple[Resource, ...]
    edges: tuple[tuple[int, int], ...]
    release: tuple[int | None, ...]
    deadline: tuple[int | None, ...]
    disjunctive: tuple[tuple[int, int], ...]
    witness: tuple[int, ...]


def generate(
    level: int,
    axes: Sequence[str] = AXES,
    seed: int = 0,
    *,
    n_tasks: int = 20,
    n_resources: int = 3,
    n_layers: int = 5,
    probability: float = 0.75,
    domain: str = "synthetic",
) -> tuple[Case, tuple[int, ...]]:
    """Return a case and the hidden schedule that it was built around.

    Parameters
    ----------
    level : int
        Number of precedence relations, 0 to the most that the seed's graph has (at most 40):
        none of them follows from the others.
    axes : sequence of str
        Which of `AXES` are on.
    seed : int
    n_tasks, n_resources, n_layers : int
        Size; tasks are spread over the layers, and relations lead to later layers only. The
        migration domain sets resources and layers itself.
    probability : float
        Of a downtime for each resource, a time window for each task, and a disjunction with
        another task for each task.
    domain : str
        ``"synthetic"``, or ``"migration"``: a data centre moves, with named tasks and crews.

    Returns
    -------
    case : Case
    witness : tuple of int
        Start times of a feasible schedule.

    Raises
    ------
    InputError
        When an argument is out of range.

    References
    ----------
    .. [1] R. Jain, M. Wetter (2025). R-ConstraintBench: evaluating LLMs on NP-complete scheduling.
    """
    require_least(
        (level, 0, "level"),
        (seed, 0, "seed"),
        (n_tasks, 2, "n_tasks"),
        (n_resources, 1, "n_resources"),
        (n_layers, 2, "n_layers"),
    )
    if not 0 <= probability <= 1:
        raise InputError(f"probability {probability} is not between 0 and 1")
    if unknown := [axis for axis in axes if axis not in AXES]:
        raise InputError(f"unknown axis {unknown[0]!r}: one of {', '.join(AXES)}")
    base = _base(seed, n_tasks, n_resources, n_layers, probability, domain)
    if level > len(base.edges):
        raise InputError(
            f"level {level}: a case of {n_tasks} tasks with seed {seed} has only "
            f"{len(base.edges)} relations"
        )
    on = tuple(axis for axis in AXES if axis in axes)
    nothing = (None,) * n_tasks
    resources = base.resources
    if "downtime" not in on:
        resources = tuple(Resource(r.id, r.name, r.capacity) for r in resources)
    case = Case(
        id=f"{domain}-{level:02d}-{'+'.join(on) or 'plain'}-{seed}",
        tasks=base.tasks,
        resources=resources,
        precedence=base.edges[:level],
        release=base.release if "windows" in on else nothing,
        deadline=base.deadline if "windows" in on else nothing,
        disjunctive=base.disjunctive if "disjunctive" in on else (),
        domain=domain,
        level=level,
        seed=seed,
        axes=on,
    )
    return case, base.witness


def _base(
    seed: int, n_tasks: int, n_resources: int, n_layers: int, probability: float, domain: str
) -> _Base:
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(6)]
    words = domains.words(domain, n_tasks, n_resources, n_layers)
    n_resources, layer = len(words.resources), np.array(words.layer)
    rng = streams[0]
    duration = rng.integers(*DURATION, size=n_tasks, endpoint=True)
    capacity = rng.integers(*CAPACITY, size=n_resources, endpoint=True)
    demand = rng.integers(0, capacity, size=(n_tasks, n_resources), endpoint=True)
    demand *= rng.random((n_tasks, n_resources)) < 0.6
    # A task that needs nothing constrains nothing: it gets one unit of something.
    idle = np.flatnonzero(demand.sum(axis=1) == 0)
    demand[idle, rng.integers(0, n_resources, size=len(idle))] = 1
    edges = _edges(streams[1], layer, np.array(words.group))
    resources = tuple(
        Resource(f"R{k + 1}", words.resources[k], int(capacity[k]), down)
        for k, down in enumerate(_downtimes(streams[2], demand, duration, capacity, probability))
    )
    tasks = tuple(
        Task(f"T{i + 1}", words.tasks[i], int(duration[i]), tuple(demand[i].tolist()))
        for i in range(n_tasks)
    )
    witness = _witness(streams[3], tasks, resources, edges)
    release, deadline = _windows(streams[4], witness, duration, probability)
    disjunctive = _disjunctions(streams[5], witness, duration, edges, probability)
    return _Base(tasks, resources, edges, release, deadline, disjunctive, witness)


def _edges(
    rng: np.random.Generator, layer: IntArray, group: IntArray
) -> tuple[tuple[int, int], ...]:
    """Return relations of which every first few are their own transitive reduction.

    Those within a group tend to come first.
    """
    n = len(layer)
    before, after = np.nonzero(layer[:, None] < layer[None, :])
    reach = np.zeros((n, n), dtype=bool)  # by a path of at least one relation
    edges: list[tuple[int, int]] = []
    present = np.zeros((n, n), dtype=bool)
    rank = rng.random(len(before)) + (group[before] != group[after]) / 2
    for k in np.argsort(rank):
        i, j = int(before[k]), int(after[k])
        if reach[i, j]:
            continue
        above = reach[:, i].copy()
        above[i] = True
        below = reach[j].copy()
        below[j] = True
        # With the new path, no relation already there may become redundant.
        if (present & np.outer(above, below)).any():
            continue
        present[i, j] = True
        reach |= np.outer(above, below)
        edges.append((i, j))
        if len(edges) == TOP_LEVEL:
            break
    return tuple(edges)


def _downtimes(
    rng: np.random.Generator,
    demand: IntArray,
    duration: IntArray,
    capacity: IntArray,
    probability: float,
) -> list[tuple[tuple[int, int], ...]]:
    """Return for each resource one or two intervals within the time that the work takes."""
    work = (demand * duration[:, None]).sum(axis=0)
    length = max(int(np.max(work / capacity)), 2 * DOWN[1])
    found: list[tuple[tuple[int, int], ...]] = []
    for _ in capacity:
        down: list[tuple[int, int]] = []
        for _ in range(int(rng.integers(1, 2, endpoint=True))):
            start = int(rng.integers(1, length))
            end = start + int(rng.integers(*DOWN, endpoint=True))
            if all(end < other[0] or start > other[1] for other in down):
                down.append((start, end))
        found.append(tuple(sorted(down)) if rng.random() < probability else ())
    return found


def _witness(
    rng: np.random.Generator,
    tasks: tuple[Task, ...],
    resources: tuple[Resource, ...],
    edges: tuple[tuple[int, int], ...],
) -> tuple[int, ...]:
    """Return a schedule made by serial generation in a random order, with some idle time."""
    n = len(tasks)
    span = 2 * sum(task.duration for task in tasks) + 3 * n
    span += sum(end for r in resources for _, end in r.downtime)
    free = np.empty((len(resources), span), dtype=np.int64)
    for k, resource in enumerate(resources):
        free[k] = resource.capacity
        for down, up in resource.downtime:
            free[k, down:up] = 0
    before: list[list[int]] = [[] for _ in range(n)]
    for i, j in edges:
        before[j].append(i)
    start = [-1] * n
    left = set(range(n))
    while left:
        ready = sorted(i for i in left if all(start[b] >= 0 for b in before[i]))
        i = int(rng.choice(ready))
        left.remove(i)
        need, length = np.array(tasks[i].demand)[:, None], tasks[i].duration
        at = max((start[b] + tasks[b].duration for b in before[i]), default=0)
        at += int(rng.integers(1, 3)) if rng.random() < 0.3 else 0
        while (free[:, at : at + length] < need).any():
            at += 1
        free[:, at : at + length] -= need
        start[i] = at
    return tuple(start)


def _windows(
    rng: np.random.Generator, witness: tuple[int, ...], duration: IntArray, probability: float
) -> tuple[tuple[int | None, ...], tuple[int | None, ...]]:
    n = len(witness)
    most = max(1, round(SLACK * float(duration.mean())))
    slack = rng.integers(0, most, size=(2, n), endpoint=True)
    on = rng.random(n) < probability
    release = [max(0, witness[i] - int(slack[0, i])) if on[i] else None for i in range(n)]
    deadline = [
        witness[i] + int(duration[i]) + int(slack[1, i]) if on[i] else None for i in range(n)
    ]
    return tuple(release), tuple(deadline)


def _disjunctions(
    rng: np.random.Generator,
    witness: tuple[int, ...],
    duration: IntArray,
    edges: tuple[tuple[int, int], ...],
    probability: float,
) -> tuple[tuple[int, int], ...]:
    """Return pairs that do not meet in the hidden schedule and that no path orders anyway."""
    n = len(witness)
    ordered = _closure(n, edges)
    start, end = np.array(witness), np.array(witness) + duration
    apart = (end[:, None] <= start[None, :]) | (end[None, :] <= start[:, None])
    allowed = apart & ~ordered & ~ordered.T
    pairs: list[tuple[int, int]] = []
    for i in range(n):
        partners = np.flatnonzero(allowed[i])
        chosen = rng.random() < probability
        if not len(partners) or not chosen:
            continue
        # The nearest in time: a far one would not matter.
        gap = np.abs(start[partners] - start[i]) + rng.random(len(partners))
        j = int(
            partners[np.argsort(gap)[: min(3, len(partners))]][rng.integers(min(3, len(partners)))]
        )
        pair = (min(i, j), max(i, j))
        if pair not in pairs:
            pairs.append(pair)
    return tuple(sorted(pairs))


def _closure(n: int, edges: Sequence[tuple[int, int]]) -> BoolArray:
    reach = np.zeros((n, n), dtype=bool)
    for i, j in edges:
        reach[i, j] = True
    for k in range(n):
        reach |= np.outer(reach[:, k], reach[k])
    return reach
