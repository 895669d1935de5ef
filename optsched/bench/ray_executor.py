"""The same campaign on a Ray cluster: a task a run, lost runs started again.

Each node needs optsched (and the peers' environments) at hand; instances travel with the runs. Only
this process writes the journal, so what a lost node had not handed over is run again elsewhere.
"""

from __future__ import annotations

import contextlib
import socket
from collections import deque
from typing import TYPE_CHECKING, Any

from optsched.bench import journal
from optsched.bench.execute import Slot, record_of
from optsched.bench.hosting import Outcome
from optsched.bench.machine import machine
from optsched.bench.peers import Peer
from optsched.bench.plan import Run
from optsched.core import InputError, MissingExtraError, SolverError

if TYPE_CHECKING:
    from optsched.bench.runner import Campaign

#: How often a run is given to another node before it counts as crashed.
ATTEMPTS = 5

_slot: Slot | None = None


def perform(
    run: Run, job: dict[str, Any], families: tuple[str, ...], token: str, context: dict[str, Any]
) -> tuple[Outcome, dict[str, Any]] | None:
    """Execute a run in a Ray worker; its host process stays for the next run."""
    global _slot
    if _slot is None:
        _slot = Slot(families, token=token)
    performed = _slot.perform(run, job)
    if performed is None:
        return None
    import ray

    node = f"{socket.gethostname()}/{ray.get_runtime_context().get_node_id()[:8]}"
    outcome, told = performed
    return outcome, {**told, **context, "node": node}


class RayExecutor:
    """Runs on a Ray cluster, each reserving as many cores as it has workers.

    Parameters
    ----------
    jobs : int or None
        Runs at a time; default is what the cluster has cores for.
    address : str or None
        Of the cluster; default is one of this machine alone.
    token : str
        Marks the campaign's processes.
    families : tuple of str
    workers : int
        Cores a run.

    Raises
    ------
    MissingExtraError
        When Ray is not installed.
    InputError
        When the cluster cannot be joined, or no node has the cores for a run.
    """

    def __init__(
        self,
        jobs: int | None,
        address: str | None,
        token: str,
        families: tuple[str, ...],
        workers: int,
    ) -> None:
        try:
            import ray
        except ImportError as error:
            raise MissingExtraError("ray", "ray") from error
        self._ray = ray
        self._families, self._token = families, token
        self._joined = not ray.is_initialized()
        if self._joined:
            try:
                ray.init(address=address or "local", log_to_driver=False, logging_level="error")
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise InputError(f"--address {address}: {error}") from error
        nodes = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node.get("Alive")]
        if max(nodes, default=0) < workers:
            self.close()
            raise InputError(
                f"no node of the cluster has the {workers} cores of a run; "
                f"the largest has {max(nodes, default=0)}"
            )
        self.cores = sum(nodes)
        self.jobs = jobs or sum(cores // workers for cores in nodes)

    def probe(self, peers: list[Peer | None]) -> dict[str, str]:
        """Start the adapters on one node; return why those that do not start do not."""
        remote = self._ray.remote(num_cpus=1, max_retries=ATTEMPTS)(_probe)
        found: dict[str, str] = self._ray.get(remote.remote(peers, self._families))
        return found

    def execute(self, todo: list[Run], campaign: Campaign) -> None:
        """Keep the cluster busy until every run is recorded."""
        ray = self._ray
        pending = deque((run, 1) for run in todo)
        under_way: dict[Any, tuple[Run, int]] = {}
        try:
            while (pending or under_way) and not campaign.stopped:
                while pending and len(under_way) < self.jobs:
                    run, attempt = pending.popleft()
                    campaign.begin(run)
                    under_way[self._submit(run, attempt)] = run, attempt
                done, _ = ray.wait(list(under_way), timeout=0.2)
                for reference in done:
                    run, attempt = under_way.pop(reference)
                    record = self._receive(reference, run, attempt)
                    if record is None:
                        campaign.drop(run)
                        # At once: a run that was lost goes before those that have not begun.
                        pending.appendleft((run, attempt + 1))
                    else:
                        campaign.record(run, record)
        except KeyboardInterrupt:
            campaign.stop()
            raise
        finally:
            for reference in under_way:
                with contextlib.suppress(Exception):
                    ray.cancel(reference, force=True)  # its host notices, and kills the run

    def _submit(self, run: Run, attempt: int) -> Any:
        context = {"executor": "ray", "jobs": self.jobs, "attempt": attempt}
        # Retries are ours: they are counted and told, and a run is never made twice unseen.
        remote = self._ray.remote(num_cpus=run.workers, max_retries=0)(perform)
        return remote.remote(run, run.job(), self._families, self._token, context)

    def _receive(self, reference: Any, run: Run, attempt: int) -> dict[str, Any] | None:
        """Return a run's record; None when it was lost and is to be run again."""
        exceptions = self._ray.exceptions
        try:
            performed = self._ray.get(reference)
        except exceptions.RayTaskError as error:
            raise SolverError(f"{run.describe()}: {error.cause!r}") from error
        except exceptions.RayError as error:
            if attempt < ATTEMPTS:
                return None
            lost = Outcome(journal.CRASH, f"lost {ATTEMPTS} times: {type(error).__name__}")
            return record_of(run, lost, _context(attempt))
        return None if performed is None else record_of(run, *performed)

    def close(self) -> None:
        """Leave the cluster, where it was joined here."""
        if self._joined:
            self._ray.shutdown()


def _context(attempt: int) -> dict[str, Any]:
    """Return what is known of a run that never came back."""
    import datetime

    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
    return {
        "executor": "ray", "attempt": attempt, "began": now, "load": None, "versions": {},
        "machine": machine(),
    }  # fmt: skip


def _probe(peers: list[Peer | None], families: tuple[str, ...]) -> dict[str, str]:
    """Start the adapters on this node; return why those that do not start do not."""
    slot = Slot(families)
    failed = {}
    for peer in peers:
        try:
            slot.host(peer).wait_ready()
        except (SolverError, InputError) as error:
            failed[peer.name if peer else ""] = str(error)
    slot.close()
    return failed
