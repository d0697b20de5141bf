"""How much a policy gains the more databases teach it: would a larger bank help?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from relselect.errors import BankError
from relselect.families.registry import trained
from relselect.selector.meta import compare_families
from relselect.selector.replay import replays_of
from relselect.selector.size_rule import SizeRule

if TYPE_CHECKING:
    from relselect.bank import PerformanceBank

__all__ = ["TaughtBy", "learning_curve"]

_BASE = "always first"
_FEWEST = 3


@dataclass(frozen=True)
class TaughtBy:
    """The gain of a policy that so many databases taught.

    Attributes:
        databases: Number of databases that taught.
        gain: Mean test skill over "always first", over all tasks and draws of databases.
        stderr: Standard error of the gain over draws, of which databases teach; not over tasks, which are the same throughout.
        draws: Number of draws.
    """

    databases: int
    gain: float
    stderr: float
    draws: int


def learning_curve(
    bank: PerformanceBank,
    *,
    policy: str = "posterior blend",
    minutes: float = 3.0,
    sizes: Sequence[int] | None = None,
    draws: int = 5,
    seed: int = 0,
) -> list[TaughtBy]:
    """Return the gain of a policy by the number of databases that taught it.

    Every task is judged with a selector taught by k databases other than its own, drawn anew `draws` times.

    Args:
        bank: Trials of real or synthetic tasks.
        policy: One of `relselect.selector.replay.POLICIES`.
        minutes: Time budget of the fits.
        sizes: The numbers k; about six from three to all others if None.
        draws: Draws of databases per k; one where all others teach.
        seed: Seed of the draws.

    Raises:
        BankError: Fewer than five databases have finished trials of both families.
    """
    first, second = trained()[:2]
    replays = replays_of(bank, first, second)
    names = sorted({replay.task.database for replay in replays})
    most = len(names) - 1
    if most < _FEWEST + 1:
        raise BankError("bank", f"{len(names)} databases", "are too few for a learning curve", "Build five or more")
    if sizes is None:
        sizes = sorted({round(float(size)) for size in np.linspace(_FEWEST, most, 6)})
    rule, draw, points = SizeRule.shipped(), np.random.default_rng(seed), []
    for size in sizes:
        gains = []
        for _ in range(1 if size >= most else draws):
            found = []
            for name in names:
                others = [each for each in names if each != name]
                teachers = set(draw.choice(others, min(size, most), replace=False).tolist())
                pairs = [pair for pair in bank.evidence if pair.database in teachers]
                learnt = compare_families(bank.task_of, pairs, first, second)
                for replay in replays:
                    if replay.task.database == name:
                        deployed = replay.deployed(60.0 * minutes, learnt, rule)
                        found.append(deployed[policy].skill - deployed[_BASE].skill)
            gains.append(float(np.mean(found)))
        error = float(np.std(gains, ddof=1) / len(gains) ** 0.5) if len(gains) > 1 else 0.0
        points.append(TaughtBy(min(size, most), float(np.mean(gains)), error, len(gains)))
    return points
