"""Write the registry of instances, ``optsched/datasets/data``, from a mirror of the collections.

Only facts enter it: names, sizes, bounds, hashes and where the files stand in public. The few
classic instances that ship with the package are written as bare numbers, in a form of our own.

Usage: python benchmarks/make_registry.py MIRROR

``MIRROR`` holds ``MANIFEST.tsv`` (dataset, repository, commit, path, sha256, bytes) and the files
as ``OWNER/REPOSITORY/PATH``. To add a dataset, add a function that returns its `Table`.
"""

from __future__ import annotations

import csv
import json
import re
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optsched.datasets.registry import COLUMNS
from optsched.text_rows import data_lines
from optsched.unpacking import decode

DATA = Path(__file__).resolve().parents[1] / "optsched" / "datasets" / "data"
EMBEDDED = ("ft06", "ft10", "ft20", "la01", "la02", "la03", "la04", "la05")
#: Authors as they are spelt; the source of the bounds errs in these.
SPELLING = {"Demikol": "Demirkol", "Yamada Nakano": "Yamada and Nakano"}


@dataclass(frozen=True)
class Table:
    """One dataset of the registry: what its header says, and one row an instance."""

    name: str
    header: dict[str, str]
    rows: list[dict[str, Any]]


class Mirror:
    """The mirror's manifest and files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        with (root / "MANIFEST.tsv").open(encoding="utf-8", newline="") as file:
            self.entries = list(csv.DictReader(file, delimiter="\t"))

    def dataset(self, name: str, below: str) -> list[dict[str, str]]:
        """Return the manifest's entries of a dataset below a folder."""
        return [
            entry
            for entry in self.entries
            if entry["dataset"] == name and entry["path"].startswith(below)
        ]

    def path(self, entry: dict[str, str]) -> Path:
        """Return where the file of an entry stands."""
        return self.root / entry["repository"] / entry["path"]


def schedule_opt(mirror: Mirror, dataset: str, base: str, bounds: str, description: str) -> Table:
    """Return a dataset of the ScheduleOpt collection, whose bounds are in a ``bks.json``."""
    files = mirror.dataset(dataset, base)
    repository, commit = files[0]["repository"], files[0]["commit"]
    by_name = {_schedule_opt_name(entry["path"]): entry for entry in files}
    known = json.loads((mirror.root / repository / bounds).read_text(encoding="utf-8"))
    rows = []
    for facts in known:
        name = _plain(facts["instance"])
        entry = by_name.pop(name, None)
        if entry is None:
            print(f"{dataset}: no file of {name}: left out", file=sys.stderr)
            continue
        path = mirror.path(entry)
        size = _jobs_by_machines(path)
        if size != facts["size"].replace(" ", ""):
            print(f"{name}: is {size}, not {facts['size']}", file=sys.stderr)
        rows.append(
            {
                "name": name,
                "size": size,
                "lower": facts["lower_bound"],
                "upper": facts["upper_bound"],
                "bytes": entry["bytes"],
                "sha256": entry["sha256"],
                "path": entry["path"].removeprefix(base + "/"),
                "member": _single_member(path),
                "source": _spelt(facts["family_long"]),
            }
        )
    if by_name:
        raise SystemExit(f"{dataset}: no bounds of {', '.join(by_name)}")
    header = {
        "family": "job_shop",
        "description": description,
        "repository": repository,
        "commit": commit,
        "base": base,
    }
    return Table(dataset, header, rows)


def _schedule_opt_name(path: str) -> str:
    folder, file = path.split("/")[-2:]
    stem = file.rsplit(".", 1)[0]
    if folder in ("edata", "rdata", "sdata", "vdata"):
        return f"{stem}_{folder}"
    if folder == "DauzerePeresPaulli1994":
        return f"dpp{stem}"
    return _plain(stem)


def _plain(name: str) -> str:
    """Return the name without the mark that tells Taillard's job shops from his other shops."""
    return re.sub(r"^(ta\d+)js$", r"\1", name)


def _single_member(path: Path) -> str:
    if path.suffix != ".zip":
        return ""
    with zipfile.ZipFile(path) as archive:
        (member,) = archive.namelist()
    return member


def _jobs_by_machines(path: Path) -> str:
    """Return the size in the file's own first line; the list of bounds errs in two."""
    text, _ = decode(path.read_bytes(), str(path))
    n_jobs, n_machines = data_lines(text).text[0].split()[:2]
    return f"{n_jobs}x{n_machines}"


def _spelt(source: str) -> str:
    for wrong, right in SPELLING.items():
        source = source.replace(wrong, right)
    return source


def or_library(mirror: Mirror, n_jobs: int, best: str) -> Table:
    """Return one of the OR-Library's files of 125 weighted tardiness instances."""
    files = {Path(entry["path"]).name: entry for entry in mirror.dataset("tardiness", "wt/")}
    entry = files[f"wt{n_jobs}.txt"]
    values = [int(v) for v in mirror.path(files[best]).read_text(encoding="utf-8").split()]
    rows = [
        {
            "name": str(k),
            "size": str(n_jobs),
            # Those of 40 and 50 jobs are proven (Crauwels, Potts and Van Wassenhove 1998, and
            # after); those of 100 are best known values.
            "lower": value if n_jobs < 100 else None,
            "upper": value,
            "bytes": entry["bytes"],
            "sha256": entry["sha256"],
            "path": Path(entry["path"]).name,
            "member": str(k),
            "source": "Crauwels, Potts and Van Wassenhove 1998",
        }
        for k, value in enumerate(values, start=1)
    ]
    header = {
        "family": "single_machine",
        "description": f"single machine, total weighted tardiness, {n_jobs} jobs (OR-Library)",
        "repository": entry["repository"],
        "commit": entry["commit"],
        "base": "wt",
    }
    return Table(f"wt{n_jobs}", header, rows)


def tables(mirror: Mirror) -> Iterator[Table]:
    """Yield every dataset of the registry."""
    yield schedule_opt(
        mirror,
        "jsplib",
        "jobshop/instances/text",
        "jobshop/solutions/bks.json",
        "job shop: ft la abz orb swv yn ta dmu tai, and re-entrant dct",
    )
    yield schedule_opt(
        mirror,
        "fjsplib",
        "flexible-jobshop/instances/fjsp",
        "flexible-jobshop/solutions/bks.json",
        "flexible job shop: mk, Hurink's edata rdata sdata vdata, dpp, mt, behnke and others",
    )
    yield or_library(mirror, 40, "wtopt40.txt")
    yield or_library(mirror, 50, "wtopt50.txt")
    yield or_library(mirror, 100, "wtbest100b.txt")


def write(table: Table) -> None:
    """Write one dataset as ``NAME.tsv``."""
    lines = [f"# {key}: {value}" for key, value in table.header.items()]
    lines.append("\t".join(COLUMNS))
    for row in table.rows:
        lines.append("\t".join("" if row[key] is None else str(row[key]) for key in COLUMNS))
    text = "\n".join(lines) + "\n"
    (DATA / f"{table.name}.tsv").write_text(text, encoding="utf-8")


def embed(mirror: Mirror, table: Table) -> None:
    """Write the classic instances that ship with the package: machine, duration, machine, ..."""
    lines = []
    for row in table.rows:
        if row["name"] in EMBEDDED:
            header = table.header
            path = mirror.root / header["repository"] / header["base"] / row["path"]
            numbers = [int(token) for token in path.read_text(encoding="utf-8").split()]
            n_machines, values = numbers[1], numbers[2:]
            width = 2 * n_machines
            jobs = [values[at : at + width] for at in range(0, len(values), width)]
            lines.append(f'"{row["name"]}": {json.dumps(jobs, separators=(",", ":"))}')
    (DATA / "embedded.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def main() -> None:
    """Write all tables and the embedded instances."""
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    mirror = Mirror(Path(sys.argv[1]))
    DATA.mkdir(exist_ok=True)
    for table in tables(mirror):
        write(table)
        if table.name == "jsplib":
            embed(mirror, table)
        print(f"{table.name}: {len(table.rows)} instances")


if __name__ == "__main__":
    main()
