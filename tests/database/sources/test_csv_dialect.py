"""How CSV files are written: separators, encodings, digits that are codes."""

from __future__ import annotations

import codecs
import gzip
from pathlib import Path

import pytest

from relselect.database import Database
from relselect.database.sources.csv_dialect import csv_dialect
from relselect.errors import SchemaError

_ROWS = [["id", "city", "zip"], ["1", "Köln, West", "01234"], ["2", "München", "80331"]]


def _written(separator: str) -> str:
    return "".join(separator.join(f'"{v}"' if "," in v else v for v in row) + "\n" for row in _ROWS)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("zipped", [False, True])
def test_separators_and_encodings(tmp_path: Path, separator: str, encoding: str, zipped: bool) -> None:
    content = _written(separator).encode(encoding)
    suffix = ".tsv" if separator == "\t" else ".csv"
    path = tmp_path / f"t{suffix}{'.gz' if zipped else ''}"
    path.write_bytes(gzip.compress(content) if zipped else content)
    database = Database.from_uri(tmp_path, keys={"t": "id"})
    assert database["t"].data.to_pydict() == {
        "id": [1, 2],
        "city": ["Köln, West", "München"],
        "zip": ["01234", "80331"],
    }
    assert any("read as Windows-1252" in note for note in database.notes) == (encoding == "cp1252")


def test_a_comma_stays_the_separator_where_it_fits(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,note\n1,a;b\n2,c;d\n")
    assert csv_dialect(tmp_path / "t.csv").separator == ","


def test_decimal_commas_do_not_split(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id;value\n1;1,5\n2;2,5\n")
    assert csv_dialect(tmp_path / "t.csv").separator == ";"


def test_codes_of_several_files_read_alike(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "a.csv").write_text("id,zip\n1,12345\n")
    (tmp_path / "t" / "b.csv").write_text("id,zip\n2,01234\n")
    database = Database.from_uri(tmp_path, keys={"t": "id"})
    assert database["t"].data["zip"].to_pylist() == ["12345", "01234"]


def test_zero_itself_and_fractions_are_numbers(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,a,b\n0,0,0.5\n1,10,0.25\n")
    assert csv_dialect(tmp_path / "t.csv").codes == frozenset()


@pytest.mark.parametrize("content", [b"id,w\n1,\x81\n", b"id,w\n1,\xe9\x00\n", codecs.BOM_UTF8 + b"id,w\n1,\x90\n"])
def test_what_is_no_text_has_no_encoding(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    assert csv_dialect(tmp_path / "t.csv").encoding is None


def test_files_of_one_table_with_other_types_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "a.csv").write_text("id,w\n1,5\n")
    (tmp_path / "t" / "b.csv").write_text("id,w\n2,heavy\n")
    with pytest.raises(SchemaError, match="its files hold different types in one column"):
        Database.from_uri(tmp_path, keys={"t": "id"})
    database = Database.from_uri(tmp_path, keys={"t": "id"}, types={"t": {"w": "text"}})
    assert database["t"].data["w"].to_pylist() == ["5", "heavy"]


def test_an_uneven_row_is_told_in_the_separator_of_the_others(tmp_path: Path) -> None:
    rows = [f"{n};x{n}" for n in range(20)]
    (tmp_path / "t.csv").write_text("\n".join(["id;w", *rows, "20;y;z"]) + "\n")
    with pytest.raises(SchemaError, match=r"has rows without 2 values \(row 22 has 3"):
        Database.from_uri(tmp_path, keys={"t": "id"})
