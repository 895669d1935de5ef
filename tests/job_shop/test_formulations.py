"""Formulations: hints are complete and feasible, decoding inverts them, domains cut no optimum."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any

import brute_force
import numpy as np
import pulp
import pytest
from ortools.sat.python import cp_model

import optsched
from optsched import CannotExpressError, InputError, JobShop, JobShopSolution
from optsched.core import Deadline, DeadlineExpired, ProvenInfeasible
from optsched.problems.job_shop.heuristics import dispatch
from optsched.solvers.cpsat import add_hint

BACKENDS = ("cpsat", "pulp")


def shops(seed: int, count: int, **options: Any) -> Iterator[tuple[brute_force.Shop, JobShop]]:
    """Yield random shops with every mix of the side constraints that can be formulated."""
    rng = random.Random(seed)
    for i in range(count):
        shop = brute_force.random_shop(
            rng, objective=brute_force.OBJECTIVES[i % 4], flexible=i % 8 >= 4, **options
        )
        yield shop, JobShop(**shop)


def schedules(problem: JobShop, seed: int) -> Iterator[JobShopSolution]:
    """Yield feasible schedules: dispatched ones, the optimum, and one with idle time in it."""
    for rule, form in (("SPT", "non-delay"), ("RANDOM", "semi-active"), ("MWKR", "non-delay")):
        found = dispatch(problem, rule, form, seed=seed)
        if not problem.check(found):
            yield found
    best = optsched.solve(problem, "cpsat", workers=1)
    if best.solution is not None:
        yield best.solution
        # Models look no further than the horizon, by which some optimal schedule has ended.
        late = problem.horizon() - int(problem.completion(best.solution).max())
        shifted = JobShopSolution(best.solution.start + min(3, late), best.solution.machine)
        if not problem.check(shifted):
            yield shifted


# ---- CP-SAT -------------------------------------------------------------------------------


def solve_fixed(model: cp_model.CpModel, values: Any) -> tuple[int, float]:
    """Fix every variable to `values`, solve, and return status and objective."""
    fixed = model.clone()
    for index, value in enumerate(values):
        variable = fixed.get_int_var_from_proto_index(index)
        fixed.add(variable == int(value))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    status = solver.solve(fixed)
    return status, solver.objective_value if status == cp_model.OPTIMAL else float("nan")


@pytest.mark.parametrize("bounded", [False, True])
def test_cpsat_hint_is_complete_and_feasible(bounded: bool) -> None:
    checked = 0
    for shop, problem in shops(1, 40):
        for solution in schedules(problem, 1):
            value = problem.objective(solution)
            compiled = optsched.compile(
                problem, "cpsat", **({"upper_bound": value} if bounded else {})
            )
            hint = compiled.hint(solution)
            assert len(hint) == len(compiled.model.proto.variables)
            add_hint(compiled.model, hint)
            assert len(compiled.model.proto.solution_hint.vars) == len(hint)
            status, objective = solve_fixed(compiled.model, hint)
            assert status == cp_model.OPTIMAL, (shop, solution.to_dict())
            assert objective == value, (shop, solution.to_dict())
            checked += 1
    assert checked > 100


def test_cpsat_decoding_inverts_the_hint() -> None:
    for shop, problem in shops(2, 40):
        for solution in schedules(problem, 2):
            compiled = optsched.compile(problem, "cpsat")
            again = compiled.decode(compiled.hint(solution))
            assert again.to_dict() == solution.to_dict(), shop


# ---- MILP ---------------------------------------------------------------------------------


def broken_rows(model: pulp.LpProblem, values: Any, tolerance: float = 1e-6) -> list[str]:
    """Return bounds, integrality and rows of a PuLP model that the values break."""
    variables = model.variables()
    value = dict(zip(variables, values, strict=True))
    broken = []
    for variable, x in value.items():
        low = -np.inf if variable.lowBound is None else variable.lowBound
        high = np.inf if variable.upBound is None else variable.upBound
        if not low - tolerance <= x <= high + tolerance:
            broken.append(f"{variable.name} = {x} is outside [{low}, {high}]")
        if variable.cat == "Integer" and abs(x - round(x)) > tolerance:
            broken.append(f"{variable.name} = {x} is not integral")
    rows = model.constraints
    for row in rows() if callable(rows) else rows.values():
        left = row.constant + sum(c * value[v] for v, c in row.items())
        wrong = {0: abs(left), 1: -left, -1: left}[row.sense]
        if wrong > tolerance:
            broken.append(f"{row.name}: off by {wrong}: {row}")
    return broken


def milp_objective(model: pulp.LpProblem, values: Any) -> float:
    value = dict(zip(model.variables(), values, strict=True))
    return float(model.objective.constant + sum(c * value[v] for v, c in model.objective.items()))


@pytest.mark.parametrize("bounded", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_milp_hint_is_complete_and_feasible(seed: int, bounded: bool) -> None:
    checked = 0
    for shop, problem in shops(10 + seed, 80):
        for solution in schedules(problem, seed):
            value = problem.objective(solution)
            compiled = optsched.compile(
                problem, "pulp", **({"upper_bound": value} if bounded else {})
            )
            hint = compiled.hint(solution)
            assert len(hint) == len(compiled.model.variables())
            broken = broken_rows(compiled.model, hint)
            assert broken == [], (shop, solution.to_dict(), "upper bound", bounded and value)
            assert milp_objective(compiled.model, hint) == pytest.approx(value)
            checked += 1
    assert checked > 200


def test_milp_decoding_gives_a_schedule_at_least_as_good() -> None:
    for shop, problem in shops(3, 60):
        for solution in schedules(problem, 3):
            compiled = optsched.compile(problem, "pulp")
            again = compiled.decode(compiled.hint(solution))
            assert problem.check(again) == [], (shop, solution.to_dict())
            assert problem.objective(again) <= problem.objective(solution), shop
            assert (again.start <= solution.start).all(), (shop, solution.to_dict())
            assert again.machine.tolist() == solution.machine.tolist()


def test_milp_decoding_stands_the_tolerances_of_a_solver() -> None:
    """Starts that are off by what a solver calls feasible still give the same schedule."""
    rng = np.random.default_rng(4)
    for shop, problem in shops(4, 60):
        for solution in schedules(problem, 4):
            compiled = optsched.compile(problem, "pulp")
            exact = compiled.decode(compiled.hint(solution))
            hint = compiled.hint(exact)
            again = compiled.decode(hint + rng.uniform(-1e-6, 1e-6, len(hint)))
            assert problem.check(again) == [], (shop, exact.to_dict())
            assert problem.objective(again) <= problem.objective(exact), (shop, exact.to_dict())


# ---- both ---------------------------------------------------------------------------------


def optimum_of(compiled: Any) -> float | None:
    """Solve a compiled model by itself, without the rest of the package."""
    if isinstance(compiled.model, cp_model.CpModel):
        solver = cp_model.CpSolver()
        solver.parameters.num_workers = 1
        status = solver.solve(compiled.model)
        return solver.objective_value if status == cp_model.OPTIMAL else None
    import highspy

    from optsched.solvers.highs import _model
    from optsched.solvers.milp import from_pulp

    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("mip_rel_gap", 0.0)
    highs.setOptionValue("threads", 1)
    highs.passModel(_model(from_pulp(compiled.model)))
    highs.run()
    if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    return float(highs.getInfo().objective_function_value)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("seed", range(2))
def test_bounds_at_the_optimum_do_not_cut_it_off(backend: str, seed: int) -> None:
    """With upper bound, lower bound or both equal to the optimum, the optimum is still found."""
    feasible = 0
    for shop, problem in shops(20 + seed, 60):
        best = brute_force.optimum(shop)
        if best is None:
            continue
        feasible += 1
        for bounds in ({"upper_bound": best}, {"lower_bound": best},
                       {"upper_bound": best, "lower_bound": best}):  # fmt: skip
            try:
                found = optimum_of(optsched.compile(problem, backend, **bounds))
            except ProvenInfeasible as error:
                pytest.fail(f"{error}: {shop}, {bounds}")
            assert found is not None, (shop, bounds)
            assert round(found) == best, (shop, bounds)
    assert feasible > 30


@pytest.mark.parametrize("backend", BACKENDS)
def test_bound_below_the_optimum_leaves_nothing(backend: str) -> None:
    for shop, problem in shops(5, 24):
        best = brute_force.optimum(shop)
        if best is None:
            continue
        try:
            found = optimum_of(optsched.compile(problem, backend, upper_bound=best - 1))
        except ProvenInfeasible:
            continue
        # An upper bound may be used or not; but nothing below the optimum can come of it.
        assert found is None or round(found) >= best, shop


def test_milp_transport_with_a_long_alternative_and_a_tight_bound() -> None:
    """The rows of an alternative that is not taken must not cut: it is too long for the window."""
    problem = JobShop(
        [[[(0, 1), (1, 10)], (0, 2)]], transport=[[0, 0], [1, 0]], objective="makespan"
    )
    solution = JobShopSolution([0, 1], [0, 0])
    assert problem.check(solution) == []
    compiled = optsched.compile(problem, "pulp", upper_bound=3)
    assert broken_rows(compiled.model, compiled.hint(solution)) == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_operation_that_no_row_mentions_is_decoded(backend: str) -> None:
    """A job alone on its machine that cannot be late is in no constraint; it still has a start."""
    problem = JobShop([[(0, 1)], [(1, 2)]], objective="total_weighted_tardiness", due=[9, 0])
    solution = JobShopSolution([0, 0], [0, 1])
    compiled = optsched.compile(problem, backend)
    assert compiled.decode(compiled.hint(solution)).to_dict() == solution.to_dict()


def test_features_that_a_solver_lacks_are_named() -> None:
    problem = JobShop([[(0, 1), (0, 1)]], calendars={0: [(1, 2)]}, buffers="no-wait")
    with pytest.raises(CannotExpressError) as caught:
        optsched.solve(problem, "native")
    assert "calendars" in str(caught.value)
    assert "no-wait" in str(caught.value)
    assert "cpsat, highs, pulp" in str(caught.value)


def test_compile_names_the_models_there_are() -> None:
    with pytest.raises(InputError, match="did you mean cpsat"):
        optsched.compile(JobShop([[(0, 1)]]), "cp-sat")
    with pytest.raises(InputError, match="cpsat, highs, pulp"):
        optsched.compile(JobShop([[(0, 1)]]), "heuristic")


@pytest.mark.parametrize("backend", BACKENDS)
def test_infeasible_by_dates_alone_is_said_in_words(backend: str) -> None:
    problem = JobShop([[(0, 1)], [(0, 3), (1, 4)]], release=[0, 2], deadline=[None, 8])
    with pytest.raises(ProvenInfeasible, match=r"job 1 .*9 .*release 2.* 8"):
        optsched.compile(problem, backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_building_keeps_to_the_deadline(backend: str) -> None:
    rng = np.random.default_rng(0)
    jobs = [[(int(m), int(rng.integers(1, 99))) for m in rng.permutation(30)] for _ in range(200)]
    problem = JobShop(jobs)
    module = __import__(
        f"optsched.problems.job_shop.{'cpsat' if backend == 'cpsat' else 'milp'}",
        fromlist=["build"],
    )
    begun = time.perf_counter()
    with pytest.raises(DeadlineExpired):
        module.build(problem, deadline=Deadline(0.05))
    assert time.perf_counter() - begun < 1.5


def test_cpsat_model_of_a_hundred_by_twenty_is_built_within_a_second() -> None:
    rng = np.random.default_rng(0)
    jobs = [[(int(m), int(rng.integers(1, 99))) for m in rng.permutation(20)] for _ in range(100)]
    problem = JobShop(jobs)
    optsched.compile(JobShop([[(0, 1)]]), "cpsat")  # importing OR-Tools is not building
    begun = time.perf_counter()
    compiled = optsched.compile(problem, "cpsat")
    seconds = time.perf_counter() - begun
    print(f"CP-SAT model of a 100 x 20 shop: {seconds:.2f} s")
    assert len(compiled.model.proto.variables) >= 2000
    assert seconds < 3


def test_strong_propagation_is_left_to_certain_intervals_of_some_length():
    """OR-Tools 9.15 has cut off optima with it where intervals are optional, or take no time."""
    option = "use_strong_propagation_in_disjunctive"
    for shortest, certain in ((2, True), (0, False)):
        choices = [[(0, 3), (1, shortest)], [(1, 4), (0, 1)]]
        for workers in (1, 2):
            classic = optsched.compile(JobShop(jobs=choices), "cpsat")
            assert (option in classic.options("cpsat", workers)) == certain
            flexible = optsched.compile(JobShop(jobs=[[choice] for choice in choices]), "cpsat")
            assert option not in flexible.options("cpsat", workers)
