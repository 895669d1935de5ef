"""The registry: which instances there are, where they stand in public, what is known of them.

``data/DATASET.tsv`` holds one dataset, written by ``benchmarks/make_registry.py``: comment lines
``# key: value`` with the family and the origin, then one row an instance.
"""

from __future__ import annotations

import difflib
import functools
from dataclasses import dataclass
from importlib import resources

from optsched.core import InputError, Number
from optsched.numbers import shown

COLUMNS = ("name", "size", "lower", "upper", "bytes", "sha256", "path", "member", "source")


@dataclass(frozen=True, slots=True)
class Entry:
    """One instance of the registry.

    Attributes
    ----------
    name, dataset, family : str
        ``dataset/name`` is unique.
    size : str
        For people, such as ``"20x15"`` (jobs x machines).
    lower, upper : int or float or None
        Best known bounds on the optimum; `None` where none is known.
    source : str
        Who published the instance.
    repository, commit, path : str
        The public file: ``OWNER/NAME``, a commit's hash, and the path there. Repository and commit
        are empty where there is no public file in this form: only a mirror holds it then.
    sha256 : str
        Of the public file.
    bytes : int
        Size of the public file.
    member : str
        Which file of the zip archive, or which instance of a file of several; often empty.
    """

    name: str
    dataset: str
    family: str
    size: str
    lower: Number | None
    upper: Number | None
    source: str
    repository: str
    commit: str
    path: str
    sha256: str
    bytes: int
    member: str

    @property
    def url(self) -> str:
        """Where the file stands in public; empty where it does not."""
        if not self.repository:
            return ""
        return f"https://raw.githubusercontent.com/{self.repository}/{self.commit}/{self.path}"


@dataclass(frozen=True, slots=True)
class Dataset:
    """One collection of instances.

    Attributes
    ----------
    name, family, description : str
        For people, but `name`, which qualifies instances.
    size : int
        Number of instances.
    """

    name: str
    family: str
    description: str
    size: int


@functools.cache
def _tables() -> dict[str, tuple[Dataset, dict[str, Entry]]]:
    """Return every dataset with its entries by lower-case name."""
    folder = resources.files(__package__) / "data"
    files = sorted((file for file in folder.iterdir()), key=lambda file: file.name)
    return {
        file.name.removesuffix(".tsv"): _table(
            file.name.removesuffix(".tsv"), file.read_text(encoding="utf-8")
        )
        for file in files
        if file.name.endswith(".tsv")
    }


def _table(dataset: str, text: str) -> tuple[Dataset, dict[str, Entry]]:
    header: dict[str, str] = {}
    entries: dict[str, Entry] = {}
    for line in text.splitlines():
        if line.startswith("# "):
            key, _, value = line[2:].partition(": ")
            header[key] = value
            continue
        cells = dict(zip(COLUMNS, line.split("\t"), strict=True))
        if cells["name"] == "name":
            continue
        base = header["base"]
        entries[cells["name"].lower()] = Entry(
            name=cells["name"],
            dataset=dataset,
            family=header["family"],
            size=cells["size"],
            lower=_number(cells["lower"]),
            upper=_number(cells["upper"]),
            source=cells["source"],
            repository=header.get("repository", ""),
            commit=header.get("commit", ""),
            path=f"{base}/{cells['path']}" if base else cells["path"],
            sha256=cells["sha256"],
            bytes=int(cells["bytes"]),
            member=cells["member"],
        )
    described = Dataset(dataset, header["family"], header["description"], len(entries))
    return described, entries


def _number(cell: str) -> Number | None:
    if not cell:
        return None
    value = float(cell)
    return int(value) if value.is_integer() else value


@functools.cache
def _by_name() -> dict[str, tuple[Entry, ...]]:
    """Return the entries of all datasets by lower-case name."""
    found: dict[str, tuple[Entry, ...]] = {}
    for _, entries in _tables().values():
        for key, entry in entries.items():
            found[key] = (*found.get(key, ()), entry)
    return found


def datasets() -> list[Dataset]:
    """Return the datasets known."""
    return [described for described, _ in _tables().values()]


def entries(dataset: str) -> list[Entry]:
    """Return the entries of a dataset; raise `InputError` when there is none of that name."""
    table = _tables().get(dataset.lower())
    if table is None:
        raise InputError(f"unknown dataset {shown(dataset)}: one of {', '.join(_tables())}")
    return list(table[1].values())


def names(dataset: str | None = None) -> list[str]:
    """Return the names that `find` takes.

    Parameters
    ----------
    dataset : str, optional
        The instances of this dataset, by their bare names. By default those of all datasets,
        as ``dataset/name`` where the bare name would be ambiguous.
    """
    if dataset is not None:
        return [entry.name for entry in entries(dataset)]
    return [
        found[0].name if len(found) == 1 else f"{entry.dataset}/{entry.name}"
        for found in _by_name().values()
        for entry in found
    ]


def find(name: str) -> Entry:
    """Return the entry called `name`, in any case, perhaps with its dataset: ``jsplib/ft10``.

    Taillard's job shops may carry the ``js`` that tells them from his other instances.

    Raises
    ------
    InputError
        When there is none (with the nearest names), or several of different datasets.
    """
    found = lookup(name)
    if len(found) > 1:
        which = " or ".join(f"{entry.dataset}/{entry.name}" for entry in found)
        raise InputError(f"instance {shown(name)} is ambiguous: {which}")
    if not found:
        raise InputError(f"no dataset instance is called {shown(name)}{nearest(name)}")
    return found[0]


def lookup(name: str) -> tuple[Entry, ...]:
    """Return all entries that `name` may mean; see `find`."""
    key = name.strip().lower()
    head, slash, tail = key.partition("/")
    if slash and head in _tables():
        table = _tables()[head][1]
        entry = table.get(tail) or table.get(tail.removesuffix("js"))
        return () if entry is None else (entry,)
    return _by_name().get(key) or _by_name().get(key.removesuffix("js")) or ()


def nearest(name: str) -> str:
    """Return ``; nearest: ...`` for a misspelt name, or nothing."""
    key = name.strip().lower()[:100]
    head, slash, tail = key.partition("/")
    if slash and head in _tables():
        close = difflib.get_close_matches(tail, _tables()[head][1], n=3)
        listed = [f"{head}/{_tables()[head][1][match].name}" for match in close]
    else:
        close = difflib.get_close_matches(key, _by_name(), n=3)
        listed = [_by_name()[match][0].name for match in close]
    return f"; nearest: {', '.join(listed)}" if listed else ""
