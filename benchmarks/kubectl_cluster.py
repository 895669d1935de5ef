"""A large random cluster as ``kubectl get -o json`` writes it, and how long a plan for it takes.

    python benchmarks/kubectl_cluster.py write cluster.json --nodes 5000 --pods 100000
    python benchmarks/kubectl_cluster.py plan cluster.json --time-limit 60

``plan`` reads the file, improves the state within the time limit, which includes reading, and
replays the plan; it prints what it took.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

#: Millicores and MiB of the sizes of nodes, and how often they occur.
SIZES = ((16_000, 65_536), (32_000, 131_072), (64_000, 262_144))
PRIORITIES = (0, 100, 1000)
ZONE = "topology.kubernetes.io/zone"


def objects(n_nodes: int, n_pods: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield the nodes, the disruption budgets and the pods.

    Pods come in ReplicaSets of 1 to 60 and are packed node by node at random until the nodes are
    full; what then finds no room at once is pending. A tenth of the sets want a zone, a twentieth
    stay off each other's nodes, a twentieth spread over zones, a tenth has a disruption budget.
    """
    rng = np.random.default_rng(seed)
    sizes = rng.choice(len(SIZES), n_nodes, p=(0.5, 0.3, 0.2))
    room = np.array([SIZES[k] for k in sizes], dtype=np.int64)
    zones = rng.integers(0, 3, n_nodes)
    for n in range(n_nodes):
        yield _node(n, room[n].tolist(), int(zones[n]))
    # The mean pod is such that all of them need what there is, but for a hundredth.
    mean = room.sum(axis=0) * 0.99 / n_pods
    made = 0
    while made < n_pods:
        count = min(int(rng.integers(1, 61)), n_pods - made)
        owner = f"set-{made:06}"
        need = np.maximum(1, mean * rng.uniform(0.2, 1.8, 2)).astype(np.int64)
        dice, priority = rng.random(), int(rng.choice(PRIORITIES))
        if dice < 0.1:
            yield _budget(owner, max(1, count // 10))
        zone = int(rng.integers(0, 3)) if 0.1 <= dice < 0.2 else -1
        alone = 0.2 <= dice < 0.25
        spread = 0.25 <= dice < 0.3
        used: set[int] = set()
        for k in range(count):
            n = -1
            for m in rng.integers(0, n_nodes, 30).tolist():
                if (need <= room[m]).all() and zone in (-1, zones[m]) and not (alone and m in used):
                    n = m
                    break
            if n >= 0:
                room[n] -= need
                used.add(n)
            yield _pod(f"{owner}-{k:03}", owner, n, need.tolist(), priority, zone, alone, spread)
        made += count


def _node(n: int, size: list[int], zone: int) -> dict[str, Any]:
    name = f"node-{n:05}"
    labels = {
        "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
        ZONE: f"zone-{zone}", "node.kubernetes.io/instance-type": f"m{size[0] // 1000}",
    }  # fmt: skip
    amounts = {
        "cpu": f"{size[0]}m", "memory": f"{size[1]}Mi", "pods": "250",
        "ephemeral-storage": "100Gi",
    }  # fmt: skip
    status = {
        "allocatable": amounts, "capacity": amounts,
        "conditions": [{"type": kind, "status": "False", "reason": f"KubeletHas{kind}"}
                       for kind in ("MemoryPressure", "DiskPressure", "PIDPressure")]
        + [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
    }  # fmt: skip
    meta = {"name": name, "labels": labels, "resourceVersion": str(n), "uid": _uid(n)}
    return {"apiVersion": "v1", "kind": "Node", "metadata": meta, "spec": {}, "status": status}


def _budget(owner: str, allowed: int) -> dict[str, Any]:
    return {
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": owner, "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"set": owner}}},
        "status": {"disruptionsAllowed": allowed},
    }  # fmt: skip


def _uid(k: int) -> str:
    return f"{k:08x}-0000-4000-8000-{k:012x}"


def _pod(
    name: str, owner: str, n: int, need: list[int], priority: int, zone: int, alone: bool,
    spread: bool,
) -> dict[str, Any]:  # fmt: skip
    """Return a pod with all that a real one carries: about 5 kB."""
    mine = {"matchLabels": {"set": owner}}
    mounts = [{"name": "kube-api-access", "readOnly": True,
               "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}]  # fmt: skip
    container = {
        "name": "main", "image": f"registry.example.com/team/{owner}:1.2.3",
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/service", "--config=/etc/service/config.yaml", "--port=8080"],
        "env": [{"name": f"VARIABLE_{k}", "value": f"value-{k}-of-{owner}"} for k in range(8)],
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        "resources": {"requests": {"cpu": f"{need[0]}m", "memory": f"{need[1]}Mi"},
                      "limits": {"memory": f"{need[1]}Mi"}},
        "livenessProbe": {"httpGet": {"path": "/live", "port": 8080}, "periodSeconds": 10},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 10},
        "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
        "volumeMounts": mounts,
    }  # fmt: skip
    spec: dict[str, Any] = {
        "containers": [container], "priority": priority, "restartPolicy": "Always",
        "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler",
        "serviceAccountName": "default", "terminationGracePeriodSeconds": 30,
        "tolerations": [
            {"key": f"node.kubernetes.io/{what}", "operator": "Exists", "effect": "NoExecute",
             "tolerationSeconds": 300}
            for what in ("not-ready", "unreachable")
        ],
        "volumes": [{"name": "kube-api-access", "projected": {"sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt"}}]}}],
    }  # fmt: skip
    if n >= 0:
        spec["nodeName"] = f"node-{n:05}"
    if zone >= 0:
        spec["nodeSelector"] = {ZONE: f"zone-{zone}"}
    if alone:
        term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": mine}
        spec["affinity"] = {
            "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
        }
    if spread:
        spec["topologySpreadConstraints"] = [
            {"topologyKey": ZONE, "maxSkew": 20, "whenUnsatisfiable": "DoNotSchedule",
             "labelSelector": mine}
        ]  # fmt: skip
    moments = "2024-01-01T00:00:00Z"
    kinds = ("Initialized", "Ready", "ContainersReady", "PodScheduled")
    status: dict[str, Any] = {"phase": "Pending", "qosClass": "Burstable"}
    if n >= 0:
        status |= {
            "phase": "Running", "hostIP": "10.0.0.1", "podIP": "10.1.0.1", "startTime": moments,
            "conditions": [
                {"type": kind, "status": "True", "lastProbeTime": None,
                 "lastTransitionTime": moments}
                for kind in kinds
            ],
            "containerStatuses": [
                {"name": "main", "image": container["image"], "ready": True, "restartCount": 0,
                 "started": True, "state": {"running": {"startedAt": moments}},
                 "imageID": f"registry.example.com/team/{owner}@sha256:{'0' * 64}",
                 "containerID": f"containerd://{'0' * 64}", "lastState": {}}
            ],
        }  # fmt: skip
    meta = {
        "name": name, "namespace": "default", "creationTimestamp": moments,
        "generateName": f"{owner}-", "resourceVersion": "123456789", "uid": f"{name}-uid",
        "labels": {"set": owner, "pod-template-hash": owner[4:]},
        "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "8080"},
        "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner, "controller": True,
             "blockOwnerDeletion": True, "uid": _uid(1)}
        ],
    }  # fmt: skip
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec, "status": status}


def write(path: Path, n_nodes: int, n_pods: int, seed: int) -> None:
    """Write the cluster as ``kubectl`` does: a List, indented by four."""
    with path.open("w", encoding="utf-8") as file:
        file.write('{\n    "apiVersion": "v1",\n    "items": [\n')
        for k, item in enumerate(objects(n_nodes, n_pods, seed)):
            text = json.dumps(item, indent=4).replace("\n", "\n        ")
            file.write(("," if k else "") + f"\n        {text}")
        file.write(
            '\n    ],\n    "kind": "List",\n    "metadata": {\n        "resourceVersion": ""\n'
            "    }\n}\n"
        )


def plan(path: Path, time_limit: float) -> None:
    """Read, improve, plan and replay; print the seconds of each and the peak of memory."""
    start = time.perf_counter()
    import optsched as op
    from optsched.problems.pod_packing.plan_checker import replay

    problem = op.PodPacking.from_kubernetes(path)
    read = time.perf_counter() - start
    print(problem.describe())
    print(f"read in {read:.1f} s ({time.process_time():.1f} s of CPU)")
    before = problem.levels(problem.incoming())
    # What is left is for improving; planning takes a second or two of the same clock.
    result = op.solve(problem, time_limit=max(1.0, time_limit - read - 3), workers=2)
    print(f"solved after {time.perf_counter() - start:.1f} s: {result.status.name}")
    made = problem.plan(result.solution)
    wall, cpu = time.perf_counter() - start, time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    steps = sum(len(wave) for wave in made.waves)
    print(f"plan after {wall:.1f} s ({cpu:.1f} s of CPU), peak {peak:.0f} MB")
    print(f"{steps} steps in {len(made.waves)} waves, {len(made.stuck)} stuck")
    print(f"levels before {before}")
    print(f"levels after  {problem.levels(result.solution)}")
    violations = replay(made) if steps <= 20_000 else problem.check(result.solution)
    print(f"violations: {[str(v) for v in violations[:3]] or 'none'}")


def main() -> None:
    """Write a cluster, or plan for one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("write", "plan"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--nodes", type=int, default=5_000)
    parser.add_argument("--pods", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--time-limit", type=float, default=60.0)
    given = parser.parse_args()
    if given.what == "write":
        write(given.file, given.nodes, given.pods, given.seed)
    else:
        plan(given.file, given.time_limit)


if __name__ == "__main__":
    main()
