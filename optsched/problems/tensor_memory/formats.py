"""Readers and writers: MiniMalloc's CSV, a plan as CSV or as a C header, JSON.

The CSV is that of MiniMalloc (Moffitt, ASPLOS 2023), which the collections of idealloc (SOMAS,
iopddl) share: a header names the columns ``id, lower, upper, size`` and perhaps ``alignment``,
``hint``, ``gaps``, ``offset``, ``alias``, ``banks``, in any order. A column ``end`` in place of
``upper`` holds the last moment of the lifetime rather than the one behind it.
"""

from __future__ import annotations

import csv
import io
import re
from typing import Any

from optsched.core import CannotExpressError, InputError
from optsched.formats import Format, json_format
from optsched.numbers import shown
from optsched.problems.tensor_memory.c_header import Header, identifiers
from optsched.problems.tensor_memory.problem import TensorMemory, TensorMemorySolution
from optsched.text_rows import parse_integer

#: Other names of columns.
SYNONYMS = {
    "begin": "lower", "start": "lower", "end": "upper", "buffer": "id", "buffer_id": "id",
}  # fmt: skip
NEEDED = ("lower", "upper", "size")
KNOWN = ("id", *NEEDED, "alignment", "hint", "gaps", "offset", "alias", "banks")
_GAP = re.compile(r"(\d+)-(\d+)")


def read_csv(text: str, name: str = "", *, capacity: int | None = None) -> TensorMemory:
    """Return the instance of a MiniMalloc CSV.

    Columns beyond the first four: ``alignment``; ``hint``, an offset to try first; ``gaps``, times
    at which the buffer needs no space, as ``lower-upper`` with blanks between them; ``offset``, an
    offset to keep (an empty cell or -1: none); ``alias``, a word that buffers of one offset share;
    ``banks``, the numbers of the banks allowed, with blanks between them.

    Parameters
    ----------
    text, name : str
    capacity : int, optional
        With it the objective is to fit, without it the least peak.

    Raises
    ------
    InputError
        Naming the line at fault.
    """
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=False))
    at = next((k for k, row in enumerate(rows) if _filled(row)), None)
    if at is None:
        raise InputError("the file is empty")
    columns, inclusive = _header(rows[at], at + 1)
    table: dict[str, list[Any]] = {column: [] for column in columns}
    for number, row in enumerate(rows[at + 1 :], at + 2):
        if not _filled(row):
            continue
        if len(row) != len(columns):
            raise InputError(f"line {number}: {len(row)} fields, the header has {len(columns)}")
        for column, cell in zip(columns, row, strict=True):
            where = f"line {number}, {column}"
            value = _value(column, cell.strip(), where, inclusive)
            table[column].append(value)
    if not table["lower"]:
        raise InputError("there are no buffers")
    return _problem(table, inclusive, capacity, name)


def _filled(row: list[str]) -> bool:
    return any(cell.strip() for cell in row) and not row[0].lstrip().startswith("#")


def _header(row: list[str], number: int) -> tuple[list[str], bool]:
    """Return the names of the columns, and whether upper ends are inclusive."""
    given = [cell.strip().lower() for cell in row]
    columns = [SYNONYMS.get(cell, cell) for cell in given]
    for cell, column in zip(given, columns, strict=True):
        if column not in KNOWN:
            known = ", ".join(KNOWN)
            raise InputError(f"line {number}: unknown column {shown(cell)}: one of {known}")
        if columns.count(column) > 1:
            raise InputError(f"line {number}: column {column!r} is given twice")
    for column in NEEDED:
        if column not in columns:
            raise InputError(f"line {number}: column {column!r} is missing")
    return columns, "end" in given


def _value(column: str, cell: str, where: str, inclusive: bool) -> Any:
    if column in ("id", "alias"):
        return cell
    if column == "gaps":
        return _gaps(cell, where, inclusive)
    if column == "banks":
        return [_integer(word, where) for word in cell.split()] or None
    if not cell and column not in NEEDED:
        return None
    value = _integer(cell, where)
    return None if column in ("hint", "offset") and value == -1 else value


def _integer(cell: str, where: str) -> int:
    value = parse_integer(cell)
    if isinstance(value, str):
        raise InputError(f"{where}: {value}")
    return value


def _gaps(cell: str, where: str, inclusive: bool) -> list[tuple[int, int]]:
    gaps = []
    for word in cell.split():
        if "@" in word:
            text = "gaps that free a part of the buffer (lower-upper@from:to) are not supported"
            raise InputError(f"{where}: {shown(word)}: {text}")
        match = _GAP.fullmatch(word)
        if match is None:
            raise InputError(f"{where}: {shown(word)} is no gap: expected lower-upper")
        low, high = (_integer(part, where) for part in match.groups())
        gaps.append((low, high + inclusive))
    return gaps


def _problem(
    table: dict[str, list[Any]], inclusive: bool, capacity: int | None, name: str
) -> TensorMemory:
    upper = [value + 1 for value in table["upper"]] if inclusive else table["upper"]
    groups: dict[str, list[int]] = {}
    for buffer, word in enumerate(table.get("alias", [])):
        if word:
            groups.setdefault(word, []).append(buffer)
    banks = table.get("banks")
    limit: Any = capacity
    if banks is not None and any(banks):
        limit = [capacity] * (1 + max(max(row) for row in banks if row))
    return TensorMemory(
        list(zip(table["lower"], upper, table["size"], strict=True)),
        limit,
        alignment=table.get("alignment"),
        gaps=table.get("gaps"),
        pinned=table.get("offset"),
        hint=table.get("hint"),
        alias=list(groups.values()) or None,
        banks=banks,
        objective="peak" if capacity is None else "fit",
        id=table.get("id"),
        name=name,
    )


def write_csv(problem: TensorMemory) -> str:
    """Return the instance as MiniMalloc CSV; pinned offsets stand in the column ``offset``.

    Raises
    ------
    CannotExpressError
        When there are several banks: their capacities have no place in the file.
    """
    if problem.n_banks > 1:
        raise CannotExpressError("MiniMalloc's CSV cannot hold: banks; use .json")
    return _table(problem, problem.pinned.tolist() if (problem.pinned >= 0).any() else None, None)


def write_plan(problem: TensorMemory, solution: TensorMemorySolution) -> str:
    """Return the plan as MiniMalloc CSV: the instance with the column ``offset`` filled in."""
    bank = solution.bank.tolist() if problem.n_banks > 1 else None
    return _table(problem, solution.offset.tolist(), bank)


def _table(problem: TensorMemory, offset: list[int] | None, bank: list[int] | None) -> str:
    columns: dict[str, list[Any]] = {
        "id": problem.names(),
        "lower": problem.lower.tolist(),
        "upper": problem.upper.tolist(),
        "size": problem.size.tolist(),
    }
    if (problem.alignment != 1).any():
        columns["alignment"] = problem.alignment.tolist()
    if (problem.hint >= 0).any():
        columns["hint"] = problem.hint.tolist()
    if len(problem.gaps):
        gaps = [""] * problem.n_buffers
        for buffer, low, high in problem.gaps.tolist():
            gaps[buffer] = f"{gaps[buffer]} {low}-{high}".strip()
        columns["gaps"] = gaps
    if problem.has_aliases:
        columns["alias"] = [f"a{leader}" for leader in problem.alias.tolist()]
    if bank is not None:
        columns["banks"] = bank
    if offset is not None:
        columns["offset"] = offset
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return out.getvalue()


def write_header(problem: TensorMemory, solution: TensorMemorySolution) -> str:
    """Return the plan as a C header: an offset (and bank) a buffer, and the space needed."""
    header = Header(problem.name or "memory")
    peaks = problem.peaks(solution).tolist()
    header.define("BUFFERS", problem.n_buffers)
    header.define("ALIGNMENT", int(problem.alignment.max()))
    for bank, peak in enumerate(peaks):
        header.define(f"SIZE_{bank}" if len(peaks) > 1 else "SIZE", f"{peak}ULL")
    header.blank()
    words = identifiers(problem.names())
    places = zip(words, solution.offset.tolist(), solution.bank.tolist(), strict=True)
    for word, offset, bank in places:
        header.define(f"OFFSET_{word}", f"{offset}ULL")
        if len(peaks) > 1:
            header.define(f"BANK_{word}", bank)
    what = f"Memory plan of {problem.name or 'unnamed'}: {problem.n_buffers} buffers."
    return header.text(what)


def read_member(text: str, member: str, name: str) -> TensorMemory:
    """Return a CSV at the capacity that `member` tells.

    Raises
    ------
    InputError
        When `member` is no capacity.
    """
    return read_csv(text, name, capacity=_integer(member, "capacity"))


def _looks_like_csv(text: str) -> bool:
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            cells = {cell.strip().lower() for cell in line.split(",")}
            return set(NEEDED) <= {SYNONYMS.get(cell, cell) for cell in cells}
    return False


FORMATS: tuple[Format, ...] = (
    Format(
        name="MiniMalloc",
        suffixes=(".csv",),
        description="static memory allocation: id,lower,upper,size[,alignment,hint,gaps,offset]",
        sniff=_looks_like_csv,
        read=read_csv,
        write=write_csv,
        options=("capacity",),
    ),
    json_format(TensorMemory),
)

#: How a plan is written, by suffix: text of (problem, solution).
PLANS = {".csv": write_plan, ".h": write_header}
