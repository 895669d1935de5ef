"""From the state as it is to a placement: waves of steps, feasible whatever their order within.

Evictions come first; a pod moves when its target has room for all that come in the wave, before
anything leaves. Where pods wait for each other in a cycle, one goes to a temporary node, or is
evicted and placed later; the plan says so.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from optsched.problems.pod_packing import plan_script
from optsched.problems.pod_packing.placing import State
from optsched.problems.pod_packing.problem import PodPacking, PodPackingSolution


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a plan.

    Attributes
    ----------
    kind : str
        ``"evict"`` (off its node for good, or until it is placed again), ``"move"`` (evicted, and
        its successor placed) or ``"place"`` (a pod that runs nowhere).
    pod : int
    source, target : int
        Nodes, -1 where there is none.
    temporary : bool
        Whether the step breaks a cycle, so that the pod is disturbed once more than necessary.
    """

    kind: str
    pod: int
    source: int
    target: int
    temporary: bool = False


@dataclass(frozen=True)
class Plan:
    """Waves of steps that lead from the state as it is to a solution.

    Attributes
    ----------
    problem : PodPacking
    solution : PodPackingSolution
        Where the plan leads.
    waves : tuple of tuple of Step
        The steps of a wave may be done in any order; the next wave begins when all are done.
    stuck : tuple of int
        Pods that cannot reach their node without breaking a rule or a budget meanwhile; the plan
        ends before them.
    """

    problem: PodPacking = field(repr=False)
    solution: PodPackingSolution
    waves: tuple[tuple[Step, ...], ...]
    stuck: tuple[int, ...] = ()

    @property
    def cycles(self) -> list[Step]:
        """The steps that were needed to break cycles."""
        return [step for wave in self.waves for step in wave if step.temporary]

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain data, with the names of pods and nodes."""
        return {
            "optsched": "plan",
            "instance": self.problem.name,
            "waves": [[self._named(step) for step in wave] for wave in self.waves],
            "stuck": [self.problem.pod_name(pod) for pod in self.stuck],
        }

    def _named(self, step: Step) -> dict[str, Any]:
        problem = self.problem
        data: dict[str, Any] = {"kind": step.kind, "pod": problem.pod_name(step.pod)}
        if step.source >= 0:
            data["from"] = problem.node_name(step.source)
        if step.target >= 0:
            data["to"] = problem.node_name(step.target)
        if step.temporary:
            data["temporary"] = True
        return data

    def to_json(self, path: str | Path | None = None) -> str:
        """Return the plan as JSON text, and write it to `path` when that is given."""
        text = json.dumps(self.to_dict(), indent=1)
        if path is not None:
            Path(path).write_text(text + "\n", encoding="utf-8")
        return text

    def diff(self) -> str:
        """Return the plan for people: a line a step, and a summary."""
        return plan_script.diff(self)

    def script(self) -> str:
        """Return the plan as a shell script of ``kubectl`` commands; see `plan_script.script`."""
        return plan_script.script(self)


def plan(problem: PodPacking, solution: PodPackingSolution) -> Plan:
    """Return the waves that lead from the incoming state to `solution`, which must be feasible."""
    return _Planner(problem, solution).run()


class _Planner:
    def __init__(self, problem: PodPacking, solution: PodPackingSolution) -> None:
        self.problem, self.solution = problem, solution
        self.state = State(problem)
        self.waves: list[tuple[Step, ...]] = []
        changed = np.flatnonzero(solution.node != problem.current)
        target = solution.node[changed]
        self.evictions = [int(pod) for pod in changed[target < 0]]
        order = np.lexsort((changed, problem.tier[changed]))
        self.arrivals = [int(pod) for pod in changed[order] if solution.node[pod] >= 0]
        self.budgets: dict[int, list[int]] = {}
        for k, budget in enumerate(problem.budgets):
            for pod in budget.pods.tolist():
                self.budgets.setdefault(pod, []).append(k)
        #: Running pods of each budget that are nowhere now.
        self.away = [0] * len(problem.budgets)
        self.ruled = {
            *problem.token_pairs[:, 0].tolist(),
            *(pod for term in problem.terms for pod in (*term.owners, *term.targets)),
        }

    def run(self) -> Plan:
        """Make wave after wave until all is done, or nothing more can be."""
        while self.evictions or self.arrivals:
            wave = self._wave() or self._temporary() or self._bounce()
            if not wave:
                break
            self.waves.append(tuple(wave))
        stuck = tuple(self.evictions + self.arrivals)
        return Plan(self.problem, self.solution, tuple(self.waves), stuck)

    def _may_leave(self, pod: int, leaving: list[int]) -> bool:
        return all(
            self.away[k] + leaving[k] < self.problem.budgets[k].allowed
            for k in self.budgets.get(pod, ())
        )

    def _note(self, pod: int, counts: list[int], change: int) -> None:
        if self.problem.current[pod] >= 0:
            for k in self.budgets.get(pod, ()):
                counts[k] += change

    def _wave(self) -> list[Step]:
        """Return the steps that can be done now, at once and in any order; do them."""
        state = self.state
        wave: list[Step] = []
        leaving = [0] * len(self.away)
        for pod in list(self.evictions):
            if self._may_leave(pod, leaving) and not (pod in self.ruled and wave):
                wave.append(self._leave(pod))
                self.evictions.remove(pod)
        if wave:  # what they leave is free when the next wave begins
            return wave
        coming = np.zeros_like(state.load)
        before = state.load.copy()
        ruled = False
        for pod in list(self.arrivals):
            target, source = int(self.solution.node[pod]), int(state.node[pod])
            need = self.problem.request[pod]
            sites = state.sites(pod, target)
            if (before[sites] + coming[sites] + need > state.limit[sites]).any():
                continue
            if source >= 0 and not self._may_leave(pod, leaving):
                continue
            if pod in self.ruled and ruled:
                continue  # one at a time, so that the order does not matter
            if source >= 0:
                state.remove(pod)
            if not state.allows(pod, target):
                if source >= 0:
                    state.place(pod, source)
                continue
            state.place(pod, target)
            ruled = ruled or pod in self.ruled
            coming[sites] += need
            if source >= 0:
                self._note(pod, leaving, 1)
            else:
                self._note(pod, self.away, -1)
            self.arrivals.remove(pod)
            wave.append(Step("place" if source < 0 else "move", pod, source, target))
        return wave

    def _leave(self, pod: int, temporary: bool = False) -> Step:
        source = int(self.state.node[pod])
        self.state.remove(pod)
        self._note(pod, self.away, 1)
        return Step("evict", pod, source, -1, temporary)

    def _temporary(self) -> list[Step]:
        """Return a move to a node on which a pod can wait; none where there is no such node."""
        state = self.state
        for pod in reversed(self.arrivals):
            source = int(state.node[pod])
            if source < 0 or not self._may_leave(pod, [0] * len(self.away)):
                continue
            if source != self.problem.current[pod]:
                continue  # it waits already; once is enough
            state.remove(pod)
            for n in state.open_nodes(pod).tolist():
                if n not in (source, int(self.solution.node[pod])) and state.allows(pod, n):
                    state.place(pod, n)
                    return [Step("move", pod, source, n, True)]
            state.place(pod, source)
        return []

    def _bounce(self) -> list[Step]:
        """Return an eviction of a pod that is placed later; none where budgets forbid it."""
        for pod in reversed(self.arrivals):
            if self.state.node[pod] >= 0 and self._may_leave(pod, [0] * len(self.away)):
                return [self._leave(pod, True)]
        return []
