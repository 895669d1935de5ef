"""The adapter of optsched's own solvers; hosted by `optsched.bench.host` like a peer's.

What a solver imports beyond this on its first use (compiled kernels, MILP libraries) counts in
its time.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from typing import Any

import ortools.sat.python.cp_model  # noqa: F401 -- imported once for all runs

from optsched.bench.instances import problem_type
from optsched.result import Event
from optsched.solving import solve

# What every solve of the campaign's families needs; the runner names them.
for _family in sys.argv[2:]:
    for _name in ("problem", "cpsat", "heuristics"):
        _path = f"optsched.problems.{_family}.{_name}"
        if importlib.util.find_spec(_path) is not None:
            importlib.import_module(_path)


def run(job: dict[str, Any], emit: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Solve one instance; see ``benchmarks/peers/README.md`` for job and answer."""
    problem = problem_type(job["problem"]["family"]).from_dict(job["problem"])

    def on_event(event: Event) -> None:
        emit(event.to_dict())

    result = solve(
        problem,
        job["solver"],
        time_limit=job["time_limit"],
        workers=job["workers"],
        seed=job["seed"],
        options=job["options"],
        on_event=on_event,
    )
    return result.to_dict()
