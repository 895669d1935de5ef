"""Instances as MiniZinc: the data of a reference model, or model and data in one file."""

from __future__ import annotations

import re

from optsched.core import InputError, Problem
from optsched.families import expressing
from optsched.solvers.dzn import assignments
from optsched.solvers.minizinc import Specification

#: Suffixes of MiniZinc: model and data, data alone.
SUFFIXES = (".mzn", ".dzn")


def minizinc_text(problem: Problem, suffix: str) -> str:
    """Return `problem` as the text of a MiniZinc file.

    Parameters
    ----------
    problem : Problem
        The instance.
    suffix : str
        ``".dzn"``: the data, for the reference model of the family in ``models/``; ``".mzn"``:
        that model followed by the data, which runs by itself.

    Raises
    ------
    CannotExpressError
        When the family has no reference model, or its model lacks a feature of the instance.
    InputError
        On another suffix, and on an instance that is too large for the model.
    """
    if suffix not in SUFFIXES:
        raise InputError(f"{suffix!r} is no suffix of MiniZinc: {', '.join(SUFFIXES)}")
    model: Specification = expressing(problem, "minizinc").build(problem).model
    path, data = model.path, model.data
    title = re.sub(r"[^\x20-\x7e]+", " ", problem.describe()).strip()
    lines = assignments(data)
    if suffix == ".dzn":
        return f"% {title}\n% Data of the model {path.name}.\n{lines}"
    return f"{path.read_text(encoding='utf-8')}\n% ---- {title}\n{lines}"
