import json

import numpy as np
import pytest
from mirror import MIRROR
from sm_reference import brute_force, least_tardiness, random_problem

import optsched as op
from optsched.core import Deadline
from optsched.problems.single_machine import bounds, formats, local
from optsched.problems.single_machine.generate import potts_van_wassenhove
from optsched.problems.single_machine.problem import OBJECTIVES, SingleMachine
from optsched.problems.single_machine.tardiness import Decomposition
from optsched.problems.single_machine.weighted import Sublimation

SMTT = MIRROR / "smtt"
WT = MIRROR / "cicirello" / "scheduling-benchmarks" / "wt"
needs_mirror = pytest.mark.skipif(
    not (SMTT.is_dir() and WT.is_dir()),
    reason="no mirror of smtt and wt: OPTSCHED_DATASETS may name one",
)


def tied(rng):
    n = int(rng.integers(1, 13))
    p = rng.integers(0 if rng.random() < 0.2 else 1, rng.choice([2, 3, 6, 20, 100]) + 1, n)
    low, high = sorted(rng.integers(-2, int(max(1, p.sum()) * rng.choice([0.5, 1, 1.3])) + 3, 2))
    d = rng.integers(low, high + 1, n)
    return p, d // 5 * 5 if rng.random() < 0.2 else d


@pytest.mark.slow
def test_decomposition_equals_subset_dynamic_programming():
    rng = np.random.default_rng(1)
    for _ in range(6000):
        p, d = tied(rng)
        one = np.ones_like(p)
        exact = Decomposition(p, d)
        least = least_tardiness(p, one, d)
        assert exact.bound() <= least
        assert exact.solve() == least
        assert local.cost(p, one, d, exact.sequence()) == least


def test_decomposition_equals_subset_dynamic_programming_quickly():
    rng = np.random.default_rng(2)
    for _ in range(300):
        p, d = tied(rng)
        exact = Decomposition(p, d)
        assert exact.solve() == least_tardiness(p, np.ones_like(p), d)


def test_little_memory_changes_nothing_but_the_time():
    problem = potts_van_wassenhove(90, 0.2, 0.6, 3)
    free = Decomposition(problem.processing, problem.due)
    tight = Decomposition(problem.processing, problem.due, memory=1)
    assert free.solve() == tight.solve()
    assert tight.evicted > 0
    order = tight.sequence()
    assert problem.objective(problem.schedule(order)) == free.solve()


def test_an_interrupted_decomposition_has_a_valid_bound():
    problem = potts_van_wassenhove(120, 0.2, 0.6, 1)
    optimum = Decomposition(problem.processing, problem.due).solve()
    for looks in (1, 2, 4):
        left = [looks]

        def stopped(left=left):
            left[0] -= 1
            return left[0] < 0

        exact = Decomposition(problem.processing, problem.due)
        exact._budget = 1
        if exact.solve(stopped) is None:
            first = bounds.lower_bound(problem, Deadline())
            assert first <= exact.bound() <= optimum


def sublimated(p, d, w):
    exact = Sublimation(p, d, w)
    exact.start_from(np.lexsort((p, d)))
    exact.run()
    assert exact.lower == exact.upper
    return exact.upper


def test_sublimation_equals_subset_dynamic_programming():
    rng = np.random.default_rng(4)
    for _ in range(250):
        n = int(rng.integers(1, 12))
        p = rng.integers(1, rng.choice([3, 6, 20]), n)
        w = rng.integers(1, rng.choice([2, 4, 11]), n)
        d = rng.integers(-2, int(1.2 * p.sum()) + 1, n)
        assert sublimated(p, d, w) == least_tardiness(p, w, d)


def test_both_exact_algorithms_agree():
    for seed in range(3):
        problem = potts_van_wassenhove(40, 0.4, 0.6, seed)
        p, d = problem.processing, problem.due
        assert sublimated(p, d, np.ones_like(p)) == Decomposition(p, d).solve()


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_native_proves_and_equals_enumeration(objective):
    rng = np.random.default_rng(8)
    for _ in range(12):
        problem = random_problem(rng, int(rng.integers(1, 7)), objective)
        result = op.solve(problem, "native", workers=1)
        assert result.status == "OPTIMAL"
        assert result.objective == brute_force(problem)


def test_bounds_hold_under_all_side_constraints():
    rng = np.random.default_rng(9)
    features = ("release dates", "setup", "precedence", "deadlines")
    for _ in range(120):
        chosen = [f for f in features if rng.random() < 0.5]
        problem = random_problem(rng, int(rng.integers(1, 6)), None, chosen)
        least = brute_force(problem)
        if least is not None:
            assert bounds.lower_bound(problem, Deadline()) <= least


def test_native_refuses_what_it_cannot_express():
    problem = SingleMachine([1, 2], [1, 1], release=[1, 0])
    with pytest.raises(op.CannotExpressError, match="release dates"):
        op.solve(problem, "native")


def test_same_seed_same_result():
    problem = potts_van_wassenhove(60, 0.6, 0.6, 5, weighted=True)
    runs = [op.solve(problem, "native", workers=1, seed=3) for _ in range(2)]
    assert runs[0].solution.sequence.tolist() == runs[1].solution.sequence.tolist()


@needs_mirror
@pytest.mark.parametrize("n", [20, 100])
def test_smtt_optima(n):
    text = (SMTT / f"n{n}.json").read_text()
    problems = formats.read_smtt(text)[::10]
    for problem, optimum in zip(problems, formats.read_optima(text)[::10], strict=True):
        assert Decomposition(problem.processing, problem.due).solve() == optimum


@pytest.mark.slow
@needs_mirror
@pytest.mark.parametrize("n", [100, 200, 500])
def test_all_smtt_optima(n):
    for entry in json.loads((SMTT / f"n{n}.json").read_text()):
        assert Decomposition(np.array(entry["p"]), np.array(entry["d"])).solve() == entry["optimum"]


@needs_mirror
@pytest.mark.parametrize(
    ("n", "best", "step"),
    [
        (40, "wtopt40.txt", 12),
        (50, "wtopt50.txt", 25),
        pytest.param(100, "wtbest100b.txt", 5, marks=pytest.mark.slow),
    ],
)
def test_orlibrary_optima(n, best, step):
    problems = formats.read_orlibrary((WT / f"wt{n}.txt").read_text())
    optima = [int(v) for v in (WT / best).read_text().split()]
    for problem, optimum in list(zip(problems, optima, strict=True))[::step]:
        result = op.solve(problem, "native", time_limit=60, workers=1)
        assert result.status == "OPTIMAL", problem.name
        assert result.objective == optimum
