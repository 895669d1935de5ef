"""The figures of a report: one line a solver, over all instances or over a family and size."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from optsched.bench import journal
from optsched.bench.campaign import Campaign, Row


@dataclass
class Line:
    """A solver's figures over some runs; None where there is nothing to say.

    Attributes
    ----------
    runs, failed, solved, proven : int
        How many runs there are, failed, found a solution, and ended with a proof.
    mean_gap, max_gap : float or None
        To the best known solution, over the runs with a solution.
    mean_bound_gap : float or None
        Of the runs themselves, over those with solution and bound.
    integral : float or None
        Mean primal gap over the time limit; a failed run counts 1.
    target : float or None
        Median of the seconds to within 1 % of the best known; infinite where it is not reached.
    reached : int or None
        Runs that reached it.
    overhead : float or None
        Largest overhead of a run, seconds.
    """

    label: str
    runs: int = 0
    failed: int = 0
    solved: int = 0
    proven: int = 0
    mean_gap: float | None = None
    max_gap: float | None = None
    mean_bound_gap: float | None = None
    integral: float | None = None
    target: float | None = None
    reached: int | None = None
    overhead: float | None = None


def line(label: str, rows: Iterable[Row]) -> Line:
    """Return the figures of a solver over some rows."""
    rows = list(rows)
    gaps = [row.gap for row in rows if row.gap is not None]
    bound_gaps = [row.bound_gap for row in rows if row.bound_gap is not None]
    integrals = [row.integral for row in rows if row.integral is not None]
    targets = [
        row.to_target for row in rows if row.primal is not None and row.to_target is not None
    ]
    overheads = [row.overhead for row in rows if row.overhead is not None]
    return Line(
        label=label,
        runs=len(rows),
        failed=sum(row.outcome != journal.DONE for row in rows),
        solved=sum(row.objective is not None for row in rows),
        proven=sum(row.proven for row in rows),
        mean_gap=_mean(gaps),
        max_gap=max(gaps, default=None),
        mean_bound_gap=_mean(bound_gaps),
        integral=_mean(integrals),
        # The lower of the two middle values: the mean with an infinite one would say nothing.
        target=statistics.median_low(targets) if targets else None,
        reached=sum(map(math.isfinite, targets)) if targets else None,
        overhead=max(overheads, default=None),
    )


def overall(campaign: Campaign) -> list[Line]:
    """Return one line a solver over everything."""
    return [line(label, campaign.of(label)) for label in campaign.labels]


def by_group(campaign: Campaign) -> dict[tuple[str, str], list[Line]]:
    """Return lines by family and size, and by family over all its sizes (size ``""``)."""
    parts: dict[tuple[str, str], dict[str, list[Row]]] = {}
    for row in campaign.rows:
        for key in ((row.group, ""), (row.group, row.size)):
            parts.setdefault(key, {}).setdefault(row.label, []).append(row)
    sizes: dict[str, int] = {}
    for group, size in parts:
        sizes[group] = sizes.get(group, 0) + bool(size)
    found = {}
    for group, size in sorted(parts, key=_order):
        if size == "" and sizes[group] == 1:
            continue  # the same as its only size
        lines = parts[group, size]
        found[group, size] = [line(k, lines[k]) for k in campaign.labels if k in lines]
    return found


def _order(key: tuple[str, str]) -> tuple[str, tuple[int, ...], str]:
    group, size = key
    numbers = tuple(int(part) for part in size.split("x") if part.isdigit())
    return group, numbers, size


@dataclass
class InstanceLine:
    """An instance: its best known bounds, and a cell a solver."""

    name: str
    group: str
    size: str
    known: str
    cells: list[Cell | None]


@dataclass
class Cell:
    """A solver's result on an instance, over all seeds.

    Attributes
    ----------
    objective, bound : str
        Best objective and bound.
    gap : float or None
        Mean gap to the best known.
    proven : bool
        Whether every seed ended with a proof.
    failure : str
        Outcome of a run that failed, where one did.
    """

    objective: str
    bound: str
    gap: float | None
    proven: bool
    failure: str


def instance_lines(campaign: Campaign) -> list[InstanceLine]:
    """Return one line an instance, in the order of family, size and name."""
    cells: dict[tuple[str, str], list[Row]] = {}
    for row in campaign.rows:
        cells.setdefault((row.instance, row.label), []).append(row)
    lines = []
    order = campaign.instances.items()
    for name, (group, size) in sorted(order, key=lambda item: (*_order(item[1]), item[0])):
        rows = [cells.get((name, label)) for label in campaign.labels]
        found = [None if not some else _cell(some) for some in rows]
        lines.append(InstanceLine(name, group, size, _known(campaign, name), found))
    return lines


def _cell(rows: list[Row]) -> Cell:
    objectives = [row.objective for row in rows if row.objective is not None]
    bounds = [row.bound for row in rows if row.bound is not None]
    failures = [row.outcome for row in rows if row.outcome != journal.DONE]
    return Cell(
        objective=plain(min(objectives, default=None)),
        bound=plain(max(bounds, default=None)),
        gap=_mean([row.gap for row in rows if row.gap is not None]),
        proven=all(row.proven for row in rows),
        failure=failures[0] if failures else "",
    )


def _known(campaign: Campaign, name: str) -> str:
    known = campaign.known[name]
    if known.upper is None:
        return "-"
    if known.lower == known.upper:
        return plain(known.upper)
    return f"{plain(known.lower)} .. {plain(known.upper)}"


def _mean(values: list[float]) -> float | None:
    return statistics.fmean(values) if values else None


def plain(value: float | None) -> str:
    """Return a number without separators; a dash where there is none."""
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.6g}"


def percent(value: float | None, digits: int = 2) -> str:
    """Return a share in per cent; a dash where there is none."""
    return "-" if value is None else f"{100 * value:.{digits}f} %"


def seconds(value: float | None) -> str:
    """Return seconds; a dash where there is none, and words where it is infinite."""
    if value is None:
        return "-"
    if math.isinf(value):
        return "not reached"
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"
