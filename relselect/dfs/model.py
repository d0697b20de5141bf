"""The model of a feature synthesis candidate: which features it reads, of which rows, and what was learnt from them.

It is made in `relselect.dfs.family`; nothing here trains but the scores of texts, which come before the features.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from relselect.dfs.learners.registry import learner_of
from relselect.problem.rows import ExtendedRows, with_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.budget import Budget
    from relselect.dfs.learners.protocol import LearnedModel
    from relselect.dfs.plan.feature import Feature
    from relselect.dfs.plan.plan import Plan
    from relselect.dfs.prefix.encoding import Vocabulary
    from relselect.dfs.texts.scores import TextScores
    from relselect.families.candidate import Candidate, Config
    from relselect.families.protocol import RowSource
    from relselect.problem import Problem
    from relselect.tasks import Rows

__all__ = ["FeatureModel", "load_model", "text_scores", "with_texts"]


@dataclass(frozen=True)
class FeatureModel:
    """What predicts.

    Attributes:
        plan: The features that the model reads, in their order.
        vocabulary: Their categories.
        learned: The trained model.
        texts: What gives task rows the columns with the scores of their texts; None where no text is scored.
    """

    plan: Plan
    vocabulary: Vocabulary
    learned: LearnedModel
    texts: TextScores | None = None

    def rows(self, problem: Problem, rows: Rows) -> Rows:
        """Return rows with all columns that the model reads of them."""
        return rows if self.texts is None else with_columns(rows, self.texts.columns(problem, rows))

    def predict(self, problem: Problem, rows: Rows) -> NDArray[np.float64]:
        """Compute the features of the rows, a bounded block at a time, and predict."""
        from relselect.dfs.prefix.matrix import compute
        from relselect.dfs.search.prepared import runs

        found = [
            self.learned.predict(compute(problem, self.plan, self.rows(problem, run), self.vocabulary).values)
            for run in runs(rows, len(self.plan))
        ]
        return np.concatenate(found)

    def reads(self) -> dict[str, set[str]]:
        """Return the columns that the features and the scores of texts read, by table, those on their paths included."""
        found: dict[str, set[str]] = {}
        for feature in self.plan:
            _note_reads(feature, self.plan.entity, found)
        for source in () if self.texts is None else self.texts.sources:
            for hop in source.path:
                found.setdefault(hop.table, set())
            found.setdefault(source.table(self.plan.entity), set()).add(source.column)
        return found

    def save(self, folder: Path) -> None:
        """Write `plan.json`, `vocabulary.json`, the files of the learner's model and of the scores of texts."""
        self.plan.save(folder / "plan.json")
        self.vocabulary.save(folder / "vocabulary.json")
        self.learned.save(folder)
        if self.texts is not None:
            self.texts.save(folder)


def load_model(folder: Path, header: Candidate) -> FeatureModel:
    """Return the model in a folder, which must predict finite numbers of the shape of the header's predictions.

    Raises:
        ValueError: Plan, vocabulary and learner do not fit one another.
    """
    from relselect.dfs.plan.plan import Plan
    from relselect.dfs.prefix.encoding import Vocabulary
    from relselect.dfs.texts.scores import TextScores

    plan, vocabulary = Plan.load(folder / "plan.json"), Vocabulary.load(folder / "vocabulary.json")
    texts = TextScores.load(folder)
    if texts is not None and texts.entity != plan.entity:
        raise ValueError("the scores of texts are of another entity than the plan")
    lost = {feature.source(plan.entity) for feature in plan if feature.categorical} - set(vocabulary.words)
    if lost:
        raise ValueError(f"the vocabulary lacks the categories of {sorted(lost)[0]}")
    learned = learner_of(header.config["learner"]).load(folder)
    for value in (0.0, np.nan):
        found = learned.predict(np.full((1, len(plan)), value))
        if found.shape != (1, *header.predictions.shape[1:]) or not np.isfinite(found).all():
            raise ValueError("the learner predicts no finite numbers of the candidate's shape")
    return FeatureModel(plan, vocabulary, learned, texts)


def text_scores(problem: Problem, rows: RowSource, config: Config, budget: Budget) -> TextScores | None:
    """Return what scores the texts of task rows, learnt once for all trials; None where no text tells anything.

    Raises:
        BudgetExhausted: The budget ended between two text columns.
    """
    from relselect.dfs.texts.scores import fit_text_scores

    if not config.get("texts", True):
        return None
    key = ("dfs", "texts", *rows.key)
    found = problem.cached(key, lambda: fit_text_scores(problem, rows.train(seed=0, copies=0), budget.check))
    return found or None


def with_texts(rows: RowSource, problem: Problem, texts: TextScores | None) -> RowSource:
    """Return the rows with the scores of their texts as further columns; the rows themselves where no text is scored."""
    if texts is None:
        return rows
    return ExtendedRows(rows, lambda some: texts.columns(problem, some), texts.name)  # type: ignore[arg-type]


def _note_reads(feature: Feature, start: str, found: dict[str, set[str]]) -> None:
    """Note what a feature reads when its path starts at a table; conditions stand where the steps down end."""
    if feature.operands:
        for each in feature.operands:
            _note_reads(each, start, found)
        return
    for hop in feature.path:
        found.setdefault(hop.table, set())
    up, down, _ = feature.parts
    if feature.where is not None:
        found.setdefault((*up, *down)[-1].table, set()).add(feature.where.column)
    end = feature.path[-1].table if feature.path else start
    if feature.base is not None:
        _note_reads(feature.base, end, found)
    elif feature.column is not None and not feature.of_task_row:
        found.setdefault(end, set()).add(feature.column)
