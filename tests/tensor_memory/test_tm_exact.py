"""Every solver against brute force, and the search on published instances."""

from __future__ import annotations

import numpy as np
import pytest
from mirror import MIRROR, needs_mirror

import optsched as op
from optsched import Status, TensorMemory
from optsched.core import Deadline
from optsched.problems.tensor_memory import blocks as normal
from optsched.problems.tensor_memory import bounds, formats
from optsched.problems.tensor_memory.driver import Driver
from optsched.selfcheck.families.tensor_memory import random_instance
from optsched.selfcheck.references.tensor_memory import optimum as brute_force
from optsched.session import Session


def agree(problem: TensorMemory, solver: str) -> None:
    expected = brute_force(problem)
    result = op.solve(problem, solver, time_limit=120, workers=1)
    if expected is None:
        assert result.status is Status.INFEASIBLE
        return
    assert (result.status, result.objective, result.bound) == (Status.OPTIMAL, expected, expected)
    greedy = op.solve(problem, "heuristic")
    assert greedy.objective is None or greedy.objective >= expected
    assert bounds.lower_bound(problem) <= expected


@pytest.mark.parametrize("seed", range(120))
def test_native_search_equals_brute_force(seed: int) -> None:
    agree(random_instance(seed, 6), "native")


def test_aliases_of_different_sizes_end_between_multiples_of_the_greatest() -> None:
    problem = TensorMemory([(2, 5, 1), (5, 6, 7), (2, 5, 7), (3, 6, 2)], alias=[[0, 2], [1, 3]])
    agree(problem, "native")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 6000))
def test_native_search_equals_brute_force_at_length(seed: int) -> None:
    agree(random_instance(seed, 8 if seed % 10 == 0 else 6), "native")


@pytest.mark.parametrize("seed", range(25))
def test_cpsat_equals_brute_force(seed: int) -> None:
    agree(random_instance(7000 + seed, 5), "cpsat")


@pytest.mark.parametrize("seed", range(12))
def test_cpsat_with_banks_equals_brute_force(seed: int) -> None:
    agree(random_instance(8000 + seed, 5, banks=True), "auto")


@pytest.mark.parametrize("seed", range(6))
def test_milp_equals_brute_force(seed: int) -> None:
    agree(random_instance(9000 + seed, 5), "highs")


@pytest.mark.parametrize("solver", ["cpsat", "pulp"])
@pytest.mark.parametrize("seed", range(15))
def test_hint_is_complete_and_decodes_to_no_worse(solver: str, seed: int) -> None:
    problem = random_instance(seed, 6)
    start = op.solve(problem, "heuristic").solution
    if start is None:
        return
    compiled = op.compile(problem, solver)
    values = compiled.hint(start)
    assert problem.objective(compiled.decode(values)) <= problem.objective(start)
    if solver == "cpsat":
        from ortools.sat.python import cp_model

        from optsched.solvers.cpsat import add_hint

        add_hint(compiled.model, values)
        exact = cp_model.CpSolver()
        exact.parameters.fix_variables_to_their_hinted_value = True
        assert exact.solve(compiled.model) in (cp_model.OPTIMAL, cp_model.FEASIBLE)


def test_a_stopped_search_is_unknown_and_never_infeasible() -> None:
    rng = np.random.default_rng(5)
    lower = rng.integers(0, 60, 120)
    rows = np.column_stack((lower, lower + rng.integers(1, 30, 120), rng.integers(1, 90, 120)))
    load = bounds.lower_bound(TensorMemory(rows))
    problem = TensorMemory(rows, load, objective="fit")
    session = Session(problem, Deadline(60))
    Driver(problem, session, 0, lambda: True).run()
    assert not session.infeasible


def test_bound_of_a_window_holds_for_the_whole() -> None:
    for seed in range(30):
        problem = random_instance(seed, 6)
        whole, _ = normal.normal_form(problem)
        if not len(whole) or problem.objective_kind == "fit":
            continue
        begin, end = int(whole.lower.min()), int(whole.upper.max())
        window = whole.within(begin, (begin + end + 1) // 2)
        expected = brute_force(problem)
        if expected is not None and len(window):
            assert bounds.live_load(window) <= bounds.live_load(whole) <= expected


@needs_mirror
@pytest.mark.parametrize("name", ["B", "C", "F", "G", "H", "K"])
def test_minimalloc_instances_fit(name: str) -> None:
    path = MIRROR / "google/minimalloc/benchmarks/challenging" / f"{name}.1048576.csv"
    problem = formats.read_csv(path.read_text(encoding="utf-8"), name, capacity=1048576)
    result = op.solve(problem, time_limit=120)
    assert result.status is Status.OPTIMAL
    assert int(problem.peaks(result.solution)[0]) <= 1048576


@needs_mirror
def test_least_peak_of_a_published_instance_is_proven() -> None:
    path = MIRROR / "google/minimalloc/benchmarks/challenging/C.1048576.csv"
    problem = formats.read_csv(path.read_text(encoding="utf-8"), "C")
    result = op.solve(problem, time_limit=120)
    assert (result.status, result.objective) == (Status.OPTIMAL, 1039360)


@pytest.mark.parametrize("solver", ["highs", "pulp", "cpsat", "auto"])
@pytest.mark.parametrize("objective", ["fit", "peak"])
def test_nothing_that_needs_space_is_solved(solver: str, objective: str) -> None:
    problem = op.TensorMemory([[0, 1, 0]], capacity=1, objective=objective)
    result = op.solve(problem, solver=solver, workers=1)
    assert result.status is op.Status.OPTIMAL
    assert result.objective == 0
