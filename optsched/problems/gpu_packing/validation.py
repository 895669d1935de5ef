"""From what a person writes to checked flat arrays; every message names the pod or node at fault.

Pods and nodes count from 0 where they have no names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optsched.core import InputError
from optsched.numbers import shown
from optsched.problems.pod_packing.validation import amounts, names, per_item

__all__ = ["amounts", "constructor_arguments", "names", "per_item"]

_NEEDED = ("capacity", "gpus", "request", "count", "share")
_OPTIONAL = ("name", "model", "wanted", "weight", "resources", "nodes", "pods")


def constructor_arguments(data: Any) -> dict[str, Any]:
    """Return the constructor's arguments in plain data; refuse fields that are not known."""
    if not isinstance(data, Mapping):
        raise InputError(f"expected an object, not {shown(data)}")
    if data.get("family", "gpu_packing") != "gpu_packing":
        raise InputError(f"family {shown(data['family'])} is not gpu_packing")
    for key in _NEEDED:
        if key not in data:
            raise InputError(f"the field {key} is missing")
    known = {*_NEEDED, *_OPTIONAL}
    for key in data:
        if key not in known | {"optsched", "family"}:
            raise InputError(f"unknown field {shown(key)}")
    if not isinstance(data.get("name", ""), str):
        raise InputError(f"name {shown(data['name'])} is no text")
    return {key: value for key, value in data.items() if key in known}
