"""The reference model of every family agrees with enumeration and with CP-SAT on tiny instances."""

import shutil

import numpy as np
import pytest

import optsched as op
from optsched.core import Deadline
from optsched.problems.pod_packing import minizinc as pods
from optsched.selfcheck.case import draw, examine
from optsched.selfcheck.compare import cross_checked
from optsched.selfcheck.families import NAMES
from optsched.solvers import minizinc
from optsched.solvers.base import Control, Verdict

pytest.importorskip("minizinc", reason="the package minizinc is not installed")
pytestmark = pytest.mark.skipif(
    shutil.which("minizinc") is None, reason="MiniZinc is not installed"
)
MODELLED = [name for name in NAMES if minizinc.model_path(name).is_file()]
FEW, MANY = 10, 200
READER = {"tensors": [["x", 4]], "operators": [["f", ["x"], []]]}
SEED = 10


def agree(family, case):
    """The model alone, without rules and bounds, says what two others say."""
    verdict = examine(draw(family, SEED, case), limit=300, only=("minizinc", "cpsat"))
    told = [str(finding) for finding in verdict.wrong if finding.way == "minizinc"]
    assert not told, (told, verdict.problem.to_json())
    decided = {outcome.way for outcome in verdict.outcomes if outcome.decided}
    assert "minizinc" in decided, verdict.problem.to_json()
    assert cross_checked(verdict.outcomes)


@pytest.mark.parametrize("family", MODELLED)
def test_a_few_instances(family):
    for case in range(FEW):
        agree(family, case)


@pytest.mark.slow
@pytest.mark.parametrize("family", MODELLED)
def test_many_instances(family):
    for case in range(FEW, FEW + MANY):
        agree(family, case)


def alone(problem):
    """Return verdict and best objective of the model, without the session's rules and bounds."""
    compiled = op.compile(problem, "minizinc")
    found = []

    def on_solution(values, claimed):
        solution = compiled.decode(values)
        assert problem.check(solution) == []
        assert problem.objective(solution) == claimed
        found.append(claimed)

    control = Control(
        deadline=Deadline(300),
        workers=1,
        seed=0,
        options={},
        variant="",
        hint=None,
        on_solution=on_solution,
        on_bound=found.append,
        stopped=lambda: False,
        when_stopped=lambda _: None,
    )
    return minizinc.run(compiled, control), found[-1] if found else None


def test_levels_that_do_not_fit_in_one_sum_are_solved_in_turn(monkeypatch):
    rng = np.random.default_rng(3)
    problem = op.PodPacking(
        [[9, 9], [4, 7]],
        rng.integers(1, 5, (6, 2)),
        priority=[2, 1, 0, 2, 1, 0],
        current=[0, 1, 0, -1, -1, -1],
    )
    whole = alone(problem)
    assert whole[0] is Verdict.OPTIMAL
    monkeypatch.setattr(pods, "MOST_WEIGHT", 16)
    compiled = op.compile(problem, "minizinc")
    done = []
    while compiled.stage(done) is not None:
        done.append({"level": [0] * len(problem.level_keys())})
    assert len(done) > 2
    assert alone(problem) == whole


def test_so_many_levels_are_refused():
    n = 70
    problem = op.PodPacking([[n]], [[1]] * n, priority=range(n))
    with pytest.raises(op.InputError, match="native"):
        op.solve(problem, solver="minizinc")


def test_bytes_fit_in_the_numbers_of_gecode():
    gib = 2**30
    problem = op.PodPacking([[8 * gib + 5], [3 * gib]], [[3 * gib], [5 * gib], [gib], [3 * gib]])
    assert alone(problem) == (Verdict.OPTIMAL, 1)


@pytest.mark.parametrize(
    "problem",
    [
        op.TensorMemory([(0, 2, 2**31), (1, 3, 2**31), (0, 3, 2**30)]),
        op.SingleMachine([3, 2], [1, 2], weight=[2**31, 5], objective="total_weighted_tardiness"),
    ],
)
def test_numbers_beyond_those_of_gecode_are_refused(problem):
    with pytest.raises(op.InputError, match="Gecode counts to"):
        alone(problem)


@pytest.mark.parametrize(
    ("problem", "best"),
    [
        (op.Rcpsp([(2, []), (3, [])], [], [(0, 1)]), 5),
        (op.PodPacking([[3]], [], resources=["cpu"]), 0),
        (op.PodPacking(np.zeros((0, 1), int), [[2], [3]]), 2),
        (op.PodPacking([[], []], [[], [], []]), 0),
        (op.TensorMemory([(0, 2, 0), (1, 3, 4)]), 4),
        (op.MemoryTiers(READER, [("main", 2)], 1), 2),
        (op.ScratchpadSchedule(READER, 4), 0),
        (op.ScratchpadSchedule({"tensors": [], "operators": [["f", [], []]]}, 0), 0),
    ],
)
def test_instances_with_almost_nothing(problem, best):
    assert alone(problem) == (Verdict.OPTIMAL, best)
