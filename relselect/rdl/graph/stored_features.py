"""The feature tensors of a table in memory-mapped files, written block of rows by block of rows and text column by text column.

The values are those of `features.read_columns`; codes are stored as int32. Of a text column the distinct texts are in memory
while it is written. Sentences of a language model are computed as a whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relselect.database.columns import as_text
from relselect.rdl.graph.features import TableTensors, TextTensors, read_columns, read_sentences
from relselect.rdl.graph.store import ArrayFolder, ArrayStore, ArrayWriter, blocks
from relselect.rdl.graph.text import WIDTH, encode_texts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.database import Database
    from relselect.rdl.graph.table_encoding import TableEncoding
    from relselect.rdl.graph.text import HashedTextColumn

__all__ = ["stored_features", "write_features"]

#: Distinct texts that are encoded at once.
_TEXTS = 1 << 15
_TYPES = {"numeric": np.float32, "codes": np.int32, "moments": np.int64, "known": np.int64}


def stored_features(
    store: ArrayStore,
    database: Database,
    table: str,
    encoding: TableEncoding,
    known: list[NDArray[np.int64]],
    check: Callable[[], object] = lambda: None,
) -> TableTensors:
    """Return the tensors of a table with its arrays in files, written first where they are not there.

    Args:
        store: Where the files are.
        database: The database.
        table: The table.
        encoding: Its fitted columns.
        known: See `relselect.rdl.graph.features.read_columns`; follows from the table's content.
        check: See `relselect.rdl.graph.features.read_columns`.

    Raises:
        UnwritableError: The files cannot be written.
        ConfigError: The files are damaged.
    """
    content = [database.table_fingerprint(table), encoding.to_json()]
    data = database[table].data
    return read_features(
        store.get("table", content, lambda writer: write_features(writer, data, encoding, known, table, check))
    )


def write_features(
    writer: ArrayWriter,
    data: pa.Table,
    encoding: TableEncoding,
    known: list[NDArray[np.int64]],
    table: str,
    check: Callable[[], object],
) -> None:
    """Write the columns of a table of n rows; see `stored_features`."""
    plain = replace(encoding, texts=(), sentence=None)
    widths = [len(each) for each in (plain.numeric, plain.categories, plain.moments, plain.clocks)]
    files = [writer.file(name, dtype, width) for (name, dtype), width in zip(_TYPES.items(), widths, strict=True)]
    for low, high in blocks(data.num_rows):
        found = read_columns(data.slice(low, high - low), plain, [each[low:high] for each in known])
        for file, part in zip(files, (found.numeric, found.codes, found.moments, found.known), strict=True):
            file.append(part.numpy())
        check()
    for file in files:
        file.close()
    for place, text in enumerate(encoding.texts):
        _write_texts(writer, place, data[text.name], text, check)
    if encoding.sentence is not None:
        sentences = read_sentences(table, data, encoding.sentence, check)
        writer.whole(f"text{len(encoding.texts)}/code", sentences.code.numpy().astype(np.int32))
        writer.whole(f"text{len(encoding.texts)}/vectors", sentences.vectors.numpy())
    writer.facts = {"rows": data.num_rows, "texts": len(encoding.text_widths)}


def _write_texts(
    writer: ArrayWriter,
    place: int,
    column: pa.ChunkedArray,
    fitted: HashedTextColumn,
    check: Callable[[], object],
) -> None:
    """Write the codes of a text column, 0 for NULL, and the vectors of its distinct values."""
    if pa.types.is_dictionary(column.type):
        column = pc.cast(column, column.type.value_type)
    if pa.types.is_null(column.type):
        column = pc.cast(column, pa.string())
    encoded = column.dictionary_encode().unify_dictionaries()
    codes = writer.file(f"text{place}/code", np.int32)
    for chunk in encoded.chunks:
        indices = pc.add(pc.cast(chunk.indices, pa.int32()), 1)
        codes.append(pc.fill_null(indices, 0).to_numpy(zero_copy_only=False))
    codes.close()
    vectors = writer.file(f"text{place}/vectors", np.float16, WIDTH)
    vectors.append(np.zeros((1, WIDTH), np.float16))
    distinct = encoded.chunk(0).dictionary if encoded.num_chunks else pa.array([], pa.string())
    for low, high in blocks(len(distinct), _TEXTS):
        vectors.append(encode_texts([_text(each) for each in distinct[low:high].to_pylist()], fitted))
        check()
    vectors.close()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else as_text(value)


def read_features(folder: ArrayFolder) -> TableTensors:
    """Return the tensors that `write_features` wrote; they are the mapped files."""
    parts = [folder.tensor(name) for name in _TYPES]
    texts = tuple(
        TextTensors(folder.tensor(f"text{place}/code"), folder.tensor(f"text{place}/vectors"))
        for place in range(folder.facts["texts"])
    )
    return TableTensors(parts[0], parts[1], parts[2], parts[3], texts)
