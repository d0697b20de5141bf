"""Finds how a CSV file is written: its separator, its encoding, and the columns whose numbers begin with zeros.

Only the beginning of the file decides about separator and zeros; the whole file has to be in its encoding. Signs of decimals and
forms of dates are declared as formats (`relselect.database.formats`), not found here.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pyarrow as pa

__all__ = ["CsvDialect", "csv_dialect"]

_CHUNK = 1 << 22
_HEAD = 1 << 18
_LINES = 5_000
#: The least share of rows that have as many values as the header.
_EVEN = 0.9
_SEPARATORS = (",", ";", "\t", "|")
_CODE = re.compile(r"0\d+")
_MARKS = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True)
class CsvDialect:
    """How a CSV file is written.

    Attributes:
        separator: What stands between two values.
        encoding: "utf8", "utf-16" or "cp1252"; None where the text is in none of these.
        bad_byte: The first byte that is not UTF-8, from 0; None in a file of UTF-8.
        codes: Columns of digits of which some begin with a zero, such as postcodes: as numbers they would lose it.
    """

    separator: str = ","
    encoding: str | None = "utf8"
    bad_byte: int | None = None
    codes: frozenset[str] = frozenset()

    @property
    def note(self) -> str | None:
        """What a reader should know of the file, as the predicate of a sentence; None where it is plain."""
        if self.encoding == "cp1252":
            return f"is not UTF-8 at byte {self.bad_byte}; it is read as Windows-1252, which Latin-1 is part of"
        return None


def csv_dialect(path: Path) -> CsvDialect:
    """Return how a file is written.

    Args:
        path: A CSV file, gzipped or not.

    Raises:
        OSError: The file cannot be read.
    """
    status = path.stat()
    return _found(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=1024)
def _found(path: Path, size: int, written: int) -> CsvDialect:
    """Return how a file is written; one that was replaced has another size or time, and is read anew."""
    del size, written
    with pa.input_stream(str(path)) as stream:
        head: bytes = stream.read(_HEAD)
    marked = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    bad = None if marked else _first_bad_byte(path)
    encoding = marked or ("utf8" if bad is None else _single_byte(path))
    if encoding is None:
        return CsvDialect(encoding=None, bad_byte=bad)
    whole = len(head) < _HEAD
    text = head.decode("utf-8-sig" if encoding == "utf8" else encoding, errors="replace")
    lines = text if whole else text.rpartition("\n")[0]
    rows = {sign: _rows(lines, sign) for sign in _SEPARATORS}
    separator = next((sign for sign in _SEPARATORS if _fits(rows[sign])), ",")
    return CsvDialect(separator, encoding, bad, _codes(rows[separator]))


def _rows(text: str, separator: str) -> list[list[str]]:
    """Return the header and the first rows; none where the text cannot be split."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    rows: list[list[str]] = []
    try:
        for row in reader:
            if row:
                rows.append(row)
            if len(rows) > _LINES:
                break
    except csv.Error:
        return rows
    return rows


def _fits(rows: list[list[str]]) -> bool:
    """Whether a separator splits nearly every row into as many values as the header, and more than one."""
    return bool(rows) and len(rows[0]) > 1 and sum(len(row) == len(rows[0]) for row in rows) >= _EVEN * len(rows)


def _codes(rows: list[list[str]]) -> frozenset[str]:
    if not rows:
        return frozenset()
    found = set()
    for place, name in enumerate(rows[0]):
        values = [row[place].strip() for row in rows[1:] if len(row) == len(rows[0]) and row[place].strip()]
        if values and all(value.isdigit() for value in values) and any(_CODE.fullmatch(value) for value in values):
            found.add(name)
    return frozenset(found)


def _single_byte(path: Path) -> str | None:
    """Return "cp1252" where all bytes are printable signs of it; else None."""
    decoder = codecs.getincrementaldecoder("cp1252")()
    with pa.input_stream(str(path)) as stream:
        while chunk := stream.read(_CHUNK):
            try:
                text = decoder.decode(chunk)
            except UnicodeDecodeError:
                return None
            if re.search("[\x00-\x08\x0e-\x1f\x7f]", text):
                return None
    return "cp1252"


def _first_bad_byte(path: Path) -> int | None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    done = 0
    with pa.input_stream(str(path)) as stream:
        while True:
            chunk = stream.read(_CHUNK)
            pending = len(decoder.getstate()[0])
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                return done - pending + error.start
            if not chunk:
                return None
            done += len(chunk)
