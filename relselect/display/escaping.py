"""Escapes cells for spreadsheets: text that begins as a formula.

Names and values come from data and bundles of others. Control characters are the business of `relselect.escaping`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["without_formulas"]

#: What a formula of a spreadsheet begins with, in narrow and in wide characters.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def without_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame whose text cannot be a formula: an apostrophe stands before text that begins as one.

    Spreadsheets run cells that begin with =, +, -, @, a tab or a return, whoever wrote them (CWE-1236). Numbers stay.
    """

    def safe(value: Any) -> Any:
        return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value

    changed = {name: frame[name].map(safe) for name in frame.columns if frame[name].dtype.kind not in "biufmM"}
    return frame.assign(**{str(name): column for name, column in changed.items()}).rename(columns=safe)
