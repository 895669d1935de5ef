"""Readers and writers: JSON, and the two CSV files of openb."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from optsched.core import MAX_TIME, InputError
from optsched.formats import Format, json_format
from optsched.numbers import shown
from optsched.problems.gpu_packing.problem import GpuPacking
from optsched.unpacking import decode

NODE_COLUMNS = ("sn", "cpu_milli", "memory_mib", "gpu", "model")
POD_COLUMNS = ("name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli")


def read_openb(nodes: str, pods: str, name: str) -> GpuPacking:
    """Return the instance in the texts of two CSV files; see `GpuPacking.from_openb`."""
    hosts = _table(nodes, NODE_COLUMNS, "nodes")
    asking = _table(pods, POD_COLUMNS, "pods")
    count = [_whole(row, "num_gpu", "pods") for row in asking]
    return GpuPacking(
        [[_whole(row, key, "nodes") for key in ("cpu_milli", "memory_mib")] for row in hosts],
        [_whole(row, "gpu", "nodes") for row in hosts],
        [[_whole(row, key, "pods") for key in ("cpu_milli", "memory_mib")] for row in asking],
        count,
        [
            _whole(row, "gpu_milli", "pods") if k else 0
            for k, row in zip(count, asking, strict=True)
        ],
        model=[row["model"] for row in hosts],
        wanted=[row.get("gpu_spec") or "" for row in asking],
        resources=("cpu_milli", "memory_mib"),
        nodes=[row["sn"] for row in hosts],
        pods=[row["name"] for row in asking],
        name=name,
    )


#: How an instance of the registry is read, of its second file and its own.
read_pair = read_openb


def read_openb_files(nodes: Any, pods: Any, name: str = "") -> GpuPacking:
    """Return the instance in two CSV files."""
    texts: list[str] = []
    for path in (nodes, pods):
        try:
            texts.append(decode(Path(path).read_bytes(), str(path))[0])
        except (OSError, ValueError, TypeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{shown(str(path))} cannot be read: {error}") from None
    return read_openb(texts[0], texts[1], name or Path(pods).stem)


def _table(text: str, columns: Sequence[str], what: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file as text by column, with the line's number as ``line``."""
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    header: list[str] = []
    rows = []
    try:
        for cells in reader:
            if not cells:
                continue
            if not header:
                header = [cell.strip() for cell in cells]
                if missing := [column for column in columns if column not in header]:
                    raise InputError(f"{what}: line 1: the column {missing[0]} is missing")
                continue
            if len(cells) != len(header):
                where = f"{what}: line {reader.line_num}"
                raise InputError(f"{where}: {len(cells)} cells, the header has {len(header)}")
            row = dict(zip(header, (cell.strip() for cell in cells), strict=True))
            rows.append(row | {"line": str(reader.line_num)})
    except csv.Error as error:
        raise InputError(f"{what}: line {reader.line_num}: {error}") from None
    if not header:
        raise InputError(f"{what}: the file is empty")
    return rows


def _whole(row: dict[str, str], column: str, what: str) -> int:
    text = row[column]
    if not (text.isascii() and text.isdecimal()) or len(text) > 15 or int(text) > MAX_TIME:
        where = f"{what}: line {row['line']}: {column}"
        raise InputError(f"{where}: {shown(text)} is not a whole number of at least 0")
    return int(text)


FORMATS: tuple[Format, ...] = (json_format(GpuPacking),)
