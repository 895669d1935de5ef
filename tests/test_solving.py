"""solve, stream, compile: the contracts, with honest solvers, lying ones, and ones that die."""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import brute_force
import numpy as np
import psutil
import pytest
from conftest import RunScript, script_environment

import optsched
from optsched import (
    CannotExpressError,
    Event,
    InputError,
    JobShop,
    JobShopSolution,
    OptschedError,
    SolverError,
    Status,
    StopReason,
    VerificationError,
)
from optsched.solvers import MODULES
from optsched.solvers.base import Control, Verdict

JOBS = [[(0, 3), (1, 2)], [(1, 4), (0, 1)]]
EXACT = ("cpsat", "highs", "pulp")
ALL = (*EXACT, "auto", "native", "heuristic")
HARD = brute_force.large_jobs(20, 15)  # far from a proof within seconds


def ft06() -> JobShop:
    return JobShop(brute_force.FT06, name="ft06")


@pytest.fixture
def no_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch off our own bounds, which would prove small instances before a solver is asked."""
    if importlib.util.find_spec("optsched.problems.job_shop.bounds") is not None:
        bounds = importlib.import_module("optsched.problems.job_shop.bounds")
        monkeypatch.setattr(bounds, "lower_bound", lambda *_: None)


@pytest.fixture
def no_heuristics(monkeypatch: pytest.MonkeyPatch) -> None:
    heuristics = importlib.import_module("optsched.problems.job_shop.heuristics")
    monkeypatch.setattr(heuristics, "construct", lambda *_: None)


# ---- arguments ----------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [-1, -1e-9, float("nan"), -float("inf")])
def test_bad_time_limit(limit: float) -> None:
    with pytest.raises(InputError, match="time_limit"):
        optsched.solve(ft06(), time_limit=limit)
    with pytest.raises(InputError, match="time_limit"):
        optsched.stream(ft06(), time_limit=limit)


@pytest.mark.parametrize(
    "options",
    [{"workers": 0}, {"workers": -1}, {"gap_limit": -0.1}, {"gap_limit": float("nan")},
     {"gap_limit": float("inf")}, {"seed": -1}],
    ids=str,
)  # fmt: skip
def test_bad_argument_is_named(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        optsched.solve(ft06(), **options)


def test_infinite_time_limit_is_none() -> None:
    assert optsched.solve(JobShop(JOBS), "cpsat", time_limit=float("inf")).status == "OPTIMAL"


@pytest.mark.parametrize(
    ("solver", "nearest"), [("cp-sat", "cpsat"), ("highss", "highs"), ("heuristics", "heuristic")]
)
def test_unknown_solver_suggests_the_nearest(solver: str, nearest: str) -> None:
    with pytest.raises(InputError, match=f"did you mean {nearest}"):
        optsched.solve(ft06(), solver)


def test_unknown_solver_lists_them_all() -> None:
    with pytest.raises(InputError, match=r"unknown solver ''.*cpsat.*highs.*pulp"):
        optsched.solve(ft06(), "")


@pytest.mark.parametrize(
    ("solver", "culprit"),
    [("cpsat:fast", "fast"), ("highs:ipm", "ipm"), ("heuristic:SPT", "SPT"),
     ("pulp:CBC", "CBC"), ("pulp:PULP_CBC", "PULP_CBC_CMD")],
)  # fmt: skip
def test_unknown_variant(solver: str, culprit: str) -> None:
    with pytest.raises(InputError, match=culprit):
        optsched.solve(ft06(), solver)


@pytest.mark.parametrize(
    ("solver", "option", "nearest"),
    [("cpsat", "linearization_levl", "linearization_level"), ("highs", "mip_rel_gapp", "mip_rel"),
     ("pulp", "gapRell", "gapRell"), ("heuristic", "rule", "rule")],
)  # fmt: skip
def test_unknown_option_suggests_the_nearest(solver: str, option: str, nearest: str) -> None:
    with pytest.raises(InputError, match=nearest) as caught:
        optsched.solve(ft06(), solver, options={option: 0})
    assert option in str(caught.value)


@pytest.mark.parametrize(
    ("solver", "options"),
    [("cpsat", {"linearization_level": "high"}), ("cpsat", {"subsolvers": 5}),
     ("highs", {"mip_rel_gap": "small"}), ("highs", {"threads": -7})],
)  # fmt: skip
def test_option_of_the_wrong_type(solver: str, options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        optsched.solve(ft06(), solver, options=options)


@pytest.mark.parametrize(
    ("solver", "options"),
    [("cpsat", {"linearization_level": 0}), ("cpsat", {"subsolvers": ["no_lp"]}),
     ("highs", {"mip_heuristic_effort": 0.2}), ("pulp", {"presolve": False})],
)  # fmt: skip
def test_options_reach_the_solver(solver: str, options: dict[str, Any]) -> None:
    assert optsched.solve(JobShop(JOBS), solver, options=options, workers=1).status == "OPTIMAL"


# ---- features -----------------------------------------------------------------------------

FEATURED = {
    "classic": {},
    "calendars": {"calendars": {0: [(2, 4)]}},
    "resumable": {"calendars": {0: [(2, 4)]}, "resumable": True},
    "blocking": {"buffers": "none"},
    "blocking with swap": {"buffers": "none", "swap": True},
    "no-wait": {"buffers": "no-wait"},
    "setup": {"setup": [[0, 2], [1, 0]]},
    "transport": {"transport": [[0, 1], [2, 0]]},
    "lags": {"lags": [[2, 0], [1, 0]]},
    "release": {"release": [3, 1]},
    "deadline": {"deadline": [None, 20]},
}


@pytest.mark.parametrize("feature", FEATURED)
def test_every_solver_honours_a_feature_or_says_who_does(feature: str) -> None:
    problem = JobShop(JOBS, **FEATURED[feature])
    able, unable = {}, {}
    for solver in ("native", "heuristic", *EXACT):
        try:
            result = optsched.solve(problem, solver, time_limit=5, workers=1)
        except CannotExpressError as error:
            unable[solver] = str(error)
            continue
        able[solver] = result
        assert result.solution is not None
        assert problem.check(result.solution) == []
    assert len({able[s].objective for s in EXACT if s in able}) <= 1
    for solver, message in unable.items():
        assert solver in message
        for other in able:
            assert other in message, (message, other)
        if not able:
            assert "no solver" in message


def test_the_feature_that_is_missing_is_named_before_anything_is_built(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    milp = importlib.import_module("optsched.problems.job_shop.milp")
    monkeypatch.setattr(milp, "SUPPORTS", milp.SUPPORTS - {"release dates"})
    monkeypatch.setattr(milp, "build", lambda *_, **__: pytest.fail("built"))
    with pytest.raises(CannotExpressError, match=r"highs .*release dates.*cpsat") as caught:
        optsched.solve(JobShop(JOBS, release=[1, 2]), "highs")
    assert "pulp" not in str(caught.value)


# ---- honest solves ------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ALL)
def test_time_limit_zero_returns_the_checked_heuristic_solution(solver: str) -> None:
    problem = JobShop(HARD)
    begun = time.perf_counter()
    result = optsched.solve(problem, solver, time_limit=0)
    assert time.perf_counter() - begun < 2
    assert (result.status, result.stop) == (Status.FEASIBLE, StopReason.TIME)
    assert problem.check(result.solution) == []
    assert result.objective == problem.objective(result.solution)


@pytest.mark.usefixtures("no_bounds")
@pytest.mark.parametrize("solver", [*EXACT, "auto"])
def test_result_is_complete_and_goes_through_json(solver: str) -> None:
    jobs = [job[:3] for job in brute_force.FT06[:4]]
    problem = JobShop(jobs, name="four")
    result = optsched.solve(problem, solver, time_limit=30, workers=2, seed=3)
    assert (result.status, result.stop) == (Status.OPTIMAL, StopReason.PROOF)
    assert result.objective == result.bound == brute_force.optimum({"jobs": jobs})
    assert result.gap == 0.0
    assert result.problem is problem
    assert (result.seed, result.workers) == (3, 2)
    assert result.solver.startswith(solver)
    data = json.loads(result.to_json())
    assert data == json.loads(json.dumps(result.to_dict()))
    assert data["instance"] == "four"
    assert data["trace"][-1]["objective"] == data["trace"][-1]["bound"] == result.objective
    again = optsched.solve(problem, "heuristic", hint=data, time_limit=0)
    assert again.objective == result.objective


def assert_monotone(events: Any) -> None:
    """Times never fall; objectives fall, bounds rise, and never cross."""
    assert len(events) > 0
    for a, b in itertools.pairwise(events):
        assert a.time <= b.time
        assert a.objective is None or b.objective <= a.objective
        assert a.bound is None or b.bound >= a.bound
        assert (a.objective, a.bound) != (b.objective, b.bound)
    for event in events:
        assert event.objective is None or event.bound is None or event.bound <= event.objective
        assert isinstance(event, Event)
        assert event.source


@pytest.mark.parametrize("solver", [*EXACT, "auto", "heuristic"])
def test_events_are_monotone_and_all_in_the_trace(solver: str) -> None:
    seen: list[Event] = []
    result = optsched.solve(
        JobShop(brute_force.FT10), solver, time_limit=2, workers=1, on_event=seen.append
    )
    assert tuple(seen) == result.trace
    assert_monotone(seen)
    assert seen[-1].objective == result.objective
    assert seen[-1].bound == result.bound
    assert seen[-1].time <= result.time


@pytest.mark.usefixtures("no_bounds")
@pytest.mark.parametrize("solver", ["cpsat", "highs"])
def test_incumbents_and_bounds_come_from_both_event_solvers(solver: str) -> None:
    result = optsched.solve(ft06(), solver, time_limit=60, workers=1)
    assert result.objective == 55
    own = [e for e in result.trace if e.source == solver]
    assert any(b.bound != a.bound for a, b in itertools.pairwise(result.trace))
    assert own
    assert len({e.objective for e in result.trace}) > 1


@pytest.mark.usefixtures("no_bounds")
@pytest.mark.parametrize("solver", [*EXACT, "auto"])
def test_same_seed_and_one_worker_same_result(solver: str) -> None:
    def run() -> Any:
        result = optsched.solve(JobShop(brute_force.FT06[:5]), solver, workers=1, seed=11)
        # How often a bound is told between two incumbents goes by the clock (HiGHS); the incumbents
        # and the result do not.
        incumbents = [key for key, _ in itertools.groupby(e.objective for e in result.trace)]
        return (result.status, result.objective, result.solution.to_dict(), incumbents)

    first = run()
    assert first[0] is Status.OPTIMAL
    assert run() == first


@pytest.mark.parametrize("solver", EXACT)
@pytest.mark.parametrize("settled", [True, False])
def test_infeasible(solver: str, settled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """By dates alone (seen while building), or only because the machine is shared."""
    deadline = [2, 9] if settled else [6, 6]
    problem = JobShop([[(0, 4)], [(0, 4)]], deadline=deadline)
    seen: list[Event] = []
    result = optsched.solve(problem, solver, workers=1, on_event=seen.append)
    assert (result.status, result.stop) == (Status.INFEASIBLE, StopReason.PROOF)
    assert (result.objective, result.bound, result.solution, result.gap) == (None,) * 4
    assert result.message
    assert json.loads(result.to_json())["status"] == "INFEASIBLE"


@pytest.mark.parametrize("solver", EXACT)
def test_gap_limit_stops_as_gap(solver: str) -> None:
    result = optsched.solve(JobShop(brute_force.FT10), solver, gap_limit=0.6, workers=1,
                            time_limit=30)  # fmt: skip
    assert (result.status, result.stop) == (Status.FEASIBLE, StopReason.GAP)
    assert result.gap is not None
    assert 0 < result.gap <= 0.6


# ---- hints --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def best06() -> Any:
    result = optsched.solve(ft06(), "cpsat")
    assert result.objective == 55
    return result


@pytest.mark.parametrize("solver", ALL)
def test_never_worse_than_the_hint(solver: str, best06: Any) -> None:
    result = optsched.solve(ft06(), solver, hint=best06.solution, time_limit=0)
    assert result.objective == 55
    assert result.trace[0].source == "hint"


@pytest.mark.parametrize("solver", EXACT)
def test_hint_as_dictionary_and_result(solver: str, best06: Any) -> None:
    for hint in (best06.solution.to_dict(), best06.to_dict(), json.loads(best06.to_json())):
        result = optsched.solve(ft06(), solver, hint=hint, time_limit=30, workers=1)
        assert result.objective == 55
        assert result.status is Status.OPTIMAL


@pytest.mark.usefixtures("no_heuristics", "no_bounds")
@pytest.mark.parametrize("solver", EXACT)
def test_warm_start_reaches_the_solver(solver: str, best06: Any) -> None:
    """Without rules of ours, only the hint is there to begin with; it has to be provable."""
    result = optsched.solve(ft06(), solver, hint=best06.solution, time_limit=30, workers=1)
    assert (result.status, result.objective) == (Status.OPTIMAL, 55)
    assert {e.objective for e in result.trace} == {55}


@pytest.mark.parametrize("solver", EXACT)
def test_a_poor_hint_with_idle_time_does_no_harm(solver: str) -> None:
    """Feasible, but beyond every horizon that a model would draw."""
    hint = JobShopSolution([1000, 4000, 0, 5000], [0, 1, 1, 0])
    result = optsched.solve(JobShop(JOBS), solver, hint=hint, workers=1)
    assert (result.status, result.objective) == (Status.OPTIMAL, 6)


@pytest.mark.usefixtures("no_heuristics", "no_bounds")
@pytest.mark.parametrize("solver", EXACT)
def test_a_late_hint_alone_does_no_harm(solver: str) -> None:
    problem = JobShop(JOBS, objective="total_weighted_tardiness", due=[4, 4], weight=[1, 0])
    hint = JobShopSolution([0, 4, 0, 5000], [0, 1, 1, 0])
    result = optsched.solve(problem, solver, hint=hint, workers=1)
    assert (result.status, result.objective) == (Status.OPTIMAL, 1)


@pytest.mark.parametrize(
    "hint",
    [JobShopSolution([0, 2, 0, 4], [0, 1, 1, 0]), JobShopSolution([0], [0]), {}, {"solution": None},
     "best", 5],
    ids=repr,
)  # fmt: skip
def test_wrong_hint_is_an_input_error(hint: Any) -> None:
    with pytest.raises(InputError, match=r"hint|solution"):
        optsched.solve(JobShop(JOBS), hint=hint)


# ---- lying solvers ------------------------------------------------------------------------

Behaviour = Callable[[Any, Control], Verdict]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Callable[[Behaviour], None]:
    """Install a solver named "fake" that takes the CP-SAT model and does as it is told."""

    def install(behaviour: Behaviour) -> None:
        module = types.ModuleType("fake_solver")
        module.BACKEND = "cpsat"  # type: ignore[attr-defined]
        module.check_options = lambda options, variant: None  # type: ignore[attr-defined]
        module.run = behaviour  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "fake_solver", module)
        monkeypatch.setitem(MODULES, "fake", "fake_solver")

    return install


def values_of(compiled: Any, start: list[int]) -> Any:
    """Return the model's values of a schedule, true or not."""
    values = np.zeros(len(compiled.model.proto.variables))
    values[[v.index for v in compiled.start]] = start
    return values


GOOD = [0, 4, 0, 4]  # makespan 6


def lie_invalid(compiled: Any, control: Control) -> Verdict:
    control.on_solution(values_of(compiled, [0, 0, 0, 0]), 5.0)
    return Verdict.STOPPED


def lie_objective(compiled: Any, control: Control) -> Verdict:
    control.on_solution(values_of(compiled, GOOD), 5.0)
    return Verdict.STOPPED


def lie_bound(compiled: Any, control: Control) -> Verdict:
    control.on_solution(values_of(compiled, GOOD), 6.0)
    control.on_bound(7.0)
    return Verdict.OPTIMAL


def lie_bound_first(compiled: Any, control: Control) -> Verdict:
    control.on_bound(7.0)
    control.on_solution(values_of(compiled, GOOD), 6.0)
    return Verdict.STOPPED


def lie_infeasible(compiled: Any, control: Control) -> Verdict:
    control.on_solution(values_of(compiled, GOOD), 6.0)
    return Verdict.INFEASIBLE


@pytest.mark.usefixtures("no_heuristics", "no_bounds")
@pytest.mark.parametrize(
    "lie", [lie_invalid, lie_objective, lie_bound, lie_bound_first, lie_infeasible],
    ids=lambda lie: lie.__name__,
)  # fmt: skip
def test_lies_are_verification_errors(lie: Behaviour, fake: Callable[[Behaviour], None]) -> None:
    fake(lie)
    # A deadline far from tight keeps the value of `GOOD` (6) above the least makespan.
    with pytest.raises(VerificationError, match="fake"):
        optsched.solve(JobShop([*JOBS[:1], [(1, 4), (0, 1)]]), "fake")


@pytest.mark.usefixtures("no_heuristics", "no_bounds")
def test_a_claim_of_optimality_without_a_bound_is_not_believed(
    fake: Callable[[Behaviour], None],
) -> None:
    def claim(compiled: Any, control: Control) -> Verdict:
        control.on_solution(values_of(compiled, [0, 5, 0, 4]), 7.0)
        return Verdict.OPTIMAL

    fake(claim)
    result = optsched.solve(JobShop(JOBS), "fake")
    assert (result.status, result.objective, result.bound) == (Status.FEASIBLE, 7, None)


@pytest.mark.usefixtures("no_heuristics", "no_bounds")
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e30, -1e30])
def test_a_bound_that_is_no_number_is_ignored(
    value: float, fake: Callable[[Behaviour], None]
) -> None:
    def bound(compiled: Any, control: Control) -> Verdict:
        control.on_bound(value)
        control.on_solution(values_of(compiled, GOOD), 6.0)
        return Verdict.STOPPED

    fake(bound)
    result = optsched.solve(JobShop(JOBS), "fake")
    assert (result.objective, result.bound) == (6, None)


@pytest.mark.usefixtures("no_heuristics", "no_bounds")
@pytest.mark.parametrize(("value", "bound"), [(5.0, 5), (4.2, 5), (4.0000001, 4), (3.9999999, 4)])
def test_integer_bounds_are_rounded_up_with_tolerance(
    value: float, bound: int, fake: Callable[[Behaviour], None]
) -> None:
    def run(compiled: Any, control: Control) -> Verdict:
        control.on_bound(value)
        return Verdict.STOPPED

    fake(run)
    result = optsched.solve(JobShop(JOBS), "fake")
    assert (result.status, result.bound, type(result.bound)) == (Status.UNKNOWN, bound, int)


def test_an_exception_in_a_solver_reaches_the_caller(fake: Callable[[Behaviour], None]) -> None:
    def crash(compiled: Any, control: Control) -> Verdict:
        raise ZeroDivisionError("within the solver")

    fake(crash)
    with pytest.raises(ZeroDivisionError, match="within the solver"):
        optsched.solve(JobShop(HARD), "fake")


def test_a_solver_that_overruns_is_left_behind(fake: Callable[[Behaviour], None]) -> None:
    """It reports after the deadline, too, and that is ignored."""
    late = threading.Event()

    def oversleep(compiled: Any, control: Control) -> Verdict:
        time.sleep(3)
        control.on_bound(10.0**6)
        late.set()
        return Verdict.STOPPED

    fake(oversleep)
    problem = JobShop(HARD)
    begun = time.perf_counter()
    result = optsched.solve(problem, "fake", time_limit=0.5)
    assert time.perf_counter() - begun < 2
    assert (result.status, result.stop) == (Status.FEASIBLE, StopReason.TIME)
    assert problem.check(result.solution) == []
    assert late.wait(10)
    assert result.bound is None or result.bound < 10**6


def test_rules_that_overrun_are_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """They do where their kernels must be compiled first."""
    heuristics = importlib.import_module("optsched.problems.job_shop.heuristics")
    problem, ended = JobShop(HARD), threading.Event()

    def oversleep(problem: JobShop, session: Any, seed: int) -> None:
        session.offer(heuristics.dispatch(problem), "first")
        ended.wait(10)

    monkeypatch.setattr(heuristics, "construct", oversleep)
    begun = time.perf_counter()
    result = optsched.solve(problem, "heuristic", time_limit=0.3)
    assert time.perf_counter() - begun < 3
    ended.set()
    assert (result.status, result.stop) == (Status.FEASIBLE, StopReason.TIME)
    assert [event.source for event in result.trace] == ["first"]


COLD = """
import sys, time
import optsched
from optsched.selfcheck.case import draw
sys.path.insert(0, {tests!r})
from brute_force import large_jobs
if {family!r} == "job_shop":
    problem = optsched.JobShop(large_jobs(10, 10))
elif {family!r} == "rcpsp":
    activities = [(1 + k * k % 7, [k % 5, k * k % 4]) for k in range(60)]
    problem = optsched.Rcpsp(activities, [6, 5], [(k, k + 3 + k % 3) for k in range(54)])
else:
    problem = draw({family!r}, 0, 5)
times = []
began = time.perf_counter(), time.process_time()
optsched.solve(
    problem, time_limit=4, workers=2,
    on_event=lambda event: event.objective is None or times.append(time.process_time()),
)
print(times[0] - began[1], time.perf_counter() - began[0], flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("family", ["job_shop", "rcpsp", "memory_tiers"])
def test_first_solve_of_a_fresh_installation(
    family: str, tmp_path: Path, run_script: RunScript, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No kernel is compiled: a solution comes at once, and the deadline holds."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "numba"))
    source = COLD.format(tests=str(Path(__file__).parent), family=family)
    first, total = map(float, run_script(source, timeout=100).stdout.split())
    print(f"{family}: first solution after {first:.2f} s of CPU, end after {total:.2f} s")
    assert first < 3
    assert total < 7


# ---- worker processes ---------------------------------------------------------------------

SLEEPY = """
import os, subprocess, time
from pathlib import Path
from optsched.solvers.worker import remote

BACKEND = "milp"

def check_options(options, variant):
    pass

def run(compiled, control):
    return remote("sleepy_solver", str(Path(__file__).with_name("pids")), control)

def serve(pids, emit, cancelled):
    child = subprocess.Popen(["sleep", "60"])
    Path(pids).write_text(f"{os.getpid()} {child.pid}")
    time.sleep(60)  # deaf to `cancelled`
"""


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def assert_gone(pids: list[int], seconds: float = 5) -> None:
    until = time.perf_counter() + seconds
    while any(map(alive, pids)) and time.perf_counter() < until:
        time.sleep(0.05)
    left = [pid for pid in pids if alive(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert left == []


def worker_pids(parent: int, wanted: int = 1, seconds: float = 20) -> list[int]:
    """Return the solver processes below `parent`, once there are `wanted` of them."""
    until = time.perf_counter() + seconds
    while True:
        below = psutil.Process(parent).children(recursive=True)
        pids = [p.pid for p in below if p.status() != psutil.STATUS_ZOMBIE]
        if len(pids) >= wanted or time.perf_counter() > until:
            return pids
        time.sleep(0.05)


def test_a_worker_that_overruns_is_killed_with_what_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sleepy_solver.py").write_text(SLEEPY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setitem(MODULES, "sleepy", "sleepy_solver")
    # Idle workers were started without that path.
    monkeypatch.setattr(importlib.import_module("optsched.solvers.worker"), "_idle", [])
    problem = JobShop(HARD)
    begun = time.perf_counter()
    result = optsched.solve(problem, "sleepy", time_limit=3)
    assert time.perf_counter() - begun < 4.5
    assert (result.status, result.stop) == (Status.FEASIBLE, StopReason.TIME)
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 2
    assert_gone(pids)


@pytest.mark.parametrize("solver", ["highs", "pulp"])
def test_a_worker_that_crashes_is_a_solver_error_and_the_next_solve_works(
    solver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With no idle worker at hand, the solve starts a new one.
    monkeypatch.setattr(importlib.import_module("optsched.solvers.worker"), "_idle", [])
    before = {p.pid for p in psutil.Process().children()}
    stream = optsched.stream(JobShop(HARD), solver, time_limit=40, workers=1)
    until = time.perf_counter() + 30
    new: list[psutil.Process] = []
    while not new and time.perf_counter() < until:
        time.sleep(0.2)
        new = [p for p in psutil.Process().children() if p.pid not in before]
    below = [p.pid for p in new[0].children(recursive=True)]
    new[0].kill()
    with pytest.raises(SolverError, match="died"):
        _ = stream.result
    assert_gone(below)
    again = optsched.solve(JobShop(JOBS), solver, workers=1, time_limit=30)
    assert again.status is Status.OPTIMAL


HARD_SCRIPT = """
import json, sys
import optsched
sys.path.insert(0, {tests!r})
from brute_force import large_jobs
problem = optsched.JobShop(large_jobs(20, 15))
print("RUN", flush=True)
def told(event):
    print("event", flush=True)
result = optsched.solve(problem, {solver!r}, time_limit=60, workers=1, on_event=told)
violations = problem.check(result.solution)
print(json.dumps([result.status, result.stop, result.objective, len(violations)]), flush=True)
"""


@pytest.fixture
def hard_script(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Start a script, without a guard, that solves something hard; kill it in the end."""
    started: list[subprocess.Popen[str]] = []

    def start(solver: str) -> subprocess.Popen[str]:
        script = tmp_path / "script.py"
        script.write_text(HARD_SCRIPT.format(tests=str(Path(__file__).parent), solver=solver))
        process = subprocess.Popen(
            [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env=script_environment(),
        )  # fmt: skip
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "RUN\n"
        assert process.stdout.readline() == "event\n"
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.mark.parametrize("solver", ["cpsat", "highs", "pulp", "auto"])
def test_ctrl_c_returns_the_incumbent(
    solver: str, hard_script: Callable[[str], subprocess.Popen[str]]
) -> None:
    process = hard_script(solver)
    time.sleep(2.0)  # the solver itself is at work by now
    pids = worker_pids(process.pid, 0)
    begun = time.perf_counter()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert time.perf_counter() - begun < 5
    assert process.returncode == 0, err
    assert "Traceback" not in err
    status, stop, objective, violations = json.loads(out.splitlines()[-1])
    assert (status, stop, violations) == ("FEASIBLE", "USER", 0)
    assert objective > 0
    assert_gone(pids)


@pytest.mark.parametrize("solver", EXACT)
def test_ctrl_c_still_works_after_a_solve(solver: str, run_script: RunScript) -> None:
    """CP-SAT by default takes over SIGINT, and leaves it at "die silently" when it is done."""
    out = run_script(
        "import os, signal, time, optsched\n"
        "from optsched.problems.job_shop import heuristics\n"
        "heuristics.construct = lambda *_: None\n"
        f"optsched.solve(optsched.JobShop({JOBS!r}), {solver!r}, workers=1)\n"
        "try:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(5)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    ).stdout
    assert out.split() == ["interrupted"]


@pytest.mark.parametrize("solver", ["highs", "pulp"])
def test_no_process_outlives_a_killed_parent(
    solver: str, hard_script: Callable[[str], subprocess.Popen[str]]
) -> None:
    process = hard_script(solver)
    wanted = 2 if solver == "pulp" else 1  # the worker, and CBC below it
    pids = worker_pids(process.pid, wanted)
    assert len(pids) >= wanted
    process.kill()
    process.wait()
    assert_gone(pids)


@pytest.mark.parametrize("solver", ["highs", "pulp"])
def test_scripts_need_no_guard(solver: str, run_script: RunScript) -> None:
    """A worker must not run the user's script again (as spawn of multiprocessing would)."""
    out = run_script(
        "print('RUN')\n"
        "import optsched\n"
        "from optsched.problems.job_shop import heuristics\n"
        "heuristics.construct = lambda *_: None\n"
        f"print(optsched.solve(optsched.JobShop({JOBS!r}), {solver!r}, workers=1).objective)\n"
    ).stdout
    assert out.split() == ["RUN", "6"]


def test_solves_in_threads_do_not_mix() -> None:
    found: dict[tuple[str, int], Any] = {}

    def work(solver: str, k: int) -> None:
        problem = JobShop([[(0, 10 + k), (1, 5)], [(1, 7), (0, k + 1)]])
        found[solver, k] = optsched.solve(problem, solver, workers=1).objective

    threads = [
        threading.Thread(target=work, args=(solver, k)) for solver in EXACT for k in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    expected = {
        k: brute_force.optimum({"jobs": [[(0, 10 + k), (1, 5)], [(1, 7), (0, k + 1)]]})
        for k in range(3)
    }
    assert found == {(solver, k): expected[k] for solver in EXACT for k in range(3)}


# ---- streams ------------------------------------------------------------------------------


def test_stream_gives_events_and_then_the_result() -> None:
    stream = optsched.stream(ft06(), "cpsat", time_limit=30, workers=1)
    events = list(stream)
    assert_monotone(events)
    assert tuple(events) == stream.result.trace
    assert stream.result.objective == 55


@pytest.mark.parametrize("solver", EXACT)
def test_closing_a_stream_stops_the_solve(solver: str) -> None:
    stream = optsched.stream(JobShop(HARD), solver, time_limit=60, workers=1)
    for _ in stream:
        break
    time.sleep(0.5)
    begun = time.perf_counter()
    stream.close()
    assert time.perf_counter() - begun < 4
    assert (stream.result.status, stream.result.stop) == (Status.FEASIBLE, StopReason.USER)


def test_leaving_a_with_block_stops_the_solve() -> None:
    begun = time.perf_counter()
    with optsched.stream(JobShop(HARD), "cpsat", time_limit=60, workers=1) as stream:
        next(iter(stream))
    assert stream.result.stop is StopReason.USER
    assert time.perf_counter() - begun < 20


def test_a_forgotten_stream_stops_its_solve() -> None:
    stream = optsched.stream(JobShop(HARD), "cpsat", time_limit=60, workers=1)
    next(iter(stream))
    ended = stream._ended
    del stream
    assert ended.wait(10)


def test_stream_raises_what_the_solve_raises(fake: Callable[[Behaviour], None]) -> None:
    def fail(compiled: Any, control: Control) -> Verdict:
        raise SolverError("out of order")

    fake(fail)
    stream = optsched.stream(JobShop(HARD), "fake")
    with pytest.raises(SolverError, match="out of order"):
        list(stream)
    with pytest.raises(SolverError, match="out of order"):
        _ = stream.result


def test_a_listener_that_raises_does_not_hang_the_solve() -> None:
    def broken(event: Event) -> None:
        raise RuntimeError("listener")

    begun = time.perf_counter()
    with pytest.raises((RuntimeError, OptschedError), match="listener"):
        optsched.solve(JobShop(HARD), "cpsat", time_limit=5, on_event=broken)
    assert time.perf_counter() - begun < 8


@pytest.mark.usefixtures("no_heuristics", "no_bounds")
@pytest.mark.parametrize("solver", ["cpsat", "highs"])
def test_a_listener_that_raises_in_a_solver_thread_is_heard(solver: str) -> None:
    def broken(event: Event) -> None:
        raise RuntimeError("listener")

    with pytest.raises((RuntimeError, OptschedError), match="listener"):
        optsched.solve(ft06(), solver, time_limit=10, workers=1, on_event=broken)


# ---- the bars -----------------------------------------------------------------------------


@pytest.mark.slow
def test_ft10_is_proven_by_cpsat_within_40_seconds() -> None:
    result = optsched.solve(JobShop(brute_force.FT10), "cpsat", time_limit=40, workers=2)
    print(f"ft10, cpsat, 2 workers: {result.status} {result.objective} in {result.time:.1f} s")
    assert (result.status, result.objective) == (Status.OPTIMAL, 930)


@pytest.mark.slow
@pytest.mark.usefixtures("no_bounds")
@pytest.mark.parametrize("solver", ["highs", "pulp"])
def test_ft06_is_proven_by_mip_within_20_seconds(solver: str) -> None:
    result = optsched.solve(ft06(), solver, time_limit=20, workers=2)
    print(f"ft06, {solver}, 2 workers: {result.status} {result.objective} in {result.time:.1f} s")
    assert (result.status, result.objective) == (Status.OPTIMAL, 55)


@pytest.mark.slow
@pytest.mark.parametrize("solver", [*EXACT, "auto", "native", "heuristic"])
def test_three_seconds_on_a_hundred_by_twenty(solver: str) -> None:
    problem = JobShop(brute_force.large_jobs(100, 20))
    begun = time.perf_counter()
    result = optsched.solve(problem, solver, time_limit=3, workers=2)
    seconds = time.perf_counter() - begun
    print(f"100 x 20, {solver}: {result.objective} in {seconds:.1f} s")
    assert seconds < 5
    assert result.status in (Status.FEASIBLE, Status.OPTIMAL)
    assert problem.check(result.solution) == []
