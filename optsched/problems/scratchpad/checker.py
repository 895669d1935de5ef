"""The independent checker: replays a schedule step by step, from the definition alone.

It shares no code with any formulation or heuristic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optsched.core import InputError, Violation
from optsched.numbers import shown
from optsched.problems.scratchpad.graph import INTERMEDIATE, OUTPUT, OperatorGraph

if TYPE_CHECKING:
    from optsched.problems.scratchpad.problem import ScratchpadSchedule, ScratchpadSolution


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes between scratchpad and main memory.

    Attributes
    ----------
    compulsory_loads, compulsory_stores : int
        First loads of inputs and weights, stores of outputs.
    reloads : int
        Every other load.
    spills : int
        Stores of intermediates.
    """

    compulsory_loads: int
    compulsory_stores: int
    reloads: int
    spills: int

    @property
    def non_compulsory(self) -> int:
        """Reloads and spills together: the objective."""
        return self.reloads + self.spills


def check(problem: ScratchpadSchedule, solution: ScratchpadSolution) -> list[Violation]:
    """Return every violation of `solution`, in words; an empty list means feasible."""
    graph = problem.graph
    found = _order(problem, solution)
    if found:
        return found  # steps mean nothing in such an order
    found = _stays(graph, solution)
    if found:
        return found
    return _replay(problem, solution)


def _order(problem: ScratchpadSchedule, solution: ScratchpadSolution) -> list[Violation]:
    graph, order = problem.graph, solution.order.tolist()
    n = graph.n_operators
    if len(order) != n:
        return [Violation("shape", f"order has {len(order)} entries, there are {n} operators")]
    if strange := [i for i in order if not 0 <= i < n]:
        return [Violation("order", f"the order names {strange[0]}, which is no operator")]
    found = []
    done: set[int] = set()
    written: set[int] = set()
    for step, i in enumerate(order):
        if i in done:
            text = f"step {step}: operator {shown(graph.names[i])} runs a second time"
            found.append(Violation("order", text))
        for t in graph.inputs(i).tolist():
            if graph.producer[t] >= 0 and t not in written:
                text = (
                    f"step {step}: operator {shown(graph.names[i])} reads tensor "
                    f"{shown(graph.tensor_names[t])}, which is not written yet"
                )
                found.append(Violation("precedence", text))
        done.add(i)
        written.update(graph.outputs(i).tolist())
    if problem.order is not None and order != problem.order.tolist():
        step = next(s for s, (a, b) in enumerate(zip(order, problem.order, strict=True)) if a != b)
        text = f"step {step} differs from the order that is given"
        found.append(Violation("fixed order", text))
    return found


def _stays(graph: OperatorGraph, solution: ScratchpadSolution) -> list[Violation]:
    """Return what makes a stay meaningless by itself."""
    found = []
    step_of = {i: step for step, i in enumerate(solution.order.tolist())}
    for t, first, last in solution.resident.tolist():
        if not 0 <= t < graph.n_tensors:
            found.append(Violation("shape", f"a stay is of {t}, which is no tensor"))
            continue
        stay = f"tensor {shown(graph.tensor_names[t])}, stay from step {first} to {last}"
        if not 0 <= first <= last < graph.n_operators:
            text = f"{stay}: not within the {graph.n_operators} steps"
            found.append(Violation("shape", text))
        elif graph.producer[t] >= 0 and first < step_of[int(graph.producer[t])]:
            text = f"{stay}: begins before step {step_of[int(graph.producer[t])]}, which writes it"
            found.append(Violation("production", text))
    return found


def _replay(problem: ScratchpadSchedule, solution: ScratchpadSolution) -> list[Violation]:
    """Run the steps one by one: who lies where, does everybody who is needed lie there."""
    graph = problem.graph
    stays = list(zip(solution.resident.tolist(), solution.offset.tolist(), strict=True))
    size = graph.size.tolist()
    found = []
    for (t, first, last), low in stays:
        if low < 0 or low + size[t] > problem.capacity:
            text = (
                f"tensor {shown(graph.tensor_names[t])}, stay from step {first} to {last}: bytes "
                f"{low} to {low + size[t]} are not within the capacity of {problem.capacity}"
            )
            found.append(Violation("capacity", text))
    starting: list[list[int]] = [[] for _ in range(graph.n_operators)]
    for k, ((_, first, _), _) in enumerate(stays):
        starting[first].append(k)
    told: set[tuple[int, int]] = set()
    present: list[int] = []
    for step, i in enumerate(solution.order.tolist()):
        present = [k for k in present if stays[k][0][2] >= step] + starting[step]
        here = {stays[k][0][0] for k in present}
        for t in [*graph.inputs(i).tolist(), *graph.outputs(i).tolist()]:
            if t not in here:
                text = (
                    f"step {step}: operator {shown(graph.names[i])} needs tensor "
                    f"{shown(graph.tensor_names[t])}, which is not in the scratchpad"
                )
                found.append(Violation("residency", text))
        # Sorted by address, stays overlap where one begins before the end of all before it.
        placed = sorted((stays[k][1], stays[k][1] + size[stays[k][0][0]], k) for k in present)
        placed = [entry for entry in placed if entry[0] < entry[1]]
        top, owner = 0, -1
        for low, high, k in placed:
            if owner >= 0 and low < top and (owner, k) not in told:
                told.add((owner, k))
                a, b = (shown(graph.tensor_names[stays[j][0][0]]) for j in (owner, k))
                text = f"step {step}: tensors {a} and {b} overlap at address {low}"
                found.append(Violation("overlap", text))
            if high > top or owner < 0:
                top, owner = high, k
        seen: set[int] = set()
        for k in present:
            t = stays[k][0][0]
            if t in seen and (t, -1) not in told:
                told.add((t, -1))
                text = f"step {step}: tensor {shown(graph.tensor_names[t])} is there twice"
                found.append(Violation("stay", text))
            seen.add(t)
    return found


def traffic(problem: ScratchpadSchedule, solution: ScratchpadSolution) -> Traffic:
    """Return the bytes that the schedule moves; it may otherwise be infeasible.

    Raises
    ------
    InputError
        When order or stays do not fit the graph.
    """
    graph = problem.graph
    n, n_tensors = graph.n_operators, graph.n_tensors
    order, tensor = solution.order, solution.resident[:, 0]
    if len(order) != n or not np.array_equal(np.sort(order), np.arange(n)):
        raise InputError(f"solution: the order does not name each of {n} operators once")
    if ((tensor < 0) | (tensor >= n_tensors)).any():
        raise InputError(f"solution: a stay is of no tensor among {n_tensors}")
    step = np.empty(n, dtype=np.int64)
    step[order] = np.arange(n)
    # A stay begins with production where it starts in the step that writes its tensor.
    is_written = graph.producer[tensor] >= 0
    made = is_written & (solution.resident[:, 1] == step[graph.producer[tensor]])
    loads = np.bincount(tensor[~made], minlength=n_tensors)
    outside = graph.producer < 0
    first_loads = outside & (loads > 0)
    size = graph.size
    return Traffic(
        compulsory_loads=int(size[first_loads].sum()),
        compulsory_stores=int(size[graph.kind == OUTPUT].sum()),
        reloads=int((size * (loads - first_loads)).sum()),
        spills=int(size[(graph.kind == INTERMEDIATE) & (loads > 0)].sum()),
    )
