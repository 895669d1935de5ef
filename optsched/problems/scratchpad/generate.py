"""Instances at the characteristic capacities of COSMA, of networks that anybody can have."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from optsched.core import InputError, IntArray, MissingExtraError
from optsched.numbers import shown
from optsched.problems.scratchpad.graph import OperatorGraph
from optsched.problems.scratchpad.networks import network
from optsched.problems.scratchpad.peak import minimum_peak
from optsched.problems.scratchpad.problem import ScratchpadSchedule

LEVELS = ("M_R", "M_H", "M_P")
ORDERS = ("free", "listed", "random")


def instance(
    name: str,
    level: str = "M_R",
    seed: int = 0,
    *,
    weights: bool = False,
    order: str = "free",
) -> ScratchpadSchedule:
    """Return the schedule of a network at one of its three characteristic capacities.

    Parameters
    ----------
    name : str
        A network of `networks.network`, or ``"onnx/resnet50"`` and the like for one of the models
        that the onnx package brings along.
    level : str
        ``"M_R"``, what the largest operator needs; ``"M_P"``, the least peak of all orders;
        ``"M_H"``, their mean.
    seed : int
        Of the random order.
    weights : bool
        Whether weights are tensors.
    order : str
        ``"free"``; ``"listed"``, fixed as the network lists its operators; ``"random"``, fixed at
        random.

    Raises
    ------
    InputError
        On an unknown network, level or order.
    MissingExtraError
        When the onnx package is wanted and absent.
    """
    if level not in LEVELS:
        raise InputError(f"unknown level {shown(level)}: one of {', '.join(LEVELS)}")
    if order not in ORDERS:
        raise InputError(f"unknown order {shown(order)}: one of {', '.join(ORDERS)}")
    graph = _graph(name, weights)
    capacity = graph.largest_working_set
    if level != "M_R":
        peak = minimum_peak(graph).peak
        capacity = peak if level == "M_P" else (capacity + peak) // 2
    fixed = {"free": None, "listed": graph.default_order()}
    chosen = random_order(graph, seed) if order == "random" else fixed[order]
    label = f"{graph.name}-{level}{'-weights' if weights else ''}"
    if order != "free":
        label += f"-{order}" + (f"-{seed}" if order == "random" else "")
    return ScratchpadSchedule(graph, capacity, order=chosen, name=label)


def _graph(name: str, weights: bool) -> OperatorGraph:
    collection, _, model = name.rpartition("/")
    if collection != "onnx":
        return network(name, weights=weights)
    spec = importlib.util.find_spec("onnx")
    if spec is None or spec.origin is None:
        raise MissingExtraError("onnx", "onnx")
    folder = Path(spec.origin).parent / "backend" / "test" / "data" / "light"
    known = {path.stem.removeprefix("light_"): path for path in sorted(folder.glob("*.onnx"))}
    if model not in known:
        raise InputError(f"unknown model {shown(model)}: one of {', '.join(known)}")
    from optsched.problems.scratchpad.onnx import read_onnx

    return read_onnx(known[model], element_bytes=1, weights=weights, name=model)


def random_order(graph: OperatorGraph, seed: int) -> IntArray:
    """Return a random topological order: of those ready, any may be next."""
    rng = np.random.default_rng(seed)
    waiting = np.diff(graph.predecessor_offset).tolist()
    ready = [i for i, count in enumerate(waiting) if not count]
    order = []
    while ready:
        order.append(ready.pop(int(rng.integers(len(ready)))))
        for j in graph.successors(order[-1]).tolist():
            waiting[j] -= 1
            if not waiting[j]:
                ready.append(j)
    return np.array(order, dtype=np.int64)
