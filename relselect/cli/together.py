"""`relselect train` in several processes that torchrun started: process 0 runs the command, the others train networks with it.

Nothing heavy is imported where the process is alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from relselect.cli.options import class_weights, exit_with, open_asked
from relselect.display.console import CommandSession
from relselect.errors import ConfigError

if TYPE_CHECKING:
    from relselect.tasks.regimes import Regime

__all__ = ["follow", "leading", "number_of_process"]


def number_of_process() -> int:
    """Returns the number of this process among those that were started together; 0 where it is alone."""
    try:
        return 0 if _alone() else int(os.environ.get("RANK", "0"))
    except ValueError:
        return 0


def _alone() -> bool:
    return os.environ.get("WORLD_SIZE", "1") in ("", "1")


@contextmanager
def leading(jobs: int | None) -> Iterator[None]:
    """Joins the other processes and leads them in the block; does nothing where there are none.

    Raises:
        ConfigError: Trials are to be fitted side by side too, or the processes do not meet.
        ProcessLost: Another process ended.
    """
    if "RANK" not in os.environ or _alone():
        yield
        return
    if jobs is not None and jobs > 1:
        rule = "fits trials in processes of their own, beside those that torchrun started"
        raise ConfigError("--jobs", jobs, rule, "Leave out --jobs, or start the command without torchrun")
    from relselect.rdl import distributed

    with distributed.joined_processes(), distributed.leading():
        yield


def follow(
    source: str,
    task: str | None,
    query: str | None,
    regime: Regime | None,
    metric: str | None,
    class_weight: list[str] | None,
    device: str | None,
    verbose: bool,
) -> NoReturn:
    """Trains together with process 0 until it is done, then ends the process; prints errors alone."""
    session = CommandSession(False, verbose)
    with session.work():
        from relselect.api import follow_training
        from relselect.rdl.distributed import joined_processes

        with joined_processes():
            database, opened = open_asked(source, task, query)
            opened = opened if regime is None else opened.in_regime(regime)
            weights = class_weights(class_weight or [])
            follow_training(database, opened, metric=metric, class_weight=weights, device=device)
    exit_with(session)
