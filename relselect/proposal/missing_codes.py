"""Finds codes for missing values among numbers: -999 among readings, 9999 among ages.

A code is kept as the value that it is: it becomes a note, because only a person knows that nobody is 9999 years old.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from relselect.database.columns import as_float
from relselect.proposal.facts import InspectedTable
from relselect.proposal.proposed_line import ProposedLine

__all__ = ["missing_codes"]

#: A code stands in so many rows at least, and in this share of the rows at most.
_LEAST, _MOST = 3, 0.5
#: It is further away from all other values than this part of their span.
_AWAY = 0.5


def missing_codes(table: InspectedTable, taken: set[str]) -> Iterator[ProposedLine]:
    """Yield notes on numerical columns whose least or greatest value is made of nines and far away from all others.

    Args:
        table: A table.
        taken: Columns about which nothing is noted: keys, references, times and dropped ones.
    """
    for column in table.columns.values():
        if column.kind not in ("integer", "number") or column.name in taken or column.distinct < 4:
            continue
        values = as_float(column.values)
        values = values[np.isfinite(values)]
        if len(values) == 0:
            continue
        for code, side in ((values.min(), "below"), (values.max(), "above")):
            others = values[values != code]
            count = len(values) - len(others)
            if not (len(others) and _of_nines(code) and _LEAST <= count <= _MOST * len(values)):
                continue
            low, high = others.min(), others.max()
            if max(low - code, code - high) > _AWAY * max(high - low, 1.0):
                why = (
                    f"is {code:g} in {count:,} rows, far {side} all other values ({low:g} to {high:g}): where that stands for "
                    "missing, make it NULL in the data or in a view, as means and sums read it as a number"
                )
                yield ProposedLine(table.name, (column.name,), "note", "", 0.5, why, {"rows": count})


def _of_nines(value: float) -> bool:
    """Whether a number is -9, 99, -999, 9999.0 and so on; 9 itself is an ordinary digit."""
    digits = str(int(abs(value))) if value == int(value) else ""
    return set(digits) == {"9"} and (len(digits) > 1 or value < 0)
