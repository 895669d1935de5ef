"""ONNX models as operator graphs: conventions, dynamic shapes, messages, damaged files."""

from __future__ import annotations

import builtins
import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import optsched as op
from optsched.cli import app
from optsched.core import InputError, MissingExtraError, OptschedError
from optsched.problems.scratchpad.graph import KINDS, OperatorGraph
from optsched.problems.scratchpad.models import static_allocation
from optsched.problems.scratchpad.onnx import read_onnx

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
#: Operators, largest working set and default-order peak (KiB) without weights, 1 byte an element.
NETWORKS = {
    "bvlc_alexnet": (21, 546.75, 546.75),
    "densenet121": (426, 1568.0, 2058.0),
    "inception_v1": (141, 1568.0, 1568.0),
    "inception_v2": (232, 1568.0, 1568.0),
    "resnet50": (175, 2352.0, 2352.0),
    "shufflenet": (170, 686.0, 759.5),
    "squeezenet": (65, 1540.125, 1540.125),
    "vgg19": (43, 6272.0, 6272.0),
    "zfnet512": (21, 2227.6875, 2227.6875),
}


def value(
    name: str, shape: Sequence[int | str | None] | None, kind: int = TensorProto.FLOAT
) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def model(nodes: Any, inputs: Any, outputs: Any, constants: dict[str, Any] | None = None) -> bytes:
    initializers = [numpy_helper.from_array(np.asarray(v), k) for k, v in (constants or {}).items()]
    graph = helper.make_graph(nodes, "net", inputs, outputs, initializers)
    made = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.example", 1)]
    )
    data: bytes = made.SerializeToString()
    return data


def tensors(graph: OperatorGraph) -> dict[str, tuple[int, str]]:
    return {
        name: (size, KINDS[kind])
        for name, size, kind in zip(
            graph.tensor_names, graph.size.tolist(), graph.kind.tolist(), strict=True
        )
    }


# ---- networks that are used ----------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_light_networks(name: str) -> None:
    began = time.process_time()
    path = LIGHT / f"light_{name}.onnx"
    graph = read_onnx(path, element_bytes=1, weights=False)
    whole = read_onnx(path, element_bytes=1)
    assert time.process_time() - began < 10
    operators, largest, peak = NETWORKS[name]
    assert graph.n_operators == whole.n_operators == operators
    assert graph.largest_working_set / 1024 == largest
    assert graph.peak(graph.default_order()) / 1024 == peak
    assert graph.default_order().tolist() == list(range(operators))
    assert "weight" not in {kind for _, kind in tensors(graph).values()}
    assert sorted(tensors(whole).items() - tensors(graph).items())[0][1][1] == "weight"


def test_densenet_with_weights() -> None:
    path = LIGHT / "light_densenet121.onnx"
    graph = read_onnx(path, element_bytes=1)
    # The normalisation of 256 channels with its six constants a channel is the largest operator.
    assert graph.largest_working_set == 2 * 256 * 56 * 56 + 6 * 256
    assert graph.peak(graph.default_order()) == 3 * 224 * 56 * 56
    padded = read_onnx(path, element_bytes=1, explicit_padding=True)
    assert padded.n_operators == 426 + 60  # the first convolution and pooling, 58 of 3 x 3
    assert padded.largest_working_set == 64 * (112**2 + 114**2) == 1596.25 * 1024
    assert padded.peak(padded.default_order()) == 2058 * 1024
    weights = sum(size for size, kind in tensors(graph).values() if kind == "weight")
    assert 7_900_000 < weights < 8_200_000  # DenseNet-121 has 8 million parameters
    assert read_onnx(path).peak(graph.default_order()) == 4 * 3 * 224 * 56 * 56


# ---- conventions ---------------------------------------------------------------------------------


def test_views_and_constants() -> None:
    nodes = [
        helper.make_node(
            "Constant", [], ["shape"], value=numpy_helper.from_array(np.array([2, 6]))
        ),
        helper.make_node("Neg", ["w"], ["negative"]),
        helper.make_node("Reshape", ["x", "shape"], ["flat"]),
        helper.make_node("Dropout", ["flat"], ["kept", "mask"]),
        helper.make_node("MatMul", ["kept", "negative"], ["y"], name="product"),
        helper.make_node("Identity", ["y"], ["z"]),
    ]
    weight = np.ones((6, 5), dtype=np.float32)
    graph = read_onnx(
        model(nodes, [value("x", [2, 2, 3])], [value("z", None)], {"w": weight}), name="tiny"
    )
    assert (graph.name, graph.names) == ("tiny", ("product",))
    assert tensors(graph) == {"x": (48, "input"), "negative": (120, "weight"), "y": (40, "output")}


def test_element_types() -> None:
    nodes = [helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT16)]
    data = model(nodes, [value("x", [3])], [value("y", [3], TensorProto.FLOAT16)])
    assert tensors(read_onnx(data)) == {"x": (12, "input"), "y": (6, "output")}
    assert tensors(read_onnx(data, element_bytes=1)) == {"x": (3, "input"), "y": (3, "output")}
    packed = model(
        [helper.make_node("DequantizeLinear", ["x", "s"], ["y"])],
        [value("x", [5], TensorProto.INT8)],
        [value("y", [5])],
        {"s": np.float32(2)},
    )
    assert tensors(read_onnx(packed))["x"] == (5, "input")


def test_affine_chain_is_one_operator() -> None:
    names = ["scale", "shift", "mean", "variance"]
    constants: dict[str, Any] = {name: np.ones(4, dtype=np.float32) for name in names}
    constants |= {"m": np.ones((4, 1, 1), dtype=np.float32), "a": np.float32(3)}
    nodes = [
        helper.make_node("BatchNormalization", ["x", *names], ["b"]),
        helper.make_node("Mul", ["b", "m"], ["c"]),
        helper.make_node("Add", ["c", "a"], ["d"]),
        helper.make_node("Add", ["d", "x"], ["y"], name="sum"),
    ]
    source = [value("x", [1, 4, 8, 8])]
    graph = read_onnx(model(nodes, source, [value("y", None)], constants))
    assert len(graph.names) == 2
    assert [graph.tensor_names[t] for t in graph.inputs(0)] == ["x", *names, "m", "a"]
    assert [graph.tensor_names[t] for t in graph.outputs(0)] == ["d"]
    # What is read elsewhere, or leaves the model, must exist.
    graph = read_onnx(model(nodes, source, [value("y", None), value("c", None)], constants))
    assert graph.n_operators == 3


def test_several_outputs_subgraphs_and_unnamed_nodes() -> None:
    branch = helper.make_graph(
        [helper.make_node("Mul", ["x", "x"], ["inner"])], "then", [], [value("inner", [4])]
    )
    nodes = [
        helper.make_node("Split", ["x"], ["a", "b"], axis=0),
        helper.make_node("If", ["flag"], ["c"], then_branch=branch, else_branch=branch),
        helper.make_node("Relu", ["a"], ["d"]),
        helper.make_node("Relu", ["c"], ["e"]),
    ]
    source = [value("x", [4]), value("flag", [], TensorProto.BOOL)]
    results = [value("d", [2]), value("e", [4])]
    graph = read_onnx(model(nodes, source, results))
    assert graph.names == ("Split_0", "If_1", "Relu_2", "Relu_3")
    assert [graph.tensor_names[t] for t in graph.inputs(1)] == ["flag", "x"]
    assert [graph.tensor_names[t] for t in graph.outputs(0)] == ["a"]  # nobody reads b


# ---- dynamic shapes ------------------------------------------------------------------------------


def dynamic() -> bytes:
    """Return a model that computes the shape of a view from that of its input."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["h"], kernel_shape=[1, 1]),
        helper.make_node("Shape", ["h"], ["s"]),
        helper.make_node("Slice", ["s", "zero", "one"], ["first"]),
        helper.make_node("Concat", ["first", "rest"], ["target"], axis=0),
        helper.make_node("Reshape", ["h", "target"], ["flat"]),
        helper.make_node("MatMul", ["flat", "v"], ["y"]),
    ]
    constants = {
        "w": np.zeros((2, 3, 1, 1), dtype=np.float32),
        "v": np.zeros((32, 7), dtype=np.float32),
        "zero": np.array([0]),
        "one": np.array([1]),
        "rest": np.array([32]),
    }
    return model(nodes, [value("x", ["batch", 3, 4, 4])], [value("y", ["batch", 7])], constants)


def test_dimensions_by_name_and_whole_shapes() -> None:
    for dims in ({"batch": 5}, {"x": [5, 3, 4, 4]}):
        graph = read_onnx(dynamic(), dims=dims, element_bytes=1)
        assert graph.n_operators == 2
        assert tensors(graph)["h"] == (5 * 2 * 16, "intermediate")
        assert tensors(graph)["y"] == (35, "output")


def test_unresolved_shapes_are_named() -> None:
    with pytest.raises(InputError, match=r"'x'.*'h'.*'y'.*dims=\{'batch': 1\} \(--dim batch=1\)"):
        read_onnx(dynamic())
    unnamed = model(
        [helper.make_node("Relu", ["x"], ["y"])], [value("x", [None, 3])], [value("y", None)]
    )
    with pytest.raises(InputError, match=r"'x': \[1,3,224,224\]"):
        read_onnx(unnamed)
    assert tensors(read_onnx(unnamed, dims={"x": [2, 3]}))["y"] == (24, "output")
    custom = model(
        [helper.make_node("Mystery", ["x"], ["y"], domain="com.example")],
        [value("x", [2])],
        [value("y", None)],
    )
    with pytest.raises(InputError, match=r"1 tensor is unknown: 'y'.*--dim y=1,64,56,56"):
        read_onnx(custom)
    assert tensors(read_onnx(custom, dims={"y": [3]}))["y"] == (12, "output")


@pytest.mark.parametrize(
    ("dims", "message"),
    [
        ({"bach": 1}, "no open dimension 'bach'; it has 'batch'"),
        ({"batch": 0}, "'batch': 0 is no extent"),
        ({"batch": 1.5}, "not a whole number"),
        ({"nothing": [1, 2]}, "no tensor 'nothing'"),
        ({"x": [1, -3, 4, 4]}, "-3 is no extent"),
    ],
)
def test_wrong_dimensions(dims: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_onnx(dynamic(), dims=dims)


# ---- what is no model ----------------------------------------------------------------------------


def test_wrong_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        read_onnx(tmp_path / "absent.onnx")
    text = tmp_path / "text.onnx"
    text.write_text("not a protocol buffer")
    with pytest.raises(InputError, match="no ONNX model"):
        read_onnx(text)
    with pytest.raises(InputError, match="no operators"):
        read_onnx(b"")
    with pytest.raises(InputError, match="element_bytes: 0"):
        read_onnx(dynamic(), element_bytes=0)
    twice = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Neg", ["x"], ["y"])]
    with pytest.raises(InputError, match=r"written twice|fails"):
        read_onnx(model(twice, [value("x", [1])], [value("y", [1])]))
    unfed = [helper.make_node("Add", ["x", "ghost"], ["y"])]
    with pytest.raises(InputError, match=r"'ghost'"):
        read_onnx(model(unfed, [value("x", [1])], [value("y", [1])]))


def test_absent_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == "onnx":
            raise ImportError(name)
        return original(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"pip install 'optsched\[onnx\]'"):
        read_onnx(b"")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_models_raise_our_errors_alone(data: st.DataObject) -> None:
    whole = bytearray(dynamic())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    with contextlib.suppress(OptschedError):
        read_onnx(bytes(whole[: max(cut, len(whole) - 40)]), dims={"batch": 2})


# ---- problems made of models ---------------------------------------------------------------------


def test_static_allocation() -> None:
    graph = OperatorGraph(
        tensors=[("x", 8), ("w", 4, "weight"), ("h", 6), ("y", 2), ("e", 0)],
        operators=[("f", ["x"], ["h", "e"]), ("g", ["h", "w", "e"], ["y"]), ("i", ["h"], [])],
    )
    problem = static_allocation(graph)
    rows = np.stack([problem.lower, problem.upper, problem.size], axis=1).tolist()
    assert rows == [[0, 1, 8], [0, 3, 6], [1, 2, 2]]
    assert problem.id == ("x", "h", "y")
    held = static_allocation(graph, [0, 1, 2], weights=True, hold=True, capacity=99, alignment=4)
    rows = np.stack([held.lower, held.upper, held.size], axis=1).tolist()
    assert rows == [[0, 1, 8], [1, 2, 4], [0, 3, 6], [1, 3, 2]]
    assert held.capacity.tolist() == [99]
    with pytest.raises(InputError, match="no tensors that need memory"):
        static_allocation(OperatorGraph([("w", 3, "weight")], [("f", [0], [])]))


def test_models_as_files(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(dynamic())
    problem = op.load(path, model={"dims": {"batch": 2}, "element_bytes": 1})
    assert isinstance(problem, op.TensorMemory)
    result = op.solve(problem, time_limit=30, workers=1)
    graph = read_onnx(path, dims={"batch": 2}, element_bytes=1, weights=False)
    assert (problem.name, result.objective) == ("net", graph.peak(graph.default_order()))
    options = {"dims": {"batch": 2}, "family": "scratchpad", "capacity": 10**6}
    assert isinstance(op.load(str(path), model=options), op.ScratchpadSchedule)
    for wrong, message in (
        ({}, r"net.onnx: the shape of \d tensors are unknown"),
        ({"family": "job_shop"}, "'job_shop' is made of no model"),
        ({"family": "scratchpad", "dims": {"batch": 2}}, r"needs a capacity.*at least \d+"),
        ({"size": 3}, "unknown option 'size'"),
    ):
        with pytest.raises(InputError, match=message):
            op.load(path, model=wrong)
    with pytest.raises(InputError, match="for ONNX models"):
        op.load("ft06", model={"capacity": 3})
    with pytest.raises(InputError, match="there is no file"):
        op.load(str(tmp_path / "absent.onnx"))


def test_models_on_the_command_line(tmp_path: Path) -> None:
    path, out = tmp_path / "net.onnx", tmp_path / "out.json"
    path.write_bytes(dynamic())
    runner = CliRunner()
    common = [str(path), "--dim", "batch=2", "--element-bytes", "1"]
    solved = runner.invoke(app, ["solve", *common, "-t", "30", "-w", "1", "--json", str(out)])
    assert solved.exit_code == 0, solved.output
    checked = runner.invoke(app, ["check", *common[:1], str(out), *common[1:]])
    assert (checked.exit_code, "feasible" in checked.output) == (0, True)
    shaped = runner.invoke(app, ["check", str(path), str(out), "--dim", "x=2,3,4,4"])
    assert shaped.exit_code == 1  # 4 bytes an element: the buffers overlap
    for wrong in ("batch", "batch=two", "=3"):
        assert runner.invoke(app, ["solve", str(path), "--dim", wrong]).exit_code != 0
