"""The self-check in words: progress, disagreements, and the table at the end."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from optsched.core import InputError
from optsched.formats import read_text
from optsched.selfcheck.runner import CaseReport, FamilyTally
from optsched.selfcheck.ways import arguments


def save(report: CaseReport, seed: int, folder: Path) -> Path | None:
    """Write the smallest instance of a case that disagrees, and return the file.

    Raises
    ------
    InputError
        When the file cannot be written.
    """
    data = report.shrunk or report.instance
    if data is None:
        return None
    name = f"{report.family}-seed{seed}-case{report.case}"
    path = folder / f"{name}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(data | {"name": name}) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error
    return path


def explain(report: CaseReport, path: Path | None, console: Console) -> None:
    """Print what disagrees, on which smallest instance, and where that is."""
    console.print(f"[red]disagreement[/] in case {report.case} ({report.family}):")
    for told in report.wrong:
        console.print(f"  {told}", markup=False)
    data = report.shrunk or report.instance
    if data is None:
        return
    text = json.dumps(data)
    console.print(f"  on {_described(text)}", markup=False)
    console.print(f"  {_shown(data)}", markup=False)
    for answer in report.answers:
        console.print(f"    {answer}", markup=False)
    if path is None:
        return
    for way in dict.fromkeys(told.partition(": ")[0] for told in report.wrong):
        options = arguments(way)
        if options:
            command = shlex.join(["optsched", "solve", str(path), *options])
            console.print(f"  again: {command} --seed {report.case}", markup=False)


def _described(text: str) -> str:
    return read_text(text, "").describe()


def _shown(data: dict[str, Any]) -> str:
    told = [
        f"{key} = {json.dumps(value)}"
        for key, value in data.items()
        if key not in ("optsched", "family", "name")
    ]
    return "; ".join(told)


def table(tallies: dict[str, FamilyTally]) -> Table:
    """Return the table of families and ways: cases, decided, disagreements, seconds."""
    shown = Table("family", "solver", box=None)
    for name in ("cases", "decided", "disagreements", "seconds"):
        shown.add_column(name, justify="right")
    for family, tally in tallies.items():
        label = family
        for way, each in tally.ways.items():
            wrong = f"[red]{each.disagreements}[/]" if each.disagreements else "0"
            shown.add_row(
                label, way, f"{each.cases:,}", f"{each.decided:,}", wrong, f"{each.seconds:,.1f}"
            )
            label = ""
    return shown


def families(tallies: dict[str, FamilyTally]) -> Table:
    """Return the table of families: what was held against what."""
    shown = Table("family", box=None)
    for name in ("cases", "cross-checked", "enumerated", "infeasible", "disagreements"):
        shown.add_column(name, justify="right")
    rows = list(tallies.items())
    for family, tally in [*rows, ("all", _sum(tallies.values()))] if len(rows) > 1 else rows:
        wrong = f"[red]{tally.disagreements}[/]" if tally.disagreements else "0"
        counts = (tally.cases, tally.cross_checked, tally.enumerated, tally.infeasible)
        shown.add_row(family, *(f"{count:,}" for count in counts), wrong)
    return shown


def _sum(tallies: Iterable[FamilyTally]) -> FamilyTally:
    total = FamilyTally()
    for tally in tallies:
        total.cases += tally.cases
        total.cross_checked += tally.cross_checked
        total.enumerated += tally.enumerated
        total.infeasible += tally.infeasible
        total.disagreements += tally.disagreements
    return total
