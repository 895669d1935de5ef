"""The data model: what is taken, what is refused and how, and the way to JSON and back."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import brute_force
import numpy as np
import pytest
from conftest import RunScript
from hypothesis import given, settings
from hypothesis import strategies as st

from optsched import InputError, JobShop, JobShopSolution, OptschedError
from optsched.core import MAX_TIME

JOBS = [[(0, 3), (1, 2)], [(1, 4), (0, 1)]]
ARRAYS = (
    "job_offset", "op_job", "alt_offset", "alt_machine", "alt_duration", "release", "due",
    "deadline", "weight", "break_offset", "break_start", "break_end", "resumable", "buffer",
    "lag", "transport", "setup",
)  # fmt: skip


def rich() -> JobShop:
    """Return a shop in which every array is there."""
    return JobShop(
        [[(0, 3), [(1, 2), (2, 4)]], [(1, 4)]],
        objective="maximum_lateness", release=[1, 0], due=[9, -2], deadline=[None, 90],
        weight=[2, 0], calendars={0: [(4, 6)], 2: [(0, 1), (5, 7)]},
        resumable=[[True, False], [True]], buffers=[["none", "no-wait"], ["unlimited"]], swap=True,
        lags=[[2, 0], [0]], transport=np.ones((3, 3), dtype=int), setup=[[0, 1], [2, 0]],
        name="rich",
    )  # fmt: skip


# ---- construction -------------------------------------------------------------------------


def test_lists() -> None:
    shop = JobShop(JOBS)
    assert (shop.n_jobs, shop.n_machines, shop.n_ops, shop.flexible) == (2, 2, 4, False)
    assert shop.job_offset.tolist() == [0, 2, 4]
    assert shop.op_job.tolist() == [0, 0, 1, 1]
    assert shop.alt_machine.tolist() == [0, 1, 1, 0]
    assert shop.alt_duration.tolist() == [3, 2, 4, 1]
    assert shop.weight.tolist() == [1, 1]
    assert shop.due is None


@pytest.mark.parametrize(
    "jobs",
    [
        np.array(JOBS),
        [np.array(job) for job in JOBS],
        [[np.array(op) for op in job] for job in JOBS],
        tuple(tuple(job) for job in JOBS),
        [[list(op) for op in job] for job in JOBS],
        [[[op] for op in job] for job in JOBS],
        (job for job in JOBS),
        [[(np.int32(m), np.uint8(d)) for m, d in job] for job in JOBS],
        [[(m, float(d)) for m, d in job] for job in JOBS],
        np.array(JOBS, dtype=np.uint64),
        np.array(JOBS, dtype=float),
    ],
)
def test_whatever_a_person_would_write(jobs: Any) -> None:
    assert JobShop(jobs) == JobShop(JOBS)


def test_flexible_reentrant_and_of_different_length() -> None:
    shop = JobShop([[(0, 3), [(0, 1), (2, 5)], (0, 1)], [(1, 1)]])
    assert shop.flexible
    assert shop.alt_offset.tolist() == [0, 1, 3, 4, 5]
    assert shop.n_machines == 3
    assert "flexible" in shop.features()


def test_from_arrays_equals_lists_and_copies() -> None:
    shop = rich()
    machine = shop.alt_machine.copy()
    built = JobShop.from_arrays(shop.job_offset, shop.alt_offset, machine, shop.alt_duration)
    machine[:] = 0
    assert built == JobShop([[(0, 3), [(1, 2), (2, 4)]], [(1, 4)]])
    assert machine.flags.writeable


def test_n_machines_may_exceed_those_in_use() -> None:
    assert JobShop(JOBS, n_machines=7).n_machines == 7


def test_one_setup_matrix_stands_for_every_machine() -> None:
    assert JobShop(JOBS, setup=[[0, 1], [2, 0]]).setup.shape == (2, 2, 2)  # type: ignore[union-attr]


def test_largest_times_are_taken() -> None:
    shop = JobShop([[(0, MAX_TIME - 1)]])
    assert shop.objective(JobShopSolution([0], [0])) == MAX_TIME - 1


@pytest.mark.parametrize("name", ["jobs", "release", "name", "anything"])
def test_attributes_are_frozen(name: str) -> None:
    shop = rich()
    with pytest.raises(AttributeError, match="frozen"):
        setattr(shop, name, [1, 2])


@pytest.mark.parametrize("name", ["release", "alt_duration", "name"])
def test_attributes_cannot_be_deleted(name: str) -> None:
    shop = rich()
    with pytest.raises(AttributeError):
        delattr(shop, name)
    assert hasattr(shop, name)


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_are_frozen(name: str) -> None:
    array = getattr(rich(), name)
    with pytest.raises(ValueError, match="read-only"):
        array[...] = 0


def test_default_arrays_are_frozen_too() -> None:
    shop = JobShop(JOBS)
    for name in ARRAYS:
        array = getattr(shop, name)
        assert array is None or not array.flags.writeable, name


def test_solution_arrays_are_frozen_and_copies() -> None:
    start = np.array([0, 4, 0, 4])
    solution = JobShopSolution(start, [0, 1, 1, 0])
    start[0] = 9
    assert solution.start.tolist() == [0, 4, 0, 4]
    with pytest.raises(ValueError, match="read-only"):
        solution.start[0] = 1


def test_equality_looks_at_everything() -> None:
    assert rich() == rich()
    assert JobShop(JOBS) != JobShop(JOBS, release=[0, 1])
    assert JobShop(JOBS) != JobShop(JOBS, due=[0, 0])
    assert JobShop(JOBS) != JobShop(JOBS, n_machines=3)
    assert JobShop(JOBS) != JOBS


def test_features_name_what_is_used() -> None:
    assert JobShop(JOBS).features() == {"objective makespan"}
    assert rich().features() == {
        "flexible", "release dates", "deadlines", "calendars", "blocking", "no-wait", "lags",
        "transport", "setup", "objective maximum_lateness",
    }  # fmt: skip


def test_describe_has_name_size_and_kind() -> None:
    line = rich().describe()
    for part in ("rich", "flexible", "2 jobs", "3 machines", "3 operations", "lateness"):
        assert part in line


# ---- JSON ---------------------------------------------------------------------------------


@pytest.mark.parametrize("problem", [rich(), JobShop(JOBS), JobShop(JOBS, deadline=[None, None])])
def test_json_round_trip(problem: JobShop, tmp_path: Path) -> None:
    path = tmp_path / "shop.json"
    text = problem.to_json(path)
    assert json.loads(path.read_text()) == json.loads(text)
    assert JobShop.from_dict(json.loads(text)) == problem


@settings(max_examples=200)
@given(st.randoms(use_true_random=False), st.sampled_from(brute_force.OBJECTIVES), st.text())
def test_json_round_trip_of_random_shops(rng: random.Random, objective: str, name: str) -> None:
    shop = brute_force.random_full_shop(rng)
    n = len(shop["jobs"])
    shop["due"] = [rng.randint(-9, 2**52) for _ in range(n)]
    shop["weight"] = [rng.choice((0, 1, 7)) for _ in range(n)]
    problem = JobShop(**shop, objective=objective, name=name)
    assert JobShop.from_dict(json.loads(problem.to_json())) == problem


@given(st.lists(st.tuples(st.integers(0, 2**53), st.integers(0, 99)), min_size=1))
def test_json_round_trip_of_solutions(pairs: list[tuple[int, int]]) -> None:
    solution = JobShopSolution([s for s, _ in pairs], [m for _, m in pairs])
    again = JobShopSolution.from_dict(json.loads(solution.to_json()))
    assert again.start.tolist() == solution.start.tolist()
    assert again.machine.tolist() == solution.machine.tolist()


# ---- what is refused ----------------------------------------------------------------------

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    "duration",
    [-1, -(2**60), 2.5, 1e-9, NAN, INF, -INF, 2**53 + 1, 2**63, 2**64, 10**400, 1e300, True, False,
     np.True_, "3", b"3", "", None, [], {}, 1j, np.datetime64("2020-01-01")],
    ids=repr,
)  # fmt: skip
@pytest.mark.parametrize("flexible", [False, True])
def test_bad_duration_names_job_and_operation(duration: Any, flexible: bool) -> None:
    operation: Any = (1, duration)
    if flexible:
        operation = [(0, 2), operation]
    with pytest.raises(InputError, match=r"job 1, operation 2\b"):
        JobShop([[(0, 3)], [(1, 4), (0, 1), operation]])


@pytest.mark.parametrize("machine", [-1, 0.5, NAN, 2**53 + 1, 2**64, True, "0", None, [], 3])
def test_bad_machine_names_job_and_operation(machine: Any) -> None:
    with pytest.raises(InputError, match=r"job 1, operation 1\b"):
        JobShop([[(0, 3)], [(1, 4), (machine, 1)]], n_machines=3)


@pytest.mark.parametrize(
    ("jobs", "culprit"),
    [
        ([], "no jobs"),
        ([[(0, 1)], []], "job 1"),
        ([[(0, 1)], np.empty((0, 2), dtype=int)], "job 1"),
        ([[(0, 1)], [()]], "job 1, operation 0"),
        ([[(0, 1), []]], "job 0, operation 1"),
        ([[(0, 1), (1,)]], "job 0, operation 1"),
        ([[(0, 1), (1, 2, 3)]], "job 0, operation 1"),
        ([[(0, 1), [(0, 1), (1, 2, 3)]]], "job 0, operation 1"),
        ([[(0, 1), [(0, 1), 5]]], "job 0, operation 1"),
        ([[(0, 1), [(0, 1), (0, 2)]]], "job 0, operation 1"),
        ([[(0, 1), 5]], "job 0, operation 1"),
        ([[(0, 1), None]], "job 0, operation 1"),
        ([[(0, 1), {0: 1, 1: 2}]], "job 0, operation 1"),
        ([[(0, 1), {0, 1}]], "job 0, operation 1"),
        ([[(0, 1), [{0: 1, 1: 2}]]], "job 0, operation 1"),
        ([[(0, 1), [{0, 1}]]], "job 0, operation 1"),
        ([[(0, 1), np.array(3)]], "job 0, operation 1"),
        ([[(0, 1)], 5], "job 1"),
        ([[(0, 1)], None], "job 1"),
        ([[(0, 1)], "ab"], "job 1"),
        ([[(0, 1)], {0: 1}], "job 1"),
        ([[(0, 1)], np.array(3)], "job 1"),
        (None, "jobs"),
        (5, "jobs"),
        ("ab", "jobs"),
        ({0: [(0, 1)]}, "jobs"),
        (np.array(5), "jobs"),
    ],
)
def test_bad_jobs(jobs: Any, culprit: str) -> None:
    with pytest.raises(InputError, match=culprit):
        JobShop(jobs)


@pytest.mark.parametrize("field", ["release", "due", "weight", "deadline"])
@pytest.mark.parametrize("value", [1.5, NAN, INF, 2**53 + 1, 2**70, True, "3", [1], {}])
def test_bad_value_of_a_job_names_the_job(field: str, value: Any) -> None:
    with pytest.raises(InputError, match=r"job 1\b") as caught:
        JobShop(JOBS, **{field: [0, value]})
    assert field in str(caught.value)


@pytest.mark.parametrize("field", ["release", "weight", "deadline"])
def test_negative_value_of_a_job_names_the_job(field: str) -> None:
    with pytest.raises(InputError, match=r"job 1\b.*-4 is negative"):
        JobShop(JOBS, **{field: [0, -4]})


@pytest.mark.parametrize("field", ["release", "due", "weight", "deadline", "lags"])
@pytest.mark.parametrize(
    "value", [[], [0], [0, 0, 0], 3, "ab", {0: 1, 1: 2}, {1, 2}, [[0, 0, 0], [0, 0]]]
)
def test_wrong_shape_of_a_field_names_the_field(field: str, value: Any) -> None:
    with pytest.raises(InputError, match=field.rstrip("s")):
        JobShop(JOBS, **{field: value})


@pytest.mark.parametrize(
    ("options", "culprit"),
    [
        ({"lags": [[0, 0], [-1, 0]]}, "job 1, operation 0"),
        ({"lags": [[0, 0], [1.5, 0]]}, "job 1, operation 0"),
        ({"lags": [[0, 0], [True, 0]]}, "job 1, operation 0"),
        ({"lags": [[0, 0], [2**54, 0]]}, "job 1, operation 0"),
        ({"lags": [[0, 0], [0, 1]]}, "job 1"),
        ({"buffers": "plenty"}, "plenty"),
        ({"buffers": None}, "buffers"),
        ({"buffers": [["none", "none"], ["none"]]}, "job 1"),
        ({"buffers": [["none", "none"], ["none", "some"]]}, "job 1, operation 1"),
        ({"buffers": [["none", "none"], [0, 1]]}, "job 1, operation 0"),
        ({"resumable": "yes"}, "resumable"),
        ({"resumable": [[True, True], [True]]}, "job 1"),
        ({"resumable": [[True, True], [True, 1]]}, "job 1, operation 1"),
        ({"transport": [[0]]}, "transport"),
        ({"transport": [[0, 1], [1]]}, "transport"),
        ({"transport": [[0, -1], [1, 0]]}, "transport"),
        ({"transport": [[0, 0.5], [1, 0]]}, "transport"),
        ({"transport": [[0, 2**54], [1, 0]]}, "transport"),
        ({"transport": "x"}, "transport"),
        ({"setup": [[0]]}, "setup"),
        ({"setup": [[[0, 0], [0, 0]]]}, "setup"),
        ({"setup": [[0, -1], [0, 0]]}, "setup"),
        ({"setup": [[0, NAN], [0, 0]]}, "setup"),
        ({"calendars": [(0, 1)]}, "calendars"),
        ({"calendars": {2: [(0, 1)]}}, "machine 2"),
        ({"calendars": {-1: [(0, 1)]}}, "machine -1"),
        ({"calendars": {"x": [(0, 1)]}}, "x"),
        ({"calendars": {0.5: [(0, 1)]}}, "0.5"),
        ({"calendars": {INF: [(0, 1)]}}, "calendars"),
        ({"calendars": {NAN: [(0, 1)]}}, "calendars"),
        ({"calendars": {0: [(2, 1)]}}, "machine 0"),
        ({"calendars": {0: [(1, 1)]}}, "machine 0"),
        ({"calendars": {0: [(-1, 1)]}}, "machine 0"),
        ({"calendars": {0: [(0.5, 1)]}}, "machine 0"),
        ({"calendars": {0: [(1, 2, 3)]}}, "machine 0"),
        ({"calendars": {0: [1, 2]}}, "machine 0"),
        ({"calendars": {0: [(1, 2), 3]}}, "machine 0"),
        ({"calendars": {0: None}}, "machine 0"),
        ({"calendars": {0: "ab"}}, "machine 0"),
        ({"objective": "fun"}, "fun"),
        ({"objective": None}, "objective"),
        ({"objective": "maximum_lateness"}, "due"),
        ({"objective": "total_weighted_tardiness"}, "due"),
        ({"swap": "no"}, "swap"),
        ({"swap": [1, 2]}, "swap"),
        ({"n_machines": 0}, "n_machines"),
        ({"n_machines": 1.5}, "n_machines"),
        ({"n_machines": "2"}, "n_machines"),
        ({"n_machines": True}, "n_machines"),
        ({"n_machines": 1}, "job 0, operation 1"),
    ],
    ids=str,
)
def test_bad_option(options: dict[str, Any], culprit: str) -> None:
    with pytest.raises(InputError, match=culprit):
        JobShop(JOBS, **options)


@pytest.mark.parametrize(
    ("jobs", "options"),
    [
        ([[(0, 2**52), (1, 2**52)]], {}),
        ([[(0, 2**53)]], {}),
        ([[(0, 2**50)] * 8], {}),
        ([[(0, 1)]], {"release": [2**53]}),
        ([[(0, 1)]], {"calendars": {0: [(0, 2**53)]}}),
        ([[(0, 1)] * 3], {"lags": [[2**52, 2**52, 0]]}),
        ([[(0, 1)] * 9], {"transport": [[2**50]]}),
        ([[(0, 1)] * 9], {"setup": [[2**50]]}),
        # The objective is a time times a weight, and is to survive a float64 just the same.
        ([[(0, 2**30)]], {"weight": [2**30], "objective": "total_completion_time"}),
        ([[(0, 2**30)]], {"weight": [2**40], "objective": "total_weighted_tardiness", "due": [0]}),
        ([[(0, 9)]], {"weight": [3], "objective": "total_weighted_tardiness", "due": [-(2**53)]}),
        ([[(0, 1)]] * 9, {"weight": [2**50] * 9, "objective": "total_completion_time"}),
        ([[(0, 2**52)]], {"objective": "maximum_lateness", "due": [-(2**53)]}),
    ],
    ids=str,
)
def test_sums_beyond_2_to_the_53_are_refused(jobs: Any, options: Any) -> None:
    with pytest.raises(InputError, match="2\\^53"):
        JobShop(jobs, **options)


def test_absurd_number_of_machines_is_refused_before_memory_is_spent(run_script: RunScript) -> None:
    source = """
import resource
resource.setrlimit(resource.RLIMIT_AS, (3 * 2**29, 3 * 2**29))
import optsched
for options in ({"n_machines": 2**40}, {"n_machines": 2**52}):
    try:
        optsched.JobShop([[(0, 1)]], **options)
    except optsched.InputError as error:
        print(error)
"""
    assert run_script(source).stdout.count("machines") == 2


@pytest.mark.parametrize(
    "data",
    [
        None, [], 5, "x", {}, {"jobs": None}, {"jobs": JOBS, "job": JOBS},
        {"jobs": JOBS, "family": "rcpsp"}, {"jobs": JOBS, "family": None},
        {"jobs": JOBS, "name": 3},
        {"jobs": JOBS, "objective": 3}, {"jobs": JOBS, "swap": 1}, {"jobs": JOBS, 5: 3, "x": 2},
        {"jobs": JOBS, "release": {"0": 3}}, {"jobs": JOBS, "deadline": {"0": 3, "1": 4}},
    ],
)  # fmt: skip
def test_bad_dictionary(data: Any) -> None:
    with pytest.raises(InputError):
        JobShop.from_dict(data)


@pytest.mark.parametrize(
    "data",
    [
        None, [], {}, {"start": [0]}, {"machine": [0]}, {"start": [0.5], "machine": [0]},
        {"start": [[0]], "machine": [0]}, {"start": 0, "machine": 0},
        {"start": "a", "machine": [0]},
        {"start": [2**70], "machine": [0]}, {"start": [2**60], "machine": [0]},
        {"start": [0, True], "machine": [0, 0]}, {"start": [None], "machine": [0]},
        {"start": [NAN], "machine": [0]},
    ],
    ids=str,
)  # fmt: skip
def test_bad_solution(data: Any) -> None:
    with pytest.raises(InputError, match="solution"):
        JobShopSolution.from_dict(data)


@pytest.mark.parametrize(
    "arrays",
    [
        ([0, 1], [0, 1], [0], [-1]),
        ([0, 2, 1], [0, 1], [0], [1]),
        ([0, 2, 1, 2], [0, 1, 2], [0, 0], [1, 1]),
        ([[0, 1]], [0, 1], [0], [1]),
        ([0, 1], [0, 1], [0, 1], [1]),
        ([], [], [], []),
        ([0], [0], [], []),
        ([1, 2], [0, 1, 2], [0, 0], [1, 1]),
        ([0, 1], [0, 0], [], []),
        ([0, 1], [0, 1], [[0]], [[1]]),
        ([0, 1], [0, 2], [0, 0], [1, 1]),
        ([0, 2**40], [0, 1], [0], [1]),
        ("ab", [0, 1], [0], [1]),
    ],
)
def test_bad_arrays(arrays: Any) -> None:
    with pytest.raises(InputError):
        JobShop.from_arrays(*arrays)


# Machine numbers stay small: a large one is legal and costs memory for every machine below it.
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 9), st.floats(), st.text(max_size=3),
    st.sampled_from([2**53, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**30, "none", "no-wait"]),
    st.binary(max_size=2),
)  # fmt: skip
junk = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(st.one_of(st.integers(-1, 3), st.text(max_size=2)), inner, max_size=3),
        st.frozensets(st.integers(0, 3), max_size=2),
    ),
    max_leaves=14,
)
nearly_jobs = st.lists(
    st.lists(
        st.one_of(
            st.tuples(st.integers(0, 2), st.integers(0, 9)),
            st.lists(st.tuples(st.integers(0, 2), scalars), max_size=3),
            junk,
        ),
        max_size=3,
    ),
    max_size=3,
)


@settings(max_examples=400)
@given(st.one_of(junk, nearly_jobs))
def test_only_optsched_errors_escape_from_junk_jobs(jobs: Any) -> None:
    try:
        problem = JobShop(jobs)
    except OptschedError:
        return
    assert JobShop.from_dict(json.loads(problem.to_json())) == problem


FIELDS = ("objective", "release", "due", "deadline", "weight", "calendars", "resumable", "buffers",
          "swap", "lags", "transport", "setup", "n_machines", "name", "family",
          "unknown")  # fmt: skip


@settings(max_examples=400)
@given(st.dictionaries(st.sampled_from(FIELDS), junk, max_size=3))
def test_only_optsched_errors_escape_from_junk_options(options: dict[str, Any]) -> None:
    try:
        problem = JobShop.from_dict({"jobs": JOBS} | options)
    except OptschedError:
        return
    assert problem.n_machines < 100
    assert JobShop.from_dict(json.loads(problem.to_json())) == problem


@settings(max_examples=200)
@given(junk, junk)
def test_only_optsched_errors_escape_from_junk_solutions(start: Any, machine: Any) -> None:
    try:
        solution = JobShopSolution.from_dict({"start": start, "machine": machine})
        JobShop(JOBS).check(solution)
        JobShop(JOBS).objective(solution)
    except OptschedError:
        pass


# ---- size ---------------------------------------------------------------------------------


def test_hundred_thousand_operations_within_seconds() -> None:
    """1000 x 100: constructed, dispatched and checked, in a process of its own for the memory."""
    source = """
import resource, time
import numpy as np
begun = time.perf_counter()
from optsched import JobShop, solve
rng = np.random.default_rng(1)
jobs = [np.column_stack((rng.permutation(100), rng.integers(1, 100, 100))) for _ in range(1000)]
problem = JobShop(jobs)
result = solve(problem, "heuristic", time_limit=0)
assert problem.n_ops == 100_000
assert problem.check(result.solution) == []
print(time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""
    root = Path(__file__).resolve().parents[2]
    out = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, cwd=root, check=True
    ).stdout
    seconds, gigabytes = map(float, out.split())
    print(f"1000 x 100 constructed, dispatched and checked: {seconds:.1f} s, {gigabytes:.2f} GB")
    assert seconds < 20
    assert gigabytes < 2
