"""Any MILP solver that PuLP knows: ``pulp`` is the CBC bundled with it, ``pulp:NAME`` another."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pulp

from optsched.core import InputError, SolverError
from optsched.solvers.base import Compiled, Control, Verdict, nearest
from optsched.solvers.milp import from_pulp, to_pulp
from optsched.solvers.worker import remote

BACKEND = "milp"
DEFAULT = "PULP_CBC_CMD"


def _solver(variant: str, arguments: dict[str, Any]) -> Any:
    name = variant or DEFAULT
    if name not in (known := pulp.listSolvers()):
        raise InputError(f"PuLP has no solver {name!r}{nearest(name, known)}")
    try:
        return pulp.getSolver(name, **arguments)
    except TypeError as error:
        raise InputError(f"solver pulp:{name}: {error}") from error


def check_options(options: Any, variant: str) -> None:
    """Raise `InputError` on options or a variant that the solver does not have."""
    solver = _solver(variant, {"msg": False} | dict(options))
    if not solver.available():
        installed = ", ".join(pulp.listSolvers(onlyAvailable=True))
        raise InputError(f"PuLP finds no installed {variant or DEFAULT}; it finds {installed}")


def run(compiled: Compiled, control: Control) -> Verdict:
    """Solve the model; report the final incumbent and bound through `control`."""
    milp = from_pulp(compiled.model)
    control.deadline.check()
    remaining = control.deadline.remaining()
    job = (
        milp, control.hint, control.workers, control.seed, remaining,
        dict(control.options), control.variant,
    )  # fmt: skip
    return remote(__name__, job, control)


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="optsched-") as folder:
        yield Path(folder)


def serve(job: Any, emit: Callable[[str, Any], None], cancelled: Callable[[], bool]) -> Verdict:
    """Solve in the worker process; see `optsched.solvers.worker.remote`."""
    milp, hint, workers, seed, limit, options, variant = job
    model, variables = to_pulp(milp, hint)
    arguments: dict[str, Any] = {"msg": False, "gapRel": 0.0, "warmStart": hint is not None}
    if np.isfinite(limit):
        # PuLP's solvers must have ended and their files been read before the deadline.
        arguments["timeLimit"] = max(0.1, limit - 0.3 if limit > 1 else limit / 2)
    cbc = (variant or DEFAULT) in (DEFAULT, "COIN_CMD")
    if cbc:
        arguments |= {
            "gapAbs": 0.0,
            "threads": workers if workers > 1 else None,
            "options": [f"randomCbcSeed {seed % 2**31}"],
        }
    with _scratch() as folder:
        log = folder / "log"
        if cbc:
            arguments["logPath"] = str(log)
        arguments |= options
        try:
            solver = _solver(variant, arguments)
        except InputError:
            # Not every PuLP solver takes every argument; options of the user must be taken.
            common = {k: arguments[k] for k in ("msg", "timeLimit", "gapRel") if k in arguments}
            solver = _solver(variant, common | options)
        solver.tmpDir = str(folder)
        try:
            model.solve(solver)
        except pulp.PulpSolverError as error:
            raise SolverError(f"pulp: {error}") from error
        text = log.read_text(errors="replace") if cbc and log.exists() else ""
    if cancelled():
        return Verdict.STOPPED
    # PuLP's status is read from text; only the solution status separates proof from a limit.
    if model.sol_status in (pulp.LpSolutionOptimal, pulp.LpSolutionIntegerFeasible):
        values = np.array([v.varValue or 0.0 for v in variables], dtype=np.float64)
        objective = float(milp.cost @ values) + milp.offset
        emit("solution", (values, objective))
        if model.sol_status == pulp.LpSolutionOptimal and "Stopped" not in text:
            emit("bound", objective)
            return Verdict.OPTIMAL
    if found := re.findall(r"^Lower bound:\s+(-?[\d.e+]+)", text, flags=re.MULTILINE):
        emit("bound", float(found[-1]))
    timed_out = "Stopped on time" in text or "time limit" in text.lower()
    # CBC's presolve says "infeasible or unbounded", which PuLP reports in the status alone; a
    # formulation of this package is never unbounded.
    infeasible = pulp.LpSolutionInfeasible in (model.sol_status, model.status)
    if infeasible and not timed_out:
        return Verdict.INFEASIBLE
    return Verdict.STOPPED
