"""From the bytes of a file to its text: gzip, zip archives of one file, UTF-8."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Sequence
from pathlib import PurePosixPath

from optsched.core import InputError

#: A compressed file that grows beyond this is refused rather than unpacked into memory.
MAX_UNPACKED = 2**30


def decode(data: bytes, what: str, member: str = "") -> tuple[str, str]:
    """Return the text in `data`, and the name of the archive's member that held it.

    Compression is recognised by content, not by name.

    Parameters
    ----------
    data : bytes
        A whole file.
    what : str
        The file's name, for error messages.
    member : str
        Which file of a zip archive; it may be left out where there is one alone.

    Returns
    -------
    text : str
    member : str
        Empty when the file is no archive.

    Raises
    ------
    InputError
        When the file is damaged, too large, or no text.
    """
    inner = ""
    try:
        if data.startswith(b"\x1f\x8b"):
            data = gzip.GzipFile(fileobj=io.BytesIO(data)).read(MAX_UNPACKED + 1)
        elif data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                inner = _member(archive.namelist(), member, what)
                with archive.open(inner) as file:
                    data = file.read(MAX_UNPACKED + 1)
    except InputError:
        raise
    except Exception as error:  # damaged archives make gzip and zipfile raise nearly anything
        raise InputError(f"{what}: the compressed file is damaged or encrypted") from error
    if len(data) > MAX_UNPACKED:
        raise InputError(f"{what}: more than {MAX_UNPACKED >> 30} GiB when unpacked")
    if b"\0" in data:
        raise InputError(f"{what}: not a text file: it holds NUL bytes")
    try:
        return data.decode("utf-8-sig"), inner
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{what}: not a text file: line {line} is not UTF-8") from error


def _member(names: Sequence[str], member: str, what: str) -> str:
    if member:
        if member not in names:
            raise InputError(f"{what}: the archive has no file {member!r}")
        return member
    files = [
        name
        for name in names
        # Archives made on a Mac carry a shadow of every file.
        if not name.endswith("/") and PurePosixPath(name).parts[:1] != ("__MACOSX",)
    ]
    if len(files) != 1:
        raise InputError(f"{what}: the archive holds {len(files)} files, expected one")
    return files[0]
