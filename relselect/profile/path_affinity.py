"""Path affinity: what an untrained graph neural network hands to a linear head, by the number of hops.

A GraphSAGE network (Hamilton, Ying and Leskovec 2017) of one to three layers with random weights embeds task rows; a
ridge regression on the embeddings is the only thing fitted, in closed form, with the penalty that predicts the last fifth
of the fitted dates best from those before: rows of one entity resemble each other and the world drifts, so rows left out
at random would choose too small a penalty. Random features keep what neighbourhoods hold (Rahimi and Recht 2008), so the
skill says how much of the label such a network could reach before any training. The seed-labelled variant adds a random
vector to the root, which lets paths that come back to it be told apart (the labelling trick, Zhang et al. 2021).

Fitted and scored as every skill (`relselect.profile.skill`). Classes are regressed as indicators, numbers as normal scores
of their ranks (van der Waerden 1952), whose predictions go back through the quantiles of the labels: heavy tails would
otherwise decide everything.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from relselect.database.hashing import mix, uniform
from relselect.errors import BudgetExhausted
from relselect.profile.measure import Measure
from relselect.profile.skill import UNDEFINED, Held, Scored, hold_out
from relselect.profile.temporal import last_fifth

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.budget import Budget
    from relselect.profile.view import View

__all__ = ["path_affinity_measures", "ridge_predictions"]

_GROUP = "affinity"
_LAYERS = (1, 2, 3)
_KINDS = ("sage", "seeded")
_NAMES = tuple(f"path_affinity_{kind}{layers}" for layers in _LAYERS for kind in _KINDS)
_MOST_FIT, _MOST_SCORED = 3_000, 2_000
_CHANNELS, _BATCH = 48, 512
#: Neighbours per relation at the first hop, by layers; each further hop takes half as many.
_FAN_OUT = {1: 16, 2: 10, 3: 6}
#: Penalties tried, relative to the mean squared singular value of the embeddings; the last all but predicts the mean.
_PENALTIES = 10.0 ** np.array([-4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 5.0])
_STATIC_SHARE = 0.2


def path_affinity_measures(view: View, budget: Budget) -> list[Measure]:
    """Return the skill of untrained and of seed-labelled untrained networks of one to three layers.

    Args:
        view: The train rows.
        budget: A depth that there is no time for is left out with a word.
    """
    held = hold_out(view, _MOST_FIT, _MOST_SCORED)
    if isinstance(held, str):
        return [Measure(name, np.nan, np.nan, _GROUP, held) for name in _NAMES]
    measures = []
    for layers in _LAYERS:
        names = [f"path_affinity_{kind}{layers}" for kind in _KINDS]
        begun = time.monotonic()
        try:
            embeddings = _embeddings(view, held, layers, budget)
        except BudgetExhausted:
            text = "The time for the profile ended before it was measured."
            spent = (time.monotonic() - begun, 0.0)
            measures += [Measure(n, np.nan, np.nan, _GROUP, text, s) for n, s in zip(names, spent, strict=True)]
            continue
        for name, embedded in zip(names, embeddings, strict=True):
            measures.append(_measure(view, held, name, embedded, layers, begun))
            begun = time.monotonic()
    return measures


def _embeddings(view: View, held: Held, layers: int, budget: Budget) -> list[NDArray[np.float64]]:
    """Return the embeddings of the rows to fit and then to score on, per kind of network; each (rows, width)."""
    import torch

    from relselect.rdl.family import blueprint_of
    from relselect.rdl.network.model import RelationalNetwork
    from relselect.rdl.settings import Settings
    from relselect.rdl.training.fitted import batcher_of, row_tensors

    budget.check()
    settings = Settings(
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
            network.seed.copy_(vector)
            kind.append(network.embed(batch))
    return [torch.cat(kind).double().numpy() for kind in parts]


def _measure(view: View, held: Held, name: str, embedded: NDArray[np.float64], layers: int, begun: float) -> Measure:
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
    value, error = Scored(view, held.score, reference).skill(prediction)
    seconds = time.monotonic() - begun
    if np.isnan(value):
        return Measure(name, value, error, _GROUP, UNDEFINED, seconds)
    kind = "A seed-labelled" if "seeded" in name else "An"
    hops = "one layer" if layers == 1 else f"{layers} layers"
    text = f"{kind} untrained network of {hops} and a linear head have skill {value:.2f} (± {error:.2f})."
    return Measure(name, value, error, _GROUP, text, seconds)


def _normal_scores(label: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the normal scores of mid-ranks, shape (n,)."""
    from scipy.special import ndtri

    _, level, count = np.unique(label, return_inverse=True, return_counts=True)
    middle = np.cumsum(count) - (count - 1) / 2.0
    return np.asarray(ndtri((middle - 0.5) / len(label))[level.reshape(-1)])


def _late(view: View, held: Held) -> NDArray[np.bool_]:
    """Return which of the rows to fit choose the penalty, shape (m,): the last fifth of dates, or of entities."""
    start = None if view.problem.task.static else last_fifth(view.cutoff[held.fit])
    if start is None:
        return uniform(mix(view.key[held.fit], view.seed + 31)) < _STATIC_SHARE
    return np.asarray(view.cutoff[held.fit] >= start)


def ridge_predictions(
    fit: NDArray[np.float64], targets: NDArray[np.float64], score: NDArray[np.float64], late: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return ridge regression's predictions, with the penalty whose squared error is least on rows held back.

    With X'X = V S^2 V' and b = V'X'y, the coefficients of penalty l are V (S^2 + l)^-1 b (Hoerl and Kennard 1970).

    Args:
        fit: Embeddings to fit on, shape (m, width).
        targets: Shape (m, outputs).
        score: Embeddings to predict, shape (n, width).
        late: Rows that are held back to choose the penalty, then fitted on as well; shape (m,).

    Returns:
        Shape (n, outputs).
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
    squares, v = np.linalg.eigh(x.T @ x)  # a tenth of the time of X's own decomposition, which is tall
    squares = np.maximum(squares, 0.0)[:, None]
    b, rotated = v.T @ (x.T @ (targets - middle)), z @ v
    return [np.asarray(middle + rotated @ (b / (squares + each * squares.mean()))) for each in penalties]
