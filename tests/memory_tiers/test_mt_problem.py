"""Memory tiers: the data, the checker rule by rule, JSON, and fuzzing of what is read."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import optsched as op
from optsched import InputError, MemoryTiers, MemoryTiersSolution
from optsched.core import OptschedError
from optsched.formats import read_text
from optsched.problems.scratchpad.graph import OperatorGraph

TIERS = [("dram", 10, None), ("sram", 40, 100)]


def chain(**changes: Any) -> MemoryTiers:
    """Return x -> f -> h -> g -> y, where g also reads the weight w."""
    graph = OperatorGraph(
        tensors=[("x", 40), ("h", 40), ("w", 40, "weight"), ("y", 20)],
        operators=[("f", ["x"], ["h"]), ("g", ["h", "w"], ["y"])],
    )
    arguments: dict[str, Any] = {"tiers": TIERS, "dma_bandwidth": 20} | changes
    return MemoryTiers(graph, **arguments)


#: Touches: x in 0, h in 0 and 1, w in 1, y in 1.
BASE = MemoryTiersSolution([0, 0, 0, 0, 0], [], [])
GOOD = MemoryTiersSolution([0, 1, 1, 1, 0], [[1, 1, 0, 1], [2, 1, 0, 1]], [[2, 1, 0, 2]])


def kinds(problem: MemoryTiers, solution: MemoryTiersSolution) -> list[str]:
    return [each.kind for each in problem.check(solution)]


def test_times_by_hand() -> None:
    problem = chain()
    assert problem.touches().tolist() == [[0, 0], [1, 0], [1, 1], [2, 1], [3, 1]]
    assert problem.check(BASE) == problem.check(GOOD) == []
    assert problem.step_times(BASE).tolist() == [4 + 4, 4 + 4 + 2]
    assert problem.objective(GOOD) == (4 + 1) + (1 + 1 + 2)
    # The copy takes 2 units; beside an operator that computes for long it takes none.
    assert chain(compute=[1, 9]).step_times(GOOD).tolist() == [5, 9]
    slow = chain(dma_bandwidth=5)
    late = MemoryTiersSolution(GOOD.tier, GOOD.stays, [[2, 1, 0, 8]])
    assert slow.check(late) == []
    assert slow.step_times(late).tolist() == [8, 4]
    assert "sram 100 bytes" in problem.describe()


@pytest.mark.parametrize(
    ("tier", "stays", "copies", "kind", "message"),
    [
        ([0, 0], [], [], "shape", "tier has 2 entries, the instance has 5 touches"),
        ([0, 0, 2, 0, 0], [], [], "tier", "touch 2: there is no memory 2"),
        ([0] * 5, [[0, 0, 0, 0]], [], "stay", "names no tensor"),
        ([0] * 5, [[0, 1, 1, 0]], [], "stay", "names no tensor"),
        ([0] * 5, [], [[0, 1, 0, 0]], "copy", "names no tensor"),
        ([0, 1, 1, 0, 0], [], [], "production", "'h': is written to 1 in step 0"),
        ([0, 0, 1, 0, 0], [], [], "residency", "'h': is read from memory 1 in step 1"),
        ([0, 1, 0, 0, 0], [[1, 1, 0, 0]], [], "main memory", "'h': is read from main memory"),
        ([0, 1, 1, 0, 1], [[1, 1, 0, 1], [3, 1, 1, 1]], [], "output", "'y': is an output"),
        ([0] * 5, [[2, 1, 0, 1]], [], "copy", "0 of 2 units"),
        ([0] * 5, [[2, 1, 0, 1]], [[2, 1, 0, 3]], "copy", "3 of 2 units"),
        ([0] * 5, [], [[2, 1, 0, 2]], "copy", "where it has no room"),
        ([0, 0, 0, 1, 0], [[2, 1, 1, 1]], [[2, 1, 1, 2]], "residency", "'w': is read from"),
        ([0] * 5, [[1, 1, 0, 1]], [[1, 1, 0, 2]], "copy", "before main memory has it"),
        ([0, 1, 1, 0, 0], [[1, 1, 0, 1]], [[1, 1, 0, 2]], "copy", "and copied there"),
        ([0] * 5, [], [[0, 0, 0, 2]], "eviction", "always has it"),
        ([0, 1, 1, 0, 0], [[1, 1, 0, 1]], [[1, 0, 1, 1]], "eviction", "1 of 2 units of its"),
        ([0] * 5, [], [[3, 0, 1, 1]], "eviction", "complete in no memory"),
        (
            [0, 1, 1, 0, 0], [[1, 1, 0, 0], [1, 1, 0, 1]], [], "stay", "share step 0",
        ),
    ],
)  # fmt: skip
def test_violations(tier: Any, stays: Any, copies: Any, kind: str, message: str) -> None:
    solution = MemoryTiersSolution(tier, stays, copies)
    found = chain().check(solution)
    assert any(each.kind == kind and message in each.message for each in found), found


def test_capacity_is_for_every_step() -> None:
    assert kinds(chain(tiers=[TIERS[0], ("sram", 40, 79)]), GOOD) == ["capacity", "capacity"]
    assert kinds(chain(tiers=[TIERS[0], ("sram", 40, 80)]), GOOD) == []


def test_eviction_and_return() -> None:
    graph = OperatorGraph(
        tensors=[("x", 4), ("h", 4), ("a", 4), ("b", 4), ("y", 4)],
        operators=[("f", [0], [1]), ("g", [0], [2]), ("i", [2], [3]), ("j", [1, 3], [4])],
    )
    problem = MemoryTiers(graph, [("main", 1), ("fast", 4, 4)], 4)
    # h is made in the fast memory, leaves it beside g, and is brought back beside i.
    tier = [0, 0, 1, 1, 0, 0, 0, 0, 0]
    stays = [[1, 1, 0, 1], [1, 1, 2, 3]]
    copies = [[1, 0, 1, 1], [1, 1, 2, 1]]
    solution = MemoryTiersSolution(tier, stays, copies)
    assert problem.check(solution) == []
    assert problem.step_times(solution).tolist() == [5, 8, 8, 9]
    too_early = MemoryTiersSolution(tier, [[1, 1, 0, 1], [1, 1, 2, 3]], [[1, 0, 0, 1], copies[1]])
    assert "eviction" in kinds(problem, too_early)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tiers": []}, "tiers: expected a list"),
        ({"tiers": "dram"}, "tiers: expected a list"),
        ({"tiers": [("dram", 10, 5)]}, "main memory, the first tier, holds everything"),
        ({"tiers": [("dram", 10), ("sram", 10)]}, "tier 'sram': a capacity is needed"),
        ({"tiers": [("dram", 10), ("sram", 10, -1)]}, "capacity -1 is negative"),
        ({"tiers": [("dram", 0)]}, "tier 'dram': bandwidth: 0 is less than 1"),
        ({"tiers": [("dram", 1), ("dram", 1, 1)]}, "no text, or taken"),
        ({"tiers": [{"name": "dram", "speed": 1}]}, "unknown field 'speed'"),
        ({"tiers": [{"name": "dram"}]}, "name and bandwidth are needed"),
        ({"dma_bandwidth": 0.5}, "dma_bandwidth: 0.5 is not a whole number"),
        ({"compute": [1]}, "compute: expected 2 times"),
        ({"compute": [1, -2]}, "operator 'g': compute time -2 is negative"),
        ({"compute": [1, float("nan")]}, "operator 1"),
        ({"order": [1, 0]}, "'g' runs before 'f'"),
        ({"compute": [2**52, 2**52]}, "exceed 2\\^53"),
    ],
)
def test_wrong_data(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        chain(**changes)


def test_json_round_trip() -> None:
    for problem in (chain(), chain(compute=[3, 4], order=[0, 1], name="named")):
        again = read_text(problem.to_json(), "file")
        assert again == problem
        assert again.to_json() == problem.to_json()
    assert MemoryTiersSolution.from_dict(json.loads(GOOD.to_json())).to_dict() == GOOD.to_dict()
    with pytest.raises(AttributeError, match="frozen"):
        chain().compute = np.zeros(2)
    with pytest.raises(InputError, match="'dma_bandwidth' is missing"):
        MemoryTiers.from_dict({"graph": {}, "tiers": []})
    for data in ({}, {"tier": [1.5], "stays": [], "copies": []}, {"tier": [], "stays": [[1]]}, 3):
        with pytest.raises(InputError):
            MemoryTiersSolution.from_dict(data)
    with pytest.raises(InputError, match="tier has 0 entries"):
        chain().objective(MemoryTiersSolution([], [], []))


values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 50) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([*chain().to_dict(), "compute", "order"]), values)
def test_damaged_data_raise_our_errors_alone(field: str, value: Any) -> None:
    with contextlib.suppress(OptschedError):
        MemoryTiers.from_dict(chain(compute=[1, 2]).to_dict() | {field: value})


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["tier", "stays", "copies"]), values)
def test_damaged_solutions_raise_our_errors_alone(field: str, value: Any) -> None:
    with contextlib.suppress(OptschedError):
        solution = MemoryTiersSolution.from_dict(GOOD.to_dict() | {field: value})
        chain().check(solution)
        chain().objective(solution)


def test_one_memory_alone() -> None:
    problem = chain(tiers=TIERS[:1])
    for solver in ("auto", "cpsat", "heuristic"):
        result = op.solve(problem, solver, time_limit=20, workers=1)
        assert result.objective == 18
    assert op.solve(problem, workers=1).status == "OPTIMAL"
