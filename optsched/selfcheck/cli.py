"""The ``selfcheck`` command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

#: Exit code after Ctrl-C.
EXIT_STOPPED = 130
#: Cases between two lines of progress where there is no terminal to draw a bar on.
EVERY = 100


def selfcheck(
    cases: Annotated[int, typer.Option(help="Random instances, in turn of every family.")] = 700,
    seed: Annotated[int, typer.Option(help="Same seed, same instances.")] = 0,
    family: Annotated[
        list[str] | None, typer.Option(help="Only this family; may be given again.")
    ] = None,
    out_dir: Annotated[
        Path,
        typer.Option("--out", metavar="DIR", help="Where instances that disagree are written."),
    ] = Path("selfcheck"),
    workers: Annotated[
        int | None, typer.Option("--workers", "-w", help="Processes.  [default: one a core]")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Solve random tiny instances in every way there is, and hold the answers together.

    Every solver, formulation and search that can express an instance, brute force, and the
    reference models where MiniZinc is installed. What disagrees is shrunk, printed and saved; the
    exit code is then 1.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from optsched.running import available_cores
    from optsched.selfcheck import report
    from optsched.selfcheck.runner import FamilyTally, run

    out = Console(highlight=False, soft_wrap=True)
    err = Console(stderr=True, highlight=False, soft_wrap=True)
    tallies: dict[str, FamilyTally] = {}
    wrong = 0
    columns = (TextColumn("self-check"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    found = run(cases, seed, families=family or (), workers=workers or available_cores())
    stopped = False
    with Progress(*columns, console=err, disable=quiet) as progress:
        task = progress.add_task("", total=cases)
        try:
            for done, each in enumerate(found, 1):
                progress.advance(task)
                if not (quiet or err.is_terminal) and done % EVERY == 0:
                    err.print(f"{done:,} of {cases:,} cases, {wrong} disagree", style="dim")
                tallies.setdefault(each.family, FamilyTally()).add(each)
                if each.wrong:
                    wrong += 1
                    path = report.save(each, seed, out_dir)
                    report.explain(each, path, out)
        except KeyboardInterrupt:
            stopped = True
    out.print(report.table(tallies))
    out.print()
    out.print(report.families(tallies))
    out.print()
    told = "no disagreement" if not wrong else f"[red]{wrong} cases disagree[/]"
    checked, total = (
        sum(getattr(tally, name) for tally in tallies.values())
        for name in ("cross_checked", "cases")
    )
    out.print(f"{told}; {checked:,} of {total:,} cases were decided by two independent methods")
    raise typer.Exit(1 if wrong else EXIT_STOPPED if stopped else 0)
