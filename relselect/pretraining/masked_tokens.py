"""The objective of the language model: tokens of values in the sentence of a row are masked and restored.

Names of tables and columns are never masked: they are what a value is to be restored from, and every row of a table has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from relselect.errors import ConfigError
from relselect.language.encoder import MOST_TOKENS
from relselect.language.layers import last_layers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Generator, Tensor

__all__ = ["MaskedTokens", "TokenRow", "TokenVocabulary", "mask_tokens", "padded", "token_rows"]

#: Of the chosen tokens, the share that becomes the mask's token, and the share that does or becomes a random one; the rest stay.
_MASKED, _CHANGED = 0.8, 0.9


@dataclass(frozen=True)
class TokenRow:
    """The tokens of one row.

    Attributes:
        tokens: int64 (t,).
        value: bool (t,), whether a token is part of a value.
    """

    tokens: Tensor
    value: Tensor


@dataclass(frozen=True)
class TokenVocabulary:
    """What is read of a tokenizer.

    Attributes:
        pad: The token that fills up.
        mask: The token that stands for a masked one.
        plain: int64, the tokens that are none of the tokenizer's special ones, ascending.
    """

    pad: int
    mask: int
    plain: Tensor

    @classmethod
    def of(cls, tokenizer: Any, folder: str) -> TokenVocabulary:
        """Read a tokenizer.

        Raises:
            ConfigError: It has no token for masked ones, or does not say where in a text its tokens stand.
        """
        fix = "Name the folder of an encoder such as BERT, with its tokenizer.json"
        if tokenizer.mask_token_id is None or tokenizer.pad_token_id is None:
            raise ConfigError("language", folder, "has a tokenizer without tokens that mask and fill up", fix)
        if not tokenizer.is_fast:
            raise ConfigError("language", folder, "has a tokenizer that does not say where its tokens stand", fix)
        special = set(tokenizer.all_special_ids)
        plain = [each for each in range(len(tokenizer)) if each not in special]
        return cls(int(tokenizer.pad_token_id), int(tokenizer.mask_token_id), torch.tensor(plain))


def token_rows(tokenizer: Any, texts: Sequence[str], spans: Sequence[Sequence[tuple[int, int]]]) -> list[TokenRow]:
    """Return the tokens of texts, and which of them are values.

    Args:
        tokenizer: A tokenizer that says where its tokens stand.
        texts: n texts; tokens beyond those that an encoder reads are left out.
        spans: Per text, where its values stand, see `relselect.language.value_spans`.

    Returns:
        n rows. A token is a value where all its characters are, and neither special nor unknown to the vocabulary.
    """
    if not texts:
        return []
    special = set(tokenizer.all_special_ids)
    read = tokenizer(list(texts), truncation=True, max_length=MOST_TOKENS, return_offsets_mapping=True)
    found = []
    for text, values, tokens, offsets in zip(texts, spans, read["input_ids"], read["offset_mapping"], strict=True):
        inside = np.zeros(len(text), bool)
        for begin, end in values:
            inside[begin:end] = True
        value = []
        for token, (begin, end) in zip(tokens, offsets, strict=True):
            first = begin + len(text[begin:end]) - len(text[begin:end].lstrip())  # some count the space before a word
            value.append(first < end and token not in special and bool(inside[first:end].all()))
        found.append(TokenRow(torch.tensor(tokens), torch.tensor(value)))
    return found


def padded(rows: Sequence[TokenRow], pad: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return rows as one batch: tokens, int64 (b, t), whether they are read and whether they are values, bool (b, t)."""
    tokens = nn.utils.rnn.pad_sequence([each.tokens for each in rows], batch_first=True, padding_value=pad)
    value = nn.utils.rnn.pad_sequence([each.value for each in rows], batch_first=True)
    read = nn.utils.rnn.pad_sequence([torch.ones_like(each.value) for each in rows], batch_first=True)
    return tokens, read, value


def mask_tokens(
    tokens: Tensor, value: Tensor, share: float, vocabulary: TokenVocabulary, generator: Generator
) -> tuple[Tensor, Tensor]:
    """Choose tokens of values and mask them as BERT does (Devlin et al., NAACL 2019).

    Of the chosen tokens 80 % become the mask's token, 10 % a random one and 10 % stay, so that the vectors of rows without masks
    are trained too.

    Args:
        tokens: int64 (b, t).
        value: bool (b, t), which of them may be chosen.
        share: Chance of each to be chosen.
        vocabulary: The mask and the random tokens.
        generator: The source of the draws.

    Returns:
        The masked tokens, int64 (b, t), and the chosen ones, bool (b, t).
    """
    chosen = value & (torch.rand(tokens.shape, generator=generator) < share)
    kind = torch.rand(tokens.shape, generator=generator)
    other = vocabulary.plain[torch.randint(len(vocabulary.plain), tokens.shape, generator=generator)]
    masked = torch.where(chosen & (kind < _MASKED), vocabulary.mask, tokens)
    return torch.where(chosen & (kind >= _MASKED) & (kind < _CHANGED), other, masked), chosen


class MaskedTokens(nn.Module):
    """A language model with a head that restores tokens: log softmax(E layernorm(gelu(W h + b)) + c), as in BERT.

    E are the model's own token embeddings. The encoders of sentences come without a head, so W begins at random, and c at the
    logarithms of the tokens' frequencies.

    Args:
        encoder: The model, changed in place.
        layers: How many of its last layers are trained, see `relselect.language.layers.last_layers`; the head always is.
        counts: int64 (vocabulary,), how often each token is a value in what is learnt from.

    Raises:
        ConfigError: The model has fewer layers.
    """

    def __init__(self, encoder: nn.Module, layers: int, counts: Tensor) -> None:
        super().__init__()
        self.encoder = encoder
        embedded = self._embeddings().shape
        trained = set(last_layers(encoder, layers, "masking.layers"))
        for name, parameter in encoder.named_parameters():
            parameter.requires_grad_(name in trained)
        config: Any = encoder.config
        self.dense = nn.Linear(config.hidden_size, embedded[1])
        self.norm = nn.LayerNorm(embedded[1])
        frequency = (counts[: embedded[0]] + 1.0) / float(counts.sum() + embedded[0])
        self.bias = nn.Parameter(frequency.log())

    def _embeddings(self) -> Tensor:
        model: Any = self.encoder
        weight: Tensor = model.get_input_embeddings().weight
        return weight

    def head(self) -> list[nn.Parameter]:
        """Return the parameters of the head."""
        return [*self.dense.parameters(), *self.norm.parameters(), self.bias]

    def layers(self) -> list[nn.Parameter]:
        """Return the parameters of the encoder that are trained."""
        return [each for each in self.encoder.parameters() if each.requires_grad]

    def loss(self, tokens: Tensor, read: Tensor, chosen: Tensor, wanted: Tensor) -> Tensor:
        """Return the sum over the chosen tokens of -log p(wanted), a scalar.

        Args:
            tokens: int64 (b, t), masked.
            read: bool (b, t), which of them are read.
            chosen: bool (b, t), those to restore.
            wanted: int64 (b, t), the tokens before they were masked.
        """
        hidden = self.encoder(input_ids=tokens, attention_mask=read.long()).last_hidden_state[chosen]
        shown = self.norm(functional.gelu(self.dense(hidden)))
        scores = functional.linear(shown, self._embeddings(), self.bias)
        return functional.cross_entropy(scores.float(), wanted[chosen], reduction="sum")
