"""The adapter of optsched's own solvers; hosted by `optsched.bench.host` like a peer's.

As with a peer, imports lie before the clock: the formulation of the campaign's families, and the
compiled kernels of their searches. MILP libraries, in processes of their own, count in the time.
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

# The runner names the campaign's families.
for _family in sys.argv[2:]:
    for _name in ("problem", "cpsat", "heuristics", "bounds", "search"):
        _path = f"optsched.problems.{_family}.{_name}"
        if importlib.util.find_spec(_path) is not None:
            _module = importlib.import_module(_path)
            if hasattr(_module, "warm_up"):
                _module.warm_up().join()  # no thread may be alive when a run is forked


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
