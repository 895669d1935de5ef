import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optsched.rcbench import AXES, generate, infeasible_twin, score
from optsched.rcbench.score import TYPES

FIRST, WITNESS = generate(15, AXES, 11)
LATE = 10_000


def schedule(starts, **changes):
    return {f"T{i + 1}": start for i, start in enumerate(starts)} | changes


def kinds(case, answer):
    return {violation.type for violation in score(case, answer).violations}


def cases():
    for seed in range(12):
        case, witness = generate(10 + seed, AXES, seed, domain=("synthetic", "migration")[seed % 2])
        yield case, list(witness)


def mutations(case, witness):
    """Yield (type, ids that must be named, mutated answer), every constraint broken in turn."""
    tasks = case.tasks
    ids = [task.id for task in tasks]
    n = len(tasks)
    for i in range(n):
        base = schedule(witness)
        short = {key: value for key, value in base.items() if key != ids[i]}
        yield "missing", {ids[i]}, {"schedule": short}
        twice = [[key, value] for key, value in base.items()] + [[ids[i], witness[i]]]
        yield "duplicate", {ids[i]}, {"schedule": twice}
        yield "unknown id", set(), {"schedule": base | {f"X{i}": 3}}
        for value in (witness[i] + 0.5, str(witness[i]), None, True, math.nan, [1]):
            yield "non-integer", {ids[i]}, {"schedule": base | {ids[i]: value}}
        yield "negative start", {ids[i]}, {"schedule": base | {ids[i]: -1 - i}}
        if case.release[i]:
            yield "release", {ids[i]}, {"schedule": base | {ids[i]: case.release[i] - 1}}
        if case.deadline[i] is not None:
            late = case.deadline[i] - tasks[i].duration + 1
            yield "deadline", {ids[i]}, {"schedule": base | {ids[i]: late}}
        for k, resource in enumerate(case.resources):
            for down, up in resource.downtime:
                if tasks[i].demand[k]:
                    for at in (down, up - 1, max(0, down - tasks[i].duration + 1)):
                        yield (
                            "downtime",
                            {ids[i], resource.id},
                            {"schedule": base | {ids[i]: at}},
                        )
    for i, j in case.precedence:
        early = witness[i] + tasks[i].duration - 1
        yield "precedence", {ids[i], ids[j]}, {"schedule": schedule(witness, **{ids[j]: early})}
    for i, j in case.disjunctive:
        yield (
            "disjunctive",
            {ids[i], ids[j]},
            {"schedule": schedule(witness, **{ids[j]: witness[i]})},
        )
    for k, resource in enumerate(case.resources):
        users = [i for i in range(n) if tasks[i].demand[k]]
        for a, i in enumerate(users):
            for j in users[:a]:
                if tasks[i].demand[k] + tasks[j].demand[k] > resource.capacity:
                    # Both far beyond every downtime, at one instant.
                    moved = {ids[i]: LATE, ids[j]: LATE}
                    yield (
                        "capacity",
                        {ids[i], ids[j], resource.id},
                        {"schedule": schedule(witness, **moved)},
                    )


def test_every_mutation_of_every_type_is_found():
    seen = dict.fromkeys(TYPES, 0)
    for case, witness in cases():
        assert score(case, {"schedule": schedule(witness)}).feasible
        for kind, ids, answer in mutations(case, witness):
            judged = score(case, answer)
            assert not judged.feasible
            found = [v for v in judged.violations if v.type == kind and ids <= set(v.ids)]
            assert found, (kind, ids, judged.violations)
            assert all(v.amount > 0 for v in found)
            seen[kind] += 1
    seen["parse"] += not score(FIRST, "no idea").feasible
    assert min(seen.values()) > 0, seen


def test_time_and_amount_of_a_violation():
    case, witness = FIRST, list(WITNESS)
    i, j = case.precedence[0]
    end = witness[i] + case.tasks[i].duration
    early = max(0, end - 2)
    judged = score(case, {"schedule": schedule(witness, **{case.tasks[j].id: early})})
    (found,) = [
        v
        for v in judged.violations
        if v.type == "precedence" and v.ids == (case.tasks[i].id, case.tasks[j].id)
    ]
    assert (found.time, found.amount) == (early, end - early)


@pytest.mark.parametrize(
    "text",
    [
        '{"schedule": %s}',
        'Here it is:\n```json\n{"schedule": %s}\n```\nAll constraints hold.',
        'First I tried {"schedule": {"T1": 0}} but no. Final: %s',
        'I think [1, 2] matters. {"start_times": %s}',
    ],
)
def test_answers_are_found_in_text(text):
    answer = text % json.dumps(schedule(WITNESS))
    assert score(FIRST, answer).feasible
    assert score(FIRST, answer.encode()).feasible


def test_other_shapes_are_understood():
    rows = [{"task": f"T{i + 1}", "start": s, "end": s + 1} for i, s in enumerate(WITNESS)]
    assert score(FIRST, json.dumps(rows)).feasible
    assert score(FIRST, {"schedule": rows}).feasible
    nested = {f"T{i + 1}": {"start": s} for i, s in enumerate(WITNESS)}
    assert score(FIRST, {"schedule": nested}).feasible
    assert score(FIRST, {"schedule": schedule([float(s) for s in WITNESS])}).feasible


def test_keys_of_a_json_object_may_repeat_and_are_counted():
    text = json.dumps(schedule(WITNESS))[:-1] + f', "T1": {WITNESS[0]}}}'
    judged = score(FIRST, text)
    assert [v.type for v in judged.violations] == ["duplicate"]


def test_claim_of_infeasibility():
    twin = infeasible_twin(FIRST, WITNESS)
    claim = '{"infeasible": true}'
    assert score(twin, claim).correct
    assert not score(FIRST, claim).correct
    assert score(FIRST, claim).claim == "infeasible"
    assert not score(twin, {"schedule": schedule(WITNESS)}).correct


def test_a_name_stands_for_its_id():
    case, witness = generate(10, AXES, 2, domain="migration")
    answer = {task.name: start for task, start in zip(case.tasks, witness, strict=True)}
    assert score(case, {"schedule": answer}).feasible


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(anything)
def test_never_raises_on_data(answer):
    judged = score(FIRST, answer)
    assert not judged.feasible
    assert {v.type for v in judged.violations} <= set(TYPES)
    for key in ("schedule", "infeasible", "T1"):
        score(FIRST, {key: answer})


@given(st.text())
def test_never_raises_on_text(answer):
    score(FIRST, answer)
    score(FIRST, '{"schedule": {"T1": ' + answer)
    score(FIRST, '{"schedule": ' + answer + "}")


@pytest.mark.parametrize(
    "answer",
    [
        "[" * 200_000,
        "{" * 200_000,
        '{"schedule": {"T1": ' + "9" * 6000 + "}}",
        '{"schedule": {"T1": 1e400, "T2": -Infinity, "T3": NaN}}',
        "x" * 2_000_000,
        '{"a":' * 50_000,
        "\ud800",
        object(),
        Path("x"),
        {1: 2, None: 3},
        {"schedule": {"T1": 10**400}},
    ],
)
def test_hostile_answers(answer):
    assert not score(FIRST, answer).feasible


def test_capacity_is_measured_at_the_worst_moment():
    case, witness = FIRST, list(WITNESS)
    everything_at_once = schedule([LATE] * len(witness))
    judged = score(case, {"schedule": everything_at_once})
    for k, resource in enumerate(case.resources):
        use = sum(task.demand[k] for task in case.tasks)
        found = [v for v in judged.violations if v.type == "capacity" and v.ids[-1] == resource.id]
        assert [(v.time, v.amount) for v in found] == [(LATE, use - resource.capacity)]
