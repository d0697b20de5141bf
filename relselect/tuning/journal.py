"""The journal of a study: one file, one owner, repaired after a kill, sampled anew for every trial.

Optuna's own file lock outlives a killed process; the operating system's does not, and a study has one owner
anyway.
"""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from relselect.errors import ConfigError
from relselect.files import check_writable, unwritable, write_json

if TYPE_CHECKING:
    import optuna

__all__ = ["derive_seed", "fresh_sampler", "open_study"]

_IDENTITY = "study.json"
_JOURNAL = "journal.log"
_SAMPLING, _FITTING = 0, 1


def derive_seed(seed: int, number: int, *, sampling: bool = False) -> int:
    """Return a seed of trial `number` (0 to 2**31 - 1): one for its configuration, another for its fit."""
    purpose = _SAMPLING if sampling else _FITTING
    words = np.random.SeedSequence([seed, number, purpose]).generate_state(1)
    return int(words[0] >> np.uint32(1))


def fresh_sampler(seed: int, number: int) -> optuna.samplers.BaseSampler:
    """Return the sampler of one trial.

    It depends on the seed, the trial's number and the finished trials only, so a resumed study goes on as the
    uninterrupted one would have.
    """
    from optuna.exceptions import ExperimentalWarning
    from optuna.samplers import TPESampler

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # the multivariate option, before Optuna 5
        return TPESampler(
            seed=derive_seed(seed, number, sampling=True),
            n_startup_trials=6,
            multivariate=True,
            constant_liar=False,
        )


@contextlib.contextmanager
def open_study(folder: Path, identity: dict[str, Any]) -> Iterator[optuna.Study]:
    """Open the study in `folder`, or begin one.

    Args:
        folder: Created when absent.
        identity: What the study is about; the same on every opening.

    Raises:
        ConfigError: The folder belongs to another study, or another process is at work in it.
        UnwritableError: The folder cannot be written.
    """
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    check_writable("workdir", folder, folder=True)
    with unwritable("workdir", folder):
        folder.mkdir(parents=True, exist_ok=True)
    verbosity = optuna.logging.get_verbosity()
    with _sole_owner(folder):
        _check_identity(folder, identity)
        _drop_torn_line(folder / _JOURNAL)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            backend = JournalFileBackend(str(folder / _JOURNAL), lock_obj=_NoLock())
            yield optuna.create_study(
                storage=JournalStorage(backend), study_name="study", direction="maximize", load_if_exists=True
            )
        finally:
            optuna.logging.set_verbosity(verbosity)


@contextlib.contextmanager
def _sole_owner(folder: Path) -> Iterator[None]:
    with (folder / "owner.lock").open("w", encoding="utf-8") as handle:
        try:
            import fcntl
        except ImportError:  # Windows: no advisory locks, so two processes in one folder are not refused
            yield
            return
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            rule = "is in use by another process"
            raise ConfigError("folder", str(folder), rule, "Wait for it to end or give another folder") from error
        yield


def _check_identity(folder: Path, identity: dict[str, Any]) -> None:
    path = folder / _IDENTITY
    if not path.exists():
        write_json(path, identity, sort_keys=True, sole_writer=True)
        return
    stored = json.loads(path.read_text(encoding="utf-8"))
    differing = sorted(key for key in {*stored, *identity} if stored.get(key) != identity.get(key))
    if differing:
        rule = f"holds a study with another {', '.join(differing)}"
        raise ConfigError("folder", str(folder), rule, "Give another folder, or delete this one")


def _drop_torn_line(journal: Path) -> None:
    """Cut an unfinished last line, which a kill during a write leaves and which would spoil the next one."""
    if not journal.exists():
        return
    with journal.open("rb+") as handle:
        content = handle.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            handle.truncate(whole)


class _NoLock:
    """Optuna's lock interface without a lock: the folder already has one owner."""

    def acquire(self) -> bool:
        """Succeed."""
        return True

    def release(self) -> None:
        """Do nothing."""
