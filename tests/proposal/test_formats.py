"""Proposed formats, composite references, and dates whose event has not happened yet."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest

from relselect.database.manifest import load_manifest
from relselect.database.sources.catalog import Catalog, CatalogColumn, CatalogTable
from relselect.proposal import propose
from relselect.proposal.facts import facts_of
from relselect.proposal.frames import infer

_DAYS = pd.date_range("2023-01-01 08:30", periods=60, freq="29h")


def _formats(values, name: str = "value") -> dict[str, str]:
    facts = facts_of({"t": pa.table({"id": list(range(len(values))), name: pa.array(values)})})
    return {each.column: each.value for each in propose(facts).lines if each.what == "format"}


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("%d.%m.%Y", "DD.MM.YYYY"),
        ("%d.%m.%Y %H:%M", "DD.MM.YYYY hh:mm"),
        ("%m/%d/%Y", "MM/DD/YYYY"),
        ("%d/%m/%Y %H:%M:%S", "DD/MM/YYYY hh:mm:ss"),
        ("%Y-%m-%dT%H:%M:%S+0200", "ISO 8601"),
        ("%Y-%m-%d", "ISO 8601"),
    ],
)
def test_times(pattern: str, text: str) -> None:
    assert _formats(_DAYS.strftime(pattern).tolist()) == {"value": text}


def test_digits_are_times_under_the_name_of_one() -> None:
    texts = _DAYS.strftime("%Y%m%d").tolist()
    assert _formats(texts, "booked_at") == {"booked_at": "YYYYMMDD"}
    assert _formats([int(text) for text in texts], "date") == {"date": "YYYYMMDD"}
    assert _formats(texts, "article") == {}
    seconds = (_DAYS.astype("datetime64[ns]").astype("int64") // 10**9).tolist()
    assert _formats(seconds, "created_at") == {"created_at": "seconds since 1970"}
    assert _formats([1000 * each for each in seconds], "started_ms") == {"started_ms": "milliseconds since 1970"}
    assert _formats(seconds, "points") == {}
    assert _formats(list(range(1960, 2020)), "year") == {}


def test_days_and_months_that_cannot_be_told_apart_are_a_note() -> None:
    facts = facts_of({"t": pa.table({"id": [1, 2], "day": ["01/02/2024", "03/04/2024"]})})
    lines = propose(facts).lines
    assert not [each for each in lines if each.what == "format"]
    assert any("day first as well as month first" in each.reason for each in lines)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (["1.234,56", "7,10", "12,5", "n.b."] + ["3,25"] * 30, "1.234,56"),
        (["1,234.56", "7.10"] * 5, "1,234.56"),
        (["12.50", "7.10", "3"] * 5, "1,234.56"),
        (["12,50 EUR", "7,10 EUR"] * 5, "1.234,56 EUR"),
        (["$12.50", "$1,007.10"] * 5, "$1,234.56"),
        (["12,5%", "7,25%"] * 5, "1.234,56%"),
        (["1 234,50", "7,10"] * 5, "1 234,56"),
        (["CHF 12.50", "CHF 7.10"] * 5, "CHF 1,234.56"),
        (["12 kg", "7 kg"] * 5, "1.234,56 kg"),
    ],
)
def test_numbers(values: list[str], text: str) -> None:
    assert _formats(values) == {"value": text}


@pytest.mark.parametrize(
    "values",
    [
        ["00123", "00456"],
        ["12345", "67890"],
        ["1,234", "5,678"],
        ["E11.9", "E10.1"],
        ["12.50 EUR", "7.10 USD"],
        ["1.2.3", "2.0.1"],
        ["a 1", "b 2"],
        ["Guild 1", "Guild 2"],
        ["Article 1.5", "Article 2.5"],
        ["0171 2345", "0172 3456"],
    ],
)
def test_codes_stay_texts(values: list[str]) -> None:
    assert _formats(values * 3) == {}


def test_an_override_of_a_format_and_its_manifest(tmp_path) -> None:
    proposal = infer({"t": pd.DataFrame({"id": [1, 2], "day": ["01/02/2024", "03/04/2024"]})}, "t.day as MM/DD/YYYY")
    assert proposal.to_database()["t"].data["day"].to_pylist()[0] == pd.Timestamp("2024-01-02")
    (tmp_path / "database.yaml").write_text(proposal.to_manifest())
    assert load_manifest(tmp_path / "database.yaml").tables["t"].formats == {"day": "MM/DD/YYYY"}
    kept = infer({"t": pd.DataFrame({"id": [1, 2], "day": ["31.01.2024", "03.04.2024"]})}, "t.day as text")
    assert kept.to_database()["t"].data["day"].to_pylist() == ["31.01.2024", "03.04.2024"]


def test_texts_that_are_times_become_the_time() -> None:
    proposal = infer({"orders": pd.DataFrame({"id": range(60), "placed": _DAYS.strftime("%d.%m.%Y %H:%M")})})
    assert proposal.spec("orders").time == "placed"
    assert proposal.override("orders: drop=placed").spec("orders").formats == {}


def test_columns_with_the_names_of_a_composite_key_refer_to_it() -> None:
    orders = pa.table({"shop": [1, 1, 2], "nr": [1, 2, 1], "total": [1.0, 2.0, 3.0]})
    lines = pa.table({"line": [1, 2, 3, 4], "shop": [1, 1, 2, 2], "nr": [1, 2, 1, 1]})
    entry = CatalogTable(
        {name: CatalogColumn(pa.int64(), "int") for name in ("shop", "nr")}, primary_key=("shop", "nr")
    )
    found = propose(facts_of({"orders": orders, "lines": lines}, catalog=Catalog({"orders": entry}))).of(
        "lines", "foreign_key"
    )
    assert [(each.columns, each.value) for each in found] == [(("shop", "nr"), "orders")]
    strange = lines.set_column(2, "nr", pa.array([7, 8, 9, 1]))
    other = propose(facts_of({"orders": orders, "lines": strange}, catalog=Catalog({"orders": entry})))
    assert other.of("lines", "foreign_key") == []


def test_a_date_that_the_latest_rows_lack_is_a_clock() -> None:
    begun = pd.Series(pd.date_range("2023-01-01", periods=400, freq="D"))
    until = begun + pd.to_timedelta([3 + i % 7 for i in range(400)], unit="D")
    stays = pd.DataFrame({"id": range(400), "begun": begun, "over": until.where(until < "2024-01-31")})
    assert infer({"stays": stays}).spec("stays").known_at == {"over": []}
    anywhere = stays.assign(over=until.where(stays.id % 80 != 0))
    assert infer({"stays": anywhere}).spec("stays").known_at == {}


def test_a_secret_that_is_a_key_joins_tables() -> None:
    ibans = [f"DE{n:020d}" for n in range(50)]
    tables = {
        "accounts": pd.DataFrame({"iban": ibans, "pin": [f"x{n % 7}{n}" for n in range(50)]}),
        "transfers": pd.DataFrame({"nr": range(90), "debtor_iban": [ibans[n * 7 % 50] for n in range(90)],
                                   "creditor_iban": [ibans[n * 3 % 50] for n in range(90)]}),
    }  # fmt: skip
    proposal = infer(tables)
    assert proposal.spec("accounts").primary_key == "iban"
    assert proposal.spec("accounts").drop == ["pin"]
    assert {(key.columns, key.table) for key in proposal.spec("transfers").foreign_keys} == {
        ("debtor_iban", "accounts"), ("creditor_iban", "accounts")
    }  # fmt: skip


def test_versions_that_nothing_can_refer_to_are_a_note() -> None:
    wards = pd.DataFrame({
        "ward_no": [f"W{n % 9}" for n in range(27)],
        "valid_from": pd.date_range("2020-01-01", periods=27, freq="40D"),
    })  # fmt: skip
    stays = pd.DataFrame({"id": range(200), "ward_no": [f"W{n * 5 % 9}" for n in range(200)]})
    notes = infer({"wards": wards, "stays": stays}).of("stays", "note")
    assert [each.column for each in notes] == ["ward_no"]
    assert "A table or view of the distinct ward_no" in notes[0].reason
    named = wards.drop_duplicates("ward_no")
    assert infer({"wards": named, "stays": stays}).of("stays", "note") == []
