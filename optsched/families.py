"""Which families and solvers there are, and which can express what.

A family is a folder of ``optsched.problems``; its modules are found by name.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from optsched.core import CannotExpressError, InputError, Problem
from optsched.solvers import MODULES

#: Solvers that are a module of the family itself.
OWN = {
    "native": "search",
    "heuristic": "heuristics",
    "lns": "neighbourhoods",
    "rolling": "horizon",
}
#: Those of them that a generic search runs, see `optsched.decomposing`.
DECOMPOSING = ("lns", "rolling")


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


def check_options(
    name: str, variant: str, options: Mapping[str, Any], module: ModuleType | None = None
) -> None:
    """Raise `InputError` on options or a variant that solver `name` does not have.

    `module` is the family's, as `expressing` returns it; without it, what depends on the family is
    not looked at.
    """
    if name in MODULES:
        solver_module(name).check_options(options, variant)
        return
    if variant and not (name == "heuristic" and module is None):
        variants = getattr(module, "VARIANTS", {}) if name == "heuristic" else {}
        if variant not in variants:
            known = f": one of {', '.join(variants)}" if variants else ""
            raise InputError(f"solver {name} has no variant {variant!r}{known}")
    if name in DECOMPOSING:
        from optsched import decomposing  # imports a solver

        decomposing.check_options(name, options, module)
    elif options:
        raise InputError(f"solver {name} has no option {next(iter(options))!r}")


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
