"""Memory tiers: every solver against dynamic programming, bounds, and networks."""

from __future__ import annotations

import numpy as np
import pytest

import optsched as op
from optsched import MemoryTiers, Status
from optsched.core import Deadline, InputError
from optsched.problems.memory_tiers import bounds, cpsat
from optsched.problems.memory_tiers.gaps import GapProgram
from optsched.problems.memory_tiers.heuristics import greedy
from optsched.problems.memory_tiers.program import Program, by_density
from optsched.problems.memory_tiers.rows import TimedRows
from optsched.problems.scratchpad.graph import OperatorGraph
from optsched.problems.scratchpad.networks import network
from optsched.selfcheck.families.memory_tiers import random_instance
from optsched.selfcheck.references.memory_tiers import optimum

TIERS = [("dram", 25), ("sram", 200, 1 << 20)]


def instance(seed: int) -> MemoryTiers:
    rng = np.random.default_rng(seed)
    tiers = 3 if seed % 7 == 0 else 2
    return random_instance(
        rng,
        int(rng.integers(2, 5)),
        most=3 if tiers == 3 else int(rng.integers(3, 6)),
        largest=2 if tiers == 3 else 3,
        tiers=tiers,
    )


def agree(seed: int, solvers: list[str]) -> None:
    problem = instance(seed)
    best = optimum(problem)
    baseline = op.solve(problem, "heuristic", workers=1)
    assert baseline.objective >= best
    bound = bounds.lower_bound(problem, Deadline(10))
    assert bound is not None
    assert bounds.fastest(problem) <= bound <= best
    for solver in solvers:
        result = op.solve(problem, solver, workers=1, time_limit=120)
        assert (result.status, result.objective) == (Status.OPTIMAL, best), (seed, solver)


@pytest.mark.parametrize("seed", range(16))
def test_solvers_equal_dynamic_programming(seed: int) -> None:
    agree(seed, ["native", "cpsat", "highs"] if seed % 3 == 0 else ["native", "cpsat"])


@pytest.mark.slow
@pytest.mark.parametrize("part", range(20))
def test_many_tiny_instances(part: int) -> None:
    for seed in range(1000 + 25 * part, 1025 + 25 * part):
        agree(seed, ["native", "cpsat", *(["highs"] if seed % 5 == 0 else [])])


def medium(seed: int, n_operators: int = 16) -> MemoryTiers:
    rng = np.random.default_rng(seed)
    return random_instance(rng, n_operators, most=2 * n_operators, largest=60)


@pytest.mark.parametrize("seed", range(3))
def test_native_proves_medium_instances(seed: int) -> None:
    problem = medium(seed)
    result = op.solve(problem, workers=1, time_limit=120)
    assert result.status is Status.OPTIMAL
    other = op.solve(problem, "cpsat", workers=1, time_limit=5, hint=result.solution)
    assert other.objective == result.objective
    assert other.bound is None or other.bound <= result.objective


def test_solutions_become_plans_and_values_and_back() -> None:
    for seed in range(6):
        problem = medium(seed)
        program = Program(problem)
        state = greedy(program, by_density(problem))
        solution = program.solution(state)
        assert problem.check(solution) == []
        assert problem.objective(solution) == program.value(state)
        again = program.state(solution)
        assert again is not None
        assert program.value(again) == program.value(state)
        rows = TimedRows(problem, None, None, Deadline())
        values = rows.encode(solution)
        assert (values >= rows.lower).all()
        assert (values <= rows.upper).all()
        for row in rows.rows:
            total = sum(c * values[v] for v, c in row.terms)
            assert row.low is None or total >= row.low
            assert row.high is None or total <= row.high
        decoded = rows.decode(values)
        assert problem.check(decoded) == []
        assert problem.objective(decoded) <= problem.objective(solution)


def test_bounds_of_longer_horizons_are_no_weaker() -> None:
    problem = medium(1)
    best = op.solve(problem, workers=1, time_limit=120).objective
    found = []
    for horizon in (1, 4, problem.graph.n_operators):
        program = GapProgram(problem, horizon, Deadline())
        assert program.exact == (horizon == problem.graph.n_operators)
        while True:
            bound = program.solve(Deadline(60), integral=True)
            assert bound is not None
            if not program.separate():
                break
        found.append(bound)
    assert found == sorted(found)
    assert found[-1] == best


def test_network_is_no_worse_than_the_greedy() -> None:
    problem = MemoryTiers(network("darts"), TIERS, 25)
    rule = op.solve(problem, "heuristic")
    result = op.solve(problem, workers=1, time_limit=6)
    assert result.bound is not None
    assert result.bound <= result.objective <= rule.objective
    assert result.objective < rule.trace[0].objective  # everything in main memory


def test_prefetch_of_the_docstring() -> None:
    graph = OperatorGraph(
        tensors=[("x", 40), ("h", 40), ("w", 40, "weight"), ("y", 10)],
        operators=[("f", ["x"], ["h"]), ("g", ["h", "w"], ["y"])],
    )
    problem = MemoryTiers(graph, [("dram", 10), ("sram", 40, 80)], dma_bandwidth=10)
    result = op.solve(problem, workers=1)
    # f: x from main memory, 4, and h to the fast one, 1, beside the copy of w, 4; g: 1 + 1 + 1.
    assert (result.status, result.objective) == (Status.OPTIMAL, 8)
    assert result.solution.copies[:, 0].tolist() == [2]


def test_large_models_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpsat, "MOST_VARIABLES", 50)
    for solver in ("cpsat", "highs"):
        with pytest.raises(InputError, match="solver native has no such limit"):
            op.compile(medium(0), solver)


def test_models_are_complete() -> None:
    problem = medium(2, 8)
    solution = op.solve(problem, "heuristic").solution
    compiled = cpsat.build(problem)
    assert len(compiled.hint(solution)) == len(compiled.model.proto.variables)
    linear = op.compile(problem, "highs")
    assert len(linear.hint(solution)) == len(linear.model.variables())
    again = linear.decode(linear.hint(solution))
    assert problem.objective(again) <= problem.objective(solution)
