"""Problems made of operator graphs and of ONNX models."""

from __future__ import annotations

from typing import Any

import numpy as np

from optsched.core import InputError, Problem
from optsched.numbers import shown
from optsched.problems.scratchpad.graph import INPUT, OUTPUT, WEIGHT, OperatorGraph
from optsched.problems.scratchpad.onnx import read_onnx
from optsched.problems.scratchpad.onnx_model import Dims
from optsched.problems.scratchpad.problem import ScratchpadSchedule
from optsched.problems.tensor_memory.problem import TensorMemory

#: Families that can be made of a model and a capacity alone; the first is the default.
FAMILIES = (TensorMemory.family, ScratchpadSchedule.family)
#: What `problem_of_model` takes beside the model.
OPTIONS = ("family", "capacity", "dims", "element_bytes")


def static_allocation(
    graph: OperatorGraph,
    order: Any = None,
    *,
    capacity: int | None = None,
    alignment: int = 1,
    weights: bool = False,
    hold: bool = False,
) -> TensorMemory:
    """Return the problem of giving the tensors of a graph addresses, nothing being spilled.

    A buffer a tensor, alive from the step that writes it (inputs and weights: first reads it) to
    the last that reads it; times are steps, sizes bytes. Tensors of no bytes are left out.

    Parameters
    ----------
    graph : OperatorGraph
    order : sequence of int, optional
        A topological order of the operators; default: the graph's.
    capacity : int, optional
        Bytes of the memory.
    alignment : int
        Offsets are multiples of it.
    weights : bool
        Whether weights lie there, too.
    hold : bool
        Whether inputs are there from the first step on, and outputs to the last.

    Raises
    ------
    InputError
        On a wrong order, or when no tensor is left.
    """
    steps = graph.default_order() if order is None else graph.check_order(order)
    first, last = graph.lifetimes(steps)
    if hold:
        first = np.where(graph.kind == INPUT, 0, first)
        last = np.where(graph.kind == OUTPUT, graph.n_operators - 1, last)
    kept = np.flatnonzero((graph.size > 0) & (last >= first) & (weights | (graph.kind != WEIGHT)))
    if not len(kept):
        raise InputError("the graph has no tensors that need memory")
    return TensorMemory(
        np.stack([first[kept], last[kept] + 1, graph.size[kept]], axis=1),
        capacity,
        alignment=alignment,
        id=[graph.tensor_names[t] for t in kept.tolist()],
        name=graph.name,
    )


def problem_of_model(
    source: Any,
    name: str,
    *,
    family: str = FAMILIES[0],
    capacity: int | None = None,
    dims: Dims | None = None,
    element_bytes: int | None = None,
) -> Problem:
    """Return a problem made of an ONNX model, its operators in the order of the file.

    Parameters
    ----------
    source : path or bytes
    name : str
    family : str
        ``"tensor_memory"``: static allocation of all but the weights, at the least peak or within
        `capacity`; ``"scratchpad"``: operators and weights, within `capacity`, in any order.
    capacity : int, optional
        Bytes.
    dims, element_bytes
        See `read_onnx`.

    Raises
    ------
    InputError
        On an unknown family, an absent capacity, or what `read_onnx` refuses.
    """
    if family not in FAMILIES:
        raise InputError(f"family {shown(family)} is made of no model: {', '.join(FAMILIES)}")
    graph = read_onnx(source, dims=dims, element_bytes=element_bytes, name=name)
    if family == TensorMemory.family:
        return static_allocation(graph, capacity=capacity)
    if capacity is None:
        least, most = graph.largest_working_set, graph.peak(graph.default_order())
        raise InputError(
            f"a scratchpad schedule needs a capacity, bytes: at least {least} (M_R); from {most} "
            "on the model's own order needs no traffic"
        )
    return ScratchpadSchedule(graph, capacity)
