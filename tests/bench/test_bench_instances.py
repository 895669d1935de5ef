"""How the runner finds the classes of problems."""

from __future__ import annotations

import pytest

from optsched.bench.instances import problem_type
from optsched.core import InputError


@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("gpu_packing", "GpuPacking"),
        ("job_shop", "JobShop"),
        ("memory_tiers", "MemoryTiers"),
        ("pod_packing", "PodPacking"),
        ("rcpsp", "Rcpsp"),
        ("scratchpad", "ScratchpadSchedule"),
        ("single_machine", "SingleMachine"),
        ("tensor_memory", "TensorMemory"),
    ],
)
def test_each_family_has_its_class(family: str, name: str) -> None:
    assert problem_type(family).__name__ == name


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(InputError, match="there is no family 'laundry'"):
        problem_type("laundry")
