"""Why classes of pods are kept off classes of nodes: for explanations, without bearing on rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from optsched.core import BoolArray, InputError, IntArray
from optsched.numbers import integers, is_row, shown

STAGES = ("pod", "node", "volume")
_FIELDS = ("reason", "remedies", "stage")


@dataclass(frozen=True)
class Refusal:
    """What keeps a pod off a node, room and other pods apart.

    Attributes
    ----------
    reason : str
        As the scheduler puts it: the first thing that it finds.
    remedies : tuple of str
        All that has to be changed for the node to take the pod, each on its own, with ``{node}``
        for the node's name; empty where nothing is known to help.
    stage : str
        ``"pod"``: the reason lies in the pod, whichever the node; ``"node"``: it is found before
        ports and room are looked at; ``"volume"``: after these, before the rules between pods.
    """

    reason: str
    remedies: tuple[str, ...] = ()
    stage: str = "node"

    def to_dict(self) -> dict[str, Any]:
        """Return the refusal as plain data."""
        return {"reason": self.reason, "remedies": list(self.remedies), "stage": self.stage}


#: Of classes of which nothing is told.
GENERAL = Refusal("node(s) didn't match Pod's node affinity/selector, taints or readiness")


def read_refusals(values: Any) -> tuple[Refusal, ...]:
    """Return `values` (refusals, or mappings with their fields) as checked refusals."""
    if values is None:
        return ()
    if not is_row(values):
        raise InputError(f"refusals: expected a list, not {shown(values)}")
    found = []
    for k, value in enumerate(values):
        where = f"refusal {k}"
        data = value.to_dict() if isinstance(value, Refusal) else value
        if not isinstance(data, dict):
            raise InputError(f"{where}: expected an object, not {shown(data)}")
        if unknown := [key for key in data if key not in _FIELDS]:
            known = ", ".join(_FIELDS)
            raise InputError(f"{where}: unknown field {shown(unknown[0])}: one of {known}")
        remedies = data.get("remedies", ())
        if not is_row(remedies):
            raise InputError(f"{where}: remedies: expected a list, not {shown(remedies)}")
        for text in (data.get("reason"), *remedies):
            if not isinstance(text, str):
                raise InputError(f"{where}: {shown(text)} is no text")
        stage = data.get("stage", "node")
        if stage not in STAGES:
            raise InputError(f"{where}: stage {shown(stage)}: one of {', '.join(STAGES)}")
        found.append(Refusal(data["reason"], tuple(remedies), stage))
    return tuple(found)


def read_table(values: Any, eligible: BoolArray, count: int) -> IntArray:
    """Return which refusal holds for each class of pods (row) and of nodes, -1 for none told."""
    if values is None:
        return np.full(eligible.shape, -1, dtype=np.int64)
    message = f"refused: expected {eligible.shape[0]} rows of {eligible.shape[1]} numbers"
    if not is_row(values):
        raise InputError(message)
    table = integers(values, "refused")
    if table.shape != eligible.shape:
        raise InputError(message)
    for i, j in np.argwhere((table < -1) | (table >= count)).tolist():
        raise InputError(f"refused: there is no refusal {table[i, j]}")
    for i, j in np.argwhere(eligible & (table >= 0)).tolist():
        raise InputError(f"refused: pods of class {i} may be placed on nodes of class {j}")
    return table
