"""The session: nothing unverified passes, bounds and incumbents only improve, stops are said."""

from __future__ import annotations

import itertools
import json
import threading
from typing import Any

import brute_force
import pytest

from optsched import InputError, JobShop, JobShopSolution, VerificationError
from optsched.core import Deadline
from optsched.result import Event, Result, Status, StopReason, relative_gap
from optsched.session import Session, hint_from

JOBS = [[(0, 3), (1, 2)], [(1, 4), (0, 1)]]
MACHINE = [0, 1, 1, 0]
BEST = JobShopSolution([0, 4, 0, 4], MACHINE)  # 6
WORSE = JobShopSolution([0, 4, 0, 5], MACHINE)  # 6
WORST = JobShopSolution([9, 12, 0, 4], MACHINE)  # 14
INVALID = JobShopSolution([0, 2, 0, 4], MACHINE)


def session(limit: float | None = None, **options: Any) -> Session:
    return Session(JobShop(JOBS, name="two"), Deadline(limit), **options)


def test_incumbents_only_improve() -> None:
    s = session()
    assert s.offer(WORST, "a")
    assert s.offer(BEST, "b")
    assert not s.offer(WORST, "c")
    assert not s.offer(WORSE, "d")  # equal is not better
    assert s.solution is BEST
    assert s.objective == 6
    assert [(e.objective, e.source) for e in s.trace] == [(14, "a"), (6, "b")]


def test_bounds_only_improve() -> None:
    s = session()
    assert s.prove(3, "a")
    assert not s.prove(2, "b")
    assert not s.prove(3, "c")
    assert s.prove(5, "d")
    assert s.bound == 5
    assert [e.bound for e in s.trace] == [3, 5]


def test_proof_is_bound_equal_to_objective() -> None:
    s = session()
    s.offer(BEST, "a")
    s.prove(5, "b")
    assert not s.proven
    assert s.outcome(StopReason.HEURISTIC) == (Status.FEASIBLE, StopReason.HEURISTIC)
    s.prove(6, "b")
    assert s.proven
    assert s.stopped
    assert s.outcome(StopReason.TIME) == (Status.OPTIMAL, StopReason.PROOF)


def test_invalid_solution_is_a_verification_error_and_stays_out() -> None:
    s = session()
    with pytest.raises(VerificationError, match=r"two: liar .*job 0, operation 1"):
        s.offer(INVALID, "liar")
    assert s.solution is None
    assert s.trace == []
    assert isinstance(s.error, VerificationError)
    assert s.stopped


@pytest.mark.parametrize("claimed", [5, 7, 5.9, 6.1, 0, float("nan"), float("inf")])
def test_wrong_claim_is_a_verification_error(claimed: float) -> None:
    with pytest.raises(VerificationError, match="claims"):
        session().offer(BEST, "liar", claimed=claimed)


@pytest.mark.parametrize("claimed", [6, 6.0, 6.0000001])
def test_right_claim_within_float_error(claimed: float) -> None:
    assert session().offer(BEST, "honest", claimed=claimed)


def test_bound_above_the_incumbent_is_a_verification_error() -> None:
    s = session()
    s.offer(BEST, "a")
    with pytest.raises(VerificationError, match="proves 7"):
        s.prove(7, "liar")


def test_incumbent_below_the_bound_is_a_verification_error() -> None:
    s = session()
    s.prove(7, "liar")
    with pytest.raises(VerificationError, match="below the proven bound 7"):
        s.offer(BEST, "a")
    assert s.solution is None


def test_infeasible_with_an_incumbent_is_a_verification_error() -> None:
    s = session()
    s.offer(BEST, "a")
    with pytest.raises(VerificationError):
        s.prove_infeasible("liar")


def test_incumbent_of_an_infeasible_instance_is_a_verification_error() -> None:
    s = session()
    s.prove_infeasible("liar")
    with pytest.raises(VerificationError):
        s.offer(BEST, "a")


def test_infeasible() -> None:
    s = session()
    s.prove_infeasible("cpsat", "because")
    assert s.outcome(StopReason.TIME) == (Status.INFEASIBLE, StopReason.PROOF)
    assert s.message == "because"


def test_nothing_found() -> None:
    assert session().outcome(StopReason.SOLVER) == (Status.UNKNOWN, StopReason.SOLVER)
    assert session(0.0).outcome(StopReason.SOLVER) == (Status.UNKNOWN, StopReason.TIME)


def test_user_stop() -> None:
    s = session()
    s.offer(BEST, "a")
    s.interrupt()
    assert s.stopped
    assert s.outcome(StopReason.TIME) == (Status.FEASIBLE, StopReason.USER)


def test_gap_limit() -> None:
    s = session(gap_limit=0.2)
    s.offer(BEST, "a")
    s.prove(4, "b")
    assert not s.stopped
    s.prove(5, "b")
    assert s.stopped
    assert s.outcome(StopReason.TIME) == (Status.FEASIBLE, StopReason.GAP)


def test_callbacks_are_woken_once_stopped() -> None:
    s = session()
    woken: list[str] = []
    s.when_stopped(lambda: woken.append("early"))
    assert woken == []
    s.interrupt()
    assert "early" in woken
    s.when_stopped(lambda: woken.append("late"))
    assert "late" in woken


def test_late_reports_are_ignored_after_the_close() -> None:
    s = session()
    s.offer(WORST, "a")
    s.close()
    assert not s.offer(BEST, "late")
    assert not s.prove(5, "late")
    s.prove_infeasible("late")
    s.fail(VerificationError("late"))
    assert (s.objective, s.bound, s.infeasible, s.error) == (14, None, False, None)


def test_events_reach_the_listener_in_order() -> None:
    seen: list[Event] = []
    s = session(on_event=seen.append)
    s.prove(1, "x")
    s.offer(WORST, "a")
    s.prove(4, "x")
    s.offer(BEST, "b")
    assert seen == s.trace
    assert [(e.objective, e.bound) for e in seen] == [(None, 1), (14, 1), (14, 4), (6, 4)]
    assert all(a.time <= b.time for a, b in itertools.pairwise(seen))


def test_many_threads_leave_a_consistent_trace() -> None:
    problem = JobShop([[(0, 1)]])
    s = Session(problem, Deadline(None))

    def work(shift: int) -> None:
        for k in range(60, 0, -1):
            s.offer(JobShopSolution([k * 8 + shift], [0]), str(shift))
            s.prove(min(1, -k), str(shift))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert s.objective == 9
    values = [e.objective for e in s.trace if e.objective is not None]
    bounds = [e.bound for e in s.trace if e.bound is not None]
    times = [e.time for e in s.trace]
    assert values == sorted(values, reverse=True)
    assert bounds == sorted(bounds)
    assert times == sorted(times)


# ---- hints --------------------------------------------------------------------------------


@pytest.mark.parametrize("hint", [BEST, BEST.to_dict(), {"solution": BEST.to_dict()}])
def test_hint_as_solution_data_or_result(hint: Any) -> None:
    assert hint_from(JobShop(JOBS), hint).to_dict() == BEST.to_dict()


@pytest.mark.parametrize(
    "hint",
    [
        INVALID, JobShopSolution([0], [0]), JobShopSolution([0, 4, 0, 4], [0, 1, 1, 9]), {}, [], 5,
        "best", {"solution": None}, {"solution": 5}, {"start": [0, 4, 0, 4]},
        {"start": [0, 4, 0, "x"], "machine": MACHINE}, {"start": None, "machine": None},
        {"solution": {"solution": BEST.to_dict()}}, JobShop(JOBS),
    ],
    ids=repr,
)  # fmt: skip
def test_wrong_hint_is_an_input_error_of_one_line(hint: Any) -> None:
    with pytest.raises(InputError) as caught:
        hint_from(JobShop(JOBS), hint)
    assert "\n" not in str(caught.value)


def test_hint_of_another_instance_names_the_culprit() -> None:
    with pytest.raises(InputError, match=r"job \d|operations"):
        hint_from(JobShop(brute_force.FT06), BEST)


# ---- results ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("objective", "bound", "gap"),
    [
        (None, None, None), (10, None, None), (None, 5, None), (10, 10, 0.0), (10, 5, 0.5),
        (0, 0, 0.0), (0, -5, 1.0), (-10, -15, 0.5), (5, -5, 2.0),
    ],
)  # fmt: skip
def test_relative_gap(objective: Any, bound: Any, gap: float | None) -> None:
    assert relative_gap(objective, bound) == gap


def test_result_round_trips_through_json() -> None:
    event = Event(0.25, 6, None, "heuristic:SPT")
    result = Result(
        Status.FEASIBLE, StopReason.TIME, 6, None, BEST, (event,), 1.0, "cpsat", 3, 2,
        JobShop(JOBS, name="two"),
    )  # fmt: skip
    data = json.loads(result.to_json())
    assert data == json.loads(json.dumps(result.to_dict()))
    for key in ("status", "objective", "bound", "gap", "solver", "time", "trace", "solution"):
        assert key in data
    assert (data["status"], data["stop"], data["bound"], data["gap"]) == (
        "FEASIBLE", "TIME", None, None,
    )  # fmt: skip
    assert data["trace"] == [event.to_dict()]
    assert hint_from(JobShop(JOBS), data).to_dict() == BEST.to_dict()
