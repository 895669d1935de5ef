"""Readers and writers: JSON. What ``kubectl`` writes is read by `PodPacking.from_kubernetes`."""

from __future__ import annotations

from optsched.formats import Format, json_format
from optsched.problems.pod_packing.problem import PodPacking

FORMATS: tuple[Format, ...] = (json_format(PodPacking),)
