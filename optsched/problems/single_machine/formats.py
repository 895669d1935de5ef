"""Readers and writers of single-machine instances: OR-Library files, the ``smtt`` lists, JSON.

OR-Library files hold many instances one after the other, without their size; the size follows from
the number of values, since the published files hold 125 each.
"""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np

from optsched.core import CannotExpressError, InputError
from optsched.formats import Format, json_format
from optsched.problems.single_machine.problem import SingleMachine

#: Instances in each of the OR-Library files.
IN_A_FILE = 125
_PLAIN = re.compile(r"[-\d\s]*")


def read_orlibrary(text: str, n_jobs: int | None = None, name: str = "") -> list[SingleMachine]:
    """Return the instances of an OR-Library weighted tardiness file (wt40, wt50, wt100).

    Each is ``n_jobs`` processing times, as many weights and as many due dates.

    Parameters
    ----------
    text : str
    n_jobs : int, optional
        Default: what makes 125 instances of the file.
    name : str
        Instances are called ``name/1``, ``name/2``, ...; default ``wt40`` and so on.

    Raises
    ------
    InputError
        When the text is no list of whole numbers, or of another length.
    """
    several = _blocks(text, n_jobs)
    name = name or f"wt{several.shape[2]}"
    return [_weighted(rows, f"{name}/{k}") for k, rows in enumerate(several, start=1)]


def _blocks(text: str, n_jobs: int | None) -> Any:
    """Return an OR-Library file's numbers, shape (n_instances, 3, n_jobs)."""
    values = _numbers(text)
    if n_jobs is None:
        n_jobs, rest = divmod(len(values), 3 * IN_A_FILE)
        if rest or not n_jobs:
            raise InputError(
                f"{len(values)} numbers are not {IN_A_FILE} instances of 3 numbers a job"
            )
    if n_jobs < 1 or len(values) % (3 * n_jobs) or not len(values):
        raise InputError(f"{len(values)} numbers are not instances of {n_jobs} jobs, 3 a job")
    return values.reshape(-1, 3, n_jobs)


def _weighted(rows: Any, name: str) -> SingleMachine:
    return SingleMachine(rows[0], rows[2], rows[1], objective="total_weighted_tardiness", name=name)


def read_smtt(text: str, name: str = "smtt") -> list[SingleMachine]:
    """Return the instances of a JSON list of ``{"p": [...], "d": [...]}``; see `read_optima`."""
    return [_listed(entry, f"{name}/{k}") for k, entry in enumerate(_entries(text), start=1)]


def _listed(entry: dict[str, Any], name: str) -> SingleMachine:
    return SingleMachine(entry["p"], entry["d"], name=name)


def read_optima(text: str) -> list[int | None]:
    """Return the optima that a ``smtt`` list holds, `None` where it has none."""
    return [entry.get("optimum") for entry in _entries(text)]


def read_member(text: str, member: str, name: str) -> SingleMachine:
    """Return one instance of a file of several, OR-Library or ``smtt``; `member` counts from 1.

    Raises
    ------
    InputError
        When there is no such instance.
    """
    listed = text.lstrip().startswith("[")
    several: Any = _entries(text) if listed else _blocks(text, None)
    if not member.isdecimal() or not 1 <= int(member) <= len(several):
        raise InputError(f"{name}: no instance {member!r} among 1 to {len(several)}")
    chosen = several[int(member) - 1]
    return _listed(chosen, name) if listed else _weighted(chosen, name)


def _entries(text: str) -> list[dict[str, Any]]:
    try:
        data = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"not JSON: {error}") from error
    if not isinstance(data, list):
        raise InputError("expected a list of instances {p, d}")
    for k, entry in enumerate(data, start=1):
        if not isinstance(entry, dict) or not {"p", "d"} <= entry.keys():
            raise InputError(f"instance {k}: expected an object with 'p' and 'd'")
    return data


def _numbers(text: str) -> Any:
    for line, row in enumerate(text.splitlines(), start=1):
        if not _PLAIN.fullmatch(row):
            raise InputError(f"line {line}: expected whole numbers")
    try:
        return np.array(text.split(), dtype=np.int64)
    except (ValueError, OverflowError) as error:
        raise InputError(f"expected whole numbers: {error}") from error


def read_columns(text: str, name: str) -> SingleMachine:
    """Return the instance of a table: a row a job, ``processing due`` and perhaps ``weight``."""
    rows: list[list[int]] = []
    for line, row in enumerate(text.splitlines(), start=1):
        fields = row.split("#", 1)[0].split()
        if not fields:
            continue
        try:
            numbers = [int(field) for field in fields]
        except ValueError:
            raise InputError(f"line {line}: expected whole numbers") from None
        if len(numbers) not in (2, 3) or (rows and len(numbers) != len(rows[0])):
            raise InputError(f"line {line}: expected 'processing due' or 'processing due weight'")
        rows.append(numbers)
    if not rows:
        raise InputError("there are no jobs")
    columns = list(zip(*rows, strict=True))
    if len(columns) == 2:
        return SingleMachine(columns[0], columns[1], name=name)
    return SingleMachine(*columns, objective="total_weighted_tardiness", name=name)


def write_columns(problem: SingleMachine) -> str:
    """Return the table of a tardiness instance without side constraints."""
    allowed = {"objective total_tardiness", "objective total_weighted_tardiness"}
    if extra := sorted(problem.features() - allowed):
        raise CannotExpressError(f"the table of jobs cannot hold: {', '.join(extra)}")
    assert problem.due is not None
    columns = [problem.processing.tolist(), problem.due.tolist()]
    head = "# processing due"
    if problem.objective_kind == "total_weighted_tardiness":
        columns.append(problem.weight.tolist())
        head += " weight"
    rows = [" ".join(map(str, row)) for row in zip(*columns, strict=True)]
    return "\n".join([head, *rows]) + "\n"


def _looks_like_columns(text: str) -> bool:
    return text.lstrip().startswith("# processing due")


FORMATS: tuple[Format, ...] = (
    Format(
        name="tardiness table",
        suffixes=(".smt",),
        description="single machine: '# processing due [weight]', then a row a job",
        sniff=_looks_like_columns,
        read=read_columns,
        write=write_columns,
    ),
    json_format(SingleMachine),
)
