"""Incumbent and bound against time: of one solve, or of several side by side."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from optsched.core import InputError, Number
from optsched.plotting import common as plotting
from optsched.result import Event, Result, relative_gap

Trace: TypeAlias = Result | Iterable[Event]
Steps: TypeAlias = list[tuple[float, Number, str]]

#: Sources beyond this many are shown by their kind: what stands before the colon.
MOST_SOURCES = 8
INCUMBENT, BOUND = "#0072B2", "#D55E00"


@dataclass(frozen=True, slots=True)
class _Run:
    """One solve: its improvements as ``(time, value, source)``, and when it ended."""

    label: str
    incumbents: Steps
    bounds: Steps
    end: float
    outcome: str


def convergence(
    results: Trace | Mapping[str, Trace],
    path: str | Path | None = None,
    *,
    title: str | None = None,
    best_known: Number | None = None,
) -> Any:
    """Draw how incumbent and bound approached each other.

    Time and objective are on a logarithmic axis where they span two decades or more.

    Parameters
    ----------
    results : Result, iterable of Event, or mapping of str to these
        One solve, whose improvements are coloured by the part that found them; or several by
        label, each in one colour.
    path : str or Path, optional
        Where to write: ``.png``, ``.svg`` and ``.pdf`` are static, ``.html`` is interactive and
        needs no network.
    title : str, optional
        Instead of the instance's name and the outcome.
    best_known : int or float, optional
        A reference value, drawn as a dotted line.

    Returns
    -------
    matplotlib.figure.Figure or pathlib.Path
        The figure without `path`, and else the file that was written.

    Raises
    ------
    InputError
        When there is neither an incumbent nor a bound, something else than a result is given,
        the suffix is unknown or the file cannot be written.
    MissingExtraError
        When matplotlib or plotly is not installed.
    """
    target = plotting.check_path(path)
    if best_known is not None and not _is_number(best_known):
        raise InputError(f"best_known: {best_known!r} is not a finite number")
    if isinstance(results, Mapping):
        runs = [_run(trace, str(label)) for label, trace in results.items()]
    else:
        runs = [_run(results, "")]
    if not any(run.incumbents or run.bounds for run in runs):
        raise InputError("convergence: there is neither an incumbent nor a bound to draw")
    lines = [title or _heading(results), _summary(runs)]
    return plotting.deliver(
        target,
        lines[0],
        static=lambda: _static(runs, lines, best_known),
        interactive=lambda: _interactive(runs, lines, best_known),
    )


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)


def _run(trace: Any, label: str) -> _Run:
    """Return the improvements of one solve."""
    name = f"convergence: {label}" if label else "convergence"
    events = trace.trace if isinstance(trace, Result) else trace
    if isinstance(events, str | Mapping) or not isinstance(events, Iterable):
        raise InputError(f"{name}: expected a result or events, not {type(trace).__name__}")
    incumbents: Steps = []
    bounds: Steps = []
    end = 0.0
    for event in events:
        if not isinstance(event, Event):
            raise InputError(f"{name}: expected events, not {type(event).__name__}")
        end = max(end, event.time)
        for value, steps in ((event.objective, incumbents), (event.bound, bounds)):
            if value is not None and (not steps or value != steps[-1][1]):
                steps.append((event.time, value, event.source))
    objective = incumbents[-1][1] if incumbents else None
    bound = bounds[-1][1] if bounds else None
    outcome = f"objective {_shown(objective)}, bound {_shown(bound)}"
    if isinstance(trace, Result):
        end = max(end, trace.time)
        outcome = f"{trace.status.lower()}, {outcome}, {trace.solver}"
    gap = relative_gap(objective, bound)
    if gap:
        outcome += f", gap {100 * gap:.2g} %"
    return _Run(label, incumbents, bounds, end, f"{outcome}, {end:.3g} s")


def _shown(value: Number | None) -> str:
    return "none" if value is None else plotting.number(value)


def _summary(runs: Sequence[_Run]) -> str:
    """Return where the runs ended, as one line: in words for one, in numbers for a few."""
    if len(runs) == 1:
        return runs[0].outcome
    parts = []
    for run in runs[:4]:
        objective = run.incumbents[-1][1] if run.incumbents else None
        bound = run.bounds[-1][1] if run.bounds else None
        parts.append(f"{run.label}: {_shown(objective)} (bound {_shown(bound)})")
    return "   ".join(parts) + ("   ..." if len(runs) > 4 else "")


def _heading(results: Trace | Mapping[str, Trace]) -> str:
    """Return the name of the instance, where all are of the same."""
    traces = results.values() if isinstance(results, Mapping) else [results]
    names = {trace.problem.name for trace in traces if isinstance(trace, Result)}
    name = names.pop() if len(names) == 1 else ""
    return f"{name}: convergence" if name else "Convergence"


def _axes(runs: Sequence[_Run], best_known: Number | None) -> tuple[float, float, bool, bool]:
    """Return first and last time to show, and whether time and objective are logarithmic."""
    steps = [step for run in runs for step in run.incumbents + run.bounds]
    last = max(run.end for run in runs) or 1.0
    first = min((time for time, _, _ in steps if time > 1e-3), default=last)
    values = [value for _, value, _ in steps] + ([] if best_known is None else [best_known])
    log_values = min(values) > 0 and max(values) / min(values) >= 100
    log_time = last / first >= 100
    return (0.8 * first if log_time else 0.0), last, log_time, log_values


def _stairs(steps: Steps, end: float, first: float) -> tuple[list[float], list[Number], list[str]]:
    """Return times, values and sources, kept on up to the end of the solve."""
    times = [max(first, time) for time, _, _ in steps] + [max(first, end)]
    values = [value for _, value, _ in steps]
    sources = [source for _, _, source in steps]
    return times, [*values, values[-1]], [*sources, ""]


def _between(run: _Run, first: float) -> tuple[list[float], list[Number], list[Number]]:
    """Return times, and incumbent and bound from each on, since both are known."""
    if not (run.incumbents and run.bounds):
        return [], [], []
    begin = max(run.incumbents[0][0], run.bounds[0][0])
    times = sorted({begin, run.end, *(s[0] for s in run.incumbents + run.bounds if s[0] > begin)})
    tracks: list[list[Number]] = []
    for steps in (run.incumbents, run.bounds):
        k, track = 0, []
        for time in times:
            while k + 1 < len(steps) and steps[k + 1][0] <= time:
                k += 1
            track.append(steps[k][1])
        tracks.append(track)
    return [max(first, time) for time in times], tracks[0], tracks[1]


def _source_colours(run: _Run) -> dict[str, tuple[str, str]]:
    """Return for each source the name to show and its colour."""
    sources = list(dict.fromkeys(source for _, _, source in run.incumbents + run.bounds))
    shown = {source: source for source in sources}
    if len(sources) > MOST_SOURCES:
        shown = {source: source.split(":")[0] for source in sources}
    kinds = list(dict.fromkeys(shown.values()))
    if len(kinds) > MOST_SOURCES:
        kinds = [*kinds[: MOST_SOURCES - 1], "others"]
        shown = {s: kind if kind in kinds else "others" for s, kind in shown.items()}
    # The first colours of the palette are those of the two lines.
    spare = [c for c in plotting.PALETTE if c not in (INCUMBENT, BOUND)]
    return {s: (kind, spare[kinds.index(kind)]) for s, kind in shown.items()}


def _static(runs: Sequence[_Run], lines: Sequence[str], best_known: Number | None) -> Any:
    """Return a matplotlib Figure."""
    alone = len(runs) == 1
    first, last, log_time, log_values = _axes(runs, best_known)
    figure = plotting.new_figure(10, 5)
    from matplotlib.lines import Line2D

    axes = figure.add_axes((0.085, 0.11, 0.7, 0.755))
    plotting.tidy(axes)
    axes.grid(color=plotting.GRID, linewidth=0.6)
    axes.set_xscale("log" if log_time else "linear")
    axes.set_yscale("log" if log_values else "linear")
    axes.set_xlim(first, last * (1.05 if log_time else 1.01))
    formatter = "{x:g}".format
    axes.xaxis.set_major_formatter(lambda x, _: formatter(x=x))
    axes.yaxis.set_major_formatter(lambda y, _: plotting.number(float(y)))
    axes.set_xlabel("time [s], logarithmic" if log_time else "time [s]", size=9, color="#666666")
    axes.set_ylabel("objective", size=9, color=plotting.FAINT)
    handles = []
    for index, run in enumerate(runs):
        colours = (INCUMBENT, BOUND) if alone else (plotting.colour(index),) * 2
        times, upper, lower = _between(run, first)
        if times and len(runs) <= 4:
            axes.fill_between(
                times, lower, upper, step="post", color=colours[0], alpha=0.09, linewidth=0
            )
        for steps, colour, dashes, marker, name in (
            (run.incumbents, colours[0], "-", "o", "incumbent"),
            (run.bounds, colours[1], "--", "^", "bound"),
        ):
            if not steps:
                continue
            x, y, _ = _stairs(steps, run.end, first)
            style: dict[str, Any] = {"color": colour, "linestyle": dashes, "linewidth": 1.6}
            axes.step(x, y, where="post", gid=f"{name} {index}", **style)
            faces: Any = colour
            if alone:
                shown = _source_colours(run)
                faces = [shown[source][1] for _, _, source in steps]
                handles.append(Line2D([], [], label=name, marker=marker, markersize=5, **style))
            axes.scatter(
                x[:-1], y[:-1], c=faces, marker=marker, s=26 if alone else 9, zorder=4,
                edgecolors="white", linewidths=0.4, clip_on=False,
            )  # fmt: skip
        if alone:
            dot: dict[str, Any] = {"linestyle": "", "marker": "o", "markersize": 5}
            named = dict(_source_colours(run).values())
            handles += [Line2D([], [], color=c, label=kind, **dot) for kind, c in named.items()]
        else:
            nothing = "" if run.incumbents or run.bounds else " (nothing found)"
            handles.append(Line2D([], [], color=colours[0], label=run.label + nothing))
    if not alone:
        for dashes, name in (("-", "incumbent"), ("--", "bound")):
            handles.append(Line2D([], [], color=plotting.INK, linestyle=dashes, label=name))
    if best_known is not None:
        axes.axhline(best_known, color=plotting.INK, linestyle=":", linewidth=1.2)
        label = f"best known {_shown(best_known)}"
        handles.append(Line2D([], [], color=plotting.INK, linestyle=":", label=label))
    room = plotting.legend_width([str(handle.get_label()) for handle in handles])
    axes.set_position((0.085, 0.11, max(0.4, 0.895 - room / figure.get_figwidth()), 0.755))
    plotting.put_title(figure, 0.85, lines[0], lines[1])
    plotting.put_legend(axes, handles, 20)
    return figure


def _interactive(runs: Sequence[_Run], lines: Sequence[str], best_known: Number | None) -> Any:
    """Return a plotly Figure."""
    go = plotting.graph_objects()
    alone = len(runs) == 1
    first, last, log_time, log_values = _axes(runs, best_known)
    # The buttons switch the axis, so nothing may stand at time 0.
    first = first or 1e-3
    figure = go.Figure()
    for index, run in enumerate(runs):
        colours = (INCUMBENT, BOUND) if alone else (plotting.colour(index),) * 2
        times, upper, lower = _between(run, first)
        label = html.escape(run.label)
        outcome = html.escape(run.outcome)
        if times:
            group = {"legendgroup": str(index), "showlegend": False, "hoverinfo": "skip"}
            level = {"shape": "hv", "width": 0}
            pale = f"rgba({','.join(str(int(colours[0][i : i + 2], 16)) for i in (1, 3, 5))},0.09)"
            figure.add_scatter(x=times, y=lower, mode="lines", line=level, **group)
            figure.add_scatter(
                x=times, y=upper, mode="lines", line=level, fill="tonexty", fillcolor=pale, **group
            )
        for steps, colour, dashes, symbol, name in (
            (run.incumbents, colours[0], "solid", "circle", "incumbent"),
            (run.bounds, colours[1], "dash", "triangle-up", "bound"),
        ):
            if not steps:
                continue
            x, y, sources = _stairs(steps, run.end, first)
            shown = _source_colours(run)
            faces = [shown[s][1] if alone else colour for s in sources[:-1]]
            texts = [
                f"<b>{label or name}</b><br>{name} {_shown(value)}<br>"
                f"after {time:.4g} s<br>{html.escape(source)}"
                for time, value, source in steps
            ]
            figure.add_scatter(
                x=x, y=y, mode="lines+markers", name=name if alone else f"{label}: {name}",
                line={"shape": "hv", "color": colour, "dash": dashes, "width": 2},
                marker={"symbol": symbol, "color": [*faces, colour], "opacity": 1,
                        "size": [7 if alone else 4] * len(faces) + [0]},
                text=[*texts, f"<b>{label or 'end'}</b><br>{outcome}"],
                hovertemplate="%{text}<extra></extra>", legendgroup=str(index),
            )  # fmt: skip
        if not (run.incumbents or run.bounds):
            name, line = f"{label} (nothing found)", {"color": colours[0]}
            figure.add_scatter(x=[None], y=[None], mode="lines", name=name, line=line)
        if alone:
            for kind, colour in dict(_source_colours(run).values()).items():
                figure.add_scatter(
                    x=[None], y=[None], mode="markers", name=html.escape(kind),
                    marker={"color": colour, "size": 8}, legendgroup=f"source {kind}",
                )  # fmt: skip
    if best_known is not None:
        text = f"best known {_shown(best_known)}"
        figure.add_scatter(
            x=[first, last], y=[best_known] * 2, mode="lines", name=text, hoverinfo="name",
            line={"color": plotting.INK, "dash": "dot", "width": 1.5},
        )  # fmt: skip
    ranges = {"log": [math.log10(first), math.log10(last * 1.05)], "linear": [0, last * 1.01]}
    buttons = [
        {"label": kind, "method": "relayout",
         "args": [{"xaxis.type": kind, "xaxis.range": ranges[kind]}]}
        for kind in ("linear", "log")
    ]  # fmt: skip
    scale = "log" if log_time else "linear"
    grid = {"gridcolor": plotting.GRID, "zeroline": False}
    figure.update_layout(
        **plotting.heading(lines),
        xaxis={"title": {"text": "time [s]"}, "type": scale, "range": ranges[scale], **grid},
        yaxis={"title": {"text": "objective"}, "type": "log" if log_values else "linear",
               "separatethousands": True, "exponentformat": "none", **grid},
        updatemenus=[{"type": "buttons", "direction": "right", "buttons": buttons, "x": 1,
                      "xanchor": "right", "y": 1.02, "yanchor": "bottom", "showactive": True,
                      "active": int(log_time)}],
        height=560, legend={"traceorder": "grouped", "tracegroupgap": 4},
    )  # fmt: skip
    return figure
