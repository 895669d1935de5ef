"""What the command line adds for clusters: goals from text, and what is printed at the end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from optsched.core import InputError
from optsched.numbers import shown
from optsched.problems.pod_packing import plan_script
from optsched.problems.pod_packing.explain import alike
from optsched.problems.pod_packing.kubernetes import overcommitment
from optsched.problems.pod_packing.plain import GOALS
from optsched.problems.pod_packing.problem import PodPacking
from optsched.problems.pod_packing.quantities import quantity

#: Explanations (pods that are alike have one), and over-committed nodes, printed at most.
MOST_EXPLAINED = 50


def with_goals(problem: PodPacking, pairs: Sequence[str]) -> PodPacking:
    """Return the problem with the goals of ``NAME=VALUE`` texts.

    ``order=placement_first``, ``then=used_nodes,fragmentation``, ``slot=cpu:4,memory:16Gi``,
    ``price=3,3,5`` (one a node) and ``migration_limit=20``.

    Raises
    ------
    InputError
        On a text that is no such pair, and on goals that the problem refuses.
    """
    changes: dict[str, Any] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or name not in GOALS:
            known = ", ".join(GOALS)
            raise InputError(f"--goal {shown(pair)}: expected NAME=VALUE, NAME one of {known}")
        changes[name] = _value(name, value)
    return problem.with_goals(**changes) if changes else problem


def _value(name: str, text: str) -> Any:
    if name == "order":
        return text
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if name == "then":
        return parts
    if name == "slot":
        return dict(_amount(part) for part in parts)
    try:
        numbers = [int(part) for part in parts]
    except ValueError:
        raise InputError(f"--goal {name}={shown(text)}: expected whole numbers") from None
    if name == "price":
        return numbers
    if len(numbers) != 1:
        raise InputError(f"--goal {name}={shown(text)}: expected one number")
    return numbers[0]


def _amount(text: str) -> tuple[str, int]:
    resource, colon, amount = text.partition(":")
    if not colon:
        raise InputError(f"--goal slot: {shown(text)}: expected RESOURCE:AMOUNT")
    return resource, quantity(amount, f"--goal slot: {resource}", scale=_scale(resource))


def _scale(resource: str) -> int:
    return 1000 if resource == "cpu" else 1  # clusters count in millicores


def check_plan(problem: PodPacking, path: Path) -> None:
    """Raise `InputError` where the plan cannot be written as the suffix of `path` says."""
    if path.suffix.lower() == ".sh":
        try:
            plan_script.check_scriptable(problem)
        except InputError as error:
            raise InputError(f"--out {path}: {error}") from None


def notice(problem: PodPacking) -> str:
    """Return what the problem leaves out, and what is amiss already; a line each, or nothing."""
    lines = [f"ignored: {what}" for what in problem.ignored]
    wrong = overcommitment(problem)
    lines += [f"over-committed: {what}" for what in wrong[:MOST_EXPLAINED]]
    if len(wrong) > MOST_EXPLAINED:
        lines.append(f"over-committed: and {len(wrong) - MOST_EXPLAINED} more")
    if wrong:
        lines.append("the plan repairs this, as far as the pods may be moved")
    return "".join(f"{line}\n" for line in lines)


def summary(problem: PodPacking, result: Any, *, explain: bool) -> str:
    """Return what is printed after a solve: levels, the steps of the plan, and explanations."""
    if result.solution is None:
        return ""
    lines = ["level                    value  bound"]
    for level in problem.report(result):
        of = "" if level.priority is None else f", priority {level.priority}"
        bound = "-" if level.bound is None else str(level.bound)
        proof = "proven" if level.proven else ""
        lines.append(
            f"{level.goal.replace('_', ' ') + of:<22} {level.value:>7} {bound:>6}  {proof}"
        )
    text = "\n".join(lines) + "\n\n" + problem.plan(result.solution).diff()
    if explain:
        text += "\n" + _explained(problem, result.solution)
    return text


def _explained(problem: PodPacking, solution: Any) -> str:
    groups = alike(problem, np.flatnonzero(solution.node < 0))
    if not groups:
        return "no pod is left out\n"
    printed = groups[:MOST_EXPLAINED]
    lines = []
    told = {each.pod: each for each in problem.explain(solution, [group[0] for group in printed])}
    for group in printed:
        each = told[group[0]]
        like = f" and {len(group) - 1} like it are" if len(group) > 1 else " is"
        lines.append(f"{problem.pod_name(each.pod)}{like} left out: {each.summary}")
        if each.blocking:
            who = ", ".join(problem.pod_name(pod) for pod in each.blocking)
            lines.append(f"  in its way on {problem.node_name(each.blocking_node)}: {who}")
        lines.append(f"  remedy: {each.remedy}")
    if more := sum(len(group) for group in groups[MOST_EXPLAINED:]):
        lines.append(f"and {more} more")
    return "\n".join(lines) + "\n"
