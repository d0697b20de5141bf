"""Writes rows of a table as sentences: names of columns and values in a stable form, missing values left out.

A sentence holds nothing but its own row, so it depends on nothing that is later than the row. Keys are left out, because their
values mean nothing outside their database, and so are columns whose values become known after the row.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["MOST_CHARACTERS", "SentenceColumn", "row_sentences", "value_spans"]

#: Characters of a sentence that are kept.
MOST_CHARACTERS = 1_000
_WORDS = re.compile(r"[_\-.\s]+|(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True)
class SentenceColumn:
    """Which columns of a table make the sentence of a row, and the language model that reads it.

    Attributes:
        columns: The columns, in their order in the sentence.
        model: Name or folder of the language model, as it was asked for; "" for the one that is installed.
        identity: Hash of the model's files: vectors of another model mean something else.
        width: Entries of its vectors.
        tokens: Whether sentences are kept as tokens, for a network that trains layers of the model, in place of vectors.
    """

    columns: tuple[str, ...]
    model: str
    identity: str
    width: int
    tokens: bool = False


def row_sentences(table: str, data: pa.Table, columns: Sequence[str]) -> list[str]:
    """Return one sentence per row, of at most `MOST_CHARACTERS` characters.

    Args:
        table: The table's name, which begins the sentence.
        data: n rows.
        columns: The columns to write, in order; numbers have up to six significant digits, moments are ISO dates, with a time of
            day unless it is midnight.

    Returns:
        n sentences, such as "races: year 2009; round 1; name Australian Grand Prix; date 2009-03-29".

    Example:
        >>> data = pa.table({"raceName": ["Monza", None], "laps": [53, 44]})
        >>> row_sentences("races", data, ["raceName", "laps"])
        ['races: race name Monza; laps 53', 'races: laps 44']
    """
    parts = [
        pc.fill_null(pc.binary_join_element_wise(f"; {spoken(name)}", _texts(data[name]), " "), "") for name in columns
    ]
    head = spoken(table)
    if not parts:
        return [head] * data.num_rows
    joined = pc.binary_join_element_wise(*parts, "")
    return [f"{head}: {text[2:]}"[:MOST_CHARACTERS] if text else head for text in joined.to_pylist()]


def value_spans(table: str, data: pa.Table, columns: Sequence[str]) -> list[list[tuple[int, int]]]:
    """Return where the values stand in the sentences of `row_sentences`; everything else is names of the schema.

    Args:
        table: The table's name.
        data: n rows.
        columns: The columns, as in `row_sentences`.

    Returns:
        Per row, the first character of each value and the one behind its last, in order; values that are missing, empty or cut
        off have none.

    Example:
        >>> data = pa.table({"raceName": ["Monza", None], "laps": [53, 44]})
        >>> value_spans("races", data, ["raceName", "laps"])
        [[(17, 22), (29, 31)], [(12, 14)]]
    """
    shown = [(len(spoken(name)), _texts(data[name]).to_pylist()) for name in columns]
    head, found = len(spoken(table)), []
    for row in range(data.num_rows):
        end, spans = head, []
        for width, values in shown:
            if values[row] is None:
                continue
            begin = end + 2 + width + 1  # two characters between parts, one between name and value
            end = begin + len(values[row])
            if begin < min(end, MOST_CHARACTERS):
                spans.append((begin, min(end, MOST_CHARACTERS)))
        found.append(spans)
    return found


def spoken(name: str) -> str:
    """Return a name as words in small letters: "raceName" and "race_name" are "race name"."""
    return " ".join(word for word in _WORDS.split(name) if word).lower()


def _texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return values as text, null where missing; the form does not depend on other rows."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _texts(column.cast(kind.value_type))
    if pa.types.is_boolean(kind):
        return pc.if_else(column, "yes", "no")
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        plain = column.cast(pa.timestamp("us"))
        day = pc.strftime(plain, format="%Y-%m-%d")
        midnight = pc.equal(plain, pc.floor_temporal(plain, unit="day"))
        return pc.if_else(midnight, day, pc.strftime(plain, format="%Y-%m-%d %H:%M"))
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        values = column.cast(pa.float64()).to_pylist()
        shown = [None if value is None or value != value else f"{value:.6g}" for value in values]
        return pa.chunked_array([shown], pa.string())
    return column.cast(pa.string())
