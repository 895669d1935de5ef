"""A case as a prompt: prose, tables or JSON, in an order of one's choice."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from optsched.core import InputError
from optsched.rcbench.case import Case

_TASK = (
    "Find a start time for every task. Times are whole numbers from 0 on, and a task that starts "
    "at s with duration p occupies the half-open interval from s to s + p without interruption. "
    "The makespan does not matter: every constraint does."
)
_ANSWER = (
    "Answer with one JSON object and nothing else: "
    '{"schedule": {"T1": 0, "T2": 5, ...}} with the start time of every task, '
    'or {"infeasible": true} if no schedule keeps every constraint.'
)


def prompt(case: Case, style: str = "prose", permutation: int = 0) -> str:
    """Return the prompt of a case.

    Parameters
    ----------
    case : Case
    style : str
        ``"prose"``, ``"table"`` or ``"json"``: how the data are stated.
    permutation : int
        0 keeps the order of tasks and constraints; any other number is the seed of a random one.

    Raises
    ------
    InputError
        When there is no such style.
    """
    if style not in STYLES:
        raise InputError(f"unknown style {style!r}: one of {', '.join(STYLES)}")
    body = STYLES[style](_facts(case, permutation))
    setting = "You plan the migration of a data centre.\n\n" if case.domain == "migration" else ""
    return f"{setting}{_TASK}\n\n{body}\n\n{_ANSWER}\n"


def _facts(case: Case, permutation: int) -> dict[str, list[dict[str, Any]]]:
    """Return every fact once, by its kind, in the order asked for."""
    rng = np.random.default_rng(permutation)

    def ordered(facts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        order = rng.permutation(len(facts)) if permutation else range(len(facts))
        return [facts[k] for k in order]

    ids = [task.id for task in case.tasks]
    tasks = []
    for i, task in enumerate(case.tasks):
        fact: dict[str, Any] = {"id": task.id}
        if task.name:
            fact["name"] = task.name
        fact["duration"] = task.duration
        fact["demand"] = {
            resource.id: units
            for resource, units in zip(case.resources, task.demand, strict=True)
            if units
        }
        if case.release[i] is not None:
            fact["earliest_start"] = case.release[i]
        if case.deadline[i] is not None:
            fact["latest_end"] = case.deadline[i]
        tasks.append(fact)
    resources = []
    for resource in case.resources:
        fact = {"id": resource.id}
        if resource.name:
            fact["name"] = resource.name
        fact["capacity"] = resource.capacity
        if resource.downtime:
            fact["downtime"] = [list(down) for down in resource.downtime]
        resources.append(fact)
    return {
        "resources": ordered(resources),
        "tasks": ordered(tasks),
        "precedence": ordered([{"before": ids[i], "after": ids[j]} for i, j in case.precedence]),
        "disjunctive": ordered([{"tasks": [ids[i], ids[j]]} for i, j in case.disjunctive]),
    }


def _named(fact: dict[str, Any]) -> str:
    return f"{fact['id']} ({fact['name']})" if "name" in fact else str(fact["id"])


def _prose(facts: dict[str, list[dict[str, Any]]]) -> str:
    lines = []
    for fact in facts["resources"]:
        text = f"Resource {_named(fact)} has {fact['capacity']} units at any time"
        down = [f"from {start} to {end}" for start, end in fact.get("downtime", [])]
        lines.append(text + (f", but none {' and '.join(down)}." if down else "."))
    for fact in facts["tasks"]:
        needs = [f"{units} of {resource}" for resource, units in fact["demand"].items()]
        text = f"Task {_named(fact)} takes {fact['duration']} and needs {', '.join(needs)}"
        if "earliest_start" in fact:
            text += f"; it starts at {fact['earliest_start']} or later"
        if "latest_end" in fact:
            text += f"; it ends by {fact['latest_end']}"
        lines.append(text + ".")
    lines += [f"Task {f['after']} starts after {f['before']} ends." for f in facts["precedence"]]
    lines += [
        f"Tasks {f['tasks'][0]} and {f['tasks'][1]} never run at the same time."
        for f in facts["disjunctive"]
    ]
    return "\n".join(lines)


def _table(facts: dict[str, list[dict[str, Any]]]) -> str:
    def rows(head: Sequence[str], body: Sequence[Sequence[Any]]) -> str:
        lines = [head, ["---"] * len(head), *body]
        return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)

    resources = [r["id"] for r in facts["resources"]]
    down = [
        [
            _named(r),
            r["capacity"],
            ", ".join(f"[{start}, {end})" for start, end in r.get("downtime", [])) or "-",
        ]
        for r in facts["resources"]
    ]
    tasks = [
        [
            _named(t),
            t["duration"],
            *(t["demand"].get(resource, 0) for resource in resources),
            t.get("earliest_start", "-"),
            t.get("latest_end", "-"),
        ]
        for t in facts["tasks"]
    ]
    parts = [
        rows(["resource", "capacity", "down (capacity 0) in"], down),
        rows(["task", "duration", *resources, "earliest start", "latest end"], tasks),
    ]
    if facts["precedence"]:
        pairs = [[f["before"], f["after"]] for f in facts["precedence"]]
        parts.append(rows(["ends before", "the start of"], pairs))
    if facts["disjunctive"]:
        parts.append(
            rows(["never at the same time", "as"], [f["tasks"] for f in facts["disjunctive"]])
        )
    return "\n\n".join(parts)


def _json(facts: dict[str, list[dict[str, Any]]]) -> str:
    data = {
        "resources": facts["resources"],
        "tasks": facts["tasks"],
        "precedence": [[f["before"], f["after"]] for f in facts["precedence"]],
        "not_at_the_same_time": [f["tasks"] for f in facts["disjunctive"]],
    }
    return (
        "In the data, downtime is a list of half-open intervals of capacity 0, and a pair in "
        "precedence means that the first task ends before the second starts.\n\n"
        + json.dumps(data, indent=1)
    )


STYLES: dict[str, Callable[[dict[str, list[dict[str, Any]]]], str]] = {
    "prose": _prose,
    "table": _table,
    "json": _json,
}
