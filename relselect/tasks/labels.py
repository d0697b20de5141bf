"""Label frames: checks the labelled rows of a split and encodes their labels as numbers.

Rows are identified by the entity's key here; a `Problem` binds them to row numbers. Nothing here reads a database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relselect.database.clock import NEVER, TimeKind, is_time_type, kind_of, ticks_of
from relselect.database.columns import as_float, as_strings, as_text, inexact_ids, is_nested, rounding_limit
from relselect.database.missing import null_if_missing, without_missing
from relselect.errors import TaskError
from relselect.tasks.kinds import TaskKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "LabelColumns",
    "LabelFrame",
    "as_label_values",
    "clean_frame",
    "encode_known",
    "encode_labels",
    "read_frame",
    "refuse_rounded_ids",
]


@dataclass(frozen=True)
class LabelColumns:
    """Which column of a label frame holds what.

    Attributes:
        entity: The entity's key, in the order of the primary key.
        target: The label.
        time: The cutoff; None for static tasks.
        known_at: When the label became known, if a column says so.
        features: Declared task-row features.
        weight: Weights of the rows in the training loss, if a column holds them.
    """

    entity: tuple[str, ...]
    target: str
    time: str | None
    known_at: str | None = None
    features: tuple[str, ...] = ()
    weight: str | None = None


@dataclass(frozen=True)
class LabelFrame:
    """n labelled rows of one split.

    Attributes:
        keys: The entity's key values, one column per key column.
        cutoff: Ticks, shape (n,); zeros for static tasks.
        known_at: When the label became known, ticks; `NEVER` when that is unknown.
        label: float64 of shape (n,).
        features: Declared task-row features, or None.
        weight: Weights in the training loss, all above 0, shape (n,); None where all are 1.
    """

    keys: pa.Table
    cutoff: NDArray[np.int64]
    known_at: NDArray[np.int64]
    label: NDArray[np.float64]
    features: pa.Table | None = None
    weight: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.cutoff)

    def take(self, mask: NDArray[np.bool_]) -> LabelFrame:
        """Return the rows where `mask` is true."""
        keep = pa.array(mask)
        features = None if self.features is None else self.features.filter(keep)
        weight = None if self.weight is None else self.weight[mask]
        keys = self.keys.filter(keep)
        return LabelFrame(keys, self.cutoff[mask], self.known_at[mask], self.label[mask], features, weight)

    def to_arrow(self) -> pa.Table:
        """Return the rows as one table, to be saved."""
        columns = {f"key_{n}": self.keys[name] for n, name in enumerate(self.keys.column_names)}
        columns |= {name: pa.chunked_array([pa.array(getattr(self, name))]) for name in ("cutoff", "known_at", "label")}
        if self.weight is not None:
            columns["weight"] = pa.chunked_array([pa.array(self.weight)])
        if self.features is not None:
            columns |= {f"feature_{name}": self.features[name] for name in self.features.column_names}
        return pa.table(columns)

    @classmethod
    def from_arrow(cls, table: pa.Table, key_columns: Sequence[str], feature_columns: Sequence[str]) -> LabelFrame:
        """Return the rows that `to_arrow` wrote.

        Args:
            table: What it returned.
            key_columns: Names of the key's columns, in order.
            feature_columns: Names of the declared task-row features.
        """
        features = {name: table[f"feature_{name}"] for name in feature_columns}
        return cls(
            keys=pa.table({name: table[f"key_{number}"] for number, name in enumerate(key_columns)}),
            cutoff=np.asarray(table["cutoff"].to_numpy(), dtype=np.int64),
            known_at=np.asarray(table["known_at"].to_numpy(), dtype=np.int64),
            label=np.asarray(table["label"].to_numpy(), dtype=np.float64),
            features=pa.table(features) if features else None,
            weight=np.asarray(table["weight"].to_numpy(), dtype=np.float64) if "weight" in table.column_names else None,
        )

    def with_known_at(self, known_at: NDArray[np.int64]) -> LabelFrame:
        """Return the frame with other times at which the labels became known."""
        return replace(self, known_at=known_at)


def read_frame(
    frame: pa.Table, columns: LabelColumns, kind: TimeKind | None, split: str
) -> tuple[LabelFrame, pa.ChunkedArray]:
    """Check the label frame of one split and separate its keys, times, features and labels.

    Args:
        frame: The rows as the caller passed them.
        columns: Which column holds what.
        kind: The database's kind of time.
        split: The split's name, for errors.

    Returns:
        The rows with labels still to be encoded (nan), and the raw label column. Rows without a label or cutoff are
        left out; weights were checked by `weighted_rows`.

    Raises:
        TaskError: A column is missing or of the wrong type, or nothing is left.
    """
    wanted = [*columns.entity, columns.target, *columns.features, *filter(None, [columns.time, columns.known_at])]
    for column in wanted:
        if column not in frame.column_names:
            shown = ", ".join(frame.column_names)
            raise TaskError(f"{split} column", column, "is not in the label frame", f"The frame has: {shown}")
    frame = clean_frame(frame, columns.target)
    _check_values(frame, columns, split)
    usable = frame[columns.target].is_valid()
    if columns.time:
        _check_time(frame[columns.time].type, kind, f"{split}.{columns.time}")
        usable = pc.and_(usable, frame[columns.time].is_valid())
    frame = frame.filter(usable)
    if frame.num_rows == 0:
        raise TaskError(
            f"{split} rows", 0, "has no row with both a label and a cutoff", "Check the target and time columns"
        )
    cutoff = ticks_of(frame[columns.time], up=False) if columns.time else np.zeros(frame.num_rows, dtype=np.int64)
    known_at = np.full(frame.num_rows, NEVER)
    if columns.known_at:
        _check_time(frame[columns.known_at].type, kind, f"{split}.{columns.known_at}")
        known_at = ticks_of(frame[columns.known_at])
    labels = LabelFrame(
        keys=frame.select(list(columns.entity)),
        cutoff=cutoff,
        known_at=known_at,
        label=np.full(frame.num_rows, np.nan),
        features=frame.select(list(columns.features)) if columns.features else None,
        weight=None if columns.weight is None else as_float(frame[columns.weight]),
    )
    return labels, frame[columns.target]


def clean_frame(frame: pa.Table, target: str) -> pa.Table:
    """Return a label frame with NULL in place of NaN and infinity; an infinite label stays and is refused later."""
    if target not in frame.column_names:
        return without_missing(frame)
    label = null_if_missing(frame[target], infinity=False)
    frame = without_missing(frame)
    return frame.set_column(frame.column_names.index(target), target, label)


def _check_values(frame: pa.Table, columns: LabelColumns, split: str) -> None:
    """Refuse columns that hold no plain values, and ids that were rounded."""
    for column in (*columns.entity, columns.target, *columns.features):
        dtype = frame[column].type
        if is_nested(dtype):
            raise TaskError(
                f"{split}.{column}",
                str(dtype),
                "must hold numbers, booleans, text or times",
                "Convert it, or unnest lists and structs into columns of their own",
            )
    for column in columns.entity:
        refuse_rounded_ids(frame[column], f"{split}.{column}")


def refuse_rounded_ids(ids: pa.ChunkedArray, place: str) -> None:
    """Refuse ids that became floats and were rounded.

    Args:
        ids: A key column.
        place: Its place, for the error.

    Raises:
        TaskError: An id is too large for its floating type.
    """
    count = inexact_ids(ids)
    if count:
        raise TaskError(
            place,
            f"{count} of {len(ids)} ids are {ids.type} of {rounding_limit(ids.type)} or more",
            "ids of this size are rounded as floats, and would name other rows",
            "Read the column as integers (Int64 in pandas) or text",
        )


def _check_time(dtype: pa.DataType, kind: TimeKind | None, place: str) -> None:
    if not is_time_type(dtype):
        raise TaskError(place, str(dtype), "must hold timestamps, dates or integers", "Parse the column first")
    if kind is not None and kind_of(dtype) != kind:
        raise TaskError(place, str(dtype), f"must hold {kind}s, as the database's times do", "Convert the column")


def encode_labels(
    raw: Sequence[pa.ChunkedArray], kind: TaskKind, classes: Sequence[str] | None = None
) -> tuple[list[NDArray[np.float64]], tuple[str, ...] | None]:
    """Return labels as floats, and the class names of a classification task.

    Args:
        raw: One column per split, without nulls.
        kind: The kind of task.
        classes: The class names in order, if declared; the second of two is the positive class.

    Raises:
        TaskError: The values do not fit the kind.
    """
    if kind == "regression":
        return [_numbers(column) for column in raw], None
    sizes = np.cumsum([0, *(len(column) for column in raw)])
    texts = [_class_texts(column) for column in raw]
    names = [name for part in texts for name in part]
    found = tuple(as_text(name) for name in classes) if classes is not None else _order(set(names))
    unknown = sorted(set(names) - set(found))
    if unknown:
        raise TaskError("label", unknown[:5], f"is none of the declared classes {list(found)}", "Extend `classes`")
    if kind == "binary" and len(found) > 2:
        raise TaskError("label", list(found[:6]), "a binary task has two classes", "Use kind='multiclass'")
    if len(found) < 2:
        raise TaskError(
            "label", list(found), "is the same for every row, so there is nothing to learn", "Check the label query"
        )
    place = {name: float(number) for number, name in enumerate(found)}
    codes = np.array([place[name] for name in names], dtype=np.float64)
    return [codes[a:b] for a, b in zip(sizes[:-1], sizes[1:], strict=True)], found


def encode_known(raw: pa.ChunkedArray, kind: TaskKind, classes: tuple[str, ...] | None) -> NDArray[np.float64]:
    """Return labels as floats, nan for a class that training did not know."""
    if kind == "regression":
        return _numbers(raw)
    place = {name: float(number) for number, name in enumerate(classes or ())}
    return np.array([place.get(name, np.nan) for name in _class_texts(raw)], dtype=np.float64)


def _numbers(column: pa.ChunkedArray) -> NDArray[np.float64]:
    dtype = column.type
    if not (
        pa.types.is_integer(dtype)
        or pa.types.is_floating(dtype)
        or pa.types.is_decimal(dtype)
        or pa.types.is_boolean(dtype)
    ):
        raise TaskError(
            "label", str(dtype), "a regression target is a number", "Convert it, or use another kind of task"
        )
    values = as_float(column)
    if not np.isfinite(values).all():
        raise TaskError("label", "nan or infinite", "a regression target is finite", "Drop or repair these rows")
    return values


def _class_texts(column: pa.ChunkedArray) -> list[str]:
    if pa.types.is_floating(column.type) and pc.any(pc.is_inf(column)).as_py():
        raise TaskError(
            "label", "infinite", "a class is a finite number, a boolean or text", "Drop or repair these rows"
        )
    codes, words = as_strings(column)
    return [words[code] for code in codes]


def _order(names: set[str]) -> tuple[str, ...]:
    """Order class names as numbers where all are numbers, else as text."""
    try:
        return tuple(sorted(sorted(names), key=float))  # 1 and 01 are equal numbers
    except ValueError:
        return tuple(sorted(names))


def as_label_values(label: NDArray[np.float64], kind: TaskKind, classes: tuple[str, ...] | None) -> Any:
    """Return encoded labels as the values they stand for, in Arrow: numbers, booleans for binary tasks, class names."""
    if kind == "regression":
        return pa.array(label)
    if kind == "binary":
        return pa.array(label == 1)
    return pa.array(np.array(classes, dtype=object)[label.astype(int)], type=pa.string())
