"""What every family has to do, whatever it learns: `FamilyContract` is inherited by the tests of each."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
import optuna
import pyarrow as pa
import pytest

from relselect.blend import blend_candidates
from relselect.budget import Budget
from relselect.errors import BudgetExhausted, ConfigError
from relselect.events import silent
from relselect.families import Candidate, Config, Family, FamilyInfo, FitEnd, Portfolio, family_of, info_of
from relselect.problem import Problem
from relselect.problem.rows import ExtendedRows, SplitRows, fit_rows
from relselect.tasks import Rows
from relselect.tuning import load_candidate, save_candidate
from relselect.tuning.nearest import nearest_point
from tests.shop import shop_problem
from tests.strategies import distinct_asofs, dressed

#: Options under which a family trains in about a second; a family without an entry trains under its default.
SMALL: dict[str, Config] = {
    "dfs": {"rounds": 40, "bags": 2, "min_child_samples": 5, "learning_rate": 0.1, "colsample": 0.5},
    "rdl": {"channels": 16, "layers": 2, "fan_out": 4, "batch_size": 128, "epochs": 4, "learning_rate": 1e-2},
}
SMALL["hybrid"] = SMALL["rdl"] | {"kept": 10, "trees": SMALL["dfs"] | {"bags": 1}}
#: What the blend averages here.
MEMBERS = ("dfs", "constants")
CASES = ("binary", "regression", "multiclass", "static")
#: How far a prediction may move with its batch or with rows that it cannot see.
CLOSE = 1e-5

_problems: dict[str, Problem] = {}
_fits: dict[tuple[type[Family], str], Fit] = {}


@dataclass(frozen=True)
class Fit:
    """One fit of a family on one problem."""

    family: Family
    problem: Problem
    rows: SplitRows
    candidate: Candidate

    def predict(self, rows: Rows, problem: Problem | None = None) -> np.ndarray:
        return self.family.predict(self.candidate, problem or self.problem, rows.unlabelled())


def problem_of(case: str) -> Problem:
    """Return the small shop's problem of a kind, or its static one; made once."""
    if case not in _problems:
        _problems[case] = shop_problem("binary", time=None) if case == "static" else shop_problem(case)
    return _problems[case]


def small(family: Family, problem: Problem) -> Config:
    return {**family.default(problem), **SMALL.get(family.name, {})}


def trained(family: Family, problem: Problem, rows: Any, seed: int = 3) -> Candidate:
    if info_of(family.name).combines:
        members = [trained(family_of(name), problem, rows, seed) for name in MEMBERS]
        return blend_candidates(members, (0.7, 0.3), problem, rows, seed=seed)
    config = small(family, problem)
    return family.fit(problem, rows, config, seed=seed, number=0, budget=Budget(None), emit=silent)


def with_label_as_column(rows: SplitRows) -> ExtendedRows:
    return ExtendedRows(rows, lambda some: pa.table({"tip": np.asarray(some.label), "noise": some.entity % 3}), "tip")


def fit_of(family: Family, case: str) -> Fit:
    """Return the fit of a family on a problem; trained once per class of families."""
    key = (type(family), case)
    if key not in _fits:
        problem = problem_of(case)
        rows = fit_rows(problem, "entities")
        _fits[key] = Fit(family, problem, rows, trained(family, problem, rows))
    return _fits[key]


class FamilyContract:
    """The tests. A subclass has a fixture `info`, the description of the family."""

    @pytest.fixture
    def family(self, info: FamilyInfo) -> Family:
        return info.make()

    @pytest.fixture(params=CASES)
    def fit(self, family: Family, request: pytest.FixtureRequest) -> Fit:
        """A fit of each kind of task; stop and select rows differ."""
        return fit_of(family, request.param)

    def test_it_follows_the_protocol(self, info: FamilyInfo, family: Family) -> None:
        assert isinstance(family, Family)
        assert family.name == info.name
        json.dumps(info.to_json())

    @pytest.mark.parametrize("case", CASES)
    def test_configurations_are_json_and_lie_in_the_space(self, info: FamilyInfo, family: Family, case: str) -> None:
        problem = problem_of(case)
        default = family.default(problem)
        others = family.alternatives(problem) if isinstance(family, Portfolio) else ()
        for config in (default, *others):
            assert json.loads(json.dumps(config)) == config
        if info.baseline or info.combines:
            return
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(0))
        for _ in range(10):
            suggested = family.space(study.ask(), problem)
            assert json.loads(json.dumps(suggested)) == suggested
            # options of another learner are its own
            assert set(suggested) <= set(default) or suggested.get("learner") != default.get("learner")
        assert nearest_point(family, problem, default)[1]

    def test_an_option_that_does_not_exist_is_refused(self, info: FamilyInfo, family: Family) -> None:
        problem = problem_of("binary")
        config = {**small(family, problem), "no_such_option": 1}
        if info.combines:
            pytest.skip("a blend has no options")
        with pytest.raises(ConfigError, match="no_such_option"):
            family.fit(problem, fit_rows(problem), config, seed=0, number=0, budget=Budget(None), emit=silent)

    def test_a_fit_returns_what_was_validated(self, info: FamilyInfo, family: Family, fit: Fit) -> None:
        candidate, select = fit.candidate, fit.rows.select
        assert (candidate.family, candidate.seed, candidate.number) == (family.name, 3, 0)
        if not info.combines:
            assert candidate.config == small(family, fit.problem)
        width = (len(fit.problem.task.classes),) if fit.problem.task.kind == "multiclass" else ()
        assert candidate.predictions.shape == (len(select), *width)
        assert candidate.predictions.dtype == np.float64
        assert np.isfinite(candidate.predictions).all()
        if fit.problem.task.kind != "regression":
            assert ((candidate.predictions >= 0) & (candidate.predictions <= 1)).all()
        if width:
            assert np.allclose(candidate.predictions.sum(axis=1), 1, atol=CLOSE)
        assert np.isfinite(candidate.score)
        assert candidate.score == fit.problem.task.metric.score(select.label, candidate.predictions)
        assert candidate.interval[0] <= candidate.interval[1]
        assert candidate.ended in get_args(FitEnd)
        assert candidate.seconds > 0
        assert (candidate.checkpoint is None) == (not candidate.checkpoints)

    def test_its_facts_survive_json(self, fit: Fit) -> None:
        stored = json.loads(json.dumps(fit.candidate.to_json(), allow_nan=False))
        again = Candidate.from_json(stored, fit.candidate.predictions)
        assert again.to_json() == fit.candidate.to_json()
        assert again.id == fit.candidate.id

    def test_predictions_do_not_depend_on_the_batch(self, fit: Fit) -> None:
        select = fit.rows.select
        half = len(select) // 2
        halves = [fit.predict(select.take(part)) for part in (slice(0, half), slice(half, None))]
        assert np.allclose(fit.predict(select), fit.candidate.predictions, atol=CLOSE, rtol=0)
        assert np.allclose(np.concatenate(halves), fit.candidate.predictions, atol=CLOSE, rtol=0)
        assert fit.predict(select.take(slice(0, 0))).shape == (0, *fit.candidate.predictions.shape[1:])

    def test_it_predicts_the_same_bits_once_loaded(self, fit: Fit, tmp_path) -> None:
        save_candidate(fit.family, fit.candidate, tmp_path / "saved")
        loaded = load_candidate(fit.family, tmp_path / "saved")
        rows = fit.problem.rows("test").unlabelled()
        assert fit.family.predict(loaded, fit.problem, rows).tobytes() == fit.predict(rows).tobytes()
        assert loaded.to_json() == fit.candidate.to_json()
        kinds = {path.suffix for path in (tmp_path / "saved").rglob("*") if path.is_file()}
        assert kinds <= {".json", ".parquet", ".safetensors", ".txt", ".npy"}

    def test_equal_seeds_give_equal_candidates(self, fit: Fit) -> None:
        again = trained(fit.family, fit.problem, fit.rows)
        assert again.predictions.tobytes() == fit.candidate.predictions.tobytes()
        assert again.score == fit.candidate.score

    def test_every_checkpoint_can_be_chosen(self, fit: Fit) -> None:
        select = fit.rows.select.unlabelled()
        for place in range(len(fit.candidate.checkpoints)):
            chosen = fit.family.choose(fit.candidate, place)
            found = fit.family.predict(chosen, fit.problem, select)
            assert chosen.checkpoint == place
            assert found.shape == fit.candidate.predictions.shape
            if place == fit.candidate.checkpoint:
                assert np.allclose(found, fit.candidate.predictions, atol=CLOSE, rtol=0)

    def test_a_refit_leaves_the_candidate_as_it_is(self, fit: Fit) -> None:
        again = fit.family.refit(fit.candidate, fit.problem, fit.rows, budget=Budget(None), emit=silent)
        assert np.allclose(fit.predict(fit.rows.select), fit.candidate.predictions, atol=CLOSE, rtol=0)
        if again is None:
            return
        assert (again.family, again.config) == (fit.candidate.family, fit.candidate.config)
        found = fit.family.predict(again, fit.problem, fit.rows.select.unlabelled())
        assert found.shape == fit.candidate.predictions.shape
        assert np.isfinite(found).all()

    def test_a_spent_budget_is_said(self, info: FamilyInfo, family: Family) -> None:
        if info.combines:
            pytest.skip("a blend is not fitted")
        problem = problem_of("binary")
        asked = (problem, fit_rows(problem), small(family, problem))
        spent = Budget(1e-9)
        if info.baseline:
            assert family.fit(*asked, seed=0, number=0, budget=spent, emit=silent).score > 0
            return
        with pytest.raises(BudgetExhausted):
            family.fit(*asked, seed=0, number=0, budget=spent, emit=silent)

    def test_a_refit_that_runs_out_of_time_is_no_error(self, fit: Fit) -> None:
        class Running(Budget):
            """Ends only once the refit has begun."""

            asked = 0

            def left(self) -> float:
                self.asked += 1
                return 1e6 if self.asked < 3 else 0.0

        again = fit.family.refit(fit.candidate, fit.problem, fit.rows, budget=Running(None), emit=silent)
        assert again is None or again.family == fit.family.name

    def test_rows_that_cannot_be_seen_move_no_prediction(self, fit: Fit) -> None:
        problem = fit.problem
        asof = distinct_asofs(problem, ["val"])[0]
        tables = dressed(dict(problem.user_database.tables), asof, seed=5)
        database = problem.user_database
        for table in tables.values():
            database = database.with_table(table)
        other = problem.rebind(database)
        before, after = (each.rows("val").take(each.rows("val").asof == asof) for each in (problem, other))
        assert len(before)
        assert np.abs(fit.predict(before) - fit.predict(after, other)).max() <= CLOSE

    def test_rows_may_carry_columns_that_the_task_does_not_declare(self, info: FamilyInfo, fit: Fit, tmp_path) -> None:
        rows = with_label_as_column(fit.rows)
        candidate = trained(fit.family, fit.problem, rows)
        select = rows.select.unlabelled()
        found = fit.family.predict(candidate, fit.problem, select)
        assert np.allclose(found, candidate.predictions, atol=CLOSE, rtol=0)
        fit.family.save(candidate, tmp_path)
        loaded = fit.family.load(tmp_path, replace(candidate, model=None))
        assert fit.family.predict(loaded, fit.problem, select).tobytes() == found.tobytes()
        again = fit.family.refit(candidate, fit.problem, rows, budget=Budget(None), emit=silent)
        if again is not None:
            assert fit.family.predict(again, fit.problem, select).shape == found.shape
        if not info.baseline:
            assert candidate.score > fit.candidate.score + 0.05
