"""Job-shop files: JSPLib, re-entrant (Da Col and Teppan 2022), flexible (``.fjs``), and JSON.

In messages jobs and operations count from 0 as everywhere in the package, lines from 1 as in
editors, and machines as in the file: from 1 in flexible files, from 0 in the others.
"""

from __future__ import annotations

import io
import itertools
import re
from typing import Any, NoReturn

import numpy as np

from optsched.core import CannotExpressError, InputError, IntArray
from optsched.formats import Format, json_format
from optsched.numbers import shown
from optsched.problems.job_shop.problem import JobShop
from optsched.text_rows import TOKEN, Lines, Rows, data_lines, integer_rows, parse_integer

#: A header that promises more machines than this is taken for an error, before anything is built.
MAX_MACHINES = 1_000_000
#: How many rows recognition looks at.
SAMPLE = 32

# ---- header --------------------------------------------------------------------------------------


def _positive(token: str) -> int | None:
    value = parse_integer(token)
    return value if isinstance(value, int) and value > 0 else None


def _header(lines: Lines, *, average: bool) -> tuple[int, int]:
    """Return the numbers of jobs and machines in the first line."""
    if not lines.text:
        raise InputError("the file holds no data, only comments")
    tokens = TOKEN.findall(lines.text[0])
    counts = [_positive(token) for token in tokens[:2]]
    extra = tokens[2:]
    rest_fits = not extra or (average and len(extra) == 1 and _is_number(extra[0]))
    if len(counts) < 2 or None in counts or not rest_fits:
        form = "'jobs machines'" + (" or 'jobs machines average'" if average else "")
        found = shown(lines.text[0].strip())
        raise InputError(f"line {lines.number[0]}: expected the header {form}, found {found}")
    n_jobs, n_machines = (count for count in counts if count is not None)
    if n_machines > MAX_MACHINES:
        raise InputError(
            f"line {lines.number[0]}: {n_machines} machines are more than {MAX_MACHINES:,}"
        )
    if (n_rows := len(lines.text) - 1) < n_jobs:
        raise InputError(
            f"line {lines.last}: the file ends after {n_rows} of {n_jobs} jobs: "
            f"job {n_rows} is missing"
        )
    if n_rows > n_jobs:
        raise InputError(
            f"line {lines.number[n_jobs + 1]}: unexpected row behind the last of {n_jobs} jobs "
            f"(job {n_jobs - 1})"
        )
    return n_jobs, n_machines


def _is_number(token: str) -> bool:
    return re.fullmatch(r"[0-9]+([.,][0-9]*)?|[.,][0-9]+", token, re.ASCII) is not None


# ---- JSPLib and re-entrant -----------------------------------------------------------------------


def read_standard(text: str, name: str) -> JobShop:
    """Read the JSPLib format: ``jobs machines``, then a row of (machine, duration) pairs a job.

    Every job has as many operations as there are machines; machines count from 0. Lines that
    start with ``#`` are comments.

    Raises
    ------
    InputError
        Naming the line, job and operation.
    """
    lines = data_lines(text)
    _, n_machines = _header(lines, average=False)
    rows = integer_rows(lines.after(1), _pair_position)
    if (odd := np.flatnonzero(rows.sizes != 2 * n_machines)).size:
        row = int(odd[0])
        rows.refuse(
            row,
            f"job {row}: expected {2 * n_machines} numbers ({n_machines} operations), "
            f"found {rows.sizes[row]}{_break_off(rows, row, 2 * n_machines)}",
        )
    sizes = np.full(len(rows), n_machines, dtype=np.int64)
    return _chains(rows, sizes, rows.values.reshape(-1, 2), n_machines, name)


def read_reentrant(text: str, name: str) -> JobShop:
    """Read the format of Da Col and Teppan (2022): as JSPLib, but each row ends in ``-1 -1``.

    Jobs may differ in length and return to a machine.

    Raises
    ------
    InputError
        Naming the line, job and operation.
    """
    lines = data_lines(text)
    _, n_machines = _header(lines, average=False)
    rows = integer_rows(lines.after(1), _pair_position)
    if (odd := np.flatnonzero(rows.sizes % 2 == 1)).size:
        row, size = int(odd[0]), int(rows.sizes[odd[0]])
        rows.refuse(row, f"job {row}, operation {size // 2}: a machine without a duration")
    pairs = rows.values.reshape(-1, 2)
    last = rows.offset[1:] // 2 - 1
    if (open_ended := np.flatnonzero((pairs[last] != -1).any(axis=1))).size:
        row, size = int(open_ended[0]), int(rows.sizes[open_ended[0]])
        rows.refuse(row, f"job {row}, operation {size // 2 - 1}: the row does not end in -1 -1")
    if (empty := np.flatnonzero(rows.sizes == 2)).size:
        rows.refuse(int(empty[0]), f"job {empty[0]} has no operations")
    kept = np.ones(len(pairs), dtype=bool)
    kept[last] = False
    return _chains(rows, rows.sizes // 2 - 1, pairs[kept], n_machines, name)


def _pair_position(row: int, before: list[int]) -> str:
    return f"job {row}, operation {len(before) // 2}"


def _break_off(rows: Rows, row: int, expected: int) -> str:
    size = int(rows.sizes[row])
    where = "the row ends in" if size < expected else "unexpected numbers from"
    return f"; {where} operation {min(size, expected) // 2}"


def _chains(rows: Rows, sizes: IntArray, pairs: IntArray, n_machines: int, name: str) -> JobShop:
    job_offset = np.concatenate(([0], np.cumsum(sizes)))
    alt_offset = np.arange(len(pairs) + 1)
    machine, duration = np.ascontiguousarray(pairs.T)
    return _built(rows, job_offset, alt_offset, machine, duration, n_machines, name)


def _built(
    rows: Rows,
    job_offset: IntArray,
    alt_offset: IntArray,
    machine: IntArray,
    duration: IntArray,
    n_machines: int,
    name: str,
) -> JobShop:
    try:
        return JobShop.from_arrays(
            job_offset, alt_offset, machine, duration, n_machines=n_machines, name=name
        )
    except InputError as error:
        # The problem's own validation names the job; the line follows from it.
        if (match := re.match(r"job ([0-9]+)\b", str(error))) is None:
            raise
        raise InputError(f"line {rows.line[int(match[1])]}, {error}") from None


# ---- flexible ------------------------------------------------------------------------------------


def read_flexible(text: str, name: str) -> JobShop:
    """Read the flexible format (Brandimarte 1993 and all after him), machines from 1.

    The header is ``jobs machines``, perhaps with the mean number of alternatives. A job is a row:
    its number of operations, then for each one the number of eligible machines and as many
    (machine, duration) pairs.

    Raises
    ------
    InputError
        Naming the line, job and operation.
    """
    lines = data_lines(text)
    _, n_machines = _header(lines, average=True)
    rows = integer_rows(lines.after(1), _flexible_position)
    heads, job_sizes = _walk(rows)
    alt_offset = np.concatenate(([0], np.cumsum(rows.values[heads])))
    kept = np.ones(len(rows.values), dtype=bool)
    kept[heads] = False
    kept[rows.offset[:-1]] = False
    machine, duration = np.ascontiguousarray(rows.values[kept].reshape(-1, 2).T)
    job_offset = np.concatenate(([0], np.cumsum(job_sizes)))
    _check_machines(rows, job_offset, alt_offset, machine, n_machines)
    return _built(rows, job_offset, alt_offset, machine - 1, duration, n_machines, name)


def _walk(rows: Rows) -> tuple[IntArray, IntArray]:
    """Return where each operation's number of alternatives stands, and the operations a job."""
    values = rows.values.tolist()
    heads: list[int] = []
    job_sizes: list[int] = []
    for job, (first, end) in enumerate(itertools.pairwise(rows.offset.tolist())):
        n_ops, at = values[first], first + 1
        if n_ops < 1:
            rows.refuse(job, f"job {job} has {n_ops} operations")
        for op in range(n_ops):  # left by an error within the row, however large n_ops is
            where = f"job {job}, operation {op}"
            if at >= end:
                rows.refuse(job, f"{where}: the row ends, {n_ops} operations are announced")
            count = values[at]
            if count < 1:
                rows.refuse(job, f"{where} has {count} eligible machines")
            if at + 2 * count >= end:
                rows.refuse(job, f"{where}: the row ends within its {count} eligible machines")
            heads.append(at)
            at += 2 * count + 1
        if at < end:
            rows.refuse(
                job, f"job {job}: {end - at} numbers left over behind operation {n_ops - 1}"
            )
        job_sizes.append(n_ops)
    return np.array(heads, dtype=np.int64), np.array(job_sizes, dtype=np.int64)


def _check_machines(
    rows: Rows, job_offset: IntArray, alt_offset: IntArray, machine: IntArray, n_machines: int
) -> None:
    """Refuse unknown and repeated machines; the package's own message would count from 0."""

    def refuse(alternative: int, text: str) -> NoReturn:
        op = int(np.searchsorted(alt_offset, alternative, side="right")) - 1
        job = int(np.searchsorted(job_offset, op, side="right")) - 1
        where = f"job {job}, operation {op - int(job_offset[job])}"
        rows.refuse(job, f"{where}: {text}")

    if (unknown := np.flatnonzero((machine < 1) | (machine > n_machines))).size:
        culprit = machine[unknown[0]]
        refuse(
            int(unknown[0]), f"unknown machine {culprit}; there are {n_machines}, numbered from 1"
        )
    op_of_alt = np.repeat(np.arange(len(alt_offset) - 1), np.diff(alt_offset))
    key = op_of_alt * (n_machines + 1) + machine
    order = np.argsort(key, kind="stable")
    if (twice := np.flatnonzero(np.diff(key[order]) == 0)).size:
        alternative = int(order[twice[0] + 1])
        refuse(alternative, f"machine {machine[alternative]} is listed twice")


def _flexible_position(row: int, before: list[int]) -> str:
    at, op = 1, 0
    while at < len(before) and before[at] >= 0:
        at += 2 * before[at] + 1
        op += at <= len(before)
    return f"job {row}, operation {op}"


# ---- recognition ---------------------------------------------------------------------------------


def _looks(text: str) -> str:
    """Return which text format `text` looks like, or nothing.

    Each of the first rows that has the right structure gives a format a point, and another when
    its machines exist as well. At least half the points must be there, so that a file with a few
    faulty rows is recognised; where two formats tie, the classic one is taken, unless the header
    has the third number that only flexible files have.
    """
    head = "".join(itertools.islice(io.StringIO(text), 4 * SAMPLE))
    lines = data_lines(head)
    if not lines.text:
        return ""
    tokens = TOKEN.findall(lines.text[0])
    counts = [_positive(token) for token in tokens[:2]]
    if len(counts) < 2 or None in counts or len(tokens) > 3:
        return ""
    n_machines = counts[1] or 0
    sample = [TOKEN.findall(line) for line in lines.text[1 : SAMPLE + 1]]
    points = {"reentrant": 0, "standard": 0, "flexible": 0}
    for row in sample:
        values = [value for token in row if isinstance(value := parse_integer(token), int)]
        sound = len(values) == len(row)
        if len(tokens) == 2 and len(row) % 2 == 0 and row[-2:] == ["-1", "-1"]:
            points["reentrant"] += 1 + (sound and _machines_exist(values[:-2], n_machines))
        if len(tokens) == 2 and len(row) == 2 * n_machines:
            points["standard"] += 1 + (sound and _machines_exist(values, n_machines))
        if sound and (machines := _flexible_machines(values)):
            points["flexible"] += 1 + (min(machines) >= 1 and max(machines) <= n_machines)
    best = max(points, key=lambda key: points[key])
    return best if sample and points[best] >= len(sample) else ""


def _machines_exist(values: list[int], n_machines: int) -> bool:
    return all(0 <= machine < n_machines for machine in values[::2])


def _flexible_machines(values: list[int]) -> list[int]:
    """Return the machines in a job's row, or nothing when it is no such row."""
    machines: list[int] = []
    at = n_ops = 0
    while at + 1 < len(values) and values[at + 1] > 0:
        count = values[at + 1]
        machines += values[at + 2 : at + 2 + 2 * count : 2]
        at += 2 * count + 1
        n_ops += 1
    return machines if at == len(values) - 1 and n_ops == values[0] else []


# ---- writers -------------------------------------------------------------------------------------


def _require_plain(problem: JobShop, form: str, held: frozenset[str]) -> None:
    beyond = problem.features() - held - {"objective makespan"}
    # Data that the makespan does not use would still be lost.
    beyond |= {"due dates"} if problem.due is not None else set()
    beyond |= {"weights"} if (problem.weight != 1).any() else set()
    if beyond:
        raise CannotExpressError(
            f"the {form} format cannot hold {', '.join(sorted(beyond))}; JSON can"
        )


def _rows(problem: JobShop, ending: list[int]) -> str:
    pairs = np.column_stack((problem.alt_machine, problem.alt_duration)).ravel().tolist()
    rows = [[problem.n_jobs, problem.n_machines]]
    for first, end in itertools.pairwise(problem.job_offset.tolist()):
        rows.append(pairs[2 * first : 2 * end] + ending)
    return _text(rows)


def _text(rows: list[list[int]]) -> str:
    return "\n".join(" ".join(map(str, row)) for row in rows) + "\n"


def write_standard(problem: JobShop) -> str:
    """Return the JSPLib text; jobs must have as many operations as there are machines."""
    _require_plain(problem, STANDARD, frozenset())
    sizes = np.diff(problem.job_offset)
    if (odd := np.flatnonzero(sizes != problem.n_machines)).size:
        raise CannotExpressError(
            f"the {STANDARD} format cannot hold jobs of any length: job {odd[0]} has "
            f"{sizes[odd[0]]} operations on {problem.n_machines} machines; {REENTRANT} can"
        )
    return _rows(problem, [])


def write_reentrant(problem: JobShop) -> str:
    """Return the text with ``-1 -1`` behind each job."""
    _require_plain(problem, REENTRANT, frozenset())
    return _rows(problem, [-1, -1])


def write_flexible(problem: JobShop) -> str:
    """Return the ``.fjs`` text, machines from 1."""
    _require_plain(problem, FLEXIBLE, frozenset({"flexible"}))
    pairs = np.column_stack((problem.alt_machine + 1, problem.alt_duration)).ravel().tolist()
    bounds = problem.alt_offset.tolist()
    rows = []
    for first, end in itertools.pairwise(problem.job_offset.tolist()):
        row = [end - first]
        for a, b in itertools.pairwise(bounds[first : end + 1]):
            row += [b - a, *pairs[2 * a : 2 * b]]
        rows.append(row)
    mean = len(problem.alt_machine) / problem.n_ops
    return f"{problem.n_jobs} {problem.n_machines} {mean:.2f}\n" + _text(rows)


# ---- JSON and the list ---------------------------------------------------------------------------


def _vet(data: dict[str, Any]) -> None:
    n_machines = data.get("n_machines")
    if isinstance(n_machines, int | float) and n_machines > MAX_MACHINES:
        raise InputError(f"n_machines: {n_machines} is more than {MAX_MACHINES:,}")


STANDARD, REENTRANT, FLEXIBLE = "JSPLib", "Da Col-Teppan", "FJSPLib"

FORMATS: tuple[Format, ...] = (
    Format(
        name=STANDARD,
        suffixes=(".txt", ".jsp"),
        description="job shop: 'jobs machines', then a row of (machine, duration) pairs a job",
        sniff=lambda text: _looks(text) == "standard",
        read=read_standard,
        write=write_standard,
    ),
    Format(
        name=REENTRANT,
        suffixes=(".txt", ".jsp"),
        description="job shop with jobs of any length: as JSPLib, each row ends in -1 -1",
        sniff=lambda text: _looks(text) == "reentrant",
        read=read_reentrant,
        write=write_reentrant,
    ),
    Format(
        name=FLEXIBLE,
        suffixes=(".fjs",),
        description="flexible job shop: a row a job, the alternatives of each operation in turn",
        sniff=lambda text: _looks(text) == "flexible",
        read=read_flexible,
        write=write_flexible,
    ),
    json_format(JobShop, _vet),
)
