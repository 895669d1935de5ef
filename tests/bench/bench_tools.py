"""What the tests of the bench share: a toy peer, suites of it, and campaigns in processes."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from conftest import script_environment
from rich.console import Console

from optsched.bench.runner import Summary, run_suite
from optsched.bench.suite import read_suite

#: A peer that schedules one operation after another, and misbehaves on request.
TOY = '''
"""A toy."""
import os, signal, subprocess, sys, time
PEER = {
    "name": "toy", "families": ["job_shop"], "features": ["objective makespan"],
    "options": {"sleep": 0, "end": "", "shift": 0, "children": 0},
}

def run(job, emit):
    began = time.perf_counter()
    options = job["options"]
    now, starts, machines = options.get("shift", 0), [], []
    for row in job["problem"]["jobs"]:
        for machine, duration in row:
            starts.append(now)
            machines.append(machine)
            now += duration
    for _ in range(options.get("children", 0)):
        # A grandchild in a session of its own, such as solvers start them.
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"],
                         start_new_session=True)
    emit({"time": 0.0, "objective": now, "bound": None, "source": "toy"})
    time.sleep(options.get("sleep", 0))
    end = options.get("end", "")
    if end == "crash":
        print("about to crash", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)
    if end == "raise":
        raise ValueError("no luck")
    if end == "memory":
        raise MemoryError("all gone")
    if end == "eat":
        hoard = bytearray(300 * 2**20)
        hoard[::4096] = b"x" * len(hoard[::4096])
        time.sleep(60)
    if end == "hang":
        time.sleep(600)
    if end == "host":
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    if end == "chatter":
        print("x" * 100_000)
    claimed = now - 1 if end == "lie" else now
    return {
        "status": "FEASIBLE", "objective": claimed, "bound": None,
        "solution": {"start": starts, "machine": machines},
        "time": round(time.perf_counter() - began, 4),
        "trace": [{"time": 0.0, "objective": claimed, "bound": None, "source": "toy"}],
    }
'''
SMALL = '{ generator = "job_shop", jobs = 3, machines = 2, seeds = [1, 2] }'
CLI = "from optsched.cli import main; main()"


def write_suite(
    folder: Path, *solvers: str, instances: str = SMALL, limit: float = 5, extra: str = ""
) -> Path:
    """Write a suite, with the toy peer beside it; `solvers` are bodies of ``[[solver]]``."""
    (folder / "peers").mkdir(exist_ok=True)
    (folder / "peers" / "toy.py").write_text(TOY, encoding="utf-8")
    (folder / "suites").mkdir(exist_ok=True)
    path = folder / "suites" / "trial.toml"
    tables = "\n".join(f"[[solver]]\n{body}" for body in solvers or ('peer = "toy"',))
    path.write_text(
        f"instances = [{instances}]\ntime_limit = {limit}\n{extra}\n{tables}\n", encoding="utf-8"
    )
    return path


def campaign(path: Path, out: Path, **options: Any) -> tuple[Summary, str]:
    """Run a suite here; return the summary and what was printed."""
    text = io.StringIO()
    console = Console(file=text, width=200)
    summary = run_suite(read_suite(path), out, console, **options)
    return summary, text.getvalue()


def records(out: Path) -> list[dict[str, Any]]:
    """Return the lines of a journal."""
    lines = (out / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def start(*arguments: str) -> subprocess.Popen[str]:
    """Start ``optsched bench ...`` in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", CLI, "bench", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=script_environment(),
        start_new_session=True,
    )


def cli(*arguments: str, timeout: float = 60) -> tuple[int, str]:
    """Run ``optsched bench ...``; return exit code and output."""
    process = start(*arguments)
    out, _ = process.communicate(timeout=timeout)
    return process.returncode, out
