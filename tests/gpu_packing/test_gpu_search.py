"""GPU packing: best fit, bound and search, against brute force and on the published cluster."""

from __future__ import annotations

import numpy as np
import pytest
from mirror import MIRROR

import optsched as op
from optsched.core import Deadline
from optsched.problems.gpu_packing import heuristics, relaxation, search
from optsched.problems.gpu_packing.grouping import types_of
from optsched.selfcheck.families.gpu_packing import random_cluster
from optsched.selfcheck.references.gpu_packing import optimum
from optsched.session import Session

OPENB = MIRROR / "hkust-adsl" / "kubernetes-scheduler-simulator" / "data" / "csv"
needs_openb = pytest.mark.skipif(
    not OPENB.is_dir(), reason="no mirror of openb: OPTSCHED_DATASETS may name one"
)


@pytest.fixture(scope="module")
def openb() -> op.GpuPacking:
    nodes, pods = OPENB / "openb_node_list_all_node.csv", OPENB / "openb_pod_list_default.csv"
    return op.GpuPacking.from_openb(nodes, pods, "openb")


def never() -> bool:
    return False


@pytest.mark.parametrize("seed", range(40))
def test_bound_search_and_best_fit_against_brute_force(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = random_cluster(seed)
    least = optimum(problem)
    assert relaxation.bound(problem, never, np.inf) <= least
    session = Session(problem, Deadline(None))
    heuristics.construct(problem, session, 0)
    assert session.objective is not None
    assert session.objective >= least
    monkeypatch.setattr(search, "CYCLE", 8_000)
    monkeypatch.setattr(search, "HOT", 600.0)
    walk = search.Walk(problem, session, 0)
    for _ in range(3):
        walk.cycle()
    assert session.objective == least


def test_the_state_of_a_walk_stays_true() -> None:
    rng = np.random.default_rng(1)
    problem = op.GpuPacking(
        rng.integers(8, 30, (12, 2)), rng.integers(0, 5, 12), rng.integers(0, 6, (90, 2)),
        rng.choice([0, 1, 1, 2], 90), rng.choice([1000, 700, 450, 300, 250], 90),
    )  # fmt: skip
    session = Session(problem, Deadline(None))
    heuristics.construct(problem, session, 0)
    walk = search.Walk(problem, session, 3)
    for _ in range(5):
        walk.slice(40.0, 300)
        solution = op.GpuPackingSolution(walk.node, walk.bits)
        assert problem.check(solution) == []
        placed = np.bincount(walk.node[walk.node >= 0], minlength=problem.n_nodes)
        assert placed.tolist() == walk.n_on.tolist()
        out = sorted(walk.out[: walk.n_out].tolist())
        assert out == np.flatnonzero(walk.node < 0).tolist()
        for n in range(problem.n_nodes):
            assert (
                sorted(walk.on[n, : walk.n_on[n]].tolist())
                == np.flatnonzero(walk.node == n).tolist()
            )
        room = problem.capacity.copy()
        for p in np.flatnonzero(walk.node >= 0).tolist():
            room[walk.node[p]] -= problem.request[p]
        assert (room == walk.room).all()


def test_nothing_to_place_and_nowhere_to_place_it() -> None:
    empty = op.GpuPacking([[1]], [1], [], [], [])
    assert op.solve(empty, time_limit=5).objective == 0
    nowhere = op.GpuPacking([], [], [[1]], [1], [300])
    result = op.solve(nowhere, time_limit=5)
    assert (result.status, result.objective) == (op.Status.OPTIMAL, 300)


def test_same_seed_same_result() -> None:
    problem = random_cluster(5)
    found = []
    for _ in range(2):
        session = Session(problem, Deadline(None))
        heuristics.construct(problem, session, 0)
        search.Walk(problem, session, 7).slice(20.0, 2000)
        found.append(session.objective)
    assert found[0] == found[1]


@needs_openb
def test_openb_best_fit_and_bound(openb: op.GpuPacking) -> None:
    types = types_of(openb)
    assert (openb.n_nodes, openb.n_pods, len(types.pod)) == (1523, 8152, 151)
    assert openb.demand.sum() == 6_086_800
    session = Session(openb, Deadline(None))
    heuristics.arrival(openb, session, 0)
    assert openb.placed_demand(session.solution) == pytest.approx(5_695_000, rel=0.003)
    bound = relaxation.bound(openb, never, np.inf)
    assert openb.weight.sum() - bound <= 6_001_000
    assert bound <= session.objective
