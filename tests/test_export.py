"""Instances as MiniZinc files: what plain ``minizinc`` makes of them."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

import optsched as op
from optsched.exporting import SUFFIXES, minizinc_text
from optsched.selfcheck.case import draw
from optsched.selfcheck.families import NAMES
from optsched.solvers.dzn import dzn
from optsched.solvers.minizinc import model_path

installed = pytest.mark.skipif(shutil.which("minizinc") is None, reason="MiniZinc is not installed")
MODELLED = [name for name in NAMES if model_path(name).is_file()]


def optimum(*files):
    """Return what MiniZinc by itself proves optimal, None where there is no solution."""
    command = ["minizinc", "--solver", "gecode", "--output-mode", "json", "--output-objective"]
    done = subprocess.run(
        [*command, *map(str, files)], capture_output=True, text=True, timeout=300, check=True
    )
    if "UNSATISFIABLE" in done.stdout:
        return None
    assert done.stdout.rstrip().endswith("==========")
    last = done.stdout.split("----------")[-2]
    return json.loads(last)["_objective"]


@installed
@pytest.mark.parametrize("family", MODELLED)
def test_model_and_data_run_by_themselves(run, tmp_path, family):
    for case in (1, 2):
        problem = draw(family, 4, case)
        best = op.solve(problem, "auto", workers=1, time_limit=60).objective
        (tmp_path / "in.json").write_text(problem.to_json())
        for suffix in SUFFIXES:
            target = tmp_path / f"out{suffix}"
            assert run("export", tmp_path / "in.json", target)[0] == 0
            files = [target] if suffix == ".mzn" else [model_path(family), target]
            value = optimum(*files)
            # A level's unit may be several of the instance's own.
            assert value == best or (family == "pod_packing" and "then" in problem.to_dict())


def test_data_are_written_in_short_lines(run, tmp_path):
    assert run("export", "ft06", tmp_path / "ft06.dzn")[0] == 0
    lines = (tmp_path / "ft06.dzn").read_text().splitlines()
    assert lines[0].startswith("% ft06: job shop, 6 jobs x 6 machines")
    assert "n_ops = 36;" in lines
    assert max(map(len, lines)) < 150


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (-3, "-3"),
        (0.05, "0.05"),
        (set(), "{}"),
        ({3, 1}, "{1, 3}"),
        ([], "[]"),
        ([[], []], "array2d(1..2, 1..0, [])"),
        ([1, 2], "[1, 2]"),
        ([{2}, set()], "[{2}, {}]"),
        ([[1, 2, 3], [4, 5, 6]], "array2d(1..2, 1..3, [1, 2, 3, 4, 5, 6])"),
        ([[[True]], [[False]]], "array3d(1..2, 1..1, 1..1, [true, false])"),
    ],
)
def test_notation(value, text):
    assert dzn(value) == text


def test_a_name_cannot_end_the_comment():
    problem = op.SingleMachine([3, 2], [1, 2], name="a\nconstraint false;\r\n\u2028b")
    for suffix in SUFFIXES:
        text = minizinc_text(problem, suffix)
        assert not any(line.startswith("constraint false") for line in text.splitlines())


def test_what_the_model_lacks_is_named(monkeypatch, run, tmp_path):
    from optsched.problems.single_machine import minizinc

    monkeypatch.setattr(minizinc, "SUPPORTS", minizinc.SUPPORTS - {"setup"})
    path = tmp_path / "in.json"
    problem = op.SingleMachine([3, 2], [4, 4], setup=[[0, 1], [1, 0]])
    path.write_text(problem.to_json())
    code, _, err = run("export", path, tmp_path / "out.mzn")
    assert code == 2
    assert "solver minizinc cannot express setup" in " ".join(err.split())
    assert not (tmp_path / "out.mzn").exists()


def test_other_suffixes_and_folders_are_refused(run, tmp_path):
    with pytest.raises(op.InputError, match=r"\.dzn"):
        minizinc_text(op.SingleMachine([3], [1]), ".fzn")
    code, _, err = run("export", "ft06", tmp_path / "absent" / "out.mzn")
    assert code == 2
    assert "cannot be written" in " ".join(err.split())


def test_the_models_are_ascii():
    for path in (Path(__file__).resolve().parents[1] / "models").glob("*.mzn"):
        assert path.read_bytes().isascii()
        assert max(map(len, path.read_text().splitlines())) <= 110
