"""``optsched.load``: a problem by the name of a dataset instance or of a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from optsched.core import InputError, Problem
from optsched.numbers import shown

#: Suffixes of compressed files.
PACKED = (".gz", ".zip")


def load(
    name_or_path: str | os.PathLike[str], *, model: Mapping[str, Any] | None = None
) -> Problem:
    """Return the problem of a dataset instance or of a file.

    Parameters
    ----------
    name_or_path : str or path
        A file of any format read (a file that exists comes first), or a name of the registry
        such as ``"ft10"`` or ``"jsplib/ft10"``; see ``optsched.datasets.names()``. ``"-"`` is
        standard input.
    model : mapping, optional
        For ONNX files: ``family``, ``dims`` (``{"batch": 1}``), ``element_bytes``, ``capacity``;
        see `optsched.problems.scratchpad.models.problem_of_model`.

    Raises
    ------
    InputError
        When there is neither, with the nearest names, or the file states no problem.
    """
    # Registry and readers are imported when first used: ``import optsched`` stays quick.
    from optsched.datasets import load_instance, registry
    from optsched.formats import known_suffixes, read_file, read_text

    if not isinstance(name_or_path, str):
        if not isinstance(name_or_path, os.PathLike):
            raise InputError(f"expected a name or a path, not {shown(name_or_path)}")
        return read_file(Path(name_or_path), model)
    name = name_or_path
    if not name.strip():
        raise InputError("expected a dataset instance or a file, not an empty name")
    if name == "-":
        return _standard_input(lambda text: read_text(text, "input", options=model))
    is_directory = os.path.isdir(name)  # False, too, for what cannot be a path at all
    if os.path.exists(name) and not is_directory:
        return read_file(name, model)
    if registry.lookup(name):
        if model:
            options = ", ".join(model)
            raise InputError(f"{name}: {options}: for ONNX models (.onnx) and other files alone")
        return load_instance(name)
    suffix = Path(name).suffix.lower()
    if is_directory or os.path.isabs(name) or suffix in known_suffixes() or suffix in PACKED:
        return read_file(name, model)  # says what is wrong with the path
    raise InputError(
        f"no file and no dataset instance is called {shown(name)}{registry.nearest(name)}"
    )


def _standard_input(read: Callable[[str], Problem]) -> Problem:
    try:
        text = sys.stdin.read()
    except UnicodeDecodeError as error:
        raise InputError(f"standard input: not UTF-8: {error.reason}") from None
    try:
        return read(text)
    except InputError as error:
        raise InputError(f"standard input: {error}") from error
