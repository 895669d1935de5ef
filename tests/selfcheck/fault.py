"""Faults to break formulations, searches and bounds with, each by an edit of its source.

An edit names a function, a fragment of its source and what stands there instead. A fragment that
is no longer in the source is an error: the fault is then to be written anew.
"""

from __future__ import annotations
import __future__

import contextlib
import functools
import importlib
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FunctionType
from typing import Any


@dataclass(frozen=True)
class Fault:
    """A defect, and the way of solving that has it.

    Attributes
    ----------
    family, way : str
        The way is one of `optsched.selfcheck.ways`.
    name : str
        What is wrong, in words.
    target : str
        ``module:function`` below ``optsched.problems``; the function may be a method.
    change : callable(function) -> function
    """

    family: str
    way: str
    name: str
    target: str
    change: Callable[[FunctionType], Callable[..., Any]]

    def __str__(self) -> str:
        return f"{self.family}, {self.way}: {self.name}"

    @contextlib.contextmanager
    def injected(self) -> Iterator[None]:
        """Put the defect in, and take it out again."""
        path, _, qualified = self.target.partition(":")
        owner: Any = importlib.import_module(f"optsched.problems.{path}")
        *classes, name = qualified.split(".")
        for each in classes:
            owner = getattr(owner, each)
        sound = getattr(owner, name)
        broken = self.change(sound)
        # Functions are known by other modules, too; they are theirs by name.
        owners = [owner] if classes else [m for m in _ours() if vars(m).get(name) is sound]
        for each in owners:
            setattr(each, name, broken)
        try:
            yield
        finally:
            for each in owners:
                setattr(each, name, sound)


def _ours() -> list[Any]:
    return [m for name, m in list(sys.modules.items()) if name.startswith("optsched.")]


def edit(old: str, new: str) -> Callable[[FunctionType], Callable[..., Any]]:
    """Return a change of a fragment of source, which must be there once."""

    def change(function: FunctionType) -> Callable[..., Any]:
        source = textwrap.dedent(inspect.getsource(function))
        count = source.count(old)
        assert count == 1, f"{function.__qualname__} has the fragment {count} times: {old}"
        flags = __future__.annotations.compiler_flag
        scope: dict[str, Any] = {}
        code = compile(source.replace(old, new), f"<fault in {function.__qualname__}>", "exec",
                       flags=flags)  # fmt: skip
        exec(code, function.__globals__, scope)
        return scope[function.__name__]

    return change


def one_more(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of which the result is one too high."""

    @functools.wraps(function)
    def wrapped(*args: Any, **given: Any) -> Any:
        value = function(*args, **given)
        return None if value is None else value + 1

    return wrapped


def faults(
    family: str, way: str, module: str, rows: list[tuple[str, str, str, str]]
) -> list[Fault]:
    return [
        Fault(family, way, name, f"{family}.{module}:{function}", edit(old, new))
        for name, function, old, new in rows
    ]
