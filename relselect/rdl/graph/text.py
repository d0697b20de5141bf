"""Text as vectors, without a model: hashed words and triples of bytes, weighted by rarity, folded into a few numbers.

Terms become buckets by a hash, a bucket's weight is (1 + log count) times its rarity among the texts seen in training, and the
weighted buckets are added with signs into a short vector (feature hashing, Weinberger et al. 2009; weights of Salton and
Buckley 1988). Only the numbers of texts per bucket are fitted. A term that one text alone holds says who wrote it, not what
it means, and is left out, as is one that training never saw. Every text is encoded once, whatever the rows that hold it.

Names are texts too, but they tell rows apart and mean nothing else: a network learns by heart who did well. On earlier folds of
rel-f1, leaving out the names of drivers and teams was worth up to 0.05 of AUROC. What they give themselves away by is that
their words do not recur.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relselect.database.columns import as_strings
from relselect.hashing import GOLDEN, hash_integers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["WIDTH", "TextColumn", "encode_texts", "fit_text"]

#: Numbers per text: the folded terms and, last, the length.
WIDTH = 97
_FOLDED = WIDTH - 1
_BUCKETS = 1 << 13
#: Texts looked at when a column is fitted, and the characters read of each.
_MOST_TEXTS, _MOST_CHARACTERS = 30_000, 1_000
#: Characters read of a whole column as far as training sees it: longer columns are read less far.
_MOST_OF_A_COLUMN = 50_000_000
#: Bytes worked on at once.
_BLOCK = 4_000_000
#: Fewest texts that a term occurs in.
_FEWEST = 2
#: Texts that a word must occur in to recur; fewer where there is less than one for so many texts.
_RECURRING, _PER_RECURRENCE = 5, 40
_BASE, _INVERSE = np.uint64(GOLDEN), np.uint64(pow(GOLDEN, -1, 1 << 64))
#: Triples of bytes are other terms than words of three bytes.
_TRIPLE_SALT = np.uint64(0x5851F42D4C957F2D)

Integers = np.ndarray[tuple[int], np.dtype[np.int64]]


@dataclass(frozen=True)
class TextColumn:
    """A text column as fitted.

    Attributes:
        name: The column.
        texts: How many distinct texts were looked at.
        counts: In how many of them each bucket occurs.
        characters: How many characters of a text are read.
        clock: The mask it is under, -1 for none.
        names: Whether these are names: most words of theirs occur in next to no other text.
    """

    name: str
    texts: int
    counts: tuple[int, ...]
    characters: int
    clock: int = -1
    names: bool = False


def fit_text(name: str, column: pa.ChunkedArray, mask: NDArray[np.bool_], clock: int) -> TextColumn | None:
    """Count the terms of the texts under `mask`; None where no two of them share any.

    Args:
        name: The column's name.
        column: n texts.
        mask: (n,) which of them may be looked at.
        clock: The mask the column is under.
    """
    _, texts = as_strings(column.filter(pa.array(mask)))
    characters = min(_MOST_CHARACTERS, max(16, _MOST_OF_A_COLUMN // max(1, len(texts))))
    chosen = texts[:: -(-len(texts) // _MOST_TEXTS) or 1]
    counts = np.zeros(_BUCKETS, np.int64)
    for block in _blocks(chosen):
        counts += np.bincount(_terms(block, characters)[1], minlength=_BUCKETS)
    if not (counts >= _FEWEST).any():
        return None
    return TextColumn(name, len(chosen), tuple(counts.tolist()), characters, clock, _are_names(chosen, characters))


def _are_names(texts: Sequence[str], characters: int) -> bool:
    """Return whether fewer than half of the words, each counted once per text, recur in several texts."""
    often = min(_RECURRING, max(2, len(texts) // _PER_RECURRENCE))
    words = [np.empty(0, np.uint64)]
    for block in _blocks(texts):
        owner, hashed, count = _hashed(block, characters)
        _, distinct = np.unique(hashed[:count] ^ owner[:count].astype(np.uint64) * _BASE, return_index=True)
        words.append(hashed[distinct])
    _, times = np.unique(np.concatenate(words), return_counts=True)
    return bool(2 * times[times >= often].sum() < times.sum())


def encode_texts(texts: Sequence[str], spec: TextColumn) -> NDArray[np.float16]:
    """Return the vectors of texts, (n, WIDTH); each depends on its own text and the fitted column alone."""
    counts = np.array(spec.counts)
    rarity = np.where(counts >= _FEWEST, np.log((1 + spec.texts) / (1 + counts)) + 0.1, 0.0)
    out, start = np.zeros((len(texts), WIDTH), np.float16), 0
    for block in _blocks(texts):
        out[start : start + len(block)] = _folded(block, spec.characters, rarity)
        start += len(block)
    return out


def _folded(texts: Sequence[str], characters: int, rarity: NDArray[np.float64]) -> NDArray[np.float64]:
    owner, bucket, times = _terms(texts, characters)
    weight = (1 + np.log(times)) * rarity[bucket]
    length = np.sqrt(np.bincount(owner, weight**2, len(texts)))
    slot, sign = _fold()
    where = owner * _FOLDED + slot[bucket]
    sums = np.bincount(where, weight * sign[bucket], len(texts) * _FOLDED).reshape(len(texts), _FOLDED)
    # unit vectors have entries of about 1 / sqrt(width): bring them to the size of scaled numbers
    folded = sums * (np.sqrt(_FOLDED) / np.maximum(length, 1e-12))[:, None]
    size = np.log1p([min(len(text), characters) for text in texts]) / 4
    return np.column_stack([folded, size])


@cache
def _fold() -> tuple[Integers, NDArray[np.float64]]:
    """Return where in the vector each bucket goes, and with which sign."""
    hashed = hash_integers(np.arange(_BUCKETS))
    return (hashed >> 8) % _FOLDED, np.where(hashed & 1, 1.0, -1.0)


def _blocks(texts: Sequence[str]) -> list[Sequence[str]]:
    """Cut texts into runs of a bounded number of characters."""
    ends = np.cumsum([min(len(text), _MOST_CHARACTERS) for text in texts], dtype=np.int64)
    cuts = np.flatnonzero(np.diff(ends // _BLOCK)) + 1
    bounds = [0, *cuts.tolist(), len(texts)]
    return [texts[low:high] for low, high in zip(bounds, bounds[1:], strict=False) if high > low]


def _terms(texts: Sequence[str], characters: int) -> tuple[Integers, Integers, Integers]:
    """Return each text's distinct buckets: (the text's number, the bucket, how often), ordered by both."""
    owner, hashed, _ = _hashed(texts, characters)
    bucket = hash_integers(hashed.view(np.int64)) & (_BUCKETS - 1)
    key, times = np.unique(owner * _BUCKETS + bucket, return_counts=True)
    return key // _BUCKETS, key % _BUCKETS, times


def _hashed(texts: Sequence[str], characters: int) -> tuple[Integers, NDArray[np.uint64], int]:
    """Return the words and then the triples of texts: (the text's number, a hash of the term), and how many words there are.

    A stretch's hash is the sum of its bytes times powers of a base, counted from its start; prefix sums give all of them at
    once (Karp and Rabin 1987).
    """
    data, owner = _bytes_of(texts, characters)
    count = len(data)
    letter = _letters()[data]
    before = np.r_[False, letter[:-1] & (owner[1:] == owner[:-1])] if count else letter
    after = np.r_[before[1:] & letter[1:], False] if count else letter
    start, end = np.flatnonzero(letter & ~before), np.flatnonzero(letter & ~after) + 1
    powers = _powers(_BASE, count)
    prefix = np.concatenate([np.zeros(1, np.uint64), np.cumsum((data.astype(np.uint64) + np.uint64(1)) * powers)])
    inverse = _powers(_INVERSE, count)
    words = (prefix[end] - prefix[start]) * inverse[start]
    word = np.cumsum(letter & ~before)
    first = np.flatnonzero(letter[:-2] & letter[1:-1] & letter[2:] & (word[:-2] == word[2:]))
    triples = (prefix[first + 3] - prefix[first]) * inverse[first] ^ _TRIPLE_SALT
    return np.concatenate([owner[start], owner[first]]), np.concatenate([words, triples]), len(start)


def _bytes_of(texts: Sequence[str], characters: int) -> tuple[NDArray[np.uint8], Integers]:
    """Return the bytes of the texts in small letters, one after another, and the number of the text each belongs to."""
    array = pa.array(texts, pa.large_string())
    array = pc.utf8_lower(pc.utf8_slice_codeunits(array, 0, characters))
    _, offsets, data = array.buffers()
    ends = np.frombuffer(offsets, np.int64)[: len(texts) + 1]
    size = int(ends[-1])
    held = np.frombuffer(data, np.uint8)[:size] if size else np.empty(0, np.uint8)
    return held, np.repeat(np.arange(len(texts)), np.diff(ends))


def _powers(base: np.uint64, count: int) -> NDArray[np.uint64]:
    powers = np.full(count, base, np.uint64)
    powers[:1] = 1
    return np.cumprod(powers)


@cache
def _letters() -> NDArray[np.bool_]:
    """Which bytes belong to words: letters, digits and whatever is not ASCII."""
    return np.array([code >= 128 or chr(code).isalnum() for code in range(256)])
