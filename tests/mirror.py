"""Where the mirror of the public instance collections stands, for the tests that read it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_NAMED = os.environ.get("OPTSCHED_DATASETS")
_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "datasets"
MIRROR = Path(_NAMED).resolve() if _NAMED else _BESIDE
COLLECTION = MIRROR / "ScheduleOpt" / "benchmarks"

needs_mirror = pytest.mark.skipif(
    not COLLECTION.is_dir(),
    reason="no mirror of the instance collections: OPTSCHED_DATASETS may name one",
)
