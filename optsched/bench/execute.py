"""One run from job to journal line, wherever it is executed."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optsched
from optsched.bench import claims, journal
from optsched.bench.hosting import AdapterHost, HostLost, Outcome
from optsched.bench.machine import load_average, machine
from optsched.bench.peers import Peer
from optsched.bench.plan import Run
from optsched.core import InputError, SolverError

#: How often a run is started again after its host has died.
RETRIES = 2
#: The adapter of our own solvers.
OWN = Path(__file__).with_name("own.py")
_RESULT_KEYS = ("status", "stop", "objective", "bound", "time", "solution")


class Slot:
    """Executes one run at a time, each in a process of its own; keeps a host an adapter.

    Parameters
    ----------
    families : sequence of str
        Families of the campaign, whose formulations are imported ahead.
    token : str
        Marks the campaign's processes.
    scratch : Path, optional
        Where runs may write.
    context : dict, optional
        Goes into every record: executor, jobs, slot.
    """

    def __init__(
        self,
        families: tuple[str, ...],
        *,
        token: str = "",
        scratch: Path | None = None,
        context: dict[str, Any] | None = None,
    ) -> None:
        self._families = families
        self._token = token
        self._scratch = scratch
        self._context = context or {}
        self._hosts: dict[str, AdapterHost] = {}

    def host(self, peer: Peer | None) -> AdapterHost:
        """Return a living host of an adapter; raise `SolverError` when it cannot start."""
        name = peer.name if peer else ""
        host = self._hosts.get(name)
        if host is None or not host.alive:
            adapter, python = (OWN, sys.executable) if peer is None else (peer.path, peer.python())
            arguments = self._families if peer is None else ()
            host = AdapterHost(adapter, python, arguments, token=self._token, scratch=self._scratch)
            self._hosts[name] = host
        return host

    def perform(
        self, run: Run, job: dict[str, Any], cancelled: Callable[[], bool] = lambda: False
    ) -> tuple[Outcome, dict[str, Any]] | None:
        """Execute a run; return what became of it and on what, None when it was cancelled."""
        began = datetime.datetime.now(datetime.UTC)
        load = load_average()
        versions: dict[str, str] = {}
        lost = 0
        while True:
            try:
                host = self.host(run.solver.peer)
                host.wait_ready()
                versions = host.versions
                outcome = host.run(
                    job,
                    limit=run.time_limit + run.grace,
                    memory_limit=run.memory_limit,
                    cancelled=cancelled,
                )
                break
            except HostLost:
                if cancelled():
                    return None
                lost += 1
                if lost > RETRIES:
                    outcome = Outcome(journal.CRASH, "its host died again and again")
                    break
            except (SolverError, InputError) as error:
                outcome = Outcome(journal.UNAVAILABLE, str(error))
                break
        if outcome is None:
            return None
        return outcome, {
            **self._context,
            "began": began.isoformat(timespec="milliseconds"),
            "load": load,
            "versions": {"optsched": optsched.__version__, **versions},
            "machine": machine(),
        }

    def execute(
        self, run: Run, cancelled: Callable[[], bool] = lambda: False
    ) -> dict[str, Any] | None:
        """Execute a run and return its record; None when it was cancelled."""
        performed = self.perform(run, run.job(), cancelled)
        return None if performed is None else record_of(run, *performed)

    def close(self) -> None:
        """End all hosts, and with them whatever runs."""
        for host in self._hosts.values():
            host.close()
        self._hosts.clear()


def record_of(run: Run, outcome: Outcome, context: dict[str, Any]) -> dict[str, Any]:
    """Return the journal line of a run; what the checker refutes is recorded as such."""
    result = outcome.result or {}
    record: dict[str, Any] = {
        "key": run.key,
        "outcome": outcome.kind,
        "message": outcome.message or str(result.get("message", "")),
        "instance": run.instance.to_dict(),
        "label": run.solver.label,
        "configuration": run.solver.configuration(),
        "seed": run.seed,
        "time_limit": run.time_limit,
        "workers": run.workers,
        "memory_limit": run.memory_limit,
    }
    record |= {key: result.get(key) for key in _RESULT_KEYS}
    if outcome.kind == journal.DONE:
        record["trace"] = result.get("trace", outcome.trace)
        found = claims.faults(run.instance.problem(), record)
        if found:
            record |= {"outcome": journal.REFUTED, "message": "; ".join(found)}
    else:
        record["trace"] = outcome.trace
    own = record["time"] if claims.is_number(record["time"]) else None
    record |= {
        "wall": round(outcome.wall, 4),
        "overhead": None if own is None else round(outcome.wall - own, 4),
        "peak_rss": outcome.peak_rss,
        **context,
    }
    return record


def settings_of(record: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that a record's key was made of; inverse of `Run.settings`."""
    instance = record["instance"]
    return {
        "instance": [instance["name"], instance["sha"]],
        "solver": record["configuration"],
        "time_limit": record["time_limit"],
        "workers": record["workers"],
        "memory_limit": record["memory_limit"],
        "seed": record["seed"],
    }
