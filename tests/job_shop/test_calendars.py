"""Calendars as functions of time, against a walk through time."""

from __future__ import annotations

import random

import brute_force
import pytest

from optsched import JobShop, JobShopSolution
from optsched.problems.job_shop.calendars import Calendar, calendars_of
from optsched.problems.job_shop.timing import earliest

LAST = 50


def random_breaks(rng: random.Random) -> list[tuple[int, int]]:
    breaks, at = [], rng.randint(0, 3)
    for _ in range(rng.randint(0, 4)):
        end = at + rng.randint(1, 3)
        breaks.append((at, end))
        at = end + rng.randint(1, 4)
    return breaks


@pytest.mark.parametrize("resumable", [False, True])
@pytest.mark.parametrize("duration", range(7))
def test_starts_and_ends(duration: int, resumable: bool) -> None:
    rng = random.Random(duration)
    for _ in range(25):
        breaks = random_breaks(rng)
        calendar = Calendar(breaks)
        shop = {"jobs": [[(0, duration)]], "calendars": {0: breaks}, "resumable": resumable}
        allowed = [s for s in range(LAST) if not brute_force.kinds(shop, [s], [0])]
        end = {s: brute_force.Schedule(shop, [s], [0]).end[0, 0] for s in allowed}
        for s in allowed:
            assert calendar.end(s, duration, resumable) == end[s], (breaks, s)
        for t in range(30):
            first = min(s for s in allowed if s >= t)
            assert calendar.earliest_start(t, duration, resumable) == first, (breaks, t)
            fitting = [s for s in allowed if end[s] <= t]
            last = calendar.latest_start(t, duration, resumable)
            assert last == max(fitting) if fitting else last < 0, (breaks, t)
            low = rng.randint(0, 10)
            told = [
                (s, s + duration + piece.lost)
                for piece in calendar.pieces(low, t, duration, resumable)
                for s in range(piece.low, piece.high + 1)
            ]
            assert told == [(s, end[s]) for s in fitting if s >= low], (breaks, low, t)


def test_calendars_of_a_shop() -> None:
    shop = JobShop([[(0, 1), (2, 1)]], calendars={2: [(4, 6), (1, 2)]})
    found = [(bool(c), c.begins, c.ends) for c in calendars_of(shop)]
    assert found == [(False, [], []), (False, [], []), (True, [1, 4], [2, 6])]


def test_earliest_schedule_begins_behind_the_breaks() -> None:
    """A start within a break has no end; the rules must not look at one meanwhile."""
    shop = JobShop(
        [[(0, 3)], [(0, 2), (0, 1)]], release=[1, 2], calendars={0: [(1, 3), (4, 5)]},
        resumable=[[True], [True, False]],
    )  # fmt: skip
    found = earliest(shop, shop.alt_offset[:-1], [[1, 0, 2]], 100)
    assert found is not None
    assert found.start.tolist() == [6, 3, 9]


def test_cyclic_decisions_have_no_schedule() -> None:
    shop = JobShop([[(0, 1), (1, 1)], [(1, 1), (0, 1)]])
    assert earliest(shop, shop.alt_offset[:-1], [[3, 0], [1, 2]], 100) is None
    blocking = JobShop([[(0, 1), (1, 1)], [(1, 1), (0, 1)]], buffers="none", swap=True)
    found = earliest(blocking, blocking.alt_offset[:-1], [[0, 3], [2, 1]], 100)
    assert found is not None
    assert found.to_dict() == JobShopSolution([0, 1, 0, 1], [0, 1, 1, 0]).to_dict()
