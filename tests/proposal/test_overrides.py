"""What the caller says in one line goes before what is declared or inferred."""

from __future__ import annotations

import pytest

from relselect.errors import SchemaError
from relselect.proposal import facts_of, propose


@pytest.fixture(scope="module")
def proposal(tables):
    return propose(facts_of(tables))


def test_a_reference_is_given_and_taken_away(proposal) -> None:
    changed = proposal.override("orders.user_id -> nothing", "orders.total -> products.price")
    found = {(each.column, each.value, each.origin) for each in changed.of("orders", "foreign_key")}
    assert found == {("total", "products", "given")}  # products have another key now, which no sku is among
    assert changed.of("products", "primary_key")[0].columns == ("price",)
    assert proposal.of("products", "primary_key")[0].columns == ("sku",)


def test_settings_of_a_table(proposal) -> None:
    changed = proposal.override("orders: key=oid, time=closed, drop=state+total", "users: city=text, keep=age")
    spec = changed.spec("orders")
    assert (spec.primary_key, spec.time, spec.drop) == ("oid", "closed", ["state", "total"])
    assert changed.spec("users").types == {"city": "text"}


def test_none_takes_away(proposal) -> None:
    spec = proposal.override("orders: key=none, time=none").spec("orders")
    assert (spec.primary_key, spec.time) == (None, None)


def test_masks_and_what_is_kept(proposal) -> None:
    masked = proposal.override("orders: known_at=closed:state+total")
    assert masked.spec("orders").known_at == {"closed": ["state", "total"]}
    alone = proposal.override("orders: known_at=closed")
    assert alone.spec("orders").known_at == {"closed": []}
    masked.to_database()
    assert proposal.spec("orders").known_at == {"closed": []}
    assert proposal.override("orders: keep=closed").spec("orders").known_at == {}


def test_overrides_add_up(proposal) -> None:
    changed = proposal.override("orders: time=none").override("orders: drop=state, keep=closed")
    assert (changed.spec("orders").time, changed.spec("orders").drop) == (None, ["state"])
    assert changed.overrides == ("orders: time=none", "orders: drop=state, keep=closed")


def test_all_that_is_wrong_is_reported_at_once(proposal) -> None:
    lines = [
        "order.x -> users",
        "orders: time=whenn",
        "orders.user_id -> people",
        "orders: state=colour",
        "what",
        "orders: known_at=closedd",
    ]
    with pytest.raises(SchemaError) as caught:
        proposal.override(*lines)
    assert len(caught.value.problems) == len(lines)
    assert {problem.value for problem in caught.value.problems} == set(lines)


def test_rows_for_printing(proposal) -> None:
    rows = proposal.table()
    assert len(rows) == len(proposal.lines)
    assert rows[0]["what"] == "primary key"
    assert rows[0]["reason"]
