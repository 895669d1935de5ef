"""Instances of the literature by name: their problems, best known bounds and origin.

>>> from optsched import datasets
>>> datasets.load_instance("ft10")
JobShop(ft10: job shop, 10 jobs x 10 machines, 100 operations, makespan)
>>> datasets.info("ta41").upper
2005
"""

from __future__ import annotations

import dataclasses
import importlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from optsched.core import InputError, Number, Problem
from optsched.datasets import embedded, fetching, registry
from optsched.datasets.registry import Dataset, datasets, names

__all__ = ["Dataset", "Info", "datasets", "fetch", "info", "load_instance", "names"]


@dataclass(frozen=True, slots=True)
class Info:
    """What is known of an instance.

    Attributes
    ----------
    name, dataset, family : str
        ``dataset/name`` is unique.
    size : str
        For people, such as ``"20x15"`` (jobs x machines).
    lower, upper : int or float or None
        Best known bounds on the optimum (minimised); equal when it is closed.
    source : str
        Who published the instance.
    origin : str
        Where `load_instance` will take it from: the package itself, a file, or a URL.
    """

    name: str
    dataset: str
    family: str
    size: str
    lower: Number | None
    upper: Number | None
    source: str
    origin: str


def info(name: str) -> Info:
    """Return what is known of an instance; see `load_instance` for the names."""
    entry = registry.find(name)
    origin = embedded.how(entry)
    if not origin:
        local = fetching.in_mirror(entry) or fetching.in_cache(entry)
        origin = str(local) if local.is_file() else entry.url or f"a mirror's {entry.path}"
    return Info(
        name=entry.name,
        dataset=entry.dataset,
        family=entry.family,
        size=entry.size,
        lower=entry.lower,
        upper=entry.upper,
        source=entry.source,
        origin=origin,
    )


def load_instance(name: str) -> Problem:
    """Return an instance of the registry.

    A few classics and Taillard's ta01 to ta80 are at hand; other files are taken from the mirror
    directory that ``OPTSCHED_DATASETS`` names, the user's cache, or the public origin, in this
    order, and checked against the registered sha256.

    Parameters
    ----------
    name : str
        Such as ``"ft10"``, ``"ta41"``, ``"mk01"``, in any case; ``"jsplib/ft10"`` names the
        dataset too, which is needed where several have an instance of that name.

    Raises
    ------
    InputError
        When there is no such instance, or it cannot be had.
    """
    entry = registry.find(name)
    problem = embedded.provide(entry)
    if problem is not None:
        return problem
    from optsched.formats import read_text
    from optsched.unpacking import decode

    path = fetching.obtain(entry)
    zipped = path.suffix == ".zip"
    text, inner = decode(path.read_bytes(), str(path), entry.member if zipped else "")
    try:
        if entry.beside:
            other = fetching.obtain(dataclasses.replace(entry, path=entry.beside))
            reader = importlib.import_module(f"optsched.problems.{entry.family}.formats").read_pair
            name = f"{entry.dataset}/{entry.name}"
            pair: Problem = reader(decode(other.read_bytes(), str(other))[0], text, name)
            return pair
        if entry.member and not zipped:
            module = importlib.import_module(f"optsched.problems.{entry.family}.formats")
            # A bare number says nothing without the dataset in front of it.
            name = f"{entry.dataset}/{entry.name}" if entry.name.isdecimal() else entry.name
            found: Problem = module.read_member(text, entry.member, name)
            return found
        suffix = PurePosixPath(inner or entry.path).suffix
        return read_text(text, entry.name, suffix, family=entry.family)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def fetch(name: str) -> dict[str, Path | None]:
    """Bring a dataset, or one instance, to disk; verify every checksum.

    Parameters
    ----------
    name : str
        A dataset's or an instance's name.

    Returns
    -------
    dict of str to Path or None
        The file of each instance, `None` for those that the package holds itself.

    Raises
    ------
    InputError
        When there is nothing of that name, or a file cannot be had.
    """
    known = {dataset.name for dataset in datasets()}
    key = name.strip().lower()
    wanted = registry.entries(key) if key in known else [registry.find(name)]
    return {entry.name: None if embedded.how(entry) else fetching.obtain(entry) for entry in wanted}
