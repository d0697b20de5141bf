"""Queries that cannot be read or asked: each error stands at its place and says what would do."""

from __future__ import annotations

import pytest

import relselect as rs
from relselect.errors import QueryError, TaskError
from relselect.queries import parse_query
from tests.queries.worlds import shop_database

#: Queries with ^ before the place of every problem, and a part of the first message.
UNREADABLE = [
    ("^", "expected PREDICT, found the end of the query"),
    ("^SELECT 1", "expected PREDICT, found SELECT"),
    ("PREDICT^", "expected an aggregate, a column or a value, found the end of the query"),
    ("PREDICT COUNT(orders.*, 0, 30, days)^", "expected FOR, found the end"),
    ("PREDICT COUNT(orders.*, 0, 30, days) FOR ^customers.id", "expected EACH, found customers"),
    ("PREDICT COUNT(orders.*, 0, 30, days) FOR EACH^", "expected a table's name"),
    ("PREDICT COUNT(orders.*, 0, 30, days) FOR EACH customers^", "expected a dot.*Write customers.column"),
    ("PREDICT COUNT(orders.*, 0, 30, days) FOR EACH customers.^", "expected a column's name or"),
    ("PREDICT COUNT(orders.*, 0, 30, days) FOR EACH customers.id ^customers.country = 'DE'", "expected WHERE or the end"),
    ("PREDICT COUNT(orders.*, 0, 30, days) FOR EACH customers.id WHERE^", "expected an aggregate, a column or a value"),
    ("PREDICT COUNT(orders.*, 0, 30, days) FOR EACH customers.id WHERE customers.vip^", "expected one of =, !=, <>"),
    ("PREDICT COUNT(orders.*, 0, 30, days) FOR EACH customers.id WHERE customers.vip =^", "expected an aggregate"),
    ("PREDICT COUNT(orders.*, 0, 30, days) FOR EACH customers.id WHERE customers.vip = TRUE ^customers.x = 1", "AND, OR"),
    ("PREDICT COUNT(orders.*, 0, 30, days) FOR EACH customers.id WHERE (customers.vip = TRUE^", r"expected \), found the end"),
    ("PREDICT COUNT(orders.*, 0, 30, days) FOR EACH customers.id ^ASSUMING COUNT(a.*, 0, 1) > 2", "ASSUMING asks what foll"),
    ("PREDICT ^CUONT(orders.*, 0, 30, days) FOR EACH customers.id", "CUONT is no aggregate. Did you mean COUNT"),
    ("PREDICT ^MEDIAN(orders.amount, 0, 30, days) FOR EACH customers.id", "MEDIAN is no aggregate.*Use one of: COUNT, SUM"),
    ("PREDICT COUNT(orders^, 0, 30, days) FOR EACH customers.id", r"expected a dot.*orders\.\* for its rows"),
    ("PREDICT COUNT(^*, 0, 30, days) FOR EACH customers.id", "expected a table's name"),
    ("PREDICT COUNT(orders.*^) FOR EACH customers.id", r"expected ,, found \).*up to 30 days"),
    ("PREDICT COUNT(orders.*, 0^) FOR EACH customers.id", r"expected ,, found \)"),
    ("PREDICT COUNT(orders.*, ^days) FOR EACH customers.id", "expected a whole number or -INF"),
    ("PREDICT COUNT(orders.*, 0, ^x) FOR EACH customers.id", "expected a whole number, found x"),
    ("PREDICT COUNT(orders.*, 0, ^1.5, days) FOR EACH customers.id", r"whole numbers of units, got 1\.5"),
    ("PREDICT COUNT(orders.*, 0, ^-INF, days) FOR EACH customers.id", "ends at INF at the latest"),
    ("PREDICT COUNT(orders.*, 0, 30, ^dayz) FOR EACH customers.id", "dayz is no unit of windows. Did you mean days"),
    ("PREDICT COUNT(orders.*, 0, 30, ^30) FOR EACH customers.id", "expected one of seconds"),
    ("PREDICT COUNT(orders.*, 0, 30, days ^FOR EACH customers.id", r"expected \), found FOR"),
    ("PREDICT COUNT(orders.*, 0, ^30days) FOR EACH customers.id", "is no number"),
    ("PREDICT LIST_DISTINCT(orders.status, 0, 30, days) ^RANK TOP 3 FOR EACH customers.id", "RANK asks for a list"),
    ("PREDICT COUNT(orders.*, 0, 30) = ^NULL FOR EACH customers.id", "found NULL. Write IS NULL"),
    ("PREDICT SUM(orders.amount, 0, 30) IS ^5 FOR EACH customers.id", "expected NULL, found 5"),
    ("PREDICT SUM(orders.amount, 0, 30) NOT ^5 FOR EACH customers.id", "expected IN or LIKE"),
    ("PREDICT LAST(orders.status, 0, 30) IN ^'paid' FOR EACH customers.id", r"expected \(, found 'paid'"),
    ("PREDICT LAST(orders.status, 0, 30) IN ('paid', ^open) FOR EACH customers.id", "expected a value.*single quotes"),
    ("PREDICT LAST(orders.status, 0, 30) IN ('paid' ^'open') FOR EACH customers.id", r"expected \)"),
    ("PREDICT LAST(orders.status, 0, 30) LIKE ^paid FOR EACH customers.id", "expected a text"),
    ("PREDICT LAST(orders.status, 0, 30) = ^'paid FOR EACH customers.id", "the text that begins here has no end"),
    ('PREDICT LAST(orders.^"Ship To, 0, 30) = 1 FOR EACH customers.id', "the name that begins here"),
    ("PREDICT COUNT(orders.*, 0, 30) > 0 FOR EACH customers.id ^# who", "'#' belongs to no query"),
    ("PREDICT COUNT(^each.x, 0, 30) FOR EACH customers.id", 'Quote names that are keywords: "each"'),
    ("PREDICT SUM(orders.amount, 0, 30) > ^1e999 FOR EACH customers.id", "1e999 is too large"),
    ("PREDICT COUNT(orders.*, 0, 30) > 0 FOR EACH customers.id;^;", "expected WHERE or the end, found ;"),
    ("PREDICT " + "(" * 49 + "NOT ^(COUNT(a.*, 0, 1) > 0", "more than 50 brackets"),
]  # fmt: skip


def marked(text: str) -> tuple[str, list[int]]:
    """A query without its marks, and the places of the marks."""
    parts = text.split("^")
    places, place = [], 0
    for part in parts[:-1]:
        place += len(part)
        places.append(place)
    return "".join(parts), places


@pytest.mark.parametrize(("text", "message"), UNREADABLE, ids=[text[-60:] for text, _ in UNREADABLE])
def test_what_cannot_be_read_says_where_and_what_was_expected(text: str, message: str) -> None:
    query, places = marked(text)
    with pytest.raises(QueryError, match=message) as caught:
        parse_query(query)
    assert [problem.position for problem in caught.value.problems] == places


@pytest.fixture(scope="module")
def database() -> rs.Database:
    return shop_database()


_ASK = "PREDICT COUNT(orders.*, 0, 30, days) > 0 FOR EACH customers.id"
#: As above, of queries that can be read.
UNFIT = [
    ("PREDICT COUNT(^orderz.*, 0, 30) FOR EACH customers.id", "orderz is no table of shop. Did you mean orders"),
    ("PREDICT COUNT(orders.^amout, 0, 30) FOR EACH customers.id", "amout is no column of orders. Did you mean amount"),
    ("PREDICT COUNT(orders.*, 0, 30) FOR EACH ^custom.id", "custom is no table.*Did you mean customers"),
    ("PREDICT COUNT(orders.*, 0, 30) FOR EACH ^customers.country", "takes the primary key.*Write FOR EACH customers.id"),
    ("PREDICT COUNT(orders.*, 0, 30) FOR EACH ^customers.id, customers.vip", "primary key of customers and nothing else"),
    ("PREDICT COUNT(orders.*, 0, 30) FOR EACH ^transfers.when", "transfers has no primary key"),
    ("PREDICT COUNT(orders.*, 0, 30) FOR EACH customers.^idd", "idd is no column of customers"),
    ("PREDICT COUNT(^news.*, 0, 30) FOR EACH customers.id", "no foreign key leads from news.*crm.tickets.*orders"),
    ("PREDICT COUNT(^customers.*, 0, 30) FOR EACH orders.nr", "no foreign key leads from customers to orders.*order items"),
    ("PREDICT COUNT(^orders.*, 0, 30) FOR EACH orders.nr", "orders is the entity itself"),
    ("PREDICT COUNT(^cards.*, 0, 30) FOR EACH customers.id", "cards has no time column"),
    ("PREDICT COUNT(^transfers.*, 0, 30) FOR EACH customers.id", "several ways.*transfers.from; transfers.to"),
    ("PREDICT COUNT(orders.*, ^-30, 0) FOR EACH customers.id", "begins at the cutoff or later"),
    ("PREDICT COUNT(orders.*, ^-INF, 30) FOR EACH customers.id", "begins at the cutoff or later"),
    ("PREDICT COUNT(orders.*, 0, ^INF) FOR EACH customers.id", "the window has no end"),
    ("PREDICT COUNT(orders.*, 0, ^0) FOR EACH customers.id", r"the window \(0, 0\] is empty"),
    ("PREDICT COUNT(orders.*, 30, ^10, days) FOR EACH customers.id", r"the window \(30, 10\] is empty"),
    ("PREDICT COUNT(orders.*, ^0, 99999999, months) FOR EACH customers.id", "farther than any time"),
    (f"{_ASK} WHERE COUNT(orders.*, -30, ^30) > 0", "ends at the cutoff or earlier"),
    (f"{_ASK} WHERE COUNT(orders.*, -30, ^INF) > 0", "the window has no end"),
    ("PREDICT SUM(orders.^*, 0, 30) FOR EACH customers.id", "a column is needed here"),
    ("PREDICT SUM(orders.^status, 0, 30) FOR EACH customers.id", "SUM needs numbers.*COUNT_DISTINCT"),
    ("PREDICT AVG(orders.^due, 0, 30) FOR EACH customers.id", "AVG needs numbers, and orders.due holds a time"),
    ("PREDICT ^MAX(orders.due, 0, 30) FOR EACH customers.id", "is a time, and a label is a number or a class"),
    ("PREDICT COUNT(orders.*, 0, 30) ^> 'three' FOR EACH customers.id", "a number is compared with a text"),
    ("PREDICT LAST(orders.status, 0, 30) ^= 3 FOR EACH customers.id", "a text is compared with a number"),
    ("PREDICT LAST(orders.status, 0, 30) IN ('paid', ^3) FOR EACH customers.id", "a text is compared with a number"),
    ("PREDICT COUNT(orders.*, 0, 30) ^LIKE '3' FOR EACH customers.id", "LIKE compares texts"),
    ("PREDICT MAX(orders.gift, 0, 30) ^> TRUE FOR EACH customers.id", "neither less nor greater"),
    ("PREDICT MAX(orders.due, 0, 30) > ^'soon' FOR EACH customers.id", "'soon' must be a date"),
    ("PREDICT ^3 = 3 AND COUNT(orders.*, 0, 30) > 0 FOR EACH customers.id", "two constants are compared"),
    ("PREDICT ^3 IS NULL OR COUNT(orders.*, 0, 30) > 0 FOR EACH customers.id", "3 is a constant"),
    ("PREDICT COUNT(orders.* WHERE ^customers.vip = TRUE, 0, 30) FOR EACH customers.id", "reads columns of orders alone"),
    ("PREDICT COUNT(orders.* WHERE ^COUNT(orders.*, 0, 9) > 1, 0, 30) FOR EACH customers.id", "within one another"),
    ("PREDICT COUNT(orders.* WHERE orders.^date > '2024-01-01', 0, 30) FOR EACH customers.id", "is the time of the row"),
    ("PREDICT COUNT(orders.*, 0, 30) > 0 AND ^customers.vip = TRUE FOR EACH customers.id", "made of aggregates"),
    (f"{_ASK} WHERE ^orders.status = 'paid'", "WHERE reads columns of customers"),
    (f"{_ASK} WHERE customers.^joined > '2023-07-01'", "is the time of the row"),
    (f"{_ASK} WHERE customers.^left > '2024-01-01'", r"tells the future.*known_at: \{left: \[\]\}"),
    (f"{_ASK} WHERE COUNT(orders.* WHERE orders.^due > '2024-01-01', -9, 0) > 0", "filled in later"),
    (f"{_ASK} WHERE customers.^nothing = 1 AND customers.^vipp = TRUE", "nothing is no column"),
    ("PREDICT SUM(orders.^amot, ^-9, 9) FOR EACH customers.id WHERE ^clients.x = 1 AND customers.country ^= 3", "amot"),
    ("PREDICT ^orders.status FOR EACH customers.id", "a target without a window is a column of customers"),
    ("PREDICT customers.^id FOR EACH customers.id", "is a key, a time or a clock"),
    ("PREDICT customers.^born FOR EACH customers.id", "holds a time"),
    ("PREDICT customers.vip = TRUE OR customers.^score > 1 FOR EACH customers.id", "reads vip already"),
    ("PREDICT customers.vip FOR EACH customers.id WHERE ^COUNT(orders.*, -9, 0) > 0", "has no cutoffs"),
    ("PREDICT customers.vip FOR EACH customers.id WHERE customers.^vip = TRUE", "is what is predicted"),
    ("PREDICT customers.vip FOR EACH customers.id WHERE ^orders.gift = TRUE", "chosen by columns of customers"),
    ("PREDICT ^5 FOR EACH customers.id", "names no column"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), UNFIT, ids=[text for text, _ in UNFIT])
def test_what_does_not_fit_the_database_says_where(database, text: str, message: str) -> None:
    query, places = marked(text)
    with pytest.raises(QueryError, match=message) as caught:
        rs.explain_query(database, query)
    assert [problem.position for problem in caught.value.problems] == places


def test_the_message_shows_the_query_with_a_caret_under_each_place(database) -> None:
    with pytest.raises(TaskError) as caught:
        rs.explain_query(
            database, "PREDICT COUNT(orderz.*, 0, 30)\n  FOR EACH customers.id\n WHERE customers.vipp = TRUE"
        )
    assert str(caught.value).splitlines() == [
        "query: orderz is no table of shop. Did you mean orders? Use one of: cards, crm.tickets, customers, news, "
        "order items, orders, transfers.",
        "  PREDICT COUNT(orderz.*, 0, 30)",
        "                ^",
        "query: vipp is no column of customers. Did you mean vip? Use one of: born, country, id, joined, left, referrer, "
        "score, vip.",
        "   WHERE customers.vipp = TRUE",
        "                   ^",
    ]


def test_long_lines_are_cut_around_the_place() -> None:
    text = "PREDICT COUNT(orders.*, 0, 30) > 0 FOR EACH customers.id WHERE " + "customers.vip = TRUE AND " * 20
    with pytest.raises(QueryError) as caught:
        parse_query(text + "\tnothing" + " AND customers.vip = TRUE" * 20)
    _, line, caret = str(caught.value).splitlines()
    assert len(line) < 130
    assert "\t" not in line
    assert line[: caret.index("^")].rstrip().endswith("nothing")


def test_brackets_without_end_are_refused_without_recursion() -> None:
    for opened in ("(", "NOT ", "COUNT(a.* WHERE "):
        with pytest.raises(QueryError, match="more than 50"):
            parse_query("PREDICT " + opened * 5_000)
