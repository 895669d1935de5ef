"""Files of the field: what is read, what is written back, and what is refused with its line."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mirror import MIRROR, needs_mirror

import optsched as op
from optsched.core import CannotExpressError, InputError, OptschedError
from optsched.datasets import registry
from optsched.formats import read_text, write_text
from optsched.selfcheck.families.rcpsp import random_instance

PSPLIB = """\
************************************************************************
file with basedata            : small.bas
projects                      :  1
jobs (incl. supersource/sink ):  4
horizon                       :  9
RESOURCES
  - renewable                 :  1   R
  - nonrenewable              :  1   N
  - doubly constrained        :  0   D
************************************************************************
PROJECT INFORMATION:
pronr.  #jobs rel.date duedate tardcost  MPM-Time
    1      2      1        7        3        7
************************************************************************
PRECEDENCE RELATIONS:
jobnr.    #modes  #successors   successors
   1        1          2           2   3
   2        2          1           4
   3        1          1           4
   4        1          0
************************************************************************
REQUESTS/DURATIONS:
jobnr. mode duration  R 1  N 1
------------------------------------------------------------------------
  1      1     0       0    0
  2      1     3       2    4
         2     5       1    1
  3      1     2       1    1
  4      1     0       0    0
************************************************************************
RESOURCEAVAILABILITIES:
  R 1  N 1
    2    4
************************************************************************
"""
PATTERSON = "4 1\n2\n0 0 2 2 3\n3 2 1\n4\n2 1 1 4\n0 0 0\n"
PROGEN = (
    "2 1 0 0\n0 1 2 1 2 [0] [0]\n1 1 2 2 3 [1] [3]\n2 1 2 3 1 [2] [-6]\n3 1 0\n"
    "0 1 0 0\n1 1 3 2\n2 1 2 1\n3 1 0 0\n2\n"
)
TASKS = """\
# capacity: crew=3
id,name,duration,predecessors,resources,deadline
1,dig,3d,,crew[2],
A2,pour,2,1FS+2d,crew;mixer,9
3,wait,1 day,"1SS; A2FF-1d",,
"""


def test_psplib():
    problem = read_text(PSPLIB, "small", ".mm")
    assert problem.n_modes == 5
    assert problem.renewable.tolist() == [True, False]
    assert problem.profile_capacity.tolist() == [2, 4]
    assert problem.lag[:, :2].tolist() == [[0, 1], [0, 2], [1, 3], [2, 3]]
    dates = problem.project_release, problem.project_due, problem.project_weight
    assert [each.tolist() for each in dates] == [[1], [7], [3]]
    result = op.solve(problem, time_limit=30, workers=1)
    assert (result.status, result.objective) == ("OPTIMAL", 6)


def test_psplib_of_several_projects():
    text = PSPLIB.replace("1      2      1 ", "1      1      1 ").replace(
        "        7        3        7\n", "        7        3        7\n 2 1 0 na 1 na\n", 1
    )
    problem = read_text(text, "two", ".sm")
    assert problem.project.tolist() == [2, 0, 1, 2]
    assert problem.project_release.tolist() == [1, 0, 0]
    assert problem.project_due.tolist()[0] == 7


def test_patterson_rows_may_be_broken():
    problem = read_text(PATTERSON, "small")
    assert problem.mode_duration.tolist() == [0, 3, 2, 0]
    assert problem.lag[:, :2].tolist() == [[0, 1], [0, 2], [1, 3], [2, 3]]


def test_progen_max():
    problem = read_text(PROGEN, "small")
    assert [2, 1, 1, -6] in problem.lag.tolist()
    assert problem.features() >= {"lags", "maximum lags"}
    assert op.solve(problem, time_limit=30, workers=1).objective == 5


def test_tasks():
    problem = read_text(TASKS, "plan")
    assert problem.lag.tolist() == [[0, 1, 0, 2], [0, 2, 1, 0], [1, 2, 2, -1]]
    assert problem.resource_names == ("crew", "mixer")
    assert problem.profile_capacity.tolist() == [3, 1]
    assert problem.activity_names == ("dig", "pour", "wait")
    assert problem.deadline.tolist()[1] == 9
    semicolons = TASKS.replace(",", "\t").replace("# capacity: crew=3\n", "")
    assert read_text(semicolons, "plan").profile_capacity.tolist() == [2, 1]


@pytest.mark.parametrize(
    ("text", "suffix"), [(PSPLIB, ".mm"), (PATTERSON, ".rcp"), (PROGEN, ".sch"), (TASKS, ".csv")]
)
def test_written_files_are_read_back(text, suffix):
    problem = read_text(text, "small", suffix)
    again = read_text(write_text(problem, suffix), "small", suffix)
    assert again == problem
    assert read_text(text, "small") == problem  # without the suffix
    assert read_text(write_text(problem, ".json"), "small", ".json") == problem


def test_what_a_format_cannot_hold_is_named():
    problem = op.Rcpsp([(1, [1])] * 2, [[(0, 1), (4, 2)]], release=[0, 2])
    for suffix in (".sm", ".rcp", ".sch", ".csv"):
        with pytest.raises(CannotExpressError, match="capacity profiles"):
            write_text(problem, suffix)


def test_writing_never_loses_anything():
    for seed in range(120):
        problem = random_instance(seed)
        for suffix in (".sm", ".rcp", ".sch", ".csv", ".json"):
            try:
                text = write_text(problem, suffix)
            except CannotExpressError:
                continue
            again = read_text(text, problem.name, suffix)
            # ProGen/max writes every lag from start to start.
            assert again.features() - {"lags"} == problem.features() - {"lags"}
            if suffix == ".json":
                assert again == problem


@pytest.mark.parametrize(
    ("text", "suffix", "message"),
    [
        (PSPLIB.replace("4        1          0", "5        1          0"), ".sm", "line 20"),
        (PSPLIB.replace("2        2          1 ", "2        2          2 "), ".sm", "line 18"),
        (PSPLIB.replace("         2     5       1    1\n", ""), ".sm", "line 27"),
        (PSPLIB.replace("1     3       2    4", "1     x       2    4"), ".sm", "line 26.*'x'"),
        (PSPLIB.replace("    2    4\n", "    2\n"), ".sm", "line 33: 1 capacities, 2 resources"),
        (PSPLIB.replace("N 1\n    2", "D 1\n    2"), ".sm", "doubly constrained"),
        (PSPLIB.replace("PRECEDENCE", "PRECEDING"), ".sm", "there is no section"),
        (PATTERSON[:-5], ".rcp", "line 7: the file ends before activity 4"),
        (PATTERSON + "7\n", ".rcp", "line 8: '7' after the end"),
        (PATTERSON.replace("2 1 1 4", "2 1 1 9"), ".rcp", "line 6, activity 3: successor: 9"),
        (PROGEN.replace("[2] [-6]", "[2]"), ".sch", "line 4: expected 2 successors"),
        (PROGEN.replace("2 1 0 0\n", "2 1 1 0\n", 1), ".sch", "line 1: only renewable"),
        (PROGEN.replace("1 1 2 2 3", "1 2 2 2 3"), ".sch", "line 3: activity 1 has 2 modes"),
        (TASKS.replace("1FS+2d", "7FS+2d"), ".csv", "line 4: predecessor '7FS.2d': there is no"),
        (TASKS.replace("3d", "3h"), ".csv", "line 3: '3h' is no duration"),
        (TASKS.replace("A2,pour", "1,pour"), ".csv", "line 4: id '1' stands twice"),
        (TASKS.replace("deadline", "colour"), ".csv", "line 2: unknown column 'colour'"),
        (TASKS.replace("crew=3", "crew 3"), ".csv", "line 1: expected 'resource=capacity'"),
    ],
)
def test_the_line_at_fault_is_named(text, suffix, message):
    with pytest.raises(InputError, match=message):
        read_text(text, "small", suffix)


@st.composite
def damaged(draw):
    """Texts near to good ones: pieces left out, doubled, or replaced."""
    text = draw(st.sampled_from([PSPLIB, PATTERSON, PROGEN, TASKS]))
    for _ in range(draw(st.integers(1, 4))):
        a = draw(st.integers(0, len(text)))
        b = draw(st.integers(a, min(len(text), a + 30)))
        junk = draw(
            st.sampled_from(["", "-1", "99999999999999999999", "x", "\n", "[", ";", "\x00"])
        )
        text = text[:a] + junk + text[b:]
    return text


@given(damaged(), st.sampled_from([".sm", ".mm", ".rcp", ".sch", ".csv", ""]))
def test_damaged_files_only_raise_our_errors(text, suffix):
    with contextlib.suppress(OptschedError):
        read_text(text, "damaged", suffix, family="rcpsp")


@given(st.text(max_size=60), st.sampled_from([".sm", ".rcp", ".sch", ".csv"]))
def test_any_text_only_raises_our_errors(text, suffix):
    with contextlib.suppress(OptschedError):
        read_text(text, "any", suffix, family="rcpsp")


@pytest.mark.parametrize("text", ["#", ",", ",,\n,", '""'])
def test_a_table_of_nothing_is_refused(text):
    with pytest.raises(InputError, match="no heads of columns"):
        read_text(text, "empty", ".csv", family="rcpsp")


@needs_mirror
def test_the_collections_agree_with_the_psplib_package(monkeypatch):
    psplib = pytest.importorskip("psplib")
    monkeypatch.setenv("OPTSCHED_DATASETS", str(MIRROR))
    for name, form in (
        ("j30/j301_1", "patterson"),
        ("j10mm/j1010_1", "psplib"),
        ("mmlib50/J501_1", "psplib"),
        ("j30max/PSP4", "rcpsp_max"),
    ):
        problem = op.load(name)
        entry = registry.find(name)
        other = psplib.parse(MIRROR / entry.repository / entry.path, form)
        demands = [list(mode.demands) for a in other.activities for mode in a.modes]
        assert demands == problem.mode_demand.tolist()
        durations = [mode.duration for a in other.activities for mode in a.modes]
        assert durations == problem.mode_duration.tolist()
        assert [r.capacity for r in other.resources] == problem.profile_capacity.tolist()
        arcs = {(i, j) for i, a in enumerate(other.activities) for j in a.successors}
        assert arcs == {(i, j) for i, j in problem.lag[:, :2].tolist()}


@needs_mirror
@pytest.mark.parametrize(
    ("name", "least"), [("j30/j301_1", 38), ("j120/j12060_10", 70), ("j90/j901_1", 60)]
)
def test_instances_carry_their_own_bounds(name, least, monkeypatch):
    from optsched.problems.rcpsp.network import network

    monkeypatch.setenv("OPTSCHED_DATASETS", str(MIRROR))
    net = network(op.load(name))
    entry = registry.find(name)
    assert least <= int((net.head + net.tail).max()) <= entry.lower <= entry.upper
