"""Instances of a campaign: dataset names, globs, files and generators, and how to restore them."""

from __future__ import annotations

import dataclasses
import fnmatch
import functools
import hashlib
import importlib
import inspect
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optsched.core import InputError, Number, Problem
from optsched.solvers.base import nearest

_GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class Instance:
    """One instance: its name, and where its data come from.

    Attributes
    ----------
    name : str
        Unique within a campaign.
    group : str
        What tables gather it under, such as ``la``.
    size : str
        Such as ``10x5``.
    source : dict
        ``{"dataset": name}``, ``{"generator": {...}}`` or ``{"file": path}``; with ``change``
        where fields of the instance are replaced, and ``sha`` where the campaign keeps a copy of
        the data.
    sha : str
        Hash of the data; the instance's name does not matter.
    """

    name: str
    group: str
    size: str
    source: dict[str, Any]
    sha: str
    family: str

    def problem(self) -> Problem:
        """Return the instance itself."""
        return _load(_reference(self.source))

    def to_dict(self) -> dict[str, Any]:
        """Return what the journal keeps."""
        return {
            "name": self.name,
            "group": self.group,
            "size": self.size,
            "family": self.family,
            "source": self.source,
            "sha": self.sha,
        }


@dataclass(frozen=True)
class Known:
    """Best known bounds of an instance."""

    lower: Number | None = None
    upper: Number | None = None
    source: str = field(default="", compare=False)


def problem_type(family: str) -> type[Problem]:
    """Return the class of a family's problems."""
    try:
        module = importlib.import_module(f"optsched.problems.{family}.problem")
    except ModuleNotFoundError as error:
        raise InputError(f"there is no family {family!r}") from error
    for value in vars(module).values():
        # Bases of the class, which may be there too, name no family.
        if isinstance(value, type) and issubclass(value, Problem) and "family" in vars(value):
            return value
    raise InputError(f"there is no family {family!r}")


def data_hash(problem: Problem) -> str:
    """Return a hash of the instance's data, its name apart."""
    data = {key: value for key, value in problem.to_dict().items() if key != "name"}
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def resolve(entry: Any, folder: Path) -> list[Instance]:
    """Return the instances that an entry of a suite stands for.

    Parameters
    ----------
    entry : str or dict
        A dataset name, a file, a glob of either, ``{"generator": ..., "seeds": [...]}``, or
        ``{"instance": ..., "change": {...}, "label": ...}``: the instances that a string stands
        for, with some fields of their JSON form replaced.
    folder : Path
        Where relative paths begin, before the current folder.
    """
    if isinstance(entry, dict):
        return _changed(entry, folder) if "instance" in entry else _generated(entry)
    if not isinstance(entry, str):
        raise InputError(f"instances: {entry!r} is neither a name nor a generator")
    if _GLOB.search(entry):
        every = qualified_names()
        names = [name for name in every if fnmatch.fnmatchcase(name, entry)]
        if not names:
            names = [n for n in every if fnmatch.fnmatchcase(n.partition("/")[2], entry)]
        if names:
            return [_named(name) for name in names]
        for base in dict.fromkeys((folder, Path())):
            if paths := sorted(path for path in base.glob(entry) if path.is_file()):
                return [_file(path) for path in paths]
        raise InputError(f"{entry!r} matches no instance and no file")
    for base in (folder, Path()):
        if (path := base / entry).is_file():
            return [_file(path)]
    return [_named(entry)]


def restore(source: dict[str, Any], folder: Path) -> Problem:
    """Return the instance that a journal's line refers to; `folder` is the campaign's."""
    if "sha" in source:
        kept = folder / "instances" / f"{source['sha']}.json"
        if kept.is_file():
            source = {"file": str(kept)}
    return _load(_reference(source))


def best_known(source: dict[str, Any]) -> Known:
    """Return the registry's bounds of an instance; empty where there are none."""
    if "dataset" not in source or "change" in source:
        return Known()
    from optsched import datasets

    try:
        info = datasets.info(source["dataset"])
    except InputError:
        return Known()
    return Known(info.lower, info.upper, str(getattr(info, "source", "")))


@functools.cache
def qualified_names() -> tuple[str, ...]:
    """Return every ``dataset/name`` of the registry."""
    from optsched import datasets

    return tuple(
        f"{entry.name}/{name}"
        for entry in datasets.datasets()
        for name in datasets.names(entry.name)
    )


def _reference(source: dict[str, Any]) -> str:
    return json.dumps({k: v for k, v in source.items() if k != "sha"}, sort_keys=True)


@functools.lru_cache(maxsize=512)
def _load(source: str) -> Problem:
    data = json.loads(source)
    if "change" in data:
        change = data.pop("change")
        problem = _load(_reference(data))
        return type(problem).from_dict(problem.to_dict() | change)
    if "generator" in data:
        parameters = dict(data["generator"])
        return _generator(parameters.pop("function"))(**parameters)
    from optsched.loading import load

    loaded: Problem = load(data.get("dataset") or data["file"])
    return loaded


def _named(name: str) -> Instance:
    from optsched import datasets

    info = datasets.info(name)
    source = {"dataset": f"{info.dataset}/{info.name}"}
    shared = sum(other.endswith(f"/{info.name}") for other in qualified_names()) > 1
    return _instance(source["dataset"] if shared else info.name, source, info.size)


def _file(path: Path) -> Instance:
    return _kept(_instance(path.stem, {"file": str(path.resolve())}, ""))


def _changed(entry: dict[str, Any], folder: Path) -> list[Instance]:
    keys = ("instance", "change", "label")
    for key in entry:
        if key not in keys:
            raise InputError(
                f"instances: unknown key {key!r}{nearest(key, keys)}: {', '.join(keys)}"
            )
    name, change = entry["instance"], entry.get("change")
    if not isinstance(name, str) or not isinstance(change, dict) or not change:
        raise InputError(f"instances: {entry!r}: expected a name and the fields to change")
    told = "-".join(f"{key}{value}".replace(" ", "") for key, value in sorted(change.items()))
    label = entry.get("label", told)
    if not isinstance(label, str) or not label:
        raise InputError(f"instances: label {label!r}: expected a string")
    found = []
    for base in resolve(name, folder):
        source = {key: value for key, value in base.source.items() if key != "sha"}
        source["change"] = change
        instance = _instance(f"{base.name}-{label}", source, base.size)
        found.append(_kept(dataclasses.replace(instance, group=base.group)))
    return found


def _generated(entry: dict[str, Any]) -> list[Instance]:
    name = str(entry.get("generator"))
    generator = _generator(name)
    takes = inspect.signature(generator).parameters
    parameters = {}
    for key, value in entry.items():
        if key in ("generator", "seeds"):
            continue
        # Suites say jobs where a constructor says n_jobs.
        known = key if key in takes else f"n_{key}"
        if known not in takes or known in ("seed", "name"):
            names = [k.removeprefix("n_") for k in takes if k not in ("seed", "name")]
            raise InputError(
                f"generator {name}: unknown key {key!r}{nearest(key, names)}: "
                f"it has {', '.join(names)}, seeds"
            )
        parameters[known] = value
    seeds = entry.get("seeds", [0])
    if not isinstance(seeds, list) or not seeds or not all(type(seed) is int for seed in seeds):
        raise InputError(f"generator {name}: seeds {seeds!r}: expected a list of integers")
    found = []
    for seed in seeds:
        source = {"generator": {"function": name, **parameters, "seed": seed}}
        try:
            problem = _load(json.dumps(source, sort_keys=True))
        except TypeError as error:
            raise InputError(f"generator {name}: {error}") from error
        instance = _instance(_generated_name(problem.name, parameters), source, "")
        found.append(_kept(instance))
    return found


def _generated_name(name: str, parameters: dict[str, Any]) -> str:
    """Return a name that tells parameters apart which the generator's own does not tell."""
    rest = {k: v for k, v in parameters.items() if k not in ("n_jobs", "n_machines")}
    return name + "".join(f"-{key}{value}".replace(" ", "") for key, value in sorted(rest.items()))


def _generator(name: str) -> Callable[..., Problem]:
    from optsched.datasets import generators

    known = {
        key: value
        for key, value in vars(generators).items()
        if inspect.isfunction(value)
        and not key.startswith("_")
        and value.__module__ == generators.__name__
    }
    if name not in known:
        raise InputError(f"unknown generator {name!r}{nearest(name, known)}: {', '.join(known)}")
    return known[name]


def _kept(instance: Instance) -> Instance:
    """Return an instance whose data the campaign keeps, found again by their hash."""
    return dataclasses.replace(instance, source=instance.source | {"sha": instance.sha})


def _instance(name: str, source: dict[str, Any], size: str) -> Instance:
    problem = _load(_reference(source))
    return Instance(
        name=name,
        group=_group(name, source),
        size=size or _size(problem),
        source=source,
        sha=data_hash(problem),
        family=problem.family,
    )


def _group(name: str, source: dict[str, Any]) -> str:
    if "generator" in source:
        return "random"
    dataset = str(source.get("dataset", "")).partition("/")[0]
    if dataset not in ("", "jsplib"):
        return dataset
    letters = re.match(r"[A-Za-z]+", name)  # la01 is of Lawrence's
    return letters.group() if letters else name


def _size(problem: Problem) -> str:
    numbers = [getattr(problem, key, None) for key in ("n_jobs", "n_machines")]
    return "x".join(str(n) for n in numbers if n is not None)
