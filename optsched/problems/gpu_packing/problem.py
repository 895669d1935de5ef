"""GPU packing: the data, its validation, and the entry points of checker and objective."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np

from optsched.core import BoolArray, InputError, IntArray, Number, Solution, Violation
from optsched.numbers import integers
from optsched.problems.gpu_packing import checker, validation
from optsched.problems.pod_packing.named import PodsOnNodes

#: Thousandths in a GPU, and GPUs of a node at most.
WHOLE, MOST_GPUS = 1000, 62


def _flat(values: Any, name: str) -> IntArray:
    given = values if len(values) or isinstance(values, np.ndarray) else np.zeros(0, np.int64)
    array = integers(given, f"solution: {name}")
    if array.ndim != 1:
        raise InputError(f"solution: {name} must be a flat list, one entry a pod")
    array = array.copy()
    array.flags.writeable = False
    return array


class GpuPackingSolution(Solution):
    """Where every pod runs, and on which GPUs of its node.

    Attributes
    ----------
    node : ndarray of int64, shape (n_pods,)
        Node of each pod, -1 where it is not placed.
    gpus : ndarray of int64, shape (n_pods,)
        The GPUs that it uses there as bits: 5 stands for the first and the third.
    """

    __slots__ = ("gpus", "node")

    def __init__(self, node: Any, gpus: Any) -> None:
        self.node = _flat(node, "node")
        self.gpus = _flat(gpus, "gpus")

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"node": [...], "gpus": [...]}``."""
        return {"node": self.node.tolist(), "gpus": self.gpus.tolist()}

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Inverse of `to_dict`."""
        known = ("node", "gpus")
        if not isinstance(data, Mapping) or not all(
            isinstance(data.get(key), list | np.ndarray) for key in known
        ):
            raise InputError("solution: expected an object with lists 'node' and 'gpus'")
        return cls(data["node"], data["gpus"])

    def __repr__(self) -> str:
        return f"GpuPackingSolution({len(self.node)} pods, {(self.node >= 0).sum()} placed)"


class GpuPacking(PodsOnNodes):
    """Pods that need GPUs or parts of one, to be packed onto the nodes of a cluster.

    A pod runs on one node or on none. It takes `count` GPUs of its node and the same share of
    each, beside other resources. A share of a GPU cannot be split over two, which fragments a
    cluster: the sum of what is free does not say what can be placed (Weng et al., "Beware of
    Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation Gradient Descent", 2023).
    The objective is the weight of the pods left out, by default their GPU demand in thousandths
    of a GPU, and 1 for a pod that needs none.

    Parameters
    ----------
    capacity : array of int, shape (n_nodes, n_resources)
        What each node can give besides GPUs.
    gpus : sequence of int, shape (n_nodes,)
        Number of GPUs of each node, at most 62.
    request : array of int, shape (n_pods, n_resources)
        What each pod needs besides GPUs.
    count : sequence of int, shape (n_pods,)
        Number of GPUs that it uses.
    share : sequence of int, shape (n_pods,)
        Thousandths that it needs of each of them, 1 to 1000; without meaning where `count` is 0.
    model : sequence of str, optional
        GPU model of each node; empty where it has none.
    wanted : sequence of str, optional
        GPU models on which each pod can run, separated by ``|``; empty: any.
    weight : sequence of int, optional
        Cost of leaving each pod out.
    resources, nodes, pods : sequence of str, optional
        Names, for people.
    name : str
        For people.

    Raises
    ------
    InputError
        Naming the pod or node, when the data are no instance.
    """

    family = "gpu_packing"
    solution_type = GpuPackingSolution

    gpus: IntArray
    count: IntArray
    share: IntArray
    weight: IntArray
    model: tuple[str, ...]
    wanted: tuple[str, ...]
    #: Which set of models (row) admits which model (column); the row and column of pods and nodes.
    admits: BoolArray
    pod_row: IntArray
    node_column: IntArray

    def __init__(
        self,
        capacity: Any,
        gpus: Any,
        request: Any,
        count: Any,
        share: Any,
        *,
        model: Any = None,
        wanted: Any = None,
        weight: Any = None,
        resources: Any = None,
        nodes: Any = None,
        pods: Any = None,
        name: str = "",
    ) -> None:
        values = self.__dict__
        values["name"] = str(name)
        for key, given in (("resources", resources), ("nodes", nodes), ("pods", pods)):
            values[key] = validation.names(given, None, key)
        node, pod, known = self.node_name, self.pod_name, values["resources"]
        values["capacity"] = validation.amounts(capacity, "capacity", node, known)
        values["request"] = validation.amounts(request, "request", pod, known)
        n_nodes, n_pods = len(values["capacity"]), len(values["request"])
        if n_nodes and n_pods and values["capacity"].shape[1] != values["request"].shape[1]:
            raise InputError("capacity and request have different numbers of resources")
        width = (values["capacity"] if n_nodes else values["request"]).shape[1]
        values["capacity"] = values["capacity"].reshape(n_nodes, width)
        values["request"] = values["request"].reshape(n_pods, width)
        validation.names(values["nodes"], n_nodes, "nodes")
        validation.names(values["pods"], n_pods, "pods")
        per = validation.per_item
        values["gpus"] = per(gpus, n_nodes, "gpus", 0, node, 0, MOST_GPUS)
        values["count"] = per(count, n_pods, "count", 0, pod, 0, MOST_GPUS)
        values["share"] = per(share, n_pods, "share", 0, pod, 0, WHOLE)
        users = values["count"] > 0
        if (bad := np.flatnonzero(users & (values["share"] == 0))).size:
            raise InputError(f"{pod(int(bad[0]))}: share 0 of a GPU is not between 1 and {WHOLE}")
        values["share"] = np.where(users, values["share"], 0)
        demand = values["count"] * values["share"]
        values["weight"] = (
            np.maximum(demand, 1)
            if weight is None
            else per(weight, n_pods, "weight", 1, pod, 0, 10**9)
        )
        self._models(model, wanted)
        self._freeze()

    def _models(self, model: Any, wanted: Any) -> None:
        values = self.__dict__
        n_nodes, n_pods = len(values["capacity"]), len(values["request"])
        for key, given, size in (("model", model, n_nodes), ("wanted", wanted, n_pods)):
            texts = validation.names(given, size, key, unique=False)
            values[key] = ("",) * size if texts is None else texts
        columns = {text: k for k, text in enumerate(dict.fromkeys(values["model"]))}
        rows = {text: k for k, text in enumerate(dict.fromkeys(values["wanted"]))}
        values["node_column"] = np.array([columns[m] for m in values["model"]], dtype=np.int64)
        values["pod_row"] = np.array([rows[m] for m in values["wanted"]], dtype=np.int64)
        values["admits"] = np.array(
            [[not text or m in text.split("|") for m in columns] for text in rows], dtype=bool
        ).reshape(len(rows), len(columns))

    @property
    def demand(self) -> IntArray:
        """GPU demand of each pod, in thousandths of a GPU; shape (n_pods,)."""
        return np.asarray(self.count * self.share)

    def features(self) -> frozenset[str]:
        """Return the features in use, by the names that solvers declare."""
        used = {
            "GPU models": not self.admits.all(),
            "several GPUs": bool((self.count > 1).any()),
            "shared GPUs": bool((self.demand % WHOLE).any()),
        }
        return frozenset(name for name, present in used.items() if present)

    def describe(self) -> str:
        """Return one line: name, size and what else there is."""
        name = f"{self.name}: " if self.name else ""
        extra = sorted(self.features())
        with_extra = f", with {', '.join(extra)}" if extra else ""
        return (
            f"{name}GPU packing, {self.n_nodes:,} nodes with {self.gpus.sum():,} GPUs, "
            f"{self.n_pods:,} pods that need {self.demand.sum() / WHOLE:,.3f}{with_extra}"
        )

    # ---- objective ---------------------------------------------------------------------------

    def check(self, solution: GpuPackingSolution) -> list[Violation]:
        """Return every violation of `solution`; an empty list means feasible."""
        return checker.check(self, solution)

    def objective(self, solution: GpuPackingSolution) -> Number:
        """Return the weight of the pods left out."""
        checker.require_shape(self, solution)
        return int(self.weight[solution.node < 0].sum())

    def placed_demand(self, solution: GpuPackingSolution) -> int:
        """Return the GPU demand that is placed, in thousandths of a GPU."""
        checker.require_shape(self, solution)
        return int(self.demand[solution.node >= 0].sum())

    # ---- files -------------------------------------------------------------------------------

    @classmethod
    def from_openb(cls, nodes: str | Path, pods: str | Path, name: str = "") -> GpuPacking:
        """Return the instance in two CSV files, of nodes and of pods.

        Parameters
        ----------
        nodes : str or path
            With the columns ``sn, cpu_milli, memory_mib, gpu, model``.
        pods : str or path
            With the columns ``name, cpu_milli, memory_mib, num_gpu, gpu_milli``, and ``gpu_spec``
            (GPU models, separated by ``|``) where there is one; others are passed over.
        name : str
            Default: the name of the file of pods.

        Raises
        ------
        InputError
            Naming file and line, when they are none.
        """
        from optsched.problems.gpu_packing.formats import read_openb_files

        return read_openb_files(nodes, pods, name)

    def to_dict(self) -> dict[str, Any]:
        """Return the instance as plain data; fields at their default are left out."""
        data: dict[str, Any] = {
            "optsched": "problem",
            "family": self.family,
            "name": self.name,
            "capacity": self.capacity.tolist(),
            "gpus": self.gpus.tolist(),
            "request": self.request.tolist(),
            "count": self.count.tolist(),
            "share": self.share.tolist(),
        }
        if (self.weight != np.maximum(self.demand, 1)).any():
            data["weight"] = self.weight.tolist()
        for key in ("model", "wanted"):
            if any(getattr(self, key)):
                data[key] = list(getattr(self, key))
        for key in ("resources", "nodes", "pods"):
            if getattr(self, key) is not None:
                data[key] = list(getattr(self, key))
        return data

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Inverse of `to_dict`."""
        return cls(**validation.constructor_arguments(data))
