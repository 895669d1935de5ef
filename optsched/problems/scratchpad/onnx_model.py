"""ONNX models with every shape resolved: dynamic dimensions, shape arithmetic, inference.

The package ``onnx`` is imported when a model is read, not before.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from optsched.core import InputError, MissingExtraError
from optsched.numbers import integer, is_row, shown

#: Values of dynamic dimensions by name, and shapes of tensors by name.
Dims: TypeAlias = Mapping[str, int | Sequence[int]]

#: Operators that shapes are computed with, and whose results stay small; all deterministic.
SHAPE_ARITHMETIC = frozenset(
    {
        "Abs", "Add", "And", "Cast", "Ceil", "Concat", "Constant", "ConstantOfShape", "CumSum",
        "Div", "Equal", "Flatten", "Floor", "Gather", "GatherElements", "Greater", "GreaterOrEqual",
        "Identity", "Less", "LessOrEqual", "Max", "Min", "Mod", "Mul", "Neg", "Not", "Or", "Range",
        "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum", "Reshape", "Round", "ScatterElements",
        "ScatterND", "Shape", "Size", "Slice", "Split", "Sqrt", "Squeeze", "Sub", "Transpose",
        "Unsqueeze", "Where",
    }
)  # fmt: skip
#: Operators whose results differ from run to run: they cannot be folded.
RANDOM = frozenset(
    {
        "Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform",
        "RandomUniformLike",
    }
)  # fmt: skip
#: Values of at most this many elements take part in shape arithmetic.
_SMALL = 4096
#: Times that arithmetic and inference may take turns.
_ROUNDS = 50

Shape: TypeAlias = tuple[int, ...]


@dataclass(frozen=True)
class Model:
    """A model whose shapes are known.

    Attributes
    ----------
    graph : onnx.GraphProto
        Functions are inlined; inputs that initializers give are no inputs.
    constants : frozenset of str
        Initializers and what follows from them alone.
    shapes : mapping of str to tuple of int
        Of every tensor whose shape is known.
    bits : mapping of str to int
        Bits an element, of every tensor of a known and plain type.
    """

    graph: Any
    constants: frozenset[str]
    shapes: Mapping[str, Shape]
    bits: Mapping[str, int]


def load(source: str | Path | bytes, dims: Dims | None) -> Model:
    """Return the model in a file, or in the bytes of one; see `read_onnx` for errors."""
    try:
        import onnx.inliner
    except ImportError:
        raise MissingExtraError("onnx", "onnx") from None

    model = _parse(source)
    try:
        model = onnx.inliner.inline_local_functions(model)
    except Exception as error:  # a damaged model makes onnx raise nearly anything
        raise InputError(f"the model's functions cannot be inlined: {_line(error)}") from error
    given = {t.name for t in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in given]
    # Before version 4 of the format inference takes initializers for inputs.
    model.ir_version = max(4, model.ir_version)
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    _apply(model.graph, dict(dims or {}))
    return _resolve(model)


def _parse(source: str | Path | bytes) -> Any:
    import onnx

    try:
        if isinstance(source, bytes):
            model = onnx.load_model_from_string(source)
        else:
            model = onnx.load_model(str(source), load_external_data=False)
    except FileNotFoundError:
        raise InputError(f"there is no file {source!s}") from None
    except OSError as error:
        raise InputError(f"{shown(str(source))} cannot be read: {error.strerror}") from error
    except Exception as error:  # protobuf's errors depend on its implementation
        raise InputError(f"this is no ONNX model: {_line(error)}") from error
    if not model.graph.node:
        raise InputError("this is no ONNX model: its graph has no operators")
    return model


def _line(error: Exception) -> str:
    return shown(" ".join(str(error).split()) or type(error).__name__).strip("'\"")


# ---- dynamic dimensions ----------------------------------------------------------------------


def is_open(dimension: Any) -> bool:
    """Return whether a dimension of an input is dynamic."""
    return not (dimension.HasField("dim_value") and dimension.dim_value > 0)


def _apply(graph: Any, dims: dict[str, Any]) -> None:
    """Write the values of `dims` into the model, each of which must fit somewhere."""
    import onnx

    values = {v.name: v for v in (*graph.value_info, *graph.output, *graph.input)}
    written = {name for node in graph.node for name in node.output if name}
    used = set()
    for key, value in dims.items():
        if is_row(value):
            shape = [_extent(extent, key) for extent in value]
            if key not in values and key not in written:
                raise InputError(f"dims: the model has no tensor {shown(key)}")
            if key not in values:
                graph.value_info.add().name = key
                values[key] = graph.value_info[-1]
            kind = values[key].type.tensor_type.elem_type or onnx.TensorProto.FLOAT
            values[key].type.CopyFrom(onnx.helper.make_tensor_type_proto(kind, shape))
            used.add(key)
            continue
        _extent(value, key)
    for info in values.values():
        for dimension in info.type.tensor_type.shape.dim:
            value = dims.get(dimension.dim_param)
            if dimension.dim_param and value is not None and not is_row(value):
                used.add(dimension.dim_param)
                dimension.dim_value = int(value)
    if unknown := [key for key in dims if key not in used]:
        names = sorted({d.dim_param for i in graph.input for d in _dimensions(i)} - {""})
        known = f"it has {', '.join(map(shown, names))}" if names else "it has none"
        raise InputError(f"dims: the model has no open dimension {shown(unknown[0])}; {known}")


def _extent(value: Any, key: Any) -> int:
    extent = integer(value, f"dims: {shown(key)}")
    if extent < 1:
        raise InputError(f"dims: {shown(key)}: {extent} is no extent of a tensor")
    return extent


def _dimensions(info: Any) -> list[Any]:
    return list(info.type.tensor_type.shape.dim)


# ---- shapes ----------------------------------------------------------------------------------


def _resolve(model: Any) -> Model:
    """Take turns with inference and with arithmetic on shapes, until neither finds more."""
    import onnx

    small = _small_initializers(model.graph)
    for _ in range(_ROUNDS):
        known = len(small)
        try:
            model = onnx.shape_inference.infer_shapes(model, data_prop=True)
        except Exception as error:
            raise InputError(f"shape inference fails: {_line(error)}") from error
        shapes, bits = _types(model.graph)
        _compute(model, shapes, small)
        if len(small) == known:
            break
    return Model(model.graph, _constants(model.graph), shapes, bits)


def _types(graph: Any) -> tuple[dict[str, Shape], dict[str, int]]:
    shapes: dict[str, Shape] = {}
    bits: dict[str, int] = {}
    inputs = {value.name for value in graph.input}
    for info in (*graph.value_info, *graph.output, *graph.input):
        kind = info.type.tensor_type
        if not info.type.HasField("tensor_type"):
            continue
        _note_bits(bits, info.name, kind.elem_type)
        if not kind.HasField("shape"):
            continue
        dimensions = list(kind.shape.dim)
        closed = all(d.HasField("dim_value") and d.dim_value >= 0 for d in dimensions)
        if closed and not (info.name in inputs and any(map(is_open, dimensions))):
            shapes[info.name] = tuple(d.dim_value for d in dimensions)
    for tensor in graph.initializer:
        shapes[tensor.name] = tuple(tensor.dims)
        _note_bits(bits, tensor.name, tensor.data_type)
    for tensor in graph.sparse_initializer:
        shapes[tensor.values.name] = tuple(tensor.dims)
        _note_bits(bits, tensor.values.name, tensor.values.data_type)
    return shapes, bits


def _note_bits(bits: dict[str, int], name: str, kind: int) -> None:
    import onnx

    special = {"STRING": 0, "UNDEFINED": 0, "INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4}
    special |= {"INT2": 2, "UINT2": 2, "FLOAT6E2M3": 6, "FLOAT6E3M2": 6}
    try:
        text = onnx.TensorProto.DataType.Name(kind)
        width = special.get(text)
        bits[name] = (
            8 * onnx.helper.tensor_dtype_to_np_dtype(kind).itemsize if width is None else width
        )
    except (ValueError, KeyError):  # a type of a later version of the format
        return
    if not bits[name]:
        del bits[name]


def captured(node: Any) -> Iterator[str]:
    """Yield the tensors that a node's subgraphs read from the graph around them."""
    for attribute in node.attribute:
        for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            inner = {value.name for value in graph.input} | {t.name for t in graph.initializer}
            inner |= {name for each in graph.node for name in each.output}
            read = [name for each in graph.node for name in (*each.input, *captured(each))]
            read += [value.name for value in graph.output]
            yield from (name for name in read if name and name not in inner)


def _constants(graph: Any) -> frozenset[str]:
    """Return the tensors that do not depend on the inputs."""
    known = {t.name for t in graph.initializer} | {t.values.name for t in graph.sparse_initializer}
    for node in graph.node:
        read = [name for name in (*node.input, *captured(node)) if name]
        if node.op_type not in RANDOM and all(name in known for name in read):
            known.update(name for name in node.output if name)
    return frozenset(known)


# ---- arithmetic on shapes --------------------------------------------------------------------


def _small_initializers(graph: Any) -> dict[str, Any]:
    import onnx

    found = {}
    for tensor in graph.initializer:
        if math.prod(tensor.dims) <= _SMALL and not tensor.external_data:
            try:
                found[tensor.name] = onnx.numpy_helper.to_array(tensor)
            except Exception:  # a damaged tensor; where its value matters, a shape stays open
                continue
    return found


def _compute(model: Any, shapes: Mapping[str, Shape], small: dict[str, Any]) -> None:
    """Evaluate what follows from shapes and small constants; the values become initializers."""
    import onnx

    for node in model.graph.node:
        outputs = [name for name in node.output if name]
        if node.op_type not in SHAPE_ARITHMETIC or node.domain not in ("", "ai.onnx"):
            continue
        if all(name in small for name in outputs):
            continue
        for name, value in zip(outputs, _evaluate(model, node, shapes, small), strict=False):
            if value is not None and value.size <= _SMALL:
                small[name] = value
                model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    computed = {t.name for t in model.graph.initializer}
    kept = [n for n in model.graph.node if not all(o in computed for o in n.output if o)]
    if len(kept) < len(model.graph.node):
        del model.graph.node[:]
        model.graph.node.extend(kept)


def _evaluate(
    model: Any, node: Any, shapes: Mapping[str, Shape], small: Mapping[str, Any]
) -> list[Any]:
    """Return the values of a node's outputs; none where they cannot be known or are large."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    inputs = [name for name in node.input if name]
    if node.op_type in ("Shape", "Size") and inputs and inputs[0] in shapes:
        shape = shapes[inputs[0]]
        if node.op_type == "Size":
            return [np.array(math.prod(shape), dtype=np.int64)]
        ends = {a.name: a.i for a in node.attribute}
        return [np.array(shape[ends.get("start", 0) : ends.get("end")], dtype=np.int64)]
    if any(name not in small for name in inputs) or any(a.HasField("g") for a in node.attribute):
        return []
    if not _stays_small(node, inputs, small):
        return []
    try:
        graph = onnx.helper.make_graph(
            [node],
            "arithmetic",
            [],
            [onnx.ValueInfoProto(name=name) for name in node.output if name],
            [onnx.numpy_helper.from_array(small[name], name) for name in dict.fromkeys(inputs)],
        )
        whole = onnx.helper.make_model(graph, opset_imports=list(model.opset_import))
        results = ReferenceEvaluator(whole).run(None, {})
    except Exception:  # an operator that the evaluator lacks: its result stays unknown
        return []
    return [value if isinstance(value, np.ndarray) else None for value in results]


def _stays_small(node: Any, inputs: Sequence[str], small: Mapping[str, Any]) -> bool:
    """Return whether the result of a node of small inputs is certain to be small."""
    if node.op_type == "ConstantOfShape":
        return bool(np.prod(small[inputs[0]].astype(float)) <= _SMALL)
    if node.op_type == "Range":
        start, limit, delta = (float(np.ravel(small[name])[0]) for name in inputs[:3])
        return delta != 0 and (limit - start) / delta <= _SMALL
    # Broadcasting multiplies at most the sizes of all inputs.
    most: int = math.prod(max(1, small[name].size) for name in inputs)
    return most <= _SMALL**2
