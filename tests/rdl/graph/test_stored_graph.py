"""A graph in memory-mapped files is the graph in memory, bit for bit: its trees, its batches, its predictions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from relselect.budget import Budget
from relselect.database import Database, SemanticType
from relselect.errors import ConfigError, UnwritableError
from relselect.events import silent
from relselect.examples.synthetic import planted
from relselect.problem import Problem
from relselect.rdl import RDL
from relselect.rdl.graph import placement, store, stored_features, stored_graph
from relselect.rdl.graph.graph import database_graph
from relselect.rdl.graph.of_problem import problem_features
from relselect.rdl.graph.placement import graph_bytes, store_of
from relselect.rdl.graph.store import ArrayStore
from relselect.rdl.graph.table_encoding import fit_tables
from relselect.rdl.sampling.sampler import TemporalSampler
from tests.rows import shared_rows
from tests.shop import shop, shop_problem, shop_tables, shop_task


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch, tmp_path):
    """Blocks of few rows and edges, so that every table and relation is cut; a cache of its own."""
    monkeypatch.setattr(store, "BLOCK", 37)
    monkeypatch.setattr(stored_graph, "_SORTED", 53)
    monkeypatch.setattr(stored_features, "_TEXTS", 5)
    monkeypatch.setenv("RELSELECT_CACHE", str(tmp_path / "cache"))


def planted_problem() -> Problem:
    made = planted("sign-flip", customers=200, cutoffs=6, seed=1)
    return Problem(made.example.database, made.example.task("planted"))


PROBLEMS = {"shop": shop_problem, "planted": planted_problem}


def same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


def assert_same_graph(mapped, held):
    assert torch.equal(mapped.times, held.times)
    same(mapped.rank, held.rank)
    same(mapped.identity, held.identity)
    assert mapped.edge_types == held.edge_types
    for name in held.relations:
        for one, other in zip(mapped.relations[name], held.relations[name], strict=True):
            assert (type(one), one.edge_type, one.opposite) == (type(other), other.edge_type, other.opposite)
            if hasattr(one, "parent"):
                assert torch.equal(one.parent, other.parent)
                assert torch.equal(one.rank, other.rank)
                assert np.array_equal(one.array, other.array)
            else:
                assert (one.stride, one.width, one.timeless) == (other.stride, other.width, other.timeless)
                assert torch.equal(one.key, other.key)
                assert torch.equal(one.pointer, other.pointer)
                assert torch.equal(one.child.long(), other.child)
                for left, right in zip(one.arrays, other.arrays, strict=True):
                    assert (left.dtype, left.flags.writeable) == (right.dtype, right.flags.writeable)
                    assert np.array_equal(left, right)


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("shortcuts", [False, True])
def test_the_graph_is_the_same(name, shortcuts, tmp_path):
    database = PROBLEMS[name]().database
    mapped = stored_graph.stored_graph(ArrayStore(tmp_path), database, shortcuts=shortcuts)
    assert_same_graph(mapped, database_graph(database, shortcuts=shortcuts))


@settings(max_examples=12, deadline=None)  # every file is flushed to disk
@given(seed=st.integers(0, 10**6), orders=st.integers(0, 300), users=st.integers(1, 40))
def test_the_graph_of_any_shop_is_the_same(tmp_path_factory, seed, orders, users):
    """With equal times, times that are NULL, and references that are NULL or dangle."""
    draw = np.random.default_rng(seed)
    day = draw.integers(0, 9, orders).astype(object)
    day[draw.random(orders) < 0.1] = None
    key = draw.integers(-1, users + 2, orders)
    tables = {
        "users": pa.table({"id": pa.array(range(users)), "joined": pa.array(draw.integers(0, 9, users))}),
        "orders": pa.table(
            {
                "user": pa.array(key, pa.int64(), mask=key < 0),
                "giver": pa.array(draw.integers(0, users, orders)),
                "when": pa.array([*day], pa.int64()),
            }
        ),
    }
    database = Database.from_dataframes(
        tables,
        keys={"users": "id"},
        times={"orders": "when", "users": "joined"} if orders and any(each is not None for each in day) else {},
        foreign_keys={"orders": {"user": "users", "giver": "users"}},
    )
    root = tmp_path_factory.mktemp("store")
    for shortcuts in (False, True):
        mapped = stored_graph.stored_graph(ArrayStore(root), database, shortcuts=shortcuts)
        assert_same_graph(mapped, database_graph(database, shortcuts=shortcuts))


@pytest.mark.parametrize("engine", ["compiled", "torch"])
@pytest.mark.parametrize("strategy", ["last", "uniform"])
@pytest.mark.parametrize("window", [None, 40 * 86_400_000_000])
def test_the_trees_are_the_same(engine, strategy, window, tmp_path):
    problem = shop_problem()
    rows = problem.rows("train")
    seeds = [torch.from_numpy(np.array(each)) for each in (rows.entity, rows.cutoff, rows.asof)]
    graphs = stored_graph.stored_graph(ArrayStore(tmp_path), problem.database), database_graph(problem.database)
    one, other = (
        TemporalSampler(graph, (5, 3), strategy, 7, window=window, engine=engine).sample("users", *seeds)
        for graph in graphs
    )
    same(one.rows, other.rows)
    same(one.tree, other.tree)
    same(one.edge_index, other.edge_index)
    assert torch.equal(one.degree, other.degree)
    assert all(tensor.dtype == torch.int64 for tensor in one.rows.values())


def reviews() -> Problem:
    tables = shop_tables()
    words = ["late", "broken", "fine", "good", "box", "never", "again", "red"]
    draw = np.random.default_rng(0)
    notes = [None if i % 7 == 0 else " ".join(draw.choice(words, 4)) for i in range(tables["orders"].num_rows)]
    tables["orders"] = tables["orders"].append_column("note", pa.array(notes).dictionary_encode())
    tables["orders"] = pa.concat_tables([tables["orders"].slice(0, 400), tables["orders"].slice(400)])
    database = shop(tables)
    database = database.with_table(replace(database["orders"], types={"note": SemanticType.TEXT}))
    return Problem(database, shop_task(database, tables))


@pytest.mark.parametrize("make", [shop_problem, planted_problem, reviews])
def test_the_columns_are_the_same(make):
    problem = make()
    encodings = fit_tables(problem)
    cpu = torch.device("cpu")
    held = problem_features(problem, encodings, cpu)
    mapped = problem_features(problem, encodings, cpu, store=store_of(problem, "disk"))
    for name, table in held.items():
        assert len(mapped[name]) == len(table)
        assert torch.equal(mapped[name].numeric.view(torch.int32), table.numeric.view(torch.int32))  # NaN too
        assert torch.equal(mapped[name].codes.long(), table.codes)
        assert torch.equal(mapped[name].moments, table.moments)
        assert torch.equal(mapped[name].known, table.known)
        for one, other in zip(mapped[name].texts, table.texts, strict=True):
            assert torch.equal(one.vectors[one.code.long()], other.vectors[other.code])
    assert make is not reviews or len(held["orders"].texts) == 1


@pytest.mark.parametrize("make", [planted_problem, reviews])
@pytest.mark.parametrize("options", [{}, {"strategy": "uniform", "edges": "shortcuts", "encoder": "frame"}])
def test_the_network_and_its_predictions_are_the_same(make, options, small):
    found = []
    for place in ("memory", "disk"):
        problem = make()
        config = {**small, **options, "store": place}
        candidate = RDL("cpu").fit(
            problem, shared_rows(problem), config, seed=0, number=0, budget=Budget(None), emit=silent
        )
        found.append(candidate.predictions)
        assert (store_of(problem, place) is None) == (place == "memory")
    assert np.array_equal(*found)


def test_equal_content_is_written_once(monkeypatch):
    def fit(problem):
        problem_features(problem, fit_tables(problem), torch.device("cpu"), store=store_of(problem, "disk"))
        stored_graph.stored_graph(store_of(problem, "disk"), problem.database)

    fit(shop_problem())

    def again(*args, **kwargs):
        raise AssertionError("written a second time")

    monkeypatch.setattr(stored_graph, "write_graph", again)
    monkeypatch.setattr(stored_features, "write_features", again)
    fit(shop_problem())
    with pytest.raises(AssertionError, match="second time"):
        fit(planted_problem())


def test_a_folder_appears_when_it_is_complete(tmp_path, monkeypatch):
    whole = stored_graph._RelationWriter.parents

    def cut(self, key):
        whole(self, key)
        raise KeyboardInterrupt

    monkeypatch.setattr(stored_graph._RelationWriter, "parents", cut)
    problem = shop_problem()
    with pytest.raises(KeyboardInterrupt):
        stored_graph.stored_graph(ArrayStore(tmp_path), problem.database)
    assert list(tmp_path.iterdir()) == []


def test_what_another_process_wrote_meanwhile_is_read(tmp_path):
    problem = shop_problem()

    def build(writer):
        stored_graph.stored_graph(ArrayStore(tmp_path), problem.database)
        stored_graph.write_graph(writer, problem.database, shortcuts=False)

    found = ArrayStore(tmp_path).get("graph", [problem.database.fingerprint, False], build)
    assert_same_graph(stored_graph.read_graph(found), database_graph(problem.database))
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("damage", ["cut", "missing", "manifest", "foreign"])
def test_a_damaged_folder_is_refused(damage, tmp_path):
    problem = shop_problem()
    stored_graph.stored_graph(ArrayStore(tmp_path), problem.database)
    (folder,) = tmp_path.iterdir()
    largest = max(folder.glob("*.bin"), key=lambda path: path.stat().st_size)
    if damage == "cut":
        largest.write_bytes(largest.read_bytes()[:-8])
    elif damage == "missing":
        largest.unlink()
    elif damage == "manifest":
        (folder / "manifest.json").write_text("{", encoding="utf-8")
    else:
        text = (folder / "manifest.json").read_text(encoding="utf-8")
        (folder / "manifest.json").write_text(text.replace('"identity": "', '"identity": "0'), encoding="utf-8")
        assert text != (folder / "manifest.json").read_text(encoding="utf-8")
    with pytest.raises(ConfigError, match=r"is damaged.*Delete the folder"):
        stored_graph.stored_graph(ArrayStore(tmp_path), problem.database)


def test_a_disk_without_room_is_said(tmp_path):
    resource = pytest.importorskip("resource")
    problem = shop_problem()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # larger files cannot be written
    try:
        with pytest.raises(UnwritableError, match=r"cannot be written.*RELSELECT_CACHE"):
            stored_graph.stored_graph(ArrayStore(tmp_path), problem.database)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_said(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("RELSELECT_CACHE", str(tmp_path / "file"))
    problem = shop_problem()
    with pytest.raises(UnwritableError, match="RELSELECT_CACHE"):
        stored_graph.stored_graph(store_of(problem, "disk"), problem.database)
    monkeypatch.setattr(placement, "free_memory", lambda: 0)
    assert store_of(problem, "auto") is None


def test_auto_takes_files_where_memory_is_short(monkeypatch):
    size = graph_bytes(shop_problem().database)
    for free, mapped in ((4 * size - 4, True), (4 * size + 4, False)):
        monkeypatch.setattr(placement, "free_memory", lambda free=free: free)
        problem = shop_problem()
        assert (store_of(problem, "auto") is not None) == mapped
        assert store_of(problem, "memory") is None


def test_the_estimate_is_near_the_truth(small):
    from relselect.problem.cache import size_of

    problem = shop_problem()
    graph = database_graph(problem.database)
    for relations in graph.relations.values():
        for each in relations:
            _ = each.array if hasattr(each, "parent") else each.arrays  # what the compiled loops read
    used = size_of([vars(r) for each in graph.relations.values() for r in each]) + size_of([graph.rank, graph.identity])
    used += size_of(problem_features(problem, fit_tables(problem), torch.device("cpu")))
    assert 0.5 * used < graph_bytes(problem.database) < 2 * used


def test_files_of_changed_copies_go_with_them(tmp_path):
    problem = shop_problem()
    copy = problem.over(problem.database)
    held = store_of(copy, "disk")
    stored_graph.stored_graph(held, copy.database)
    root = held.root
    assert root.is_dir()
    del held
    copy.artefacts = None
    assert not root.exists()
