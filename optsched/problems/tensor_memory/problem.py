"""Static memory allocation: the data, its validation, and the way to checker and objective."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from optsched.core import BoolArray, Frozen, InputError, IntArray, Problem, Solution, Violation
from optsched.numbers import integers, shown
from optsched.problems.tensor_memory import checker, validation
from optsched.problems.tensor_memory.validation import UNLIMITED

OBJECTIVES = ("peak", "fit")


class TensorMemorySolution(Solution):
    """Where every buffer lies.

    Attributes
    ----------
    offset : ndarray of int64, shape (n_buffers,)
        Address of each buffer's first byte within its bank.
    bank : ndarray of int64, shape (n_buffers,)
        The bank of each buffer, 0 where there is one alone.
    """

    __slots__ = ("bank", "offset")

    def __init__(self, offset: Any, bank: Any = None) -> None:
        self.offset = integers(offset, "solution: offset")
        if self.offset.ndim != 1:
            raise InputError("solution: offset must be a flat list, one entry a buffer")
        if bank is None:
            self.bank = np.zeros(len(self.offset), dtype=np.int64)
        else:
            self.bank = integers(bank, "solution: bank")
        if self.bank.shape != self.offset.shape:
            raise InputError("solution: bank must be a flat list as long as offset")
        self.offset.flags.writeable = False
        self.bank.flags.writeable = False

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"offset": [...]}``, with ``"bank"`` where one is not 0."""
        data: dict[str, Any] = {"offset": self.offset.tolist()}
        if self.bank.any():
            data["bank"] = self.bank.tolist()
        return data

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Inverse of `to_dict`."""
        if not isinstance(data, Mapping) or "offset" not in data:
            raise InputError("solution: expected an object with 'offset'")
        return cls(data["offset"], data.get("bank"))

    def __repr__(self) -> str:
        return f"TensorMemorySolution({len(self.offset)} buffers)"


class TensorMemory(Frozen, Problem):
    """Buffers with lifetimes that share memory: where does each one go?

    Two buffers that need space at the same moment, in the same bank, must not overlap there. Times
    are integers in the instance's own unit and lifetimes half-open; sizes are bytes.

    Parameters
    ----------
    buffers : sequence of (lower, upper, size), or of mappings, or array of int, shape (n, 3)
        Lifetime and size of each buffer. A mapping has these as keys, and those of the following
        that it needs: ``id``, ``alignment``, ``gaps``, ``pinned``, ``hint``, ``banks``.
    capacity : int or sequence of int, optional
        Space of the one memory, or of each bank (`None`: unlimited).
    alignment : int or sequence of int, shape (n_buffers,), optional
        Offsets are multiples of it (default 1).
    gaps : sequence of sequences of (lower, upper), optional
        Times within the lifetime at which a buffer needs no space. Its offset stays the same.
    pinned : sequence of int or None, optional
        Offsets that must be kept.
    hint : sequence of int or None, optional
        Offsets to try first; no obligation.
    alias : sequence of sequences of int, optional
        Groups of buffers that share one offset and bank, and may overlap (in-place operators,
        views). Groups with a buffer in common are one.
    banks : sequence of sequences of int or None, optional
        The banks in which each buffer may lie (default: any).
    objective : str
        ``"peak"``: minimise the space in use, from offset 0 to the highest end of a buffer. With
        several banks it is the sum over the banks, the memory that has to be there in all; so the
        load at any moment bounds it. ``"fit"``: any solution within the capacity; the value is 0.
    id : sequence of str, optional
        Names of the buffers, for people and files (default: their numbers).
    name : str
        For people.

    Raises
    ------
    InputError
        Naming the buffer, when the data are no instance.
    """

    family = "tensor_memory"
    solution_type = TensorMemorySolution

    lower: IntArray
    upper: IntArray
    size: IntArray
    alignment: IntArray
    gaps: IntArray
    pinned: IntArray
    hint: IntArray
    alias: IntArray
    allowed: BoolArray
    capacity: IntArray
    id: tuple[str, ...] | None
    objective_kind: str

    def __init__(
        self,
        buffers: Any,
        capacity: Any = None,
        *,
        alignment: Any = None,
        gaps: Any = None,
        pinned: Any = None,
        hint: Any = None,
        alias: Any = None,
        banks: Any = None,
        objective: str = "peak",
        id: Any = None,
        name: str = "",
    ) -> None:
        if objective not in OBJECTIVES:
            known = ", ".join(OBJECTIVES)
            raise InputError(f"unknown objective {shown(objective)}: one of {known}")
        if objective == "fit" and capacity is None:
            raise InputError("objective fit needs a capacity: pass capacity=...")
        rows, columns = validation.rows(buffers)
        given = {
            "alignment": alignment, "gaps": gaps, "pinned": pinned, "hint": hint, "banks": banks,
            "id": id,
        }  # fmt: skip
        for key, value in given.items():
            if value is not None and columns.setdefault(key, value) is not value:
                raise InputError(f"{key} is given twice: of the buffers and beside them")
        n = len(rows)
        values = self.__dict__
        values["name"] = str(name)
        values["objective_kind"] = objective
        values["id"] = validation.names(columns.get("id"), n)
        named = validation.namer(values["id"])
        values["lower"], values["upper"], values["size"] = validation.lifetimes(rows, named)
        values["alignment"] = validation.per_buffer(
            columns.get("alignment"), n, "alignment", 1, 1, named
        )
        for key in ("pinned", "hint"):
            values[key] = validation.per_buffer(columns.get(key), n, key, -1, 0, named)
        values["gaps"] = validation.gaps(
            columns.get("gaps"), values["lower"], values["upper"], named
        )
        values["alias"] = validation.aliases(alias, n, named)
        values["capacity"], _ = validation.capacities(capacity)
        values["allowed"] = validation.allowed(
            columns.get("banks"), n, len(values["capacity"]), named
        )
        validation.consistent(values, named)
        self._freeze()

    @property
    def n_buffers(self) -> int:
        """Number of buffers."""
        return len(self.size)

    @property
    def n_banks(self) -> int:
        """Number of banks."""
        return len(self.capacity)

    @property
    def has_aliases(self) -> bool:
        """Whether some buffers share an offset."""
        return bool((self.alias != np.arange(self.n_buffers)).any())

    def names(self) -> list[str]:
        """Return the id of every buffer, its number where it has none."""
        return [str(b) for b in range(self.n_buffers)] if self.id is None else list(self.id)

    def features(self) -> frozenset[str]:
        """Return the features in use, by the names that solvers declare."""
        used = {
            "alignment": bool((self.alignment != 1).any()),
            "gaps": bool(len(self.gaps)),
            "pinned offsets": bool((self.pinned >= 0).any()),
            "aliases": self.has_aliases,
            "banks": self.n_banks > 1,
            "capacity": bool((self.capacity < UNLIMITED).any()),
            f"objective {self.objective_kind}": True,
        }
        return frozenset(name for name, present in used.items() if present)

    def describe(self) -> str:
        """Return one line: name, size, objective and what else there is."""
        name = f"{self.name}: " if self.name else ""
        extra = sorted(f for f in self.features() if not f.startswith(("objective", "capacity")))
        with_extra = f", with {', '.join(extra)}" if extra else ""
        goal = "fit" if self.objective_kind == "fit" else "minimise the peak"
        limits = [f"{c:,}" if c < UNLIMITED else "unlimited" for c in self.capacity.tolist()]
        within = f" within {' + '.join(limits)}" if "capacity" in self.features() else ""
        return f"{name}static memory allocation, {self.n_buffers:,} buffers, {goal}{within}" + (
            with_extra
        )

    def peaks(self, solution: TensorMemorySolution) -> IntArray:
        """Return the space in use in each bank, shape (n_banks,)."""
        return checker.peaks(self, solution)

    def report(self, solution: TensorMemorySolution) -> dict[str, float]:
        """Return the figures of a plan.

        Returns
        -------
        dict
            ``peak``, over all banks, and ``load``, the greatest at a moment, in bytes;
            ``fragmentation``, the share of the peak beyond that load; ``utilisation``, the share
            of peak times duration in use.
        """
        from optsched.problems.tensor_memory import picture

        return picture.report(self, solution)

    def check(self, solution: TensorMemorySolution) -> list[Violation]:
        """Return every violation of `solution`; an empty list means feasible."""
        return checker.check(self, solution)

    def objective(self, solution: TensorMemorySolution) -> int:
        """Return the objective value, computed from the solution alone."""
        return checker.objective(self, solution)

    def to_dict(self) -> dict[str, Any]:
        """Return the instance as plain data; fields at their default are left out."""
        table = np.column_stack((self.lower, self.upper, self.size))
        data: dict[str, Any] = {
            "optsched": "problem",
            "family": self.family,
            "name": self.name,
            "objective": self.objective_kind,
            "buffers": table.tolist(),
        }
        if self.id is not None:
            data["id"] = list(self.id)
        if (self.capacity < UNLIMITED).any() or self.n_banks > 1:
            limits = [None if c == UNLIMITED else c for c in self.capacity.tolist()]
            data["capacity"] = limits if self.n_banks > 1 else limits[0]
        if (self.alignment != 1).any():
            data["alignment"] = self.alignment.tolist()
        for key, column in (("pinned", self.pinned), ("hint", self.hint)):
            if (column >= 0).any():
                data[key] = [None if value < 0 else value for value in column.tolist()]
        if len(self.gaps):
            lists: list[list[list[int]]] = [[] for _ in range(self.n_buffers)]
            for buffer, low, high in self.gaps.tolist():
                lists[buffer].append([low, high])
            data["gaps"] = lists
        if self.has_aliases:
            groups: dict[int, list[int]] = {}
            for buffer, leader in enumerate(self.alias.tolist()):
                groups.setdefault(leader, []).append(buffer)
            data["alias"] = [group for group in groups.values() if len(group) > 1]
        if not self.allowed.all():
            data["banks"] = [np.flatnonzero(row).tolist() for row in self.allowed]
        return data

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Inverse of `to_dict`."""
        return cls(**validation.constructor_arguments(data))
