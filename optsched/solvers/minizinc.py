"""MiniZinc: the reference models of ``models/`` with any solver that MiniZinc knows.

They are written to be read, and serve to check the other formulations on small instances.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
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
from optsched.solvers.dzn import assignments

BACKEND = "minizinc"
#: The FlatZinc solver when none is named.
DEFAULT = "gecode"
#: Seconds between two looks at whether to stop.
POLL = 0.05
#: Solvers that count in 32 bits, and would take a larger number for another one without a word.
SHORT = ("org.gecode.gecode", "org.chuffed.chuffed")


@dataclass(frozen=True)
class Specification:
    """A reference model and its data.

    Attributes
    ----------
    path : Path
        The ``.mzn`` file.
    data : dict
        Parameters by name: numbers, bools, sets of numbers, or nested lists of these, of which
        the outer indices count from 1.
    """

    path: Path
    data: dict[str, Any]


class Reference(Compiled):
    """A problem stated to the reference model of its family.

    Attributes
    ----------
    model : Specification
        The whole problem.
    """

    model: Specification

    def stage(self, done: list[Any]) -> Specification | None:
        """Return what to solve next, None at the end.

        Parameters
        ----------
        done : list
            The optimal values of the stages before: of most families there is one, the whole.
        """
        return None if done else self.model

    def value(self, values: Any, cost: float) -> float:
        """Return the problem's objective, where `cost` is the model's."""
        return cost

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


async def _run(compiled: Any, control: Control) -> Verdict:
    done: list[Any] = []
    while (specification := compiled.stage(done)) is not None:
        verdict, values, cost = await _solve(specification, compiled, control)
        if verdict is not Verdict.OPTIMAL:
            return verdict
        done.append(values)
    control.on_bound(compiled.value(values, cost))
    return Verdict.OPTIMAL


async def _solve(
    specification: Specification, compiled: Any, control: Control
) -> tuple[Verdict, Any, float]:
    """Solve one model; return the verdict, and values and cost of the last solution."""
    import minizinc

    solver = _solver(control.variant or DEFAULT)
    instance = minizinc.Instance(solver, minizinc.Model(specification.path))
    # Not as JSON, which is what the package makes of data: MiniZinc 2.6 cuts numbers in it to 2^31.
    instance.add_string(assignments(specification.data))
    flags = solver.stdFlags
    status = minizinc.Status.UNKNOWN
    values: Any = None
    cost = math.nan

    async def solve() -> None:
        nonlocal status, values, cost
        if solver.id in SHORT:
            await asyncio.to_thread(_refuse_large, instance, solver.name, _rest(control))
        if control.deadline.expired():
            return
        found = instance.solutions(
            timeout=_rest(control),
            intermediate_solutions=True if "-i" in flags or "-a" in flags else None,
            processes=control.workers if "-p" in flags else None,
            random_seed=control.seed if "-r" in flags else None,
        )
        async for result in found:
            status = result.status
            if result.solution is not None:
                values, cost = vars(result.solution), result.objective
                control.on_solution(values, compiled.value(values, cost))

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
    verdict = {
        minizinc.Status.UNSATISFIABLE: Verdict.INFEASIBLE,
        minizinc.Status.OPTIMAL_SOLUTION: Verdict.OPTIMAL,
    }.get(status, Verdict.STOPPED)
    return verdict, values, cost


def _rest(control: Control) -> timedelta | None:
    """Return the time that is left, None without a limit."""
    remaining = control.deadline.remaining()
    return timedelta(seconds=max(remaining, 0.001)) if math.isfinite(remaining) else None


def _refuse_large(instance: Any, name: str, limit: timedelta | None) -> None:
    """Raise `InputError` where the compiled model holds numbers that do not fit in 32 bits."""
    with instance.flat(timeout=limit) as (flat, _, _):
        numbers = re.findall(r"\d{10,}", Path(flat.name).read_text(encoding="utf-8"))
    largest = max(map(int, numbers), default=0)
    if largest >= 2**31 - 2:
        raise InputError(
            f"{name} counts to 2^31, and in the model of this instance there are numbers up to "
            f"{largest:,}; other MiniZinc solvers (solver='minizinc:NAME') count further"
        )


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
