"""Random tiny shops: CP-SAT, HiGHS, CBC and brute force agree on status and optimum."""

from __future__ import annotations

import random
from collections import Counter

import brute_force
import pytest

import optsched
from optsched import JobShop, Status

CHUNKS, SHOPS = 16, 21  # 336 shops, split so that `pytest -n` shares them
SOLVERS = ("cpsat", "highs", "pulp")


def shops(chunk: int) -> list[brute_force.Shop]:
    """Return the shops of one chunk; makespan and tardiness more often than the others."""
    rng = random.Random(1000 + chunk)
    objectives = ("makespan", "total_weighted_tardiness") * 3 + brute_force.OBJECTIVES
    found = []
    for i in range(SHOPS):
        flexible = bool(i % 2)
        found.append(
            brute_force.random_shop(
                rng,
                objective=objectives[rng.randrange(len(objectives))],
                flexible=flexible,
                n_jobs=rng.choice((2, 3, 3) if flexible else (2, 3, 3, 4)),
                n_machines=rng.choice((1, 2, 3)),
                most_ops=3 if flexible else rng.choice((2, 3)),
                side=rng.random() < 0.7,
                tight_deadlines=rng.random() < 0.2,
            )
        )
    return found


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_solvers_agree_with_brute_force(chunk: int) -> None:
    for shop in shops(chunk):
        problem = JobShop(**shop)
        best = brute_force.optimum(shop)
        for solver in SOLVERS:
            result = optsched.solve(problem, solver, workers=1, time_limit=60)
            told = f"{solver}: {result!r}\n{shop}"
            assert result.stop == "PROOF", told
            if best is None:
                assert result.status is Status.INFEASIBLE, told
                assert (result.objective, result.bound, result.solution) == (None, None, None)
                continue
            assert result.status is Status.OPTIMAL, told
            assert result.objective == result.bound == best, f"{best} by brute force; {told}"
            start, machine = result.solution.start.tolist(), result.solution.machine.tolist()
            assert brute_force.kinds(shop, start, machine) == set(), told
            assert brute_force.objective(shop, start, machine) == best, told


def test_the_shops_are_of_every_kind() -> None:
    """What the differential test claims to cover, it covers."""
    count: Counter[str] = Counter()
    for chunk in range(CHUNKS):
        for shop in shops(chunk):
            problem = JobShop(**shop)
            count.update(problem.features())
            count["classic"] += not problem.flexible
            count["zero duration"] += bool((problem.alt_duration == 0).any())
            count["infeasible"] += brute_force.optimum(shop) is None
    print(dict(count))
    assert CHUNKS * SHOPS >= 300
    least = {
        "classic": 100, "flexible": 100, "objective makespan": 80,
        "objective total_weighted_tardiness": 80, "objective total_completion_time": 15,
        "objective maximum_lateness": 15, "release dates": 40, "deadlines": 60, "lags": 40,
        "transport": 30, "zero duration": 80, "infeasible": 20,
    }  # fmt: skip
    assert {kind: count[kind] for kind, low in least.items() if count[kind] < low} == {}


def test_brute_force_knows_some_optima() -> None:
    """The yardstick itself, by hand."""
    two = [[(0, 3), (1, 2)], [(1, 4), (0, 1)]]
    assert brute_force.optimum({"jobs": two}) == 6
    assert brute_force.optimum({"jobs": two, "deadline": [5, 6]}) is None
    assert brute_force.optimum({"jobs": [[(0, 3)], [(0, 2)]], "objective": "total_completion_time"}
                               ) == 7  # fmt: skip
    assert brute_force.optimum(
        {"jobs": [[(0, 3)], [(0, 2)]], "objective": "maximum_lateness", "due": [9, 9]}
    ) == -4
    assert brute_force.optimum({"jobs": [[[(0, 3), (1, 9)]], [[(0, 2), (1, 4)]]]}) == 4
    assert brute_force.optimum({"jobs": [[(0, 1), (1, 1)]], "transport": [[0, 2], [0, 0]],
                                "lags": [[1, 0]], "release": [4]}) == 9  # fmt: skip
