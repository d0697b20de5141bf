"""Labelled rows that nothing can be learnt from are refused; odd rows and references are notes of the task."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from relselect.database import Database
from relselect.errors import TaskError
from relselect.tasks import Task

DAYS = pd.date_range("2020-01-01", periods=600).astype("datetime64[us]")
POPULATION = "SELECT cutoff, id FROM cutoffs, users"
LABEL = """SELECT p.cutoff, p.id, coalesce(sum(o.total), 0) AS label FROM population p
           LEFT JOIN orders o ON o.user = p.id AND o.day > p.cutoff AND o.day <= p.cutoff + INTERVAL 30 DAY GROUP BY ALL"""


def database(more_days: tuple[str, ...] = (), references: object = None) -> Database:
    orders = pd.DataFrame({"user": np.arange(600) % 7 % 5, "day": DAYS, "total": np.arange(600.0) % 11})
    extra = pd.DataFrame({"user": 0, "day": np.array(more_days, "datetime64[us]"), "total": 1.0})
    orders = pd.concat([orders, extra], ignore_index=True)
    if references is not None:
        orders["user"] = references
    return Database.from_dataframes(
        {"users": pd.DataFrame({"id": range(5)}), "orders": orders},
        keys={"users": "id"},
        times={"orders": "day"},
        foreign_keys={"orders": {"user": "users"}},
    )


def frame(ids: object = range(5), label: object = None, dates: int = 6) -> pd.DataFrame:
    ids = list(ids)
    rows = pd.DataFrame({"id": ids * dates, "cutoff": np.repeat(DAYS[50::80][:dates], len(ids))})
    rows["label"] = np.arange(len(rows)) % 4 if label is None else label
    return rows


def from_labels(labels: object, kind: str = "regression", of: Database | None = None, **options: object) -> Task:
    chosen = {"name": "t", "entity": "users", "time": "cutoff", "horizon": "30d", **options}
    return Task.from_labels(of or database(), labels, kind=kind, **chosen)


def from_sql(of: Database, **options: object) -> Task:
    chosen = {"population": POPULATION, "label": LABEL, "horizon": "30d", "every": "30d", **options}
    return Task.from_sql(of, name="t", entity="users", kind="regression", **chosen)


@pytest.mark.parametrize(
    "odd", [("2099-12-31",), ("9999-12-31", "2099-12-31"), ("1900-01-01",), ("1900-01-01", "2200-01-01")]
)
def test_a_placeholder_date_moves_no_cutoff(odd: tuple[str, ...]) -> None:
    plain, strange = from_sql(database()), from_sql(database(odd))
    assert strange.starts == plain.starts
    assert strange.fingerprint == plain.fingerprint or "1900-01-01" in odd
    assert any("placeholder" in note and any(day in note for day in odd) for note in strange.notes)
    assert not any("placeholder" in note for note in plain.notes)


def test_a_cutoff_at_a_placeholder_is_refused() -> None:
    with pytest.raises(TaskError, match="last observed time"):
        from_sql(database(("2099-12-31",)), end="2050-01-01", every="300d")


PADDED = [f"{i:04d}" for i in range(5)]


@pytest.mark.parametrize("ids", [PADDED, [f" {i}" for i in range(5)], [10, 11, 12, 13, 14], [0.5, 1.5, 2.5, 3.5, 4.5]])
@pytest.mark.parametrize("way", ["one frame", "frames", "static"])
def test_labels_about_nobody_in_the_database_show_both_forms(ids: list[object], way: str) -> None:
    rows = frame(ids)
    labels = {"train": rows[:20], "val": rows[20:].assign(id=1)} if way == "frames" else rows
    with pytest.raises(TaskError, match=r"none of the .* labelled rows") as caught:
        from_labels(labels, **({"time": None, "horizon": None} if way == "static" else {}))
    assert repr(ids[0]) in str(caught.value) or str(ids[0]) in str(caught.value)
    assert "users.id (int64) holds 0, 1, 2" in str(caught.value)


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_constant_number_in_a_split_is_refused(split: str) -> None:
    rows = frame()
    parts = {"train": rows[:20].copy(), "val": rows[20:25].copy(), "test": rows[25:].copy()}
    parts[split]["label"] = 2.5
    with pytest.raises(TaskError, match=rf"{split} labels=2.5: are all the same"):
        from_labels(parts)


def test_contradicting_labels_are_counted() -> None:
    rows = frame(label=np.arange(30) % 2)
    both = pd.concat([rows, rows.assign(label=1 - rows["label"])])
    notes = from_labels(both, "binary").notes
    assert [note for note in notes if note.startswith("40 of 40 train rows are contradicted")]
    assert not [note for note in from_labels(pd.concat([rows, rows]), "binary").notes if "contradicted" in note]
    one = pd.concat([rows, rows[:1].assign(label=1 - rows["label"][:1])])
    assert [note for note in from_labels(one, "binary").notes if note.startswith("2 of 21 train rows")]


def test_references_that_all_dangle_are_named_with_both_forms() -> None:
    notes = from_labels(frame(), of=database(references=np.arange(600) + 100)).notes
    found = next(note for note in notes if note.startswith("None of the 600 references of orders to users is found"))
    assert "orders.user (int64) holds 100, 101, 102" in found
    assert "users.id (int64) holds 0, 1, 2" in found
    assert not [note for note in from_labels(frame()).notes if "references" in note]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"metric": "auc"}, "metric=auc"),
        ({"metric": "roc_auc"}, "metric=roc_auc"),
        ({"embargo": "soon"}, "embargo=soon"),
        ({"every": "monthly"}, "every=monthly"),
        ({"val_start": "yesterday"}, "val_start=yesterday"),
        ({"test_start": "2020-02-30"}, "test_start=2020-02-30"),
        ({"known_after": "late"}, "known_after=late"),
        ({"horizon": "-3d"}, "horizon=-3d"),
    ],
)
def test_options_are_refused_before_the_queries_run(options: dict[str, object], match: str) -> None:
    with pytest.raises(TaskError, match=match):
        from_sql(database(), population="SELECT error('the query ran')", **options)
