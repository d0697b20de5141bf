"""Weights of labelled rows in the training loss: the weight of each row times the weight of its class.

Weights change the loss that models are fitted to, and the statistics of labels that a fit begins with. They change no score:
every row counts once where candidates are compared and where test rows are scored, as scikit-learn's scorers do unless they
are asked. A row of weight 0 is left out before anything else is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relselect.database.columns import as_float, as_text
from relselect.errors import TaskError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.tasks.kinds import TaskKind
    from relselect.tasks.labels import LabelFrame
    from relselect.tasks.splits import Split

__all__ = [
    "ClassWeight",
    "checked_class_weight",
    "effective_rows",
    "loss_weights",
    "named_class_weight",
    "weighted_rows",
    "weights_note",
]

#: Weight per class name, classes left out having 1; "balanced" for the inverse of the classes' shares.
ClassWeight = Literal["balanced"] | Mapping[str, float]


def weighted_rows(frame: pa.Table, column: str, target: str, split: str) -> pa.Table:
    """Return the rows of a label frame whose weight is above 0; rows without a label are kept, as they are left out later.

    Args:
        frame: The rows, missing values as NULL.
        column: The column of weights.
        target: The label column.
        split: The split's name, for errors.

    Raises:
        TaskError: The column is missing, or the weight of a labelled row is no finite number of 0 or more; or all are 0.
    """
    place = f"{split}.{column}"
    if column not in frame.column_names:
        shown = ", ".join(frame.column_names)
        raise TaskError(f"{split} column", column, "is not in the label frame", f"The frame has: {shown}")
    dtype = frame[column].type
    if not (pa.types.is_integer(dtype) or pa.types.is_floating(dtype) or pa.types.is_decimal(dtype)):
        raise TaskError(place, str(dtype), "a weight is a number of 0 or more", "Convert the column")
    if target not in frame.column_names:
        return frame
    labelled = np.asarray(pc.is_valid(frame[target]).to_numpy(), dtype=bool)
    weight = as_float(frame[column])
    wrong = labelled & ~(np.isfinite(weight) & (weight >= 0))
    if wrong.any():
        rule = "are missing, infinite or negative: a weight is a finite number of 0 or more"
        raise TaskError(
            place, f"{int(wrong.sum())} of {len(weight)} weights", rule, "Repair them, or leave the rows out"
        )
    keep = ~labelled | (weight > 0)
    if not (labelled & keep).any():
        raise TaskError(
            place, f"{len(weight)} weights", "are all 0, so no row is left", "Give some rows a weight above 0"
        )
    return frame if keep.all() else frame.filter(pa.array(keep))


def checked_class_weight(
    given: str | Mapping[object, float] | None, kind: TaskKind, classes: tuple[str, ...] | None
) -> ClassWeight | None:
    """Return the weights of classes by name, None where every class has the weight 1.

    Args:
        given: "balanced", or a mapping from classes to weights.
        kind: The kind of task.
        classes: The names of its classes.

    Raises:
        TaskError: The task has no classes, a class is unknown, or a weight is no finite number above 0.
    """
    if given is None:
        return None
    if kind == "regression":
        rule = "is for tasks with classes, and this is a regression"
        raise TaskError("class_weight", given, rule, "Leave it out, or weigh the rows by a column")
    if given == "balanced":
        return "balanced"
    if not isinstance(given, Mapping):
        rule = 'is neither "balanced" nor a mapping from classes to weights'
        raise TaskError("class_weight", given, rule, 'Use "balanced", or e.g. {"true": 5}')
    known, found = classes or (), {as_text(name): weight for name, weight in given.items()}
    unknown = sorted(set(found) - set(known))
    if unknown:
        raise TaskError("class_weight", unknown, "are no classes of the task", f"Use some of: {', '.join(known)}")
    for name, weight in found.items():
        number = not isinstance(weight, bool) and isinstance(weight, Real)
        if not number or not 0 < weight < float("inf"):
            rule = "is no finite number above 0"
            raise TaskError(
                f"class_weight[{name!r}]", weight, rule, "Leave rows of a class out instead of weighing it 0"
            )
    weights = {name: float(found.get(name, 1.0)) for name in known}
    return weights if any(weight != 1 for weight in weights.values()) else None


def named_class_weight(given: str | Mapping[Any, float]) -> ClassWeight:
    """Return checked weights of classes as a caller gave them, with the names of the classes as text."""
    return "balanced" if isinstance(given, str) else {as_text(name): float(weight) for name, weight in given.items()}


def loss_weights(
    frames: Mapping[Split, LabelFrame], split: Split, class_weight: ClassWeight | None, classes: tuple[str, ...] | None
) -> NDArray[np.float64] | None:
    """Return the weights of a split's rows in the training loss, shape (n,), all above 0; None where all are 1.

    A row of class c has the weight w_row · w_c. With class_weight="balanced", w_c = W / (k · W_c), where W is the sum of the row
    weights of the training split, W_c that of its rows of class c, and k its number of classes, as in scikit-learn's
    `compute_class_weight`; classes that training lacks have the weight 1.

    Args:
        frames: The labelled rows by split.
        split: The split that is asked about.
        class_weight: What `checked_class_weight` returned.
        classes: The names of the classes.
    """
    frame = frames[split]
    weight = np.ones(len(frame)) if frame.weight is None else frame.weight
    if class_weight is not None:
        weight = weight * _per_class(frames["train"], class_weight, classes or ())[frame.label.astype(np.int64)]
    return None if (weight == 1).all() else weight


def _per_class(train: LabelFrame, class_weight: ClassWeight, names: tuple[str, ...]) -> NDArray[np.float64]:
    if isinstance(class_weight, Mapping):
        return np.array([class_weight[name] for name in names], dtype=np.float64)
    held = np.bincount(train.label.astype(np.int64), weights=train.weight, minlength=len(names)).astype(np.float64)
    found = np.ones(len(held))
    seen = held > 0
    found[seen] = held.sum() / (seen.sum() * held[seen])
    return found


def effective_rows(weight: NDArray[np.float64]) -> float:
    """Return how many rows of equal weight estimate a mean as well, (sum w)² / sum w² (Kish, Survey Sampling, 1965)."""
    return float(weight.sum() ** 2 / (weight**2).sum())


def weights_note(
    frames: Mapping[Split, LabelFrame], class_weight: ClassWeight | None, classes: tuple[str, ...] | None
) -> str | None:
    """Return what readers should know of a task's weights, in two sentences; None where every row has the weight 1."""
    weight = loss_weights(frames, "train", class_weight, classes)
    if weight is None:
        return None
    parts = [] if frames["train"].weight is None else ["by row"]
    if isinstance(class_weight, Mapping):
        parts.append("by class, " + ", ".join(f"{name} {value:g}" for name, value in class_weight.items()))
    elif class_weight is not None:
        parts.append("by class, balanced")
    return (
        f"Rows are weighted in the training loss ({'; '.join(parts)}): the {len(weight):,} training rows count like "
        f"{effective_rows(weight):,.0f} of equal weight. Scores count every row once."
    )
