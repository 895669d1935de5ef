import dataclasses
import itertools

import pytest

from optsched.core import InputError
from optsched.rcbench import AXES, Resource, generate, infeasible_twin, score
from optsched.rcbench.nearest import distance_to_feasible

COMBINATIONS = [on for size in range(4) for on in itertools.combinations(AXES, size)]
ROOMY = 10**6


def only(case, facts):
    """Return the case with nothing but these constraints."""
    ids = {task.id: i for i, task in enumerate(case.tasks)}
    release, deadline = [None] * len(ids), [None] * len(ids)
    precedence, disjunctive = [], []
    resources = [Resource(r.id, r.name, ROOMY) for r in case.resources]
    for fact in facts:
        if fact["type"] == "release":
            release[ids[fact["ids"][0]]] = fact["time"]
        elif fact["type"] == "deadline":
            deadline[ids[fact["ids"][0]]] = fact["time"]
        elif fact["type"] == "precedence":
            precedence.append(tuple(ids[i] for i in fact["ids"]))
        elif fact["type"] == "disjunctive":
            disjunctive.append(tuple(ids[i] for i in fact["ids"]))
        else:
            (k,) = [k for k, r in enumerate(case.resources) if r.id == fact["ids"][-1]]
            if fact["type"] == "capacity":
                resources[k] = dataclasses.replace(
                    resources[k], capacity=case.resources[k].capacity
                )
            else:
                resources[k] = dataclasses.replace(
                    resources[k], downtime=(tuple(fact["interval"]),)
                )
    return dataclasses.replace(
        case,
        precedence=tuple(precedence),
        disjunctive=tuple(disjunctive),
        release=tuple(release),
        deadline=tuple(deadline),
        resources=tuple(resources),
        conflict=(),
    )


def has_schedule(case):
    return distance_to_feasible(case, {"schedule": {case.tasks[0].id: 0}}) is not None


def test_conflicts_hold_and_are_minimal():
    seen = set()
    for seed, on in itertools.product(range(4), COMBINATIONS):
        case, witness = generate(6, on, seed)
        for variant in range(3):
            twin = infeasible_twin(case, witness, variant)
            assert not twin.feasible
            seen.add(twin.conflict[0]["type"])
            assert not has_schedule(only(twin, twin.conflict))
            for left_out in range(len(twin.conflict)):
                rest = twin.conflict[:left_out] + twin.conflict[left_out + 1 :]
                assert has_schedule(only(twin, rest)), (twin.id, twin.conflict[left_out])
    assert seen == {"release", "disjunctive", "downtime", "capacity"}


def test_a_twin_differs_in_windows_alone():
    case, witness = generate(12, AXES, 3)
    twin = infeasible_twin(case, witness)
    assert (
        dataclasses.replace(
            twin, id=case.id, release=case.release, deadline=case.deadline, conflict=()
        )
        == case
    )
    with pytest.raises(InputError, match="infeasible already"):
        infeasible_twin(twin, witness)


def test_distance_to_a_feasible_schedule():
    case, witness = generate(10, AXES, 4)
    answer = {f"T{i + 1}": start for i, start in enumerate(witness)}
    assert distance_to_feasible(case, {"schedule": answer}) == 0
    moved = answer | {"T1": answer["T1"] + 1}
    expected = 0 if score(case, {"schedule": moved}).feasible else 1
    assert distance_to_feasible(case, {"schedule": moved}) == expected
    assert distance_to_feasible(case, {"schedule": answer | {"T1": -3}}) <= answer["T1"] + 3
    assert distance_to_feasible(case, "nothing") is None
    assert distance_to_feasible(case, {"schedule": answer | {"T1": 10**12}}) is None
    assert distance_to_feasible(infeasible_twin(case, witness), {"schedule": answer}) is None


def test_distance_of_a_late_schedule_without_dates_is_nothing():
    case, witness = generate(10, (), 4)
    late = {f"T{i + 1}": start + 5000 for i, start in enumerate(witness)}
    assert distance_to_feasible(case, {"schedule": late}) == 0
