"""The rows that TabPFN reads with every prediction, and where its weights are. Imports `tabpfn` when it predicts.

The weights are not part of a saved model, which holds the training rows and the name and hash of the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relselect.files import replacing, write_json
from relselect.hashing import sha256_of_file
from relselect.untrusted import check_relative_name, read_strict_json, regular_size

__all__ = ["BLOCK", "Context", "InContextModel", "Limits", "limits_of", "weights_of"]

Floats = NDArray[np.float64]

#: Rows predicted at a time.
BLOCK = 2000
_FORMAT = 1
_HEAD, _ROWS = "context.json", "context.safetensors"


@dataclass(frozen=True)
class Limits:
    """What weights are made for: rows of context, features and classes at most."""

    rows: int
    features: int
    classes: int


@dataclass(frozen=True)
class Context:
    """How the rows are read.

    Attributes:
        kind: "binary", "multiclass" or "regression".
        classes: Classes of the task; 2 for binary tasks.
        median: Whether a regression predicts the median of its distribution rather than the mean.
        floor: Least prediction of a regression; None without one.
        categorical: Columns that hold categories.
        estimators: Permutations of columns and classes that predictions are averaged over.
        seed: Seed of those.
        weights: Name of the file of the weights.
    """

    kind: str
    classes: int
    median: bool
    floor: float | None
    categorical: tuple[int, ...]
    estimators: int
    seed: int
    weights: str


def weights_of(kind: str) -> Path | None:
    """Return the file of the weights for a kind of task, those of the newest version that is on disk; None without any."""
    from tabpfn.constants import ModelVersion
    from tabpfn.model_loading import resolve_model_path
    from tabpfn.settings import settings

    preferred = settings.tabpfn.model_version
    for version in [preferred, *(each for each in reversed(ModelVersion) if each != preferred)]:
        (path,), _, _, _ = resolve_model_path(None, _estimator(kind), version=version.value)
        if Path(path).is_file():
            return Path(path)
    return None


def limits_of(weights: Path, kind: str) -> Limits:
    """Return what the weights are made for, as they and the installed version say; fewer rows without a GPU."""
    import torch
    from tabpfn.model_loading import load_model

    declared = load_model(path=weights, estimator_type=_estimator(kind))[3]
    rows = int(declared.MAX_NUMBER_OF_SAMPLES)
    if not torch.cuda.is_available():
        rows = min(rows, int(declared.MAX_CPU_SAMPLES))
    return Limits(rows, int(declared.MAX_NUMBER_OF_FEATURES), int(declared.MAX_NUMBER_OF_CLASSES))


class InContextModel:
    """Training rows as context.

    Args:
        context: How they are read.
        values: Features, shape (n, k).
        label: Labels, shape (n,).
        sha256: Hash that the weights must have; None for whatever is on disk.
    """

    def __init__(self, context: Context, values: Floats, label: Floats, sha256: str | None = None) -> None:
        self.context, self.values, self.label = context, values, label
        self._sha256 = sha256
        self._estimator: Any = None

    def part(self, rows: int) -> InContextModel:
        """Return the model with some of the rows, evenly spaced, every class among them."""
        spaced = np.linspace(0, len(self.label) - 1, min(rows, len(self.label))).astype(np.int64)
        first = np.unique(self.label, return_index=True)[1] if self.context.kind != "regression" else spaced[:1]
        places = np.union1d(spaced, first)
        return InContextModel(self.context, self.values[places], self.label[places], self._sha256)

    def predict(self, values: Floats) -> Floats:
        """Return predictions of shape (n,), or (n, classes), for features of shape (n, k), a block at a time.

        Raises:
            FileNotFoundError: The weights are not on this machine.
            ValueError: They are others than the model was made with.
        """
        context = self.context
        if not len(values):
            return np.empty((0, context.classes) if context.kind == "multiclass" else 0)
        estimator = self._fitted()
        found = []
        for start in range(0, len(values), BLOCK):
            block = _finite(values[start : start + BLOCK])
            if context.kind == "regression":
                raw = estimator.predict(block, output_type="median" if context.median else "mean")
                found.append(np.asarray(raw, dtype=np.float64))
                continue
            shares = np.zeros((len(block), context.classes))
            shares[:, estimator.classes_.astype(np.int64)] = estimator.predict_proba(block)
            found.append(shares if context.kind == "multiclass" else shares[:, 1])
        joined = np.concatenate(found)
        return joined if context.floor is None else np.maximum(joined, context.floor)

    def _fitted(self) -> Any:
        """Return the estimator of tabpfn with its context read, in single precision."""
        if self._estimator is None:
            import tabpfn
            import torch

            maker = tabpfn.TabPFNRegressor if self.context.kind == "regression" else tabpfn.TabPFNClassifier
            estimator = maker(
                n_estimators=self.context.estimators,
                categorical_features_indices=list(self.context.categorical),
                model_path=str(self._weights()),
                inference_precision=torch.float32,
                random_state=self.context.seed,
                ignore_pretraining_limits=True,  # they were read before
            )
            self._estimator = estimator.fit(_finite(self.values), self.label)
        return self._estimator

    def _weights(self) -> Path:
        from tabpfn.model_loading import get_cache_dir

        path = Path(get_cache_dir()) / self.context.weights
        if not path.is_file():
            raise FileNotFoundError(f"the weights {path.name} of TabPFN are not in {path.parent}; put the file there")
        if self._sha256 is not None and sha256_of_file(path) != self._sha256:
            raise ValueError(f"the weights {path.name} are others than the model was made with")
        return path

    def importances(self) -> Floats | None:
        """Return None: TabPFN has no shares of its features."""
        return None

    def save(self, folder: Path) -> None:
        """Write `context.json` and `context.safetensors`, which holds the training rows."""
        from safetensors.numpy import save_file

        sha256 = self._sha256 or sha256_of_file(self._weights())
        write_json(folder / _HEAD, {"format": _FORMAT, "sha256": sha256, **asdict(self.context)})
        rows = {"values": np.ascontiguousarray(self.values), "label": np.ascontiguousarray(self.label)}
        with replacing(folder / _ROWS, sole_writer=True) as draft:
            save_file(rows, draft)

    @classmethod
    def load(cls, folder: Path) -> InContextModel:
        """Return the model that `save` wrote.

        Raises:
            OSError: A file cannot be read.
            ValueError: A file is damaged.
        """
        from safetensors.numpy import load_file

        head = read_strict_json(folder / _HEAD)
        if not isinstance(head, dict) or head.get("format") != _FORMAT:
            raise ValueError(f"{_HEAD} is of another format than {_FORMAT}")
        context = _checked({name: head[name] for name in Context.__dataclass_fields__})
        regular_size(folder / _ROWS)
        found = load_file(folder / _ROWS)
        if {name: (array.dtype.type, array.ndim) for name, array in found.items()} != _LAYOUT:
            raise ValueError(f"{_ROWS} holds other arrays than features and labels")
        values, label = found["values"], found["label"]
        if len(values) != len(label) or not len(label) or not np.isfinite(label).all():
            raise ValueError(f"{_ROWS} holds another number of labels than of rows, or labels that are not finite")
        if any(not 0 <= place < values.shape[1] for place in context.categorical):
            raise ValueError("a categorical column is none of the features")
        whole = context.kind == "regression" or (label == label.astype(np.int64)).all()
        if not whole or (context.kind != "regression" and not 0 <= label.min() <= label.max() < context.classes):
            raise ValueError("a label is no class")
        return cls(context, values, label, str(head["sha256"]))


_LAYOUT = {"values": (np.float64, 2), "label": (np.float64, 1)}


def _estimator(kind: str) -> str:
    return "regressor" if kind == "regression" else "classifier"


def _finite(values: Floats) -> Floats:
    """Return features without infinite values, which TabPFN refuses."""
    return np.where(np.isinf(values), np.nan, values)


def _checked(found: dict[str, Any]) -> Context:
    """Return the context of a stranger's JSON.

    Raises:
        ValueError: A field is of another type or range.
    """
    integers = [found["classes"], found["estimators"], found["seed"], *_listed(found["categorical"])]
    if any(type(value) is not int or not 0 <= value < 1 << 31 for value in integers):
        raise ValueError("a number of the context leaves its range")
    if not 1 <= found["estimators"] <= 256 or not 2 <= found["classes"] <= 1 << 16:
        raise ValueError("the context has no or too many estimators or classes")
    if found["kind"] not in ("binary", "multiclass", "regression") or not isinstance(found["median"], bool):
        raise ValueError("the kind of the context is none")
    floor = found["floor"]
    if floor is not None and (isinstance(floor, bool) or not isinstance(floor, int | float)):
        raise ValueError("the least prediction is no number")
    if "/" in check_relative_name(found["weights"]):
        raise ValueError("the weights are no plain name of a file")
    return Context(
        **{**found, "categorical": tuple(found["categorical"]), "floor": None if floor is None else float(floor)}
    )


def _listed(stored: Any) -> Sequence[Any]:
    if not isinstance(stored, list):
        raise ValueError("categorical is no list")
    return stored
