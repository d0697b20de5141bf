"""Pretraining learns, goes on after a stop, writes whole weights or none, and reads nothing that is later."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from relselect.budget import Budget
from relselect.cli.main import app
from relselect.configs import config_path, known_databases
from relselect.errors import BudgetError, BudgetExhausted, ConfigError
from relselect.events import EpochDone
from relselect.language import sentence_encoder
from relselect.pretraining import PretrainingPlan, pretrain, read_pretraining_plan
from relselect.pretraining.corpus import read_source
from relselect.pretraining.objective import mask_rows
from relselect.pretraining.reconstruction import Reconstruction
from relselect.pretraining.training import Pretraining
from relselect.rdl.training.pretrained import WEIGHTS, read_pretrained
from relselect.tensor_files import read_metadata, save_state
from tests.pretraining.small import CUT, with_later_rows, write_shop
from tests.shop import shop, shop_tables


def state_of(folder):
    return {name: each.clone() for name, each in read_pretrained(str(folder)).shared.state_dict().items()}


def same(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def test_the_loss_falls_and_the_card_says_what_was_read(plan, installed, tmp_path):
    events = []
    plan = plan.model_copy(update={"epochs": 12, "held_out": ["other"], "rows": 900, "learning_rate": 1e-2})
    databases = {"shop": shop(), "other": shop(shop_tables(seed=5), "other")}
    found = pretrain(plan, tmp_path / "out", databases=databases, emit=events.append)
    curve = found.card["curve"]
    assert [each["epoch"] for each in curve] == list(range(13))
    assert curve[-1]["loss"] < 0.9 * curve[1]["loss"]
    assert curve[-1]["held_out"]["other"] < 0.95 * curve[0]["held_out"]["other"]
    assert sum(isinstance(each, EpochDone) for each in events) == 13
    card = json.loads(read_metadata(found.weights)["card"])
    assert card == found.card
    assert {each["database"]: each["held_out"] for each in card["data"]} == {"shop": False, "other": True}
    assert card["language"]["identity"] == sentence_encoder("").identity
    assert card["versions"]["torch"]
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == ["README.md", "weights.safetensors"]
    assert "held out" in (tmp_path / "out" / "README.md").read_text()


def test_a_stop_leaves_no_weights_and_the_same_call_goes_on_to_the_same_bits(plan, installed, tmp_path, monkeypatch):
    databases, steps = {"shop": shop()}, []
    usual = Reconstruction.loss
    monkeypatch.setattr(Reconstruction, "loss", lambda self, *asked: (steps.append(asked[1]), usual(self, *asked))[1])
    whole = state_of(pretrain(plan, tmp_path / "whole", databases=databases).weights.parent)
    planned = list(steps)

    class Ends(Budget):
        """Ends in the middle of an epoch."""

        def check(self) -> None:
            if len(steps) >= len(planned) + len(planned) // 2:
                raise BudgetExhausted("cut")

    with pytest.raises(BudgetError, match="Run the same command again"):
        pretrain(plan, tmp_path / "cut", databases=databases, budget=Ends(None))
    assert [each.name for each in (tmp_path / "cut").iterdir()] == ["training.safetensors"]
    assert same(state_of(pretrain(plan, tmp_path / "cut", databases=databases).weights.parent), whole)
    assert steps[len(planned) :] == planned  # it went on where it had been cut off


def strict(text: str):
    """Read JSON that holds nothing but what the standard has."""
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_what_is_undefined_is_null_in_the_card_and_read_from_either_form(plan, installed, tmp_path):
    found = pretrain(plan.model_copy(update={"epochs": 1}), tmp_path, databases={"shop": shop()})
    card = strict(read_metadata(found.weights)["card"])
    assert [card["curve"][0]["loss"], found.card["curve"][0]["loss"]] == [None, None]  # nothing was learnt from yet
    assert card["curve"][1]["loss"] > 0
    earlier = read_metadata(found.weights)["card"].replace('"loss": null', '"loss": NaN')
    assert "NaN" in earlier
    (tmp_path / "earlier").mkdir()
    save_state(state_of(tmp_path), tmp_path / "earlier" / WEIGHTS, metadata={"card": earlier})
    assert read_pretrained(str(tmp_path / "earlier")).card == found.card


def test_a_stopped_pretraining_keeps_standard_json_and_goes_on_with_nan(plan, installed, tmp_path, monkeypatch):
    usual, steps = Reconstruction.loss, []
    monkeypatch.setattr(Reconstruction, "loss", lambda self, *asked: (steps.append(1), usual(self, *asked))[1])

    class Ends(Budget):
        """Ends after five steps."""

        def check(self) -> None:
            if len(steps) >= 5:
                raise BudgetExhausted("cut")

    with pytest.raises(BudgetError):
        pretrain(plan, tmp_path, databases={"shop": shop()}, budget=Ends(None))
    facts = strict(read_metadata(tmp_path / "training.safetensors")["facts"])
    assert (facts["done"], facts["curve"][0]["loss"]) == (5, None)
    restored, run = [], Pretraining.run
    monkeypatch.setattr(
        Pretraining, "run", lambda self, budget: (restored.append(self.curve[0]["loss"]), run(self, budget))[1]
    )
    curve = pretrain(plan, tmp_path, databases={"shop": shop()}).card["curve"]
    assert np.isnan(restored[0])
    assert all(each["loss"] > 0 for each in curve[1:])


def test_the_state_of_another_plan_is_not_read(plan, installed, tmp_path):
    databases = {"shop": shop()}
    first = state_of(pretrain(plan, tmp_path / "a", databases=databases).weights.parent)
    other = plan.model_copy(update={"seed": 1})
    assert not same(state_of(pretrain(other, tmp_path / "a", databases=databases).weights.parent), first)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_law_weights_depend_on_nothing_later_than_the_last_moment(plan, installed, tmp_path, seed):
    plan = plan.model_copy(update={"until": {"shop": f"1970-07-{CUT - 180:02d}"}})  # day 200
    found = [
        state_of(pretrain(plan, tmp_path / f"{number}", databases={"shop": database}).weights.parent)
        for number, database in enumerate((with_later_rows(seed), with_later_rows(seed + 10, 60)))
    ]
    assert same(*found)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_law_no_vector_changes_when_later_rows_are_added(plan, installed, seed):
    """Every seed row up to a day has the same vector in both databases, bit for bit: its tree ends at its own time."""
    until = f"1970-07-{CUT - 180:02d}"
    first, other = (read_source(database, plan, until) for database in (with_later_rows(seed), with_later_rows(7, 30)))
    model = Reconstruction(sentence_encoder("").width, plan).eval()
    for table in sorted(first.seeds):
        vectors, keys = [], []
        for source in (first, other):
            seeds = source.seeds[table]
            batch = source.batchers[table].batch(seeds, torch.arange(len(seeds)))
            vectors.append(model.roots(source, table, batch).detach())
            keys.append(source.graph.identity[table][seeds.entity])
            for name, rows in batch.trees.rows.items():
                seen = source.graph.times[source.graph.rank[name][rows.clamp(min=0)]] if len(rows) else rows
                assert bool((seen <= seeds.asof[batch.trees.tree[name]]).all())
        assert torch.equal(*keys)
        assert torch.equal(*vectors)


def test_a_seed_row_that_comes_up_again_in_its_tree_is_masked_there(plan, installed):
    source = read_source(shop(), plan)
    table = "orders"
    batch = source.batchers[table].batch(source.seeds[table], torch.arange(20))
    masked, positions = mask_rows(batch, table, 0.0, 0.5, torch.Generator().manual_seed(0))
    assert 3 < len(positions) < 17
    roots = batch.trees.rows[table][:20]
    code = masked.nodes[table].table.texts[0].code
    assert bool((code[roots[positions]] == 0).all())
    others = torch.tensor(sorted(set(range(20)) - set(positions.tolist())))
    assert bool((code[roots[others]] > 0).all())
    assert bool((batch.nodes[table].table.texts[0].code[roots] > 0).all())  # the batch itself is as it was


@pytest.mark.parametrize("rows", [20, 150])
def test_every_table_has_seed_nodes_and_rows_that_were_read_are_used_again(plan, installed, rows):
    source = read_source(shop(), plan.model_copy(update={"rows": rows}))
    assert set(source.seeds) == set(shop().tables)
    read = {name: set(torch.nonzero(each.texts[0].code)[:, 0].tolist()) for name, each in source.tables.items()}
    assert sum(map(len, read.values())) == source.rows_read >= rows
    for table, seeds in source.seeds.items():
        assert len(seeds.entity.unique()) == len(seeds)
        assert set(seeds.entity.tolist()) <= read[table]
        trees = source.batchers[table].batch(seeds, torch.arange(len(seeds))).trees
        around, unread = torch.zeros(len(seeds)), torch.zeros(len(seeds))
        for name, nodes in trees.rows.items():
            missing = torch.tensor([int(row) not in read[name] for row in nodes], dtype=torch.float32)
            around += torch.bincount(trees.tree[name], minlength=len(seeds))
            unread += torch.bincount(trees.tree[name], missing, minlength=len(seeds))
        assert bool((unread <= around / 2).all())
    assert sum(map(len, source.seeds.values())) > 0.6 * source.rows_read


def test_bad_plans_are_refused(plan, installed, tmp_path):
    path = tmp_path / "plan.yaml"
    for text, wrong in [
        ("name: x\ndatabases: []", "databases"),
        ("name: x\ndatabases: [a]\nheld_out: [a]", "held_out"),
        ("name: x\ndatabases: [a]\nuntil: {b: '2000-01-01'}", "until"),
        ("name: x\ndatabases: [a]\nmask: 1.5", "mask"),
        ("name: x\ndatabases: [a]\nwidth: 3", "width"),
        ("- 1", "plan"),
    ]:
        path.write_text(text)
        with pytest.raises(ConfigError) as caught:
            read_pretraining_plan(path)
        assert caught.value.argument == wrong


def test_shipped_plans_are_read():
    plans = [read_pretraining_plan(path) for path in config_path("pretrain").glob("*.yaml")]
    assert plans
    for plan in plans:
        assert isinstance(plan, PretrainingPlan)
        assert {*plan.databases, *plan.held_out} <= set(known_databases())


def test_the_command_writes_weights(installed, tmp_path):
    write_shop(tmp_path)
    (tmp_path / "plan.yaml").write_text(
        f"name: x\ndatabases: ['{tmp_path}']\nrows: 100\nepochs: 1\nchannels: 8\nbatch_size: 32\n"
    )
    done = CliRunner().invoke(app, ["pretrain", str(tmp_path / "plan.yaml"), str(tmp_path / "out"), "--json", "-q"])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["epochs"] == 1
    assert read_pretrained(str(tmp_path / "out")).identity == result["identity"]
