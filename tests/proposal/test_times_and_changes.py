"""Times, columns that are written after their row, and what columns mean."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import yaml

from relselect.database.manifest import parse_manifest
from relselect.proposal import facts_of, propose
from relselect.proposal.words import is_update
from tests.shop import days

ROWS = 200
DAYS = np.arange(ROWS) * 1.0
LATER = [None if i % 5 == 0 else float(i + 3) for i in range(ROWS)]


def findings(columns: dict[str, object], *overrides: str, **others: dict[str, object]) -> set[tuple[str, str, str]]:
    tables = {"things": {"id": list(range(ROWS)), **columns}, **others}
    proposal = propose(facts_of({name: pa.table(each) for name, each in tables.items()}), overrides)
    return {(each.what, each.column, each.value) for each in proposal.lines if each.table == "things"}


@pytest.mark.parametrize(
    ("columns", "time"),
    [
        (("created_at", "shipped_at"), "created_at"),
        (("birth_date", "joined"), "joined"),
        (("updated_at", "event_date"), "event_date"),
        (("transaction_date", "received"), "received"),
        (("start_date", "end_date"), "start_date"),
        (("birth_date", "last_login"), None),
        (("expires",), "expires"),
    ],
)
def test_the_time_of_a_row(columns: tuple[str, ...], time: str | None) -> None:
    found = findings({name: days(DAYS + place) for place, name in enumerate(columns)})
    assert {each[1] for each in found if each[0] == "time"} == ({time} if time else set())


def test_a_time_that_is_missing_or_never_changes_is_none() -> None:
    found = findings({"created": days(LATER), "loaded": days([5.0] * ROWS)})
    assert not [each for each in found if each[0] == "time"]


def test_whole_numbers_are_times_where_there_are_no_others() -> None:
    years = [1990 + i % 30 for i in range(ROWS)]
    assert ("time", "year", "") in findings({"year": years})
    assert ("time", "ts", "") in findings({"ts": [1_600_000_000 + i for i in range(ROWS)]})
    assert ("time", "year", "") not in findings({"year": [i % 30 for i in range(ROWS)]})
    assert ("note", "year", "") in findings({"year": years}, other={"id": [1, 2], "created": days([1.0, 2.0])})


def test_dates_as_text_are_read_or_reported() -> None:
    found = findings({"opened": [f"{1 + i % 28:02}.01.2020" for i in range(ROWS)]})
    assert {("format", "opened", "DD.MM.YYYY"), ("time", "opened", "")} <= found
    mixed = [f"{1 + i % 28:02}.01.2020" if i % 2 else f"2020-01-{1 + i % 28:02}" for i in range(ROWS)]
    assert ("note", "opened", "") in findings({"opened": mixed})


def test_what_hangs_on_a_later_time_is_masked_by_it() -> None:
    outcome = [None if day is None else day % 3 for day in LATER]
    status = ["open" if day is None else "done" for day in LATER]
    found = findings({
        "created": days(DAYS), "closed_at": days(LATER), "outcome": outcome, "status": status, "size": list(DAYS % 9),
    })  # fmt: skip
    assert ("known_at", "closed_at", "outcome, status") in found
    assert not any(each[0] == "drop" for each in found)


def shipped_and_delivered() -> dict[str, object]:
    shipped = [None if i % 5 == 0 else i + 2.0 for i in range(ROWS)]
    delivered = [None if day is None or i % 7 == 0 else day + 1 + i % 15 for i, day in enumerate(shipped)]
    states = {(False, False): "open", (True, False): "shipped", (True, True): "delivered"}
    status = [states[one is not None, other is not None] for one, other in zip(shipped, delivered, strict=True)]
    return {"created": days(DAYS), "status": status, "shipped_at": days(shipped), "delivered_at": days(delivered)}


def test_a_status_hangs_on_the_latest_date_and_no_date_on_another() -> None:
    found = findings(shipped_and_delivered())
    assert ("known_at", "delivered_at", "status") in found
    assert ("known_at", "shipped_at", "") in found
    assert not [each for each in found if each[0] == "known_at" and "_at" in each[2]]


def test_a_status_hangs_on_the_latest_date_although_a_few_rows_are_wrong() -> None:
    columns = shipped_and_delivered()
    columns["status"][3] = "delivered"  # type: ignore[index]  # it has no date of delivery yet
    columns["status"][1] = "shipped"  # type: ignore[index]
    assert ("known_at", "delivered_at", "status") in findings(columns)


def test_dates_with_the_same_gaps_have_clocks_of_their_own() -> None:
    """The shipped date is missing in the same rows as the delivered one, which comes up to 15 days later."""
    shipped = [None if i % 5 == 0 else i + 2.0 for i in range(ROWS)]
    delivered = [None if day is None else day + 1 + i % 15 for i, day in enumerate(shipped)]
    carrier = [None if day is None else f"c{i % 3}" for i, day in enumerate(shipped)]
    planned = [None if day is None else day + 5 for day in shipped]
    found = findings({
        "created": days(DAYS), "shipped_at": days(shipped), "delivered_at": days(delivered), "carrier": carrier,
        "expected_date": days(planned),
    })  # fmt: skip
    assert ("known_at", "delivered_at", "carrier, expected_date") in found
    assert ("known_at", "shipped_at", "") in found


def test_a_later_time_on_which_nothing_hangs_masks_itself() -> None:
    table = pa.table({
        "id": list(range(ROWS)), "created": days(DAYS), "returned": days(LATER), "size": [i % 9 for i in range(ROWS)],
    })  # fmt: skip
    proposal = propose(facts_of({"things": table}))
    assert proposal.spec("things").known_at == {"returned": []}
    declared = parse_manifest(yaml.safe_load(proposal.to_manifest()))
    assert declared.tables["things"].known_at == {"returned": []}
    database = proposal.to_database()
    assert database["things"].clock_of("returned") == "returned"
    assert "known_at returned" in database["things"].describe()


def test_plans_are_known_in_advance() -> None:
    found = findings({"created": days(DAYS), "due_date": days([None if i % 9 == 0 else i + 7.0 for i in range(ROWS)])})
    assert not any(each[0] in ("drop", "known_at") for each in found)


@pytest.mark.parametrize(
    "name", ["updated_at", "LastEditDate", "last_update", "lastLogin", "date_modified", "modified_by"]
)
def test_marks_of_an_update(name: str) -> None:
    assert is_update(name)
    assert ("drop", name, "") in findings({name: [f"v{i % 7}" for i in range(ROWS)]})


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("status_history", ("changed", "status")),
        ("TicketAuditLog", ("updated_at", "state", "status")),
        ("moves", ("changed_on", "from_status", "to_status")),
        ("price_changes", ("modified", "old_price", "new_price")),
    ],
)
def test_a_log_of_changes_keeps_the_time_and_the_states_of_its_changes(table: str, columns: tuple[str, ...]) -> None:
    values = {name: [f"s{(i + place) % 4}" for i in range(ROWS)] for place, name in enumerate(columns[1:])}
    found = proposed(**{table: {"id": list(range(ROWS)), columns[0]: days(DAYS), **values}})
    assert [each.column for each in found.of(table, "time")] == [columns[0]]
    assert not found.of(table, "drop")


@pytest.mark.parametrize("table", ["tickets", "catalog", "logins", "exchange_accounts"])
def test_a_table_that_is_no_log_loses_the_time_of_its_last_update(table: str) -> None:
    columns = {"id": list(range(ROWS)), "updated_at": days(DAYS), "status": ["a", "b"] * (ROWS // 2)}
    found = proposed(**{table: columns})
    assert not found.of(table, "time")
    assert {each.column for each in found.of(table, "drop")} == {"updated_at", "status"}


@pytest.mark.parametrize("name", ["last_name", "nameLast", "date", "created_at", "first_date", "blast"])
def test_names_that_are_no_marks_of_an_update(name: str) -> None:
    assert not is_update(name)


def test_counts_of_later_rows_are_dropped() -> None:
    parents = np.random.default_rng(0).integers(0, ROWS, 900)
    answers = {"id": list(range(900)), "thing_id": parents, "date": days(np.arange(900) + 500.0)}
    counts = np.bincount(parents, minlength=ROWS)
    found = findings({"created": days(DAYS), "answer_count": counts, "count_rooms": counts % 4}, answers=answers)
    assert ("drop", "answer_count", "") in found
    assert ("drop", "count_rooms", "") not in found


def test_secrets_states_and_empty_columns_are_dropped() -> None:
    found = findings({"password": ["x"] * ROWS, "status": ["a", "b"] * (ROWS // 2), "gone": pa.nulls(ROWS)})
    assert {each[1] for each in found if each[0] == "drop"} == {"password", "status", "gone"}


def test_meanings() -> None:
    found = findings({
        "colour_code": [i % 7 for i in range(ROWS)],
        "session_id": [i * 37 + 5 for i in range(ROWS)],
        "website": [f"http://x/{i}" for i in range(ROWS)],
        "unit": ["kg"] * ROWS,
        "height": [i % 40 for i in range(ROWS)],
    })  # fmt: skip
    types = {(column, value) for what, column, value in found if what == "type"}
    assert types == {
        ("colour_code", "categorical"), ("session_id", "ignored"), ("website", "ignored"), ("unit", "ignored"),
    }  # fmt: skip


def notes_on(column: str, values: object) -> list[str]:
    found = propose(facts_of({"things": pa.table({"id": list(range(ROWS)), column: values})}))
    return [line.reason for line in found.of("things", "note")]


@pytest.mark.parametrize("code", [-999.0, -9.0, 9999.0])
def test_a_code_for_missing_values_is_reported_and_kept(code: float) -> None:
    values = np.random.default_rng(0).uniform(0.0, 12.0, ROWS)
    values[::20] = code
    (reason,) = notes_on("kwh", pa.array(values))
    assert f"is {code:g} in 10 rows, far {'below' if code < 0 else 'above'} all other values" in reason
    found = findings({"kwh": pa.array(values)})
    assert not {each for each in found if each[1] == "kwh" and each[0] != "note"}


@pytest.mark.parametrize("special", [-998.0, 12.5, 9.0, -99.9])
def test_ordinary_values_are_no_codes_for_missing_ones(special: float) -> None:
    values = np.random.default_rng(0).uniform(0.0, 12.0, ROWS)
    values[::20] = special
    assert not notes_on("kwh", pa.array(values))
    # nines within the reach of the others, or in two rows only
    assert not notes_on("price", pa.array([float(n * 10 % 1100) if n % 50 else 999.0 for n in range(ROWS)]))
    assert not notes_on("price", pa.array([9999.0 if n < 2 else float(n) for n in range(ROWS)]))
    # infinite values are no values, and a column may hold nothing else
    assert not notes_on("ratio", pa.array([float("inf"), float("-inf"), None, float("nan")] * (ROWS // 4)))


def test_rows_that_are_seen_before_their_parents_are_reported() -> None:
    lines = {"line_id": list(range(400)), "thing_id": [i // 2 for i in range(400)]}
    tables = {"things": {"id": list(range(ROWS)), "created": days(DAYS)}, "lines": lines}
    proposal = propose(facts_of({name: pa.table(each) for name, each in tables.items()}))
    line = next(each for each in proposal.of("lines", "time"))
    assert (line.column, line.confidence) == ("thing_id.created", 0.7)
    assert "without it rows are always visible" in line.reason


ORDERS = {"id": list(range(0, 500, 5)), "placed": days(np.arange(100.0))}


def proposed(*overrides: str, **tables: dict[str, object]):
    return propose(facts_of({name: pa.table(each) for name, each in tables.items()}), overrides)


def test_parts_of_an_event_take_its_time_over_one_step_and_two() -> None:
    lines = {"id": [f"l{n}" for n in range(ROWS)], "order_id": [5 * (n % 100) for n in range(ROWS)]}
    notes = {"line_id": [f"l{n}" for n in range(0, ROWS, 2)], "text": [f"note {n} about it" for n in range(ROWS // 2)]}
    alone = proposed("lines: key=id", "lines.order_id -> orders", orders=ORDERS, lines=lines)
    assert [each.column for each in alone.of("lines", "time")] == ["order_id.placed"]
    assert alone.to_database().times("lines").tolist() == [int(n % 100) * 86_400_000_000 for n in range(ROWS)]
    assert 'time: "order_id.placed"' in alone.to_manifest()
    # lines are referred to, so that their time is offered, and given in an override
    told = ("lines: key=id", "lines.order_id -> orders", "notes.line_id -> lines")
    offered = proposed(*told, orders=ORDERS, lines=lines, notes=notes)
    assert not offered.of("lines", "time")
    assert any("write `time: order_id.placed`" in each.reason for each in offered.of("lines", "note"))
    given = offered.override("lines: time=order_id.placed")
    assert [each.column for each in given.of("lines", "time")] == ["order_id.placed"]
    database = given.override("notes: time=line_id.order_id.placed").to_database()
    assert database.times("notes").tolist() == database.times("lines")[::2].tolist()
    assert not given.override("lines: time=none").of("lines", "time", "note")


def test_the_last_of_several_parents_gives_the_time() -> None:
    products = {"sku": [f"p{n}" for n in range(50)], "created": days(np.full(50, -10.0) - np.arange(50))}
    lines = {"order_id": [5 * (n % 100) for n in range(ROWS)], "sku": [f"p{n % 50}" for n in range(ROWS)]}
    found = proposed(
        "products: key=sku",
        "lines.order_id -> orders",
        "lines.sku -> products",
        orders=ORDERS,
        products=products,
        lines=lines,
    )
    assert [each.column for each in found.of("lines", "time")] == ["order_id.placed"]


def test_a_parent_without_a_time_does_not_keep_the_other_one_from_giving_its_own() -> None:
    products = {"sku": [f"p{n}" for n in range(50)], "parent_sku": [f"p{n - n % 10}" for n in range(50)]}
    lines = {"order_id": [5 * (n % 100) for n in range(ROWS)], "sku": [f"p{n % 50}" for n in range(ROWS)]}
    told = ("products: key=sku", "lines.order_id -> orders", "lines.sku -> products", "products.parent_sku -> products")
    found = proposed(*told, orders=ORDERS, products=products, lines=lines)
    assert [each.column for each in found.of("lines", "time")] == ["order_id.placed"]
    assert not found.of("products", "time", "note")


def test_lines_of_an_order_with_a_key_of_two_columns_take_its_time() -> None:
    orders = {"shop": [n % 2 for n in range(100)], "number": [n // 2 for n in range(100)], "placed": ORDERS["placed"]}
    lines = {"shop": [n % 2 for n in range(ROWS)], "number": [n // 4 for n in range(ROWS)], "sku": ["a", "b"] * 100}
    products = {"sku": ["a", "b"], "price": [1.5, 2.5]}
    told = ("orders: key=shop+number", "lines.shop+number -> orders", "products: key=sku", "lines.sku -> products")
    found = proposed(*told, orders=orders, products=products, lines=lines)
    assert [each.column for each in found.of("lines", "time")] == ["shop+number.placed"]
    day = 86_400_000_000
    expected = [day * (2 * (n // 4) + n % 2) for n in range(ROWS)]
    assert found.to_database().times("lines").tolist() == expected


def test_a_parent_that_some_rows_lack_is_offered_only() -> None:
    lines = {"order_id": [None if n % 10 == 0 else 5 * (n % 100) for n in range(ROWS)]}
    found = proposed("lines.order_id -> orders", orders=ORDERS, lines=lines)
    assert not found.of("lines", "time")
    assert len(found.of("lines", "note")) == 1
