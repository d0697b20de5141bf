"""Learns from training rows what texts say about the label, and scores the texts of any task row by it.

A score is a linear function of a text's TF-IDF vector (hashed words and pairs of words; Salton and Buckley 1988, Weinberger et
al. 2009), fitted by ridge regression on the label. The text of a training row must not be scored by a model that learnt from
that row: texts are divided into five parts by a hash, and each is scored by the model of the other four, in training and ever
after. A source whose scores tell nothing about the labels of texts that their model did not see is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import sparse

from relselect.dfs.texts.sources import RowTexts, TextSource, text_sources, texts_of
from relselect.files import replacing, write_json
from relselect.hashing import hash_integers, sha256_of
from relselect.untrusted import read_strict_json, regular_size

if TYPE_CHECKING:
    from relselect.problem import Problem
    from relselect.tasks import Rows, Task

__all__ = ["TextScores", "fit_text_scores"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Check = Callable[[], None]

#: Buckets of hashed terms, and parts that texts are divided into.
_BUCKETS, _PARTS = 1 << 14, 5
#: Characters read of a text: so many in all while fitting, but of each at least and at most so many.
_ALL_CHARACTERS, _LEAST, _MOST = 10_000_000, 64, 2_000
#: Training rows that a source is fitted on at most, and with a text at least.
_MOST_ROWS, _FEWEST_ROWS = 30_000, 100
#: Strengths of the penalty that are tried, and the share of the variance of the label that scores must explain to be kept.
_PENALTIES, _WORTH = (10.0, 40.0, 160.0), 0.002
#: Classes of a multiclass label that are scored, the most frequent ones.
_CLASSES = 8
#: Labels of a regression are cut at these quantiles, so that a few of them do not decide.
_TAILS = (0.01, 0.99)
_SPEC, _WEIGHTS = "texts.json", "texts.safetensors"


@dataclass(frozen=True)
class _Scored:
    """One source with its models.

    Attributes:
        source: Where the texts are read.
        characters: How many characters of a text are read.
        rarity: ln((1 + N) / (1 + df)) + 1 of each bucket, float32 (buckets,).
        slopes: float32 (buckets, parts, outputs).
        levels: float32 (parts, outputs).
    """

    source: TextSource
    characters: int
    rarity: NDArray[np.float32]
    slopes: NDArray[np.float32]
    levels: NDArray[np.float32]

    def values(self, texts: RowTexts) -> Floats:
        """Return the scores of n rows, (n, outputs); nan without a text."""
        parts, outputs = self.levels.shape
        of_texts = _weighted(_terms(texts.texts, self.characters), self.rarity) @ self.slopes.reshape(_BUCKETS, -1)
        of_rows = np.asarray(texts.weights @ of_texts).reshape(-1, parts, outputs) + self.levels
        found = of_rows[np.arange(len(of_rows)), _part(texts.groups)].astype(np.float64)
        found[~texts.some] = np.nan
        return found


@dataclass(frozen=True)
class TextScores:
    """The scores of the texts of task rows, one column or several per source.

    Attributes:
        entity: The entity's table.
        outputs: What each output of a source is about: "" for the label itself, else a class.
        scored: The sources with their models.
    """

    entity: str
    outputs: tuple[str, ...]
    scored: tuple[_Scored, ...]

    def __len__(self) -> int:
        return len(self.scored)

    @property
    def sources(self) -> tuple[TextSource, ...]:
        """The sources that are scored."""
        return tuple(each.source for each in self.scored)

    @cached_property
    def name(self) -> str:
        """A hash of all weights."""
        parts = [
            np.ascontiguousarray(array) for each in self.scored for array in (each.slopes, each.levels, each.rarity)
        ]
        return sha256_of([*(each.source.name(self.entity) for each in self.scored), *parts])[:16]

    def columns(self, problem: Problem, rows: Rows) -> pa.Table:
        """Return the scores of n task rows as columns, null where a row sees no text.

        A row's scores depend on the texts that it sees and on nothing else.
        """
        found: dict[str, pa.Array] = {}
        for each in self.scored:
            values = each.values(texts_of(problem, each.source, rows))
            for place, output in enumerate(self.outputs):
                column = values[:, place]
                found[_column(each.source.name(self.entity), output)] = pa.array(column, mask=np.isnan(column))
        return pa.table(found)

    def save(self, folder: Path) -> None:
        """Write the sources as JSON and the weights as safetensors into an existing folder."""
        from safetensors.numpy import save

        sources = [{**each.source.to_json(), "characters": each.characters} for each in self.scored]
        write_json(folder / _SPEC, {"entity": self.entity, "outputs": list(self.outputs), "sources": sources})
        tensors = {
            f"{place}.{name}": np.ascontiguousarray(getattr(each, name))
            for place, each in enumerate(self.scored)
            for name in ("rarity", "slopes", "levels")
        }
        with replacing(folder / _WEIGHTS, sole_writer=True) as draft:
            draft.write_bytes(save(tensors))

    @classmethod
    def load(cls, folder: Path) -> TextScores | None:
        """Return what `save` wrote into a folder; None where nothing was.

        Raises:
            OSError: A file cannot be read.
            ValueError: A file is damaged.
        """
        if not (folder / _SPEC).exists():
            return None
        from safetensors.numpy import load_file

        data: Any = read_strict_json(folder / _SPEC)
        regular_size(folder / _WEIGHTS)
        tensors = load_file(folder / _WEIGHTS)
        outputs, sources = tuple(data["outputs"]), [TextSource.from_json(each) for each in data["sources"]]
        lengths = [int(each["characters"]) for each in data["sources"]]
        shapes = {"rarity": (_BUCKETS,), "slopes": (_BUCKETS, _PARTS, len(outputs)), "levels": (_PARTS, len(outputs))}
        wanted = {f"{place}.{name}": shape for place in range(len(sources)) for name, shape in shapes.items()}
        if {name: array.shape for name, array in tensors.items()} != wanted or not outputs:
            raise ValueError(f"{_WEIGHTS} holds weights of other shapes than {_SPEC} says")
        if not all(array.dtype == np.float32 and np.isfinite(array).all() for array in tensors.values()):
            raise ValueError(f"{_WEIGHTS} holds weights that are not finite or of another type")
        scored = [
            _Scored(source, length, *(tensors[f"{place}.{name}"] for name in shapes))
            for place, (source, length) in enumerate(zip(sources, lengths, strict=True))
        ]
        return cls(str(data["entity"]), outputs, tuple(scored))


def fit_text_scores(problem: Problem, rows: Rows, check: Check = lambda: None) -> TextScores:
    """Learn the scores of texts from labelled training rows.

    Args:
        problem: The problem.
        rows: n labelled training rows; their weights count in the fits.
        check: Called between sources; may raise to stop.

    Returns:
        The sources whose scores explain at least 0.2 % of the variance of the label on texts that their model did not see;
        none where no text is seen, or none tells anything.
    """
    chosen = rows if len(rows) <= _MOST_ROWS else rows.drawn(_MOST_ROWS)
    sources = text_sources(problem) if len(chosen) else []
    if not sources:
        return TextScores(problem.entity, (), ())
    outputs, targets = _targets(problem.task, chosen)
    weight = np.ones(len(chosen)) if chosen.weight is None else chosen.weight
    found = []
    for source in sources:
        check()
        scored = _fitted(source, texts_of(problem, source, chosen), targets, weight)
        if scored is not None:
            found.append(scored)
    return TextScores(problem.entity, outputs, tuple(found))


def _targets(task: Task, rows: Rows) -> tuple[tuple[str, ...], Floats]:
    """Return what the outputs are about, and their targets, (n, outputs)."""
    label = np.asarray(rows.label, dtype=np.float64)
    if task.kind == "multiclass":
        classes: Sequence[Any] = task.classes or ()
        counts = np.bincount(label.astype(np.int64), minlength=len(classes))
        often = sorted(np.argsort(-counts, kind="stable")[:_CLASSES].tolist())
        return tuple(str(classes[each]) for each in often), np.stack([label == each for each in often], axis=1) * 1.0
    low, high = np.quantile(label, _TAILS) if task.kind == "regression" else (0.0, 1.0)
    return ("",), np.clip(label, low, high)[:, None]


def _fitted(source: TextSource, texts: RowTexts, targets: Floats, weight: Floats) -> _Scored | None:
    """Return a source with its models; None where its texts tell nothing."""
    some = texts.some
    part = _part(texts.groups)
    counts = np.bincount(part[some], minlength=_PARTS)
    if some.sum() < _FEWEST_ROWS or (counts == 0).any():
        return None
    characters = int(np.clip(_ALL_CHARACTERS // max(1, len(texts.texts)), _LEAST, _MOST))
    terms = _terms(texts.texts, characters)
    occurs = np.bincount(terms.indices, minlength=_BUCKETS)
    rarity = (np.log((1 + len(texts.texts)) / (1 + occurs)) + 1).astype(np.float32)
    rows, part, wanted = texts.weights[some] @ _weighted(terms, rarity), part[some], targets[some]
    tried = [_divided(rows, part, wanted, weight[some], penalty) for penalty in _PENALTIES]
    slopes, levels, worth = max(tried, key=lambda each: each[2])
    return None if worth < _WORTH else _Scored(source, characters, rarity, slopes, levels)


def _divided(
    rows: sparse.csr_matrix, part: Ints, wanted: Floats, weight: Floats, penalty: float
) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
    """Fit a model for each part from the others; return slopes, levels and the share of variance explained on the parts."""
    from sklearn.linear_model import Ridge

    slopes = np.zeros((_BUCKETS, _PARTS, wanted.shape[1]), np.float32)
    levels = np.zeros((_PARTS, wanted.shape[1]), np.float32)
    scores = np.empty_like(wanted)
    for number in range(_PARTS):
        others, own = part != number, part == number
        model = Ridge(alpha=penalty, solver="sparse_cg", tol=1e-3).fit(rows[others], wanted[others], weight[others])
        slopes[:, number], levels[number] = np.atleast_2d(model.coef_).T, model.intercept_
        scores[own] = rows[own] @ slopes[:, number] + levels[number]
    spread = weight @ (wanted - np.average(wanted, axis=0, weights=weight)) ** 2
    left = weight @ (wanted - scores) ** 2
    explained = 1 - left[spread > 0] / spread[spread > 0]
    return slopes, levels, float(explained.max(initial=0.0))


def _part(groups: Ints) -> Ints:
    return np.asarray((hash_integers(groups) >> 11) % _PARTS)


def _terms(texts: list[str], characters: int) -> sparse.csr_matrix:
    """Return how often each bucket of terms occurs in the first characters of each text, (texts, buckets)."""
    from sklearn.feature_extraction.text import HashingVectorizer

    counter = HashingVectorizer(
        n_features=_BUCKETS, ngram_range=(1, 2), token_pattern=r"\w+", norm=None, alternate_sign=False, dtype=np.float32
    )
    return sparse.csr_matrix(counter.transform(text[:characters] for text in texts))


def _weighted(terms: sparse.csr_matrix, rarity: NDArray[np.float32]) -> sparse.csr_matrix:
    """Return TF-IDF vectors of length 1, with 1 + ln(tf) for tf."""
    from sklearn.preprocessing import normalize

    found = terms.copy()
    found.data = (1 + np.log(found.data)) * rarity[found.indices]
    return normalize(found, copy=False)


def _column(source: str, output: str) -> str:
    return f"text of {source}" + (f" = {output}" if output else "")
