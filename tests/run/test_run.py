"""One run: its result as JSON, both states of the decision, a refit that fails, and a run that needs no PyTorch."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from relselect.budget import Budget
from relselect.errors import ConfigError, RelSelectError
from relselect.families.registry import info_of, registered
from relselect.fitted import Fitted
from relselect.problem import Problem
from relselect.run import RunResult, Settings, measure, run
from tests.tuning.cheap import Bowl, tiny_problem


class Refitting(Bowl):
    """A bowl whose refit predicts 1, or fails."""

    name = "refitting"
    fails = False

    def fit(self, *args, **how):
        found = super().fit(*args, **how)
        return replace(found, score=found.score + 1.0, interval=(0.8, 1.2))

    def predict(self, candidate, problem, rows):
        return np.full(len(rows), float(candidate.model[0]))

    def refit(self, candidate, problem, rows, **how):
        if self.fails:
            raise RuntimeError("no luck with the refit")
        return replace(candidate, model=np.ones(3))


@pytest.fixture
def family():
    with registered(replace(info_of("dfs"), name="refitting", make=Refitting)):
        yield Refitting


@pytest.fixture(scope="module")
def problem() -> Problem:
    return tiny_problem()


def ran(problem: Problem, **how) -> RunResult:
    settings = Settings(families=("refitting",), max_trials=3, **how)
    return run(problem, settings, Budget(60))


def test_a_result_survives_json(problem, family):
    found = ran(problem)
    text = json.dumps(found.to_json(), allow_nan=False)
    again = RunResult.from_json(json.loads(text))
    assert json.dumps(again.to_json()) == text
    assert [each.id for each in again.ranked] == [each.id for each in found.ranked]
    assert again.scores == found.scores
    assert all(each.model is None for each in found.candidates)


def test_a_predictor_keeps_both_states(problem, family):
    found = ran(problem)
    assert found.decision is not None
    assert found.decision.refitted
    fit = Fitted(
        task=problem.task, types=problem.types, schema={}, family=family(), result=found,
        database=problem.user_database, problem=problem,
    )  # fmt: skip
    validated = float(found.decision.candidate.model[0])
    assert validated != 1.0
    for split, wanted in (("train", validated), ("val", validated), ("test", 1.0)):
        assert (fit.predict(split=split)["probability"] == wanted).all(), split
    assert found.scores["test"][RunResult.DEPLOYED].value == 0.5


def test_a_refit_that_fails_keeps_what_was_validated(problem, family, monkeypatch):
    monkeypatch.setattr(Refitting, "fails", True)
    found = ran(problem)
    assert found.decision is not None
    assert not found.decision.refitted
    assert found.decision.deployed is found.decision.candidate
    assert "no luck with the refit" in found.decision.refit_note
    assert any(notice.topic == "refit" and notice.level == "warning" for notice in found.notices)


def test_a_measurement_decides_nothing(problem):
    found = measure(problem, Settings(), Budget(None))
    assert found.decision is None
    assert {each.family for each in found.candidates} == {"constants"}
    with pytest.raises(ConfigError, match="holds no decision"):
        Fitted(task=problem.task, types=problem.types, schema={}, family=Bowl(), result=found)


def test_a_run_of_feature_synthesis_needs_no_pytorch(tmp_path):
    code = (
        "import sys, relselect as rs; from tests.tuning.cheap import tiny_problem; problem = tiny_problem();"
        "fit = rs.select_and_train(problem.user_database, problem.task, '60s', families='dfs', max_trials=1);"
        f"fit.save({str(tmp_path / 'fit')!r}); fit.report({str(tmp_path / 'page.html')!r}); fit.predict(split='test');"
        "print('torch' in sys.modules)"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, check=False, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "False"


def test_a_folder_of_failed_trials_is_to_be_deleted(problem, tmp_path):
    failing = partial(Bowl, fail=range(100))
    with registered(replace(info_of("dfs"), name="bowl", make=failing)):
        for workdir, way_out in ((None, "Correct what the errors name."), (tmp_path, f"then delete {tmp_path}, ")):
            settings = Settings(families=("bowl",), max_trials=2, workdir=workdir)
            with pytest.raises(RelSelectError, match="every trial failed: bowl trial 0: RuntimeError") as caught:
                run(problem, settings, Budget(60))
            assert way_out in str(caught.value)
