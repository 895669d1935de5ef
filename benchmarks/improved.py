"""How many clusters of a pod-packing campaign are better than they came in, as a Markdown table.

    python benchmarks/improved.py benchmarks/results/pods-grid-1s

A solution is compared with the incoming state level by level, in the order of the objective:
worse, equal or improved. Equal and proven optimal is certified: nothing better exists.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from optsched.bench import instances, journal
from optsched.problems.pod_packing.problem import PodPacking, PodPackingSolution


def verdict(problem: PodPacking, solution: PodPackingSolution, proven: bool) -> str:
    """Return what became of the incoming state: improved, certified, equal or worse."""
    before, after = problem.levels(problem.incoming()), problem.levels(solution)
    if after < before:
        return "improved"
    if after > before:
        return "worse"
    return "certified" if proven else "equal"


def main(folder: Path) -> None:
    """Print the table of a campaign's folder, a row a solver."""
    found: dict[str, Counter[str]] = {}
    for row in journal.latest(folder):
        count = found.setdefault(row["label"], Counter())
        count["runs"] += 1
        if row.get("solution") is None:
            count["none"] += 1
            continue
        problem = instances.restore(row["instance"]["source"], folder)
        if not isinstance(problem, PodPacking):
            raise SystemExit(f"{row['instance']['name']} is no cluster of pods")
        proven = row["status"] == "OPTIMAL"
        count["proven"] += proven
        count[verdict(problem, PodPackingSolution.from_dict(row["solution"]), proven)] += 1
    columns = ("runs", "improved", "certified", "equal", "worse", "none", "proven")
    print("| solver | " + " | ".join(columns) + " |")
    print("| --- |" + " ---: |" * len(columns))
    for label, count in found.items():
        print(f"| {label} | " + " | ".join(str(count[column]) for column in columns) + " |")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
