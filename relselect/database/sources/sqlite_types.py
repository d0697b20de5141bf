"""Derives the Arrow type of each SQLite column from its declared type and its stored values, and converts the values.

SQLite lets any column hold any kind of value; here a column has one. Dates and timestamps may be stored as ISO text, as
seconds, milliseconds or microseconds since 1970 (distinguished by their size), or as Julian days. In a column of numbers,
dates or booleans an empty text is NULL. Integers below 100 million in a date column stay integers, as they are no
seconds. Any other mixture of values is refused, not converted.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["Family", "Stored", "Unreadable", "arrow_type", "convert", "family_of"]

Family = Literal["integer", "real", "numeric", "text", "boolean", "date", "timestamp", "time", "blob", "any"]

_DIGITS = 18
_SECONDS_FROM, _MILLIS_FROM, _MICROS_FROM = 10**8, 10**11, 10**14
_JULIAN = (1721059.5, 5373484.5)
_UNIX_EPOCH = 2440587.5
_DECIMAL = re.compile(r"\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)")
_ZONE = r"(?:[Zz]|[+-]\d{2}:?\d{2})$"
_TRUE, _FALSE = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")


class Unreadable(Exception):
    """The values of a column do not fit its type; the message says how."""


@dataclass(frozen=True)
class Stored:
    """What a column holds: the number of values of each storage class, and their range.

    Attributes:
        integers: Values stored as whole numbers.
        reals: Values stored as floating point.
        texts: Values stored as text that is not empty.
        empties: Empty texts.
        blobs: Values stored as bytes.
        largest: The largest absolute number.
        longest: The length of the longest text.
        example: The smallest text; None without texts.
    """

    integers: int = 0
    reals: int = 0
    texts: int = 0
    empties: int = 0
    blobs: int = 0
    largest: float = 0.0
    longest: int = 0
    example: str | None = None

    @classmethod
    def of(cls, counted: Sequence[Any]) -> Stored:
        """Build it from the aggregates of a query, in the order of the fields; NULL, for no rows, is the default."""
        default = cls()
        return cls(
            *[
                getattr(default, field.name) if value is None else value
                for field, value in zip(fields(cls), counted, strict=True)
            ]
        )

    def __str__(self) -> str:
        counts = {"whole numbers": self.integers, "floats": self.reals, "texts": self.texts, "blobs": self.blobs}
        shown = [f"{count:,} {name}" for name, count in counts.items() if count]
        return ", ".join(shown) + (f", e.g. {self.example!r}" if self.example is not None else "")


def family_of(declared: str) -> Family:
    """Return the family of a declared type, by SQLite's affinity rules and the usual names of dates and booleans."""
    upper = declared.upper()
    if "BOOL" in upper:
        return "boolean"
    if "TIMESTAMP" in upper or "DATETIME" in upper:
        return "timestamp"
    if upper.startswith("DATE"):
        return "date"
    if upper.startswith("TIME"):
        return "time"
    if "INT" in upper:
        return "integer"
    if any(word in upper for word in ("CHAR", "CLOB", "TEXT", "UUID", "JSON", "ENUM", "STRING")):
        return "text"
    if not upper or "ANY" in upper:
        return "any"
    if any(word in upper for word in ("BLOB", "BINARY", "BYTEA", "IMAGE")):
        return "blob"
    if any(word in upper for word in ("REAL", "FLOA", "DOUB", "MONEY")):
        return "real"
    return _of_decimal(upper)


def _of_decimal(upper: str) -> Family:
    found = _DECIMAL.search(upper)
    whole = found is not None and int(found[1]) <= _DIGITS and not int(found[2] or 0)
    return "integer" if whole else "numeric"


def arrow_type(family: Family, stored: Stored) -> pa.DataType:
    """Return the Arrow type of a column.

    Raises:
        Unreadable: The stored values have no type in common, or do not fit the declared one.
    """
    kinds = {
        name for name, count in (("number", stored.integers + stored.reals), ("text", stored.texts),
                                 ("blob", stored.blobs)) if count
    }  # fmt: skip
    if len(kinds) > 1 or (family == "text" and kinds == {"blob"}):
        raise Unreadable("mixes kinds of values")
    if family in ("date", "timestamp"):
        return _time_type(family, stored)
    if family == "boolean":
        odd = stored.largest > 1 or stored.reals
        return pa.int64() if odd and not stored.reals else pa.float64() if stored.reals else pa.bool_()
    if kinds == {"text"} and family in ("integer", "real", "numeric"):
        raise Unreadable("is declared as a number and holds text")
    if family == "time":
        return pa.time64("us") if kinds <= {"text"} else _number_type(stored)
    if family in ("integer", "real", "numeric"):
        return pa.float64() if stored.reals or family != "integer" else pa.int64()
    if kinds == {"blob"} or (family == "blob" and not kinds):
        return pa.binary()
    return _number_type(stored) if kinds == {"number"} and family != "text" else pa.string()


def _number_type(stored: Stored) -> pa.DataType:
    return pa.float64() if stored.reals else pa.int64()


def _time_type(family: Family, stored: Stored) -> pa.DataType:
    if stored.blobs:
        raise Unreadable("is declared as a time and holds bytes")
    if stored.texts:
        return pa.date32() if family == "date" and stored.longest <= len("2020-01-01") else pa.timestamp("us")
    if stored.reals or stored.largest >= _SECONDS_FROM:
        return pa.timestamp("us")
    return pa.int64() if stored.integers else pa.date32() if family == "date" else pa.timestamp("us")


def convert(values: Sequence[Any], dtype: pa.DataType, stored: Stored) -> pa.Array:
    """Return one column of fetched values as an Arrow array.

    Args:
        values: The values from the driver: None, int, float, str or bytes.
        dtype: The type from `arrow_type`.
        stored: What the whole column holds.

    Raises:
        Unreadable: A value does not fit.
    """
    try:
        if not pa.types.is_string(dtype) and stored.empties:
            values = [None if value == "" else value for value in values]
        if pa.types.is_boolean(dtype):
            return pa.array([_boolean(value) for value in values], dtype)
        if pa.types.is_timestamp(dtype) or pa.types.is_date(dtype):
            return _times(values, dtype, stored)
        if pa.types.is_time(dtype):
            return pa.array([None if value is None else dt.time.fromisoformat(value) for value in values], dtype)
        return pa.array(values, dtype)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise Unreadable(f"does not read as {dtype}: {str(error).splitlines()[0]}") from None


def _boolean(value: Any) -> bool | None:
    if value is None or isinstance(value, int):
        return None if value is None else bool(value)
    word = str(value).strip().lower()
    if word not in _TRUE + _FALSE:
        raise Unreadable(f"is declared as a boolean and holds {value!r}")
    return word in _TRUE


def _times(values: Sequence[Any], dtype: pa.DataType, stored: Stored) -> pa.Array:
    if stored.texts:
        return _parsed(pa.array(values, pa.string()), dtype)
    numbers = pa.array(values, pa.float64() if stored.reals else pa.int64())
    if not stored.reals:
        factor = 1 if stored.largest >= _MICROS_FROM else 1_000 if stored.largest >= _MILLIS_FROM else 1_000_000
        return pc.cast(pc.multiply_checked(numbers, factor), pa.timestamp("us"))
    if _JULIAN[0] <= stored.largest <= _JULIAN[1]:
        # a Julian day as a float resolves about 40 microseconds, so values are rounded to milliseconds
        millis = pc.round(pc.multiply(pc.subtract(numbers, _UNIX_EPOCH), 86_400_000.0))
        return pc.cast(pc.multiply(pc.cast(millis, pa.int64()), 1_000), pa.timestamp("us"))
    return pc.cast(pc.cast(pc.round(pc.multiply(numbers, 1e6)), pa.int64()), pa.timestamp("us"))


def _parsed(texts: pa.Array, dtype: pa.DataType) -> pa.Array:
    """Parse ISO texts; those with a zone are converted to UTC."""
    texts = pc.utf8_trim_whitespace(texts)
    if pa.types.is_date(dtype):
        return pc.cast(texts, dtype)
    zoned = pc.and_(pc.match_substring_regex(texts, _ZONE), pc.greater(pc.utf8_length(texts), 10))
    missing = pa.scalar(None, pa.string())
    bare = pc.cast(pc.if_else(zoned, missing, texts), dtype)
    if not pc.any(zoned).as_py():
        return bare
    in_utc = pc.cast(pc.if_else(zoned, texts, missing), pa.timestamp("us", "UTC"))
    return pc.coalesce(bare, pc.cast(in_utc, dtype))
