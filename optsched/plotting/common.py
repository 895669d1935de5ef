"""Pictures of schedules and of solves: static by matplotlib, interactive by plotly.

This module holds what the pictures share: the `Picture` of a schedule that a family hands over,
formats, colours, writing. Neither library is
imported before a picture is asked for, and pyplot, with its global state, never is.
"""

from __future__ import annotations

import functools
import html
import importlib
import importlib.util
import io
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from optsched.core import InputError, IntArray, MissingExtraError, Number, Problem

FORMATS = (".png", ".svg", ".pdf", ".html")

#: Okabe and Ito (2008) without black, then colours chosen greedily for the largest least
#: distance (OKLab) as seen with normal, deuteranope and protanope vision, and away from grey.
PALETTE = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#851B55",
    "#45DACD", "#71530C", "#483A9A", "#81C37C", "#88637D", "#8179DF", "#EDA4BA", "#B74353",
    "#9BF194", "#8CD5FB", "#0D5279", "#307450", "#76382E", "#E36B6A", "#FAC043", "#8D97FE",
    "#688934", "#EB88D1", "#984DA3", "#C59396", "#B9D3AC", "#EA843D", "#A981CF", "#7379A0",
)  # fmt: skip
INK, FAINT, GRID, ALARM = "#222222", "#666666", "#DDDDDD", "#C1121F"


@dataclass(frozen=True, slots=True)
class Spans:
    """Stretches of time on rows.

    Attributes
    ----------
    row, start, end : ndarray of int64, shape (n,)
        The row, counted from 0 at the top, and the times, in the instance's own unit.
    group : ndarray of int64, shape (n,)
        What they belong to: it gives the colour. Unused for breaks.
    text : sequence of str
        What is shown when the pointer is on them; empty or one a span.
    """

    row: IntArray
    start: IntArray
    end: IntArray
    group: IntArray
    text: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.row)

    def take(self, chosen: npt.NDArray[Any]) -> Spans:
        """Return the chosen ones, by mask or index."""
        index = np.arange(len(self))[chosen]
        text = [self.text[i] for i in index.tolist()] if len(self.text) else ()
        return Spans(self.row[index], self.start[index], self.end[index], self.group[index], text)


def no_spans() -> Spans:
    """Return an empty `Spans`."""
    none = np.zeros(0, dtype=np.int64)
    return Spans(none, none, none, none)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A schedule as bars on rows, free of what it is a schedule of.

    Attributes
    ----------
    name, objective, subtitle : str
        The instance, the value such as ``"makespan 55"``, and what more is worth a line.
    warning : str
        A line shown in red, such as that the schedule is infeasible.
    rows, row_title : sequence of str, str
        Names of the rows, from the top, and what they are.
    groups, group_title : sequence of str, str
        Names of the groups (jobs), and what they are.
    bars : Spans
        What is done when; an entry an operation.
    labels : sequence of str
        The word on each bar, shown where it fits.
    details : mapping of str to sequence
        Further lines for the pointer: a name, and a value for every bar.
    breaks, holds : Spans
        Times at which a row is unavailable (hatched), and times during which it is held by a
        group that is not being worked on (lighter).
    marks : Spans
        Due dates: ``start`` is the date and ``end`` the completion.
    break_title, hold_title, mark_title : str
        What those are.
    """

    name: str
    objective: str
    rows: Sequence[str]
    groups: Sequence[str]
    bars: Spans
    labels: Sequence[str]
    details: Mapping[str, Sequence[Any]]
    row_title: str = "machine"
    group_title: str = "job"
    subtitle: str = ""
    warning: str = ""
    breaks: Spans = field(default_factory=no_spans)
    holds: Spans = field(default_factory=no_spans)
    marks: Spans = field(default_factory=no_spans)
    break_title: str = "unavailable"
    hold_title: str = "held"
    mark_title: str = "due date"


def picture_of(problem: Problem, solution: Any) -> Picture:
    """Return the schedule as bars on rows, by the family's own ``picture.py``."""
    if not isinstance(problem, Problem):
        raise InputError(f"gantt: expected a problem, not {type(problem).__name__}")
    if solution is None:
        raise InputError("gantt: there is no solution to draw")
    if not isinstance(solution, problem.solution_type):
        wanted = problem.solution_type.__name__
        raise InputError(f"gantt: expected a {wanted}, not {type(solution).__name__}")
    module = f"optsched.problems.{problem.family}.picture"
    try:
        family = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise
        raise InputError(f"gantt: family {problem.family} has no Gantt chart") from error
    if not hasattr(family, "picture"):
        raise InputError(f"gantt: family {problem.family} has no Gantt chart")
    picture: Picture = family.picture(problem, solution)
    return picture


def colour(index: int) -> str:
    """Return the colour of group `index`, as ``#RRGGBB``; the palette is cyclic."""
    return PALETTE[index % len(PALETTE)]


def lighter(hexadecimal: str, share: float = 0.6) -> str:
    """Return a colour mixed with `share` of white."""
    parts = (int(hexadecimal[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(part + (255 - part) * share):02X}" for part in parts)


def text_colour(hexadecimal: str) -> str:
    """Return black or white, whichever is read better on a bar of that colour."""
    red, green, blue = (int(hexadecimal[i : i + 2], 16) for i in (1, 3, 5))
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 140 else "black"


def number(value: Number) -> str:
    """Return a number for people: whole ones in full, others to six digits."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def check_path(path: str | Path | None) -> Path | None:
    """Return `path` if a picture can be written there; ask before a long solve.

    Raises
    ------
    InputError
        Naming the suffixes allowed, or the folder that is missing.
    MissingExtraError
        When the library that draws this format is not installed.
    """
    if path is None:
        return None
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in FORMATS:
        allowed = ", ".join(FORMATS)
        raise InputError(f"{target}: unknown picture format {target.suffix!r}: one of {allowed}")
    # Unlike the methods of Path, these do not raise on names that no file can have.
    if not os.path.isdir(target.parent):
        raise InputError(f"{target} cannot be written: there is no folder {target.parent}")
    if os.path.isdir(target):
        raise InputError(f"{target} cannot be written: it is a folder")
    library = "plotly" if suffix == ".html" else "matplotlib"
    if importlib.util.find_spec(library) is None:
        raise MissingExtraError(library, "plot")
    return target


def new_figure(width: float, height: float) -> Any:
    """Return an empty matplotlib Figure of that size in inches, on the Agg canvas."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plot") from error
    figure: Any = Figure(figsize=(width, height), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    # Notebooks show a figure through pyplot's hook, or else through this method.
    figure._repr_png_ = functools.partial(rendered, figure, ".png")
    return figure


def graph_objects() -> Any:
    """Return ``plotly.graph_objects``."""
    try:
        import plotly.graph_objects
    except ImportError as error:
        raise MissingExtraError("plotly", "plot") from error
    return plotly.graph_objects


def rendered(figure: Any, suffix: str) -> bytes:
    """Return a matplotlib figure as the bytes of a file with that suffix."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=suffix[1:], dpi=150)
    return buffer.getvalue()


def deliver(
    target: Path | None,
    title: str,
    *,
    static: Callable[[], Any],
    interactive: Callable[[], Any],
) -> Any:
    """Return the static figure, or write to `target` what its suffix asks for and return that.

    Parameters
    ----------
    target : Path or None
        As `check_path` returns it.
    title : str
        Of the HTML page.
    static, interactive : callable() -> figure
        Draw with matplotlib and with plotly; only the one that is needed is called.
    """
    if target is None:
        return static()
    if target.suffix.lower() == ".html":
        _write_html(interactive(), target, title)
    else:
        _write(rendered(static(), target.suffix.lower()), target)
    return target


def _write_html(figure: Any, target: Path, title: str) -> None:
    """Write a plotly figure as one HTML file that needs no network."""
    config = {
        "displaylogo": False,
        "scrollZoom": True,
        "responsive": True,
        # Plotly's button that uploads the chart to its makers has no place here.
        "showSendToCloud": False,
        "plotlyServerURL": "",
        "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
    }
    chart = figure.to_html(
        include_plotlyjs=True,
        full_html=False,
        default_width="100%",
        default_height=f"{figure.layout.height}px",
        config=config,
    )
    text = f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{html.escape(title)}</title></head>
<body style="margin:8px">
{chart}
</body>
</html>
"""
    _write(text.encode(), target)


def _write(data: bytes, target: Path) -> None:
    try:
        target.write_bytes(data)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{target} cannot be written: {reason}") from error


def put_title(figure: Any, left: float, title: str, subtitle: str) -> None:
    """Put a title and a finer line on top of a matplotlib figure, `left` inches from its edge."""
    x, height = left / figure.get_figwidth(), figure.get_figheight()
    # Names come from users' files: a dollar sign in one is no mathematics.
    common = {"ha": "left", "va": "top", "parse_math": False}
    figure.text(x, 1 - 0.13 / height, title, size=13, weight="bold", color=INK, **common)
    figure.text(x, 1 - 0.40 / height, subtitle, size=8.5, color=FAINT, **common)


def legend_width(names: Iterable[str]) -> float:
    """Return the inches that a column of the legend needs."""
    return 0.4 + 0.057 * max((len(name) for name in names), default=0)


def label_step(rows: int, most: int) -> int:
    """Return which rows to name, so that at most `most` are: every one, second, fifth, tenth..."""
    decade = 1
    while True:
        for step in (decade, 2 * decade, 5 * decade):
            if rows <= max(1, most) * step:
                return step
        decade *= 10


def put_legend(axes: Any, handles: Sequence[Any], rows: int, **options: Any) -> None:
    """Put a legend right of matplotlib axes, in columns of at most `rows` entries."""
    if not handles:
        return
    inches = axes.figure.get_figwidth() * axes.get_position().width
    legend = axes.legend(
        handles=list(handles),
        ncols=-(-len(handles) // max(1, rows)),
        loc="upper left",
        bbox_to_anchor=(1 + 0.1 / inches, 1),
        fontsize=8,
        frameon=False,
        borderaxespad=0,
        handlelength=1.3,
        columnspacing=0.9,
        **options,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def tidy(axes: Any) -> None:
    """Leave of matplotlib axes what is needed to read them."""
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color("#999999")
    axes.tick_params(length=0, labelsize=8, colors=INK)
    axes.set_axisbelow(True)


def heading(lines: Iterable[str]) -> dict[str, Any]:
    """Return plotly's layout of a title and finer lines below it; names are escaped."""
    first, *others = [html.escape(line, quote=False) for line in lines if line]
    style = f"font-size:12px;font-weight:normal;color:{FAINT}"
    text = f"<b>{first}</b>" + "".join(f'<br><span style="{style}">{x}</span>' for x in others)
    pad = {"t": 14, "l": 14}
    return {
        "title": {
            "text": text, "x": 0, "xref": "container", "xanchor": "left", "pad": pad,
            "y": 1, "yref": "container", "yanchor": "top", "font": {"size": 17, "color": INK},
        },
        "margin": {"l": 60, "r": 20, "t": 58 + 17 * len(others), "b": 50},
        "template": "plotly_white",
        "hovermode": "closest",
        "hoverlabel": {"align": "left"},
    }  # fmt: skip
