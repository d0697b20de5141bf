"""Further seeds: equal ones for equal inputs, also after a kill and by workers; none that a budget cut off."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from relselect.budget import Budget
from relselect.events import EpochDone, Notice
from relselect.problem.rows import fit_rows
from relselect.tuning import derive_seed, further_seeds
from tests.tuning.cheap import Bowl, tiny_problem

PROBLEM = tiny_problem()
ROWS = fit_rows(PROBLEM)


class Talking(Bowl):
    """A bowl that says what it does, may be slow, and may be cut off or fail under certain seeds."""

    cut: tuple[int, ...] = ()
    broken: tuple[int, ...] = ()

    def fit(self, problem, rows, config, *, seed, number, budget, emit, resume=None):
        if seed in self.broken:
            raise RuntimeError("no luck with this seed")
        emit(Notice("features", "Said by every fit."))
        emit(EpochDone(self.name, number, 0, 1.0, 0.5, 0.1))
        how = {"seed": seed, "number": number, "budget": budget, "emit": emit, "resume": resume}
        found = super().fit(problem, rows, config, **how)
        return replace(found, ended="budget") if seed in self.cut else found


@pytest.fixture
def family():
    return Talking()


def chosen(family: Talking, number: int = 2):
    config = family.default(PROBLEM)
    return family.fit(PROBLEM, ROWS, config, seed=11, number=number, budget=Budget(None), emit=lambda event: None)


def more(family: Talking, folder: Path, **how):
    how = {"count": 3, "budget": Budget(None), **how}
    return further_seeds(family, PROBLEM, ROWS, how.pop("first", None) or chosen(family), folder=folder, **how)


def test_they_differ_by_their_seeds_alone(family, tmp_path):
    first, said = chosen(family), []
    found = more(family, tmp_path, emit=said.append)
    assert [each.seed for each in found] == [derive_seed(11, number) for number in (1, 2, 3)]
    assert {(each.id, tuple(each.config)) for each in found} == {(first.id, tuple(first.config))}
    assert len({each.predictions.tobytes() for each in (first, *found)}) == 4
    # the progress of fits is passed on, their notices are not: the first fit gave them
    assert [type(event) for event in said] == [EpochDone] * 3


def test_a_killed_run_goes_on_with_what_was_finished(family, tmp_path):
    whole = more(family, tmp_path / "whole")
    more(family, tmp_path / "killed", count=1)
    family.fitted.clear()
    found = more(family, tmp_path / "killed")
    assert len(family.fitted) == 1 + 2  # the chosen one, which this test fits, and the two that were missing
    for one, other in zip(whole, found, strict=True):
        assert one.seed == other.seed
        assert np.array_equal(one.predictions, other.predictions)


def test_what_is_stored_of_another_configuration_is_not_taken(family, tmp_path):
    more(family, tmp_path)
    first = chosen(family)
    other = replace(first, config={**first.config, "x": 0.1})
    assert all(each.config["x"] == 0.1 for each in more(family, tmp_path, first=other))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")
def test_workers_give_the_same(family, tmp_path):
    alone, side_by_side = more(family, tmp_path / "alone"), more(family, tmp_path / "many", jobs=2)
    assert len(alone) == len(side_by_side) == 3
    for one, other in zip(alone, side_by_side, strict=True):
        assert (one.seed, one.score) == (other.seed, other.score)
        assert np.array_equal(one.predictions, other.predictions)


def test_one_that_the_budget_cut_off_is_no_member(family, tmp_path):
    family.cut = (derive_seed(11, 2),)
    assert [each.seed for each in more(family, tmp_path)] == [derive_seed(11, 1), derive_seed(11, 3)]
    family.cut = ()  # and is no finished one for a later call
    assert len(more(family, tmp_path)) == 3
    assert more(family, tmp_path / "other", first=replace(chosen(family), ended="budget")) == ()


def test_one_that_fails_is_said_and_is_no_member(family, tmp_path):
    family.broken = (derive_seed(11, 1),)
    said = []
    assert len(more(family, tmp_path, emit=said.append)) == 2
    assert [event.level for event in said if isinstance(event, Notice)] == ["warning"]
    assert any("no luck with this seed" in event.message for event in said if isinstance(event, Notice))


def test_none_begins_that_would_not_end_in_time(family, tmp_path):
    slow = replace(chosen(family), seconds=2.0)
    begun = time.monotonic()
    assert more(family, tmp_path / "late", first=slow, budget=Budget(2.4)) == ()
    assert time.monotonic() - begun < 1.0
    assert len(more(family, tmp_path / "early", first=slow, budget=Budget(30))) == 3


def test_an_interrupt_keeps_what_was_finished(tmp_path):
    class Interrupted(Talking):
        def fit(self, *args, **how):
            if how["seed"] == derive_seed(11, 2):
                raise KeyboardInterrupt
            return super().fit(*args, **how)

    said = []
    found = more(Interrupted(), tmp_path, emit=said.append)
    assert [each.seed for each in found] == [derive_seed(11, 1)]
    assert any(isinstance(event, Notice) and event.topic == "interrupt" for event in said)
