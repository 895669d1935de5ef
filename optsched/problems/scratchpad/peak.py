"""The least capacity at which nothing need be spilled: M_P of COSMA, with a proof or a bound."""

from __future__ import annotations

from dataclasses import dataclass

from optsched.core import Deadline, IntArray
from optsched.problems.scratchpad.free_order import sweep
from optsched.problems.scratchpad.graph import OperatorGraph
from optsched.problems.scratchpad.units import units_of

#: States kept in a layer: at first, and at the most.
BEAM, WIDEST = 2_000, 128_000


@dataclass(frozen=True, eq=False)
class Peak:
    """The peak of the best order found, and a proven bound.

    Attributes
    ----------
    peak : int
        Most bytes live at once in `order`; M_P where proven.
    bound : int
        No order has a lower peak.
    order : ndarray of int64, shape (n_operators,)
    """

    peak: int
    bound: int
    order: IntArray

    @property
    def proven(self) -> bool:
        """Whether no order has a lower peak."""
        return self.peak == self.bound


def minimum_peak(graph: OperatorGraph, *, time_limit: float | None = None) -> Peak:
    """Return an order of least peak: the most bytes that are live in a step (M_P).

    Dynamic programming over downsets answers, for one capacity after another, whether some order
    needs no more; of a no it tells by how much the capacity must grow for anything to change.

    Parameters
    ----------
    graph : OperatorGraph
    time_limit : float, optional
        Seconds; when they pass, the best order and the bound so far are returned.
    """
    deadline = Deadline(time_limit)
    units = units_of(graph)
    order = graph.default_order()
    peak, bound = graph.peak(order), graph.largest_working_set
    beam = BEAM
    open_below = bound  #: a beam this wide was too narrow for capacities below
    while bound < peak and not deadline.expired():
        # Mostly the bound is the answer; where it is not, halving the rest finds a way sooner.
        capacity = bound if open_below <= bound else (open_below + peak) // 2
        found = sweep(units, capacity, beam, limit=1, stopped=deadline.expired)
        if found is None:
            break
        if found.sequence is not None:
            order = units.order(found.sequence)
            peak = graph.peak(order)
        elif found.bound > 0:
            bound = open_below = max(open_below, capacity + found.growth)
        else:
            open_below = capacity + 1
        if open_below >= peak > bound:  # nothing more to be found this way: look more widely
            if beam >= WIDEST:
                break
            beam, open_below = 4 * beam, bound
    return Peak(peak, min(bound, peak), order)


def characteristic_capacities(
    graph: OperatorGraph, *, time_limit: float | None = None
) -> tuple[int, int, Peak]:
    """Return the three capacities of COSMA's experiments: M_R, M_H and M_P.

    M_R is what the largest operator needs, M_P the least peak of any order, and M_H their mean,
    rounded down; all in bytes.
    """
    least = graph.largest_working_set
    most = minimum_peak(graph, time_limit=time_limit)
    return least, (least + most.peak) // 2, most
