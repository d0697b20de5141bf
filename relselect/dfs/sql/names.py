"""Unique names for the relations and columns that a statement introduces, in plain characters."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["UniqueNames"]

_LONGEST = 40


class UniqueNames:
    """Returns no name twice; names that differ by case alone count as equal, as some databases fold case.

    Args:
        taken: Names that must not be returned.

    >>> names = UniqueNames(["Rows"])
    >>> names.new("rows"), names.new("rows"), names.new("Straße 1")
    ('rows_2', 'rows_3', 'stra_e_1')
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = {name.lower() for name in taken}

    def new(self, stem: str) -> str:
        """Return a name that starts with the stem, reduced to plain characters."""
        stem = re.sub(r"[^a-z0-9]+", "_", stem.lower())[:_LONGEST].strip("_") or "c"
        if stem[0].isdigit():
            stem = f"c_{stem}"
        name, number = stem, 1
        while name in self._taken:
            number += 1
            name = f"{stem}_{number}"
        self._taken.add(name)
        return name
