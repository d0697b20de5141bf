"""What each feature is worth on rows that the trees have not seen.

LightGBM's own gain is measured on the rows that the splits were chosen on, and favours features with many values. Here the
gain of a split is the decrease of the loss that it brings on held-out rows: with the sums G and H of the gradients and second
derivatives of the loss over the held-out rows of a child, and the child's value v_c in place of its parent's v_p,

    gain = - sum over both children of (G (v_c - v_p) + H (v_c - v_p)^2 / 2),

the second-order decrease that gradient boosting itself maximises (Chen and Guestrin 2016, equation 7), read out of sample (as
Li et al. 2019, "A debiased MDI feature importance measure for random forests", do for forests). A feature that only follows
noise has a gain of zero or less.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from relselect.dfs.learners.boosting import train_booster
from relselect.threads import idle_cores

if TYPE_CHECKING:
    from relselect.dfs.search.folds import Fold

__all__ = ["Screening", "held_out_gains", "noise_level"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_PARAMETERS = {
    "learning_rate": 0.1,
    "num_leaves": 15,
    "min_data_in_leaf": 20,
    "feature_fraction": 0.1,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
    "max_bin": 63,
    "deterministic": True,
    "force_col_wise": True,
    "verbosity": -1,
}
#: Rounds of every fold.
_ROUNDS = 100
_MAX_THREADS = 8


@dataclass(frozen=True)
class Screening:
    """What trees are fitted to.

    Attributes:
        values: Features, shape (n, k). Categories are read as the numbers they have: LightGBM's splits of categories fail on
            part of a data set ("right_count > 0", version 4.7).
        label: Regression values, 0 and 1, or class numbers, shape (n,).
        kind: "regression", "binary" or "multiclass".
        classes: Number of classes of a multiclass label, else 1.
        weight: Positive weights of the rows in the loss, shape (n,), in any unit; None where all are equal.
    """

    values: Floats
    label: Floats
    kind: str
    classes: int = 1
    weight: Floats | None = None

    @property
    def shares(self) -> Floats:
        """The weights divided by their mean, shape (n,): the trees' limits and penalties are made for weights about 1."""
        return np.ones(len(self.label)) if self.weight is None else self.weight / self.weight.mean()


def held_out_gains(data: Screening, folds: list[Fold], seed: int, check: Callable[[], None] = lambda: None) -> Floats:
    """Return each feature's held-out gain, shape (k,): the share of the loss of a constant that its splits take away.

    Args:
        data: Features and labels.
        folds: Rows to fit and to judge on; the mean over the folds is returned.
        seed: Seed of the trees.
        check: Called after every round; may raise to stop.
    """
    if not folds or not data.values.shape[1]:
        return np.zeros(data.values.shape[1])
    import lightgbm

    params: dict[str, Any] = {**_PARAMETERS, "objective": data.kind, "num_threads": idle_cores(_MAX_THREADS)}
    if data.kind == "multiclass":
        params["num_class"] = data.classes
    # The bins are those of all rows, and made once.
    weight = None if data.weight is None else data.shares
    every = lightgbm.Dataset(data.values, data.label, weight=weight, params=params).construct()
    check()
    gains = [_of_fold(data, every, fold, {**params, "seed": seed + n}, check) for n, fold in enumerate(folds)]
    return np.asarray(np.mean(gains, axis=0))


def noise_level(gains: Floats, rate: float = 0.3) -> float:
    """Return the gain above which at most about the share `rate` of the features is there by chance; inf where none is.

    A feature that says nothing is as likely to have a gain of -t as one of t, so the features below -t tell how many of those
    above t are noise. The level is the smallest t > 0 with

        (1 + number of gains <= -t) / (number of gains >= t) <= rate,

    the threshold of the knockoff filter (Barber and Candes 2015, equation 1.9).

    Args:
        gains: Of all features, shape (k,).
        rate: Share of false discoveries.

    >>> noise_level(np.array([0.5, 0.4, 0.4, 0.3, 0.2, 0.01, -0.02, -0.01]), rate=0.2)
    0.2
    """
    levels = np.unique(np.abs(gains[gains != 0]))
    below = np.searchsorted(np.sort(-gains), levels, side="left")
    above = np.searchsorted(np.sort(gains), levels, side="left")
    good = (1 + len(gains) - below) <= rate * np.maximum(1, len(gains) - above)
    return float(levels[good][0]) if good.any() else float("inf")


def _of_fold(data: Screening, every: Any, fold: Fold, params: dict[str, Any], check: Callable[[], None]) -> Floats:
    start = _constant(data, fold.fit)
    booster = _boosted(every, fold.fit, start, params, check)
    held = np.ascontiguousarray(data.values[fold.held])
    leaves = np.asarray(booster.predict(held, pred_leaf=True)).reshape(len(held), -1)
    return _gains(booster.model_to_string(), leaves, data, fold.held, start)


def _boosted(every: Any, rows: Ints, start: Floats, params: dict[str, Any], check: Callable[[], None]) -> Any:
    main = every.subset(rows, params).construct()
    main.set_init_score(np.broadcast_to(start, (len(rows), len(start))).ravel(order="F"))

    def watch(_: Any) -> None:
        check()

    return train_booster(params, main, _ROUNDS, callbacks=[watch])


def _constant(data: Screening, rows: Ints) -> Floats:
    """Return the raw score of the best constant for some rows, shape (1,) or (classes,)."""
    label, weight = data.label[rows], data.shares[rows]
    if data.kind == "regression":
        return np.array([label.mean() if data.weight is None else np.average(label, weights=weight)])
    counts = np.bincount(label.astype(np.int64), weights=weight, minlength=max(2, data.classes)) + 1.0
    logs = np.log(counts / counts.sum())
    return logs if data.kind == "multiclass" else np.array([logs[1] - logs[0]])


def _gains(text: str, leaves: Ints, data: Screening, rows: Ints, start: Floats) -> Floats:
    """Return the held-out gain of each feature, as a share of the loss at the start.

    Args:
        text: The model as LightGBM writes it.
        leaves: The leaf of each held-out row in each tree, shape (n, trees).
        data: Features, labels and weights.
        rows: Places of the held-out rows, shape (n,).
        start: The raw score that the trees began with.
    """
    label, weight = data.label[rows], data.shares[rows]
    score = np.broadcast_to(start, (len(label), len(start))).copy()
    found = np.zeros(data.values.shape[1])
    gradient = hessian = np.empty(0)
    for number, tree in enumerate(_trees(text)):
        output = number % len(start)
        if output == 0:
            gradient, hessian = (part * weight[:, None] for part in _derivatives(data.kind, score, label))
        if tree is not None:
            leaf = leaves[:, number]
            first, second = (np.bincount(leaf, part[:, output], tree.count) for part in (gradient, hessian))
            np.add.at(found, tree.feature, tree.gains(first.astype(np.float64), second.astype(np.float64)))
            score[:, output] += tree.leaf_value[leaf]
    return found / max(_loss(data.kind, np.broadcast_to(start, score.shape), label, weight), np.finfo(float).tiny)


def _derivatives(kind: str, score: Floats, label: Floats) -> tuple[Floats, Floats]:
    """Return the first and second derivatives of the loss of each row by each raw score, both of the scores' shape."""
    if kind == "regression":
        return score - label[:, None], np.ones_like(score)
    chance = _chances(score)
    wanted = label[:, None] == (np.arange(score.shape[1]) if score.shape[1] > 1 else 1.0)
    return chance - wanted, chance * (1 - chance)


def _chances(score: Floats) -> Floats:
    if score.shape[1] == 1:
        return np.asarray(1 / (1 + np.exp(-score)))
    raised = np.exp(score - score.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def _loss(kind: str, score: Floats, label: Floats, weight: Floats) -> float:
    if kind == "regression":
        return float((weight * (score[:, 0] - label) ** 2).sum() / 2)
    chance = _chances(score)
    chance = np.column_stack([1 - chance[:, 0], chance[:, 0]]) if chance.shape[1] == 1 else chance
    return float(-(weight * np.log(chance[np.arange(len(label)), label.astype(np.int64)])).sum())


@dataclass(frozen=True)
class _Tree:
    """A tree of m splits; children are numbers of splits, or ~leaf."""

    feature: Ints
    left: Ints
    right: Ints
    leaf_value: Floats
    split_value: Floats

    @property
    def count(self) -> int:
        return len(self.leaf_value)

    def gains(self, gradient: Floats, hessian: Floats) -> Floats:
        """Return the held-out gain of each split, shape (m,), from the sums over the rows of each leaf."""
        first, second = np.zeros((2, len(self.feature)))
        found = np.zeros(len(self.feature))
        for split in range(len(self.feature) - 1, -1, -1):  # children have larger numbers than their parents
            for child in (self.left[split], self.right[split]):
                leaf = child < 0
                g, h = (gradient[~child], hessian[~child]) if leaf else (first[child], second[child])
                step = (self.leaf_value[~child] if leaf else self.split_value[child]) - self.split_value[split]
                found[split] -= g * step + h * step * step / 2
                first[split] += g
                second[split] += h
        return found


_WHOLE, _REAL = ("split_feature", "left_child", "right_child"), ("leaf_value", "internal_value")


def _trees(text: str) -> list[_Tree | None]:
    """Return the trees of a model's text in their order; None for a tree without a split."""
    found: list[_Tree | None] = []
    for block in text.split("\nend of trees")[0].split("\nTree=")[1:]:
        lines = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if int(lines["num_leaves"]) < 2:
            found.append(None)
            continue
        feature, left, right = (_numbers(lines[name], np.int64) for name in _WHOLE)
        leaf_value, split_value = (_numbers(lines[name], np.float64) for name in _REAL)
        found.append(_Tree(feature, left, right, leaf_value, split_value))
    return found


def _numbers(text: str, dtype: Any) -> NDArray[Any]:
    return np.array(text.split(), dtype=dtype)
