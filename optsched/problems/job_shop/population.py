"""Schedules that the searches of one run recombine."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from optsched.problems.job_shop.shop import Order

#: A population starts small, so that a short run gets to relinking, and grows as it converges:
#: quickly up to a size that serves half a minute well, then by one every so many near copies.
FIRST, QUICK, MOST, COPIES = 4, 10, 30, 25
#: Share of the distance of independent local optima below which two schedules count as copies.
NEAR = 0.04


class Population:
    """Local optima that differ from one another; several threads may share it.

    Parameters
    ----------
    size : int
        How many it holds before it has met near copies.

    Attributes
    ----------
    members : list of (int, ndarray)
        Longest path and order of each.
    apart : float
        Distance of two independent schedules; 0: not known yet.
    best : int
        Longest path of the best schedule that any of the searches has seen.
    """

    def __init__(self, size: int = FIRST) -> None:
        self.size = size
        self.copies = 0
        self.members: list[tuple[int, Order]] = []
        self.apart = 0.0
        self.best = int(np.iinfo(np.int64).max)
        self._lock = threading.Lock()

    def insert(self, value: int, order: Order, distance: Callable[[Order, Order], int]) -> None:
        """Put a schedule into the population: no near copies, the worst one goes.

        A near copy of a member tells that the population has converged: it may grow.
        """
        with self._lock:
            members = self.members
            apart = [distance(order, other) for _, other in members]
            if apart and min(apart) < max(2.0, NEAR * self.apart):
                near = int(np.argmin(apart))
                if value <= members[near][0]:
                    members[near] = (value, order)
                self.copies += 1
                quick = min(FIRST + self.copies, QUICK)
                self.size = max(self.size, min(max(quick, self.copies // COPIES), MOST))
                return
            if len(members) < self.size:
                members.append((value, order))
                return
            worst = max(range(len(members)), key=lambda k: members[k][0])
            if value <= members[worst][0]:
                members[worst] = (value, order)
