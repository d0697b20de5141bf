"""Escapes text for terminals (control and bidirectional characters) and for spreadsheets (cells that begin as formulas).

Names and values come from data and bundles of others. Deliberately not here: JSON, whose dump replaces them
(`relselect.serialization`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["escape_controls", "without_formulas"]

#: What a formula of a spreadsheet begins with, in narrow and in wide characters.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
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


def without_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame whose text cannot be a formula: an apostrophe stands before text that begins as one.

    Spreadsheets run cells that begin with =, +, -, @, a tab or a return, whoever wrote them (CWE-1236). Numbers stay.
    """

    def safe(value: Any) -> Any:
        return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value

    changed = {name: frame[name].map(safe) for name in frame.columns if frame[name].dtype.kind not in "biufmM"}
    return frame.assign(**{str(name): column for name, column in changed.items()}).rename(columns=safe)
