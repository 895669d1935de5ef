"""File formats: one description for all families, recognition, reading and writing.

Each family lists its formats in ``optsched/problems/FAMILY/formats.py`` as ``FORMATS``, a tuple of
`Format` that is tried in order. JSON goes to the family that it names.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import json
import pkgutil
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from optsched import problems
from optsched.core import CannotExpressError, InputError, Problem
from optsched.numbers import shown
from optsched.unpacking import decode

#: Files beyond this size are refused rather than read into memory.
MAX_BYTES = 2**30
#: Suffix of neural networks: binary files, of which problems of several families can be made.
MODEL = ".onnx"


@dataclass(frozen=True)
class Format:
    """One file format of one family.

    Attributes
    ----------
    name : str
        The format's name, for people and for `write_text`.
    suffixes : tuple of str
        File suffixes in use, lower case with the dot; the first is the one to write.
    description : str
        One line: what the format holds.
    sniff : callable(text) -> bool
        Whether a text looks like this format. Quick, tolerant of a faulty line (so that reading
        can name it), and never raises.
    read : callable(text, name) -> Problem
        Raises `InputError` naming the line at fault.
    write : callable(problem) -> str, optional
        Raises `CannotExpressError` naming what the format cannot hold.
    options : tuple of str
        Keywords that `read` takes beside.
    """

    name: str
    suffixes: tuple[str, ...]
    description: str
    sniff: Callable[[str], bool]
    read: Callable[..., Problem]
    write: Callable[[Any], str] | None = None
    options: tuple[str, ...] = ()


# ---- which formats there are ---------------------------------------------------------------------


@functools.cache
def formats_by_family() -> dict[str, tuple[Format, ...]]:
    """Return the formats of every family that has any, in the order in which they are tried."""
    found: dict[str, tuple[Format, ...]] = {}
    for module in pkgutil.iter_modules(problems.__path__):
        path = f"{problems.__name__}.{module.name}.formats"
        if module.ispkg and importlib.util.find_spec(path) is not None:
            found[module.name] = tuple(importlib.import_module(path).FORMATS)
    return found


def known_suffixes() -> frozenset[str]:
    """Return every suffix that some format uses."""
    return frozenset(suffix for _, each in _listed(None) for suffix in each.suffixes) | {MODEL}


def _listed(family: str | None) -> list[tuple[str, Format]]:
    return [
        (name, each)
        for name, formats in formats_by_family().items()
        if family in (None, name)
        for each in formats
    ]


# ---- reading -------------------------------------------------------------------------------------


def read_text(
    text: str,
    name: str,
    suffix: str = "",
    *,
    family: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Problem:
    """Return the problem that `text` states, in whichever known format it is.

    Parameters
    ----------
    text : str
        A whole file.
    name : str
        The instance's name, where the text holds none.
    suffix : str
        The file's suffix, such as ``".fjs"``. Formats that use it are tried first, and a suffix
        of one format alone decides.
    family : str, optional
        Only this family's formats.
    options : mapping, optional
        What the format's reader takes beside, such as ``assume_ignored`` of a cluster.

    Raises
    ------
    InputError
        Naming the line at fault, or the formats known when none fits.
    """
    text = text.removeprefix("\ufeff")
    if not text.strip():
        raise InputError("the file is empty")
    chosen = _chosen(text, suffix.lower(), _listed(family))
    for option in options or ():
        if option not in chosen.options:
            raise InputError(f"option {option} is not for {chosen.name}: for {_takers(option)}")
    return chosen.read(text, name, **(options or {}))


def _takers(option: str) -> str:
    """Return for which files an option is."""
    from optsched.problems.scratchpad.models import OPTIONS

    takers = [each.name for _, each in _listed(None) if option in each.options]
    if option in OPTIONS or not takers:
        takers.append(f"ONNX models ({MODEL})")
    return f"{' and '.join(takers)} alone"


def _chosen(text: str, suffix: str, listed: list[tuple[str, Format]]) -> Format:
    """Return the format of a text."""
    if text.lstrip().startswith("{"):
        return _json_reader(text, listed)
    preferred = [each for _, each in listed if suffix in each.suffixes]
    if len(preferred) == 1:
        return preferred[0]
    for each in preferred + [other for _, other in listed if other not in preferred]:
        if each.sniff(text):
            return each
    first = next(line for line in text.splitlines() if line.strip())
    known = "; ".join(f"{each.name} ({owner})" for owner, each in listed)
    raise InputError(
        f"the format is not recognised (first line {shown(first.strip())}); known formats: {known}"
    )


def read_file(path: str | Path, model: Mapping[str, Any] | None = None) -> Problem:
    """Return the problem in the file `path`, which may be compressed (gzip, zip of one file).

    Parameters
    ----------
    path : str or path
    model : mapping, optional
        For ONNX files: see `optsched.problems.scratchpad.models.problem_of_model`; for clusters
        ``assume_ignored``: see `optsched.PodPacking.from_kubernetes`.

    Raises
    ------
    InputError
        When the file is absent, cannot be read, or states no problem.
    """
    path = Path(path)
    if path.suffix.lower() == MODEL:
        from optsched.problems.scratchpad.models import OPTIONS, problem_of_model

        if unknown := sorted(map(str, (model or {}).keys() - set(OPTIONS))):
            raise InputError(f"unknown option {shown(unknown[0])}: one of {', '.join(OPTIONS)}")
        try:
            return problem_of_model(_bytes(path), path.stem, **(model or {}))
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
    text, inner = decode(_bytes(path), str(path))
    if path.suffix.lower() in (".gz", ".zip"):
        path = Path(inner or path.stem)
    try:
        return read_text(text, path.stem, path.suffix, options=model)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def read_solution(path: str | Path) -> dict[str, Any]:
    """Return the plain data of a solution's or a result's JSON file.

    Raises
    ------
    InputError
        When the file is absent, cannot be read, or holds no JSON object.
    """
    text, _ = decode(_bytes(Path(path)), str(path))
    try:
        return parse_json(text.removeprefix("\ufeff"))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _bytes(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        data = b""
        if stat.S_ISREG(mode) or stat.S_ISFIFO(mode):  # a device might never end
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    except PermissionError:
        raise InputError(f"{path} may not be read: permission denied") from None
    except OSError as error:
        raise InputError(f"{shown(str(path))} cannot be read: {error.strerror}") from error
    except ValueError as error:  # a NUL in the name
        raise InputError(f"{shown(str(path))} is not a file name") from error
    if stat.S_ISDIR(mode):
        raise InputError(f"{path} is a directory, not a file")
    if len(data) > MAX_BYTES:
        raise InputError(f"{path} is larger than {MAX_BYTES >> 30} GiB")
    return data


# ---- JSON ----------------------------------------------------------------------------------------


def json_format(
    problem: type[Problem], vet: Callable[[dict[str, Any]], None] | None = None
) -> Format:
    """Return the JSON format of a family, made of its ``to_dict`` and ``from_dict``.

    `vet` is called with the plain data first, to refuse what would exhaust the memory.
    """

    def read(text: str, name: str) -> Problem:
        data = parse_json(text)
        if vet is not None:
            vet(data)
        data.setdefault("name", name)
        try:
            return problem.from_dict(data)
        except RecursionError:
            raise InputError("the JSON is nested too deeply") from None

    return Format(
        name="JSON",
        suffixes=(".json",),
        description=f"everything that a {problem.__name__} holds",
        sniff=lambda text: _json_family(text) == problem.family,
        read=read,
        write=lambda instance: instance.to_json() + "\n",
    )


def parse_json(text: str) -> dict[str, Any]:
    """Return the JSON object in `text`; raise `InputError` on anything else."""
    try:
        data = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise InputError(f"line {error.lineno}: bad JSON: {error.msg}") from None
    except RecursionError:
        raise InputError("the JSON is nested too deeply") from None
    except ValueError as error:  # a number of thousands of digits
        raise InputError(f"bad JSON: {error}") from None
    if not isinstance(data, dict):
        raise InputError(f"expected a JSON object, not a {type(data).__name__}")
    return data


def _refuse_constant(value: str) -> NoReturn:
    raise InputError(f"bad JSON: {value} is not a number")


#: How our own files begin: their family is known without parsing the whole.
_OURS = re.compile(r'\s*\{\s*"optsched"\s*:\s*"problem"\s*,\s*"family"\s*:\s*"(\w+)"')


def _json_family(text: str) -> Any:
    match = _OURS.match(text)
    if match is not None:
        return match[1]
    try:
        return parse_json(text).get("family")
    except InputError:
        return None


def _json_reader(text: str, listed: list[tuple[str, Format]]) -> Format:
    readers = {owner: each for owner, each in listed if ".json" in each.suffixes}
    family = _json_family(text)
    if isinstance(family, str) and family in readers and _OURS.match(text):
        return readers[family]
    for _, each in listed:  # JSON of others, that names no family
        if not each.suffixes and each.sniff(text):
            return each
    data = parse_json(text)  # raises on bad JSON, with the line
    kind = data.get("optsched", "problem")
    if kind != "problem" or "solution" in data or "trace" in data:
        raise InputError("this is the JSON of a result or a solution, not of a problem")
    if "family" not in data:
        raise InputError(f"field 'family' is missing: one of {', '.join(readers)}")
    if not isinstance(family, str) or family not in readers:
        raise InputError(f"unknown family {shown(family)}: one of {', '.join(readers)}")
    return readers[family]


# ---- writing -------------------------------------------------------------------------------------


def write_text(problem: Problem, form: str) -> str:
    """Return `problem` as the text of a file.

    Parameters
    ----------
    problem : Problem
        The instance.
    form : str
        A suffix (``".json"``, ``".fjs"``) or the name of a format. Where several formats share
        the suffix, the first that can hold the instance is taken.

    Raises
    ------
    InputError
        When the family has no such format.
    CannotExpressError
        When the format cannot hold a feature of the instance; the message names it.
    """
    writable = [each for each in formats_by_family().get(problem.family, ()) if each.write]
    wanted = form.lower()
    chosen = [each for each in writable if wanted == each.name.lower() or wanted in each.suffixes]
    if not chosen:
        known = "; ".join(f"{each.name} ({' '.join(each.suffixes)})" for each in writable)
        raise InputError(f"{problem.family} cannot be written as {shown(form)}; formats: {known}")
    refusal: CannotExpressError | None = None
    for each in chosen:
        assert each.write is not None
        try:
            return each.write(problem)
        except CannotExpressError as error:
            refusal = refusal or error
    assert refusal is not None
    raise refusal
