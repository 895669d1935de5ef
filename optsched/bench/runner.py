"""Campaigns: the runs of a suite that are not in the journal yet, executed and recorded."""

from __future__ import annotations

import contextlib
import json
import queue
import shutil
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rich.console import Console

from optsched.bench import journal
from optsched.bench.execute import Slot
from optsched.bench.hosting import kill_survivors
from optsched.bench.journal import Journal
from optsched.bench.machine import cores, total_memory
from optsched.bench.peers import Peer
from optsched.bench.plan import Run, runs
from optsched.bench.progress import CampaignView
from optsched.bench.suite import Suite
from optsched.core import InputError, OptschedError, SolverError
from optsched.solvers.base import nearest

EXECUTORS = ("local", "ray")


@dataclass
class Summary:
    """What a start of a campaign did.

    Attributes
    ----------
    total, before, now : int
        Runs of the suite, those that were in the journal before, and those added.
    outcomes : Counter
        Outcomes of all runs of the suite that are in the journal.
    interrupted : bool
        Whether Ctrl-C ended it.
    """

    total: int
    before: int
    now: int
    outcomes: Counter[str]
    interrupted: bool = False


class Executor(Protocol):
    """Executes runs until there are none, and hands each record on.

    Attributes
    ----------
    jobs, cores : int
        Runs at a time, and the cores that they share.
    """

    jobs: int
    cores: int

    def probe(self, peers: list[Peer | None]) -> dict[str, str]:
        """Return why those peers (None: our solvers) that cannot start cannot, by name."""

    def execute(self, todo: list[Run], campaign: Campaign) -> None:
        """Execute the runs; return when all are recorded or the campaign is stopped."""

    def close(self) -> None:
        """End everything that was started."""


class Campaign:
    """The shared state of one start: journal, view, stop.

    Parameters
    ----------
    journal : Journal
    view : CampaignView
    """

    def __init__(self, journal: Journal, view: CampaignView) -> None:
        self._journal = journal
        self._view = view
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self.finished = 0
        self.error: BaseException | None = None

    @property
    def stopped(self) -> bool:
        """Whether no further run may begin, and those under way are to be given up."""
        return self._stop.is_set()

    def stop(self, error: BaseException | None = None) -> None:
        """Stop the campaign; `error` says why, where it is one."""
        with self._lock:
            self.error = self.error or error
        self._stop.set()

    def wait(self, seconds: float) -> None:
        """Wait, but not beyond a stop."""
        self._stop.wait(seconds)

    def begin(self, run: Run) -> None:
        """Show that a run has begun."""
        self._view.begin(run.describe())

    def drop(self, run: Run) -> None:
        """Show that a run was given up."""
        self._view.drop(run.describe())

    def record(self, run: Run, record: dict[str, object]) -> None:
        """Write a finished run to the journal, then show it."""
        with self._lock:
            self._journal.append(record)
            self.finished += 1
        self._view.end(run.describe(), record)


class LocalExecutor:
    """Runs on this machine, `jobs` at a time."""

    def __init__(self, jobs: int, token: str, scratch: Path, families: tuple[str, ...]) -> None:
        self.jobs, self.cores = jobs, cores()
        self._slots = [
            Slot(
                families,
                token=token,
                scratch=scratch,
                context={"executor": "local", "jobs": jobs, "slot": k},
            )
            for k in range(jobs)
        ]

    def probe(self, peers: list[Peer | None]) -> dict[str, str]:
        """Start the hosts of the first slot; return why those that do not start do not."""
        failed = {}
        for peer in peers:
            with contextlib.suppress(InputError):
                self._slots[0].host(peer)  # they import side by side
        for peer in peers:
            name = peer.name if peer else ""
            try:
                self._slots[0].host(peer).wait_ready()
            except (SolverError, InputError) as error:
                failed[name] = str(error)
        return failed

    def execute(self, todo: list[Run], campaign: Campaign) -> None:
        """Execute the runs in order, as slots become free."""
        pending: queue.SimpleQueue[Run] = queue.SimpleQueue()
        for run in todo:
            pending.put(run)
        threads = [
            threading.Thread(target=self._work, args=(slot, pending, campaign), daemon=True)
            for slot in self._slots
        ]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.2)
        except KeyboardInterrupt:
            campaign.stop()
            for thread in threads:
                thread.join()
            raise

    def _work(self, slot: Slot, pending: queue.SimpleQueue[Run], campaign: Campaign) -> None:
        try:
            while not campaign.stopped:
                try:
                    run = pending.get_nowait()
                except queue.Empty:
                    return
                campaign.begin(run)
                record = slot.execute(run, lambda: campaign.stopped)
                if record is None:
                    campaign.drop(run)
                else:
                    campaign.record(run, record)
        except BaseException as error:
            campaign.stop(error)

    def close(self) -> None:
        """End all hosts."""
        for slot in self._slots:
            slot.close()


def run_suite(
    suite: Suite,
    folder: Path,
    console: Console,
    *,
    jobs: int | None = None,
    executor: str = "local",
    address: str | None = None,
    skip_missing: bool = False,
    retry_failed: bool = False,
) -> Summary:
    """Execute the runs of a suite that are not in the folder's journal.

    Parameters
    ----------
    suite : Suite
    folder : Path
        Where the journal is, or is made.
    console : rich.console.Console
        For progress, warnings and notes.
    jobs : int, optional
        Runs at a time; default 1, on a Ray cluster as many as it has cores for.
    executor : str
        ``"local"`` or ``"ray"``.
    address : str, optional
        Of the Ray cluster.
    skip_missing : bool
        Record the runs of peers that are not installed as unavailable, instead of refusing.
    retry_failed : bool
        Run again what is in the journal as a failure.

    Raises
    ------
    InputError
        Before anything runs: when the folder is in use, or a peer is not installed.
    """
    if jobs is not None and jobs < 1:
        raise InputError(f"--jobs {jobs}: must be at least 1")
    if executor not in EXECUTORS:
        known = " or ".join(EXECUTORS)
        raise InputError(f"unknown executor {executor!r}{nearest(executor, EXECUTORS)}: {known}")
    if address is not None and executor != "ray":
        raise InputError("--address goes with --executor ray")
    with Journal(folder) as book:
        if book.repaired:
            console.print(book.repaired, style="yellow", markup=False)
        token = str(folder.resolve())
        if left := kill_survivors(token):
            console.print(f"killed {left} processes that an earlier start has left", style="yellow")
        scratch = _scratch(folder)
        _keep(suite, folder)
        everything = {run.key: run for run in runs(suite)}
        done = {
            key
            for key, outcome in book.outcomes.items()
            if key in everything and not (retry_failed and outcome != journal.DONE)
        }
        todo = [run for key, run in everything.items() if key not in done]
        if done:
            console.print(f"{len(done)} of {len(everything)} runs are in {folder} already")
        finished, interrupted = 0, False
        if todo:
            engine = _engine(executor, address, jobs, token, scratch, todo)
            try:
                _warn(suite, engine, console)
                _probe(engine, todo, console, skip_missing=skip_missing)
                view = CampaignView(console, len(todo), engine.jobs, suite.time_limit + 0.1)
                campaign = Campaign(book, view)
                try:
                    with view:
                        engine.execute(todo, campaign)
                except KeyboardInterrupt:
                    interrupted = True
                if campaign.error is not None:
                    raise campaign.error
                finished = campaign.finished
            finally:
                engine.close()
                shutil.rmtree(scratch, ignore_errors=True)
        outcomes = Counter(book.outcomes[key] for key in everything if key in book.outcomes)
        return Summary(len(everything), len(done), finished, outcomes, interrupted)


def _engine(
    executor: str,
    address: str | None,
    jobs: int | None,
    token: str,
    scratch: Path,
    todo: list[Run],
) -> Executor:
    families = tuple(sorted({run.instance.family for run in todo}))
    if executor == "local":
        return LocalExecutor(jobs or 1, token, scratch, families)
    from optsched.bench.ray_executor import RayExecutor

    return RayExecutor(jobs, address, token, families, max(run.workers for run in todo))


def _probe(engine: Executor, todo: list[Run], console: Console, *, skip_missing: bool) -> None:
    """Refuse before the first run what cannot run."""
    peers = {run.solver.peer.name if run.solver.peer else "": run.solver.peer for run in todo}
    failed = engine.probe(list(peers.values()))
    for name, why in failed.items():
        peer = peers[name]
        if peer is None:
            raise OptschedError(f"the solvers cannot be started: {why}")
        text = f"peer {name} cannot be started: {why}"
        if peer.install and peer.install not in why:
            text += f"; run {peer.install}"
        if not skip_missing:
            raise InputError(f"{text} (or leave it out: --skip-missing)")
        console.print(f"{text}; its runs are recorded as unavailable", style="yellow", markup=False)


def _warn(suite: Suite, engine: Executor, console: Console) -> None:
    jobs, available = engine.jobs, engine.cores
    if jobs * suite.workers > available:
        console.print(
            f"warning: {jobs} jobs x {suite.workers} workers are more than the {available} cores "
            "there are: times will not be comparable",
            style="yellow",
        )
    if not isinstance(engine, LocalExecutor):
        return
    if suite.memory_limit is not None and jobs * suite.memory_limit > total_memory():
        console.print(
            f"warning: {jobs} jobs x {suite.memory_limit / 2**30:g} GiB are more than the memory "
            f"here, {total_memory() / 2**30:.1f} GiB",
            style="yellow",
        )


def _scratch(folder: Path) -> Path:
    scratch = (folder / "tmp").resolve()
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    return scratch


def _keep(suite: Suite, folder: Path) -> None:
    """Keep the suite's file, and the data of instances that no registry has."""
    with contextlib.suppress(shutil.SameFileError):
        shutil.copyfile(suite.path, folder / "suite.toml")
    for instance in suite.instances:
        if "sha" in instance.source:
            kept = folder / "instances" / f"{instance.sha}.json"
            if not kept.exists():
                kept.parent.mkdir(exist_ok=True)
                text = json.dumps(instance.problem().to_dict(), separators=(",", ":"))
                kept.write_text(text + "\n", encoding="utf-8")
