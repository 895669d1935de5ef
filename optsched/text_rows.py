"""Text files of whole numbers, a row a line: read in bulk, refused with the line at fault.

Nearly every instance format of scheduling is such a file. NumPy reads a million numbers in a few
hundredths of a second but cannot say what it stumbled over, so a file with anything unusual in it
is read again, token by token, to name the culprit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from optsched.core import MAX_TIME, InputError, IntArray
from optsched.numbers import shown

#: Blanks, tabs and carriage returns separate tokens; other white space is no part of these formats.
TOKEN = re.compile(r"[^ \t\r\n]+")
_INTEGER = re.compile(r"-?[0-9]+", re.ASCII)
#: More digits than 2^53 has; shorter tokens fit an int64.
_LONG = 17

#: Says in words where the next number of row ``row`` stands, given the row's numbers before it.
Describe = Callable[[int, list[int]], str]


@dataclass(frozen=True)
class Lines:
    """The lines of a file that carry data, with their numbers for people.

    Attributes
    ----------
    number : sequence of int
        Line numbers in the file, from 1.
    text : sequence of str
        The lines: no empty ones, no comments.
    """

    number: Sequence[int]
    text: Sequence[str]

    def after(self, count: int) -> Lines:
        """Return the lines behind the first `count`."""
        return Lines(self.number[count:], self.text[count:])

    @property
    def last(self) -> int:
        """Number of the last line, 1 when there is none."""
        return self.number[-1] if self.number else 1


def data_lines(text: str, comment: str = "#") -> Lines:
    """Return the lines of `text` that are neither empty nor comments (`comment` comes first)."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    kept = [
        (number, line)
        for number, line in enumerate(text.split("\n"), 1)
        if (stripped := line.strip(" \t")) and not stripped.startswith(comment)
    ]
    return Lines([number for number, _ in kept], [line for _, line in kept])


@dataclass(frozen=True)
class Rows:
    """The numbers of a file, row by row.

    Attributes
    ----------
    values : ndarray of int64, shape (n_values,)
        All numbers, none beyond 2^53 in absolute value.
    offset : ndarray of int64, shape (n_rows + 1,)
        Row ``r`` is ``values[offset[r] : offset[r + 1]]``.
    line : sequence of int
        The line number of each row, from 1.
    """

    values: IntArray
    offset: IntArray
    line: Sequence[int]

    @property
    def sizes(self) -> IntArray:
        """How many numbers each row has, shape (n_rows,)."""
        return np.diff(self.offset)

    def __len__(self) -> int:
        return len(self.line)

    def refuse(self, row: int, text: str) -> NoReturn:
        """Raise `InputError` with the line number of `row`."""
        raise InputError(f"line {self.line[row]}, {text}")


def integer_rows(lines: Lines, describe: Describe | None = None) -> Rows:
    """Return the whole numbers in `lines`.

    Parameters
    ----------
    lines : Lines
        What `data_lines` returned, or a part of it.
    describe : callable(row, numbers before) -> str, optional
        Where a bad token stands, such as ``"job 3, operation 2"``.

    Raises
    ------
    InputError
        Naming the line, when a token is no whole number or exceeds 2^53.
    """
    rows = _bulk(lines)
    return rows if rows is not None else _token_by_token(lines, describe)


def _bulk(lines: Lines) -> Rows | None:
    """Return the rows, or None when anything at all is unusual."""
    text = "\n".join(lines.text) + "\n"
    if not text.isascii():
        return None
    byte = np.frombuffer(text.encode("ascii"), dtype=np.uint8)
    newline = byte == 10
    blank = newline | (byte == 32) | (byte == 9)
    digit = (byte >= 48) & (byte <= 57)
    minus = byte == 45
    if not (blank | digit | minus).all():
        return None
    after_blank = np.concatenate(([True], blank[:-1]))
    first = np.flatnonzero(~blank & after_blank)
    end = np.flatnonzero(blank & ~after_blank)
    # A minus must open its token, and a digit must follow (the text ends in a newline).
    if (minus & ~after_blank).any() or not digit[np.flatnonzero(minus) + 1].all():
        return None
    if len(first) == 0 or (end - first).max() >= _LONG:
        return None
    values = np.fromstring(text, dtype=np.int64, sep=" ")
    if len(values) != len(first):
        return None
    offset = np.concatenate(([0], np.searchsorted(first, np.flatnonzero(newline))))
    return Rows(values, offset.astype(np.int64), lines.number)


def _token_by_token(lines: Lines, describe: Describe | None) -> Rows:
    values: list[int] = []
    offset = [0]
    for row, (number, line) in enumerate(zip(lines.number, lines.text, strict=True)):
        before: list[int] = []
        for token in TOKEN.findall(line):
            value = parse_integer(token)
            if isinstance(value, str):
                where = f"line {number}" + (f", {describe(row, before)}" if describe else "")
                raise InputError(f"{where}: {value}")
            before.append(value)
        values += before
        offset.append(len(values))
    return Rows(np.array(values, dtype=np.int64), np.array(offset, dtype=np.int64), lines.number)


def parse_integer(token: str) -> int | str:
    """Return the whole number that `token` is, or what is wrong with it."""
    if _INTEGER.fullmatch(token) is None:
        return f"{shown(token)} is not a whole number"
    digits = token.lstrip("-").lstrip("0") or "0"
    if len(digits) >= _LONG or int(digits) > MAX_TIME:
        return f"{shown(token)} exceeds 2^53"
    return -int(digits) if token.startswith("-") else int(digits)
