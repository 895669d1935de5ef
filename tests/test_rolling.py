"""Rolling horizon: windows, what is kept, ways out of dead ends, the published defaults, limits."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import brute_force
import numpy as np
import pytest
from test_lns import FewOnes, flexible

import optsched as op
from optsched import (
    CannotExpressError,
    InputError,
    JobShop,
    Status,
    StopReason,
    VerificationError,
    decomposing,
)
from optsched.bench.suite import read_suite
from optsched.core import Deadline
from optsched.decomposing import ROLLING_OPTIONS
from optsched.problems.job_shop import horizon
from optsched.problems.job_shop.horizon import JobShopHorizon
from optsched.search import rolling
from optsched.search.rolling import Pace
from optsched.search.sub_solve import Limits
from optsched.session import Session
from optsched.solvers.base import Verdict

QUICK = {"window": 12, "step": 5, "patience": None, "effort": 0.2}


# ---- the search by itself, on a toy --------------------------------------------------------


class Toy:
    """Items in a row; the plan says in which window each was decided."""

    def __init__(self, items: int) -> None:
        self.items = items
        self.windows: list[tuple[list[int], list[int]]] = []  # done, window

    def empty(self) -> Any:
        return np.zeros(self.items, dtype=int)

    def window(self, done: Any, size: int) -> Any:
        window = np.zeros(self.items, dtype=bool)
        window[np.flatnonzero(~done)[:size]] = True
        return window

    def part(self, plan: Any, done: Any, window: Any) -> Any:
        self.windows.append((np.flatnonzero(done).tolist(), np.flatnonzero(window).tolist()))
        return plan, done, window

    def keep(self, plan: Any, window: Any, step: int) -> Any:
        kept = np.zeros(self.items, dtype=bool)
        kept[np.flatnonzero(window)[:step]] = True
        return kept


class Row(FewOnes):
    """A plan is a solution as it is."""

    def check(self, solution: Any) -> Any:
        return []

    def objective(self, solution: Any) -> int:
        return int(np.sum(solution))


def roll(
    toy: Toy, answer: Callable[[Any, Limits], Any], pace: Pace, limit: float | None = None
) -> tuple[Session, StopReason]:
    session = Session(Row(toy.items), Deadline(limit))
    reason = rolling.run(session, toy, lambda build, limits: answer(build(), limits), pace=pace)
    return session, reason


def accept(part: Any, limits: Limits) -> Any:
    plan, _, window = part
    return Verdict.OPTIMAL, np.where(window, 1, plan)


def test_windows_overlap_and_cover_everything() -> None:
    toy = Toy(20)
    session, reason = roll(toy, accept, Pace(window=8, step=3))
    assert reason is StopReason.HEURISTIC
    assert session.objective == 20
    assert session.bound is None
    assert [(len(done), window[0], len(window)) for done, window in toy.windows] == [
        (0, 0, 8), (3, 3, 8), (6, 6, 8), (9, 9, 8), (12, 12, 8)
    ]  # fmt: skip


def test_one_window_may_be_everything() -> None:
    toy = Toy(5)
    assert roll(toy, accept, Pace())[0].objective == 5
    assert len(toy.windows) == 1


def test_a_dead_end_is_taken_back() -> None:
    """A window that has items 6 and 7 but not item 2 has no solution: 2 must be decided again."""
    toy = Toy(12)

    def answer(part: Any, limits: Limits) -> Any:
        _, done, window = part
        if window[6] and done[2]:
            return Verdict.INFEASIBLE, None
        return accept(part, limits)

    session, reason = roll(toy, answer, Pace(window=4, step=3))
    assert (session.objective, reason) == (12, StopReason.HEURISTIC)
    assert any(not done and 6 in window for done, window in toy.windows)


def test_hopeless_windows_end_without_a_plan() -> None:
    toy = Toy(12)
    session, reason = roll(toy, lambda part, limits: (Verdict.INFEASIBLE, None), Pace())
    assert (session.solution, session.infeasible, reason) == (None, False, StopReason.SOLVER)


def test_a_window_that_ran_out_of_time_is_given_more() -> None:
    given: list[float] = []

    def slow(part: Any, limits: Limits) -> Any:
        given.append(limits.seconds)
        return accept(part, limits) if limits.seconds > 3 else (Verdict.STOPPED, None)

    session, _ = roll(Toy(4), slow, Pace(window=4, step=4, window_time=1.0))
    assert session.objective == 4
    assert given == [1.0, 2.0, 4.0]


def test_the_time_limit_is_shared_among_the_windows() -> None:
    given: list[float] = []

    def note(part: Any, limits: Limits) -> Any:
        given.append(limits.seconds)
        return accept(part, limits)

    roll(Toy(20), note, Pace(window=8, step=3), limit=100.0)
    assert len(given) == 5
    assert given[0] <= 20.0
    assert 90 < given[-1] <= 100 or given[-1] == 60.0


def test_it_stops_when_the_session_does() -> None:
    toy = Toy(10)
    session = Session(Row(10), Deadline(0.0))
    reason = rolling.run(session, toy, lambda build, limits: accept(build(), limits))
    assert (reason, session.solution, toy.windows) == (StopReason.TIME, None, [])


def test_a_wrong_outcome_is_refused() -> None:
    class Strict(Row):
        def check(self, solution: Any) -> Any:
            return ["wrong"]

    with pytest.raises(VerificationError, match="rolling returned an invalid solution"):
        rolling.run(
            Session(Strict(3), Deadline()), Toy(3), lambda build, limits: accept(build(), limits)
        )


# ---- the job shop's view ------------------------------------------------------------------


def test_operations_enter_by_their_relative_position() -> None:
    problem = JobShop(jobs=[[(0, 1)] * 2, [(1, 1)] * 4])
    view = JobShopHorizon(problem)
    done = np.zeros(6, dtype=bool)
    entered = [np.flatnonzero(view.window(done, k)).tolist() for k in range(1, 7)]
    # Relative positions: 0, 1/2 of the first job; 0, 1/4, 1/2, 3/4 of the second.
    assert entered[1] == [0, 2]
    assert entered[2] == [0, 2, 3]
    assert entered[4] == [0, 1, 2, 3, 4]
    assert entered[5] == [0, 1, 2, 3, 4, 5]


def test_operations_without_a_buffer_stay_together() -> None:
    names = [["none", "none", "unlimited", "no-wait", "unlimited"], ["unlimited"] * 5]
    problem = JobShop(jobs=[[(k % 3, 2) for k in range(5)]] * 2, buffers=names)
    view = JobShopHorizon(problem)
    runs = ({0, 1, 2}, {3, 4})
    done = np.zeros(10, dtype=bool)
    for size in range(1, 11):
        window = set(np.flatnonzero(view.window(done, size)).tolist())
        assert all(run <= window or not run & window for run in runs)
    plan = op.solve(problem, "cpsat", workers=1).solution
    for step in range(1, 11):
        kept = set(np.flatnonzero(view.keep(plan, ~done, step)).tolist())
        assert all(run <= kept or not run & kept for run in runs)
        assert len(kept) >= step


def test_every_variant_gets_a_checked_schedule() -> None:
    """All features, tiny windows; where deadlines allow, whatever is kept on the way."""
    rng = random.Random(11)
    solved = 0
    for _ in range(50):
        shop = brute_force.random_full_shop(rng)
        shop.pop("deadline", None)
        shop["objective"] = rng.choice(brute_force.OBJECTIVES)
        if shop["objective"] in ("total_weighted_tardiness", "maximum_lateness"):
            shop["due"] = [rng.randint(0, 10) for _ in shop["jobs"]]
        problem = JobShop(**shop)
        session = Session(problem, Deadline())
        options = {"window": 2, "step": 1, "tails": rng.random() < 0.5, "patience": None}
        decomposing.run(
            "rolling", session, horizon, workers=1, seed=0, options=options | {"effort": 0.5}
        )
        solved += session.solution is not None
        assert session.bound is None
        if session.solution is None:  # as where a job needs a setup but may not wait
            whole = op.solve(problem, "cpsat", workers=1)
            assert whole.status is Status.INFEASIBLE, shop
    assert solved >= 40


def test_deadlines_are_met_by_looking_again() -> None:
    rng = random.Random(3)
    found = 0
    for _ in range(30):
        shop = brute_force.random_shop(rng, tight_deadlines=True)
        best = brute_force.optimum(shop)
        result = op.solve(
            JobShop(**shop), "rolling", workers=1,
            options={"window": 2, "step": 1, "effort": 0.5, "patience": None},
        )  # fmt: skip
        if best is None:
            assert result.solution is None
        elif result.solution is not None:
            found += 1
            assert result.objective >= best
    assert found >= 10


# ---- solver="rolling" ---------------------------------------------------------------------


def test_one_window_of_everything_is_the_optimum() -> None:
    problem = JobShop(jobs=brute_force.FT06)
    options = {"window": 36, "step": 36, "patience": None}
    assert op.solve(problem, "rolling", workers=1, options=options).objective == 55


def test_it_repeats_and_beats_dispatching() -> None:
    problem = flexible(12, 6, 8)
    runs = [op.solve(problem, "rolling", workers=1, options=QUICK | {"window": 30, "step": 12})
            for _ in range(2)]  # fmt: skip
    assert runs[0].solution.to_dict() == runs[1].solution.to_dict()
    assert runs[0].stop is StopReason.HEURISTIC
    assert runs[0].trace[-1].source == "rolling"
    assert runs[0].objective < op.solve(problem, "heuristic").objective


def test_defaults_are_the_published_ones() -> None:
    pace = Pace()
    assert (pace.window, pace.step, pace.window_time, pace.patience) == (80, 30, 60.0, 3.0)
    for name in ("window", "step", "window_time", "patience"):
        assert ROLLING_OPTIONS[name] == getattr(pace, name)


def test_patience_ends_a_window() -> None:
    """A shop that is not solved in an hour ends soon: nothing better comes for a while."""
    problem = JobShop(jobs=brute_force.large_jobs(20, 15, seed=5))
    options = {"window": 300, "step": 300, "patience": 0.5, "window_time": 300.0}
    result = op.solve(problem, "rolling", workers=1, time_limit=300, options=options)
    assert result.stop is StopReason.HEURISTIC
    assert result.time < 200


def test_deadline_holds() -> None:
    problem = flexible(30, 10, 20)
    result = op.solve(problem, "rolling", time_limit=2, workers=1)
    assert result.time < 7
    assert problem.check(result.solution) == []


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"windw": 3}, "solver rolling: unknown option 'windw'.*did you mean window"),
        ({"window": 0}, "rolling: window 0"),
        ({"window": 1.5}, "rolling: window: 1.5"),
        ({"step": 0}, "rolling: step 0"),
        ({"step": 81}, "rolling: step 81 is not between 1 and the window, 80"),
        ({"overlap": 80}, "rolling: step 0"),
        ({"overlap": -1}, "rolling: overlap -1"),
        ({"overlap": 10, "step": 3}, "make a step of 70, not 3"),
        ({"window_time": 0}, "rolling: window_time 0"),
        ({"window_time": None}, "rolling: window_time None"),
        ({"patience": -1}, "rolling: patience -1"),
        ({"patience": float("inf")}, "rolling: patience inf"),
        ({"effort": True}, "rolling: effort True"),
        ({"tails": 1}, "rolling: tails 1 is neither true nor false"),
        ({"cpsat": {"num_worker": 1}}, "unknown option 'num_worker'"),
    ],
)
def test_bad_options_name_the_culprit(options: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        op.solve(JobShop(jobs=[[(0, 1)]]), "rolling", workers=1, options=options)


def test_families_without_a_horizon_say_so() -> None:
    with pytest.raises(CannotExpressError, match="solver rolling cannot express"):
        op.solve(op.SingleMachine(processing=[1], due=[1]), "rolling")


SUITE = """
name = "windows"
time_limit = 5
workers = 1
instances = ["ft06"]

[[solver]]
label = "published"
solver = "rolling"

[[solver]]
label = "small windows"
solver = "rolling"
options = {{ window = 20, step = 5, patience = 1.0{extra} }}

[[solver]]
label = "lns"
solver = "lns"
options = {{ size = 20, neighbourhoods = ["time", "jobs"] }}
"""


def test_a_suite_names_them_with_options(tmp_path: Path) -> None:
    path = tmp_path / "windows.toml"
    path.write_text(SUITE.format(extra=""), encoding="utf-8")
    solvers = read_suite(path).solvers
    assert [spec.solver for spec in solvers] == ["rolling", "rolling", "lns"]
    assert solvers[1].options == {"window": 20, "step": 5, "patience": 1.0}
    path.write_text(SUITE.format(extra=", windw = 3"), encoding="utf-8")
    with pytest.raises(InputError, match="unknown option 'windw'"):
        read_suite(path)
