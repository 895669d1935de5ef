"""Pod packing: the data, its validation, and the entry points of checker and objective."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from optsched.core import (
    MAX_TIME,
    BoolArray,
    InputError,
    IntArray,
    Violation,
)
from optsched.numbers import shown
from optsched.problems.pod_packing import checker, plain, validation
from optsched.problems.pod_packing.levels import ORDERS, Level, Levelled, read_then
from optsched.problems.pod_packing.refusals import Refusal, read_refusals, read_table
from optsched.problems.pod_packing.solution import PodPackingSolution
from optsched.problems.pod_packing.terms import Budget, Term, read_budgets, read_terms

if TYPE_CHECKING:
    from optsched.problems.pod_packing.explain import Explanation
    from optsched.problems.pod_packing.plan import Plan

__all__ = ["ORDERS", "Level", "PodPacking", "PodPackingSolution"]


class PodPacking(Levelled):
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
    refusals : sequence of Refusal or mapping, optional
        Reasons why pods may not be placed somewhere, for explanations; see `Refusal`.
    refused : array of int, shape as `eligible`, optional
        Which of `refusals` holds where `eligible` is False, -1 where none is told (default).
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
        ``"interleaved"``; ``"placement_first"``: all tiers' placement before any disruption; or
        ``"placement_only"``: disruption does not count, as `migration_limit` bounds it.
    then : sequence of str, optional
        Levels after these: ``"used_nodes"`` (hosts that hold a movable pod), ``"fragmentation"``
        (what is free of the slot's first resource beyond whole slots, node by node), ``"cost"``
        (prices of the hosts in use).
    slot : mapping of str to int, or array of int, shape (n_resources,), optional
        What one slot needs of each resource, for ``"fragmentation"``.
    price : sequence of int, shape (n_nodes,), optional
        Of each node, for ``"cost"``.
    migration_limit : int, optional
        Running pods that may leave their node, at most.
    host : sequence of int, shape (n_nodes,), optional
        Host of each node, where nodes are the NUMA nodes of hosts (default: one each).
    spans : sequence of bool, shape (n_pods,), optional
        True: the pod takes its request from every node of its host, and is written as being on
        the first of them (default False).
    ignored : sequence of str, optional
        Constraints of the cluster that the problem leaves out, for people.
    name : str
        For people.

    Raises
    ------
    InputError
        Naming the pod or node, when the data are no instance.
    """

    family = "pod_packing"
    solution_type = PodPackingSolution

    priority: IntArray
    current: IntArray
    movable: BoolArray
    never_preempts: BoolArray
    pod_class: IntArray
    node_class: IntArray
    eligible: BoolArray
    refusals: tuple[Refusal, ...]
    refused: IntArray
    token_names: tuple[str, ...]
    token_pairs: IntArray
    topology_keys: tuple[str, ...]
    topology: IntArray
    terms: tuple[Term, ...]
    budgets: tuple[Budget, ...]
    versions: tuple[str, ...] | None
    owners: tuple[str, ...] | None
    order: str
    then: tuple[str, ...]
    slot: IntArray
    price: IntArray
    migration_limit: int | None
    host: IntArray
    spans: BoolArray
    ignored: tuple[str, ...]
    #: The first node of each node's host.
    first: IntArray
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
        refusals: Any = None,
        refused: Any = None,
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
        then: Any = (),
        slot: Any = None,
        price: Any = None,
        migration_limit: Any = None,
        host: Any = None,
        spans: Any = None,
        ignored: Any = (),
        name: str = "",
    ) -> None:
        if order not in ORDERS:
            raise InputError(f"unknown order {shown(order)}: one of {', '.join(ORDERS)}")
        values = self.__dict__
        values["name"] = str(name)
        values["order"] = order
        values["ignored"] = validation.names(ignored, None, "ignored", unique=False) or ()
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
        values["refusals"] = read_refusals(refusals)
        values["refused"] = read_table(refused, values["eligible"], len(values["refusals"]))
        values["token_names"], values["token_pairs"] = validation.tokens(
            tokens, n_pods, self.pod_name
        )
        values["topology_keys"], values["topology"] = validation.topology(topology, n_nodes)
        values["terms"] = read_terms(terms, n_pods, n_nodes, values["topology_keys"])
        values["budgets"] = read_budgets(budgets, n_pods)
        width = (values["capacity"] if n_nodes else values["request"]).shape[1]
        if not n_pods:
            values["request"] = np.zeros((0, width), dtype=np.int64)
        values["then"], values["slot"], values["price"] = read_then(
            then, slot, price, n_nodes, values["resources"], width
        )
        values["migration_limit"] = validation.limit(migration_limit)
        values["host"], values["first"] = validation.hosts(host, n_nodes, self.node_name)
        values["spans"] = validation.flags(spans, n_pods, "spans", False, self.pod_name)
        validation.consistent(values, self.pod_name)
        tiers, inverse = np.unique(-values["priority"], return_inverse=True)
        values["tiers"], values["tier"] = -tiers, inverse.astype(np.int64).reshape(-1)
        self._freeze()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PodPacking):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def features(self) -> frozenset[str]:
        """Return the features in use, by the names that solvers declare."""
        used = {
            "eligibility": not self.eligible.all(),
            "immovable pods": not self.movable.all(),
            "never preempting": bool(self.never_preempts.any()),
            "exclusive tokens": bool(len(self.token_pairs)),
            "disruption budgets": bool(self.budgets),
            "order placement first": self.order == "placement_first",
            "order placement only": self.order == "placement_only",
            "migration limit": self.migration_limit is not None,
            "hosts": len(np.unique(self.host)) < self.n_nodes,
        }
        used |= {term.kind.replace("_", "-"): True for term in self.terms}
        used |= {goal.replace("_", " "): True for goal in self.then}
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

    def host_nodes(self, node: int) -> IntArray:
        """Return the nodes of a node's host, ascending."""
        return np.flatnonzero(self.host == self.host[node])

    def with_goals(self, **changes: Any) -> PodPacking:
        """Return the same cluster with other goals.

        Parameters
        ----------
        **changes
            Any of `order`, `then`, `slot`, `price` and `migration_limit`, as the constructor
            takes them.

        Raises
        ------
        InputError
            On any other name, and on what the constructor refuses.
        """
        return plain.with_goals(self, changes)

    def check(self, solution: PodPackingSolution) -> list[Violation]:
        """Return every violation of `solution`; an empty list means feasible."""
        return checker.check(self, solution)

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

    def explain(self, solution: PodPackingSolution, pods: Any = None) -> list[Explanation]:
        """Return why each pod that `solution` leaves out is left out.

        Parameters
        ----------
        solution : PodPackingSolution
        pods : sequence of int, optional
            Of these alone.

        Raises
        ------
        InputError
            When `solution` is not feasible, or does not leave out one of `pods`.
        """
        from optsched.problems.pod_packing.explain import explain

        return explain(self, solution, pods)

    @classmethod
    def from_kubernetes(
        cls,
        *sources: Any,
        assume_ignored: Iterable[str] | bool = (),
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
        assume_ignored : iterable of str or bool
            Constraints that are not understood and may be left out: ``"resourceClaims"``,
            ``"volumes"``, ``"affinity"``, ``"namespaceSelector"``, ``"kinds"`` (objects of other
            kinds); True: all of these. What is left out stands in the problem's `ignored`.
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

    @classmethod
    def from_vms(cls, capacity: Any, request: Any, **details: Any) -> PodPacking:
        """Return the rescheduling of virtual machines on hosts with NUMA nodes.

        Migrations within a limit, so that as many whole slots as possible are free: the problem of
        Ding et al., "Towards VM Rescheduling Optimization Through Deep Reinforcement Learning"
        (EuroSys 2025). Nodes are NUMA nodes; `fragment_rate` tells their measure.

        Parameters
        ----------
        capacity : array of int, shape (n_hosts, n_numa, n_resources)
            Of each NUMA node; cores first.
        request : array of int, shape (n_vms, n_resources)
            What each machine takes of a NUMA node; of each one, where it spans the host.
        **details
            ``host`` (required) and ``numa``: where each machine runs; ``spans``: whether it takes
            its request from every NUMA node of its host; ``exclusion``: lists of machines that
            share no host; ``movable``; ``migration_limit`` (default: none); ``slot`` (default: 16
            cores); ``resources``, ``hosts``, ``vms`` (names) and ``name``.

        Raises
        ------
        InputError
            Naming the machine or host, when the data are no snapshot.
        """
        from optsched.problems.pod_packing import vm_data

        problem: PodPacking = validation.called(vm_data.from_vms, capacity, request, details)
        return problem

    # ---- files -------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return the instance as plain data; fields at their default are left out."""
        return plain.to_dict(self)

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Inverse of `to_dict`."""
        return cls(**plain.constructor_arguments(data))
