"""The memory map of a scratchpad schedule: steps across, addresses up, loads and spills marked."""

from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from optsched.core import BoolArray, InputError, IntArray
from optsched.plotting import common as plotting
from optsched.problems.scratchpad.formats import transfers
from optsched.problems.scratchpad.graph import INTERMEDIATE, KINDS
from optsched.problems.scratchpad.problem import ScratchpadSchedule, ScratchpadSolution

#: Up to this many stays the tensors' names are written on them, where they fit.
MOST_LABELS = 400
MARKS = {"reload": ("^", "triangle-up"), "spill": ("v", "triangle-down")}


def report(problem: ScratchpadSchedule, solution: ScratchpadSolution) -> dict[str, float]:
    """Return the figures of a schedule.

    Returns
    -------
    dict
        ``peak``, the highest address in use, and ``load``, the most bytes resident in a step;
        ``fragmentation``, the share of the peak beyond that load; ``reloads`` and ``spills``, the
        traffic beyond the compulsory. All but the share are bytes.

    Raises
    ------
    InputError
        When the solution does not fit the problem.
    """
    traffic = problem.traffic(solution)
    tensor, first, last = solution.resident.T
    size = problem.graph.size[tensor]
    change = np.zeros(problem.graph.n_operators + 1, dtype=np.int64)
    np.add.at(change, first, size)
    np.subtract.at(change, last + 1, size)
    peak, load = int((solution.offset + size).max(initial=0)), int(np.cumsum(change).max())
    return {
        "peak": peak,
        "load": load,
        "fragmentation": max(0.0, 1 - load / peak) if peak else 0.0,
        "reloads": traffic.reloads,
        "spills": traffic.spills,
    }


def summary(problem: ScratchpadSchedule, solution: ScratchpadSolution) -> str:
    """Return the figures of a schedule on one line."""
    figures = report(problem, solution)
    return (
        f"peak {figures['peak']:,} of {problem.capacity:,}, load {figures['load']:,}, "
        f"fragmentation {figures['fragmentation']:.2%}, reloads {figures['reloads']:,}, "
        f"spills {figures['spills']:,}"
    )


@dataclass(frozen=True, eq=False)
class _Map:
    """The rectangles, (n_stays,) each: step x address."""

    tensor: IntArray
    first: IntArray
    last: IntArray
    low: IntArray
    size: IntArray
    reload: BoolArray
    spill: BoolArray
    lines: list[str]
    warning: str


def draw(
    problem: ScratchpadSchedule,
    solution: ScratchpadSolution,
    path: str | Path | None = None,
    *,
    title: str | None = None,
) -> Any:
    """Draw who lies where in the scratchpad, step by step.

    Colours tell the kinds of tensors; a triangle up at the beginning of a stay is a load that is
    not compulsory, one down at the end of a stay the store of an intermediate that is loaded later.

    Parameters
    ----------
    problem : ScratchpadSchedule
    solution : ScratchpadSolution
        An infeasible one is drawn too, and the picture says so.
    path : str or Path, optional
        Where to write: ``.png``, ``.svg`` and ``.pdf`` are static, ``.html`` is interactive.
    title : str, optional
        Instead of the instance's name and traffic.

    Returns
    -------
    matplotlib.figure.Figure or pathlib.Path
        The figure without `path`, and else the file that was written.

    Raises
    ------
    InputError
        When the solution does not fit the problem, or the file cannot be written.
    MissingExtraError
        When matplotlib or plotly is not installed.
    """
    if not isinstance(solution, ScratchpadSolution):
        raise InputError(f"expected a ScratchpadSolution, not {type(solution).__name__}")
    target = plotting.check_path(path)
    drawn = _map(problem, solution, title)
    return plotting.deliver(
        target,
        drawn.lines[0],
        static=lambda: _static(problem, drawn),
        interactive=lambda: _interactive(problem, solution, drawn),
    )


def _map(problem: ScratchpadSchedule, solution: ScratchpadSolution, title: str | None) -> _Map:
    traffic = problem.traffic(solution)  # refuses what does not fit the instance
    violations = problem.check(solution)
    graph = problem.graph
    tensor, first, last = solution.resident.T
    opens = np.append(True, tensor[1:] != tensor[:-1])
    load, store = transfers(problem, solution)
    name = f"{problem.name}: " if problem.name else ""
    value = f"non-compulsory traffic {traffic.non_compulsory:,} bytes"
    detail = (
        f"{graph.n_operators:,} operators, capacity {problem.capacity:,} bytes, "
        f"reloads {traffic.reloads:,}, spills {traffic.spills:,}"
    )
    noun = "violation" if len(violations) == 1 else "violations"
    return _Map(
        tensor=tensor,
        first=first,
        last=last,
        low=solution.offset,
        size=graph.size[tensor],
        reload=load & ~(opens & (graph.producer[tensor] < 0)),
        spill=store & (graph.kind[tensor] == INTERMEDIATE),
        lines=[title or name + value, detail],
        warning=f"infeasible: {len(violations):,} {noun}" if violations else "",
    )


def _static(problem: ScratchpadSchedule, drawn: _Map) -> Any:
    figure = plotting.new_figure(11.0, 5.0)
    from matplotlib.collections import PolyCollection
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    axes = figure.add_axes((0.08, 0.1, 0.75, 0.76))
    kind = problem.graph.kind[drawn.tensor]
    x0, x1 = drawn.first - 0.5, drawn.last + 0.5
    y0, y1 = drawn.low, drawn.low + drawn.size
    corners = np.stack([x0, y0, x1, y0, x1, y1, x0, y1], axis=1).reshape(-1, 4, 2)
    colours = [plotting.lighter(plotting.colour(k), 0.35) for k in kind.tolist()]
    axes.add_collection(
        PolyCollection(
            list(corners), facecolors=colours, edgecolors="white", linewidths=0.4, rasterized=True
        )
    )
    for at, height, mark in _marks(drawn):
        axes.plot(at, height, MARKS[mark][0], color=plotting.ALARM, markersize=5)
    n = problem.graph.n_operators
    axes.set_xlim(-0.5, n - 0.5)
    axes.set_ylim(0, max(problem.capacity, int(y1.max(initial=1))))
    axes.axhline(problem.capacity, color=plotting.INK, linewidth=0.8)
    if len(drawn.tensor) <= MOST_LABELS:
        _label(axes, problem, drawn, n)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("step", fontsize=8)
    axes.set_ylabel("address, bytes", fontsize=8)
    plotting.tidy(axes)
    handles: list[Any] = [
        Patch(facecolor=plotting.lighter(plotting.colour(k), 0.35), label=KINDS[k])
        for k in sorted(set(kind.tolist()))
    ]
    handles += [
        Line2D([], [], marker=MARKS[mark][0], color=plotting.ALARM, linestyle="", label=mark)
        for _, _, mark in _marks(drawn)
    ]
    plotting.put_legend(axes, handles, len(handles))
    plotting.put_title(figure, 0.9, *drawn.lines)
    if drawn.warning:
        figure.text(0.99, 0.97, drawn.warning, ha="right", size=9, color=plotting.ALARM)
    return figure


def _marks(drawn: _Map) -> list[tuple[Any, Any, str]]:
    """Return steps, addresses and name of the loads and of the spills, those that there are."""
    middle = drawn.low + drawn.size / 2
    both = [
        (drawn.first[drawn.reload] - 0.4, middle[drawn.reload], "reload"),
        (drawn.last[drawn.spill] + 0.4, middle[drawn.spill], "spill"),
    ]
    return [entry for entry in both if len(entry[0])]


def _label(axes: Any, problem: ScratchpadSchedule, drawn: _Map, n: int) -> None:
    """Write names on the stays that are wide and high enough."""
    wide = (drawn.last - drawn.first + 1) * (8.2 / n)  # inches
    high = drawn.size * (3.8 / max(problem.capacity, 1))
    for k in range(len(drawn.tensor)):
        name = problem.graph.tensor_names[int(drawn.tensor[k])]
        if high[k] > 0.12 and wide[k] > 0.06 * len(name):
            axes.text(
                (drawn.first[k] + drawn.last[k]) / 2, drawn.low[k] + drawn.size[k] / 2, name,
                ha="center", va="center", size=6.5, color=plotting.INK, parse_math=False,
            )  # fmt: skip


def _interactive(problem: ScratchpadSchedule, solution: ScratchpadSolution, drawn: _Map) -> Any:
    go = plotting.graph_objects()
    figure = go.Figure()
    kind = problem.graph.kind[drawn.tensor]
    for k in sorted(set(kind.tolist())):
        chosen = np.flatnonzero(kind == k)
        figure.add_bar(
            base=drawn.low[chosen],
            y=drawn.size[chosen],
            x=(drawn.first[chosen] + drawn.last[chosen]) / 2,
            width=drawn.last[chosen] - drawn.first[chosen] + 1,
            marker={"color": plotting.colour(k), "opacity": 0.7, "line": {"width": 0.5}},
            name=KINDS[k],
            hovertext=[_text(problem, solution, drawn, j) for j in chosen.tolist()],
            hoverinfo="text",
        )
    for at, height, mark in _marks(drawn):
        symbol = {"symbol": MARKS[mark][1], "color": plotting.ALARM, "size": 8}
        figure.add_scatter(x=at, y=height, mode="markers", marker=symbol, name=mark)
    lines = [*drawn.lines, drawn.warning]
    figure.update_layout(
        **plotting.heading(lines),
        barmode="overlay",
        height=640,
        xaxis_title="step",
        yaxis_title="address, bytes",
    )
    figure.add_hline(y=problem.capacity, line={"width": 1, "color": plotting.INK})
    return figure


def _text(problem: ScratchpadSchedule, solution: ScratchpadSolution, drawn: _Map, stay: int) -> str:
    graph = problem.graph
    name = html.escape(graph.tensor_names[int(drawn.tensor[stay])])
    first, last = int(drawn.first[stay]), int(drawn.last[stay])
    low, size = int(drawn.low[stay]), int(drawn.size[stay])
    steps = [html.escape(graph.names[int(solution.order[s])]) for s in (first, last)]
    how = "reloaded" if drawn.reload[stay] else "loaded or made"
    return (
        f"<b>{name}</b>, {size:,} bytes at {low:,}<br>{how} at step {first} ({steps[0]})"
        f"<br>until step {last} ({steps[1]})"
    )
