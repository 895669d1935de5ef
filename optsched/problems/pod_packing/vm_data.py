"""Clusters of virtual machines: hosts with NUMA nodes, machines pinned to one of them or to all.

Machines become pods and NUMA nodes nodes, so that the same class, checker and searches serve.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from optsched.core import InputError
from optsched.numbers import integers, is_row, shown
from optsched.problems.pod_packing.problem import PodPacking

#: Topology key under which exclusion groups keep apart.
HOST = "host"


def from_vms(
    capacity: Any,
    request: Any,
    *,
    host: Any,
    numa: Any = None,
    spans: Any = None,
    exclusion: Any = (),
    migration_limit: Any = None,
    slot: Any = None,
    movable: Any = None,
    resources: Any = None,
    hosts: Any = None,
    vms: Any = None,
    name: str = "",
) -> PodPacking:
    """Return the rescheduling problem of a snapshot; see `PodPacking.from_vms`."""
    table = _capacity(capacity)
    n_hosts, n_numa, n_resources = table.shape
    count = len(request) if is_row(request) else 0
    at = integers(host, "host") if is_row(host) and len(host) else np.zeros(0, dtype=np.int64)
    node = np.zeros(count, dtype=np.int64) if numa is None else _flat(numa, count, "numa")
    if at.shape != (count,):
        raise InputError(f"host: expected a flat list of {count} numbers, one a machine")
    wide = np.zeros(count, dtype=bool) if spans is None else _flags(spans, count)
    for values, most, what in ((at, n_hosts, "host"), (node, n_numa, "NUMA node")):
        if (bad := np.flatnonzero((values < 0) | (values >= most))).size:
            vm = int(bad[0])
            raise InputError(f"machine {vm}: there is no {what} {values[vm]}")
    if resources is None and n_resources == 2:
        resources = ("cpu", "memory")
    names = None
    if hosts is not None:
        if not is_row(hosts) or len(hosts) != n_hosts or not all(isinstance(h, str) for h in hosts):
            raise InputError(f"hosts: expected {n_hosts} names")
        names = [f"{each}/{k}" for each in hosts for k in range(n_numa)]
    groups = _groups(exclusion, count)
    row = np.repeat(np.arange(n_hosts), n_numa)
    return PodPacking(
        table.reshape(-1, n_resources),
        request,
        current=at * n_numa + np.where(wide, 0, node),
        movable=movable,
        host=row,
        spans=wide,
        topology={HOST: row} if groups else None,
        terms=[
            {"kind": "anti_affinity", "key": HOST, "owners": each, "targets": each}
            for each in groups
        ],
        order="placement_only",
        then=("fragmentation",),
        slot=[16] + [0] * (n_resources - 1) if slot is None else slot,
        migration_limit=migration_limit,
        resources=resources,
        nodes=names,
        pods=vms,
        name=name,
    )  # fmt: skip


def _capacity(values: Any) -> Any:
    if not is_row(values) or not len(values):
        raise InputError("capacity: expected a table for each host")
    array = integers(values, "capacity")
    if array.ndim != 3 or 0 in array.shape:
        raise InputError(
            "capacity: expected for each host a row for each NUMA node, and there a number for "
            "each resource"
        )
    return array


def _flat(values: Any, count: int, what: str) -> Any:
    if not is_row(values) or len(values) != count:
        raise InputError(f"{what}: expected a flat list of {count} numbers, one a machine")
    array = integers(values, what) if count else np.zeros(0, dtype=np.int64)
    if array.ndim != 1:
        raise InputError(f"{what}: expected a flat list of {count} numbers, one a machine")
    return array


def _flags(values: Any, count: int) -> Any:
    if not is_row(values) or len(values) != count:
        raise InputError(f"spans: expected a list of {count} truth values")
    if not all(isinstance(value, bool | np.bool_) for value in values):
        raise InputError("spans: expected truth values")
    return np.array(values, dtype=bool)


def _groups(values: Any, count: int) -> list[Any]:
    if values is None:
        return []
    if not is_row(values):
        raise InputError("exclusion: expected a list of groups")
    found = []
    for k, group in enumerate(values):
        if not is_row(group):
            raise InputError(f"exclusion: group {k} is no list of machines: {shown(group)}")
        members = integers(group, f"exclusion: group {k}") if len(group) else np.zeros(0, int)
        if members.ndim != 1 or ((members < 0) | (members >= count)).any():
            raise InputError(f"exclusion: group {k} names a machine that is not there")
        if len(members) > 1:
            found.append(members)
    return found


# ---- the file format of VMR2L --------------------------------------------------------------------


def from_records(data: Any, *, migration_limit: Any = None, name: str = "") -> PodPacking:
    """Return the problem of a snapshot as the data of VMR2L are written.

    Parameters
    ----------
    data : mapping
        ``cluster_list`` with ``host_info`` (``node_id``, and for each NUMA node ``total_cpu`` and
        ``memory_huge_total_mb``), ``vm_instance`` (``instance_id``, ``host_id``, for each NUMA
        node in use ``node``, ``cpu`` and ``mem_mb``, and ``allow_migration``), and perhaps
        ``other_requirement`` with ``deployment_set``: sets of machines that share no host.
    migration_limit : int, optional
    name : str

    Raises
    ------
    InputError
        Naming the host or machine at fault.
    """
    clusters = _listed(data, "cluster_list", "snapshot")
    hosts: list[Mapping[str, Any]] = []
    vms: list[Mapping[str, Any]] = []
    sets: list[list[Any]] = []
    for k, cluster in enumerate(clusters):
        where = f"cluster {k}"
        hosts += _listed(cluster, "host_info", where)
        vms += _listed(cluster, "vm_instance", where)
        other = cluster.get("other_requirement") if isinstance(cluster, Mapping) else None
        if other:
            for each in _listed(other, "deployment_set", where):
                if _text(each, "granularity", where) != "host":
                    raise InputError(f"{where}: only deployment sets of granularity host are read")
                sets.append(list(_listed(each, "data", where, of=str)))
    number: dict[str, int] = {}
    capacity = []
    for each in hosts:
        label = _text(each, "node_id", "a host")
        if label in number:
            raise InputError(f"host {label} stands twice")
        number[label] = len(number)
        nodes = _listed(each, "numa", f"host {label}")
        capacity.append([[_number(n, "total_cpu", label), _number(n, "memory_huge_total_mb", label)]
                         for n in nodes])  # fmt: skip
    widths = {len(rows) for rows in capacity}
    if len(widths) != 1:
        raise InputError("the hosts have different numbers of NUMA nodes")
    return _machines(capacity, vms, number, sets, migration_limit, name)


def _machines(
    capacity: list[Any],
    vms: Sequence[Mapping[str, Any]],
    number: Mapping[str, int],
    sets: list[list[Any]],
    migration_limit: Any,
    name: str,
) -> PodPacking:
    request, host, numa, spans, movable = [], [], [], [], []
    index: dict[str, int] = {}
    width = len(capacity[0])
    for vm in vms:
        label = _text(vm, "instance_id", "a machine")
        if label in index:
            raise InputError(f"machine {label} stands twice")
        index[label] = len(index)
        at = _text(vm, "host_id", label)
        if at not in number:
            raise InputError(f"machine {label} runs on host {at}, which is not given")
        used = _listed(vm, "numa", f"machine {label}")
        rows = {(_number(n, "cpu", label), _number(n, "mem_mb", label)) for n in used}
        nodes = sorted(_number(n, "node", label) for n in used)
        if len(rows) != 1 or (len(nodes) > 1 and nodes != list(range(width))):
            raise InputError(f"machine {label}: it must be on one NUMA node, or evenly on all")
        request.append(list(rows.pop()))
        host.append(number[at])
        numa.append(nodes[0])
        spans.append(len(nodes) > 1)
        allowed = vm.get("allow_migration", True)
        if not isinstance(allowed, bool):
            raise InputError(f"machine {label}: allow_migration {shown(allowed)} is no truth value")
        movable.append(allowed)
    for group in sets:
        if unknown := [label for label in group if label not in index]:
            raise InputError(f"a deployment set names {shown(unknown[0])}, which is no machine")
    return from_vms(
        capacity, request, host=host, numa=numa, spans=spans, movable=movable,
        exclusion=[[index[label] for label in group] for group in sets],
        migration_limit=migration_limit, hosts=list(number), vms=list(index), name=name,
    )  # fmt: skip


def _listed(data: Any, key: str, where: str, of: type = Mapping) -> Sequence[Any]:
    if not isinstance(data, Mapping) or not isinstance(data.get(key), list):
        raise InputError(f"{where}: the list {key!r} is missing")
    for each in data[key]:
        if not isinstance(each, of):
            raise InputError(f"{where}: {key}: {shown(each)} is not understood")
    found: Sequence[Any] = data[key]
    return found


def _text(data: Mapping[str, Any], key: str, where: str) -> str:
    value = data.get(key)
    if not isinstance(value, str):
        raise InputError(f"{where}: {key} {shown(value)} is no text")
    return value


def _number(data: Mapping[str, Any], key: str, where: str) -> int:
    value = data.get(key)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InputError(f"{where}: {key} {shown(value)} is no whole number of at least 0")
    return value
