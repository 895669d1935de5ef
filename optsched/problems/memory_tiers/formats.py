"""Files of memory tiers: JSON."""

from __future__ import annotations

from optsched.formats import Format, json_format
from optsched.problems.memory_tiers.problem import MemoryTiers

FORMATS: tuple[Format, ...] = (json_format(MemoryTiers),)
