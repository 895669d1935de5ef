"""Readers and writers: JSON, ``kubectl get -o json``, the snapshots of VMR2L, and plans."""

from __future__ import annotations

import re
from typing import Any

from optsched.formats import Format, json_format, parse_json
from optsched.problems.pod_packing.problem import PodPacking

#: Every object of Kubernetes names its API's version at the top or soon after.
_KUBERNETES = re.compile(r'"apiVersion"\s*:\s*"')
_RECORDS = re.compile(r'\s*\{\s*"cluster_list"\s*:')


def _read_cluster(
    text: str, name: str, *, assume_ignored: Any = (), overcommitted: str = "repair"
) -> PodPacking:
    from optsched.problems.pod_packing.kubernetes import from_text

    return from_text(text, assume_ignored=assume_ignored, overcommitted=overcommitted, name=name)


def _read_records(text: str, name: str) -> PodPacking:
    from optsched.problems.pod_packing.vm_data import from_records

    return from_records(parse_json(text), name=name)


FORMATS: tuple[Format, ...] = (
    json_format(PodPacking),
    Format(
        name="Kubernetes",
        suffixes=(),
        description="nodes, pods and what else kubectl get -A -o json writes of a cluster",
        sniff=lambda text: _KUBERNETES.search(text, 0, 4096) is not None,
        read=_read_cluster,
        options=("assume_ignored", "overcommitted"),
    ),
    Format(
        name="VMR2L",
        suffixes=(),
        description="hosts with NUMA nodes and virtual machines: cluster_list",
        sniff=lambda text: _RECORDS.match(text) is not None,
        read=_read_records,
    ),
)

#: How a plan is written, by suffix: text of (problem, solution).
PLANS = {
    ".json": lambda problem, solution: problem.plan(solution).to_json() + "\n",
    ".sh": lambda problem, solution: problem.plan(solution).script(),
    ".diff": lambda problem, solution: problem.plan(solution).diff(),
}
