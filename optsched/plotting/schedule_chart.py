"""The Gantt chart of a schedule, for any family that can state it as bars on rows.

A family takes part by a module ``optsched/problems/<family>/picture.py`` with one function,
``picture(problem, solution) -> Picture``; everything here draws a `Picture` and knows no family.
"""

from __future__ import annotations

import html
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from optsched.core import Problem
from optsched.plotting import common as plotting
from optsched.plotting.common import Picture, Spans, no_spans

#: Above this many bars SVG and PDF hold them as one image, and HTML shows the load of the rows:
#: a browser needs seconds for more bars, and a screen cannot show them.
MANY_BARS = 20_000
#: Marks (due dates) are drawn, and groups are listed in a legend, up to these numbers.
MOST_MARKS, MOST_NAMES, MOST_LABELS = 200, 24, 2_000
#: Up to this many due dates that are missed are tied to the completion by a line.
MOST_TIES = 12
BREAK_FACE, BREAK_INK = "#E9E9E9", "#9A9A9A"


def gantt(
    problem: Problem, solution: Any, path: str | Path | None = None, *, title: str | None = None
) -> Any:
    """Draw a schedule: a row a machine, a colour a job.

    Parameters
    ----------
    problem : Problem
        The instance.
    solution : Solution
        A schedule of it. An infeasible one is drawn too, and the picture says so.
    path : str or Path, optional
        Where to write: ``.png``, ``.svg`` and ``.pdf`` are static, ``.html`` is interactive and
        needs no network. Above 20,000 operations the HTML shows the load of each machine.
    title : str, optional
        Instead of the instance's name and objective.

    Returns
    -------
    matplotlib.figure.Figure or pathlib.Path
        The figure without `path`, and else the file that was written.

    Raises
    ------
    InputError
        When the solution does not fit the problem, the family has no Gantt chart, the suffix is
        unknown or the file cannot be written.
    MissingExtraError
        When matplotlib or plotly is not installed.
    """
    target = plotting.check_path(path)
    picture = plotting.picture_of(problem, solution)
    lines = [title or ": ".join(x for x in (picture.name, picture.objective) if x)]
    lines += [", ".join(x for x in (picture.objective if title else "", picture.subtitle) if x)]
    return plotting.deliver(
        target,
        lines[0],
        static=lambda: static(picture, lines),
        interactive=lambda: interactive(picture, lines),
    )


def _window(picture: Picture) -> tuple[float, float, Spans, Spans]:
    """Return first and last time to show, and the breaks and marks within."""
    bars, holds = picture.bars, picture.holds
    first = float(min(0, bars.start.min(initial=0)))
    last = float(max(bars.end.max(initial=1), holds.end.max(initial=1)))
    breaks = picture.breaks.take(picture.breaks.start < last)
    marks = picture.marks
    if len(marks) > MOST_MARKS:
        marks = no_spans()
    marks = marks.take((marks.start >= first) & (marks.start <= first + (last - first) * 1.15))
    return first, float(max(last, marks.start.max(initial=0))), breaks, marks


# ---- static ------------------------------------------------------------------------------


def static(picture: Picture, lines: Sequence[str]) -> Any:
    """Return the picture as a matplotlib Figure."""
    bars, n_rows = picture.bars, max(1, len(picture.rows))
    per_row = np.bincount(bars.row, minlength=1).max(initial=0)
    left = 0.55 + 0.075 * max((len(name) for name in picture.rows), default=0)
    names = len(picture.groups) <= MOST_NAMES
    listed = [picture.group_title, *picture.groups] if names else []
    for title, spans in (
        (picture.break_title, picture.breaks),
        (picture.hold_title, picture.holds),
        (f"{picture.mark_title}, missed", picture.marks),
    ):
        listed += [title] * bool(len(spans))
    width = float(np.clip(0.2 * per_row, 11, 22))
    inner_height = float(np.clip(0.36 * n_rows, 1.6, 18))
    height = inner_height + 1.25
    legend_rows = int(inner_height / 0.185)
    columns = -(-len(listed) // max(1, legend_rows))
    right = 0.25 + columns * plotting.legend_width(listed)
    figure = plotting.new_figure(width, height)
    inner_width = width - left - right
    axes = figure.add_axes((left / width, 0.5 / height, inner_width / width, inner_height / height))
    first, last, breaks, marks = _window(picture)
    axes.set_xlim(first, last + (last - first) * 0.01)
    axes.set_ylim(n_rows - 0.5, -0.5)
    plotting.tidy(axes)
    axes.grid(axis="x", color=plotting.GRID, linewidth=0.6)
    step = plotting.label_step(n_rows, int(inner_height / 0.145))
    axes.set_yticks(range(0, len(picture.rows), step))
    for text, name in zip(axes.get_yticklabels(), picture.rows[::step], strict=True):
        text.set(text=name, parse_math=False)
    axes.set_yticklabels(picture.rows[::step], parse_math=False)
    axes.set_ylabel(picture.row_title, size=9, color=plotting.FAINT, parse_math=False)
    axes.set_xlabel("time", size=9, color=plotting.FAINT)
    axes.xaxis.set_major_formatter(lambda x, _: plotting.number(float(x)))

    handles = _draw_bars(axes, picture, breaks, names)
    handles += _draw_marks(axes, picture, marks)
    points = 72 * inner_width / (axes.get_xlim()[1] - first)
    _draw_labels(axes, picture, points, 72 * inner_height / n_rows)
    plotting.put_title(figure, left, lines[0], lines[1])
    if picture.warning:
        x, y = 1 - 0.25 / width, 1 - 0.14 / height
        figure.text(x, y, picture.warning, size=10, color=plotting.ALARM, ha="right", va="top")
    plotting.put_legend(axes, handles, legend_rows)
    return figure


def _draw_bars(axes: Any, picture: Picture, breaks: Spans, names: bool) -> list[Any]:
    """Draw breaks, holds and bars; return what the legend lists."""
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import to_rgba_array
    from matplotlib.patches import Patch

    bars, holds, handles = picture.bars, picture.holds, []
    palette = to_rgba_array(plotting.PALETTE)
    pale = to_rgba_array([plotting.lighter(colour) for colour in plotting.PALETTE])
    many = len(bars) > MANY_BARS
    if names:
        handles.append(Patch(facecolor="none", label=picture.group_title))
        for g, name in enumerate(picture.groups):
            handles.append(Patch(facecolor=plotting.colour(g), label=name))

    def add(spans: Spans, half: float, zorder: int, gid: str, **style: Any) -> None:
        corners: Any = _corners(spans, half)
        layer = PolyCollection(corners, zorder=zorder, gid=gid, rasterized=many, **style)
        axes.add_collection(layer, autolim=False)

    if len(breaks):
        hatch: dict[str, Any] = {"hatch": "//////", "edgecolor": BREAK_INK, "linewidth": 0}
        add(breaks, 0.46, 1, "breaks", facecolor=BREAK_FACE, linewidth=0)
        # The hatch lies on the bars too: there an operation pauses.
        add(breaks, 0.46, 4, "break-hatches", facecolor="none", alpha=0.55, **hatch)
        handles.append(Patch(facecolor=BREAK_FACE, label=picture.break_title, **hatch))
    if len(holds):
        shade = pale[holds.group % len(pale)]
        add(holds, 0.4, 2, "holds", facecolor=shade, edgecolor="none", linewidth=0)
        face = plotting.lighter("#555555")
        handles.append(Patch(facecolor=face, label=picture.hold_title))
    # An edge of its own colour keeps bars visible that are finer than a pixel.
    edge: dict[str, Any] = {"edgecolor": "face", "linewidth": 0.15}
    if len(bars) <= 3_000:
        edge = {"edgecolor": (palette * (0.7, 0.7, 0.7, 1))[bars.group % len(palette)]}
        edge["linewidth"] = 0.5
    add(bars, 0.4, 3, "bars", facecolor=palette[bars.group % len(palette)], **edge)
    return handles


def _corners(spans: Spans, half: float) -> npt.NDArray[np.float64]:
    """Return the rectangles of `spans`, shape (n, 4, 2)."""
    corners = np.empty((len(spans), 4, 2))
    corners[:, 0, 0] = corners[:, 1, 0] = spans.start
    corners[:, 2, 0] = corners[:, 3, 0] = spans.end
    corners[:, 0, 1] = corners[:, 3, 1] = spans.row - half
    corners[:, 1, 1] = corners[:, 2, 1] = spans.row + half
    return corners


def _draw_marks(axes: Any, picture: Picture, marks: Spans) -> list[Any]:
    """Draw due dates, with a red line up to the completion where it is later."""
    if not len(marks):
        return []
    from matplotlib.lines import Line2D

    late = marks.end > marks.start
    face = [plotting.colour(g) for g in marks.group.tolist()]
    edge = np.where(late, plotting.ALARM, plotting.INK).tolist()
    height = marks.row - 0.44
    if late.sum() <= MOST_TIES:
        begin, end = marks.start[late], marks.end[late]
        axes.hlines(height[late], begin, end, colors=plotting.ALARM, lw=1.2, zorder=5)
    axes.scatter(
        marks.start, height, marker="v", s=30, c=face, edgecolors=edge, linewidths=1.0, zorder=6,
        clip_on=False,
    )  # fmt: skip
    shape: dict[str, Any] = {
        "marker": "v",
        "linestyle": "",
        "markersize": 5.5,
        "markerfacecolor": "white",
    }
    handles = [Line2D([], [], color=plotting.INK, label=picture.mark_title, **shape)]
    if late.any():
        label = f"{picture.mark_title}, missed"
        handles.append(Line2D([], [], color=plotting.ALARM, label=label, **shape))
    return handles


def _draw_labels(axes: Any, picture: Picture, points: float, row_points: float) -> None:
    """Write on the widest bars; `points` is the width of a unit of time."""
    if not len(picture.labels):
        return
    bars = picture.bars
    room = (bars.end - bars.start) * points
    ems = np.array([len(text) for text in picture.labels]) * 0.64
    # The largest size at which most labels fit, and else the smallest that can be read.
    for size in (8.0, 7.0, 6.0, 5.0):
        fits = (room >= ems * size + 2) & (ems > 0)
        if size <= 0.5 * row_points and fits.mean() >= 0.7:
            break
    if size > 0.6 * row_points:
        return
    chosen = np.flatnonzero(fits)
    for i in chosen[np.argsort(-room[chosen], kind="stable")][:MOST_LABELS].tolist():
        axes.text(
            (bars.start[i] + bars.end[i]) / 2, bars.row[i], picture.labels[i], size=size,
            color=plotting.text_colour(plotting.colour(int(bars.group[i]))), ha="center",
            va="center_baseline", zorder=5, parse_math=False, clip_on=True,
        )  # fmt: skip


# ---- interactive -------------------------------------------------------------------------


def interactive(picture: Picture, lines: Sequence[str]) -> Any:
    """Return the picture as a plotly Figure."""
    go = plotting.graph_objects()
    n_rows = max(1, len(picture.rows))
    first, last, breaks, marks = _window(picture)
    names = len(picture.groups) <= MOST_NAMES
    entries = names * (1 + len(picture.groups)) + bool(len(breaks)) + bool(len(marks))
    inner = int(max(np.clip(26 * n_rows, 150, 2_400), 19.5 * entries + 14))
    step = plotting.label_step(n_rows, inner // 14)
    if len(picture.bars) > MANY_BARS:
        load, remark = _load(go, picture, first, last)
        traces, names, lines = [load], False, [*lines, remark]
        breaks = breaks.take(np.arange(len(breaks)) < 5_000)
    else:
        traces = _bar_traces(go, picture, names)
        traces += _hold_traces(go, picture, names)
        traces += _mark_traces(go, picture, marks)
    if len(breaks):
        hatch = {"shape": "/", "fgcolor": BREAK_INK, "bgcolor": "rgba(0,0,0,0.06)", "size": 5}
        text = breaks.text or [picture.break_title] * len(breaks)
        style = {"color": "rgba(0,0,0,0)", "pattern": hatch, "line": {"width": 0}}
        traces.append(_bars(go, breaks, 0.92, style, text, name=picture.break_title))
    if picture.warning:
        lines = [*lines, picture.warning]
    axis = {"showgrid": True, "gridcolor": plotting.GRID, "zeroline": False}
    figure = go.Figure(traces)
    layout = plotting.heading(lines)
    figure.update_layout(
        **layout,
        xaxis={"title": {"text": "time"}, "range": [first, last * 1.01], **axis,
               "separatethousands": True, "exponentformat": "none", "showspikes": True,
               "spikethickness": 1, "spikecolor": "#888888", "spikedash": "dot"},
        yaxis={"title": {"text": html.escape(picture.row_title)}, "zeroline": False,
               "range": [n_rows - 0.5, -0.5], "showgrid": False,
               "tickvals": list(range(0, len(picture.rows), step)),
               "ticktext": [html.escape(name) for name in picture.rows[::step]]},
        height=inner + layout["margin"]["t"] + layout["margin"]["b"],
        barmode="overlay", dragmode="pan", uniformtext={"minsize": 9, "mode": "hide"},
        legend={"title": {"text": html.escape(picture.group_title)}, "groupclick": "togglegroup",
                "tracegroupgap": 0},
        showlegend=names or bool(len(marks)),
    )  # fmt: skip
    return figure


def _bars(go: Any, spans: Spans, width: float, style: Any, hover: Any, **options: Any) -> Any:
    """Return one trace of horizontal bars; `hover` is for the pointer."""
    return go.Bar(
        base=spans.start, x=spans.end - spans.start, y=spans.row, width=width, orientation="h",
        marker=style, hovertext=hover, hovertemplate="%{hovertext}<extra></extra>", **options,
    )  # fmt: skip


def _by_group(spans: Spans, groups: int, apart: bool) -> list[tuple[int, npt.NDArray[Any]]]:
    """Return the indices of each group, or all at once as group -1.

    A trace a group can be switched off in the legend, but many traces make a browser slow.
    """
    if not apart:
        return [(-1, np.arange(len(spans)))]
    parts = [(g, np.flatnonzero(spans.group == g)) for g in range(groups)]
    return [(g, index) for g, index in parts if len(index)]


def _bar_traces(go: Any, picture: Picture, names: bool) -> list[Any]:
    """Return the bars, as a trace a group where the legend names the groups."""
    bars, traces = picture.bars, []
    columns = {
        picture.row_title: [picture.rows[r] for r in bars.row.tolist()],
        "start": bars.start.tolist(),
        "end": bars.end.tolist(),
        **picture.details,
    }
    keys = [html.escape(key) for key in columns]
    heads = [f"<b>{html.escape(picture.groups[g])}</b>" for g in bars.group.tolist()]
    hover = [
        head + "".join(f"<br>{k}: {_shown(v)}" for k, v in zip(keys, row, strict=True) if v != "")
        for head, row in zip(heads, zip(*columns.values(), strict=True), strict=True)
    ]
    for group, index in _by_group(bars, len(picture.groups), names):
        part = bars.take(index)
        colours = [plotting.colour(g) for g in part.group.tolist()]
        options: dict[str, Any] = {"showlegend": False, "name": "bars"}
        if group >= 0:
            options = {"name": html.escape(picture.groups[group]), "legendgroup": str(group)}
        if len(bars) <= 2_000 and len(picture.labels):
            # Plotly itself hides what does not fit, at every zoom.
            options["text"] = [html.escape(picture.labels[i]) for i in index.tolist()]
            options |= {"textposition": "inside", "insidetextanchor": "middle", "textangle": 0}
            options["textfont"] = {"size": 12, "color": [plotting.text_colour(c) for c in colours]}
        style = {"color": colours, "line": {"color": "white", "width": 0.5}}
        text = [hover[i] for i in index.tolist()]
        traces.append(_bars(go, part, 0.8, style, text, meta="bars", **options))
    return traces


def _shown(value: Any) -> str:
    """Return a value for the pointer."""
    return plotting.number(value) if isinstance(value, int | float) else html.escape(str(value))


def _hold_traces(go: Any, picture: Picture, names: bool) -> list[Any]:
    """Return the holds, lighter; they go with their group in the legend."""
    holds, traces = picture.holds, []
    if not len(holds):
        return []
    for group, index in _by_group(holds, len(picture.groups), names):
        part = holds.take(index)
        colours = [plotting.lighter(plotting.colour(g)) for g in part.group.tolist()]
        text = part.text or [picture.hold_title] * len(part)
        group_name = str(group) if group >= 0 else ""
        traces.append(
            _bars(
                go, part, 0.8, {"color": colours, "line": {"width": 0}}, text,
                name=picture.hold_title, legendgroup=group_name, showlegend=False,
            )
        )  # fmt: skip
    return traces


def _mark_traces(go: Any, picture: Picture, marks: Spans) -> list[Any]:
    """Return due dates, red-edged and tied to the completion where they are missed."""
    if not len(marks):
        return []
    late = marks.end > marks.start
    edge = np.where(late, plotting.ALARM, plotting.INK).tolist()
    height = marks.row - 0.46
    if late.sum() > MOST_TIES:
        late[:] = False
    delays = marks.take(late)
    gaps = np.full(len(delays), np.nan)
    x = np.column_stack((delays.start, delays.end, gaps)).ravel()
    y = np.column_stack((height[late], height[late], gaps)).ravel()
    tie = {"color": plotting.ALARM, "width": 2}
    lines = go.Scatter(x=x, y=y, mode="lines", line=tie, hoverinfo="skip", showlegend=False)
    style = {
        "symbol": "triangle-down", "size": 9,
        "color": [plotting.colour(g) for g in marks.group.tolist()],
        "line": {"width": 1.5, "color": edge},
    }  # fmt: skip
    text = marks.text or [picture.mark_title] * len(marks)
    dates = go.Scatter(
        x=marks.start, y=height, mode="markers", marker=style, name=picture.mark_title,
        hovertext=text, hovertemplate="%{hovertext}<extra></extra>", cliponaxis=False,
    )  # fmt: skip
    return [lines, dates]


def _load(go: Any, picture: Picture, first: float, last: float) -> tuple[Any, str]:
    """Return a heat map of how busy each row is over time, and the line that says so."""
    bars, n_rows = picture.bars, len(picture.rows)
    cells = int(np.clip(300_000 // n_rows, 60, 500))
    cells = max(1, min(cells, int(last - first)))
    edges = np.linspace(first, last, cells + 1)
    load = np.zeros((n_rows, cells))
    active = np.zeros((n_rows, cells), dtype=np.int64)
    order = np.argsort(bars.row, kind="stable")
    borders = np.searchsorted(bars.row[order], np.arange(n_rows + 1))
    for row, (a, b) in enumerate(itertools.pairwise(borders.tolist())):
        start, end = np.sort(bars.start[order[a:b]]), np.sort(bars.end[order[a:b]])
        load[row] = np.diff(_elapsed(start, edges) - _elapsed(end, edges))
        begun = np.searchsorted(start, edges[1:], side="left")
        active[row] = begun - np.searchsorted(end, edges[:-1], side="right")
    load = np.clip(100 * load / (edges[1] - edges[0]), 0, None)
    unit = html.escape(picture.row_title)
    trace = go.Heatmap(
        x=edges, y=np.arange(n_rows), z=np.round(load, 1), customdata=active, zmin=0, zmax=100,
        colorscale=[[0, "#FFFFFF"], [0.5, "#8CC4E8"], [1, "#003B73"]], meta="load",
        colorbar={"title": {"text": "busy"}, "ticksuffix": " %", "lenmode": "pixels", "len": 260,
                  "y": 1, "yanchor": "top", "thickness": 14, "outlinewidth": 0},
        text=[[html.escape(name)] * cells for name in picture.rows], name="load",
        hovertemplate=f"<b>{unit} %{{text}}</b><br>time %{{x:,.0f}}<br>busy %{{z}} %<br>"
        "operations %{customdata}<extra></extra>",
    )  # fmt: skip
    remark = (
        f"{len(bars):,} operations are too many to show one by one: the colour is how busy each "
        f"{picture.row_title} is, in {cells} steps of time (.png, .svg and .pdf hold every bar)"
    )
    return trace, remark


def _elapsed(begin: npt.NDArray[Any], at: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return for each time the sum of ``time - begin`` over all that began before it."""
    sums = np.concatenate(([0.0], np.cumsum(begin, dtype=float)))
    count = np.searchsorted(begin, at)
    total: npt.NDArray[Any] = count * at - sums[count]
    return total
