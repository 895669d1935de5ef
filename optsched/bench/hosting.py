"""The runner's end of a host: one run at a time, watched, and killed where it overruns."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optsched.bench import host, journal
from optsched.bench.machine import oom_kills, tree_rss
from optsched.core import SolverError

#: Seconds between two looks at a run's memory.
WATCH = 0.1
#: Seconds that an adapter's imports may take.
START = 120.0


@dataclass
class Outcome:
    """What became of one run.

    Attributes
    ----------
    kind : str
        One of the outcomes of `optsched.bench.journal`.
    message : str
        Why, where it failed.
    result : dict or None
        What the adapter returned.
    trace : list of dict
        The events that it emitted.
    wall : float
        Seconds from handing over the job until everything that it started is gone.
    peak_rss : int
        Bytes.
    """

    kind: str
    message: str = ""
    result: dict[str, Any] | None = None
    trace: list[dict[str, Any]] = field(default_factory=list)
    wall: float = 0.0
    peak_rss: int = 0


class HostLost(Exception):
    """The host itself died; the run may be tried again."""


class AdapterHost:
    """A host process for one adapter.

    Parameters
    ----------
    adapter : Path
        The adapter's file.
    python : str
        The Python that runs it.
    arguments : sequence of str
        What the adapter finds in ``sys.argv[2:]``.
    token : str
        Marks every process of the campaign, so that a later start can find what survived.
    scratch : Path or None
        Where runs may write; default is the system's folder for temporary files.
    """

    def __init__(
        self,
        adapter: Path,
        python: str,
        arguments: tuple[str, ...] = (),
        *,
        token: str = "",
        scratch: Path | None = None,
    ) -> None:
        self._scratch = None if scratch is None else str(scratch)
        self._mark = f"{token}#{uuid.uuid4().hex}"
        environment = os.environ | {"OPTSCHED_BENCH": self._mark}
        if not adapter.is_relative_to(root := Path(__file__).resolve().parents[2] / "optsched"):
            environment.pop("PYTHONPATH", None)  # a peer must not import what is meant for us
        else:
            paths = (str(root.parent), environment.get("PYTHONPATH"))
            environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
        self._process = subprocess.Popen(
            [python, "-P", host.__file__, str(adapter), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,  # a Ctrl-C of the terminal is for the runner to handle
        )
        self._inbox: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()
        self._ready = False
        self.versions: dict[str, str] = {}

    def _read(self) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(OSError, ValueError):
            for line in self._process.stdout:
                self._inbox.put(json.loads(line))
        self._inbox.put(None)

    def wait_ready(self) -> None:
        """Wait until the adapter is imported.

        Raises
        ------
        SolverError
            When it cannot be.
        """
        if self._ready:
            return
        try:
            message = self._inbox.get(timeout=START)
        except queue.Empty:
            message = {"failed": f"its imports took more than {START:g} s"}
        if message is None or "ready" not in message:
            self.close()
            raise SolverError((message or {}).get("failed", "its process died on starting"))
        self.versions = message["ready"]
        self._ready = True

    @property
    def alive(self) -> bool:
        """Whether the host can take a run."""
        return self._process.poll() is None

    def run(
        self,
        job: dict[str, Any],
        *,
        limit: float,
        memory_limit: float | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Outcome | None:
        """Run one job to its end; return None when it was cancelled.

        Parameters
        ----------
        job : dict
        limit : float
            Seconds after which the run is killed.
        memory_limit : float, optional
            Bytes above which it is.
        cancelled : callable() -> bool
            Whether to kill it now.

        Raises
        ------
        HostLost
            When the host died.
        """
        self.wait_ready()
        kills = oom_kills()
        began = time.perf_counter()
        self._send({"job": job, "scratch": self._scratch})
        outcome = Outcome(journal.CRASH)
        pid = 0
        forced = ""
        while True:
            try:
                message = self._inbox.get(timeout=WATCH)
            except queue.Empty:
                message = {}
            if message is None:
                self.close()
                raise HostLost
            if "pid" in message:
                pid = message["pid"]
            elif "event" in message:
                outcome.trace.append(message["event"])
            elif "result" in message:
                outcome.kind, outcome.result = journal.DONE, message["result"]
            elif "error" in message:
                outcome.kind, outcome.message = _failure(message["error"])
            elif "exit" in message:
                outcome.wall = time.perf_counter() - began
                outcome.peak_rss = max(outcome.peak_rss, message["peak_rss"])
                break
            if forced or not pid:
                continue
            if memory_limit is not None:
                outcome.peak_rss = max(outcome.peak_rss, tree_rss(pid))
            elapsed = time.perf_counter() - began
            if cancelled():
                forced = "cancelled"
            elif elapsed > limit and outcome.kind == journal.CRASH:
                forced = journal.TIMEOUT
                outcome.message = f"killed after {elapsed:.1f} s"
            elif elapsed > limit + START:
                forced = journal.CRASH
                outcome.message = "did not end after its result"
            elif memory_limit is not None and outcome.peak_rss > memory_limit:
                forced = journal.MEMORY
                outcome.message = f"killed at {outcome.peak_rss / 2**30:.2f} GiB"
            if forced:
                host.kill(pid)
        if forced == "cancelled":
            return None
        if forced:
            outcome.kind, outcome.result = forced, None
        elif outcome.kind == journal.CRASH and not outcome.message:
            killed = message["exit"] == -signal.SIGKILL and oom_kills() > kills
            outcome.kind = journal.MEMORY if killed else journal.CRASH
            outcome.message = _death(message["exit"], message["stderr"], out_of_memory=killed)
        return outcome

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            self.close()
            raise HostLost from error

    def close(self) -> None:
        """End the host and everything below it."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=3)
        except subprocess.TimeoutExpired:
            for pid in host.children(self._process.pid):
                host.kill(pid)
            host.kill(self._process.pid)
            self._process.wait()
        kill_survivors(self._mark)  # a host that was killed could not see to it


def _failure(error: dict[str, str]) -> tuple[str, str]:
    """Return outcome and message of an exception in a run."""
    if error["kind"] == "MemoryError" or "bad_alloc" in error["message"]:
        return journal.MEMORY, f"{error['kind']}: {error['message']}"
    places = [line.strip() for line in error["trace"].splitlines() if line.startswith("  File ")]
    where = f" ({places[-1]})" if places else ""
    return journal.ERROR, f"{error['kind']}: {error['message']}{where}"


def _death(code: int, stderr: str, *, out_of_memory: bool) -> str:
    if out_of_memory:
        return "killed by the kernel: out of memory"
    how = f"exit {code}"
    if code < 0:
        with contextlib.suppress(ValueError):
            how = signal.Signals(-code).name
    lines = [line for line in stderr.splitlines() if line.strip()][-5:]
    return f"died ({how})" + (": " + " | ".join(lines) if lines else "")


def survivors(token: str) -> list[int]:
    """Return the processes of a campaign, or of one host; empty where /proc is absent."""
    found = []
    marks = (f"OPTSCHED_BENCH={token}\0".encode(), f"OPTSCHED_BENCH={token}#".encode())
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc"):
            if name.isdigit() and int(name) != os.getpid():
                with (
                    contextlib.suppress(OSError),
                    open(f"/proc/{name}/environ", "rb") as file,
                ):
                    data = b"\0" + file.read()
                    if any(b"\0" + mark in data for mark in marks):
                        found.append(int(name))
    return found


def kill_survivors(token: str) -> int:
    """Kill what an earlier start of the campaign has left; return how many there were."""
    pids = survivors(token)
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    return len(pids)
