"""Sequence-dependent setups in CP-SAT: a circuit through the operations of each machine.

A setup stands between direct neighbours, so that even setups that break the triangle inequality
are told exactly. The circuit begins and ends at a depot; an alternative that is not chosen loops
on itself. Machines whose setups are all zero have no circuit.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from optsched.core import Deadline
from optsched.problems.job_shop.timing import Plan

if TYPE_CHECKING:
    from optsched.problems.job_shop.cpsat import JobShopCpsat


def add_setups(shop: JobShopCpsat, deadline: Deadline) -> None:
    """Add a circuit for every machine that has setups."""
    problem = shop.problem
    assert problem.setup is not None
    for group in shop.machine_groups():
        machine = int(problem.alt_machine[group[0]])
        jobs = sorted({int(problem.op_job[shop.op_of_alt[alt]]) for alt in group})
        if len(group) > 1 and problem.setup[machine][jobs][:, jobs].any():
            _circuit(shop, machine, group, deadline)


def _circuit(shop: JobShopCpsat, machine: int, group: list[int], deadline: Deadline) -> None:
    model, problem = shop.model, shop.problem
    assert problem.setup is not None
    setup = problem.setup[machine].tolist()
    arcs: list[tuple[int, int, Any]] = []

    def arc(tail: int, head: int, value: Callable[[Plan], bool]) -> Any:
        literal = model.new_bool_var(f"arc{machine}_{tail}_{head}")
        arcs.append((tail, head, literal))
        shop.aux.append((literal.index, lambda plan: int(value(plan))))
        return literal

    arc(0, 0, lambda plan: not plan.sequence[machine])  # every alternative may be elsewhere
    ops = [int(shop.op_of_alt[alt]) for alt in group]
    for k, op in enumerate(ops):
        deadline.check()
        presence = shop.presence[group[k]]
        if presence is not None:
            arcs.append((k + 1, k + 1, presence.negated()))
        arc(0, k + 1, partial(_is_first, machine=machine, op=op))
        arc(k + 1, 0, partial(_is_last, machine=machine, op=op))
        for q, other in enumerate(ops):
            if other == op:
                continue
            needed = setup[int(problem.op_job[op])][int(problem.op_job[other])]
            if not shop.may_follow(op, other, needed):
                continue
            literal = arc(k + 1, q + 1, _directly(machine, op, other))
            model.add(shop.start[other] >= shop.departure[op] + needed).only_enforce_if(literal)
            if shop.order is not None:
                later = shop.order.entry[other] >= shop.order.leave[op]
                model.add(later).only_enforce_if(literal)
    model.add_circuit(arcs)


def _is_first(plan: Plan, machine: int, op: int) -> bool:
    return plan.sequence[machine][:1] == [op]


def _is_last(plan: Plan, machine: int, op: int) -> bool:
    return plan.sequence[machine][-1:] == [op]


def _directly(machine: int, op: int, other: int) -> Callable[[Plan], bool]:
    return lambda plan: bool(plan.successor.get(op) == other and plan.machine[op] == machine)
