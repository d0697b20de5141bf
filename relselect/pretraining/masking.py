"""Trains the language model further on the rows that a pretraining reads, and writes it as an encoder of its own.

It is the first stage of a pretraining, where the plan asks for it; the network then reads the vectors of the trained encoder.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from relselect.errors import ConfigError
from relselect.files import replacing_folder, write_json
from relselect.hashing import fingerprint_json
from relselect.language import SentenceEncoder, find_language_model, row_sentences, sentence_encoder, value_spans
from relselect.pretraining.card import language_card, write_language_card
from relselect.pretraining.masked_tokens import MaskedTokens, TokenRow, TokenVocabulary, mask_tokens, padded, token_rows
from relselect.pretraining.passes import HELD_OUT, Passes
from relselect.rdl.graph.language_rows import said_columns
from relselect.rdl.training.training_state import StateFile
from relselect.tensor_files import save_state

if TYPE_CHECKING:
    from relselect.budget import Budget
    from relselect.events import Emit
    from relselect.pretraining.corpus import ChosenRows
    from relselect.pretraining.plan import MaskingPlan, PretrainingPlan

__all__ = ["Masking", "language_card_of", "masked_language", "rows_of"]

_WEIGHTS, _CARD = "model.safetensors", "card.json"
#: The state of an unfinished training, in the folder of the weights.
_STATE = "masking.safetensors"
#: Endings of the files that make an encoder, beside its weights.
_FILES = (".json", ".txt", ".model")
#: What of a plan decides the rows and how they are learnt from.
_DECIDING = {"databases", "held_out", "until", "rows", "layers", "fan_out", "seed", "masking"}


def masked_language(
    plan: PretrainingPlan, chosen: Mapping[str, ChosenRows], folder: Path, budget: Budget, emit: Emit
) -> Path:
    """Train the language model of a plan further and write it into a folder; nothing is done where it is there.

    Args:
        plan: The plan, with its stage `masking`.
        chosen: Per place in the plan, the rows that are read.
        folder: The folder of the encoder; the state is kept beside it.
        budget: Asked before every step.
        emit: Listener.

    Returns:
        The folder.

    Raises:
        BudgetExhausted: The budget ended first; the state is kept.
        ConfigError: The language model is not on this machine, cannot restore tokens, or no row has a value.
    """
    base = SentenceEncoder(find_language_model(plan.language))
    data = {place: each.database.fingerprint for place, each in chosen.items()}
    identity = fingerprint_json([plan.model_dump(include=_DECIDING), data, base.identity])
    if _identity_of(folder) == identity:
        return folder
    assert plan.masking is not None
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        storage = StateFile(folder.with_name(_STATE), identity)
        masking = Masking(plan, plan.masking, base, chosen, storage, emit)
        masking.run(budget)
    _write(masking, base, language_card(plan, chosen, base, masking.curve, identity), folder)
    storage.path.unlink(missing_ok=True)
    sentence_encoder.cache_clear()  # another encoder may have stood there
    return folder


def language_card_of(folder: Path) -> dict[str, Any]:
    """Return the card of an encoder that `masked_language` wrote.

    Raises:
        OSError: There is none.
        ValueError: It is damaged.
    """
    return dict(json.loads((folder / _CARD).read_text(encoding="utf-8")))


def _identity_of(folder: Path) -> str | None:
    """Return the identity of the training that wrote an encoder; None where there is none."""
    try:
        return str(language_card_of(folder)["identity"])
    except (OSError, KeyError, TypeError, ValueError):
        return None


def _write(masking: Masking, base: SentenceEncoder, card: Mapping[str, Any], folder: Path) -> None:
    """Write the encoder with the files of its base, all or nothing."""
    with replacing_folder(folder) as draft:
        for file in sorted(base.folder.iterdir()):
            if file.is_file() and file.suffix in _FILES:
                shutil.copyfile(file, draft / file.name)
        # the card is a file of its own: texts in the header have no fixed order, and the file's hash is the encoder's identity
        save_state(masking.model.encoder.state_dict(), draft / _WEIGHTS, metadata={"format": "pt"})
        write_json(draft / _CARD, card)
        write_language_card(card, draft / _WEIGHTS)


def rows_of(chosen: ChosenRows, tokenizer: Any) -> list[TokenRow]:
    """Return the tokens of the different rows that are read of a database, in an order that follows from them alone."""
    found = []
    for name in sorted(chosen.reached):
        table = chosen.database[name]
        columns = said_columns(table, chosen.fitted[name])
        data = table.data.take(chosen.reached[name])
        sentences = zip(row_sentences(name, data, columns), value_spans(name, data, columns), strict=True)
        distinct = sorted({(text, tuple(spans)) for text, spans in sentences})
        found += token_rows(tokenizer, [text for text, _ in distinct], [spans for _, spans in distinct])
    return [each for each in found if bool(each.value.any())]


class Masking(Passes[torch.Tensor]):
    """One training of a language model by masked tokens.

    Args:
        plan: The whole plan, of which the seed and the databases are read.
        masking: How it learns.
        base: The language model, whose loaded copy is trained in place.
        chosen: Per place in the plan, the rows that are read.
        storage: Where the state is kept.
        emit: Listener.

    Attributes:
        model: The language model with its head.
        curve: Per epoch the number, training loss and loss of each held-out database, per masked token in nats, and seconds.

    Raises:
        ConfigError: The language model cannot restore tokens, or no row has a value.
    """

    name, save_seconds = "masking", 60.0

    def __init__(
        self,
        plan: PretrainingPlan,
        masking: MaskingPlan,
        base: SentenceEncoder,
        chosen: Mapping[str, ChosenRows],
        storage: StateFile,
        emit: Emit,
    ) -> None:
        tokenizer, encoder, self._device = base.loaded
        self.masking, self._seeded = masking, plan.seed
        self.vocabulary = TokenVocabulary.of(tokenizer, str(base.folder))
        self.rows = [row for place in plan.databases for row in rows_of(chosen[place], tokenizer)]
        self.held_out = {chosen[place].database.name: rows_of(chosen[place], tokenizer) for place in plan.held_out}
        if not self.rows:
            raise ConfigError("databases", plan.databases, "have no value that can be masked", "Name others")
        values = torch.cat([row.tokens[row.value] for row in self.rows])
        counts = torch.bincount(values, minlength=int(encoder.get_input_embeddings().weight.shape[0]))
        torch.manual_seed(plan.seed)
        self.model = MaskedTokens(encoder, masking.layers, counts).to(self._device)
        groups: list[dict[str, Any]] = [{"params": self.model.head(), "lr": masking.head_rate}]
        if self.model.layers():
            groups.append({"params": self.model.layers(), "lr": masking.learning_rate})
        super().__init__(
            self.model,
            groups,
            weight_decay=masking.weight_decay,
            epochs=masking.epochs,
            seed=plan.seed,
            storage=storage,
            emit=emit,
        )

    def steps(self, epoch: int) -> Sequence[torch.Tensor]:
        """Return the steps of an epoch: positions of the rows of all databases, shuffled together and cut."""
        order = np.random.default_rng((self._seeded, epoch)).permutation(len(self.rows))
        return torch.split(torch.from_numpy(order), self.masking.batch_size)

    def loss(self, step: torch.Tensor, draws: int) -> torch.Tensor | None:
        """Return the mean loss of the masked tokens of some rows; None where the draws masked none."""
        total, count = self._total([self.rows[place] for place in step.tolist()], draws)
        return total / count if count else None

    def _total(self, rows: Sequence[TokenRow], draws: int) -> tuple[torch.Tensor, int]:
        """Return the sum of the losses of the masked tokens, and their number."""
        tokens, read, value = padded(rows, self.vocabulary.pad)
        generator = torch.Generator().manual_seed(draws)
        masked, chosen = mask_tokens(tokens, value, self.masking.mask, self.vocabulary, generator)
        count = int(chosen.sum())
        if not count:
            return torch.zeros(()), 0
        return self.model.loss(*(each.to(self._device) for each in (masked, read, chosen, tokens))), count

    def held_out_losses(self) -> dict[str, float]:
        """Return the loss per masked token of each held-out database, under masks that are always the same."""
        return {name: self._loss_on(rows) for name, rows in self.held_out.items()}

    def _loss_on(self, rows: Sequence[TokenRow]) -> float:
        ordered = sorted(rows, key=lambda row: len(row.tokens))  # rows of similar length are computed together
        size, total, count = self.masking.batch_size, 0.0, 0
        for number, begin in enumerate(range(0, len(ordered), size)):
            loss, masked = self._total(ordered[begin : begin + size], HELD_OUT + number)
            total, count = total + float(loss), count + masked
        return total / count if count else math.nan
