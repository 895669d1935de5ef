from __future__ import annotations

import copy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bench_synthetic import made_up, random_schedule, write_campaign, write_journal
from bench_tools import cli

from optsched.bench.instances import resolve
from optsched.bench.plan import key_of
from optsched.bench.verify import verify
from optsched.core import InputError

Record = dict[str, Any]


@pytest.fixture
def lines(tmp_path: Path) -> list[Record]:
    return write_campaign(tmp_path)


def test_honest_campaign(tmp_path: Path, lines: list[Record]) -> None:
    found = verify(tmp_path)
    assert found.problems == []
    assert (found.runs, found.solutions, found.bounds, found.instances) == (6, 6, 6, 3)


def solution_shift(record: Record) -> None:
    record["solution"]["start"][0] += 1000


def solution_overlap(record: Record) -> None:
    record["solution"]["start"] = [0] * len(record["solution"]["start"])


def solution_short(record: Record) -> None:
    record["solution"]["start"].pop()


def solution_words(record: Record) -> None:
    record["solution"] = {"start": "soon"}


def solution_absent(record: Record) -> None:
    record["solution"] = None


def objective_lower(record: Record) -> None:
    record["objective"] -= 1
    record["trace"][-1]["objective"] -= 1


def objective_absent(record: Record) -> None:
    record["objective"] = None


def objective_infinite(record: Record) -> None:
    record["objective"] = float("inf")


def bound_above(record: Record) -> None:
    record["bound"] = record["trace"][-1]["bound"] = record["objective"] + 1


def status_optimal(record: Record) -> None:
    record["status"] = "OPTIMAL"
    record["bound"] = record["trace"][-1]["bound"] = record["objective"] - 1


def status_unknown(record: Record) -> None:
    record["status"] = "UNKNOWN"


def status_strange(record: Record) -> None:
    record["status"] = "GREAT"


def trace_back_in_time(record: Record) -> None:
    record["trace"][1]["time"] = 0.0


def trace_worse(record: Record) -> None:
    record["trace"][0]["objective"] = record["objective"] - 1


def trace_bound_falls(record: Record) -> None:
    record["trace"][0]["bound"] = record["bound"] + 1


def trace_end_differs(record: Record) -> None:
    record["trace"].pop()


def trace_late(record: Record) -> None:
    record["trace"][-1]["time"] = record["time"] + 5


def trace_strange(record: Record) -> None:
    record["trace"][0]["objective"] = "low"


def time_short(record: Record) -> None:
    record["time"] = record["wall"] + 1


def limit_changed(record: Record) -> None:
    record["time_limit"] = 60.0


def instance_changed(record: Record) -> None:
    record["instance"]["source"]["generator"]["seed"] += 1
    record["instance"]["source"].pop("sha")


def instance_gone(record: Record) -> None:
    record["instance"]["source"] = {"dataset": "nowhere/x1"}


def field_gone(record: Record) -> None:
    del record["wall"]


@pytest.mark.parametrize(
    ("tamper", "words"),
    [
        (solution_shift, "invalid solution"),
        (solution_overlap, "invalid solution"),
        (solution_short, "invalid solution"),
        (solution_words, "invalid solution"),
        (solution_absent, "without a solution"),
        (objective_lower, "the solution's is"),
        (objective_absent, "without an objective"),
        (objective_infinite, "not a number"),
        (bound_above, "below its own bound"),
        (status_optimal, "claims OPTIMAL"),
        (status_unknown, "claims UNKNOWN with a solution"),
        (status_strange, "status 'GREAT'"),
        (trace_back_in_time, "goes back"),
        (trace_worse, "the trace's objective goes"),
        (trace_bound_falls, "the trace"),
        (trace_end_differs, "the trace ends with"),
        (trace_late, "the trace ends at"),
        (trace_strange, "the trace holds"),
        (time_short, "was gone after"),
        (limit_changed, "differ from what was run"),
        (instance_changed, "not the one that was run"),
        (instance_gone, "cannot be had again"),
        (field_gone, "not the record of a run"),
    ],
)
def test_tampering_is_found(
    tmp_path: Path, lines: list[Record], tamper: Callable[[Record], None], words: str
) -> None:
    """Every kind of false claim is found, and named with its line."""
    broken = copy.deepcopy(lines)
    tamper(broken[2])
    write_journal(tmp_path, broken)
    found = verify(tmp_path)
    assert found.problems
    assert any(text.startswith("line 3") and words in text for text in found.problems)


def test_contradictions_between_runs(tmp_path: Path, lines: list[Record]) -> None:
    ours, theirs = copy.deepcopy(lines[:2])
    # A bound that its own run cannot refute, but the other one can.
    ours["solution"] = ours["objective"] = None
    ours["bound"] = theirs["objective"] + 1
    ours["status"] = "UNKNOWN"
    ours["trace"] = [{"time": 1.0, "objective": None, "bound": ours["bound"], "source": "x"}]
    write_journal(tmp_path, [ours, theirs])
    (problem,) = verify(tmp_path).problems
    assert "is below the bound" in problem
    assert "line 1" in problem
    assert "line 2" in problem
    ours |= {"status": "INFEASIBLE", "bound": None, "trace": []}
    write_journal(tmp_path, [ours, theirs])
    (problem,) = verify(tmp_path).problems
    assert "claimed infeasible" in problem


def test_contradictions_of_the_best_known(tmp_path: Path) -> None:
    import random

    (instance,) = resolve("ft06", tmp_path)
    rng = random.Random(3)
    solution, objective = random_schedule(instance.problem(), rng)  # type: ignore[arg-type]
    assert objective > 56
    record = made_up(instance, "ours", 0, rng, solution=solution, objective=objective, bound=56)
    write_journal(tmp_path, [record])
    (problem,) = verify(tmp_path).problems
    assert "bound 56" in problem
    assert "above the best known solution 55" in problem


def test_run_twice(tmp_path: Path, lines: list[Record]) -> None:
    write_journal(tmp_path, [*lines, lines[0]])
    (problem,) = verify(tmp_path).problems
    assert problem.startswith("line 7")
    assert "ran again" in problem


def test_failed_runs_are_counted_not_faults(tmp_path: Path, lines: list[Record]) -> None:
    failed = copy.deepcopy(lines[0])
    failed |= {"outcome": "crash", "solution": None, "objective": None, "bound": None}
    write_journal(tmp_path, [failed, *lines[1:]])
    found = verify(tmp_path)
    assert found.problems == []
    assert found.outcomes == {"done": 5, "crash": 1}


def test_edited_settings_are_found(tmp_path: Path, lines: list[Record]) -> None:
    assert lines[0]["key"] == key_of(
        {
            "instance": [lines[0]["instance"]["name"], lines[0]["instance"]["sha"]],
            "solver": lines[0]["configuration"],
            "time_limit": 30.0,
            "workers": 2,
            "memory_limit": None,
            "seed": 0,
        }
    )


def test_torn_line_is_told(tmp_path: Path, lines: list[Record]) -> None:
    with (tmp_path / "journal.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"key": "x", "outc')
    found = verify(tmp_path)
    assert found.problems == []
    assert "torn" in found.notes[0]


def test_command(tmp_path: Path, lines: list[Record]) -> None:
    broken = copy.deepcopy(lines)
    objective_lower(broken[1])
    solution_overlap(broken[4])
    write_journal(tmp_path, broken)
    code, text = cli("verify", str(tmp_path))
    assert code == 1
    assert text.count("FAULT: ") == 2
    assert "2 faults" in text
    code, text = cli("verify", str(tmp_path / "nothing"))
    assert code == 2
    assert "there is no journal.jsonl" in text


def test_no_journal(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no journal"):
        verify(tmp_path)


@pytest.mark.slow
def test_thousand_solutions(tmp_path: Path) -> None:
    """The bar: 1,000 job-shop solutions under 30 s; these have 300 operations each."""
    write_campaign(tmp_path, instances=100, seeds=5, jobs=20, machines=15, events=60)
    began = time.perf_counter()
    found = verify(tmp_path)
    assert found.problems == []
    assert found.solutions == 1000
    assert time.perf_counter() - began < 30
