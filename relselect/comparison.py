"""Compares two saved predictors on rows that both predict: the difference of their scores with a paired interval, in words.

Rows are drawn together for both, so that what makes rows hard for either cancels out. Nothing is trained.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

from relselect.api import load
from relselect.database.columns import combine_keys
from relselect.errors import ConfigError, TaskError
from relselect.problem.validation import split_validation
from relselect.report.words import count, number
from relselect.scoring_place import check_own_place, database_of
from relselect.tasks.metrics import Metric, bootstrap_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.fitted import Fitted

__all__ = ["Comparison", "compare_bundles", "paired_difference"]

#: Bootstrap samples, and the coverage of the interval.
_DRAWS, _LEVEL = 1000, 0.9
#: Fewest defined draws from which an interval is made.
_FEWEST = 10


@dataclass(frozen=True)
class Comparison:
    """Two predictors on the same rows; the scores are in the metric's own direction, so that errors are positive.

    Attributes:
        split: The rows: "test", or "val" for those validation rows that ended no training.
        rows: How many they are.
        entities: How many entities they ask about; rows of one are drawn together.
        metric: The metric's name for readers.
        lower_is_better: Whether it is an error.
        first: The score of the first predictor.
        second: The score of the second.
        lead: How much better the second is; negative where the first is better.
        low: Lower end of the 90 % interval of the lead; nan where it is not defined.
        high: Its upper end.
    """

    split: Literal["val", "test"]
    rows: int
    entities: int
    metric: str
    lower_is_better: bool
    first: float
    second: float
    lead: float
    low: float
    high: float

    @property
    def better(self) -> Literal["first", "second", "open"]:
        """Which is better, or "open" where the interval of the lead holds zero."""
        if self.low > 0:
            return "second"
        return "first" if self.high < 0 else "open"

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as JSON-able values."""
        return asdict(self) | {"better": self.better}

    def sentence(self, first: str, second: str) -> str:
        """Return the comparison in words.

        Args:
            first: The name of the first predictor.
            second: The name of the second.
        """
        rows = f"{count(self.rows)} {'validation' if self.split == 'val' else 'test'} rows of {count(self.entities)} entities"
        scores = f"{self.metric} is {number(self.first)} for {first} and {number(self.second)} for {second} on {rows}"
        if not np.isfinite(self.low):
            return f"{scores}; they are too few for an interval of the difference."
        ends = (self.low, self.high) if self.better != "first" else (-self.high, -self.low)
        interval = f"90 % interval {number(ends[0])} to {number(ends[1])}"
        if self.better == "open":
            lead = f"{second} is {number(abs(self.lead))} {'better' if self.lead >= 0 else 'worse'} ({interval})"
            return f"{scores}. {lead}: these rows do not tell which is better."
        winner = second if self.better == "second" else first
        return f"{scores}. {winner} is better by {number(abs(self.lead))} ({interval})."


def compare_bundles(
    first: Path,
    second: Path,
    *,
    split: Literal["val", "test"] | None = None,
    database: str | None = None,
    trust_source: bool = False,
    seed: int = 0,
) -> Comparison:
    """Compare two saved predictors of one question on the rows that both hold.

    Args:
        first: The folder of a predictor, or the record of its run beside it.
        second: The folder of another.
        split: "test", or "val" for the validation rows that ended no training of either; the test rows if None, where both have
            some.
        database: The data that both read; those each was trained on if None.
        trust_source: Whether addresses that the predictors name are followed.
        seed: Seed of the bootstrap.

    Raises:
        ConfigError: There is no consent to an address, or a record lies beside no predictor.
        TaskError: The predictors answer different questions, or share no rows.
    """
    ours, theirs = (_opened(path, database, trust_source) for path in (first, second))
    for name in ("entity", "kind", "classes"):
        one, other = getattr(ours.task, name), getattr(theirs.task, name)
        if one != other:
            raise TaskError(
                "predictors", (one, other), f"have different {name}", "Compare two that answer one question"
            )
    chosen = split or ("test" if ours.task.has_test and theirs.task.has_test else "val")
    one, other = (_predicted(each, chosen) for each in (ours, theirs))
    mine, yours = one.common(other)
    label = one.label[mine]
    if not np.array_equal(label, other.label[yours]):
        raise TaskError("labels", chosen, "of the common rows differ", "Compare two predictors of the same labels")
    entity = np.unique(one.entity[mine], return_inverse=True)[1]
    return paired_difference(ours.task.metric, label, one.values[mine], other.values[yours], entity, chosen, seed=seed)


def paired_difference(
    metric: Metric,
    label: NDArray[np.float64],
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    entity: NDArray[np.int64],
    split: Literal["val", "test"],
    *,
    seed: int = 0,
) -> Comparison:
    """Return the difference of two scores with the interval of a bootstrap that draws whole entities for both at once.

    The interval is the percentile interval of the differences (Efron and Tibshirani 1993, chapter 13) over samples of entities.

    Args:
        metric: The score.
        label: Shape (n,).
        first: Predictions of shape (n,) or (n, classes).
        second: Those of the other predictor.
        entity: Numbers of the entities, shape (n,).
        split: Which rows they are.
        seed: Seed of the samples.

    >>> from relselect.tasks.metrics import metric_named
    >>> label, entity = np.arange(40.0), np.arange(40)
    >>> found = paired_difference(metric_named("neg_mean_absolute_error"), label, label + 2, label + 1, entity, "test")
    >>> found.better, found.lead, found.low
    ('second', 1.0, 1.0)
    """
    scores = [metric.score(label, values) for values in (first, second)]
    # equal seeds draw equal rows, and which draws are defined depends on their labels alone
    draws = [bootstrap_scores(metric, label, values, entity, seed=seed, draws=_DRAWS) for values in (first, second)]
    low = high = float("nan")
    if len(draws[0]) == len(draws[1]) >= _FEWEST:
        low, high = (float(end) for end in np.quantile(draws[1] - draws[0], [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2]))
    return Comparison(
        split=split,
        rows=len(label),
        entities=len(np.unique(entity)),
        metric=metric.title,
        lower_is_better=metric.sign < 0,
        first=metric.sign * scores[0] + 0.0,
        second=metric.sign * scores[1] + 0.0,
        lead=scores[1] - scores[0],
        low=low,
        high=high,
    )


@dataclass(frozen=True)
class _Rows:
    """Predictions of one predictor: n rows with their keys, their entities, labels and values."""

    keys: list[str]
    entity: NDArray[Any]
    label: NDArray[np.float64]
    values: NDArray[np.float64]

    def common(self, other: _Rows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the places of the rows that both hold, in this one and in the other, in the order of this one.

        Raises:
            TaskError: There are none.
        """
        theirs = {key: place for place, key in reversed(list(enumerate(other.keys)))}
        places = [(place, theirs[key]) for place, key in enumerate(self.keys) if key in theirs]
        if not places:
            rule = "of the two predictors have no entity and cutoff in common"
            raise TaskError(
                "rows", f"{len(self.keys)} and {len(other.keys)}", rule, "Compare two that were split at the same dates"
            )
        mine, yours = np.array(places, dtype=np.int64).T
        return mine, yours


def _opened(path: Path, database: str | None, trusted: bool) -> Fitted:
    """Return the predictor in a folder, or beside a record, bound to its data."""
    folder = path if path.is_dir() else path.parent
    if not path.is_dir() and not (folder / "fitted.json").is_file():
        rule = "is a record, which holds no predictions, and no predictor lies beside it"
        raise ConfigError("predictor", str(path), rule, "Pass the folder that `relselect train` wrote")
    fitted = load(folder)
    if database is None:
        check_own_place(fitted, trusted=trusted)
    return fitted.bound_to(database_of(fitted, database)[0])


def _predicted(fitted: Fitted, split: Literal["val", "test"]) -> _Rows:
    """Return the predictions of a split; of validation rows those that ended no training."""
    task = fitted.task
    if split not in task.splits:
        raise TaskError("split", split, f"the task has {', '.join(task.splits)}", "Compare on another split")
    frame, problem = task.splits[split], fitted.problem()
    if task.kind == "regression":
        values = fitted.predict(split=split)["prediction"].to_numpy(dtype=np.float64)
    else:
        chances = fitted.predict_proba(split=split)
        values = chances[:, 1] if task.kind == "binary" else chances
    kept = np.arange(len(frame))
    if split == "val":
        kept = split_validation(problem, fitted.result.settings.validation).select
    parts = [pa.chunked_array([frame.keys[name].combine_chunks()]) for name in frame.keys.column_names]
    entity = combine_keys(parts).cast(pa.string()).to_pylist()
    keys = [f"{name}|{cutoff}" for name, cutoff in zip(entity, frame.cutoff.tolist(), strict=True)]
    return _Rows(
        [keys[place] for place in kept],
        np.array(entity, dtype=object)[kept].astype(str),
        frame.label[kept],
        values[kept],
    )
