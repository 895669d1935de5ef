"""`import optsched` is quick and light; the two solvers with a libhighs share a process."""

from __future__ import annotations

import statistics
import subprocess
import sys

import pytest
from conftest import RunScript, script_environment

HEAVY = (
    "ortools", "highspy", "pulp", "numba", "llvmlite", "matplotlib", "plotly", "typer", "rich",
    "click", "networkx", "scipy", "pandas", "ray", "pooch", "requests",
)  # fmt: skip


def python(source: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", source],
        capture_output=True, text=True, check=True, env=script_environment(), timeout=60,
    ).stdout  # fmt: skip


def test_import_is_light() -> None:
    loaded = python(
        "import sys, optsched\n"
        "optsched.JobShop([[(0, 3)]])\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert loaded.strip() == "[]"


def test_import_is_quick() -> None:
    """The bar of 0.3 s is for a quiet machine; the assertion leaves room for a busy one."""
    source = (
        "import time; t, c = time.perf_counter(), time.process_time(); import optsched\n"
        "print(time.perf_counter() - t, time.process_time() - c)"
    )
    times = [tuple(map(float, python(source).split())) for _ in range(5)]
    wall, cpu = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"import optsched: {wall:.3f} s, {cpu:.3f} s of CPU, median of 5 (bar 0.3)")
    assert cpu < 1.0


def test_public_names_exist_and_are_documented() -> None:
    import optsched

    for name in optsched.__all__:
        value = getattr(optsched, name)
        assert name.startswith("__") or value.__doc__, name
    assert len(optsched.__all__) == len(set(optsched.__all__))


@pytest.mark.parametrize("order", ["ortools highspy", "highspy ortools"])
def test_ortools_and_highspy_share_a_process(order: str, run_script: RunScript) -> None:
    """highspy 1.15 and ortools 9.15 did not: both ship a libhighs. Both have to solve, too."""
    source = """
def ortools():
    from ortools.sat.python import cp_model
    model = cp_model.CpModel()
    x = model.new_int_var(0, 9, "x")
    model.maximize(x)
    solver = cp_model.CpSolver()
    assert solver.solve(model) == cp_model.OPTIMAL
    assert solver.value(x) == 9

def highspy():
    import highspy
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    x = highs.addVariable(0, 9, type=highspy.HighsVarType.kInteger)
    highs.maximize(x)
    assert highs.val(x) == 9

"""
    # Both are loaded before either is used, then used in both orders.
    first, second = order.split()
    imports = {"ortools": "import ortools.sat.python.cp_model", "highspy": "import highspy"}
    source = f"{imports[first]}\n{imports[second]}\n{source}{first}()\n{second}()\n{first}()\n"
    run_script(source.replace("import highspy\nhighspy()", "import highspy as _\nhighspy()"))
