"""The lexicographic objective: which levels there are, and one exact number of them all.

First how many pods of each tier are left out, and how much is disturbed; then, as far as they are
asked for, nodes in use, fragmentation and cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from optsched.core import InputError, IntArray, Number
from optsched.numbers import integers, is_row, shown
from optsched.problems.pod_packing import checker
from optsched.problems.pod_packing.named import PodsOnNodes

#: ``interleaved``: pods placed and disruption of the highest tier, then of the next, and so on;
#: ``placement_first``: all tiers' placement before any disruption; ``placement_only``: placement
#: alone, as the migration limit is all there is to disruption.
ORDERS = ("interleaved", "placement_first", "placement_only")
#: What may be asked for after these, in any order.
LATER = ("used_nodes", "fragmentation", "cost")
#: The features that come with them, and with hosts of several nodes.
FEATURES = frozenset(
    {
        "order placement only", "migration limit", "hosts", "used nodes", "fragmentation", "cost",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Level:
    """One level of the lexicographic objective, all minimised.

    Attributes
    ----------
    goal : str
        ``"unplaced"`` (pods left out), ``"disruption"`` (2 a move, 1 an eviction),
        ``"used_nodes"``, ``"fragmentation"`` or ``"cost"`` (see `PodPacking`).
    priority : int or None
        Priority of the tier's pods; None for the goals that look at all of them.
    value : int or None
        In the solution; None without one.
    bound : int or None
        Proven lower bound, given that all levels before take their (proven) values; None where a
        level before is not proven.
    """

    goal: str
    priority: int | None
    value: int | None
    bound: int | None

    @property
    def proven(self) -> bool:
        """Whether the value is proven optimal, as are those of all levels before."""
        return self.value is not None and self.value == self.bound


class Levelled(PodsOnNodes):
    """A problem whose objective is a list of levels, and their weighing into one number."""

    current: IntArray
    tiers: IntArray
    tier: IntArray
    order: str
    then: tuple[str, ...]
    slot: IntArray
    price: IntArray

    def level_keys(self) -> list[tuple[str, int]]:
        """Return the levels in order: the goal and the tier, -1 for goals that have none."""
        tiers = range(len(self.tiers))
        if self.order == "interleaved":
            keys = [(goal, tier) for tier in tiers for goal in ("unplaced", "disruption")]
        else:
            keys = [("unplaced", tier) for tier in tiers]
            if self.order == "placement_first":
                keys += [("disruption", tier) for tier in tiers]
        return keys + [(goal, -1) for goal in self.then]

    def level_most(self) -> list[int]:
        """Return the greatest value that each level can take, or more."""
        count = np.bincount(self.tier, minlength=len(self.tiers)).tolist()
        running = np.bincount(self.tier[self.current >= 0], minlength=len(self.tiers)).tolist()
        most = {"used_nodes": len(self.capacity), "cost": int(self.price.sum())}
        if "fragmentation" in self.then:
            # On a node whose immovable pods need more than it has, nothing is free.
            main = int(np.flatnonzero(self.slot)[0])
            most["fragmentation"] = int(self.capacity[:, main].sum())
        return [
            count[tier] if goal == "unplaced" else
            2 * running[tier] if goal == "disruption" else most[goal]
            for goal, tier in self.level_keys()
        ]  # fmt: skip

    def levels(self, solution: Any) -> list[int]:
        """Return the value of every level, in the order of `level_keys`."""
        return checker.levels(self, solution)  # type: ignore[arg-type]

    def weigh(self, levels: list[int]) -> int:
        """Return levels as one number: mixed radix, so that it orders as the levels do."""
        total = 0
        for value, most in zip(levels, self.level_most(), strict=True):
            total = total * (most + 1) + value
        return total

    def digits(self, total: int) -> list[int]:
        """Inverse of `weigh`, for numbers from 0 to the greatest."""
        found = []
        for most in reversed(self.level_most()):
            total, digit = divmod(total, most + 1)
            found.append(digit)
        return found[::-1]

    def report(self, result: Any) -> list[Level]:
        """Return value, bound and proof of each level of a `Result` (or of anything like it)."""
        keys = self.level_keys()
        values = None if result.solution is None else self.levels(result.solution)
        bounds = None if result.bound is None else self.digits(int(result.bound))
        rows, open_ = [], bounds is None
        for k, (goal, tier) in enumerate(keys):
            value = None if values is None else values[k]
            bound = None if open_ or bounds is None else bounds[k]
            rows.append(Level(goal, None if tier < 0 else int(self.tiers[tier]), value, bound))
            open_ = open_ or value != bound
        return rows

    def objective(self, solution: Any) -> Number:
        """Return the levels as one exact integer (see `weigh`), computed from the solution."""
        return self.weigh(self.levels(solution))

    def fragment_rate(self, solution: Any) -> float:
        """Return the share of what is free of the slot's first resource that holds no slot.

        0 where nothing is free (the fragment rate of Ding et al., "Towards VM Rescheduling
        Optimization Through Deep Reinforcement Learning", 2025).

        Raises
        ------
        InputError
            When the problem has no slot, or the solution has the wrong length.
        """
        if not self.slot.any():
            raise InputError("fragment_rate: the problem has no slot")
        fragments, free = checker.fragments(self, solution)  # type: ignore[arg-type]
        return fragments / free if free else 0.0


def read_then(
    then: Any, slot: Any, price: Any, n_nodes: int, resources: tuple[str, ...] | None, count: int
) -> tuple[tuple[str, ...], IntArray, IntArray]:
    """Return the later goals, the slot's amounts and the nodes' prices, all checked.

    Parameters
    ----------
    then : sequence of str or None
    slot : mapping of str to int, sequence of int or None
    price : sequence of int or None
    n_nodes : int
    resources : tuple of str or None
        Names of the resources.
    count : int
        Number of resources.
    """
    goals = () if then is None else then
    if not is_row(goals):
        raise InputError(f"then: expected a list of goals, not {shown(goals)}")
    for goal in goals:
        if not isinstance(goal, str) or goal not in LATER:
            raise InputError(f"then: unknown goal {shown(goal)}: one of {', '.join(LATER)}")
    goals = tuple(goals)
    if len(set(goals)) != len(goals):
        raise InputError("then: a goal stands twice")
    amounts = _slot(slot, resources, count)
    if "fragmentation" in goals and not amounts.any():
        raise InputError("then: fragmentation needs a slot with an amount of some resource")
    if price is None:
        prices = np.zeros(n_nodes, dtype=np.int64)
        if "cost" in goals:
            raise InputError("then: cost needs the nodes' prices")
    else:
        if not is_row(price) or len(price) != n_nodes:
            raise InputError(f"price: expected a list of {n_nodes} numbers, one a node")
        prices = integers(price, "price") if n_nodes else np.zeros(0, dtype=np.int64)
        if prices.ndim != 1:
            raise InputError(f"price: expected a flat list of {n_nodes} numbers")
        if (prices < 0).any():
            n = int(np.flatnonzero(prices < 0)[0])
            raise InputError(f"price: node {n}: {prices[n]} is negative")
    return goals, amounts, prices


def _slot(slot: Any, resources: tuple[str, ...] | None, count: int) -> IntArray:
    if slot is None:
        return np.zeros(count, dtype=np.int64)
    if isinstance(slot, Mapping):
        for key in slot:
            if resources is None or key not in resources:
                raise InputError(f"slot: there is no resource {shown(key)}")
        assert resources is not None or not slot
        slot = [slot.get(name, 0) for name in resources or ()] or [0] * count
    if not is_row(slot) or len(slot) != count:
        raise InputError(f"slot: expected {count} amounts, one a resource")
    amounts = integers(slot, "slot") if count else np.zeros(0, dtype=np.int64)
    if amounts.ndim != 1 or (amounts < 0).any():
        raise InputError("slot: expected amounts of at least 0")
    return amounts
