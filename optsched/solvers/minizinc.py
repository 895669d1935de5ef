"""MiniZinc: the reference models of ``models/`` with any solver that MiniZinc knows.

They are written to be read, and serve to check the other formulations on small instances.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import warnings
from abc import abstractmethod
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from optsched.core import InputError, MissingExtraError, SolverError
from optsched.solvers.base import Compiled, Control, Verdict, nearest

BACKEND = "minizinc"
#: The FlatZinc solver when none is named.
DEFAULT = "gecode"
#: Seconds between two looks at whether to stop.
POLL = 0.05


@dataclass(frozen=True)
class Specification:
    """A reference model and its data.

    Attributes
    ----------
    path : Path
        The ``.mzn`` file.
    data : dict
        Parameters by name: numbers, bools, or nested lists of them.
    """

    path: Path
    data: dict[str, Any]


class Reference(Compiled):
    """A problem stated to the reference model of its family.

    Attributes
    ----------
    model : Specification
    """

    model: Specification

    def hint(self, solution: Any) -> npt.NDArray[np.float64]:
        """Return nothing: MiniZinc takes no hint."""
        return np.zeros(0)

    @abstractmethod
    def decode(self, values: Any) -> Any:
        """Return the solution in `values`, the model's variables by name."""


def model_path(family: str) -> Path:
    """Return the file of a family's reference model, in the package or beside it."""
    name = f"{family}.mzn"
    packaged = Path(str(resources.files("optsched"))) / "models" / name
    if packaged.is_file():
        return packaged
    return Path(str(resources.files("optsched"))).parent / "models" / name


def check_options(options: Any, variant: str) -> None:
    """Raise `InputError` on options or a solver that MiniZinc does not have."""
    if options:
        raise InputError(f"solver minizinc has no option {next(iter(options))!r}")
    _solver(variant or DEFAULT)


def run(compiled: Compiled, control: Control) -> Verdict:
    """Solve the reference model; report incumbents through `control`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MiniZinc's own library warns about itself
        return asyncio.run(_run(compiled, control))


async def _run(compiled: Compiled, control: Control) -> Verdict:
    import minizinc

    solver = _solver(control.variant or DEFAULT)
    specification = compiled.model
    instance = minizinc.Instance(solver, minizinc.Model(specification.path))
    for name, value in specification.data.items():
        instance[name] = value
    remaining = control.deadline.remaining()
    limit = timedelta(seconds=remaining) if math.isfinite(remaining) else None
    flags = solver.stdFlags
    outcome: list[Any] = []
    objective: list[float] = []

    async def solve() -> None:
        found = instance.solutions(
            timeout=limit,
            intermediate_solutions=True if "-i" in flags or "-a" in flags else None,
            processes=control.workers if "-p" in flags else None,
            random_seed=control.seed if "-r" in flags else None,
        )
        async for result in found:
            outcome.append(result.status)
            if result.solution is not None:
                objective.append(result.objective)
                control.on_solution(vars(result.solution), result.objective)

    task = asyncio.create_task(solve())
    while not task.done():
        await asyncio.wait({task}, timeout=POLL)
        if control.stopped() and not task.done():
            task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        try:
            await task
        except minizinc.MiniZincError as error:
            raise SolverError(f"minizinc: {str(error).strip()[:2000]}") from error
    status = outcome[-1] if outcome else minizinc.Status.UNKNOWN
    if status is minizinc.Status.UNSATISFIABLE:
        return Verdict.INFEASIBLE
    if status is minizinc.Status.OPTIMAL_SOLUTION:
        control.on_bound(objective[-1])
        return Verdict.OPTIMAL
    return Verdict.STOPPED


@cache
def _solver(name: str) -> Any:
    try:
        import minizinc
    except ImportError as error:
        raise MissingExtraError("minizinc", "minizinc") from error
    if minizinc.default_driver is None:
        raise InputError(
            "MiniZinc is not installed: on Debian `apt-get install minizinc`, elsewhere see "
            "minizinc.org; the program `minizinc` must be on the PATH"
        )
    try:
        return minizinc.Solver.lookup(name)
    except LookupError as error:
        known = minizinc.default_driver.available_solvers()
        raise InputError(
            f"MiniZinc has no solver {name!r}{nearest(name, known)}: {', '.join(sorted(known))}"
        ) from error
