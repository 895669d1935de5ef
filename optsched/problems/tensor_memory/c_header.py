"""C headers of memory plans: macros, nothing else, under one prefix."""

from __future__ import annotations

import re
from collections.abc import Sequence


class Header:
    """A C header in the making; `name` becomes the prefix of its macros."""

    def __init__(self, name: str) -> None:
        word = _word(name)
        self.prefix = f"PLAN_{word}" if word[0].isdigit() else word
        self._lines: list[str] = []

    def define(self, name: str, value: object) -> None:
        """Add a macro."""
        self._lines.append(f"#define {self.prefix}_{name} {value}")

    def blank(self) -> None:
        """Add an empty line."""
        self._lines.append("")

    def text(self, title: str) -> str:
        """Return the header, with a comment at its top."""
        guard = f"{self.prefix}_PLAN_H"
        top = [f"/* {_comment(title)} */", f"#ifndef {guard}", f"#define {guard}", ""]
        return "\n".join([*top, *self._lines, "", "#endif", ""])


def identifiers(names: Sequence[str]) -> list[str]:
    """Return a part of a macro's name for each name, in capitals, no two alike."""
    used: set[str] = set()
    words = []
    for k, name in enumerate(names):
        word = _word(name)
        if word in used:  # two names that differ in signs or case alone
            word = f"{word}_{k}"
        while word in used:
            word += "_"
        used.add(word)
        words.append(word)
    return words


def _word(name: str) -> str:
    return (re.sub(r"[^0-9A-Za-z]+", "_", name).strip("_") or "X").upper()


def _comment(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text).replace("*/", "* /")
