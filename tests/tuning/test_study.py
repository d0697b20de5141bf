"""A study keeps its promises: default first, equal seeds equal studies, nothing finished is lost."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from relselect.budget import Budget
from relselect.errors import ConfigError, UnwritableError
from relselect.events import Event, Notice, TrialFailed, TrialFinished
from relselect.families.candidate import Candidate
from relselect.families.constants import Constants
from relselect.families.protocol import Config
from relselect.problem import Problem
from relselect.tuning import Study, tune
from relselect.tuning.journal import open_study
from tests.rows import shared_rows
from tests.tuning.cheap import Bowl, tiny_problem


@pytest.fixture(scope="module")
def problem() -> Problem:
    return tiny_problem()


def run(problem: Problem, folder: Path, trials: int = 12, seed: int = 7, **how: object) -> Study:
    return tune(
        Bowl(**how), problem, shared_rows(problem), budget=Budget(None), seed=seed, folder=folder, max_trials=trials
    )


def same(one: Study, other: Study) -> None:
    assert [c.config for c in one.candidates] == [c.config for c in other.candidates]
    assert [c.number for c in one.candidates] == [c.number for c in other.candidates]
    assert [c.seed for c in one.candidates] == [c.seed for c in other.candidates]
    assert [c.score for c in one.candidates] == [c.score for c in other.candidates]
    for a, b in zip(one.candidates, other.candidates, strict=True):
        np.testing.assert_array_equal(a.predictions, b.predictions)
        np.testing.assert_array_equal(a.model, b.model)


def test_default_first_and_the_sampler_learns(problem: Problem, tmp_path: Path) -> None:
    study = run(problem, tmp_path, trials=25)
    assert study.candidates[0].config == Bowl().default(problem)
    assert [c.number for c in study.candidates] == list(range(25))
    assert study.best is not None
    assert abs(study.best.config["x"] - 0.3) < 0.1
    assert "25 trials" in study.stopped
    assert not study.interrupted


class Knowing(Bowl):
    """A bowl that knows where else to look."""

    def alternatives(self, problem: Problem) -> list[Config]:
        return [{"x": x, "kind": "b", "inner": {"depth": 2}} for x in (0.8, 0.7)]


def test_alternatives_come_right_after_the_default(problem: Problem, tmp_path: Path) -> None:
    def study(trials: int, folder: str, **how: object) -> Study:
        family = Knowing(**how)
        return tune(
            family,
            problem,
            shared_rows(problem),
            budget=Budget(None),
            seed=7,
            folder=tmp_path / folder,
            max_trials=trials,
        )

    whole = study(6, "a")
    first = [Bowl().default(problem), *Knowing().alternatives(problem)]
    assert [c.config for c in whole.candidates[:3]] == first
    assert len({json.dumps(c.config, sort_keys=True) for c in whole.candidates}) == 6
    study(2, "b")
    same(study(6, "b"), whole)  # taken up between two of them
    assert study(6, "c", interrupt=1).interrupted
    same(study(6, "c"), whole)  # and while one of them was fitted


def test_equal_seeds_give_equal_studies(problem: Problem, tmp_path: Path) -> None:
    same(run(problem, tmp_path / "a"), run(problem, tmp_path / "b"))
    other = run(problem, tmp_path / "c", seed=8)
    assert other.candidates[1].config != run(problem, tmp_path / "a").candidates[1].config


def test_a_longer_study_begins_like_a_shorter_one(problem: Problem, tmp_path: Path) -> None:
    run(problem, tmp_path / "a", trials=5)
    same(run(problem, tmp_path / "a", trials=12), run(problem, tmp_path / "b", trials=12))


@pytest.mark.parametrize("number", [0, 4, 9])
def test_a_killed_study_resumes_as_if_nothing_had_happened(problem: Problem, tmp_path: Path, number: int) -> None:
    code = (
        "from tests.tuning.cheap import *; from tests.rows import shared_rows; from pathlib import Path;"
        "from relselect.tuning import tune;"
        f"tune(Bowl(kill={number}), tiny_problem(), shared_rows(tiny_problem()), budget=Budget(None), seed=7,"
        f" folder=Path({str(tmp_path / 'a')!r}), max_trials=12)"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, check=False, capture_output=True)
    assert done.returncode == -9, done.stderr.decode()
    family = Bowl()
    resumed = tune(
        family, problem, shared_rows(problem), budget=Budget(None), seed=7, folder=tmp_path / "a", max_trials=12
    )
    assert family.fitted == list(range(number, 12))
    same(resumed, run(problem, tmp_path / "b"))


def test_a_torn_journal_line_is_cut_off(problem: Problem, tmp_path: Path) -> None:
    run(problem, tmp_path, trials=3)
    with (tmp_path / "journal.log").open("a") as handle:
        handle.write('{"op_code": 4, "worker')
    assert len(run(problem, tmp_path, trials=6).candidates) == 6
    assert len(run(problem, tmp_path, trials=6).candidates) == 6


def test_saved_before_it_was_told_counts_as_finished(problem: Problem, tmp_path: Path) -> None:
    run(problem, tmp_path, trials=4)
    lines = (tmp_path / "journal.log").read_text().splitlines(keepends=True)
    (tmp_path / "journal.log").write_text("".join(lines[:-4]))  # seconds, credit, outcome and state of trial 3 are lost
    family = Bowl()
    study = tune(family, problem, shared_rows(problem), budget=Budget(None), seed=7, folder=tmp_path, max_trials=4)
    assert family.fitted == []
    assert [c.number for c in study.candidates] == [0, 1, 2, 3]


def test_a_failing_trial_is_recorded_and_the_study_goes_on(problem: Problem, tmp_path: Path) -> None:
    heard: list[Event] = []
    family = Bowl(fail=(0, 2))
    study = tune(
        family,
        problem,
        shared_rows(problem),
        budget=Budget(None),
        emit=heard.append,
        seed=7,
        folder=tmp_path,
        max_trials=6,
    )
    assert [f.number for f in study.failures] == [0, 2]
    assert "RuntimeError: no luck with 2" in study.failures[1].error
    assert [c.number for c in study.candidates] == [1, 3, 4, 5]
    assert sum(isinstance(e, TrialFailed) for e in heard) == 2
    assert sum(isinstance(e, TrialFinished) for e in heard) == 4
    again = run(problem, tmp_path, trials=6)
    assert [f.error for f in again.failures] == [f.error for f in study.failures]


def test_the_same_error_three_times_ends_the_study(problem: Problem, tmp_path: Path) -> None:
    study = run(problem, tmp_path, fail=range(1, 100))
    assert len(study.failures) == 3
    assert len(study.candidates) == 1
    assert "same error" in study.stopped


def test_an_interrupt_keeps_what_was_finished(problem: Problem, tmp_path: Path) -> None:
    study = run(problem, tmp_path / "a", interrupt=3)
    assert study.interrupted
    assert len(study.candidates) == 3
    same(run(problem, tmp_path / "a"), run(problem, tmp_path / "b"))


def test_the_budget_ends_the_study(problem: Problem, tmp_path: Path) -> None:
    budget = Budget(1.0)
    study = tune(Bowl(sleep=0.2), problem, shared_rows(problem), budget=budget, seed=0, folder=tmp_path / "a")
    assert 2 <= len(study.candidates) <= 5
    assert budget.elapsed() < 1.5
    cut = run(problem, tmp_path / "b", exhaust=2)
    assert len(cut.candidates) == 2
    assert "budget" in cut.stopped
    assert not cut.failures
    same(run(problem, tmp_path / "b"), run(problem, tmp_path / "c"))


@pytest.mark.parametrize("jobs", [2, 3])
def test_workers_give_the_study_of_one(problem: Problem, tmp_path: Path, jobs: int) -> None:
    heard: list[Event] = []
    whole = run(problem, tmp_path / "a", fail=(3,))
    family = Bowl(fail=(3,))
    study = tune(
        family,
        problem,
        shared_rows(problem),
        budget=Budget(None),
        emit=heard.append,
        seed=7,
        folder=tmp_path / "b",
        max_trials=12,
        jobs=jobs,
    )
    assert family.fitted == [0]  # the others were fitted elsewhere
    same(study, whole)
    assert [each.number for each in study.failures] == [each.number for each in whole.failures] == [3]
    assert "no luck with 3" in study.failures[0].traceback
    assert [event.number for event in heard if isinstance(event, TrialFinished)] == [0, 1, 2, *range(4, 12)]


@pytest.mark.parametrize("number", [1, 6])
def test_a_killed_worker_is_a_failed_trial(problem: Problem, tmp_path: Path, number: int) -> None:
    rows = shared_rows(problem)
    how: dict[str, Any] = {"budget": Budget(None), "seed": 7, "folder": tmp_path, "max_trials": 9, "jobs": 2}
    study = tune(Bowl(kill=number), problem, rows, **how)
    assert [each.number for each in study.failures] == [number]
    assert "signal 9, as where memory runs out" in study.failures[0].error
    assert [each.number for each in study.candidates] == [each for each in range(9) if each != number]


def test_a_study_with_workers_killed_again_and_again_is_the_unbroken_one(problem: Problem, tmp_path: Path) -> None:
    code = (
        "from tests.tuning.cheap import *; from tests.rows import shared_rows; from pathlib import Path; import threading;"
        "from relselect.tuning import tune; problem = tiny_problem();"
        "threading.Timer(float(AFTER), lambda: os.kill(os.getpid(), signal.SIGKILL)).start();"
        "tune(Bowl(sleep=0.05), problem, shared_rows(problem), budget=Budget(None), seed=7,"
        f" folder=Path({str(tmp_path / 'a')!r}), max_trials=12, jobs=2)"
    )
    root = Path(__file__).resolve().parents[2]
    for after in (0.05, 0.2, 0.3):
        killed = code.replace("AFTER", str(after))
        done = subprocess.run([sys.executable, "-c", killed], cwd=root, check=False, capture_output=True)
        assert done.returncode == -9, done.stderr.decode()
    how: dict[str, Any] = {"budget": Budget(None), "seed": 7, "folder": tmp_path / "a", "max_trials": 12}
    same(tune(Bowl(), problem, shared_rows(problem), jobs=2, **how), run(problem, tmp_path / "b"))


class Counting(Bowl):
    """A bowl that scores better with more rows, and knows how many it was given."""

    def __init__(self, **misbehaviour: Any) -> None:
        super().__init__(**misbehaviour)
        self.trained: dict[int, int] = {}

    def fit(self, problem: Problem, rows: Any, config: Config, *, number: int, **how: Any) -> Candidate:
        self.trained[number] = len(rows.train(seed=0, copies=0))
        return super().fit(problem, rows, config, number=number, **how)


def test_parts_of_the_rows_are_compared_among_themselves_and_deploy_nothing(problem: Problem, tmp_path: Path) -> None:
    def study(folder: str, trials: int = 28, jobs: int = 1, **how: Any) -> tuple[Study, Counting]:
        family = Counting(**how)
        rows, place = shared_rows(problem), tmp_path / folder
        found = tune(
            family,
            problem,
            rows,
            budget=Budget(None),
            seed=7,
            folder=place,
            max_trials=trials,
            jobs=jobs,
            fidelity="rows",
        )
        return found, family

    whole, family = study("a")
    every = len(shared_rows(problem).train(seed=0, copies=0))
    parts = [-(-every // 9)] * 9 + [-(-every // 3)] * 3 + [every]
    assert [family.trained[number] for number in sorted(family.trained)] == [every, *parts, *parts, every // 9 + 1]
    assert [each.number for each in whole.candidates] == [0, 13, 26]
    assert whole.partial == 25
    with open_study(tmp_path / "a", json.loads((tmp_path / "a" / "study.json").read_text())) as stored:
        trials = {each.user_attrs["number"]: each for each in stored.trials}
        first = sorted(range(1, 10), key=lambda number: -trials[number].user_attrs["credit"])[:3]
        assert [trials[number].params for number in (10, 11, 12)] == [trials[number].params for number in first]
        best = max((10, 11, 12), key=lambda number: trials[number].user_attrs["credit"])
        assert trials[13].params == trials[best].params
        assert {trials[number].state.name for number in range(1, 13)} == {"PRUNED"}
    assert not (tmp_path / "a" / "trials" / "1").exists()
    same(study("b", jobs=2)[0], whole)
    for stop in (5, 11, 13, 20):
        assert len(study("c", interrupt=stop)[0].candidates) == (1 + (stop > 13))
    same(study("c")[0], whole)
    with pytest.raises(ConfigError, match="another fidelity"):
        run(problem, tmp_path / "a")


def test_an_unknown_fidelity_is_refused(problem: Problem, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="fidelity=half"):
        tune(Bowl(), problem, shared_rows(problem), budget=Budget(None), folder=tmp_path, max_trials=1, fidelity="half")


def test_a_study_needs_a_bound_and_its_own_folder(problem: Problem, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="max_trials"):
        tune(Bowl(), problem, shared_rows(problem), budget=Budget(None), folder=tmp_path / "a")
    run(problem, tmp_path / "a", trials=1)
    with pytest.raises(ConfigError, match="another seed"):
        run(problem, tmp_path / "a", trials=1, seed=8)


def test_a_default_outside_the_space_still_comes_first(problem: Problem, tmp_path: Path) -> None:
    study = tune(Constants(), problem, shared_rows(problem), budget=Budget(None), seed=0, folder=tmp_path, max_trials=4)
    assert study.candidates[0].config == {"scope": "global"}
    assert all(c.config["scope"] == "entity" for c in study.candidates[1:])
    assert study.best is not None
    assert study.best.score > 0.6


def test_a_default_on_the_edge_of_the_space_is_learnt_from(problem: Problem, tmp_path: Path) -> None:
    class Edge(Bowl):
        def default(self, problem: Problem) -> dict[str, object]:
            return {"x": 0.3, "penalty": 0.0, "epochs": 5}

        def space(self, trial: object, problem: Problem) -> dict[str, object]:
            return {
                "x": trial.suggest_float("x", 0.35, 1.0),
                "penalty": trial.suggest_float("penalty", 1e-8, 1.0, log=True),
            }

    heard: list[Event] = []
    study = tune(
        Edge(),
        problem,
        shared_rows(problem),
        budget=Budget(None),
        emit=heard.append,
        seed=0,
        folder=tmp_path,
        max_trials=12,
    )
    assert study.candidates[0].config == {"x": 0.3, "penalty": 0.0, "epochs": 5}
    assert not any(isinstance(event, Notice) for event in heard)
    with open_study(tmp_path, json.loads((tmp_path / "study.json").read_text())) as stored:
        assert stored.trials[0].value == study.candidates[0].score
        assert stored.trials[0].params == {"x": 0.35, "penalty": 1e-8}


def test_a_full_disk_ends_the_study_and_is_no_failed_trial(
    problem: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = False

    class Disk(Bowl):
        def fit(self, *what: Any, number: int, **how: Any) -> Candidate:
            nonlocal full
            full = number >= 3
            return super().fit(*what, number=number, **how)

    flush = os.fsync

    def fsync(handle: int) -> None:
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        flush(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(UnwritableError, match=r"workdir=.*No space left.*what was finished is kept"):
        tune(Disk(), problem, shared_rows(problem), budget=Budget(None), seed=7, folder=tmp_path / "a", max_trials=6)
    monkeypatch.setattr(os, "fsync", flush)
    same(run(problem, tmp_path / "a", trials=6), run(problem, tmp_path / "b", trials=6))


def test_a_disk_that_fails_inside_a_fit_is_no_failed_trial(problem: Problem, tmp_path: Path) -> None:
    home = tmp_path / "a"

    class Disk(Bowl):
        def fit(self, *what: Any, number: int, **how: Any) -> Candidate:
            if number == 2:
                home.rename(tmp_path / "gone")
                home.touch()
                raise RuntimeError("what a library says of a write error")
            return super().fit(*what, number=number, **how)

    with pytest.raises(UnwritableError, match="where a folder should be"):
        tune(Disk(), problem, shared_rows(problem), budget=Budget(None), seed=7, folder=home, max_trials=4)
    same(run(problem, tmp_path / "gone", trials=4), run(problem, tmp_path / "b", trials=4))


def test_a_streak_of_errors_is_remembered(problem: Problem, tmp_path: Path) -> None:
    for number in (2, 3):
        run(problem, tmp_path / "a", fail=range(1, 100), interrupt=number)
    resumed = run(problem, tmp_path / "a", fail=range(1, 100))
    whole = run(problem, tmp_path / "b", fail=range(1, 100))
    assert [each.number for each in resumed.failures] == [each.number for each in whole.failures] == [1, 2, 3]
    assert resumed.stopped == whole.stopped
