"""From what a person writes to a checked operator graph; every message names the culprit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from optsched.core import MAX_TIME, BoolArray, InputError, IntArray
from optsched.numbers import integer, is_row, shown

#: Names of the kinds of tensors, by code.
KINDS = ("input", "weight", "intermediate", "output")
_INPUT, _, _INTERMEDIATE, _OUTPUT = range(4)

Rows = list[list[int]]


def text(value: Any, where: str) -> str:
    """Return `value`, which must be text."""
    if not isinstance(value, str):
        raise InputError(f"{where}: {shown(value)} is not text")
    return value


def tensors(values: Any) -> tuple[tuple[str, ...], IntArray, list[int | None]]:
    """Return names, sizes (bytes) and kinds (codes, None where not given) of the tensors."""
    if not is_row(values):
        raise InputError(f"tensors: expected a list of (name, size, kind), not {shown(values)}")
    names, sizes, kinds = [], [], []
    for k, value in enumerate(values):
        row = _fields(value, ("name", "size", "kind"), 2, f"tensor {k}")
        names.append(text(row[0], f"tensor {k}: name"))
        where = f"tensor {shown(names[-1])}"
        size = integer(row[1], f"{where}: size")
        if size < 0:
            raise InputError(f"{where}: size {size} is negative")
        sizes.append(size)
        kinds.append(_kind(row[2] if len(row) > 2 else None, where))
    _refuse_repetition(names, "tensor")
    if sum(sizes) >= MAX_TIME:
        raise InputError("the sizes of the tensors exceed 2^53 bytes in sum")
    return tuple(names), np.array(sizes, dtype=np.int64), kinds


def _kind(value: Any, where: str) -> int | None:
    if value is None:
        return None
    if not isinstance(value, str) or value not in KINDS:
        raise InputError(f"{where}: unknown kind {shown(value)}: one of {', '.join(KINDS)}")
    return KINDS.index(value)


def operators(values: Any, tensor_names: Sequence[str]) -> tuple[tuple[str, ...], Rows, Rows]:
    """Return the names of the operators, and the tensors that each reads and writes."""
    if not is_row(values):
        raise InputError(
            f"operators: expected a list of (name, inputs, outputs), not {shown(values)}"
        )
    index = {name: t for t, name in enumerate(tensor_names)}
    names, reads, writes = [], [], []
    for k, value in enumerate(values):
        row = _fields(value, ("name", "inputs", "outputs"), 3, f"operator {k}")
        names.append(text(row[0], f"operator {k}: name"))
        where = f"operator {shown(names[-1])}"
        reads.append(_tensors_of(row[1], index, f"{where}: inputs"))
        writes.append(_tensors_of(row[2], index, f"{where}: outputs"))
    if not names:
        raise InputError("there are no operators")
    _refuse_repetition(names, "operator")
    return tuple(names), reads, writes


def _fields(value: Any, fields: tuple[str, ...], least: int, where: str) -> Sequence[Any]:
    """Return the fields of a row, or of an object with those keys."""
    if isinstance(value, Mapping):
        if unknown := sorted(map(str, value.keys() - set(fields))):
            raise InputError(f"{where}: unknown field {shown(unknown[0])}")
        if absent := [field for field in fields[:least] if field not in value]:
            raise InputError(f"{where}: field {absent[0]!r} is missing")
        return [value.get(field) for field in fields]
    if not is_row(value) or not least <= len(value) <= len(fields):
        raise InputError(f"{where}: expected ({', '.join(fields)}), not {shown(value)}")
    return list(value)


def _tensors_of(values: Any, index: Mapping[str, int], where: str) -> list[int]:
    if not is_row(values):
        raise InputError(f"{where}: expected a list of tensors, not {shown(values)}")
    found: dict[int, None] = {}
    for value in values:
        if isinstance(value, str):
            if value not in index:
                raise InputError(f"{where}: unknown tensor {shown(value)}")
            found[index[value]] = None
            continue
        t = integer(value, where)
        if not 0 <= t < len(index):
            raise InputError(
                f"{where}: there is no tensor {t}, they count from 0 to {len(index) - 1}"
            )
        found[t] = None
    return list(found)


def _refuse_repetition(names: Sequence[str], what: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InputError(f"two {what}s are called {shown(name)}")
        seen.add(name)


def producers(names: Sequence[str], tensor_names: Sequence[str], writes: Rows) -> IntArray:
    """Return the operator that writes each tensor, -1 where there is none."""
    producer = np.full(len(tensor_names), -1, dtype=np.int64)
    for i, row in enumerate(writes):
        for t in row:
            if producer[t] >= 0:
                first, second = shown(names[int(producer[t])]), shown(names[i])
                raise InputError(
                    f"tensor {shown(tensor_names[t])}: written by {first} and by {second}"
                )
            producer[t] = i
    return producer


def refuse_loops(
    names: Sequence[str], tensor_names: Sequence[str], reads: Rows, writes: Rows
) -> None:
    """Refuse an operator that reads what it writes."""
    for i, (read, written) in enumerate(zip(reads, writes, strict=True)):
        if both := set(read) & set(written):
            tensor = shown(tensor_names[min(both)])
            raise InputError(f"operator {shown(names[i])}: reads tensor {tensor}, which it writes")


def kinds(
    given: Sequence[int | None], tensor_names: Sequence[str], written: BoolArray, read: BoolArray
) -> IntArray:
    """Return the kind of each tensor; refuse one that contradicts the operators."""
    kind = np.where(written, np.where(read, _INTERMEDIATE, _OUTPUT), _INPUT).astype(np.int64)
    for t, code in enumerate(given):
        if code is None:
            continue
        if (code >= _INTERMEDIATE) != bool(written[t]):
            why = "but an operator writes it" if written[t] else "but no operator writes it"
            raise InputError(f"tensor {shown(tensor_names[t])}: kind {KINDS[code]!r}, {why}")
        kind[t] = code
    return kind


def refuse_cycle(names: Sequence[str], before: Rows, sorted_part: Sequence[int]) -> None:
    """Refuse a graph of which only `sorted_part` has a topological order; name a cycle."""
    left = set(range(len(names))) - set(sorted_part)
    if not left:
        return
    # Every operator left has a predecessor that is left: walking back must close a cycle.
    path = [min(left)]
    place = {path[0]: 0}
    while True:
        last = next(i for i in before[path[-1]] if i in left)
        if last in place:
            break
        place[last] = len(path)
        path.append(last)
    cycle = [*path[place[last] :], last][::-1]
    words = [shown(names[i]) for i in cycle]
    if len(words) > 8:
        words = [*words[:4], "...", *words[-3:]]
    raise InputError(f"operators: a cycle, {' before '.join(words)}")


def graph_arguments(data: Any) -> dict[str, Any]:
    """Return the arguments of `OperatorGraph` from the plain data of a JSON file."""
    fields = ("tensors", "operators", "name")
    if not isinstance(data, Mapping):
        raise InputError(f"graph: expected an object, not {shown(data)}")
    if unknown := sorted(map(str, data.keys() - set(fields))):
        raise InputError(f"graph: unknown field {shown(unknown[0])}: one of {', '.join(fields)}")
    for field in fields[:2]:
        if field not in data:
            raise InputError(f"graph: field {field!r} is missing")
    return dict(data)
