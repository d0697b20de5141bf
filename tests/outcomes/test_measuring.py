"""The outcome of known predictions is what one counts by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from relselect.database.clock import DAY
from relselect.outcomes import Evaluated, Outcome, Rival, measure_outcome
from relselect.outcomes.calibration import calibration_error, calibration_noise
from relselect.outcomes.gains import gain_curve, top_tenth
from relselect.outcomes.segments import compared_segments
from relselect.tasks import Rows
from relselect.uncertainty import ResidualIntervals
from tests.shop import shop_problem

N = 1_000


def drawn(kind: str = "binary", seed: int = 0) -> tuple[Any, Rows, Any]:
    """A problem, rows of 60 users at ten cutoffs, and calibrated predictions of them."""
    generator = np.random.default_rng(seed)
    problem = shop_problem(kind)
    cutoff = np.repeat(np.arange(10), N // 10) * 30 * DAY
    chance = generator.beta(1, 4, N)
    label = (generator.random(N) < chance).astype(np.float64)
    if kind == "regression":
        label, chance = generator.gamma(2.0, 5 * chance + 0.1), 10 * chance + 0.2
    if kind == "multiclass":
        chance = generator.dirichlet((1, 1, 1), N)
        label = np.array([generator.choice(3, p=p) for p in chance], dtype=np.float64)
    return problem, Rows(generator.integers(0, 60, N), cutoff, cutoff, label=label), chance


def test_the_gain_curve_and_the_top_tenth_are_counted_by_hand():
    predicted = np.arange(20.0)
    label = np.where(predicted >= 16, 1.0, 0.0)
    curve = gain_curve(predicted, label)
    assert [point.captured for point in curve[:6]] == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1])
    top = top_tenth(predicted, label, np.arange(20), np.arange(20), seed=0)
    assert top is not None
    assert (top.rows, top.mean.value, top.captured.value) == (2, 1.0, pytest.approx(0.5))
    assert top.lift.value == pytest.approx(5.0)
    assert top.captured.low <= 0.5 <= top.captured.high
    assert top_tenth(predicted[:9], label[:9], np.arange(9), np.arange(9), seed=0) is None


def test_equal_predictions_are_in_no_order():
    label = np.r_[np.ones(10), np.zeros(90)]
    for order in (label, label[::-1]):
        assert [p.captured for p in gain_curve(np.ones(100), order)] == pytest.approx(np.arange(21) / 20)


def test_amounts_below_zero_are_not_captured():
    label = np.array([-1.0, 2.0] * 10)
    assert gain_curve(label, label) == ()
    top = top_tenth(label, label, np.arange(20), np.arange(20), seed=0)
    assert (top.captured.value, top.lift.value, top.mean.value) == (None, None, 2.0)


def test_calibration_of_true_chances_is_noise_and_that_of_wrong_ones_is_not():
    problem, rows, chance = drawn()
    found = measure_outcome(problem, [Evaluated("test", rows, chance, "a")])
    assert found.calibration_error <= found.calibration_noise
    wrong = measure_outcome(problem, [Evaluated("test", rows, np.sqrt(chance), "a")])
    assert wrong.calibration_error > 3 * wrong.calibration_noise
    assert sum(each.rows for each in found.bins) == N
    for each in found.bins:
        assert each.low <= each.actual <= each.high
    assert calibration_error(np.full(4, 0.25), np.array([0.0, 0, 0, 1])) == 0
    many = np.tile(chance, 10)
    assert calibration_noise(many, seed=0) == pytest.approx(calibration_noise(chance, seed=0) / np.sqrt(10), rel=0.25)


def test_a_yes_or_no_task_is_summed_and_the_rarer_answer_sought():
    problem, rows, chance = drawn()
    found = measure_outcome(problem, [Evaluated("test", rows, chance, "a"), Evaluated("select", rows, chance, "a")])
    label = np.asarray(rows.label)
    assert (found.event, found.rows, found.entities) == ("positive", N, 60)
    assert found.mean == pytest.approx(label.mean())
    assert [each.split for each in found.totals] == ["test", "select"]
    assert found.totals[0].expected == pytest.approx(chance.sum())
    assert found.totals[0].actual == label.sum()
    best = np.argsort(-chance)[: N // 10]
    assert found.top.captured.value == pytest.approx(label[best].sum() / label.sum())
    last = rows.cutoff == rows.cutoff.max()
    assert found.newest.entities == len(np.unique(rows.entity[last]))
    assert found.newest.first == found.newest.last == "1970-09-28"
    turned = measure_outcome(problem, [Evaluated("test", replace(rows, label=1 - label), 1 - chance, "a")])
    assert turned.event == "negative"
    assert turned.top.captured.value == pytest.approx(found.top.captured.value)


def test_the_newest_rows_reach_back_until_there_are_enough():
    problem, rows, chance = drawn()
    alone = replace(rows, cutoff=np.arange(N) * DAY, asof=np.arange(N) * DAY)
    found = measure_outcome(problem, [Evaluated("test", alone, chance, "a")]).newest
    inside = slice(N - 100, N)
    assert found.entities == len(np.unique(rows.entity[inside]))
    latest = {entity: place for place, entity in enumerate(rows.entity.tolist())}
    assert found.expected == pytest.approx(sum(chance[latest[e]] for e in set(rows.entity[inside].tolist())))


def test_periods_hold_all_rows():
    problem, rows, chance = drawn()
    found = measure_outcome(problem, [Evaluated("test", rows, chance, "a")], most=500)
    assert [each.rows for each in found.periods] == [N // 10] * 10
    assert sum(each.actual for each in found.periods) == np.asarray(rows.label).sum()
    for each in found.periods:
        assert each.low <= each.score <= each.high


def test_duels_are_paired_and_only_the_best_constant_is_met():
    problem, rows, chance = drawn()
    worse = np.random.default_rng(1).random(N)
    rivals = (
        Rival("r", worse, finished=False),
        Rival("c0", np.zeros(N), baseline=True),
        Rival("c1", chance**2, baseline=True),
    )
    found = measure_outcome(problem, [Evaluated("test", rows, chance, "a", rivals=rivals)], most=1_000).duels
    assert [(each.second, each.finished, each.baseline) for each in found] == [("r", False, False), ("c1", True, True)]
    score = problem.task.metric.score
    assert found[0].lead.value == pytest.approx(score(rows.label, chance) - score(rows.label, worse))
    assert found[0].lead.low > 0
    assert (found[1].lead.value, found[1].lead.low, found[1].lead.high) == (0, 0, 0)


@pytest.mark.parametrize("kind", ["binary", "regression", "multiclass"])
def test_every_kind_survives_json_and_repeats_itself(kind):
    problem, rows, predicted = drawn(kind)
    evaluated = [Evaluated("test", rows, predicted, "a", rivals=(Rival("b", predicted[::-1].copy()),))]
    found = measure_outcome(problem, evaluated, seed=3)
    assert Outcome.from_json(json.loads(json.dumps(found.to_json()))) == found
    assert measure_outcome(problem, evaluated, seed=3) == found
    if kind == "multiclass":
        right = predicted.argmax(axis=1) == rows.label
        assert sum(each.right for each in found.classes) == right.sum()
        assert (found.event, found.gain, found.newest.expected) == ("right", (), None)
        assert found.top.mean.value > right.mean()
    else:
        assert found.classes == ()


def test_intervals_of_the_select_rows_are_held_against_test_rows():
    problem, rows, predicted = drawn("regression")
    _, others, of_others = drawn("regression", seed=1)
    select, test = Evaluated("select", others, of_others, "a"), Evaluated("test", rows, predicted, "a")
    found = measure_outcome(problem, [test, select]).coverage
    low, high = ResidualIntervals(others.label, of_others).around(predicted, 0.8)
    assert [each.level for each in found] == [0.5, 0.8, 0.9]
    assert found[1].share == ((low <= rows.label) & (rows.label <= high)).mean()
    assert found[1].width == (high - low).mean()
    assert abs(found[1].share - 0.8) < 0.05
    assert found[0].width < found[1].width < found[2].width
    few = Evaluated("select", others.take(slice(12)), of_others[:12], "a")
    assert [each.level for each in measure_outcome(problem, [test, few]).coverage] == [0.5, 0.8]
    assert measure_outcome(problem, [select]).coverage == ()
    assert measure_outcome(*_of_a_binary_task()).coverage == ()


def _of_a_binary_task():
    problem, rows, predicted = drawn()
    return problem, [Evaluated("test", rows, predicted, "a"), Evaluated("select", rows, predicted, "a")]


def test_a_segment_is_named_only_where_it_differs_beyond_chance():
    problem, rows, chance = drawn()
    compared, none = compared_segments(problem, rows, chance, chance, seed=0)
    assert compared == 5  # five cities; ages are too many
    assert none == ()
    city = problem.database["users"].data["city"].to_numpy()[rows.entity]
    blind = np.where(city == "city 2", 1 - chance, chance)
    _, found = compared_segments(problem, rows, blind, blind, seed=0)
    assert (found[0].column, found[0].value, found[0].rows) == ("city", "city 2", (city == "city 2").sum())
    assert found[0].difference.high < 0
    assert found[0].actual == np.asarray(rows.label)[city == "city 2"].sum()


def test_columns_that_become_known_later_make_no_segments():
    problem, rows, chance = drawn()
    table = problem.database["users"]
    later = table.data.append_column("left", table.data["city"])
    masked = replace(table, data=later, time=None, known_at={"age": ("left", "city")})
    changed = problem.over(problem.database.with_table(masked))
    assert compared_segments(changed, rows, 1 - chance, None, seed=0) == (0, ())


def test_no_rows_are_refused():
    problem, rows, chance = drawn()
    with pytest.raises(ValueError, match="no rows"):
        measure_outcome(problem, [Evaluated("test", rows.take(slice(0)), chance[:0], "a")])
