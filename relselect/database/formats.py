"""Reads texts and whole numbers as the times and numbers that they stand for, by a format that is declared.

A format of times is a picture of one, such as "DD.MM.YYYY hh:mm", or says the unit of whole numbers, such as "milliseconds
since 1970". A format of numbers is an example, such as "1.234,56" or "1,234.56 EUR". No format is guessed while data are
read (`relselect.proposal.formats` proposes them), so that later data are read like those of the training.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from relselect.errors import SchemaProblem

__all__ = [
    "EPOCHS",
    "ISO",
    "NUMBER_FORMATS",
    "Format",
    "Formatting",
    "format_problems",
    "formatted_types",
    "read_format",
]

#: Dates and timestamps of ISO 8601, with or without a zone; those with a zone become UTC.
ISO = "ISO 8601"
#: Units of whole numbers -> how many make a second.
EPOCHS = {"seconds since 1970": 1, "milliseconds since 1970": 1_000, "microseconds since 1970": 1_000_000}
#: Examples of numbers -> sign of thousands, sign of decimals.
NUMBER_FORMATS = {
    "1.234,56": (".", ","),
    "1,234.56": (",", "."),
    "1 234,56": (" ", ","),
    "1 234.56": (" ", "."),
    "1'234.56": ("'", "."),
    "1234,56": ("", ","),
    "1234.56": ("", "."),
}
#: Token of a picture -> directive of strptime, regular expression.
_TOKENS = {
    "YYYY": ("%Y", r"\d{4}"),
    "YY": ("%y", r"\d{2}"),
    "MM": ("%m", r"\d{1,2}"),
    "DD": ("%d", r"(?P<day>\d{1,2})"),
    "hh": ("%H", r"\d{1,2}"),
    "mm": ("%M", r"\d{2}"),
    "ss": ("%S", r"\d{2}"),
    "AM": ("%p", r"[AaPp][Mm]"),
}
_TOKEN = re.compile(f"({'|'.join(_TOKENS)})")
_PICTURE = re.compile(r"[-/.: T,]*")
_ZONE = r"(?:[Zz]|[+-]\d{2}:?\d{2})$"
_ISO_DATE = r"^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:[Zz]|[+-]\d{2}(?::?\d{2})?)?)?$"
_BLANKS = "[\u00a0\u202f]"
_SHOWN = 3
_NO_FORMAT = (
    "is no format",
    "Write a picture of a time, such as 'DD.MM.YYYY hh:mm', 'ISO 8601' or 'milliseconds since 1970', or an example of a "
    "number, such as '1.234,56' or '1,234.56 EUR'",
)
_MOMENT = pa.timestamp("us")


@dataclass(frozen=True)
class Format:
    """A format of times or numbers.

    Attributes:
        text: The format as it is declared.
        dtype: The Arrow type of what is read.
        parse: Reads texts; those that do not fit become NULL.
    """

    text: str
    dtype: pa.DataType
    parse: Callable[[pa.Array], pa.Array] = field(repr=False, compare=False)

    def read(self, values: pa.Array) -> pa.Array:
        """Return the values that texts or whole numbers stand for, NULL where they do not fit.

        Values that are of the format's kind already (times where it reads times, numbers where it reads numbers) are
        returned as they are, but for their width.

        Args:
            values: Texts, whole numbers, or values of the format's kind, shape (rows,).

        >>> read_format("DD.MM.YYYY").read(pa.array(["31.01.2024", "soon"])).to_pylist()
        [datetime.datetime(2024, 1, 31, 0, 0), None]
        >>> read_format("1.234,56 EUR").read(pa.array(["1.250,00 EUR", "-3,5"])).to_pylist()
        [1250.0, -3.5]
        """
        if pa.types.is_dictionary(values.type):
            values = pc.cast(values, values.type.value_type)
        times = pa.types.is_timestamp(values.type) or pa.types.is_date(values.type)
        if times and self.dtype == _MOMENT:
            return pc.cast(values, _MOMENT, safe=False)
        numbers = pa.types.is_floating(values.type) or pa.types.is_integer(values.type)
        if numbers and (self.dtype == pa.float64() or self.text in EPOCHS):
            return self._of_numbers(values)
        texts = pc.cast(_whole(values) if numbers else values, pa.string())
        return self.parse(pc.utf8_trim_whitespace(pc.replace_substring_regex(texts, _BLANKS, " ")))

    def _of_numbers(self, values: pa.Array) -> pa.Array:
        if self.text not in EPOCHS:
            return pc.cast(values, pa.float64(), safe=False)
        moments = pc.multiply(pc.cast(values, pa.float64(), safe=False), 1e6 / EPOCHS[self.text])
        return pc.cast(pc.cast(pc.round(moments), pa.int64(), safe=False), _MOMENT)


def _whole(values: pa.Array) -> pa.Array:
    return pc.cast(values, pa.int64(), safe=False) if pa.types.is_floating(values.type) else values


def read_format(text: str) -> Format:
    """Return the format that a text declares.

    Args:
        text: A picture of a time of YYYY, YY, MM, DD, hh, mm, ss, AM and signs between them; "ISO 8601"; a key of
            `EPOCHS`; or a key of `NUMBER_FORMATS`, with a unit before or after it where the texts have one.

    Raises:
        ValueError: The text is no format.
    """
    if text == ISO:
        return Format(text, _MOMENT, _iso)
    if text in EPOCHS:
        return Format(text, _MOMENT, partial(_epoch, per_second=EPOCHS[text]))
    for example in sorted(NUMBER_FORMATS, key=len, reverse=True):
        before, found, after = text.partition(example)
        if found and not re.search(r"\d", before + after):
            thousands, decimal = NUMBER_FORMATS[example]
            signs = {"thousands": thousands, "decimal": decimal, "before": before.strip(), "after": after.strip()}
            return Format(text, pa.float64(), partial(_numbers, **signs))
    tokens, between = _TOKEN.findall(text), _TOKEN.sub("", text)
    complete = {"MM", "DD"} <= set(tokens) and len({"YYYY", "YY"} & set(tokens)) == 1
    if complete and len(set(tokens)) == len(tokens) and _PICTURE.fullmatch(between):
        return Format(text, _MOMENT, partial(_pictured, picture=text))
    raise ValueError(f"{text!r} is no format")


def _pictured(texts: pa.Array, picture: str) -> pa.Array:
    """Parse times; what the picture does not describe, and days that do not exist, such as the 31st of April, are NULL."""
    pattern = _TOKEN.sub(lambda token: _TOKENS[token[0]][0], picture)
    pattern = pattern.replace("%H", "%I") if "%p" in pattern else pattern
    pieces = [_TOKENS[piece][1] if piece in _TOKENS else re.escape(piece) for piece in _TOKEN.split(picture)]
    parts = pc.extract_regex(texts, f"^{''.join(pieces)}$")
    texts = pc.if_else(pc.is_valid(parts), texts, pa.scalar(None, pa.string()))
    found = pc.strptime(texts, format=pattern, unit="us", error_is_null=True)
    # the parser takes the 31st of April for the first of May
    same = pc.equal(pc.day(found), pc.cast(pc.struct_field(parts, "day"), pa.int64()))
    return pc.if_else(same, found, pa.scalar(None, _MOMENT))


def _iso(texts: pa.Array) -> pa.Array:
    missing = pa.scalar(None, pa.string())
    texts = pc.if_else(pc.match_substring_regex(texts, _ISO_DATE), texts, missing)
    zoned = pc.and_(pc.match_substring_regex(texts, _ZONE), pc.greater(pc.utf8_length(texts), len("2020-01-01")))
    plain = _cast_or_null(pc.if_else(zoned, missing, texts), _MOMENT)
    if not pc.any(zoned).as_py():
        return plain
    in_utc = _cast_or_null(pc.if_else(zoned, texts, missing), pa.timestamp("us", "UTC"))
    return pc.coalesce(plain, pc.cast(in_utc, _MOMENT))


def _cast_or_null(texts: pa.Array, dtype: pa.DataType) -> pa.Array:
    try:
        return pc.cast(texts, dtype)
    except pa.ArrowInvalid:
        return pa.array([_one(text, dtype) for text in texts], dtype)


def _one(text: pa.Scalar, dtype: pa.DataType) -> object:
    try:
        return text.cast(dtype).as_py()
    except pa.ArrowInvalid:
        return None


def _epoch(texts: pa.Array, per_second: int) -> pa.Array:
    whole = pc.if_else(pc.match_substring_regex(texts, r"^-?\d{1,18}$"), texts, pa.scalar(None, pa.string()))
    factor = pa.scalar(1_000_000 // per_second, pa.int64())
    return pc.cast(pc.multiply(pc.cast(whole, pa.int64()), factor), _MOMENT)


def _numbers(texts: pa.Array, thousands: str, decimal: str, before: str, after: str) -> pa.Array:
    groups = rf"\d{{1,3}}(?:{re.escape(thousands)}\d{{3}})+|" if thousands else ""
    for unit, place in ((before, "^{} *"), (after, " *{}$")):
        if unit:
            texts = pc.replace_substring_regex(texts, place.format(re.escape(unit)), "")
    fits = pc.match_substring_regex(texts, rf"^[-+]?(?:{groups}\d+)(?:{re.escape(decimal)}\d*)?$")
    texts = pc.if_else(fits, texts, pa.scalar(None, pa.string()))
    if thousands:
        texts = pc.replace_substring(texts, thousands, "")
    texts = pc.replace_substring_regex(pc.replace_substring(texts, decimal, "."), r"^\+|\.$", "")
    return pc.cast(texts, pa.float64())


def _has_value(values: pa.Array) -> pa.Array:
    """Return a mask of the values that are neither NULL nor a text of blanks."""
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        return pc.is_valid(values)
    return pc.fill_null(pc.match_substring_regex(values, r"\S"), False)


def formatted_types(columns: Mapping[str, str], formats: Mapping[str, str]) -> dict[str, str]:
    """Return column -> name of its Arrow type once its format is applied, of column -> name of the stored type.

    Args:
        columns: The columns, in order.
        formats: Column -> format; every one is a format.
    """
    read = {column: str(read_format(text).dtype) for column, text in formats.items()}
    return {column: read.get(column, dtype) for column, dtype in columns.items()}


def format_problems(table: str, formats: Mapping[str, str], columns: Iterable[str]) -> Iterator[SchemaProblem]:
    """Yield a problem for every declared format that is none, or whose column does not exist.

    Args:
        table: The table.
        formats: Column -> format.
        columns: The columns of the table.
    """
    known = list(columns)
    for column, text in formats.items():
        if column not in known:
            rule, fix = "is named in formats but is no column of the table", f"Use one of: {', '.join(known[:12])}"
            yield SchemaProblem(table, column, "formats", rule, fix)
        try:
            read_format(text)
        except ValueError:
            yield SchemaProblem(table, column, text, *_NO_FORMAT)


class Formatting:
    """Applies the formats of one table to its batches, and counts the values that do not fit.

    Args:
        table: The table's name, for notes and problems.
        formats: Column -> format; others are left alone.
    """

    def __init__(self, table: str, formats: Mapping[str, str]) -> None:
        self._table = table
        self._formats = {column: read_format(text) for column, text in formats.items()}
        self._present = dict.fromkeys(formats, 0)
        self._unread = dict.fromkeys(formats, 0)
        self._examples: dict[str, dict[str, None]] = {column: {} for column in formats}

    def schema(self, schema: pa.Schema) -> pa.Schema:
        """Return the schema of the formatted batches."""
        types = [self._formats[each.name].dtype if each.name in self._formats else each.type for each in schema]
        return pa.schema(list(zip(schema.names, types, strict=True)))

    def batches(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the batches with the values of their formats."""
        for batch in batches:
            if self._formats:
                columns = [
                    self._read(name, column) if name in self._formats else column
                    for name, column in zip(batch.schema.names, batch.columns, strict=True)
                ]
                batch = pa.RecordBatch.from_arrays(columns, schema=self.schema(batch.schema))
            yield batch

    def table(self, data: pa.Table) -> pa.Table:
        """Return a table with the values of its formats."""
        return (
            pa.Table.from_batches(self.batches(data.to_batches()), self.schema(data.schema)) if self._formats else data
        )

    def _read(self, name: str, values: pa.Array) -> pa.Array:
        read = self._formats[name].read(values)
        lost = pc.and_(_has_value(values), pc.is_null(read))
        self._present[name] += int(pc.sum(_has_value(values)).as_py() or 0)
        self._unread[name] += int(pc.sum(lost).as_py() or 0)
        shown = self._examples[name]
        if len(shown) < _SHOWN and pc.any(lost).as_py():
            more = pc.unique(pc.cast(values.filter(lost), pa.string())).slice(0, _SHOWN).to_pylist()
            shown.update(dict.fromkeys(more))
        return read

    def problems(self) -> list[SchemaProblem]:
        """Return a problem for every column of which more than half of the values do not fit its format."""
        return [
            SchemaProblem(
                self._table,
                name,
                format.text,
                f"is not how {self._unread[name]:,} of {self._present[name]:,} values are written, such as {self._shown(name)}",
                "Correct the format, or leave it out to keep the values as they are",
            )
            for name, format in self._formats.items()
            if 2 * self._unread[name] > self._present[name]
        ]

    def notes(self) -> list[str]:
        """Return a sentence for every column with values that do not fit its format, which are missing then."""
        return [
            f"{self._table}.{name}: {lost:,} of {self._present[name]:,} values do not read as {self._formats[name].text} and "
            f"are missing, such as {self._shown(name)}"
            for name, lost in self._unread.items()
            if lost and 2 * lost <= self._present[name]
        ]

    def _shown(self, name: str) -> str:
        return ", ".join(repr(text) for text in list(self._examples[name])[:_SHOWN])
