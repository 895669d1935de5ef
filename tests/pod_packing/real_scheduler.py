"""The real kube-scheduler as oracle, run against the stub of an API server.

``make kube-scheduler`` builds it; where it is absent, the tests that need it are skipped.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import pytest
from stub_api import Api, defaulted, key_of, serve

VARIABLE = "OPTSCHED_KUBE_SCHEDULER"
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
BINARY = Path(os.environ.get(VARIABLE) or _CACHE / "optsched" / "kube-scheduler")
needs_oracle = pytest.mark.skipif(
    not os.access(BINARY, os.X_OK),
    reason=f"no kube-scheduler: `make kube-scheduler` builds it, {VARIABLE} may name one",
)
#: Seconds that the scheduler is given for a batch of pods.
PATIENCE = 120.0

_CONFIGURATION = """\
apiVersion: kubescheduler.config.k8s.io/v1beta1
kind: KubeSchedulerConfiguration
leaderElection: {{leaderElect: false}}
healthzBindAddress: 127.0.0.1:{port}
metricsBindAddress: 127.0.0.1:{port}
clientConnection:
  kubeconfig: {folder}/kubeconfig
  contentType: application/json
  acceptContentTypes: application/json
  qps: 10000
  burst: 10000
percentageOfNodesToScore: 100
podInitialBackoffSeconds: 3600
podMaxBackoffSeconds: 3600
profiles:
- schedulerName: default-scheduler
  plugins:
    postFilter: {{disabled: [{{name: "*"}}]}}
    preScore: {{disabled: [{{name: "*"}}]}}
    score: {{disabled: [{{name: "*"}}]}}
extenders:
- urlPrefix: {url}/extender
  filterVerb: filter
  nodeCacheCapable: true
  enableHTTPS: false
  httpTimeout: 60s
  weight: 1
"""
_KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters: [{{name: stub, cluster: {{server: "{url}"}}}}]
users: [{{name: nobody, user: {{}}}}]
contexts: [{{name: stub, context: {{cluster: stub, user: nobody}}}}]
current-context: stub
"""


class RealScheduler:
    """A kube-scheduler that filters nodes: all filters as they are, no scores, no pre-emption.

    Parameters
    ----------
    folder : path
        For its configuration and its log.
    """

    def __init__(self, folder: Path) -> None:
        self.api = Api()
        self._server = serve(self.api)
        url = f"http://127.0.0.1:{self._server.server_address[1]}"
        (folder / "config.yaml").write_text(
            _CONFIGURATION.format(folder=folder, url=url, port=_free_port())
        )
        (folder / "kubeconfig").write_text(_KUBECONFIG.format(url=url))
        self._log = (folder / "log").open("w")
        self._count = 0
        self._process = subprocess.Popen(
            [str(BINARY), f"--config={folder / 'config.yaml'}", "--secure-port=0"],
            stdout=self._log, stderr=self._log, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        with self.api.changed:
            ready = self.api.changed.wait_for(
                lambda: {"pods", "nodes"} <= self.api.seen or self._process.poll() is not None, 60
            )
        if not ready or self._process.poll() is not None:
            self.close()
            raise RuntimeError(f"kube-scheduler does not start:\n{(folder / 'log').read_text()}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the scheduler and the stub."""
        self.api.closed = True
        with self.api.changed:
            self.api.changed.notify_all()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()
        self._server.shutdown()
        self._server.server_close()

    def load(self, objects: Iterable[Mapping[str, Any]]) -> None:
        """Make the cluster consist of `objects`; return when the scheduler has seen them all.

        Pods on no node are left out, as the scheduler would begin to place them; so are kinds
        that it does not look at.
        """
        self.api.clear()
        # Names come again: an addition must not overtake the deletion of what it meets on a node.
        self._barrier()
        ordered = [item for item in objects if item["kind"] != "Pod"]
        for item in ordered:
            if item["kind"] not in ("PriorityClass", "Namespace", "PodDisruptionBudget"):
                self.api.add(item)
        for item in objects:
            if item["kind"] == "Pod" and item["spec"].get("nodeName"):
                self.api.add(item)
        if any(item["kind"] == "PersistentVolume" for item in ordered):
            time.sleep(1)  # they come by ways of their own, which the barrier does not see
        self._barrier()

    def _barrier(self) -> None:
        """Wait for the last node and the last pod: what came before them has been seen, too."""
        self._count += 1
        name = f"barrier-{self._count}"
        taint = {"key": "barrier", "effect": "NoSchedule"}
        self.api.add(
            {
                "kind": "Node", "apiVersion": "v1", "metadata": {"name": name},
                "spec": {"taints": [taint]},
                "status": {"allocatable": {"cpu": "1", "memory": "1Gi", "pods": "9"}},
            }
        )  # fmt: skip
        holder = _guard(f"{name}-pod", name, port=True)
        holder["spec"]["nodeName"] = name
        self.api.add(holder)
        for attempt in range(600):
            free = _guard(f"{name}-free-{attempt}", name, port=False)
            held = _guard(f"{name}-held-{attempt}", name, port=True)
            found = self.passing([free, held])
            if found == [{name}, set()]:
                return
            time.sleep(0.02)
        raise TimeoutError("the scheduler does not see the cluster")

    def passing(self, pods: Sequence[Mapping[str, Any]]) -> list[set[str]]:
        """Return the names of the nodes that pass all filters for each pod; none is placed."""
        keys = [self.api.add(_pending(pod)) for pod in pods]
        said = self.api.settled(keys, PATIENCE)
        for key in keys:
            self.api.delete("pods", key)
            if said[key].startswith("SchedulerError"):
                raise RuntimeError(f"kube-scheduler on {key}: {said[key]}")
        return [set(self.api.passed.get(key, ())) for key in keys]

    def place(self, pod: Mapping[str, Any], node: str) -> str:
        """Let the scheduler bind a pod to a node; return its words where it does not."""
        item = _pending(pod)
        key = key_of(item)
        self.api.wanted[key] = node
        self.api.add(item)
        said = self.api.settled([key], PATIENCE)[key]
        if said == f"bound to {node}":
            return ""
        self.api.delete("pods", key)
        return said

    def place_patiently(self, pod: Mapping[str, Any], node: str, attempts: int = 10) -> str:
        """`place`, again and again for a while: the scheduler may not have seen an eviction yet."""
        said = ""
        for attempt in range(attempts):
            if attempt:
                time.sleep(0.05)
            said = self.place(pod, node)
            if not said:
                break
        return said

    def evict(self, key: str) -> None:
        """Take a pod (``namespace/name``) off its node."""
        self.api.delete("pods", key)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _pending(pod: Mapping[str, Any]) -> dict[str, Any]:
    item = defaulted(pod)
    item["spec"].pop("nodeName", None)
    item["status"] = {"phase": "Pending"}
    return item


def _guard(name: str, node: str, *, port: bool) -> dict[str, Any]:
    ports = [{"containerPort": 1, "hostPort": 64999, "protocol": "UDP"}] if port else []
    wanted = [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": wanted}}
    return {
        "kind": "Pod", "apiVersion": "v1", "metadata": {"name": name, "namespace": "barrier"},
        "spec": {
            "containers": [{"name": "main", "ports": ports}],
            "tolerations": [{"operator": "Exists"}],
            "affinity": {"nodeAffinity": required},
        },
        "status": {},
    }  # fmt: skip
