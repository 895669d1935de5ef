"""Energetic reasoning, propagation and shaving: sound, and as strong as their definitions."""

import numpy as np
import pytest

import optsched as op
from optsched.core import Deadline, ProvenInfeasible
from optsched.problems.rcpsp import bounds, energy, windows
from optsched.problems.rcpsp.network import network
from optsched.selfcheck.families.rcpsp import random_instance
from optsched.selfcheck.references.rcpsp import optimum, schedules


def defined(head, latest, duration, demand, capacity):
    """Energetic reasoning word for word: each interval, each activity; None on a contradiction."""
    head, latest = head.copy(), latest.copy()
    while True:
        before = (head.copy(), latest.copy())
        for row, most in zip(demand, capacity, strict=True):
            own = np.flatnonzero((row > 0) & (duration > 0))
            begins = np.unique([*head[own], *latest[own]])
            ends = np.unique([*(head + duration)[own], *(latest + duration)[own]])
            for t1 in begins:
                for t2 in ends[ends > t1]:
                    span = t2 - t1
                    left = np.minimum(np.minimum(duration, span), head + duration - t1)
                    right = np.minimum(np.minimum(duration, span), t2 - latest)
                    work = row * np.maximum(0, np.minimum(left, right))
                    if work[own].sum() > most * span:
                        return None
                    for i in own:
                        slack = most * span - work[own].sum() + work[i]
                        if left[i] * row[i] > slack:
                            head[i] = max(head[i], t2 - slack // row[i])
                        if right[i] * row[i] > slack:
                            latest[i] = min(latest[i], t1 + slack // row[i] - duration[i])
                        if head[i] > latest[i]:
                            return None
        if (head == before[0]).all() and (latest == before[1]).all():
            return head, latest


@pytest.mark.parametrize("seed", range(60))
def test_ramps_find_what_the_definition_finds(seed):
    rng = np.random.default_rng(seed)
    n, rows = int(rng.integers(2, 8)), int(rng.integers(1, 3))
    duration = rng.integers(0, 5, n)
    head = rng.integers(0, 8, n)
    latest = head + rng.integers(0, 6, n)
    capacity = rng.integers(1, 6, rows)
    demand = np.minimum(rng.integers(0, 5, (rows, n)), capacity[:, None])
    expected = defined(head, latest, duration, demand, capacity)
    while True:
        found = energy.reason(head, latest, duration, demand, capacity, True)
        if found <= 0:
            break
    assert (found < 0) == (expected is None)
    if expected is not None:
        assert (head == expected[0]).all()
        assert (latest == expected[1]).all()


def test_windows_and_shaving_keep_every_optimal_schedule():
    tried = 0
    for seed in range(80):
        problem = random_instance(seed, objective="makespan")
        best = optimum(problem)
        try:
            net = network(problem)
        except ProvenInfeasible:
            assert best is None
            continue
        if best is None:
            continue
        trial = bounds.Trial(problem, net)
        assert not trial.refutes_by_shaving(best, Deadline())
        head, latest = trial.windows(best)
        for start, end, _ in schedules(problem, best):
            if max(end) == best:
                assert (head <= start).all()
                assert (latest >= start).all()
        tried += 1
    assert tried > 30


def large():
    """Return a project of large activities, of which two run together at most."""
    return op.Rcpsp([(4, [2]), (4, [2]), (4, [2]), (3, [2]), (3, [2]), (3, [1])], [5])


def test_what_shaving_has_narrowed_is_kept():
    problem = large()
    trial = bounds.Trial(problem, network(problem))
    wide = trial.windows(12)
    assert not trial.refutes_by_shaving(12, Deadline())
    narrow = trial.windows(12)
    assert (narrow[0] >= wide[0]).all()
    assert (narrow[1] <= wide[1]).all()
    while 12 not in trial.at_rest:
        assert not trial.refutes_by_shaving(12, Deadline())
    # A longer makespan knows nothing of it.
    assert (trial.windows(20)[1] > narrow[1]).all()


def test_shaving_refutes_what_propagation_does_not():
    refuted = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        activities = [(int(d), [int(r)]) for d, r in rng.integers(1, 5, (10, 2))]
        pairs = [(i, i + 4) for i in range(6)]
        problem = op.Rcpsp(activities, [4], pairs)
        trial = bounds.Trial(problem, network(problem))
        low = trial.net.head.max()
        while trial.refutes(low):
            low += 1
        before = low
        while any(trial.refutes_by_shaving(low, Deadline()) for _ in range(5)):
            low += 1
        if low > before:
            refuted += 1
            assert op.solve(problem, "highs", time_limit=60).objective >= low
    assert refuted > 0


def test_shaving_ends_at_its_deadline():
    problem = large()
    trial = bounds.Trial(problem, network(problem))
    assert not trial.refutes_by_shaving(12, Deadline(0))
    assert 12 not in trial.at_rest


def test_orders_that_windows_decide_enter_the_lags():
    problem = op.Rcpsp([(3, [1]), (3, [1]), (1, [1])], [1])
    net = network(problem)
    trial = bounds.Trial(problem, net)
    distance = net.distance.copy()
    head, latest = np.array([0, 2, 0]), np.array([2, 9, 9])
    pairs = np.array([[0, 1]])
    rows = (pairs, net.shortest, trial.rows.demand[:0], trial.rows.capacity[:0])
    assert not windows.propagate(distance, head, latest, *rows)
    assert distance[0, 1] == 3
    assert head[1] == 3
