"""Large-neighbourhood search: adaptive, repeatable, honest, and stopped in time."""

from __future__ import annotations

import importlib.util
import random
import threading
import time
from collections.abc import Sequence
from typing import Any, Self

import brute_force
import numpy as np
import pytest
from ortools.sat.python import cp_model

import optsched as op
from optsched import (
    CannotExpressError,
    InputError,
    JobShop,
    JobShopSolution,
    MissingExtraError,
    Status,
    StopReason,
    VerificationError,
    Violation,
    solving,
)
from optsched.core import Deadline, Problem, ProvenInfeasible, Solution
from optsched.problems.job_shop import cutting, neighbourhoods, parts
from optsched.search import lns, parallel, sub_solve
from optsched.search.lns import Answer, Question
from optsched.session import Session
from optsched.solvers.base import Verdict

HAS_RAY = importlib.util.find_spec("ray") is not None


# ---- the search by itself, on a toy --------------------------------------------------------


class Bits(Solution):
    def __init__(self, bits: Any) -> None:
        self.bits = np.asarray(bits)

    def to_dict(self) -> dict[str, Any]:
        return {"bits": self.bits.tolist()}

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        return cls(data["bits"])


class FewOnes(Problem):
    """As few ones as possible; twos are forbidden."""

    family = "few_ones"
    solution_type = Bits
    name = "toy"

    def __init__(self, n: int) -> None:
        self.n = n

    def check(self, solution: Bits) -> list[Violation]:
        return [Violation("bit", "a two")] if (solution.bits > 1).any() else []

    def objective(self, solution: Bits) -> int:
        return int(solution.bits.sum())

    def features(self) -> frozenset[str]:
        return frozenset()

    def describe(self) -> str:
        return "toy"

    def to_dict(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        raise NotImplementedError


def window(solution: Bits, size: int, random: np.random.Generator) -> Any:
    free = np.zeros(len(solution.bits), dtype=bool)
    first = int(random.integers(max(1, len(free) - size + 1)))
    free[first : first + size] = True
    return free


def clear(questions: Sequence[Question]) -> list[Answer]:
    """Solve exactly: every free bit becomes zero."""
    answers = []
    for question in questions:
        bits = np.where(question.free, 0, question.solution.bits)
        better = bits.sum() < question.objective
        answers.append(Answer(Verdict.OPTIMAL, Bits(bits) if better else None))
    return answers


def toy(n: int = 50, limit: float | None = None) -> Session:
    session = Session(FewOnes(n), Deadline(limit))
    session.offer(Bits(np.ones(n, dtype=int)), "start")
    return session


def test_it_improves_to_the_optimum_and_proves_only_the_whole() -> None:
    session = toy()
    reason = lns.run(session, {"window": window}, clear, items=50, size=10)
    assert session.objective == session.bound == 0
    assert reason is StopReason.PROOF
    # The bound came when everything was free, not before.
    assert [event.bound for event in session.trace[:-1]] == [None] * (len(session.trace) - 1)


def test_sizes_follow_the_outcomes() -> None:
    sizes: list[int] = []

    def record(solution: Bits, size: int, random: np.random.Generator) -> Any:
        sizes.append(size)
        return np.arange(1000) < min(size, 999)

    def proven(questions: Sequence[Question]) -> list[Answer]:
        return [Answer(Verdict.OPTIMAL, None) for _ in questions]

    def timed_out(questions: Sequence[Question]) -> list[Answer]:
        return [Answer(Verdict.STOPPED, None) for _ in questions]

    lns.run(toy(1000), {"a": record}, proven, items=1000, size=50, max_steps=20)
    assert sizes[0] == 50
    assert sizes == sorted(sizes)
    assert sizes[-1] > 200
    sizes.clear()
    lns.run(toy(1000), {"a": record}, timed_out, items=1000, size=50, max_steps=60)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == lns.SIZE_LEAST


def test_successful_neighbourhoods_are_chosen_more_often() -> None:
    asked = {"good": 0, "bad": 0}

    def good(solution: Bits, size: int, random: np.random.Generator) -> Any:
        asked["good"] += 1
        return np.arange(2000) == int(np.argmax(solution.bits))

    def bad(solution: Bits, size: int, random: np.random.Generator) -> Any:
        asked["bad"] += 1
        return np.zeros(2000, dtype=bool)

    lns.run(toy(2000), {"good": good, "bad": bad}, clear, items=2000, max_steps=300)
    assert asked["good"] > 3 * asked["bad"] > 0


@pytest.mark.parametrize("count", [1, 3])
def test_steps_are_counted_and_repeatable(count: int) -> None:
    def trace(seed: int) -> list[Any]:
        asked: list[Any] = []

        def sub_solve(questions: Sequence[Question]) -> list[Answer]:
            assert 1 <= len(questions) <= count
            asked.extend((q.free.tolist(), q.seed) for q in questions)
            return clear(questions)

        session = toy(300)
        reason = lns.run(
            session, {"a": window, "b": window}, sub_solve,
            items=300, size=7, max_steps=10, seed=seed, parallel=count,
        )  # fmt: skip
        assert reason is StopReason.STEPS
        assert len(asked) == 10
        return [asked, session.objective, [event.source for event in session.trace]]

    assert trace(1) == trace(1)
    assert trace(1) != trace(2)


def test_no_steps_at_all() -> None:
    session = toy()
    assert lns.run(session, {"a": window}, clear, items=50, max_steps=0) is StopReason.STEPS
    assert session.objective == 50


def test_it_needs_a_beginning() -> None:
    with pytest.raises(InputError, match="no solution to begin with"):
        lns.run(Session(FewOnes(3), Deadline()), {"a": window}, clear, items=3)


def test_an_invalid_answer_is_refused() -> None:
    def wrong(questions: Sequence[Question]) -> list[Answer]:
        return [Answer(Verdict.OPTIMAL, Bits(np.full(50, 2)))]

    with pytest.raises(VerificationError, match="lns:a returned an invalid solution: a two"):
        lns.run(toy(), {"a": window}, wrong, items=50)


def test_a_worse_answer_changes_nothing() -> None:
    def worse(questions: Sequence[Question]) -> list[Answer]:
        return [Answer(Verdict.STOPPED, Bits(np.ones(50, dtype=int)))]

    session = toy()
    session.offer(Bits(np.arange(50) % 2), "elsewhere")
    lns.run(session, {"a": window}, worse, items=50, max_steps=5)
    assert session.objective == 25


def test_incumbents_from_elsewhere_are_taken_over() -> None:
    session = toy()
    seen: list[int] = []

    def sub_solve(questions: Sequence[Question]) -> list[Answer]:
        seen.append(questions[0].objective)
        if len(seen) == 2:
            session.offer(Bits(np.arange(50) < 5), "elsewhere")
        return [Answer(Verdict.STOPPED, None)]

    lns.run(session, {"a": window}, sub_solve, items=50, max_steps=4)
    assert seen == [50, 50, 5, 5]


def test_it_stops_when_the_session_does() -> None:
    session = toy(limit=None)
    threading.Timer(0.2, session.interrupt).start()

    def idle(questions: Sequence[Question]) -> list[Answer]:
        time.sleep(0.01)
        return [Answer(Verdict.STOPPED, None) for _ in questions]

    assert lns.run(session, {"a": window}, idle, items=50) is StopReason.USER


# ---- parts of a shop ----------------------------------------------------------------------


def feasible(seed: int, count: int) -> Any:
    """Yield shops with every feature, and feasible schedules."""
    rng = random.Random(seed)
    while count:
        shop = brute_force.random_full_shop(rng)
        shop["objective"] = rng.choice(brute_force.OBJECTIVES)
        if shop["objective"] in ("total_weighted_tardiness", "maximum_lateness"):
            shop["due"] = [rng.randint(0, 10) for _ in shop["jobs"]]
        problem = JobShop(**shop)
        for start, machine in brute_force.random_schedules(shop, rng, 4):
            if not brute_force.kinds(shop, start, machine) and count:
                count -= 1
                yield shop, problem, JobShopSolution(start, machine), rng


def solve_model(model: Any) -> tuple[Any, float]:
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    status = solver.solve(model)
    return status, solver.objective_value if status == cp_model.OPTIMAL else float("nan")


def solve(part: parts.Part, hint: JobShopSolution | None = None) -> tuple[Verdict, list[Any]]:
    found: list[Any] = []
    verdict = sub_solve.solve_part(
        part, sub_solve.Limits(60), seed=0, workers=1, stopped=lambda: False,
        when_stopped=lambda _: None, on_solution=found.append, hint=hint,
    )  # fmt: skip
    return verdict, found


def test_part_holds_what_it_should_and_frees_the_rest() -> None:
    """Against the ordinary model of the whole shop, with the same things held."""
    for shop, problem, schedule, rng in feasible(5, 80):
        state = np.array(
            [rng.choice((cutting.FREE, cutting.ORDERED, cutting.FIXED)) for _ in schedule.start],
            dtype=np.int8,
        )
        value = problem.objective(schedule)
        context = (shop, schedule.to_dict(), state.tolist())
        part = parts.Part(problem, schedule, state, upper_bound=value)
        hinted = part.model.clone()
        hint = part.hint(schedule)
        assert len(hint) == len(part.model.proto.variables)
        for index, x in enumerate(hint):
            hinted.add(hinted.get_int_var_from_proto_index(index) == int(x))
        assert solve_model(hinted) == (cp_model.OPTIMAL, value), context

        verdict, found = solve(part, schedule)
        assert verdict is Verdict.OPTIMAL, context
        for plan in found:
            assert problem.check(plan) == [], context
            fixed, held = state == cutting.FIXED, state != cutting.FREE
            assert (plan.start[fixed] == schedule.start[fixed]).all(), context
            assert (plan.machine[held] == schedule.machine[held]).all(), context
        best = problem.objective(found[-1])
        assert best <= value, context
        if (state == cutting.FREE).all() and value <= problem.horizon():
            assert best == op.solve(problem, "cpsat", workers=1).objective, context


VARIANTS: list[dict[str, Any]] = [
    {},
    {"buffers": "none"},
    {"buffers": "none", "swap": True},
    {"buffers": "no-wait"},
    {"setup": [[1, 4, 2], [3, 0, 1], [2, 2, 0]]},
    {"calendars": {0: [(10, 15), (30, 40)], 1: [(22, 25)]}, "resumable": True},
    {"calendars": {0: [(10, 15), (30, 40)], 2: [(22, 25)]}},
    {"objective": "total_completion_time", "weight": [1, 2, 3]},
]


@pytest.mark.parametrize("options", VARIANTS)
def test_leaving_out_the_past_changes_nothing(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = []
    for seed in range(3):
        rng = random.Random(seed)
        jobs = [
            [
                [(m, rng.randint(0, 6)) for m in rng.sample(range(3), rng.randint(1, 2))]
                for _ in range(6)
            ]
            for _ in range(3)
        ]
        problem = JobShop(jobs=jobs, n_machines=3, **options)
        schedule = op.solve(problem, "cpsat", workers=1, time_limit=30).solution
        begin = int(np.quantile(schedule.start, 0.7))
        completion = problem.completion(schedule)
        state = np.where(completion <= begin, cutting.FIXED, cutting.FREE).astype(np.int8)
        value = problem.objective(schedule) + 5
        part = parts.Part(problem, schedule, state, upper_bound=value)
        assert len(part.ops) <= problem.n_ops
        cases.append((problem, schedule, state, value, part, solve(part)[1][-1]))
    assert any(len(part.ops) < problem.n_ops for problem, *_, part, _ in cases)
    monkeypatch.setattr(cutting, "past", lambda problem, *_: np.zeros(problem.n_ops, dtype=bool))
    for problem, schedule, state, value, _, best in cases:
        assert problem.check(best) == []
        whole = parts.Part(problem, schedule, state, upper_bound=value)
        assert len(whole.ops) == problem.n_ops
        assert problem.objective(solve(whole)[1][-1]) == problem.objective(best)


def test_a_bound_that_nothing_meets_is_infeasible() -> None:
    problem = JobShop(jobs=brute_force.FT06)
    schedule = op.solve(problem, "heuristic").solution
    state = np.zeros(problem.n_ops, dtype=np.int8)
    with pytest.raises(ProvenInfeasible, match="cannot end before"):
        parts.Part(problem, schedule, state, upper_bound=20)
    assert solve(parts.Part(problem, schedule, state, upper_bound=54))[0] is Verdict.INFEASIBLE


@pytest.mark.parametrize("name", ["time", "machines", "critical", "jobs"])
def test_neighbourhoods_keep_to_their_size(name: str) -> None:
    for _, problem, schedule, _ in feasible(7, 25):
        choose = neighbourhoods.neighbourhoods(problem)[name]
        for size in (1, 2, 5, problem.n_ops, problem.n_ops + 7):
            free = choose(schedule, size, np.random.default_rng(size))
            assert free.dtype == bool
            assert free.shape == (problem.n_ops,)
            assert 1 <= free.sum() <= max(size, 1)
    jobs = brute_force.large_jobs(20, 5)
    problem = JobShop(jobs=jobs)
    schedule = op.solve(problem, "heuristic").solution
    choose = neighbourhoods.neighbourhoods(problem)[name]
    drawn = [choose(schedule, 30, np.random.default_rng(k)) for k in range(40)]
    assert len({free.tobytes() for free in drawn}) > 10
    assert np.mean([free.sum() for free in drawn]) > 15


# ---- solver="lns" -------------------------------------------------------------------------


def test_tiny_shops_are_solved_to_the_optimum() -> None:
    """At last everything is free; what is claimed then is the optimum."""
    rng = random.Random(4)
    for k in range(24):
        shop = brute_force.random_shop(
            rng, objective=brute_force.OBJECTIVES[k % 4], flexible=k % 2 == 0
        )
        result = op.solve(JobShop(**shop), "lns", workers=1, options={"max_steps": 200})
        expected = brute_force.optimum(shop)
        if expected is None:
            assert result.solution is None
            continue
        assert result.objective == expected, shop
        assert result.status is Status.OPTIMAL, shop


def flexible(n_jobs: int, n_machines: int, n_ops: int, seed: int = 0) -> JobShop:
    rng = random.Random(seed)
    jobs = [
        [
            [(m, rng.randint(1, 99)) for m in rng.sample(range(n_machines), rng.randint(1, 4))]
            for _ in range(n_ops)
        ]
        for _ in range(n_jobs)
    ]
    return JobShop(jobs=jobs, n_machines=n_machines)


def test_it_improves_flexible_and_blocking_shops_and_repeats() -> None:
    shops = [
        flexible(12, 6, 8),
        JobShop(jobs=brute_force.FT10, buffers="none"),
        JobShop(jobs=brute_force.FT10, calendars={0: [(100, 200)], 3: [(300, 450)]}),
    ]
    for problem in shops:
        options = {"max_steps": 4, "size": 20, "effort": 0.2}
        runs = [op.solve(problem, "lns", workers=1, options=options) for _ in range(2)]
        first = op.solve(problem, "heuristic").objective
        for result in runs:
            assert result.stop is StopReason.STEPS
            assert problem.check(result.solution) == []
            assert result.objective < first
        assert runs[0].solution.to_dict() == runs[1].solution.to_dict()


def test_no_wait_without_a_constructive_start() -> None:
    """Where no rule builds a schedule, the rolling horizon does."""
    problem = JobShop(jobs=brute_force.FT06, buffers="no-wait", setup=np.ones((6, 6), dtype=int))
    result = op.solve(problem, "lns", workers=1, options={"max_steps": 2})
    assert result.solution is not None
    assert problem.check(result.solution) == []


def test_processes_answer_as_this_process_does() -> None:
    problem = flexible(10, 5, 8)
    options = {"max_steps": 4, "size": 25, "effort": 0.3}
    here = op.solve(problem, "lns", workers=2, options=options | {"sub_solves": "processes"})
    again = op.solve(problem, "lns", workers=2, options=options | {"sub_solves": "processes"})
    assert here.solution.to_dict() == again.solution.to_dict()
    assert here.objective < op.solve(problem, "heuristic").objective


def test_workers_of_sub_solves_are_kept_and_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The session's list of callbacks does not grow with the sub-solves."""
    problem = flexible(5, 4, 5)
    session = Session(problem, Deadline())
    session.offer(op.solve(problem, "heuristic").solution, "start")
    here = parallel.Here(session, neighbourhoods)
    lns.run(
        session, neighbourhoods.neighbourhoods(problem), here,
        items=problem.n_ops, size=6, effort=0.05, max_steps=8,
    )  # fmt: skip
    assert len(session._wake) == 1


def test_deadline_holds() -> None:
    problem = flexible(30, 10, 20)
    result = op.solve(problem, "lns", time_limit=3, workers=1, options={"effort": 1000.0})
    assert result.stop is StopReason.TIME
    assert result.time < 8
    assert problem.check(result.solution) == []


def test_never_worse_than_the_hint() -> None:
    problem = JobShop(jobs=brute_force.FT06)
    best = op.solve(problem, "cpsat", workers=1)
    result = op.solve(problem, "lns", workers=1, hint=best.solution, options={"max_steps": 3})
    assert result.objective == 55


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"sise": 3}, "solver lns: unknown option 'sise'.*did you mean size"),
        ({"size": 0}, "lns: size 0 is less than 1"),
        ({"size": 2.5}, "lns: size: 2.5"),
        ({"effort": 0}, "lns: effort 0"),
        ({"effort": float("nan")}, "lns: effort nan"),
        ({"effort": "1"}, "lns: effort '1'"),
        ({"max_steps": -1}, "lns: max_steps -1"),
        ({"max_steps": True}, "lns: max_steps: True"),
        ({"sub_solves": "threads"}, "lns: sub_solves 'threads': one of here, processes, ray"),
        ({"sub_solves": []}, "lns: sub_solves"),
        ({"neighbourhoods": []}, "lns: neighbourhoods"),
        ({"neighbourhoods": "time"}, "lns: neighbourhoods 'time': expected a list"),
        ({"neighbourhoods": ["tim"]}, "unknown neighbourhood 'tim': one of time, machines"),
        ({"cpsat": {"no_such": 1}}, "unknown option 'no_such'"),
        ({"cpsat": 3}, "lns: cpsat 3"),
    ],
)
def test_bad_options_name_the_culprit(options: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        op.solve(JobShop(jobs=[[(0, 1), (1, 2)], [(1, 3)]]), "lns", workers=1, options=options)


def test_families_without_neighbourhoods_say_so() -> None:
    problem = op.SingleMachine(processing=[1, 2], due=[1, 2])
    with pytest.raises(CannotExpressError, match="solver lns cannot express"):
        op.solve(problem, "lns")
    with pytest.raises(InputError, match="solver lns has no variant 'x'"):
        op.solve(JobShop(jobs=[[(0, 1)]]), "lns:x")


@pytest.mark.skipif(HAS_RAY, reason="ray is installed")
def test_absent_ray_is_named() -> None:
    with pytest.raises(MissingExtraError, match=r"pip install 'optsched\[ray\]'"):
        op.solve(JobShop(jobs=brute_force.FT06), "lns", options={"sub_solves": "ray"})


@pytest.mark.skipif(not HAS_RAY, reason="ray is absent: pip install 'optsched[ray]'")
@pytest.mark.slow
def test_on_ray() -> None:
    options = {"max_steps": 4, "size": 25, "effort": 0.3, "sub_solves": "ray"}
    problem = flexible(10, 5, 8)
    result = op.solve(problem, "lns", workers=2, options=options)
    assert problem.check(result.solution) == []
    assert result.objective < op.solve(problem, "heuristic").objective


def test_auto_searches_neighbourhoods_where_the_family_s_search_lacks_a_feature() -> None:
    jobs = [[(0, 3), (1, 2)], [(1, 4), (0, 1)]]
    for shop, beside in (
        (op.JobShop(jobs), "optsched.problems.job_shop.search"),
        (op.JobShop(jobs, buffers="none"), "optsched.problems.job_shop.neighbourhoods"),
    ):
        name, module = solving._best_way(shop)
        assert name == "cpsat"
        assert module is not None
        assert module.__name__ == beside


@pytest.mark.parametrize("workers", [1, 2])
def test_auto_proves_blocking_shops(workers: int) -> None:
    rng = np.random.default_rng(5)
    jobs = [[(int(m), int(rng.integers(1, 30))) for m in rng.permutation(4)] for _ in range(6)]
    shop = op.JobShop(jobs, buffers="none", swap=True)
    result = op.solve(shop, time_limit=60, workers=workers)
    assert result.status is Status.OPTIMAL
    assert result.solver == "auto"
    reference = op.solve(shop, solver="cpsat", time_limit=60, workers=1)
    assert result.objective == reference.objective == result.bound
