"""Campaigns made up for the tests: consistent records without a solver."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from optsched.bench.instances import Instance, resolve
from optsched.bench.plan import key_of
from optsched.problems.job_shop.problem import JobShop

MACHINE = {"cpu": "Imaginary", "cores": 4, "memory_gib": 8.0, "system": "Linux 6"}
VERSIONS = {"optsched": "0.1.0", "python": "3.11.7", "ortools": "9.15"}


def random_schedule(problem: JobShop, rng: random.Random) -> tuple[dict[str, list[int]], int]:
    """Return a feasible schedule: jobs in random order, each operation as early as it can."""
    machine, duration = problem.alt_machine.tolist(), problem.alt_duration.tolist()
    offset = problem.job_offset.tolist()
    turns = [j for j in range(problem.n_jobs) for _ in range(offset[j], offset[j + 1])]
    rng.shuffle(turns)
    start = [0] * problem.n_ops
    free = [0] * problem.n_machines
    ready = [0] * problem.n_jobs
    following = offset[:-1]
    for j in turns:
        op = following[j]
        following[j] += 1
        start[op] = max(ready[j], free[machine[op]])
        ready[j] = free[machine[op]] = start[op] + duration[op]
    return {"start": start, "machine": machine}, max(ready)


def made_up(
    instance: Instance,
    label: str,
    seed: int,
    rng: random.Random,
    *,
    solution: dict[str, list[int]],
    objective: int,
    bound: int,
    events: int = 5,
) -> dict[str, Any]:
    """Return a record whose claims agree with one another."""
    limit = 30.0
    times = sorted(round(rng.uniform(0.01, limit), 4) for _ in range(events))
    trace = []
    for k, time in enumerate(times):
        left = events - 1 - k
        trace.append(
            {
                "time": time,
                "objective": objective + left * max(1, objective // 50),
                "bound": max(1, bound - left),
                "source": label,
            }
        )
    time = round(limit if bound < objective else times[-1] + 0.01, 4)
    record = {
        "outcome": "done",
        "message": "",
        "instance": instance.to_dict(),
        "label": label,
        "configuration": {"solver": label, "options": {}},
        "seed": seed,
        "time_limit": limit,
        "workers": 2,
        "memory_limit": None,
        "status": "OPTIMAL" if bound == objective else "FEASIBLE",
        "stop": "TIME",
        "objective": objective,
        "bound": bound,
        "time": time,
        "solution": solution,
        "trace": trace,
        "wall": time + 0.05,
        "overhead": 0.05,
        "peak_rss": 10**8,
        "executor": "local",
        "jobs": 1,
        "slot": 0,
        "began": f"2026-01-01T00:00:{seed % 60:02d}.000+00:00",
        "load": round(rng.uniform(0.5, 2), 2),
        "versions": VERSIONS,
        "machine": MACHINE,
    }
    settings = {
        "instance": [instance.name, instance.sha],
        "solver": record["configuration"],
        **{key: record[key] for key in ("time_limit", "workers", "memory_limit", "seed")},
    }
    return {"key": key_of(settings), **record}


def write_campaign(
    folder: Path,
    *,
    instances: int = 3,
    labels: tuple[str, ...] = ("ours", "theirs"),
    seeds: int = 1,
    jobs: int = 4,
    machines: int = 3,
    events: int = 5,
) -> list[dict[str, Any]]:
    """Write a journal; return its records."""
    rng = random.Random(1)
    found = resolve(
        {
            "generator": "job_shop",
            "jobs": jobs,
            "machines": machines,
            "seeds": list(range(instances)),
        },
        folder,
    )
    lines = []
    for instance in found:
        problem = instance.problem()
        assert isinstance(problem, JobShop)
        schedules = [random_schedule(problem, rng) for _ in range(seeds * len(labels))]
        least = min(objective for _, objective in schedules)
        for seed in range(seeds):
            for label in labels:
                solution, objective = schedules.pop()
                bound = least if label == labels[0] else least - 1
                lines.append(
                    made_up(
                        instance, label, seed, rng,
                        solution=solution, objective=objective, bound=bound, events=events,
                    )
                )  # fmt: skip
    write_journal(folder, lines)
    return lines


def write_journal(folder: Path, lines: list[dict[str, Any]]) -> None:
    """Write records as a journal."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "journal.jsonl").open("w", encoding="utf-8") as file:
        for line in lines:
            file.write(json.dumps(line, separators=(",", ":")) + "\n")
