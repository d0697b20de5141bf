"""Column values of a table as tensors, scaled and coded by a fitted `TableEncoding`.

Row i of the tensors is row i of the table. Values that become known late are included: the network masks them by the as-of
of each tree (see `relselect.rdl.network.columns`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from relselect.database.clock import NEVER, ticks_of
from relselect.database.columns import as_float, as_strings
from relselect.errors import ConfigError
from relselect.files import cache_path
from relselect.hashing import fingerprint_json
from relselect.language import row_sentences, sentence_encoder, sentence_vectors
from relselect.rdl.graph.placement import Mapped
from relselect.rdl.graph.table_encoding import LARGEST
from relselect.rdl.graph.text import WIDTH, encode_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    import pyarrow as pa
    from torch import Tensor

    from relselect.language import SentenceColumn
    from relselect.problem import Problem
    from relselect.rdl.graph.store import ArrayStore
    from relselect.rdl.graph.table_encoding import CategoryColumn, TableEncoding
    from relselect.rdl.graph.text import HashedTextColumn

__all__ = [
    "MISSING",
    "RESERVED",
    "UNSEEN",
    "TableTensors",
    "TextTensors",
    "problem_features",
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
        vectors: float16 (distinct texts + 1, `relselect.rdl.graph.text.WIDTH`); the first is zero and stands for NULL.
    """

    code: Tensor
    vectors: Tensor

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
    encoder = sentence_encoder(sentence.model)
    if encoder.identity != sentence.identity:
        rule = f"is another model on this machine ({encoder.identity[:8]}) than in training ({sentence.identity[:8]})"
        fix = "Install the model it was trained with, or set RELSELECT_LANGUAGE_MODEL to its folder"
        raise ConfigError("language", sentence.model or str(encoder.folder), rule, fix)
    texts = row_sentences(table, data, [name for name in sentence.columns if name in data.column_names])
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


def problem_features(
    problem: Problem,
    encodings: Mapping[str, TableEncoding],
    device: torch.device,
    check: Callable[[], object] = lambda: None,
    store: ArrayStore | None = None,
) -> dict[str, TableTensors]:
    """Return the tensors of all tables of a problem, read once per problem, encodings and device.

    Args:
        problem: The problem; the encodings may have been fitted on another database.
        encodings: The fitted columns per table.
        device: The device of the tensors.
        check: Called before every batch of sentences, where a language model reads rows; what it raises ends the work.
        store: Where the arrays are kept in files; None for in memory. See `relselect.rdl.graph.placement`.
    """
    found = {}
    for name, encoding in encodings.items():
        # values of a row that is never visible are never read, so that the clocks of withheld rows do not matter
        key = ("rdl", "features", name, fingerprint_json(encoding.to_json()))
        host = _host_features(problem, name, encoding, key, check, store)
        found[name] = host if device.type == "cpu" else _features_on(problem, name, (*key, str(device)), host, device)
    return found


def _host_features(
    problem: Problem,
    table: str,
    encoding: TableEncoding,
    key: tuple[Hashable, ...],
    check: Callable[[], object],
    store: ArrayStore | None,
) -> TableTensors:
    if store is None:
        return problem.cached_values(table, key, lambda: _read(problem, table, encoding, check))
    from relselect.rdl.graph.stored_features import stored_features

    def stored() -> Mapped[TableTensors]:
        known = _known(problem, table, encoding)
        return Mapped(stored_features(store, problem.database, table, encoding, known, check))

    return problem.cached_values(table, (*key, "disk"), stored).value


def _features_on(
    problem: Problem, table: str, key: tuple[Hashable, ...], host: TableTensors, device: torch.device
) -> TableTensors:
    return problem.cached_values(table, key, lambda: host.to(device))


def _read(problem: Problem, table: str, encoding: TableEncoding, check: Callable[[], object]) -> TableTensors:
    known = _known(problem, table, encoding)
    return read_columns(problem.database[table].data, encoding, known, table, check)


def _known(problem: Problem, table: str, encoding: TableEncoding) -> list[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    rows, known = problem.database[table].num_rows, []
    for clock in encoding.clocks:
        since = problem.database.value_times(table, clock)
        # a database that no longer masks the column knows its values from the start
        known.append(np.full(rows, -NEVER) if since is None else since)
    return known
