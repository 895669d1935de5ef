"""Smaller instances of the same family, made from the plain data of one.

What no longer is an instance is refused by the family's own validation, so that everything can be
tried: leaving out any entry, lowering any number.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

Data: TypeAlias = dict[str, Any]
Path: TypeAlias = tuple[Any, ...]

#: The plainer word for some.
PLAINER = {"none": "unlimited", "no-wait": "unlimited"}
#: Fields that say what the data are.
KEPT = ("optsched", "family", "name", "objective")


@dataclass(frozen=True)
class Axis:
    """Items of one kind, such as jobs, in the plain data of a problem.

    Attributes
    ----------
    rows : tuple of str
        Fields with an entry an item (or one value for all, which is left alone).
    square : tuple of str
        Fields with a matrix over the items, or several.
    pairs : tuple of str
        Fields whose entries begin with two items, and go with either of them.
    indices : tuple of str
        Fields that name items, at any depth.
    """

    rows: tuple[str, ...]
    square: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()
    indices: tuple[str, ...] = ()


def without(data: Data, axis: Axis, item: int) -> Data:
    """Return the data without an item; those behind it move up by one."""
    less = copy.deepcopy(data)
    for field in axis.rows:
        if isinstance(less.get(field), list):
            del less[field][item]
    for field in axis.square:
        if field in less:
            matrices = less[field] if isinstance(less[field][0][0], list) else [less[field]]
            for matrix in matrices:
                del matrix[item]
                for row in matrix:
                    del row[item]
    for field in axis.pairs:
        if field in less:
            less[field] = [
                [*renumbered(row[:2], item), *row[2:]] for row in less[field] if item not in row[:2]
            ]
    for field in axis.indices:
        if field in less:
            less[field] = renumbered(less[field], item)
    return less


def renumbered(value: Any, item: int) -> Any:
    """Return lists of indices without `item`, those behind it one lower."""
    if isinstance(value, list):
        return [renumbered(entry, item) for entry in value if entry != item]
    if isinstance(value, dict):
        return {key: renumbered(entry, item) for key, entry in value.items()}
    if isinstance(value, int) and not isinstance(value, bool) and value > item:
        return value - 1
    return value


def anything_less(data: Data) -> Iterator[Data]:
    """Yield the data without a field or an entry, then with a lower number or plainer word."""
    for key in data:
        if key not in KEPT:
            yield {k: copy.deepcopy(v) for k, v in data.items() if k != key}
    paths = [path for key in data if key not in KEPT for path in _paths(data[key], (key,))]
    for path in paths:
        if len(path) > 1:
            less = copy.deepcopy(data)
            del _holder(less, path)[path[-1]]
            yield less
    for path in paths:
        for value in _lower(_holder(data, path)[path[-1]]):
            less = copy.deepcopy(data)
            _holder(less, path)[path[-1]] = value
            yield less


def extent(data: Data) -> tuple[int, int]:
    """Return by what instances are smaller: the number of entries, then the numbers in them."""
    leaves = [
        _holder(data, path)[path[-1]]
        for key in data
        if key not in KEPT
        for path in _paths(data[key], (key,))
    ]
    return len(leaves), sum(map(_weight, leaves))


def _paths(value: Any, path: Path) -> list[Path]:
    """Return the paths of a value and of everything in it, the outer before the inner."""
    found = [path]
    if isinstance(value, list | dict):
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        for key, entry in entries:
            found += _paths(entry, (*path, key))
    return found


def _holder(data: Data, path: Path) -> Any:
    holder: Any = data
    for key in path[:-1]:
        holder = holder[key]
    return holder


def _lower(value: Any) -> list[Any]:
    if isinstance(value, bool):
        return [False] if value else []
    if isinstance(value, int):
        less = value - 1 if value > 0 else value + 1
        return [v for v in dict.fromkeys((0, int(value / 2), less)) if abs(v) < abs(value)]
    if isinstance(value, float):
        return [0.0] if value else []
    return [PLAINER[value]] if isinstance(value, str) and value in PLAINER else []


def _weight(value: Any) -> int:
    if isinstance(value, str):
        return int(value in PLAINER)
    if isinstance(value, int):
        return abs(value)
    return 1 if isinstance(value, float) and value else 0
