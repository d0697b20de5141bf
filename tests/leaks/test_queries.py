"""What the text of a query says about who is asked and what is answered."""

from __future__ import annotations

import pytest

from relselect.configs import config_path, known_databases
from relselect.database import Database
from relselect.database.manifest import load_manifest
from relselect.database.task_spec import TaskSpec
from relselect.leaks import check_query, find_leaks, spec_of
from relselect.problem import Problem
from relselect.tasks import Task
from tests.shop import LABEL, POPULATION, shop

TIMES = {"orders": "at", "visits": "seen"}


def checks(text: str, role: str = "population") -> list[tuple[str, str]]:
    return [(finding.check, finding.subject) for finding in check_query(text, TIMES, role)]  # type: ignore[arg-type]


#: A population by subqueries, in which the cutoff is that of the query around them.
WITHIN = "SELECT cutoff, id FROM cutoffs, customers WHERE"


def asked(join: str) -> str:
    return f"SELECT c.cutoff, o.customer FROM cutoffs c {join}"


@pytest.mark.parametrize(
    "text",
    [
        asked("JOIN orders o ON o.at <= c.cutoff"),
        asked(", orders o WHERE c.cutoff > o.at AND o.at > c.cutoff - INTERVAL 1 YEAR"),
        asked("JOIN orders o ON o.at BETWEEN c.cutoff - INTERVAL 9 DAY AND c.cutoff"),
        "WITH everything AS (SELECT * FROM orders) " + asked("JOIN everything o ON o.at <= c.cutoff"),
        asked("CROSS JOIN customers o"),
        asked("JOIN (SELECT customer, min(at) AS first FROM orders GROUP BY 1) o ON o.first <= c.cutoff"),
        asked("JOIN orders o ON date_trunc('month', o.at) < c.cutoff"),
        asked("JOIN orders o ON date_diff('day', o.at, c.cutoff) BETWEEN 0 AND 30"),
        asked("JOIN orders o ON datediff('day', c.cutoff, o.at) <= 0"),
        asked("JOIN orders o ON date_sub('day', o.at, c.cutoff) >= 0"),
        asked("JOIN orders o ON age(c.cutoff, o.at) > INTERVAL 0 DAY"),
        asked("JOIN orders o ON INTERVAL 0 DAY < c.cutoff - o.at"),
        asked("JOIN orders o ON -date_diff('day', c.cutoff, o.at) / 7 >= 1"),
        asked("JOIN orders o ON epoch(o.at) - epoch(c.cutoff) < -3600 * 24"),
        asked("JOIN orders o ON extract(day FROM c.cutoff - o.at) > 2"),
        asked("JOIN orders o ON o.at + INTERVAL 3 DAY <= c.cutoff"),
        asked("JOIN orders o ON o.at <= c.cutoff + INTERVAL '-3' DAY"),
        asked("JOIN orders o ON o.at - INTERVAL (-3) DAY <= c.cutoff"),
        asked("JOIN orders o ON c.cutoff BETWEEN o.at AND o.at + INTERVAL 30 DAY"),
        f"{WITHIN} id IN (SELECT customer FROM orders WHERE at <= cutoff)",
        f"{WITHIN} id IN (SELECT customer FROM orders WHERE at > cutoff - INTERVAL 90 DAY AND at <= cutoff)",
        f"{WITHIN} EXISTS (SELECT 1 FROM orders o WHERE o.customer = customers.id AND o.at <= cutoffs.cutoff)",
        f"{WITHIN} (SELECT count(*) FROM orders WHERE customer = id AND at <= cutoff) > 0",
        f"{WITHIN} id IN (SELECT customer FROM (SELECT * FROM orders WHERE at <= cutoff))",
        f"{WITHIN} id IN (SELECT v.customer FROM visits v WHERE seen <= cutoff AND v.customer IN "
        "(SELECT customer FROM orders WHERE at <= cutoff))",
    ],
)
def test_populations_that_end_at_the_cutoff(text: str) -> None:
    assert checks(text) == []


PAST = "population_reads_past_cutoff"


@pytest.mark.parametrize(
    ("text", "check"),
    [
        (asked("JOIN orders o ON o.at > c.cutoff - INTERVAL 1 YEAR"), PAST),
        (asked("CROSS JOIN orders o"), "query_unbounded"),
        (asked("JOIN orders o ON o.at <= c.cutoff + INTERVAL 3 DAY"), PAST),
        (asked("JOIN orders o ON o.at - INTERVAL 3 DAY <= c.cutoff"), PAST),
        (asked("JOIN orders o ON o.at <= c.cutoff - INTERVAL (-3) DAY"), PAST),
        (asked("JOIN orders o ON o.at + INTERVAL '-3' DAY <= c.cutoff"), PAST),
        (asked("JOIN orders o ON date_diff('day', c.cutoff, o.at) <= 3"), PAST),
        (asked("JOIN orders o ON date_diff('day', o.at, c.cutoff) >= -3"), PAST),
        (asked("JOIN orders o ON date_diff('day', o.at, c.cutoff) < 30"), PAST),
        (asked("JOIN orders o ON abs(o.at::date - c.cutoff::date) < 3"), PAST),
        (asked("JOIN orders o ON age(o.at, c.cutoff) < INTERVAL 1 MONTH"), PAST),
        (asked("JOIN orders o ON o.at - c.cutoff > INTERVAL '-30 days'"), PAST),
        (asked("JOIN orders o ON abs(o.at::date - c.cutoff::date) > 3"), "query_unbounded"),
        ("WITH late AS (SELECT customer, at FROM orders) " + asked("JOIN late o ON o.at > c.cutoff"), PAST),
        (asked("JOIN visits o ON o.seen <= c.cutoff UNION ALL ") + asked(", orders o"), "query_unbounded"),
        (f"{WITHIN} id IN (SELECT customer FROM orders WHERE at > cutoff)", PAST),
        (f"{WITHIN} id IN (SELECT customer FROM orders)", "query_unbounded"),
        (f"{WITHIN} (SELECT max(at) FROM orders WHERE customer = id AND at <= cutoff + INTERVAL 1 DAY) > cutoff", PAST),
    ],
)
def test_populations_that_do_not(text: str, check: str) -> None:
    assert checks(text) == [(check, "population: orders")]


def test_labels_need_both_ends() -> None:
    join = (
        "SELECT p.cutoff, p.customer, count(o.at) AS label FROM population p "
        "LEFT JOIN orders o ON o.customer = p.customer"
    )
    both = f"{join} AND o.at > p.cutoff AND o.at <= p.cutoff + INTERVAL 30 DAY GROUP BY 1, 2"
    assert checks(both, "label") == []
    within = "o.at > p.cutoff AND o.at <= p.cutoff + INTERVAL 3 DAY"
    cased = (
        f"SELECT p.cutoff, p.customer, max(CASE WHEN {within} THEN 1 END) AS label "
        "FROM population p JOIN orders o USING (customer) GROUP BY 1, 2"
    )
    assert checks(cased, "label") == []
    assert checks(f"{join} AND o.at > p.cutoff GROUP BY 1, 2", "label") == [("label_window_open", "label: orders")]
    ahead = f"{join} AND o.at <= p.cutoff + INTERVAL 30 DAY GROUP BY 1, 2"
    assert checks(ahead, "label") == [("label_window_open", "label: orders")]
    assert checks(f"{join} GROUP BY 1, 2", "label") == [("label_window_open", "label: orders")]
    placed = "JOIN visits v ON v.id = o.visit AND v.seen <= p.cutoff + INTERVAL 3 DAY"
    tied = f"{join} AND o.at > p.cutoff AND o.at <= p.cutoff + INTERVAL 3 DAY {placed} GROUP BY 1, 2"
    assert checks(tied, "label") == []
    loose = f"{join} AND o.at <= p.cutoff + INTERVAL 3 DAY {placed} GROUP BY 1, 2"
    assert {check for check, _ in checks(loose, "label")} == {"label_window_open"}
    visited = "o.at > p.cutoff AND o.at <= p.cutoff + INTERVAL 3 DAY JOIN visits v ON v.id = o.visit"
    assert checks(f"{join} AND {visited} GROUP BY 1, 2", "label") == [("query_bounded_by_key", "label: visits")]


@pytest.mark.parametrize(
    ("bounds", "found"),
    [
        ("date_diff('day', p.cutoff, o.at) BETWEEN 1 AND 30", []),
        ("date_diff('day', p.cutoff, o.at) > 0 AND datediff('day', p.cutoff, o.at) <= 30", []),
        ("age(o.at, p.cutoff) > INTERVAL 0 DAY AND age(o.at, p.cutoff) <= INTERVAL 1 MONTH", []),
        ("o.at - p.cutoff > INTERVAL 0 DAY AND INTERVAL 30 DAY >= o.at - p.cutoff", []),
        ("p.cutoff - o.at < INTERVAL 0 DAY AND p.cutoff - o.at >= INTERVAL '-30 days'", []),
        ("o.at > p.cutoff AND o.at - INTERVAL 30 DAY <= p.cutoff", []),
        ("p.cutoff BETWEEN o.at - INTERVAL 30 DAY AND o.at", []),
        ("date_diff('day', p.cutoff, o.at) > 0", ["label_window_open"]),
        ("date_diff('day', p.cutoff, o.at) <= 30", ["label_window_open"]),
        ("o.at - INTERVAL 30 DAY <= p.cutoff", ["label_window_open"]),
        ("age(o.at, p.cutoff) > INTERVAL 0 DAY", ["label_window_open"]),
        ("p.cutoff - INTERVAL 30 DAY < o.at", ["label_window_open"]),
    ],
)
def test_windows_written_as_differences(bounds: str, found: list[str]) -> None:
    text = (
        "SELECT p.cutoff, p.customer, count(o.at) AS label FROM population p "
        f"JOIN orders o ON o.customer = p.customer AND {bounds} GROUP BY 1, 2"
    )
    assert [check for check, _ in checks(text, "label")] == found
    bare = (
        "SELECT cutoff, p.customer, count(*) AS label FROM population p JOIN orders o USING (customer) "
        f"WHERE {bounds.replace('o.at', 'at').replace('p.cutoff', 'cutoff')} GROUP BY 1, 2"
    )
    assert [check for check, _ in checks(bare, "label")] == found


def test_an_age_without_a_date_reads_the_clock() -> None:
    text = asked("JOIN orders o ON o.at <= c.cutoff WHERE age(o.at) < INTERVAL 1 YEAR")
    assert [check for check, _ in checks(text)] == ["query_bound_elsewhere"]


ELSEWHERE = "query_bound_elsewhere"


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        (asked("JOIN orders o ON o.at <= c.cutoff AND o.at < now()"), "warning"),
        (asked("JOIN orders o ON o.at <= c.cutoff AND o.at > current_date - INTERVAL 30 DAY"), "warning"),
        (asked("JOIN orders o ON o.at <= c.cutoff WHERE date_diff('day', o.at, today()) < 30"), "warning"),
        (asked("JOIN orders o ON o.at <= c.cutoff AND o.at > DATE '2019-01-01'"), "info"),
        (
            asked("JOIN orders o ON o.at BETWEEN c.cutoff - INTERVAL 9 DAY AND c.cutoff AND '2020-02-02' > o.at"),
            "warning",
        ),
        (asked("JOIN orders o ON o.at <= c.cutoff AND o.at < (SELECT TIMESTAMP '2020-01-01')"), "warning"),
    ],
)
def test_bounds_that_compare_with_something_else(text: str, severity: str) -> None:
    found = check_query(text, TIMES, "population")
    assert [(each.check, each.severity) for each in found] == [(ELSEWHERE, severity)]


def test_a_label_up_to_a_fixed_date_has_no_end() -> None:
    text = (
        "SELECT p.cutoff, p.customer, count(o.at) AS label FROM population p JOIN orders o ON o.customer = p.customer "
        "AND o.at > p.cutoff AND o.at <= TIMESTAMP '2020-01-01' GROUP BY 1, 2"
    )
    assert set(checks(text, "label")) == {(ELSEWHERE, "label: orders"), ("label_window_open", "label: orders")}


def test_only_the_declaration_of_the_very_task_counts() -> None:
    """A task made in Python under a manifest's name is judged by its own queries, and its findings are not accepted."""
    declared = shop()
    label = LABEL.replace('"when" > cutoff AND "when" <= cutoff + INTERVAL 30 DAY', '"when" > cutoff')
    spec = TaskSpec(
        entity="users", kind="binary", target="label", horizon="30d", every="30d", population=POPULATION, label=LABEL,
        accept={"label_window_open": "as planned"},
    )  # fmt: skip
    database = Database(list(declared.tables.values()), "shop", tasks={"t": spec})
    options = {"name": "t", "entity": "users", "kind": "binary", "horizon": "30d", "every": "30d"}
    same = Task.from_sql(database, population=POPULATION, label=LABEL, **options)  # type: ignore[arg-type]
    other = Task.from_sql(database, population=POPULATION, label=label, **options)  # type: ignore[arg-type]
    assert spec_of(Problem(database, same)) == spec
    assert spec_of(Problem(database, other)) is None
    opened = [each for each in find_leaks(Problem(database, other)).open if each.check == "label_window_open"]
    assert [each.subject for each in opened] == ["label: orders"]


def test_relbenchs_population_without_an_upper_bound_is_found() -> None:
    """github.com/snap-stanford/relbench, issue 402."""
    manifest = load_manifest(config_path("databases", "rel-f1.yaml"))
    times = {name: table.time for name, table in manifest.tables.items() if table.time}
    for name, table in (("driver-dnf", "results"), ("driver-top3", "qualifying"), ("driver-position", "results")):
        task = manifest.tasks[name]
        found = check_query(task.sql or "", times, "reference")
        assert [(f.check, f.subject) for f in found] == [("population_reads_past_cutoff", f"reference: {table}")]
        assert check_query(task.population or "", times, "population") == []


def test_our_own_populations_end_at_the_cutoff() -> None:
    for database in known_databases():
        manifest = load_manifest(config_path("databases", f"{database}.yaml"))
        times = {name: table.time for name, table in manifest.tables.items() if table.time}
        for name, task in manifest.tasks.items():
            for role, text in (("population", task.population), ("label", task.label)):
                found = check_query(text, times, role) if text else []  # type: ignore[arg-type]
                assert [f for f in found if f.severity == "warning"] == [], (database, name)


def test_a_query_that_cannot_be_read_is_said() -> None:
    assert checks("SELECT FROM WHERE ((") == [("query_unreadable", "population")]
