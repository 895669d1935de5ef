"""The process that starts runs: it imports a solver once and forks a fresh process for each run.

Importing a solver takes longer than many runs, so a campaign pays for it once. A fork starts with
what is imported and nothing else: no threads, no solver state. This file uses the standard library
alone: peers are hosted by the Python of their own environment, where optsched may be absent.

Run as ``python -P host.py ADAPTER.py``. The adapter is a file with ``run(job, emit) -> dict``.
Standard input carries one JSON line a run, ``{"job": {...}, "scratch": DIR or null}``; standard
output answers with JSON lines, in this order:

- ``{"ready": {package: version}}`` or ``{"failed": text}``, once;
- for a run: ``{"pid": n}``, then ``{"event": {...}}`` as the adapter emits them, then
  ``{"result": {...}}`` or ``{"error": {...}}`` (neither, when the process died), then
  ``{"exit": code, "peak_rss": bytes, "stderr": text}``.

When standard input closes, everything that was started is killed and the host ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib.metadata
import importlib.util
import json
import os
import select
import shutil
import signal
import sys
import tempfile
import traceback
from typing import Any

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
#: Packages whose versions are told, where they are installed.
PACKAGES = ("ortools", "highspy", "numpy", "numba", "pulp", "pyjobshop")
#: How much of what a run prints is handed on, bytes.
TAIL = 4000


def prctl(option: int, value: int) -> None:
    """Set a property of this process; does nothing where there is no prctl."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def versions() -> dict[str, str]:
    """Return the versions of the solvers installed here."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def children(parent: int) -> list[int]:
    """Return the direct children of a process; empty where /proc is absent."""
    found = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{parent}/task"):
            with open(f"/proc/{parent}/task/{task}/children", encoding="ascii") as file:
                found += [int(pid) for pid in file.read().split()]
    return found


def kill(pid: int) -> None:
    """Kill a process and the group that it leads."""
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGKILL)


def sweep(run: int | None) -> int:
    """Kill and reap `run` and all that is left below this process; return their peak RSS, in KiB.

    As a subreaper, this process inherits whatever a dead run leaves behind, at any depth.
    """
    peak = 0
    if run is not None:
        kill(run)
    while True:
        for pid in children(os.getpid()):
            kill(pid)
        try:
            _, _, usage = os.wait4(-1, 0)
        except ChildProcessError:
            return peak
        peak = max(peak, usage.ru_maxrss)


class Host:
    """One adapter, and the runs that are forked from it one after another."""

    def __init__(self, adapter: str) -> None:
        self.adapter = adapter
        self.output = os.dup(1)
        os.dup2(2, 1)  # what an adapter prints must not get between the messages
        self.pid = os.getpid()
        self.pending = b""
        self.current: int | None = None
        # A child's end wakes the select below.
        self.wake, wake_write = os.pipe()
        os.set_blocking(self.wake, False)
        os.set_blocking(wake_write, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)

    def send(self, message: dict[str, Any]) -> None:
        """Write one line; a runner that is gone ends everything."""
        data = json.dumps(message).encode() + b"\n"
        try:
            while data:
                data = data[os.write(self.output, data) :]
        except OSError:
            self.end()

    def end(self) -> None:
        """Kill whatever runs, and this process."""
        sweep(self.current)
        os._exit(0)

    def load(self) -> Any:
        """Import the adapter."""
        spec = importlib.util.spec_from_file_location("adapter", self.adapter)
        if spec is None or spec.loader is None:
            raise ImportError(f"{self.adapter} is not a Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules["adapter"] = module
        spec.loader.exec_module(module)
        return module

    def read(self) -> None:
        """Take what standard input has; its end is the end of everything."""
        try:
            data = os.read(0, 1 << 20)
        except OSError:
            data = b""
        if not data:
            self.end()
        self.pending += data

    def request(self) -> dict[str, Any]:
        """Wait for the next line of standard input."""
        while b"\n" not in self.pending:
            self.read()
        line, self.pending = self.pending.split(b"\n", 1)
        message: dict[str, Any] = json.loads(line)
        return message

    def serve(self) -> None:
        """Import the adapter, then run job after job until standard input closes."""
        try:
            module = self.load()
        except BaseException as error:
            self.send({"failed": f"{type(error).__name__}: {error}"})
            return
        self.send({"ready": versions()})
        # What is imported stays shared with the runs: the collector must not write to it.
        gc.collect()
        gc.freeze()
        while True:
            message = self.request()
            self.one(module, message["job"], message.get("scratch"))

    def one(self, module: Any, job: dict[str, Any], scratch: str | None) -> None:
        """Run one job in a fork; wait for its end, or for the end of standard input."""
        folder = tempfile.mkdtemp(prefix="run-", dir=scratch)
        with tempfile.TemporaryFile() as log:
            pid = os.fork()
            if pid == 0:
                self.child(module, job, folder, log.fileno())
            self.current = pid
            self.send({"pid": pid})
            status, peak = self.wait(pid)
            self.current = None
            peak = max(peak, sweep(None))
            size = log.seek(0, os.SEEK_END)
            log.seek(max(0, size - TAIL))
            text = log.read().decode(errors="replace")
        shutil.rmtree(folder, ignore_errors=True)
        code = os.waitstatus_to_exitcode(status)
        self.send({"exit": code, "peak_rss": peak * 1024, "stderr": text})

    def wait(self, pid: int) -> tuple[int, int]:
        """Return exit status and peak RSS in KiB of a child, once it has ended."""
        while True:
            done, status, usage = os.wait4(pid, os.WNOHANG)
            if done:
                return status, usage.ru_maxrss
            ready, _, _ = select.select([0, self.wake], [], [])
            if self.wake in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self.wake, 4096)
            if 0 in ready:
                self.read()

    def child(self, module: Any, job: dict[str, Any], folder: str, log: int) -> None:
        """Be the run: a session of its own, gone when its host goes. Never returns."""
        self.current = None
        code = 1
        try:
            os.setsid()
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != self.pid:
                os._exit(1)
            with (
                contextlib.suppress(OSError),
                open("/proc/self/oom_score_adj", "w", encoding="ascii") as file,
            ):
                file.write("1000")  # where memory runs out, the run goes, not the campaign
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.close(self.wake)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.chdir(folder)
            os.environ["TMPDIR"] = tempfile.tempdir = folder
            result = module.run(job, lambda event: self.send({"event": event}))
            self.send({"result": result})
            code = 0
        except BaseException as error:
            with contextlib.suppress(BaseException):
                trace = traceback.format_exc(limit=-5)
                kind, text = type(error).__name__, str(error)
                self.send({"error": {"kind": kind, "message": text, "trace": trace}})
        finally:
            # Not sys.exit: threads that a solver left behind must not delay the end.
            os._exit(code)


def main() -> None:
    """Serve the adapter named on the command line."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Host(sys.argv[1]).serve()


if __name__ == "__main__":
    main()
