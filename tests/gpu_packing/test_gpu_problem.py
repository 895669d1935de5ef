"""GPU packing: validation, checker, files."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import optsched as op
from optsched.problems.gpu_packing.formats import read_openb
from optsched.selfcheck.families.gpu_packing import random_cluster

NODES = "sn,cpu_milli,memory_mib,gpu,model\nn0,8000,100,2,T4\nn1,4000,100,0,\n"
PODS = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec\np0,1000,1,1,500,T4|G2\np1,1,1,0,0,\n"
SMALL = {
    "capacity": [[4], [4]], "gpus": [2, 0], "request": [[1], [1], [1]], "count": [1, 2, 0],
    "share": [500, 1000, 0], "model": ["A", ""], "wanted": ["A", "", ""],
}  # fmt: skip


def small(**changes: object) -> op.GpuPacking:
    return op.GpuPacking(**(SMALL | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gpus": [63, 0]}, "node 0: gpus 63 is not between 0 and 62"),
        ({"gpus": [1]}, "gpus: expected a flat list of 2 numbers"),
        ({"share": [500, 1001, 0]}, "pod 1: share 1001 is not between 0 and 1000"),
        ({"share": [0, 1000, 0]}, "pod 0: share 0 of a GPU"),
        ({"count": [1, -1, 0]}, "pod 1: count -1"),
        ({"weight": [1, -1, 0]}, "pod 1: weight -1"),
        ({"request": [[1], [-2], [1]]}, "pod 1: request -2"),
        ({"request": [[1, 1]] * 3}, "different numbers of resources"),
        ({"model": ["A"]}, "model: expected 2 names"),
        ({"wanted": ["A", 3, ""]}, "wanted: the name 3 is no text"),
        ({"nodes": ["a", "a"]}, "nodes: the name 'a' stands twice"),
        ({"capacity": "many"}, "capacity: expected a list of rows"),
    ],
)
def test_data_that_are_no_instance_name_the_culprit(
    changes: dict[str, object], message: str
) -> None:
    with pytest.raises(op.InputError, match=message):
        small(**changes)


def test_an_instance_is_frozen_and_survives_json() -> None:
    for seed in range(30):
        problem = random_cluster(seed)
        assert op.GpuPacking.from_dict(json.loads(problem.to_json())) == problem
    with pytest.raises(AttributeError, match="frozen"):
        problem.gpus = 3
    with pytest.raises(op.InputError, match="unknown field 'gpu'"):
        op.GpuPacking.from_dict(SMALL | {"gpu": 1})
    with pytest.raises(op.InputError, match="the field share is missing"):
        op.GpuPacking.from_dict({k: v for k, v in SMALL.items() if k != "share"})


@pytest.mark.parametrize(
    ("node", "gpus", "message"),
    [
        ([0, 0, 0], [1, 3, 0], "1500 thousandths of GPU 0 are used"),
        ([1, -1, -1], [0, 0, 0], "pod 0 runs on A, not on node 1"),
        ([0, -1, -1], [4, 0, 0], "a GPU that node 0 does not have"),
        ([0, -1, -1], [-1, 0, 0], "a GPU that node 0 does not have"),
        ([0, -1, -1], [0, 0, 0], "pod 0 has 0 GPUs, it needs 1"),
        ([0, -1, -1], [3, 0, 0], "pod 0 has 2 GPUs, it needs 1"),
        ([-1, -1, -1], [1, 0, 0], "pod 0 is not placed, but has GPUs"),
        ([-1, -1, 5], [0, 0, 0], "pod 2 is on 5, which is no node"),
        ([-1, -1], [0, 0, 0], "node has 2 entries"),
    ],
)
def test_the_checker_names_every_violation(node: list[int], gpus: list[int], message: str) -> None:
    found = small().check(op.GpuPackingSolution(node, gpus))
    assert any(message in str(violation) for violation in found), found


def test_the_checker_sees_too_much_of_a_resource() -> None:
    problem = small(request=[[3], [3], [3]])
    found = problem.check(op.GpuPackingSolution([0, 0, 1], [1, 2, 0]))
    assert any("the pods on it need 6 of resource 0, it has 4" in str(v) for v in found)


def test_the_objective_is_the_demand_left_out() -> None:
    problem = small()
    solution = op.GpuPackingSolution([0, -1, -1], [1, 0, 0])
    assert problem.check(solution) == []
    assert problem.objective(solution) == 2000 + 1
    assert problem.placed_demand(solution) == 500
    with pytest.raises(op.InputError, match="entries"):
        problem.objective(op.GpuPackingSolution([0], [1]))


def test_openb_files(tmp_path: Path) -> None:
    (tmp_path / "nodes.csv").write_text(NODES)
    (tmp_path / "pods.csv").write_text(PODS)
    problem = op.GpuPacking.from_openb(tmp_path / "nodes.csv", tmp_path / "pods.csv")
    assert (problem.name, problem.n_nodes, problem.n_pods) == ("pods", 2, 2)
    assert problem.demand.tolist() == [500, 0]
    assert problem.wanted == ("T4|G2", "")
    assert problem.features() == {"GPU models", "shared GPUs"}
    with pytest.raises(op.InputError, match=r"none\.csv"):
        op.GpuPacking.from_openb(tmp_path / "none.csv", tmp_path / "pods.csv")


@pytest.mark.parametrize(
    ("nodes", "pods", "message"),
    [
        ("", PODS, "nodes: the file is empty"),
        (NODES, "name,cpu_milli\n", "pods: line 1: the column memory_mib is missing"),
        (NODES.replace("8000", "-8"), PODS, "nodes: line 2: cpu_milli: '-8' is not a whole"),
        (NODES, PODS.replace("500", "1e3"), "pods: line 2: gpu_milli: '1e3' is not a whole"),
        (NODES, PODS + "p3,1\n", "pods: line 4: 2 cells, the header has 6"),
        (NODES, PODS.replace("p1", "p0"), "pods: the name 'p0' stands twice"),
        (NODES, PODS.replace("500", "5000"), "p0: share 5000"),
    ],
)
def test_bad_openb_files_are_refused_with_the_line(nodes: str, pods: str, message: str) -> None:
    with pytest.raises(op.InputError, match=message):
        read_openb(nodes, pods, "x")


CELLS = st.text(alphabet='0123456789,.\n"|-abT4\r\0é', max_size=60)


@settings(max_examples=150, deadline=None)
@given(CELLS, CELLS, st.integers(0, 90), st.integers(0, 90))
def test_whatever_a_file_holds_only_our_errors_are_raised(
    first: str, second: str, at: int, where: int
) -> None:
    with contextlib.suppress(op.InputError):
        read_openb(NODES[:at] + first + NODES[at:], PODS[:where] + second + PODS[where:], "x")
