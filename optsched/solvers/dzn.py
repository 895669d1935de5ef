"""Data in MiniZinc's own notation (``.dzn``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

#: Characters of a line of numbers, where it can be broken.
WIDTH = 100


def assignments(data: Mapping[str, Any]) -> str:
    """Return the parameters in `data` as assignments, one after another."""
    return "".join(f"{name} = {dzn(value)};\n" for name, value in data.items())


def dzn(value: Any) -> str:
    """Return a parameter's value in MiniZinc's own notation.

    Parameters
    ----------
    value : bool, int, float, set of int, or nested lists of these
        The index sets of arrays count from 1.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, set | frozenset):
        return f"{{{', '.join(map(str, sorted(value)))}}}"
    if not isinstance(value, list):
        return repr(value)
    if not value:
        return "[]"  # fits an empty array of any dimension
    shape: list[int] = []
    inner: Any = value
    flat: list[Any] = value
    while isinstance(inner, list):
        shape.append(len(inner))
        inner = inner[0] if inner else None
        if isinstance(inner, list):
            flat = list(chain.from_iterable(flat))
    if not all(shape):
        flat = []
    listed = f"[{_wrapped([dzn(item) for item in flat])}]"
    if len(shape) == 1:
        return listed
    ranges = ", ".join(f"1..{n}" for n in shape)
    return f"array{len(shape)}d({ranges}, {listed})"


def _wrapped(words: Sequence[str]) -> str:
    """Return words with commas, in lines of moderate length: some tools read line by line."""
    lines = [""]
    for word in words:
        if len(lines[-1]) + len(word) > WIDTH:
            lines.append("  ")
        lines[-1] += f"{word}, "
    return "\n".join(line.rstrip() for line in lines).removesuffix(",")
