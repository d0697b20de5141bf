"""Proposes formats: how texts and whole numbers are read as the times and numbers that they stand for.

A format is proposed where nearly all values fit it and no other reading is as likely: dates that read day first as well as
month first become a note. Digits alone stay as they are, because codes are written so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from relselect.database.formats import EPOCHS, ISO, NUMBER_FORMATS, Formatting, read_format
from relselect.proposal.facts import ColumnFacts, Facts, InspectedTable, facts_of
from relselect.proposal.names import words_of
from relselect.proposal.overrides import Overrides
from relselect.proposal.proposed_line import GIVEN, ProposedLine
from relselect.proposal.words import BIRTH, CODES, CREATED, END, KNOWN, PLAIN_TIMES, PLANNED, YEARS

__all__ = ["formatted", "propose_formats"]

#: The least share of the values that fit a format of times, of numbers.
_TIMES, _NUMBERS = 0.98, 0.9
_LOOKED_AT = 5_000
_DATES = (
    "DD.MM.YYYY", "DD/MM/YYYY", "MM/DD/YYYY", "YYYY/MM/DD", "YYYY.MM.DD", "DD-MM-YYYY", "MM-DD-YYYY", "DD.MM.YY", "DD/MM/YY",
    "MM/DD/YY",
)  # fmt: skip
_CLOCKS = ("", " hh:mm", " hh:mm:ss", "Thh:mm", "Thh:mm:ss", " hh:mm AM", " hh:mm:ss AM", ", hh:mm", ", hh:mm:ss")
_DIGITS = ("YYYYMMDD", "YYYYMMDDhhmm", "YYYYMMDDhhmmss")
_PICTURES = (ISO, *_DIGITS, *(f"{date}{clock}" for date in _DATES for clock in _CLOCKS))
#: Format of whole numbers -> the numbers of 1971 and 2100, between which records lie.
_RANGES = {
    **{text: (31_536_000 * unit, 4_102_444_800 * unit) for text, unit in EPOCHS.items()},
    **{text: (19710101 * 10 ** (len(text) - 8), 21000101 * 10 ** (len(text) - 8)) for text in _DIGITS},
}
_TIME_WORDS = (
    YEARS | PLAIN_TIMES | CREATED | KNOWN | END | PLANNED | {"ms", "millis", "epoch", "booked", "bought", "sold"}
)
_NUMBER = re.compile(r"^\s*([^\d+\-.,]*?)\s*([-+]?\d[\d.,' \u00a0\u202f]*?)\s*(%|[^\d\s.,]*)\s*$")
_SIGNS = frozenset("$€£¥%")
_CODE_LIKE = CODES | {"version", "release", "phone", "ip"}


def propose_formats(facts: Facts, overrides: Mapping[str, Overrides]) -> list[ProposedLine]:
    """Return the formats of all tables: overrides, then what nearly all values of a column fit; and notes on unclear dates.

    Args:
        facts: The tables.
        overrides: Table -> the caller's overrides.
    """
    found: list[ProposedLine] = []
    for table in facts.tables.values():
        override = overrides.get(table.name, Overrides())
        for name, text in override.formats.items():
            found.append(ProposedLine(table.name, (name,), "format", text, reason="was given", origin=GIVEN))
        taken = {
            *override.settled,
            *override.formats,
            *table.entry.primary_key,
            *(c for columns in override.references for c in columns),
        }
        taken |= {column for key in table.entry.foreign_keys for column in key.columns} | set(override.key or ())
        for column in table.columns.values():
            if column.name not in taken and column.present:
                found += _proposed(column, table)
    return found


def formatted(facts: Facts, lines: Iterable[ProposedLine]) -> Facts:
    """Return facts whose columns hold what their formats read.

    Args:
        facts: The tables as they are stored.
        lines: The proposed lines; those that are no formats are passed over.
    """
    by_table: dict[str, dict[str, str]] = {}
    for line in lines:
        if line.what == "format":
            by_table.setdefault(line.table, {})[line.columns[0]] = line.value
    tables = dict(facts.tables)
    for name, formats in by_table.items():
        data = Formatting(name, formats).table(facts.tables[name].data)
        made = facts_of({name: data}).tables[name]
        kept = {c: facts.tables[name].columns[c] if c not in formats else made.columns[c] for c in made.columns}
        tables[name] = replace(made, columns=kept, entry=facts.tables[name].entry)
    return replace(facts, tables=tables, cache={})


def _proposed(column: ColumnFacts, table: InspectedTable) -> Iterator[ProposedLine]:
    if column.kind == "text":
        texts = column.plain.drop_null().combine_chunks()
        head = texts.take(pa.array(range(0, len(texts), max(1, -(-len(texts) // _LOOKED_AT)))))
        yield from _of_times(column, head) or _of_numbers(column, head)
    elif column.kind == "integer" and pa.types.is_integer(column.plain.type):
        yield from _of_integers(column)


def _of_times(column: ColumnFacts, head: pa.Array) -> list[ProposedLine]:
    """Return the format that reads most texts as times, or a note where two read all and differ."""
    first = [text for text in head.slice(0, 20).to_pylist() if text.strip()]
    if sum(bool(re.match(r"\s*\d", text)) for text in first) < len(first) / 2:
        return []
    shares = {text: _share(text, head) for text in _PICTURES if _share(text, head.slice(0, 200)) >= 0.5}
    if not set(words_of(column.name)) & (_TIME_WORDS | BIRTH):
        shares = {text: share for text, share in shares.items() if text not in _DIGITS}  # such texts are mostly codes
    best = max(shares, key=lambda text: shares[text], default="")
    if not best or shares[best] < _TIMES:
        return []
    other = best.replace("DD/MM", "MM/DD") if "DD/MM" in best else best.replace("DD-MM", "MM-DD")
    if other != best and shares.get(other, 0.0) == shares[best]:
        why = f"holds dates that read day first as well as month first; declare formats: {{{column.name}: {best}}} or {other}"
        return [ProposedLine(column.table, (column.name,), "note", "", 0.5, why)]
    return [_line(column, best, shares[best], "times")]


def _of_numbers(column: ColumnFacts, head: pa.Array) -> list[ProposedLine]:
    """Return the format that reads most texts as numbers; there has to be a sign of decimals, of thousands or a unit."""
    if set(words_of(column.name)) & _CODE_LIKE:
        return []
    split = [_NUMBER.match(text) for text in head.to_pylist()]
    parts = [match.groups() for match in split if match is not None]
    if len(parts) < _NUMBERS * len(split) or any(re.match(r"[-+]?0\d", number) for _, number, _ in parts):
        return []
    units = {(before, after) for before, _, after in parts if before or after}
    marked = any(re.search(r"[.,']", number) for _, number, _ in parts)
    if len(units) > 1 or not (marked or units) or not all(_is_unit(*unit, marked=marked) for unit in units):
        return []
    before, after = next(iter(units), ("", ""))
    numbers = [number.replace("\u00a0", " ").replace("\u202f", " ") for _, number, _ in parts]
    shares = {}
    for example, (thousands, decimal) in NUMBER_FORMATS.items():
        certain = [number for number in numbers if _tells(number, thousands, decimal)]
        text = f"{before}{' ' if before[-1:].isalpha() else ''}{example}{' ' if after[:1].isalpha() else ''}{after}"
        share = _share(text, head)
        if share >= _NUMBERS and (certain or (units and not marked)):
            shares[text] = (share, len(certain))
    best = max(shares, key=lambda text: shares[text], default="")
    return [_line(column, best, shares[best][0], "numbers")] if best else []


def _tells(number: str, thousands: str, decimal: str) -> bool:
    """Whether a number can be read in one way only: its decimals are not three digits, or it has both signs."""
    whole, found, fraction = number.rpartition(decimal)
    if not found:
        return number.count(thousands) > 1 if thousands.strip() else False
    return len(fraction) != 3 or bool(thousands and thousands in whole)


def _is_unit(before: str, after: str, *, marked: bool) -> bool:
    """Whether what stands around numbers is a unit: a sign of money or percent, the code of a currency, a short word after."""
    if before and after:
        return False
    if set(before + after) <= _SIGNS:
        return True
    if before:
        return marked and re.fullmatch("[A-Z]{3}", before) is not None
    return re.fullmatch(r"[^\W\d_]{1,4}", after) is not None


def _of_integers(column: ColumnFacts) -> list[ProposedLine]:
    words = set(words_of(column.name))
    if not words & _TIME_WORDS or words & BIRTH or column.distinct < 2:
        return []
    bounds = pc.min_max(column.plain)
    least, most = bounds["min"].as_py(), bounds["max"].as_py()
    for text, (low, high) in _RANGES.items():
        if least < low or most >= high:
            continue
        read = read_format(text).read(column.plain.drop_null().combine_chunks())
        if read.null_count <= (1 - _TIMES) * len(read):
            return [_line(column, text, 1 - read.null_count / len(read), "times")]
    return []


def _share(text: str, values: pa.Array) -> float:
    read = read_format(text).read(values)
    present = pc.sum(pc.match_substring_regex(values, r"\S")).as_py() or 0
    return (len(read) - read.null_count) / present if present else 0.0


def _line(column: ColumnFacts, text: str, share: float, what: str) -> ProposedLine:
    held = "texts" if column.kind == "text" else "whole numbers"
    lost = "" if share == 1 else f"; {1 - share:.1%} of them do not, and become missing"
    why = f"holds {held} that read as {what}{lost}"
    return ProposedLine(column.table, (column.name,), "format", text, 0.9 * share, why, {"share": share})
