"""File formats of scratchpad schedules: JSON; a plan as CSV or as a C header."""

from __future__ import annotations

import csv
import io

import numpy as np

from optsched.core import BoolArray
from optsched.formats import json_format
from optsched.problems.scratchpad.graph import INTERMEDIATE, OUTPUT
from optsched.problems.scratchpad.problem import ScratchpadSchedule, ScratchpadSolution
from optsched.problems.tensor_memory.c_header import Header, identifiers

#: Columns of a plan; those behind ``last`` are empty for operators.
COLUMNS = ("kind", "name", "first", "last", "size", "offset", "load", "store")


def transfers(
    problem: ScratchpadSchedule, solution: ScratchpadSolution
) -> tuple[BoolArray, BoolArray]:
    """Return which stays begin with a load, and which end with a store, shape (n_stays,) each.

    A tensor is stored behind its first stay: an output always, an intermediate where it is loaded
    later. The bytes of both are those of `ScratchpadSchedule.traffic`, compulsory ones included.
    """
    graph = problem.graph
    tensor, first, _ = solution.resident.T
    step = np.empty(graph.n_operators, dtype=np.int64)
    step[solution.order] = np.arange(graph.n_operators)
    made = (graph.producer[tensor] >= 0) & (first == step[graph.producer[tensor]])
    opens = np.append(True, tensor[1:] != tensor[:-1])[: len(tensor)]
    ends = np.append(tensor[1:] != tensor[:-1], True)[: len(tensor)]
    kind = graph.kind[tensor]
    return ~made, opens & ((kind == OUTPUT) | ((kind == INTERMEDIATE) & ~ends))


def write_plan(problem: ScratchpadSchedule, solution: ScratchpadSolution) -> str:
    """Return the plan as CSV: a row an operator, in order, then a row a stay.

    ``first`` and ``last`` are steps, counted from 0 and both inclusive; ``load`` and ``store`` tell
    with 1 that the stay begins with a load from main memory, or ends with a store to it.
    """
    graph = problem.graph
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for step, operator in enumerate(solution.order.tolist()):
        writer.writerow(("operator", graph.names[operator], step, step, "", "", "", ""))
    load, store = transfers(problem, solution)
    rows = zip(solution.resident.tolist(), solution.offset.tolist(), load, store, strict=True)
    for (tensor, first, last), offset, loaded, stored in rows:
        name, size = graph.tensor_names[tensor], int(graph.size[tensor])
        writer.writerow(("stay", name, first, last, size, offset, int(loaded), int(stored)))
    return out.getvalue()


def write_header(problem: ScratchpadSchedule, solution: ScratchpadSolution) -> str:
    """Return the plan as a C header: the step of each operator, steps and offset of each stay.

    Stays of a tensor that has several are numbered from 0.
    """
    graph = problem.graph
    tensor, first, last = solution.resident.T
    header = Header(problem.name or "scratchpad")
    header.define("STEPS", graph.n_operators)
    header.define("STAYS", len(tensor))
    header.define("CAPACITY", f"{problem.capacity}ULL")
    header.define("SIZE", f"{int((solution.offset + graph.size[tensor]).max(initial=0))}ULL")
    header.blank()
    words = identifiers(graph.names)
    for step, operator in enumerate(solution.order.tolist()):
        header.define(f"STEP_{words[operator]}", step)
    load, store = transfers(problem, solution)
    number = np.arange(len(tensor)) - np.searchsorted(tensor, tensor)
    several = np.bincount(tensor, minlength=graph.n_tensors)[tensor] > 1
    names = [graph.tensor_names[t] for t in tensor.tolist()]
    words = identifiers(
        [
            f"{name}_{k}" if many else name
            for name, k, many in zip(names, number, several, strict=True)
        ]
    )
    for k, word in enumerate(words):
        header.blank()
        header.define(f"OFFSET_{word}", f"{solution.offset[k]}ULL")
        header.define(f"BYTES_{word}", f"{graph.size[tensor[k]]}ULL")
        header.define(f"FIRST_{word}", first[k])
        header.define(f"LAST_{word}", last[k])
        header.define(f"LOAD_{word}", int(load[k]))
        header.define(f"STORE_{word}", int(store[k]))
    return header.text(
        f"Scratchpad plan of {problem.name or 'unnamed'}: {graph.n_operators} steps, "
        f"{len(tensor)} stays."
    )


FORMATS = (json_format(ScratchpadSchedule),)

#: How a plan is written, by suffix: text of (problem, solution).
PLANS = {".csv": write_plan, ".h": write_header}
