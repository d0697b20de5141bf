"""Two predictors on the same rows: the interval is paired, in the metric's own direction, and honest where rows cannot tell."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

import relselect as rs
from relselect.cli.main import app
from relselect.comparison import compare_bundles, paired_difference
from relselect.errors import ConfigError, TaskError
from relselect.families import registered
from relselect.tasks.metrics import metric_named
from tests.drift.places import in_sqlite, tables
from tests.families.ridge import RIDGE
from tests.shop import labels, shop, shop_tables, shop_task

MAE, AUC = metric_named("neg_mean_absolute_error"), metric_named("roc_auc")


def noisy(rows: int = 400, seed: int = 0):
    draw = np.random.default_rng(seed)
    label = draw.normal(size=rows) * 10
    hard = draw.normal(size=rows) * 5  # what is hard for one is hard for both
    return label, hard, np.repeat(np.arange(rows // 4), 4), draw


def test_pairing_finds_what_two_intervals_would_not():
    label, hard, entity, _ = noisy()
    first, second = label + hard + 0.3 * np.sign(hard), label + hard
    found = paired_difference(MAE, label, first, second, entity, "test")
    assert found.better == "second"
    assert found.lead == pytest.approx(0.3, abs=1e-9)
    assert found.low <= found.lead <= found.high
    assert found.first == pytest.approx(found.second + 0.3)
    assert found.first > 0
    assert found.high - found.low < 0.01
    back = paired_difference(MAE, label, second, first, entity, "test")
    assert (back.better, back.lead) == ("first", -found.lead)
    assert "A is better by 0.300 (90 % interval 0.300 to 0.300)." in back.sentence("A", "B")


def test_equal_predictors_are_open():
    label, hard, entity, draw = noisy()
    noise = draw.normal(size=len(label))
    found = paired_difference(MAE, label, label + hard + noise, label + hard - noise, entity, "val")
    assert found.better == "open"
    assert "do not tell which is better" in found.sentence("A", "B")
    assert "validation rows of 100 entities" in found.sentence("A", "B")


def test_whole_entities_are_drawn():
    label, hard, entity, _ = noisy()
    gain = np.repeat(np.random.default_rng(1).normal(size=100), 4)  # constant within an entity
    second = label + hard - gain * np.sign(hard)
    by_entity = paired_difference(MAE, label, label + hard, second, entity, "test")
    by_row = paired_difference(MAE, label, label + hard, second, np.arange(400), "test")
    assert by_entity.high - by_entity.low > 1.5 * (by_row.high - by_row.low)


def test_scores_without_an_interval_say_so():
    label = np.array([0.0, 1.0])
    found = paired_difference(AUC, label, label, 1 - label, np.zeros(2, dtype=int), "test")
    assert math.isnan(found.low)
    assert found.better == "open"
    assert "too few" in found.sentence("A", "B")


@pytest.fixture(scope="module")
def two(trained, tmp_path_factory):
    """A predictor by trees and one by ridge regression, and the data as a file."""
    folder = tmp_path_factory.mktemp("two")
    data = shop_tables()
    database = shop(data)
    with registered(RIDGE):
        ridge = rs.select_and_train(
            database, shop_task(database, data), "60s", families="ridge", max_trials=1, final="one"
        )
        ridge.save(folder / "ridge")
        ridge.report(folder / "ridge" / "report.html")
        trained("dfs")[0].save(folder / "dfs")
        yield folder, in_sqlite(folder / "shop.sqlite", tables())


@pytest.mark.parametrize("split", ["test", "val", None])
def test_bundles_are_compared_on_their_common_rows(two, trained, split):
    folder, place = two
    found = compare_bundles(folder / "ridge", folder / "dfs", split=split, database=place)
    fitted = trained("dfs")[0]
    used = split or "test"
    rows = fitted.task.splits[used].label
    assert found.split == used
    assert found.rows == (len(rows) if used == "test" else fitted.result.validation.select_rows)
    if used == "test":
        chances = fitted.predict_proba(split="test")[:, 1]
        assert found.second == pytest.approx(fitted.task.metric.score(rows, chances))
    else:
        assert found.second == pytest.approx(fitted.candidate.score, abs=1e-9)
    assert found.lead == pytest.approx(found.second - found.first)
    assert found.low <= found.lead <= found.high


def test_the_command_says_it_in_words(two):
    folder, place = two

    def run(*words):
        return CliRunner().invoke(app, ["compare", *map(str, words)])

    same = run(folder / "dfs", folder / "dfs", "--uri", place)
    assert same.exit_code == 0, same.output
    assert "do not tell which is better" in same.stdout.replace("\n", " ")
    result = run(folder / "ridge" / "report.json", folder / "dfs", "--uri", place, "--split", "val", "--json")
    found = json.loads(result.stdout)
    assert found["command"] == "compare"
    assert found["metric"] == "AUROC"
    assert found["better"] in ("first", "second", "open")
    assert found["low"] <= found["lead"] <= found["high"]
    bare = folder / "alone.json"
    bare.write_text("{}")
    lonely = run(bare, folder / "dfs", "--uri", place)
    assert lonely.exit_code == 2
    assert "holds no predictions" in lonely.stderr
    assert run(folder / "dfs", folder / "ridge").exit_code == 2  # trained on frames: no place to read


def test_different_questions_are_refused(two, trained, tmp_path):
    folder, place = two
    data = shop_tables()
    database = shop(data)
    other = shop_task(database, data, "regression")
    number = rs.select_and_train(database, other, "60s", families="ridge", max_trials=1, final="one")
    number.save(tmp_path / "number")
    with pytest.raises(TaskError, match="different kind"):
        compare_bundles(folder / "dfs", tmp_path / "number", database=place)
    flipped = labels(data).to_pandas()
    flipped["label"] = ~flipped["label"]
    turned = rs.select_and_train(
        database, shop_task(database, data, labels=flipped), "60s", families="ridge", max_trials=1, final="one"
    )
    turned.save(tmp_path / "turned")
    with pytest.raises(TaskError, match="of the common rows differ"):
        compare_bundles(folder / "dfs", tmp_path / "turned", database=place)
    fitted = trained("dfs")[0]
    early = replace(fitted.task, splits={key: fitted.task.splits[key] for key in ("train", "val")})
    assert not early.has_test
    with pytest.raises(ConfigError):
        compare_bundles(tmp_path / "none.json", folder / "dfs", database=place)
