import itertools
import json

import networkx as nx
import pytest

from optsched.core import InputError
from optsched.rcbench import AXES, Case, generate, infeasible_twin, score
from optsched.rcbench.generate import TOP_LEVEL

COMBINATIONS = [on for size in range(4) for on in itertools.combinations(AXES, size)]


def schedule(starts):
    return {"schedule": {f"T{i + 1}": start for i, start in enumerate(starts)}}


@pytest.mark.parametrize("domain", ["synthetic", "migration"])
@pytest.mark.parametrize("seed", range(4))
def test_levels_are_transitive_reductions_and_nest(domain, seed):
    before = None
    for level in (0, 1, 2, 5, 13, 25, TOP_LEVEL):
        case, _ = generate(level, seed=seed, domain=domain)
        graph = nx.DiGraph(case.precedence)
        assert len(case.precedence) == len(set(case.precedence)) == level
        assert nx.is_directed_acyclic_graph(graph)
        assert set(nx.transitive_reduction(graph).edges) == set(graph.edges)
        if before is not None:
            assert case.precedence[: len(before.precedence)] == before.precedence
            assert case.tasks == before.tasks
            assert case.disjunctive == before.disjunctive
        before = case


@pytest.mark.parametrize("on", COMBINATIONS)
def test_hidden_schedule_solves_every_case(on):
    for seed, level, n_tasks in itertools.product(range(5), (0, 3, 20), (8, 20, 50)):
        if n_tasks == 8 and level == 20:
            continue
        case, witness = generate(level, on, seed, n_tasks=n_tasks)
        judged = score(case, schedule(witness))
        assert judged.feasible, judged
        assert not case.problem().check(solution_of(case, witness))


def solution_of(case, witness):
    problem = case.problem()
    return problem.solution_type.from_dict({"start": list(witness), "mode": [0] * len(witness)})


def test_axes_add_exactly_their_constraints():
    plain, _ = generate(10, (), 1)
    assert not plain.disjunctive
    assert set(plain.release) == set(plain.deadline) == {None}
    assert not any(resource.downtime for resource in plain.resources)
    full, _ = generate(10, AXES, 1)
    assert full.disjunctive
    assert any(value is not None for value in full.deadline)
    assert any(resource.downtime for resource in full.resources)
    down, _ = generate(10, ("downtime",), 1)
    assert down.resources == full.resources
    assert not down.disjunctive


def test_probability_rules_the_number_of_constraints():
    none, _ = generate(5, AXES, 2, probability=0.0)
    assert not none.disjunctive
    assert set(none.deadline) == {None}
    every, _ = generate(5, AXES, 2, probability=1.0)
    assert None not in every.deadline
    assert all(resource.downtime for resource in every.resources)


def test_same_arguments_same_case():
    assert generate(7, AXES, 3) == generate(7, AXES, 3)
    assert generate(7, AXES, 3) != generate(7, AXES, 4)


def test_json_round_trip():
    case, witness = generate(9, AXES, 5, domain="migration")
    for each in (case, infeasible_twin(case, witness)):
        assert Case.from_dict(json.loads(json.dumps(each.to_dict()))) == each


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"level": -1}, "level"),
        ({"level": 41}, "level 41"),
        ({"level": 5, "n_tasks": 1}, "n_tasks"),
        ({"level": 5, "axes": ("holiday",)}, "holiday"),
        ({"level": 5, "probability": 1.5}, "probability"),
        ({"level": 5, "domain": "moon"}, "moon"),
        ({"level": 5, "seed": -2}, "seed"),
    ],
)
def test_bad_arguments_are_named(arguments, named):
    with pytest.raises(InputError, match=named):
        generate(**arguments)


def test_bad_case_data_are_refused():
    case, _ = generate(4)
    good = case.to_dict()
    for key, value in [
        ("tasks", None),
        ("precedence", [[0, 99]]),
        ("release", [0]),
        ("level", "four"),
        ("resources", [{"id": "R1"}]),
        ("tasks", [{"id": "T1", "name": "", "duration": -1, "demand": [0]}]),
    ]:
        with pytest.raises(InputError):
            Case.from_dict(good | {key: value})
    with pytest.raises(InputError):
        Case.from_dict([])
