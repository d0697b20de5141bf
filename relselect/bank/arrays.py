"""Labels and predictions of the select and test rows of a task, as a bank keeps them.

Rows lie in an order drawn once per task, so that the first k rows are a uniform sample of all: a bank can be cut down without
losing what a replay needs. Nothing here knows which rows select.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from relselect.hashing import hash_text, mix, smallest

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LabelledPart", "Part", "order_of", "read_labels", "read_predictions", "write_labels", "write_predictions"]

#: The rows that choose and carry the reported score, and the rows that judge.
Part = Literal["select", "test"]

_LABELS = pa.schema([("part", pa.string()), ("label", pa.float32()), ("cluster", pa.int32())])
_PREDICTIONS = pa.schema(
    [("trial", pa.string()), ("part", pa.string()), ("classes", pa.int32()), ("values", pa.list_(pa.float32()))]
)


@dataclass(frozen=True)
class LabelledPart:
    """Labels of a part, in the order of its predictions.

    Attributes:
        label: float32 of shape (n,).
        cluster: Number of the row's entity, int32 of shape (n,): rows of one entity are drawn together by a bootstrap.
    """

    label: NDArray[np.float32]
    cluster: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.label)


def order_of(task: str, part: Part, rows: int, most: int) -> NDArray[np.int64]:
    """Return which rows of a part are kept, in their order: at most `most`, drawn by a hash of the task and the row's place.

    >>> first = order_of("a1", "test", 100, 10)
    >>> list(first) == list(order_of("a1", "test", 100, 50)[:10])
    True
    """
    return smallest(mix(np.arange(rows, dtype=np.int64), hash_text(f"{task}/{part}")), most)


def write_labels(path: Path, parts: Mapping[Part, LabelledPart]) -> None:
    """Write the labels of a task, not atomically: the caller hands in a draft."""
    tables = [
        pa.table({"part": pa.array([name] * len(part)), "label": part.label, "cluster": part.cluster}, schema=_LABELS)
        for name, part in parts.items()
    ]
    pq.write_table(pa.concat_tables(tables), path, compression="zstd")


def read_labels(path: Path) -> dict[Part, LabelledPart]:
    """Return the labels that `write_labels` wrote.

    Raises:
        OSError: The file cannot be read.
        ValueError: It holds no labels.
    """
    table = _read(path, _LABELS)
    names = table["part"].to_numpy(zero_copy_only=False)
    label = table["label"].to_numpy().astype(np.float32)
    cluster = table["cluster"].to_numpy().astype(np.int32)
    return {name: LabelledPart(label[names == name], cluster[names == name]) for name in get_args(Part)}


def write_predictions(path: Path, trials: Mapping[str, Mapping[Part, NDArray[np.float32]]]) -> None:
    """Write predictions, trial id -> part -> shape (n,) or (n, classes), not atomically: the caller hands in a draft."""
    rows = [
        {
            "trial": trial,
            "part": part,
            "classes": values.shape[1] if values.ndim == 2 else 0,
            "values": np.ascontiguousarray(values, dtype=np.float32).ravel(),
        }
        for trial, parts in sorted(trials.items())
        for part, values in parts.items()
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=_PREDICTIONS), path, compression="zstd")


def read_predictions(path: Path) -> dict[str, dict[Part, NDArray[np.float32]]]:
    """Return the predictions that `write_predictions` wrote.

    Raises:
        OSError: The file cannot be read.
        ValueError: It holds no predictions.
    """
    table = _read(path, _PREDICTIONS)
    found: dict[str, dict[Part, NDArray[np.float32]]] = {}
    columns = (table["trial"].to_pylist(), table["part"].to_pylist(), table["classes"].to_pylist(), table["values"])
    for trial, part, classes, values in zip(*columns, strict=True):
        flat = values.values.to_numpy().astype(np.float32)
        found.setdefault(trial, {})[part] = flat.reshape(-1, classes) if classes else flat
    return found


def _read(path: Path, schema: pa.Schema) -> pa.Table:
    try:
        return pq.read_table(path).select(schema.names).cast(schema)
    except (pa.ArrowException, KeyError) as error:
        raise ValueError(f"{path.name} is not readable ({error})") from error
