"""Graph networks that begin with pretrained weights: what is placed, frozen or trained, saved, refused, and the law of time."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import optuna
import pyarrow as pa
import pytest
import torch

from relselect.budget import Budget
from relselect.errors import ConfigError
from relselect.events import silent
from relselect.families.options import adjusted_family
from relselect.language import sentence_encoder
from relselect.pretraining.corpus import read_source
from relselect.pretraining.reconstruction import Reconstruction
from relselect.rdl import RDL
from relselect.rdl.family import blueprint_of
from relselect.rdl.graph.table_encoding import TableEncoding
from relselect.rdl.network.model import Blueprint, RelationalNetwork
from relselect.rdl.network.shared_layers import copy_shared
from relselect.rdl.network.target import Target
from relselect.rdl.settings import NetworkSettings
from relselect.rdl.training.pretrained import (
    decided_options,
    new_network,
    read_pretrained,
    split_parameters,
    write_pretrained,
)
from tests.language.tiny import write_model
from tests.rdl.conftest import make_problem, make_shop, shop_frames, small
from tests.rows import shared_rows
from tests.shop import shop

__all__ = ["make_problem", "make_shop", "shop_frames", "small"]


def fit(problem, config, **how):
    rows = shared_rows(problem)
    return RDL("cpu").fit(problem, rows, config, seed=0, number=0, budget=Budget(None), emit=silent, **how)


@pytest.fixture
def begun(small, weights, installed):
    """Options of a small network that begins with pretrained weights."""
    return {**small, "init": str(weights), "epochs": 2}


def test_a_network_with_placed_weights_computes_what_pretraining_computed(plan, weights, installed):
    source = read_source(shop(), plan)
    model = Reconstruction(sentence_encoder("").width, plan).eval()
    model.shared.load_state_dict(read_pretrained(str(weights)).shared.state_dict())
    for table in sorted(source.seeds):
        batch = source.batchers[table].batch(source.seeds[table], torch.arange(8))
        wanted = model.roots(source, table, batch)
        settings = NetworkSettings(channels=16, layers=2, convolution="sage", aggregation="mean", mark=False)
        target = Target("binary", 1, 0.0, 1.0, False, (0.0,))
        blueprint = Blueprint(table, source.graph.edge_types, source.encodings, TableEncoding(), target, settings)
        network = RelationalNetwork(blueprint).eval()
        before = network.embed(batch)[:, :16]
        copy_shared(model.shared, [network], source.statistics)
        found = network.embed(batch)[:, :16]
        assert torch.allclose(found, wanted, atol=1e-5)
        assert not torch.allclose(found, before, atol=1e-2)


@pytest.mark.parametrize("rows", ["language", "both"])
@pytest.mark.parametrize("frozen", [True, False])
def test_frozen_weights_stay_and_others_move(make_problem, begun, weights, rows, frozen):
    problem = make_problem()
    candidate = fit(problem, {**begun, "rows": rows, "frozen": frozen})
    assert candidate.facts["pretrained"] == read_pretrained(str(weights)).identity
    network = candidate.model.network
    start = new_network(candidate.model.blueprint, problem, torch.device("cpu"))
    _, pretrained = split_parameters(network, candidate.model.blueprint)
    _, before = split_parameters(start, candidate.model.blueprint)
    assert len(pretrained) > 10
    same = [torch.equal(left, right) for left, right in zip(pretrained, before, strict=True)]
    assert all(same) if frozen else not any(same[:4])
    fresh, _ = split_parameters(network, candidate.model.blueprint)
    assert any(
        not torch.equal(*pair)
        for pair in zip(fresh, split_parameters(start, candidate.model.blueprint)[0], strict=True)
    )


def test_it_learns_what_was_planted(make_problem, begun):
    assert fit(make_problem(), {**begun, "rows": "both", "epochs": 8}).score > 0.75


def test_the_weights_decide_the_architecture_and_options_may_fix_them(make_problem, weights, installed):
    problem = make_problem()
    family = adjusted_family(RDL("cpu"), {"init": str(weights), "frozen": True})
    config = family.default(problem)
    wanted = {"channels": 16, "layers": 2, "convolution": "sage", "aggregation": "mean", "rows": "language"}
    assert {name: config[name] for name in wanted} == wanted
    assert config["frozen"] is True
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(0))
    assert family.space(study.ask(), problem)["init"] == str(weights)


def test_weights_are_in_the_search_space_where_they_are_at_hand(make_problem, weights, installed, monkeypatch):
    problem, study = make_problem(), optuna.create_study(sampler=optuna.samplers.RandomSampler(0))
    assert RDL("cpu").space(study.ask(), problem)["init"] == "scratch"
    monkeypatch.setenv("RELSELECT_PRETRAINED", str(weights))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(0))
    found = {RDL("cpu").space(study.ask(), problem)["init"] for _ in range(20)}
    assert found == {"scratch", str(weights / "weights.safetensors")}


def test_a_saved_network_needs_no_folder_of_weights(make_problem, begun, weights, tmp_path):
    problem, copied = make_problem(), tmp_path / "weights"
    shutil.copytree(weights, copied)
    candidate = fit(problem, {**begun, "init": str(copied), "rows": "both", "refit": "continue"})
    (tmp_path / "saved").mkdir()
    RDL("cpu").save(candidate, tmp_path / "saved")
    shutil.rmtree(copied)
    header = dataclasses.replace(candidate, model=None, checkpoints=())
    loaded, rows = RDL("cpu").load(tmp_path / "saved", header), problem.rows("val")
    assert np.array_equal(RDL("cpu").predict(loaded, make_problem(), rows), candidate.predictions)
    again = RDL("cpu").refit(loaded, problem, shared_rows(problem), budget=Budget(None), emit=silent)
    assert np.isfinite(RDL("cpu").predict(again, problem, rows)).all()


def test_the_law_predictions_do_not_depend_on_hidden_rows(make_problem, begun, shop_frames, make_shop):
    problem = make_problem()
    candidate = fit(problem, {**begun, "rows": "both"})
    rows = problem.rows("val")
    asof = int(rows.asof.min())
    rows = rows.take(rows.asof == asof)
    orders = shop_frames["orders"].to_pandas()
    hidden = orders["when"].astype("datetime64[us]").astype("int64") > asof
    orders.loc[hidden, "price"] = -5.0
    changed = {**shop_frames, "orders": pa.Table.from_pandas(orders, preserve_index=False)}
    found = RDL("cpu").predict(candidate, problem.rebind(make_shop(changed)), rows)
    assert np.allclose(found, RDL("cpu").predict(candidate, problem, rows), atol=1e-5, rtol=0)


def test_the_law_initial_weights_do_not_depend_on_rows_after_training(make_problem, begun, shop_frames, make_shop):
    problem = make_problem()
    orders = shop_frames["orders"].to_pandas()
    hidden = orders["when"].astype("datetime64[us]").astype("int64") > problem.fit_asof
    assert hidden.any()
    orders.loc[hidden, "price"] = -5.0
    changed = {**shop_frames, "orders": pa.Table.from_pandas(orders, preserve_index=False)}
    settings = decided_options(NetworkSettings(init=begun["init"]))
    states = []
    for each in (problem, problem.rebind(make_shop(changed))):
        blueprint = blueprint_of(problem, settings)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            states.append(new_network(blueprint, each, torch.device("cpu")).state_dict())
    for name, value in states[0].items():
        assert torch.allclose(value, states[1][name], atol=1e-5), name


def test_bad_weights_are_refused(make_problem, begun, weights, tmp_path, monkeypatch):
    problem = make_problem()
    with pytest.raises(ConfigError, match="is no file of pretrained weights"):
        fit(problem, {**begun, "init": str(tmp_path / "nothing")})
    (tmp_path / "weights.safetensors").write_bytes((weights / "weights.safetensors").read_bytes()[:-8])
    with pytest.raises(ConfigError, match="holds no readable pretrained weights"):
        fit(problem, {**begun, "init": str(tmp_path)})
    found = read_pretrained(str(weights))
    write_pretrained(found.shared, {**found.card, "language": {"identity": "0" * 32}}, tmp_path / "other")
    with pytest.raises(ConfigError, match="reads the language model"):
        fit(problem, {**begun, "init": str(tmp_path / "other")})


def test_another_language_model_is_refused(make_problem, begun, tmp_path, monkeypatch):
    monkeypatch.setenv("RELSELECT_LANGUAGE_MODEL", str(write_model(tmp_path / "other", seed=5)))
    sentence_encoder.cache_clear()
    with pytest.raises(ConfigError, match="reads the language model"):
        fit(make_problem(), begun)
