"""Machine calendars as functions of time: where an operation may start, and when it then ends.

A machine is unavailable in its breaks, half-open intervals that neither touch nor overlap. An
operation that is not resumable fits between two of them. A resumable one starts at an available
instant, pauses in the breaks that it spans, and so takes longer. One of no duration may stand at
the border of a break, and not within it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass

from optsched.problems.job_shop.problem import JobShop

Break = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Piece:
    """Starts `low` to `high`, both included, from which the same time is `lost` to breaks."""

    low: int
    high: int
    lost: int


class Calendar:
    """The breaks of one machine; all times are integers.

    Parameters
    ----------
    breaks : list of (start, end)
        Sorted and merged.
    """

    __slots__ = ("begins", "ends")

    def __init__(self, breaks: list[Break]) -> None:
        self.begins = [begin for begin, _ in breaks]
        self.ends = [end for _, end in breaks]

    def __bool__(self) -> bool:
        return bool(self.begins)

    def earliest_start(self, ready: int, duration: int, resumable: bool) -> int:
        """Return the first start of at least `ready`."""
        k = bisect_right(self.ends, ready)  # the first break that is not over
        if duration == 0:
            within = k < len(self.ends) and self.begins[k] < ready
            return self.ends[k] if within else ready
        if resumable:
            within = k < len(self.ends) and self.begins[k] <= ready
            return self.ends[k] if within else ready
        while k < len(self.ends) and self.begins[k] < ready + duration:
            ready = self.ends[k]
            k += 1
        return ready

    def end(self, start: int, duration: int, resumable: bool) -> int:
        """Return the end of what starts at `start`, a start that the calendar allows."""
        end = start + duration
        if not resumable or duration == 0:
            return end
        k = bisect_right(self.ends, start)
        while k < len(self.ends) and self.begins[k] < end:
            end += self.ends[k] - self.begins[k]
            k += 1
        return end

    def latest_start(self, latest_end: int, duration: int, resumable: bool) -> int:
        """Return the last start from which the end is at most `latest_end`; may be negative."""
        k = bisect_left(self.begins, latest_end) - 1  # the last break that begins before
        if duration == 0:
            within = k >= 0 and self.ends[k] > latest_end
            return self.begins[k] if within else latest_end
        start = latest_end - duration
        if resumable:
            # Walk backwards: each break reached costs its length.
            if k >= 0 and self.ends[k] > latest_end:
                start = self.begins[k] - duration
                k -= 1
            while k >= 0 and self.ends[k] > start:
                start -= self.ends[k] - self.begins[k]
                k -= 1
            return start
        while k >= 0 and self.ends[k] > start:
            start = self.begins[k] - duration
            k -= 1
        return start

    def pieces(
        self, low: int, latest_end: int, duration: int, resumable: bool
    ) -> list[Piece]:  # fmt: skip
        """Return where something may start from `low` on to end by `latest_end`, in pieces.

        The pieces are disjoint and ascend; the end from a start ``s`` is
        ``s + duration + piece.lost``.
        """
        found: list[Piece] = []
        if duration == 0 or not resumable:
            at = low
            for begin, end in zip(self.begins, self.ends, strict=True):
                if end <= at:
                    continue
                _append(found, at, begin - duration, 0, latest_end - duration)
                at = max(at, end)
            _append(found, at, latest_end - duration, 0, latest_end - duration)
            return found
        count = len(self.begins)
        at = low
        for k in range(count + 1):  # the window before break k, or the one behind the last
            last = self.begins[k] - 1 if k < count else latest_end
            lost, spanned = 0, k
            while at <= last:
                high = last
                if spanned < count:
                    high = min(last, self.begins[spanned] - lost - duration)
                _append(found, at, high, lost, latest_end - duration - lost)
                at = max(at, high + 1)
                if spanned == count:
                    break
                lost += self.ends[spanned] - self.begins[spanned]
                spanned += 1
            if k < count:
                at = max(at, self.ends[k])
        return found


def _append(found: list[Piece], low: int, high: int, lost: int, most: int) -> None:
    if low <= min(high, most):
        found.append(Piece(low, min(high, most), lost))


def calendars_of(problem: JobShop) -> list[Calendar]:
    """Return the calendar of every machine."""
    bounds = problem.break_offset.tolist()
    pairs = list(zip(problem.break_start.tolist(), problem.break_end.tolist(), strict=True))
    return [Calendar(pairs[bounds[m] : bounds[m + 1]]) for m in range(problem.n_machines)]
