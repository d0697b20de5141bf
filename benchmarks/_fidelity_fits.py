"""Fits of one task by feature synthesis, each with its learning curve and the CPU seconds at every point of it.

Features are computed before the fit that first needs them, and timed apart: in a replay the first trial with a plan pays for it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from relselect.budget import Budget
from relselect.events import silent
from relselect.families.candidate import CurvePoint
from relselect.families.options import FixedOptions
from relselect.families.registry import family_of
from relselect.problem import Problem
from relselect.tuning import derive_seed
from relselect.tuning.thinned import ThinnedRows

#: Options that decide which features are made.
PLAN = ("depth", "windows", "search")


class Recorder:
    """Fits configurations of one task, one thread, and notes what a replay needs."""

    def __init__(self, name: str, seed: int, learner: str) -> None:
        from relselect.api import open_task
        from relselect.configs import open_database
        from relselect.problem.rows import fit_rows

        database = open_database(name.split("/")[0])
        self.name, self.seed = name, seed
        self.problem = Problem(database, open_task(database, name.split("/")[1]))
        self.rows = fit_rows(self.problem, "auto", score_test=False)
        self.family: Any = FixedOptions(family_of("dfs"), {"learner": learner})
        self.test = self.problem.rows("test")
        self._tested: dict[str, Any] = {}

    def configs(self, count: int) -> list[dict[str, Any]]:
        """Return the default, the family's alternatives, and so many proposals drawn at random from the search space."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=self.seed))
        first = [self.family.default(self.problem), *self.family.alternatives(self.problem)]
        return [*first, *(self.family.space(study.ask(), self.problem) for _ in range(count))]

    def reference(self) -> dict[str, Any]:
        """Return the scores of the constant baseline."""
        from relselect.families.registry import baselines

        family = family_of(baselines()[0])
        how: Any = {"seed": 0, "number": 0, "budget": Budget(None), "emit": silent}
        fitted = family.fit(self.problem, self.rows, family.default(self.problem), **how)
        made = family.predict(fitted, self.problem, self.test.unlabelled())
        metric = self.problem.task.metric
        return {
            "task": self.name, "reference": True, "metric": metric.name, "kind": self.problem.task.kind,
            "select": fitted.score, "test": metric.score(self.test.label, made),
            "rows": {"train": len(self.problem.task.splits["train"]), "select": len(self.rows.select), "test": len(self.test)},
        }  # fmt: skip

    def fitted(self, number: int, config: dict[str, Any], share: float) -> dict[str, Any]:
        """Fit a configuration on a part of the training rows, and return its row."""
        rows = self.rows if share == 1 else ThinnedRows(self.rows, share, self.seed)
        features = self._prepared(config, rows)
        begun, points = time.process_time(), []

        def watch(curve: Sequence[CurvePoint]) -> None:
            last = curve[-1]
            points.append([last.step, _short(last.loss), _short(last.score), round(time.process_time() - begun, 4)])

        found = self.family.fit(
            self.problem, rows, config, seed=derive_seed(self.seed, number), number=number, budget=Budget(None), emit=silent,
            watch=watch,
        )  # fmt: skip
        cpu = time.process_time() - begun
        metric = self.problem.task.metric
        return {
            "task": self.name, "seed": self.seed, "number": number, "share": round(share, 4), "config": config,
            "plan": json.dumps({name: config[name] for name in PLAN}), "features_cpu": round(features, 3), "cpu": round(cpu, 3),
            "points": points, "select": found.score, "test": metric.score(self.test.label, self._predicted(found)),
            "ended": found.ended, "rounds": found.facts["rounds"], "boosters": found.facts["boosters"],
        }  # fmt: skip

    def _prepared(self, config: dict[str, Any], rows: Any) -> float:
        """Compute the features of a configuration unless they are there; return the CPU seconds."""
        from relselect.dfs.model import text_scores, with_texts
        from relselect.dfs.search.prepared import FeatureFilter, FeatureSpace, prepare

        begun, budget = time.process_time(), Budget(None)
        texts = text_scores(self.problem, rows, config, budget)
        some = with_texts(rows, self.problem, texts)
        space, wanted = FeatureSpace.of(config), FeatureFilter.of(config)
        prepare(self.problem, some, budget.check, space, wanted, search_seconds=float("inf"))
        return time.process_time() - begun

    def _predicted(self, candidate: Any) -> Any:
        """Return predictions of the test rows; features of one plan are computed once."""
        from relselect.dfs.prefix.matrix import compute

        model = candidate.model
        key = json.dumps(
            [list(model.plan.names), model.texts is not None, len(self._tested) if model.texts is not None else 0]
        )
        if key not in self._tested:
            some = self.test.unlabelled()
            self._tested[key] = compute(
                self.problem, model.plan, model.rows(self.problem, some), model.vocabulary
            ).values
        return model.learned.predict(self._tested[key])


def _short(value: float) -> float | None:
    return None if value != value else round(float(value), 6)


def recorded(log: Path, task: str, seed: int, count: int, shares: Sequence[float], learner: str) -> None:
    """Append the fits of a task that the log lacks."""
    from relselect.threads import limited_threads, wait_passively

    known = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    mine = [row for row in known if row["task"] == task]
    done = {(row["number"], row["share"]) for row in mine if "number" in row and row["seed"] == seed}
    wait_passively()
    with limited_threads(1):
        recorder = Recorder(task, seed, learner)
        configs = recorder.configs(count)
        first = len(configs) - count
        with log.open("a", encoding="utf-8") as lines:

            def write(row: dict[str, Any]) -> None:
                lines.write(json.dumps(row) + "\n")
                lines.flush()

            if not any("reference" in row for row in mine):
                write(recorder.reference())
            for share in shares:
                for number, config in enumerate(configs):
                    if (share < 1 and number < first) or (number, round(share, 4)) in done:
                        continue
                    write(recorder.fitted(number, config, share))
