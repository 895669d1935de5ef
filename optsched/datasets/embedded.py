"""Instances that need no download: a few classics as numbers, and Taillard's from their seeds."""

from __future__ import annotations

import functools
import json
import re
from importlib import resources
from typing import Any

from optsched.core import Problem
from optsched.datasets.registry import Entry


def how(entry: Entry) -> str:
    """Return how the package itself provides an instance; empty when it does not."""
    if entry.dataset != "jsplib":
        return ""
    if re.fullmatch(r"ta[0-9]{2}", entry.name):
        return "generated from Taillard's published seeds"
    return "embedded in the package" if entry.name in _classics() else ""


def provide(entry: Entry) -> Problem | None:
    """Return the instance, or None when the package does not hold it."""
    if not how(entry):
        return None
    if entry.name not in _classics():
        from optsched.datasets.taillard import instance

        return instance(int(entry.name[2:]))
    from optsched.problems.job_shop.problem import JobShop

    jobs = [list(zip(row[::2], row[1::2], strict=True)) for row in _classics()[entry.name]]
    return JobShop(jobs, name=entry.name)


@functools.cache
def _classics() -> dict[str, Any]:
    file = resources.files(__package__) / "data" / "embedded.json"
    data: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return data
