"""The memory map (time to the right, addresses upwards, a rectangle a buffer) and its figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from optsched.plotting import common as plotting
from optsched.problems.tensor_memory.blocks import normal_form
from optsched.problems.tensor_memory.bounds import live_load
from optsched.problems.tensor_memory.problem import TensorMemory, TensorMemorySolution


def report(problem: TensorMemory, solution: TensorMemorySolution) -> dict[str, float]:
    """Return the figures of a plan.

    Returns
    -------
    dict
        ``peak`` and ``load``, the greatest at a moment, in bytes; ``fragmentation``, the share of
        the peak beyond that load; ``utilisation``, the share of peak times duration in use.
    """
    blocks, _ = normal_form(problem)
    peak = int(problem.peaks(solution).sum())
    if not peak:
        return {"peak": 0, "load": 0, "fragmentation": 0.0, "utilisation": 0.0}
    load = live_load(blocks)
    area = float((blocks.height * (blocks.upper - blocks.lower).astype(float)).sum())
    span = float(blocks.upper.max() - blocks.lower.min())
    return {
        "peak": peak,
        "load": load,
        "fragmentation": max(0.0, 1 - load / peak),
        "utilisation": area / (peak * span),
    }


def summary(problem: TensorMemory, solution: TensorMemorySolution) -> str:
    """Return the figures of a plan on one line; of several banks each one's peak, too."""
    figures = report(problem, solution)
    peaks = problem.peaks(solution).tolist()
    banks = f" ({' + '.join(f'{peak:,}' for peak in peaks)})" if len(peaks) > 1 else ""
    return f"peak {figures['peak']:,}{banks}, {_shares(figures)}"


def _shares(figures: dict[str, float]) -> str:
    return (
        f"load {figures['load']:,}, fragmentation {figures['fragmentation']:.2%}, "
        f"utilisation {figures['utilisation']:.1%}"
    )


def draw(
    problem: TensorMemory,
    solution: TensorMemorySolution,
    path: str | Path | None = None,
    *,
    title: str | None = None,
) -> Any:
    """Draw the memory map; return the figure, or the file that was written.

    Parameters
    ----------
    problem : TensorMemory
    solution : TensorMemorySolution
        An invalid one is drawn, too, and the picture says so.
    path : str or Path, optional
        ``.png``, ``.svg`` and ``.pdf`` are static, ``.html`` is interactive.
    title : str, optional
        Instead of the instance's name and peak.
    """
    target = plotting.check_path(path)
    figures = report(problem, solution)
    name = title or f"{problem.name or 'memory map'}: peak {plotting.number(figures['peak'])}"
    violations = len(problem.check(solution))
    line = f"{problem.n_buffers:,} buffers, {_shares(figures)}" + (
        f", infeasible: {violations:,} violations" if violations else ""
    )
    rectangles = _rectangles(problem, solution)
    return plotting.deliver(
        target,
        name,
        static=lambda: _static(problem, solution, rectangles, name, line),
        interactive=lambda: _interactive(problem, rectangles, name, line),
    )


def _rectangles(problem: TensorMemory, solution: TensorMemorySolution) -> Any:
    """Return rows ``(buffer, bank, begin, end, low, high)``: gaps cut buffers into several."""
    cuts: dict[int, list[tuple[int, int]]] = {}
    for buffer, low, high in problem.gaps.tolist():
        cuts.setdefault(buffer, []).append((low, high))
    rows = []
    for b in np.flatnonzero(problem.size > 0).tolist():
        at, begin = int(solution.offset[b]), int(problem.lower[b])
        end = int(problem.upper[b])
        for low, high in [*cuts.get(b, []), (end, end)]:
            if begin < low:
                rows.append((b, int(solution.bank[b]), begin, low, at, at + int(problem.size[b])))
            begin = high
    return np.array(rows, dtype=np.int64).reshape(-1, 6)


def _static(
    problem: TensorMemory,
    solution: TensorMemorySolution,
    rectangles: Any,
    name: str,
    line: str,
) -> Any:
    """Return a matplotlib Figure, with a panel for each bank."""
    figure = plotting.new_figure(11, 1 + 5 * problem.n_banks)
    from matplotlib.collections import PolyCollection

    shades = np.array([plotting.colour(b) for b in range(len(plotting.PALETTE))])
    peaks = problem.peaks(solution).tolist()
    for bank, peak in enumerate(peaks):
        axes = figure.add_subplot(problem.n_banks, 1, bank + 1)
        part = rectangles[rectangles[:, 1] == bank]
        b, _, begin, end, low, high = part.T
        corners: Any = np.stack(
            [
                np.stack(pair, axis=1)
                for pair in ((begin, low), (begin, high), (end, high), (end, low))
            ],
            axis=1,
        )
        many = len(part) > 3_000
        axes.add_collection(
            PolyCollection(
                corners,
                facecolor=shades[b % len(shades)].tolist(),
                edgecolor="face" if many else "white",
                linewidth=0.1 if many else 0.4,
                rasterized=len(part) > 20_000,
            ),
            autolim=False,
        )
        axes.axhline(peak, color=plotting.ALARM, linewidth=0.9)
        axes.set_xlim(int(problem.lower.min()), int(problem.upper.max()))
        axes.set_ylim(0, max(1, peak) * 1.02)
        plotting.tidy(axes)
        axes.set_ylabel("address" if problem.n_banks == 1 else f"bank {bank}: address", size=9)
        axes.set_xlabel("time", size=9)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda x, _: plotting.number(float(x)))
    figure.subplots_adjust(left=0.12, right=0.98, bottom=0.1, top=0.88)
    plotting.put_title(figure, 0.3, name, line)
    return figure


def _interactive(problem: TensorMemory, rectangles: Any, name: str, line: str) -> Any:
    """Return a plotly Figure; banks are stacked one above the other."""
    go = plotting.graph_objects()
    figure = go.Figure()
    base = np.zeros(problem.n_banks, dtype=np.int64)
    for bank in range(1, problem.n_banks):
        below = rectangles[rectangles[:, 1] == bank - 1]
        base[bank] = base[bank - 1] + below[:, 5].max(initial=0)
    names = problem.names()
    for shade in range(len(plotting.PALETTE)):
        part = rectangles[rectangles[:, 0] % len(plotting.PALETTE) == shade]
        if not len(part):
            continue
        xs: list[Any] = []
        ys: list[Any] = []
        texts: list[str] = []
        for b, bank, begin, end, low, high in part.tolist():
            floor = int(base[bank])
            xs += [begin, begin, end, end, begin, None]
            ys += [floor + low, floor + high, floor + high, floor + low, floor + low, None]
            text = f"{names[b]}: {high - low:,} bytes at {low:,}, time {begin:,} to {end:,}"
            texts += [text] * 6
        figure.add_trace(
            go.Scatter(
                x=xs, y=ys, text=texts, mode="lines", fill="toself", hoverinfo="text",
                fillcolor=plotting.colour(shade), line={"width": 0.5, "color": "white"},
                showlegend=False,
            )
        )  # fmt: skip
    figure.update_layout(
        title={"text": f"{name}<br><sup>{line}</sup>"},
        xaxis_title="time",
        yaxis_title="address",
        template="plotly_white",
    )
    return figure
