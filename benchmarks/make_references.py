"""Write ``benchmarks/reference/jobshop_published.csv`` from the results published by ScheduleOpt.

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
from pathlib import Path

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


def main() -> None:
    """Read the published files and write ours."""
    mirror = Path(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("OPTSCHED_DATASETS", ""))
    folder = mirror / REPOSITORY / FOLDER
    if not folder.is_dir():
        sys.exit(f"{folder} is not there: name the mirror's folder, or set OPTSCHED_DATASETS")
    target = Path(__file__).parent / "reference" / "jobshop_published.csv"
    count = 0
    with target.open("w", encoding="utf-8", newline="") as out:
        out.write(HEAD)
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(COLUMNS)
        for name, solver, version in FILES:
            rows = json.loads((folder / name).read_text(encoding="utf-8"))
            for row in sorted(rows, key=lambda row: _natural(row["instance"])):
                lower, upper = row["lb"], row["ub"]
                # Some dates are written without the zeros.
                date = "-".join(f"{int(part):02d}" for part in upper["date"].split("-"))
                instance = re.sub(r"^(ta\d+)js$", r"\1", row["instance"])
                writer.writerow(
                    [
                        instance, solver, version, lower["value"], upper["value"],
                        upper["time"], LIMIT, THREADS, upper["hardware"], date,
                    ]
                )  # fmt: skip
                count += 1
    print(f"wrote {count} results to {target}")


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts la2 before la10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]


if __name__ == "__main__":
    main()
