"""How much less one solver of a campaign needs than each of the others, as a Markdown table.

    python benchmarks/reduction.py benchmarks/results/scratchpad-baselines optsched

A mean is over the instances on which the other's objective is positive: where it needs nothing,
there is nothing to reduce.
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import mean

from optsched.bench import journal


def main(folder: Path, label: str) -> None:
    """Print the table of a campaign's folder for the solver with a label."""
    objective: dict[str, dict[str, float]] = {}
    for row in journal.latest(folder):
        if row.get("objective") is not None:
            objective.setdefault(row["label"], {})[row["instance"]["name"]] = row["objective"]
    if label not in objective:
        raise SystemExit(f"no solver {label!r} in {folder}: one of {', '.join(objective)}")
    ours = objective.pop(label)
    print("| against | instances | mean reduction | least | most |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for other, values in objective.items():
        saved = [
            1 - ours[name] / value for name, value in values.items() if value > 0 and name in ours
        ]
        if saved:
            figures = " | ".join(
                f"{100 * each:.1f} %" for each in (mean(saved), min(saved), max(saved))
            )
            print(f"| {other} | {len(saved)} | {figures} |")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2])
