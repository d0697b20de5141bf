"""Reads the X and y of the estimators: which columns hold the entity's key, the cutoff and features, and what the labels are.

Nothing here trains. The rows become a `Task` in `relselect.estimators.tasks`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from relselect.database import Database
from relselect.database.clock import is_time_type
from relselect.database.columns import as_text
from relselect.database.missing import without_missing
from relselect.errors import ConfigError, SchemaError, TaskError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.tasks.kinds import TaskKind

__all__ = [
    "CUTOFF",
    "Labels",
    "TaskColumns",
    "database_of",
    "labels_column",
    "names_of",
    "refuse_fit_options",
    "weights_of_rows",
]

#: The name of the cutoff column in rows to predict, whatever its name in X.
CUTOFF = "cutoff"


@dataclass(frozen=True)
class TaskColumns:
    """Which columns of X hold what.

    Attributes:
        keys: The entity's key, in the order of the primary key.
        cutoff: The date of each row; None for a static task.
        features: What is known at the cutoff and used as it stands.
    """

    keys: tuple[str, ...]
    cutoff: str | None
    features: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        database: Database,
        entity: str | None,
        key: str | Sequence[str] | None,
        cutoff: str | None,
        features: Sequence[str],
    ) -> TaskColumns:
        """Return the columns for an entity table.

        Args:
            database: The database.
            entity: The table that is asked about.
            key: The key columns of X; the primary key's own names if None.
            cutoff: The cutoff column of X; None for a static task.
            features: The columns of X that are features.

        Raises:
            ConfigError: The entity is no table, or has no key.
            TaskError: The key has another number of columns, or a name stands for two things.
        """
        if entity is None:
            known = ", ".join(sorted(database.tables))
            raise ConfigError("entity", None, "is needed: the table that X asks about", f"Use one of: {known}")
        own = database[entity].primary_key
        if not own:
            raise ConfigError(
                "entity", entity, "has no primary key", "Declare the key of the table that is asked about"
            )
        keys = own if key is None else (key,) if isinstance(key, str) else tuple(key)
        if len(keys) != len(own):
            raise TaskError(
                "key", list(keys), f"the key of {entity} has {len(own)} columns", f"Name one for each of {list(own)}"
            )
        named = [*keys, *([] if cutoff is None else [CUTOFF]), *features]
        twice = sorted({name for name in named if named.count(name) > 1})
        if twice:
            rule = "stand for two of key, cutoff and features"
            raise TaskError("X", twice, rule, "Rename the columns; none but the cutoff is called 'cutoff'")
        return cls(keys, cutoff, tuple(features))

    @property
    def wanted(self) -> list[str]:
        """The names of the columns that X must have."""
        return [*self.keys, *([] if self.cutoff is None else [self.cutoff]), *self.features]

    def read(self, X: Any) -> pa.Table:
        """Return the columns of X that are used, with the cutoff under the name "cutoff".

        Args:
            X: A pandas, Polars or Arrow frame, n rows.

        Raises:
            TaskError: X is no frame, lacks a column, has no row, or a cutoff is missing or no time.
            SchemaError: A column holds what Arrow has no type for.
        """
        from relselect.database.sources.frames import to_arrow

        if isinstance(X, np.ndarray | list | tuple) or not hasattr(X, "columns"):
            rule = "is no data frame: keys and cutoffs are found by the names of their columns"
            raise TaskError("X", type(X).__name__, rule, f"Pass a DataFrame with the columns {self.wanted}")
        names = names_of(X)
        missing = [name for name in self.wanted if name not in names]
        if missing:
            raise TaskError("X", names, f"needs the columns {self.wanted}", f"Add {', '.join(missing)}")
        table = to_arrow("X", X)
        if isinstance(table, list):
            raise SchemaError(table)
        if not table.num_rows:
            raise TaskError("X", "0 samples", "holds no row", "Pass one row or more")
        table = without_missing(table.select(self.wanted))
        if self.cutoff is None:
            return table
        dtype, nulls = table[self.cutoff].type, table[self.cutoff].null_count
        if nulls or not is_time_type(dtype):
            rule = "must hold a timestamp, a date or an integer in every row"
            raise TaskError(
                f"X.{self.cutoff}", f"{dtype}, {nulls} missing", rule, "Parse the column, or leave out rows"
            )
        return table.rename_columns([CUTOFF if name == self.cutoff else name for name in table.column_names])


@dataclass(frozen=True)
class Labels:
    """The labels of n rows.

    Attributes:
        kind: The kind of task.
        values: float64 of shape (n,): numbers, or places in `classes`.
        classes: The distinct labels, sorted, as they were given; None for regression.
    """

    kind: TaskKind
    values: NDArray[np.float64]
    classes: NDArray[Any] | None = None

    @property
    def names(self) -> tuple[str, ...] | None:
        """The classes as text, for the task and its report; their places where two have one text. None for regression."""
        if self.classes is None:
            return None
        names = tuple(as_text(value) for value in self.classes.tolist())
        return names if len(set(names)) == len(names) else tuple(map(str, range(len(names))))

    def arrow(self) -> pa.Array:
        """Return the labels as a column: numbers, or the names of the classes."""
        if self.names is None:
            return pa.array(self.values)
        return pa.array(np.array(self.names, dtype=object)[self.values.astype(int)], pa.string())

    def class_weights(self, given: Any) -> Any:
        """Return weights of classes by the names that the task gives them; "balanced" and None are returned as they are.

        Args:
            given: A mapping from labels, as they stand in y, to weights.

        Raises:
            TaskError: A key is no label of y.
        """
        if not isinstance(given, Mapping) or self.classes is None or self.names is None:
            return given
        place = dict(zip(self.classes.tolist(), self.names, strict=True))
        unknown = [label for label in given if label not in place]
        if unknown:
            shown = ", ".join(repr(label) for label in place)
            raise TaskError("class_weight", unknown, "are no classes of y", f"Use some of: {shown}")
        return {place[label]: weight for label, weight in given.items()}

    @classmethod
    def numbers(cls, y: Any, rows: int) -> Labels:
        """Return the labels of a regression.

        Raises:
            TaskError: y has another length, or something in it is missing, infinite or no number.
        """
        given = labels_column(y, rows)
        try:
            values = np.asarray(given, dtype=np.float64)
        except (TypeError, ValueError):
            raise TaskError(
                "y", str(given.dtype), "a regression target is a number", "Convert it, or classify"
            ) from None
        bad = int((~np.isfinite(values)).sum())
        if bad:
            raise TaskError(
                "y", f"{bad} of {rows} are NaN or infinity", "must be finite numbers", "Leave out these rows of X and y"
            )
        return cls("regression", values)

    @classmethod
    def of_classes(cls, y: Any, rows: int) -> Labels:
        """Return the labels of a classification.

        Raises:
            TaskError: y has another length, something in it is missing, or all of it is one class.
        """
        import pandas as pd

        given = labels_column(y, rows)
        missing = int(pd.isna(given).sum())
        if given.dtype.kind == "f" and np.isinf(given).any():
            raise TaskError("y", "infinity", "is no class", "Leave out these rows of X and y")
        if missing:
            raise TaskError(
                "y", f"{missing} of {rows} are NaN", "every row needs a class", "Leave out these rows of X and y"
            )
        try:
            classes, codes = np.unique(given, return_inverse=True)
        except TypeError:
            raise TaskError(
                "y", "mixed types", "classes must be of one type to have an order", "Convert y to text"
            ) from None
        if len(classes) < 2:
            raise TaskError(
                "y",
                classes.tolist(),
                "holds one class, so there is nothing to learn",
                "Fit on rows of two classes or more",
            )
        return cls("binary" if len(classes) == 2 else "multiclass", codes.reshape(-1).astype(np.float64), classes)


def labels_column(y: Any, rows: int) -> NDArray[Any]:
    """Return y as an array of shape (rows,).

    Raises:
        TaskError: There is none, or it is of another shape.
    """
    if y is None:
        raise TaskError(
            "y", None, "requires y to be passed, but the target y is None", "Pass the labels of the rows of X"
        )
    values = np.asarray(y)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values.reshape(-1)
    if values.shape != (rows,):
        raise TaskError(
            "y", f"shape {values.shape}", f"X has {rows} rows, so y needs the shape ({rows},)", "Pass one label per row"
        )
    return values


def names_of(X: Any) -> list[str]:
    """Return the names of the columns of a frame; of one that is none, an empty list."""
    return [str(name) for name in getattr(X, "column_names", getattr(X, "columns", ()))]


def database_of(database: Database | str | Path | None) -> Database:
    """Return the database of an estimator: itself, or read from its name, path or address.

    Raises:
        ConfigError: There is none.
        DataNotFound: It is neither a known name nor a path.
    """
    if isinstance(database, Database):
        return database
    if isinstance(database, str | Path):
        from relselect.configs import open_database

        return open_database(database)
    rule = "is needed: what the rows of X are about"
    raise ConfigError("database", database, rule, "Pass a Database, or the address or manifest that it is read from")


def weights_of_rows(sample_weight: Any, rows: int) -> NDArray[np.float64] | None:
    """Return the weights of the rows, shape (rows,); None where there are none.

    Args:
        sample_weight: An array of numbers of 0 or more, one number for all rows, or None.
        rows: Rows of X.

    Raises:
        TaskError: They have another shape, one of them is no finite number of 0 or more, or all are 0.
    """
    if sample_weight is None:
        return None
    try:
        values = np.asarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError):
        rule = "holds what is no number"
        raise TaskError("sample_weight", type(sample_weight).__name__, rule, "Pass one number per row") from None
    if values.ndim == 0:
        values = np.full(rows, float(values))
    if values.shape != (rows,):
        rule = f"X has {rows} rows, so sample_weight needs the shape ({rows},)"
        raise TaskError("sample_weight", f"shape {values.shape}", rule, "Pass one weight per row")
    wrong = int((~np.isfinite(values) | (values < 0)).sum())
    if wrong:
        rule = "are NaN, infinite or negative: a weight is a finite number of 0 or more"
        raise TaskError("sample_weight", f"{wrong} of {rows} weights", rule, "Repair them, or leave the rows out")
    if not values.any():
        raise TaskError(
            "sample_weight", f"{rows} weights", "are all 0, so no row is left", "Give some rows a weight above 0"
        )
    return values


def refuse_fit_options(options: Mapping[str, Any]) -> None:
    """Refuse what `fit` of the features cannot use, sample weights above all, instead of passing over it.

    Raises:
        TypeError: There is any.
    """
    if "sample_weight" in options:
        raise TypeError(
            "fit takes no sample_weight: features are made of the database, with every row counted once."
            " Pass the weights to the model that reads the features."
        )
    if options:
        raise TypeError(f"fit takes X and y alone, not {', '.join(sorted(options))}.")
