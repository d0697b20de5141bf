"""Oblivious trees give what CatBoost gives, without CatBoost."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from relselect.dfs.learners.labels import LabelScale
from relselect.dfs.learners.oblivious import ObliviousTrees, TreeColumns
from tests.dfs.learners.test_contract import data


def trees() -> ObliviousTrees:
    """One tree of two levels: x0 > 1, then category 2 of x1."""
    columns = TreeColumns(np.array([[0, -1], [1, 2]], dtype=np.int32), 2)
    features, borders = np.array([[0, 1]], dtype=np.int32), np.array([[1.0, 0.5]], dtype=np.float32)
    leaves = np.array([[[1.0], [2.0], [3.0], [4.0]]])
    return ObliviousTrees("regression", columns, features, borders, leaves, np.array([10.0]), LabelScale(1.0, 2.0))


def test_a_leaf_is_the_number_of_its_splits():
    values = np.array([[1.0, 0.0], [1.5, 0.0], [np.nan, 2.0], [9.0, 2.0], [9.0, np.nan]])
    assert trees().predict(values).tolist() == [23.0, 25.0, 27.0, 29.0, 25.0]


def test_the_most_frequent_categories_have_columns():
    values = np.repeat(np.arange(40.0), np.arange(40, 0, -1))[:, None]
    assert TreeColumns.fit(values, [True]).sources[:, 1].tolist() == list(range(32))


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_they_predict_what_catboost_predicts(kind, tmp_path):
    catboost = pytest.importorskip("catboost", reason="the extra is not installed")
    import json

    rows = data(kind, 300, 0)
    columns = TreeColumns.fit(rows.features.values, rows.features.categorical)
    loss = {"binary": "Logloss", "multiclass": "MultiClass", "regression": "MAE"}[kind]
    options = {"iterations": 20, "depth": 4, "verbose": False, "allow_writing_files": False, "thread_count": 1}
    booster = catboost.CatBoost({**options, "loss_function": loss}).fit(columns.read(rows.features.values), rows.label)
    booster.save_model(str(tmp_path / "model.json"), format="json")
    found = ObliviousTrees.of_json(json.loads((tmp_path / "model.json").read_text()), 20, kind, columns, LabelScale())
    values = data(kind, 200, 1).features.values
    raw = "RawFormulaVal" if kind == "regression" else "Probability"
    expected = booster.predict(columns.read(values), prediction_type=raw)
    expected = expected[:, 1] if kind == "binary" else expected
    assert np.allclose(found.predict(values), expected, rtol=1e-9, atol=1e-12)


DAMAGES = {
    "a split on no column": ("features", lambda each: each + 2),
    "too few borders": ("borders", lambda each: each[:, :1].copy()),
    "too few leaves": ("leaves", lambda each: each[:, :2].copy()),
    "leaves that are not finite": ("leaves", lambda each: each * np.nan),
    "two outputs": ("bias", lambda each: np.zeros(2)),
    "another type": ("borders", lambda each: each.astype(np.float64)),
    "a column of no feature": ("columns", lambda each: each + 5),
}


@pytest.mark.parametrize(("name", "damage"), DAMAGES.values(), ids=DAMAGES.keys())
def test_damaged_arrays_are_refused(name, damage, tmp_path):
    trees().save(tmp_path)
    path = tmp_path / "oblivious_trees.safetensors"
    arrays = load_file(path)
    save_file({**arrays, name: damage(arrays[name])}, path)
    with pytest.raises(ValueError):  # noqa: PT011
        ObliviousTrees.load(tmp_path)
