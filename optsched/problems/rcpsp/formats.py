"""Readers and writers of project scheduling files: PSPLIB, Patterson, ProGen/max, CSV, JSON.

In messages activities count from 1 where the file counts from 1, and lines from 1 as in editors.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from optsched.core import CannotExpressError, InputError
from optsched.formats import Format, json_format
from optsched.numbers import shown
from optsched.problems.rcpsp.formats_csv import TASKS
from optsched.problems.rcpsp.problem import Rcpsp
from optsched.problems.rcpsp.validation import MAX_RESOURCES, NO_DUE
from optsched.text_rows import TOKEN, Lines, data_lines, parse_integer

#: A header that promises more activities or resources than this is taken for an error.
MOST = 1_000_000

Row = tuple[int, list[int]]


def _numbers(number: int, tokens: list[str], what: str) -> list[int]:
    values = []
    for token in tokens:
        value = parse_integer(token)
        if isinstance(value, str):
            raise InputError(f"line {number}, {what}: {value}")
        values.append(value)
    return values


# ---- PSPLIB: .sm and .mm -------------------------------------------------------------------------


def _section(lines: Lines, title: str) -> tuple[int, Lines]:
    """Return the number of the line with a section's title, and the lines below it."""
    for at, line in enumerate(lines.text):
        if title in line.upper():
            end = at + 1
            while end < len(lines.text) and not lines.text[end].lstrip().startswith("***"):
                end += 1
            return lines.number[at], Lines(lines.number[at + 1 : end], lines.text[at + 1 : end])
    raise InputError(f"there is no section {title!r}")


def _table(lines: Lines, title: str) -> list[Row]:
    """Return the rows of numbers in a section; the line of column heads is left out."""
    _, body = _section(lines, title)
    rows = []
    for number, text in zip(body.number, body.text, strict=True):
        tokens = TOKEN.findall(text)
        if not tokens or set(text.strip()) <= {"-"} or re.match(r"\s*(jobnr|pronr)", text):
            continue
        rows.append((number, _numbers(number, tokens, title.lower())))
    return rows


def read_psplib(text: str, name: str) -> Rcpsp:
    """Return the instance of a PSPLIB file, single-mode or multi-mode, of one project or several.

    Release and due dates of the projects are kept with their tardiness costs as weights; the
    objective is the makespan.
    """
    lines = data_lines(text)
    kinds, capacity = _availabilities(lines)
    successors, n_modes = _successors(_table(lines, "PRECEDENCE RELATIONS"))
    activities = _psplib_modes(_table(lines, "REQUESTS/DURATIONS"), n_modes, len(capacity))
    n = len(activities)
    options = _project_information(lines, n)
    precedence = [(i, j - 1) for i, row in enumerate(successors) for j in row]
    for i, j in precedence:
        if not 0 <= j < n:
            raise InputError(f"job {i + 1}: there is no successor {j + 1}")
    return Rcpsp(
        activities,
        capacity,
        precedence,
        renewable=[kind == "R" for kind in kinds],
        name=name,
        **options,
    )


def _availabilities(lines: Lines) -> tuple[list[str], list[int]]:
    number, body = _section(lines, "AVAILABILITIES")
    if len(body.text) != 2:
        raise InputError(f"line {number}: expected the names of the resources and their capacities")
    kinds = re.findall(r"\b([RND])\s*\d+", body.text[0].upper())
    if "D" in kinds:
        raise InputError(f"line {body.number[0]}: doubly constrained resources are not supported")
    values = _numbers(body.number[1], TOKEN.findall(body.text[1]), "availabilities")
    if len(values) != len(kinds):
        raise InputError(f"line {body.number[1]}: {len(values)} capacities, {len(kinds)} resources")
    return kinds, values


def _successors(rows: list[Row]) -> tuple[list[list[int]], list[int]]:
    successors, n_modes = [], []
    for count, (number, row) in enumerate(rows, start=1):
        if len(row) < 3 or row[0] != count:
            raise InputError(f"line {number}: expected job {count}, its modes and successors")
        if not 1 <= row[1] <= MOST:
            raise InputError(f"line {number}: job {count} has {row[1]} modes")
        # Some files name 0 for a successor where there is none.
        following = [j for j in row[3:] if j]
        if len(following) != row[2]:
            raise InputError(
                f"line {number}: job {count} has {row[2]} successors, but {len(following)} follow"
            )
        successors.append(following)
        n_modes.append(row[1])
    if not rows:
        raise InputError("there are no jobs")
    return successors, n_modes


def _psplib_modes(rows: list[Row], n_modes: list[int], n_resources: int) -> list[list[Any]]:
    activities: list[list[Any]] = []
    at = 0
    for job, count in enumerate(n_modes, start=1):
        modes = []
        for mode in range(1, count + 1):
            if at >= len(rows):
                raise InputError(f"requests/durations: job {job}, mode {mode} is missing")
            number, row = rows[at]
            head = [job, mode] if mode == 1 else [mode]
            # The job stands in front of its first mode; in some files of every mode.
            if len(row) == n_resources + 3:
                head = [job, mode]
            if len(row) != len(head) + 1 + n_resources or row[: len(head)] != head:
                raise InputError(
                    f"line {number}: expected job {job}, mode {mode}, its duration and "
                    f"{n_resources} demands"
                )
            values = row[len(head) :]
            modes.append((values[0], values[1:]))
            at += 1
        activities.append(modes)
    if at < len(rows):
        raise InputError(f"line {rows[at][0]}: there is no job left for this row")
    return activities


def _project_information(lines: Lines, n_jobs: int) -> dict[str, Any]:
    """Return the options of the projects; jobs stand in the order of their projects."""
    try:
        _, body = _section(lines, "PROJECT INFORMATION")
    except InputError:
        return {}
    sizes: list[int] = []
    release: list[int] = []
    due: list[int | None] = []
    weight: list[int] = []
    for number, text in zip(body.number, body.text, strict=True):
        tokens = TOKEN.findall(text)
        if tokens[0].lower().startswith("pronr"):
            continue
        if len(tokens) != 6:
            raise InputError(f"line {number}: expected the six numbers of a project")
        values = [
            None if t.lower() == "na" else _numbers(number, [t], "project")[0] for t in tokens
        ]
        sizes.append(values[1] or 0)
        release.append(values[2] or 0)
        due.append(values[3])
        weight.append(1 if values[4] is None else values[4])
    if not sizes:
        return {}
    if len(sizes) == 1:
        return {"project_release": release, "project_due": due, "project_weight": weight}
    if sum(sizes) + 2 != n_jobs:
        raise InputError(f"the projects have {sum(sizes)} jobs, the file {n_jobs - 2} besides two")
    # Source and sink of all belong to none of the projects: they get one without dates.
    none = len(sizes)
    project = [none, *np.repeat(np.arange(none), sizes).tolist(), none]
    return {
        "project": project,
        "project_release": [*release, 0],
        "project_due": [*due, None],
        "project_weight": [*weight, 1],
    }


def _refuse(problem: Rcpsp, form: str, held: frozenset[str]) -> None:
    beyond = problem.features() - held - {"objective makespan"}
    if (problem.due != NO_DUE).any():
        beyond |= {"due dates of activities"}
    if beyond:
        raise CannotExpressError(
            f"the {form} format cannot hold {', '.join(sorted(beyond))}; JSON can"
        )


def _plain_successors(problem: Rcpsp) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in range(problem.n_activities)]
    for i, j, _, _ in problem.lag.tolist():
        found[i].append(j + 1)
    return found


def write_psplib(problem: Rcpsp) -> str:
    """Return the PSPLIB text: modes, renewable and non-renewable resources, one project."""
    held = {"modes", "non-renewable resources"}
    if not problem.release.any():
        held |= {"release dates"}  # the project's
    _refuse(problem, "PSPLIB", frozenset(held))
    if problem.n_projects > 1:
        raise CannotExpressError("the PSPLIB format is written for one project; JSON holds more")
    stars = "*" * 72
    kinds = np.where(problem.renewable, "R", "N").tolist()
    heads = []
    count = {"R": 0, "N": 0}
    for kind in kinds:
        count[kind] += 1
        heads.append(f"{kind} {count[kind]}")
    n = problem.n_activities
    due = int(problem.project_due[0])
    project = (
        1,
        n - 2,
        int(problem.project_release[0]),
        "na" if due == NO_DUE else due,
        int(problem.project_weight[0]),
        "na",
    )
    n_modes = np.diff(problem.mode_offset).tolist()
    out = [
        stars,
        "projects                      :  1",
        f"jobs (incl. supersource/sink ):  {n}",
        "RESOURCES",
        f"  - renewable                 :  {count['R']}   R",
        f"  - nonrenewable              :  {count['N']}   N",
        "  - doubly constrained        :  0   D",
        stars,
        "PROJECT INFORMATION:",
        "pronr.  #jobs rel.date duedate tardcost  MPM-Time",
        "  ".join(map(str, project)),
        stars,
        "PRECEDENCE RELATIONS:",
        "jobnr.    #modes  #successors   successors",
    ]
    for i, following in enumerate(_plain_successors(problem)):
        out.append("  ".join(map(str, (i + 1, n_modes[i], len(following), *following))))
    out += [stars, "REQUESTS/DURATIONS:", "jobnr. mode duration  " + "  ".join(heads), "-" * 72]
    for i, (a, b) in enumerate(itertools.pairwise(problem.mode_offset.tolist())):
        for m in range(a, b):
            row = [i + 1] if m == a else []
            row += [m - a + 1, int(problem.mode_duration[m]), *problem.mode_demand[m].tolist()]
            out.append(("" if m == a else "      ") + "  ".join(map(str, row)))
    capacity = "  ".join(map(str, problem.profile_capacity.tolist()))
    out += [stars, "RESOURCEAVAILABILITIES:", "  ".join(heads), capacity, stars]
    return "\n".join(out) + "\n"


# ---- Patterson: .rcp -----------------------------------------------------------------------------


class _Stream:
    """The numbers of a file one after the other, with the lines on which they stand."""

    def __init__(self, lines: Lines) -> None:
        self._tokens: Iterator[tuple[int, str]] = (
            (number, token)
            for number, text in zip(lines.number, lines.text, strict=True)
            for token in TOKEN.findall(text)
        )
        self.line = 1

    def take(self, what: str, least: int = 0, most: int | None = None) -> int:
        """Return the next number."""
        try:
            self.line, token = next(self._tokens)
        except StopIteration:
            raise InputError(f"line {self.line}: the file ends before {what}") from None
        value = parse_integer(token)
        if isinstance(value, str):
            raise InputError(f"line {self.line}, {what}: {value}")
        if value < least or (most is not None and value > most):
            raise InputError(f"line {self.line}, {what}: {value} is out of range")
        return value

    def end(self) -> None:
        """Raise when numbers are left."""
        for number, token in self._tokens:
            raise InputError(f"line {number}: {shown(token)} after the end of the data")


def read_patterson(text: str, name: str) -> Rcpsp:
    """Return the instance of a Patterson file; a row may be spread over several lines."""
    stream = _Stream(data_lines(text))
    n = stream.take("number of activities", 1, MOST)
    n_resources = stream.take("number of resources", 0, MAX_RESOURCES)
    capacity = [stream.take(f"capacity of resource {k + 1}") for k in range(n_resources)]
    activities, precedence = [], []
    for i in range(n):
        where = f"activity {i + 1}: "
        duration = stream.take(where + "duration")
        demand = [stream.take(f"{where}demand for resource {k + 1}") for k in range(n_resources)]
        count = stream.take(where + "number of successors", 0, n)
        for _ in range(count):
            precedence.append((i, stream.take(where + "successor", 1, n) - 1))
        activities.append((duration, demand))
    stream.end()
    return Rcpsp(activities, capacity, precedence, name=name)


def write_patterson(problem: Rcpsp) -> str:
    """Return the Patterson text of a single-mode instance."""
    _refuse(problem, "Patterson", frozenset())
    rows = [[problem.n_activities, problem.n_resources]]
    if problem.n_resources:
        rows.append(problem.profile_capacity.tolist())
    for i, following in enumerate(_plain_successors(problem)):
        demand = problem.mode_demand[i].tolist()
        rows.append([int(problem.mode_duration[i]), *demand, len(following), *following])
    return "\n".join(" ".join(map(str, row)) for row in rows) + "\n"


def _looks_like_patterson(text: str) -> bool:
    try:
        read_patterson(text, "")
    except InputError:
        return False
    return True


# ---- ProGen/max: .sch ----------------------------------------------------------------------------

_LAG = re.compile(r"\[\s*(-?\d+)\s*\]")


def read_progen_max(text: str, name: str) -> Rcpsp:
    """Return the instance of a ProGen/max file: one mode, lags from start to start."""
    lines = data_lines(text)
    if not lines.text:
        raise InputError("the file holds no data, only comments")
    first = _numbers(lines.number[0], TOKEN.findall(lines.text[0]), "header")
    if len(first) < 2 or not 0 <= first[0] <= MOST or not 0 <= first[1] <= MAX_RESOURCES:
        raise InputError(
            f"line {lines.number[0]}: expected the numbers of activities and resources"
        )
    n, n_resources = first[0] + 2, first[1]
    if any(first[2:]):
        raise InputError(f"line {lines.number[0]}: only renewable resources are supported")
    if len(lines.text) != 2 * n + 2:
        raise InputError(
            f"line {lines.last}: {n} activities need {2 * n + 2} lines of data, "
            f"there are {len(lines.text)}"
        )
    precedence = []
    for i in range(n):
        precedence += _progen_row(lines.number[1 + i], lines.text[1 + i], i, n)
    activities = []
    for i in range(n):
        number, row = lines.number[1 + n + i], TOKEN.findall(lines.text[1 + n + i])
        values = _numbers(number, row, f"activity {i}")
        if len(values) != 3 + n_resources or values[0] != i or values[1] != 1:
            raise InputError(
                f"line {number}: expected activity {i}, mode 1, its duration and "
                f"{n_resources} demands"
            )
        activities.append((values[2], values[3:]))
    capacity = _numbers(lines.last, TOKEN.findall(lines.text[-1]), "capacities")
    return Rcpsp(activities, capacity, precedence, name=name)


def _progen_row(number: int, text: str, i: int, n: int) -> list[tuple[int, int, str, int]]:
    head = text.partition("[")[0]
    values = _numbers(number, TOKEN.findall(head), f"activity {i}")
    if len(values) < 3 or values[0] != i:
        raise InputError(f"line {number}: expected activity {i}, its modes and successors")
    if values[1] != 1:
        raise InputError(f"line {number}: activity {i} has {values[1]} modes; only 1 is supported")
    lags = text[len(head) :]
    found = _LAG.findall(lags)
    if _LAG.sub("", lags).strip() or len(found) != values[2] or len(values) != 3 + values[2]:
        raise InputError(f"line {number}: expected {values[2]} successors and as many lags [lag]")
    for j in values[3:]:
        if not 0 <= j < n:
            raise InputError(f"line {number}: there is no activity {j}")
    steps = _numbers(number, found, f"activity {i}")
    return [(i, j, "SS", lag) for j, lag in zip(values[3:], steps, strict=True)]


def write_progen_max(problem: Rcpsp) -> str:
    """Return the ProGen/max text; lags of any kind become lags from start to start."""
    _refuse(problem, "ProGen/max", frozenset({"lags", "maximum lags"}))
    n = problem.n_activities
    if n < 2:
        raise CannotExpressError("the ProGen/max format needs two activities, source and sink")
    duration = problem.mode_duration.tolist()
    lags: list[dict[int, int]] = [{} for _ in range(n)]
    for i, j, kind, least in problem.lag.tolist():
        lag = least + (duration[i] if kind in (0, 2) else 0) - (duration[j] if kind >= 2 else 0)
        lags[i][j] = max(lag, lags[i].get(j, lag))
    rows = [f"{n - 2}\t{problem.n_resources}\t0\t0"]
    for i, own in enumerate(lags):
        cells = [i, 1, len(own), *own, *(f"[{lag}]" for lag in own.values())]
        rows.append("\t".join(map(str, cells)))
    for i in range(n):
        rows.append("\t".join(map(str, (i, 1, duration[i], *problem.mode_demand[i].tolist()))))
    rows.append("\t".join(map(str, problem.profile_capacity.tolist())))
    return "\n".join(rows) + "\n"


def _looks_like_progen_max(text: str) -> bool:
    head = text.lstrip()[:4000].split("\n", 2)
    return len(head) > 1 and bool(re.match(r"\s*0\s+1\s+\d", head[1])) and "[" in text[:4000]


# ---- all -----------------------------------------------------------------------------------------


def _vet(data: dict[str, Any]) -> None:
    for key in ("project", "calendar"):
        values = data.get(key)
        if isinstance(values, list):
            large = [v for v in values if isinstance(v, int | float) and v > MOST]
            if large:
                raise InputError(f"{key}: {shown(large[0])} is more than {MOST:,}")


FORMATS: tuple[Format, ...] = (
    Format(
        name="PSPLIB",
        suffixes=(".sm", ".mm"),
        description="project scheduling, single-mode or multi-mode, as in PSPLIB and MMLIB",
        sniff=lambda text: "PRECEDENCE RELATIONS" in text and "REQUESTS/DURATIONS" in text,
        read=read_psplib,
        write=write_psplib,
    ),
    Format(
        name="ProGen/max",
        suffixes=(".sch",),
        description="project scheduling with least and largest lags (RCPSP/max)",
        sniff=_looks_like_progen_max,
        read=read_progen_max,
        write=write_progen_max,
    ),
    Format(
        name="Patterson",
        suffixes=(".rcp",),
        description="project scheduling: capacities, then duration, demands, successors",
        sniff=_looks_like_patterson,
        read=read_patterson,
        write=write_patterson,
    ),
    TASKS,
    json_format(Rcpsp, _vet),
)
