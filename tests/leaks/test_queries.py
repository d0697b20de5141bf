"""What the text of a query says about who is asked and what is answered."""

from __future__ import annotations

import pytest

from relselect.configs import config_path, known_databases
from relselect.database.manifest import load_manifest
from relselect.leaks import check_query

TIMES = {"orders": "at", "visits": "seen"}


def checks(text: str, role: str = "population") -> list[tuple[str, str]]:
    return [(finding.check, finding.subject) for finding in check_query(text, TIMES, role)]  # type: ignore[arg-type]


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
        ("WITH late AS (SELECT customer, at FROM orders) " + asked("JOIN late o ON o.at > c.cutoff"), PAST),
        (asked("JOIN visits o ON o.seen <= c.cutoff UNION ALL ") + asked(", orders o"), "query_unbounded"),
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
    assert checks(f"{join} GROUP BY 1, 2", "label") == [("query_bounded_by_key", "label: orders")]


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
