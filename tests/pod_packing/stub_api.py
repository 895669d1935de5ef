"""A stub of the Kubernetes API server, enough for a real kube-scheduler, and its extender.

It lists and watches what it was given, and takes bindings, status patches and events. As an
extender it is told by the scheduler which nodes have passed every filter, and decides what becomes
of the pod: nothing (a probe), or a binding to the node that was asked for.
"""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

KINDS = {
    "nodes": ("Node", "v1"),
    "pods": ("Pod", "v1"),
    "services": ("Service", "v1"),
    "persistentvolumes": ("PersistentVolume", "v1"),
    "persistentvolumeclaims": ("PersistentVolumeClaim", "v1"),
    "replicationcontrollers": ("ReplicationController", "v1"),
    "replicasets": ("ReplicaSet", "apps/v1"),
    "statefulsets": ("StatefulSet", "apps/v1"),
    "storageclasses": ("StorageClass", "storage.k8s.io/v1"),
    "csinodes": ("CSINode", "storage.k8s.io/v1"),
    "csidrivers": ("CSIDriver", "storage.k8s.io/v1"),
    "poddisruptionbudgets": ("PodDisruptionBudget", "policy/v1beta1"),
}
RESOURCE = {kind: resource for resource, (kind, _) in KINDS.items()}


class Api:
    """The store, and what the scheduler has said of every pod."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.version = 1
        self.objects: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in KINDS}
        self.log: dict[str, list[tuple[int, str, dict[str, Any]]]] = {kind: [] for kind in KINDS}
        self.seen: set[str] = set()
        #: Nodes that passed the filters, where each pod is wanted, and what became of it.
        self.passed: dict[str, list[str]] = {}
        self.wanted: dict[str, str] = {}
        self.outcome: dict[str, str] = {}
        self.closed = False

    # ---- for the tests -----------------------------------------------------------------------

    def add(self, data: Mapping[str, Any]) -> str:
        """Store an object and tell the watchers; return its key."""
        item = defaulted(data)
        kind = RESOURCE[item["kind"]]
        with self.changed:
            # What is made anew under an old name is another object.
            self.outcome.pop(key_of(item), None)
            self.passed.pop(key_of(item), None)
            item["metadata"]["uid"] = f"uid-{self.version}"
            self._store(kind, "ADDED", item)
        return key_of(item)

    def delete(self, kind: str, key: str) -> None:
        """Delete an object and tell the watchers."""
        with self.changed:
            item = self.objects[kind].pop(key, None)
            if item is not None:
                self._tell(kind, "DELETED", item)

    def clear(self) -> None:
        """Delete everything."""
        for kind in ("pods", *(kind for kind in KINDS if kind != "pods")):
            for key in list(self.objects[kind]):
                self.delete(kind, key)

    def settled(self, keys: list[str], timeout: float) -> dict[str, str]:
        """Wait until the scheduler has decided on pods; return what became of each."""
        with self.changed:
            if not self.changed.wait_for(lambda: all(key in self.outcome for key in keys), timeout):
                missing = [key for key in keys if key not in self.outcome]
                raise TimeoutError(f"the scheduler is silent on {len(missing)} pods: {missing[:3]}")
            return {key: self.outcome[key] for key in keys}

    # ---- inside ------------------------------------------------------------------------------

    def _store(self, kind: str, event: str, item: dict[str, Any]) -> None:
        self.objects[kind][key_of(item)] = item
        self._tell(kind, event, item)

    def _tell(self, kind: str, event: str, item: dict[str, Any]) -> None:
        self.version += 1
        item["metadata"]["resourceVersion"] = str(self.version)
        self.log[kind].append((self.version, event, copy.deepcopy(item)))
        self.changed.notify_all()

    def listed(self, kind: str) -> dict[str, Any]:
        """Return all objects of a kind, without the pods that have ended."""
        name, group = KINDS[kind]
        with self.changed:
            items = [copy.deepcopy(i) for i in self.objects[kind].values() if _lives(i)]
            meta = {"resourceVersion": str(self.version)}
        return {"kind": f"{name}List", "apiVersion": group, "metadata": meta, "items": items}

    def news(self, kind: str, at: int) -> list[tuple[int, str, dict[str, Any]]]:
        """Wait for events of a kind after the first `at`, for some seconds; return them."""
        with self.changed:
            self.changed.wait_for(lambda: self.closed or len(self.log[kind]) > at, 5)
            return self.log[kind][at:]

    def bind(self, key: str, node: str) -> None:
        """Bind a pod, as the scheduler asks."""
        with self.changed:
            item = self.objects["pods"][key]
            item["spec"]["nodeName"] = node
            self.outcome[key] = f"bound to {node}"
            self._store("pods", "MODIFIED", item)

    def status(self, key: str, patch: Mapping[str, Any]) -> dict[str, Any]:
        """Take the reason why a pod stays pending."""
        with self.changed:
            for condition in patch.get("status", {}).get("conditions", ()):
                if condition.get("type") == "PodScheduled" and condition["status"] == "False":
                    self.outcome[key] = f"{condition['reason']}: {condition.get('message', '')}"
            self.changed.notify_all()
            return copy.deepcopy(self.objects["pods"].get(key, {}))

    def judge(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Answer as an extender: note the nodes that passed, admit the one wanted."""
        key = key_of(data["Pod"])
        names = list(data["NodeNames"] or ())
        with self.changed:
            self.passed[key] = names
            chosen = [name for name in names if name == self.wanted.get(key)]
        refused = {name: "only asked" for name in names if name not in chosen}
        return {"NodeNames": chosen, "FailedNodes": refused, "Error": ""}


def key_of(item: Mapping[str, Any]) -> str:
    """Return ``namespace/name``, or the name of what has no namespace."""
    meta = item["metadata"]
    return f"{meta['namespace']}/{meta['name']}" if "namespace" in meta else str(meta["name"])


def _lives(item: Mapping[str, Any]) -> bool:
    return item.get("status", {}).get("phase") not in ("Succeeded", "Failed")


def defaulted(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy with the defaults that the real API server fills in."""
    item = copy.deepcopy(dict(data))
    meta = item.setdefault("metadata", {})
    meta.setdefault("creationTimestamp", "2024-01-01T00:00:00Z")
    if item["kind"] == "Pod":
        spec = item["spec"]
        spec.setdefault("schedulerName", "default-scheduler")
        for container in spec.get("containers", []) + spec.get("initContainers", []):
            container.setdefault("image", "none")
            resources = container.setdefault("resources", {})
            if "limits" in resources:
                resources["requests"] = resources["limits"] | resources.get("requests", {})
            for port in container.get("ports", ()):
                if spec.get("hostNetwork"):
                    port.setdefault("hostPort", port["containerPort"])
    return item


class Handler(BaseHTTPRequestHandler):
    """One connection of the scheduler."""

    protocol_version = "HTTP/1.1"
    api: Api

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""

    def _send(self, data: Any, code: int = 200) -> None:
        body = json.dumps(data).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _body(self) -> Any:
        return json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")

    def do_GET(self) -> None:
        """List or watch."""
        url = urlsplit(self.path)
        kind, query = url.path.rsplit("/", 1)[-1], parse_qs(url.query)
        if kind not in KINDS:
            self._send({"kind": "Status", "apiVersion": "v1", "code": 404}, 404)
        elif "watch" in query:
            self._watch(kind, int(query.get("resourceVersion", ["0"])[0] or 0))
        else:
            self._send(self.api.listed(kind))

    def _watch(self, kind: str, since: int) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        api, log = self.api, self.api.log[kind]
        with api.changed:
            api.seen.add(kind)
            api.changed.notify_all()
            at = next((k for k, (version, _, _) in enumerate(log) if version > since), len(log))
        try:
            while not api.closed:
                news = api.news(kind, at)
                at += len(news)
                lines = [
                    json.dumps({"type": event, "object": item}).encode() + b"\n"
                    for _, event, item in news
                    if _lives(item)
                ]
                if data := b"".join(lines):
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                    self.wfile.flush()
        except OSError:
            return
        self.close_connection = True

    def do_POST(self) -> None:
        """Take a binding, an event, or the extender's call."""
        parts = urlsplit(self.path).path.strip("/").split("/")
        data = self._body()
        if parts[-1] == "filter":
            self._send(self.api.judge(data))
        elif parts[-1] == "binding":
            self.api.bind(f"{parts[-4]}/{parts[-2]}", data["target"]["name"])
            self._send({"kind": "Status", "apiVersion": "v1", "status": "Success"}, 201)
        else:
            self._send(data, 201)

    def do_PATCH(self) -> None:
        """Take a pod's status."""
        parts = urlsplit(self.path).path.strip("/").split("/")
        data = self._body()
        if parts[-1] == "status" and parts[-3] == "pods":
            data = self.api.status(f"{parts[-4]}/{parts[-2]}", data) or data
        self._send(data)

    do_PUT = do_PATCH


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that the scheduler drops as it ends."""


def serve(api: Api) -> ThreadingHTTPServer:
    """Serve in the background; the port is free and on this machine alone."""
    handler = type("BoundHandler", (Handler,), {"api": api})
    server = _Server(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
