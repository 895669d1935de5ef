"""Getting the registry's files: a mirror on disk first, then the cache, then the public origin.

Every file is checked against the registered sha256, wherever it comes from.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from optsched.core import InputError
from optsched.datasets.registry import Entry

#: Names a directory with the layout OWNER/REPOSITORY/PATH that is read before any download.
MIRROR_VARIABLE = "OPTSCHED_DATASETS"


def in_mirror(entry: Entry) -> Path | None:
    """Return the entry's file in the mirror, or None when there is no mirror or no such file."""
    root = os.environ.get(MIRROR_VARIABLE)
    if not root:
        return None
    if not Path(root).is_dir():
        raise InputError(f"{MIRROR_VARIABLE} names {root}, which is no directory")
    path = Path(root) / entry.repository / entry.path
    return path if path.is_file() else None


def in_cache(entry: Entry) -> Path:
    """Return where the entry's file is, or will be, in the user's cache."""
    cache: Any = _pooch().os_cache("optsched")
    return Path(cache) / entry.repository / entry.commit / entry.path


def obtain(entry: Entry) -> Path:
    """Return the entry's verified file, downloading it when it is neither in mirror nor cache.

    Raises
    ------
    InputError
        When the file differs from the registered one or cannot be downloaded.
    """
    path = in_mirror(entry)
    if path is not None:
        if not _genuine(path, entry):
            raise InputError(
                f"{path} is not the registered file of {entry.dataset}/{entry.name}: "
                "its sha256 differs"
            )
        return path
    if not entry.url:
        raise InputError(
            f"{entry.dataset}/{entry.name} cannot be downloaded: no public file holds it. "
            f"{MIRROR_VARIABLE} may name a mirror directory with {entry.path}"
        )
    path = in_cache(entry)
    if path.is_file() and _genuine(path, entry):
        return path
    return _download(entry, path)


def _genuine(path: Path, entry: Entry) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == entry.sha256
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


def _download(entry: Entry, path: Path) -> Path:
    pooch = _pooch()
    pooch.get_logger().setLevel("WARNING")  # pooch announces every download on stderr
    try:
        pooch.retrieve(
            entry.url, known_hash=f"sha256:{entry.sha256}", fname=path.name, path=path.parent
        )
    except (OSError, ValueError) as error:
        raise InputError(
            f"{entry.dataset}/{entry.name} cannot be downloaded ({_reason(error)}); "
            f"{MIRROR_VARIABLE} may name a mirror directory to read from"
        ) from error
    return path


def _reason(error: Exception) -> str:
    if isinstance(error, ValueError) and "hash" in str(error):
        return "the file received has another sha256 than the registered one"
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is not None:
        return f"the server answered {status}"
    if isinstance(error, PermissionError):
        return "the cache directory may not be written"
    return f"no connection: {type(error).__name__}"


def _pooch() -> Any:
    import pooch  # it takes a fifth of a second to import

    return pooch
