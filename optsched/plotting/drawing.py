"""The picture of a solution that suits its family: a Gantt chart, a memory map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from optsched.core import Problem
from optsched.families import family_module
from optsched.plotting.schedule_chart import gantt


def draw(
    problem: Problem, solution: Any, path: str | Path | None = None, *, title: str | None = None
) -> Any:
    """Draw a solution in the way of its family.

    A family whose ``picture.py`` has a function ``draw`` of these arguments draws itself (memory
    maps); the others are drawn as Gantt charts.

    Parameters
    ----------
    problem : Problem
        The instance.
    solution : Solution
        A solution of it. An infeasible one is drawn too, and the picture says so.
    path : str or Path, optional
        Where to write: ``.png``, ``.svg`` and ``.pdf`` are static, ``.html`` is interactive and
        needs no network.
    title : str, optional
        Instead of the instance's name and objective.

    Returns
    -------
    matplotlib.figure.Figure or pathlib.Path
        The figure without `path`, and else the file that was written.

    Raises
    ------
    InputError
        When the solution does not fit the problem, the family has no picture, the suffix is
        unknown or the file cannot be written.
    MissingExtraError
        When matplotlib or plotly is not installed.
    """
    own = getattr(family_module(problem, "picture"), "draw", None)
    return (own or gantt)(problem, solution, path, title=title)
