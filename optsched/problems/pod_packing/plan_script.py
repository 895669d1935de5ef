"""A plan for people, and as a shell script of ``kubectl`` commands."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import numpy as np

from optsched.core import InputError

if TYPE_CHECKING:
    from optsched.problems.pod_packing.plan import Plan, Step
    from optsched.problems.pod_packing.problem import PodPacking

_HEAD = r"""#!/usr/bin/env bash
# Brings the cluster to a new placement, wave by wave. Without --apply every step is a server-side
# dry run. A pod that has changed since the plan was made stops the script. Nodes are cordoned
# meanwhile, so that the scheduler does not place what the plan places.
set -euo pipefail
case ${1:---dry-run} in
  --apply) dry='' ;;
  --dry-run) dry='All' ;;
  *) echo "usage: $0 [--apply]" >&2; exit 2 ;;
esac

fresh() { # namespace pod version
  local now
  now=$(kubectl get pod -n "$1" "$2" -o 'jsonpath={.metadata.resourceVersion}')
  [ "$now" = "$3" ] || { echo "stale: $1/$2 is at $now, the plan at $3" >&2; exit 1; }
}

evict() { # namespace pod version
  local options="\"preconditions\":{\"resourceVersion\":\"$3\"}"
  [ -z "$dry" ] || options="$options,\"dryRun\":[\"$dry\"]"
  kubectl create --raw "/api/v1/namespaces/$1/pods/$2/eviction" -f - <<EOF
{"apiVersion":"policy/v1","kind":"Eviction",
 "metadata":{"namespace":"$1","name":"$2"},"deleteOptions":{$options}}
EOF
}

bind_pod() { # namespace pod node
  kubectl create --raw "/api/v1/namespaces/$1/pods/$2/binding${dry:+?dryRun=All}" -f - <<EOF
{"apiVersion":"v1","kind":"Binding","metadata":{"namespace":"$1","name":"$2"},
 "target":{"apiVersion":"v1","kind":"Node","name":"$3"}}
EOF
}

successor() { # namespace owner pod: the pending pod that an owner made in place of an evicted one
  local owner='.metadata.ownerReferences[?(@.controller==true)]'
  kubectl get pods -n "$1" --field-selector spec.nodeName=,status.phase=Pending \
    -o "jsonpath={range .items[*]}{$owner.kind}/{$owner.name} {.metadata.name}{\"\n\"}{end}" |
    awk -v space="$1" -v owner="$2" -v pod="$3" '
      NR == FNR {known[$1]; next}
      $1 != owner || found {next}
      owner ~ /^StatefulSet\// ? $2 == pod : !((space "/" $2) in known) {print $2; found = 1}
    ' <(echo "$pending") -
}

bind_successor() { # namespace owner pod node: leaves the name of the successor in $bound
  bound=''
  if [ -n "$dry" ]; then
    echo "dry run: the successor of $1/$3 would go to $4"
    return
  fi
  local tries=0
  until bound=$(successor "$1" "$2" "$3") && [ -n "$bound" ]; do
    tries=$((tries + 1))
    [ "$tries" -le 300 ] || { echo "no successor of $1/$3, of $2" >&2; exit 1; }
    sleep 1
  done
  bind_pod "$1" "$bound" "$4"
  kubectl wait -n "$1" "pod/$bound" --for=condition=Ready --timeout=300s
}

evict_successor() { # namespace pod successor: off its temporary node, as it is now
  if [ -n "$dry" ]; then
    echo "dry run: the successor of $1/$2 would leave its temporary node"
    return
  fi
  local now
  now=$(kubectl get pod -n "$1" "$3" -o 'jsonpath={.metadata.resourceVersion}')
  evict "$1" "$3" "$now"
}

gone() { # namespace pod: waits until an evicted pod has ended, and its room is free
  [ -z "$dry" ] || return 0
  local tries=0 leaving
  while true; do
    leaving=$(kubectl get pod -n "$1" "$2" --ignore-not-found \
      -o 'jsonpath={.metadata.deletionTimestamp}')
    [ -n "$leaving" ] || return 0
    tries=$((tries + 1))
    [ "$tries" -le 600 ] || { echo "$1/$2 does not end" >&2; exit 1; }
    sleep 1
  done
}
"""


def diff(plan: Plan) -> str:
    """Return a line a step, and a summary."""
    problem = plan.problem
    before = dict(zip(problem.level_keys(), problem.levels(problem.incoming()), strict=True))
    after = dict(zip(problem.level_keys(), problem.levels(plan.solution), strict=True))
    lines = []
    for k, wave in enumerate(plan.waves, 1):
        lines.append(f"wave {k}")
        lines += [f"  {_line(plan, step)}" for step in wave]
    for pod in plan.stuck:
        lines.append(f"! {problem.pod_name(pod)} cannot reach its node without breaking a rule")
    lines.append("priority  left out  disruption")
    for tier, priority in enumerate(problem.tiers.tolist()):
        out = f"{before['unplaced', tier]} -> {after['unplaced', tier]}"
        lines.append(f"{priority:>8}  {out:>8}  {after.get(('disruption', tier), '-'):>10}")
    for goal in problem.then:
        lines.append(f"{goal.replace('_', ' ')}: {before[goal, -1]} -> {after[goal, -1]}")
    return "\n".join(lines) + "\n"


def _line(plan: Plan, step: Step) -> str:
    problem = plan.problem
    name = problem.pod_name(step.pod)
    note = "  (to break a cycle)" if step.temporary else ""
    if step.kind == "evict":
        return f"- {name}  {problem.node_name(step.source)}{note}"
    if step.kind == "place":
        return f"+ {name}  {problem.node_name(step.target)}{note}"
    source, target = problem.node_name(step.source), problem.node_name(step.target)
    return f"~ {name}  {source} -> {target}{note}"


def script(plan: Plan) -> str:
    """Return a shell script; its ``--dry-run`` (the default) asks the API server of each step.

    Raises
    ------
    InputError
        When the problem was not read from a cluster, so that it has no versions and owners.
    """
    problem = plan.problem
    check_scriptable(problem)
    pods = {step.pod: None for wave in plan.waves for step in wave}
    nodes = " ".join(shlex.quote(problem.node_name(n)) for n in range(problem.n_nodes))
    lines = [
        _HEAD,
        "# Pods that waited when the plan was made: none is the successor of another.",
        f"pending={shlex.quote(_pending(plan))}",
        f"nodes=({nodes})",
        "",
    ]
    # Nothing is touched before every pod of the plan has been found as it was; a cordon comes
    # later, too: it lets the scheduler write anew why a pod is pending.
    lines += [f"fresh {' '.join(_words(plan, pod))} {_version(plan, pod)}" for pod in pods]
    lines += [
        "closed=$(kubectl get nodes -o 'jsonpath={range .items[?(@.spec.unschedulable==true)]}"
        '{.metadata.name}{"\\n"}{end}\')',
        "reopen() {",
        '  for node in "${nodes[@]}"; do',
        '    grep -qxF "$node" <<<"$closed" || kubectl uncordon "$node" || true',
        "  done",
        "}",
        'if [ -z "$dry" ]; then trap reopen EXIT; kubectl cordon "${nodes[@]}"; fi',
    ]
    moved: set[int] = set()
    for k, wave in enumerate(plan.waves, 1):
        lines.append(f"echo 'wave {k} of {len(plan.waves)}'")
        ended = []
        for step in wave:
            if step.source >= 0:
                ended.append(f"gone {_at_present(plan, step.pod, moved)}")
            lines += _commands(plan, step, moved)
        lines += ended
    for pod in plan.stuck:
        lines.append(f"echo {shlex.quote('left as it is: ' + problem.pod_name(pod))}")
    return "\n".join(lines) + "\n"


def check_scriptable(problem: PodPacking) -> None:
    """Raise `InputError` on a problem that was not read from a cluster."""
    if problem.pods is None or problem.versions is None or problem.owners is None:
        raise InputError(
            "a script needs a problem read by from_kubernetes, from kubectl get -o json: "
            "this one has no versions and owners of pods"
        )


def _pending(plan: Plan) -> str:
    """Return the pods that wait from the start and have an owner of a pod that moves."""
    problem = plan.problem
    assert problem.owners is not None
    steps = [step for wave in plan.waves for step in wave if step.source >= 0]
    owners = {problem.owners[step.pod] for step in steps}
    waiting = np.flatnonzero(problem.current < 0).tolist()
    return "\n".join(problem.pod_name(pod) for pod in waiting if problem.owners[pod] in owners)


def _at_present(plan: Plan, pod: int, moved: set[int]) -> str:
    """Return namespace and name of a pod, at its temporary node that of its successor."""
    namespace, name = _words(plan, pod)
    return f'{namespace} "$at_{pod}"' if pod in moved else f"{namespace} {name}"


def _words(plan: Plan, pod: int) -> tuple[str, str]:
    """Return namespace and name of a pod, quoted."""
    namespace, _, name = plan.problem.pod_name(pod).partition("/")
    return shlex.quote(namespace), shlex.quote(name)


def _version(plan: Plan, pod: int) -> str:
    assert plan.problem.versions is not None
    return shlex.quote(plan.problem.versions[pod])


def _commands(plan: Plan, step: Step, moved: set[int]) -> list[str]:
    """Return the commands of a step; a pod that has been evicted lives on as its successor."""
    problem = plan.problem
    assert problem.owners is not None
    namespace, name = _words(plan, step.pod)
    owner = shlex.quote(problem.owners[step.pod])
    target = shlex.quote(problem.node_name(step.target)) if step.target >= 0 else ""
    commands = []
    if step.source >= 0:
        if step.pod in moved:  # at its temporary node it has another name, and no known version
            commands.append(f'evict_successor {namespace} {name} "$at_{step.pod}"')
        else:
            commands.append(f"evict {namespace} {name} {_version(plan, step.pod)}")
    if step.target >= 0:
        if step.source >= 0 or step.pod in moved:
            commands.append(f"bind_successor {namespace} {owner} {name} {target}")
            if step.temporary:
                commands.append(f"at_{step.pod}=$bound")
        else:
            commands.append(f"bind_pod {namespace} {name} {target}")
    if step.source >= 0:
        moved.add(step.pod)
    return commands
