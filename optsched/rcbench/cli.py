"""The ``rcbench`` commands: generate, prompt, score."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

rcbench_app = typer.Typer(
    help="R-ConstraintBench: scheduling cases of growing constraint, prompts, and a judge.",
    no_args_is_help=True,
)

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a benchmark.")]


@rcbench_app.command("generate")
def generate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write; made if absent.")],
    levels: Annotated[
        str, typer.Option(help="Numbers of precedence relations: 1-20, or 0,5,10.")
    ] = "1-20",
    axes: Annotated[
        str,
        typer.Option(
            help="Constraints on top: 'all', 'none', a list such as downtime,windows, or 'each' "
            "for all 8 combinations."
        ),
    ] = "all",
    seeds: Annotated[str, typer.Option(help="Seeds: 0-4, or 0,7.")] = "0-4",
    tasks: Annotated[int, typer.Option(help="Tasks of a case.")] = 20,
    resources: Annotated[int, typer.Option(help="Resources of a synthetic case.")] = 3,
    probability: Annotated[
        float, typer.Option(help="Of a constraint on each task or resource, per axis.")
    ] = 0.75,
    domain: Annotated[str, typer.Option(help="synthetic, or migration.")] = "synthetic",
    twins: Annotated[bool, typer.Option("--twins", help="Add an infeasible twin of each.")] = False,
) -> None:
    """Write cases.jsonl, and the schedules they were built around to witnesses.jsonl."""
    from optsched.core import InputError
    from optsched.rcbench.generate import generate as make
    from optsched.rcbench.twins import infeasible_twin

    cases, witnesses = [], []
    for seed in _numbers(seeds, "--seeds"):
        for on in _axes(axes):
            for level in _numbers(levels, "--levels"):
                case, witness = make(
                    level,
                    on,
                    seed,
                    n_tasks=tasks,
                    n_resources=resources,
                    probability=probability,
                    domain=domain,
                )
                cases.append(case)
                witnesses.append({"id": case.id, "start": list(witness)})
                if twins:
                    cases.append(infeasible_twin(case, witness))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / "cases.jsonl", [case.to_dict() for case in cases])
        _write(folder / "witnesses.jsonl", witnesses)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror}") from error
    typer.echo(f"wrote {len(cases)} cases to {folder}", err=True)


@rcbench_app.command("prompt")
def prompt(
    folder: Folder,
    style: Annotated[str, typer.Option(help="prose, table or json.")] = "prose",
    permutations: Annotated[
        int, typer.Option(help="Prompts a case, each in another order; the first as generated.")
    ] = 1,
    case: Annotated[
        str | None, typer.Option("--case", metavar="ID", help="Only this one, as plain text.")
    ] = None,
) -> None:
    """Print the prompts, one JSON object a line: id, style, permutation, prompt."""
    from optsched.core import InputError
    from optsched.rcbench.prompts import prompt as render

    found = False
    for each in _cases(folder):
        if case is not None:
            if each.id == case:
                typer.echo(render(each, style), nl=False)
                found = True
            continue
        found = True
        for permutation in range(permutations):
            line = {
                "id": each.id,
                "style": style,
                "permutation": permutation,
                "prompt": render(each, style, permutation),
            }
            typer.echo(json.dumps(line))
    if not found:
        raise InputError(f"{folder}: no case {case or 'at all'}")


@rcbench_app.command("score")
def score(
    folder: Folder,
    answers: Annotated[
        Path,
        typer.Argument(metavar="ANSWERS", help='JSON lines: {"id": ..., "answer": text or data}.'),
    ],
    json_out: Annotated[
        Path | None, typer.Option("--json", metavar="OUT", help="Write every judgement.")
    ] = None,
    distance: Annotated[
        bool,
        typer.Option("--distance", help="How far each answer is from a feasible schedule (slow)."),
    ] = False,
) -> None:
    """Judge ANSWERS: every violation, rates by type, the feasibility curve and its area."""
    from rich.console import Console

    from optsched.core import InputError
    from optsched.rcbench.case import read_lines
    from optsched.rcbench.nearest import distance_to_feasible
    from optsched.rcbench.score import score as judge
    from optsched.rcbench.summary import summarise

    cases = {case.id: case for case in _cases(folder)}
    judged, lines = [], []
    for number, line in enumerate(read_lines(answers, "answers"), start=1):
        case = cases.get(str(line.get("id")))
        if case is None:
            raise InputError(f"{answers}: answer {number}: no case {line.get('id')!r} in {folder}")
        result = judge(case, line.get("answer"))
        judged.append((case, result))
        found = result.to_dict()
        if distance:
            found["distance"] = distance_to_feasible(case, line.get("answer"))
        lines.append({key: v for key, v in line.items() if key != "answer"} | found)
    summary = summarise(judged)
    if json_out is not None:
        try:
            text = json.dumps({"summary": summary, "answers": lines}, indent=1)
            json_out.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise InputError(f"{json_out}: cannot be written: {error.strerror}") from error
    _show(Console(highlight=False), summary, lines if distance else [])


def _show(console: Any, summary: dict[str, Any], lines: list[dict[str, Any]]) -> None:
    from rich.table import Table

    def share(value: float | None) -> str:
        return "-" if value is None else f"{100 * value:.1f} %"

    console.print(
        f"{summary['answers']} answers: feasible {share(summary['feasible'])} of the feasible "
        f"cases, infeasible recognised {share(summary['refuted'])}, "
        f"correct {share(summary['correct'])}"
    )
    if summary["area"] is not None:
        console.print(f"area under the feasibility curve: {summary['area']:.3f}")
    known = [line["distance"] for line in lines if line.get("distance") is not None]
    if known:
        mean = sum(known) / len(known)
        console.print(f"distance to a feasible schedule: {mean:.1f} on average of {len(known)}")
    table = Table("violation", "answers with it", box=None)
    for kind, rate in summary["violation_rate"].items():
        table.add_row(kind, share(rate))
    console.print(table)
    table = Table("level", "feasible", box=None)
    for level, rate in summary["curve"].items():
        table.add_row(str(level), share(rate))
    console.print(table)


def _cases(folder: Path) -> Iterator[Any]:
    from optsched.rcbench.case import Case, read_lines

    for line in read_lines(folder / "cases.jsonl", "cases"):
        yield Case.from_dict(line)


def _write(path: Path, lines: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def _numbers(text: str, option: str) -> list[int]:
    from optsched.core import InputError

    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,6})(?:\s*-\s*(\d{1,6}))?\s*", part)
        if match is None:
            raise InputError(f"{option} {text!r}: expected numbers such as 1-20 or 0,5,10")
        low, high = int(match[1]), int(match[2] or match[1])
        if high < low:
            raise InputError(f"{option} {text!r}: {high} is less than {low}")
        found += range(low, high + 1)
    return found


def _axes(text: str) -> list[tuple[str, ...]]:
    from itertools import combinations

    from optsched.rcbench.generate import AXES

    if text == "each":
        return [on for size in range(len(AXES) + 1) for on in combinations(AXES, size)]
    if text in ("all", "none"):
        return [AXES if text == "all" else ()]
    return [tuple(part.strip() for part in text.split(","))]
