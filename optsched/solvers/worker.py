"""A solver in a process of its own, so that one that overruns or crashes can be killed.

The process is started once and serves solve after solve, which makes tiny models cheap; it is
killed, with everything that it started, when it overruns its deadline, and it ends by itself when
its parent does. Messages are pickles with a length before them. Run as ``python -m
optsched.solvers.worker`` by `remote`; never ``multiprocessing``, whose spawn would run the user's
script again.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from queue import Empty, Queue
from typing import IO, Any

from optsched.core import OptschedError, SolverError
from optsched.solvers.base import Control, Verdict

#: How long past the deadline a solver may take to end by itself before it is killed, seconds.
GRACE = 0.4

_idle: list[_Process] = []
_idle_lock = threading.Lock()


def _send(stream: IO[bytes], message: Any) -> None:
    data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    stream.write(struct.pack("<Q", len(data)) + data)
    stream.flush()


def _receive(stream: IO[bytes]) -> Any:
    header = stream.read(8)
    if len(header) < 8:
        raise EOFError
    size = struct.unpack("<Q", header)[0]
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return pickle.loads(data)


class _Process:
    """The parent's end of one worker."""

    def __init__(self) -> None:
        root = str(Path(__file__).resolve().parents[2])
        environment = dict(os.environ)
        environment["PYTHONPATH"] = os.pathsep.join(
            part for part in (root, environment.get("PYTHONPATH")) if part
        )
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "optsched.solvers.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # a Ctrl-C of the terminal is for the parent to handle
        )
        assert self.popen.stdin is not None
        assert self.popen.stdout is not None
        self.stdin, self.stdout = self.popen.stdin, self.popen.stdout
        self.inbox: Queue[Any] = Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with contextlib.suppress(EOFError, OSError, ValueError, pickle.UnpicklingError):
            while True:
                self.inbox.put(_receive(self.stdout))
        self.inbox.put(("gone", None))

    def send(self, message: Any) -> None:
        with contextlib.suppress(OSError, ValueError):  # a dead worker answers with "gone"
            _send(self.stdin, message)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()
        with contextlib.suppress(OSError):
            self.stdin.close()


def _take() -> _Process:
    with _idle_lock:
        while _idle:
            process = _idle.pop()
            if process.popen.poll() is None:
                return process
    return _Process()


@atexit.register
def _close() -> None:
    with _idle_lock:
        while _idle:
            _idle.pop().kill()


if hasattr(os, "register_at_fork"):
    # A forked child must not talk to its parent's workers.
    os.register_at_fork(after_in_child=_idle.clear)


def remote(module: str, job: Any, control: Control) -> Verdict:
    """Run ``module.serve(job, emit, cancelled)`` in a worker; relay what it emits to `control`.

    ``emit(kind, payload)`` sends ``("solution", (values, claimed))``, ``("bound", value)`` and at
    the end ``("verdict", Verdict)``. The worker is asked to stop at the deadline or when
    ``control`` says so, and is killed if it has not within `GRACE` seconds.

    Raises
    ------
    SolverError
        When the worker crashes or its solver raises.
    """
    process = _take()
    cancelled = threading.Event()
    control.when_stopped(cancelled.set)
    process.send((module, job))
    asked: float | None = None
    healthy = False
    try:
        while True:
            if asked is None and (cancelled.is_set() or control.stopped()):
                process.send("cancel")
                asked = control.deadline.elapsed()
            if asked is not None and control.deadline.elapsed() > asked + GRACE:
                return Verdict.STOPPED
            try:
                kind, payload = process.inbox.get(timeout=0.02 if asked is not None else 0.05)
            except Empty:
                continue
            if kind == "solution":
                control.on_solution(*payload)
            elif kind == "bound":
                control.on_bound(payload)
            elif kind == "verdict":
                healthy = True
                assert isinstance(payload, Verdict)
                return payload
            elif kind == "error":
                healthy = True
                raise SolverError(payload)
            else:
                code = process.popen.wait()
                raise SolverError(f"{module.rpartition('.')[2]}: its process died (exit {code})")
    finally:
        if healthy:
            with _idle_lock:
                _idle.append(process)
        else:
            process.kill()


def _die() -> None:
    """End this process and whatever it started."""
    os.killpg(os.getpgid(0), signal.SIGKILL)


def main() -> None:
    """Serve jobs from standard input until it closes."""
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what solvers print must not get between the messages
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    jobs: Queue[Any] = Queue()
    cancelled = threading.Event()

    def listen() -> None:
        try:
            while True:
                message = _receive(sys.stdin.buffer)
                if message == "cancel":
                    cancelled.set()
                else:
                    jobs.put(message)
        except (EOFError, OSError):
            _die()

    threading.Thread(target=listen, daemon=True).start()
    lock = threading.Lock()

    def emit(kind: str, payload: Any) -> None:
        with lock:
            _send(output, (kind, payload))

    while True:
        module, job = jobs.get()
        cancelled.clear()
        try:
            serve: Callable[..., Verdict] = importlib.import_module(module).serve
            emit("verdict", serve(job, emit, cancelled.is_set))
        except OptschedError as error:
            emit("error", str(error))
        except Exception as error:
            emit("error", f"{module.rpartition('.')[2]}: {type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
