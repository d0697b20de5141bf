"""Turns sentences into vectors by a transformer: the mean of its last layer's token vectors, scaled to a common length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from relselect.errors import ConfigError
from relselect.hashing import sha256_of, sha256_of_file
from relselect.language.weights import find_language_model

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MOST_TOKENS", "SentenceEncoder", "identified_encoder", "sentence_encoder"]

#: Sentences per batch, tokens read of each, and sentences whose tokens are found at once.
_BATCH, MOST_TOKENS, _BLOCK = 64, 256, 4_096
#: Files that decide a model's vectors.
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_OTHERS = ("config.json", "tokenizer.json", "vocab.txt", "tokenizer_config.json")


class SentenceEncoder:
    """A language model read from a folder (Sentence-BERT's mean pooling: Reimers and Gurevych, EMNLP 2019).

    Args:
        folder: The folder of a Hugging Face encoder; nothing else is read, and nothing is downloaded.
        device: Where it computes; a GPU where there is one, if None.
        second_derivatives: Whether attention is computed step by step, which is slower and has second derivatives.

    Raises:
        ConfigError: The folder holds no weights.
    """

    def __init__(self, folder: Path, device: str | None = None, *, second_derivatives: bool = False) -> None:
        self.folder, self._device = folder, device
        self._attention = {"attn_implementation": "eager"} if second_derivatives else {}
        self._weights = next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)
        if self._weights is None:
            rule = f"holds none of {', '.join(_WEIGHTS)}"
            raise ConfigError("language", str(folder), rule, "Name the folder of a Hugging Face model with its weights")

    @cached_property
    def identity(self) -> str:
        """A hash of weights, configuration and tokenizer: equal ones give equal vectors."""
        assert self._weights is not None
        parts = [sha256_of_file(self._weights)]
        parts += [sha256_of_file(self.folder / name) for name in _OTHERS if (self.folder / name).is_file()]
        return sha256_of(parts)[:32]

    @property
    def width(self) -> int:
        """Entries of a vector."""
        return int(self.loaded[1].config.hidden_size)

    @cached_property
    def loaded(self) -> tuple[Any, Any, Any]:
        """Tokenizer, model and device.

        Raises:
            ConfigError: A package is missing, or the files cannot be loaded.
        """
        try:
            import torch
            from transformers import AutoModel, AutoTokenizer
            from transformers.utils import logging
        except ImportError as error:
            fix = "Install it with pip install 'relselect[text]'"
            raise ConfigError("language", str(self.folder), f"needs the package {error.name}", fix) from None
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        device = torch.device(self._device or ("cuda" if torch.cuda.is_available() else "cpu"))
        try:
            tokenizer = AutoTokenizer.from_pretrained(self.folder, local_files_only=True)
            model = AutoModel.from_pretrained(self.folder, local_files_only=True, **self._attention)
        except Exception as error:  # the readers of weights and tokenizers have errors of their own
            rule = f"cannot be loaded: {first_cause(error)}"
            fix = "Check its files, and the packages that transformers imports (a torchvision that does not fit torch, say)"
            raise ConfigError("language", str(self.folder), rule, fix) from error
        return tokenizer, model.to(device).eval(), device

    def tokens(self, texts: Sequence[str], check: Callable[[], object] = lambda: None) -> NDArray[np.int32]:
        """Return the tokens of texts, which `encode` reads.

        Args:
            texts: n texts; tokens beyond the first 256 are not read.
            check: Called before every block of texts; what it raises ends the work.

        Returns:
            int32 (n, tokens of the longest text), -1 behind the last token of each.
        """
        tokenizer, found = self.loaded[0], []
        for begin in range(0, len(texts), _BLOCK):
            check()
            found += tokenizer(list(texts[begin : begin + _BLOCK]), truncation=True, max_length=MOST_TOKENS)[
                "input_ids"
            ]
        out = np.full((len(found), max(map(len, found), default=0)), -1, np.int32)
        for place, each in enumerate(found):
            out[place, : len(each)] = each
        return out

    def encode(self, texts: Sequence[str], check: Callable[[], object] = lambda: None) -> NDArray[np.float32]:
        """Return the vectors of texts, each of length sqrt(width), so that entries are about 1.

        The vector of a text depends on it alone, but for rounding: texts of similar length are computed together.

        Args:
            texts: n texts; tokens beyond the first 256 are not read.
            check: Called before every batch; what it raises ends the work.

        Returns:
            float32 (n, width).
        """
        import torch

        tokenizer, model, device = self.loaded
        out = np.zeros((len(texts), self.width), np.float32)
        order = np.argsort([len(text) for text in texts], kind="stable")
        for begin in range(0, len(order), _BATCH):
            check()
            places = order[begin : begin + _BATCH]
            tokens = tokenizer(
                [texts[place] for place in places],
                padding=True,
                truncation=True,
                max_length=MOST_TOKENS,
                return_tensors="pt",
            ).to(device)
            with torch.inference_mode():
                hidden = model(**tokens).last_hidden_state.float()
                mask = tokens["attention_mask"].unsqueeze(2).float()
                mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1.0)
                unit = torch.nn.functional.normalize(mean, dim=1)
            out[places] = unit.cpu().numpy() * np.sqrt(self.width)
        return out


def first_cause(error: BaseException) -> str:
    """Return the error that a chain of errors began with, in one line."""
    while (before := error.__cause__ or (None if error.__suppress_context__ else error.__context__)) is not None:
        error = before
    return f"{type(error).__name__}: {error}".splitlines()[0]


@lru_cache(maxsize=4)
def sentence_encoder(name: str = "") -> SentenceEncoder:
    """Return the encoder of a language model on this machine; see `find_language_model` for names.

    Raises:
        ConfigError: There is none of that name, or a package that it needs is missing.
    """
    return SentenceEncoder(find_language_model(name))


def identified_encoder(name: str, identity: str) -> SentenceEncoder:
    """Return the encoder with an identity: the named one, else the one that `sentence_encoder("")` gives.

    A saved predictor names the folder of its language model, which may lie elsewhere on another machine.

    Args:
        name: See `find_language_model`.
        identity: See `SentenceEncoder.identity`.

    Raises:
        ConfigError: Neither is on this machine, or both are other models.
    """
    wrong: ConfigError | None = None
    for asked in dict.fromkeys((name, "")):
        try:
            found = sentence_encoder(asked)
        except ConfigError as error:
            wrong = wrong or error
            continue
        if found.identity == identity:
            return found
        rule = f"is another model on this machine ({found.identity[:8]}) than in training ({identity[:8]})"
        fix = "Install the model it was trained with, or set RELSELECT_LANGUAGE_MODEL to its folder"
        wrong = wrong or ConfigError("language", asked or str(found.folder), rule, fix)
    assert wrong is not None
    raise wrong
