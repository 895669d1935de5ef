"""Measures of a run: primal gap and integral, time to a target; profiles over many runs.

Primal gap and integral are Berthold's ("Measuring the impact of primal heuristics", 2013): the gap
is ``|objective - best known| / max(|objective|, |best known|)``, 1 before the first solution; the
integral over the time limit, divided by it, is the mean gap during the run. The performance profile
is Dolan and Moré's ("Benchmarking optimization software with performance profiles", 2002).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from optsched.core import Number

FloatArray = npt.NDArray[np.float64]
#: A run reaches the target when its primal gap is at most this.
TARGET = 0.01
#: Ratios of a performance profile are of ``value + SHIFT``, so that zeros can be compared.
SHIFT = 1e-4


def primal_gap(objective: Number | None, reference: Number) -> float:
    """Return the primal gap of Berthold (2013); 0 at the reference and below it."""
    if objective is None:
        return 1.0
    if objective <= reference:
        return 0.0
    if objective * reference < 0:
        return 1.0
    return float((objective - reference) / max(abs(objective), abs(reference)))


class Steps:
    """The incumbent or the bound of a run against time, as a step function.

    Parameters
    ----------
    times, values : sequence of float
        When the value changes, and to what.
    """

    __slots__ = ("times", "values")

    def __init__(self, times: Sequence[float], values: Sequence[float]) -> None:
        self.times: FloatArray = np.asarray(times, dtype=np.float64)
        self.values: FloatArray = np.asarray(values, dtype=np.float64)

    @classmethod
    def of_trace(cls, trace: Iterable[dict[str, object]], key: str) -> Steps:
        """Return the steps of ``"objective"`` or ``"bound"`` in the events of a run."""
        times: list[float] = []
        values: list[float] = []
        for event in trace:
            value, time = event.get(key), event.get("time")
            if not isinstance(value, int | float) or not isinstance(time, int | float):
                continue
            if not values or value != values[-1]:
                times.append(float(time))
                values.append(float(value))
        return cls(times, values)

    def gaps(self, reference: Number) -> FloatArray:
        """Return the primal gap after each step."""
        return np.array([primal_gap(value, reference) for value in self.values.tolist()])


def primal_integral(steps: Steps, reference: Number, limit: float) -> float:
    """Return the mean primal gap over the time limit."""
    times = np.minimum(np.concatenate(([0.0], steps.times, [limit])), limit)
    gaps = np.concatenate(([1.0], steps.gaps(reference)))
    return float((np.diff(times) * gaps).sum() / limit)


def time_to_target(steps: Steps, reference: Number, limit: float) -> float:
    """Return when the primal gap first is at most `TARGET`; infinite when it never is."""
    reached = np.flatnonzero((steps.gaps(reference) <= TARGET) & (steps.times <= limit))
    return float(steps.times[reached[0]]) if len(reached) else math.inf


def profile(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the performance profile of solvers over instances.

    Parameters
    ----------
    values : ndarray, shape (n_instances, n_solvers)
        A measure at least 0, less is better; infinite where a solver failed.

    Returns
    -------
    ratios : ndarray, shape (n_points,)
        Factors of the best, from 1 upwards.
    shares : ndarray, shape (n_points, n_solvers)
        The share of instances on which a solver is within that factor of the best.
    """
    shifted = values + SHIFT
    best = shifted.min(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        ratio = np.where(np.isfinite(best), shifted / best, np.inf)
    finite = ratio[np.isfinite(ratio)]
    points = np.unique(np.concatenate(([1.0], finite)))
    if len(points) > 400:  # a plot shows no more
        points = points[np.linspace(0, len(points) - 1, 400).astype(int)]
    shares = np.stack(
        [
            np.searchsorted(np.sort(ratio[:, s]), points * (1 + 1e-12), side="right")
            for s in range(values.shape[1])
        ],
        axis=1,
    ) / max(1, len(values))
    return points, shares


def mean_gap_over_time(
    runs: Sequence[tuple[Steps, Number]], limit: float, points: FloatArray
) -> FloatArray:
    """Return the mean primal gap of runs at each of the times `points`."""
    total = np.zeros(len(points))
    for steps, reference in runs:
        gaps = np.concatenate(([1.0], steps.gaps(reference)))
        total += gaps[np.searchsorted(steps.times, points, side="right")]
    return total / max(1, len(runs))
