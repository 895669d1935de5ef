"""The data model: what it refuses, and that it keeps what it is given."""

import contextlib
import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

import optsched as op
import optsched.problems.rcpsp.validation
from optsched.core import InputError
from optsched.problems.rcpsp.problem import RcpspSolution
from optsched.selfcheck.families.rcpsp import random_instance

ONE = [(3, [1])]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], [1]), "there are no activities"),
        ((5, [1]), "activities: expected a list"),
        (([(-1, [1])], [1]), "activity 0: duration -1 is negative"),
        (([(1, [1, 2])], [1]), "activity 0: expected 1 demands, one a resource, got 2"),
        (([[(1, [1]), (2, [-1])]], [1]), "activity 0, mode 1: demand -1 is negative"),
        (([(1.5, [1])], [1]), "activity 0: duration: 1.5 is not a whole number"),
        (([(True, [1])], [1]), "duration: True is not a whole number"),
        (([(float("nan"), [1])], [1]), "duration: nan is not"),
        (([(2**60, [1])], [1]), "exceeds 2"),
        ((ONE, [-1]), "resource 0: capacity -1 is negative"),
        ((ONE, [[(1, 2)]]), "resource 0: the first step of the capacity is at 1, not at 0"),
        ((ONE, [[(0, 2), (0, 3)]]), "the step at 0 does not come after that at 0"),
        ((ONE, [[]]), "resource 0: the capacity has no steps"),
        ((ONE, [1], [(0, 1)]), "precedence 0: there is no activity 1"),
        ((ONE, [1], [(0, 0)]), "activity 0 cannot precede itself"),
        ((ONE * 2, [1], [(0, 1, "XX")]), "'XX' is none of FS, SS, FF, SF"),
        ((ONE * 2, [1], [(0, 1, "FS", 3, 2)]), "the largest lag 2 is below the least 3"),
        ((ONE * 2, [1], [7]), "precedence 0: expected"),
    ],
)
def test_wrong_data_is_named(arguments, message):
    with pytest.raises(InputError, match=message):
        op.Rcpsp(*arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "speed"}, "unknown objective"),
        ({"objective": "total_weighted_tardiness"}, "needs due dates"),
        ({"objective": "resource_levelling"}, "activity 0 has none"),
        (
            {"objective": "negative_net_present_value", "cash_flow": [-5]},
            "activity 0: a negative cash flow needs a deadline",
        ),
        ({"release": [-1]}, "activity 0: release date -1 is less than 0"),
        ({"release": [1, 2]}, "expected 1 of them"),
        ({"deadline": ["x"]}, "activity 0: deadline: 'x' is not a whole number"),
        ({"disjunctive": [[0]]}, "group 0: expected two or more different"),
        ({"disjunctive": [[0, 1]]}, "there is no activity 1"),
        ({"calendars": [[(3, 2)]]}, "the break from 3 to 2 is no stretch of time"),
        ({"calendar": [0]}, "activity 0: there is no calendar 0"),
        ({"breakable": [1]}, "activity 0: 1 is neither true nor false"),
        ({"discount_rate": -0.1}, "discount_rate"),
        ({"renewable": [False], "capacity": [[(0, 1), (2, 3)]]}, "a non-renewable resource has"),
        ({"project": [5]}, "project 5 is more than 1 activities can have"),
        ({"activity_names": [3]}, "activity 0: the name 3 is no text"),
        ({"weight": [2**52], "due": [0], "objective": "total_weighted_tardiness"}, "exceed 2"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(InputError, match=message):
        op.Rcpsp(ONE, options.pop("capacity", [1]), **options)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=3)
    | st.integers(2**52, 2**70),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(op.problems.rcpsp.validation.FIELDS), JUNK))
def test_whatever_is_thrown_at_it(data):
    plain = {"activities": [[3, [1]], [2, [1]]], "capacity": [1]} | data
    with contextlib.suppress(InputError):
        op.Rcpsp.from_dict(plain)


def test_json_round_trip():
    for seed in range(80):
        problem = random_instance(seed)
        assert op.Rcpsp.from_dict(problem.to_dict()) == problem
        assert pickle.loads(pickle.dumps(problem)) == problem
        assert not copy.deepcopy(problem).mode_duration.flags.writeable
    solution = RcpspSolution([0, 3], [1, 0])
    again = RcpspSolution.from_dict(solution.to_dict())
    assert again.start.tolist() == [0, 3]
    assert again.mode.tolist() == [1, 0]


def test_it_is_frozen():
    problem = op.Rcpsp(ONE, [1])
    with pytest.raises(AttributeError):
        problem.name = "other"
    with pytest.raises(ValueError, match="read-only"):
        problem.mode_duration[0] = 1


def test_features_and_description():
    problem = op.Rcpsp(ONE * 2, [1], [(0, 1, "SS", 0, 4)], release=[0, 1], name="house")
    assert problem.features() == {
        "lags", "maximum lags", "release dates", "objective makespan"
    }  # fmt: skip
    assert problem.describe().startswith("house: project scheduling, 2 activities, 1 resources")


def test_a_largest_lag_is_a_least_one_backwards():
    forward = op.Rcpsp(ONE * 2, [1], [(0, 1, "FS", None, 4)])
    backward = op.Rcpsp(ONE * 2, [1], [(1, 0, "SF", -4)])
    assert forward == backward
