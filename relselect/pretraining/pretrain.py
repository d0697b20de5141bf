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
from relselect.pretraining.corpus import ChosenRows, PretrainingSource, choose_rows, source_of
from relselect.pretraining.masking import masked_language
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
#: The folder of the language model that was trained further, in the folder of the weights.
_LANGUAGE = "language"


@dataclass(frozen=True)
class PretrainingResult:
    """What a pretraining left.

    Attributes:
        weights: The file of the weights, whose header holds the card.
        identity: Hash of the file.
        card: What the weights come from, with the loss by epoch.
        seconds: Wall-clock of this call.
        language: The folder of the language model that was trained further first; None where it was not.
    """

    weights: Path
    identity: str
    card: Mapping[str, Any]
    seconds: float
    language: Path | None = None


def pretrain(
    plan: PretrainingPlan,
    folder: Path,
    *,
    databases: Mapping[str, Database] | None = None,
    budget: Budget | None = None,
    emit: Emit = silent,
) -> PretrainingResult:
    """Learn shared layers from the databases of a plan and write them into a folder.

    Where the plan says `masking`, its language model is trained further first and written beside them. The same
    call goes on after a stop. The weights are replaced once, at the end, so that a stop never leaves half of them.

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
        chosen = {place: _chosen(place, plan, given, emit) for place in (*plan.databases, *plan.held_out)}
        masked = None if plan.masking is None else masked_language(plan, chosen, folder / _LANGUAGE, budget, emit)
        model = plan.language if masked is None else str(masked)
        read = {place: (each.database, _read(place, each, model, budget, emit)) for place, each in chosen.items()}
        storage = StateFile(folder / _STATE, _identity(plan, read, model))
        width = sentence_encoder(model).width
        sources = [[read[place][1] for place in part] for part in (plan.databases, plan.held_out)]
        with torch.random.fork_rng(devices=[]):
            training = Pretraining(plan, sources[0], sources[1], width, storage, emit)
            training.run(budget)
    except BudgetExhausted as error:
        rule = f"ended before the pretraining did ({error})"
        raise BudgetError("time_budget", budget.seconds, rule, "Run the same command again to go on") from None
    card = model_card(plan, read, training.curve, masked)
    weights = write_pretrained(training.model.shared, card, folder)
    write_card(card, weights)
    storage.path.unlink(missing_ok=True)
    found = read_pretrained(str(folder))
    return PretrainingResult(folder / WEIGHTS, found.identity, found.card, time.monotonic() - begun, masked)


def _chosen(place: str, plan: PretrainingPlan, given: Mapping[str, Database], emit: Emit) -> ChosenRows:
    begun = time.monotonic()
    emit(StageStarted(f"open {place}"))
    database = given[place] if place in given else open_database(place)
    chosen = choose_rows(database, plan, plan.until.get(place))
    if not chosen.seeds:
        raise ConfigError("databases", place, "has no row that may be read", "Leave it out, or read it until later")
    emit(StageFinished(f"open {place}", time.monotonic() - begun, f"{chosen.count:,} rows"))
    return chosen


def _read(place: str, chosen: ChosenRows, model: str, budget: Budget, emit: Emit) -> PretrainingSource:
    begun = time.monotonic()
    emit(StageStarted(f"read {place}"))
    source = source_of(chosen, model, budget.check)
    emit(StageFinished(f"read {place}", time.monotonic() - begun, f"{source.rows_read:,} rows"))
    return source


def _identity(plan: PretrainingPlan, read: Mapping[str, tuple[Database, PretrainingSource]], model: str) -> str:
    """Return a hash of all that a pretraining depends on."""
    data = {place: database.fingerprint for place, (database, _) in read.items()}
    return fingerprint_json([plan.stated(), data, sentence_encoder(model).identity])
