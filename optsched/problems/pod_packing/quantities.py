"""Kubernetes quantities (``100m``, ``1.5``, ``2Gi``, ``1e3``) as exact whole numbers."""

from __future__ import annotations

import functools
import re
from fractions import Fraction
from typing import Any

from optsched.core import MAX_TIME, InputError
from optsched.numbers import shown

_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?", re.ASCII)
_BINARY = {f"{prefix}i": 1024**k for k, prefix in enumerate("KMGTPE", 1)}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
#: Longest quantity, and greatest exponent in it: more is a mistake or an attack.
MOST_DIGITS, MOST_EXPONENT = 64, 30


def quantity(value: Any, where: str, *, scale: int = 1) -> int:
    """Return a quantity as a whole number of ``1/scale`` units, rounded up.

    Parameters
    ----------
    value : str or int or float
        What stands in the JSON; the API server writes text, people also numbers.
    where : str
        What it is, for the message.
    scale : int
        1000 gives millicores of a cpu quantity.

    Raises
    ------
    InputError
        On an unknown unit, a negative amount, or one beyond 2^53 in the unit chosen.
    """
    text = repr(value) if type(value) in (int, float) else value
    if not isinstance(text, str):
        raise InputError(f"{where}: {shown(value)} is no quantity")
    whole = _parsed(text, scale)
    if isinstance(whole, str):
        raise InputError(f"{where}: {shown(text)}{whole}")
    return whole


@functools.lru_cache(maxsize=4096)
def _parsed(text: str, scale: int) -> int | str:
    """Return the number, or what is wrong: the same quantities stand in thousands of pods."""
    match = _QUANTITY.fullmatch(text) if len(text) <= MOST_DIGITS else None
    if match is None:
        return " is no quantity (such as 100m, 1.5, 2Gi or 1e3)"
    amount = Fraction(match[1].removesuffix("."))
    suffix = match[2] or ""
    if suffix in _BINARY:
        amount *= _BINARY[suffix]
    elif suffix in _DECIMAL:
        amount *= Fraction(10) ** _DECIMAL[suffix]
    else:
        exponent = int(suffix[1:])
        if abs(exponent) > MOST_EXPONENT:
            return ": the exponent is out of range"
        amount *= Fraction(10) ** exponent
    if amount < 0:
        return " is negative"
    amount *= scale
    whole = -(-amount.numerator // amount.denominator)
    return " is too large" if whole > MAX_TIME else whole
