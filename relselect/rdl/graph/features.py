"""Column values of a table as tensors, scaled and coded by a fitted `TableEncoding`.

Row i of the tensors is row i of the table. Values that become known late are included: the network masks them by the as-of
of each tree (see `relselect.rdl.network.columns`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from relselect.database.clock import ticks_of
from relselect.database.columns import as_float, as_strings
from relselect.files import cache_path
from relselect.language import distinct_texts, identified_encoder, row_sentences, sentence_vectors
from relselect.rdl.graph.table_encoding import LARGEST
from relselect.rdl.graph.text import WIDTH, encode_texts

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa
    from torch import Tensor

    from relselect.language import SentenceColumn
    from relselect.rdl.graph.table_encoding import CategoryColumn, TableEncoding
    from relselect.rdl.graph.text import HashedTextColumn

__all__ = [
    "MISSING",
    "RESERVED",
    "UNSEEN",
    "TableTensors",
    "TextTensors",
    "read_columns",
    "read_sentences",
]

#: Category codes below the vocabulary: no value, a value outside the vocabulary, and where the vocabulary starts.
MISSING = 0
UNSEEN = 1
RESERVED = 2


@dataclass(frozen=True)
class TextTensors:
    """A text column of a table of n rows.

    Attributes:
        code: int64 or int32 (n,), the row's vector as a position in `vectors`.
        vectors: float16 (distinct texts + 1, `relselect.rdl.graph.text.WIDTH` or the width of a language model); the first is
            zero and stands for NULL. For a network that trains layers of the language model, the tokens of the sentences in
            their place: int32 (distinct texts + 1, tokens of the longest), -1 behind the last token.
    """

    code: Tensor
    vectors: Tensor

    def read(self, code: Tensor) -> Tensor:
        """Return the vectors at positions, int64 (n,), as float32 (n, width)."""
        return self.vectors.index_select(0, code).float()

    def take(self, index: Tensor) -> TextTensors:
        """Return the rows at `index`, in that order."""
        return TextTensors(self.code[index], self.vectors)

    def to(self, device: torch.device) -> TextTensors:
        """Return the tensors on `device`."""
        return TextTensors(self.code.to(device), self.vectors.to(device))


@dataclass(frozen=True)
class TableTensors:
    """The feature columns of a table of n rows.

    Attributes:
        numeric: float32 (n, numeric columns), scaled, NaN where missing.
        codes: int64 or int32 (n, categorical columns): `MISSING`, `UNSEEN`, or the position in the column's vocabulary +
            `RESERVED`.
        moments: int64 (n, time columns), ticks, `NEVER` where missing.
        known: int64 (n, clocks), the ticks from which the values under each clock are known.
        texts: The text columns.
    """

    numeric: Tensor
    codes: Tensor
    moments: Tensor
    known: Tensor
    texts: tuple[TextTensors, ...] = ()

    def __len__(self) -> int:
        return len(self.numeric)

    def take(self, index: Tensor) -> TableTensors:
        """Return the rows at `index`, in that order."""
        texts = tuple(text.take(index) for text in self.texts)
        return TableTensors(self.numeric[index], self.codes[index], self.moments[index], self.known[index], texts)

    def to(self, device: torch.device) -> TableTensors:
        """Return the tensors on `device`."""
        numeric, codes, moments, known = (x.to(device) for x in (self.numeric, self.codes, self.moments, self.known))
        return TableTensors(numeric, codes, moments, known, tuple(text.to(device) for text in self.texts))


def read_columns(
    data: pa.Table,
    encoding: TableEncoding,
    known: list[np.ndarray[tuple[int], np.dtype[np.int64]]],
    table: str = "",
    check: Callable[[], object] = lambda: None,
) -> TableTensors:
    """Read the feature columns of a table.

    Args:
        data: n rows.
        encoding: The fitted columns.
        known: Per clock of the encoding, int64 (n,), the ticks from which its values are known.
        table: Name of the table, which begins the sentences of its rows.
        check: Called before every batch of sentences; what it raises ends the work.

    Returns:
        The tensors, on the CPU.
    """
    count = data.num_rows
    numeric = np.empty((count, len(encoding.numeric)), np.float32)
    for place, number in enumerate(encoding.numeric):
        values = np.clip(as_float(data[number.name]), -LARGEST, LARGEST)
        numeric[:, place] = np.arcsinh((values - number.center) / number.scale)
    codes = np.empty((count, len(encoding.categories)), np.int64)
    for place, category in enumerate(encoding.categories):
        codes[:, place] = _codes(data[category.name], category)
    moments = np.empty((count, len(encoding.moments)), np.int64)
    for place, moment in enumerate(encoding.moments):
        moments[:, place] = ticks_of(data[moment.name])
    clocks = np.stack(known, axis=1) if known else np.empty((count, 0), np.int64)
    texts = tuple(_texts(data[text.name], text) for text in encoding.texts)
    if encoding.sentence is not None:
        texts = (*texts, read_sentences(table, data, encoding.sentence, check))
    parts = [torch.from_numpy(part) for part in (numeric, codes, moments, clocks)]
    return TableTensors(parts[0], parts[1], parts[2], parts[3], texts)


def read_sentences(
    table: str, data: pa.Table, sentence: SentenceColumn, check: Callable[[], object] = lambda: None
) -> TextTensors:
    """Read the rows of a table as sentences, by a language model; vectors are kept on disk (`relselect.language.store`).

    Args:
        table: The table's name.
        data: n rows.
        sentence: The columns and the model.
        check: Called before every batch of sentences; what it raises ends the work.

    Raises:
        ConfigError: The model is not on this machine, or is another one than that of training.
    """
    encoder = identified_encoder(sentence.model, sentence.identity)
    texts = row_sentences(table, data, [name for name in sentence.columns if name in data.column_names])
    if sentence.tokens:
        code, distinct = distinct_texts(texts)
        tokens = encoder.tokens(distinct, check)
        none = np.full((1, tokens.shape[1]), -1, np.int32)
        return TextTensors(torch.from_numpy(code + 1), torch.from_numpy(np.concatenate([none, tokens])))
    code, vectors = sentence_vectors(texts, encoder, cache_path("language"), check)
    nothing = np.zeros((1, sentence.width), np.float16)
    return TextTensors(torch.from_numpy(code + 1), torch.from_numpy(np.concatenate([nothing, vectors])))


def _texts(column: pa.ChunkedArray, fitted: HashedTextColumn) -> TextTensors:
    codes, values = as_strings(column)
    vectors = np.concatenate([np.zeros((1, WIDTH), np.float16), encode_texts(values, fitted)])
    return TextTensors(torch.from_numpy(codes + 1), torch.from_numpy(vectors))


def _codes(column: pa.ChunkedArray, fitted: CategoryColumn) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    codes, values = as_strings(column)
    place = {value: code for code, value in enumerate(fitted.values, RESERVED)}
    lookup = np.array([*(place.get(value, UNSEEN) for value in values), MISSING], np.int64)
    return lookup[codes]
