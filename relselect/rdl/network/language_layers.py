"""The last layers of a language model as weights of a network, trained together with it.

The rest of the model stays as it is, belongs to no network, and is read from this machine: a network holds the layers that
change. Sentences are kept as tokens, and of a batch the different ones are encoded once.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.func import functional_call

from relselect.language import SentenceEncoder, identified_encoder
from relselect.language.layers import last_layers
from relselect.rdl.graph.features import TextTensors
from relselect.rdl.network.scatter import gather

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from relselect.language import SentenceColumn

__all__ = ["FreshTexts", "LanguageLayers"]

#: Sentences that are encoded at once.
_AT_ONCE = 256


@dataclass(frozen=True)
class FreshTexts(TextTensors):
    """Sentences of a table of n rows of which those of one batch are encoded.

    Attributes:
        code: See `TextTensors`.
        vectors: float32 (u, width), of the different sentences of the batch, with gradients.
        place: int64 (distinct sentences + 1,), where the vector of a sentence stands; 0 for those that are not in the batch.
    """

    place: Tensor

    def read(self, code: Tensor) -> Tensor:
        """Return the vectors of rows of the batch, float32 (n, width)."""
        # not by index_select, whose second derivative fails where a batch has no row of the table
        return gather(self.vectors, self.place.index_select(0, code))


class LanguageLayers(nn.Module):
    """Encodes sentences by a language model whose last layers are weights of this module.

    The vector of a sentence is sqrt(width) * m / ||m|| with the mean m of its last token vectors, as for finished vectors
    (`relselect.language.encoder`): before the first step both are the same but for rounding. Attention is computed step by step,
    because faster ways have no second derivative, and the model's own dropout is off.

    Args:
        sentence: A column of sentences, which names the language model.
        layers: How many layers, see `relselect.language.layers.last_layers`.

    Raises:
        ConfigError: The language model is not on this machine, is another one, or has fewer layers.
    """

    def __init__(self, sentence: SentenceColumn, layers: int) -> None:
        super().__init__()
        self.sentence = sentence
        model, _ = self._frozen("cpu")
        given = dict(model.named_parameters())
        # a dot in a name would be read as a module
        self.weights = nn.ParameterDict(
            {
                name.replace(".", "/"): nn.Parameter(given[name].detach().clone())
                for name in last_layers(model, layers, "language_layers")
            }
        )

    def _frozen(self, device: str) -> tuple[nn.Module, threading.Lock]:
        encoder = identified_encoder(self.sentence.model, self.sentence.identity)
        return _frozen_model(encoder.folder, encoder.identity, device)

    def forward(self, sentences: TextTensors, rows: Tensor) -> FreshTexts:
        """Encode the different sentences of rows.

        Args:
            sentences: The sentences of a table as tokens.
            rows: int64 (n,); -1 is read as the first row, so its result must not be used.

        Returns:
            The sentences, of which those of the rows have vectors.
        """
        place = sentences.code.new_zeros(len(sentences.vectors), dtype=torch.int64)
        if not len(rows):
            return FreshTexts(sentences.code, place.new_zeros(0, self.sentence.width).float(), place)
        distinct = torch.unique(sentences.code.index_select(0, rows.clamp(min=0)).long())
        tokens = sentences.vectors.index_select(0, distinct)
        order = (tokens >= 0).sum(1).argsort(stable=True)  # sentences of similar length are computed together
        vectors = torch.cat([self._vectors(tokens[some]) for some in torch.split(order, _AT_ONCE)])
        place[distinct[order]] = torch.arange(len(order), device=place.device)
        return FreshTexts(sentences.code, vectors, place)

    def _vectors(self, tokens: Tensor) -> Tensor:
        """Return the vectors of sentences, float32 (b, width), of their tokens, int (b, t), -1 behind the last."""
        tokens = tokens[:, : max(1, int((tokens >= 0).sum(1).max()))].long()
        read = tokens >= 0
        model, lock = self._frozen(str(tokens.device))
        weights = {name.replace("/", "."): each for name, each in self.weights.items()}
        inputs = {"input_ids": tokens.clamp(min=0), "attention_mask": read.long()}
        with lock:  # the weights are placed into the one model for as long as it computes
            hidden = functional_call(model, weights, (), inputs).last_hidden_state.float()
        mask = read.unsqueeze(2).float()
        mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1.0)
        unit: Tensor = nn.functional.normalize(mean, dim=1)
        return unit * self.sentence.width**0.5


@lru_cache(maxsize=2)
def _frozen_model(folder: Path, identity: str, device: str) -> tuple[nn.Module, threading.Lock]:
    """Return a language model without gradients, and the lock under which weights are placed into it."""
    # no draw of a training depends on whether the model was read before, and shapes alone are of no use here
    with torch.random.fork_rng(devices=[]), torch.device(device):
        model: nn.Module = SentenceEncoder(folder, device, second_derivatives=True).loaded[1]
    return model.requires_grad_(False), threading.Lock()
