"""Getting the registry's files: a mirror on disk first, then the cache, then the public origin.

Every file is checked against the registered sha256, wherever it comes from.
"""

from __future__ import annotations

import dataclasses
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

    Files that are verified together are obtained together.

    Raises
    ------
    InputError
        When the file differs from the registered one or cannot be downloaded.
    """
    together = entry.together or (entry.path,)
    parts = [dataclasses.replace(entry, path=path) for path in together]
    own = together.index(entry.path)
    mirrored = [in_mirror(part) for part in parts]
    if mirrored[own] is None and not entry.url:
        raise InputError(
            f"{entry.dataset}/{entry.name} cannot be downloaded: no public file holds it. "
            f"{MIRROR_VARIABLE} may name a mirror directory with {entry.path}"
        )
    paths = [found or in_cache(part) for found, part in zip(mirrored, parts, strict=True)]
    if _genuine(paths, entry):
        return paths[own]
    if all(mirrored):
        which = f"{paths[own]} is" if len(paths) == 1 else f"one of {_listed(paths)} is"
        raise InputError(
            f"{which} not the registered file of {entry.dataset}/{entry.name}: its sha256 differs"
        )
    fetched = [
        (part, path) for part, path in zip(parts, paths, strict=True) if path not in mirrored
    ]
    for part, path in fetched:
        _download(part, path)
    if not _genuine(paths, entry):
        for _, path in fetched:
            path.unlink(missing_ok=True)
        raise _unavailable(entry, "the file received has another sha256 than the registered one")
    return paths[own]


def _listed(paths: list[Path]) -> str:
    return ", ".join(map(str, paths))


def _genuine(paths: list[Path], entry: Entry) -> bool:
    """Return whether the files are all there, and those registered."""
    digests = []
    for path in paths:
        if not path.is_file():
            return False
        try:
            with path.open("rb") as file:
                digests.append(hashlib.file_digest(file, "sha256"))
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if not entry.together:
        return digests[0].hexdigest() == entry.sha256
    joint = hashlib.sha256(b"".join(digest.digest() for digest in digests))
    return joint.hexdigest() == entry.sha256


def _download(part: Entry, path: Path) -> None:
    """Bring the part's file to `path`, unverified."""
    pooch = _pooch()
    pooch.get_logger().setLevel("WARNING")  # pooch announces every download on stderr
    try:
        path.unlink(missing_ok=True)  # what is in the cache is not the registered file
        pooch.retrieve(part.url, known_hash=None, fname=path.name, path=path.parent)
    except (OSError, ValueError) as error:
        raise _unavailable(part, _reason(error)) from error


def _unavailable(entry: Entry, reason: str) -> InputError:
    return InputError(
        f"{entry.dataset}/{entry.name} cannot be downloaded ({reason}); "
        f"{MIRROR_VARIABLE} may name a mirror directory to read from"
    )


def _reason(error: Exception) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is not None:
        return f"the server answered {status}"
    if isinstance(error, PermissionError):
        return "the cache directory may not be written"
    return f"no connection: {type(error).__name__}"


def _pooch() -> Any:
    import pooch  # it takes a fifth of a second to import

    return pooch
