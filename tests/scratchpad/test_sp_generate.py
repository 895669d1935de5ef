"""Instances at the characteristic capacities, and the suites that name them."""

from __future__ import annotations

from pathlib import Path

import pytest

from optsched.core import InputError
from optsched.problems.scratchpad.generate import instance, random_order
from optsched.problems.scratchpad.networks import network

SUITES = Path(__file__).resolve().parents[2] / "benchmarks" / "suites"


def test_levels_are_between_the_largest_operator_and_the_least_peak() -> None:
    graph = network("amoebanet_a", weights=False)
    capacity = {level: instance("amoebanet_a", level).capacity for level in ("M_R", "M_H", "M_P")}
    assert capacity["M_R"] == graph.largest_working_set
    assert capacity["M_P"] <= graph.peak(graph.default_order())
    assert capacity["M_H"] == (capacity["M_R"] + capacity["M_P"]) // 2


def test_orders_are_fixed_or_free() -> None:
    assert instance("darts").order is None
    listed = instance("darts", order="listed")
    assert listed.order is not None
    assert listed.name == "darts-M_R-listed"
    random = instance("darts", order="random", seed=3)
    assert random.order is not None
    assert random.order.tolist() == random_order(random.graph, 3).tolist()
    assert random.order.tolist() != listed.order.tolist()
    random.graph.check_order(random.order)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "resnet"}, "unknown network 'resnet'"),
        ({"name": "darts", "level": "M_X"}, "unknown level 'M_X'"),
        ({"name": "darts", "order": "any"}, "unknown order 'any'"),
    ],
)
def test_unknown_names_are_refused(arguments: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        instance(**arguments)


def test_models_of_the_onnx_package() -> None:
    pytest.importorskip("onnx")
    problem = instance("onnx/densenet121")
    assert problem.graph.n_operators == 426
    assert problem.capacity == 1568 * 1024
    with pytest.raises(InputError, match="unknown model 'lenet'"):
        instance("onnx/lenet")


@pytest.mark.parametrize("path", sorted(SUITES.glob("scratchpad-*.toml")), ids=lambda p: p.stem)
def test_suites_name_generators_that_there_are(path: Path) -> None:
    import inspect
    import tomllib

    from optsched.datasets import generators

    takes = set(inspect.signature(generators.scratchpad).parameters) | {"generator", "seeds"}
    for entry in tomllib.loads(path.read_text())["instances"]:
        assert entry["generator"] == "scratchpad"
        assert set(entry) <= takes
