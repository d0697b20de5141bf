"""A database as pretraining reads it: its graph, the seed nodes, and the language vectors of the rows around them.

A seed node is a row at its own time, so its tree holds nothing later than the row. A row without a time is seen at a time drawn
from those of the database. Rows later than the last moment that may be read take no part in anything: neither in the fitted
columns nor in the draws, which follow the content of rows and never their order.

The language model takes most of the time of a pretraining, so the rows that it reads are used as often as they can: every row
that was read for the tree of another is a seed node itself where at least half of its own tree was read too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from relselect.database.clock import ALWAYS, EVERYTHING, parse_time
from relselect.database.inference import infer_types
from relselect.files import cache_path
from relselect.hashing import hash_text
from relselect.language import row_sentences, sentence_encoder, sentence_vectors
from relselect.problem.visibility import visible_masked, visible_rows
from relselect.rdl.graph.features import TableTensors, TextTensors
from relselect.rdl.graph.graph import database_graph
from relselect.rdl.graph.language_rows import language_alone
from relselect.rdl.graph.table_encoding import TableEncoding, fit_database
from relselect.rdl.network.batch import Batcher, RowTensors
from relselect.rdl.network.shared_layers import row_statistics
from relselect.rdl.network.time_encoding import time_unit
from relselect.rdl.sampling.sampler import TemporalSampler

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from relselect.database import Database
    from relselect.pretraining.plan import PretrainingPlan
    from relselect.rdl.graph.graph import Graph
    from relselect.rdl.network.shared_layers import RowStatistics

__all__ = ["ChosenRows", "PretrainingSource", "choose_rows", "read_source", "source_of"]

#: Seed nodes of each table that are added at once until enough rows are reached: few, so that every table has some.
_CHUNK = 4
#: Trees that are sampled at once where rows that were read are looked through for further seed nodes, and the largest share of
#: such a tree that was not read.
_TREES, _UNREAD = 1_024, 0.5


@dataclass(frozen=True)
class ChosenRows:
    """What is read of a database, before a language model reads it.

    Attributes:
        database: The database.
        fitted: Per table, its columns, fitted on what may be read.
        sampler: The sampler of its graph.
        seeds: Per table, the seed nodes: rows and the times at which they are seen.
        reached: Per table, the rows that some tree reaches, ascending: all that are read.
    """

    database: Database
    fitted: Mapping[str, TableEncoding]
    sampler: TemporalSampler
    seeds: Mapping[str, RowTensors]
    reached: Mapping[str, NDArray[np.int64]]

    @property
    def count(self) -> int:
        """Number of rows that are read."""
        return sum(len(rows) for rows in self.reached.values())


@dataclass(frozen=True)
class PretrainingSource:
    """A database as pretraining reads it.

    Attributes:
        name: The database's name.
        graph: Its graph.
        encodings: Per table, the sentence and the row's own time.
        tables: Per table, its tensors; position 0 of the vectors, which stands for a masked row, is the table's mean.
        statistics: Per table, where its vectors lie.
        seeds: Per table, the seed nodes: rows and the times at which they are seen.
        batchers: Per table, what builds the batches of its seed nodes.
        rows_read: Rows that some tree reaches.
    """

    name: str
    graph: Graph
    encodings: Mapping[str, TableEncoding]
    tables: Mapping[str, TableTensors]
    statistics: Mapping[str, RowStatistics]
    seeds: Mapping[str, RowTensors]
    batchers: Mapping[str, Batcher]
    rows_read: int


def choose_rows(database: Database, plan: PretrainingPlan, until: str | None = None) -> ChosenRows:
    """Choose the seed nodes of a database, and with them the rows that are read.

    Args:
        database: The database.
        plan: Fan-out, number of rows and seed.
        until: The last moment that is read; everything if None.

    Raises:
        ConfigError: `until` is no moment.
    """
    last = EVERYTHING if until is None else parse_time(until, database.time_kind, "until")
    types = {
        name: infer_types(table, visible_rows(database, name, last), visible_masked(database, name, last))
        for name, table in database.tables.items()
    }
    graph = database_graph(database)
    sampler = TemporalSampler(graph, tuple(max(1, plan.fan_out >> hop) for hop in range(plan.layers)))
    seeds, reached = _chosen(database, graph, sampler, last, plan)
    rows = {name: np.unique(np.concatenate([np.empty(0, np.int64), *parts])) for name, parts in reached.items()}
    return ChosenRows(database, fit_database(database, types, last), sampler, seeds, rows)


def read_source(
    database: Database,
    plan: PretrainingPlan,
    until: str | None = None,
    check: Callable[[], object] = lambda: None,
) -> PretrainingSource:
    """Choose the rows of a database and read them as language; see `choose_rows` and `source_of`."""
    return source_of(choose_rows(database, plan, until), plan.language, check)


def source_of(chosen: ChosenRows, model: str, check: Callable[[], object] = lambda: None) -> PretrainingSource:
    """Read the rows that were chosen as language.

    Args:
        chosen: The rows.
        model: The language model, see `relselect.language.find_language_model`.
        check: Called before every batch of sentences; what it raises ends the work.

    Raises:
        ConfigError: The language model is not on this machine.
    """
    database, sampler = chosen.database, chosen.sampler
    encodings = {name: language_alone(database[name], each, model) for name, each in chosen.fitted.items()}
    tables, statistics = {}, {}
    for name, encoding in encodings.items():
        rows = chosen.reached[name]
        tables[name] = _tensors(database, name, encoding, rows, check)
        read = torch.zeros(len(tables[name]), dtype=torch.bool)
        read[torch.from_numpy(rows)] = True
        sentences = tables[name].texts[0]
        statistics[name] = row_statistics(sentences, read, database[name].time is not None)
        sentences.vectors[0] = statistics[name].mean.half()
    kind = database.time_kind
    batchers = {
        name: Batcher(sampler, tables, encodings, TableEncoding(), name, time_unit(kind), kind) for name in chosen.seeds
    }
    return PretrainingSource(
        database.name, sampler.graph, encodings, tables, statistics, chosen.seeds, batchers, chosen.count
    )


def _chosen(
    database: Database, graph: Graph, sampler: TemporalSampler, last: int, plan: PretrainingPlan
) -> tuple[dict[str, RowTensors], dict[str, list[NDArray[np.int64]]]]:
    """Return the seed nodes of every table, and the rows that their trees reach: chunk by chunk until there are enough."""
    orders = {name: _order(database, graph, name, last, plan.seed) for name in sorted(database.tables)}
    moments = np.unique(np.concatenate([database.times(name) for name in database.tables]))
    moments = moments[(moments > ALWAYS) & (moments <= last)]
    taken: dict[str, list[tuple[NDArray[np.int64], NDArray[np.int64]]]] = {name: [] for name in orders}
    reached: dict[str, list[NDArray[np.int64]]] = {name: [] for name in database.tables}
    seen: set[tuple[str, int]] = set()
    for begin in range(0, max(map(len, orders.values()), default=0), _CHUNK):
        for name, order in orders.items():
            rows = order[begin : begin + _CHUNK]
            if not len(rows) or len(seen) >= plan.rows:
                continue
            asof = _seen_at(database.times(name)[rows], moments, (plan.seed, hash_text(name) & 0xFFFF, begin))
            at = torch.from_numpy(asof)
            trees = sampler.sample(name, torch.from_numpy(rows), at, at)
            taken[name].append((rows, asof))
            for table, found in trees.rows.items():
                distinct = np.unique(found.numpy())
                reached[table].append(distinct)
                seen.update((table, int(row)) for row in distinct)
    for name, order in orders.items():
        first = np.concatenate([np.empty(0, np.int64), *(rows for rows, _ in taken[name])])
        taken[name] += _further(name, order, first, database.times(name), moments, sampler, reached, plan)
    seeds = {name: _row_tensors(parts) for name, parts in taken.items() if parts}
    return seeds, reached


def _further(
    name: str,
    order: NDArray[np.int64],
    taken: NDArray[np.int64],
    times: NDArray[np.int64],
    moments: NDArray[np.int64],
    sampler: TemporalSampler,
    reached: Mapping[str, list[NDArray[np.int64]]],
    plan: PretrainingPlan,
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return rows of a table that were read for other trees, and when they are seen, where most of their own tree was read.

    Rows around such a seed node that were not read are as if they were masked.
    """
    read = {table: np.unique(np.concatenate([np.empty(0, np.int64), *parts])) for table, parts in reached.items()}
    rows = order[np.isin(order, read[name]) & ~np.isin(order, taken)][: plan.rows]
    found = []
    for begin in range(0, len(rows), _TREES):
        some = rows[begin : begin + _TREES]
        asof = _seen_at(times[some], moments, (plan.seed, hash_text(name) & 0xFFFF, begin, 1))
        at = torch.from_numpy(asof)
        trees = sampler.sample(name, torch.from_numpy(some), at, at)
        around, unread = np.zeros(len(some)), np.zeros(len(some))
        for table, nodes in trees.rows.items():
            tree = trees.tree[table].numpy()
            around += np.bincount(tree, minlength=len(some))
            unread += np.bincount(tree, ~np.isin(nodes.numpy(), read[table]), minlength=len(some))
        kept = unread <= _UNREAD * around
        found.append((some[kept], asof[kept]))
    return [each for each in found if len(each[0])]


def _order(database: Database, graph: Graph, name: str, last: int, seed: int) -> NDArray[np.int64]:
    """Return the visible rows of a table, shuffled by a draw that depends on their content and not on their places."""
    times, identity = database.times(name), graph.identity[name].numpy()
    rows = np.flatnonzero(times <= last)
    rows = rows[np.lexsort((identity[rows], times[rows]))]
    hashed = np.random.default_rng((seed, hash_text(name) & 0xFFFF)).permutation(len(rows))
    return rows[hashed]


def _seen_at(times: NDArray[np.int64], moments: NDArray[np.int64], seed: tuple[int, ...]) -> NDArray[np.int64]:
    """Return when rows are seen: at their own time, else at a moment of the database that is drawn."""
    if not len(moments):
        return np.full(len(times), EVERYTHING)
    drawn = moments[np.random.default_rng(seed).integers(0, len(moments), len(times))]
    return np.where(times == ALWAYS, drawn, times)


def _row_tensors(parts: list[tuple[NDArray[np.int64], NDArray[np.int64]]]) -> RowTensors:
    rows, asof = (torch.from_numpy(np.concatenate(each)) for each in zip(*parts, strict=True))
    nothing = torch.empty(len(rows), 0, dtype=torch.int64)
    features = TableTensors(nothing.float(), nothing, nothing, nothing)
    return RowTensors(rows, asof, asof, torch.zeros_like(asof), features, None)


def _tensors(
    database: Database,
    name: str,
    encoding: TableEncoding,
    rows: NDArray[np.int64],
    check: Callable[[], object],
) -> TableTensors:
    """Return a table's tensors with the vectors of some rows; the others are never reached and have none."""
    sentence = encoding.sentence
    assert sentence is not None
    count = database[name].num_rows
    texts = row_sentences(name, database[name].data.take(rows), sentence.columns)
    code, vectors = sentence_vectors(texts, sentence_encoder(sentence.model), cache_path("language"), check)
    places = torch.zeros(count, dtype=torch.int64)
    places[torch.from_numpy(rows)] = torch.from_numpy(code + 1)
    held = torch.from_numpy(np.concatenate([np.zeros((1, sentence.width), np.float16), vectors]))
    nothing = torch.empty(count, 0, dtype=torch.int64)
    moments = torch.from_numpy(database.times(name)[:, None].copy()) if encoding.moments else nothing
    return TableTensors(nothing.float(), nothing, moments, nothing, (TextTensors(places, held),))
