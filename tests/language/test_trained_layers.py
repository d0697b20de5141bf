"""Layers of the language model that train with the network: like the frozen ones at first, then trained, saved, resumed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from relselect.budget import Budget
from relselect.errors import BundleError, ConfigError
from relselect.events import silent
from relselect.families import info_of
from relselect.language import sentence_encoder
from relselect.rdl import RDL
from relselect.rdl.family import blueprint_of
from relselect.rdl.network.language_layers import LanguageLayers
from relselect.rdl.settings import NetworkSettings
from relselect.rdl.training.fitted import FittedNetwork, batcher_of, row_tensors
from relselect.rdl.training.pretrained import decided_options, new_network
from relselect.rdl.training.probe import NetworkProbe
from tests.families.contract import FamilyContract, fit_of
from tests.language.test_networks import fit
from tests.language.tiny import write_model
from tests.pretraining.small import small_weights
from tests.rdl.conftest import make_problem, make_shop, shop_frames, small

__all__ = ["make_problem", "make_shop", "shop_frames", "small"]

JOINT = {"rows": "both", "language_layers": 1, "language_rate": 1e-3}


class Joint(RDL):
    """The graph network whose default trains a layer of the language model."""

    def default(self, problem):
        return {**super().default(problem), **JOINT}


class TestContract(FamilyContract):
    @pytest.fixture
    def info(self, installed):
        return dataclasses.replace(info_of("rdl"), make=lambda: Joint("cpu"))

    @pytest.fixture(params=["binary"])  # the label is read after the layers that are trained here
    def fit(self, family, request):
        return fit_of(family, request.param)


def language_of(state):
    return {name.partition("weights.")[2]: each for name, each in state.items() if ".language." in name}


@pytest.mark.parametrize(("layers", "init"), [(1, False), (-1, False), (1, True)])
def test_before_the_first_step_vectors_are_those_of_the_frozen_model(make_problem, installed, tmp_path, layers, init):
    problem, found = make_problem(), []
    options = {"rows": "both", "channels": 16, "layers": 2, "fan_out": 4}
    if init:
        options |= {"init": str(small_weights(installed, tmp_path)), "rows": "language"}
    for each in (0, layers):
        blueprint = blueprint_of(problem, decided_options(NetworkSettings(**options, language_layers=each)))
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = new_network(blueprint, problem, torch.device("cpu")).eval()
            torch.nn.init.normal_(network.members[0].head[-1].weight, generator=torch.Generator().manual_seed(1))
        found.append(FittedNetwork(blueprint, network, torch.device("cpu")).predict(problem, problem.rows("val")))
    assert found[0].std() > 0.01
    assert np.allclose(*found, atol=5e-3)


def test_the_layers_are_trained_at_their_own_rate(make_problem, small, installed):
    problem, base = make_problem(), dict(sentence_encoder("").loaded[1].named_parameters())
    for rate, moved in ((1e-3, True), (0.0, False)):
        candidate = fit(problem, {**small, **JOINT, "rows": "language", "language_rate": rate, "epochs": 6})
        assert candidate.score > 0.8
        for checkpoint in candidate.checkpoints:
            held = language_of(checkpoint.state)
            assert held
            assert all(name.startswith("encoder/layer/0/") for name in held)
            same = [torch.equal(each, base[name.replace("/", ".")].cpu()) for name, each in held.items()]
            assert not any(same) if moved else all(same)


def test_the_whole_model_and_several_members_can_be_trained(make_problem, small, installed):
    candidate = fit(make_problem(), {**small, **JOINT, "language_layers": -1, "members": 2, "epochs": 1})
    held = language_of(candidate.model.network.state_dict())
    assert "embeddings/word_embeddings/weight" in held
    assert not any("pooler" in name for name in held)
    first, second = (
        {name: each for name, each in candidate.model.network.state_dict().items() if f"members.{place}.lang" in name}
        for place in (0, 1)
    )
    assert first.keys() != second.keys()
    assert len(first) == len(second) == len(held)


def test_too_many_layers_are_refused(make_problem, small, installed):
    with pytest.raises(ConfigError, match="is not among 0 to 1, the layers of the language model"):
        fit(make_problem(), {**small, **JOINT, "language_layers": 2})
    with pytest.raises(ConfigError, match="must be at least -1"):
        fit(make_problem(), {**small, **JOINT, "language_layers": -2})


def test_only_the_different_rows_of_a_batch_are_encoded(make_problem, installed, monkeypatch):
    problem, encoded = make_problem(), []
    blueprint = blueprint_of(
        problem, NetworkSettings(rows="language", channels=16, layers=2, fan_out=4, language_layers=1)
    )
    network = new_network(blueprint, problem, torch.device("cpu")).eval()
    batcher = batcher_of(blueprint, problem, torch.device("cpu"))
    rows = row_tensors(blueprint, problem.rows("val"), torch.device("cpu"))
    batch = batcher.batch(rows, torch.arange(8))
    usual = LanguageLayers._vectors
    monkeypatch.setattr(
        LanguageLayers,
        "_vectors",
        lambda self, tokens: (encoded.extend(map(tuple, tokens.tolist())), usual(self, tokens))[1],
    )
    network(batch)
    sentences = {
        tuple(part.table.texts[0].vectors[code].tolist())
        for name, part in batch.nodes.items()
        if name != "__labels__"
        for code in part.table.texts[0].code[part.rows.clamp(min=0)].tolist()
    }
    assert len(encoded) == len(sentences)
    assert set(encoded) == sentences
    assert len(sentences) < sum(len(batcher.tables[name].texts[0].vectors) - 1 for name in ("users", "shops", "orders"))


def test_flatness_has_second_derivatives(make_problem, small, installed):
    problem = make_problem()
    candidate = fit(problem, {**small, **JOINT, "epochs": 1})
    probe = NetworkProbe(candidate.model, candidate.checkpoints, problem, problem.rows("val"))
    parameters = {name: each.requires_grad_() for name, each in probe.parameters(0).items()}
    names = [name for name in parameters if ".language." in name]
    slopes = torch.autograd.grad(probe.loss(parameters), [parameters[name] for name in names], create_graph=True)
    curved = torch.autograd.grad(
        sum((each**2).sum() for each in slopes), [parameters[name] for name in names], allow_unused=True
    )
    assert any(each is not None and float(each.abs().max()) > 0 for each in curved)
    assert all(each is None or bool(torch.isfinite(each).all()) for each in curved)


def test_a_saved_network_needs_the_language_model_it_was_trained_with(make_problem, small, installed, tmp_path):
    problem = make_problem()
    candidate = fit(problem, {**small, **JOINT, "epochs": 1})
    RDL("cpu").save(candidate, tmp_path)
    header = dataclasses.replace(candidate, model=None, checkpoints=())
    found = RDL("cpu").predict(RDL("cpu").load(tmp_path, header), make_problem(), problem.rows("val"))
    assert np.array_equal(found, candidate.predictions)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RELSELECT_LANGUAGE_MODEL", str(write_model(tmp_path / "other", seed=5)))
        sentence_encoder.cache_clear()
        with pytest.raises(BundleError, match="holds the last layers of a language model alone"):
            RDL("cpu").load(tmp_path, header)
    sentence_encoder.cache_clear()


def test_a_stopped_training_goes_on_to_the_same_bits(make_problem, small, installed, tmp_path):
    problem, config = make_problem(), {**small, **JOINT, "epochs": 3}

    class Killed(RuntimeError):
        pass

    def listen(limit):
        seen = []

        def emit(event):
            if type(event).__name__ == "EpochDone":
                seen.append(event)
                if len(seen) == limit:
                    raise Killed

        return emit

    def trained(folder, emit=silent):
        from tests.rows import shared_rows

        return RDL("cpu").fit(
            problem, shared_rows(problem), config, seed=0, number=0, budget=Budget(None), emit=emit, resume=folder
        )

    whole = trained(tmp_path / "whole")
    with pytest.raises(Killed):
        trained(tmp_path / "cut", listen(2))
    assert np.array_equal(trained(tmp_path / "cut").predictions, whole.predictions)
