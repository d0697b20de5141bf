"""Path affinity: the skill of a linear head on the embeddings of an untrained graph neural network.

Only the head is fitted; no network is trained here.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from relselect.errors import BudgetExhausted
from relselect.hashing import mix, uniform
from relselect.profile import readings
from relselect.profile.measure import Measure
from relselect.profile.skill import HeldOut, SkillScorer, hold_out
from relselect.profile.temporal import last_fifth
from relselect.tasks.ranking import average_ranks

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from relselect.budget import Budget
    from relselect.profile.view import View

__all__ = ["path_affinity_measures", "ridge_predictions"]

_GROUP = "affinity"
_LAYERS = (1, 2, 3)
_KINDS = ("sage", "seeded")
_MOST_FIT, _MOST_SCORED = 3_000, 2_000
_CHANNELS, _BATCH = 48, 512
#: Neighbours per relation at the first hop, by layers; each further hop takes half as many.
_FAN_OUT = {1: 16, 2: 10, 3: 6}
#: Penalties relative to the mean squared singular value of the embeddings; the largest nearly predicts the mean.
_PENALTIES = 10.0 ** np.array([-4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 5.0])
_STATIC_SHARE = 0.2


def path_affinity_measures(view: View, budget: Budget, only: Collection[str] | None = None) -> list[Measure]:
    """Return the skill of ridge regressions on embeddings of untrained networks of one to three layers.

    * `path_affinity_sage1` to `3`: a GraphSAGE network (Hamilton, Ying and Leskovec 2017) with random weights embeds the task
      rows. Random features preserve what neighbourhoods contain (Rahimi and Recht 2008), so the skill says how much of the
      label the architecture reaches before any training;
    * `path_affinity_seeded1` to `3`: the same with a random vector added to the root, so that paths which return to it can be
      distinguished (the labelling trick, Zhang et al. 2021).

    Classes are regressed as indicators; numbers as normal scores of their ranks (van der Waerden 1952), so that heavy tails do
    not dominate, with predictions mapped back through the quantiles of the labels. The penalty is the one that predicts the
    last fifth of the fitted cutoffs best from those before (a fifth of the entities in a static task): rows of one entity
    are alike, so that rows left out at random would select too small a penalty. Rows and skill are those of
    `relselect.profile.skill`.

    Args:
        view: The training rows; at most 3,000 are fitted on and 2,000 scored.
        budget: A depth whose turn comes after the budget is spent is undefined.
        only: Depths of which no measure is named here are left out; None measures all.
    """
    layers_of = {layers: [f"path_affinity_{kind}{layers}" for kind in _KINDS] for layers in _LAYERS}
    wanted = {layers: names for layers, names in layers_of.items() if only is None or set(names) & set(only)}
    held = hold_out(view, _MOST_FIT, _MOST_SCORED) if wanted else ""
    if isinstance(held, str):
        return [Measure.undefined(name, _GROUP, held) for names in wanted.values() for name in names]
    measures = []
    for layers, names in wanted.items():
        begun = time.monotonic()
        try:
            embeddings = _embeddings(view, held, layers, budget)
        except BudgetExhausted:
            spent = (time.monotonic() - begun, 0.0)
            measures += [
                Measure.undefined(name, _GROUP, readings.OUT_OF_TIME, seconds)
                for name, seconds in zip(names, spent, strict=True)
            ]
            continue
        for name, embedded in zip(names, embeddings, strict=True):
            measures.append(_measure(view, held, name, embedded, layers, begun))
            begun = time.monotonic()
    return measures


def _embeddings(view: View, held: HeldOut, layers: int, budget: Budget) -> list[NDArray[np.float64]]:
    """Return the embeddings of the rows to fit on, then of those to score, per kind of network; each of shape (rows, width)."""
    import torch

    from relselect.rdl.family import blueprint_of
    from relselect.rdl.network.model import RelationalNetwork
    from relselect.rdl.settings import NetworkSettings
    from relselect.rdl.training.fitted import batcher_of, row_tensors

    budget.check()
    settings = NetworkSettings(
        channels=_CHANNELS,
        layers=layers,
        fan_out=_FAN_OUT[layers],
        aggregation="mean",
        dropout=0.0,
        texts="all",
        level=False,
    )
    blueprint = blueprint_of(view.problem, settings, view.problem.rows("train").features)
    device = torch.device("cpu")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(view.seed + layers)
        network = RelationalNetwork(blueprint).eval().requires_grad_(False)
        mark = torch.randn(_CHANNELS)
    places = np.concatenate([held.fit, held.score])
    rows = row_tensors(blueprint, view.problem.rows("train").take(view.number[places]).unlabelled(), device)
    batcher = batcher_of(blueprint, view.problem, device, seed=view.seed)
    parts: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])
    for index in torch.split(torch.arange(len(rows)), _BATCH):
        budget.check()
        batch = batcher.batch(rows, index)
        for kind, vector in zip(parts, (torch.zeros(_CHANNELS), mark), strict=True):
            network.mark_roots_by(vector)
            kind.append(network.embed(batch))
    return [torch.cat(kind).double().numpy() for kind in parts]


def _measure(view: View, held: HeldOut, name: str, embedded: NDArray[np.float64], layers: int, begun: float) -> Measure:
    from scipy.special import ndtr

    label = view.label[held.fit]
    fit, score = embedded[: len(held.fit)], embedded[len(held.fit) :]
    targets = np.eye(view.classes)[label.astype(int)] if view.classes > 2 else label[:, None]
    if view.classes == 0:
        targets = _normal_scores(label)[:, None]
    found = ridge_predictions(fit, targets, score, _late(view, held))
    if view.classes > 2:
        prediction = found.argmax(axis=1).astype(np.float64)
        reference = float(np.bincount(label.astype(int)).argmax())
    else:
        prediction = np.quantile(label, ndtr(found[:, 0])) if view.classes == 0 else found[:, 0]
        reference = float(np.median(label))
    value, error = SkillScorer(view, held.score, reference).skill(prediction)
    seconds = time.monotonic() - begun
    if np.isnan(value):
        return Measure(name, value, error, _GROUP, readings.UNDEFINED_SKILL, seconds)
    reading = readings.network_skill(value, error, layers, seeded="seeded" in name)
    return Measure(name, value, error, _GROUP, reading, seconds)


def _normal_scores(label: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the normal scores of mid-ranks, shape (n,)."""
    from scipy.special import ndtri

    return np.asarray(ndtri((average_ranks(label) - 0.5) / len(label)))


def _late(view: View, held: HeldOut) -> NDArray[np.bool_]:
    """Return which of the fitted rows select the penalty, shape (m,): the last fifth of cutoffs, or a fifth of the entities."""
    start = None if view.problem.task.static else last_fifth(view.cutoff[held.fit])
    if start is None:
        return uniform(mix(view.key[held.fit], view.seed + 31)) < _STATIC_SHARE
    return np.asarray(view.cutoff[held.fit] >= start)


def ridge_predictions(
    fit: NDArray[np.float64], targets: NDArray[np.float64], score: NDArray[np.float64], late: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the predictions of a ridge regression whose penalty has the least squared error on held-out rows.

    With X the standardised embeddings, y the centred targets, X'X = V S^2 V' and b = V'X'y, the coefficients of penalty l are
    V (S^2 + l)^-1 b (Hoerl and Kennard 1970).

    Args:
        fit: Embeddings to fit on, shape (m, width).
        targets: Shape (m, outputs).
        score: Embeddings to predict for, shape (n, width).
        late: Mask of the rows held out to select the penalty, then fitted on as well; shape (m,).

    Returns:
        Predictions, shape (n, outputs).

    >>> x = np.arange(20.0)[:, None]
    >>> ridge_predictions(x, 2 * x, np.array([[5.0]]), late=np.arange(20) >= 16).round(1).tolist()
    [[10.0]]
    """
    penalties = _PENALTIES
    if late.any() and not late.all():
        tried = _ridge(fit[~late], targets[~late], fit[late], penalties)
        errors = [float(((targets[late] - found) ** 2).sum()) for found in tried]
        penalties = penalties[[int(np.argmin(errors))]]
    else:
        penalties = np.ones(1)
    return _ridge(fit, targets, score, penalties)[0]


def _ridge(
    fit: NDArray[np.float64], targets: NDArray[np.float64], score: NDArray[np.float64], penalties: NDArray[np.float64]
) -> list[NDArray[np.float64]]:
    """Return the predictions by penalty, relative to the mean squared singular value of the standardised embeddings."""
    center, spread = fit.mean(axis=0), fit.std(axis=0)
    keep = spread > 1e-9 * (1.0 + np.abs(center))
    middle = targets.mean(axis=0)
    if not keep.any():
        return [np.repeat(middle[None, :], len(score), axis=0) for _ in penalties]
    x, z = (fit[:, keep] - center[keep]) / spread[keep], (score[:, keep] - center[keep]) / spread[keep]
    squares, v = np.linalg.eigh(x.T @ x)  # ten times faster than a singular value decomposition of the tall X
    squares = np.maximum(squares, 0.0)[:, None]
    b, rotated = v.T @ (x.T @ (targets - middle)), z @ v
    return [np.asarray(middle + rotated @ (b / (squares + each * squares.mean()))) for each in penalties]
