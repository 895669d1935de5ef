"""The live view of a campaign; plain lines where there is no terminal."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from optsched.bench import journal
from optsched.live import number

#: Finished runs shown at once.
ROWS = 8


class CampaignView:
    """Counts and shows runs: done, failed, running, and the time that is left.

    Parameters
    ----------
    console : rich.console.Console
    total : int
        Runs to do now.
    slots : int
        Runs at a time.
    limit : float
        Seconds that a run may take.
    """

    def __init__(self, console: Console, total: int, slots: int, limit: float) -> None:
        self._console = console
        self._total, self._slots, self._limit = total, slots, limit
        self._done = self._failed = 0
        self._spent = 0.0
        self._running: dict[str, float] = {}
        self._rows: list[Text] = []
        self._began = time.perf_counter()
        self._lock = threading.Lock()
        self._live: Live | None = None
        if console.is_terminal:
            self._live = Live(
                get_renderable=self._render, console=console, refresh_per_second=2, transient=True
            )

    def __enter__(self) -> CampaignView:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def begin(self, name: str) -> None:
        """Tell that a run has begun."""
        with self._lock:
            self._running[name] = time.perf_counter()

    def drop(self, name: str) -> None:
        """Tell that a run was given up and counts as not begun."""
        with self._lock:
            self._running.pop(name, None)

    def end(self, name: str, record: dict[str, Any]) -> None:
        """Tell that a run is in the journal."""
        with self._lock:
            began = self._running.pop(name, time.perf_counter())
            self._spent += time.perf_counter() - began
            self._done += 1
            self._failed += record["outcome"] != journal.DONE
            line = Text(f"{name}  ")
            line.append(*_verdict(record))
            self._rows = [*self._rows[1 - ROWS :], line]
            if self._live is None:
                line = Text(f"[{self._done:>{len(str(self._total))}}/{self._total}] ") + line
                line.append(f"  ({self._counts()})", style="dim")
                self._console.print(line)

    def _counts(self) -> str:
        return f"failed {self._failed}, {_duration(self._remaining())} left"

    def _remaining(self) -> float:
        """Return the seconds left: a run takes as long as so far, at first the whole limit."""
        mean = self._spent / self._done if self._done else self._limit
        now = time.perf_counter()
        under_way = sum(min(mean, now - began) for began in self._running.values())
        return max(0.0, (self._total - self._done) * mean - under_way) / self._slots

    def _render(self) -> RenderableType:
        with self._lock:
            head = Text(f"{self._done} of {self._total} runs", style="bold")
            head.append(f", {len(self._running)} running, {self._counts()}", style="not bold")
            table = Table(box=None, show_header=False, pad_edge=False)
            now = time.perf_counter()
            for name, began in list(self._running.items())[:ROWS]:
                table.add_row(Text(f"  {name}", style="cyan"), f"{now - began:.0f} s")
            return Group(*self._rows, head, table)


def _verdict(record: dict[str, Any]) -> tuple[str, str]:
    if record["outcome"] != journal.DONE:
        return f"{record['outcome']}: {record['message']}"[:300], "red"
    text = (
        f"{record['status']} {number(record['objective'])} bound {number(record['bound'])}"
        f" in {record['time']:.2f} s"
    )
    return text, "green" if record["status"] == "OPTIMAL" else "yellow"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
