"""A campaign as rows to count and draw; published results and other campaigns beside it."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from optsched.bench import journal
from optsched.bench.instances import Known, best_known
from optsched.bench.metrics import (
    Steps,
    primal_gap,
    primal_integral,
    time_to_target,
)
from optsched.core import InputError, Number
from optsched.result import relative_gap

PUBLISHED = "published"


@dataclass
class Row:
    """One run, or one published result.

    Attributes
    ----------
    instance, group, size, label : str
    seed : int
    outcome, status, message : str
        As in the journal; a published result has the outcome ``done``.
    objective, bound : int or float or None
    time, limit, overhead : float or None
        Seconds; `overhead` is what the run took beyond the solver's own time.
    primal, dual : Steps or None
        Incumbent and bound against time; None where only the end is known.
    gap : float or None
        To the best known solution: ``(objective - best known) / best known``.
    bound_gap : float or None
        ``(objective - bound) / objective`` of the run itself.
    integral : float or None
        Mean primal gap over the time limit; 1 for a failed run.
    to_target : float or None
        Seconds to within 1 % of the best known; infinite when it was not reached.
    """

    instance: str
    group: str
    size: str
    label: str
    seed: int
    outcome: str
    status: str
    message: str
    objective: Number | None
    bound: Number | None
    time: float | None
    limit: float
    overhead: float | None = None
    primal: Steps | None = None
    dual: Steps | None = None
    gap: float | None = None
    bound_gap: float | None = None
    integral: float | None = None
    to_target: float | None = None

    @property
    def proven(self) -> bool:
        """Whether the run ended with a proof."""
        return self.status in ("OPTIMAL", "INFEASIBLE")


@dataclass
class Campaign:
    """Everything that a report tells.

    Attributes
    ----------
    name : str
    rows : list of Row
        Runs of the campaign, then what it is compared with.
    labels : list of str
        Solvers in the order of the suite; those compared with come last.
    own : set of str
        The labels of the campaign itself.
    instances : dict of str to (group, size)
    known : dict of str to Known
        Best known bounds by instance.
    reference : dict of str to number
        What gaps refer to: the best known objective, or a better one from the runs.
    machines, versions, workers, limits : Counter
        On what and with what the runs were made.
    loads : list of float
        Load of the machine at the start of each run.
    busy : int
        Runs that began while more processes wanted a core than there are.
    began, ended : str
        Time of the first and the last run.
    notes : list of str
        Remarks about the figures.
    """

    name: str
    rows: list[Row] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    own: set[str] = field(default_factory=set)
    instances: dict[str, tuple[str, str]] = field(default_factory=dict)
    known: dict[str, Known] = field(default_factory=dict)
    reference: dict[str, Number] = field(default_factory=dict)
    machines: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    workers: Counter[int] = field(default_factory=Counter)
    limits: Counter[float] = field(default_factory=Counter)
    loads: list[float] = field(default_factory=list)
    busy: int = 0
    began: str = ""
    ended: str = ""
    notes: list[str] = field(default_factory=list)

    def of(self, label: str) -> list[Row]:
        """Return the rows of a solver."""
        return [row for row in self.rows if row.label == label]

    def traced(self) -> list[str]:
        """Return the labels whose runs are known in time, not only by their end."""
        known = {row.label for row in self.rows if row.primal is not None}
        return [label for label in self.labels if label in known]


def collect(folder: Path, against: str | None = None) -> Campaign:
    """Read a campaign, and what it is to be compared with.

    Parameters
    ----------
    folder : Path
        The campaign's folder.
    against : str, optional
        ``"published"``, or the folder of another campaign.

    Raises
    ------
    InputError
        When there is no such campaign, or nothing to compare with.
    """
    campaign = _read(folder)
    if not campaign.rows:
        raise InputError(f"{folder}: no run is recorded")
    if journal.torn(folder):
        campaign.notes.append("The journal's last line is torn; that run is not counted.")
    if against is not None:
        _add(campaign, _published(campaign) if against == PUBLISHED else _other(campaign, against))
    _refer(campaign)
    for row in campaign.rows:
        _measure(row, campaign.reference.get(row.instance))
    if len(campaign.limits) > 1 or len(campaign.workers) > 1:
        campaign.notes.append("Runs with different time limits or workers stand side by side.")
    if len(campaign.machines) > 1:
        campaign.notes.append("The runs were made on different machines.")
    if campaign.busy:
        campaign.notes.append(
            f"{campaign.busy} of {len(campaign.loads)} runs began while the machine had more to do "
            "than it has cores: their times are worth less."
        )
    return campaign


def _read(folder: Path) -> Campaign:
    if not journal.exists(folder):
        raise InputError(f"{folder}: there is no {journal.NAME}")
    campaign = Campaign(name=folder.resolve().name)
    sources: dict[str, dict[str, Any]] = {}
    for record in journal.latest(folder):
        try:
            row = _row(record)
            instance = record["instance"]
            machine, versions = record["machine"], record["versions"]
            campaign.workers[record["workers"]] += 1
            campaign.limits[record["time_limit"]] += 1
            began = record["began"]
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{folder}: not the record of a run ({error!r})") from error
        campaign.rows.append(row)
        campaign.instances.setdefault(row.instance, (row.group, row.size))
        sources.setdefault(row.instance, instance["source"])
        if row.label not in campaign.own:
            campaign.own.add(row.label)
            campaign.labels.append(row.label)
        campaign.machines[_machine(machine)] += 1
        campaign.versions[", ".join(f"{k} {v}" for k, v in versions.items())] += 1
        if record.get("load") is not None:
            campaign.loads.append(record["load"])
            campaign.busy += record["load"] > machine["cores"] + 0.5
        campaign.began = min(campaign.began or began, began)
        campaign.ended = max(campaign.ended, began)
    campaign.known = {name: best_known(source) for name, source in sources.items()}
    return campaign


def _row(record: dict[str, Any]) -> Row:
    instance = record["instance"]
    done = record["outcome"] == journal.DONE
    return Row(
        instance=instance["name"],
        group=instance["group"],
        size=instance["size"],
        label=record["label"],
        seed=record["seed"],
        outcome=record["outcome"],
        status=record["status"] if done else "",
        message=record["message"],
        objective=record["objective"] if done else None,
        bound=record["bound"] if done else None,
        time=record["time"] if done else None,
        limit=record["time_limit"],
        overhead=record["overhead"] if done else None,
        # What a failed run told on its way was never checked.
        primal=Steps.of_trace(record["trace"] if done else (), "objective"),
        dual=Steps.of_trace(record["trace"] if done else (), "bound"),
    )


def _machine(data: dict[str, Any]) -> str:
    return f"{data['cpu']}, {data['cores']} cores, {data['memory_gib']} GiB, {data['system']}"


def _add(campaign: Campaign, rows: Iterable[Row]) -> None:
    for row in rows:
        campaign.rows.append(row)
        if row.label not in campaign.labels:
            campaign.labels.append(row.label)


def _other(campaign: Campaign, against: str) -> Iterator[Row]:
    folder = Path(against)
    other = _read(folder)
    shared = other.instances.keys() & campaign.instances.keys()
    if not shared:
        raise InputError(f"--against {against}: it has no instance of this campaign")
    for row in other.rows:
        if row.instance in shared:
            yield replace(row, label=f"{row.label} [{other.name}]")


def reference_folders() -> list[Path]:
    """Return the folders where published results are looked for."""
    root = Path(__file__).resolve().parents[2]
    candidates = (Path.cwd() / "benchmarks" / "reference", root / "benchmarks" / "reference")
    return [folder for folder in dict.fromkeys(candidates) if folder.is_dir()]


def _published(campaign: Campaign) -> list[Row]:
    """Return the published results on the campaign's instances."""
    files = [file for folder in reference_folders() for file in sorted(folder.glob("*.csv"))]
    if not files:
        raise InputError("--against published: benchmarks/reference is not found here")
    rows = []
    conditions: dict[str, None] = {}
    for file in dict.fromkeys(path.resolve() for path in files):
        with file.open(encoding="utf-8", newline="") as lines:
            for data in csv.DictReader(line for line in lines if not line.startswith("#")):
                # Lists of best known bounds are no results of one solver. An instance goes by its
                # dataset and name only where the name alone is ambiguous.
                names = (data["instance"], data["instance"].partition("/")[2])
                name = next((each for each in names if each in campaign.instances), None)
                if "solver" in data and name is not None:
                    rows.append(_published_row(campaign, data | {"instance": name}))
                    text = "{limit_seconds} s, {threads} threads, {hardware}".format(**data)
                    conditions[text] = None
    if not rows:
        raise InputError("--against published: no result is published for these instances")
    campaign.notes.append(
        f"Published results are of other machines and limits ({'; '.join(conditions)}): their "
        "gaps and proofs stand beside ours, their times do not."
    )
    return rows


def _published_row(campaign: Campaign, data: dict[str, str]) -> Row:
    group, size = campaign.instances[data["instance"]]
    lower, upper = (int(data[key]) if data[key] else None for key in ("lower", "upper"))
    limit = float(data["limit_seconds"])
    proven = lower is not None and lower == upper
    return Row(
        instance=data["instance"],
        group=group,
        size=size,
        label=f"{data['solver']} {data['version']} [published]",
        seed=0,
        outcome=journal.DONE,
        status="OPTIMAL" if proven else "UNKNOWN" if upper is None else "FEASIBLE",
        message="",
        objective=upper,
        bound=lower,
        time=None,
        limit=limit,
    )


def _refer(campaign: Campaign) -> None:
    """Choose what gaps refer to: the best known objective, or what a run improved it to."""
    best: dict[str, Number] = {}
    for row in campaign.rows:
        if row.objective is not None:
            best[row.instance] = min(best.get(row.instance, math.inf), row.objective)
    unknown = 0
    for name, known in campaign.known.items():
        if known.upper is not None:
            best[name] = min(best.get(name, math.inf), known.upper)
        elif name in best:
            unknown += 1
    campaign.reference = best
    if unknown:
        campaign.notes.append(
            f"{unknown} of {len(campaign.known)} instances have no best known value; their gaps "
            "refer to the best solution of these runs."
        )


def _measure(row: Row, reference: Number | None) -> None:
    """Fill in the measures that need the best known objective."""
    row.bound_gap = relative_gap(row.objective, row.bound)
    if reference is None:
        return
    if row.objective is not None:
        scale = abs(reference) or max(1.0, abs(row.objective))
        row.gap = max(0.0, float(row.objective - reference)) / scale
    if row.primal is not None:
        row.integral = primal_integral(row.primal, reference, row.limit)
        row.to_target = time_to_target(row.primal, reference, row.limit)
    elif row.objective is not None and primal_gap(row.objective, reference) > 0.01:
        row.to_target = math.inf
