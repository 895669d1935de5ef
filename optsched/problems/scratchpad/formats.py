"""File formats of scratchpad schedules: JSON."""

from __future__ import annotations

from optsched.formats import json_format
from optsched.problems.scratchpad.problem import ScratchpadSchedule

FORMATS = (json_format(ScratchpadSchedule),)
