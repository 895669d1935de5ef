"""The journal of a campaign: one JSON line a run, appended once and never changed.

A line is written whole, in one write that is flushed to the disk before the run counts as
finished. What power loss or a kill tears is at most the last line; it is cut off on the next start.
"""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from optsched.core import InputError

NAME = "journal.jsonl"
#: Outcomes of a run. All but the first are failures; none of them ends a campaign.
DONE, TIMEOUT, MEMORY, CRASH, ERROR, REFUTED, UNAVAILABLE = (
    "done", "timeout", "memory", "crash", "error", "refuted", "unavailable",
)  # fmt: skip


class Journal:
    """The journal of one folder, open for appending; nobody else can open it meanwhile.

    Attributes
    ----------
    outcomes : dict of str to str
        Outcome of each finished run by its key; the last line of a key counts.
    repaired : str
        What was mended on opening, in words; empty when nothing was.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise InputError(f"{folder}: cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise InputError(f"{folder}: another campaign runs in this folder") from error
        try:
            self._open()
        except BaseException:
            os.close(self._lock)
            raise

    def _open(self) -> None:
        path = self.folder / NAME
        if path.with_suffix(".jsonl.gz").exists():
            raise InputError(f"{path}.gz is an archived campaign: choose another folder")
        self.repaired = repair(path)
        self.outcomes = {record["key"]: record["outcome"] for record in read(self.folder)}
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        # The new file's entry must survive power loss as its lines do.
        descriptor = os.open(self.folder, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)

    def append(self, record: dict[str, Any]) -> None:
        """Write one run's line; it is on the disk when this returns."""
        line = json.dumps(record, separators=(",", ":")).encode() + b"\n"
        written = os.write(self._file, line)
        if written < len(line):
            os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise InputError(f"{self.folder / NAME}: the disk is full")
        os.fsync(self._file)
        self.outcomes[record["key"]] = record["outcome"]

    def close(self) -> None:
        """Close the file and let others in."""
        with contextlib.suppress(OSError):
            os.close(self._file)
        with contextlib.suppress(OSError):
            os.close(self._lock)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def repair(path: Path) -> str:
    """Cut off a torn last line; return what was done, in words, or nothing."""
    if not path.exists():
        return ""
    with path.open("r+b") as file:
        whole = _whole(file)
        size = os.fstat(file.fileno()).st_size
        if whole == size:
            return ""
        file.truncate(whole)
        os.fsync(file.fileno())
    return f"{path}: the last line was torn; {size - whole} bytes cut off, that run is run again"


def _whole(file: IO[bytes]) -> int:
    """Return the length of the file up to the end of its last whole line."""
    size = end = file.seek(0, os.SEEK_END)
    block = 1 << 16
    tail = b""
    while end:
        begin = max(0, end - block)
        file.seek(begin)
        tail = file.read(end - begin) + tail
        end = begin
        # Keep reading backwards until the last line that ends in a newline is in sight.
        cut = tail.rfind(b"\n") + 1
        while cut:
            start = tail.rfind(b"\n", 0, cut - 1) + 1
            if start == 0 and begin > 0:
                break
            if _is_record(tail[start:cut]):
                return begin + cut
            if begin + cut == size or b"\0" in tail[start:cut]:
                cut = start  # after power loss, the last block may be there and be empty
                continue
            return begin + cut  # an error in the middle is for `read` to report
    return 0


def _is_record(line: bytes) -> bool:
    try:
        record = json.loads(line)
    except ValueError:
        return False
    return isinstance(record, dict)


def read(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a campaign's journal, or of an archived one (``.gz``).

    A torn last line is left out; see `torn`.

    Raises
    ------
    InputError
        Naming file and line, when a line before the last is no record.
    """
    path = _find(folder)
    if path is None:
        return
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        bad = 0
        for number, line in enumerate(file, start=1):
            if bad:
                raise InputError(f"{path}, line {bad}: not a record of a run")
            try:
                record = json.loads(line)
            except ValueError:
                bad = number  # an error unless it is the last line
                continue
            if not line.endswith(b"\n"):
                return
            if not isinstance(record, dict) or not {"key", "outcome"} <= record.keys():
                raise InputError(f"{path}, line {number}: not a record of a run")
            yield record


def torn(folder: Path) -> bool:
    """Return whether the journal ends in a torn line."""
    path = _find(folder)
    if path is None or path.suffix == ".gz":
        return False
    with path.open("rb") as file:
        return _whole(file) < os.fstat(file.fileno()).st_size


def exists(folder: Path) -> bool:
    """Return whether the folder holds a journal."""
    return _find(folder) is not None


def _find(folder: Path) -> Path | None:
    for path in (folder / NAME, folder / f"{NAME}.gz"):
        if path.exists():
            return path
    return None


def latest(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the records that count: of a run that was repeated after a failure, the last."""
    lines = {record["key"]: number for number, record in enumerate(read(folder))}
    for number, record in enumerate(read(folder)):
        if lines[record["key"]] == number:
            yield record
