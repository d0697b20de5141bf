from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from relselect.bank import BankFolder, BankProgress, BankSource, PerformanceBank, build_bank
from relselect.bank.jobs import TrialPlan, jobs_of
from relselect.budget import Budget
from relselect.errors import BankError, ConfigError, MissingExtra, UnwritableError
from relselect.events import Notice, silent
from relselect.families.registry import registered
from relselect.problem import Problem
from relselect.problem.rows import fit_rows
from relselect.tuning import derive_seed
from tests.bank.worlds import files, manifest, things
from tests.families.ridge import RIDGE, Ridge


def test_every_planned_trial_is_there_with_its_scores(tiny_bank):
    assert [task.title for task in sorted(tiny_bank.tasks, key=lambda t: t.title)] == ["a/high", "a/value", "b/high"]
    # per task: one constant, the default with two seeds, two further configurations
    assert len(tiny_bank) == 3 * 5
    for trial in tiny_bank.trials:
        assert not trial.failed
        assert math.isfinite(trial.select_score)
        assert math.isfinite(trial.test_score)
        assert trial.threads == 1
    roles = {(t.family, t.number, t.seed, t.role) for t in tiny_bank.trials if t.family == "ridge"}
    assert roles == {
        ("ridge", 0, 0, "default"), ("ridge", 0, 1, "default"), ("ridge", 1, 0, "space"), ("ridge", 2, 0, "space"),
    }  # fmt: skip
    tiny_bank.validate()


def test_a_trial_equals_the_fit_refit_and_prediction_of_a_run(tiny_bank):
    made, family = things("a", seed=1), Ridge()
    problem = Problem(made.database, made.tasks["high"])
    rows = fit_rows(problem)
    fitted = family.fit(
        problem, rows, {"penalty": 1.0}, seed=derive_seed(0, 0), number=0, budget=Budget(None), emit=silent
    )
    refitted = family.refit(fitted, problem, rows)
    test = problem.rows("test")
    task = next(each for each in tiny_bank.tasks if each.title == "a/high")
    trial = next(t for t in tiny_bank.trials_of[task.id] if (t.family, t.number, t.seed) == ("ridge", 0, 0))
    assert trial.select_score == fitted.score
    assert trial.test_score == problem.task.metric.score(test.label, family.predict(refitted, problem, test))
    assert trial.validated_test_score == problem.task.metric.score(test.label, family.predict(fitted, problem, test))
    assert trial.refitted
    labels, predictions = tiny_bank.labels(task.id), tiny_bank.predictions(task.id)[trial.id]
    for part, score in (("select", trial.select_score), ("test", trial.test_score)):
        assert problem.task.metric.score(labels[part].label, predictions[part]) == pytest.approx(score, abs=1e-6)
    assert sorted(np.unique(labels["test"].cluster, return_counts=True)[1]) == [3] * 60
    assert task.reference_test == 0.5
    assert task.bayes_test == 0.9


def test_defaults_of_all_tasks_come_first():
    jobs = jobs_of(manifest(), [("a", "x"), ("b", "y")], ["ridge"], ["constants"])
    assert [(job.database, len(job.trials)) for job in jobs] == [
        ("a", 2),
        ("b", 2),
        ("a", 1),
        ("b", 1),
        ("a", 2),
        ("b", 2),
    ]
    assert jobs[0].trials == (TrialPlan("constants", 0, 0), TrialPlan("ridge", 0, 0))
    assert jobs[2].trials == (TrialPlan("ridge", 0, 1),)
    assert jobs[4].trials == (TrialPlan("ridge", 1, 0), TrialPlan("ridge", 2, 0))


def test_the_same_call_again_adds_nothing_and_more_seeds_add_theirs(tmp_path):
    with registered(RIDGE):
        plan = manifest(databases={"b": BankSource(tasks=["high"])}, configurations=0)
        first = build_bank(plan, tmp_path / "bank")
        again = build_bank(plan, tmp_path / "bank")
        more = build_bank(plan.model_copy(update={"seeds": [0, 1, 2]}), tmp_path / "bank")
    assert (first.added, again.added, more.added) == (3, 0, 1)
    assert again.bank.fingerprint == first.bank.fingerprint


def test_a_failed_trial_is_a_row_with_its_reason_and_is_not_repeated(tmp_path):
    class Fails(Ridge):
        def fit(self, problem, rows, config, **how):
            if config["penalty"] == 1.0:
                raise FloatingPointError("it went to infinity")
            return super().fit(problem, rows, config, **how)

    plan = manifest(databases={"b": BankSource(tasks=["high"])}, seeds=[0], configurations=1)
    with registered(type(RIDGE)(**{**vars(RIDGE), "make": Fails})):
        built = build_bank(plan, tmp_path / "bank")
        assert build_bank(plan, tmp_path / "bank").added == 0
    assert built.failed == 1
    failed = next(trial for trial in built.bank.trials if trial.failed)
    assert failed.error == "FloatingPointError: it went to infinity"
    assert "in fit" in failed.traceback
    built.bank.validate()


def test_unreadable_databases_and_open_findings_are_refused_and_the_rest_is_built(tmp_path):
    sources = {
        "bad": BankSource(parameters={"broken": True}, tasks=["high"]),
        "gone": BankSource(parameters={"broken": True}),
        "b": BankSource(tasks=["high", "nothing"]),
    }
    seen = []
    with registered(RIDGE):
        built = build_bank(
            manifest(databases=sources, seeds=[0], configurations=0), tmp_path / "bank", on_event=seen.append
        )
    assert set(built.refused) == {("bad", "high"), ("gone", ""), ("b", "nothing")}
    assert "the generator gave up" in built.refused["bad", "high"]
    assert len(built.bank) == 2
    assert sum(isinstance(event, Notice) for event in seen) == 3
    last = [event for event in seen if isinstance(event, BankProgress)][-1]
    assert (last.done, last.planned, last.failed, last.refused) == (2, 6, 0, 3), last


def test_a_leaky_task_is_refused_unless_it_is_accepted(tmp_path, monkeypatch):
    from relselect.bank import worker
    from relselect.leaks import Finding, LeakReport

    finding = Finding("overwritten", "warning", "events.size", "it changes later", "Declare it")
    usual = worker.profile_task

    def leaking(problem):
        from dataclasses import replace

        return replace(usual(problem), leaks=LeakReport.of([finding], ran=["overwritten"], unrun=[]))

    monkeypatch.setattr(worker, "profile_task", leaking)
    plan = manifest(databases={"b": BankSource(tasks=["high"])}, seeds=[0], configurations=0)
    accepted = plan.model_copy(
        update={"databases": {"b": BankSource(tasks=["high"], accept={"high": "the size never changes here"})}}
    )
    with registered(RIDGE):
        built = build_bank(plan, tmp_path / "bank")
        assert "it changes later" in built.refused["b", "high"]
        assert len(built.bank.tasks) == 0
        built = build_bank(accepted, tmp_path / "bank")
    assert built.refused == {}
    assert built.bank.tasks[0].facts["accepted"] == "the size never changes here"


def test_workers_of_another_process_make_the_same_bank(tmp_path):
    """Constants alone: families of the tests are not registered in other processes."""
    plan = manifest(databases={"b": BankSource(tasks=["high"])}, families=None, seeds=[0], configurations=0)
    from relselect.bank.worker import run_job

    folder = BankFolder.made(tmp_path / "bank")
    place = tmp_path / "plan.json"
    place.write_text(json.dumps(plan.model_dump()))
    from relselect.bank.jobs import BankJob

    job = BankJob("b", "high", (TrialPlan("constants", 0, 0),))
    done = run_job(str(place), str(folder.path), job)
    assert len(done.trials) == 1
    assert PerformanceBank.open(folder.path).trials[0].id == done.trials[0]


def test_a_bank_killed_twenty_times_equals_the_unbroken_one(tmp_path):
    if not hasattr(os, "fork"):
        pytest.skip("forks")
    done = subprocess.run(
        [sys.executable, "-m", "tests.bank.killing", str(tmp_path), "20"],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["killed"] == 20
    assert found["same"]
    assert found["lost"] == 0
    assert found["partial"] == []


def test_a_claimed_trial_is_left_to_its_builder(tmp_path):
    from relselect.bank.claims import Claims

    claims = Claims(tmp_path, stale=100.0)
    with claims.claim("t1") as mine:
        assert mine
        stored = json.loads((tmp_path / "t1.json").read_text())
        (tmp_path / "t1.json").write_text(json.dumps({**stored, "pid": os.getppid()}))
        with claims.claim("t1") as theirs:
            assert not theirs
        (tmp_path / "t1.json").write_text(json.dumps({**stored, "pid": 2**22 - 3}))
        claims.count_deaths()
        assert claims.deaths("t1") == 1
        with claims.claim("t1") as taken_over:
            assert taken_over
    assert files(tmp_path) == []


def test_a_trial_at_which_workers_died_twice_is_failed(tmp_path):
    from relselect.files import write_json

    plan = manifest(databases={"b": BankSource(tasks=["high"])}, seeds=[0], configurations=0)
    with registered(RIDGE):
        wanted = build_bank(plan, tmp_path / "first").bank
        trial = next(each for each in wanted.trials if each.family == "ridge")
        place = tmp_path / "bank" / "loose" / "claims" / f"{trial.id}.json"
        BankFolder.made(tmp_path / "bank")
        write_json(place, {"pid": 2**22 - 3, "host": "", "since": 0.0, "deaths": 2})
        built = build_bank(plan, tmp_path / "bank")
    failed = next(each for each in built.bank.trials if each.family == "ridge")
    assert failed.id == trial.id
    assert "died 2 times" in failed.error


@pytest.mark.parametrize(
    ("change", "error"), [({"backend": "carrier-pigeon"}, ConfigError), ({"backend": "spark"}, MissingExtra),
                          ({"n_jobs": 0}, ConfigError)],
)  # fmt: skip
def test_options_that_are_not_understood_are_refused(tmp_path, change, error):
    with pytest.raises(error):
        build_bank(manifest(families=None), tmp_path / "bank", **change)


def test_a_place_that_holds_something_else_or_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(BankError, match=r"holds files but no manifest.json"):
        build_bank(manifest(families=None), tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UnwritableError):
        build_bank(manifest(families=None), tmp_path / "file")


def test_a_full_disk_ends_in_a_clear_error_and_keeps_what_was_finished(tmp_path, monkeypatch):
    from relselect.bank import arrays, folder

    plan = manifest(databases={"b": BankSource(tasks=["high"])}, configurations=0)
    usual, written = folder.write_predictions, []

    def full(path, trials):
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        written.append(path)
        usual(path, trials)

    monkeypatch.setattr(folder, "write_predictions", full)
    with registered(RIDGE):
        with pytest.raises(UnwritableError, match="No space left on device"):
            build_bank(plan, tmp_path / "bank")
        monkeypatch.setattr(folder, "write_predictions", arrays.write_predictions)
        assert len(PerformanceBank.open(tmp_path / "bank")) == 2
        assert build_bank(plan, tmp_path / "bank").added == 1
