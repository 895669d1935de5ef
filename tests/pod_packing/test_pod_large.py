"""Clusters too large for one model: windows, and what must hold for them."""

from __future__ import annotations

import numpy as np
import pytest
from pods_brute import random_cluster

import optsched as op
from optsched.core import Deadline
from optsched.datasets import generators
from optsched.problems.pod_packing import heuristics, search, windows
from optsched.session import Session


@pytest.mark.parametrize("order", ["interleaved", "placement_first"])
def test_windows_improve_what_the_rules_leave(order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "NODES", 3)
    given = generators.pod_cluster(8, 6, utilisation=1.0, seed=2)
    problem = op.PodPacking.from_dict(given.to_dict() | {"order": order})
    session = Session(problem, Deadline(None))
    session.offer(problem.incoming(), "test")
    before = session.objective
    rounds = 0

    def solve(part: op.PodPacking, inner: Session, seed: int, workers: int) -> None:
        nonlocal rounds
        rounds += 1
        search.solve_levels(part, inner, seed, workers)
        if rounds == 12:
            session.interrupt()

    windows.improve(problem, session, 0, solve)
    assert rounds == 12
    assert session.objective is not None
    assert before is not None
    assert session.objective < before
    assert problem.check(session.solution) == []


def test_windows_leave_rules_between_pods_alone() -> None:
    problem = op.PodPacking([[1]], [[1], [1]], tokens={"80": [0, 1]})
    session = Session(problem, Deadline(None))
    session.offer(problem.incoming(), "test")
    windows.improve(problem, session, 0, lambda *_: pytest.fail("no window was asked for"))


def test_a_large_cluster_keeps_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MOST_TABLE", 100)
    problem = generators.pod_cluster(16, 8, utilisation=0.95, seed=0)
    result = op.solve(problem, "native", time_limit=2, workers=1)
    assert result.time < 20
    assert result.objective < problem.objective(problem.incoming())


@pytest.mark.parametrize("seed", range(0, 60, 4))
def test_rules_never_worsen_the_incoming_state(seed: int) -> None:
    problem = random_cluster(seed)
    session = Session(problem, Deadline(None))
    heuristics.construct(problem, session, 0)
    if not problem.check(problem.incoming()):
        assert session.objective is not None
        assert session.objective <= problem.objective(problem.incoming())


def test_one_pending_pod_is_placed_by_one_move() -> None:
    problem = op.PodPacking([[4], [4]], [[2], [2], [4]], current=[0, 1, -1])
    session = Session(problem, Deadline(None))
    heuristics.construct(problem, session, 0)
    assert problem.levels(session.solution) == [0, 2]
    assert len(np.unique(session.solution.node)) == 2
