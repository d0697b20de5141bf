"""TabPFN with weights of the real architecture, drawn at random: they are found, read, timed, used and saved."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from relselect.budget import Budget
from relselect.dfs.learners import LearnerFit, learner_of
from relselect.dfs.learners import in_context as rows
from relselect.dfs.learners.in_context import InContextModel, limits_of, weights_of
from relselect.dfs.learners.trees import Trees
from tests.dfs.learners.test_contract import SMALL, data
from tests.shop import shop_problem

#: A small network of the newest architecture.
SHAPE = {
    "max_num_classes": 10, "num_buckets": 16, "embed_dim": 32, "dist_embed_num_blocks": 1, "dist_embed_num_heads": 2,
    "dist_embed_num_inducing_points": 8, "feat_agg_num_blocks": 1, "feat_agg_num_heads": 2, "feat_agg_num_cls_tokens": 2,
    "nlayers": 1, "icl_num_heads": 2, "icl_num_kv_heads_test": 1, "decoder_head_dim": 8, "decoder_num_heads": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A cache folder of tabpfn with one file of weights."""
    import torch
    from tabpfn.architectures import ARCHITECTURES
    from tabpfn.checkpoint import save_as_safetensors
    from tabpfn.constants import ModelVersion
    from tabpfn.inference_config import InferenceConfig
    from tabpfn.model_loading import resolve_model_path
    from tabpfn.settings import settings

    found = tmp_path_factory.mktemp("weights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings.tabpfn, "model_cache_dir", found)
        torch.manual_seed(0)
        architecture = ARCHITECTURES["tabpfn_v3_5"]
        config, unused = architecture.parse_config(SHAPE)
        assert not unused
        declared = InferenceConfig.get_default("multiclass", ModelVersion.V2_5)
        (path,), _, _, _ = resolve_model_path(None, "classifier", version=ModelVersion.V3_5.value)
        state = architecture.get_architecture(config).state_dict()
        save_as_safetensors(
            {
                "state_dict": state,
                "config": asdict(config),
                "architecture_name": "tabpfn_v3_5",
                "inference_config": asdict(declared),
            },
            path,
        )
        yield found


def fit(kind: str, budget: Budget | None = None, rows: int = 120, **options) -> LearnerFit:
    learner, problem = learner_of("tabpfn"), shop_problem(kind)
    config = {**learner.default(problem), **SMALL["tabpfn"], "estimators": 1, **options}
    train, stop = data(kind, rows, 0), data(kind, 60, 1)
    return learner.fit(
        problem.task, config, train, stop, seed=0, budget=budget or Budget(None), progress=lambda *how: None
    )


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_weights_on_disk_are_read_and_used(folder, kind, tmp_path, monkeypatch):
    assert weights_of(kind) is not None
    assert weights_of(kind).parent == folder
    found = fit(kind)
    assert isinstance(found.model, InContextModel)
    assert found.notes == ()
    values = data(kind, 60, 1).features.values
    predicted = found.model.predict(values)
    assert predicted.shape == ((60, 3) if kind == "multiclass" else (60,))
    assert np.isfinite(predicted).all()
    monkeypatch.setattr(rows, "BLOCK", 25)
    assert np.allclose(found.model.predict(values), predicted, atol=1e-4 * max(1.0, float(np.abs(predicted).max())))
    found.model.save(tmp_path)
    loaded = learner_of("tabpfn").load(tmp_path)
    assert loaded.predict(values).tobytes() == found.model.predict(values).tobytes()


def test_other_weights_are_refused(folder, tmp_path):
    found = fit("binary")
    found.model.save(tmp_path)
    loaded = InContextModel.load(tmp_path)
    loaded._sha256 = "0" * 64
    with pytest.raises(ValueError, match="are others than the model was made with"):
        loaded.predict(np.zeros((1, 5)))


def test_rows_beyond_the_limit_of_the_weights_are_sampled(folder, monkeypatch):
    path = weights_of("binary")
    assert path is not None
    assert limits_of(path, "binary").classes == 10
    monkeypatch.setattr(rows, "limits_of", lambda *how: rows.Limits(40, 500, 10))
    assert len(fit("binary").model.label) == 40
    monkeypatch.setattr(rows, "limits_of", lambda *how: rows.Limits(40, 4, 10))
    assert "made for 4 features at most, and there are 5" in fit("binary").notes[0]


def test_what_the_budget_does_not_hold_is_left_to_lightgbm(folder, monkeypatch):
    monkeypatch.setattr("relselect.dfs.learners.tabpfn._AFFORDABLE", 1e-9)
    found = fit("binary", Budget(100))
    assert isinstance(found.model, Trees)
    assert "would take about" in found.notes[0]
    assert "LightGBM stands in" in found.notes[0]


def test_without_weights_lightgbm_stands_in_and_a_note_says_so(tmp_path, monkeypatch):
    from tabpfn.settings import settings

    monkeypatch.setattr(settings.tabpfn, "model_cache_dir", tmp_path)
    found = fit("regression")
    assert isinstance(found.model, Trees)
    assert found.rounds > 0
    assert "weights are not on disk" in found.notes[0]
    assert not learner_of("tabpfn").tuned(shop_problem("regression"))


def test_it_is_not_tuned_on_classification(folder):
    assert learner_of("tabpfn").tuned(shop_problem("regression"))
    assert not learner_of("tabpfn").tuned(shop_problem("binary"))
