"""Formulations and bounds against looking at every schedule, over all features."""

import numpy as np
import pulp
import pytest
from ortools.sat.python import cp_model

import optsched as op
from optsched.core import CannotExpressError, Deadline, ProvenInfeasible
from optsched.families import can_express
from optsched.problems.rcpsp import bounds, conflicts, cpsat, milp
from optsched.problems.rcpsp.problem import RcpspSolution
from optsched.selfcheck.families.rcpsp import random_instance
from optsched.selfcheck.references.rcpsp import optimum, schedules
from optsched.solvers.cpsat import add_hint


def agree(problem, solver, least):
    result = op.solve(problem, solver, time_limit=100, workers=1)
    if least is None:
        assert result.status == "INFEASIBLE", problem.to_json()
    else:
        assert (result.status, result.objective) == ("OPTIMAL", least), problem.to_json()


def milp_agrees(problem, formulation, least):
    try:
        compiled = milp.build(problem, formulation=formulation)
    except ProvenInfeasible:
        assert least is None
        return
    compiled.model.solve(pulp.PULP_CBC_CMD(msg=False))
    if least is None:
        assert compiled.model.sol_status != pulp.LpSolutionOptimal, problem.to_json()
        return
    values = np.array([v.varValue or 0.0 for v in compiled.model.variables()])
    solution = compiled.decode(values)
    assert not problem.check(solution)
    assert problem.objective(solution) == least, problem.to_json()


def solved_by_all(seeds):
    for seed in seeds:
        problem = random_instance(seed)
        least = optimum(problem)
        agree(problem, "cpsat", least)
        milp_agrees(problem, "time-indexed", least)
        if problem.features() <= milp.OnOffEvents.SUPPORTS:
            milp_agrees(problem, "event-based", least)


def test_all_formulations_equal_enumeration():
    solved_by_all(range(5000, 5012))


@pytest.mark.slow
def test_all_formulations_equal_enumeration_on_many():
    solved_by_all(range(2000))


def some_schedule(problem):
    for start, _, mode in schedules(problem, problem.horizon()):
        return RcpspSolution(list(start), list(mode))
    return None


def test_hints_are_complete_and_feasible():
    for seed in range(60):
        problem = random_instance(seed)
        solution = some_schedule(problem)
        if solution is None:
            continue
        value = problem.objective(solution)
        compiled = cpsat.build(problem, upper_bound=value if seed % 2 else None)
        if not compiled.net.usable[problem.mode_offset[:-1] + solution.mode].all():
            continue  # a mode that another beats is not in the model
        values = compiled.hint(solution)
        add_hint(compiled.model, values)
        solver = cp_model.CpSolver()
        solver.parameters.fix_variables_to_their_hinted_value = True
        solver.parameters.num_workers = 1
        assert solver.solve(compiled.model) in (cp_model.OPTIMAL, cp_model.FEASIBLE)
        assert round(solver.objective_value) == value
        decoded = compiled.decode(values)
        assert decoded.start.tolist() == solution.start.tolist()
        assert decoded.mode.tolist() == solution.mode.tolist()


@pytest.mark.parametrize("formulation", sorted(milp.FORMULATIONS))
def test_milp_hints_satisfy_the_model(formulation):
    count = 0
    for seed in range(150):
        problem = random_instance(seed, objective="makespan" if seed % 2 else None)
        solution = some_schedule(problem)
        if solution is None:
            continue
        try:
            compiled = milp.build(problem, formulation=formulation)
        except CannotExpressError:
            continue
        if not compiled.net.usable[problem.mode_offset[:-1] + solution.mode].all():
            continue
        values = compiled.hint(solution)
        for variable, value in zip(compiled.model.variables(), values, strict=True):
            variable.varValue = value
        for row in compiled.model.constraints():
            assert row.valid(1e-6), (seed, row)
        objective = compiled.model.objective.value() or 0.0
        assert objective == pytest.approx(problem.objective(solution))
        decoded = compiled.decode(values)
        assert not problem.check(decoded)
        assert problem.objective(decoded) <= problem.objective(solution)
        count += 1
        if count == 40:
            break
    assert count >= 5


def test_bounds_are_below_the_optimum():
    for seed in range(100):
        problem = random_instance(seed)
        least = optimum(problem) if seed % 4 else None
        try:
            bound = bounds.lower_bound(problem, Deadline(20))
        except ProvenInfeasible:
            assert optimum(problem) is None
            continue
        if least is not None:
            assert bound <= least, problem.to_json()


def test_models_can_be_had_by_hand():
    problem = op.Rcpsp([(2, [1]), (3, [1])], [1], [(0, 1)])
    compiled = op.compile(problem, "cpsat", upper_bound=5)
    solver = cp_model.CpSolver()
    assert solver.solve(compiled.model) == cp_model.OPTIMAL
    assert solver.value(compiled.cost) == 5
    with pytest.raises(CannotExpressError, match="event-based formulation cannot express lags"):
        milp.build(op.Rcpsp([(1, [])] * 2, [], [(0, 1, "SS", 1)]), formulation="event-based")
    assert can_express(problem, "highs")


def test_present_value_is_maximised():
    problem = op.Rcpsp(
        [(1, [1]), (1, [1])],
        [1],
        deadline=[10, 10],
        objective="negative_net_present_value",
        cash_flow=[100, -100],
        discount_rate=0.1,
    )
    result = op.solve(problem, time_limit=60, workers=1)
    assert result.status == "OPTIMAL"
    assert problem.completion(result.solution).tolist() == [1, 10]
    assert result.objective == -(91 - 39)


def test_a_conflict_is_minimal_and_in_words():
    problem = op.Rcpsp(
        [(4, [1]), (3, [1]), (2, [1])],
        [1],
        deadline=[6, 6, None],
        resource_names=["crane"],
    )
    conflict = conflicts.find_conflict(problem)
    assert conflict is not None
    assert conflict.minimal
    assert sorted((c.kind, c.number) for c in conflict.constraints) == [
        ("deadline", 0), ("deadline", 1), ("resource", 0)
    ]  # fmt: skip
    result = op.solve(problem, workers=1, time_limit=60)
    assert result.status == "INFEASIBLE"
    assert "capacity of resource 0 (crane)" in result.message
    assert "deadline 6 of activity 1" in result.message


def test_conflicts_are_conflicts():
    found = 0
    for seed in range(50):
        problem = random_instance(seed)
        conflict = conflicts.find_conflict(problem)
        if conflict is None:
            continue
        found += 1
        assert optimum(problem) is None
        if conflict.minimal and found <= 12:
            for left_out in conflict.constraints:
                rest = [c for c in conflict.constraints if c != left_out]
                assert optimum(conflicts.relaxed(problem, rest)) is not None
    assert found > 5


def test_time_zero_returns_the_rules_schedule():
    problem = op.Rcpsp([(2, [1]), (3, [1]), (1, [2])], [2], [(0, 2)])
    result = op.solve(problem, time_limit=0)
    assert result.solution is not None
    assert np.all(result.solution.start >= 0)


def test_the_better_half_of_a_model_is_as_good_as_the_whole():
    halved = 0
    for seed in range(60):
        problem = random_instance(seed, objective="makespan")
        least = optimum(problem)
        found = []
        for side in (0, 1):
            try:
                compiled = cpsat.build(problem)
            except ProvenInfeasible:
                assert least is None
                break
            if not compiled.halves:
                break
            compiled.keep_half(side)
            solver = cp_model.CpSolver()
            solver.parameters.num_workers = 1
            status = solver.solve(compiled.model)
            assert status in (cp_model.OPTIMAL, cp_model.INFEASIBLE)
            if status == cp_model.OPTIMAL:
                found.append(round(solver.objective_value))
        else:
            halved += 1
            assert (min(found) if found else None) == least, problem.to_json()
    assert halved > 20
