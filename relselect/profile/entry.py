"""The profile of a task of a database, as callers ask for it; `profile_task` measures a problem that is bound already."""

from __future__ import annotations

from pathlib import Path

from relselect.counts import check_seed
from relselect.database import Database
from relselect.errors import ConfigError
from relselect.events import Emit
from relselect.files import cache_path
from relselect.problem import Problem
from relselect.profile.cache import ProfileCache
from relselect.profile.measure import Profile
from relselect.profile.profile import profile_task
from relselect.progress import watched
from relselect.tasks.named import TaskLike, task_of
from relselect.threads import limit_threads_after_fork, wait_passively

__all__ = ["cache_of", "profile"]


def profile(
    database: Database,
    task: TaskLike,
    *,
    on_event: Emit | None = None,
    seed: int = 0,
    hops: int = 2,
    cache: bool | str | Path = True,
    progress: bool | None = None,
) -> Profile:
    """Measure a task without training.

    Args:
        database: The database.
        task: The task, the name of one that the database's manifest declares, or its entry in `database.tasks`.
        on_event: Called with every event.
        seed: Seed of the samples.
        hops: Length of the meta-paths of homophily: 2, or 4 for longer ones as well.
        cache: Whether to look for an earlier profile of the same content and keep this one; see `cache_of`.
        progress: Whether a line in the terminal or the notebook shows how far it is; None for yes where there is no `on_event`.
            Events go to the logger "relselect" in any case.

    Raises:
        ConfigError: `hops` is neither 2 nor 4, or the seed is no whole number from 0 to 2**32 - 1.
    """
    seed = check_seed(seed)
    if hops not in (2, 4):
        raise ConfigError("hops", hops, "must be 2 or 4", "Use 2 unless entities meet further away")
    wait_passively()
    limit_threads_after_fork()
    with watched(on_event, progress) as emit:
        problem = Problem(database, task_of(database, task))
        return profile_task(problem, emit=emit, seed=seed, hops=hops, cache=cache_of(cache))


def cache_of(cache: bool | str | Path) -> ProfileCache | None:
    """Return the profiles that a caller names.

    Args:
        cache: True for `relselect.files.cache_path("profiles")`, which `recommend`, `select_and_train` and the
            commands share; a folder of your own; False for none.
    """
    if cache is False:
        return None
    return ProfileCache(cache_path("profiles") if cache is True else Path(cache))
