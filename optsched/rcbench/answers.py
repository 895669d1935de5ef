"""What a model answered: the JSON found in its text, whatever surrounds it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

#: Text beyond this many characters is not looked at.
MAX_CHARACTERS = 1_000_000
#: Places at which JSON is tried to be read.
MAX_TRIALS = 500


@dataclass(frozen=True)
class Answer:
    """An answer as it was understood.

    Attributes
    ----------
    entries : tuple of (object, object)
        Task and start, in the order given, as they were written; a task may come twice.
    infeasible : bool
        Whether the answer says that there is no schedule.
    error : str
        Why the answer could not be understood; empty when it could.
    """

    entries: tuple[tuple[Any, Any], ...] = ()
    infeasible: bool = False
    error: str = ""


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with its keys as they come, repeated ones too."""


def understand(answer: Any) -> Answer:
    """Return what `answer` says; never raises.

    Parameters
    ----------
    answer : object
        A model's text, or data: ``{"schedule": {"T1": 0, ...}}``, a list of
        ``{"task": "T1", "start": 0}``, a bare ``{"T1": 0, ...}`` or ``{"infeasible": true}``. Of
        several JSON values in a text the last that can be understood counts.
    """
    try:
        if isinstance(answer, bytes | bytearray):
            answer = bytes(answer).decode("utf-8", "replace")
        if not isinstance(answer, str):
            return _read(_plain(answer)) or Answer(error="no schedule in the answer")
        return _read_text(answer)
    except (RecursionError, ValueError, TypeError, OverflowError, MemoryError) as error:
        return Answer(error=f"cannot be read: {type(error).__name__}")


def _read_text(text: str) -> Answer:
    if len(text) > MAX_CHARACTERS:
        return Answer(error=f"longer than {MAX_CHARACTERS:,} characters")
    decoder = json.JSONDecoder(object_pairs_hook=_Pairs)
    found = None
    at = trials = 0
    while trials < MAX_TRIALS and (start := re.compile(r"[{\[]").search(text, at)) is not None:
        trials += 1
        at = start.start() + 1
        try:
            value, end = decoder.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            continue
        read = _read(value)
        if read is not None:
            found = read
            at = end
    return found or Answer(error="no JSON with a schedule in the answer")


def _plain(value: Any) -> Any:
    """Return data as the decoder would give it."""
    if isinstance(value, dict):
        return _Pairs((key, _plain(v)) for key, v in value.items())
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


def _read(value: Any) -> Answer | None:
    if isinstance(value, _Pairs):
        keys = {str(key).lower(): v for key, v in value}
        if keys.get("infeasible") is True or keys.get("feasible") is False:
            return Answer(infeasible=True)
        for key in ("schedule", "start_times", "starts", "tasks"):
            if isinstance(keys.get(key), list):
                return _entries(keys[key])
        return _entries(value) if value else None
    return _entries(value) if isinstance(value, list) and value else None


def _entries(value: Any) -> Answer | None:
    if isinstance(value, _Pairs):
        # {"T1": 0} or {"T1": {"start": 0, "end": 4}}
        entries = [(key, _start(v)) for key, v in value]
        return Answer(entries=tuple(entries))
    entries = []
    for item in value:
        if not isinstance(item, _Pairs):
            if isinstance(item, list) and len(item) == 2:
                entries.append((item[0], item[1]))
                continue
            return None
        keys = {str(key).lower(): v for key, v in item}
        task = next((keys[k] for k in ("task", "id", "task_id", "name") if k in keys), None)
        if task is None or not {"start", "start_time"} & keys.keys():
            return None
        entries.append((task, _start(item)))
    return Answer(entries=tuple(entries))


def _start(value: Any) -> Any:
    """Return the start in ``{"start": 3, ...}``; anything else as it is."""
    if not isinstance(value, _Pairs):
        return value
    keys = {str(key).lower(): v for key, v in value}
    return keys.get("start", keys.get("start_time"))
