"""The language model is trained further by masked tokens: on values alone, resumable, and on nothing that is later."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from relselect.budget import Budget
from relselect.cli.main import app
from relselect.errors import BudgetError, BudgetExhausted, ConfigError
from relselect.events import EpochDone, silent
from relselect.foundation import Foundation
from relselect.language import SentenceEncoder, sentence_encoder
from relselect.pretraining import PretrainingPlan, pretrain
from relselect.pretraining.corpus import choose_rows
from relselect.pretraining.masked_tokens import TokenVocabulary, mask_tokens, padded, token_rows
from relselect.pretraining.masking import Masking, language_card_of, rows_of
from relselect.rdl import RDL
from relselect.rdl.training.pretrained import read_pretrained
from tests.language.test_networks import fit
from tests.pretraining.small import CUT, with_later_rows, write_shop
from tests.rdl.conftest import make_problem, make_shop, shop_frames, small
from tests.rows import shared_rows
from tests.shop import shop, shop_tables

__all__ = ["make_problem", "make_shop", "shop_frames", "small"]

MASKING = {"epochs": 2, "mask": 0.3, "learning_rate": 3e-3, "head_rate": 1e-2, "batch_size": 16}


@pytest.fixture
def plan():
    facts = {"channels": 16, "rows": 200, "epochs": 1, "batch_size": 32, "fan_out": 4, "masking": MASKING}
    return PretrainingPlan(name="small", databases=["shop"], **facts)


def weights_of(folder):
    model = SentenceEncoder(folder, "cpu").loaded[1]
    return {name: each.clone() for name, each in model.state_dict().items() if not name.startswith("pooler.")}


def same(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@given(seed=st.integers(0, 2**32), share=st.floats(0.01, 0.99))
@settings(deadline=None, max_examples=40)
def test_no_name_of_the_schema_is_ever_masked(model, seed, share):
    tokenizer = SentenceEncoder(model, "cpu").loaded[0]
    text, spans = "users: city users; state kept users", [(12, 17), (25, 35)]
    (row,) = token_rows(tokenizer, [text], [spans])
    shown = tokenizer.convert_ids_to_tokens(row.tokens.tolist())
    values = [token for token, value in zip(shown, row.value.tolist(), strict=True) if value]
    assert values == ["users", "kept", "users"]
    vocabulary = TokenVocabulary.of(tokenizer, "")
    tokens, read, value = padded([row, row], vocabulary.pad)
    masked, chosen = mask_tokens(tokens, value, share, vocabulary, torch.Generator().manual_seed(seed))
    assert bool((chosen <= value).all())
    assert torch.equal(masked[~chosen], tokens[~chosen])
    assert bool(read.all())
    assert not set(masked[chosen].tolist()) & (set(tokenizer.all_special_ids) - {vocabulary.mask})


def test_as_many_tokens_are_masked_as_asked_and_most_of_them_by_the_mask(model):
    tokenizer = SentenceEncoder(model, "cpu").loaded[0]
    vocabulary = TokenVocabulary.of(tokenizer, "")
    row = token_rows(tokenizer, ["shop: c " + "kept " * 200], [[(8, 1008)]])[0]
    tokens, _, value = padded([row] * 50, vocabulary.pad)
    masked, chosen = mask_tokens(tokens, value, 0.15, vocabulary, torch.Generator().manual_seed(0))
    assert abs(float(chosen.sum() / value.sum()) - 0.15) < 0.01
    assert abs(float((masked[chosen] == vocabulary.mask).float().mean()) - 0.8) < 0.03
    assert abs(float((masked[chosen] == tokens[chosen]).float().mean()) - 0.1) < 0.03


def test_the_held_out_loss_falls_and_the_encoder_is_written_with_its_card(plan, installed, tmp_path):
    events = []
    masking = plan.masking.model_copy(update={"epochs": 8})
    plan = plan.model_copy(update={"masking": masking, "held_out": ["other"]})
    databases = {"shop": shop(), "other": shop(shop_tables(seed=5), "other")}
    found = pretrain(plan, tmp_path / "out", databases=databases, emit=events.append)
    assert found.language == tmp_path / "out" / "language"
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == [
        "README.md",
        "language",
        "weights.safetensors",
    ]
    card = language_card_of(found.language)
    losses = [each["held_out"]["other"] for each in card["curve"]]
    assert [each["epoch"] for each in card["curve"]] == list(range(9))
    assert losses[-1] < 0.8 * losses[0]
    assert sum(isinstance(each, EpochDone) and each.family == "masking" for each in events) == 9
    assert card["base"]["identity"] == sentence_encoder("").identity
    assert {each["database"]: each["held_out"] for each in card["data"]} == {"shop": False, "other": True}
    assert card["versions"]["torch"]
    assert "held out" in (found.language / "README.md").read_text()
    trained = SentenceEncoder(found.language, "cpu")
    assert trained.encode(["users: city c1"]).shape == (1, 16)
    assert found.card["language"]["identity"] == trained.identity != sentence_encoder("").identity
    assert not same(weights_of(found.language), weights_of(installed))


@pytest.mark.parametrize("layers", [0, 1, -1])
def test_only_the_layers_that_were_asked_for_change(plan, installed, tmp_path, layers):
    plan = plan.model_copy(update={"masking": plan.masking.model_copy(update={"layers": layers})})
    pretrain(plan, tmp_path / "out", databases={"shop": shop()})
    before, after = weights_of(installed), weights_of(tmp_path / "out" / "language")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert before.keys() == after.keys()
    if layers == 0:
        assert not changed
    elif layers == 1:
        assert changed
        assert all(name.startswith("encoder.layer.0.") for name in changed)
    else:
        assert "embeddings.word_embeddings.weight" in changed


def test_a_stop_goes_on_to_the_same_bits_and_what_is_done_is_not_done_again(plan, installed, tmp_path, monkeypatch):
    databases, steps = {"shop": shop()}, []
    usual = Masking.loss
    monkeypatch.setattr(Masking, "loss", lambda self, *asked: (steps.append(asked[0]), usual(self, *asked))[1])
    pretrain(plan, tmp_path / "whole", databases=databases)
    planned = list(steps)

    class Ends(Budget):
        """Ends in the middle of the second pass."""

        def check(self) -> None:
            if len(steps) >= len(planned) + 3 * len(planned) // 4:
                raise BudgetExhausted("cut")

    with pytest.raises(BudgetError, match="Run the same command again"):
        pretrain(plan, tmp_path / "cut", databases=databases, budget=Ends(None))
    assert [each.name for each in (tmp_path / "cut").iterdir()] == ["masking.safetensors"]
    pretrain(plan, tmp_path / "cut", databases=databases)
    assert len(steps) == 2 * len(planned)
    parts = [(tmp_path / each / "language" / "model.safetensors").read_bytes() for each in ("whole", "cut")]
    assert parts[0] == parts[1]
    pretrain(plan, tmp_path / "cut", databases=databases)
    assert len(steps) == 2 * len(planned)
    other = plan.model_copy(update={"seed": 1})
    pretrain(other, tmp_path / "cut", databases=databases)
    assert len(steps) > 2 * len(planned)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_law_the_encoder_depends_on_nothing_later_than_the_last_moment(plan, installed, tmp_path, seed):
    plan = plan.model_copy(update={"until": {"shop": f"1970-07-{CUT - 180:02d}"}})  # day 200
    found = []
    for number, database in enumerate((with_later_rows(seed), with_later_rows(seed + 10, 60))):
        tokenizer = sentence_encoder("").loaded[0]
        rows = rows_of(choose_rows(database, plan, plan.until["shop"]), tokenizer)
        assert not any("strange" in tokenizer.decode(row.tokens) for row in rows)
        if seed == 0:
            pretrain(plan, tmp_path / f"{number}", databases={"shop": database})
        found.append([(row.tokens.tolist(), row.value.tolist()) for row in rows])
    assert found[0] == found[1]
    if seed == 0:
        assert same(*(weights_of(tmp_path / f"{number}" / "language") for number in range(2)))


def test_networks_and_the_foundation_family_read_the_encoder_beside_the_weights(
    plan, make_problem, small, installed, tmp_path, monkeypatch
):
    pretrain(plan, tmp_path / "out", databases={"shop": shop()})
    problem, identity = make_problem(), SentenceEncoder(tmp_path / "out" / "language").identity
    begun = fit(problem, {**small, "init": str(tmp_path / "out"), "epochs": 1})
    named = fit(problem, {**small, "rows": "both", "language": str(tmp_path / "out" / "language"), "epochs": 1})
    for each in (begun, named):
        sentences = [spec.sentence for spec in each.model.blueprint.encodings.values() if spec.sentence is not None]
        assert {sentence.identity for sentence in sentences} == {identity}
    (tmp_path / "saved").mkdir()
    RDL("cpu").save(named, tmp_path / "saved")
    monkeypatch.setenv("RELSELECT_PRETRAINED", str(tmp_path / "out"))
    family = Foundation("cpu")
    assert np.isfinite(family.fit(
        problem, shared_rows(problem), family.default(problem), seed=0, number=0, budget=Budget(None), emit=silent
    ).score)  # fmt: skip
    # elsewhere the folder has another name, which the variable says
    (tmp_path / "out" / "language").rename(tmp_path / "moved")
    monkeypatch.setenv("RELSELECT_LANGUAGE_MODEL", str(tmp_path / "moved"))
    sentence_encoder.cache_clear()
    loaded = RDL("cpu").load(tmp_path / "saved", dataclasses.replace(named, model=None, checkpoints=()))
    assert np.array_equal(RDL("cpu").predict(loaded, make_problem(), problem.rows("val")), named.predictions)
    monkeypatch.delenv("RELSELECT_LANGUAGE_MODEL")
    sentence_encoder.cache_clear()
    with pytest.raises(ConfigError, match="is no language model on this machine"):
        RDL("cpu").predict(loaded, make_problem(), problem.rows("val"))


def test_too_many_layers_are_refused(plan, installed, tmp_path):
    plan = plan.model_copy(update={"masking": plan.masking.model_copy(update={"layers": 7})})
    with pytest.raises(ConfigError, match=r"masking.layers=7: is not among 0 to 1|is not among 0 to 1"):
        pretrain(plan, tmp_path / "out", databases={"shop": shop()})


def test_the_command_names_the_encoder(installed, tmp_path):
    write_shop(tmp_path)
    (tmp_path / "plan.yaml").write_text(
        f"name: x\ndatabases: ['{tmp_path}']\nrows: 100\nepochs: 1\nchannels: 8\nbatch_size: 32\nmasking: {{epochs: 1}}\n"
    )
    done = CliRunner().invoke(app, ["pretrain", str(tmp_path / "plan.yaml"), str(tmp_path / "out"), "--json", "-q"])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["language"] == str(tmp_path / "out" / "language")
    assert read_pretrained(str(tmp_path / "out")).language == SentenceEncoder(tmp_path / "out" / "language").identity
