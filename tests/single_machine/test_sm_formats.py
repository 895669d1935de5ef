import json

import pytest

from optsched.core import CannotExpressError, InputError
from optsched.problems.single_machine import formats
from optsched.problems.single_machine.generate import potts_van_wassenhove
from optsched.problems.single_machine.problem import SingleMachine, SingleMachineSolution


def test_orlibrary_order_is_processing_weight_due():
    problems = formats.read_orlibrary("1 2\n3 4\n5 6\n 7 8 9 10 11 12", 2)
    assert [p.name for p in problems] == ["wt2/1", "wt2/2"]
    first = problems[0]
    assert first.processing.tolist() == [1, 2]
    assert first.weight.tolist() == [3, 4]
    assert first.due.tolist() == [5, 6]
    assert len(formats.read_orlibrary("1 2 3\n" * 125)) == 125


@pytest.mark.parametrize("text", ["", "1 2", "1 2 x", "1 2 3 4 5 6 7"])
def test_orlibrary_errors(text):
    with pytest.raises(InputError):
        formats.read_orlibrary(text, 2)


def test_smtt_lists():
    text = json.dumps([{"p": [1, 2], "d": [3, 4], "optimum": 0}, {"p": [1], "d": [0]}])
    assert [p.n_jobs for p in formats.read_smtt(text)] == [2, 1]
    assert formats.read_optima(text) == [0, None]
    for wrong in ("{}", "[1]", "[", '[{"p": [1]}]'):
        with pytest.raises(InputError):
            formats.read_smtt(wrong)


@pytest.mark.parametrize("weighted", [False, True])
def test_table_round_trip(weighted):
    problem = potts_van_wassenhove(20, 0.6, 0.6, 1, weighted=weighted)
    again = formats.read_columns(formats.write_columns(problem), problem.name)
    assert again == problem


def test_table_refuses_features_and_bad_rows():
    with pytest.raises(CannotExpressError, match="release dates"):
        formats.write_columns(SingleMachine([1], [1], release=[2]))
    for text in ("", "1 2\n3", "a b", "1"):
        with pytest.raises(InputError):
            formats.read_columns(text, "x")


def test_json_round_trip_of_problem_and_solution():
    problem = SingleMachine(
        [3, 2, 4], [1, 5, 2], [1, 2, 3], release=[0, 0, 9], deadline=[None, 30, None],
        setup=[[0, 1, 1], [1, 0, 1], [1, 1, 0]], precedence=[(0, 1)],
        objective="total_weighted_tardiness", name="x",
    )  # fmt: skip
    assert SingleMachine.from_dict(json.loads(problem.to_json())) == problem
    solution = problem.schedule([0, 1, 2])
    again = SingleMachineSolution.from_dict(json.loads(solution.to_json()))
    assert again.start.tolist() == solution.start.tolist()
    with pytest.raises(InputError, match="unknown field"):
        SingleMachine.from_dict({"processing": [1], "dues": [1]})
