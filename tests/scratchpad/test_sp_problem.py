"""Graphs, instances, solutions and the checker: validation, JSON, every kind of violation."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import optsched as op
from optsched.cli import app
from optsched.core import InputError, OptschedError
from optsched.formats import read_text
from optsched.plotting import gantt
from optsched.problems.scratchpad import formats
from optsched.problems.scratchpad.graph import OUTPUT, OperatorGraph
from optsched.problems.scratchpad.picture import draw, report, summary
from optsched.problems.scratchpad.problem import ScratchpadSchedule, ScratchpadSolution
from tests.scratchpad.instances import random_graph

#: x --a--> h --b--> y, where b reads x again.
TENSORS = [("x", 4), ("w", 2, "weight"), ("h", 3), ("z", 1), ("y", 1)]
OPERATORS: list[Any] = [
    ("a", ["x", "w"], ["h"]),
    ("m", ["h"], ["z"]),
    ("b", ["h", "z", "x"], ["y"]),
]


def small() -> OperatorGraph:
    return OperatorGraph(TENSORS, OPERATORS, "small")


def test_graph_is_read_as_written() -> None:
    graph = small()
    assert graph.names == ("a", "m", "b")
    assert [graph.tensor_names[t] for t in graph.inputs(2)] == ["h", "z", "x"]
    assert graph.producer.tolist() == [-1, -1, 0, 1, 2]
    assert graph.kind.tolist() == [0, 1, 2, 2, OUTPUT]
    assert graph.consumers(0).tolist() == [0, 2]
    assert graph.successors(0).tolist() == [1, 2]
    assert graph.predecessors(2).tolist() == [0, 1]
    assert graph.working_sets().tolist() == [9, 4, 9]
    assert graph.live_bytes(graph.default_order()).tolist() == [9, 8, 9]
    assert graph.largest_working_set == 9
    assert OperatorGraph.from_dict(json.loads(graph.to_json())) == graph


def test_graph_counts_a_tensor_listed_twice_once() -> None:
    graph = OperatorGraph([("x", 4), ("y", 1)], [("square", ["x", "x"], ["y"])])
    assert graph.working_sets().tolist() == [5]


def test_default_order_repairs_a_list_that_is_not_topological() -> None:
    graph = OperatorGraph([("x", 1), ("h", 1), ("y", 1)], [("b", [1], [2]), ("a", [0], [1])])
    assert graph.default_order().tolist() == [1, 0]


@pytest.mark.parametrize(
    ("tensors", "operators", "message"),
    [
        ([("x", -1)], [("a", [], [])], "tensor 'x': size -1 is negative"),
        ([("x", 1.5)], [("a", [], [])], "tensor 'x': size: 1.5 is not a whole"),
        ([("x", float("nan"))], [("a", [], [])], "tensor 'x': size: nan"),
        ([("x", 10**400)], [("a", [], [])], "tensor 'x': size"),
        ([("x", 2**53)], [("a", [], [])], "exceed 2\\^53 bytes"),
        ([("x", 1, "scratch")], [("a", [], [])], "unknown kind 'scratch'"),
        ([("x", 1), ("x", 2)], [("a", [], [])], "two tensors are called 'x'"),
        ([("x",)], [("a", [], [])], "tensor 0: expected \\(name, size, kind\\)"),
        ([(3, 1)], [("a", [], [])], "tensor 0: name: 3 is not text"),
        ([("x", 1)], [], "there are no operators"),
        ([("x", 1)], 7, "operators: expected a list"),
        ([("x", 1)], [("a", ["q"], [])], "operator 'a': inputs: unknown tensor 'q'"),
        ([("x", 1)], [("a", [1], [])], "operator 'a': inputs: there is no tensor 1"),
        ([("x", 1)], [("a", [True], [])], "operator 'a': inputs: True"),
        ([("x", 1)], [("a", "x", [])], "operator 'a': inputs: expected a list"),
        ([("x", 1)], [("a", [], []), ("a", [], [])], "two operators are called 'a'"),
        ([("x", 1)], [("a", [], [0]), ("b", [], [0])], "tensor 'x': written by 'a' and by 'b'"),
        ([("x", 1)], [("a", [0], [0])], "operator 'a': reads tensor 'x', which it writes"),
        ([("x", 1, "weight")], [("a", [], [0])], "kind 'weight', but an operator writes it"),
        ([("x", 1, "output")], [("a", [0], [])], "kind 'output', but no operator writes it"),
        (
            [("x", 1), ("y", 1)],
            [("a", [0], [1]), ("b", [1], [0])],
            "a cycle, 'a' before 'b' before 'a'|a cycle, 'b' before 'a' before 'b'",
        ),
    ],
)
def test_graph_names_what_is_wrong(tensors: Any, operators: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        OperatorGraph(tensors, operators)


def test_capacity_below_the_largest_operator_names_it() -> None:
    with pytest.raises(InputError, match=r"operator 'a' needs 9 bytes .* capacity is 9 \(M_R\)"):
        ScratchpadSchedule(small(), 8)


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ([0, 1], "each of the 3 operators once"),
        ([0, 1, 1], "operator 'b' is missing"),
        ([0, 1, 3], "there is no operator 3"),
        ([0, 2, 1], "operator 'b' runs before 'm', whose result it reads"),
        ([0, 1, "b"], "order"),
    ],
)
def test_order_is_validated(order: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ScratchpadSchedule(small(), 9, order=order)


def test_frozen_and_comparable() -> None:
    problem = ScratchpadSchedule(small(), 9)
    with pytest.raises(AttributeError, match="frozen"):
        problem.capacity = 10
    assert problem == ScratchpadSchedule(small().to_dict(), 9)
    assert problem != problem.with_order([0, 1, 2])
    assert problem.features() == {"free order"}
    assert "capacity 9" in problem.describe()


def test_problem_and_solution_survive_json(tmp_path: Path) -> None:
    problem = ScratchpadSchedule(small(), 9, order=[0, 1, 2])
    path = tmp_path / "p.json"
    problem.to_json(path)
    assert op.load(path) == problem
    solution = op.solve(problem).solution
    again = ScratchpadSolution.from_dict(json.loads(solution.to_json()))
    assert problem.check(again) == []
    assert again.to_dict() == solution.to_dict()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("capacity"), "field 'capacity' is missing"),
        (lambda d: d.update(speed=1), "unknown field 'speed'"),
        (lambda d: d.update(graph=[]), "graph: expected an object"),
        (lambda d: d["graph"].pop("tensors"), "graph: field 'tensors' is missing"),
        (lambda d: d["graph"].update(edges=[]), "graph: unknown field 'edges'"),
        (lambda d: d.update(name=3), "field 'name' must be text"),
    ],
)
def test_json_is_validated(change: Callable[[dict[str, Any]], object], message: str) -> None:
    data = ScratchpadSchedule(small(), 9).to_dict()
    change(data)
    with pytest.raises(InputError, match=message):
        read_text(json.dumps(data), "p", family="scratchpad")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


@given(st.data())
def test_reading_raises_only_errors_of_ours(data: st.DataObject) -> None:
    plain: Any = ScratchpadSchedule(small(), 9, order=[0, 1, 2]).to_dict()
    place = plain
    while True:  # walk to a random place and put anything there
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        nested = isinstance(place[key], list | dict) and len(place[key])
        if not nested or data.draw(st.booleans()):
            place[key] = data.draw(_JSON)
            break
        place = place[key]
    try:
        text = json.dumps(plain)
        problem = read_text(text, "p", family="scratchpad")
    except OptschedError:
        return
    assert isinstance(problem, ScratchpadSchedule)


@given(_JSON)
def test_solutions_are_refused_or_checked(data: Any) -> None:
    problem = ScratchpadSchedule(small(), 9)
    try:
        solution = ScratchpadSolution.from_dict(
            {"order": data, "resident": [[0, 0, 0]], "offset": [0]}
        )
    except OptschedError:
        return
    assert problem.check(solution)


#: x and w, h all the time, z; y above.
GOOD = [[0, 0, 2], [1, 0, 0], [2, 0, 2], [3, 1, 2], [4, 2, 2]]
PLACES = [0, 7, 4, 7, 8]


def test_a_good_solution_passes_and_costs_nothing() -> None:
    problem = ScratchpadSchedule(small(), 9)
    solution = ScratchpadSolution([0, 1, 2], GOOD, PLACES)
    assert problem.check(solution) == []
    traffic = problem.traffic(solution)
    assert (traffic.compulsory_loads, traffic.compulsory_stores) == (6, 1)
    assert problem.objective(solution) == 0


def test_reloads_and_spills_are_counted() -> None:
    problem = ScratchpadSchedule(small(), 9)
    stays = [[0, 0, 0], [0, 2, 2], [1, 0, 0], [2, 0, 1], [2, 2, 2], [3, 1, 2], [4, 2, 2]]
    solution = ScratchpadSolution([0, 1, 2], stays, [0, 0, 7, 4, 4, 7, 8])
    assert problem.check(solution) == []
    traffic = problem.traffic(solution)
    assert (traffic.reloads, traffic.spills) == (4 + 3, 3)
    assert problem.objective(solution) == 10


@pytest.mark.parametrize(
    ("order", "stays", "places", "kind"),
    [
        ([0, 1], GOOD, PLACES, "shape"),
        ([0, 1, 1], GOOD, PLACES, "order"),
        ([0, 1, 9], GOOD, PLACES, "order"),
        ([0, 2, 1], GOOD, PLACES, "precedence"),
        ([0, 1, 2], [[9, 0, 2], *GOOD[1:]], PLACES, "shape"),
        ([0, 1, 2], [[0, 0, 3], *GOOD[1:]], PLACES, "shape"),
        ([0, 1, 2], [[0, 2, 0], *GOOD[1:]], PLACES, "shape"),
        ([0, 1, 2], [*GOOD[:3], [3, 0, 2], GOOD[4]], PLACES, "production"),
        ([0, 1, 2], [[0, 0, 1], *GOOD[1:]], PLACES, "residency"),
        ([0, 1, 2], GOOD[1:], PLACES[1:], "residency"),
        ([0, 1, 2], GOOD, [0, 8, 4, 7, 8], "capacity"),
        ([0, 1, 2], GOOD, [0, 7, 4, -1, 8], "capacity"),
        ([0, 1, 2], GOOD, [0, 7, 3, 7, 8], "overlap"),
        ([0, 1, 2], [*GOOD, [1, 0, 0]], [*PLACES, 7], "stay"),
    ],
)
def test_every_violation_is_told(order: Any, stays: Any, places: Any, kind: str) -> None:
    problem = ScratchpadSchedule(small(), 9)
    found = problem.check(ScratchpadSolution(order, stays, places))
    assert kind in {violation.kind for violation in found}
    assert all(violation.message for violation in found)


def test_a_fixed_order_must_be_kept() -> None:
    graph = OperatorGraph([("x", 1), ("y", 1)], [("a", [], [0]), ("b", [], [1])])
    problem = ScratchpadSchedule(graph, 2, order=[0, 1])
    solution = ScratchpadSolution([1, 0], [[0, 1, 1], [1, 0, 0]], [0, 0])
    assert [violation.kind for violation in problem.check(solution)] == ["fixed order"]
    assert problem.with_order(None).check(solution) == []


def test_tensors_of_no_size_are_in_nobody_s_way() -> None:
    graph = OperatorGraph([("x", 3), ("e", 0), ("y", 1)], [("a", [0, 1], [2])])
    result = op.solve(ScratchpadSchedule(graph, 4))
    assert result.objective == 0


def test_checker_agrees_with_a_slow_replay() -> None:
    """A schedule that is spoilt at random passes only where it still holds."""
    rng = np.random.default_rng(0)
    for _ in range(60):
        graph = random_graph(rng, 6)
        problem = ScratchpadSchedule(graph, graph.largest_working_set)
        solution = op.solve(problem, "heuristic").solution
        stays, offset = solution.resident.copy(), solution.offset.copy()
        k = int(rng.integers(len(stays)))
        stays[k, int(rng.integers(1, 3))] += int(rng.integers(-1, 2))
        offset[int(rng.integers(len(stays)))] += int(rng.integers(-2, 3))
        if (stays[:, 2] < stays[:, 1]).any() or stays.min() < 0:
            continue
        if stays[:, 2].max() >= graph.n_operators:
            continue
        spoilt = ScratchpadSolution(solution.order, stays, offset)
        assert (not problem.check(spoilt)) == _holds(problem, spoilt)


def _holds(problem: ScratchpadSchedule, solution: ScratchpadSolution) -> bool:
    """Return whether a schedule in a topological order holds, byte by byte."""
    graph = problem.graph
    step = {i: s for s, i in enumerate(solution.order.tolist())}
    for s, i in enumerate(solution.order.tolist()):
        owner: dict[int, int] = {}
        present = []
        for (t, first, last), low in zip(
            solution.resident.tolist(), solution.offset.tolist(), strict=True
        ):
            if graph.producer[t] >= 0 and first < step[int(graph.producer[t])]:
                return False
            if not first <= s <= last:
                if low < 0 or low + graph.size[t] > problem.capacity:
                    return False
                continue
            present.append(t)
            for byte in range(low, low + int(graph.size[t])):
                if byte in owner or not 0 <= byte < problem.capacity:
                    return False
                owner[byte] = t
            if low < 0 or low + graph.size[t] > problem.capacity:
                return False
        if len(present) != len(set(present)):
            return False
        if not {*graph.inputs(i).tolist(), *graph.outputs(i).tolist()} <= set(present):
            return False
    return True


def test_a_plan_as_csv_holds_the_order_every_stay_and_all_traffic() -> None:
    rng = np.random.default_rng(5)
    for _ in range(20):
        graph = random_graph(rng, 6)
        problem = ScratchpadSchedule(graph, graph.largest_working_set)
        solution = op.solve(problem, "heuristic", workers=1).solution
        rows = list(csv.DictReader(io.StringIO(formats.write_plan(problem, solution))))
        operators = [row for row in rows if row["kind"] == "operator"]
        assert [row["name"] for row in operators] == [graph.names[i] for i in solution.order]
        assert [int(row["first"]) for row in operators] == list(range(graph.n_operators))
        stays = [row for row in rows if row["kind"] == "stay"]
        again = ScratchpadSolution(
            solution.order,
            [
                (graph.tensor_names.index(stay["name"]), int(stay["first"]), int(stay["last"]))
                for stay in stays
            ],
            [int(stay["offset"]) for stay in stays],
        )
        assert again.to_dict() == solution.to_dict()
        traffic = problem.traffic(solution)
        loaded = sum(int(s["size"]) for s in stays if s["load"] == "1")
        stored = sum(int(s["size"]) for s in stays if s["store"] == "1")
        assert loaded == traffic.compulsory_loads + traffic.reloads
        assert stored == traffic.compulsory_stores + traffic.spills


def test_a_plan_as_c_header(tmp_path: Path) -> None:
    graph = OperatorGraph(
        [("a/x", 4), ("a x", 6), ("b", 6), ("c", 3), ("y", 2)],
        [
            ("left", [0], [1]),
            ("right", [0], [2]),
            ("reduce", [1], [3]),
            ("join", [2, 3], [4]),
        ],
        "net",
    )
    problem = ScratchpadSchedule(graph, 11, order=[1, 0, 2, 3])
    solution = ScratchpadSolution(
        problem.order,
        [(0, 0, 1), (1, 1, 2), (2, 0, 0), (2, 3, 3), (3, 2, 3), (4, 3, 3)],
        [6, 0, 0, 0, 6, 9],
    )
    assert problem.check(solution) == []
    header = formats.write_header(problem, solution)
    for line in (
        "STEPS 4", "SIZE 11ULL", "STEP_RIGHT 0", "OFFSET_A_X 6ULL", "OFFSET_A_X_1 0ULL",
        "STORE_B_0 1", "LOAD_B_0 0", "LOAD_B_1 1", "FIRST_B_1 3", "STORE_Y 1",
    ):  # fmt: skip
        assert f"#define NET_{line}\n" in header
    assert summary(problem, solution) == (
        "peak 11 of 11, load 11, fragmentation 0.00%, reloads 6, spills 6"
    )
    moved = ScratchpadSolution(solution.order, solution.resident, solution.offset + 11)
    assert report(problem, moved)["fragmentation"] == 0.5
    path, plan = tmp_path / "net.json", tmp_path / "plan.csv"
    path.write_text(problem.to_json())
    command = ["solve", str(path), "-s", "heuristic", "-o"]
    done = CliRunner().invoke(app, [*command, str(plan)])
    assert done.exit_code == 0, done.output
    assert "peak 11 of 11" in done.output
    assert plan.read_text().startswith("kind,name,first,last,size,offset,load,store\n")
    refused = CliRunner().invoke(app, [*command, "plan.txt"])
    assert "is written as .csv, .h, .json" in str(refused.exception)


def test_memory_map_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    problem = ScratchpadSchedule(small(), 9)
    solution = op.solve(problem).solution
    for suffix in ("png", "svg", "html"):
        if suffix == "html":
            pytest.importorskip("plotly")
        assert draw(problem, solution, tmp_path / f"map.{suffix}").stat().st_size > 1000
    wrong = ScratchpadSolution(solution.order, solution.resident, solution.offset + 9)
    assert draw(problem, wrong, title="wrong") is not None
    with pytest.raises(InputError):
        draw(problem, solution, tmp_path / "map.txt")
    with pytest.raises(InputError, match="has no Gantt chart"):
        gantt(problem, solution)
