"""Random tiny shops: CP-SAT, HiGHS, CBC and brute force agree on status and optimum.

Each solver has to find and prove the optimum by itself here: heuristics and bounds, which settle
most tiny shops before a solver is asked, are switched off. `auto` then runs with everything on.
"""

from __future__ import annotations

import importlib
import importlib.util
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
        flexible = i % 5 < 3
        found.append(
            brute_force.random_shop(
                rng,
                objective=objectives[rng.randrange(len(objectives))],
                flexible=flexible,
                n_jobs=rng.choice((2, 3, 3) if flexible else (2, 3, 3, 4)),
                n_machines=rng.choice((2, 3) if flexible else (1, 2, 3)),
                most_ops=3 if flexible else rng.choice((2, 3)),
                side=rng.random() < 0.7,
                tight_deadlines=rng.random() < 0.3,
            )
        )
    return found


@pytest.fixture
def exact_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the solvers alone with the problem: no dispatching rules, no bounds of ours."""
    heuristics = importlib.import_module("optsched.problems.job_shop.heuristics")
    monkeypatch.setattr(heuristics, "construct", lambda *_: None)
    if importlib.util.find_spec("optsched.problems.job_shop.bounds") is not None:
        bounds = importlib.import_module("optsched.problems.job_shop.bounds")
        monkeypatch.setattr(bounds, "lower_bound", lambda *_: None)


def assert_optimal(shop: brute_force.Shop, solver: str, best: int | None) -> None:
    """Solve `shop` and hold status, value and schedule against brute force."""
    problem = JobShop(**shop)
    result = optsched.solve(problem, solver, workers=1, time_limit=60)
    told = f"{solver}: {result!r}\n{shop}"
    assert result.stop == "PROOF", told
    if best is None:
        assert result.status is Status.INFEASIBLE, told
        assert (result.objective, result.bound, result.solution) == (None, None, None)
        return
    assert result.status is Status.OPTIMAL, told
    assert result.objective == result.bound == best, f"{best} by brute force; {told}"
    start, machine = result.solution.start.tolist(), result.solution.machine.tolist()
    assert brute_force.kinds(shop, start, machine) == set(), told
    assert brute_force.objective(shop, start, machine) == best, told


@pytest.mark.usefixtures("exact_only")
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_solvers_agree_with_brute_force(chunk: int) -> None:
    for shop in shops(chunk):
        best = brute_force.optimum(shop)
        for solver in SOLVERS:
            assert_optimal(shop, solver, best)


@pytest.mark.parametrize("chunk", range(0, CHUNKS, 2))
@pytest.mark.parametrize("solver", ["auto", "highs"])
def test_with_heuristics_and_bounds_the_optimum_is_the_same(solver: str, chunk: int) -> None:
    """Incumbents tighten the models, so this is another test than the one above."""
    for shop in shops(chunk):
        assert_optimal(shop, solver, brute_force.optimum(shop))


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
    assert (
        brute_force.optimum(
            {"jobs": [[(0, 3)], [(0, 2)]], "objective": "maximum_lateness", "due": [9, 9]}
        )
        == -4
    )
    assert brute_force.optimum({"jobs": [[[(0, 3), (1, 9)]], [[(0, 2), (1, 4)]]]}) == 4
    assert brute_force.optimum({"jobs": [[(0, 1), (1, 1)]], "transport": [[0, 2], [0, 0]],
                                "lags": [[1, 0]], "release": [4]}) == 9  # fmt: skip
