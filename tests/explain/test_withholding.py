"""A database with something withheld predicts as one in which it was deleted; draws reach back only."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relselect.database.withheld import WithheldDatabase
from relselect.explain.withholding import (
    earlier_rows,
    with_drawn_columns,
    with_drawn_features,
    without_key,
    without_rows,
    without_table,
)
from tests.explain.planted import FAMILIES, changed, fit_of, tables


@pytest.mark.parametrize("name", FAMILIES)
def test_hidden_rows_are_as_good_as_deleted(name):
    fit, data = fit_of(name), tables()
    hidden = np.random.default_rng(3).random(data["payments"].num_rows) < 0.5
    withheld = fit.predict(without_rows(fit.problem, {"payments": hidden}))
    deleted = fit.predict(changed(fit.problem, {**data, "payments": data["payments"].filter(pa.array(~hidden))}))
    assert np.abs(withheld - deleted).max() < 1e-5
    assert np.abs(withheld - fit.predict()).max() > 0.01


@pytest.mark.parametrize("name", FAMILIES)
def test_a_table_without_rows_and_a_key_that_leads_nowhere_are_as_good_as_deleted(name):
    fit, data = fit_of(name), tables()
    empty = changed(fit.problem, {**data, "visits": data["visits"].slice(0, 0)})
    assert np.abs(fit.predict(without_table(fit.problem, "visits")) - fit.predict(empty)).max() < 1e-5
    nobody = pa.nulls(data["payments"].num_rows, pa.int64())
    place = data["payments"].column_names.index("payer")
    cut = changed(fit.problem, {**data, "payments": data["payments"].set_column(place, "payer", nobody)})
    assert np.abs(fit.predict(without_key(fit.problem, "payments", 0)) - fit.predict(cut)).max() < 1e-5


def test_keys_times_and_clocks_are_no_values(database):
    for column in ("oid", "user_id", "when", "closed"):
        with pytest.raises(ValueError, match=column):
            WithheldDatabase(database, values={"orders": {column: database["orders"].data[column]}})


def test_a_copy_that_would_show_what_is_withheld_is_refused(database):
    less = WithheldDatabase(database, rows={"orders": np.ones(database["orders"].num_rows, dtype=bool)})
    with pytest.raises(TypeError, match="only read"):
        less.with_table(database["orders"])
    with pytest.raises(TypeError, match="only read"):
        less.censored(0)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.integers(0, 5))
@settings(max_examples=50)
def test_draws_reach_back_only_and_know_nothing_of_later_rows(values, seed):
    times = np.array(values, dtype=np.int64)
    found = earlier_rows(times, seed=seed)
    assert (times[found] <= times).all()
    more = np.append(times, times.max() + 1)
    assert np.array_equal(earlier_rows(more, seed=seed)[:-1], found)


def test_columns_are_drawn_together_and_masked_values_by_their_clock(problem):
    drawn = with_drawn_columns(problem, "orders", ["total", "state"], seed=1).database["orders"].data
    whole = problem.database["orders"].data
    assert drawn["total"].to_pylist() != whole["total"].to_pylist()
    assert set(drawn["state"].to_pylist()) <= set(whole["state"].to_pylist())
    assert drawn["when"] == whole["when"]
    both = with_drawn_columns(problem, "users", ["city", "age"], seed=1).database["users"].data
    pairs = set(zip(*(problem.database["users"].data[name].to_pylist() for name in ("city", "age")), strict=True))
    assert set(zip(both["city"].to_pylist(), both["age"].to_pylist(), strict=True)) <= pairs


def test_features_of_task_rows_are_permuted(problem):
    rows = problem.rows("val")
    assert with_drawn_features(rows, ["tip"]) is rows
    from dataclasses import replace

    marked = replace(rows, features=pa.table({"tip": np.arange(len(rows)), "other": np.arange(len(rows))}))
    drawn = with_drawn_features(marked, ["tip"]).features
    assert sorted(drawn["tip"].to_pylist()) == list(range(len(rows)))
    assert drawn["tip"].to_pylist() != drawn["other"].to_pylist()
