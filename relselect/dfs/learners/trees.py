"""A trained ensemble of trees: kept as LightGBM's text, saved as text and JSON.

A model is text from the moment it is trained, so that a model in memory and the same model read from a file give the same
bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relselect.dfs.learners.labels import LabelScale
from relselect.dfs.learners.tree_text import check_tree_text
from relselect.files import write_json, write_text
from relselect.untrusted import read_bounded_bytes, read_strict_json

__all__ = ["TREES_FILE", "Trees", "shifted"]

Floats = NDArray[np.float64]

#: The file that says how many boosters there are, and how their outputs become predictions.
TREES_FILE = "trees.json"
#: Boosters at most, and bytes of the text of one and of `trees.json`.
_MOST, _LARGEST_TEXT, _LARGEST_HEAD = 1000, 1 << 31, 1 << 24


class Trees:
    """A trained model: the mean of LightGBM boosters, or a constant where there was nothing to learn.

    Args:
        texts: LightGBM's text of each booster; none for a constant.
        constant: What is predicted without a booster: a number, or one probability per class.
        scale: The scale of regression labels, which are standardised before LightGBM rounds them to single precision; None for
            classes.
        shift: Subtracted from the columns before the boosters read them, shape (k,); None without boosters.
    """

    def __init__(
        self,
        texts: Sequence[str],
        constant: Floats,
        scale: LabelScale | None = None,
        shift: Floats | None = None,
    ) -> None:
        self.texts, self.constant, self.scale = tuple(texts), constant, scale or LabelScale()
        self.shift = np.zeros(0) if shift is None else shift
        self._boosters: list[Any] = []

    @property
    def boosters(self) -> list[Any]:
        """LightGBM's boosters, built from the texts."""
        if len(self._boosters) < len(self.texts):
            import lightgbm

            self._boosters = [lightgbm.Booster(model_str=text) for text in self.texts]
        return self._boosters

    def predict(self, values: Floats) -> Floats:
        """Return predictions of shape (n,), or (n, classes), for features of shape (n, k)."""
        if not self.boosters or not len(values):
            return np.broadcast_to(self.constant, (len(values), *self.constant.shape)).copy()
        data = np.ascontiguousarray(values)
        if len(self.shift):
            data = shifted(data, self.shift)
        found = sum(np.asarray(booster.predict(data), dtype=np.float64) for booster in self.boosters)
        return self.scale.values(np.asarray(found / len(self.boosters), dtype=np.float64))

    def importances(self) -> Floats | None:
        """Return each feature's share of the total gain, shape (k,), or None for a constant."""
        if not self.boosters:
            return None
        gain = np.sum([booster.feature_importance(importance_type="gain") for booster in self.boosters], axis=0)
        return np.asarray(gain / gain.sum() if gain.sum() > 0 else gain, dtype=np.float64)

    def save(self, folder: Path) -> None:
        """Write `trees.json` and, for each booster, `trees_<number>.txt`."""
        head = {
            "boosters": len(self.texts),
            "constant": self.constant.tolist(),
            "label": self.scale.to_json(),
            "shift": self.shift.tolist(),
        }
        write_json(folder / TREES_FILE, head)
        for number, text in enumerate(self.texts):
            write_text(folder / f"trees_{number}.txt", text)

    @classmethod
    def load(cls, folder: Path) -> Trees:
        """Return the trees that `save` wrote; each text is checked before LightGBM reads it.

        Raises:
            OSError: A file cannot be read.
            ValueError: A file is damaged.
        """
        head = read_strict_json(folder / TREES_FILE, _LARGEST_HEAD)
        if not isinstance(head, dict) or not isinstance(count := head.get("boosters"), int) or not 0 <= count <= _MOST:
            raise ValueError("trees.json does not say how many boosters there are")
        scale = LabelScale.from_json(head["label"])
        constant, shift = _finite(head["constant"], "constant"), _finite(head["shift"], "shift")
        if constant.ndim > 1 or shift.ndim != 1:
            raise ValueError("constant or shift of trees.json has another shape")
        texts = [read_bounded_bytes(folder / f"trees_{n}.txt", _LARGEST_TEXT).decode() for n in range(count)]
        if texts and not len(shift):
            raise ValueError("shift of trees.json lacks the columns of the boosters")
        objectives = {check_tree_text(text) for text in texts}
        standardised = any(objective.startswith("regression") for objective in objectives)
        if len(objectives) > 1 or (objectives and not standardised and scale != LabelScale()):
            raise ValueError("the boosters have several objectives, or a label scale where there is no regression")
        return cls(texts, constant, scale, shift)


def shifted(values: Floats, shift: Floats) -> Floats:
    """Return values of shape (n, k) less a shift of shape (k,): a copy in the same memory order, themselves without a shift.

    Raises:
        ValueError: They have another number of columns.
    """
    if len(shift) != values.shape[1]:
        raise ValueError(f"a shift of {len(shift)} columns for {values.shape[1]}")
    if not shift.any():
        return values
    found = values.copy(order="K")
    for place in np.flatnonzero(shift):
        found[:, place] -= shift[place]
    return found


def _finite(stored: Any, name: str) -> Floats:
    found = np.asarray(stored)
    if found.dtype.kind not in "if" and found.size:
        raise ValueError(f"{name} of trees.json holds what is no number")
    found = found.astype(np.float64)
    if not np.isfinite(found).all():
        raise ValueError(f"{name} of trees.json holds what is no finite number")
    return found
