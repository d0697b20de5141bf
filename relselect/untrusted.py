"""Reads files that a stranger may have written: regular files of bounded size, JSON without NaN or integers beyond 64 bits.

Every fault is a ValueError or an OSError, which the caller turns into an error of its own. Deliberately not here: what the
content means, and formats other than JSON.
"""

from __future__ import annotations

import json
import math
import os
import stat
from pathlib import Path, PurePosixPath
from typing import Any

__all__ = [
    "LARGEST_JSON",
    "brief",
    "check_relative_name",
    "open_regular",
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
    data = read_bounded_bytes(path, most)
    try:
        return json.loads(
            data.decode(), parse_constant=_no_constant, parse_float=_finite, parse_int=_word, object_pairs_hook=_unique
        )
    except RecursionError:
        raise ValueError(f"{path.name} is nested too deeply") from None


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
