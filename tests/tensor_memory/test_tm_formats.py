"""MiniMalloc CSV in and out, the C header, and what the readers refuse."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import optsched as op
from optsched import InputError, TensorMemory, TensorMemorySolution
from optsched.cli import app
from optsched.core import OptschedError
from optsched.formats import read_text, write_text
from optsched.problems.tensor_memory import formats
from optsched.problems.tensor_memory.c_header import identifiers
from optsched.selfcheck.families.tensor_memory import random_instance

TEXT = "id,lower,upper,size,alignment,gaps,offset\na,0,4,3,4,1-2 3-4,\nb,2,6,5,1,,8\n"


def test_csv_is_read() -> None:
    expected = TensorMemory(
        [(0, 4, 3), (2, 6, 5)], alignment=[4, 1], gaps=[[(1, 2), (3, 4)], []], pinned=[None, 8],
        id=["a", "b"],
    )  # fmt: skip
    assert formats.read_csv(TEXT) == expected
    assert read_text(TEXT, "", ".csv") == expected


def test_a_csv_is_fitted_into_a_capacity(tmp_path: Path) -> None:
    path = tmp_path / "net.csv"
    path.write_text(TEXT)
    problem = op.load(path, model={"capacity": 16})
    assert problem == formats.read_csv(TEXT, "net", capacity=16)
    assert problem.features() >= {"objective fit", "capacity"}
    for wrong, message in (
        ({"capacity": 4}, r"buffer 1 \('b'\): size 5 exceeds the capacity 4"),
        ({"capacity": "x"}, "capacity"),
        ({"dims": {"batch": 1}}, "option dims is not for MiniMalloc"),
    ):
        with pytest.raises(InputError, match=message):
            op.load(path, model=wrong)


def test_a_capacity_on_the_command_line_and_the_figures_below(tmp_path: Path) -> None:
    path = tmp_path / "net.csv"
    path.write_text("id,lower,upper,size\na,0,4,3\nb,2,6,5\nc,5,6,2\n")
    runner = CliRunner()
    command = ["solve", str(path), "-s", "heuristic"]
    solved = runner.invoke(app, [*command, "--capacity", "9"])
    assert solved.exit_code == 0, solved.output
    assert "fit within 9" in solved.output
    assert "peak 8, load 8, fragmentation 0.00%, utilisation 70.8%" in solved.output
    quiet = runner.invoke(app, [*command, "--quiet"])
    assert (quiet.exit_code, quiet.output) == (0, "")
    assert runner.invoke(app, [*command, "--capacity", "4"]).exit_code != 0


def test_end_is_inclusive_as_are_gaps_then() -> None:
    inclusive = "buffer,start,end,size,gaps\na,0,3,3,1-1 3-3\nb,2,5,5,\n"
    problem = formats.read_csv(inclusive)
    assert problem.upper.tolist() == [4, 6]
    assert problem.gaps.tolist() == [[0, 1, 2], [0, 3, 4]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("id,lower,upper\n", "line 1: column 'size' is missing"),
        ("id,lower,upper,size,size\n", "given twice"),
        ("id,lower,upper,size,colour\n", "unknown column 'colour'"),
        ("id,lower,upper,size\na,0,x,1\n", "line 2, upper: 'x' is not a whole number"),
        ("id,lower,upper,size\na,0,4\n", "line 2: 3 fields, the header has 4"),
        ("id,lower,upper,size,gaps\na,0,4,3,1-2@0:1\n", "line 2, gaps.*not supported"),
        ("id,lower,upper,size,gaps\na,0,4,3,one\n", "is no gap"),
        ("id,lower,upper,size\n", "no buffers"),
        ("id,lower,upper,size\nw,5,4,1\n", r"buffer 0 \('w'\).*inverted"),
    ],
)
def test_bad_csv_is_refused_by_line(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        formats.read_csv(text)


@pytest.mark.parametrize("seed", range(60))
def test_csv_round_trip(seed: int) -> None:
    problem = random_instance(seed)
    again = formats.read_csv(write_text(problem, ".csv"))
    data, read = problem.to_dict(), again.to_dict()
    for key in ("buffers", "alignment", "gaps", "pinned", "hint", "alias"):
        assert data.get(key) == read.get(key), key


def test_a_plan_can_be_read_back_and_is_pinned() -> None:
    problem = TensorMemory([(0, 4, 3), (2, 6, 5)], id=["conv/1", "conv 1"], name="net")
    solution = op.solve(problem, "heuristic").solution
    again = formats.read_csv(formats.write_plan(problem, solution))
    assert again.pinned.tolist() == solution.offset.tolist()
    header = formats.write_header(problem, solution)
    assert "#define NET_SIZE 8ULL" in header
    assert f"#define NET_OFFSET_CONV_1 {solution.offset[0]}ULL" in header
    assert f"#define NET_OFFSET_CONV_1_1 {solution.offset[1]}ULL" in header


def test_no_two_macros_of_a_header_are_alike() -> None:
    assert identifiers(["a_2", "a", "A+", "/", "?"]) == ["A_2", "A", "A_2_", "X", "X_4"]


@pytest.mark.parametrize("name", ["3-net", "*/ net \\", "réseau", ""])
def test_headers_are_c(name: str, tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    problem = TensorMemory([(0, 4, 3), (2, 6, 5)], [4, 8], id=["3/x", "é"], name=name)
    solution = TensorMemorySolution([0, 0], [0, 1])
    (tmp_path / "plan.h").write_text(formats.write_header(problem, solution), encoding="utf-8")
    word = {"3": "PLAN_3_NET", "*": "NET", "r": "R_SEAU", "": "MEMORY"}[name[:1]]
    source = tmp_path / "use.c"
    source.write_text(
        '#include "plan.h"\n#include "plan.h"\n'
        f'_Static_assert({word}_SIZE_1 == 5 && {word}_OFFSET_3_X == 0, "size");\n'
        f'_Static_assert({word}_BANK_X == 1, "bank");\n',
        encoding="utf-8",
    )
    command = [compiler, "-std=c11", "-Wall", "-Werror", "-fsyntax-only", str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_banks_do_not_fit_into_csv() -> None:
    with pytest.raises(op.CannotExpressError, match="banks"):
        write_text(TensorMemory([(0, 1, 1)], [4, 4]), ".csv")


CELL = st.one_of(
    st.integers(-3, 9).map(str), st.sampled_from(["", "a", "1-2", "1-", "9" * 30, '"'])
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(CELL, min_size=3, max_size=7), max_size=5), st.booleans())
def test_any_table_is_read_or_refused(rows: list[list[str]], good: bool) -> None:
    head = "id,lower,upper,size,gaps,alias,offset" if good else "lower,end,size"
    text = "\n".join([head, *(",".join(row) for row in rows)])
    with contextlib.suppress(OptschedError):
        formats.read_csv(text)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(OptschedError):
        formats.read_csv(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=8,
)

FIELDS = ("alignment", "gaps", "pinned", "hint", "alias", "banks", "capacity", "id")


@settings(max_examples=300, deadline=None)
@given(
    st.fixed_dictionaries(
        {"buffers": st.just([[0, 3, 2], [1, 4, 5]]) | JSON},
        optional=dict.fromkeys(FIELDS, JSON),
    )
)
def test_any_json_is_read_or_refused(data: dict[str, object]) -> None:
    with contextlib.suppress(OptschedError):
        TensorMemory.from_dict(data)
