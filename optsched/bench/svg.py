"""Line charts as inline SVG; colours are CSS variables, so that they follow the theme."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

#: A curve has at most this many points; more would not be seen.
POINTS = 400


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

    def place(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the values as fractions of the axis."""
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        clipped = np.clip(values, self.low, self.high)
        placed: npt.NDArray[np.float64] = (np.log(clipped) if self.log else clipped) - low
        return placed / ((high - low) or 1.0)

    def ticks(self, most: int) -> list[float]:
        """Return at most about `most` round values."""
        if self.log:
            return _log_ticks(self.low, self.high, most)
        span = self.high - self.low
        if span <= 0:
            return [self.low]
        step = 10.0 ** math.floor(math.log10(span / most))
        step = next((step * f for f in (1, 2, 5, 10) if span / (step * f) <= most), step * 10)
        first = math.ceil(self.low / step - 1e-9)
        return [k * step for k in range(first, math.floor(self.high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        ticks = [f * 10.0**d for d in decades for f in factors]
        ticks = [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]
        if len(ticks) <= most:
            return ticks
    return ticks[:: math.ceil(len(ticks) / most)]


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
    """
    left, right, top, bottom = (44, 6, 20, 20) if small else (52, 20, 10, 42)
    inner_width, inner_height = width - left - right, height - top - bottom

    def across(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return left + x.place(values) * inner_width

    def down(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return top + (1 - y.place(values)) * inner_height

    parts = [
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(title)}"'
        f' class="chart{" small" if small else ""}">'
    ]
    for tick in y.ticks(3 if small else 6):
        at = float(down(np.array([tick]))[0])
        parts.append(f'<path class="grid" d="M{left} {at:.1f}H{width - right}"/>')
        parts.append(
            f'<text class="tick" x="{left - 6}" y="{at + 3.5:.1f}" text-anchor="end">'
            f"{html.escape(y.show(tick))}</text>"
        )
    base = top + inner_height
    parts.append(f'<path class="axis" d="M{left} {base}H{width - right}"/>')
    for tick in x.ticks(4 if small else 8):
        at = float(across(np.array([tick]))[0])
        parts.append(f'<path class="axis" d="M{at:.1f} {base}v4"/>')
        parts.append(
            f'<text class="tick" x="{at:.1f}" y="{base + (14 if small else 17)}" '
            f'text-anchor="middle">{html.escape(x.show(tick))}</text>'
        )
    if rule is not None:
        at = float(down(np.array([rule]))[0])
        parts.append(f'<path class="rule" d="M{left} {at:.1f}H{width - right}"/>')
    for curve in curves:
        path = _steps(across(curve.x), down(curve.y))
        if path:
            style = f'class="curve s{curve.series % 8}{" dashed" if curve.dashed else ""}"'
            parts.append(
                f'<path {style} data-series="{curve.series}" d="{path}">'
                f"<title>{html.escape(curve.title)}</title></path>"
            )
    if small:
        parts.append(f'<text class="title" x="{left}" y="13">{html.escape(title)}</text>')
    else:
        parts.append(
            f'<text class="label" x="{left + inner_width / 2}" y="{height - 6}" '
            f'text-anchor="middle">{html.escape(x.label)}</text>'
            f'<text class="label" transform="translate(12 {top + inner_height / 2}) rotate(-90)" '
            f'text-anchor="middle">{html.escape(y.label)}</text>'
        )
    parts.append("</svg>")
    return "".join(parts)


def _steps(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> str:
    """Return the path of a step function; neighbours that fall on one pixel are left out."""
    if not len(x):
        return ""
    if len(x) > POINTS:
        kept = np.unique(np.linspace(0, len(x) - 1, POINTS).astype(int))
        x, y = x[kept], y[kept]
    xs, ys = [f"{v:.1f}" for v in x.tolist()], [f"{v:.1f}" for v in y.tolist()]
    parts = [f"M{xs[0]} {ys[0]}"]
    last_x, last_y = xs[0], ys[0]
    for at, value in zip(xs[1:], ys[1:], strict=True):
        if at != last_x:
            parts.append(f"H{at}")
        if value != last_y:
            parts.append(f"V{value}")
        last_x, last_y = at, value
    return "".join(parts)
