"""What the self-check knows of each family: drawing, enumerating and shrinking tiny instances."""

from __future__ import annotations

import importlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from optsched.core import InputError, Number, Problem
from optsched.selfcheck.smaller import Data
from optsched.solvers.base import nearest

#: The families, in the order in which cases go round them.
NAMES = (
    "job_shop", "single_machine", "rcpsp", "pod_packing", "tensor_memory", "scratchpad",
    "memory_tiers", "gpu_packing",
)  # fmt: skip


@dataclass(frozen=True)
class Family:
    """One family.

    Attributes
    ----------
    name : str
    draw : callable(rng) -> Problem
        A random tiny instance.
    optimum : callable(problem, claim) -> number or None
        The least objective by enumeration, None where there is no solution. `claim` is an
        objective that is attained, or None. Raises `TooLong`.
    smaller : callable(data) -> iterator of data
        Smaller instances, as plain data; some may be none.
    value : callable(problem, solution) -> number, optional
        The objective by its definition, in other words than the problem's own.
    broken : callable(problem, solution) -> list of str, optional
        The rules that a solution breaks, in other words than the checker's.
    """

    name: str
    draw: Callable[[random.Random], Problem]
    optimum: Callable[[Any, Number | None], Number | None]
    smaller: Callable[[Data], Iterator[Data]]
    value: Callable[[Any, Any], Number] | None = None
    broken: Callable[[Any, Any], list[str]] | None = None


def family(name: str) -> Family:
    """Return a family by its name."""
    if name not in NAMES:
        raise InputError(f"unknown family {name!r}{nearest(name, NAMES)}: {', '.join(NAMES)}")
    module = importlib.import_module(f"{__name__}.{name}")
    return Family(
        name,
        module.draw,
        module.optimum,
        module.smaller,
        getattr(module, "value", None),
        getattr(module, "broken", None),
    )
