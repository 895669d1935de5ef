"""Fields of Kubernetes objects, taken with a check of their type, and label selectors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from optsched.core import InputError
from optsched.formats import parse_json
from optsched.numbers import shown

#: How ``kubectl get ... -o json`` begins: its items can be read one by one.
_LIST = re.compile(r'\s*\{\s*"apiVersion"\s*:\s*"[^"]*"\s*,\s*"items"\s*:\s*\[')
#: How words, numbers and escapes can begin of which the end is missing.
_WORD_CUT = re.compile(
    r"-|[0-9]*\.|[0-9]*[eE][+-]?|t(ru?)?|f(a(ls?)?)?|n(ul?)?|,|\\?u[0-9a-fA-F]{0,4}"
)
_GAP = re.compile(r"\s*,?\s*")


def items(text: str, where: str) -> Iterator[dict[str, Any]]:
    """Yield the objects of a List, or of a single object, without holding all at once.

    `where` stands before what is wrong, such as ``"pods.json: "``.

    Raises
    ------
    InputError
        On bad or truncated JSON, naming the line.
    """
    match = _LIST.match(text)
    if match is None:
        yield from _items_of(_whole(text.removeprefix("\ufeff"), where), where)
        return
    decoder = json.JSONDecoder()
    at = _skip(text, match.end())
    while not text.startswith("]", at):
        try:
            item, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise InputError(f"{where}{_complaint(error)}") from None
        except RecursionError:
            raise InputError(f"{where}the JSON is nested too deeply") from None
        except ValueError as error:
            raise InputError(f"{where}bad JSON: {error}") from None
        if not isinstance(item, dict):
            raise InputError(f"{where}items: expected objects, not {shown(item)}")
        yield from _items_of(item, where)
        at = _skip(text, at)
    # What follows the items must be sound as well; blank lines keep the number of the line.
    tail = text[at + 1 :].lstrip().removeprefix(",")
    _whole("\n" * text.count("\n", 0, len(text) - len(tail)) + "{" + tail, where)


def _whole(text: str, where: str) -> dict[str, Any]:
    """Return the JSON object that is a whole text."""
    try:
        return parse_json(text)
    except InputError as refusal:
        why = str(refusal)
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        why = _complaint(error)
    except (ValueError, RecursionError):
        pass  # `why` says so
    raise InputError(f"{where}{why}")


def _complaint(error: json.JSONDecodeError) -> str:
    """Return what is wrong with JSON, and in which line; whether it just ends too early."""
    end = error.doc.rstrip()
    cut = (
        error.pos >= len(end)
        or error.msg.startswith("Unterminated string")
        or _WORD_CUT.fullmatch(end, error.pos) is not None
    )
    if not cut:
        return f"line {error.lineno}: bad JSON: {error.msg}"
    line = end.count("\n") + 1
    return f"line {line}: the JSON ends early: the file is truncated"


def _skip(text: str, at: int) -> int:
    match = _GAP.match(text, at)
    return at if match is None else match.end()


def _items_of(data: dict[str, Any], where: str) -> Iterator[dict[str, Any]]:
    kind = data.get("kind")
    if not isinstance(kind, str):
        raise InputError(f"{where}an object without a kind")
    if kind.endswith("List") and "items" in data:
        for item in listed(data, "items", f"{where}{kind}"):
            if not isinstance(item, dict):
                raise InputError(f"{where}items: expected objects, not {shown(item)}")
            yield item if "kind" in item else item | {"kind": kind.removesuffix("List")}
    else:
        yield data


def mapped(data: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
    """Return an object in a field; empty where it is absent."""
    value = data.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InputError(f"{where}: {key}: expected an object, not {shown(value)}")
    return value


def listed(data: Mapping[str, Any], key: str, where: str) -> list[Any]:
    """Return a list in a field; empty where it is absent."""
    value = data.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise InputError(f"{where}: {key}: expected a list, not {shown(value)}")
    return value


def objects(data: Mapping[str, Any], key: str, where: str) -> list[dict[str, Any]]:
    """Return a list of objects in a field; empty where it is absent."""
    value = listed(data, key, where)
    for item in value:
        if not isinstance(item, dict):
            raise InputError(f"{where}: {key}: expected objects, not {shown(item)}")
    return value


def text(data: Mapping[str, Any], key: str, where: str, default: str = "") -> str:
    """Return text in a field; `default` where it is absent."""
    value = data.get(key)
    if value is None:
        return default
    if not isinstance(value, str):
        raise InputError(f"{where}: {key}: expected text, not {shown(value)}")
    return value


def texts(data: Mapping[str, Any], key: str, where: str) -> list[str]:
    """Return a list of text in a field; empty where it is absent."""
    value = listed(data, key, where)
    for item in value:
        if not isinstance(item, str):
            raise InputError(f"{where}: {key}: expected text, not {shown(item)}")
    return value


def whole(data: Mapping[str, Any], key: str, where: str, default: int) -> int:
    """Return a whole number in a field; `default` where it is absent."""
    value = data.get(key)
    if value is None:
        return default
    if type(value) is not int or abs(value) > 2**40:
        raise InputError(f"{where}: {key}: {shown(value)} is not a whole number")
    return value


def labels(data: Mapping[str, Any], key: str, where: str) -> dict[str, str]:
    """Return an object of text to text in a field; empty where it is absent."""
    value = mapped(data, key, where)
    for name, item in value.items():
        if not isinstance(item, str):
            raise InputError(f"{where}: {key}: {shown(name)}: {shown(item)} is no text")
    return value


Requirement = tuple[str, str, tuple[str, ...]]


def requirement(data: Mapping[str, Any], where: str, operators: frozenset[str]) -> Requirement:
    """Return one expression of a selector as (key, operator, values)."""
    key, operator = text(data, "key", where), text(data, "operator", where)
    values = tuple(texts(data, "values", where))
    if operator not in operators:
        raise InputError(f"{where}: operator {shown(operator)} is not understood")
    if operator in ("In", "NotIn") and not values:
        raise InputError(f"{where}: {operator} without values")
    if operator in ("Gt", "Lt") and (
        len(values) != 1 or not re.fullmatch(r"[+-]?[0-9]{1,18}", values[0])
    ):
        raise InputError(f"{where}: {operator} needs one whole number")
    return key, operator, values


LABEL_OPERATORS = frozenset({"In", "NotIn", "Exists", "DoesNotExist"})
NODE_OPERATORS = LABEL_OPERATORS | {"Gt", "Lt"}


def satisfies(having: Mapping[str, str], need: Requirement) -> bool:
    """Return whether labels satisfy one expression of a selector."""
    key, operator, values = need
    value = having.get(key)
    if operator == "In":
        return value in values
    if operator == "NotIn":
        return value not in values
    if operator == "Exists":
        return value is not None
    if operator == "DoesNotExist":
        return value is None
    if value is None or not re.fullmatch(r"[+-]?[0-9]{1,18}", value):
        return False
    return int(value) > int(values[0]) if operator == "Gt" else int(value) < int(values[0])


def selector(data: Any, where: str) -> tuple[Requirement, ...] | None:
    """Return a label selector as expressions that must all hold; None matches nothing."""
    if data is None:
        return None
    if not isinstance(data, dict):
        raise InputError(f"{where}: expected a selector, not {shown(data)}")
    found: list[Requirement] = [
        (key, "In", (value,)) for key, value in labels(data, "matchLabels", where).items()
    ]
    for item in objects(data, "matchExpressions", where):
        found.append(requirement(item, where, LABEL_OPERATORS))
    if unknown := set(data) - {"matchLabels", "matchExpressions"}:
        raise InputError(f"{where}: {shown(min(unknown))} is not understood")
    return tuple(sorted(found))
