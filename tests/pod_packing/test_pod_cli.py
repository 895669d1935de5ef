"""Clusters on the command line: reading, goals, plans, explanations."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from kube_objects import cluster, node, pod

import optsched as op

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Write two nodes, a pod that fits once another has moved, and one that never does."""
    data = cluster(
        node("a", cpu="2"), node("b", cpu="2"),
        pod("x", cpu="1", at="a"), pod("y", cpu="1", at="b"),
        pod("big", cpu="1500m", priority=7), pod("huge", cpu="3"),
    )  # fmt: skip
    target = tmp_path / "cluster.json"
    target.write_text(json.dumps(data), encoding="utf-8")
    return target


def test_levels_and_the_diff_are_printed(run: Run, path: Path) -> None:
    code, out, _ = run("solve", path, "-t", 60)
    assert code == 0
    assert "unplaced, priority 7" in out
    assert "proven" in out
    assert "wave 1" in out
    assert "default/big" in out
    assert "left out:" not in out
    _, out, _ = run("solve", path, "-t", 60, "--explain")
    assert "default/huge is left out: 0/2 nodes are available" in out
    assert "remedy: " in out
    assert run("solve", path, "-q")[1] == ""


def test_plans_are_written_by_suffix(run: Run, path: Path, tmp_path: Path) -> None:
    for suffix in ("json", "sh", "diff"):
        assert run("solve", path, "-q", "-o", tmp_path / f"plan.{suffix}")[0] == 0
    plan = json.loads((tmp_path / "plan.json").read_text(encoding="utf-8"))
    assert plan["optsched"] == "plan"
    assert {step["pod"] for wave in plan["waves"] for step in wave} >= {"default/big"}
    script = tmp_path / "plan.sh"
    subprocess.run(["bash", "-n", str(script)], check=True)
    assert "dryRun" in script.read_text(encoding="utf-8")
    assert "wave 1" in (tmp_path / "plan.diff").read_text(encoding="utf-8")
    code, _, err = run("solve", path, "-o", tmp_path / "plan.csv")
    assert code == 2
    assert ".sh" in err


def test_standard_input(run: Run, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(path.read_text(encoding="utf-8")))
    code, out, err = run("solve", "-", "--json", "-")
    assert code == 0
    assert json.loads(out)["family"] == "pod_packing"
    assert "default/big" in err
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"apiVersion": "v1", "items": [{'))
    code, _, err = run("solve", "-")
    assert code == 2
    assert "standard input" in err


def test_goals_from_text(run: Run, path: Path) -> None:
    goals = ["--goal", "order=placement_first", "--goal", "then=fragmentation,used_nodes,cost"]
    goals += ["--goal", "slot=cpu:500m,memory:1Gi", "--goal", "price=3,4"]
    code, out, _ = run("solve", path, *goals)
    assert code == 0
    for level in ("fragmentation", "used nodes", "cost"):
        assert level in out
    code, out, _ = run("solve", path, "--goal", "migration_limit=0", "--goal", "then=used_nodes")
    assert code == 0
    assert "~" not in out


@pytest.mark.parametrize(
    ("goal", "told"),
    [
        ("order", "NAME=VALUE"), ("speed=3", "speed=3"), ("order=any", "any"),
        ("slot=cpu", "RESOURCE:AMOUNT"), ("slot=cpu:1Q", "cpu"), ("slot=gpu:1", "gpu"),
        ("price=a", "whole numbers"), ("price=1", "price"), ("migration_limit=1,2", "one number"),
        ("then=fragmentation", "slot"),
    ],
)  # fmt: skip
def test_bad_goals(run: Run, path: Path, goal: str, told: str) -> None:
    code, _, err = run("solve", path, "--goal", goal)
    assert code == 2
    assert told in err


def test_what_is_not_understood_is_refused_or_listed(run: Run, tmp_path: Path) -> None:
    data = cluster(
        node("a"), pod("x", resourceClaims=[{"name": "gpu"}]),
        {"apiVersion": "x/v1", "kind": "Wonder", "metadata": {"name": "w"}},
    )  # fmt: skip
    target = tmp_path / "cluster.json"
    target.write_text(json.dumps(data), encoding="utf-8")
    code, _, err = run("solve", target)
    assert code == 2
    assert "assume_ignored" in err
    code, _, err = run("solve", target, "--assume-ignored", "-q")
    assert code == 0
    assert err.count("ignored: ") == 2
    problem = op.load(target, model={"assume_ignored": True})
    assert len(problem.ignored) == 2
    assert op.PodPacking.from_dict(problem.to_dict()) == problem


def test_an_overcommitted_node_is_reported(run: Run, tmp_path: Path) -> None:
    data = cluster(node("a", cpu="2"), pod("x", cpu="2", at="a"), pod("y", cpu="1", at="a"))
    target = tmp_path / "cluster.json"
    target.write_text(json.dumps(data), encoding="utf-8")
    code, _, err = run("solve", target, "-q")
    assert code == 0
    assert "over-committed: a: the pods on it need 3000 of cpu, it has 2000" in err
    code, _, err = run("solve", target, "--overcommitted", "refuse")
    assert code == 2
    assert f"{target}: the incoming state is over-committed: a" in err
    code, _, err = run("solve", target, "--overcommitted", "ignore")
    assert code == 2
    assert "repair or refuse" in err


def test_a_truncated_file_is_named_once(run: Run, tmp_path: Path) -> None:
    target = tmp_path / "cluster.json"
    target.write_text(json.dumps(cluster(node("a"), pod("x")), indent=1)[:400], encoding="utf-8")
    code, _, err = run("solve", target)
    assert code == 2
    assert f"{target}: line " in err
    assert "truncated" in err


def test_a_cluster_in_several_files(run: Run, path: Path, tmp_path: Path) -> None:
    items = json.loads(path.read_text(encoding="utf-8"))["items"]
    nodes, pods = tmp_path / "nodes.json", tmp_path / "pods.json.gz"
    nodes.write_text(json.dumps(cluster(*items[:2])), encoding="utf-8")
    pods.write_bytes(gzip.compress(json.dumps(cluster(*items[2:])).encode()))
    result = tmp_path / "result.json"
    assert run("solve", nodes, "--with", pods, "-q", "--json", result)[0] == 0
    assert run("check", nodes, "--with", pods, result)[:2] == run("check", path, result)[:2]
    pods.write_text(json.dumps(cluster(*items[2:]))[:-20], encoding="utf-8")
    code, _, err = run("solve", nodes, "--with", pods)
    assert code == 2
    assert f"error: {pods}: line 1: the JSON ends early" in err
    assert run("solve", nodes, "--with", pods, "--dim", "n=1")[0] == 2


def test_options_of_clusters_are_for_clusters(run: Run, tmp_path: Path) -> None:
    shop = tmp_path / "tiny.json"
    shop.write_text(json.dumps({"family": "job_shop", "jobs": [[[0, 3]]]}), encoding="utf-8")
    for option in (["--explain"], ["--goal", "order=placement_first"], ["--assume-ignored"],
                   ["--overcommitted", "refuse"]):  # fmt: skip
        code, _, err = run("solve", shop, *option)
        assert code == 2
        assert option[0].strip("-").replace("-", "_") in err.replace("-", "_")
