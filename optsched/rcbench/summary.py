"""What many judgements say together: rates, and feasibility along the ramp of levels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from optsched.rcbench.case import Case
from optsched.rcbench.score import TYPES, Score


def area_under_curve(levels: Sequence[int], rates: Sequence[float]) -> float | None:
    """Return the area under the feasibility curve, from 0 to 1.

    The trapezoidal area of the rates over the levels, divided by the range of levels; for one
    level its rate, for none `None`. `levels` must ascend.
    """
    if not levels:
        return None
    if len(levels) == 1:
        return rates[0]
    area = sum(
        (levels[k + 1] - levels[k]) * (rates[k + 1] + rates[k]) / 2 for k in range(len(levels) - 1)
    )
    return area / (levels[-1] - levels[0])


def summarise(judged: Iterable[tuple[Case, Score]]) -> dict[str, Any]:
    """Return counts, rates by type of violation, and the feasibility curve.

    Returns
    -------
    dict
        ``answers``; ``feasible`` (share of the feasible cases with a schedule that keeps
        everything); ``correct`` (share of all cases); ``refuted`` (share of the infeasible cases
        recognised); ``violation_rate`` (type: share of the answers with such a violation);
        ``curve`` (level: share feasible, of the feasible cases); ``area``. Shares of nothing are
        None.
    """
    pairs = list(judged)
    feasible = [(case, score) for case, score in pairs if case.feasible]
    twins = [score for case, score in pairs if not case.feasible]
    curve = {}
    for level in sorted({case.level for case, _ in feasible}):
        curve[level] = _share([score.feasible for case, score in feasible if case.level == level])
    return {
        "answers": len(pairs),
        "feasible": _share([score.feasible for _, score in feasible]),
        "correct": _share([score.correct for _, score in pairs]),
        "refuted": _share([score.correct for score in twins]),
        "violation_rate": {
            kind: _share([any(v.type == kind for v in score.violations) for _, score in pairs])
            for kind in TYPES
        },
        "curve": curve,
        "area": area_under_curve(list(curve), [rate or 0.0 for rate in curve.values()]),
    }


def _share(flags: Sequence[bool]) -> float | None:
    return sum(flags) / len(flags) if flags else None
