"""The scripts of plans, run against a stand-in for ``kubectl``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from kube_objects import cluster, node, pod

import optsched as op

FAKE = Path(__file__).with_name("fake_kubectl.py")


def owned(kind: str, name: str) -> dict[str, Any]:
    """Return the metadata of a pod with a bystander before the controller that makes it."""
    bystander = {"kind": "Gadget", "name": "g"}
    return {"ownerReferences": [bystander, {"kind": kind, "name": name, "controller": True}]}


class Cluster:
    """A cluster that scripts can change: nodes with 2 cpu each, and pods of 2."""

    def __init__(self, folder: Path, nodes: str, **pods: tuple[str, str]) -> None:
        self.folder = folder
        self.problem = op.PodPacking.from_kubernetes(
            cluster(
                *(node(name, cpu="2") for name in nodes),
                *(
                    pod(name, cpu="2", at=at, meta=owned(*owner.split("/")))
                    for name, (owner, at) in pods.items()
                ),
            )
        )
        self._write(
            {
                "clock": 11, "made": 0, "log": [], "cordoned": [],
                "nodes": dict.fromkeys(nodes, 2),
                "pods": [
                    {"name": name, "owner": owner, "node": at, "cpu": 2, "version": "11",
                     "ends": None, "origin": name}
                    for name, (owner, at) in pods.items()
                ],
            }
        )  # fmt: skip
        for name, text in (("kubectl", f'exec {sys.executable} {FAKE} "$@"'), ("sleep", "exit 0")):
            (folder / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
            (folder / name).chmod(0o755)

    def _write(self, state: dict[str, Any]) -> None:
        (self.folder / "cluster.json").write_text(json.dumps(state), encoding="utf-8")

    def state(self) -> dict[str, Any]:
        """Return the cluster as it is."""
        found: dict[str, Any] = json.loads((self.folder / "cluster.json").read_text("utf-8"))
        return found

    def where(self) -> dict[str, str]:
        """Return the node of every pod, or of its last successor."""
        return {each["origin"]: each["node"] for each in self.state()["pods"]}

    def run(self, script: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a script."""
        path = self.folder / "plan.sh"
        path.write_text(script, encoding="utf-8")
        paths = f"{self.folder}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            ["bash", str(path), *words], capture_output=True, text=True, timeout=120, check=False,
            env=os.environ | {"PATH": paths, "CLUSTER": str(self.folder / "cluster.json")},
        )  # fmt: skip


def test_a_waiting_sibling_is_no_successor(tmp_path: Path) -> None:
    both = "ReplicaSet/web"
    world = Cluster(tmp_path, "ab", later=(both, ""), first=(both, "a"))
    plan = world.problem.plan(op.PodPackingSolution([0, 1]))
    assert [step.kind for wave in plan.waves for step in wave] == ["move", "place"]
    done = world.run(plan.script())
    assert done.returncode == 0, done.stderr
    assert world.where() == {"later": "", "first": "a"}
    done = world.run(plan.script(), "--apply")
    assert done.returncode == 0, done.stderr
    assert world.where() == {"later": "a", "first": "b"}
    assert world.state()["cordoned"] == []


@pytest.mark.parametrize("owner", ["ReplicaSet/web", "StatefulSet/db"])
def test_a_cycle_is_broken_by_the_script(tmp_path: Path, owner: str) -> None:
    pods = {"db-0": (owner, "a"), "db-1": (owner, "b"), "db-2": (owner, "")}
    world = Cluster(tmp_path, "abc", **pods)
    plan = world.problem.plan(op.PodPackingSolution([1, 0, -1]))
    assert [(step.kind, step.target) for step in plan.cycles] == [("move", 2)]
    done = world.run(plan.script(), "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "would leave its temporary node" in done.stdout
    assert world.where() == {"db-0": "a", "db-1": "b", "db-2": ""}
    done = world.run(plan.script(), "--apply")
    assert done.returncode == 0, done.stderr
    assert world.where() == {"db-0": "b", "db-1": "a", "db-2": ""}


def test_an_early_eviction_is_placed_later(tmp_path: Path) -> None:
    world = Cluster(tmp_path, "ab", x=("ReplicaSet/x", "a"), y=("ReplicaSet/y", "b"))
    plan = world.problem.plan(op.PodPackingSolution([1, 0]))
    assert [step.kind for step in plan.cycles] == ["evict"]
    done = world.run(plan.script(), "--apply")
    assert done.returncode == 0, done.stderr
    assert world.where() == {"x": "b", "y": "a"}


def test_versions_are_compared_before_a_cordon_changes_them(tmp_path: Path) -> None:
    world = Cluster(tmp_path, "ab", x=("ReplicaSet/x", "a"), y=("ReplicaSet/y", ""))
    script = world.problem.plan(op.PodPackingSolution([1, 0])).script()
    done = world.run(script, "--apply")
    assert done.returncode == 0, done.stderr
    assert world.where() == {"x": "b", "y": "a"}
    before = world.state()
    done = world.run(script, "--apply")  # all has changed since
    assert done.returncode == 1
    assert "stale: default/y" in done.stderr or "there is no pod x" in done.stderr
    assert "cordon" not in " ".join(world.state()["log"][len(before["log"]) :])
