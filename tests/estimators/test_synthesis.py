"""Features as a transformer: the values of `relselect.features`, in time, before models of scikit-learn."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

import relselect as rs
from relselect.errors import ConfigError, TaskError, UnknownEntityWarning
from relselect.estimators import CutoffSplit, RelSelectFeatures
from tests.shop import shop, shop_tables, shop_task


@pytest.fixture(scope="module")
def made(database, asked):
    X, _ = asked
    return RelSelectFeatures(database, "users", max_features=60).fit(X)


def test_the_values_are_those_of_features(made, database, tables, asked):
    X, _ = asked
    matrix, names = made.transform(X), made.get_feature_names_out()
    assert matrix.shape == (len(X), len(names))
    assert matrix.dtype == np.float64
    told = rs.features(database, shop_task(database, tables), plan=made.plan_, rows=X).to_pandas()
    for name in names:
        expected = told[name]
        if name in made.categories_:
            codes = {text: float(code) for code, text in enumerate(made.categories_[name])}
            expected = expected.map(codes)
        assert np.array_equal(matrix[:, list(names).index(name)], expected.to_numpy(dtype=float), equal_nan=True), name
    assert made.categories_["city"] == [f"city {number}" for number in range(5)]
    assert made.n_features_in_ == 2


def test_fit_transform_is_fit_and_transform(database, asked):
    X, labels = asked
    one = RelSelectFeatures(database, "users", max_features=30, horizon="30d")
    both = clone(one).fit_transform(X, labels["binary"])
    assert np.array_equal(both, one.fit(X, labels["binary"]).transform(X), equal_nan=True)


def test_nothing_after_a_cutoff_touches_its_row(made, asked):
    X, _ = asked
    tables = shop_tables()
    cutoff = X["cutoff"].min()
    orders = tables["orders"].to_pandas()
    kept = pa.Table.from_pandas(orders[orders["when"] <= cutoff], schema=tables["orders"].schema, preserve_index=False)
    first = X[X["cutoff"] == cutoff]
    early = RelSelectFeatures(shop({**tables, "orders": kept}), "users", plan=made.plan_).fit(first)
    names = [name for name in made.get_feature_names_out() if name not in made.categories_]
    pick = [list(made.get_feature_names_out()).index(name) for name in names]
    other = [list(early.get_feature_names_out()).index(name) for name in names]
    assert np.array_equal(made.transform(first)[:, pick], early.transform(first)[:, other], equal_nan=True)


def test_past_labels_are_read_once_they_are_known(database, asked):
    X, labels = asked
    y = labels["binary"]
    made = RelSelectFeatures(database, "users", horizon="30d").fit(X, y)
    names = list(made.get_feature_names_out())
    count = names.index(next(name for name in names if name.startswith("COUNT(__labels__")))
    seen = pd.Series(made.transform(X)[:, count], index=X.index)
    # cutoffs are 30 days apart: at the first none is known, at the second one, and never the row's own
    place = X["cutoff"].rank(method="dense") - 1
    assert (seen == place).all()
    for without in (
        RelSelectFeatures(database, "users").fit(X, y),
        RelSelectFeatures(database, "users", horizon="30d").fit(X),
    ):
        assert not [name for name in without.get_feature_names_out() if "__labels__" in name]


def test_pandas_output_and_dropped_texts(database, asked):
    X, _ = asked
    frame = RelSelectFeatures(database, "users", max_features=30).set_output(transform="pandas").fit_transform(X)
    assert frame.index.equals(X.index)
    assert "city" in frame
    dropped = RelSelectFeatures(database, "users", max_features=30, categories="drop").fit(X)
    assert "city" not in dropped.get_feature_names_out()
    assert dropped.transform(X[:3]).shape == (3, len(dropped.get_feature_names_out()))


def test_before_models_and_in_cross_validation(database, asked):
    X, labels = asked
    features = RelSelectFeatures(database, "users", max_features=40, horizon="30d")
    for model in (
        make_pipeline(features, HistGradientBoostingClassifier(max_iter=10)),
        make_pipeline(features, SimpleImputer(keep_empty_features=True), LogisticRegression(max_iter=50)),
    ):
        scores = cross_val_score(
            model, X, labels["binary"], cv=CutoffSplit(2, horizon="30d"), scoring="roc_auc", error_score="raise"
        )
        assert (scores > 0.55).all()


def test_a_fitted_transformer_pickles(made, asked, tmp_path):
    X, _ = asked
    again = pickle.loads(pickle.dumps(made))
    assert np.array_equal(again.transform(X[:50]), made.transform(X[:50]), equal_nan=True)
    made.plan_.save(tmp_path / "plan.json")
    planned = RelSelectFeatures(made.database, "users", plan=tmp_path / "plan.json").fit(X)
    assert planned.get_feature_names_out().tolist() == made.get_feature_names_out().tolist()


def test_texts_that_fit_has_not_met_are_missing(database, asked):
    X, _ = asked
    cities = database["users"].data.to_pandas().set_index("id")["city"]
    few = X[X["id"].map(cities) == "city 1"]
    made = RelSelectFeatures(database, "users", max_features=30).fit(few)
    column = list(made.get_feature_names_out()).index("city")
    values = made.transform(X)[:, column]
    assert set(values[~np.isnan(values)]) == {0.0}
    assert np.isnan(values).sum() == (X["id"].map(cities) != "city 1").sum()


def test_searched_plans_need_labels(database, asked):
    X, _ = asked
    with pytest.raises(ConfigError, match="needs the labels"):
        RelSelectFeatures(database, "users", search=True).fit(X)


def test_mistakes_are_told(database, asked, made):
    X, labels = asked
    with pytest.raises(NotFittedError):
        RelSelectFeatures(database, "users").transform(X)
    with pytest.raises(NotFittedError):
        RelSelectFeatures(database, "users").get_feature_names_out()
    with pytest.raises(ConfigError, match="codes"):
        RelSelectFeatures(database, "users", categories="onehot").fit(X)
    with pytest.raises(ConfigError, match="kind of label"):
        RelSelectFeatures(database, "users", kind="ranking").fit(X, labels["binary"])
    with pytest.raises(TypeError, match="sample_weight"):
        RelSelectFeatures(database, "users").fit(X, sample_weight=1)
    with pytest.raises(TaskError, match="none of the"):
        made.transform(X.assign(id=-5))
    with pytest.warns(UnknownEntityWarning):
        made.transform(pd.concat([X[:2], X[:1].assign(id=-5)]))
    with pytest.raises(TaskError, match="as the database's times do"):
        RelSelectFeatures(database, "users").fit(X.assign(cutoff=5))
