"""Keys and references: what names and values say, and where they say too little."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from relselect.database.sources.catalog import Catalog, CatalogTable
from relselect.database.table import ForeignKey
from relselect.proposal import facts_of, propose
from relselect.proposal.names import match_names

DRAW = np.random.default_rng(0)


def proposed(tables: dict[str, dict[str, object]], catalog: Catalog | None = None, *overrides: str):
    facts = facts_of({name: pa.table(columns) for name, columns in tables.items()}, catalog=catalog)
    return propose(facts, overrides)


def keys(proposal) -> dict[str, str]:
    return {each.table: each.column for each in proposal.lines if each.what == "primary_key"}


def references(proposal) -> set[tuple[str, str]]:
    found = [each for each in proposal.lines if each.what == "foreign_key"]
    return {(f"{each.table}.{each.column}", each.value) for each in found}


def counted(rows: int) -> list[int]:
    return list(range(1, rows + 1))


def drawn(rows: int, among: int) -> list[int]:
    return DRAW.integers(1, among + 1, rows).tolist()


def test_the_shop(tables) -> None:
    proposal = propose(facts_of(tables))
    assert keys(proposal) == {"users": "id", "products": "sku", "orders": "oid"}
    assert references(proposal) == {("orders.user_id", "users"), ("orders.sku", "products")}
    assert [(each.table, each.column) for each in proposal.lines if each.what == "time"] == [("orders", "when")]


def test_order_of_the_rows_changes_nothing(tables) -> None:
    shuffled = {name: data.take(np.random.default_rng(3).permutation(data.num_rows)) for name, data in tables.items()}
    assert propose(facts_of(shuffled)).lines == propose(facts_of(tables)).lines


@pytest.mark.parametrize(
    ("column", "table", "key"),
    [
        ("customer_id", "customers", "id"),
        ("CustomerId", "Customer", "CustomerId"),
        ("customerID", "tbl_customers", "id"),
        ("customerid", "sales.customers", "id"),
        ("fk_customer", "customers", "id"),
        ("customer_key", "dim_customer", "customer_key"),
        ("home_team_id", "teams", "id"),
        ("billing_address_id", "addresses", "id"),
        ("order_item_id", "OrderItems", "Id"),
        ("orderitem_id", "order_items", "id"),
        ("category_id", "categories", "id"),
        ("person_id", "people", "id"),
    ],
)  # fmt: skip
def test_names_that_point_at_a_table(column: str, table: str, key: str) -> None:
    assert match_names(column, table, key).score >= 0.75


@pytest.mark.parametrize(
    ("column", "table", "key"),
    [
        ("customer_type_id", "customers", "id"),
        ("customer_name", "customers", "id"),
        ("total", "customers", "id"),
        ("id", "customers", "id"),
        ("home_team_score", "teams", "id"),
        ("shirt_number", "shirts", "id"),
    ],
)
def test_names_that_do_not(column: str, table: str, key: str) -> None:
    assert match_names(column, table, key).score < 0.75


def test_small_numbers_refer_to_nothing_by_themselves() -> None:
    people = {"id": counted(500), "age": drawn(500, 90), "visits": drawn(500, 20), "type_id": drawn(500, 4)}
    towns = {"id": counted(100), "rank": counted(100)[::-1]}
    assert references(proposed({"people": people, "towns": towns})) == set()


def test_rare_values_are_believed_without_a_name() -> None:
    codes = [f"{a}{b}{c}" for a in "BKLMP" for b in "AEIOU" for c in "KRST"]
    airports = {"code": codes, "height": drawn(100, 3000)}
    flights = {"number": counted(400), "leaving": DRAW.choice(codes, 400).tolist(), "word": ["AAA", "BBB"] * 200}
    assert references(proposed({"airports": airports, "flights": flights})) == {("flights.leaving", "airports")}


def test_most_values_suffice_under_a_name_and_others_do_not() -> None:
    customers = {"id": [n * 3 for n in counted(100)]}
    gone = [n * 3 for n in drawn(280, 100)] + [7] * 20
    elsewhere = [n * 3 + 1 for n in drawn(300, 100)]
    tables = {"customers": customers, "orders": {"id": counted(300), "customer_id": gone}}
    found = proposed(tables)
    assert references(found) == {("orders.customer_id", "customers")}
    finding = next(each for each in found.lines if each.what == "foreign_key")
    assert 0.9 < finding.evidence["contained"] < 1.0
    tables["orders"]["customer_id"] = elsewhere
    assert references(proposed(tables)) == set()


def test_references_of_a_table_to_itself() -> None:
    parents = [None, *DRAW.integers(1, 10, 49).tolist()]
    staff = {"id": counted(50), "manager_id": parents, "copy_of_id": counted(50)[::-1]}
    assert references(proposed({"staff": staff})) == {("staff.manager_id", "staff")}
    members = {"id": counted(50), "referred_by": parents}
    assert references(proposed({"members": members})) == {("members.referred_by", "members")}


@pytest.mark.parametrize("people", ["users", "contributors"])
@pytest.mark.parametrize("role", ["author_id", "merger_id", "rater_id"])
def test_roles_refer_to_people(role: str, people: str) -> None:
    users = {"id": [n * 7 for n in counted(60)], "name": [f"u{n}" for n in counted(60)]}
    posts = {"id": counted(200), role: [n * 7 for n in drawn(200, 60)]}
    assert references(proposed({people: users, "posts": posts})) == {(f"posts.{role}", people)}


def test_a_table_that_extends_another_refers_to_it() -> None:
    cases = {"case_id": counted(90), "topic": drawn(90, 5)}
    closed = {"case_id": counted(90)[::2], "word": ["x", "y", "z"] * 15}
    found = proposed({"cases": cases, "closed": closed})
    assert keys(found) == {"cases": "case_id", "closed": "case_id"}
    assert references(found) == {("closed.case_id", "cases")}


def test_tables_that_join_others_have_no_key() -> None:
    tables = {
        "films": {"film_id": counted(40)},
        "categories": {"category_id": counted(6)},
        "film_categories": {"film_id": counted(40), "category_id": drawn(40, 6)},
    }
    found = proposed(tables)
    assert keys(found) == {"films": "film_id", "categories": "category_id"}
    assert len(references(found)) == 2


def test_a_column_with_repeats_or_gaps_is_no_key() -> None:
    tables = {"a": {"id": [1, 1, 2]}, "b": {"id": [1, None, 2]}, "c": {"price": [1.5, 2.5, 3.5]}}
    assert keys(proposed(tables)) == {}


def test_the_catalog_goes_before_everything() -> None:
    tables = {
        "users": {"id": counted(50), "email": [f"{n}@x" for n in counted(50)]},
        "orders": {"id": counted(80), "user_id": drawn(80, 50), "who": drawn(80, 50)},
    }
    catalog = Catalog({
        "users": CatalogTable({}, primary_key=("id",)),
        "orders": CatalogTable({}, primary_key=("id",), foreign_keys=(ForeignKey(("who",), "users", ("id",)),)),
    })  # fmt: skip
    found = proposed(tables, catalog)
    declared = {(each.what, each.table, each.column) for each in found.lines if each.origin == "declared"}
    assert declared == {
        ("primary_key", "users", "id"),
        ("primary_key", "orders", "id"),
        ("foreign_key", "orders", "who"),
    }
    assert ("orders.user_id", "users") in references(found)


def test_tables_without_rows_go_by_their_names() -> None:
    empty = pa.array([], pa.int64())
    found = proposed({"users": {"id": empty}, "orders": {"id": empty, "user_id": empty}})
    assert references(found) == {("orders.user_id", "users")}
    assert all(each.confidence <= 0.6 for each in found.lines)
