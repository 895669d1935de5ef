"""Data, validation, JSON, checker and objective of static memory allocation."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import optsched as op
from optsched import InputError, TensorMemory, TensorMemorySolution
from optsched.problems.tensor_memory.heuristics import VARIANTS
from optsched.problems.tensor_memory.picture import summary
from optsched.selfcheck.families.tensor_memory import random_instance
from optsched.selfcheck.references.tensor_memory import moments

PAIR = [(0, 4, 3), (2, 6, 5)]


@pytest.mark.parametrize(
    ("buffers", "given", "message"),
    [
        ([], {}, "no buffers"),
        (7, {}, "buffers: expected a list"),
        ([(0, 4)], {}, r"buffer 0: expected \(lower, upper, size\)"),
        ([(0, 4, 3), (-1, 4, 3)], {}, "buffer 1: lower -1 is negative"),
        ([(0, 4, 3), (5, 4, 3)], {}, r"buffer 1: the lifetime \[5, 4\) is inverted"),
        ([(4, 4, 3)], {"id": ["conv"]}, r"buffer 0 \('conv'\): the lifetime \[4, 4\) is empty"),
        ([(0, 4, -3)], {}, "buffer 0: size -3 is negative"),
        ([(0, 4, float("nan"))], {}, "not a whole number"),
        ([(0, 4, 10**40)], {}, "exceeds 2"),
        ([{"lower": 0, "upper": 3}], {}, "buffer 0: 'size' is missing"),
        ([{"lower": 0, "upper": 3, "size": 1, "x": 1}], {}, "buffer 0: unknown key 'x'"),
        (PAIR, {"capacity": 4}, "buffer 1: size 5 exceeds the capacity 4"),
        (PAIR, {"alignment": [1, 0]}, "buffer 1: alignment 0 is less than 1"),
        (PAIR, {"alignment": [1, "page"]}, "buffer 1: alignment: 'page' is not a whole number"),
        (PAIR, {"pinned": [0, 2]}, "buffer 0 and buffer 1: pinned at 0 and 2, where they overlap"),
        (PAIR, {"pinned": [1, None], "alignment": 2}, "buffer 0: pinned at 1, which is no multip"),
        (PAIR, {"pinned": [4, None], "capacity": 6}, "buffer 0: pinned at 4, size 3 exceeds"),
        (PAIR, {"gaps": [[(3, 5)], []]}, r"buffer 0: the gap \[3, 5\) is not within the lifetime"),
        (PAIR, {"gaps": [[(0, 2), (2, 4)], None]}, "buffer 0: the gaps leave nothing"),
        (PAIR, {"alias": [[0, 2]]}, "alias group 0: there is no buffer 2"),
        (PAIR, {"alias": [[0, 1]], "pinned": [0, 3]}, "aliases, but pinned at 0 and 3"),
        (PAIR, {"banks": [[0], [1]]}, "buffer 1: there is no bank 1"),
        (PAIR, {"objective": "fit"}, "needs a capacity"),
        (PAIR, {"objective": "area"}, "unknown objective"),
        (PAIR, {"id": ["a", "a"]}, "id 'a' belongs to buffers 0 and 1"),
    ],
)
def test_bad_data_is_refused_by_name(buffers: Any, given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        TensorMemory(buffers, **given)


def test_touching_pins_of_aliases_and_gaps_are_accepted() -> None:
    TensorMemory(PAIR, pinned=[0, 3])
    TensorMemory(PAIR, pinned=[0, 0], alias=[[0, 1]])
    TensorMemory(PAIR, pinned=[0, 0], gaps=[[(2, 4)], None])


def test_mappings_and_columns_state_the_same() -> None:
    rows = [
        {"lower": 0, "upper": 4, "size": 3, "alignment": 4, "id": "a", "gaps": [(1, 2)]},
        {"lower": 2, "upper": 6, "size": 5, "pinned": 8, "id": "b"},
    ]
    by_column = TensorMemory(
        PAIR, alignment=[4, None], gaps=[[(1, 2)], None], pinned=[None, 8], id=["a", "b"]
    )
    assert TensorMemory(rows) == by_column


@pytest.mark.parametrize("seed", range(60))
def test_json_round_trip(seed: int) -> None:
    problem = random_instance(seed, banks=seed % 3 == 0)
    assert TensorMemory.from_dict(json.loads(problem.to_json())) == problem


def test_checker_names_every_kind_of_violation() -> None:
    problem = TensorMemory(
        [(0, 4, 3), (2, 6, 5), (0, 2, 2), (3, 5, 2)], [8, 20], alignment=[1, 2, 1, 1],
        pinned=[None, None, 4, None], alias=[[0, 2]], banks=[None, [1], None, None],
    )  # fmt: skip

    def kinds(offset: list[int], bank: list[int] | None = None) -> set[str]:
        return {v.kind for v in problem.check(TensorMemorySolution(offset, bank))}

    assert kinds([4, 0, 4, 7], [1, 1, 1, 1]) == {"overlap"}
    assert kinds([4, 8, 4, 0], [1, 1, 1, 1]) == set()
    assert kinds([4, 8, 4], [1, 1, 1]) == {"shape"}
    assert kinds([-1, 8, 4, 0], [1, 1, 1, 1]) == {"offset"}
    assert kinds([4, 8, 4, 0], [1, 1, 1, 2]) == {"bank"}
    assert kinds([4, 8, 4, 0], [1, 0, 1, 1]) == {"bank", "capacity"}
    assert kinds([4, 7, 4, 0], [1, 1, 1, 1]) == {"alignment"}
    assert kinds([3, 8, 3, 0], [1, 1, 1, 1]) == {"pinned"}
    assert kinds([4, 8, 4, 7], [0, 1, 0, 0]) == {"capacity"}
    assert kinds([4, 8, 4, 0], [1, 1, 0, 1]) == {"alias"}


@pytest.mark.parametrize("seed", range(200))
def test_checker_finds_the_overlaps_that_a_grid_shows(seed: int) -> None:
    problem = random_instance(seed, banks=seed % 4 == 0)
    rng = np.random.default_rng(seed)
    offset = rng.integers(0, 12, problem.n_buffers)[problem.alias]
    bank = rng.integers(0, problem.n_banks, problem.n_buffers)[problem.alias]
    found = {
        v.message.split(" overlap")[0]
        for v in problem.check(TensorMemorySolution(offset, bank))
        if v.kind == "overlap"
    }
    expected = set()
    for a in range(problem.n_buffers):
        for b in range(a + 1, problem.n_buffers):
            apart = (
                offset[a] + problem.size[a] <= offset[b]
                or offset[b] + problem.size[b] <= offset[a]
                or bank[a] != bank[b]
                or problem.alias[a] == problem.alias[b]
            )
            if not apart and moments(problem, a) & moments(problem, b):
                expected.add(f"buffers {a} and {b}")
    assert found == expected


def test_checker_is_quick_for_sixty_thousand_buffers() -> None:
    rng = np.random.default_rng(0)
    lower = rng.integers(0, 50_000, 60_000)
    rows = np.column_stack((lower, lower + rng.integers(1, 2_000, 60_000), np.full(60_000, 8)))
    problem = TensorMemory(rows)
    solution = TensorMemorySolution(np.arange(60_000) * 8)
    assert problem.check(solution) == []
    assert problem.objective(solution) == 480_000


def test_peak_of_several_banks_is_the_sum() -> None:
    problem = TensorMemory([(0, 2, 4), (0, 2, 3), (0, 2, 2)], [None, None])
    solution = TensorMemorySolution([0, 0, 3], [0, 1, 1])
    assert problem.check(solution) == []
    assert problem.peaks(solution).tolist() == [4, 5]
    assert problem.objective(solution) == 9


def test_solution_survives_json_and_refuses_nonsense() -> None:
    solution = TensorMemorySolution([0, 4], [0, 1])
    again = TensorMemorySolution.from_dict(json.loads(solution.to_json()))
    assert again.to_dict() == solution.to_dict()
    several: list[Any] = [
        {},
        [],
        {"offset": "x"},
        {"offset": [[1]]},
        {"offset": [1], "bank": [0, 0]},
    ]
    for bad in several:
        with pytest.raises(InputError):
            TensorMemorySolution.from_dict(bad)


def test_pins_and_buffers_without_size_need_no_search() -> None:
    problem = TensorMemory([(0, 2, 0), (0, 2, 0)], pinned=[4, None], alignment=4)
    result = op.solve(problem, time_limit=20)
    assert (result.status, result.objective) == (op.Status.OPTIMAL, 0)


@pytest.mark.parametrize("name", VARIANTS)
def test_each_rule_is_a_solver(name: str) -> None:
    for seed in (0, 1, 4):
        problem = random_instance(seed, banks=seed == 4)
        result = op.solve(problem, f"heuristic:{name}", workers=1)
        assert result.solver == f"heuristic:{name}"
        assert result.solution is not None
        assert problem.check(result.solution) == []
        assert result.objective >= op.solve(problem, "heuristic", workers=1).objective


def test_rules_differ_and_a_rule_that_misses_the_capacity_finds_nothing() -> None:
    # By begin, the second buffer lies on the first, and the third on both.
    problem = TensorMemory([(0, 2, 1), (1, 4, 2), (3, 6, 3)])
    by_begin = op.solve(problem, "heuristic:first-fit-by-begin", workers=1)
    by_size = op.solve(problem, "heuristic:greedy-by-size", workers=1)
    assert by_begin.solution.offset.tolist() == [0, 1, 3]
    assert by_size.solution.offset.tolist() == [0, 3, 0]
    tight = TensorMemory([(0, 2, 1), (1, 4, 2), (3, 6, 3)], 5, objective="fit")
    assert op.solve(tight, "heuristic:first-fit-by-begin", workers=1).solution is None
    assert op.solve(tight, "heuristic:greedy-by-size", workers=1).status is op.Status.OPTIMAL
    with pytest.raises(InputError, match="no variant 'tallest': one of first-fit-by-lifetime"):
        op.solve(problem, "heuristic:tallest")


def test_report_tells_peak_and_fragmentation() -> None:
    problem = TensorMemory([(0, 2, 4), (0, 2, 3), (2, 4, 2)])
    report = problem.report(TensorMemorySolution([0, 7, 0]))
    assert report == {
        "peak": 10, "load": 7, "fragmentation": pytest.approx(0.3),
        "utilisation": pytest.approx(18 / 40),
    }  # fmt: skip
    banks = TensorMemory([(0, 2, 4), (0, 2, 3)], [None, None])
    assert summary(banks, TensorMemorySolution([0, 0], [0, 1])).startswith("peak 7 (4 + 3), load 7")
