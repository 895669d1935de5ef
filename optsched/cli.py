"""The command line: solve, check, export, datasets, bench, rcbench, selfcheck."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from optsched import __version__
from optsched.bench.cli import bench_app
from optsched.core import CannotExpressError, InputError, MissingExtraError, OptschedError, Problem
from optsched.outputs import Outputs, figures, guard
from optsched.rcbench.cli import rcbench_app
from optsched.result import Result, Status
from optsched.selfcheck.cli import selfcheck

EXIT_SOLVED, EXIT_INFEASIBLE, EXIT_INPUT, EXIT_NOTHING, EXIT_SOLVER = 0, 1, 2, 3, 4

app = typer.Typer(
    name="optsched",
    help="Exact combinatorial optimization: the best solution, a proven bound, and whether they "
    "meet.\n\nExit codes: 0 solved, 1 infeasible, 2 bad input, 3 nothing found in time, "
    "4 a solver failed.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
datasets_app = typer.Typer(help="Instances of the literature.", no_args_is_help=True)
app.add_typer(datasets_app, name="datasets")
app.add_typer(bench_app, name="bench")
app.add_typer(rcbench_app, name="rcbench")
app.command()(selfcheck)

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

Instance = Annotated[
    str,
    typer.Argument(
        metavar="INSTANCE",
        help="A dataset name such as ft10 or ta41, or a file; its format is recognised.",
    ),
]

Family = Annotated[
    str | None,
    typer.Option(help="Of an ONNX model: tensor_memory or scratchpad.  [default: tensor_memory]"),
]
Dim = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=SIZE", help="A dimension of an ONNX model, or a tensor's shape."),
]
ElementBytes = Annotated[
    int | None, typer.Option(help="Bytes an element of an ONNX model (1: int8).")
]
Capacity = Annotated[
    int | None, typer.Option(help="Bytes of memory for an ONNX model or a CSV of buffers.")
]
AssumeIgnored = Annotated[
    bool,
    typer.Option(
        "--assume-ignored", help="Leave out, and list, what is not understood of a cluster."
    ),
]
Overcommitted = Annotated[
    str | None,
    typer.Option(
        metavar="repair|refuse",
        help="Of a cluster with nodes whose pods need more than they have.  [default: repair]",
    ),
]
Beside = Annotated[
    list[Path] | None,
    typer.Option("--with", metavar="FILE", help="Of a cluster: another file, such as its pods."),
]
Goal = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE",
        help="Of a cluster: order, then, slot, price or migration_limit, as in then=used_nodes.",
    ),
]
Explain = Annotated[
    bool, typer.Option("--explain", help="Of a cluster: why each pod left out is left out.")
]


def _model_options(
    family: str | None,
    dim: list[str] | None,
    element_bytes: int | None,
    capacity: int | None,
    assume_ignored: bool,
    overcommitted: str | None = None,
) -> dict[str, Any]:
    """Return what was said of an ONNX model or a cluster, as `optsched.load` takes it."""
    dims: dict[str, Any] = {}
    for text in dim or []:
        name, separator, value = text.rpartition("=")
        try:
            sizes = [int(part) for part in value.split(",")]
        except ValueError:
            sizes = []
        if not separator or not name or not sizes:
            raise InputError(f"--dim {text!r}: expected NAME=SIZE or TENSOR=SIZE,SIZE,...")
        dims[name] = sizes if "," in value else sizes[0]
    options: dict[str, Any] = {"family": family, "dims": dims or None}
    options |= {"element_bytes": element_bytes, "capacity": capacity}
    options |= {"assume_ignored": assume_ignored or None, "overcommitted": overcommitted}
    return {key: value for key, value in options.items() if value is not None}


def _load(instance: str, beside: list[Path] | None, model: dict[str, Any]) -> Problem:
    """Return the problem of a file or a dataset, or of a cluster in several files."""
    if not beside:
        from optsched.loading import load

        return load(instance, model=model)
    from optsched import PodPacking

    if unknown := sorted(model.keys() - {"assume_ignored", "overcommitted"}):
        raise InputError(f"--with is for clusters, {unknown[0]} is not")
    return PodPacking.from_kubernetes(instance, *beside, name=Path(instance).stem, **model)


def _show_version(value: bool) -> None:
    if value:
        out.print(f"optsched {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    """Hold the options of the whole program."""


@app.command()
def solve(
    instance: Instance,
    solver: Annotated[
        str,
        typer.Option(
            "--solver",
            "-s",
            help="auto, cpsat, highs, pulp[:NAME], minizinc[:NAME], native, lns, rolling, "
            "heuristic[:NAME].",
        ),
    ] = "auto",
    time_limit: Annotated[
        float | None,
        typer.Option("--time-limit", "-t", help="Seconds for everything.  [default: none]"),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", "-w", help="Cores.  [default: all]")
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    gap: Annotated[float, typer.Option(help="Stop at this relative gap.")] = 0.0,
    objective: Annotated[
        str | None, typer.Option(help="Another objective than the file's own.")
    ] = None,
    hint: Annotated[
        Path | None, typer.Option(help="JSON of a solution or a result to start from.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", "-O", metavar="NAME=VALUE", help="An option of the solver."),
    ] = None,
    json_out: Annotated[
        str | None, typer.Option("--json", metavar="OUT", help="Write the result ('-': stdout).")
    ] = None,
    gantt: Annotated[
        Path | None,
        typer.Option(
            "--gantt",
            "--picture",
            metavar="OUT",
            help="Draw the schedule or memory map: .html, .png, .svg, .pdf.",
        ),
    ] = None,
    out_file: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="OUT",
            help="Write the solution in a format of its family's: for memory .csv, .h; for "
            "clusters the plan as .json, .sh, .diff; else .json.",
        ),
    ] = None,
    convergence: Annotated[
        Path | None,
        typer.Option(metavar="OUT", help="Draw incumbent and bound against time."),
    ] = None,
    family: Family = None,
    dim: Dim = None,
    element_bytes: ElementBytes = None,
    capacity: Capacity = None,
    assume_ignored: AssumeIgnored = False,
    overcommitted: Overcommitted = None,
    beside: Beside = None,
    goal: Goal = None,
    explain: Explain = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no summary.")] = False,
) -> None:
    """Solve INSTANCE, show progress, and print what is proven. Ctrl-C keeps the incumbent."""
    from optsched.live import Progress
    from optsched.solving import solve as run

    outputs = Outputs(json_out, out_file, gantt, convergence)
    outputs.check_paths()
    model = _model_options(family, dim, element_bytes, capacity, assume_ignored, overcommitted)
    problem = _load(instance, beside, model)
    cluster = _cluster_commands(problem, goal, explain)
    if cluster is not None:
        problem = cluster.with_goals(problem, goal or [])
        err.print(cluster.notice(problem), end="", markup=False)
    outputs.check_family(problem)
    if objective is not None:
        problem = _with_objective(problem, objective)
    reference = _best_known(instance) if objective is None else None
    # Progress goes to stderr, so that --json - can be piped.
    progress = Progress(problem, err, time_limit, reference, enabled=not quiet)
    with progress:
        result = run(
            problem,
            solver,
            time_limit=time_limit,
            workers=workers,
            seed=seed,
            gap_limit=gap,
            hint=None if hint is None else _read_json(hint, "hint"),
            options=_options(option or []),
            on_event=progress.event,
        )
    if not quiet:
        progress.summary(result)
        if result.solution is not None:
            err.print(figures(result), end="", markup=False)
    if cluster is not None and (explain or not quiet):
        text = cluster.summary(problem, result, explain=explain)
        (err if json_out == "-" else out).print(text, end="", markup=False)
    for path in outputs.write(result):
        if not quiet:
            err.print(f"wrote {path}", style="dim")
    raise typer.Exit(_exit_code(result))


def _cluster_commands(problem: Problem, goal: list[str] | None, explain: bool) -> Any:
    """Return the module behind the options of clusters; refuse them for anything else."""
    from optsched.families import family_module

    module = family_module(problem, "commands")
    if module is None and (goal or explain):
        name = "--goal" if goal else "--explain"
        raise InputError(f"{name} is for clusters, not for a {problem.family}")
    return module


def _exit_code(result: Result) -> int:
    if result.status is Status.INFEASIBLE:
        return EXIT_INFEASIBLE
    return EXIT_NOTHING if result.solution is None else EXIT_SOLVED


def _with_objective(problem: Problem, objective: str) -> Problem:
    data = problem.to_dict() | {"objective": objective}
    return type(problem).from_dict(data)


def _best_known(instance: str) -> Any:
    """Return the registry's entry of a dataset name, None for a file."""
    from optsched import datasets

    if Path(instance).exists():
        return None
    try:
        return datasets.info(instance)
    except InputError:
        return None


def _read_json(path: Path, what: str) -> Any:
    from optsched.formats import read_solution

    try:
        return read_solution(path)
    except InputError as error:
        raise InputError(f"{what}: {error}") from error


def _options(pairs: list[str]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or not name:
            raise InputError(f"--option {pair}: expected NAME=VALUE")
        try:
            options[name] = json.loads(value)
        except json.JSONDecodeError:
            options[name] = {"True": True, "False": False}.get(value, value)
    return options


@app.command()
def check(
    instance: Instance,
    solution: Annotated[Path, typer.Argument(help="JSON of a solution or of a result.")],
    family: Family = None,
    dim: Dim = None,
    element_bytes: ElementBytes = None,
    capacity: Capacity = None,
    assume_ignored: AssumeIgnored = False,
    beside: Beside = None,
) -> None:
    """Check SOLUTION against INSTANCE: every violation in words, or the objective."""
    model = _model_options(family, dim, element_bytes, capacity, assume_ignored)
    problem = _load(instance, beside, model)
    data = _read_json(solution, "solution")
    claimed = data.get("objective") if isinstance(data, dict) else None
    if isinstance(data, dict) and "solution" in data:
        data = data["solution"]
        if data is None:
            raise InputError(f"{solution}: the result holds no solution")
    decoded = problem.solution_type.from_dict(data)
    violations = problem.check(decoded)
    for violation in violations:
        out.print(f"[red]violated[/] {violation.kind}: {violation.message}")
    if violations:
        out.print(f"{len(violations)} violations")
        raise typer.Exit(EXIT_INFEASIBLE)
    value = problem.objective(decoded)
    out.print(f"feasible, objective {value}")
    if claimed is not None and claimed != value:
        out.print(f"[red]the file claims {claimed}[/]")
        raise typer.Exit(EXIT_INFEASIBLE)


@app.command()
def export(
    instance: Instance,
    target: Annotated[
        Path,
        typer.Argument(
            metavar="OUT", help="A file ending in .lp, .mps, .mzn, .dzn, .json, .txt, .fjs."
        ),
    ],
) -> None:
    """Write INSTANCE as a MILP (.lp, .mps), in MiniZinc (.mzn, .dzn) or as .json, .txt, .fjs."""
    from optsched.exporting import SUFFIXES, minizinc_text
    from optsched.formats import write_text
    from optsched.loading import load
    from optsched.solving import compile as build

    problem = load(instance)
    suffix = target.suffix.lower()
    if suffix in (".lp", ".mps"):
        model = build(problem, "pulp").model
        writer = model.writeLP if suffix == ".lp" else model.writeMPS
        guard(target, lambda: writer(str(target)))
    else:
        text = (minizinc_text if suffix in SUFFIXES else write_text)(problem, suffix)
        guard(target, lambda: target.write_text(text, encoding="utf-8"))
    err.print(f"wrote {target}", style="dim")


@datasets_app.command("list")
def datasets_list(
    dataset: Annotated[
        str | None, typer.Argument(help="List the instances of this dataset.")
    ] = None,
) -> None:
    """List the datasets, or the instances of one."""
    from optsched import datasets

    if dataset is None:
        table = Table("dataset", "instances", "family", "what", box=None)
        for entry in datasets.datasets():
            table.add_row(entry.name, str(entry.size), entry.family, entry.description)
        out.print(table)
        return
    table = Table("instance", "size", "best known", box=None)
    for name in datasets.names(dataset):
        info = datasets.info(f"{dataset}/{name}")
        table.add_row(name, info.size, _interval(info))
    out.print(table)


def _interval(info: Any) -> str:
    if info.upper is None:
        return "-"
    return str(info.upper) if info.lower == info.upper else f"{info.lower} .. {info.upper}"


@datasets_app.command("info")
def datasets_info(name: Annotated[str, typer.Argument(help="An instance's name.")]) -> None:
    """Show what is known of an instance."""
    from optsched import datasets

    info = datasets.info(name)
    table = Table(box=None, show_header=False)
    for key, value in (
        ("instance", f"{info.dataset}/{info.name}"),
        ("size", info.size),
        ("best known", _interval(info)),
        ("source", info.source),
    ):
        table.add_row(key, str(value))
    out.print(table)


@datasets_app.command("fetch")
def datasets_fetch(
    name: Annotated[str, typer.Argument(help="A dataset, or one instance.")],
) -> None:
    """Download a dataset, or one instance, into the cache; verify the checksums."""
    from optsched import datasets

    paths = datasets.fetch(name)
    out.print(f"{len(paths)} instances are at hand")


def main() -> None:
    """Run the program; every error that has a cause the user can mend is one line."""
    try:
        app()
    except MissingExtraError as error:
        err.print(f"[red]error:[/] {error}", markup=True)
        sys.exit(EXIT_INPUT)
    except (InputError, CannotExpressError) as error:
        err.print("[red]error:[/] ", end="")
        err.print(str(error), markup=False)
        sys.exit(EXIT_INPUT)
    except OptschedError as error:
        err.print("[red]solver failure:[/] ", end="")
        err.print(str(error), markup=False)
        sys.exit(EXIT_SOLVER)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
