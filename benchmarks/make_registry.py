"""Write the registry of instances, ``optsched/datasets/data``, from a mirror of the collections.

Only facts enter it: names, sizes, bounds, hashes and where the files stand in public. The few
classic instances that ship with the package are written as bare numbers, in a form of our own.

Usage: python benchmarks/make_registry.py MIRROR

``MIRROR`` holds ``MANIFEST.tsv`` (dataset, repository, commit, path, sha256, bytes) and the files
as ``OWNER/REPOSITORY/PATH``. To add a dataset, add a function that returns its `Table`.
"""

from __future__ import annotations

import csv
import hashlib
import json
import lzma
import re
import sys
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optsched.datasets.registry import COLUMNS
from optsched.formats import read_file
from optsched.problems.rcpsp.problem import Rcpsp
from optsched.text_rows import data_lines
from optsched.unpacking import decode

DATA = Path(__file__).resolve().parents[1] / "optsched" / "datasets" / "data"
EMBEDDED = ("ft06", "ft10", "ft20", "la01", "la02", "la03", "la04", "la05")
#: Authors as they are spelt; the source of the bounds errs in these.
SPELLING = {"Demikol": "Demirkol", "Yamada Nakano": "Yamada and Nakano"}
#: Bounds on the least peak of memory allocation: the greatest load, and what searches found (D and
#: J: our campaigns memory-peak).
PEAKS = dict.fromkeys("ABEFGHIK", (1048576, 1048576)) | {
    "C": (1039360, 1039360),
    "D": (986112, 1021952),
    "J": (989184, 1028096),
}
#: Files of project scheduling that share a hash: most of the registry is hashes.
TOGETHER = 4
#: Best known lower and upper bounds by instance.
Bounds = dict[str, tuple[int | None, int | None]]


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


def total_tardiness(mirror: Mirror, file: str) -> Table:
    """Return one of the lists of total tardiness instances, which hold their optima.

    The lists are not in the manifest: they were derived from published files of another form.
    """
    path = mirror.root / "smtt" / f"{file}.json"
    content = path.read_bytes()
    instances = json.loads(content)
    n_jobs = len(instances[0]["p"])
    drawn = {"n20": ", normal durations", "n20-uniform": ", uniform durations"}.get(file, "")
    by_authors = "Cetinkaya, Buyuktahtakin, Shojaee and Reddy 2025"
    rows = [
        {
            "name": str(k),
            "size": str(n_jobs),
            "lower": instance["optimum"],
            "upper": instance["optimum"],
            "sha256": hashlib.sha256(content).hexdigest(),
            "path": path.name,
            "member": str(k),
            "source": by_authors if n_jobs == 20 else "Shang, T'Kindt and Della Croce 2021",
        }
        for k, instance in enumerate(instances, start=1)
    ]
    header = {
        "family": "single_machine",
        "description": f"single machine, total tardiness, {n_jobs} jobs{drawn}",
        "base": "smtt",
    }
    return Table(file.replace("n", "smtt", 1), header, rows)


def memory(
    mirror: Mirror, collection: str, name: str, description: str, capacity: int | None = None
) -> Table:
    """Return a collection of memory allocation instances: least peak, or fit a capacity."""
    files = mirror.dataset(collection, "benchmarks/")
    files = [entry for entry in files if "/examples/" not in entry["path"]]
    rows = []
    for entry in files:
        text = mirror.path(entry).read_text(encoding="utf-8")
        stem = Path(entry["path"]).name.split(".csv")[0].removesuffix(".1048576")
        lower, upper = PEAKS.get(stem, (None, None)) if capacity is None else (0, 0)
        rows.append(
            {
                "name": stem,
                "size": str(len(data_lines(text).text) - 1),
                "lower": lower,
                "upper": upper,
                "sha256": entry["sha256"],
                "path": entry["path"].removeprefix("benchmarks/"),
                "member": "" if capacity is None else str(capacity),
                "source": "Moffitt 2023" if collection == "minimalloc" else "idealloc",
            }
        )
    header = {
        "family": "tensor_memory",
        "description": description,
        "repository": files[0]["repository"],
        "commit": files[0]["commit"],
        "base": "benchmarks",
    }
    return Table(name, header, rows)


def project_scheduling(
    mirror: Mirror,
    name: str,
    files: list[dict[str, str]],
    bounds: Bounds,
    description: str,
    by: str,
) -> Table:
    """Return one collection of project scheduling instances, one a file.

    `bounds` holds the best known ones by the instances' names; it may lack some.
    """
    base = str(Path(files[0]["path"]).parent)
    rows = []
    for entry in files:
        stem = Path(entry["path"]).stem
        # The files of PSPLIB's single-mode sets are called j30_1_1 here, and j301_1 elsewhere.
        instance = re.sub(r"^(j\d+)_(\d+_\d+)$", r"\1\2", stem)
        lower, upper = bounds.get(instance, (None, None))
        rows.append(
            {
                "name": instance,
                "size": _activities_by_resources(mirror.path(entry)),
                "lower": lower,
                "upper": upper,
                "sha256": entry["sha256"],
                "path": Path(entry["path"]).name,
                "member": "",
                "source": by,
            }
        )
    rows.sort(key=lambda row: [int(part) for part in re.findall(r"\d+", row["name"])])
    header = {
        "family": "rcpsp",
        "description": description,
        "repository": files[0]["repository"],
        "commit": files[0]["commit"],
        "base": base,
        "together": str(TOGETHER),
    }
    return Table(name, header, rows)


def _activities_by_resources(path: Path) -> str:
    problem = read_file(path)
    assert isinstance(problem, Rcpsp)
    return f"{problem.n_activities}x{problem.n_resources}"


def best_known(mirror: Mirror, file: str) -> Bounds:
    """Return the best known bounds that the OR&S group of Ghent University collects (2024)."""
    (entry,) = mirror.dataset("rcpsp-bounds", f"data/bks/{file}.csv")
    known: Bounds = {}
    text = mirror.path(entry).read_text(encoding="latin-1")
    for row in csv.reader(text.splitlines(), delimiter=";"):
        if len(row) > 7 and row[1].endswith((".sm", ".mm")):
            known[Path(row[1]).stem] = (int(row[4]), int(row[7]))
    return known


def engine_bounds(mirror: Mirror) -> Bounds:
    """Return bounds of PSPLIB's multi-mode sets: CP Optimizer's, and those of its authors."""
    folder = "benchmarks/mmrcpsp/"
    files = {Path(e["path"]).name: e for e in mirror.dataset("psplib-mm", folder)}
    known: Bounds = {}
    text = mirror.path(files["PSPLIB-CPO-4W.csv"]).read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines(), delimiter=";"):
        name = row["Model name"].removeprefix("mmrcpsp_PSPLIB_")
        values = row["Lower bound"], row["Objective"]
        # Values of a thousand and more carry penalties: those schedules consume too much.
        if all(value.isdecimal() and int(value) < 1000 for value in values):
            known[name] = (int(values[0]), int(values[1]))
    text = mirror.path(files["fds-paper.csv"]).read_text(encoding="utf-8")
    for line in text.splitlines():
        file, lower, upper = line.split(";")
        mine = known.get(Path(file).stem, (0, 2**31))
        known[Path(file).stem] = (max(mine[0], int(lower)), min(mine[1], int(upper)))
    return known


def gpu_cluster(mirror: Mirror) -> Table:
    """Return openb: lists of pods, each for the same list of nodes."""
    nodes = "openb_node_list_all_node.csv"
    files = {Path(entry["path"]).name: entry for entry in mirror.dataset("openb", "data/csv/")}
    n_nodes = len(mirror.path(files[nodes]).read_text(encoding="utf-8").splitlines()) - 1
    rows = []
    for file in sorted(name for name in files if name.startswith("openb_pod_list_")):
        n_pods = len(mirror.path(files[file]).read_text(encoding="utf-8").splitlines()) - 1
        both = b"".join(bytes.fromhex(files[name]["sha256"]) for name in (file, nodes))
        rows.append(
            {
                "name": file.removeprefix("openb_pod_list_").removesuffix(".csv"),
                "size": f"{n_nodes}x{n_pods}",
                "lower": None,
                "upper": None,
                "sha256": hashlib.sha256(both).hexdigest(),
                "path": file,
                "member": "",
                "source": "Weng et al. 2023",
            }
        )
    header = {
        "family": "gpu_packing",
        "description": "shared GPUs of a production cluster, nodes x pods",
        "repository": files[nodes]["repository"],
        "commit": files[nodes]["commit"],
        "base": "data/csv",
        "beside": nodes,
    }
    return Table("openb", header, rows)


def project_tables(mirror: Mirror) -> Iterator[Table]:
    """Yield the project scheduling collections: PSPLIB, MMLIB50 and RCPSP/max."""
    kolisch, schwindt = "Kolisch and Sprecher 1996", "Kolisch, Schwindt and Sprecher 1999"
    for size, file in ((30, "J30"), (60, "J60_1"), (90, "J90_3"), (120, "J120_0")):
        files = mirror.dataset("psplib", f"rcpsp/instances/j{size}/")
        files = [entry for entry in files if entry["path"].endswith(".rcp")]
        text = f"project scheduling (PSPLIB), {size} activities"
        yield project_scheduling(mirror, f"j{size}", files, best_known(mirror, file), text, kolisch)
    base = "benchmarks/mmrcpsp/data"
    yield project_scheduling(
        mirror,
        "mmlib50",
        mirror.dataset("psplib-mm", f"{base}/MMLIB/MMLIB50/"),
        best_known(mirror, "MM50_0"),
        "multi-mode project scheduling (MMLIB), 50 activities",
        "Van Peteghem and Vanhoucke 2014",
    )
    bounds = engine_bounds(mirror)
    for size in (10, 12, 14, 16, 18, 20, 30):
        files = mirror.dataset("psplib-mm", f"{base}/PSPLIB/j{size}")
        text = f"multi-mode project scheduling (PSPLIB), {size} activities"
        yield project_scheduling(mirror, f"j{size}mm", files, bounds, text, kolisch)
    for folder in ("j10", "j20", "j30", "ubo10", "ubo20", "ubo50", "ubo100"):
        files = mirror.dataset("rcpsp-max", f"benchmarks/rcpsp-max/data/{folder}/")
        name = folder if folder.startswith("u") else f"{folder}max"
        text = (
            f"project scheduling with largest lags (RCPSP/max), {folder.strip('jubo')} activities"
        )
        yield project_scheduling(mirror, name, files, {}, text, schwindt)


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
    for file in ("n20", "n20-uniform", "n100", "n200", "n500"):
        yield total_tardiness(mirror, file)
    yield from project_tables(mirror)
    yield gpu_cluster(mirror)
    yield memory(mirror, "minimalloc", "minimalloc", "memory allocation, least peak: A to K")
    yield memory(
        mirror, "minimalloc", "minimalloc-fit", "memory allocation: A to K within 1048576", 2**20
    )
    yield memory(
        mirror, "memory-large", "memory-large", "memory allocation, least peak: iopddl and SOMAS"
    )


def pack(tables: Iterable[Table]) -> tuple[str, bytes]:
    """Return the registry's text and the hashes of files; `registry` says what is in them."""
    blocks, digests = [], b""
    for table in sorted(tables, key=lambda table: table.name):
        constant = {"dataset": table.name} | table.header
        lines = []
        for key in COLUMNS:
            cells = ["" if row[key] is None else str(row[key]) for row in table.rows]
            if key != "name" and len(set(cells)) == 1:
                constant[key] = cells[0]
            elif key == "sha256":
                digests += _joint(cells, int(table.header.get("together", 1)))
            else:
                lines.append("\t".join([key, *cells]))
        blocks.append("\n".join([f"# {key}: {value}" for key, value in constant.items()] + lines))
    return "\n\n".join(blocks), digests


def _joint(hashes: list[str], size: int) -> bytes:
    """Return the hashes as bytes; for `size` files, the hash of their digests in a row."""
    digests = [bytes.fromhex(value) for value in hashes]
    if size == 1:
        return b"".join(digests)
    blocks = (b"".join(digests[k : k + size]) for k in range(0, len(digests), size))
    return b"".join(hashlib.sha256(block).digest() for block in blocks)


def write(tables: Iterable[Table]) -> None:
    """Write the registry."""
    text, digests = pack(tables)
    (DATA / "registry.xz").write_bytes(lzma.compress(text.encode(), preset=9))
    (DATA / "sha256.bin").write_bytes(digests)


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
    found = []
    for table in tables(mirror):
        found.append(table)
        if table.name == "jsplib":
            embed(mirror, table)
        print(f"{table.name}: {len(table.rows)} instances")
    write(found)


if __name__ == "__main__":
    main()
