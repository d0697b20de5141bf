"""The graph and the feature tensors of a problem, in memory or in memory-mapped files, built once and kept in its cache."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from relselect.database.clock import NEVER
from relselect.hashing import fingerprint_json
from relselect.rdl.graph.features import TableTensors, read_columns
from relselect.rdl.graph.graph import Graph, database_graph
from relselect.rdl.graph.identity import row_identities
from relselect.rdl.graph.placement import Mapped
from relselect.rdl.graph.stored_features import stored_features
from relselect.rdl.graph.stored_graph import stored_graph

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    import torch
    from numpy.typing import NDArray

    from relselect.problem import Problem
    from relselect.rdl.graph.store import ArrayStore
    from relselect.rdl.graph.table_encoding import TableEncoding

__all__ = ["problem_features", "problem_graph"]


def problem_graph(
    problem: Problem, device: torch.device, *, shortcuts: bool = False, store: ArrayStore | None = None
) -> Graph:
    """Return the graph of a problem's database on `device`, built once per problem; see `build_graph`.

    Args:
        problem: The problem.
        device: The device of the tensors.
        shortcuts: See `build_graph`.
        store: Where its arrays are kept in files; None for in memory. See `relselect.rdl.graph.placement`.
    """
    key = ("rdl", "graph", shortcuts)
    if store is None:
        host: Graph = problem.cached(
            key, lambda: database_graph(problem.database, _identities(problem), shortcuts=shortcuts)
        )
    else:
        host = problem.cached(
            (*key, "disk"), lambda: Mapped(stored_graph(store, problem.database, shortcuts=shortcuts))
        ).value
    if device.type == "cpu":
        return host
    return problem.cached((*key, str(device)), lambda: host.to(device))


def _identities(problem: Problem) -> dict[str, NDArray[np.int64]]:
    """Return the content hash of every row, per table."""
    return {
        name: problem.cached_values(name, ("rdl", "identities", name), partial(row_identities, table))
        for name, table in problem.database.tables.items()
    }


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
