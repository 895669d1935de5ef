"""Greedy descent: one migration after the other, each the one that makes the most slots."""

from __future__ import annotations

import numpy as np

from optsched.core import IntArray
from optsched.problems.pod_packing.placing import State
from optsched.problems.pod_packing.problem import PodPacking, PodPackingSolution

#: Sources and targets of a kind that are paired.
MOST_TRIED = 8


def descend(problem: PodPacking) -> PodPackingSolution:
    """Return the state as it is after as many migrations as help, within the limit.

    A migration is taken where it makes the most slots; among those, the one that leaves the least
    beyond whole slots at its source and the least of an odd rest at its target. The baseline of
    Ding et al. (2025), who evaluate the best target of a greedily chosen machine.

    Parameters
    ----------
    problem : PodPacking
        With a slot of one resource; all its pods run.
    """
    state = State(problem)
    limit = problem.n_pods if problem.migration_limit is None else problem.migration_limit
    search = _Descent(problem, state)
    for _ in range(limit):
        if not search.step():
            break
    return PodPackingSolution(state.node)


class _Descent:
    def __init__(self, problem: PodPacking, state: State) -> None:
        self.problem, self.state = problem, state
        self.main = int(problem.slot.argmax())
        self.slot = int(problem.slot[self.main])
        table = np.column_stack((problem.request, problem.spans, problem.pod_class))
        _, self.pod, self.kind = np.unique(table, axis=0, return_index=True, return_inverse=True)
        self.kind = self.kind.reshape(-1)
        #: Pods that may go: each at most once.
        self.able = problem.movable & (problem.current >= 0)
        self.count = np.zeros((len(self.pod), problem.n_nodes), dtype=np.int64)
        np.add.at(self.count, (self.kind[self.able], problem.current[self.able]), 1)

    def step(self) -> bool:
        """Do the best migration; return whether there was one that helps."""
        free = self.state.limit - self.state.load
        moves = []
        for t in np.flatnonzero(self.count.any(axis=1)).tolist():
            moves += self._moves(t, free)
        moves.sort()
        return any(self._done(t, source, target) for _, _, t, source, target in moves)

    def _moves(self, t: int, free: IntArray) -> list[tuple[int, int, int, int, int]]:
        """Return the best migrations of a kind, as (-slots, waste, kind, source, target)."""
        problem = self.problem
        pod = int(self.pod[t])
        need = problem.request[pod]
        rest = free[:, self.main]
        more = (rest + need[self.main]) // self.slot - rest // self.slot
        less = rest // self.slot - (rest - need[self.main]) // self.slot
        left_out = (rest + need[self.main]) % self.slot
        left_in = (rest - need[self.main]) % self.slot
        fits = (free >= need).all(axis=1)
        open_ = problem.eligible[problem.pod_class[pod]][problem.node_class]
        if problem.spans[pod]:
            for total in (more, less, left_out, left_in):
                sums = np.bincount(problem.first, weights=total, minlength=len(total))
                total[:] = sums.astype(np.int64)
            whole = np.ones(len(fits), dtype=bool)
            np.logical_and.at(whole, problem.first, fits)
            fits = whole & (problem.first == np.arange(len(fits)))
        sources = np.flatnonzero(self.count[t])
        targets = np.flatnonzero(fits & open_)
        if not len(targets):
            return []
        sources = sources[np.lexsort((left_out[sources], -more[sources]))][:MOST_TRIED]
        targets = targets[np.lexsort((left_in[targets], less[targets]))][:MOST_TRIED]
        return [
            (int(less[m] - more[n]), int(left_out[n] + left_in[m]), t, n, m)
            for n in sources.tolist()
            for m in targets.tolist()
            if n != m and more[n] > less[m]
        ]

    def _done(self, t: int, source: int, target: int) -> bool:
        """Migrate some pod of a kind, where the rules between pods let one."""
        state = self.state
        pods = state.on(source)
        for pod in pods[(self.kind[pods] == t) & self.able[pods]].tolist():
            state.remove(pod)
            if state.allows(pod, target):
                state.place(pod, target)
                self.able[pod] = False
                self.count[t, source] -= 1
                return True
            state.place(pod, source)
        return False
