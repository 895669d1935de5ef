"""Suites: TOML files that name instances, solvers and limits; refused as a whole when in error."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optsched.bench.instances import Instance, resolve
from optsched.bench.peers import Peer, find_peer
from optsched.core import CannotExpressError, InputError
from optsched.solvers.base import nearest

#: Seconds that a run may take beyond its time limit before it is killed.
GRACE = 10.0

_KEYS = {
    "name", "description", "instances", "solver", "time_limit", "workers", "seeds",
    "memory_limit", "grace",
}  # fmt: skip
_SOLVER_KEYS = {"label", "solver", "peer", "options"}
_REQUIRED = ("instances", "solver", "time_limit")


@dataclass(frozen=True)
class SolverSpec:
    """One solver configuration of a suite.

    Attributes
    ----------
    label : str
        Its name in tables and plots.
    solver : str
        What ``solve(solver=...)`` takes; empty for a peer.
    peer : Peer or None
        The rival's adapter.
    options : dict
    """

    label: str
    solver: str
    peer: Peer | None
    options: dict[str, Any] = field(default_factory=dict)

    def configuration(self) -> dict[str, Any]:
        """Return what makes two configurations the same one."""
        what = {"peer": self.peer.name} if self.peer else {"solver": self.solver}
        return what | {"options": self.options}


@dataclass(frozen=True)
class Suite:
    """A validated suite: every instance and solver in it exists."""

    name: str
    description: str
    path: Path
    instances: tuple[Instance, ...]
    solvers: tuple[SolverSpec, ...]
    time_limit: float
    workers: int
    seeds: tuple[int, ...]
    memory_limit: float | None
    grace: float


class _Source:
    """The text of a suite, to find the line that an error is about."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.lines = text.splitlines()
        self.tables = [
            i for i, line in enumerate(self.lines) if re.match(r"\s*\[\[\s*solver\s*\]\]", line)
        ]

    def _range(self, table: int | None) -> range:
        ends = [*self.tables, len(self.lines)]
        if table is None or table >= len(self.tables):
            return range(ends[0]) if self.tables else range(len(self.lines))
        return range(ends[table], ends[table + 1])

    def key(self, name: str, table: int | None = None) -> int:
        """Return the line of a key, counted from 1; the table's first line where it is absent."""
        word = rf"[\"']?{re.escape(name)}[\"']?\s*="
        rows = self._range(table)
        # An inline table may hold a key of the same name: lines that begin with it go first.
        for pattern in (re.compile(rf"\s*{word}"), re.compile(rf".*[{{,\s]{word}")):
            for i in rows:
                if pattern.match(self.lines[i]):
                    return i + 1
        return rows.start + 1

    def value(self, text: str, table: int | None = None) -> int:
        """Return the line that holds a string, counted from 1."""
        rows = self._range(table)
        for i in rows:
            if f'"{text}"' in self.lines[i] or f"'{text}'" in self.lines[i]:
                return i + 1
        return rows.start + 1

    def error(self, line: int, text: str) -> InputError:
        return InputError(f"{self.path}, line {line}: {text}")


def find_suite(name: str) -> Path:
    """Return the file of a suite: a path, or the name of one in ``benchmarks/suites``."""
    path = Path(name)
    if path.is_file():
        return path
    folders = suite_folders()
    for folder in folders:
        if (found := folder / f"{name}.toml").is_file():
            return found
    known = [file.stem for folder in folders for file in sorted(folder.glob("*.toml"))]
    raise InputError(
        f"there is no suite {name!r}{nearest(name, known)}: give a file or one of "
        f"{', '.join(known) or 'benchmarks/suites (not found here)'}"
    )


def suite_folders() -> list[Path]:
    """Return the folders where suites are looked for by name."""
    root = Path(__file__).resolve().parents[2]
    candidates = (Path.cwd() / "benchmarks" / "suites", root / "benchmarks" / "suites")
    return [folder for folder in dict.fromkeys(candidates) if folder.is_dir()]


def read_suite(
    path: Path,
    *,
    time_limit: float | None = None,
    workers: int | None = None,
    only: str | None = None,
    label: str | None = None,
) -> Suite:
    """Read and validate a suite.

    Parameters
    ----------
    path : Path
    time_limit, workers : optional
        Instead of those of the file.
    only : str, optional
        Keep the instances whose name matches this glob.
    label : str, optional
        Keep the solver of this label.

    Raises
    ------
    InputError
        Naming file, line and the nearest valid name.
    """
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not TOML: {error}") from error
    source = _Source(path, text)
    for key in data:
        if key not in _KEYS:
            raise source.error(source.key(key), f"unknown key {key!r}{nearest(key, _KEYS)}")
    for key in _REQUIRED:
        if key not in data:
            raise InputError(f"{path}: {key} is missing")
    solvers = _solvers(source, data["solver"])
    if label is not None:
        known = [spec.label for spec in solvers]
        if label not in known:
            raise InputError(
                f"--solver: no solver {label!r}{nearest(label, known)}: {', '.join(known)}"
            )
        solvers = [spec for spec in solvers if spec.label == label]
    instances = _instances(source, data["instances"], only)
    _check_expressible(source, solvers, instances)
    seeds = data.get("seeds", [0])
    if not _is_list(seeds, int) or not seeds or min(seeds) < 0:
        raise source.error(source.key("seeds"), f"seeds {seeds!r}: expected integers of at least 0")
    return Suite(
        name=_string(source, data, "name", path.stem),
        description=_string(source, data, "description", ""),
        path=path,
        instances=tuple(instances),
        solvers=tuple(solvers),
        time_limit=_given(time_limit, "--time-limit")
        or _positive(source, data, "time_limit", float),
        workers=int(_given(workers, "--workers") or _positive(source, data, "workers", int, 1)),
        seeds=tuple(dict.fromkeys(seeds)),
        memory_limit=(
            _positive(source, data, "memory_limit", float) * 2**30
            if "memory_limit" in data
            else None
        ),
        grace=_positive(source, data, "grace", float, GRACE),
    )


def _given(value: float | None, flag: str) -> float | None:
    if value is not None and not value > 0:
        raise InputError(f"{flag} {value}: must be above 0")
    return value


def _is_list(value: Any, kind: type) -> bool:
    return isinstance(value, list) and all(type(entry) is kind for entry in value)


def _string(source: _Source, data: dict[str, Any], key: str, default: str) -> str:
    value = data.get(key, default)
    if not isinstance(value, str):
        raise source.error(source.key(key), f"{key} {value!r}: expected a string")
    return value


def _positive(
    source: _Source, data: dict[str, Any], key: str, kind: type, default: float | None = None
) -> float:
    value = data.get(key, default)
    number = type(value) is int or (type(value) is float and kind is float)
    if not number or not 0 < value < 1e12:  # type: ignore[operator]
        what = "an integer" if kind is int else "a number"
        raise source.error(source.key(key), f"{key} {value!r}: expected {what} above 0")
    return kind(value)  # type: ignore[no-any-return]


def _instances(source: _Source, entries: Any, only: str | None) -> list[Instance]:
    line = source.key("instances")
    if not isinstance(entries, list) or not entries:
        raise source.error(line, "instances: expected a list of names, globs and generators")
    found: dict[str, Instance] = {}
    for entry in entries:
        at = line
        if isinstance(entry, str):
            at = source.value(entry)
        elif isinstance(entry, dict) and "generator" in entry:
            at = source.value(str(entry["generator"]))
        try:
            for instance in resolve(entry, source.path.parent):
                found.setdefault(instance.name, instance)
        except InputError as error:
            raise source.error(at, str(error)) from error
    if only is None:
        return list(found.values())
    import fnmatch

    kept = [i for i in found.values() if fnmatch.fnmatchcase(i.name, only)]
    if not kept:
        raise InputError(
            f"--only {only}: matches none of the {len(found)} instances of {source.path}"
            f"{nearest(only, found)}"
        )
    return kept


def _solvers(source: _Source, entries: Any) -> list[SolverSpec]:
    if not isinstance(entries, list) or not entries:
        raise source.error(source.key("solver"), "solver: expected tables, [[solver]]")
    specs: list[SolverSpec] = []
    seen: dict[str, str] = {}
    for k, entry in enumerate(entries):
        spec = _solver(source, k, entry)
        if spec.label in {other.label for other in specs}:
            raise source.error(source.value(spec.label, k), f"label {spec.label!r} is used twice")
        same = json.dumps(spec.configuration(), sort_keys=True)
        if same in seen:
            raise source.error(
                source.value(spec.label, k), f"{spec.label!r} is configured as {seen[same]!r} is"
            )
        seen[same] = spec.label
        specs.append(spec)
    return specs


def _solver(source: _Source, k: int, entry: Any) -> SolverSpec:
    if not isinstance(entry, dict):
        raise source.error(source.key("solver"), "solver: expected tables, [[solver]]")
    for key in entry:
        if key not in _SOLVER_KEYS:
            raise source.error(
                source.key(key, k), f"unknown key {key!r}{nearest(key, _SOLVER_KEYS)}"
            )
    if ("solver" in entry) == ("peer" in entry):
        raise source.error(source.key("label", k), "give either solver or peer")
    which = "solver" if "solver" in entry else "peer"
    name: Any = entry[which]
    label: Any = entry.get("label", name)
    options: Any = entry.get("options", {})
    for key, value, kind in ((which, name, str), ("label", label, str), ("options", options, dict)):
        if not isinstance(value, kind):
            raise source.error(source.key(key, k), f"{key} {value!r}: expected a {kind.__name__}")
    try:
        peer = find_peer(name, source.path.parent) if which == "peer" else None
        if peer is None:
            _check_solver(name)
    except InputError as error:
        raise source.error(source.key(which, k), str(error)) from error
    try:
        if peer is not None:
            peer.check_options(options)
        else:
            _check_options(name, options)
    except InputError as error:
        line = next((source.key(o, k) for o in options if o in str(error)), source.key(which, k))
        raise source.error(line, str(error)) from error
    return SolverSpec(label, "" if peer else name, peer, options)


def _check_solver(solver: str) -> None:
    from optsched.families import solver_names

    name = solver.partition(":")[0]
    if name not in solver_names():
        known = ", ".join(solver_names())
        raise InputError(f"unknown solver {solver!r}{nearest(name, solver_names())}: {known}")


def _check_options(solver: str, options: dict[str, Any]) -> None:
    from optsched.families import check_options

    name, _, variant = solver.partition(":")
    if name == "auto" and options:
        name = "cpsat"  # the exact part of what auto stands for takes the options
    if options or variant:
        check_options(name, variant, options)


def _check_expressible(
    source: _Source, solvers: list[SolverSpec], instances: list[Instance]
) -> None:
    """Refuse pairs of solver and instance that cannot work."""
    from optsched.families import expressing

    for k, spec in enumerate(solvers):
        name = spec.solver.partition(":")[0]
        for instance in instances:
            try:
                if spec.peer is not None:
                    spec.peer.check_problem(instance.problem())
                elif name != "auto":
                    expressing(instance.problem(), name)
            except (InputError, CannotExpressError) as error:
                line = source.value(spec.peer.name if spec.peer else spec.solver, k)
                raise source.error(line, f"{instance.name}: {error}") from error
