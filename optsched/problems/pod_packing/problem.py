"""Pod packing: the data, its validation, and the entry points of checker and objective."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from optsched.core import (
    MAX_TIME,
    BoolArray,
    InputError,
    IntArray,
    Number,
    Problem,
    Solution,
    Violation,
)
from optsched.numbers import integers, shown
from optsched.problems.pod_packing import checker, validation
from optsched.problems.pod_packing.terms import Budget, Term, read_budgets, read_terms

if TYPE_CHECKING:
    from optsched.problems.pod_packing.explain import Explanation
    from optsched.problems.pod_packing.plan import Plan

#: ``interleaved``: pods placed and disruption of the highest tier, then of the next, and so on.
ORDERS = ("interleaved", "placement_first")


class PodPackingSolution(Solution):
    """Where every pod runs.

    Attributes
    ----------
    node : ndarray of int64, shape (n_pods,)
        Node of each pod, -1 where it is not placed.
    """

    __slots__ = ("node",)

    def __init__(self, node: Any) -> None:
        values = node if len(node) or isinstance(node, np.ndarray) else np.zeros(0, dtype=np.int64)
        self.node = integers(values, "solution: node")
        if self.node.ndim != 1:
            raise InputError("solution: node must be a flat list, one entry a pod")
        self.node = self.node.copy()
        self.node.flags.writeable = False

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"node": [...]}``."""
        return {"node": self.node.tolist()}

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Inverse of `to_dict`."""
        if not isinstance(data, Mapping) or not isinstance(data.get("node"), list | np.ndarray):
            raise InputError("solution: expected an object with a list 'node'")
        return cls(data["node"])

    def __repr__(self) -> str:
        return f"PodPackingSolution({len(self.node)} pods, {(self.node >= 0).sum()} placed)"


@dataclass(frozen=True, slots=True)
class Level:
    """One level of the lexicographic objective, all minimised.

    Attributes
    ----------
    goal : str
        ``"unplaced"`` (pods left out) or ``"disruption"`` (2 a move, 1 an eviction).
    priority : int
        Priority of the tier's pods.
    value : int or None
        In the solution; None without one.
    bound : int or None
        Proven lower bound, given that all levels before take their (proven) values; None where a
        level before is not proven.
    """

    goal: str
    priority: int
    value: int | None
    bound: int | None

    @property
    def proven(self) -> bool:
        """Whether the value is proven optimal, as are those of all levels before."""
        return self.value is not None and self.value == self.bound


class PodPacking(Problem):
    """Pods with requests and priorities, to be packed onto the nodes of a cluster.

    Amounts are whole numbers in a unit of each resource (millicores, bytes, pieces). A pod runs
    on one node or on none. The objective is lexicographic, tier by tier from the highest priority:
    first as few pods as possible left out, then as little disruption as possible, where a pod that
    runs costs 2 when it moves and 1 when it is evicted (Christensen, Giallorenzo and Mauro,
    "Priority Matters", 2025).

    Parameters
    ----------
    capacity : array of int, shape (n_nodes, n_resources)
        What each node can give. On a node whose immovable pods need more than that, what they
        need counts as its capacity.
    request : array of int, shape (n_pods, n_resources)
        What each pod needs.
    priority : sequence of int, shape (n_pods,), optional
        Higher is more important (default 0).
    current : sequence of int, shape (n_pods,), optional
        Node on which each pod runs, -1 where it is pending (default).
    movable : sequence of bool, shape (n_pods,), optional
        False: the pod must stay (default True).
    never_preempts : sequence of bool, shape (n_pods,), optional
        True: the pod is not placed anew on a node from which a running pod of lower priority is
        evicted (default False).
    pod_class, node_class : sequence of int, optional
        Classes for `eligible` (default 0).
    eligible : array of bool, shape (n_pod_classes, n_node_classes), optional
        Where pods may be placed anew; they may stay wherever they run.
    tokens : mapping of str to sequence of int, optional
        Exclusive tokens, such as host ports, and the pods that hold them: one such pod a node.
    topology : mapping of str to sequence of int, shape (n_nodes,), optional
        Topology keys, and the domain of each node, -1 where it has none.
    terms : sequence of Term or mapping, optional
        Affinity, anti-affinity and spread; see `Term`.
    budgets : sequence of Budget or mapping, optional
        Disruption budgets: at most `allowed` running pods of each are evicted without being placed
        elsewhere, and where `allowed` is 0 all of them stay.
    resources, nodes, pods : sequence of str, optional
        Names, for people.
    versions, owners : sequence of str, optional
        Resource version of each pod, and its controller as ``Kind/name``, for plans.
    order : str
        ``"interleaved"``, or ``"placement_first"``: all tiers' placement before any disruption.
    name : str
        For people.

    Raises
    ------
    InputError
        Naming the pod or node, when the data are no instance.
    """

    family = "pod_packing"
    solution_type = PodPackingSolution

    capacity: IntArray
    request: IntArray
    priority: IntArray
    current: IntArray
    movable: BoolArray
    never_preempts: BoolArray
    pod_class: IntArray
    node_class: IntArray
    eligible: BoolArray
    token_names: tuple[str, ...]
    token_pairs: IntArray
    topology_keys: tuple[str, ...]
    topology: IntArray
    terms: tuple[Term, ...]
    budgets: tuple[Budget, ...]
    resources: tuple[str, ...] | None
    nodes: tuple[str, ...] | None
    pods: tuple[str, ...] | None
    versions: tuple[str, ...] | None
    owners: tuple[str, ...] | None
    order: str
    #: Priorities from the highest, and the index of each pod's tier among them.
    tiers: IntArray
    tier: IntArray

    def __init__(
        self,
        capacity: Any,
        request: Any,
        *,
        priority: Any = None,
        current: Any = None,
        movable: Any = None,
        never_preempts: Any = None,
        pod_class: Any = None,
        node_class: Any = None,
        eligible: Any = None,
        tokens: Any = None,
        topology: Any = None,
        terms: Any = None,
        budgets: Any = None,
        resources: Any = None,
        nodes: Any = None,
        pods: Any = None,
        versions: Any = None,
        owners: Any = None,
        order: str = "interleaved",
        name: str = "",
    ) -> None:
        if order not in ORDERS:
            raise InputError(f"unknown order {shown(order)}: one of {', '.join(ORDERS)}")
        values = self.__dict__
        values["name"] = str(name)
        values["order"] = order
        values["resources"] = validation.names(resources, None, "resources")
        values["nodes"] = validation.names(nodes, None, "nodes")
        values["pods"] = validation.names(pods, None, "pods")
        values["capacity"] = validation.amounts(
            capacity, "capacity", self.node_name, values["resources"]
        )
        values["request"] = validation.amounts(
            request, "request", self.pod_name, values["resources"]
        )
        n_nodes, n_pods = len(values["capacity"]), len(values["request"])
        if n_nodes and n_pods and values["capacity"].shape[1] != values["request"].shape[1]:
            raise InputError("capacity and request have different numbers of resources")
        validation.names(values["nodes"], n_nodes, "nodes")
        validation.names(values["pods"], n_pods, "pods")
        for key, texts in (("versions", versions), ("owners", owners)):
            values[key] = validation.names(texts, n_pods, key, unique=False)
        self._per_item(priority, current, movable, never_preempts, pod_class, node_class, eligible)
        values["token_names"], values["token_pairs"] = validation.tokens(
            tokens, n_pods, self.pod_name
        )
        values["topology_keys"], values["topology"] = validation.topology(topology, n_nodes)
        values["terms"] = read_terms(terms, n_pods, n_nodes, values["topology_keys"])
        values["budgets"] = read_budgets(budgets, n_pods)
        validation.consistent(values, self.pod_name)
        tiers, inverse = np.unique(-values["priority"], return_inverse=True)
        values["tiers"], values["tier"] = -tiers, inverse.astype(np.int64).reshape(-1)
        for key, value in values.items():
            if isinstance(value, np.ndarray):
                # A view would let the caller's own array change under the problem.
                values[key] = value = value.copy()
                value.flags.writeable = False

    def _per_item(
        self,
        priority: Any,
        current: Any,
        movable: Any,
        never_preempts: Any,
        pod_class: Any,
        node_class: Any,
        eligible: Any,
    ) -> None:
        values = self.__dict__
        n_nodes, n_pods = len(values["capacity"]), len(values["request"])
        pod, node = self.pod_name, self.node_name
        per = validation.per_item
        values["priority"] = per(priority, n_pods, "priority", 0, pod, -MAX_TIME, MAX_TIME)
        values["current"] = per(current, n_pods, "current node", -1, pod, -1, n_nodes - 1)
        values["movable"] = validation.flags(movable, n_pods, "movable", True, pod)
        values["never_preempts"] = validation.flags(
            never_preempts, n_pods, "never_preempts", False, pod
        )
        values["pod_class"] = per(pod_class, n_pods, "class", 0, pod, 0, n_pods)
        values["node_class"] = per(node_class, n_nodes, "class", 0, node, 0, n_nodes)
        values["eligible"] = validation.eligibility(
            eligible,
            int(values["pod_class"].max(initial=0)) + 1,
            int(values["node_class"].max(initial=0)) + 1,
        )

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a PodPacking is frozen: {name} cannot be set")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PodPacking):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"PodPacking({self.describe()})"

    @property
    def n_pods(self) -> int:
        """Number of pods."""
        return len(self.request)

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return len(self.capacity)

    def pod_name(self, pod: int) -> str:
        """Return a pod's name for messages."""
        return f"pod {pod}" if self.pods is None or pod >= len(self.pods) else self.pods[pod]

    def node_name(self, node: int) -> str:
        """Return a node's name for messages."""
        return f"node {node}" if self.nodes is None or node >= len(self.nodes) else self.nodes[node]

    def resource_name(self, resource: int) -> str:
        """Return a resource's name for messages."""
        return f"resource {resource}" if self.resources is None else self.resources[resource]

    def features(self) -> frozenset[str]:
        """Return the features in use, by the names that solvers declare."""
        used = {
            "eligibility": not self.eligible.all(),
            "immovable pods": not self.movable.all(),
            "never preempting": bool(self.never_preempts.any()),
            "exclusive tokens": bool(len(self.token_pairs)),
            "disruption budgets": bool(self.budgets),
            "order placement first": self.order == "placement_first",
        } | {term.kind.replace("_", "-"): True for term in self.terms}
        return frozenset(name for name, present in used.items() if present)

    def describe(self) -> str:
        """Return one line: name, size and what else there is."""
        name = f"{self.name}: " if self.name else ""
        extra = sorted(self.features())
        with_extra = f", with {', '.join(extra)}" if extra else ""
        pending = int((self.current < 0).sum())
        return (
            f"{name}pod packing, {self.n_nodes:,} nodes, {self.n_pods:,} pods ({pending:,} pending)"
            f", {len(self.tiers)} priorities{with_extra}"
        )

    # ---- objective ---------------------------------------------------------------------------

    def incoming(self) -> PodPackingSolution:
        """Return the state as it is, with every pod where it runs; `check` tells if it is valid."""
        return PodPackingSolution(self.current)

    def level_keys(self) -> list[tuple[str, int]]:
        """Return the levels in order: ``("unplaced" or "disruption", tier)``."""
        tiers = range(len(self.tiers))
        goals = ("unplaced", "disruption")
        if self.order == "interleaved":
            return [(goal, tier) for tier in tiers for goal in goals]
        return [(goal, tier) for goal in goals for tier in tiers]

    def level_most(self) -> list[int]:
        """Return the greatest value that each level can take."""
        count = np.bincount(self.tier, minlength=len(self.tiers)).tolist()
        running = np.bincount(self.tier[self.current >= 0], minlength=len(self.tiers)).tolist()
        return [
            count[tier] if goal == "unplaced" else 2 * running[tier]
            for goal, tier in self.level_keys()
        ]

    def levels(self, solution: PodPackingSolution) -> list[int]:
        """Return the value of every level, in the order of `level_keys`."""
        return checker.levels(self, solution)

    def weigh(self, levels: list[int]) -> int:
        """Return levels as one number: mixed radix, so that it orders as the levels do."""
        total = 0
        for value, most in zip(levels, self.level_most(), strict=True):
            total = total * (most + 1) + value
        return total

    def digits(self, total: int) -> list[int]:
        """Inverse of `weigh`, for numbers from 0 to the greatest."""
        found = []
        for most in reversed(self.level_most()):
            total, digit = divmod(total, most + 1)
            found.append(digit)
        return found[::-1]

    def report(self, result: Any) -> list[Level]:
        """Return value, bound and proof of each level of a `Result` (or of anything like it)."""
        keys = self.level_keys()
        values = None if result.solution is None else self.levels(result.solution)
        bounds = None if result.bound is None else self.digits(int(result.bound))
        rows, open_ = [], bounds is None
        for k, (goal, tier) in enumerate(keys):
            value = None if values is None else values[k]
            bound = None if open_ or bounds is None else bounds[k]
            rows.append(Level(goal, int(self.tiers[tier]), value, bound))
            open_ = open_ or value != bound
        return rows

    def check(self, solution: PodPackingSolution) -> list[Violation]:
        """Return every violation of `solution`; an empty list means feasible."""
        return checker.check(self, solution)

    def objective(self, solution: PodPackingSolution) -> Number:
        """Return the levels as one exact integer (see `weigh`), computed from the solution."""
        return self.weigh(checker.levels(self, solution))

    def plan(self, solution: PodPackingSolution) -> Plan:
        """Return the waves of steps that lead from the state as it is to `solution`.

        Raises
        ------
        InputError
            When `solution` is not feasible.
        """
        from optsched.problems.pod_packing.plan import plan

        if violations := self.check(solution):
            raise InputError(f"plan: not a solution of this instance: {violations[0]}")
        return plan(self, solution)

    def explain(self, solution: PodPackingSolution) -> list[Explanation]:
        """Return why each pod that `solution` leaves out is left out.

        Raises
        ------
        InputError
            When `solution` is not feasible.
        """
        from optsched.problems.pod_packing.explain import explain

        return explain(self, solution)

    @classmethod
    def from_kubernetes(
        cls,
        *sources: Any,
        assume_ignored: Iterable[str] = (),
        overcommitted: str = "repair",
        order: str = "interleaved",
        name: str = "",
    ) -> PodPacking:
        """Return the problem of a cluster, as ``kubectl get ... -A -o json`` writes it.

        Parameters
        ----------
        *sources : str or Path or file or mapping
            Files (``"-"``: standard input) with nodes and pods, and as far as there are any
            PodDisruptionBudgets, PriorityClasses, PersistentVolumes, PersistentVolumeClaims and
            Namespaces; a List or single objects, in one file or several.
        assume_ignored : iterable of str
            Constraints that are not understood and may be left out: ``"resourceClaims"``,
            ``"volumes"``, ``"namespaceSelector"``, ``"kinds"`` (objects of other kinds).
        overcommitted : str
            A node whose pods need more than it has: ``"repair"`` (evict some) or ``"refuse"``.
        order, name : str
            See `PodPacking`.

        Raises
        ------
        InputError
            Naming the object, on bad JSON, unknown units, negative requests, unknown nodes, and
            hard constraints that are not understood.
        """
        from optsched.problems.pod_packing.kubernetes import from_kubernetes

        return from_kubernetes(
            sources,
            assume_ignored=assume_ignored,
            overcommitted=overcommitted,
            order=order,
            name=name,
        )

    # ---- files -------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return the instance as plain data; fields at their default are left out."""
        data: dict[str, Any] = {
            "optsched": "problem",
            "family": self.family,
            "name": self.name,
            "capacity": self.capacity.tolist(),
            "request": self.request.tolist(),
        }
        for key, default in (("priority", 0), ("current", -1), ("pod_class", 0), ("node_class", 0)):
            array = getattr(self, key)
            if (array != default).any():
                data[key] = array.tolist()
        if not self.movable.all():
            data["movable"] = {"except": np.flatnonzero(~self.movable).tolist()}
        if self.never_preempts.any():
            data["never_preempts"] = {"except": np.flatnonzero(self.never_preempts).tolist()}
        if not self.eligible.all():
            data["eligible"] = self.eligible.tolist()
        if self.token_names:
            pods, token = self.token_pairs.T
            data["tokens"] = {
                name: pods[token == k].tolist() for k, name in enumerate(self.token_names)
            }
        if self.topology_keys:
            data["topology"] = dict(zip(self.topology_keys, self.topology.tolist(), strict=True))
        if self.terms:
            data["terms"] = [term.to_dict() for term in self.terms]
        if self.budgets:
            data["budgets"] = [budget.to_dict() for budget in self.budgets]
        for key in ("resources", "nodes", "pods", "versions", "owners"):
            if getattr(self, key) is not None:
                data[key] = list(getattr(self, key))
        if self.order != "interleaved":
            data["order"] = self.order
        return data

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Inverse of `to_dict`."""
        return cls(**validation.constructor_arguments(data))
