"""Line charts by matplotlib as inline SVG that follows the page's theme and legend.

matplotlib draws in stand-in colours; afterwards those become CSS variables, and the curves get the
classes by which the page colours and hides them.
"""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from optsched.core import MissingExtraError

#: A curve has at most this many points; more would not be seen.
POINTS = 400
_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
#: Stand-in colours and the variables of the page that they become.
_INK, _FAINT, _LINE = "#010101", "#020202", "#030303"
_VARIABLES = {_INK: "var(--ink)", _FAINT: "var(--faint)", _LINE: "var(--line)"}


@dataclass(frozen=True)
class Curve:
    """One curve of a chart.

    Attributes
    ----------
    series : int
        Number of the solver, which gives the colour.
    x, y : array
    title : str
        Shown when pointed at.
    dashed : bool
    """

    series: int
    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    title: str
    dashed: bool = False


@dataclass(frozen=True)
class Axis:
    """A range of values and how they are written.

    Attributes
    ----------
    low, high : float
    label : str
    log : bool
    show : callable
        Writes a tick's value.
    """

    low: float
    high: float
    label: str = ""
    log: bool = False
    show: Callable[[float], str] = lambda value: f"{value:g}"


def chart(
    curves: Sequence[Curve],
    x: Axis,
    y: Axis,
    *,
    width: int = 560,
    height: int = 320,
    title: str = "",
    rule: float | None = None,
    small: bool = False,
) -> str:
    """Return a chart of step curves.

    Parameters
    ----------
    curves : sequence of Curve
        Each value holds until the next one.
    x, y : Axis
    width, height : int
        In the units of the view box; the page scales the chart.
    title : str
        For those who cannot see it, and above a small chart.
    rule : float, optional
        A value of `y` that a dotted line marks.
    small : bool
        Fewer ticks and smaller margins.

    Raises
    ------
    MissingExtraError
        When matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plot") from error
    left, right, top, bottom = (46, 8, 22, 22) if small else (56, 20, 12, 44)
    # At 72 dots an inch, a unit of the view box is a point.
    figure = Figure(figsize=(width / 72, height / 72))
    place = (left / width, bottom / height, 1 - (left + right) / width, 1 - (top + bottom) / height)
    axes = figure.add_axes(place)
    _prepare(axes, "x", x, 4 if small else 7)
    _prepare(axes, "y", y, 3 if small else 6)
    axes.grid(axis="y", color=_LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(_FAINT)
    axes.tick_params(length=0, which="both", labelsize=9, labelcolor=_FAINT)
    if small:
        axes.set_title(title, loc="left", fontsize=10, color=_INK, parse_math=False)
    else:
        axes.set_xlabel(x.label, fontsize=10, color=_INK)
        axes.set_ylabel(y.label, fontsize=10, color=_INK)
    if rule is not None:
        axes.axhline(rule, color=_INK, linewidth=1, linestyle=":")
    for k, curve in enumerate(curves):
        kept = np.unique(np.linspace(0, len(curve.x) - 1, min(len(curve.x), POINTS)).astype(int))
        (line,) = axes.step(
            np.clip(curve.x[kept], x.low, x.high),
            np.clip(curve.y[kept], y.low, y.high),
            where="post",
            clip_on=False,
        )
        line.set_gid(f"curve{k}")
    buffer = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": title, "path.simplify": True}):
        figure.savefig(buffer, format="svg", transparent=True, dpi=72, metadata={"Date": None})
    return _themed(buffer.getvalue(), curves, title, small)


def _prepare(axes: Any, name: str, axis: Axis, most: int) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    high = axis.high if axis.high > axis.low else axis.low + (abs(axis.low) or 1.0)
    if axis.log:
        axes.set(**{f"{name}scale": "log"})
    axes.set(**{f"{name}lim": (axis.low, high)})
    drawn = axes.xaxis if name == "x" else axes.yaxis
    few_decades = axis.log and high / axis.low < 10 ** (most / 2)
    located = LogLocator(subs=(1.0, 3.0) if few_decades else (1.0,), numticks=most)
    drawn.set_major_locator(located if axis.log else MaxNLocator(most))
    drawn.set_minor_locator(NullLocator())
    drawn.set_major_formatter(FuncFormatter(lambda value, _: axis.show(float(f"{value:.10g}"))))


def _themed(text: str, curves: Sequence[Curve], title: str, small: bool) -> str:
    """Return matplotlib's SVG with the page's variables and classes in it."""
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, variable)
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", _XLINK)
    root = ET.fromstring(text)
    for element in list(root):
        if element.tag == f"{{{_SVG}}}metadata":
            root.remove(element)
    for size in ("width", "height", "version"):
        root.attrib.pop(size, None)
    root.set("class", "chart small" if small else "chart")
    root.set("role", "img")
    root.set("aria-label", title)
    for element in root.iter():
        # Ids would repeat from chart to chart; only glyphs and clips are referred to.
        name = element.attrib.pop("id", "") if element.tag == f"{{{_SVG}}}g" else ""
        if name.startswith("curve"):
            curve = curves[int(name[5:])]
            for path in element.iter(f"{{{_SVG}}}path"):
                path.attrib.pop("style", None)
                dashed = " dashed" if curve.dashed else ""
                path.set("class", f"curve s{curve.series % 8}{dashed}")
                path.set("data-series", str(curve.series))
                ET.SubElement(path, f"{{{_SVG}}}title").text = curve.title
    return ET.tostring(root, encoding="unicode")
