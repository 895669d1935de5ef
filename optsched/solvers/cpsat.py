"""CP-SAT of OR-Tools: in process, incumbents and bounds by callback."""

from __future__ import annotations

from typing import Any

import numpy as np
from ortools.sat.python import cp_model

from optsched.core import InputError, SolverError
from optsched.solvers.base import Compiled, Control, Verdict, unknown_option

BACKEND = "cpsat"


class _Solutions(cp_model.CpSolverSolutionCallback):  # type: ignore[misc]
    def __init__(self, control: Control) -> None:
        super().__init__()
        self._control = control

    def on_solution_callback(self) -> None:
        """Hand the incumbent on; called by CP-SAT, one at a time."""
        values = np.array(list(self.response_proto.solution), dtype=np.float64)
        self._control.on_solution(values, self.objective_value)
        if self._control.stopped():
            self.stop_search()


def add_hint(model: cp_model.CpModel, values: Any) -> None:
    """Hint every variable: CP-SAT ignores or mangles an incomplete hint."""
    model.clear_hints()
    hint = model.proto.solution_hint
    hint.vars.extend(range(len(values)))
    hint.values.extend(int(v) for v in values)


def set_options(parameters: Any, options: Any) -> None:
    """Set CP-SAT parameters by name; raise `InputError` on an unknown one or a wrong type."""
    valid = [name for name in dir(parameters) if not name.startswith(("_", "clear_", "has_"))]
    for name, value in options.items():
        if name not in valid:
            raise unknown_option("cpsat", name, valid)
        try:
            if isinstance(value, list | tuple):
                field = getattr(parameters, name)
                field.clear()
                field.extend(value)
            else:
                setattr(parameters, name, value)
        except (TypeError, AttributeError, ValueError) as error:
            raise InputError(f"solver cpsat: option {name} does not take {value!r}") from error


def check_options(options: Any, variant: str) -> None:
    """Raise `InputError` on options or a variant that the solver does not have."""
    if variant:
        raise InputError(f"solver cpsat has no variant {variant!r}")
    set_options(cp_model.CpSolver().parameters, options)


def run(compiled: Compiled, control: Control) -> Verdict:
    """Solve the model; report incumbents and bounds through `control`."""
    solver = cp_model.CpSolver()
    parameters = solver.parameters
    parameters.num_workers = control.workers
    parameters.random_seed = control.seed % 2**31
    # CP-SAT's own handler of Ctrl-C leaves the process with none, or aborts it.
    parameters.catch_sigint_signal = False
    set_options(parameters, control.options)
    if control.hint is not None:
        add_hint(compiled.model, control.hint)
    remaining = control.deadline.remaining()
    if np.isfinite(remaining):
        own = control.options.get("max_time_in_seconds", remaining)
        parameters.max_time_in_seconds = min(remaining, own)
    solver.best_bound_callback = control.on_bound
    control.when_stopped(solver.stop_search)
    if control.stopped():
        return Verdict.STOPPED
    status = solver.solve(compiled.model, _Solutions(control))
    if status == cp_model.MODEL_INVALID:
        raise SolverError(f"cpsat: invalid model: {compiled.model.validate()}")
    if status == cp_model.INFEASIBLE:
        return Verdict.INFEASIBLE
    if status in (cp_model.OPTIMAL, cp_model.FEASIBLE) and compiled.model.has_objective():
        control.on_bound(solver.best_objective_bound)
    return Verdict.OPTIMAL if status == cp_model.OPTIMAL else Verdict.STOPPED
