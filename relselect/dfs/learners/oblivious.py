"""A trained ensemble of oblivious trees, as CatBoost grows them: kept as arrays, evaluated by NumPy, saved as safetensors.

Predicting needs no CatBoost, and no file of a stranger reaches its parser.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relselect.dfs.learners.labels import LabelScale
from relselect.files import replacing, write_json
from relselect.untrusted import read_strict_json, regular_size

__all__ = ["ObliviousTrees", "TreeColumns"]

Floats = NDArray[np.float64]

_HEAD, _ARRAYS = "oblivious_trees.json", "oblivious_trees.safetensors"
_FORMAT = 1
#: Depth of a tree, outputs and features at most.
_DEEPEST, _MOST_OUTPUTS, _MOST_FEATURES = 16, 1 << 12, 1 << 24
#: Categories of a column that get a column of their own.
_FREQUENT = 32
#: Outputs of each kind; one per class for a multiclass task.
_KINDS = {"binary": 1, "regression": 1}
#: Arrays of a model: type and number of axes.
_LAYOUT = {
    "columns": (np.int32, 2), "features": (np.int32, 2), "borders": (np.float32, 2), "leaves": (np.float64, 3),
    "bias": (np.float64, 1),
}  # fmt: skip


@dataclass(frozen=True)
class TreeColumns:
    """The columns that trees read: numbers as they are, and one column per frequent category.

    Attributes:
        sources: Column of the features and category number, -1 for the number itself, shape (m, 2).
        count: Features that they are taken from, k.
    """

    sources: NDArray[np.int32]
    count: int

    @classmethod
    def fit(cls, values: Floats, categorical: Sequence[bool]) -> TreeColumns:
        """Return the columns for training features, shape (n, k)."""
        found: list[tuple[int, int]] = []
        for place, flag in enumerate(categorical):
            if not flag:
                found.append((place, -1))
                continue
            codes, counts = np.unique(
                values[:, place][~np.isnan(values[:, place])].astype(np.int64), return_counts=True
            )
            found += [(place, int(code)) for code in np.sort(codes[np.argsort(-counts, kind="stable")[:_FREQUENT]])]
        return cls(np.array(found, dtype=np.int32).reshape(-1, 2), len(categorical))

    def read(self, values: Floats) -> NDArray[np.float32]:
        """Return the columns of features, shape (n, m), column-major."""
        found = np.empty((len(values), len(self.sources)), dtype=np.float32, order="F")
        with np.errstate(over="ignore"):
            for place, (column, code) in enumerate(self.sources):
                found[:, place] = values[:, column] if code < 0 else values[:, column] == code
        return found


class ObliviousTrees:
    """Trees whose levels each have one split: leaf number = sum over levels d of 2^d [x_d > border_d].

    Source: Prokhorenkova et al., "CatBoost: unbiased boosting with categorical features" (NeurIPS 2018), section on trees.

    Args:
        kind: "binary", "multiclass" or "regression".
        columns: What the trees read.
        features: Column of each level's split, -1 where a tree has fewer levels, shape (t, depth).
        borders: Its border, shape (t, depth).
        leaves: Values of the leaves, shape (t, 2^depth, outputs).
        bias: Added to the sums, shape (outputs,).
        scale: The scale of regression labels.
    """

    def __init__(
        self,
        kind: str,
        columns: TreeColumns,
        features: NDArray[np.int32],
        borders: NDArray[np.float32],
        leaves: Floats,
        bias: Floats,
        scale: LabelScale,
    ) -> None:
        self.kind, self.columns, self.scale = kind, columns, scale
        self.features, self.borders, self.leaves, self.bias = features, borders, leaves, bias

    @classmethod
    def of_json(
        cls, model: Mapping[str, Any], rounds: int, kind: str, columns: TreeColumns, scale: LabelScale
    ) -> ObliviousTrees:
        """Return the first trees of a model that CatBoost wrote as JSON."""
        trees = model["oblivious_trees"][:rounds]
        factor, bias = model["scale_and_bias"]
        depth = max([1, *(len(tree["splits"] or ()) for tree in trees)])
        features = np.full((len(trees), depth), -1, dtype=np.int32)
        borders = np.zeros((len(trees), depth), dtype=np.float32)
        leaves = np.zeros((len(trees), 1 << depth, len(bias)))
        for number, tree in enumerate(trees):
            for level, split in enumerate(tree["splits"] or ()):
                features[number, level] = split["float_feature_index"]
                borders[number, level] = split["border"]
            values = np.array(tree["leaf_values"]).reshape(-1, len(bias)) * factor
            leaves[number, : len(values)] = values
        return cls(kind, columns, features, borders, leaves, np.array(bias, dtype=np.float64), scale)

    def predict(self, values: Floats) -> Floats:
        """Return predictions of shape (n,), or (n, classes), for features of shape (n, k)."""
        raw = self._sums(self.columns.read(values))
        if self.kind == "multiclass":
            shares = np.exp(raw - raw.max(axis=1, keepdims=True))
            return np.asarray(shares / shares.sum(axis=1, keepdims=True))
        if self.kind == "binary":
            return np.asarray(1 / (1 + np.exp(-np.clip(raw[:, 0], -500, 500))))
        return self.scale.values(raw[:, 0])

    def _sums(self, read: NDArray[np.float32]) -> Floats:
        found = np.broadcast_to(self.bias, (len(read), len(self.bias))).copy()
        for features, borders, leaves in zip(self.features, self.borders, self.leaves, strict=True):
            leaf = np.zeros(len(read), dtype=np.int64)
            for level, (feature, border) in enumerate(zip(features, borders, strict=True)):
                if feature >= 0:
                    leaf += (read[:, feature] > border).astype(np.int64) << level
            found += leaves[leaf]
        return found

    def importances(self) -> Floats | None:
        """Return how often each feature is split on, as a share, shape (k,)."""
        used = self.columns.sources[self.features[self.features >= 0], 0]
        if not len(used):
            return None
        counts = np.bincount(used, minlength=self.columns.count)
        return np.asarray(counts / counts.sum(), dtype=np.float64)

    def save(self, folder: Path) -> None:
        """Write `oblivious_trees.json` and `oblivious_trees.safetensors`."""
        from safetensors.numpy import save_file

        head = {"format": _FORMAT, "kind": self.kind, "count": self.columns.count, "label": self.scale.to_json()}
        write_json(folder / _HEAD, head)
        arrays = {"features": self.features, "borders": self.borders, "leaves": self.leaves, "bias": self.bias}
        with replacing(folder / _ARRAYS, sole_writer=True) as draft:
            save_file({"columns": self.columns.sources, **arrays}, draft)

    @classmethod
    def load(cls, folder: Path) -> ObliviousTrees:
        """Return the trees that `save` wrote.

        Raises:
            OSError: A file cannot be read.
            ValueError: A file is damaged.
        """
        from safetensors.numpy import load_file

        head = read_strict_json(folder / _HEAD)
        if not isinstance(head, dict) or head.get("format") != _FORMAT:
            raise ValueError(f"{_HEAD} is of another format than {_FORMAT}")
        regular_size(folder / _ARRAYS)
        found = load_file(folder / _ARRAYS)
        layout = {name: (array.dtype.type, array.ndim) for name, array in found.items()}
        if layout != _LAYOUT or not all(np.isfinite(array).all() for array in found.values()):
            raise ValueError(f"{_ARRAYS} holds other arrays than trees have, or numbers that are not finite")
        _check_shapes(head["kind"], **found)
        columns = TreeColumns(found.pop("columns"), head["count"])
        if type(columns.count) is not int or not columns.sources[:, 0].max(initial=0) < columns.count <= _MOST_FEATURES:
            raise ValueError(f"{_HEAD} does not say how many features there are")
        return cls(head["kind"], columns, **found, scale=LabelScale.from_json(head["label"]))


def _check_shapes(kind: object, columns: Any, features: Any, borders: Any, leaves: Any, bias: Any) -> None:
    """Check that the arrays fit one another.

    Raises:
        ValueError: They do not.
    """
    depth, outputs = features.shape[1], len(bias)
    if not 1 <= depth <= _DEEPEST or not 1 <= outputs <= _MOST_OUTPUTS or columns.shape[1] != 2:
        raise ValueError("the trees have an impossible depth or number of outputs")
    if borders.shape != features.shape or leaves.shape != (len(features), 1 << depth, outputs):
        raise ValueError("the trees have another number of borders or leaves than of splits")
    if not (features < len(columns)).all() or (columns[:, 0] < 0).any():
        raise ValueError("a split or a column names a feature that there is not")
    if kind not in ("binary", "multiclass", "regression") or _KINDS.get(str(kind), outputs) != outputs:
        raise ValueError("the kind of the trees does not fit their outputs")
