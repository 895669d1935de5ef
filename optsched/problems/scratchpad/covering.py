"""Covering programs, ``min cost x`` over binaries with rows ``value x >= least``, by HiGHS."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optsched.core import BoolArray, Deadline, IntArray, SolverError
from optsched.problems.scratchpad.graph import rows_to_csr


def solve_covering(
    cost: IntArray,
    index: Sequence[IntArray],
    value: Sequence[IntArray],
    least: Sequence[int],
    deadline: Deadline | None,
) -> tuple[BoolArray, int]:
    """Return the best binaries found, and a proven bound on the cost.

    Parameters
    ----------
    cost : ndarray of int64, shape (n,)
        At least 0. All binaries at 1 must satisfy every row.
    index, value, least : sequences, one entry a row
        Columns, coefficients and right-hand sides. Coefficients may be negative.
    deadline : Deadline or None
        When it passes, the best found is returned, with the bound so far.

    Raises
    ------
    SolverError
        When HiGHS refuses the program.
    """
    import highspy

    n = len(cost)
    start, column = rows_to_csr([row.tolist() for row in index])
    entries = np.concatenate(value).astype(float)
    # Bytes are often multiples of a large power of two; small numbers are easier on the LP.
    unit = int(np.gcd.reduce(cost[cost > 0])) if (cost > 0).any() else 1
    scale = np.maximum(1.0, np.maximum.reduceat(np.abs(entries), start[:-1]))
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = n, len(least)
    lp.col_cost_ = cost / unit
    lp.col_lower_, lp.col_upper_ = np.zeros(n), np.ones(n)
    lp.row_lower_ = np.array(least, dtype=float) / scale
    lp.row_upper_ = np.full(len(least), highspy.kHighsInf)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_, lp.a_matrix_.index_ = start, column
    lp.a_matrix_.value_ = entries / np.repeat(scale, np.diff(start))
    lp.integrality_ = [highspy.HighsVarType.kInteger] * n
    highs = highspy.Highs()
    for option, setting in (
        ("output_flag", False), ("threads", 1), ("mip_rel_gap", 0.0), ("mip_abs_gap", 0.0),
    ):  # fmt: skip
        highs.setOptionValue(option, setting)
    if deadline is not None and np.isfinite(deadline.remaining()):
        highs.setOptionValue("time_limit", deadline.remaining())
    if highs.passModel(lp) == highspy.HighsStatus.kError:
        raise SolverError("highs: the covering program was refused")
    all_ones = highspy.HighsSolution()
    all_ones.col_value = np.ones(n)
    highs.setSolution(all_ones)
    highs.run()
    info = highs.getInfo()
    values = np.asarray(highs.getSolution().col_value)
    if len(values) != n or info.primal_solution_status != 2:
        values = np.ones(n)
    bound = max(0.0, info.mip_dual_bound) if np.isfinite(info.mip_dual_bound) else 0.0
    tolerance = min(0.1, 1e-6 * max(1.0, bound))
    return values > 0.5, unit * int(np.ceil(bound - tolerance))
