"""The files that a solve on the command line leaves behind: result, plan, pictures."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optsched.core import InputError, Problem
from optsched.families import family_module
from optsched.result import Result


@dataclass(frozen=True, slots=True)
class Outputs:
    """What is to be written, as the command line names it.

    Attributes
    ----------
    json : str or None
        The whole result; ``"-"`` is standard output.
    plan : Path or None
        The solution in a form of its family's, by the suffix.
    picture, convergence : Path or None
        Pictures of the solution and of the trace.
    """

    json: str | None
    plan: Path | None
    picture: Path | None
    convergence: Path | None

    def check_paths(self) -> None:
        """Raise `InputError` on what cannot be written, before the time is spent."""
        for path in (self.picture, self.convergence):
            if path is not None:
                from optsched.plotting import check_path

                check_path(path)
        for name, file in (("--json", self.json), ("--out", self.plan)):
            if file not in (None, "-") and not Path(str(file)).absolute().parent.is_dir():
                raise InputError(f"{name}: there is no folder {Path(str(file)).parent}")

    def check_family(self, problem: Problem) -> None:
        """Raise `InputError` on a picture or a plan that this problem cannot have."""
        if self.plan is not None:
            _plan_writer(problem, self.plan)
            check_plan = getattr(family_module(problem, "commands"), "check_plan", None)
            if check_plan is not None:
                check_plan(problem, self.plan)
        if self.picture is not None and family_module(problem, "picture") is None:
            raise InputError(f"--picture {self.picture}: a {problem.family} has no picture")

    def write(self, result: Result) -> list[Path]:
        """Write what there is to write; return the files."""
        written = []
        if self.json == "-":
            sys.stdout.write(result.to_json() + "\n")
        elif self.json is not None:
            guard(self.json, lambda: result.to_json(self.json))
            written.append(Path(self.json))
        solution = result.solution
        # Pictures come last: the plan is not lost where one cannot be drawn.
        if self.plan is not None and solution is not None:
            write_plan = _plan_writer(result.problem, self.plan)
            guard(self.plan, lambda: write_plan(solution))
            written.append(self.plan)
        if self.picture is not None and solution is not None:
            from optsched import plotting

            plotting.draw(result.problem, solution, self.picture)
            written.append(self.picture)
        if self.convergence is not None and result.trace:
            from optsched import plotting

            plotting.convergence(result, self.convergence)
            written.append(self.convergence)
        return written


def figures(result: Result) -> str:
    """Return the line of figures that a family with memory maps gives; empty for others."""
    summary = getattr(family_module(result.problem, "picture"), "summary", None)
    return "" if summary is None else f"{summary(result.problem, result.solution)}\n"


def guard(path: str | Path, write: Callable[[], object]) -> None:
    """Call `write`; raise `InputError` with the path where the system refuses."""
    try:
        write()
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error


def _plan_writer(problem: Problem, path: Path) -> Callable[[Any], object]:
    """Return what writes a solution to `path`; refuse an unknown suffix."""
    writers = getattr(family_module(problem, "formats"), "PLANS", {})
    suffix = path.suffix.lower()
    if suffix == ".json" and suffix not in writers:
        return lambda solution: solution.to_json(path)
    if suffix not in writers:
        known = ", ".join(dict.fromkeys([*writers, ".json"]))
        raise InputError(f"--out {path}: unknown suffix; a {problem.family} is written as {known}")
    return lambda solution: path.write_text(writers[suffix](problem, solution), encoding="utf-8")
