"""The family's own exact algorithm for a session.

A given order goes to the decomposition of `fixed_order`. Where the order is free, sweeps through
the layers of `free_order` with ever wider beams bring orders and bounds; in between, sweeps through
the orders near the best one improve it. Each order found is then solved as a given one, which
brings the addresses.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from optsched.core import CannotExpressError, Deadline, IntArray
from optsched.problems.scratchpad.fixed_order import FixedOrder, solve_order
from optsched.problems.scratchpad.free_order import NEVER, sweep
from optsched.problems.scratchpad.graph import OperatorGraph
from optsched.problems.scratchpad.heuristics import construct
from optsched.problems.scratchpad.problem import ScratchpadSchedule
from optsched.problems.scratchpad.units import Units, banded, units_of
from optsched.result import StopReason
from optsched.session import Session

#: Features that this search can express, by the names of `ScratchpadSchedule.features`.
SUPPORTS: frozenset[str] = frozenset({"fixed order", "free order"})
#: This search proves optimality by itself; another prover beside it would only take its cores.
EXACT = True
#: States kept in a layer: at first, and by how much more each time; a sweep at the most takes
#: about a gigabyte.
BEAM, WIDER, WIDEST = 500, 4, 500_000
#: How far units may move in the sweeps near an order.
REACHES = (5, 10, 20)
#: Orders of the same traffic that are tried where addresses are in the way, and seconds for one
#: question of packing meanwhile.
ORDERS, PACKING = 20, 2.0


def run(
    problem: ScratchpadSchedule,
    session: Session,
    *,
    seed: int,
    stopped: Callable[[], bool] | None = None,
) -> StopReason:
    """Solve to optimality, or until the session stops.

    Parameters
    ----------
    problem : ScratchpadSchedule
        Features within `SUPPORTS`.
    session : Session
        Receives every improvement of incumbent and bound.
    seed : int
        Decides between orders of the same traffic.
    stopped : callable() -> bool, optional
        Whether to stop; default: whether the session has stopped.

    Returns
    -------
    StopReason
        PROOF; SOLVER when all that this search can do is done; otherwise what stopped the session.

    Raises
    ------
    CannotExpressError
        When the problem has features beyond `SUPPORTS`.
    """
    if unknown := sorted(problem.features() - SUPPORTS):
        raise CannotExpressError(f"the scratchpad search cannot express: {', '.join(unknown)}")
    task = _Task(problem, session, seed, stopped or (lambda: session.stopped))
    session.prove(0, "native")
    if problem.order is None:
        task.free()
    else:
        task.fixed(problem.order)
    if session.proven:
        return StopReason.PROOF
    return session.outcome(StopReason.SOLVER)[1]


def warm_up() -> threading.Thread:
    """Compile the kernels in a background thread, and return it; later calls cost nothing."""
    thread = threading.Thread(target=_compile, name="optsched-warm-up", daemon=True)
    thread.start()
    return thread


def _compile() -> None:
    # Two branches of which one result must leave while the other is made, and a crowd to pack.
    sizes = {"x": 1, "a": 4, "b": 6, "c": 3, "d": 2, "e": 6, "y": 1}
    operators = [
        ("0", ["x"], ["a"]), ("1", ["x"], ["b"]), ("2", ["b"], ["c"]), ("3", ["c", "x"], ["d"]),
        ("4", ["d"], ["e"]), ("5", ["a", "e"], ["y"]),
    ]  # fmt: skip
    problem = ScratchpadSchedule(OperatorGraph(list(sizes.items()), operators), 11)
    construct(problem, Session(problem, Deadline()), 0)
    run(problem, Session(problem, Deadline()), seed=0)


class _Task:
    def __init__(
        self,
        problem: ScratchpadSchedule,
        session: Session,
        seed: int,
        stopped: Callable[[], bool],
    ) -> None:
        self.problem = problem
        self.session = session
        self.seed = seed
        self.stopped = stopped

    def fixed(self, order: IntArray, packing: float = np.inf) -> None:
        """Solve for one order; its bound holds for the instance where the order is given."""
        given = self.problem.order is not None

        def report(known: FixedOrder) -> None:
            self.session.offer(known.solution, "native", claimed=known.cost)
            if given:
                self.session.prove(known.bound, "native")

        solve_order(
            self.problem.graph,
            self.problem.capacity,
            order,
            self.session.deadline,
            packing=packing,
            report=report,
            stopped=self.stopped,
        )

    def free(self) -> None:
        """Sweep with ever wider beams; then look for orders whose addresses fit better."""
        graph = self.problem.graph
        self.fixed(graph.default_order(), PACKING)
        units = units_of(graph)
        beam, salt, tried = BEAM, self.seed, 0
        sequence, cost = list(range(len(units.operators))), NEVER
        while not self.stopped() and beam <= WIDEST and tried < ORDERS:
            best = self.session.objective
            limit = NEVER if best is None else int(best)
            found = sweep(
                units,
                self.problem.capacity,
                beam,
                limit=limit,
                salt=salt,
                rank=_places(sequence),
                stopped=self.stopped,
            )
            if found is None:
                return
            self.session.prove(found.bound, "downsets")
            if found.sequence is not None:
                sequence, cost = found.sequence, found.cost
                self.fixed(units.order(sequence), PACKING)
            if found.bound < found.cost:
                sequence, cost = self.local(units, sequence, cost)
                beam *= WIDER
            else:  # of all orders the best, but its tensors do not pack: perhaps another's do
                tried += 1
            salt += 1

    def local(self, units: Units, sequence: list[int], cost: int) -> tuple[list[int], int]:
        """Improve an order by sweeps through those near it; return the best, and its traffic."""
        for reach in REACHES:
            improved = True
            while improved and not self.stopped():
                found = sweep(
                    banded(units, sequence, reach),
                    self.problem.capacity,
                    BEAM,
                    limit=cost,
                    rank=_places(sequence),
                    stopped=self.stopped,
                )
                improved = found is not None and found.sequence is not None
                if found is not None and found.sequence is not None:
                    sequence, cost = found.sequence, found.cost
                    best = self.session.objective
                    if best is None or cost < best:
                        self.fixed(units.order(sequence), PACKING)
        return sequence, cost


def _places(sequence: list[int]) -> IntArray:
    """Return the place of each unit in the sequence."""
    place = np.empty(len(sequence), dtype=np.int64)
    place[sequence] = np.arange(len(sequence))
    return place
