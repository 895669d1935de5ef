"""A ``kubectl`` for the scripts of plans: the cluster is the file ``$CLUSTER``.

It keeps what a script depends on: versions, graceful ends, owners that make successors, room.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

#: How often an evicted pod is asked for until it has ended.
GRACE = 2


def touch(state: dict[str, Any], pod: dict[str, Any]) -> None:
    """Give a pod a new version."""
    state["clock"] += 1
    pod["version"] = str(state["clock"])


def succeed(state: dict[str, Any], old: dict[str, Any]) -> None:
    """Let the owner make a pod in place of one that is evicted."""
    same = old["owner"].startswith("StatefulSet/")
    state["made"] += 1
    name = old["name"] if same else f"{old['name']}-{state['made']}"
    pod = {"name": name, "owner": old["owner"], "cpu": old["cpu"], "node": "", "ends": None}
    state["pods"].append(pod | {"origin": old["origin"]})
    touch(state, state["pods"][-1])


def tick(state: dict[str, Any], pod: dict[str, Any]) -> None:
    """Let an evicted pod come nearer to its end; a stateful one is made anew after it."""
    pod["ends"] -= 1
    if pod["ends"] <= 0:
        state["pods"].remove(pod)
        if pod["owner"].startswith("StatefulSet/"):
            succeed(state, pod)


def create(state: dict[str, Any], path: str, body: dict[str, Any]) -> None:
    """Evict or bind a pod."""
    url, _, query = path.partition("?")
    *_, name, what = url.split("/")
    found = [pod for pod in state["pods"] if pod["name"] == name and pod["ends"] is None]
    assert found, f"there is no pod {name}"
    pod = found[0]
    if what == "eviction":
        options = body["deleteOptions"]
        assert options["preconditions"]["resourceVersion"] == pod["version"], "conflict"
        assert pod["node"], f"{name} does not run"
        if not options.get("dryRun"):
            pod["ends"] = GRACE
            if not pod["owner"].startswith("StatefulSet/"):
                succeed(state, pod)
        return
    node = body["target"]["name"]
    assert not pod["node"], f"{name} is bound already"
    if "dryRun" not in query:
        used = sum(each["cpu"] for each in state["pods"] if each["node"] == node)
        assert used + pod["cpu"] <= state["nodes"][node], f"no room for {name} on {node}"
        pod["node"] = node
        touch(state, pod)


def get(state: dict[str, Any], words: list[str]) -> str:
    """Return what a template of JSONPath makes of pods or nodes."""
    template = words[-1]
    if words[0] == "nodes":
        return "".join(f"{node}\n" for node in state["cordoned"])
    if words[0] == "pods":
        assert "?(@.controller==true)" in template
        waiting = [pod for pod in state["pods"] if not pod["node"] and pod["ends"] is None]
        for pod in [pod for pod in state["pods"] if pod["ends"] is not None]:
            tick(state, pod)
        return "".join(f"{pod['owner']} {pod['name']}\n" for pod in waiting)
    name = words[3]
    found = [pod for pod in state["pods"] if pod["name"] == name]
    if "deletionTimestamp" in template:
        ending = [pod for pod in found if pod["ends"] is not None]
        for pod in ending:
            tick(state, pod)
        return "2026-01-01T00:00:00Z" if ending else ""
    assert found, f"there is no pod {name}"
    return str(found[0]["version"])


def main(words: list[str]) -> None:
    """Run one command."""
    path = Path(os.environ["CLUSTER"])
    state = json.loads(path.read_text(encoding="utf-8"))
    state["log"].append(" ".join(words[:3]))
    if words[0] == "get":
        sys.stdout.write(get(state, words[1:]))
    elif words[0] == "create":
        create(state, words[2], json.load(sys.stdin))
    elif words[0] == "cordon":
        state["cordoned"] += words[1:]
        for pod in state["pods"]:  # the scheduler says anew why they wait
            if not pod["node"]:
                touch(state, pod)
    elif words[0] == "uncordon":
        state["cordoned"].remove(words[1])
    else:
        assert words[0] == "wait"
    path.write_text(json.dumps(state), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
