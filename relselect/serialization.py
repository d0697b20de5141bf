"""Values as JSON: cleaned for documents, unchanged for files that are read again, canonical for keys and fingerprints.

Deliberately not here: writing files (`relselect.files`), and hashes of what is dumped (`relselect.hashing`).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from relselect.dates import with_dates

__all__ = ["canonical_json", "dump_document", "dump_jsonable", "jsonable", "number_of", "plain"]

#: Characters that no document may carry: control characters but tab and newline, lone surrogates, and the marks
#: that reverse the direction of text (a name could use them to look like another).
_FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
#: Types of pandas whose values are missing, by name, so that pandas need not be imported.
_MISSING = ("NaTType", "NAType")


def plain(value: Any) -> Any:
    """Return a value as a document shows it, in types of JSON.

    NaN, infinities and pandas' missing values become None, NumPy values Python's, tuples and sets lists (sets sorted),
    keys text, dates ISO text without a needless midnight, unknown objects their text; characters that no document may carry
    become U+FFFD.

    >>> plain({1: float("nan"), "a": (True, "x\\x00")})
    {'1': None, 'a': [True, 'x\ufffd']}
    """
    return _converted(value, _printable, lambda unknown: _printable(str(with_dates(unknown))))


def jsonable(value: Any) -> Any:
    """Return a value in types of strict JSON, text unchanged: for what is read again.

    As `plain`, but no character is replaced.

    Raises:
        TypeError: The value holds an object that JSON has no type for.
    """
    return _converted(value, str, _refuse)


def dump_document(value: Any, *, sort_keys: bool = True) -> str:
    """Return `plain(value)` as JSON text with a newline at its end.

    Args:
        value: What to dump.
        sort_keys: Whether equal values shall give equal text whatever the order of their keys.
    """
    return json.dumps(plain(value), indent=2, sort_keys=sort_keys, ensure_ascii=False, allow_nan=False) + "\n"


def dump_jsonable(value: Any, *, sort_keys: bool = False) -> str:
    """Return `jsonable(value)` as JSON text with a newline at its end.

    Args:
        value: What to dump.
        sort_keys: Whether equal values shall give equal text whatever the order of their keys.

    Raises:
        TypeError: The value holds an object that JSON has no type for.
    """
    ready = jsonable(value)
    text = json.dumps(ready, indent=1, sort_keys=sort_keys, ensure_ascii=False, allow_nan=False)
    if _SURROGATE.search(text):  # UTF-8 has no form for these; escapes do.
        text = json.dumps(ready, indent=1, sort_keys=sort_keys, allow_nan=False)
    return text + "\n"


def number_of(value: float | None) -> float:
    """Return a number that `jsonable` wrote: NaN for null."""
    return math.nan if value is None else float(value)


def canonical_json(value: Any) -> str:
    """Return one line of ASCII JSON, independent of the order of keys: for comparing, cache keys and fingerprints.

    Stored fingerprints depend on every character of it. Objects that JSON has no type for are written as their text.

    >>> canonical_json({"b": (1, 2.5), "a": "é"})
    '{"a": "\\\\u00e9", "b": [1, 2.5]}'
    """
    return json.dumps(value, sort_keys=True, default=str)


def _converted(value: Any, text: Callable[[str], str], unknown: Callable[[Any], Any]) -> Any:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, str):
        return text(value)
    if isinstance(value, Mapping):
        return {text(str(key)): _converted(item, text, unknown) for key, item in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes):
        items = [_converted(item, text, unknown) for item in value]
        return sorted(items, key=repr) if isinstance(value, set | frozenset) else items
    if type(value).__name__ in _MISSING:
        return None
    if isinstance(value, date):
        return unknown(value)
    if (
        getattr(getattr(value, "dtype", None), "kind", "") == "M"
    ):  # of NumPy, whose finest moments are integers in Python
        return _converted(value.astype("datetime64[us]").tolist(), text, unknown)
    if callable(item := getattr(value, "tolist", None)):  # NumPy scalars and arrays, without importing NumPy.
        return _converted(item(), text, unknown)
    return unknown(value)


def _printable(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", str(text))


def _refuse(value: Any) -> Any:
    raise TypeError(f"{type(value).__name__} has no JSON type")
