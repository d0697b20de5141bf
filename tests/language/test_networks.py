"""Networks that read rows as language: they learn, obey the law of time, save, load, and refuse another model."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from relselect.budget import Budget
from relselect.errors import BudgetExhausted, ConfigError
from relselect.events import StageFinished, silent
from relselect.language import sentence_encoder
from relselect.rdl import RDL
from relselect.rdl.family import blueprint_of
from relselect.rdl.settings import NetworkSettings
from tests.language.tiny import write_model
from tests.rdl.conftest import make_problem, make_shop, shop_frames, small
from tests.rows import shared_rows

__all__ = ["make_problem", "make_shop", "shop_frames", "small"]


def fit(problem, config, budget=None, emit=silent):
    return RDL("cpu").fit(problem, shared_rows(problem), config, seed=0, number=0, budget=Budget(budget), emit=emit)


@pytest.mark.parametrize("rows", ["language", "both"])
def test_it_learns_what_was_planted(make_problem, small, installed, rows):
    events = []
    candidate = fit(make_problem(), {**small, "rows": rows, "epochs": 8}, emit=events.append)
    assert candidate.score > 0.8
    stage = next(event for event in events if isinstance(event, StageFinished) and event.stage == "language")
    assert "different rows" in stage.detail


def test_language_takes_the_place_of_columns_but_not_of_what_is_known_later(make_problem, installed):
    problem = make_problem()
    both, language = (
        blueprint_of(problem, NetworkSettings(rows=rows)).encodings["orders"] for rows in ("both", "language")
    )
    assert both.sentence == language.sentence
    assert "state" not in language.sentence.columns  # known only when the order is closed
    assert "price" in language.sentence.columns
    assert [column.name for column in language.categories] == ["state"]
    assert language.numeric == ()
    assert len(both.numeric) > 0
    assert language.moments == both.moments
    assert blueprint_of(problem, NetworkSettings(rows="both")).encodings["__labels__"].sentence is None


def test_only_the_tables_that_are_named_and_in_the_graph_are_read_as_language(make_problem, small, installed, tmp_path):
    problem = make_problem()

    def said(**options):
        encodings = blueprint_of(problem, NetworkSettings(rows="language", **options)).encodings
        return {name for name, each in encodings.items() if each.sentence is not None}

    assert said() == {"users", "shops", "orders"}
    assert said(without=("shops",)) == {"users", "orders"}
    assert said(language_tables=("users",)) == {"users"}
    plain, named = (
        blueprint_of(problem, NetworkSettings(rows=rows, language_tables=("users",))).encodings["orders"]
        for rows in ("columns", "language")
    )
    assert named == plain
    candidate = fit(problem, {**small, "rows": "both", "language_tables": ["users"], "epochs": 1})
    RDL("cpu").save(candidate, tmp_path)
    loaded = RDL("cpu").load(tmp_path, dataclasses.replace(candidate, model=None, checkpoints=()))
    rows = problem.rows("val")
    assert np.array_equal(RDL("cpu").predict(loaded, make_problem(), rows), candidate.predictions)
    for wrong in (["persons"], ["__labels__"], ["shops"]):
        options = {"rows": "both", "language_tables": wrong, "without": ["shops"]}
        with pytest.raises(ConfigError, match="is no table of the graph that may be read as language"):
            RDL("cpu").adjusted(problem, options)


def test_what_a_sentence_holds_counts_as_read(make_problem, small, installed):
    problem = make_problem()
    columns, language = (
        RDL("cpu").reads(fit(problem, {**small, "rows": rows, "epochs": 1})) for rows in ("columns", "language")
    )
    assert language == columns


def test_a_saved_network_predicts_the_same_and_refuses_another_model(make_problem, small, installed, tmp_path):
    problem = make_problem()
    candidate = fit(problem, {**small, "rows": "both", "epochs": 1})
    (tmp_path / "saved").mkdir()
    RDL("cpu").save(candidate, tmp_path / "saved")
    header = dataclasses.replace(candidate, model=None, checkpoints=())
    loaded, rows = RDL("cpu").load(tmp_path / "saved", header), problem.rows("val")
    assert np.array_equal(RDL("cpu").predict(loaded, make_problem(), rows), candidate.predictions)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RELSELECT_LANGUAGE_MODEL", str(write_model(tmp_path / "other", seed=5)))
        sentence_encoder.cache_clear()
        with pytest.raises(ConfigError, match="is another model on this machine"):
            RDL("cpu").predict(loaded, make_problem(), rows)


def test_predictions_do_not_depend_on_hidden_rows(make_problem, small, shop_frames, make_shop, installed):
    problem = make_problem()
    candidate = fit(problem, {**small, "rows": "both", "epochs": 1})
    rows = problem.rows("val")
    asof = int(rows.asof.min())
    rows = rows.take(rows.asof == asof)
    orders = shop_frames["orders"].to_pandas()
    hidden, later = (orders[column].astype("datetime64[us]").astype("int64") > asof for column in ("when", "closed"))
    orders.loc[later, "state"] = "elsewhere"
    orders.loc[hidden, "price"] = -5.0
    changed = {**shop_frames, "orders": pa.Table.from_pandas(orders, preserve_index=False)}
    other = problem.rebind(make_shop(changed))
    found = RDL("cpu").predict(candidate, other, rows)
    assert np.allclose(found, RDL("cpu").predict(candidate, problem, rows), atol=1e-5, rtol=0)


def test_a_spent_budget_ends_before_the_rows_are_read(make_problem, small, installed):
    with pytest.raises(BudgetExhausted):
        fit(make_problem(), {**small, "rows": "language"}, budget=1e-6)


def test_a_missing_model_is_bad_input(make_problem, small, installed):
    with pytest.raises(ConfigError, match="is no language model on this machine"):
        fit(make_problem(), {**small, "rows": "both", "language": "/no/such/model"})
