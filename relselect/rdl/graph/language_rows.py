"""Rows that a language model reads: which columns are said, and their vectors before a training begins.

A sentence is read as a text column of its row (`relselect.language`). What becomes known after its row is no part of the sentence
and stays a column, and so do moments, which the network reads as the time that has passed.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from relselect.events import StageFinished, StageStarted
from relselect.language import SentenceColumn, sentence_encoder
from relselect.rdl.graph.of_problem import problem_features
from relselect.rdl.graph.table_encoding import TableEncoding

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from relselect.budget import Budget
    from relselect.database import Table
    from relselect.events import Emit
    from relselect.problem import Problem
    from relselect.rdl.graph.store import ArrayStore

__all__ = ["language_alone", "read_language", "said_columns", "sentence_of", "with_sentences"]

_STAGE = "language"


def with_sentences(
    problem: Problem,
    tables: Mapping[str, TableEncoding],
    model: str,
    *,
    columns: bool,
    said: Collection[str],
    tokens: bool = False,
) -> dict[str, TableEncoding]:
    """Return the encodings of tables whose rows a language model reads; the table of past labels is not read as language.

    Args:
        problem: The problem.
        tables: Per table, its fitted columns.
        model: The language model, see `relselect.language.find_language_model`.
        columns: Whether what is said is read as columns too.
        said: The tables whose rows are read as language; the others keep their columns.
        tokens: Whether sentences are kept as tokens, because layers of the model are trained.

    Raises:
        ConfigError: The model is not on this machine.
    """
    found = dict(tables)
    for name in sorted(set(tables) & set(problem.user_database.tables) & set(said)):
        each = tables[name]
        found[name] = replace(each, sentence=replace(sentence_of(problem.database[name], each, model), tokens=tokens))
        if not columns:
            found[name] = replace(
                found[name],
                numeric=tuple(column for column in each.numeric if column.clock >= 0),
                categories=tuple(column for column in each.categories if column.clock >= 0),
                texts=tuple(column for column in each.texts if column.clock >= 0),
            )
    return found


def sentence_of(table: Table, encoding: TableEncoding, model: str) -> SentenceColumn:
    """Return the sentence of a table's rows: all fitted columns that are known when their row is.

    A table without such columns has one sentence, its name.

    Args:
        table: The table.
        encoding: Its fitted columns.
        model: The language model, see `relselect.language.find_language_model`.

    Raises:
        ConfigError: The model is not on this machine.
    """
    encoder = sentence_encoder(model)
    return SentenceColumn(said_columns(table, encoding), model, encoder.identity, encoder.width)


def said_columns(table: Table, encoding: TableEncoding) -> tuple[str, ...]:
    """Return the columns of the sentence of a table's rows, in the order of the table; see `sentence_of`."""
    parts: tuple[Any, ...] = (*encoding.numeric, *encoding.categories, *encoding.texts, *encoding.moments)
    said = {column.name for column in parts if column.clock < 0}
    return tuple(column for column in table.data.column_names if column in said)


def language_alone(table: Table, encoding: TableEncoding, model: str) -> TableEncoding:
    """Return the encoding of a table of which nothing is read but the sentence and the row's own time; see `sentence_of`."""
    own = encoding.moments[:1] if table.time is not None else ()
    return TableEncoding(moments=own, sentence=sentence_of(table, encoding, model))


def read_language(
    problem: Problem,
    encodings: Mapping[str, TableEncoding],
    budget: Budget,
    emit: Emit,
    store: ArrayStore | None = None,
) -> None:
    """Compute the vectors of all rows, within the budget; those that are done stay on disk when it ends.

    Args:
        problem: The problem.
        encodings: Per table, its fitted columns.
        budget: Asked before every batch of sentences.
        emit: Where events go.
        store: See `relselect.rdl.graph.of_problem.problem_features`.

    Raises:
        BudgetExhausted: The budget ended first.
    """
    begun = time.monotonic()
    emit(StageStarted(_STAGE))
    tables = problem_features(problem, encodings, torch.device("cpu"), budget.check, store)
    count = sum(
        len(tables[name].texts[-1].vectors) - 1 for name, each in encodings.items() if each.sentence is not None
    )
    emit(StageFinished(_STAGE, time.monotonic() - begun, f"{count:,} different rows"))
