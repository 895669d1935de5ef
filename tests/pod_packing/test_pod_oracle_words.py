"""Our reasons against the events of the real kube-scheduler, text by text and count by count."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import kube_objects as kube
import pytest
import real_scheduler
from kube_worlds import RULES, world
from real_scheduler import RealScheduler, needs_oracle

import optsched as op

#: The oracle is of 1.20: it asks the plugins in another order, and has other words for some.
ORDER = ("NodeUnschedulable", "NodeName", "TaintToleration", "NodeAffinity", "NodePorts",
         "NodeResourcesFit", "VolumeRestrictions", "NodeVolumeLimits", "VolumeBinding",
         "VolumeZone", "PodTopologySpread", "InterPodAffinity")  # fmt: skip
_OLD_TAINT = re.compile(r"node\(s\) had taint (\{.*\}), that the pod didn't tolerate")
#: Said twice, in general and then in particular.
_IN_GENERAL = "node(s) didn't match pod affinity/anti-affinity"
#: What the extender answers that stands in for the nodes that pass.
_PASSES = "only asked"
SEEDS = 2


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealScheduler]:
    enabled = ", ".join(f"{{{{name: {name}}}}}" for name in ORDER)
    filters = f'    filter: {{{{disabled: [{{{{name: "*"}}}}], enabled: [{enabled}]}}}}\n'
    with pytest.MonkeyPatch.context() as patch:
        given = real_scheduler._CONFIGURATION
        changed = given.replace("  plugins:\n", f"  plugins:\n{filters}")
        patch.setattr(real_scheduler, "_CONFIGURATION", changed)
        with RealScheduler(tmp_path_factory.mktemp("oracle")) as scheduler:
            yield scheduler


def in_new_words(message: str) -> Counter[str]:
    """Return how many nodes each reason of an event stands for, as later versions put it."""
    count: Counter[str] = Counter()
    for part in re.split(r", (?=\d+ )", message.partition("available: ")[2].removesuffix(".")):
        number, _, text = part.partition(" ")
        text = _OLD_TAINT.sub(r"node(s) had untolerated taint \1", text)
        text = re.sub(r"(node selector|Pod's node affinity)$", "Pod's node affinity/selector", text)
        if text != _IN_GENERAL:
            count[text] += int(number)
    return count


@needs_oracle
@pytest.mark.slow
@pytest.mark.parametrize("rule", list(RULES))
def test_events_agree_with_the_real_scheduler(rule: str, oracle: RealScheduler) -> None:
    compared = 0
    for seed in range(SEEDS):
        given = world(rule, seed)
        oracle.load(given.objects())
        # With the nodes and pods that the oracle has for itself.
        there = [
            item | {"kind": kind, "apiVersion": "v1"}
            for kind, key in (("Node", "nodes"), ("Pod", "pods"))
            for item in oracle.api.objects[key].values()
        ]
        there += [item for item in given.objects() if item["kind"] not in ("Node", "Pod")]
        keys = [oracle.api.add(real_scheduler._pending(pod)) for pod in given.probes]
        said = oracle.api.settled(keys, real_scheduler.PATIENCE)
        for key in keys:
            oracle.api.delete("pods", key)
        problem = op.PodPacking.from_kubernetes(kube.cluster(*there, *given.probes))
        number = {problem.pod_name(p): p for p in range(problem.n_pods)}
        for told in problem.explain(problem.incoming(), [number[key] for key in keys]):
            key = problem.pod_name(told.pod)
            ours = Counter(text for texts in told.reasons.values() for text in texts or (_PASSES,))
            assert ours == in_new_words(said[key]), (seed, key)
            compared += 1
    assert compared == 50 * SEEDS
