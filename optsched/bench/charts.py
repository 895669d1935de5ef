"""The charts of a report, each as inline SVG."""

from __future__ import annotations

import math

import numpy as np

from optsched.bench.campaign import Campaign, Row
from optsched.bench.metrics import FloatArray, mean_gap_over_time, profile
from optsched.bench.svg import Axis, Curve, chart
from optsched.bench.tables import plain

#: Instances whose convergence is drawn: those where the solvers leave the most open.
SMALL_CHARTS = 36
_POINTS = 240


def _number(value: float) -> str:
    return f"{value:g}"


def _percent(value: float) -> str:
    return f"{100 * value:g} %"


def _earliest(campaign: Campaign) -> float:
    """Return a time to begin a logarithmic axis with, below which little happens."""
    first = [
        float(row.primal.times[0])
        for row in campaign.rows
        if row.primal is not None and len(row.primal.times)
    ]
    early = float(np.quantile(first, 0.1)) if first else 0.01
    limit = max(campaign.limits, default=1.0)
    return 10.0 ** math.floor(math.log10(min(max(early, 1e-3), limit / 100)))


def _time_axis(campaign: Campaign) -> Axis:
    limit = max(campaign.limits, default=1.0)
    return Axis(_earliest(campaign), limit, "seconds", log=True, show=_number)


def gap_over_time(campaign: Campaign) -> str:
    """Return the mean primal gap against time, a curve a solver."""
    axis = _time_axis(campaign)
    points = np.geomspace(axis.low, axis.high, _POINTS)
    found: list[tuple[int, str, FloatArray]] = []
    for label in campaign.traced():
        runs = [
            (row.primal, campaign.reference[row.instance])
            for row in campaign.of(label)
            if row.primal is not None and row.instance in campaign.reference
        ]
        gaps = mean_gap_over_time(runs, axis.high, points)
        found.append((campaign.labels.index(label), label, gaps))
    least = min((float(gaps[gaps > 0].min(initial=1.0)) for _, _, gaps in found), default=0.01)
    low = min(0.1, max(1e-5, 10.0 ** math.floor(math.log10(least))))
    curves = [
        Curve(series, points, np.maximum(gaps, low), f"{label}: {100 * gaps[-1]:.3g} % at the end")
        for series, label, gaps in found
    ]
    gap_axis = Axis(low, 1.0, "mean primal gap", log=True, show=_percent)
    return chart(curves, axis, gap_axis, title="Mean primal gap against time")


def proven_over_time(campaign: Campaign) -> str:
    """Return the share of runs that are proven optimal against time."""
    axis = _time_axis(campaign)
    curves = []
    for label in campaign.traced():
        rows = campaign.of(label)
        times = np.sort([row.time for row in rows if row.proven and row.time is not None])
        x = np.concatenate(([axis.low], times, [axis.high])).astype(np.float64)
        counts = np.concatenate(([0], np.arange(1, len(times) + 1), [len(times)]))
        y = counts / max(1, len(rows))
        title = f"{label}: {len(times)} of {len(rows)}"
        curves.append(Curve(campaign.labels.index(label), x, y, title))
    share = Axis(0.0, 1.0, "proven optimal", show=_percent)
    return chart(curves, axis, share, title="Share of runs proven optimal against time")


def performance_profile(campaign: Campaign) -> str:
    """Return the profile of Dolan and Moré on the primal integral; empty for a single solver."""
    labels = campaign.traced()
    if len(labels) < 2:
        return ""
    table: dict[tuple[str, int], dict[str, float]] = {}
    for row in campaign.rows:
        if row.integral is not None:
            table.setdefault((row.instance, row.seed), {})[row.label] = row.integral
    shared = [cells for cells in table.values() if len(cells) == len(labels)]
    if not shared:
        return ""
    values = np.array([[cells[label] for label in labels] for cells in shared])
    ratios, shares = profile(values)
    high = min(1000.0, max(2.0, float(ratios[-1]) * 1.1))
    curves = []
    for column, label in enumerate(labels):
        x = np.append(ratios, high)
        y = np.append(shares[:, column], shares[-1, column])
        title = f"{label}: best on {100 * shares[0, column]:.0f} % of {len(shared)}"
        curves.append(Curve(campaign.labels.index(label), x[x <= high], y[x <= high], title))
    factor = Axis(1.0, high, "within this factor of the best", log=True, show=_number)
    share = Axis(0.0, 1.0, "share of instances", show=_percent)
    return chart(curves, factor, share, title="Performance profile on the primal integral")


def final_gaps(campaign: Campaign) -> str:
    """Return the share of runs that end within a gap of the best known, against the gap."""
    low = 1e-4
    curves = []
    highest = 0.1
    for series, label in enumerate(campaign.labels):
        rows = campaign.of(label)
        gaps = np.sort([row.gap for row in rows if row.gap is not None])
        highest = max(highest, float(gaps[-1]) if len(gaps) else 0.0)
        share = np.arange(1, len(gaps) + 1) / max(1, len(rows))
        x = np.concatenate(([low], np.maximum(gaps, low), [10.0]))
        y = np.concatenate(([0.0], share, share[-1:] if len(share) else [0.0]))
        at_once = int((gaps <= low).sum())
        title = f"{label}: {at_once} of {len(rows)} at the best known"
        curves.append(Curve(series, x, y, title))
    high = min(10.0, 10.0 ** math.ceil(math.log10(highest)))
    axis = Axis(low, high, "gap to the best known at the end", log=True, show=_percent)
    share_axis = Axis(0.0, 1.0, "share of runs", show=_percent)
    return chart(curves, axis, share_axis, title="Share of runs that end within a gap")


def convergence(campaign: Campaign) -> list[str]:
    """Return a small chart an instance: incumbents, and bounds dashed, against time."""
    by_instance: dict[str, list[Row]] = {}
    for row in campaign.rows:
        if row.primal is not None and row.dual is not None:
            by_instance.setdefault(row.instance, []).append(row)
    openness = {
        name: max((row.integral or 0.0) + (row.bound_gap or 0.0) for row in rows)
        for name, rows in by_instance.items()
    }
    shown = sorted(openness, key=lambda name: -openness[name])[:SMALL_CHARTS]
    return [
        _small_chart(campaign, name, by_instance[name])
        for name in sorted(shown, key=list(by_instance).index)
    ]


def _small_chart(campaign: Campaign, name: str, rows: list[Row]) -> str:
    axis = _time_axis(campaign)
    reference = campaign.reference.get(name)
    finals = [v for row in rows for v in (row.objective, row.bound) if v is not None]
    if reference is not None:
        finals.append(reference)
    if not finals:
        finals = [0, 1]
    # What matters is near the end: early incumbents and bounds far off are cut.
    low, high = float(min(finals)), float(max(finals))
    if reference is not None:
        low = max(low, reference - 3 * max(high - reference, 0.02 * abs(reference)))
    margin = 0.15 * (high - low) or 0.02 * abs(high) or 1.0
    values = Axis(low - margin, high + 2 * margin, show=_number)
    curves = []
    for row in _one_seed(rows):
        series = campaign.labels.index(row.label)
        for steps, dashed in ((row.primal, False), (row.dual, True)):
            if steps is not None and len(steps.times):
                x = np.append(np.maximum(steps.times, axis.low), axis.high)
                y = np.append(steps.values, steps.values[-1])
                what = "bound" if dashed else "incumbent"
                title = f"{row.label}: {what} {plain(float(y[-1]))}"
                curves.append(Curve(series, x, y, title, dashed))
    known = "" if reference is None else f" ({plain(float(reference))})"
    return chart(
        curves, axis, values, width=300, height=190, title=f"{name}{known}",
        rule=None if reference is None else float(reference), small=True,
    )  # fmt: skip


def _one_seed(rows: list[Row]) -> list[Row]:
    """Return one run a solver, the first seed's."""
    first: dict[str, Row] = {}
    for row in rows:
        if row.label not in first or row.seed < first[row.label].seed:
            first[row.label] = row
    return list(first.values())


def load_chart(campaign: Campaign) -> str:
    """Return the load of the machine at the start of each run, in the order of the journal."""
    if len(campaign.loads) < 2:
        return ""
    loads = np.array(campaign.loads)
    if len(loads) > 2000:
        loads = np.array([part.max() for part in np.array_split(loads, 2000)])
    x = np.arange(1.0, len(loads) + 1)
    high = max(1.0, float(loads.max()) * 1.1)
    return chart(
        [Curve(7, x, loads, f"at most {loads.max():.2f}")],
        Axis(1.0, float(len(loads)), "run", show=_number),
        Axis(0.0, high, "load average", show=_number),
        height=220,
        title="Load of the machine at the start of each run",
    )
