import numpy as np
import pytest

from optsched.core import InputError
from optsched.problems.single_machine.problem import (
    OBJECTIVES,
    SingleMachine,
    SingleMachineSolution,
)


def kinds(problem, sequence, start):
    return {v.kind for v in problem.check(SingleMachineSolution(sequence, start))}


PLAIN = SingleMachine([3, 2, 4], [1, 5, 9])


def test_a_schedule_without_violation():
    assert not PLAIN.check(PLAIN.schedule([1, 0, 2]))
    # Idling is allowed.
    assert kinds(PLAIN, [1, 0, 2], [5, 1, 100]) == set()


@pytest.mark.parametrize(
    ("sequence", "start", "expected"),
    [
        ([0, 1], [0, 3, 5], {"shape"}),
        ([0, 1, 2], [0, 3], {"shape"}),
        ([0, 0, 2], [0, 3, 5], {"sequence"}),
        ([0, 3, 2], [0, 3, 5], {"sequence"}),
        ([0, -1, 2], [0, 3, 5], {"sequence"}),
        ([0, 1, 2], [-1, 3, 5], {"start"}),
        ([0, 1, 2], [0, 2, 5], {"machine"}),
        ([1, 0, 2], [0, 3, 5], {"machine"}),
    ],
)
def test_plain_violations(sequence, start, expected):
    assert kinds(PLAIN, sequence, start) == expected


def test_release():
    problem = SingleMachine([3, 2], [9, 9], release=[2, 0])
    assert kinds(problem, [0, 1], [1, 4]) == {"release"}
    assert kinds(problem, [0, 1], [2, 5]) == set()


def test_deadline():
    problem = SingleMachine([3, 2], [9, 9], deadline=[None, 4])
    assert kinds(problem, [0, 1], [0, 3]) == {"deadline"}
    assert kinds(problem, [1, 0], [2, 0]) == set()


def test_setup():
    problem = SingleMachine([3, 2], [9, 9], setup=[[0, 2], [1, 0]])
    assert kinds(problem, [0, 1], [0, 4]) == {"setup"}
    assert kinds(problem, [0, 1], [0, 5]) == set()
    assert kinds(problem, [1, 0], [2, 0]) == {"setup"}


def test_precedence():
    problem = SingleMachine([3, 2, 1], [9, 9, 9], precedence=[(0, 1), (1, 2)])
    assert kinds(problem, [1, 0, 2], [2, 0, 5]) == {"precedence"}
    assert kinds(problem, [0, 1, 2], [0, 3, 5]) == set()


def test_precedence_of_jobs_without_duration_is_told_by_the_sequence():
    problem = SingleMachine([0, 0], [0, 0], precedence=[(0, 1)])
    assert kinds(problem, [0, 1], [0, 0]) == set()
    assert kinds(problem, [1, 0], [0, 0]) == {"precedence"}


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        ("total_tardiness", 4 + 0 + 0),
        ("total_weighted_tardiness", 2 * 4),
        ("total_weighted_completion_time", 2 * 5 + 3 * 2 + 1 * 9),
        ("maximum_lateness", 4),
        ("number_of_tardy_jobs", 1),
    ],
)
def test_objectives(objective, expected):
    problem = SingleMachine([3, 2, 4], [1, 5, 9], [2, 3, 1], objective=objective)
    assert problem.objective(problem.schedule([1, 0, 2])) == expected


@pytest.mark.parametrize(
    ("arguments", "culprit"),
    [
        ({"processing": []}, "no jobs"),
        ({"processing": [1, -2], "due": [1, 1]}, "job 1"),
        ({"processing": [1, 2.5], "due": [1, 1]}, "2.5"),
        ({"processing": [1, 2], "due": [1]}, "one a job"),
        ({"processing": [1, 2], "due": [1, 1], "weight": [1, -1]}, "job 1: weight -1"),
        ({"processing": [1, 2], "due": [1, 1], "release": [-1, 0]}, "job 0: release date -1"),
        ({"processing": [1, 2], "due": [1, 1], "deadline": [None]}, "one a job"),
        ({"processing": [1, 2], "due": [1, 1], "setup": [[0, 1]]}, "setup"),
        ({"processing": [1, 2], "due": [1, 1], "setup": [[0, -1], [0, 0]]}, "job 0 to job 1"),
        ({"processing": [1, 2], "due": [1, 1], "precedence": [(0, 2)]}, "no job 2"),
        ({"processing": [1, 2], "due": [1, 1], "precedence": [(0, 1), (1, 0)]}, "cycle"),
        ({"processing": [1, 2], "due": [1, 1], "precedence": [(0, 0)]}, "cycle"),
        ({"processing": [1, 2]}, "due dates"),
        ({"processing": [1, 2], "due": [1, 1], "objective": "tardiness"}, "unknown objective"),
        ({"processing": [2**52, 2**52], "due": [1, 1]}, "2\\^53"),
        ({"processing": "12", "due": [1, 1]}, "processing"),
        ({"processing": [True, 2], "due": [1, 1]}, "job 0: processing time"),
        ({"processing": [1, 2], "due": [None, 1]}, "job 0: due"),
    ],
)
def test_input_errors_name_the_culprit(arguments, culprit):
    with pytest.raises(InputError, match=culprit):
        SingleMachine(**arguments)


def test_constructor_accepts_or_refuses_anything_but_never_breaks():
    rng = np.random.default_rng(5)
    pool = [None, [], [1], [1, 2, 3], [[1, 2], [3, 4]], "x", {}, 1.5, [None, 1], [1, "a"],
            [2**60], np.zeros((3, 3)), [float("nan")], [-1, -1, -1], [(0, 1)]]  # fmt: skip
    names = ["processing", "due", "weight", "release", "deadline", "setup", "precedence"]
    for _ in range(3000):
        chosen = rng.choice(len(names), rng.integers(1, 5), replace=False)
        arguments = {names[k]: pool[rng.integers(len(pool))] for k in chosen}
        arguments.setdefault("processing", [1, 2, 3])
        try:
            problem = SingleMachine(**arguments, objective=str(rng.choice(OBJECTIVES)))
        except InputError:
            continue
        assert SingleMachine.from_dict(problem.to_dict()) == problem


def test_frozen_and_detached_from_the_callers_arrays():
    p = np.array([1, 2, 3])
    problem = SingleMachine(p, p)
    p[0] = 9
    assert problem.processing.tolist() == [1, 2, 3]
    with pytest.raises(AttributeError):
        problem.name = "x"
    with pytest.raises(ValueError):
        problem.processing[0] = 4
