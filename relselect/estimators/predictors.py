"""`RelSelectClassifier` and `RelSelectRegressor`: `select_and_train` behind scikit-learn's `fit` and `predict`.

Rows are asked about by key and cutoff; what is known of them is read from the database. The work is done by `relselect.api`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from relselect.api import select_and_train
from relselect.database import Database
from relselect.database.clock import format_time
from relselect.database.columns import combine_keys
from relselect.errors import LeakWarning, caller_depth
from relselect.estimators.frames import (
    CUTOFF,
    Labels,
    TaskColumns,
    database_of,
    labels_column,
    names_of,
    weights_of_rows,
)
from relselect.estimators.tasks import cutoff_ticks, training_task

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["RelSelectClassifier", "RelSelectRegressor"]


class _Predictor(BaseEstimator):
    """What the classifier and the regressor share: options, the fit, and the rows that are asked about."""

    def __init__(
        self,
        database: Database | str | Path | None = None,
        entity: str | None = None,
        *,
        key: str | Sequence[str] | None = None,
        cutoff: str | None = "cutoff",
        features: Sequence[str] = (),
        horizon: str | int | None = None,
        known_after: str | int | None = "horizon",
        validation: object = 0.2,
        metric: str | None = None,
        time_budget: float | str | timedelta | None = None,
        preset: Literal["quick", "good", "best"] | None = None,
        families: Sequence[str] | str | None = None,
        final: Literal["auto", "one", "blend"] | None = None,
        max_trials: int | None = None,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        device: str | None = None,
        threads: int | None = None,
        seed: int = 0,
        cache: bool | str | Path = True,
        progress: bool | None = None,
    ) -> None:
        self.database = database
        self.entity = entity
        self.key = key
        self.cutoff = cutoff
        self.features = features
        self.horizon = horizon
        self.known_after = known_after
        self.validation = validation
        self.metric = metric
        self.time_budget = time_budget
        self.preset = preset
        self.families = families
        self.final = final
        self.max_trials = max_trials
        self.options = options
        self.device = device
        self.threads = threads
        self.seed = seed
        self.cache = cache
        self.progress = progress

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Choose a family or a blend, tune it within the time budget, and refit it on all rows.

        Args:
            X: A pandas, Polars or Arrow frame of n rows with the entity's key, the cutoff and the declared features; other
                columns are left alone.
            y: The labels, shape (n,).
            sample_weight: Weights of the rows in the training loss, shape (n,), numbers of 0 or more; None for 1. A row of
                weight 0 is left out, as if it had not been passed. Scores count every row once: pass weights to `score` for
                others.

        Raises:
            ConfigError: An option of the constructor is not understood, or there is no database.
            TaskError: X, y or the weights cannot be used, or no row of X names an entity of the database.
            BudgetError: The budget ended before any model was finished.
        """
        database = database_of(self.database)
        columns = TaskColumns.of(database, self.entity, self.key, self.cutoff, self.features)
        table = columns.read(X)
        weights, given = weights_of_rows(sample_weight, table.num_rows), y
        if weights is not None:
            keep = weights > 0
            table, given, weights = table.filter(pa.array(keep)), labels_column(y, len(keep))[keep], weights[keep]
        labels = self._labels(given, table.num_rows)
        task = training_task(
            database,
            table,
            labels,
            columns,
            entity=str(self.entity),
            name=f"{self.entity}-{getattr(y, 'name', None) or 'label'}",
            validation=self.validation,
            seed=self.seed,
            horizon=self.horizon,
            known_after=self.known_after,
            metric=self.metric,
            weights=weights,
            class_weight=labels.class_weights(getattr(self, "class_weight", None)),
        )
        self.fitted_ = select_and_train(
            database,
            task,
            self.time_budget,
            preset=self.preset,
            seed=self.seed,
            families=self.families,
            evaluate_test=False,
            max_trials=self.max_trials,
            final=self.final,
            options=self.options,
            device=self.device,
            threads=self.threads,
            cache=self.cache,
            progress=self.progress,
        )
        self.columns_ = columns
        self.feature_names_in_ = np.array(names_of(X), dtype=object)
        self.n_features_in_ = len(self.feature_names_in_)
        self._remember(table)
        return self

    def _labels(self, y: Any, rows: int) -> Labels:
        raise NotImplementedError

    def _remember(self, table: pa.Table) -> None:
        """Keep which rows were fitted, to tell rows of a random split from rows that follow in time."""
        if self.columns_.cutoff is None:
            self._fitted_rows, self._last_cutoff = None, 0
            return
        self._fitted_rows = _row_keys(table, self.columns_)
        self._last_cutoff = int(cutoff_ticks(self.fitted_.problem().user_database, table).max())

    def _asked(self, X: Any) -> pa.Table:
        """Return the rows of X, after a warning of rows between those that were fitted."""
        check_is_fitted(self, "fitted_")
        table = self.columns_.read(X)
        if self._fitted_rows is None:
            return table
        database = self.fitted_.problem().user_database
        early = cutoff_ticks(database, table) < self._last_cutoff
        known = pc.is_in(_row_keys(table, self.columns_), value_set=self._fitted_rows)
        count = int((early & ~np.asarray(known.to_numpy(zero_copy_only=False), dtype=bool)).sum())
        if count:
            text = (
                f"{count} of {table.num_rows} rows were not fitted and have a cutoff before the last one that was "
                f"({format_time(self._last_cutoff, database.time_kind)}): the model has seen later labels than theirs, so that a "
                "score of these rows is too good. Split by time, for instance by relselect.CutoffSplit."
            )
            warnings.warn(text, LeakWarning, stacklevel=caller_depth())
        return table

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: X is a frame of keys and dates, which the estimator checks by itself."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.no_validation = True
        tags.non_deterministic = self.max_trials is None
        return tags


def _row_keys(table: pa.Table, columns: TaskColumns) -> pa.Array:
    """Return the key and the cutoff of each row as one text, shape (n,)."""
    return combine_keys([*(table[name] for name in columns.keys), table[CUTOFF]])


class RelSelectClassifier(ClassifierMixin, _Predictor):
    """A classifier over a relational database: relselect's choice of a family, tuned within a time budget.

    A row of X names an entity and a date, and the database holds what is known of the entity at that date: nothing after the
    cutoff of a row is read, in `fit` as in `predict`. The last cutoffs of the rows that `fit` is given validate; there is no test
    split, as rows to test on stay with the caller. Random splits are wrong, because they fit on the future of the rows that they
    score; split by `CutoffSplit`.

    A fitted estimator does not pickle, because its `Fitted` does not: save it by `estimator.fitted_.save(folder)` and read it by
    `relselect.load(folder)`. One that is not fitted pickles with its database, so that `cross_val_score(n_jobs=2)` works.

    Args:
        database: A `Database`, or the name, manifest or address that each `fit` reads one from.
        entity: The table that X asks about.
        key: The key columns of X; the primary key's own names if None.
        cutoff: The cutoff column of X; None for a task without time.
        features: Columns of X that are known at the cutoff and used as features; no other column is.
        horizon: Length of the label window, such as "30d" (ticks where times are integers). Past labels are read as history once
            they are known, and rows whose label is known only after validation begins do not train; None for neither.
        known_after: When a label is known, counted from its cutoff; "horizon" for the end of its window, None for unknown.
        validation: The share of the distinct cutoffs that validates (of the entities, without time), or the first date that does.
        metric: The score that training chooses by, by its name in scikit-learn; None for the default of the kind of task. `score`
            and `cross_val_score(scoring=...)` take any scorer of scikit-learn all the same.
        time_budget: Wall-clock of `fit`; None for the preset's.
        preset: "quick", "good" or "best", as in `relselect.select_and_train`.
        families: Names of families to train, instead of following the recommendation.
        final: What is deployed: "one" family, the "blend" of all, or "auto".
        max_trials: Trials per family after which tuning ends; with it, equal inputs give equal models.
        options, device, threads, cache, progress: As in `relselect.select_and_train`.
        seed: The one seed.
        class_weight: Weights of the classes in the training loss: a mapping from labels, those left out having 1, or "balanced"
            for weights in inverse proportion to the shares of the training rows; None for 1. Times `sample_weight`.

    Attributes:
        fitted_: The `Fitted`, with `leaderboard()`, `report(path)` and `save(folder)`.
        classes_: The distinct labels of y, sorted, shape (classes,).
        columns_: Which columns of X hold what.
        n_features_in_: The number of columns of the X that was fitted.
        feature_names_in_: Their names.

    Example:
        >>> model = RelSelectClassifier("shop/", "customers", horizon="30d", time_budget="10min")
        >>> model.get_params()["entity"]
        'customers'
    """

    def __init__(
        self,
        database: Database | str | Path | None = None,
        entity: str | None = None,
        *,
        key: str | Sequence[str] | None = None,
        cutoff: str | None = "cutoff",
        features: Sequence[str] = (),
        horizon: str | int | None = None,
        known_after: str | int | None = "horizon",
        validation: object = 0.2,
        metric: str | None = None,
        class_weight: Mapping[Any, float] | Literal["balanced"] | None = None,
        time_budget: float | str | timedelta | None = None,
        preset: Literal["quick", "good", "best"] | None = None,
        families: Sequence[str] | str | None = None,
        final: Literal["auto", "one", "blend"] | None = None,
        max_trials: int | None = None,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        device: str | None = None,
        threads: int | None = None,
        seed: int = 0,
        cache: bool | str | Path = True,
        progress: bool | None = None,
    ) -> None:
        super().__init__(
            database,
            entity,
            key=key,
            cutoff=cutoff,
            features=features,
            horizon=horizon,
            known_after=known_after,
            validation=validation,
            metric=metric,
            time_budget=time_budget,
            preset=preset,
            families=families,
            final=final,
            max_trials=max_trials,
            options=options,
            device=device,
            threads=threads,
            seed=seed,
            cache=cache,
            progress=progress,
        )
        self.class_weight = class_weight

    def _labels(self, y: Any, rows: int) -> Labels:
        labels = Labels.of_classes(y, rows)
        self.classes_: NDArray[Any] = labels.classes if labels.classes is not None else np.empty(0)
        return labels

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable class of each row, shape (n,), among `classes_`.

        Args:
            X: Rows as in `fit`, n of them, with any cutoffs.

        Raises:
            NotFittedError: The estimator was not fitted.
            TaskError: X lacks a column, or none of its rows names an entity of the database.
        """
        chances = self.predict_proba(X)
        if chances.shape[1] == 2:
            return self.classes_[(chances[:, 1] >= 0.5).astype(int)]
        return self.classes_[chances.argmax(axis=1)]

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probabilities of the classes, shape (n, classes), in the order of `classes_`; arguments as in `predict`."""
        rows = self._asked(X)
        return self.fitted_.predict_proba(rows=rows)


class RelSelectRegressor(RegressorMixin, _Predictor):
    """A regressor over a relational database; see `RelSelectClassifier`, whose arguments and rules it shares.

    Attributes:
        fitted_: The `Fitted`, with `leaderboard()`, `report(path)` and `save(folder)`.
        columns_: Which columns of X hold what.
        n_features_in_: The number of columns of the X that was fitted.
        feature_names_in_: Their names.

    Example:
        >>> RelSelectRegressor("shop/", "customers", metric="neg_root_mean_squared_error").set_params(seed=1).seed
        1
    """

    def _labels(self, y: Any, rows: int) -> Labels:
        return Labels.numbers(y, rows)

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return the predicted number of each row, shape (n,); arguments and errors as in `RelSelectClassifier.predict`."""
        rows = self._asked(X)
        return np.asarray(self.fitted_.predict(rows=rows)["prediction"], dtype=np.float64)
