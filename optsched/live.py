"""The live view of a solve in a terminal; plain lines where there is none."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from optsched.core import Number, Problem
from optsched.result import Event, Result, Status, relative_gap

#: Events shown at once.
ROWS = 12
#: Seconds between two lines in a log where only the bound moved.
LOG_INTERVAL = 1.0

_STYLES = {
    Status.OPTIMAL: "bold green",
    Status.FEASIBLE: "bold yellow",
    Status.INFEASIBLE: "bold red",
    Status.UNKNOWN: "bold red",
}


def number(value: Number | None) -> str:
    """Return a number for people; a dash where there is none."""
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def percent(gap: float | None) -> str:
    """Return a gap in per cent; a dash where there is none."""
    return "-" if gap is None else f"{100 * gap:.2f} %"


class Progress:
    """Shows incumbent, bound, gap and time while a solve runs.

    Parameters
    ----------
    problem : Problem
    console : rich.console.Console
    time_limit : float or None
    reference : object with ``lower`` and ``upper``, or None
        Best known bounds.
    enabled : bool
        Show nothing at all when False.
    """

    def __init__(
        self,
        problem: Problem,
        console: Console,
        time_limit: float | None,
        reference: Any = None,
        *,
        enabled: bool = True,
    ) -> None:
        self._problem = problem
        self._console = console
        self._limit = time_limit
        self._reference = reference
        self._enabled = enabled
        self._rows: list[Event] = []
        self._began = time.perf_counter()
        self._logged: Event | None = None
        self._live: Live | None = None
        if enabled and console.is_terminal:
            self._live = Live(
                get_renderable=self._render, console=console, refresh_per_second=8, transient=True
            )

    def __enter__(self) -> Progress:
        if self._enabled:
            self._console.print(Text(self._problem.describe(), style="bold"))
            if self._reference is not None and self._reference.upper is not None:
                low, high = self._reference.lower, self._reference.upper
                known = number(high) if low == high else f"{number(low)} .. {number(high)}"
                self._console.print(f"best known: {known}", style="dim")
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def event(self, event: Event) -> None:
        """Take an event of the solve, from any thread."""
        self._rows.append(event)
        if self._enabled and self._live is None:
            last = self._logged
            news = (
                last is None
                or event.objective != last.objective
                or (event.time - last.time > LOG_INTERVAL)
            )
            if news:
                self._logged = event
                self._console.print(
                    f"{event.time:8.2f} s  incumbent {number(event.objective)}  "
                    f"bound {number(event.bound)}  "
                    f"gap {percent(relative_gap(event.objective, event.bound))}  {event.source}"
                )

    def _render(self) -> RenderableType:
        table = _events(self._rows[-ROWS:])
        elapsed = time.perf_counter() - self._began
        limit = "" if self._limit is None else f" of {self._limit:g} s"
        text = f" {elapsed:.1f} s{limit}  (Ctrl-C stops and keeps the incumbent)"
        return Group(table, Spinner("dots", text=Text(text, style="dim")))

    def summary(self, result: Result) -> None:
        """Print the last improvements and the outcome."""
        if self._live is not None and self._rows:
            self._console.print(_events(self._rows[-ROWS:]))
        line = Text()
        line.append(str(result.status), style=_STYLES[result.status])
        if result.objective is not None:
            line.append(f"  objective {number(result.objective)}", style="bold")
        line.append(f"  bound {number(result.bound)}  gap {percent(result.gap)}")
        line.append(f"  {result.time:.2f} s  {result.solver}, {result.workers} workers")
        line.append(f"  (stopped by {result.stop.lower()})", style="dim")
        self._console.print(line)
        if result.message:
            self._console.print(result.message, markup=False)


def _events(events: list[Event]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("time", "incumbent", "bound", "gap"):
        table.add_column(name, justify="right", min_width=9)
    table.add_column("found by")
    before: Event | None = None
    for event in events:
        better = before is None or event.objective != before.objective
        raised = before is None or event.bound != before.bound
        table.add_row(
            f"{event.time:.2f} s",
            Text(number(event.objective), style="green" if better else "dim"),
            Text(number(event.bound), style="cyan" if raised else "dim"),
            percent(relative_gap(event.objective, event.bound)),
            event.source,
        )
        before = event
    return table
