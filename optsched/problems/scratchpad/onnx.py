"""ONNX models as operator graphs.

Conventions
-----------
- What does not depend on the inputs is folded: an operator of constants alone does not appear,
  and a constant that a remaining operator reads is a tensor of kind ``weight``.
- Views (`VIEWS`) move no data: their result is their input under another name.
- ``Dropout`` is that of inference, a view; its mask, and other results that nobody reads, are left
  out.
- ``BatchNormalization`` and the multiplications and additions of per-channel constants behind it
  are one affine operator, as every compiler makes them one.
- Padding is part of the operator that pads, or, on demand, an operator of its own, as Keras and
  others write it: the padded copy is then a tensor.
- Nothing else is fused, and nothing is computed in place. The order of the file is the default.

With 1 byte an element, light DenseNet-121 has 426 operators; without weights its largest working
set is 1568 KiB and the peak of its default order 2058 KiB. With weights and explicit padding the
largest working set is 1596.25 KiB (the padding of the first pooling: 64 channels of 112 x 112 and
of 114 x 114), and the peak the same.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optsched.core import InputError
from optsched.numbers import integer, shown
from optsched.problems.scratchpad import onnx_model
from optsched.problems.scratchpad.graph import OperatorGraph
from optsched.problems.scratchpad.onnx_model import Dims, Model

#: Operators whose first result is their first input under another shape or name.
VIEWS = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout"})
#: Operators that may pad their first input, by their attribute ``pads``.
_PADDING = frozenset({"AveragePool", "Conv", "ConvInteger", "LpPool", "MaxPool", "QLinearConv"})
#: Operators that an affine operator in front of them takes in, where they read a constant.
_AFFINE = frozenset({"Mul", "Add", "Sub", "Div"})


def read_onnx(
    source: str | Path | bytes,
    *,
    dims: Dims | None = None,
    element_bytes: int | None = None,
    weights: bool = True,
    explicit_padding: bool = False,
    name: str | None = None,
) -> OperatorGraph:
    """Return the operator graph of an ONNX model; the conventions are those of this module.

    Parameters
    ----------
    source : path or bytes
        A ``.onnx`` file, or its content. Weights in files beside it are not read.
    dims : mapping, optional
        Dynamic dimensions by their name, ``{"batch": 1}``, and whole shapes by the name of a
        tensor, ``{"image": [1, 3, 224, 224]}``.
    element_bytes : int, optional
        Bytes an element, whatever the model's types: 1 for a network quantised to int8. Default:
        the size of each tensor's own type.
    weights : bool
        Whether weights are tensors of the graph; without them only activations are.
    explicit_padding : bool
        Whether the padding of convolutions and poolings (their ``pads``) is an operator of its own.
    name : str, optional
        Default: the file's name without suffix, or the model's own.

    Raises
    ------
    InputError
        When the file is absent or no ONNX model, or where shapes stay unknown; the message names
        the tensors and says how to give them.
    MissingExtraError
        When the package ``onnx`` is not installed.
    """
    if element_bytes is not None and integer(element_bytes, "element_bytes") < 1:
        raise InputError(f"element_bytes: {element_bytes} is less than 1")
    model = onnx_model.load(source, dims)
    if name is None:
        name = model.graph.name if isinstance(source, bytes) else Path(source).stem
    return _Reader(model, element_bytes, weights, explicit_padding).graph(name)


@dataclass
class _Operator:
    """An operator on the way to the graph: its type, and tensors by name."""

    name: str
    kind: str
    inputs: list[str]
    outputs: list[str]


class _Reader:
    def __init__(
        self, model: Model, element_bytes: int | None, weights: bool, explicit_padding: bool
    ) -> None:
        self.model = model
        self.element_bytes = element_bytes
        self.weights = weights
        self.explicit_padding = explicit_padding
        self.shapes, self.bits = dict(model.shapes), dict(model.bits)
        self.inputs = {value.name for value in model.graph.input}
        self.root: dict[str, str] = {}  # the tensor that a view shows
        self.unresolved: list[str] = []
        self._refuse_repetition()

    def graph(self, name: str) -> OperatorGraph:
        operators = self._operators()
        results = {self.root.get(v.name, v.name) for v in self.model.graph.output}
        operators = self._fold_affine(operators, results)
        if not self.weights:
            for each in operators:
                each.inputs = [t for t in each.inputs if t not in self.model.constants]
        written = {tensor for each in operators for tensor in each.outputs}
        tensors = dict.fromkeys(t for each in operators for t in (*each.inputs, *each.outputs))
        rows = [
            (tensor, self._bytes(tensor), self._kind(tensor, written, results))
            for tensor in tensors
        ]
        if self.unresolved:
            raise InputError(self._explanation())
        labels = _unique([each.name for each in operators])
        return OperatorGraph(
            rows,
            [(label, o.inputs, o.outputs) for label, o in zip(labels, operators, strict=True)],
            name,
        )

    def _refuse_repetition(self) -> None:
        seen = set(self.inputs)
        for node in self.model.graph.node:
            for name in node.output:
                if name in seen and name:
                    raise InputError(f"tensor {shown(name)} is written twice")
                seen.add(name)

    def _kind(self, tensor: str, written: set[str], results: set[str]) -> str | None:
        if tensor in written:
            return "output" if tensor in results else None
        if tensor in self.model.constants:
            return "weight"
        if tensor not in self.inputs:
            raise InputError(f"tensor {shown(tensor)} is read, but nothing gives it")
        return "input"

    def _operators(self) -> list[_Operator]:
        """Return what is to be computed, with views resolved."""
        nodes, constants = self.model.graph.node, self.model.constants
        needed = {name for node in nodes for name in (*node.input, *onnx_model.captured(node))}
        needed |= {value.name for value in self.model.graph.output}
        found = []
        for k, node in enumerate(nodes):
            outputs = [name for name in node.output if name]
            if not outputs or all(name in constants for name in outputs):
                continue
            inputs = [name for name in (*node.input, *onnx_model.captured(node)) if name]
            if node.op_type in VIEWS and node.domain in ("", "ai.onnx") and inputs:
                self.root[outputs[0]] = self.root.get(inputs[0], inputs[0])
                continue
            inputs = list(dict.fromkeys(self.root.get(name, name) for name in inputs))
            outputs = [name for name in outputs if name in needed] or outputs[:1]
            label = node.name or f"{node.op_type}_{k}"
            if (
                self.explicit_padding
                and inputs
                and (padded := self._padded(node, inputs[0], label))
            ):
                found.append(_Operator(f"{label}.pad", "Pad", inputs[:1], [padded]))
                inputs[0] = padded
            found.append(_Operator(label, node.op_type, inputs, outputs))
        return found

    def _padded(self, node: Any, tensor: str, label: str) -> str | None:
        """Return the name of the padded copy that a node reads; None where it pads nothing."""
        pads = [list(a.ints) for a in node.attribute if a.name == "pads"]
        shape = self.shapes.get(tensor)
        if node.op_type not in _PADDING or not pads or shape is None:
            return None
        spatial = len(shape) - 2
        if len(pads[0]) != 2 * spatial or min(pads[0], default=0) < 0 or not any(pads[0]):
            return None
        name = f"{tensor}.padded@{label}"
        added = [low + high for low, high in zip(pads[0][:spatial], pads[0][spatial:], strict=True)]
        self.shapes[name] = shape[:2] + tuple(s + a for s, a in zip(shape[2:], added, strict=True))
        if tensor in self.bits:
            self.bits[name] = self.bits[tensor]
        return name

    def _fold_affine(self, operators: list[_Operator], results: set[str]) -> list[_Operator]:
        """Return the operators, with per-channel constants in the normalisation before them."""
        uses = Counter(tensor for each in operators for tensor in each.inputs)
        affine: dict[str, _Operator] = {}  # by what it writes
        kept = []
        for each in operators:
            moving = [t for t in each.inputs if t not in self.model.constants]
            before = affine.get(moving[0]) if len(moving) == 1 else None
            alone = before is not None and uses[moving[0]] == 1 and moving[0] not in results
            if before is not None and alone and self._is_per_channel(each, moving[0]):
                before.inputs += [t for t in each.inputs if t not in (*before.inputs, moving[0])]
                before.outputs = each.outputs
                affine[each.outputs[0]] = before
                continue
            if each.kind == "BatchNormalization":
                affine[each.outputs[0]] = each
            kept.append(each)
        return kept

    def _is_per_channel(self, operator: _Operator, moving: str) -> bool:
        """Return whether an operator scales or shifts the channels of `moving` by constants."""
        constant = [t for t in operator.inputs if t != moving]
        shape, result = self.shapes.get(moving), self.shapes.get(operator.outputs[0])
        if operator.kind not in _AFFINE or len(constant) != 1 or shape is None or shape != result:
            return False
        elements = math.prod(self.shapes.get(constant[0], (0, 0)))
        return elements == 1 or (len(shape) > 1 and elements == shape[1])

    def _bytes(self, tensor: str) -> int:
        shape, bits = self.shapes.get(tensor), self.bits.get(tensor)
        if self.element_bytes is not None:
            bits = 8 * self.element_bytes
        if shape is None or bits is None:
            self.unresolved.append(tensor)
            return 0
        return -(-math.prod(shape) * bits // 8)

    def _explanation(self) -> str:
        """Say which shapes are unknown, and how to give them."""
        names = self.unresolved
        listed = ", ".join(map(shown, names[:4])) + (", ..." if len(names) > 4 else "")
        if all(name in self.shapes for name in names):
            return f"the element type of these tensors is unknown: {listed}; pass element_bytes="
        values: dict[str, str] = {}
        for info in self.model.graph.input:
            if info.name not in self.shapes:
                dimensions = list(info.type.tensor_type.shape.dim)
                names_of = [d.dim_param for d in dimensions if onnx_model.is_open(d)]
                known = bool(names_of) and all(names_of)
                values |= dict.fromkeys(names_of, "1") if known else {info.name: "1,3,224,224"}
        if not values:  # an operator that inference does not know
            first = next(name for name in names if name not in self.shapes)
            values = {first: "1,64,56,56"}
        options = " ".join(f"--dim {key}={value}" for key, value in values.items())
        pairs = (f"{k!r}: {'[' + v + ']' if ',' in v else v}" for k, v in values.items())
        count = "1 tensor is" if len(names) == 1 else f"{len(names)} tensors are"
        return (
            f"the shape of {count} unknown: {listed}; give dimensions or whole "
            f"shapes, such as dims={{{', '.join(pairs)}}} ({options})"
        )


def _unique(names: list[str]) -> list[str]:
    """Return the names, those that repeat with a number behind them."""
    seen = Counter(names)
    taken: set[str] = set(names)
    found: list[str] = []
    for k, name in enumerate(names):
        label = name if seen[name] == 1 else f"{name}#{k}"
        while seen[name] > 1 and label in taken:
            label += "'"
        taken.add(label)
        found.append(label)
    return found
