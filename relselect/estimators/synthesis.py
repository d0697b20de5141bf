"""`RelSelectFeatures`: the features of rows at their cutoffs as a matrix, for any model of scikit-learn.

The plan is made by `relselect.dfs.synthesis`; no model is trained here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted

from relselect.database import Database
from relselect.dfs.synthesis import features, make_plan
from relselect.errors import ConfigError
from relselect.estimators.frames import Labels, TaskColumns, database_of, names_of, refuse_fit_options
from relselect.estimators.tasks import whole_task
from relselect.tasks.kinds import TASK_KINDS
from relselect.tasks.row_checks import check_asked

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.dfs.plan.plan import Plan
    from relselect.tasks.kinds import TaskKind

__all__ = ["RelSelectFeatures"]


class RelSelectFeatures(TransformerMixin, BaseEstimator):
    """Turns rows of keys and cutoffs into the matrix of deep feature synthesis, before any model of scikit-learn.

    Every value is computed from what the database knew at the cutoff of its row. With `horizon`, the labels that `fit` is given
    are a source too: of a row the labels of earlier rows are read that were known by its cutoff, never its own.

    Categories become the places of their texts among the sorted texts of the rows that were fitted; a text that `fit` has not met
    is missing. Missing values are nan: put an imputer behind it where the model takes none. `relselect.features` gives the same
    columns as text and with options for large results.

    Args:
        database: A `Database`, or the name, manifest or address that each `fit` reads one from.
        entity: The table that X asks about.
        key: The key columns of X; the primary key's own names if None.
        cutoff: The cutoff column of X; None for rows without time.
        features: Columns of X that are known at the cutoff and become features as they stand.
        horizon: Length of the label window, such as "30d"; None for no features of past labels.
        known_after: When a label is known, counted from its cutoff; "horizon" for the end of its window, None for unknown.
        kind: What y is: "binary", "multiclass" or "regression"; None for scikit-learn's guess (`type_of_target`).
        plan: A plan or the file of a saved one, instead of the one that `fit` makes.
        search: Whether the plan is searched for by the worth of features on the labels that `fit` is given.
        depth: Steps of a path at most; see `relselect.features`.
        max_features: Features at most; 600 if None.
        windows: Lengths of windows such as "60d"; None to choose them from the data.
        rich: Whether the plan includes medians, quantiles, trends, conditions and more.
        categories: "codes", or "drop" to leave features that are texts out.
        progress: As in `relselect.features`.

    Attributes:
        plan_: The plan, with `describe()`, `save(path)` and `to_sql(dialect)`.
        categories_: Feature -> its texts in the order of their codes.
        columns_: Which columns of X hold what.
        n_features_in_: The number of columns of the X that was fitted.
        feature_names_in_: Their names.

    Example:
        >>> import pandas as pd
        >>> database = Database.from_dataframes(
        ...     {"users": pd.DataFrame({"id": [1, 2]}),
        ...      "orders": pd.DataFrame({"user": [1, 1, 2], "day": pd.date_range("2024-01-01", periods=3)})},
        ...     keys={"users": "id"}, times={"orders": "day"}, foreign_keys={"orders": {"user": "users"}})
        >>> asked = pd.DataFrame({"id": [1, 1, 2], "cutoff": pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-02"])})
        >>> made = RelSelectFeatures(database, "users").set_output(transform="pandas")
        >>> made.fit_transform(asked)["COUNT(orders[user])"].tolist()
        [1.0, 2.0, 0.0]
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
        kind: TaskKind | None = None,
        plan: Plan | str | Path | None = None,
        search: bool = False,
        depth: int | None = None,
        max_features: int | None = None,
        windows: Sequence[int | str] | None = None,
        rich: bool = False,
        categories: Literal["codes", "drop"] = "codes",
        progress: bool | None = None,
    ) -> None:
        self.database = database
        self.entity = entity
        self.key = key
        self.cutoff = cutoff
        self.features = features
        self.horizon = horizon
        self.known_after = known_after
        self.kind = kind
        self.plan = plan
        self.search = search
        self.depth = depth
        self.max_features = max_features
        self.windows = windows
        self.rich = rich
        self.categories = categories
        self.progress = progress

    def fit(self, X: Any, y: Any = None, **options: Any) -> Self:
        """Make the plan, and note the texts of categories.

        Args:
            X: A pandas, Polars or Arrow frame of n rows with the entity's key, the cutoff and the declared features.
            y: The labels, shape (n,); read only for past labels (`horizon`) and for `search`.
            options: Refused.

        Raises:
            ConfigError: An option of the constructor is not understood, or there is no database.
            TaskError: X or y cannot be used, or no row of X names an entity of the database.
            PlanError: The given plan reads what the database lacks.
            TypeError: `fit` was given something else than X and y.
        """
        refuse_fit_options(options)
        self._fit(X, y)
        return self

    def fit_transform(self, X: Any, y: Any = None, **options: Any) -> NDArray[np.float64]:
        """Return `fit(X, y).transform(X)`, computed once."""
        refuse_fit_options(options)
        return self._matrix(self._fit(X, y))

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Return the features of rows, float64 of shape (n, features), nan where a value is missing.

        Args:
            X: Rows as in `fit`, n of them, with any cutoffs.

        Raises:
            NotFittedError: The transformer was not fitted.
            TaskError: X lacks a column, or none of its rows names an entity of the database.
        """
        check_is_fitted(self, "plan_")
        return self._matrix(self._computed(self.columns_.read(X)))

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Return the names of the features, shape (features,).

        Args:
            input_features: Not used: the names say what is computed.
        """
        check_is_fitted(self, "plan_")
        return np.array(self._names, dtype=object)

    def _fit(self, X: Any, y: Any) -> pa.Table:
        """Make the plan and return the features of X."""
        if self.categories not in ("codes", "drop"):
            raise ConfigError("categories", self.categories, "is unknown", "Use 'codes' or 'drop'")
        if self.search and y is None:
            raise ConfigError("search", True, "needs the labels of the rows", "Call fit(X, y)")
        database = database_of(self.database)
        columns = TaskColumns.of(database, self.entity, self.key, self.cutoff, self.features)
        table = columns.read(X)
        labels = None if y is None else self._labels(y, table.num_rows)
        task = whole_task(
            database,
            table,
            labels,
            columns,
            entity=str(self.entity),
            horizon=self.horizon,
            known_after=self.known_after,
        )
        self.plan_ = make_plan(
            database,
            task,
            plan=self.plan,
            search=self.search,
            depth=self.depth,
            max_features=self.max_features,
            windows=self.windows,
            rich=self.rich,
        )
        self.columns_, self._database, self._task = columns, database, task
        self.feature_names_in_ = np.array(names_of(X), dtype=object)
        self.n_features_in_ = len(self.feature_names_in_)
        found = self._computed(table)
        texts = [name for name in found.column_names if pa.types.is_string(found[name].type)]
        self.categories_ = {name: sorted(found[name].unique().drop_null().to_pylist()) for name in texts}
        self._names = [name for name in found.column_names if self.categories == "codes" or name not in texts]
        return found

    def _labels(self, y: Any, rows: int) -> Labels:
        kind = self.kind
        if kind is None:
            guess = type_of_target(y)
            kind = guess if guess in ("binary", "multiclass") else "regression"
        if kind not in TASK_KINDS:
            raise ConfigError("kind", kind, "is no kind of label", f"Use one of: {', '.join(TASK_KINDS)}")
        return Labels.numbers(y, rows) if kind == "regression" else Labels.of_classes(y, rows)

    def _computed(self, table: pa.Table) -> pa.Table:
        """Return the features of rows, without their keys and cutoffs."""
        keys = table.select(list(self.columns_.keys))
        check_asked(self._database, str(self.entity), keys)
        found = features(self._database, self._task, plan=self.plan_, rows=table, progress=self.progress).table
        if found is None:
            raise RuntimeError("features in memory came without a table")
        return found.select(found.column_names[len(keys.column_names) + (self.columns_.cutoff is not None) :])

    def _matrix(self, found: pa.Table) -> NDArray[np.float64]:
        matrix = np.empty((found.num_rows, len(self._names)))
        for place, name in enumerate(self._names):
            column = found[name]
            if name in self.categories_:
                column = pc.index_in(column, value_set=pa.array(self.categories_[name], pa.string()), skip_nulls=True)
            matrix[:, place] = pc.cast(column, pa.float64()).to_numpy()
        return matrix

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: X is a frame of keys and dates, which the transformer checks by itself."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.no_validation = True
        return tags
