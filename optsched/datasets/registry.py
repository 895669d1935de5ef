"""The registry: which instances there are, where they stand in public, what is known of them.

``benchmarks/make_registry.py`` writes it as two files. ``data/registry.xz`` is a text of one block
a dataset, with empty lines between: lines ``# key: value`` hold its name, family, origin and the
columns in which all instances agree; each other column is a line, tab-separated, its name first.
``data/sha256.bin`` holds the hashes of datasets of many files as bare bytes, 32 each, in the order
of the text: they are most of the registry and cannot be compressed. A dataset of thousands of small
files has one hash for every ``together`` files, so that it takes several files to verify one; that
of an instance of two files is over both.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

from optsched.core import InputError, Number
from optsched.numbers import shown

COLUMNS = ("name", "size", "lower", "upper", "sha256", "path", "member", "source")
#: Bytes of a sha256.
DIGEST = 32


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
        Of the public file; where `together` is not empty, of the digests of all files there, one
        behind the other.
    member : str
        Which file of the zip archive, or which instance of a file of several; often empty.
    together : tuple of str
        Paths of the files that are verified together, that of this instance among them; empty
        where the file is verified alone.
    beside : str
        Path of a second file that the instance needs; often empty.
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
    member: str
    together: tuple[str, ...] = ()
    beside: str = ""

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
    import lzma  # not needed by those who bring their own data

    folder = resources.files(__package__) / "data"
    text = lzma.decompress((folder / "registry.xz").read_bytes()).decode()
    digests = (folder / "sha256.bin").read_bytes()
    hexadecimal = (digests[at : at + DIGEST].hex() for at in range(0, len(digests), DIGEST))
    tables = [_table(block.splitlines(), hexadecimal) for block in text.split("\n\n")]
    return {described.name: (described, entries) for described, entries in tables}


def _table(lines: list[str], digests: Iterator[str]) -> tuple[Dataset, dict[str, Entry]]:
    """Return one dataset; `digests` hands out the hashes that are not in its text."""
    cells = (line.split("\t") for line in lines if not line.startswith("# "))
    columns = {column[0]: column[1:] for column in cells}
    header = dict(line[2:].split(": ", 1) for line in lines if line.startswith("# "))
    names, base, size = columns["name"], header["base"], int(header.get("together", 1))
    if "sha256" not in header:
        shared = [next(digests) for _ in range(0, len(names), size)]
        columns["sha256"] = [shared[k // size] for k in range(len(names))]
    for key in COLUMNS:
        if key not in columns:
            columns[key] = [header[key]] * len(names)
    paths = [f"{base}/{path}" if base else path for path in columns["path"]]
    blocks = [tuple(paths[k : k + size]) for k in range(0, len(paths), size)] if size > 1 else []
    beside = f"{base}/{header['beside']}" if "beside" in header else ""
    if beside:
        blocks = [(path, beside) for path in paths]
    entries = {
        cell["name"].lower(): Entry(
            name=cell["name"],
            dataset=header["dataset"],
            family=header["family"],
            size=cell["size"],
            lower=_number(cell["lower"]),
            upper=_number(cell["upper"]),
            source=cell["source"],
            repository=header.get("repository", ""),
            commit=header.get("commit", ""),
            path=paths[k],
            sha256=cell["sha256"],
            member=cell["member"],
            together=blocks[k // size] if blocks else (),
            beside=beside,
        )
        for k, cell in enumerate(
            dict(zip(COLUMNS, row, strict=True))
            for row in zip(*(columns[key] for key in COLUMNS), strict=True)
        )
    }
    return Dataset(header["dataset"], header["family"], header["description"], len(names)), entries


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
