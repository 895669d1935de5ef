from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from optsched.bench import journal
from optsched.bench.journal import Journal
from optsched.core import InputError


def record(key: str, outcome: str = "done") -> dict[str, str]:
    return {"key": key, "outcome": outcome}


@pytest.fixture
def written(tmp_path: Path) -> Path:
    with Journal(tmp_path) as book:
        for key in ("a", "b", "c"):
            book.append(record(key))
    return tmp_path


def test_what_is_written_is_read(written: Path) -> None:
    assert [r["key"] for r in journal.read(written)] == ["a", "b", "c"]
    with Journal(written) as book:
        assert book.repaired == ""
        assert book.outcomes == {"a": "done", "b": "done", "c": "done"}


@pytest.mark.parametrize(
    "torn",
    [b'{"key":"d","outco', b"{", b"\0\0\0\0", b'{"key":"d","outcome":"done"}', b"\0\0\n", b"x\n"],
)
def test_torn_last_line(written: Path, torn: bytes) -> None:
    path = written / journal.NAME
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    assert journal.torn(written)
    assert [r["key"] for r in journal.read(written)] == ["a", "b", "c"]
    with Journal(written) as book:
        assert f"{len(torn)} bytes cut off" in book.repaired
        assert path.read_bytes() == whole
        book.append(record("d"))
    assert not journal.torn(written)
    assert [r["key"] for r in journal.read(written)] == ["a", "b", "c", "d"]


def test_every_length_of_the_file_opens(written: Path) -> None:
    path = written / journal.NAME
    whole = path.read_bytes()
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        with Journal(written) as book:
            assert len(book.outcomes) == whole[:size].count(b"\n")


def test_only_line_torn(tmp_path: Path) -> None:
    (tmp_path / journal.NAME).write_bytes(b'{"key":"a"')
    with Journal(tmp_path) as book:
        assert book.repaired
        assert book.outcomes == {}


def test_long_lines(tmp_path: Path) -> None:
    with Journal(tmp_path) as book:
        for key in ("a", "b"):
            book.append(record(key) | {"solution": "9" * 200_000})
    with (tmp_path / journal.NAME).open("ab") as file:
        file.write(b'{"key":"c","solution":"' + b"9" * 150_000)
    with Journal(tmp_path) as book:
        assert book.repaired
        assert list(book.outcomes) == ["a", "b"]


def test_damage_in_the_middle_is_named(written: Path) -> None:
    path = written / journal.NAME
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"garbage\n" + lines[2])
    with pytest.raises(InputError, match="line 2: not a record"):
        Journal(written)
    with pytest.raises(InputError, match="line 2"):
        list(journal.read(written))


def test_one_runner_at_a_time(tmp_path: Path) -> None:
    with Journal(tmp_path), pytest.raises(InputError, match="another campaign runs"):
        Journal(tmp_path)
    Journal(tmp_path).close()


def test_archived_journal(written: Path) -> None:
    path = written / journal.NAME
    with gzip.open(f"{path}.gz", "wb") as file:
        file.write(path.read_bytes())
    path.unlink()
    assert [r["key"] for r in journal.read(written)] == ["a", "b", "c"]
    with pytest.raises(InputError, match="archived"):
        Journal(written)


def test_the_last_line_of_a_repeated_run_counts(tmp_path: Path) -> None:
    with Journal(tmp_path) as book:
        book.append(record("a", "crash"))
        book.append(record("b"))
        book.append(record("a", "done"))
        assert book.outcomes == {"a": "done", "b": "done"}
    assert [(r["key"], r["outcome"]) for r in journal.latest(tmp_path)] == [
        ("b", "done"),
        ("a", "done"),
    ]
    assert json.loads((tmp_path / journal.NAME).read_text().splitlines()[0])["outcome"] == "crash"
