"""Keeps the vectors of sentences on disk, by the hash of the model and of the sentence, so that each is computed once.

One SQLite file per model: writers in several processes do not disturb one another, a killed one leaves what it had finished, and
a sentence that was seen in another database, or an earlier version of this one, is read back.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from relselect.hashing import digest_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["VectorStore", "distinct_texts", "sentence_vectors"]

#: Sentences between two writings, and keys of one question to the store.
_BLOCK, _ASKED = 2_048, 500
_KEY = 16


class TextEncoder(Protocol):
    """Something that turns texts into vectors."""

    @property
    def identity(self) -> str:
        """A hash of everything that decides the vectors."""

    @property
    def width(self) -> int:
        """Entries of a vector."""

    def encode(self, texts: Sequence[str], check: Callable[[], object] = ...) -> NDArray[np.float32]:
        """Return float32 (n, width)."""


class VectorStore:
    """The vectors of one encoder in one file.

    Args:
        folder: The folder of the file; created when the first vectors are written.
        encoder: Whose vectors they are.
    """

    def __init__(self, folder: Path, encoder: TextEncoder) -> None:
        self.path, self.width = folder / f"{encoder.identity}.sqlite", encoder.width

    def read(self, keys: Sequence[bytes]) -> dict[bytes, NDArray[np.float16]]:
        """Return the vectors that are there; none where the file is absent or damaged."""
        if not self.path.exists():
            return {}
        found: dict[bytes, NDArray[np.float16]] = {}
        try:
            with closing(sqlite3.connect(self.path, timeout=60)) as connection:
                for begin in range(0, len(keys), _ASKED):
                    some = list(keys[begin : begin + _ASKED])
                    marks = ", ".join("?" * len(some))
                    for key, value in connection.execute(
                        f"SELECT key, value FROM vectors WHERE key IN ({marks})", some
                    ):
                        vector = np.frombuffer(value, np.float16)
                        if len(vector) == self.width:
                            found[key] = vector
        except sqlite3.DatabaseError:
            return {}
        return found

    def write(self, keys: Sequence[bytes], vectors: NDArray[np.float16]) -> None:
        """Add vectors, all or none; a folder that cannot be written to is no error, because they can be computed again."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=60)) as connection, connection:
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID"
                )
                rows = [(key, vector.tobytes()) for key, vector in zip(keys, vectors, strict=True)]
                connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)
        except (OSError, sqlite3.Error):
            return


def distinct_texts(texts: Sequence[str]) -> tuple[NDArray[np.int64], list[str]]:
    """Return the distinct texts in the order of their first occurrence, and which of them each text is, int64 (n,)."""
    places: dict[str, int] = {}
    code = np.array([places.setdefault(text, len(places)) for text in texts], np.int64)
    return code, list(places)


def sentence_vectors(
    texts: Sequence[str],
    encoder: TextEncoder,
    folder: Path | None = None,
    check: Callable[[], object] = lambda: None,
) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
    """Return the vectors of the distinct texts, and which of them each text has.

    Args:
        texts: n texts.
        encoder: The encoder.
        folder: Where vectors are kept; None keeps none.
        check: Called before every batch; what it raises ends the work, and what was computed before stays kept.

    Returns:
        int64 (n,), positions in the second; float16 (distinct texts, width).
    """
    code, distinct = distinct_texts(texts)
    keys = [digest_of(text.encode("utf-8", "surrogatepass"), _KEY) for text in distinct]
    store = None if folder is None else VectorStore(folder, encoder)
    known = {} if store is None else store.read(keys)
    out = np.zeros((len(distinct), encoder.width), np.float16)
    missing = []
    for place, key in enumerate(keys):
        if key in known:
            out[place] = known[key]
        else:
            missing.append(place)
    missing.sort(key=lambda place: len(distinct[place]))  # texts of similar length are computed together
    for begin in range(0, len(missing), _BLOCK):
        some = missing[begin : begin + _BLOCK]
        out[some] = encoder.encode([distinct[place] for place in some], check).astype(np.float16)
        if store is not None:
            store.write([keys[place] for place in some], out[some])
    return code, out
