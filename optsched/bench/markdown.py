"""A report as Markdown, for the repository."""

from __future__ import annotations

from collections.abc import Iterable

from optsched.bench import journal, words
from optsched.bench.campaign import Campaign
from optsched.bench.tables import (
    Cell,
    Line,
    by_group,
    instance_lines,
    overall,
    percent,
    plain,
    seconds,
)


def markdown(campaign: Campaign, *, instances: bool = True) -> str:
    """Return the report as Markdown.

    Parameters
    ----------
    campaign : Campaign
    instances : bool
        Whether to list every instance.
    """
    parts = [f"# {campaign.name}", "", *(f"- {text}" for text in words.conditions(campaign)), ""]
    heads = ["solver", *(head for head, _ in words.COLUMNS)]
    parts += ["## All instances", "", *_table(heads, map(figures, overall(campaign))), ""]
    parts += ["## By family and size", ""]
    rows = []
    for (group, size), lines in by_group(campaign).items():
        for k, line in enumerate(lines):
            where = [group if k == 0 else "", (size or "all") if k == 0 else ""]
            rows.append([*where, *figures(line)])
    parts += [*_table(["family", "size", *heads], rows, left=3), ""]
    if instances:
        parts += ["## By instance", "", "Objective, bound where not proven, gap to best known.", ""]
        rows = [
            [line.name, line.size, line.known, *map(_cell, line.cells)]
            for line in instance_lines(campaign)
        ]
        parts += [*_table(["instance", "size", "best known", *campaign.labels], rows, left=1), ""]
    failed = [row for row in campaign.rows if row.outcome != journal.DONE]
    if failed:
        parts += ["## Failures", ""]
        parts += [
            f"- {row.instance}, {row.label}, seed {row.seed}: {row.outcome}: {row.message}"
            for row in failed[:50]
        ]
        if len(failed) > 50:
            parts.append(f"- and {len(failed) - 50} more")
        parts.append("")
    parts += ["## How to read", ""]
    parts += [f"- **{head}**: {meaning}" for head, meaning in words.COLUMNS]
    return "\n".join(parts) + "\n"


def figures(line: Line) -> list[str]:
    """Return a solver's figures as they are written, its label first."""
    runs = f"{line.runs} ({line.failed})" if line.failed else str(line.runs)
    target = seconds(line.target)
    if line.reached is not None:
        target += f" ({line.reached})"
    return [
        line.label,
        runs,
        str(line.solved),
        str(line.proven),
        percent(line.mean_gap),
        percent(line.max_gap),
        percent(line.mean_bound_gap),
        percent(line.integral),
        target,
    ]


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return ""
    if cell.objective == plain(None):
        return cell.failure or "no solution"
    bound = "" if cell.proven else f" ({cell.bound})"
    gap = "" if not cell.gap else f" +{percent(cell.gap)}"
    failure = f" {cell.failure}" if cell.failure else ""
    value = f"**{cell.objective}**" if cell.proven else cell.objective
    return f"{value}{bound}{gap}{failure}"


def _table(heads: list[str], rows: Iterable[list[str]], left: int = 1) -> list[str]:
    lines = [_row(heads), _row(["---"] * left + ["---:"] * (len(heads) - left))]
    return lines + [_row(row) for row in rows]


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
