"""From what a person writes as numbers to checked integer arrays; shared by all families."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from optsched.core import MAX_TIME, InputError, IntArray


def is_row(values: Any) -> bool:
    """Return whether `values` is a list of things: a sequence, but no text and no mapping."""
    if isinstance(values, np.ndarray):
        return values.ndim > 0
    return isinstance(values, Sequence) and not isinstance(values, str | bytes)


def integers(values: Any, where: str, name: Callable[[int], str] | None = None) -> IntArray:
    """Return `values` as an int64 array; raise `InputError` on anything that is no integer.

    Parameters
    ----------
    values : array or nested list
        Whole numbers of at most 2^53 in magnitude; floats must be whole, bools are refused.
    where : str
        What the values are, for the message.
    name : callable(index) -> str, optional
        Names one value of a flat list, for the message.
    """
    try:
        array = np.asarray(values)
    except (ValueError, TypeError, OverflowError) as error:
        if name is not None and is_row(values):  # nested in places: say where
            for k, value in enumerate(values):
                integer(value, name(k))
        raise InputError(f"{where}: expected whole numbers in a regular list") from error
    if array.ndim == 0:
        raise InputError(f"{where}: expected a list, not {values!r}")
    if array.size == 0:
        return array.astype(np.int64)
    if array.dtype.kind in "iu" and not has_bool(values):
        large = array > MAX_TIME
        if array.dtype.kind == "i":
            large |= array < -MAX_TIME
        if not large.any():
            return array.astype(np.int64)
    elif array.dtype.kind == "f" and np.isfinite(array).all():
        whole = (array == np.floor(array)) & (np.abs(array) <= MAX_TIME)
        if whole.all() and not has_bool(values):
            return array.astype(np.int64)
    # Something is wrong, or the values are objects: look at them one by one.
    original = array if isinstance(values, np.ndarray) else np.array(values, dtype=object)
    if original.shape != array.shape:
        raise InputError(f"{where}: expected whole numbers in a regular list")
    flat = [
        integer(value, name(k) if name is not None and array.ndim == 1 else where)
        for k, value in enumerate(original.flat)
    ]
    return np.array(flat, dtype=np.int64).reshape(array.shape)


def has_bool(values: Any) -> bool:
    """Return whether nested lists hold a bool, which NumPy would take for a number."""
    if isinstance(values, np.ndarray):
        return False  # its dtype tells
    if not is_row(values):
        return isinstance(values, bool | np.bool_)
    types = set(map(type, values))
    if bool in types or np.bool_ in types:
        return True
    if types <= {int, float}:
        return False
    return any(has_bool(value) for value in values)


def integer(value: Any, where: str) -> int:
    """Return `value` as an int below 2^53; raise `InputError` on anything else."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        value = int(value)
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise InputError(f"{where}: {shown(value)} is not a whole number")
    if abs(int(value)) > MAX_TIME:
        raise InputError(f"{where}: {shown(value)} exceeds 2^53")
    return int(value)


def shown(value: Any) -> str:
    """Return `value` for an error message: one line, and short whatever a file or person wrote."""
    if isinstance(value, np.number):
        value = value.item()
    if isinstance(value, int) and abs(value) > 10**30:
        return "a number of more than 30 digits"
    text = ascii(value)
    closing = text[0] if text[0] in "'\"" else ""
    return text if len(text) <= 40 else f"{text[:36]}...{closing}"


def require_least(*rows: tuple[float, float, str]) -> None:
    """Raise `InputError` at the first of the rows ``(value, least, what)`` that is less."""
    for value, least, what in rows:
        if value < least:
            raise InputError(f"{what} {value} is less than {least}")
