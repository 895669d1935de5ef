"""Runs: what is to be run, and the key under which it counts as done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from optsched.bench.instances import Instance
from optsched.bench.suite import SolverSpec, Suite


@dataclass(frozen=True)
class Run:
    """One run: an instance, a solver configuration, a seed and limits."""

    instance: Instance
    solver: SolverSpec
    seed: int
    time_limit: float
    workers: int
    memory_limit: float | None
    grace: float

    def settings(self) -> dict[str, Any]:
        """Return everything that the key is made of."""
        return {
            "instance": [self.instance.name, self.instance.sha],
            "solver": self.solver.configuration(),
            "time_limit": self.time_limit,
            "workers": self.workers,
            "memory_limit": self.memory_limit,
            "seed": self.seed,
        }

    @property
    def key(self) -> str:
        """Hash of instance and configuration."""
        return key_of(self.settings())

    def job(self) -> dict[str, Any]:
        """Return what the adapter is given; see ``benchmarks/peers/README.md``."""
        return {
            "problem": self.instance.problem().to_dict(),
            "solver": self.solver.solver,
            "options": self.solver.options,
            "time_limit": self.time_limit,
            "workers": self.workers,
            "seed": self.seed,
        }

    def describe(self) -> str:
        """Return instance, solver and seed, for people."""
        return f"{self.instance.name} {self.solver.label} seed {self.seed}"


def key_of(settings: dict[str, Any]) -> str:
    """Return the key of a run from its settings, as the journal keeps them."""
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def runs(suite: Suite) -> Iterator[Run]:
    """Yield the runs of a suite; those that are compared follow one another in time."""
    for instance in suite.instances:
        for seed in suite.seeds:
            for solver in suite.solvers:
                yield Run(
                    instance, solver, seed, suite.time_limit, suite.workers,
                    suite.memory_limit, suite.grace,
                )  # fmt: skip
