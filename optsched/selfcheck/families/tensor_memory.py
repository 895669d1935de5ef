"""Tiny memory allocations with every feature: drawing, enumerating and shrinking them."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any

from optsched.core import InputError
from optsched.problems.tensor_memory.problem import TensorMemory
from optsched.selfcheck.references import tensor_memory as reference
from optsched.selfcheck.smaller import Axis, Data, anything_less, without

BUFFERS = Axis(
    rows=("buffers", "alignment", "gaps", "pinned", "hint", "banks", "id"), indices=("alias",)
)


def draw(rng: random.Random) -> TensorMemory:
    """Return a tiny instance, one of four with two banks, one of three with mostly even sizes.

    One of six is of nothing but aliases.
    """
    if rng.random() < 1 / 6:
        return random_aliases(rng)
    problem = random_instance(rng.getrandbits(40), 5, banks=rng.random() < 0.25)
    if rng.random() < 1 / 3:
        data = problem.to_dict()
        for buffer in data["buffers"]:
            buffer[2] += buffer[2] % 2
        # Divisors of sizes are a matter of the bounds: an odd one, often within an alias.
        for odd in map(rng.choice, data.get("alias", [range(len(data["buffers"]))])):
            data["buffers"][odd][2] = max(0, data["buffers"][odd][2] - 1)
        with contextlib.suppress(InputError):  # pins that now overlap
            return TensorMemory.from_dict(data)
    return problem


def optimum(problem: TensorMemory, claim: int | None) -> int | None:
    """Return the least objective over all orders of placement, None where nothing fits."""
    return reference.optimum(problem)


def smaller(data: Data) -> Iterator[Data]:
    """Yield smaller instances: without a buffer, a rule; with lower numbers."""
    for buffer in range(len(data["buffers"])):
        yield without(data, BUFFERS, buffer)
    yield from anything_less(data)


def random_instance(seed: int, most: int = 8, *, banks: bool = False) -> TensorMemory:
    """Return an instance of up to `most` buffers, with some of everything."""
    rng = random.Random(seed)
    while True:
        try:
            return _draw(rng, most, banks)
        except InputError:  # pins that overlap, a capacity that is too small, ...
            continue


def _draw(rng: random.Random, most: int, banks: bool) -> TensorMemory:
    n = rng.randint(1, most)
    horizon = rng.randint(2, 10)
    buffers = []
    for _ in range(n):
        low = rng.randrange(horizon)
        buffers.append((low, rng.randint(low + 1, horizon), rng.choice((0, 1, 2, 3, 4, 5, 7))))
    given: dict[str, Any] = {}
    if rng.random() < 0.4:
        given["alignment"] = [rng.choice((1, 1, 2, 3, 4)) for _ in range(n)]
    if rng.random() < 0.4:
        given["gaps"] = [_gaps(rng, *buffer[:2]) for buffer in buffers]
    if rng.random() < 0.3:
        given["pinned"] = [rng.randrange(6) if rng.random() < 0.25 else None for _ in range(n)]
    if rng.random() < 0.2:
        given["hint"] = [rng.randrange(9) if rng.random() < 0.5 else None for _ in range(n)]
    if n > 1 and rng.random() < 0.3:
        given["alias"] = [rng.sample(range(n), 2) for _ in range(rng.randint(1, 2))]
    if rng.random() < 0.3:
        given["capacity"] = rng.randint(3, 20)
        given["objective"] = rng.choice(("peak", "fit"))
    if banks:
        given["capacity"] = [rng.choice((None, rng.randint(4, 12))) for _ in range(2)]
        given["banks"] = [rng.choice((None, [0], [1], [0, 1])) for _ in range(n)]
    return TensorMemory(buffers, **given)


def _gaps(rng: random.Random, low: int, high: int) -> list[tuple[int, int]]:
    if high - low < 2 or rng.random() < 0.5:
        return []
    begin = rng.randrange(low, high - 1)
    return [(begin, begin + 1)]


def random_aliases(rng: random.Random) -> TensorMemory:
    """Return two groups of aliases, and perhaps one buffer more, with the same greatest size."""
    horizon, largest = rng.randint(2, 5), rng.randint(3, 7)
    buffers = []
    for k in range(rng.randint(4, 5)):
        low = rng.randrange(horizon)
        size = largest if k in (0, 1, 4) else rng.randint(1, largest - 1)
        buffers.append((low, rng.randint(low + 1, horizon), size))
    return TensorMemory(buffers, alias=[[0, 2], [1, 3]])
