"""Blocking, no-wait, breaks, setups, due dates: solvers and enumeration agree on tiny shops.

Constructed schedules, bounds and refutations are switched off, so that each solver has to find the
optimum, or that there is none, by itself.
"""

from __future__ import annotations

import importlib
import random
from collections import Counter
from collections.abc import Iterator

import brute_force
import js_enumeration
import mirror
import numpy as np
import pulp
import pytest
from ortools.sat.python import cp_model

import optsched
from optsched import JobShop, JobShopSolution, Status
from optsched.problems.job_shop.problem import BUFFERS

SOLVERS = ("cpsat", "highs", "pulp")
FEW, MANY = 15, 500


def shops(kind: str, count: int) -> Iterator[tuple[brute_force.Shop, int | None]]:
    """Yield `count` shops of a kind with their optima; those that take long to enumerate are not.

    CP-SAT's value cuts the enumeration short, and a wrong one is found out all the same: below it
    everything is enumerated, and at it there must be something.
    """
    rng = random.Random(kind)
    found = 0
    while found < count:
        shop = js_enumeration.random_variant(rng, kind)
        claim = optsched.solve(JobShop(**shop), "cpsat", workers=1, time_limit=60).objective
        try:
            best = js_enumeration.optimum(shop, claim)
        except js_enumeration.TooLong:
            continue
        found += 1
        yield shop, best


@pytest.fixture
def exact_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in (
        ("heuristics", "construct"),
        ("bounds", "lower_bound"),
        ("conflicts", "refute"),
    ):
        found = importlib.import_module(f"optsched.problems.job_shop.{module}")
        monkeypatch.setattr(found, name, lambda *_: None)


def assert_optimal(shop: brute_force.Shop, solver: str, best: int | None) -> None:
    result = optsched.solve(JobShop(**shop), solver, workers=1, time_limit=120)
    told = f"{solver}: {result!r}; {best} by enumeration\n{shop}"
    assert result.stop == "PROOF", told
    if best is None:
        assert result.status is Status.INFEASIBLE, told
        return
    assert result.status is Status.OPTIMAL, told
    assert result.objective == result.bound == best, told
    start, machine = result.solution.start.tolist(), result.solution.machine.tolist()
    assert brute_force.kinds(shop, start, machine) == set(), told
    assert brute_force.objective(shop, start, machine) == best, told


@pytest.mark.usefixtures("exact_only")
@pytest.mark.parametrize("kind", js_enumeration.KINDS)
def test_solvers_agree_with_enumeration(kind: str) -> None:
    seen: Counter[bool] = Counter()
    for shop, best in shops(kind, FEW):
        for solver in SOLVERS:
            assert_optimal(shop, solver, best)
        seen[best is None] += 1
    assert seen[False] >= FEW // 2


@pytest.mark.slow
@pytest.mark.usefixtures("exact_only")
@pytest.mark.parametrize("kind", js_enumeration.KINDS)
def test_solvers_agree_with_enumeration_on_five_hundred(kind: str) -> None:
    for shop, best in shops(kind, MANY):
        for solver in SOLVERS:
            assert_optimal(shop, solver, best)


@pytest.mark.parametrize("kind", js_enumeration.KINDS)
def test_with_everything_on_the_optimum_is_the_same(kind: str) -> None:
    for shop, best in shops(kind, 6):
        for solver in ("auto", "highs"):
            assert_optimal(shop, solver, best)


def test_the_shops_are_of_every_kind() -> None:
    count: Counter[str] = Counter()
    for kind in js_enumeration.KINDS:
        rng = random.Random(kind)
        for _ in range(MANY):
            problem = JobShop(**js_enumeration.random_variant(rng, kind))
            count.update(problem.features())
            blocking = "blocking" in problem.features()
            count["swap" if problem.swap else "no swap"] += blocking
            count["resumable"] += bool(problem.resumable.any() and len(problem.break_start))
    for feature in ("blocking", "no-wait", "calendars", "setup", "flexible", "transport", "lags",
                    "deadlines", "release dates", "swap", "no swap", "resumable"):  # fmt: skip
        assert count[feature] >= 200, (feature, count)


# ---- hints and decoding -------------------------------------------------------------------------


def solved(kind: str, count: int) -> Iterator[tuple[JobShop, JobShopSolution]]:
    """Yield shops with an optimal schedule, and with one that is shifted to the right."""
    rng = random.Random(f"hint {kind}")
    found = 0
    while found < count:
        problem = JobShop(**js_enumeration.random_variant(rng, kind))
        result = optsched.solve(problem, "cpsat", workers=1, time_limit=60)
        if result.solution is None:
            continue
        found += 1
        yield problem, result.solution
        shifted = JobShopSolution(result.solution.start + 1, result.solution.machine)
        late = int(problem.completion(shifted).max()) > problem.horizon()
        if not late and not problem.check(shifted):
            yield problem, shifted


@pytest.mark.parametrize("kind", js_enumeration.KINDS)
def test_cpsat_hint_is_complete_and_feasible(kind: str) -> None:
    for problem, solution in solved(kind, 12):
        compiled = optsched.compile(problem, "cpsat")
        hint = compiled.hint(solution)
        assert len(hint) == len(compiled.model.proto.variables)
        fixed = compiled.model.clone()
        for index, value in enumerate(hint):
            fixed.add(fixed.get_int_var_from_proto_index(index) == int(value))
        solver = cp_model.CpSolver()
        solver.parameters.num_workers = 1
        told = (problem.to_dict(), solution.to_dict())
        assert solver.solve(fixed) == cp_model.OPTIMAL, told
        assert solver.objective_value == problem.objective(solution), told
        assert compiled.decode(hint).to_dict() == solution.to_dict()


@pytest.mark.parametrize("kind", js_enumeration.KINDS)
def test_milp_hint_is_feasible_and_decoded_at_least_as_good(kind: str) -> None:
    rng = np.random.default_rng(0)
    for problem, solution in solved(kind, 12):
        compiled = optsched.compile(problem, "pulp")
        hint = compiled.hint(solution)
        told = (problem.to_dict(), solution.to_dict())
        assert broken_rows(compiled.model, hint) == [], told
        value = problem.objective(solution)
        for values in (hint, hint + rng.uniform(-1e-6, 1e-6, len(hint))):
            again = compiled.decode(values)
            assert problem.check(again) == [], told
            assert problem.objective(again) <= value, told


def broken_rows(model: pulp.LpProblem, values: np.ndarray) -> list[str]:
    value = dict(zip(model.variables(), values, strict=True))
    broken = [
        f"{v.name} = {x} is outside [{v.lowBound}, {v.upBound}]"
        for v, x in value.items()
        if (v.lowBound is not None and x < v.lowBound) or (v.upBound is not None and x > v.upBound)
    ]
    for row in model.constraints():
        left = row.constant + sum(c * value[v] for v, c in row.items())
        if {0: abs(left), 1: -left, -1: left}[row.sense] > 1e-6:
            broken.append(f"{row.name}: {row}")
    return broken


# ---- by hand ------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", SOLVERS)
def test_two_jobs_that_trade_places(solver: str) -> None:
    jobs = [[(0, 2), (1, 2)], [(1, 2), (0, 2)]]
    assert optsched.solve(JobShop(jobs), solver).objective == 4
    assert optsched.solve(JobShop(jobs, buffers="none", swap=True), solver).objective == 4
    assert optsched.solve(JobShop(jobs, buffers="none"), solver).objective == 8
    assert optsched.solve(JobShop(jobs, buffers="no-wait"), solver).objective == 4


@pytest.mark.parametrize("solver", SOLVERS)
def test_break_is_spanned_or_waited_for(solver: str) -> None:
    jobs, calendars = [[(0, 3)], [(0, 2)]], {0: [(2, 4)]}
    assert optsched.solve(JobShop(jobs, calendars=calendars), solver).objective == 7
    resumable = JobShop(jobs, calendars=calendars, resumable=True)
    assert optsched.solve(resumable, solver).objective == 7
    mixed = JobShop(
        jobs, calendars=calendars, resumable=[[True], [False]], objective="total_completion_time"
    )
    assert optsched.solve(mixed, solver).objective == 2 + 7


@pytest.mark.parametrize("solver", SOLVERS)
def test_setups_without_the_triangle_inequality(solver: str) -> None:
    """From job 0 to job 2 it takes 9, but by way of job 1 nothing."""
    setup = [[0, 0, 9], [9, 0, 0], [9, 9, 0]]
    problem = JobShop([[(0, 2)], [(0, 1)], [(0, 2)]], setup=setup)
    assert optsched.solve(problem, solver).objective == 5


@pytest.mark.parametrize("solver", SOLVERS)
def test_blocked_job_cannot_be_set_up_for_itself(solver: str) -> None:
    problem = JobShop([[(0, 1), (0, 1)]], buffers="none", setup=[[1]])
    assert optsched.solve(problem, solver).status is Status.INFEASIBLE
    problem = JobShop([[(0, 1), (0, 1)]], setup=[[1]])
    assert optsched.solve(problem, solver).objective == 3


# ---- operations of no duration -------------------------------------------------------------------


def test_feasible_shop_that_strong_propagation_refutes() -> None:
    """OR-Tools 9.15 calls this infeasible with strong propagation: intervals of no length."""
    problem = JobShop(
        [[(1, 1), (1, 0), (1, 0)], [(1, 1), (0, 3), (1, 2)]],
        objective="total_weighted_tardiness", due=[8, 9], weight=[0, 2], buffers="no-wait",
        setup=[[[1, 1], [2, 0]], [[0, 0], [2, 1]]], calendars={0: [(1, 2), (6, 7)], 1: [(5, 6)]},
        resumable=[[True, False, False], [True, False, True]],
    )  # fmt: skip
    result = optsched.solve(problem, "cpsat", workers=1, time_limit=60)
    assert (result.status, result.objective) == (Status.OPTIMAL, 0)


def test_shop_on_which_dynamic_precedence_does_not_end(exact_only: None) -> None:
    problem = JobShop(
        [[(1, 3), (0, 1), (1, 3)], [(0, 1), (0, 2), (0, 0)], [(0, 0)]],
        objective="maximum_lateness", due=[2, -1, 6], release=[1, 1, 0], deadline=[10, 11, 10],
        buffers=[["unlimited", "none", "unlimited"], ["none", "no-wait", "no-wait"], ["none"]],
        swap=True,
    )  # fmt: skip
    result = optsched.solve(problem, "cpsat", workers=1, time_limit=60)
    assert (result.status, result.objective) == (Status.OPTIMAL, 6)


@pytest.mark.parametrize(
    ("shop", "start"),
    [
        # Job 2 passes machine 0 before job 1 does, which then makes room for nobody in vain.
        (
            {"jobs": [[(0, 3)], [(0, 0), (1, 0), (2, 1)], [(0, 3), (0, 0)]],
             "release": [2, 3, 3], "buffers": "none"},
            None,
        ),
        (
            {"jobs": [[(2, 0), (2, 1)], [(0, 1)], [(1, 1), (0, 2), (2, 0)]], "buffers": "none",
             "objective": "total_completion_time", "weight": [2, 4, 4],
             "transport": [[0, 1, 0], [1, 0, 2], [2, 1, 0]]},
            None,
        ),
    ],
)  # fmt: skip
def test_ties_at_one_instant_have_no_order_of_their_own(
    shop: brute_force.Shop, start: None
) -> None:
    """The checker must not take the operations' indices for the order in which they pass."""
    result = optsched.solve(JobShop(**shop), "cpsat", workers=1, time_limit=60)
    assert result.status is Status.OPTIMAL
    plan = result.solution
    assert brute_force.kinds(shop, plan.start.tolist(), plan.machine.tolist()) == set()


# ---- published optima ---------------------------------------------------------------------------


def without_buffers(name: str) -> JobShop:
    data = optsched.load(name).to_dict()
    return JobShop.from_dict(data | {"buffers": "none", "swap": True})


@pytest.mark.parametrize(("name", "optimum"), [("ft06", 63), ("la05", 664)])
def test_published_optimum_without_buffers(name: str, optimum: int) -> None:
    result = optsched.solve(without_buffers(name), workers=1, time_limit=300)
    assert (result.status, result.objective) == (Status.OPTIMAL, optimum)


@pytest.mark.slow
@mirror.needs_mirror
@pytest.mark.parametrize(
    ("name", "optimum"),
    [("ft10", 1068), ("la01", 793), ("la02", 793), ("la03", 715), ("la04", 743), ("la16", 1060),
     ("la17", 929), ("la18", 1025), ("la19", 1043), ("la20", 1060), ("orb01", 1175),
     ("orb02", 1041), ("orb03", 1160), ("abz5", 1468), ("abz6", 1145)],
)  # fmt: skip
def test_published_optima_of_ten_machines_without_buffers(name: str, optimum: int) -> None:
    result = optsched.solve(without_buffers(name), workers=2, time_limit=1800)
    assert (result.status, result.objective) == (Status.OPTIMAL, optimum)


def test_buffers_by_name() -> None:
    assert set(BUFFERS) == {"unlimited", "none", "no-wait"}
