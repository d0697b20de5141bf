"""Reads files that a stranger may have written: regular files of bounded size, JSON without NaN or integers beyond 64 bits.

Also checks that objects made of such content hold what their classes declare. Every fault is a ValueError, a TypeError or an
OSError, which the caller turns into an error of its own. Deliberately not here: what the content means, and formats other than
JSON.
"""

from __future__ import annotations

import json
import math
import os
import stat
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from types import NoneType, SimpleNamespace, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

__all__ = [
    "LARGEST_JSON",
    "as_list",
    "brief",
    "check_fields",
    "check_relative_name",
    "open_regular",
    "parse_strict_json",
    "read_bounded_bytes",
    "read_strict_json",
    "regular_size",
]

#: Bytes of the largest JSON file that is read.
LARGEST_JSON = 1 << 28
_WORD = 1 << 63
#: Characters of a message that `brief` keeps.
_SHOWN = 200


def brief(error: BaseException) -> str:
    """Return the message of an error as one short printable line: it may repeat what a stranger wrote.

    >>> brief(ValueError("a\\n b \\x1b[2J"))
    'a b ?[2J'
    """
    line = " ".join(str(error).split())[:_SHOWN] or type(error).__name__
    return "".join(sign if sign.isprintable() else "?" for sign in line)


def as_list(value: object) -> list[Any]:
    """Return a list of JSON as it is: a text or a mapping, which can be iterated too, is none.

    Raises:
        TypeError: It is no list.
    """
    if not isinstance(value, list):
        raise TypeError(f"{type(value).__name__} stands where a list should be")
    return value


def check_fields(value: Any, place: str) -> None:
    """Check that the fields of a dataclass, and of those within it, hold what they declare.

    An annotation that names what is imported for type checkers alone is not judged, nor are functions and arrays.

    Args:
        value: A dataclass, whose class checks nothing by itself.
        place: Its name in messages.

    Raises:
        TypeError: A field holds something else.

    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Point:
    ...     x: float
    ...     names: tuple[str, ...]
    >>> check_fields(Point(1, ("a",)), "point")
    >>> check_fields(Point(1, ("a", 2)), "point")
    Traceback (most recent call last):
    ...
    TypeError: point.names[1] is int, must be str
    """
    declared: Any = type(value)
    for name, hint in _hints(declared).items():
        _check_value(getattr(value, name), hint, f"{place}.{name}")


@cache
def _hints(declared: Any) -> dict[str, Any]:
    known, names = {}, vars(sys.modules[declared.__module__])
    for each in fields(declared):
        try:
            known.update(get_type_hints(SimpleNamespace(__annotations__={each.name: each.type}), names))
        except NameError:  # imported for type checkers alone
            continue
    return known


def _check_value(value: Any, hint: Any, place: str) -> None:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        if not any(_holds(value, each, place) for each in arguments):
            raise TypeError(f"{place} is {type(value).__name__}, must be {_named(hint)}")
    elif origin is Literal:
        if value not in arguments or type(value) not in {type(each) for each in arguments}:
            raise TypeError(f"{place} is {value!r:.40}, must be one of {arguments}")
    elif not isinstance(value, _kinds(origin or hint)) or (isinstance(value, bool) and hint in (int, float)):
        raise TypeError(f"{place} is {type(value).__name__}, must be {_named(hint)}")
    elif is_dataclass(value) and not isinstance(value, type):
        check_fields(value, place)
    elif isinstance(value, Mapping) and arguments:
        for key, item in value.items():
            _check_value(key, arguments[0], f"a key of {place}")
            _check_value(item, arguments[1], f"{place}[{key!r:.40}]")
    elif isinstance(value, Sequence) and arguments:
        _check_items(value, arguments, place)


def _check_items(values: Sequence[Any], hints: tuple[Any, ...], place: str) -> None:
    if isinstance(values, tuple) and hints[-1] is not Ellipsis:
        if len(values) != len(hints):
            raise TypeError(f"{place} has {len(values)} items, must have {len(hints)}")
    else:
        hints = hints[:1] * len(values)
    for number, (item, hint) in enumerate(zip(values, hints, strict=True)):
        _check_value(item, hint, f"{place}[{number}]")


def _holds(value: Any, hint: Any, place: str) -> bool:
    try:
        _check_value(value, hint, place)
    except TypeError:
        return False
    return True


def _kinds(hint: Any) -> tuple[type, ...]:
    """Return the classes whose instances an annotation allows, as far as it is judged."""
    if hint is None:
        return (NoneType,)
    if hint is float:
        return (int, float)
    return (hint,) if isinstance(hint, type) and hint is not Any else (object,)


def _named(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint)


def open_regular(path: Path) -> int:
    """Open a regular file for reading and return its descriptor; a pipe or a device is refused without waiting for it.

    Raises:
        OSError: It cannot be opened.
        ValueError: It is no regular file.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError(f"{path.name} is no regular file")
    return descriptor


def regular_size(path: Path) -> int:
    """Return the size of a regular file that is no link, in bytes.

    Raises:
        OSError: There is no such file.
        ValueError: It is a link, a folder, a pipe or a device.
    """
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(f"{path.name} is no regular file")
    return found.st_size


def check_relative_name(name: object) -> str:
    """Return a name of a file below a folder, with slashes, if it is one.

    Raises:
        ValueError: It is absolute, leaves the folder, or is not written in its plain form.

    >>> check_relative_name("model/trees.json")
    'model/trees.json'
    """
    if not isinstance(name, str) or not name or "\\" in name or ":" in name or not name.isprintable():
        raise ValueError(f"{name!r:.80} is no relative name of a file")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or path.as_posix() != name or name == ".":
        raise ValueError(f"{name!r:.80} is no relative name of a file")
    return name


def read_bounded_bytes(path: Path, most: int) -> bytes:
    """Return the content of a regular file of at most `most` bytes.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no regular file, or larger.
    """
    with os.fdopen(open_regular(path), "rb") as file:
        if os.fstat(file.fileno()).st_size > most:
            raise ValueError(f"{path.name} is larger than {most:,} bytes")
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"{path.name} is larger than {most:,} bytes")
    return data


def read_strict_json(path: Path, most: int = LARGEST_JSON) -> Any:
    """Return the value in a JSON file: UTF-8, no key twice, no NaN or infinity, no integer beyond 64 bits.

    Raises:
        OSError: It cannot be read.
        ValueError: It is none of these, or nested too deeply.
    """
    return parse_strict_json(read_bounded_bytes(path, most), path.name)


def parse_strict_json(data: bytes, name: str = "it") -> Any:
    """Return the value that bytes hold as JSON, by the rules of `read_strict_json`.

    Args:
        data: The bytes.
        name: What holds them, for the message.

    Raises:
        ValueError: They hold none, or it breaks a rule.

    >>> parse_strict_json(b'{"a": [1, 2.5]}')
    {'a': [1, 2.5]}
    """
    try:
        return json.loads(
            data.decode(), parse_constant=_no_constant, parse_float=_finite, parse_int=_word, object_pairs_hook=_unique
        )
    except RecursionError:
        raise ValueError(f"{name} is nested too deeply") from None


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text:.40} is no finite number")
    return value


def _word(text: str) -> int:
    if len(text) > 20 or not -_WORD <= (value := int(text)) < _WORD:
        raise ValueError(f"{text:.40} is beyond 64 bits")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is given twice")
    return found
