"""Readers and writers: round trips, recognition, messages, and fuzzing of everything read."""

from __future__ import annotations

import gzip
import io
import json
import os
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from optsched import CannotExpressError, InputError, JobShop
from optsched import formats as top
from optsched.core import Problem
from optsched.datasets import generators
from optsched.formats import read_file, read_solution, read_text, write_text
from optsched.problems.job_shop import formats
from optsched.text_rows import _token_by_token, data_lines, integer_rows

CLASSIC = "3 2\n0 3 1 2\n1 4 0 1\n0 5 1 6\n"
REENTRANT = "2 2\n0 3 1 2 0 4 -1 -1\n1 4 -1 -1\n"
PACKED = gzip.compress(CLASSIC.encode(), mtime=0)
FLEXIBLE = "2 3 1.5\n2 1 1 4 2 2 3 3 5\n1 3 1 7 2 8 3 9\n"
PLAIN = {
    "standard": (formats.read_standard, CLASSIC),
    "reentrant": (formats.read_reentrant, REENTRANT),
    "flexible": (formats.read_flexible, FLEXIBLE),
}


def as_lists(problem: JobShop) -> Any:
    return problem.to_dict()["jobs"]


def refusal(action: Callable[[], object]) -> str:
    """Return the message of the `InputError` that `action` raises, empty when it raises none."""
    try:
        action()
    except InputError as error:
        return str(error)
    return ""


# ---- what the formats mean -----------------------------------------------------------------------


def test_classic_file() -> None:
    problem = read_text(CLASSIC, "tiny")
    assert isinstance(problem, JobShop)
    assert as_lists(problem) == [[[0, 3], [1, 2]], [[1, 4], [0, 1]], [[0, 5], [1, 6]]]
    assert (problem.name, problem.n_machines, problem.flexible) == ("tiny", 2, False)


def test_reentrant_file() -> None:
    problem = read_text(REENTRANT, "tiny")
    assert isinstance(problem, JobShop)
    assert as_lists(problem) == [[[0, 3], [1, 2], [0, 4]], [[1, 4]]]


def test_flexible_file_counts_machines_from_one() -> None:
    problem = read_text(FLEXIBLE, "tiny")
    assert isinstance(problem, JobShop)
    assert as_lists(problem) == [
        [[[0, 4]], [[1, 3], [2, 5]]],
        [[[0, 7], [1, 8], [2, 9]]],
    ]


@pytest.mark.parametrize(
    "text",
    [
        "# by hand\n\n" + CLASSIC,
        CLASSIC.replace("\n", "\r\n"),
        CLASSIC.replace("\n", "\r"),
        CLASSIC.replace(" ", "\t  "),
        CLASSIC.replace("\n", "   \n\n \t\n"),
        "\ufeff" + CLASSIC,
        CLASSIC.rstrip(),
        CLASSIC.replace("0 5", "000000000000000000000 005"),
    ],
)
def test_blanks_comments_and_line_ends_do_not_matter(text: str) -> None:
    assert read_text(text, "x") == read_text(CLASSIC, "x")


@pytest.mark.parametrize("header", ["2 3", "2 3 1.5", "2  3 2", "2 3 1,50", "2 3 .5 "])
def test_flexible_headers(header: str) -> None:
    text = FLEXIBLE.replace("2 3 1.5", header)
    assert read_text(text, "x") == read_text(FLEXIBLE, "x")


def test_structure_decides_between_classic_and_flexible() -> None:
    # Every row has twice as many numbers as machines, and yet the machines count from 1.
    flexible = "2 5\n3 1 5 4 1 2 7 1 1 2\n3 1 4 4 1 5 7 1 1 2\n"
    problem = read_text(flexible, "x")
    assert isinstance(problem, JobShop)
    assert as_lists(problem)[0] == [[4, 4], [1, 7], [0, 2]]
    # Both readings exist: the header has no third number, so the file is taken as classic.
    assert as_lists(read_text("1 2\n1 1 1 5\n", "x")) == [[[1, 1], [1, 5]]]  # type: ignore[arg-type]
    # With one, or with the suffix, it is flexible.
    for text, suffix in (("1 2 1\n1 1 1 5\n", ""), ("1 2\n1 1 1 5\n", ".fjs")):
        assert as_lists(read_text(text, "x", suffix)) == [[[0, 5]]]  # type: ignore[arg-type]


# ---- round trips ---------------------------------------------------------------------------------

seeds = st.integers(0, 10**6)


@settings(max_examples=60)
@given(st.integers(1, 6), st.integers(1, 6), seeds)
def test_classic_round_trip(n_jobs: int, n_machines: int, seed: int) -> None:
    problem = generators.job_shop(n_jobs, n_machines, seed, name="x")
    for text in (write_text(problem, ".txt"), write_text(problem, "jsplib")):
        assert read_text(text, "x", ".txt") == problem
    assert formats.read_flexible(write_text(problem, ".fjs"), "x") == problem
    assert formats.read_reentrant(formats.write_reentrant(problem), "x") == problem
    assert read_text(write_text(problem, ".json"), "other") == problem


@settings(max_examples=60)
@given(st.integers(1, 6), st.integers(2, 6), seeds)
def test_flexible_round_trip(n_jobs: int, n_machines: int, seed: int) -> None:
    problem = generators.job_shop(n_jobs, n_machines, seed, flexible=n_machines, name="x")
    assert read_text(write_text(problem, "FJSPLib"), "x", ".fjs") == problem
    assert read_text(write_text(problem, "JSON"), "x") == problem
    if problem.flexible:
        with pytest.raises(CannotExpressError, match="flexible"):
            write_text(problem, ".txt")


@settings(max_examples=60)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=1, max_size=5),
        min_size=1,
        max_size=5,
    )
)
def test_jobs_of_any_length_round_trip(jobs: list[Any]) -> None:
    problem = JobShop(jobs, n_machines=4, name="x")
    text = write_text(problem, ".txt")
    assert read_text(text, "x", ".txt") == problem
    assert text.endswith("-1 -1\n") == any(len(job) != 4 for job in jobs)


def test_json_holds_every_feature() -> None:
    problem = JobShop(
        [[(0, 3), (1, 2)], [(1, 4), (0, 1)]],
        objective="total_weighted_tardiness",
        release=[1, 0],
        due=[5, -6],
        deadline=[40, None],
        weight=[2, 1],
        calendars={1: [(2, 4)]},
        resumable=[[True, False], [False, False]],
        buffers=[["none", "unlimited"], ["no-wait", "unlimited"]],
        swap=True,
        lags=[[3, 0], [0, 0]],
        transport=[[0, 1], [2, 0]],
        setup=[[0, 1], [2, 0]],
        name="all",
    )
    assert read_text(write_text(problem, ".json"), "x") == problem


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"release": [1, 0]}, "release dates"),
        ({"deadline": [9, None]}, "deadlines"),
        ({"calendars": {0: [(1, 2)]}}, "calendars"),
        ({"buffers": "none"}, "blocking"),
        ({"buffers": "no-wait"}, "no-wait"),
        ({"lags": [[1, 0], [0, 0]]}, "lags"),
        ({"transport": [[0, 1], [1, 0]]}, "transport"),
        ({"setup": [[0, 1], [1, 0]]}, "setup"),
        ({"due": [3, 4]}, "due dates"),
        ({"weight": [3, 4]}, "weights"),
        ({"objective": "total_completion_time"}, "objective total_completion_time"),
    ],
)
def test_writers_refuse_what_the_format_cannot_hold(options: Any, named: str) -> None:
    problem = JobShop([[(0, 3), (1, 2)], [(1, 4), (0, 1)]], **options)
    for form in (".txt", ".fjs", "Da Col-Teppan"):
        with pytest.raises(CannotExpressError, match=named):
            write_text(problem, form)


def test_writing_needs_a_known_format() -> None:
    problem = generators.job_shop(2, 2)
    with pytest.raises(InputError, match=r"cannot be written as '\.mps'.*JSPLib \(\.txt \.jsp\)"):
        write_text(problem, ".mps")
    with pytest.raises(CannotExpressError, match="job 0 has 1 operations on 2 machines"):
        write_text(JobShop([[(0, 1)], [(1, 1), (0, 2)]]), "JSPLib")


# ---- messages ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "text", "message"),
    [
        ("standard", CLASSIC.replace("4", "4.5"), "line 3, job 1, operation 0: '4.5' is not a wh"),
        ("standard", CLASSIC.replace("4", "x"), "line 3, job 1, operation 0: 'x' is not a whole"),
        ("standard", CLASSIC.replace("4", "-4"), "line 3, job 1, operation 0: duration -4 is neg"),
        ("standard", CLASSIC.replace("4", "1_0"), "'1_0' is not a whole number"),
        ("standard", CLASSIC.replace("4", "٤"), r"'\\u0664' is not a whole number"),
        ("standard", CLASSIC.replace("4", "4-"), "'4-' is not a whole number"),
        ("standard", CLASSIC.replace("4", "+4"), "is not a whole number"),
        ("standard", CLASSIC.replace("4", "-"), "is not a whole number"),
        ("standard", CLASSIC.replace("4", "nan"), "is not a whole number"),
        ("standard", CLASSIC.replace("4", "4\0"), r"line 3, job 1, operation 0: '4\\x00' is not"),
        ("standard", CLASSIC.replace("4", "4\f"), "is not a whole number"),
        ("standard", CLASSIC.replace("4", "9" * 17), "line 3, job 1, operation 0: .* exceeds 2^53"),
        ("standard", CLASSIC.replace("4", "9" * 9999), r"line 3, job 1, .*\.\.\.' exceeds 2^53"),
        ("standard", CLASSIC.replace("4", str(2**53 + 1)), "exceeds 2^53"),
        ("standard", CLASSIC.replace("4", str(2**53)), "sum of durations.* exceeds 2^53"),
        ("standard", CLASSIC.replace("1 4", "2 4"), "line 3, job 1, operation 0: unknown mach"),
        ("standard", CLASSIC.replace("1 4", "-1 4"), "line 3, job 1, operation 0: machine -1"),
        ("standard", "3 2\n0 3 1 2\n1 4 0\n0 5 1 6", "line 3, job 1: expected 4 .*found 3; the"),
        ("standard", "3 2\n0 3 1 2\n1 4 0 1 1\n0 5 1 6", "line 3, job 1: .*found 5; unexpected"),
        ("standard", "3 2\n0 3 1 2\n1 4 0 1\n", "line 3: the file ends after 2 of 3 jobs: job 2"),
        ("standard", CLASSIC + "# end\n0 1 1 1\n", "line 6: unexpected row behind the last of 3"),
        ("standard", "3\n", "line 1: expected the header 'jobs machines', found '3'"),
        ("standard", "3 2 5\n", "line 1: expected the header"),
        ("standard", "0 2\n", "line 1: expected the header"),
        ("standard", "-3 2\n", "line 1: expected the header"),
        ("standard", "3.0 2\n", "line 1: expected the header"),
        ("standard", f"{10**18} 2\n0 1 1 2\n", "line 1: expected the header"),
        ("standard", f"{10**15} 2\n0 1 1 2\n", "line 2: the file ends after 1 of 1000000000000000"),
        ("standard", f"1 {10**15}\n0 1 1 2\n", "line 1: 1000000000000000 machines are more than"),
        ("standard", "# only this\n", "no data"),
        ("standard", "", "no data"),
        ("reentrant", REENTRANT.replace("4 -1 -1\n1", "4\n1"), "line 2, job 0, operation 2: the r"),
        ("reentrant", REENTRANT.replace("1 4", "1 4 0"), "line 3, job 1, operation 2: a machine w"),
        ("reentrant", REENTRANT.replace("1 4 ", ""), "line 3, job 1 has no operations"),
        ("reentrant", REENTRANT.replace("1 4", "1 -1"), "line 3, job 1, operation 0: duration -1"),
        ("reentrant", REENTRANT.replace("1 4", "-1 -1"), "line 3, job 1, operation 0: "),
        ("flexible", FLEXIBLE.replace("1.5", "many"), "line 1: expected the header.*average"),
        ("flexible", FLEXIBLE.replace("3 5", "3 5 6"), "line 2, job 0: 1 numbers left over behind"),
        ("flexible", FLEXIBLE.replace("3 5", "3"), "line 2, job 0, operation 1: the row ends wit"),
        ("flexible", FLEXIBLE.replace("2 1 1 4", "3 1 1 4"), "line 2, job 0, operation 2: the row"),
        ("flexible", FLEXIBLE.replace("2 1 1 4", f"{10**15} 1 1 4"), "line 2, job 0, operation 2"),
        ("flexible", FLEXIBLE.replace("2 1 1", "0 1 1"), "line 2, job 0 has 0 operations"),
        ("flexible", FLEXIBLE.replace("4 2 2 3", "4 0 2 3"), "line 2, job 0, operation 1 has 0 el"),
        ("flexible", FLEXIBLE.replace("4 2 2", "4 999999999 2"), "line 2, job 0, operation 1: "),
        ("flexible", FLEXIBLE.replace("3 5", "4 5"), "line 2, job 0, operation 1: unknown machine "
         "4; there are 3, numbered from 1"),
        ("flexible", FLEXIBLE.replace("3 5", "0 5"), "job 0, operation 1: unknown machine 0"),
        ("flexible", FLEXIBLE.replace("3 5", "2 5"), "line 2, job 0, operation 1: machine 2 is li"),
        ("flexible", FLEXIBLE.replace("3 5", "3 -5"), "line 2, job 0, operation 1: duration -5 is"),
        ("flexible", FLEXIBLE.replace("3 5", "3 5.5"), "line 2, job 0, operation 1: '5.5' is not"),
    ],
)  # fmt: skip
def test_errors_name_line_job_and_operation(form: str, text: str, message: str) -> None:
    message = message.replace("^", r"\^")
    with pytest.raises(InputError, match=message) as raised:
        PLAIN[form][0](text, "x")
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 200
    with pytest.raises(InputError):
        read_text(text, "x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        (" \n\t\n", "empty"),
        ("\ufeff", "empty"),
        ("hello\nworld\n", r"not recognised \(first line 'hello'\); known formats: .*JSPLib"),
        ("{", "line 1: bad JSON"),
        ('{"a": 1}', "'family' is missing: one of .*job_shop"),
        ('{"family": "knitting"}', "unknown family 'knitting': one of .*job_shop"),
        ('{"family": ["job_shop"]}', "unknown family"),
        ('{"family": "job_shop"}', "'jobs' is missing"),
        ('{"optsched": "problem", "family": "job_shop"}', "'jobs' is missing"),
        ('{"family": "job_shop", "jobs": [[[0, NaN]]]}', "NaN is not a number"),
        ('{"family": "job_shop", "jobs": [[[0, 1e999]]]}', "job 0, operation 0: duration"),
        ('{"family": "job_shop", "jobs": [[[0, 1.5]]]}', "job 0, operation 0: duration"),
        ('{"family": "job_shop", "jobs": [[[0, ' + "9" * 5000 + "]]]}", "bad JSON"),
        ('{"family": "job_shop", "jobs": ' + "[" * 10**5, "nested too deeply|bad JSON"),
        ('{"family": "job_shop", "n_machines": 1e15, "jobs": [[[0, 1]]]}', "n_machines"),
        ('{"optsched": "result", "family": "job_shop", "solution": null}', "of a result"),
        ('{"solution": {"start": [0]}}', "of a result or a solution"),
    ],
)
def test_unreadable_texts(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_text(text, "x")


def test_a_family_can_be_demanded() -> None:
    assert read_text(CLASSIC, "x", family="job_shop") == read_text(CLASSIC, "x")
    with pytest.raises(InputError, match="not recognised"):
        read_text(CLASSIC, "x", family="no_such_family")


def test_a_few_faulty_rows_do_not_prevent_recognition() -> None:
    rows = CLASSIC.splitlines()
    for broken in ([*rows[:3], "0 5 1"], [*rows[:3], "0 5 1 x"], rows[:3], [*rows, "1 1"]):
        with pytest.raises(InputError, match=r"^line [0-9]"):
            read_text("\n".join(broken), "x")


def test_every_family_lists_sound_formats() -> None:
    for family, listed in top.formats_by_family().items():
        assert listed, family
        for each in listed:
            assert each.name
            assert each.description
            assert all(suffix == suffix.lower() and suffix[0] == "." for suffix in each.suffixes)
            assert not each.sniff("")
            assert not each.sniff("\0\1 garbage")


# ---- files ---------------------------------------------------------------------------------------


def zipped(**members: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in members.items():
            # A fixed date: the bytes are part of the tests' names, which all workers must share.
            archive.writestr(zipfile.ZipInfo(name), text)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("tiny.txt", CLASSIC.encode()),
        ("tiny", CLASSIC.encode()),
        ("tiny.txt.gz", PACKED),
        ("tiny.zip", zipped(**{"tiny.txt": CLASSIC})),
        ("tiny.zip", zipped(**{"tiny.txt": CLASSIC, "__MACOSX/tiny.txt": "x", "folder/": ""})),
        ("tiny.txt", PACKED),
        ("tiny.txt", b"\xef\xbb\xbf" + CLASSIC.encode()),
    ],
)
def test_plain_and_compressed_files(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    assert read_file(path) == read_text(CLASSIC, "tiny")
    assert read_file(str(path)) == read_file(path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"\x80\x81\xff", "line 1 is not UTF-8"),
        (b"3 2\n0 3 1 2\n\xff", "line 3 is not UTF-8"),
        (b"3 2\n\0\0", "NUL"),
        (b"\x7fELF\x02\x01\x01\0\0", "NUL"),
        (PACKED[:-9], "damaged"),
        (b"\x1f\x8b and so on", "damaged"),
        (b"PK\x03\x04 and so on", "damaged"),
        (zipped(), "holds 0 files"),
        (zipped(**{"a.txt": CLASSIC, "b.txt": CLASSIC}), "holds 2 files"),
        (CLASSIC.replace("4", "x").encode(), "line 3, job 1, operation 0"),
    ],
)
def test_unreadable_files(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "tiny.txt"
    path.write_bytes(data)
    with pytest.raises(InputError, match=message) as raised:
        read_file(path)
    assert str(raised.value).startswith(str(path))


def test_unpacking_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optsched.unpacking.MAX_UNPACKED", 10**6)
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(b"0" * 10**7))
    with pytest.raises(InputError, match="when unpacked"):
        read_file(path)
    monkeypatch.setattr("optsched.formats.MAX_BYTES", 10)
    with pytest.raises(InputError, match="larger than"):
        read_file(path)


def test_absent_files_directories_and_devices(tmp_path: Path) -> None:
    for path, message in (
        (tmp_path / "none.txt", "there is no file"),
        (tmp_path / "none" / "x.txt", "there is no file"),
        (tmp_path, "is a directory"),
        (Path(os.devnull), "empty"),
        (tmp_path / ("x" * 5000), "cannot be read"),
        (tmp_path / "a\0b", "is not a file name"),
    ):
        for reader in (read_file, read_solution):
            with pytest.raises(InputError):
                reader(path)
        with pytest.raises(InputError, match=message):
            read_file(path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_forbidden_file(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text(CLASSIC)
    path.chmod(0)
    with pytest.raises(InputError, match="permission denied"):
        read_file(path)


def test_solutions_are_plain_data(tmp_path: Path) -> None:
    path = tmp_path / "solution.json"
    path.write_text('{"start": [0, 1], "machine": [0, 0]}')
    assert read_solution(path) == {"start": [0, 1], "machine": [0, 0]}
    for text, message in (("[1]", "not a list"), ("{", "line 1: bad JSON"), ("", "bad JSON")):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            read_solution(path)


# ---- speed ---------------------------------------------------------------------------------------


def test_hundred_thousand_operations_take_well_under_two_seconds() -> None:
    for flexible in (1, 3):
        problem = generators.job_shop(1000, 100, 7, flexible=flexible, name="x")
        for form in (".fjs",) if flexible > 1 else (".txt", "Da Col-Teppan", ".fjs"):
            text = write_text(problem, form)
            start = time.process_time()
            again = read_text(text, "x", ".fjs" if form == ".fjs" else ".txt")
            assert time.process_time() - start < 2
            assert again == problem


@pytest.mark.slow
def test_a_million_operations() -> None:
    text = write_text(generators.job_shop(1000, 1000, 1), ".txt")
    for broken in (text, text[:-2] + "x\n", text[:-2] + "-\n"):
        start = time.process_time()
        refused = refusal(lambda broken=broken: read_text(broken, "x"))
        assert time.process_time() - start < 5
        assert bool(refused) == (broken is not text)
        assert not refused or refused.startswith("line 1001, job 999, operation 999")


# ---- fuzzing: only our own errors may escape -----------------------------------------------------

NASTY = st.sampled_from(
    ["-1", "-1 -1", "0", "1", "2", "7", "1.5", "1e3", "nan", "x", "#", "\0", "\x0c", "\u00a0", "-",
     "--1", "1-2", "+1", "1_0", "9" * 16, "9" * 17, "9" * 20, "-" + "9" * 30, str(2**53),
     str(2**53 + 1), str(10**18), "\u0663", "\ud800", "\n", "\r", "\r\n", "\t", "", "{", '"', "0x1"]
)  # fmt: skip
SUFFIX = st.sampled_from(["", ".txt", ".jsp", ".fjs", ".json", ".SM", ".gz", "?"])
VALID = st.builds(
    lambda form, n, m, seed: write_text(
        generators.job_shop(n, m, seed, flexible=m if form in (".fjs", ".json") else 1), form
    ),
    st.sampled_from([".txt", "Da Col-Teppan", ".fjs", ".json"]),
    st.integers(1, 4),
    st.integers(1, 3),
    seeds,
)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A sound file with a few tokens replaced, lines lost or doubled, characters put in."""
    lines = draw(VALID).split("\n")
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(lines) - 1))
        kind = draw(st.integers(0, 4))
        if kind == 0 and len(lines) > 1:
            del lines[at]
        elif kind == 1:
            lines.insert(at, lines[at])
        elif kind == 2:
            cut = draw(st.integers(0, len(lines[at])))
            lines[at] = lines[at][:cut] + draw(NASTY) + lines[at][cut:]
        else:
            separator = draw(st.sampled_from([" ", ","]))
            tokens = lines[at].split(separator)
            tokens[draw(st.integers(0, len(tokens) - 1))] = draw(NASTY)
            lines[at] = separator.join(tokens)
    return "\n".join(lines)


@st.composite
def number_soup(draw: st.DrawFn) -> str:
    """Rows of small numbers that nearly make sense, under a header that nearly fits."""
    n_rows, n_machines = draw(st.integers(0, 4)), draw(st.integers(0, 3))
    cell = st.integers(-1, 4)
    rows = [
        draw(st.lists(cell, min_size=2 * n_machines - 1 if n_machines else 0, max_size=9))
        + draw(st.sampled_from([[], [], [-1, -1]]))
        for _ in range(n_rows)
    ]
    header = draw(st.sampled_from([f"{n_rows} {n_machines}", f"{n_rows} {n_machines} 1.5", ""]))
    return header + "\n" + "\n".join(" ".join(map(str, row)) for row in rows)


def survive(text: str, suffix: str) -> None:
    """Whatever is read is a sound problem; whatever is refused is refused in one short line."""
    readers = [lambda: read_text(text, "x", suffix)]
    readers += [lambda read=read: read(text, "x") for read, _ in PLAIN.values()]
    for reader in readers:
        problems: list[object] = []
        refused = refusal(lambda reader=reader, problems=problems: problems.append(reader()))
        assert bool(refused) != bool(problems)
        assert "\n" not in refused
        assert len(refused) < 1000
        for problem in problems:
            assert isinstance(problem, Problem)  # of another family's, where its format fits
            assert read_text(write_text(problem, ".json"), "x") == problem
            if isinstance(problem, JobShop):
                assert problem.alt_machine.max() < problem.n_machines
                assert problem.alt_duration.min() >= 0


@settings(max_examples=300)
@given(st.text(max_size=80) | st.text(alphabet="0123 -\n.x#", max_size=60), SUFFIX)
def test_fuzz_any_text(text: str, suffix: str) -> None:
    survive(text, suffix)


@settings(max_examples=800)
@given(mutated(), SUFFIX)
def test_fuzz_mutated_files(text: str, suffix: str) -> None:
    survive(text, suffix)


@settings(max_examples=500)
@given(number_soup(), SUFFIX)
@example("1 2\n0 1 1 1", ".txt")
def test_fuzz_number_soup(text: str, suffix: str) -> None:
    survive(text, suffix)


SCALAR = (
    st.none()
    | st.booleans()
    | st.integers(-2, 5)
    | st.sampled_from([2**53, 2**53 + 1, -(2**63), 2**64, 10**30, 1.5, 1e300, 2.0, -0.0])
    | st.text(max_size=4)
    | st.sampled_from(["none", "no-wait", "makespan", "maximum_lateness", "0", "1"])
)
ANY_JSON = st.recursive(
    SCALAR,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2) | st.just("0"), inner)
    ),
    max_leaves=12,
)
JOBS = st.lists(
    st.lists(st.lists(st.integers(0, 2), min_size=2, max_size=2), min_size=1, max_size=3),
    min_size=1,
    max_size=3,
)
OPTION = st.dictionaries(
    st.sampled_from(
        ["objective", "release", "due", "deadline", "weight", "calendars", "resumable", "buffers",
         "swap", "lags", "transport", "setup", "n_machines", "name", "optsched", "other"]
    ),
    ANY_JSON,
    max_size=4,
)  # fmt: skip


@settings(max_examples=500)
@given(JOBS | ANY_JSON, OPTION)
def test_fuzz_json(jobs: Any, options: dict[str, Any]) -> None:
    survive(json.dumps({"family": "job_shop", "jobs": jobs} | options), ".json")


@settings(max_examples=300)
@given(
    st.binary(max_size=60)
    | st.builds(
        lambda data, cut: data[:cut],
        st.sampled_from([PACKED, zipped(**{"x.txt": CLASSIC}), CLASSIC.encode()]),
        st.integers(0, 150),
    )
    | st.builds(
        lambda data, at, byte: data[:at] + bytes([byte]) + data[at + 1 :],
        st.sampled_from([PACKED, zipped(**{"x.txt": CLASSIC})]),
        st.integers(0, 150),
        st.integers(0, 255),
    )
)
def test_fuzz_bytes(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / f"fuzz-{os.getpid()}.txt"
    path.write_bytes(data)
    for reader in (read_file, read_solution):
        assert "\n" not in refusal(lambda reader=reader: reader(path))


@settings(max_examples=300)
@given(
    st.lists(
        st.lists(st.integers(-(2**53), 2**53) | st.integers(-9, 99), min_size=1, max_size=6),
        min_size=1,
        max_size=6,
    )
)
def test_bulk_reading_agrees_with_reading_token_by_token(rows: list[list[int]]) -> None:
    lines = data_lines("\n\n".join("\t ".join(map(str, row)) for row in rows))
    fast, slow = integer_rows(lines), _token_by_token(lines, None)
    assert fast.values.tolist() == slow.values.tolist() == [value for row in rows for value in row]
    assert np.array_equal(fast.offset, slow.offset)
    assert list(fast.line) == list(slow.line) == list(range(1, 2 * len(rows), 2))
