"""Weights in whole runs: what they reach, what they leave as it is, and who refuses them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import relselect as rs
from relselect.cli.options import class_weights
from relselect.dfs.learners.registry import usable_learners
from relselect.errors import ConfigError, TaskError
from relselect.problem import Problem
from tests.shop import labels, shop_task

QUICK = {
    "families": "dfs",
    "max_trials": 1,
    "final": "one",
    "options": {"dfs": {"rounds": 60, "bags": 1}},
    "cache": False,
}


def fitted(database, task, **options):
    return rs.select_and_train(database, task, "3min", **{**QUICK, **options})


def test_weights_of_1_change_nothing_and_class_weights_move_probabilities_but_no_rule_of_scoring(database, tables):
    plain = fitted(database, shop_task(database, tables))
    ones = labels(tables).append_column("w", pa.array(np.ones(labels(tables).num_rows)))
    same = fitted(database, shop_task(database, tables, labels=ones, weight="w"))
    told = [fit.predict(split="test")["probability"].to_numpy() for fit in (plain, same)]
    assert np.array_equal(*told)
    assert plain.task.fingerprint == same.task.fingerprint
    heavy = fitted(database, shop_task(database, tables), class_weight={True: 10})
    assert [fit.record["settings"]["class_weight"] for fit in (plain, heavy)] == [None, {"true": 10.0}]
    assert heavy.predict(split="test")["probability"].mean() > told[0].mean() + 0.05
    label = heavy.task.splits["test"].label
    assert heavy.result.scores["test"][heavy.candidate.id].value == pytest.approx(
        heavy.task.metric.score(
            label, heavy.family.predict(heavy.candidate, heavy.problem(), heavy.problem().rows("test"))
        )
    )
    assert heavy.result.outcome.mean == label.mean()
    assert "Rows are weighted in the training loss" in " ".join(each["message"] for each in heavy.record["notices"])


def test_a_bundle_keeps_weights(database, tables, tmp_path):
    frame = labels(tables).append_column("w", pa.array(np.resize([1.0, 2.0], labels(tables).num_rows)))
    fit = fitted(database, shop_task(database, tables, labels=frame, weight="w", class_weight="balanced"))
    loaded = rs.load(fit.save(tmp_path / "bundle"))
    assert loaded.task.fingerprint == fit.task.fingerprint
    assert loaded.record["settings"]["class_weight"] is None  # the task has them
    assert np.array_equal(loaded.task.splits["val"].weight, fit.task.splits["val"].weight)
    at = "1970-10-20"
    assert np.array_equal(loaded.predict_proba(database, at=at), fit.predict_proba(at=at))


def test_a_learner_without_weights_is_left_out_or_refused(database, tables):
    task = shop_task(database, tables, class_weight="balanced")
    assert "tabpfn" not in usable_learners(Problem(database, task))
    with pytest.raises(ConfigError, match="takes no weights"):
        fitted(database, task, options={"dfs": {"learner": "tabpfn"}})
    with pytest.raises(TaskError, match="no classes of the task"):
        fitted(database, shop_task(database, tables), class_weight={"maybe": 2})


def test_weights_of_classes_on_the_command_line():
    assert class_weights([]) is None
    assert class_weights(["balanced"]) == "balanced"
    assert class_weights(["true=5", "a=b=0.5"]) == {"true": 5.0, "a=b": 0.5}
    for wrong in ("true", "=5", "true=five", "balanced=x"):
        with pytest.raises(ConfigError, match="--class-weight"):
            class_weights([wrong])
