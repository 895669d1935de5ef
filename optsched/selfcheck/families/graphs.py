"""Smaller operator graphs, within the plain data of a problem that has one."""

from __future__ import annotations

import copy
from collections.abc import Iterator

from optsched.selfcheck.smaller import Data, renumbered


def smaller_graphs(data: Data) -> Iterator[Data]:
    """Yield the data without an operator, and without a tensor."""
    operators, tensors = data["graph"]["operators"], data["graph"]["tensors"]
    for i in range(len(operators)):
        less = copy.deepcopy(data)
        del less["graph"]["operators"][i]
        if "compute" in less:
            del less["compute"][i]
        if "order" in less:
            less["order"] = renumbered(less["order"], i)
        yield from _without_unused(less)
    for t in range(len(tensors)):
        less = copy.deepcopy(data)
        _forget(less, t)
        yield less


def _without_unused(data: Data) -> Iterator[Data]:
    """Yield the data without the tensors that nobody writes or reads, kinds left to be told anew.

    A tensor of which the writer is gone cannot stay what it was.
    """
    graph = data["graph"]
    written = {t for _, _, writes in graph["operators"] for t in writes}
    read = {t for _, reads, _ in graph["operators"] for t in reads}
    for t in range(len(graph["tensors"]) - 1, -1, -1):
        name, size, kind = graph["tensors"][t]
        if t not in written | read:
            _forget(data, t)
        elif t not in written and kind in ("intermediate", "output"):
            graph["tensors"][t] = [name, size, "input"]
        elif t not in read and kind == "intermediate":
            graph["tensors"][t] = [name, size, "output"]
    yield data


def _forget(data: Data, tensor: int) -> None:
    graph = data["graph"]
    del graph["tensors"][tensor]
    for operator in graph["operators"]:
        operator[1:] = [renumbered(tensors, tensor) for tensors in operator[1:]]
