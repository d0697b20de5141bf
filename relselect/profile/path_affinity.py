"""Path affinity: what an untrained graph neural network hands to a linear head, by the number of hops.

A GraphSAGE network (Hamilton, Ying and Leskovec 2017) of one to three layers with random weights embeds task rows; a
ridge regression on the embeddings is the only thing fitted, in closed form, with its penalty chosen by generalised
cross-validation (Golub, Heath and Wahba 1979). Random features keep what neighbourhoods hold (Rahimi and Recht 2008),
so the skill says how much of the label such a network could reach before any training. The seed-labelled variant adds
a random vector to the root, which lets paths that come back to it be told apart (the labelling trick, Zhang et al. 2021).

Fitted and scored as every skill (`relselect.profile.skill`); classes are regressed as indicators.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from relselect.errors import BudgetExhausted
from relselect.profile.measure import Measure
from relselect.profile.skill import UNDEFINED, Held, Scored, hold_out

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
#: Penalties tried, relative to the mean squared singular value of the embeddings.
_PENALTIES = 10.0 ** np.arange(-4.0, 3.0)


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
    from relselect.rdl.fitted import batcher_of, row_tensors
    from relselect.rdl.model import RelationalNetwork
    from relselect.rdl.settings import Settings

    budget.check()
    settings = Settings(channels=_CHANNELS, layers=layers, fan_out=_FAN_OUT[layers], aggregation="mean", dropout=0.0)
    blueprint = blueprint_of(view.problem, settings)
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
    label = view.label[held.fit]
    targets = np.eye(view.classes)[label.astype(int)] if view.classes > 2 else label[:, None]
    if view.classes == 0:
        targets = np.clip(targets, *np.quantile(targets, [0.01, 0.99]))
    found = ridge_predictions(embedded[: len(held.fit)], targets, embedded[len(held.fit) :])
    if view.classes > 2:
        prediction = found.argmax(axis=1).astype(np.float64)
        reference = float(np.bincount(label.astype(int)).argmax())
    else:
        prediction = np.clip(found[:, 0], label.min(), label.max()) if view.classes == 0 else found[:, 0]
        reference = float(np.median(label))
    value, error = Scored(view, held.score, reference).skill(prediction)
    seconds = time.monotonic() - begun
    if np.isnan(value):
        return Measure(name, value, error, _GROUP, UNDEFINED, seconds)
    kind = "A seed-labelled" if "seeded" in name else "An"
    hops = "one layer" if layers == 1 else f"{layers} layers"
    text = f"{kind} untrained network of {hops} and a linear head have skill {value:.2f} (± {error:.2f})."
    return Measure(name, value, error, _GROUP, text, seconds)


def ridge_predictions(
    fit: NDArray[np.float64], targets: NDArray[np.float64], score: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return ridge regression's predictions, with the penalty that generalised cross-validation prefers.

    With X'X = V S^2 V' and b = V'X'y, the coefficients of penalty l are V (S^2 + l)^-1 b, and
    GCV(l) = n |y - fit|^2 / (n - trace)^2, where the trace of the hat matrix is the sum of S^2/(S^2 + l).

    Args:
        fit: Embeddings to fit on, shape (m, width).
        targets: Shape (m, outputs).
        score: Embeddings to predict, shape (n, width).

    Returns:
        Shape (n, outputs).
    """
    center, spread = fit.mean(axis=0), fit.std(axis=0)
    keep = spread > 1e-9 * (1.0 + np.abs(center))
    middle = targets.mean(axis=0)
    if not keep.any() or len(fit) < 3:
        return np.repeat(middle[None, :], len(score), axis=0)
    x, z = (fit[:, keep] - center[keep]) / spread[keep], (score[:, keep] - center[keep]) / spread[keep]
    y = targets - middle
    squares, v = np.linalg.eigh(x.T @ x)  # a tenth of the time of X's own decomposition, which is tall
    squares = np.maximum(squares, 0.0)[:, None]
    projected = v.T @ (x.T @ y)
    best, chosen = np.inf, projected
    for penalty in _PENALTIES * float(squares.mean()):
        inverse = 1.0 / (squares + penalty)
        left = float((y**2).sum() - ((2.0 - squares * inverse) * inverse * projected**2).sum())
        trace = float((squares * inverse).sum())
        value = left / max(1e-9, 1.0 - (trace + 1.0) / len(fit)) ** 2
        if value < best:
            best, chosen = value, inverse * projected
    return np.asarray(middle + z @ (v @ chosen))
