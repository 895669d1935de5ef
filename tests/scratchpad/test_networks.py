"""Networks of architecture search against what their papers say of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from optsched.core import InputError
from optsched.problems.scratchpad.graph import INPUT, OUTPUT, WEIGHT
from optsched.problems.scratchpad.networks import ARCHITECTURES, Architecture, Cell, network

#: Operators; million parameters as published; channels of the last cell's output.
PUBLISHED = {
    "nasnet_a": (702, 5.3, 1056),
    "amoebanet_a": (656, 5.1, 800),
    "darts": (546, 4.7, 768),
    "pnasnet_5": (558, 5.1, 1080),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_size_as_published(name: str) -> None:
    graph = network(name)
    operators, parameters, channels = PUBLISHED[name]
    assert (graph.name, graph.n_operators) == (name, operators)
    assert round(graph.size[graph.kind == WEIGHT].sum() / 1e6, 1) == parameters
    assert graph.size[graph.kind == INPUT].tolist() == [3 * 224 * 224]
    assert graph.size[graph.kind == OUTPUT].tolist() == [1000]
    last = graph.names.index("pool")
    assert graph.size[graph.outputs(last)].tolist() == [channels]
    assert graph.default_order().tolist() == list(range(operators))
    used = np.unique(np.concatenate([graph.input_tensor, graph.output_tensor]))
    assert len(used) == graph.n_tensors


@pytest.mark.parametrize("name", PUBLISHED)
def test_options(name: str) -> None:
    whole, bare = network(name), network(name, weights=False)
    assert bare.names == whole.names
    assert (bare.kind != WEIGHT).all()
    double = network(name, element_bytes=2, weights=False)
    assert double.size.tolist() == (2 * bare.size).tolist()
    small = network(name, pixels=64, weights=False)
    assert small.names == bare.names
    assert small.largest_working_set < bare.largest_working_set / 8


def test_a_cell_by_hand() -> None:
    cell = Cell(((("skip", 0), ("max", 1)), (("avg", 2), ("skip", 2))), (2, 3))
    graph = network("toy", pixels=32, architecture=Architecture(cell, cell, "N", 8), weights=False)
    # The stem's cells have 2 and 4 filters at 8 and 4 pixels, the last one 8.
    sizes = dict(zip(graph.tensor_names, graph.size.tolist(), strict=True))
    assert sizes["stem.0"] == 32 * 15 * 15
    assert sizes["stem.1.0.add"] == 2 * 8 * 8
    assert sizes["stem.2.concat"] == 2 * 4 * 4 * 4
    assert sizes["cell0.concat"] == 2 * 8 * 4 * 4
    add = graph.names.index("cell0.1.add")
    assert [graph.tensor_names[t] for t in graph.inputs(add)] == ["cell0.1a.avg", "cell0.0.add"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "resnet"}, "unknown network 'resnet': one of nasnet_a, "),
        ({"name": "darts", "pixels": 8}, "pixels: 8 is less than 32"),
        ({"name": "darts", "element_bytes": 0}, "element_bytes: 0"),
        ({"name": "darts", "pixels": "wide"}, "not a whole number"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        network(**arguments)


def test_all_are_tested() -> None:
    assert set(PUBLISHED) == set(ARCHITECTURES)
