import numpy as np
from sm_reference import least_tardiness

from optsched.problems.single_machine import blocks, local
from optsched.problems.single_machine.generate import potts_van_wassenhove
from optsched.problems.single_machine.tardiness import Decomposition


def random_jobs(rng, n):
    p = rng.integers(1, rng.choice([3, 20, 100]), n)
    return p, rng.integers(-5, int(p.sum()) + 1, n)


def test_a_block_is_put_in_optimal_order():
    rng = np.random.default_rng(1)
    for _ in range(200):
        n = int(rng.integers(1, 11))
        p, d = random_jobs(rng, n)
        start = int(rng.integers(0, 40))
        order, nodes = blocks.best_order(p, d, rng.permutation(n), start, 10_000)
        assert np.array_equal(np.sort(order), np.arange(n))
        late = np.maximum(0, start + np.cumsum(p[order]) - d[order])
        assert late.sum() == least_tardiness(p, np.ones_like(p), d - start)
        assert nodes >= 0


def test_a_block_that_takes_too_long_is_left_alone():
    problem = potts_van_wassenhove(80, 0.2, 0.6, 1)
    p, d = problem.processing.copy(), problem.due.copy()
    order, _ = blocks.best_order(p, d, np.arange(80), 0, 5)
    assert not len(order)


def test_blocks_only_improve_and_whole_blocks_are_optimal():
    one = np.ones(60, dtype=np.int64)
    for seed in range(6):
        problem = potts_van_wassenhove(60, 0.4, 0.6, seed)
        p, d = problem.processing.copy(), problem.due.copy()
        sequence = np.random.default_rng(seed).permutation(60)
        value = local.cost(p, one, d, sequence)
        for size in (7, 20, 60):
            blocks.improve(p, d, sequence, size, 1_000_000)
            assert np.array_equal(np.sort(sequence), np.arange(60))
            assert local.cost(p, one, d, sequence) <= value
            value = local.cost(p, one, d, sequence)
        assert value == Decomposition(p, d).solve()


def test_descent_ends_in_a_local_optimum():
    rng = np.random.default_rng(5)
    for _ in range(60):
        n = int(rng.integers(2, 14))
        p, d = random_jobs(rng, n)
        w = rng.integers(0, 6, n)
        sequence = rng.permutation(n)
        value = local.descend(p, w, d, sequence, n)
        assert value == local.cost(p, w, d, sequence)
        for a in range(n):
            for b in range(n):
                moved = np.insert(np.delete(sequence, a), b, sequence[a])
                swapped = sequence.copy()
                swapped[[a, b]] = sequence[[b, a]]
                assert local.cost(p, w, d, moved) >= value
                assert local.cost(p, w, d, swapped) >= value
