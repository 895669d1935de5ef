"""The Ray engine, on a cluster of two nodes on this machine, one of which is killed."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import threading
import time
from pathlib import Path

import psutil
import pytest
from bench_tools import records, write_suite
from conftest import script_environment
from rich.console import Console

from optsched.bench.hosting import survivors
from optsched.bench.runner import run_suite
from optsched.bench.suite import read_suite
from optsched.bench.verify import verify
from optsched.core import InputError, MissingExtraError

HAS_RAY = importlib.util.find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not HAS_RAY, reason="ray is absent: pip install 'optsched[ray]'")
EIGHT = '{ generator = "job_shop", jobs = 4, machines = 3, seeds = [1, 2, 3, 4, 5, 6, 7, 8] }'


@pytest.mark.skipif(HAS_RAY, reason="ray is installed")
def test_absent_ray_is_named(tmp_path: Path) -> None:
    path = write_suite(tmp_path)
    with pytest.raises(MissingExtraError, match=r"pip install 'optsched\[ray\]'"):
        run_suite(read_suite(path), tmp_path / "out", Console(quiet=True), executor="ray")


@needs_ray
@pytest.mark.slow
def test_a_lost_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node is killed in the middle; its runs are made again, and none is missing or double."""
    import ray
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", script_environment()["PYTHONPATH"])
    path = write_suite(
        tmp_path,
        'label = "toy"\npeer = "toy"\noptions = { sleep = 3.0, children = 1 }',
        'label = "plain"\npeer = "plain-cpsat"',
        instances=EIGHT,
    )
    out = tmp_path / "out"
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    doomed = cluster.add_node(num_cpus=1)

    def kill_one() -> None:
        """Kill all that runs on a node, as power loss does, once both nodes are at work."""
        nodes: set[str] = set()
        while len(nodes) < 2:
            time.sleep(0.05)
            if (out / "journal.jsonl").exists():
                nodes = {line["node"] for line in records(out)}
        (raylet,) = doomed.all_processes["raylet"]
        victims = psutil.Process(raylet.process.pid).children(recursive=True)
        for victim in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.kill()
        cluster.remove_node(doomed, allow_graceful=False)

    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    text = io.StringIO()
    try:
        summary = run_suite(
            read_suite(path),
            out,
            Console(file=text, width=200),
            executor="ray",
            address=cluster.address,
        )
        killer.join(timeout=30)
        assert not killer.is_alive(), "the node was not killed in time"
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert summary.outcomes == {"done": 16}
    lines = records(out)
    assert len({line["key"] for line in lines}) == len(lines) == 16
    assert {line["executor"] for line in lines} == {"ray"}
    assert any(line["attempt"] > 1 for line in lines), "no run was lost with the node"
    assert len({line["node"] for line in lines}) == 2
    assert verify(out).problems == []
    deadline = time.monotonic() + 10
    while survivors(str(out.resolve())) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not survivors(str(out.resolve()))


@needs_ray
@pytest.mark.slow
def test_a_run_that_fits_no_node(tmp_path: Path) -> None:
    path = write_suite(tmp_path, extra="workers = 999")
    with pytest.raises(InputError, match="no node of the cluster has the 999 cores"):
        run_suite(read_suite(path), tmp_path / "out", Console(quiet=True), executor="ray")
