"""Identical pods and identical nodes as types."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optsched.core import BoolArray, IntArray
from optsched.problems.gpu_packing.problem import GpuPacking


@dataclass(frozen=True, eq=False)
class Types:
    """The types of an instance.

    Attributes
    ----------
    pod : ndarray of int64, shape (n_pod_types,)
        One pod of each type, to look things up.
    size : ndarray of int64, shape (n_pod_types,)
    node : ndarray of int64, shape (n_node_types,)
        One node of each type.
    number : ndarray of int64, shape (n_node_types,)
    most : ndarray of int64, shape (n_pod_types, n_node_types)
        How many pods of a type a node of a type can hold, were they alone.
    """

    pod: IntArray
    size: IntArray
    node: IntArray
    number: IntArray
    most: IntArray


def types_of(problem: GpuPacking) -> Types:
    """Return the types of `problem`."""
    pods = np.column_stack(
        (problem.request, problem.count, problem.share, problem.weight, problem.pod_row)
    )
    nodes = np.column_stack((problem.capacity, problem.gpus, problem.node_column))
    _, pod, size = np.unique(pods, axis=0, return_index=True, return_counts=True)
    _, node, number = np.unique(nodes, axis=0, return_index=True, return_counts=True)
    most = np.broadcast_to(size[:, None], (len(pod), len(node))).copy()
    for r in range(problem.request.shape[1]):
        need, room = problem.request[pod, r], problem.capacity[node, r]
        asks = need > 0
        most[asks] = np.minimum(most[asks], room[None, :] // need[asks, None])
    count, share = problem.count[pod], problem.share[pod]
    uses = np.flatnonzero(count > 0)
    # Each GPU takes so many of the pods; a pod takes one place on `count` of them.
    places = (1000 // share[uses])[:, None] * problem.gpus[node][None, :]
    able = problem.gpus[node][None, :] >= count[uses, None]
    most[uses] = np.minimum(most[uses], np.where(able, places // count[uses, None], 0))
    open_: BoolArray = problem.admits[problem.pod_row[pod]][:, problem.node_column[node]]
    return Types(pod, size, node, number, np.where(open_, most, 0))
