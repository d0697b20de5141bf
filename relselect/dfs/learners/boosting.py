"""Boosting by LightGBM that survives a fault of it: a split that leaves one side without rows ends its training with an error."""

from __future__ import annotations

from typing import Any

__all__ = ["train_booster"]

#: The failed check (LightGBM issue 4739): the sums of a histogram promised rows on both sides of a split, and there are none.
_EMPTY_SIDE = "Check failed: (best_split_info."
#: Trainings, each with other draws, before the error is the caller's; far from the seeds of other boosters.
_TRIES, _NEXT_SEED = 4, 15_485_863


def train_booster(params: dict[str, Any], data: Any, rounds: int, **how: Any) -> Any:
    """Train a booster; where LightGBM fails on an empty side of a split, train it anew with other draws.

    Equal inputs give the equal booster, since the further seeds follow from the first. A callback hears of round 0 again.

    Args:
        params: LightGBM's parameters, `seed` among them.
        data: The constructed `lightgbm.Dataset`.
        rounds: The most rounds.
        **how: Further arguments of `lightgbm.train`.

    Returns:
        The `lightgbm.Booster`.

    Raises:
        lightgbm.basic.LightGBMError: It failed otherwise, or with all draws.
    """
    import lightgbm

    attempt = 0
    while True:
        seed = (int(params["seed"]) + attempt * _NEXT_SEED) % (2**31 - 1)
        try:
            return lightgbm.train({**params, "seed": seed}, data, num_boost_round=rounds, **how)
        except lightgbm.basic.LightGBMError as error:
            attempt += 1
            if _EMPTY_SIDE not in str(error) or attempt == _TRIES:
                raise
