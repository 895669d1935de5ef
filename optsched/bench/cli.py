"""The ``bench`` commands: run, verify, report, suites."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

bench_app = typer.Typer(
    help="Benchmark campaigns: run a suite, verify what was claimed, report.",
    no_args_is_help=True,
)

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a campaign.")]


@bench_app.command("run")
def run(
    suite: Annotated[str, typer.Argument(metavar="SUITE", help="A suite's file or name.")],
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the journal.  [default: bench-SUITE]"),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            help="Runs at a time.  [default: 1; with Ray, what the cluster has cores for]"
        ),
    ] = None,
    executor: Annotated[str, typer.Option(help="local or ray.")] = "local",
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to join.  [default: one on this machine]")
    ] = None,
    time_limit: Annotated[
        float | None, typer.Option("--time-limit", "-t", help="Seconds a run, not the suite's.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", "-w", help="Cores a run, not the suite's.")
    ] = None,
    only: Annotated[
        str | None, typer.Option(metavar="GLOB", help="Only instances of these names.")
    ] = None,
    solver: Annotated[
        str | None, typer.Option("--solver", metavar="LABEL", help="Only this solver of the suite.")
    ] = None,
    skip_missing: Annotated[
        bool, typer.Option("--skip-missing", help="Go without peers that are not installed.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Run again what failed before.")
    ] = False,
) -> None:
    """Run SUITE, each run in a process of its own. Started again, it continues where it was."""
    from rich.console import Console

    from optsched.bench.runner import run_suite
    from optsched.bench.suite import find_suite, read_suite

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    read = read_suite(
        find_suite(suite), time_limit=time_limit, workers=workers, only=only, label=solver
    )
    folder = out or Path(f"bench-{read.name}")
    summary = run_suite(
        read,
        folder,
        console,
        jobs=jobs,
        executor=executor,
        address=address,
        skip_missing=skip_missing,
        retry_failed=retry_failed,
    )
    counts = ", ".join(f"{n} {outcome}" for outcome, n in sorted(summary.outcomes.items()))
    recorded = summary.outcomes.total()
    console.print(
        f"{recorded} of {summary.total} runs are in {folder} ({summary.now} new): {counts or '-'}",
        markup=False,
    )
    if summary.interrupted:
        console.print("interrupted; the same command continues")
        raise typer.Exit(130)


@bench_app.command("suites")
def suites() -> None:
    """List the suites that have a name."""
    import tomllib

    from rich.console import Console
    from rich.table import Table

    from optsched.bench.suite import suite_folders

    table = Table("suite", "what", box=None)
    for folder in suite_folders():
        for path in sorted(folder.glob("*.toml")):
            data = tomllib.loads(path.read_text(encoding="utf-8"))
            table.add_row(path.stem, data.get("description", ""))
    Console(highlight=False).print(table)


@bench_app.command("verify")
def verify(folder: Folder) -> None:
    """Check every solution and bound of a campaign again from scratch; exit code 1 on a fault."""
    from rich.console import Console

    from optsched.bench.verify import by_outcome
    from optsched.bench.verify import verify as run

    console = Console(highlight=False, soft_wrap=True)
    found = run(folder)
    for note in found.notes:
        console.print(f"note: {note}", markup=False)
    for problem in found.problems:
        console.print(f"FAULT: {problem}", style="red", markup=False)
    console.print(
        f"{found.runs} runs ({by_outcome(found) or '-'}) on {found.instances} instances: "
        f"{found.solutions} solutions and {found.bounds} bounds checked, "
        f"{len(found.problems)} faults",
        style="red" if found.problems else "green",
        markup=False,
    )
    if found.problems:
        raise typer.Exit(1)


@bench_app.command("report")
def report(
    folder: Folder,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="published|DIR", help="Compare with published results, or another campaign."
        ),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="OUT", help="Write one HTML file.")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", metavar="OUT", help="Write Markdown.")
    ] = None,
) -> None:
    """Report on a campaign: proofs, gaps, primal integrals, profiles, convergence."""
    from optsched.bench import campaign as campaigns
    from optsched.bench.markdown import markdown as to_markdown
    from optsched.core import InputError

    campaign = campaigns.collect(folder, against)
    texts = {}
    if html is not None:
        from optsched.bench.page import page

        texts[html] = page(campaign)
    if markdown is not None:
        texts[markdown] = to_markdown(campaign)
    for path, text in texts.items():
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror}") from error
        typer.echo(f"wrote {path}", err=True)
    if not texts:
        typer.echo(to_markdown(campaign, instances=False), nl=False)
