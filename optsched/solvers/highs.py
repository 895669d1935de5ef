"""HiGHS through highspy: callbacks for incumbents and bounds, in a process that can be killed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import highspy
import numpy as np

from optsched.core import InputError, SolverError
from optsched.solvers.base import Compiled, Control, Verdict, nearest
from optsched.solvers.milp import Milp, from_pulp
from optsched.solvers.worker import remote

BACKEND = "milp"
#: Seconds between two bounds handed on, at the least.
BOUND_INTERVAL = 0.1


def check_options(options: Any, variant: str) -> None:
    """Raise `InputError` on options or a variant that the solver does not have."""
    if variant:
        raise InputError(f"solver highs has no variant {variant!r}")
    _set_options(_quiet(), options)


def run(compiled: Compiled, control: Control) -> Verdict:
    """Solve the model; report incumbents and bounds through `control`."""
    milp = from_pulp(compiled.model)
    control.deadline.check()
    remaining = control.deadline.remaining()
    job = (milp, control.hint, control.workers, control.seed, remaining, dict(control.options))
    return remote(__name__, job, control)


def _quiet() -> Any:
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    return highs


def _set_options(highs: Any, options: Any) -> None:
    known = vars(type(highs.getOptions()))
    for name, value in options.items():
        if name not in known:
            raise InputError(f"solver highs: unknown option {name!r}{nearest(name, known)}")
        if highs.setOptionValue(name, value) != highspy.HighsStatus.kOk:
            raise InputError(f"solver highs: option {name} does not take {value!r}")


def _model(milp: Milp) -> Any:
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(milp.cost), len(milp.row_lower)
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = milp.cost, milp.lower, milp.upper
    lp.row_lower_, lp.row_upper_ = milp.row_lower, milp.row_upper
    lp.offset_ = milp.offset
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_ = milp.row_start
    lp.a_matrix_.index_ = milp.column
    lp.a_matrix_.value_ = milp.value
    types = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
    lp.integrality_ = [types[flag] for flag in milp.integral.tolist()]
    return lp


def serve(job: Any, emit: Callable[[str, Any], None], cancelled: Callable[[], bool]) -> Verdict:
    """Solve in the worker process; see `optsched.solvers.worker.remote`."""
    milp, hint, workers, seed, limit, options = job
    began = time.perf_counter()
    highs = _quiet()
    highs.setOptionValue("threads", workers)
    if workers > 1:
        highs.setOptionValue("parallel", "on")
    # HiGHS keeps one pool of threads a process; another number of threads needs a new one.
    highspy.Highs.resetGlobalScheduler(True)
    highs.setOptionValue("random_seed", seed % 2**31)
    # With its default gaps HiGHS calls "optimal" what is within 0.01 % of it.
    highs.setOptionValue("mip_rel_gap", 0.0)
    highs.setOptionValue("mip_abs_gap", 0.0)
    # Where integer and continuous columns meet in a row, the presolve of HiGHS 1.14 cuts off optima
    # (stuffing of singleton columns; mended in 1.15, which clashes with OR-Tools 9.15).
    if milp.integral.any() and not milp.integral.all():
        highs.setOptionValue("presolve", "off")
    _set_options(highs, options)
    if highs.passModel(_model(milp)) == highspy.HighsStatus.kError:
        raise SolverError("highs: the model was refused")
    if hint is not None:
        start = highspy.HighsSolution()
        start.col_value = hint
        highs.setSolution(start)
    told = [-np.inf, began]

    def bound(value: float, *, always: bool = False) -> None:
        now = time.perf_counter()
        if np.isfinite(value) and value > told[0] and (always or now > told[1] + BOUND_INTERVAL):
            told[:] = value, now
            emit("bound", value)

    def incumbent(event: Any) -> None:
        values = np.array(event.data_out.mip_solution, dtype=np.float64)
        emit("solution", (values, event.data_out.objective_function_value))

    def pulse(event: Any) -> None:
        bound(event.data_out.mip_dual_bound)
        if cancelled():
            event.data_in.user_interrupt = 1

    def lp_pulse(event: Any) -> None:
        if cancelled():
            event.data_in.user_interrupt = 1

    highs.cbMipImprovingSolution.subscribe(incumbent)
    highs.cbMipInterrupt.subscribe(pulse)
    highs.cbSimplexInterrupt.subscribe(lp_pulse)
    if np.isfinite(limit):
        left = limit - (time.perf_counter() - began)
        own = options.get("time_limit", np.inf)
        highs.setOptionValue("time_limit", float(max(0.0, min(left, own))))
    highs.run()
    status = highs.getModelStatus()
    statuses = highspy.HighsModelStatus
    if status == statuses.kInfeasible:
        return Verdict.INFEASIBLE
    if status == statuses.kOptimal:
        # The last improvement may have come from presolve, without a callback.
        values = np.array(highs.getSolution().col_value, dtype=np.float64)
        emit("solution", (values, highs.getInfo().objective_function_value))
        is_mip = bool(milp.integral.any())
        info = highs.getInfo()
        bound(info.mip_dual_bound if is_mip else info.objective_function_value, always=True)
        return Verdict.OPTIMAL
    bound(highs.getInfo().mip_dual_bound, always=True)
    limits = (statuses.kTimeLimit, statuses.kInterrupt, statuses.kIterationLimit,
              statuses.kSolutionLimit)  # fmt: skip
    return Verdict.STOPPED if status in limits else Verdict.GAVE_UP
