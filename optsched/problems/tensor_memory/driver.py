"""The exact search for a session: parts, targets, restarts."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from optsched.core import IntArray
from optsched.problems.tensor_memory import branching, heuristics
from optsched.problems.tensor_memory.blocks import Blocks, normal_form, parts
from optsched.problems.tensor_memory.bounds import live_load
from optsched.problems.tensor_memory.local import SqueakyWheel
from optsched.problems.tensor_memory.problem import TensorMemory
from optsched.problems.tensor_memory.tree import ORDERS, Tree
from optsched.session import Session

#: Most blocks of a part that branch and bound is tried on.
MOST_BLOCKS = 3_000
#: Up to so many blocks every fourth turn is the squeaky wheel's, above that every second.
FEW = 600
#: Rounds at the bound alone; after that it has one turn in so many, the others go to targets
#: between bound and peak.
AT_BOUND, RARELY = 2, 5
#: Nodes of the first runs, and what they grow by from round to round.
FIRST_NODES, GROWTH = 2_000, 1.3


class Part:
    """Blocks that share no moment with the others: their best offsets, and what is proven."""

    def __init__(
        self,
        blocks: Blocks,
        chosen: IntArray,
        rng: np.random.Generator,
        stopped: Callable[[], bool],
    ) -> None:
        self.blocks, self.chosen, self.rng, self.stopped = blocks, chosen, rng, stopped
        self.wheel = SqueakyWheel(blocks, rng, stopped)
        self.bound = live_load(blocks)
        pinned = blocks.pin >= 0
        if pinned.any():
            self.bound = max(self.bound, int((blocks.pin + blocks.size)[pinned].max()))
        # Some best plan has every end at a sum of heights (and pins): peaks go by their divisor.
        self.step = int(np.gcd.reduce(np.concatenate((blocks.height, blocks.pin[pinned]))))
        if (blocks.alignment > 1).any():
            self.step = int(np.gcd.reduce(np.append(blocks.alignment, self.step)))
        self.bound = -(-self.bound // self.step) * self.step
        self.offset: IntArray | None = None
        self.peak = np.iinfo(np.int64).max
        self._tree: Tree | None = None
        self.turn = self._calls = 0
        self.share = 0.5  # where the next target lies between bound and peak
        self.reach = 1  # sections of the window on either side

    def take(self, offset: IntArray) -> bool:
        """Keep offsets that are better than those known."""
        peak = int((offset + self.blocks.size).max())
        if peak >= self.peak:
            return False
        self.offset, self.peak = offset, peak
        return True

    @property
    def tree(self) -> Tree:
        """The branch and bound, made when first asked for."""
        if self._tree is None:
            self._tree = Tree(self.blocks, self.stopped)
        return self._tree

    @property
    def branches(self) -> bool:
        """Whether the part is small enough for branch and bound."""
        return len(self.blocks) <= MOST_BLOCKS

    def attempt(self, target: int, nodes: int) -> None:
        """Look for offsets within `target`: squeaky wheel, then branch and bound."""
        offset = self.wheel.attempt(target) if self._wheel_turns() else None
        if offset is not None:
            self.take(offset)
        elif self.branches and not self.stopped():
            self._branch(target, nodes)

    def relax(self, nodes: int) -> None:
        """Look for a proof that a window of time alone does not fit beneath the bound.

        The window grows from the moment of the greatest load while it does fit.
        """
        time = self.tree.sections.time
        centre = int(self.tree.load.argmax())
        lo, hi = max(0, centre - self.reach), min(len(time), centre + self.reach + 1)
        if not self.branches or hi - lo == len(time):
            return
        end = time[hi] if hi < len(time) else self.blocks.upper.max()
        tree = Tree(self.blocks.within(int(time[lo]), int(end)), self.stopped)
        order, look, noise = ORDERS[self.turn % len(ORDERS)]
        rank, twin = tree.rank(order, noise, self.rng)
        answer, _ = tree.search(self.bound, nodes, rank, twin, look)
        if answer == branching.NONE:
            self.bound = (self.bound // self.step + 1) * self.step
        elif answer == branching.FOUND:
            self.reach += 1 + self.reach // 3

    def _wheel_turns(self) -> bool:
        """Whether it is the squeaky wheel's turn: rarely where branch and bound does the work."""
        self._calls += 1
        return not self.branches or self._calls % (4 if len(self.blocks) <= FEW else 2) == 0

    def _branch(self, target: int, nodes: int) -> None:
        order, look, noise = ORDERS[self.turn % len(ORDERS)]
        rank, twin = self.tree.rank(order, noise if self.turn >= len(ORDERS) else 0.0, self.rng)
        self.turn += 1
        answer, offset = self.tree.search(target, nodes, rank, twin, look)
        if offset is not None:
            self.take(offset)
        elif answer == branching.NONE:
            self.bound = max(self.bound, (target // self.step + 1) * self.step)


class Driver:
    """One run: the parts, the targets, and the talk with the session.

    Several may work for one session; `first` is the order with which this one begins.
    """

    def __init__(
        self,
        problem: TensorMemory,
        session: Session,
        seed: int,
        stopped: Callable[[], bool],
        first: int = 0,
    ) -> None:
        self.problem, self.session, self.stopped = problem, session, stopped
        self.rng = np.random.default_rng(seed)
        self.blocks, self.block = normal_form(problem)
        self.capacity = int(problem.capacity[0])
        self.fit = problem.objective_kind == "fit"
        self.rounds = 0
        self.parts = [
            Part(self.blocks.take(chosen), chosen, self.rng, stopped)
            for chosen in parts(self.blocks)
        ]
        for part in self.parts:
            part.turn = first
        self.adopt()

    def adopt(self) -> None:
        """Go on from what others have found."""
        solution = self.session.solution
        if solution is None:
            return
        offset = np.empty(len(self.blocks), dtype=np.int64)
        some = self.block >= 0
        offset[self.block[some]] = solution.offset[some]
        for part in self.parts:
            part.take(offset[part.chosen])

    # ---- what all parts together say -----------------------------------------------------------

    @property
    def bound(self) -> int:
        """Proven bound on the peak."""
        return max(part.bound for part in self.parts)

    @property
    def peak(self) -> int:
        """Peak of the best offsets of all parts."""
        return max(part.peak for part in self.parts)

    def report(self) -> None:
        """Tell the session what is new."""
        session = self.session
        if self.bound > self.capacity:
            session.prove_infeasible("native")
            return
        if not self.fit:
            session.prove(self.bound, "native")
        peak = self.peak
        if peak <= self.capacity and (
            session.objective is None or (not self.fit and peak < session.objective)
        ):
            offset = np.empty(len(self.blocks), dtype=np.int64)
            for part in self.parts:
                assert part.offset is not None
                offset[part.chosen] = part.offset
            solution = heuristics.expand(self.problem, self.block, offset)
            session.offer(solution, "native")

    def run(self) -> None:
        """Search until proof or stop."""
        self.report()
        nodes = FIRST_NODES
        while not self.stopped():
            for part in self.parts:
                self.round(part, nodes)
            nodes = int(nodes * GROWTH)
            self.rounds += 1

    def round(self, part: Part, nodes: int) -> None:
        """Try every order on one part: at the bound, then nearer to what is known."""
        for turn in range(len(ORDERS)):
            if self.session.objective is not None and self.session.objective < self.peak:
                self.adopt()
            goal = self.capacity if self.fit else min(self.bound, self.capacity)
            if part.peak <= goal or self.stopped():
                return
            first = self.fit or (self.rounds < AT_BOUND and part.branches)
            if first or turn % RARELY == 0:
                part.attempt(goal, nodes)
                self.report()
            if turn % RARELY == 2:
                part.relax(nodes)
                self.report()
            if first:
                continue
            goal = min(self.bound, self.capacity)
            known = min(part.peak, self.capacity + part.step)
            target = goal + int(part.share * (known - goal)) // part.step * part.step
            if not goal < target < part.peak:
                continue
            part.attempt(target, nodes)
            better = part.peak <= target
            part.share = part.share * 0.8 if better else part.share + 0.3 * (1 - part.share)
            self.report()


def run(
    problem: TensorMemory,
    session: Session,
    seed: int,
    stopped: Callable[[], bool],
    workers: int,
) -> None:
    """Run drivers side by side, each with orders and random numbers of its own, until proof."""

    def work(k: int) -> None:
        try:
            Driver(problem, session, seed + k, stopped, k * len(ORDERS) // workers).run()
        except BaseException as error:
            session.fail(error)

    others = [threading.Thread(target=work, args=(k,), daemon=True) for k in range(1, workers)]
    for thread in others:
        thread.start()
    Driver(problem, session, seed, stopped).run()
    for thread in others:
        thread.join()
