"""The reference models agree with brute force, where MiniZinc is installed."""

import contextlib
import random
import shutil
from pathlib import Path

import js_enumeration
import numpy as np
import pytest
import sm_reference

import optsched as op
from optsched.solvers.minizinc import model_path

MODELS = Path(__file__).resolve().parents[1] / "models"
CASES = 25

installed = pytest.mark.skipif(shutil.which("minizinc") is None, reason="MiniZinc is not installed")


def agree(problem, best):
    result = op.solve(problem, solver="minizinc", time_limit=120)
    if best is None:
        assert result.status == "INFEASIBLE"
    else:
        assert (result.status, result.objective, result.bound) == ("OPTIMAL", best, best)


@installed
@pytest.mark.parametrize("seed", range(CASES))
def test_single_machine(seed):
    rng = np.random.default_rng(seed)
    every = ("release dates", "setup", "precedence", "deadlines")
    features = [name for name in every if rng.random() < 0.4]
    problem = sm_reference.random_problem(rng, int(rng.integers(1, 5)), features=features)
    agree(problem, sm_reference.brute_force(problem))


@installed
def test_job_shop():
    problem = op.JobShop(
        jobs=[[(0, 3), (1, 2), (2, 2)], [(0, 2), (2, 1), (1, 4)], [(1, 4), (2, 3)]]
    )
    agree(problem, 11)


@installed
@pytest.mark.parametrize("kind", js_enumeration.KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_job_shop_variants(kind, seed):
    rng = random.Random(f"{kind}{seed}")
    best = js_enumeration.TooLong
    while best is js_enumeration.TooLong:
        shop = js_enumeration.random_variant(rng, kind)
        with contextlib.suppress(js_enumeration.TooLong):
            best = js_enumeration.optimum(shop)
    agree(op.JobShop(**shop), best)


@installed
def test_unknown_solver_and_options_are_refused():
    problem = op.SingleMachine([3, 2], [1, 2])
    with pytest.raises(op.InputError, match="gecode"):
        op.solve(problem, solver="minizinc:gecod")
    with pytest.raises(op.InputError, match="no option"):
        op.solve(problem, solver="minizinc", options={"restart": 1})


@installed
def test_the_limit_holds():
    problem = op.load("la01")
    result = op.solve(problem, solver="minizinc", time_limit=2)
    assert result.time < 15
    assert result.solution is not None


def test_models_are_found_and_have_a_page_of_mathematics():
    for path in MODELS.glob("*.mzn"):
        assert model_path(path.stem) == path
        assert f"`{path.name}`" in (MODELS / "README.md").read_text(encoding="utf-8")


def test_absent_minizinc_is_a_clear_message(monkeypatch):
    minizinc = pytest.importorskip("minizinc")
    from optsched.solvers import minizinc as module

    module._solver.cache_clear()
    monkeypatch.setattr(minizinc, "default_driver", None)
    with pytest.raises(op.InputError, match="not installed"):
        op.solve(op.SingleMachine([3, 2], [1, 2]), solver="minizinc")
    module._solver.cache_clear()
