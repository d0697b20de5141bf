"""Encodes texts as vectors of hashed words and byte trigrams with TF-IDF weights (feature hashing), without a language model.

Only the document frequencies are fitted. A term that occurs in a single training text, or in none, has weight 0: it identifies
the row instead of describing it. Every distinct text is encoded once, however many rows hold it.

Names are texts too, but they identify rows and describe nothing, and a network overfits on them: on earlier folds of rel-f1,
leaving out the names of drivers and teams was worth up to 0.05 of AUROC. A column is recognised as names because most of its
words occur in hardly any other of its texts.
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

__all__ = ["BUCKETS", "MOST_CHARACTERS", "WIDTH", "HashedTextColumn", "encode_texts", "fit_text"]

#: Entries per vector: the hashed terms and, last, the length of the text.
WIDTH = 97
_FOLDED = WIDTH - 1
BUCKETS = 1 << 13
#: Most texts that a column is fitted on, and most characters read of each.
_MOST_TEXTS, MOST_CHARACTERS = 30_000, 1_000
#: Most characters read of the whole column in fitting: of longer columns, fewer characters of each text are read.
_MOST_OF_A_COLUMN = 50_000_000
#: Characters processed at once.
_BLOCK = 4_000_000
#: Fewest texts that a term with a weight occurs in.
_FEWEST = 2
#: A word recurs when it occurs in 5 texts; in columns of under 200 texts, in one of every 40, but in at least 2.
_RECURRING, _PER_RECURRENCE = 5, 40
_BASE, _INVERSE = np.uint64(GOLDEN), np.uint64(pow(GOLDEN, -1, 1 << 64))
#: Mixed into the hashes of trigrams, so that a trigram differs from the word of the same three bytes.
_TRIPLE_SALT = np.uint64(0x5851F42D4C957F2D)

Integers = np.ndarray[tuple[int], np.dtype[np.int64]]


@dataclass(frozen=True)
class HashedTextColumn:
    """A fitted text column; `encode_texts` has the formula.

    Attributes:
        name: The column.
        texts: Number of distinct texts that it was fitted on.
        counts: Per bucket, the number of these texts that it occurs in.
        characters: How many characters of a text are read.
        clock: Position in `TableEncoding.clocks` of the column that says when the texts become known, -1 for none.
        names: Whether the column holds names: most of its words occur in hardly any other text.
    """

    name: str
    texts: int
    counts: tuple[int, ...]
    characters: int
    clock: int = -1
    names: bool = False


def fit_text(name: str, column: pa.ChunkedArray, mask: NDArray[np.bool_], clock: int) -> HashedTextColumn | None:
    """Fit a text column: count in how many texts each bucket of terms occurs.

    Args:
        name: The column's name.
        column: n texts.
        mask: bool (n,), which of them may be read.
        clock: See `HashedTextColumn`.

    Returns:
        The fitted column, or None where no two texts share a term.
    """
    _, texts = as_strings(column.filter(pa.array(mask)))
    characters = min(MOST_CHARACTERS, max(16, _MOST_OF_A_COLUMN // max(1, len(texts))))
    chosen = texts[:: -(-len(texts) // _MOST_TEXTS) or 1]
    counts = np.zeros(BUCKETS, np.int64)
    for block in _blocks(chosen):
        counts += np.bincount(_terms(block, characters)[1], minlength=BUCKETS)
    if not (counts >= _FEWEST).any():
        return None
    return HashedTextColumn(
        name, len(chosen), tuple(counts.tolist()), characters, clock, _are_names(chosen, characters)
    )


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


def encode_texts(texts: Sequence[str], fitted: HashedTextColumn) -> NDArray[np.float16]:
    """Encode texts as vectors; each depends on its own text and the fitted column alone.

    Terms are the words of a text and the trigrams of bytes within them, in small letters, hashed into 8,192 buckets. With tf the
    occurrences of bucket b in the text, df the fitted texts that b occurs in and N their number, the weight of b is
    w(b) = (1 + ln tf) * (ln((1 + N) / (1 + df)) + 0.1), and 0 where df < 2 (Salton and Buckley, "Term-weighting approaches in
    automatic text retrieval", 1988). Entry j < 96 is sqrt(96) * sum over b with h(b) = j of s(b) w(b) / ||w||, where h and
    the sign s are hashes (Weinberger et al., "Feature hashing for large scale multitask learning", ICML 2009). The last entry
    is ln(1 + characters) / 4.

    Args:
        texts: n texts.
        fitted: Their column.

    Returns:
        float16 (n, WIDTH).

    Example:
        >>> texts = ["fast red car", "slow red car", "slow blue boat"]
        >>> column = fit_text("note", pa.chunked_array([texts]), np.ones(3, bool), -1)
        >>> encode_texts(texts, column).shape
        (3, 97)
    """
    counts = np.array(fitted.counts)
    rarity = np.where(counts >= _FEWEST, np.log((1 + fitted.texts) / (1 + counts)) + 0.1, 0.0)
    out, start = np.zeros((len(texts), WIDTH), np.float16), 0
    for block in _blocks(texts):
        out[start : start + len(block)] = _folded(block, fitted.characters, rarity)
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
    """Return per bucket its entry of the vector and its sign."""
    hashed = hash_integers(np.arange(BUCKETS))
    return (hashed >> 8) % _FOLDED, np.where(hashed & 1, 1.0, -1.0)


def _blocks(texts: Sequence[str]) -> list[Sequence[str]]:
    """Cut a list of texts into consecutive parts of a bounded number of characters."""
    ends = np.cumsum([min(len(text), MOST_CHARACTERS) for text in texts], dtype=np.int64)
    cuts = np.flatnonzero(np.diff(ends // _BLOCK)) + 1
    bounds = [0, *cuts.tolist(), len(texts)]
    return [texts[low:high] for low, high in zip(bounds, bounds[1:], strict=False) if high > low]


def _terms(texts: Sequence[str], characters: int) -> tuple[Integers, Integers, Integers]:
    """Return (number of the text, bucket, occurrences) per text and bucket that occurs in it, ordered by both."""
    owner, hashed, _ = _hashed(texts, characters)
    bucket = hash_integers(hashed.view(np.int64)) & (BUCKETS - 1)
    key, times = np.unique(owner * BUCKETS + bucket, return_counts=True)
    return key // BUCKETS, key % BUCKETS, times


def _hashed(texts: Sequence[str], characters: int) -> tuple[Integers, NDArray[np.uint64], int]:
    """Return (number of the text, hash) of all words and then of all trigrams, and the number of words.

    The hash of bytes c_0 .. c_k is the sum of (c_i + 1) * base**i modulo 2**64; differences of prefix sums give the hashes of
    all terms at once (Karp and Rabin, "Efficient randomized pattern-matching algorithms", 1987).
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
    """Return the bytes of all texts in small letters, concatenated, and per byte the number of its text."""
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
    """Return per byte whether it belongs to a word: letters, digits and everything that is not ASCII."""
    return np.array([code >= 128 or chr(code).isalnum() for code in range(256)])
