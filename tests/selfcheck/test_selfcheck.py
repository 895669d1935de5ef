"""The harness: what it draws, what it notices, how it shrinks, and what it prints and saves."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faults_scheduling import SINGLE_MACHINE
from typer.testing import CliRunner

import optsched as op
from optsched.cli import app
from optsched.core import SolverError
from optsched.families import family_module
from optsched.problems.single_machine.problem import OBJECTIVES
from optsched.result import Event, Status, StopReason
from optsched.search import portfolio
from optsched.selfcheck import runner
from optsched.selfcheck.case import draw, examine, smallest
from optsched.selfcheck.compare import cross_checked, disagreements
from optsched.selfcheck.families import NAMES, family
from optsched.selfcheck.outcome import ENUMERATION, Outcome
from optsched.selfcheck.runner import CaseReport, FamilyTally
from optsched.selfcheck.shrink import shrink
from optsched.selfcheck.smaller import extent
from optsched.selfcheck.ways import arguments, ways

PROBLEM = op.SingleMachine([3, 2], [1, 2])
BEST = 4  # total tardiness of the second job first


@pytest.mark.parametrize("name", NAMES)
def test_everything_agrees_on_a_few_cases(name: str) -> None:
    checked = 0
    for case in range(1, 5):
        verdict = examine(draw(name, 1, case), case=case)
        assert not verdict.wrong, (verdict.problem.to_json(), *map(str, verdict.wrong))
        checked += cross_checked(verdict.outcomes)
    assert checked >= 3


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_everything_agrees_on_many_cases(name: str) -> None:
    for case in range(1000, 1100):
        verdict = examine(draw(name, 1, case), case=case)
        assert not verdict.wrong, (verdict.problem.to_json(), *map(str, verdict.wrong))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_single_job_is_solved_by_every_formulation(objective: str) -> None:
    # Its linear ordering has neither variables nor rows.
    problem = op.SingleMachine([2], [-2], [4], objective=objective)
    verdict = examine(problem)
    assert not verdict.wrong
    assert "highs, linear-ordering" in {outcome.way for outcome in verdict.outcomes}


# ---- what is drawn --------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_instances_have_every_feature_and_are_the_same_each_time(name: str) -> None:
    seen: set[str] = set()
    for case in range(400):
        seen |= draw(name, 0, case).features()
    modules = (family_module(draw(name, 0, 0), kind) for kind in ("cpsat", "search"))
    module = next(module for module in modules if module is not None)
    assert seen >= module.SUPPORTS
    assert draw(name, 0, 7).to_dict() == draw(name, 0, 7).to_dict()
    assert draw(name, 0, 7).to_dict() != draw(name, 1, 7).to_dict()


def test_slow_ways_take_part_in_a_share_of_the_cases() -> None:
    every = {way.name for way in ways(PROBLEM)}
    assert every >= {"cpsat", "highs, positional", "pulp", "native", "auto"}
    some = {way.name for way in ways(PROBLEM, 1)}
    assert "pulp" not in some
    assert some < every


def test_both_sides_of_the_portfolio_run_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    sound = portfolio.run

    def spy(*given: Any, side_by_side: bool, **named: Any) -> StopReason:
        asked.append(side_by_side)
        return sound(*given, side_by_side=side_by_side, **named)

    monkeypatch.setattr(portfolio, "run", spy)
    rng = np.random.default_rng(5)  # a shop that the bounds alone do not prove
    jobs = [[(int(m), int(rng.integers(1, 30))) for m in rng.permutation(6)] for _ in range(6)]
    two = next(way for way in ways(op.JobShop(jobs)) if way.name == "auto, 2 workers")
    outcome = two(op.JobShop(jobs), 0, 60.0)
    assert outcome is not None
    assert outcome.status is Status.OPTIMAL
    assert asked == [True]
    assert [case for case in range(40) if two.name in {w.name for w in ways(PROBLEM, case)}] == [
        0, 10, 20, 30,
    ]  # fmt: skip


# ---- what is noticed ------------------------------------------------------------------------


def said(way: str, status: Status, objective=None, bound=None, **more) -> Outcome:
    solution = None if objective is None else PROBLEM.schedule([1, 0])
    return Outcome(way, way, 0.0, status, objective, bound, solution, **more)


OTHER = op.SingleMachineSolution([0, 1], [0, 1])  # overlapping
RIGHT = Outcome(ENUMERATION, ENUMERATION, 0.0, Status.OPTIMAL, BEST, BEST)


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (said("a", Status.INFEASIBLE), "answer"),
        (said("a", Status.OPTIMAL, BEST + 1, BEST + 1), "answer"),
        (said("a", Status.OPTIMAL, BEST, BEST - 1), "answer"),
        (said("a", Status.FEASIBLE, BEST - 1, 0), "answer"),
        (said("a", Status.UNKNOWN, None, BEST + 1), "bound"),
        (
            said("a", Status.FEASIBLE, BEST, 0, events=(Event(0.0, None, BEST + 1, "a"),)),
            "bound",
        ),
        (
            said(
                "a",
                Status.FEASIBLE,
                BEST,
                0,
                events=(Event(0.0, BEST, 1, "a"), Event(0.1, BEST + 1, 1, "a")),
            ),
            "trace",
        ),
        (said("a", Status.UNKNOWN, error="KeyError: 3"), "error"),
        (said("a", Status.FEASIBLE, BEST, 0, gave_up=True), "no answer"),
        (said("a", Status.FEASIBLE, BEST + 2, 0), "solution"),
        (
            Outcome("a", "a", 0.0, Status.OPTIMAL, BEST, BEST, OTHER),
            "solution",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(outcome: Outcome, kind: str) -> None:
    found = disagreements(family("single_machine"), PROBLEM, [outcome, RIGHT])
    assert kind in {finding.kind for finding in found}
    assert {finding.way for finding in found} == {"a"}


def test_what_is_right_is_not_told() -> None:
    outcomes = [said("a", Status.OPTIMAL, BEST, BEST), said("b", Status.UNKNOWN), RIGHT]
    assert disagreements(family("single_machine"), PROBLEM, outcomes) == []


def test_a_case_that_one_method_decides_is_not_cross_checked() -> None:
    one = said("a", Status.OPTIMAL, BEST, BEST)
    made_of_others = Outcome("auto", "", 0.0, Status.OPTIMAL, BEST, BEST)
    assert not cross_checked([one, made_of_others, said("b", Status.UNKNOWN)])
    assert cross_checked([one, RIGHT])


# ---- shrinking ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_smaller_instances_are_smaller_or_refused(name: str) -> None:
    known = family(name)
    for case in range(3):
        problem = draw(name, 2, case)
        data = problem.to_dict()
        before, kept = json.dumps(data), 0
        for less in known.smaller(data):
            try:
                candidate = type(problem).from_dict(less)
            except op.InputError:
                continue
            kept += extent(candidate.to_dict()) < extent(data)
        assert kept
        assert json.dumps(data) == before


def test_instances_shrink_to_what_matters() -> None:
    problem = op.SingleMachine(
        [5, 9, 4], [7, 3, 8], [2, 6, 3], release=[1, 2, 3], setup=[[2] * 3] * 3,
        objective="total_weighted_tardiness",
    )  # fmt: skip
    least = shrink(family("single_machine"), problem, lambda p: int(p.processing.max()) >= 3)
    assert least.to_dict() == {
        "optsched": "problem", "family": "single_machine", "name": "",
        "objective": "total_weighted_tardiness", "processing": [3], "due": [0],
    }  # fmt: skip


def test_a_disagreement_is_shrunk() -> None:
    fault = next(fault for fault in SINGLE_MACHINE if fault.name == "jobs overlap")
    with fault.injected():
        for case in range(50):
            verdict = examine(draw("single_machine", 3, case), only=["cpsat", "native"])
            if verdict.wrong:
                break
        least = smallest(verdict)
    assert {finding.way for finding in least.wrong} == {"cpsat"}
    assert least.problem.n_jobs == 2


# ---- running, printing and saving ------------------------------------------------------------


def test_cases_run_in_processes_and_are_counted() -> None:
    tally = FamilyTally()
    for report in runner.run(4, 0, families=["single_machine"], workers=2):
        tally.add(report)
    assert (tally.cases, tally.disagreements) == (4, 0)
    assert tally.cross_checked >= 3
    assert tally.ways["cpsat"].decided == 4


def test_a_crash_is_a_disagreement(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise SolverError("its process died")

    monkeypatch.setattr(runner.worker, "remote", crash)
    [report] = runner.run(1, 0, families=["rcpsp"])
    assert "died" in report.wrong[0]
    assert report.instance == draw("rcpsp", 0, 0).to_dict()
    assert extent(report.shrunk) < extent(report.instance)


def test_a_hang_is_a_disagreement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner.worker, "remote", lambda *_: None)
    [report] = runner.run(1, 0, families=["rcpsp"])
    assert "does not end" in report.wrong[0]
    assert report.instance == draw("rcpsp", 0, 0).to_dict()


def test_each_way_has_a_command_that_comes_near_it(tmp_path: Path) -> None:
    problem = op.SingleMachine([3, 2], [1, 2])
    problem.to_json(tmp_path / "it.json")
    assert arguments("highs, positional")[-1] == "formulation=positional"
    assert arguments(ENUMERATION) == arguments(runner.SELF) == []
    for way in {w.name for p in (problem, draw("job_shop", 0, 0)) for w in ways(p)}:
        told = arguments(way)
        assert told[0] == "--solver"
        if way.partition(",")[0] in ("minizinc", "lns", "rolling"):
            continue  # not installed everywhere; not of this family
        done = CliRunner().invoke(app, ["solve", str(tmp_path / "it.json"), *told, "--seed", "3"])
        assert done.exit_code == 0, (way, done.output)
    shop = tmp_path / "shop.json"
    draw("job_shop", 0, 0).to_json(shop)
    for way in ("lns", "rolling"):
        done = CliRunner().invoke(app, ["solve", str(shop), *arguments(way), "-t", "20"])
        assert done.exit_code == 0, (way, done.output)


@pytest.mark.parametrize(
    ("given", "told"),
    [({"cases": 0}, "cases 0"), ({"seed": -1}, "seed -1"), ({"workers": 0}, "workers 0"),
     ({"families": ["job"]}, "unknown family 'job'")],
)  # fmt: skip
def test_what_is_refused(given: dict, told: str) -> None:
    with pytest.raises(op.InputError, match=told):
        runner.run(**({"cases": 1, "seed": 0} | given))


def test_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ["selfcheck", "--cases", "2", "--family", "single_machine", "--out", str(tmp_path)]
    done = CliRunner().invoke(app, [*options, "--workers", "1"])
    assert done.exit_code == 0, done.output
    assert "cross-checked" in done.output
    assert "no disagreement" in done.output

    rng = random.Random(0)
    problem = family("job_shop").draw(rng)
    report = CaseReport(
        "job_shop", 5, ways=(("cpsat", True, True, 0.1),), wrong=("cpsat: 3, not 2",),
        instance=problem.to_dict(), shrunk=problem.to_dict(), answers=("cpsat: OPTIMAL 3",),
    )  # fmt: skip
    monkeypatch.setattr(runner, "run", lambda *_, **__: iter([report]))
    done = CliRunner().invoke(app, options)
    assert done.exit_code == 1
    assert "cpsat: 3, not 2" in done.output
    assert "--solver cpsat --workers 1 --seed 5" in done.output
    saved = tmp_path / "job_shop-seed0-case5.json"
    assert str(saved) in done.output
    again = op.load(str(saved))
    assert again.to_dict() | {"name": ""} == problem.to_dict() | {"name": ""}
