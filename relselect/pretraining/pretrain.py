"""One pretraining from its plan to the folder of its weights."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from relselect.budget import Budget
from relselect.configs import open_database
from relselect.errors import BudgetError, BudgetExhausted, ConfigError
from relselect.events import StageFinished, StageStarted, silent
from relselect.files import check_writable
from relselect.hashing import fingerprint_json
from relselect.language import sentence_encoder
from relselect.pretraining.card import model_card, write_card
from relselect.pretraining.corpus import PretrainingSource, read_source
from relselect.pretraining.plan import PretrainingPlan
from relselect.pretraining.training import Pretraining
from relselect.rdl.training.pretrained import WEIGHTS, read_pretrained, write_pretrained
from relselect.rdl.training.training_state import StateFile

if TYPE_CHECKING:
    from relselect.database import Database
    from relselect.events import Emit

__all__ = ["PretrainingResult", "pretrain"]

#: The state of an unfinished pretraining, in the folder of its weights.
_STATE = "training.safetensors"


@dataclass(frozen=True)
class PretrainingResult:
    """What a pretraining left.

    Attributes:
        weights: The file of the weights, whose header holds the card.
        identity: Hash of the file.
        card: What the weights come from, with the loss by epoch.
        seconds: Wall-clock of this call.
    """

    weights: Path
    identity: str
    card: Mapping[str, Any]
    seconds: float


def pretrain(
    plan: PretrainingPlan,
    folder: Path,
    *,
    databases: Mapping[str, Database] | None = None,
    budget: Budget | None = None,
    emit: Emit = silent,
) -> PretrainingResult:
    """Learn shared layers from the databases of a plan and write them into a folder.

    The same call goes on after a stop. The weights are replaced once, at the end, so that a stop never leaves half of them.

    Args:
        plan: The databases and how to learn from them.
        folder: Where the weights go; made where there is none.
        databases: Databases of the plan that are open already, by their place in it.
        budget: Asked all the while; None for no limit.
        emit: Listener.

    Raises:
        BudgetError: The budget ended first; what was done is kept.
        ConfigError: The language model is not on this machine, or a database has no rows to learn from.
        UnwritableError: The folder cannot be written.
    """
    begun, budget = time.monotonic(), budget or Budget(None)
    check_writable("OUT", folder, folder=True)
    given = dict(databases or {})
    try:
        read = {place: _read(place, plan, given, budget, emit) for place in (*plan.databases, *plan.held_out)}
        storage = StateFile(folder / _STATE, _identity(plan, read))
        width = sentence_encoder(plan.language).width
        sources = [[read[place][1] for place in part] for part in (plan.databases, plan.held_out)]
        with torch.random.fork_rng(devices=[]):
            training = Pretraining(plan, sources[0], sources[1], width, storage, emit)
            training.run(budget)
    except BudgetExhausted as error:
        rule = f"ended before the pretraining did ({error})"
        raise BudgetError("time_budget", budget.seconds, rule, "Run the same command again to go on") from None
    card = model_card(plan, read, training.curve)
    weights = write_pretrained(training.model.shared, card, folder)
    write_card(card, weights)
    storage.path.unlink(missing_ok=True)
    found = read_pretrained(str(folder))
    return PretrainingResult(folder / WEIGHTS, found.identity, found.card, time.monotonic() - begun)


def _read(
    place: str, plan: PretrainingPlan, given: Mapping[str, Database], budget: Budget, emit: Emit
) -> tuple[Database, PretrainingSource]:
    begun = time.monotonic()
    emit(StageStarted(f"read {place}"))
    database = given[place] if place in given else open_database(place)
    source = read_source(database, plan, plan.until.get(place), budget.check)
    if not source.seeds:
        raise ConfigError("databases", place, "has no row that may be read", "Leave it out, or read it until later")
    emit(StageFinished(f"read {place}", time.monotonic() - begun, f"{source.rows_read:,} rows"))
    return database, source


def _identity(plan: PretrainingPlan, read: Mapping[str, tuple[Database, PretrainingSource]]) -> str:
    """Return a hash of all that a pretraining depends on."""
    data = {place: database.fingerprint for place, (database, _) in read.items()}
    return fingerprint_json([plan.model_dump(), data, sentence_encoder(plan.language).identity])
