"""Every claim of a campaign, checked again from scratch.

Each solution is checked and its objective recomputed; status, bound and trace must agree with them;
no run may contradict another one, or the best known bounds.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optsched.bench import claims, journal
from optsched.bench.execute import settings_of
from optsched.bench.instances import Known, best_known, data_hash, restore
from optsched.bench.plan import key_of
from optsched.core import InputError, Number, OptschedError, Problem


@dataclass
class Findings:
    """What a verification found.

    Attributes
    ----------
    problems : list of str
        Everything that is wrong, in words.
    notes : list of str
        What is remarkable and right, such as a bound better than the best known.
    runs, solutions, bounds, instances : int
        How many were checked.
    outcomes : Counter
    """

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    runs: int = 0
    solutions: int = 0
    bounds: int = 0
    instances: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)


@dataclass
class _Extremes:
    """The best claims on one instance, and who made them."""

    source: dict[str, Any]
    objective: Number | None = None
    objective_by: str = ""
    bound: Number | None = None
    bound_by: str = ""
    infeasible_by: str = ""


def verify(folder: Path) -> Findings:
    """Check a campaign's journal; see the module.

    Raises
    ------
    InputError
        When there is no journal, or a line of it cannot be read.
    """
    if not journal.exists(folder):
        raise InputError(f"{folder}: there is no {journal.NAME}")
    found = Findings()
    if journal.torn(folder):
        found.notes.append("the last line is torn; the run counts as not finished")
    extremes: dict[str, _Extremes] = {}
    problems: dict[str, Problem | None] = {}
    finished: dict[str, str] = {}
    for number, record in enumerate(journal.read(folder), start=1):
        where = f"line {number}"
        try:
            where = _where(number, record)
            _one(folder, record, where, found, extremes, problems)
        except (KeyError, TypeError, AttributeError) as error:
            found.problems.append(f"{where}: not the record of a run ({error!r})")
        key = record["key"]
        if finished.get(key) == journal.DONE:
            found.problems.append(f"{where}: the run was finished before and ran again")
        finished[key] = record["outcome"]
    found.instances = len(extremes)
    for name, extreme in extremes.items():
        _across(name, extreme, best_known(extreme.source), found)
    return found


def _where(number: int, record: dict[str, Any]) -> str:
    return f"line {number}, {record['instance']['name']}, {record['label']}, seed {record['seed']}"


def _one(
    folder: Path,
    record: dict[str, Any],
    where: str,
    found: Findings,
    extremes: dict[str, _Extremes],
    problems: dict[str, Problem | None],
) -> None:
    """Check one record by itself."""
    found.runs += 1
    found.outcomes[record["outcome"]] += 1
    if record["key"] != key_of(settings_of(record)):
        found.problems.append(f"{where}: instance or configuration differ from what was run")
    if record["outcome"] != journal.DONE:
        return
    instance = record["instance"]
    if instance["sha"] not in problems:
        problems[instance["sha"]] = _instance(folder, instance, where, found)
    problem = problems[instance["sha"]]
    if problem is None:
        return
    faults = claims.faults(problem, record)
    if record["wall"] + claims.LATE < record["time"]:
        faults.append(f"claims {record['time']} s, but was gone after {record['wall']} s")
    found.problems += [f"{where}: {fault}" for fault in faults]
    found.solutions += record["solution"] is not None
    found.bounds += record["bound"] is not None
    if not faults:
        extreme = extremes.setdefault(instance["name"], _Extremes(instance["source"]))
        _extend(extreme, record, where)


def _instance(
    folder: Path, instance: dict[str, Any], where: str, found: Findings
) -> Problem | None:
    try:
        problem = restore(instance["source"], folder)
    except OptschedError as error:
        found.problems.append(f"{where}: the instance cannot be had again: {error}")
        return None
    if data_hash(problem) != instance["sha"]:
        found.problems.append(f"{where}: the instance is not the one that was run")
        return None
    return problem


def _extend(extreme: _Extremes, record: dict[str, Any], where: str) -> None:
    objective, bound = record["objective"], record["bound"]
    if objective is not None and (extreme.objective is None or objective < extreme.objective):
        extreme.objective, extreme.objective_by = objective, where
    if bound is not None and (extreme.bound is None or bound > extreme.bound):
        extreme.bound, extreme.bound_by = bound, where
    if record["status"] == "INFEASIBLE":
        extreme.infeasible_by = where


def _across(name: str, extreme: _Extremes, known: Known, found: Findings) -> None:
    """Compare the claims on an instance with one another and with the best known."""
    objective, bound = extreme.objective, extreme.bound
    if objective is not None and bound is not None and claims.below(objective, bound):
        found.problems.append(
            f"{name}: objective {objective} ({extreme.objective_by}) is below the bound {bound} "
            f"that is claimed proven ({extreme.bound_by})"
        )
    if extreme.infeasible_by and (objective is not None or known.upper is not None):
        witness = extreme.objective_by or f"best known {known.upper}"
        found.problems.append(
            f"{name}: claimed infeasible ({extreme.infeasible_by}), but has a solution ({witness})"
        )
    if objective is not None and known.lower is not None and claims.below(objective, known.lower):
        found.problems.append(
            f"{name}: objective {objective} ({extreme.objective_by}) is below the published "
            f"bound {known.lower}"
        )
    if bound is not None and known.upper is not None and claims.below(known.upper, bound):
        found.problems.append(
            f"{name}: bound {bound} ({extreme.bound_by}) is above the best known solution "
            f"{known.upper}"
        )
    if objective is not None and known.upper is not None and claims.below(objective, known.upper):
        found.notes.append(
            f"{name}: {objective} improves the best known solution {known.upper} "
            f"({extreme.objective_by})"
        )
    if bound is not None and known.lower is not None and claims.below(known.lower, bound):
        found.notes.append(
            f"{name}: bound {bound} improves the best known {known.lower} ({extreme.bound_by})"
        )


def by_outcome(findings: Findings) -> str:
    """Return the outcomes in words, failures last."""
    order: dict[str, int] = defaultdict(int, findings.outcomes)
    rest = sorted(order.keys() - {journal.DONE})
    return ", ".join(f"{order[key]} {key}" for key in (journal.DONE, *rest) if order[key])
