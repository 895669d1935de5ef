"""Machine calendars in CP-SAT: where operations may start, and what breaks cost them.

The end of a resumable operation is a step-wise function of its start. Starts from which the same
time is lost form one set; a literal a set says that the start lies in it. An operation that loses
nothing, or always the same, needs no literal: its starts are a domain with holes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ortools.sat.python import cp_model

from optsched.core import ProvenInfeasible
from optsched.problems.job_shop.calendars import Calendar
from optsched.problems.job_shop.problem import JobShop
from optsched.problems.job_shop.timing import Plan

#: A variable's index and its value in a plan: what a hint is made of.
Aux = tuple[int, Callable[[Plan], int]]


@dataclass(frozen=True)
class Stay:
    """How long an alternative takes, breaks included.

    Attributes
    ----------
    terms : linear expression
        What the alternative adds to its operation's elapsed time.
    fixed : int or None
        The elapsed time where it does not depend on the start.
    """

    terms: Any
    fixed: int | None
    aux: list[Aux] = field(default_factory=list)


def stay(
    model: cp_model.CpModel,
    problem: JobShop,
    calendar: Calendar,
    op: int,
    alt: int,
    start: Any,
    presence: Any,
    latest: int,
) -> Stay:
    """Restrict the starts of an alternative to its calendar, and return how long it then takes.

    Parameters
    ----------
    model, problem
    calendar : Calendar
        Of the alternative's machine.
    op, alt : int
    start : IntVar
    presence : BoolVar or None
        None where the operation has no other alternative.
    latest : int
        Latest end of the operation.

    Raises
    ------
    ProvenInfeasible
        When nothing fits between the breaks, and there is no other alternative.
    """
    duration = int(problem.alt_duration[alt])
    low = model.proto.variables[start.index].domain[0]
    pieces = calendar.pieces(low, latest, duration, bool(problem.resumable[op]))
    groups: dict[int, list[list[int]]] = {}
    for piece in pieces:
        groups.setdefault(piece.lost, []).append([piece.low, piece.high])
    if not groups:
        if presence is None:
            raise ProvenInfeasible(no_room(problem, op, low, latest))
        model.add(presence == 0)
        return Stay(duration * presence, duration)
    domains = {lost: cp_model.Domain.from_intervals(rows) for lost, rows in groups.items()}
    given = [] if presence is None else [presence]
    if len(domains) == 1:
        [(lost, domain)] = domains.items()
        model.add_linear_expression_in_domain(start, domain).only_enforce_if(given)
        elapsed = duration + lost
        return Stay(elapsed if presence is None else elapsed * presence, elapsed)
    terms = duration if presence is None else duration * presence
    aux: list[Aux] = []
    literals = []
    for lost, domain in domains.items():
        literal = model.new_bool_var(f"l{alt}_{lost}")
        model.add_linear_expression_in_domain(start, domain).only_enforce_if(literal)
        literals.append(literal)
        terms = terms + lost * literal
        aux.append((literal.index, _loses(op, alt, duration + lost)))
    if presence is None:
        model.add_exactly_one(literals)
        everywhere = domains[next(iter(domains))]
        for domain in domains.values():
            everywhere = everywhere.union_with(domain)
        model.add_linear_expression_in_domain(start, everywhere)
    else:
        model.add_exactly_one([*literals, presence.negated()])
    return Stay(terms, None, aux)


def _loses(op: int, alt: int, elapsed: int) -> Callable[[Plan], int]:
    return lambda plan: int(
        plan.alternative[op] == alt and plan.end[op] - plan.start[op] == elapsed
    )


def no_room(problem: JobShop, op: int, low: int, latest: int) -> str:
    """Return in words that an operation fits nowhere between the breaks of its machines."""
    job = int(problem.op_job[op])
    first, last = problem.alt_offset[op : op + 2].tolist()
    machines = sorted(set(problem.alt_machine[first:last].tolist()))
    names = f"machine {machines[0]}" if len(machines) == 1 else f"machines {machines}"
    duration = int(problem.alt_duration[first:last].min())
    return (
        f"job {job}, operation {op - int(problem.job_offset[job])} (duration {duration}) "
        f"finds no room between the breaks of {names} from {low}, its earliest start, "
        f"to {latest}, its latest end"
    )
