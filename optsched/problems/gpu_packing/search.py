"""The family's own search: a bound by patterns, then windows emptied and filled anew."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from optsched.core import CannotExpressError
from optsched.problems.gpu_packing import heuristics, kernels, relaxation
from optsched.problems.gpu_packing.problem import GpuPacking, GpuPackingSolution
from optsched.result import StopReason
from optsched.session import Session

SUPPORTS = heuristics.SUPPORTS
#: No other solver goes beside this search.
EXACT = True
#: Steps between two looks at the clock, and in a cycle from hot to cold.
SLICE, CYCLE = 4_000, 400_000
#: Temperatures at the start and the end of a cycle, in weight.
HOT, COLD = 60.0, 3.0
#: Worth of room that lies together: of a GPU that is free, as a part of it.
TOGETHER = 0.15


def run(problem: GpuPacking, session: Session, *, seed: int, workers: int = 1) -> StopReason:
    """Improve the incumbent, and prove a bound, until both meet or the session stops.

    Parameters
    ----------
    problem : GpuPacking
    session : Session
        Receives every improvement of incumbent and bound.
    seed : int
    workers : int
        Searches side by side.

    Raises
    ------
    CannotExpressError
        When the problem has features beyond `SUPPORTS`.
    """
    if unknown := sorted(problem.features() - SUPPORTS):
        raise CannotExpressError(f"GPU packing's search cannot express: {', '.join(unknown)}")
    if session.solution is None:
        heuristics.construct(problem, session, seed)
    value = relaxation.bound(problem, lambda: session.stopped, session.deadline.remaining())
    session.prove(value, "patterns")
    if not session.stopped:
        walks = [Walk(problem, session, seed + k) for k in range(workers)]
        with ThreadPoolExecutor(len(walks)) as pool:
            for done in [pool.submit(walk.run) for walk in walks]:
                done.result()
    return StopReason.PROOF if session.proven else session.outcome(StopReason.SOLVER)[1]


class Walk:
    """One search by windows, with simulated annealing; see `kernels.improve`."""

    def __init__(self, problem: GpuPacking, session: Session, seed: int) -> None:
        self.problem, self.session = problem, session
        self.random = np.array([np.random.default_rng(seed).integers(1, 2**63)], dtype=np.uint64)
        self.stop = np.zeros(1, dtype=np.int64)
        session.when_stopped(self._halt)
        self._take(session.solution)

    def _halt(self) -> None:
        self.stop[0] = 1

    def _take(self, solution: GpuPackingSolution) -> None:
        """Set out from a solution."""
        problem = self.problem
        self.node, self.bits = solution.node.copy(), solution.gpus.copy()
        self.room, self.free = problem.capacity.copy(), heuristics.free_gpus(problem)
        placed = np.flatnonzero(self.node >= 0)
        held = np.bincount(self.node[placed], minlength=problem.n_nodes)
        self.on = np.zeros((problem.n_nodes, int(held.max(initial=0)) + 64), dtype=np.int64)
        self.n_on = np.zeros(problem.n_nodes, dtype=np.int64)
        for p in placed.tolist():
            n = int(self.node[p])
            kernels.put(
                self.room[n], self.free[n], problem.request[p], problem.share[p], self.bits[p], 1
            )
            self.on[n, self.n_on[n]] = p
            self.n_on[n] += 1
        out = np.flatnonzero(self.node < 0)
        self.out = np.zeros(problem.n_pods, dtype=np.int64)
        self.out[: len(out)], self.n_out = out, len(out)

    def run(self) -> None:
        """Search until the session stops; each cycle sets out from the incumbent."""
        while not self.session.stopped:
            self._take(self.session.solution)
            self.cycle()

    def cycle(self) -> None:
        """Cool down once, from hot to cold."""
        for k in range(0, CYCLE, SLICE):
            if self.session.stopped:
                return
            self.slice(HOT * (COLD / HOT) ** (k / CYCLE), SLICE)

    def slice(self, heat: float, steps: int) -> None:
        """Do some steps at one temperature, and offer what is better than the incumbent."""
        problem, session = self.problem, self.session
        self.n_out = kernels.improve(
            steps, heat, TOGETHER, self.room, self.free, problem.gpus, problem.node_column,
            problem.request, problem.count, problem.share, problem.weight, problem.pod_row,
            problem.admits, self.node, self.bits, self.on, self.n_on, self.out, self.n_out,
            self.random, self.stop,
        )  # fmt: skip
        left = int(problem.weight[self.out[: self.n_out]].sum())
        if session.objective is None or left < session.objective:
            session.offer(GpuPackingSolution(self.node, self.bits), "windows")


def warm_up() -> threading.Thread:
    """Compile the kernels in a background thread, and return it; later calls cost nothing."""
    thread = threading.Thread(target=_compile, name="optsched-warm-up", daemon=True)
    thread.start()
    return thread


def _compile() -> None:
    from optsched.core import Deadline

    problem = GpuPacking([[4]] * 3, [1] * 3, [[1]] * 5, [1] * 5, [600] * 5)
    session = Session(problem, Deadline(0.5))
    run(problem, session, seed=0)
