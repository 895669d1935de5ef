"""Write the published results in ``benchmarks/reference`` from ScheduleOpt's files.

Facts alone are taken: bounds, minutes, solver, hardware, date. The files are read from the mirror
that ``OPTSCHED_DATASETS`` names, or from the folder given::

    python benchmarks/make_references.py [FOLDER]
"""

from __future__ import annotations

import csv
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

REPOSITORY = "ScheduleOpt/benchmarks"
COMMIT = "79f0edc1a2e95ed0e3cc105e79a6d03910a6d091"
FOLDER = "jobshop/solutions"
#: File, solver and version.
FILES = (
    ("results_cpsat_9_15_6755.json", "CP-SAT", "9.15"),
    ("results_cpo_22_1_1_0.json", "CP Optimizer", "22.1"),
    ("results_optalcp_2026_4_0_maxpropagation.json", "OptalCP", "2026.4"),
)
LIMIT, THREADS = 600, 8
COLUMNS = (
    "instance", "solver", "version", "lower", "upper", "minutes", "limit_seconds", "threads",
    "hardware", "date",
)  # fmt: skip
HEAD = f"""\
# Published results on classic job shops: facts collected from other people's measurements.
# Source: https://github.com/{REPOSITORY}, {FOLDER}, at {COMMIT}
# Conditions: {LIMIT} s, {THREADS} threads. Minutes are as published, rounded; lower and upper are
# the proven bound and the makespan at the end. Written by benchmarks/make_references.py.
"""


BLOCKING_REPOSITORY = "ScheduleOpt/optalcp-benchmarks"
BLOCKING_COMMIT = "adcef15768749259db68e57b2744632848c70aa0"
BLOCKING_FOLDER = "benchmarks/blocking-jobshop/results"
BLOCKING_FILES = (
    ("CPO-4W.csv", "CP Optimizer", "22.1"),
    ("Optal-4W-2FDS.csv", "OptalCP", "0.9.2"),
)
BLOCKING_COLUMNS = (
    "instance", "solver", "version", "lower", "upper", "seconds", "limit_seconds", "threads",
    "hardware", "date",
)  # fmt: skip
BLOCKING_HEAD = f"""\
# Published results on classic job shops without buffers, swaps allowed: facts collected from other
# people's measurements.
# Source: https://github.com/{BLOCKING_REPOSITORY}, {BLOCKING_FOLDER}, at
# {BLOCKING_COMMIT}
# Lower and upper are the proven bound and the makespan at the end. Written by
# benchmarks/make_references.py.
"""


PROJECT_FILES = (
    ("rcpsp", "CPO-4W.csv", "CP Optimizer", "22.1"),
    ("rcpsp", "Optal-4W-2FDS.csv", "OptalCP", "0.9.1"),
    ("mmrcpsp", "MMLIB50-CPO-4W.csv", "CP Optimizer", "22.1"),
    ("mmrcpsp", "MMLIB50-Optal-4W-2FDS.csv", "OptalCP", "0.9.1"),
)
#: Our datasets by the sets as they are called there.
PROJECT_SETS = {
    "j30": "j30", "j60": "j60", "j90": "j90", "j120": "j120", "MMLIB_MMLIB50": "mmlib50",
}  # fmt: skip
PROJECT_HEAD = f"""\
# Published results on project scheduling (PSPLIB, MMLIB50): facts collected from other people's
# measurements.
# Source: https://github.com/{BLOCKING_REPOSITORY}, benchmarks/rcpsp and benchmarks/mmrcpsp, at
# {BLOCKING_COMMIT}
# Lower and upper are the proven bound and the makespan at the end; where they meet, seconds tell
# when. Written by benchmarks/make_references.py.
"""


FLEXIBLE_FOLDER = "flexible-jobshop/solutions"
FLEXIBLE_COLUMNS = (
    "instance", "lower", "lower_solver", "lower_minutes", "upper", "upper_solver", "upper_minutes",
    "hardware", "date",
)  # fmt: skip
FLEXIBLE_HEAD = f"""\
# Best known bounds of flexible job shops, and in how many minutes an engine has proven or found
# them, where that is published: facts collected from other people's measurements.
# Source: https://github.com/{REPOSITORY}, {FLEXIBLE_FOLDER}, at {COMMIT}
# Minutes are as published, rounded up to whole ones. Written by benchmarks/make_references.py.
"""
SUITE_HEAD = """\
# Written by benchmarks/make_references.py.
name = "flexible-lib"
description = "Flexible job shops whose optimum an engine is listed to prove within a minute"
time_limit = 60
workers = 2
instances = [
"""
SUITE_TAIL = """\
]

[[solver]]
label = "optsched"
solver = "auto"
"""


def main() -> None:
    """Read the published files and write ours."""
    mirror = Path(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("OPTSCHED_DATASETS", ""))
    target = Path(__file__).parent / "reference"
    _write(target / "jobshop_published.csv", HEAD, COLUMNS, _classic(mirror))
    _write(target / "jobshop_blocking.csv", BLOCKING_HEAD, BLOCKING_COLUMNS, _blocking(mirror))
    _write(target / "rcpsp_published.csv", PROJECT_HEAD, BLOCKING_COLUMNS, _projects(mirror))
    flexible = list(_flexible(mirror))
    _write(target / "flexible_published.csv", FLEXIBLE_HEAD, FLEXIBLE_COLUMNS, flexible)
    _write_suite(target.parent / "suites" / "flexible-lib.toml", flexible)


def _folder(mirror: Path, repository: str, folder: str) -> Path:
    path = mirror / repository / folder
    if not path.is_dir():
        sys.exit(f"{path} is not there: name the mirror's folder, or set OPTSCHED_DATASETS")
    return path


def _flexible(mirror: Path) -> Iterator[Sequence[object]]:
    """Yield the best known bounds of flexible job shops with the quickest record of each."""
    path = _folder(mirror, REPOSITORY, FLEXIBLE_FOLDER) / "bks.json"
    for entry in json.loads(path.read_text(encoding="utf-8")):
        lower, upper = entry["lower_bound"], entry["upper_bound"]
        low, high = _quickest(entry["lb_data"], lower), _quickest(entry["ub_data"], upper)
        yield (
            entry["instance"], lower, low["solver"], _minutes(low), upper, high["solver"],
            _minutes(high), high["hardware"], high["date"],
        )  # fmt: skip


def _quickest(records: list[dict[str, Any]], value: int) -> dict[str, Any]:
    """Return the quickest record of the best value."""
    best = [record for record in records if record["value"] == value]
    return min(best, key=lambda record: _minutes(record) or sys.maxsize)


def _minutes(record: dict[str, Any]) -> int | None:
    """Return how long a record took, or None where that is not published."""
    return record["time"] if isinstance(record["time"], int) else None


def _write_suite(target: Path, rows: Iterable[Sequence[object]]) -> None:
    """Write the suite of the instances closed within a minute."""
    quick = [row[0] for row in rows if row[1] == row[4] and row[3] == row[6] == 1]
    listed = "".join(f'  "fjsplib/{name}",\n' for name in quick)
    target.write_text(SUITE_HEAD + listed + SUITE_TAIL, encoding="utf-8")
    print(f"wrote {len(quick)} instances to {target}")


def _write(
    target: Path, head: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> None:
    listed = list(rows)
    with target.open("w", encoding="utf-8", newline="") as out:
        out.write(head)
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(listed)
    print(f"wrote {len(listed)} results to {target}")


def _classic(mirror: Path) -> Iterator[Sequence[object]]:
    folder = _folder(mirror, REPOSITORY, FOLDER)
    for name, solver, version in FILES:
        rows = json.loads((folder / name).read_text(encoding="utf-8"))
        for row in sorted(rows, key=lambda row: _natural(row["instance"])):
            lower, upper = row["lb"], row["ub"]
            # Some dates are written without the zeros.
            date = "-".join(f"{int(part):02d}" for part in upper["date"].split("-"))
            instance = re.sub(r"^(ta\d+)js$", r"\1", row["instance"])
            yield (
                instance, solver, version, lower["value"], upper["value"], upper["time"], LIMIT,
                THREADS, upper["hardware"], date,
            )  # fmt: skip


def _blocking(mirror: Path) -> Iterator[Sequence[object]]:
    folder = _folder(mirror, BLOCKING_REPOSITORY, BLOCKING_FOLDER)
    for name, solver, version in BLOCKING_FILES:
        with (folder / name).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter=";"))
        for row in sorted(rows, key=lambda row: _natural(row["Model name"])):
            yield (
                f"{row['Model name'].removeprefix('blocking-jobshop_')}-blocking", solver, version,
                row["Lower bound"], row["Objective"], row["Time"], row["Time limit"],
                row["Workers"], row["CPU"], row["Date"][:10],
            )  # fmt: skip


def _projects(mirror: Path) -> Iterator[Sequence[object]]:
    for group, name, solver, version in PROJECT_FILES:
        folder = _folder(mirror, BLOCKING_REPOSITORY, f"benchmarks/{group}/results")
        with (folder / name).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter=";"))
        for row in sorted(rows, key=lambda row: _natural(row["Model name"])):
            collection, _, instance = row["Model name"].removeprefix(f"{group}_").rpartition("_")
            collection, _, number = collection.rpartition("_")
            if collection in PROJECT_SETS:
                yield (
                    f"{PROJECT_SETS[collection]}/{number}_{instance}", solver, version,
                    row["Lower bound"], row["Objective"], row["Time"], row["Time limit"],
                    row["Workers"], row["CPU"], row["Date"][:10],
                )  # fmt: skip


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts la2 before la10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]


if __name__ == "__main__":
    main()
