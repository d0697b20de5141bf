"""Trials that are behind on the way are ended: the same ones for any number of workers and kills, and none is deployed."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from relselect.budget import Budget
from relselect.dfs import DFS
from relselect.errors import ConfigError, FitPruned
from relselect.events import Event, TrialFinished, TrialPruned, silent
from relselect.families.candidate import CurvePoint
from relselect.families.options import FixedOptions
from relselect.families.protocol import TrainingLength
from relselect.problem import Problem
from relselect.tuning import Study, tune
from relselect.tuning.journal import derive_seed, open_study
from relselect.tuning.pruning import FEWEST, PARTS, LengthWatch, ReachedValues, bars_of
from tests.rows import shared_rows
from tests.shop import shop_problem
from tests.tuning.cheap import Climber, tiny_problem

LENGTH = TrainingLength(81, "rounds", "stop", "trees")
TRIALS = 26


@pytest.fixture(scope="module")
def problem() -> Problem:
    return tiny_problem()


def run(problem: Problem, folder: Path, trials: int = TRIALS, jobs: int = 1, **how: Any) -> Study:
    where: dict[str, Any] = {"budget": Budget(None), "seed": 7, "folder": folder, "max_trials": trials, "jobs": jobs}
    return tune(Climber(**how), problem, shared_rows(problem), fidelity="length", **where)


@pytest.fixture(scope="module")
def whole(problem: Problem, tmp_path_factory: pytest.TempPathFactory) -> Study:
    return run(problem, tmp_path_factory.mktemp("whole"))


def same(one: Study, other: Study) -> None:
    for mine, theirs in zip(one.candidates, other.candidates, strict=True):
        assert (mine.number, mine.config, mine.seed, mine.score) == (
            theirs.number,
            theirs.config,
            theirs.seed,
            theirs.score,
        )
        np.testing.assert_array_equal(mine.predictions, theirs.predictions)
    kept = [[(each.number, each.config, each.reason) for each in study.pruned] for study in (one, other)]
    assert kept[0] == kept[1]


def curve(*scores: float, every: int = 1) -> list[CurvePoint]:
    return [CurvePoint(every * place, -score, score) for place, score in enumerate(scores, 1)]


def test_a_curve_has_reached_its_best_value_up_to_each_part() -> None:
    points = curve(0.5, 0.4, 0.6, 0.7)
    assert ReachedValues.of(points, LENGTH, whole=False).values == (None, None, None)
    assert ReachedValues.of(points, LENGTH, whole=True).values == (0.7, 0.7, 0.7)
    far = ReachedValues.of(
        curve(0.5, 0.4, 0.6, every=10), LENGTH, whole=False
    )  # a point counts for the parts that it passes
    assert far.values == (0.5, 0.6, None)
    assert far.last == (1, 0.6)
    fast = TrainingLength(81, "rounds", "stop", "trees", pace=3.0)  # each of its rounds counts as three
    assert ReachedValues.of(points, fast, whole=False).values == (0.6, None, None)
    slow = TrainingLength(81, "rounds", "stop", "trees", pace=0.5)  # at its limit it goes no further
    assert ReachedValues.of([*points, CurvePoint(81, -0.2, 0.2)], slow, whole=False).values == (0.7, 0.7, 0.7)
    assert ReachedValues.of([], LENGTH, whole=True).last is None
    assert ReachedValues.from_json(json.loads(json.dumps(far.to_json()))) == far


def test_epochs_are_counted_where_the_curve_has_them_and_losses_of_stop_rows_are_compared() -> None:
    epochs = TrainingLength(9, "epochs", "train", "network")
    points = [CurvePoint(100 * (epoch + 1), 0.5, 0.1 * epoch, epoch=epoch) for epoch in range(3)]
    assert ReachedValues.of(points, epochs, whole=False).values == (0.0, 0.2, None)
    unscored = [CurvePoint(step, 1.0 / step) for step in (1, 2, 16)]
    assert ReachedValues.of(unscored, LENGTH, whole=False).values[0] == -1 / 16
    lost = ReachedValues.of(unscored, epochs, whole=False)  # a loss of training rows says nothing
    assert all(value is None or value == -math.inf for value in lost.values)
    assert lost.to_json()["values"] == [None] * len(PARTS)


def test_a_bar_is_the_median_of_enough_curves_of_the_same_track() -> None:
    known = [ReachedValues("trees", (value, None, None)) for value in (0.1, 0.2, 0.3, 0.5)]
    assert bars_of(known, "trees") == (0.25, None, None)
    assert bars_of(known[1:], "trees") == (None,) * 3
    assert bars_of(known, "network") == (None,) * 3
    assert FEWEST == 4


def test_a_watch_ends_what_is_below_a_bar_and_says_where() -> None:
    watch = LengthWatch(LENGTH, (0.6, 0.5, None), lambda value: f"AUROC {value:.2f}")
    points = curve(*[0.55] * 9)
    for count in range(1, 9):
        watch(points[:count])
    watch(curve(*[0.6] * 30))  # equal to a bar is not below it
    with pytest.raises(FitPruned, match=r"^pruned at 9 of 81 rounds: AUROC 0\.55 .* worse than AUROC 0\.60") as caught:
        watch(points)
    assert caught.value.points == tuple(points)


def test_pruned_trials_are_rows_with_a_reason_and_no_candidates(problem: Problem, whole: Study, tmp_path: Path) -> None:
    heard: list[Event] = []
    family = Climber()
    where: dict[str, Any] = {"budget": Budget(None), "seed": 7, "folder": tmp_path, "max_trials": TRIALS}
    study = tune(family, problem, shared_rows(problem), fidelity="length", emit=heard.append, **where)
    same(study, whole)
    pruned = {each.number for each in study.pruned}
    assert {0, 1} & pruned == set()  # the default and the alternative, the worst of all
    assert 5 <= len(pruned) <= TRIALS - 2 * FEWEST
    assert {each.number for each in study.candidates} == set(range(TRIALS)) - pruned
    for each in study.pruned:
        done = family.trained[each.number]
        assert each.reason.startswith(f"pruned at {done} of 81 rounds: ")
        assert done in {9, 27, 81}
        assert not (tmp_path / "trials" / str(each.number)).exists()
        assert not (tmp_path / "trials" / f"{each.number}.unfinished").exists()
    assert all(family.trained[each.number] == 81 for each in study.candidates)
    assert [event.number for event in heard if isinstance(event, TrialPruned)] == sorted(pruned)
    assert [event.number for event in heard if isinstance(event, TrialFinished)] == [c.number for c in study.candidates]
    with open_study(tmp_path, json.loads((tmp_path / "study.json").read_text())) as stored:
        states = {each.user_attrs["number"]: each.state.name for each in stored.trials}
    assert {number for number, state in states.items() if state == "PRUNED"} == pruned
    assert study.best is not None
    assert study.best.score > -0.05
    with pytest.raises(ConfigError, match="another fidelity"):
        tune(Climber(), problem, shared_rows(problem), **where)


def test_a_trial_is_compared_with_trials_that_are_at_least_four_numbers_older(whole: Study) -> None:
    # four curves of one kind must have been settled so much earlier
    assert min(each.number for each in whole.pruned) >= 2 * FEWEST - 1


@pytest.mark.parametrize("jobs", [2, 4])
def test_workers_prune_what_one_process_prunes(problem: Problem, whole: Study, tmp_path: Path, jobs: int) -> None:
    same(run(problem, tmp_path, jobs=jobs), whole)


def test_a_study_that_is_killed_on_the_way_prunes_what_an_unbroken_one_prunes(
    problem: Problem, whole: Study, tmp_path: Path
) -> None:
    first, last = whole.pruned[0].number, whole.candidates[-1].number
    code = (
        "from tests.tuning.test_pruning import *; import sys;"
        f"run(tiny_problem(), Path({str(tmp_path)!r}), kill_at=json.loads(sys.argv[1]))"
    )
    root = Path(__file__).resolve().parents[2]
    for number, done in ((first, 2), (last, 20)):
        done_by = subprocess.run(
            [sys.executable, "-c", code, json.dumps([number, done])], cwd=root, check=False, capture_output=True
        )
        assert done_by.returncode == -9, done_by.stderr.decode()
    family = Climber()
    where: dict[str, Any] = {"budget": Budget(None), "seed": 7, "folder": tmp_path, "max_trials": TRIALS}
    same(tune(family, problem, shared_rows(problem), fidelity="length", **where), whole)
    assert family.trained[last] == 61  # it went on from round 20


def test_a_study_that_is_interrupted_and_taken_up_is_the_unbroken_one(
    problem: Problem, whole: Study, tmp_path: Path
) -> None:
    for stop in ([6, 3], [whole.pruned[0].number, 1], [17, 5]):
        run(problem, tmp_path, interrupt_at=stop)
    same(run(problem, tmp_path, trials=20), run(problem, tmp_path / "other", trials=20))
    same(run(problem, tmp_path), whole)


def test_what_was_saved_before_it_was_told_is_compared_all_the_same(
    problem: Problem, whole: Study, tmp_path: Path
) -> None:
    run(problem, tmp_path, trials=4)
    lines = (tmp_path / "journal.log").read_text().splitlines(keepends=True)
    (tmp_path / "journal.log").write_text("".join(lines[:-5]))  # all facts of the last trial's outcome are lost
    same(run(problem, tmp_path), whole)


def few_rounds(problem: Problem) -> FixedOptions:
    few = {"learner": "lightgbm", "rounds": 162, "bags": 2, "search": False, "texts": False, "copies": 0}
    return FixedOptions(DFS(), few)


def test_trees_that_are_not_pruned_are_those_of_a_whole_fit(tmp_path: Path) -> None:
    problem = shop_problem("binary")
    rows, family = shared_rows(problem), few_rounds(problem)
    study = tune(family, problem, rows, budget=Budget(None), seed=3, folder=tmp_path, max_trials=16, fidelity="length")
    assert study.pruned
    assert study.candidates[0].number == 0
    for each in study.pruned:
        assert " of 162 rounds: " in each.reason
    last = study.candidates[-1]
    assert last.number > FEWEST
    alone = family.fit(
        problem,
        rows,
        last.config,
        seed=derive_seed(3, last.number),
        number=last.number,
        budget=Budget(None),
        emit=silent,
    )
    np.testing.assert_array_equal(last.predictions, alone.predictions)
