"""Tables of tasks as spreadsheets and project planners export them (CSV).

A row a task: ``id, name, duration, predecessors, resources`` and, where wanted, ``release,
deadline, due, weight``. Predecessors are written as planners write them, ``3FS+2d;5SS``: the task,
how it counts (finish-start, start-start, finish-finish, start-finish) and a lag or, negative, a
lead. Resources are written ``crew[2];crane``. Lines in front of the heads that begin with
``# capacity:`` say how much there is of each resource; of one that they do not name there is as
much as the largest demand of one task.
"""

from __future__ import annotations

import csv
import io
import re
from typing import Any

from optsched.core import CannotExpressError, InputError
from optsched.formats import Format
from optsched.numbers import shown
from optsched.problems.rcpsp.problem import Rcpsp
from optsched.problems.rcpsp.validation import LAG_KINDS, NO_DEADLINE
from optsched.text_rows import parse_integer

#: Heads of columns, by what they mean.
HEADS = {
    "id": ("id", "task id", "uid", "no", "nr"),
    "name": ("name", "task name", "task", "activity"),
    "duration": ("duration", "days"),
    "predecessors": ("predecessors", "predecessor", "depends on"),
    "resources": ("resources", "resource names", "resource"),
    "release": ("release", "start no earlier than", "earliest start"),
    "deadline": ("deadline", "finish no later than", "latest finish"),
    "due": ("due", "due date"),
    "weight": ("weight", "tardiness cost"),
}
#: Columns of exports that hold a plan, and no data of the problem.
PLAN = ("start", "finish", "notes", "% complete", "cost", "wbs", "outline level")
_DAYS = r"\s*(?:d|day|days|t)?"
_DURATION = re.compile(rf"(\d+){_DAYS}", re.IGNORECASE)
_LINK = re.compile(
    rf"(.+?)\s*(FS|SS|FF|SF)?\s*(?:([+-])\s*(\d+){_DAYS})?", re.IGNORECASE | re.DOTALL
)
_NEED = re.compile(r"([^\[\]:]+?)\s*(?:\[\s*(\d+)\s*\]|:\s*(\d+))?")
_CAPACITY = re.compile(r"#\s*capacity\s*:(.*)", re.IGNORECASE)


def _whole(token: str, where: str) -> int:
    value = parse_integer(token.strip())
    if isinstance(value, str):
        raise InputError(f"{where}: {value}")
    return value


def _delimiter(head: str) -> str:
    return max(",;\t", key=head.count)


def read_tasks(text: str, name: str) -> Rcpsp:
    """Return the instance of a table of tasks.

    Raises
    ------
    InputError
        Naming the line at fault.
    """
    capacity: dict[str, int] = {}
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    at = 0
    while at < len(lines) and (not lines[at].strip() or lines[at].lstrip().startswith("#")):
        if match := _CAPACITY.fullmatch(lines[at].strip()):
            capacity |= _capacities(match[1], at + 1)
        at += 1
    if at == len(lines):
        raise InputError("the table has no heads of columns")
    reader = csv.reader(
        io.StringIO("\n".join(lines[at:])), delimiter=_delimiter(lines[at]), strict=True
    )
    rows: list[tuple[int, list[str]]] = []
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append((at + reader.line_num, row))
    except csv.Error as error:
        raise InputError(f"line {at + reader.line_num}: {error}") from None
    if not rows:
        raise InputError("the table has no heads of columns")
    columns = _columns(*rows[0])
    tasks = [
        (number, {key: row[c].strip() if c < len(row) else "" for key, c in columns.items()})
        for number, row in rows[1:]
    ]
    if not tasks:
        raise InputError("the table has no tasks")
    return _problem(tasks, capacity, name)


def _capacities(text: str, number: int) -> dict[str, int]:
    found = {}
    for part in re.split(r"[;,]", text):
        if not part.strip():
            continue
        owner, sign, value = part.partition("=")
        if not sign or not owner.strip():
            raise InputError(f"line {number}: expected 'resource=capacity', not {shown(part)}")
        found[owner.strip()] = _whole(value, f"line {number}, capacity of {shown(owner.strip())}")
    return found


def _columns(number: int, heads: list[str]) -> dict[str, int]:
    columns: dict[str, int] = {}
    for c, head in enumerate(heads):
        plain = " ".join(head.strip().lower().replace("_", " ").split())
        if not plain or plain in PLAN:
            continue
        key = next((key for key, names in HEADS.items() if plain in names), None)
        if key is None:
            known = ", ".join(HEADS)
            raise InputError(f"line {number}: unknown column {shown(head)}: one of {known}")
        if key in columns:
            raise InputError(f"line {number}: column {key} stands twice")
        columns[key] = c
    if "duration" not in columns or not {"id", "name"} & columns.keys():
        raise InputError(f"line {number}: columns 'duration' and 'id' (or 'name') are needed")
    return columns


def _problem(tasks: list[tuple[int, dict[str, str]]], capacity: dict[str, int], name: str) -> Rcpsp:
    key = "id" if "id" in tasks[0][1] else "name"
    index: dict[str, int] = {}
    for i, (number, task) in enumerate(tasks):
        if not task[key]:
            raise InputError(f"line {number}: the task has no {key}")
        if task[key] in index:
            raise InputError(f"line {number}: {key} {shown(task[key])} stands twice")
        index[task[key]] = i
    needs = [_needs(number, task.get("resources", "")) for number, task in tasks]
    resources = list(dict.fromkeys([*capacity, *(r for need in needs for r in need)]))
    for r in resources:
        capacity.setdefault(r, max((need.get(r, 0) for need in needs), default=0))
    activities, precedence = [], []
    for i, (number, task) in enumerate(tasks):
        match = _DURATION.fullmatch(task["duration"])
        if match is None:
            raise InputError(f"line {number}: {shown(task['duration'])} is no duration in days")
        duration = _whole(match[1], f"line {number}, duration")
        activities.append((duration, [needs[i].get(r, 0) for r in resources]))
        precedence += _links(number, task.get("predecessors", ""), index, i)
    options: dict[str, Any] = {}
    for column, default in (("release", 0), ("deadline", None), ("due", None), ("weight", 1)):
        if any(task.get(column) for _, task in tasks):
            options[column] = [
                _whole(task[column], f"line {number}, {column}") if task[column] else default
                for number, task in tasks
            ]
    if "due" in options:
        options["objective"] = "total_weighted_tardiness"
    names = [task.get("name") or task[key] for _, task in tasks]
    return Rcpsp(
        activities,
        [capacity[r] for r in resources],
        precedence,
        activity_names=names,
        resource_names=resources,
        name=name,
        **options,
    )


def _needs(number: int, text: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in re.split(r"[;,]", text):
        if not part.strip():
            continue
        match = _NEED.fullmatch(part.strip())
        if match is None:
            raise InputError(f"line {number}: expected 'resource[amount]', not {shown(part)}")
        amount = match[2] or match[3]
        more = 1 if amount is None else _whole(amount, f"line {number}, resource")
        found[match[1]] = found.get(match[1], 0) + more
    return found


def _links(
    number: int, text: str, index: dict[str, int], task: int
) -> list[tuple[int, int, str, int]]:
    found = []
    for part in re.split(r"[;,]", text):
        link = part.strip()
        if not link:
            continue
        kind, lag, before = "FS", 0, index.get(link)
        if before is None:
            match = _LINK.fullmatch(link)
            before = index.get(match[1]) if match else None
            if match is None or before is None:
                raise InputError(f"line {number}: predecessor {shown(link)}: there is no such task")
            kind = (match[2] or "FS").upper()
            if match[4]:
                lag = _whole(match[4], f"line {number}, lag") * (-1 if match[3] == "-" else 1)
        if before == task:
            raise InputError(f"line {number}: the task is its own predecessor")
        found.append((before, task, kind, lag))
    return found


def write_tasks(problem: Rcpsp) -> str:
    """Return the table of tasks; ids count from 1."""
    held = {
        "lags", "maximum lags", "release dates", "deadlines", "objective makespan",
        "objective total_weighted_tardiness",
    }  # fmt: skip
    beyond = problem.features() - held
    if problem.n_projects > 1 or (problem.project_due != NO_DEADLINE).any():
        beyond |= {"projects"}
    tardy = problem.objective_kind == "total_weighted_tardiness"
    if tardy != bool((problem.due != NO_DEADLINE).any()):
        beyond |= {"due dates without a tardiness objective"}
    resources = problem.resource_names or [f"R{k + 1}" for k in range(problem.n_resources)]
    if any(re.search(r"[\[\]:;,=#\n]|^\s|\s$", r) or not r for r in resources):
        beyond |= {"names of resources with punctuation"}
    if beyond:
        raise CannotExpressError(f"the table of tasks cannot hold {', '.join(sorted(beyond))}")
    out = io.StringIO()
    stock = "; ".join(
        f"{r}={c}" for r, c in zip(resources, problem.profile_capacity.tolist(), strict=True)
    )
    out.write(f"# capacity: {stock}\n")
    writer = csv.writer(out, lineterminator="\n")
    extra = [c for c in ("release", "deadline", "due", "weight") if _present(problem, c)]
    writer.writerow(["id", "name", "duration", "predecessors", "resources", *extra])
    links: list[list[str]] = [[] for _ in range(problem.n_activities)]
    for i, j, kind, least in problem.lag.tolist():
        lag = f"{least:+d}d" if least else ""
        links[j].append(f"{i + 1}{LAG_KINDS[kind]}{lag}" if kind or least else str(i + 1))
    for i in range(problem.n_activities):
        need = [
            f"{r}[{d}]" if d > 1 else r
            for r, d in zip(resources, problem.mode_demand[i].tolist(), strict=True)
            if d
        ]
        name = problem.activity_names[i] if problem.activity_names else f"task {i + 1}"
        dates = [int(getattr(problem, column)[i]) for column in extra]
        cells = ["" if date == NO_DEADLINE else date for date in dates]
        row = [i + 1, name, int(problem.mode_duration[i]), ";".join(links[i]), ";".join(need)]
        writer.writerow([*row, *cells])
    return out.getvalue()


def _present(problem: Rcpsp, column: str) -> bool:
    if column == "release":
        return bool(problem.release.any())
    if column == "weight":
        return problem.objective_kind == "total_weighted_tardiness"
    return bool((getattr(problem, column) != NO_DEADLINE).any())


def _looks_like_tasks(text: str) -> bool:
    for line in text.splitlines()[:50]:
        if line.strip() and not line.lstrip().startswith("#"):
            heads = [h.strip().lower() for h in line.split(_delimiter(line))]
            return "duration" in heads and any(h in HEADS["id"] + HEADS["name"] for h in heads)
    return False


TASKS = Format(
    name="tasks",
    suffixes=(".csv",),
    description="table of tasks: id, name, duration, predecessors such as 3FS+2d, resources",
    sniff=_looks_like_tasks,
    read=read_tasks,
    write=write_tasks,
)
