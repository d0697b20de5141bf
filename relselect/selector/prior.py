"""The prior margin: what the profile of a task says about two families before either is trained.

delta ~ N(mu(x), tau²(x)) with x a few numbers of the profile. mu is a ridge regression under strong shrinkage, tau comes from
the residuals of held-out databases, more from those of similar tasks. Every database has the same weight, however many tasks it
has. Nothing here reads a validation score.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from relselect.selector.normal import NormalMargin

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MEASURES", "NUMBERS", "MarginPrior", "fit_prior", "numbers_of"]

#: The numbers of a profile that the prior reads.
NUMBERS = (
    "log10_train_rows", "entity_skill", "homophily_weighted_mean", "feature_affinity_depth2", "network_lead", "regression",
)  # fmt: skip
#: The measures of a profile from which those numbers come: all that a recommendation needs.
MEASURES = (
    "log10_train_rows", "entity_skill", "homophily_weighted_mean", "feature_affinity_depth2", "path_affinity_sage2",
    "path_affinity_seeded2",
)  # fmt: skip
#: Penalties that are tried, in databases; infinite: the mean alone.
_PENALTIES = (3.0, 10.0, 30.0, 100.0, math.inf)
#: Margins beyond this are taken for it: a network that failed altogether says no more than one that is much worse.
_LARGEST = 0.3
#: Databases' worth of the overall variance in the variance of a task, and the width of "similar" in standard deviations.
_SHRINK, _WIDTH = 5.0, 1.0
#: A standardised number beyond this is taken for it.
_CLIP = 3.0
_LEAST_SD = 0.01


@dataclass(frozen=True)
class MarginPrior:
    """A fitted prior of the margin of one family over another.

    Attributes:
        centre: Median of each number.
        scale: Spread of each number, above zero.
        weights: Margin per standardised number.
        intercept: Margin of a task of median numbers.
        penalty: The ridge penalty that held-out databases chose.
        residuals: Of each known task, when its database was held out.
        places: Standardised numbers of the known tasks, one row each.
        shares: Weight of each known task; those of one database sum to 1.
        variance: The overall variance of the residuals.
    """

    centre: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float
    penalty: float
    residuals: tuple[float, ...]
    places: tuple[tuple[float, ...], ...]
    shares: tuple[float, ...]
    variance: float

    def place(self, numbers: Mapping[str, float]) -> NDArray[np.float64]:
        """Return the standardised numbers of a task; a missing one is 0, the median."""
        values = np.array([numbers.get(name, math.nan) for name in NUMBERS])
        return _standardised(values, np.array(self.centre), np.array(self.scale))

    def margin(self, numbers: Mapping[str, float]) -> NormalMargin:
        """Return the expected margin and its width for a task with these numbers."""
        place = self.place(numbers)
        near = np.array(self.shares) * _kernel(np.array(self.places), place)
        variance = (_SHRINK * self.variance + float(near @ np.array(self.residuals) ** 2)) / (_SHRINK + near.sum())
        return NormalMargin(self.intercept + float(place @ np.array(self.weights)), max(_LEAST_SD, math.sqrt(variance)))

    def pushes(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """Return how far each number moves the expectation from that of a median task, the largest first."""
        moved = self.place(numbers) * np.array(self.weights)
        order = np.argsort(-np.abs(moved), kind="stable")
        return {NUMBERS[place]: float(moved[place]) for place in order if moved[place]}

    def distances(self, numbers: Mapping[str, float]) -> NDArray[np.float64]:
        """Return the distance to each known task, in standard deviations of a number."""
        return np.sqrt(((np.array(self.places) - self.place(numbers)) ** 2).mean(axis=1))


def numbers_of(profile: Mapping[str, float], *, regression: bool) -> dict[str, float]:
    """Return the numbers that the prior reads.

    Args:
        profile: Name -> value of a profile's measures.
        regression: Whether the task is a regression.

    Returns:
        The numbers; `network_lead` is the skill of the best untrained two-hop network less that of the cheap trees on the same
        rows. A number that the profile lacks is nan.
    """
    found = {name: profile.get(name, math.nan) for name in NUMBERS}
    paths = [profile.get(name, math.nan) for name in ("path_affinity_sage2", "path_affinity_seeded2")]
    known = [value for value in paths if math.isfinite(value)]
    lead = max(known) - found["feature_affinity_depth2"] if known else math.nan
    return {**found, "network_lead": lead, "regression": float(regression)}


def fit_prior(
    numbers: Sequence[Mapping[str, float]], margins: Sequence[float], databases: Sequence[Any]
) -> MarginPrior:
    """Fit the prior; the penalty and the width come from held-out databases.

    Of all penalties whose squared error is within one standard error of the best, the largest is taken.

    Args:
        numbers: The numbers of each task.
        margins: The margin of each task, in skill.
        databases: The database of each task; at least two different ones.
    """
    raw = np.array([[each.get(name, math.nan) for name in NUMBERS] for each in numbers], dtype=np.float64)
    margin = np.clip(np.array(margins, dtype=np.float64), -_LARGEST, _LARGEST)
    names, group = np.unique(np.array([str(each) for each in databases]), return_inverse=True)
    shares = 1.0 / np.bincount(group)[group]
    centre, scale = _centre_and_scale(raw)
    places = _standardised(raw, centre, scale)
    residuals = {penalty: _held_out(places, margin, group, shares, penalty) for penalty in _PENALTIES}
    errors = {
        penalty: np.bincount(group, shares * found**2, minlength=len(names)).astype(np.float64)
        for penalty, found in residuals.items()
    }
    best = min(_PENALTIES, key=lambda penalty: errors[penalty].mean())
    within = [
        penalty
        for penalty in _PENALTIES
        if (errors[penalty] - errors[best]).mean() <= _standard_error(errors[penalty] - errors[best])
    ]
    penalty = max(within)
    intercept, weights = _ridge(places, margin, shares, penalty)
    left = residuals[penalty]
    return MarginPrior(
        centre=tuple(centre.tolist()),
        scale=tuple(scale.tolist()),
        weights=tuple(weights.tolist()),
        intercept=intercept,
        penalty=penalty,
        residuals=tuple(left.tolist()),
        places=tuple(map(tuple, places.tolist())),
        shares=tuple(shares.tolist()),
        variance=float((shares * left**2).sum() / shares.sum()),
    )


def _held_out(
    places: NDArray[np.float64],
    margin: NDArray[np.float64],
    group: NDArray[np.intp],
    shares: NDArray[np.float64],
    penalty: float,
) -> NDArray[np.float64]:
    """Return what is left of each margin when its database takes no part in the fit."""
    found = np.empty_like(margin)
    for held in range(group.max() + 1):
        out = group == held
        intercept, weights = _ridge(places[~out], margin[~out], shares[~out], penalty)
        found[out] = margin[out] - intercept - places[out] @ weights
    return found


def _ridge(
    places: NDArray[np.float64], margin: NDArray[np.float64], shares: NDArray[np.float64], penalty: float
) -> tuple[float, NDArray[np.float64]]:
    """Return intercept and weights; the intercept is not shrunk."""
    total = shares.sum()
    middle, level = shares @ places / total, float(shares @ margin / total)
    if math.isinf(penalty):
        return level, np.zeros(places.shape[1])
    moved = places - middle
    left = (moved * shares[:, None]).T @ moved + penalty * np.eye(places.shape[1])
    weights = np.linalg.solve(left, (moved * shares[:, None]).T @ (margin - level))
    return level - float(middle @ weights), weights


def _centre_and_scale(raw: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return median and spread of each column; 0 and 1 for one that is constant or missing."""
    centre, scale = np.zeros(raw.shape[1]), np.ones(raw.shape[1])
    for place in range(raw.shape[1]):
        known = raw[np.isfinite(raw[:, place]), place]
        if len(known):
            centre[place] = np.median(known)
            spread = float(known.std())
            scale[place] = spread if spread > 0 else 1.0
    return centre, scale


def _standardised(
    raw: NDArray[np.float64], centre: NDArray[np.float64], scale: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.clip(np.nan_to_num((raw - centre) / scale, nan=0.0, posinf=_CLIP, neginf=-_CLIP), -_CLIP, _CLIP)


def _kernel(places: NDArray[np.float64], place: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp(-((places - place) ** 2).sum(axis=1) / (2.0 * _WIDTH**2))


def _standard_error(values: NDArray[np.float64]) -> float:
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0.0
