"""The division of validation rows: disjoint halves that depend on keys and cutoffs alone, shared where they are few."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from relselect.database.clock import DAY
from relselect.errors import ConfigError
from relselect.problem import Problem
from relselect.problem.rows import fit_rows
from relselect.problem.validation import MIN_ROWS, split_validation
from tests.tuning.cheap import tiny_problem


@pytest.fixture(scope="module")
def problem() -> Problem:
    """40 entities at 10 dates of training, 6 of validation and 2 of test."""
    return dated(range(10, 16))


def dated(validation: range, *, static: bool = False) -> Problem:
    base = tiny_problem()
    frame = base.task.splits["train"]
    dates = np.unique(frame.cutoff)

    def at(days: range):
        # every entity at every date, with labels of both kinds at each
        parts = [frame.take(frame.cutoff == dates[0]) for _ in days]
        keys = pa.concat_tables([part.keys for part in parts])
        cutoff = np.concatenate(
            [np.full(len(part), dates[0] + 7 * DAY * day) for part, day in zip(parts, days, strict=True)]
        )
        label = np.arange(len(cutoff)) % 3 % 2 * 1.0
        return replace(frame, keys=keys, cutoff=cutoff, known_at=cutoff + 7 * DAY, label=label)

    splits = {
        "train": at(range(10)),
        "val": at(validation),
        "test": at(range(validation.stop + 2, validation.stop + 4)),
    }
    starts = {name: int(each.cutoff.min()) for name, each in splits.items()}
    return Problem(base.user_database, replace(base.task, splits=splits, starts=starts))


def test_cutoffs_alternate_and_the_last_one_selects(problem: Problem) -> None:
    found = split_validation(problem)
    assert found.way == "cutoffs"
    rows = problem.rows("val")
    dates = np.unique(rows.cutoff)
    assert set(rows.cutoff[found.select]) == set(dates[1::2])
    assert set(rows.cutoff[found.stop]) == set(dates[0::2])
    assert rows.cutoff.max() in rows.cutoff[found.select]
    assert "6 validation cutoffs" in found.why


@pytest.mark.parametrize("way", ["auto", "entities"])
def test_few_cutoffs_are_divided_by_entity(way) -> None:
    problem = dated(range(10, 13))
    found = split_validation(problem, way)
    assert found.way == "entities"
    rows = problem.rows("val")
    assert not set(rows.entity[found.stop]) & set(rows.entity[found.select])
    assert sorted([*found.stop, *found.select]) == list(range(len(rows)))


@pytest.mark.parametrize("way", ["cutoffs", "entities"])
def test_the_order_of_the_rows_moves_nobody(problem: Problem, way) -> None:
    frame = problem.task.splits["val"]
    order = np.random.default_rng(0).permutation(len(frame))
    moved = replace(
        frame, keys=frame.keys.take(pa.array(order)), cutoff=frame.cutoff[order],
        known_at=frame.known_at[order], label=frame.label[order],
    )  # fmt: skip
    other = Problem(problem.user_database, replace(problem.task, splits={**problem.task.splits, "val": moved}))
    here, there = split_validation(problem, way), split_validation(other, way)
    assert sorted(order[there.stop]) == here.stop.tolist()


def test_few_rows_and_halves_of_one_class_are_shared_and_say_so(problem: Problem) -> None:
    few = dated(range(10, 12))
    assert len(few.rows("val")) < MIN_ROWS
    found = split_validation(few)
    assert found.shared
    assert "80 validation rows are too few" in found.why
    frame = problem.task.splits["val"]
    lopsided = replace(frame, label=np.where(np.arange(len(frame)) == 0, 1.0, 0.0))
    other = Problem(problem.user_database, replace(problem.task, splits={**problem.task.splits, "val": lopsided}))
    found = split_validation(other)
    assert found.shared
    assert "single class" in found.why
    rows = fit_rows(other)
    assert len(rows.stop) == len(rows.select) == len(frame)


def test_the_tail_of_training_stops_and_its_labels_are_purged(problem: Problem) -> None:
    found = split_validation(problem, "train_tail")
    train, known = problem.rows("train"), problem.task.splits["train"].known_at
    assert found.train is not None
    start = train.cutoff[found.stop].min()
    assert train.cutoff[found.train].max() < start
    assert (known[found.train] <= start).all()
    rows = fit_rows(problem, "train_tail")
    assert len(rows.select) == len(problem.rows("val"))
    assert len(rows.train(seed=0, copies=0)) == len(found.train)
    every = len(rows.train(seed=0, copies=0)) + len(rows.added(seed=0, copies=0))
    assert every == len(train) + len(problem.rows("val"))


def test_an_unknown_way_is_refused(problem: Problem) -> None:
    with pytest.raises(ConfigError, match="Use one of: auto, cutoffs, entities, train_tail, shared"):
        split_validation(problem, "halves")  # type: ignore[arg-type]


def test_rows_that_are_scored_later_are_counted_only_where_they_are(problem: Problem) -> None:
    assert fit_rows(problem).awaiting == len(problem.rows("test"))
    assert fit_rows(problem, score_test=False).awaiting == 0
