"""Free orders: units, sweeps and least peaks against brute force over all orders."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

import optsched as op
from optsched.core import Deadline
from optsched.problems.scratchpad.bounds import lower_bound
from optsched.problems.scratchpad.free_order import NEVER, sweep
from optsched.problems.scratchpad.gaps import gaps_of
from optsched.problems.scratchpad.graph import OperatorGraph
from optsched.problems.scratchpad.networks import network
from optsched.problems.scratchpad.peak import characteristic_capacities, minimum_peak
from optsched.problems.scratchpad.problem import ScratchpadSchedule
from optsched.problems.scratchpad.residency import least_traffic
from optsched.problems.scratchpad.units import banded, units_of
from tests.scratchpad.instances import random_graph, topological_orders

MOST_ORDERS = 150


def instances(seed: int, count: int) -> Iterator[tuple[OperatorGraph, list[list[int]], int]]:
    """Return graphs, all their orders, and a capacity at which some must spill."""
    rng = np.random.default_rng(seed)
    while count:
        graph = random_graph(
            rng, int(rng.integers(3, 9)), int(rng.integers(2, 8)), int(rng.integers(1, 9))
        )
        orders = list(itertools.islice(topological_orders(graph), MOST_ORDERS))
        least, most = graph.largest_working_set, graph.peak(graph.default_order())
        if len(orders) == MOST_ORDERS or least == most:
            continue
        count -= 1
        yield graph, orders, int(rng.integers(least, most))


@pytest.mark.parametrize("merge", [True, False])
def test_sweeps_find_the_least_traffic_of_all_orders(merge: bool) -> None:
    merged = 0
    for graph, orders, capacity in instances(0, 30):
        want = min(least_traffic(gaps_of(graph, np.array(o)), capacity).cost for o in orders)
        units = units_of(graph, merge=merge)
        merged += len(units.operators) < graph.n_operators
        found = sweep(units, capacity, 10_000)
        assert found is not None
        assert found.sequence is not None
        assert found.cost == found.bound == want
        order = graph.check_order(units.order(found.sequence))
        assert least_traffic(gaps_of(graph, order), capacity).cost == want
        if want:
            nothing = sweep(units, capacity, 10_000, limit=want)
            assert nothing is not None
            assert (nothing.sequence, nothing.bound) == (None, want)
    assert bool(merged) == merge


def test_narrow_beams_have_honest_bounds() -> None:
    for graph, orders, capacity in instances(1, 30):
        want = min(least_traffic(gaps_of(graph, np.array(o)), capacity).cost for o in orders)
        for beam in (1, 2, 4):
            found = sweep(units_of(graph), capacity, beam)
            assert found is not None
            assert found.bound <= want <= found.cost


def test_static_bounds_are_below_every_order() -> None:
    positive = 0
    for graph, orders, capacity in instances(3, 40):
        want = min(least_traffic(gaps_of(graph, np.array(o)), capacity).cost for o in orders)
        bound = lower_bound(ScratchpadSchedule(graph, capacity), Deadline())
        assert bound is not None
        assert bound <= want
        positive += bound > 0
    assert positive


def test_static_bound_of_a_skip_connection() -> None:
    # x is alive over b and c in any order, and 2 bytes are too many: stored once, loaded twice.
    tensors = [("i", 1), ("x", 4), ("h", 6), ("k", 1), ("l", 6), ("y", 1)]
    operators = [
        ("a", ["i"], ["x"]),
        ("b", ["i"], ["h"]),
        ("c", ["x", "h"], ["k"]),
        ("d", ["k"], ["l"]),
        ("e", ["l", "x"], ["y"]),
    ]
    graph = OperatorGraph(tensors, operators)
    # d needs 7 bytes with 4 of x beside it; c needs 11.
    assert lower_bound(ScratchpadSchedule(graph, 11), Deadline()) == 0
    tensors[4] = ("l", 8)
    bigger = OperatorGraph(tensors, [*operators[:4], ("e", ["l", "x"], [])][:5])
    problem = ScratchpadSchedule(bigger, 12)
    assert lower_bound(problem, Deadline()) == 8
    assert op.solve(problem).objective == 8


def test_bands_hold_units_near_their_places() -> None:
    units = units_of(network("darts"), merge=False)
    sequence = list(range(len(units.operators)))
    near = banded(units, sequence, 3)
    found = sweep(near, 10**7, 100)
    assert found is not None
    assert found.sequence is not None
    place = np.empty(len(sequence), dtype=np.int64)
    place[found.sequence] = np.arange(len(sequence))
    for u in range(len(sequence)):
        assert (place[u + 3 :] > place[u]).all()


def test_salts_choose_between_orders_of_the_same_traffic() -> None:
    graph = network("nasnet_a", weights=False)
    units, capacity = units_of(graph), graph.largest_working_set
    found = [sweep(units, capacity, 300, salt=salt) for salt in range(4)]
    assert all(each is not None and each.sequence is not None for each in found)
    assert len({tuple(each.sequence) for each in found if each and each.sequence}) > 1


def test_a_sweep_can_be_stopped() -> None:
    units = units_of(network("darts"))
    assert sweep(units, 10**7, 100, limit=NEVER, stopped=lambda: True) is None


def test_least_peaks_of_all_orders() -> None:
    for graph, orders, _ in instances(2, 30):
        want = min(graph.peak(np.array(order)) for order in orders)
        found = minimum_peak(graph)
        assert found.peak == found.bound == want
        assert found.proven
        assert graph.peak(graph.check_order(found.order)) == want


def test_characteristic_capacities_of_a_network() -> None:
    least, middle, peak = characteristic_capacities(network("amoebanet_a", weights=False))
    assert (least, peak.peak) == (788_544, 960_240)
    assert peak.proven
    assert middle == (788_544 + 960_240) // 2


@pytest.mark.parametrize("seed", range(3))
def test_free_orders_are_solved(seed: int) -> None:
    for graph, orders, capacity in instances(10 + seed, 8):
        problem = ScratchpadSchedule(graph, capacity)
        result = op.solve(problem, seed=seed)
        known = [op.solve(problem.with_order(order)).objective for order in orders[:40]]
        assert result.objective is not None
        assert result.bound is not None
        assert result.bound <= min(k for k in known if k is not None)
        want = min(least_traffic(gaps_of(graph, np.array(o)), capacity).cost for o in orders)
        assert result.bound == want


@pytest.mark.parametrize(
    ("name", "traffic"), [("amoebanet_a", 1_526_208), ("darts", 0), ("nasnet_a", 2_281_824)]
)
def test_networks_are_proven(name: str, traffic: int) -> None:
    graph = network(name, weights=False)
    problem = ScratchpadSchedule(graph, graph.largest_working_set)
    result = op.solve(problem, workers=1)
    assert result.status is op.Status.OPTIMAL
    assert result.objective == traffic


def test_the_same_seed_gives_the_same_schedule() -> None:
    problem = ScratchpadSchedule(network("amoebanet_a", weights=False), 900_000)
    first, second = (op.solve(problem, workers=1, seed=3).solution for _ in range(2))
    assert first.to_dict() == second.to_dict()
