"""Staleness: older data cost what they carry, rows fall out, and a planted decay is seen where there is one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import relselect as rs
from relselect.budget import Budget
from relselect.database.clock import DAY
from relselect.errors import TaskError
from relselect.explain import Decay, Staleness
from relselect.explain.decay import measure_decay
from relselect.explain.staleness import delay_ticks, measure_delays
from relselect.tasks import Rows
from relselect.tasks.metrics import metric_named
from tests.explain.planted import FAMILIES, fit_of
from tests.shop import shop_problem


def staleness_of(name: str, integer: bool = False, delays=None) -> Staleness:
    fit = fit_of(name, integer)
    ticks = delay_ticks(fit.problem, delays)
    return measure_delays(fit.problem, fit.family, fit.candidate, fit.rows.select, ticks, budget=Budget(None))


@pytest.mark.parametrize("name", FAMILIES)
def test_data_as_old_as_the_window_of_the_label_are_worth_little(name):
    found = staleness_of(name)
    assert [each.delay for each in found.delays] == ["0 days", "7 days", "30 days", "90 days"]
    assert (found.delays[0].change, found.delays[0].change_low, found.delays[0].change_high) == (0.0, 0.0, 0.0)
    assert found.delays[2].worse
    assert found.delays[2].change < -0.05
    assert all(each.change_low <= each.change <= each.change_high for each in found.delays)
    assert "Load the database" in found.sentence
    assert Staleness.from_json(found.to_json()) == found


def test_delays_are_as_of_that_day():
    fit = fit_of("dfs")
    from dataclasses import replace

    found = staleness_of("dfs", delays=("10d",))
    rows = fit.rows.select
    older = fit.predict(rows=replace(rows, asof=rows.cutoff - 10 * DAY))
    assert found.delays[1].score == pytest.approx(fit.problem.task.metric.score(rows.label, older))


def test_integer_times_have_delays_of_their_own():
    found = staleness_of("dfs", integer=True)
    assert [each.ticks for each in found.delays] == [0, 300, 1200, 3600]
    assert found.delays[1].delay == "300 units"
    assert found.delays[1].worse


def test_rows_whose_entity_is_not_known_yet_fall_out_and_are_told():
    draw = np.random.default_rng(0)
    joined = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(60) * 2, "D")
    users = pd.DataFrame({"id": range(60), "joined": joined, "x": draw.normal(size=60)})
    made = rs.Database.from_dataframes({"users": users}, keys={"users": "id"}, times={"users": "joined"})
    asked = [(i, j + pd.Timedelta(f"{d}D"), x > 0) for i, j, x in users.itertuples(index=False) for d in (5, 40)]
    frame = pd.DataFrame(asked, columns=["id", "cutoff", "label"])
    task = rs.Task.from_labels(made, frame, name="t", entity="users", kind="binary", time="cutoff", known_after=None)
    fit = rs.select_and_train(made, task, "60s", families="dfs", max_trials=1)
    found = fit.staleness(("0d", "30d"))
    assert found.delays[0].fallen == 0
    assert found.delays[1].fallen > 0
    assert found.delays[1].rows + found.delays[1].fallen == found.delays[0].rows
    assert "fall out at 30 days" in str(found)


def test_a_spent_budget_measures_fresh_data_alone():
    fit = fit_of("dfs")
    ticks = delay_ticks(fit.problem, None)
    found = measure_delays(fit.problem, fit.family, fit.candidate, fit.rows.select, ticks, budget=Budget(1e-9))
    assert len(found.delays) == 1
    assert found.unmeasured == ("7 days", "30 days", "90 days")
    assert "no time to measure 7 days" in str(found)


def test_a_static_task_has_no_age():
    with pytest.raises(TaskError, match="has no time"):
        delay_ticks(shop_problem("binary", time=None), None)
    with pytest.raises(TaskError, match="delays"):
        delay_ticks(shop_problem(), ("soon",))


def drifting(noise, periods: int = 8, size: int = 200, integer: bool = False) -> Decay:
    """The decay of predictions whose error grows as `noise` says, period by period."""
    draw = np.random.default_rng(0)
    unit = 1 if integer else 30 * DAY
    cutoff = np.repeat(np.arange(periods) * unit, size)
    entity = np.tile(np.arange(size), periods)
    label = draw.normal(size=periods * size)
    predicted = label + draw.normal(size=periods * size) * np.repeat([noise(each) for each in range(periods)], size)
    rows = Rows(entity, cutoff, cutoff, label=label)
    metric = metric_named("neg_mean_absolute_error")
    return measure_decay(metric, rows, predicted, "test", "integer" if integer else "timestamp")


def test_a_planted_decay_is_seen_and_its_slope_is_right():
    found = drifting(lambda period: 1 + 0.2 * period)
    assert found.slope == pytest.approx(-0.2 * np.sqrt(2 / np.pi), rel=0.15)  # mean |N(0, s)| = s sqrt(2 / pi)
    assert found.low <= found.slope <= found.high < 0
    assert "Train again about every" in found.sentence
    assert "MAE changes by 0.1" in found.sentence
    assert Decay.from_json(found.to_json()) == found
    assert len(found.to_frame()) == 8
    assert "<table" in found._repr_html_()


def test_without_decay_none_is_seen():
    found = drifting(lambda period: 1.0, integer=True)
    assert "No decay beyond chance is seen over 8 periods" in found.sentence
    assert "per unit of time" in found.sentence


def test_two_periods_have_no_slope_and_many_cutoffs_become_months_or_ranges():
    assert "cannot be said" in drifting(lambda period: 1.0, periods=2).sentence
    many = drifting(lambda period: 1.0, periods=60, size=20)
    assert len(many.periods) == 12
    assert sum(each.rows for each in many.periods) == 1200
    daily = Rows(np.arange(90), np.arange(90) * DAY, np.arange(90) * DAY, label=np.arange(90.0))
    found = measure_decay(metric_named("neg_mean_absolute_error"), daily, np.zeros(90), "val", "timestamp")
    assert [each.period for each in found.periods] == ["1970-01", "1970-02", "1970-03"]


def test_a_predictor_says_both(trained):
    fit, _ = trained("dfs,rdl")
    found = fit.staleness(split="test")
    assert found.decay is not None
    assert found.decay.split == "test"
    assert found.decay.sentence in found.sentences
    assert len(found.to_frame()) == 4
    assert "<table" in found._repr_html_()
    with pytest.raises(TaskError, match="val, test"):
        fit.staleness(split="train")
