import numpy as np
import pytest
from sm_reference import brute_force, random_problem

import optsched as op
from optsched.core import Deadline, ProvenInfeasible
from optsched.problems.single_machine import cpsat, heuristics, milp
from optsched.problems.single_machine.generate import potts_van_wassenhove
from optsched.problems.single_machine.problem import OBJECTIVES
from optsched.problems.single_machine.tardiness import Decomposition
from optsched.session import Session

SIDE = ("release dates", "setup", "precedence", "deadlines")


def instances(count, seed, features, n_max=5):
    rng = np.random.default_rng(seed)
    for k in range(count):
        chosen = [f for f in features if rng.random() < 0.5]
        yield random_problem(rng, int(rng.integers(1, n_max + 1)), OBJECTIVES[k % 5], chosen)


def test_cpsat_equals_enumeration_with_all_features():
    for problem in instances(60, 1, SIDE):
        result = op.solve(problem, "cpsat", time_limit=20, workers=1)
        least = brute_force(problem)
        if least is None:
            assert result.status == "INFEASIBLE"
        else:
            assert (result.status, result.objective) == ("OPTIMAL", least)


@pytest.mark.parametrize("formulation", sorted(milp.FORMULATIONS))
def test_every_formulation_equals_enumeration(formulation):
    import pulp

    for problem in instances(25, 2, ("release dates", "precedence", "deadlines"), 4):
        least = brute_force(problem)
        try:
            compiled = milp.build(problem, formulation=formulation)
        except ProvenInfeasible:
            assert least is None
            continue
        compiled.model.solve(pulp.PULP_CBC_CMD(msg=False))
        if least is None:
            assert compiled.model.sol_status != pulp.LpSolutionOptimal
            continue
        values = np.array([v.varValue or 0.0 for v in compiled.model.variables()])
        solution = compiled.decode(values)
        assert not problem.check(solution)
        assert problem.objective(solution) == least
        objective = pulp.value(compiled.model.objective) or 0.0
        assert objective == pytest.approx(least, abs=1e-5)


@pytest.mark.parametrize("formulation", sorted(milp.FORMULATIONS))
def test_milp_hints_satisfy_the_model(formulation):
    for problem in instances(40, 3, ("release dates", "precedence"), 7):
        session = Session(problem, Deadline())
        heuristics.construct(problem, session, 0)
        compiled = milp.build(problem, formulation=formulation, upper_bound=session.objective)
        for v, value in zip(
            compiled.model.variables(), compiled.hint(session.solution), strict=True
        ):
            v.varValue = value
        for row in compiled.model.constraints():
            assert row.valid(1e-6), row
        objective = compiled.model.objective.value() or 0.0
        assert objective == pytest.approx(session.objective)


def test_cpsat_hints_are_complete_and_feasible():
    from ortools.sat.python import cp_model

    from optsched.solvers.cpsat import add_hint

    for problem in instances(40, 4, SIDE[:3], 7):
        session = Session(problem, Deadline())
        heuristics.construct(problem, session, 0)
        compiled = cpsat.build(problem, upper_bound=session.objective)
        add_hint(compiled.model, compiled.hint(session.solution))
        solver = cp_model.CpSolver()
        solver.parameters.fix_variables_to_their_hinted_value = True
        solver.parameters.num_workers = 1
        assert solver.solve(compiled.model) in (cp_model.OPTIMAL, cp_model.FEASIBLE)
        assert round(solver.objective_value) == session.objective


def test_highs_solves_a_tardiness_instance():
    problem = potts_van_wassenhove(10, 0.6, 0.6, 1, longest=10)
    result = op.solve(problem, "highs", time_limit=60, workers=1)
    assert result.status == "OPTIMAL"
    assert result.objective == Decomposition(problem.processing, problem.due).solve()


def test_milp_refuses_setups_and_unknown_formulations():
    problem = random_problem(np.random.default_rng(0), 4, "total_tardiness", ["setup"])
    with pytest.raises(op.CannotExpressError, match="setup"):
        op.solve(problem, "highs")
    with pytest.raises(op.InputError, match="time-indexed"):
        milp.build(potts_van_wassenhove(5, 0.6, 0.6, 1), formulation="time-index")


def test_positional_ends_are_bounded_by_the_shortest_others():
    # Keha, Khowala and Fowler (2009): in the relaxation too, a job at place k waits for the work
    # of the k - 1 shortest others.
    import pulp

    for seed in range(5):
        problem = potts_van_wassenhove(6, 0.6, 0.6, seed)
        compiled = milp.build(problem, formulation="positional")
        job, place = seed, seed  # from 0
        for variable in compiled.model.variables():
            variable.cat = pulp.LpContinuous
        compiled.model += compiled.assigned[job][place] >= 1
        compiled.model.setObjective(pulp.LpAffineExpression([(compiled.end[job], 1)]))
        compiled.model.solve(pulp.HiGHS(msg=False))
        others = np.sort(np.delete(problem.processing, job))
        least = problem.processing[job] + others[:place].sum()
        assert compiled.end[job].value() >= least - 1e-6


def test_heuristic_solutions_are_feasible_and_deadlines_are_met_or_nothing_is_offered():
    for problem in instances(150, 5, SIDE, 8):
        result = op.solve(problem, "heuristic")
        if problem.deadline is None:
            assert result.status in ("FEASIBLE", "OPTIMAL")


def test_heuristic_at_500_jobs_is_within_a_thousandth_on_average():
    gaps = []
    for seed, factor in enumerate((0.4, 0.6, 0.8)):
        problem = potts_van_wassenhove(500, 0.8, factor, seed)
        best = op.solve(problem, "heuristic").objective
        exact = Decomposition(problem.processing, problem.due).solve()
        gaps.append(best / exact - 1)
    assert sum(gaps) / len(gaps) <= 0.0015


def test_time_limit_0_returns_the_heuristic_solution():
    problem = potts_van_wassenhove(50, 0.6, 0.6, 1, weighted=True)
    result = op.solve(problem, "native", time_limit=0)
    assert result.status == "FEASIBLE"
