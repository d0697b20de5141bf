"""Who is asked about now: the population at the newest date, with predictions of the deployed state; else the newest rows."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from relselect.budget import Budget
from relselect.errors import ConfigError, TaskError
from relselect.outcomes import Outcome, outlook_of
from relselect.outcomes.newest import newest_asked
from relselect.outcomes.outlook import Outlook
from relselect.run.outcome import run_outlook
from relselect.tasks import Rows
from tests.shop import shop, shop_problem, shop_task


@pytest.fixture(scope="module")
def fitted(trained):
    return trained("dfs")[0]


def test_a_predictor_lists_everyone_at_the_newest_date(fitted, database):
    found = fitted.outlook(most=7)
    told = fitted.predict(at=np.datetime64(database.last_time, "us"))
    assert (found.source, found.entities, found.keys) == ("population", len(told), ("id",))
    assert found.at.startswith(str(np.datetime64(database.last_time, "us"))[:10])
    assert found.expected == pytest.approx(told["probability"].sum())
    assert found.positive == told["prediction"].sum()
    best = told.sort_values("probability", ascending=False, kind="stable").head(7)
    assert [each.key for each in found.listed] == [(str(key),) for key in best["id"]]
    assert [each.value for each in found.listed] == best["probability"].tolist()
    assert {each.answer for each in found.listed} <= {"false", "true"}
    assert found.table()[0] == {"id": str(best["id"].iloc[0]), "value": best["probability"].iloc[0], "answer": "true"}


def test_the_date_may_be_given(fitted):
    early = fitted.outlook(at="1970-05-01")
    assert early.at.startswith("1970-05-01")
    assert early.entities == len(fitted.predict(at="1970-05-01")) < fitted.outlook().entities + 1
    with pytest.raises(ConfigError, match="most"):
        fitted.outlook(most=0)


def test_the_report_lists_them(fitted):
    ahead = fitted.result.outcome.ahead
    assert ahead == fitted.outlook()
    record = fitted.record["outcome"]["ahead"]
    assert record["entities"] == ahead.entities
    again = Outcome.from_json(json.loads(json.dumps(fitted.result.outcome.to_json())))
    assert again == fitted.result.outcome
    page = fitted.report().html()
    assert "the newest date of the database" in page
    assert all(each.key[0] in page for each in ahead.listed)


def test_nothing_after_the_newest_date_and_nobody_is_told_apart(tables):
    problem = shop_problem()
    rows, keys = newest_asked(problem)
    assert (rows.asof == problem.user_database.last_time).all()
    assert (rows.cutoff == rows.asof).all()
    assert len(rows) == len(keys)
    assert newest_asked(shop_problem(population=None)) is None
    assert newest_asked(shop_problem(time=None)) is None


def test_without_a_population_query_the_newest_evaluated_rows_stand_in(tables):
    import relselect as rs
    from relselect.families import registered
    from tests.families.ridge import RIDGE

    database = shop(tables)
    with registered(RIDGE):
        fitted = rs.select_and_train(
            database,
            shop_task(database, tables, population=None),
            Budget(60),
            families="ridge",
            max_trials=1,
            final="one",
        )
    found = fitted.outlook()
    assert found.source == "evaluated"
    last = fitted.task.splits["test"].cutoff.max()
    assert found.entities == (fitted.task.splits["test"].cutoff == last).sum() or found.entities >= 60
    assert fitted.result.outcome.ahead is None
    with pytest.raises(TaskError, match="no population query"):
        fitted.outlook(at="1970-05-01")


def test_what_a_model_raises_costs_the_outlook_alone(fitted, monkeypatch):
    heard = []

    def broken(*what, **how):
        raise ValueError("what a library says")

    monkeypatch.setattr(type(fitted.family), "predict", broken)
    found = run_outlook(fitted.problem(), fitted.result.decision, fitted.family, Budget(60), heard.append, seed=0)
    assert found is None
    assert [each.message for each in heard] == [
        "Who is asked about now was not predicted: ValueError: what a library says. Fitted.outlook() does it."
    ]


def test_the_time_that_is_kept_for_the_explanation_is_not_spent(fitted):
    heard = []
    found = run_outlook(
        fitted.problem(), fitted.result.decision, fitted.family, Budget(60), heard.append, seed=0, kept=60
    )
    assert found is None
    assert "the time budget is spent" in heard[0].message


def test_several_classes_are_counted_and_the_surest_come_first():
    task = shop_problem("multiclass").task
    zero = np.zeros(3, dtype=np.int64)
    shares = np.array([[0.2, 0.5, 0.3], [0.05, 0.05, 0.9], [0.5, 0.4, 0.1]])
    found = outlook_of(task, "population", Rows(np.arange(3), zero, zero), pa.table({"id": [7, 8, 9]}), shares)
    assert [(each.key, each.answer) for each in found.listed] == [
        (("8",), task.classes[2]), (("7",), task.classes[1]), (("9",), task.classes[0]),
    ]  # fmt: skip
    assert [(each.expected, each.predicted) for each in found.classes] == [
        (pytest.approx(0.75), 1), (pytest.approx(0.95), 1), (pytest.approx(1.3), 1),
    ]  # fmt: skip
    assert (found.expected, found.positive) == (None, None)
    assert isinstance(found, Outlook)


@pytest.mark.parametrize(("share", "keys"), [(0.4, ("9", "7", "8")), (0.6, ("8", "7", "9"))])
def test_of_two_answers_those_to_whom_the_rarer_one_is_most_probable_come_first(share, keys):
    task, zero = shop_problem().task, np.zeros(3, dtype=np.int64)
    train = task.splits["train"]
    label = (np.arange(len(train)) < share * len(train)).astype(np.float64)
    task = replace(task, splits={**task.splits, "train": replace(train, label=label)})
    chances = np.array([0.5, 0.1, 0.9])
    found = outlook_of(task, "population", Rows(np.arange(3), zero, zero), pa.table({"id": [7, 8, 9]}), chances)
    assert tuple(each.key[0] for each in found.listed) == keys
    assert found.lowest_first == (share > 0.5)
