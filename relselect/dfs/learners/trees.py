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

from relselect.dfs.learners.tree_text import check_tree_text
from relselect.files import write_json, write_text
from relselect.untrusted import read_bounded_bytes, read_strict_json

__all__ = ["Trees"]

Floats = NDArray[np.float64]

#: Boosters at most, and bytes of the text of one and of `trees.json`.
_MOST, _LARGEST_TEXT, _LARGEST_HEAD = 1000, 1 << 31, 1 << 24


class Trees:
    """A trained model: the mean of LightGBM boosters, or a constant where there was nothing to learn.

    Args:
        texts: LightGBM's text of each booster; none for a constant.
        constant: What is predicted without a booster: a number, or one probability per class.
        centre: Added to the boosters' predictions once they are multiplied by `scale`.
        scale: The spread of regression labels, which are standardised before LightGBM rounds them to single precision.
    """

    def __init__(self, texts: Sequence[str], constant: Floats, centre: float = 0.0, scale: float = 1.0) -> None:
        self.texts, self.constant, self.centre, self.scale = tuple(texts), constant, centre, scale
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
        found = sum(np.asarray(booster.predict(data), dtype=np.float64) for booster in self.boosters)
        return np.asarray(found / len(self.boosters) * self.scale + self.centre)

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
            "centre": self.centre,
            "scale": self.scale,
        }
        write_json(folder / "trees.json", head)
        for number, text in enumerate(self.texts):
            write_text(folder / f"trees_{number}.txt", text)

    @classmethod
    def load(cls, folder: Path) -> Trees:
        """Return the trees that `save` wrote; each text is checked before LightGBM reads it.

        Raises:
            OSError: A file cannot be read.
            ValueError: A file is damaged.
        """
        head = read_strict_json(folder / "trees.json", _LARGEST_HEAD)
        if not isinstance(head, dict) or not isinstance(count := head.get("boosters"), int) or not 0 <= count <= _MOST:
            raise ValueError("trees.json does not say how many boosters there are")
        numbers = [head["centre"], head["scale"]]
        if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in numbers):
            raise ValueError("centre or scale of trees.json is no number")
        constant = np.asarray(head["constant"])
        if constant.ndim > 1 or constant.dtype.kind not in "if" or not np.isfinite(constant).all():
            raise ValueError("constant of trees.json holds what is no finite number")
        texts = [read_bounded_bytes(folder / f"trees_{n}.txt", _LARGEST_TEXT).decode() for n in range(count)]
        objectives = {check_tree_text(text) for text in texts}
        standardised = any(objective.startswith("regression") for objective in objectives)
        if len(objectives) > 1 or (objectives and not standardised and numbers != [0, 1]):
            raise ValueError("the boosters have several objectives, or a centre or scale where there is no regression")
        return cls(texts, constant.astype(np.float64), float(head["centre"]), float(head["scale"]))
