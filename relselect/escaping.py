"""Escapes text that comes from data and bundles of others, for terminals and logs: control and bidirectional characters.

Deliberately not here: JSON, whose dump replaces them (`relselect.serialization`), and cells of spreadsheets
(`relselect.display.escaping`).
"""

from __future__ import annotations

import re

__all__ = ["escape_controls"]

#: Control characters but tab and newline, the bidirectional marks (Unicode UAX #9), line separators, and lone surrogates.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def escape_controls(text: str) -> str:
    """Return a text whose control and bidirectional characters are written as escapes; tabs and line breaks stay.

    >>> escape_controls("a\\x1b[2Jb")
    'a\\\\x1b[2Jb'
    """
    return _CONTROLS.sub(lambda match: match[0].encode("unicode_escape", "surrogatepass").decode(), text)
