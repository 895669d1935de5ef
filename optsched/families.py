"""Which families and solvers there are, and which can express what.

A family is a folder of ``optsched.problems``; its modules are found by name.
"""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

from optsched.core import CannotExpressError, Problem
from optsched.solvers import MODULES

#: Solvers that are a module of the family itself.
OWN = {"native": "search", "heuristic": "heuristics"}


def solver_names() -> tuple[str, ...]:
    """Return the names that ``solver=`` takes."""
    return ("auto", *MODULES, *OWN)


def family_module(problem: Problem, name: str) -> ModuleType | None:
    """Return a module of the problem's family, or None when the family has none of that name."""
    path = f"optsched.problems.{problem.family}.{name}"
    if importlib.util.find_spec(path) is None:
        return None
    return importlib.import_module(path)


def solver_module(name: str) -> ModuleType:
    """Return the module of a solver of ``optsched.solvers``."""
    return importlib.import_module(MODULES[name])


def expressing(problem: Problem, name: str) -> ModuleType:
    """Return the family's module behind solver `name`; raise when it lacks a feature."""
    module = _module_behind(problem, name)
    missing = problem.features() - (module.SUPPORTS if module else frozenset())
    if module is not None and not missing:
        return module
    what = ", ".join(sorted(missing)) or "this family"
    able = [other for other in solver_names() if other != name and can_express(problem, other)]
    advice = f"solvers that can: {', '.join(able)}" if able else "no solver can express it yet"
    raise CannotExpressError(f"solver {name} cannot express {what}; {advice}")


def can_express(problem: Problem, name: str) -> bool:
    """Return whether solver `name` has a formulation of everything in `problem`."""
    if name == "auto":
        return False
    module = _module_behind(problem, name)
    return module is not None and problem.features() <= module.SUPPORTS


def _module_behind(problem: Problem, name: str) -> ModuleType | None:
    return family_module(problem, OWN[name] if name in OWN else solver_module(name).BACKEND)
