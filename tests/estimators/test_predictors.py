"""The estimators keep scikit-learn's manners: parameters, classes, scores, pipelines, cross-validation, clear errors."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import make_scorer, roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline

import relselect as rs
from relselect.errors import ConfigError, DataNotFound, LeakWarning, TaskError, UnknownEntityWarning
from relselect.estimators import CutoffSplit, RelSelectClassifier, RelSelectRegressor
from tests.estimators.conftest import QUICK
from tests.shop import shop, shop_tables

#: Trees that grow fast.
TREES = {"dfs": {"rounds": 60, "bags": 1, "learning_rate": 0.1}}


def split(asked, kind: str = "binary"):
    """Rows before the last two cutoffs, and those of the last two."""
    X, labels = asked
    late = (X["cutoff"] >= np.sort(X["cutoff"].unique())[-2]).to_numpy()
    return X[~late], labels[kind][~late], X[late], labels[kind][late]


@pytest.fixture(scope="module")
def fitted(database, asked):
    X, y, _, _ = split(asked)
    return RelSelectClassifier(database, "users", **QUICK).fit(X, y)


def test_a_classifier_predicts_classes_and_probabilities(fitted, asked):
    _, _, X, y = split(asked)
    assert fitted.classes_.tolist() == [False, True]
    chances = fitted.predict_proba(X)
    assert chances.shape == (len(X), 2)
    assert np.allclose(chances.sum(axis=1), 1)
    assert fitted.predict(X).dtype == bool
    assert (fitted.predict(X) == (chances[:, 1] >= 0.5)).all()
    assert fitted.score(X, y) == pytest.approx((fitted.predict(X) == y).mean())
    assert roc_auc_score(y, chances[:, 1]) > 0.5
    assert fitted.n_features_in_ == 2
    assert fitted.feature_names_in_.tolist() == ["id", "cutoff"]


def test_predictions_are_those_of_the_fitted_predictor(fitted, asked):
    _, _, X, _ = split(asked)
    told = fitted.fitted_.predict(rows=X)
    assert np.array_equal(fitted.predict_proba(X)[:, 1], told["probability"])
    assert fitted.fitted_.task.has_test is False
    assert fitted.fitted_.result.settings.evaluate_test is False


def test_predictions_do_not_depend_on_the_other_rows_or_their_order(fitted, asked):
    _, _, X, _ = split(asked)
    whole, order = fitted.predict_proba(X), np.random.default_rng(0).permutation(len(X))
    assert np.allclose(fitted.predict_proba(X.iloc[order]), whole[order])
    assert np.allclose(fitted.predict_proba(X.iloc[:7]), whole[:7])
    assert np.allclose(fitted.predict_proba(X.assign(other="x")[["other", "cutoff", "id"]]), whole)


def test_no_row_after_the_fitted_cutoffs_changes_the_fit(tables, asked, fitted):
    X, y, _, _ = split(asked)
    last = X["cutoff"].max()
    early = tables["orders"].to_pandas()
    early = early[early["when"] <= last]
    kept = {**tables, "orders": pa.Table.from_pandas(early, schema=tables["orders"].schema, preserve_index=False)}
    other = RelSelectClassifier(shop(kept), "users", **QUICK).fit(X, y)
    assert np.allclose(other.predict_proba(X), fitted.predict_proba(X), atol=1e-9)


@pytest.mark.parametrize(
    ("names", "dtype"),
    [(["a", "b", "c"], "<U1"), ([5, 1, 3], "int64"), ([0.5, 1.5, 2.25], "float64")],
)
def test_classes_keep_their_values(database, asked, names, dtype):
    X, _, _, _ = split(asked)
    _, codes = np.unique(split(asked, "multiclass")[1], return_inverse=True)
    y = np.array(names)[codes]
    model = RelSelectClassifier(database, "users", **QUICK).fit(X, y)
    assert model.classes_.tolist() == sorted(names)
    assert model.classes_.dtype == np.dtype(dtype)
    assert model.predict_proba(X).shape == (len(X), 3)
    assert set(model.predict(X).tolist()) <= set(names)
    assert model.predict(X).dtype == np.dtype(dtype)


def test_a_regressor_is_deterministic_and_scored(database, asked):
    X, y, later, truth = split(asked, "regression")
    model = RelSelectRegressor(database, "users", metric="neg_root_mean_squared_error", seed=3, **QUICK)
    first = model.fit(X, y)
    assert first is model
    predictions = first.predict(later)
    assert predictions.shape == (len(later),)
    assert predictions.dtype == np.float64
    assert np.array_equal(clone(model).fit(X, pd.Series(y, name="orders")).predict(later), predictions)
    assert np.isfinite(first.score(later, truth))
    assert first.fitted_.task.metric.title == "RMSE"
    assert not hasattr(first, "predict_proba")
    assert not hasattr(first, "classes_")


def test_a_static_task_needs_no_cutoff(database, asked):
    users = pd.DataFrame({"id": np.arange(60) * 7 + 3})
    y = np.arange(60) % 3 == 0
    model = RelSelectClassifier(database, "users", cutoff=None, **{**QUICK, "horizon": None}).fit(users, y)
    assert model.predict(users.iloc[::-1]).shape == (60,)
    assert {split: len(frame) for split, frame in model.fitted_.task.splits.items()} == {"train": 48, "val": 12}


def test_declared_features_and_other_names_of_the_columns(database, asked):
    X, y, later, _ = split(asked)
    renamed = X.rename(columns={"id": "user", "cutoff": "day"}).assign(budget=np.linspace(0, 1, len(X)))
    model = RelSelectClassifier(database, "users", key="user", cutoff="day", features=("budget",), **QUICK)
    model.fit(renamed, y)
    asked_later = later.rename(columns={"id": "user", "cutoff": "day"})
    with pytest.raises(TaskError, match="Add budget"):
        model.predict(asked_later)
    assert len(model.predict(asked_later.assign(budget=0.5))) == len(later)


def test_the_last_cutoffs_validate(database, asked):
    X, y, _, _ = split(asked)
    dates = np.sort(X["cutoff"].unique())
    for validation in (0.3, pd.Timestamp(dates[-2])):
        model = RelSelectClassifier(database, "users", validation=validation, **QUICK).fit(X, y)
        validated = np.unique(model.fitted_.task.splits["val"].cutoff).astype("datetime64[us]")
        assert validated.tolist() == dates[-2:].astype("datetime64[us]").tolist()
    for wrong in (0.0, 1.5, "1900-01-01", "2900-01-01"):
        with pytest.raises((ConfigError, TaskError)):
            RelSelectClassifier(database, "users", validation=wrong, **QUICK).fit(X, y)


def test_parameters_are_kept_and_cloned_without_copying_the_database(database, fitted):
    model = RelSelectClassifier(database, "users", **QUICK)
    assert model.get_params()["horizon"] == "30d"
    copied = clone(model.set_params(seed=7, final="blend"))
    assert copied.get_params() == model.get_params()
    assert copied.database is database
    assert copy.deepcopy(database) is database
    assert clone(fitted).get_params() == fitted.get_params()
    assert not hasattr(clone(fitted), "fitted_")
    assert "RelSelectClassifier" in repr(model)
    with pytest.raises(ValueError, match="Invalid parameter"):
        model.set_params(trees=3)


def test_a_fitted_estimator_does_not_pickle_and_says_what_to_do(database, fitted, tmp_path, asked):
    unfitted = pickle.loads(pickle.dumps(RelSelectClassifier(database, "users", **QUICK)))
    assert unfitted.database.fingerprint == database.fingerprint
    with pytest.raises(TypeError, match=r"fitted\.save\(folder\)"):
        pickle.dumps(fitted)
    fitted.fitted_.save(tmp_path / "bundle")
    _, _, X, _ = split(asked)
    loaded = rs.load(tmp_path / "bundle")
    assert np.array_equal(loaded.predict_proba(database, rows=X), fitted.predict_proba(X))


def test_cross_validation_and_pipelines(database, asked):
    X, labels = asked
    model = Pipeline([("same", "passthrough"), ("model", RelSelectClassifier(database, "users", **QUICK))])
    folds = CutoffSplit(2, horizon="30d")
    with warnings.catch_warnings():
        warnings.simplefilter("error", LeakWarning)
        scores = cross_val_score(model, X, labels["binary"], cv=folds, scoring="roc_auc", error_score="raise")
    assert scores.shape == (2,)
    own = make_scorer(lambda truth, said: float((truth == said).mean()))
    search = GridSearchCV(model, {"model__seed": [0, 1]}, cv=folds, scoring=own, error_score="raise")
    search.fit(X, labels["binary"])
    assert search.best_params_["model__seed"] in (0, 1)
    assert len(search.predict(X.iloc[-5:])) == 5


def test_parallel_cross_validation(database, asked):
    from joblib import parallel_config

    X, labels = asked
    model = RelSelectClassifier(database, "users", **QUICK)
    with parallel_config("threading"):
        scores = cross_val_score(model, X, labels["binary"], cv=CutoffSplit(2), n_jobs=2, error_score="raise")
    assert np.isfinite(scores).all()


def test_a_random_split_is_warned_of(database, asked):
    X, labels = asked
    drawn = np.random.default_rng(0).random(len(X)) < 0.7
    model = RelSelectClassifier(database, "users", **QUICK).fit(X[drawn], labels["binary"][drawn])
    with pytest.warns(LeakWarning, match="Split by time"):
        model.predict(X[~drawn])
    with warnings.catch_warnings():
        warnings.simplefilter("error", LeakWarning)
        model.predict(X[drawn])
        model.predict(X[-60:].assign(cutoff=pd.Timestamp("1970-12-01")))


def test_unknown_entities(fitted, asked):
    _, _, X, _ = split(asked)
    strangers = X.assign(id=-1)
    with pytest.raises(TaskError, match="none of the"):
        fitted.predict(strangers)
    with pytest.warns(UnknownEntityWarning, match=r"1 of 2 rows"):
        fitted.predict(pd.concat([X.iloc[:1], strangers.iloc[:1]]))


def test_an_estimator_that_was_not_fitted_says_so(database, asked):
    X, _ = asked
    for model in (RelSelectClassifier(database, "users"), RelSelectRegressor(database, "users")):
        with pytest.raises(NotFittedError):
            model.predict(X)


def test_weights_of_1_change_nothing_and_rows_of_weight_0_are_as_if_left_out(database, asked):
    X, y, later, _ = split(asked)
    model = RelSelectClassifier(database, "users", **{**QUICK, "families": "dfs", "options": TREES})
    plain = clone(model).fit(X, y).predict_proba(later)
    for ones in (np.ones(len(X)), pd.Series(np.ones(len(X)), index=X.index), 1, None):
        assert np.array_equal(clone(model).fit(X, y, sample_weight=ones).predict_proba(later), plain)
    weight = np.resize([1, 0, 2, 1, 3], len(X))
    some = weight > 0
    weighted = clone(model).fit(X, y, sample_weight=weight).predict_proba(later)
    assert np.array_equal(clone(model).fit(X[some], y[some], sample_weight=weight[some]).predict_proba(later), weighted)
    assert not np.array_equal(weighted, plain)


def test_whole_weights_are_like_repeated_rows(database, asked):
    X, y, later, _ = split(asked)
    model = RelSelectClassifier(database, "users", **{**QUICK, "families": "dfs", "options": TREES})
    weight = np.random.default_rng(0).integers(1, 4, len(X))
    places = np.repeat(np.arange(len(X)), weight)
    one = clone(model).fit(X, y, sample_weight=weight).predict_proba(later)[:, 1]
    other = clone(model).fit(X.iloc[places], y[places]).predict_proba(later)[:, 1]
    assert np.corrcoef(one, other)[0, 1] > 0.95


def test_balanced_classes_raise_the_rare_one(database, asked):
    X, y, later, _ = split(asked)
    rare = y & (np.random.default_rng(0).random(len(y)) < 0.3)
    model = RelSelectClassifier(database, "users", **{**QUICK, "families": "dfs", "options": TREES})
    plain = clone(model).fit(X, rare)
    balanced, heavy = (clone(model).set_params(class_weight=how).fit(X, rare) for how in ("balanced", {True: 6.0}))
    for each in (balanced, heavy):
        assert each.predict_proba(later)[:, 1].mean() > plain.predict_proba(later)[:, 1].mean() + 0.05
    assert balanced.fitted_.task.class_weight == "balanced"
    names = np.array(["no", "yes"])[rare.astype(int)]
    named = clone(model).set_params(class_weight={"yes": 6.0}).fit(X, names)
    assert named.fitted_.task.class_weight == {"no": 1.0, "yes": 6.0}
    with pytest.raises(TaskError, match="no classes of y"):
        clone(model).set_params(class_weight={"maybe": 2.0}).fit(X, names)
    assert "class_weight" not in RelSelectRegressor(database, "users").get_params()


def test_weights_that_are_none_are_refused(database, asked):
    X, y, _, _ = split(asked)
    model = RelSelectClassifier(database, "users", **QUICK)
    short, wrong = np.ones(len(X) - 1), np.ones(len(X))
    wrong[3] = np.nan
    for weight, told in (
        (short, "needs the shape"),
        (np.ones((len(X), 2)), "needs the shape"),
        (wrong, "1 of"),
        (-np.ones(len(X)), "negative"),
        (np.zeros(len(X)), "all 0"),
        (["heavy"] * len(X), "no number"),
    ):
        with pytest.raises(TaskError, match=told):
            model.fit(X, y, sample_weight=weight)
    with pytest.raises(TypeError, match="eval_set"):
        model.fit(X, y, eval_set=[])


def test_mistakes_in_x_y_and_options_are_told(database, asked):
    X, y, _, _ = split(asked)
    model = RelSelectClassifier(database, "users", **QUICK)
    missing = X.copy()
    missing.loc[missing.index[0], "cutoff"] = pd.NaT
    for broken, told in (
        (X.to_numpy(), "is no data frame"),
        (X.drop(columns="id"), "Add id"),
        (X.iloc[:0], "no row"),
        (missing, "1 missing"),
        (X.assign(cutoff="soon"), "must hold a timestamp"),
    ):
        with pytest.raises(TaskError, match=told):
            model.fit(broken, y[: len(broken)])
    half = np.where(np.arange(len(y)) == 0, np.nan, y.astype(float))
    for labels, told in (
        (None, "requires y to be passed"),
        (y[:5], "one label per row"),
        (half, "NaN"),
        (np.full(len(y), np.inf), "infinity"),
        (np.ones(len(y)), "one class"),
        (np.array([1, "a"] * (len(y) // 2), dtype=object), "one type"),
    ):
        with pytest.raises(TaskError, match=told):
            model.fit(X, labels)
    with pytest.raises(TaskError, match="is a number"):
        RelSelectRegressor(database, "users", **QUICK).fit(X, ["x"] * len(X))
    for options, error in (
        ({"database": None}, ConfigError),
        ({"database": "no such place"}, DataNotFound),
        ({"entity": None}, ConfigError),
        ({"entity": "clients"}, ConfigError),
        ({"key": ("id", "city")}, TaskError),
        ({"features": ("id",)}, TaskError),
        ({"horizon": "soon"}, TaskError),
        ({"metric": "r2"}, TaskError),
        ({"seed": -1}, ConfigError),
        ({"families": "trees"}, ConfigError),
        ({"progress": "yes"}, ConfigError),
    ):
        with pytest.raises(error):
            RelSelectClassifier(**{"database": database, "entity": "users", **QUICK, **options}).fit(X, y)


def test_a_database_is_read_from_its_place(tmp_path, asked):
    X, y, later, _ = split(asked)
    for name, table in shop_tables().items():
        pq.write_table(table, tmp_path / f"{name}.parquet")
    (tmp_path / "database.yaml").write_text(
        "name: shop\ntables:\n  users: {primary_key: id}\n  products: {primary_key: sku}\n"
        "  orders: {primary_key: oid, time: when, foreign_keys: [{columns: user_id, table: users}]}\n"
    )
    place = str(tmp_path / "database.yaml")
    model = RelSelectClassifier(place, "users", **QUICK).fit(X, y)
    assert model.get_params()["database"] == place
    assert len(model.predict(later)) == len(later)
