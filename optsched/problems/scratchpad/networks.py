"""Operator graphs of four networks found by architecture search, with the shapes of ImageNet.

They are built from the cells as their authors published them: NASNet-A (Zoph, Vasudevan, Shlens and
Le 2018), AmoebaNet-A (Real, Aggarwal, Huang and Le 2019), PNASNet-5 (Liu et al. 2018) and DARTS,
second order (Liu, Simonyan and Yang 2019), each in its mobile setting: 224 x 224 pixels, less than
600 million multiplications.

Conventions: inference, one image. A batch normalisation is folded into the convolution before it;
a ReLU, a depthwise and a pointwise convolution are operators of their own; what feeds several
ReLUs is not rectified once for all, as in the authors' own code. Padding and cropping are part of
the operator that reads their result, and dropout is none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from optsched.core import InputError
from optsched.numbers import integer, shown
from optsched.problems.scratchpad.graph import OperatorGraph

#: ``(operation, state)``: state 0 is the output of the cell before the last, 1 that of the last
#: one, and 2, 3, ... are the sums of this cell in the order of its pairs.
Branch: TypeAlias = tuple[str, int]


@dataclass(frozen=True)
class Cell:
    """A cell: pairs of branches whose results are added, and the states that are its output.

    Attributes
    ----------
    pairs : tuple of (Branch, Branch)
    concat : tuple of int
        The states whose concatenation leaves the cell.
    """

    pairs: tuple[tuple[Branch, Branch], ...]
    concat: tuple[int, ...]


@dataclass(frozen=True)
class Architecture:
    """How cells are stacked.

    Attributes
    ----------
    normal, reduction : Cell
    layers : str
        The cells behind the stem in their order: ``N`` normal, ``R`` reduction, which halves height
        and width and doubles the filters.
    filters : int
        Filters of the first cell behind the stem.
    stem : str
        ``"cells"``: a convolution and two reduction cells; ``"convolutions"``: three of them.
    """

    normal: Cell
    reduction: Cell
    layers: str
    filters: int
    stem: str = "cells"


_NASNET_NORMAL = Cell(
    (
        (("sep5", 1), ("sep3", 0)),
        (("sep5", 0), ("sep3", 0)),
        (("avg", 1), ("skip", 0)),
        (("avg", 0), ("avg", 0)),
        (("sep3", 1), ("skip", 1)),
    ),
    (0, 2, 3, 4, 5, 6),
)
_NASNET_REDUCTION = Cell(
    (
        (("sep5", 1), ("sep7", 0)),
        (("max", 1), ("sep7", 0)),
        (("avg", 1), ("sep5", 0)),
        (("skip", 3), ("avg", 2)),
        (("sep3", 2), ("max", 1)),
    ),
    (3, 4, 5, 6),
)
_AMOEBANET_NORMAL = Cell(
    (
        (("avg", 1), ("max", 1)),
        (("sep3", 0), ("skip", 0)),
        (("skip", 1), ("avg", 0)),
        (("sep3", 1), ("sep5", 2)),
        (("avg", 5), ("sep3", 1)),
    ),
    (0, 3, 4, 6),
)
_AMOEBANET_REDUCTION = Cell(
    (
        (("sep3", 0), ("avg", 1)),
        (("max", 1), ("sep7", 2)),
        (("max", 0), ("max", 1)),
        (("sep3", 4), ("conv1x7_7x1", 1)),
        (("avg", 0), ("sep7", 1)),
    ),
    (2, 3, 4, 5, 6),
)
_PNASNET = Cell(
    (
        (("sep5", 0), ("max", 0)),
        (("sep7", 1), ("max", 1)),
        (("sep5", 1), ("sep3", 1)),
        (("sep3", 4), ("max", 1)),
        (("sep3", 0), ("skip", 1)),
    ),
    (2, 3, 4, 5, 6),
)
_DARTS_NORMAL = Cell(
    (
        (("sep3", 0), ("sep3", 1)),
        (("sep3", 0), ("sep3", 1)),
        (("sep3", 1), ("skip", 0)),
        (("skip", 0), ("dil3", 2)),
    ),
    (2, 3, 4, 5),
)
_DARTS_REDUCTION = Cell(
    (
        (("max", 0), ("max", 1)),
        (("skip", 2), ("max", 1)),
        (("max", 0), ("skip", 2)),
        (("skip", 2), ("max", 1)),
    ),
    (2, 3, 4, 5),
)

#: The networks by name.
ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {
        "nasnet_a": Architecture(_NASNET_NORMAL, _NASNET_REDUCTION, "NNNNRNNNNRNNNN", 44),
        "amoebanet_a": Architecture(_AMOEBANET_NORMAL, _AMOEBANET_REDUCTION, "NNNNRNNNNRNNNN", 50),
        "darts": Architecture(
            _DARTS_NORMAL, _DARTS_REDUCTION, "NNNNRNNNNRNNNN", 48, stem="convolutions"
        ),
        # One cell for all: where it reduces, it does so with stride 2.
        "pnasnet_5": Architecture(_PNASNET, _PNASNET, "NNNRNNRNN", 54),
    }
)


def network(
    name: str,
    *,
    pixels: int = 224,
    element_bytes: int = 1,
    weights: bool = True,
    architecture: Architecture | None = None,
) -> OperatorGraph:
    """Return the operator graph of a network found by architecture search.

    Parameters
    ----------
    name : str
        ``"nasnet_a"``, ``"amoebanet_a"``, ``"darts"`` or ``"pnasnet_5"``.
    pixels : int
        Height and width of the image.
    element_bytes : int
        Bytes an element: 1 for int8.
    weights : bool
        Whether weights are tensors of the graph.
    architecture : Architecture, optional
        Another one, which gets that name.

    Raises
    ------
    InputError
        On an unknown name, or an image too small for the network.
    """
    if architecture is None:
        if name not in ARCHITECTURES:
            raise InputError(f"unknown network {shown(name)}: one of {', '.join(ARCHITECTURES)}")
        architecture = ARCHITECTURES[name]
    if integer(pixels, "pixels") < 32:
        raise InputError(f"pixels: {pixels} is less than 32, and the network halves it five times")
    if integer(element_bytes, "element_bytes") < 1:
        raise InputError(f"element_bytes: {element_bytes} is less than 1")
    builder = _Builder(element_bytes, weights)
    before, last = _stem(builder, architecture, pixels)
    filters = architecture.filters
    for k, letter in enumerate(architecture.layers):
        reduces = letter == "R"
        filters *= 2 if reduces else 1
        cell = architecture.reduction if reduces else architecture.normal
        before, last = last, _cell(builder, f"cell{k}", cell, before, last, filters, reduces)
    builder.classify(last)
    return OperatorGraph(builder.tensors, builder.operators, name)


@dataclass(frozen=True)
class _Map:
    """A feature map: its tensor, channels, and height = width."""

    tensor: int
    channels: int
    side: int


class _Builder:
    """Collects operators and tensors."""

    def __init__(self, element_bytes: int, weights: bool) -> None:
        self.element_bytes = element_bytes
        self.weights = weights
        self.tensors: list[tuple[str, int, str | None]] = []
        self.operators: list[tuple[str, list[int], list[int]]] = []

    def tensor(self, name: str, elements: int, kind: str | None = None) -> int:
        self.tensors.append((name, elements * self.element_bytes, kind))
        return len(self.tensors) - 1

    def image(self, side: int) -> _Map:
        return _Map(self.tensor("image", 3 * side * side, "input"), 3, side)

    def apply(
        self, name: str, inputs: list[_Map], channels: int, side: int, parameters: int = 0
    ) -> _Map:
        read = [each.tensor for each in inputs]
        if parameters and self.weights:
            read.append(self.tensor(f"{name}.weight", parameters, "weight"))
        result = self.tensor(name, channels * side * side)
        self.operators.append((name, read, [result]))
        return _Map(result, channels, side)

    def relu(self, name: str, x: _Map) -> _Map:
        return self.apply(f"{name}.relu", [x], x.channels, x.side)

    def convolution(
        self, name: str, x: _Map, channels: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> _Map:
        """Convolve, `kernel` elements a channel, with one shift a channel; same padding."""
        side = -(-x.side // stride)
        parameters = kernel * (x.channels // groups) * channels + channels
        return self.apply(name, [x], channels, side, parameters)

    def rectified(self, name: str, x: _Map, channels: int, stride: int = 1) -> _Map:
        """ReLU and a 1 x 1 convolution."""
        return self.convolution(f"{name}.1x1", self.relu(name, x), channels, 1, stride)

    def separable(
        self, name: str, x: _Map, channels: int, side: int, stride: int, times: int
    ) -> _Map:
        """ReLU, depthwise and pointwise convolution, `times` over; the first one strides."""
        for k in range(times):
            part = f"{name}.{k}"
            x = self.relu(part, x)
            x = self.convolution(f"{part}.depthwise", x, x.channels, side**2, stride, x.channels)
            x = self.convolution(f"{part}.pointwise", x, channels, 1)
            stride = 1
        return x

    def factorized(self, name: str, x: _Map, channels: int) -> _Map:
        """Halve height and width: two strided 1 x 1 convolutions, one shifted, side by side."""
        x = self.relu(name, x)
        half = channels // 2
        paths = [
            self.convolution(f"{name}.path0", x, half, 1, 2),
            self.convolution(f"{name}.path1", x, channels - half, 1, 2),
        ]
        return self.apply(f"{name}.concat", paths, channels, paths[0].side)

    def classify(self, x: _Map, classes: int = 1000) -> None:
        x = self.apply("pool", [self.relu("head", x)], x.channels, 1)
        self.apply("classifier", [x], classes, 1, (x.channels + 1) * classes)


def _separable(side: int) -> Callable[..., _Map]:
    def operation(b: _Builder, name: str, x: _Map, channels: int, stride: int) -> _Map:
        return b.separable(name, x, channels, side, stride, 2)

    return operation


def _dilated(b: _Builder, name: str, x: _Map, channels: int, stride: int) -> _Map:
    return b.separable(name, x, channels, 3, stride, 1)


def _pool(b: _Builder, name: str, x: _Map, channels: int, stride: int) -> _Map:
    x = b.apply(name, [x], x.channels, -(-x.side // stride))
    return x if x.channels == channels else b.convolution(f"{name}.1x1", x, channels, 1)


def _skip(b: _Builder, name: str, x: _Map, channels: int, stride: int) -> _Map:
    if stride == 1 and x.channels == channels:
        return x
    return b.rectified(name, x, channels, stride)


def _bottleneck(b: _Builder, name: str, x: _Map, channels: int, stride: int) -> _Map:
    """1 x 7, then 7 x 1, on a quarter of the channels."""
    few = channels // 4
    x = b.rectified(f"{name}.in", x, few)
    side = -(-x.side // stride)
    parameters = (7 * few + 1) * few
    wide = b.apply(f"{name}.1x7", [b.relu(f"{name}.1x7", x)], few, side, parameters)
    tall = b.apply(f"{name}.7x1", [b.relu(f"{name}.7x1", wide)], few, side, parameters)
    return b.rectified(f"{name}.out", tall, channels)


_OPERATIONS: Mapping[str, Callable[..., _Map]] = MappingProxyType(
    {
        "sep3": _separable(3),
        "sep5": _separable(5),
        "sep7": _separable(7),
        "dil3": _dilated,
        "avg": _pool,
        "max": _pool,
        "skip": _skip,
        "conv1x7_7x1": _bottleneck,
    }
)


def _stem(b: _Builder, architecture: Architecture, pixels: int) -> tuple[_Map, _Map]:
    """Return the outputs of the last two parts of the stem."""
    image, filters = b.image(pixels), architecture.filters
    if architecture.stem == "convolutions":
        x = b.convolution("stem.0", image, filters // 2, 9, 2)
        first = b.convolution("stem.1", b.relu("stem.1", x), filters, 9, 2)
        return first, b.convolution("stem.2", b.relu("stem.2", first), filters, 9, 2)
    # The first convolution has no padding.
    first = b.apply("stem.0", [image], 32, (pixels - 1) // 2, (3 * 9 + 1) * 32)
    cell = architecture.reduction
    second = _cell(b, "stem.1", cell, None, first, filters // 4, True)
    return second, _cell(b, "stem.2", cell, first, second, filters // 2, True)


def _cell(
    b: _Builder, name: str, cell: Cell, before: _Map | None, last: _Map, filters: int, reduces: bool
) -> _Map:
    """Return the output of one cell; the first of all has only one input, for both states."""
    if before is None:
        before = last
    elif before.side != last.side:
        before = b.factorized(f"{name}.before", before, filters)
    else:
        before = b.rectified(f"{name}.before", before, filters)
    states = [before, b.rectified(f"{name}.last", last, filters)]
    for k, pair in enumerate(cell.pairs):
        halves = []
        for side, (operation, state) in zip("ab", pair, strict=True):
            stride = 2 if reduces and state < 2 else 1
            part = f"{name}.{k}{side}.{operation}"
            halves.append(_OPERATIONS[operation](b, part, states[state], filters, stride))
        states.append(b.apply(f"{name}.{k}.add", halves, filters, halves[0].side))
    joined = [states[k] for k in cell.concat]
    return b.apply(f"{name}.concat", joined, sum(each.channels for each in joined), joined[0].side)
