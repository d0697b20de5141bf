"""The family on a small shop: it learns, reads nothing hidden, saves, loads, chooses checkpoints, and keeps to its budget."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
import torch

from relselect.budget import Budget
from relselect.database import Database
from relselect.database.clock import DAY
from relselect.errors import BudgetExhausted, BundleError, ConfigError
from relselect.events import EpochDone, silent
from relselect.families.protocol import Family
from relselect.problem import Problem
from relselect.rdl import RDL
from relselect.rdl.network.convolutions import CONVOLUTIONS
from relselect.rdl.network.target import Target
from relselect.tasks import Task
from relselect.tuning.nearest import nearest_point
from tests.rdl.training.together import numeric_problem
from tests.rows import shared_rows


def fit(problem, config, seed=0, budget=None, emit=silent):
    return RDL("cpu").fit(problem, shared_rows(problem), config, seed=seed, number=0, budget=Budget(budget), emit=emit)


@pytest.fixture(scope="module")
def problem(make_problem):
    return make_problem()


@pytest.fixture(scope="module")
def fitted(problem, small):
    return fit(problem, small)


def test_it_is_a_family():
    assert isinstance(RDL(), Family)


def test_it_learns_what_was_planted(fitted):
    assert fitted.score > 0.85
    assert fitted.interval[0] <= fitted.score <= fitted.interval[1]
    assert 1 <= len(fitted.checkpoints) <= 3
    assert [each.score for each in fitted.checkpoints] == sorted(
        (each.score for each in fitted.checkpoints), reverse=True
    )
    assert fitted.facts["parameters"] > 0
    assert len(fitted.curve.points) >= 1


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("regression", {}),
        ("multiclass", {"features": True}),
        ("binary", {"regime": "frozen"}),
        ("binary", {"static": True}),
    ],
)
def test_every_kind_and_regime_trains(make_problem, small, kind, options):
    problem = make_problem(kind, **options)
    candidate = fit(problem, {**small, "strategy": "uniform", "aggregation": "max"})
    label = problem.rows("val").label
    shape = (len(label), 3) if kind == "multiclass" else (len(label),)
    assert candidate.predictions.shape == shape
    constant = -np.abs(label - np.median(problem.rows("train").label)).mean() if kind == "regression" else 0.55
    assert candidate.score > constant


def test_the_pytorch_frame_encoder_learns_and_saves(problem, small, tmp_path):
    candidate = fit(problem, {**small, "encoder": "frame"})
    assert candidate.score > 0.8
    rows = problem.rows("val")
    RDL("cpu").save(candidate, tmp_path)
    loaded = RDL("cpu").load(tmp_path, dataclasses.replace(candidate, model=None, checkpoints=()))
    assert np.array_equal(RDL("cpu").predict(loaded, problem, rows), candidate.predictions)
    order = np.random.default_rng(0).permutation(len(rows))
    shuffled = RDL("cpu").predict(candidate, problem, rows.take(order))
    assert np.allclose(shuffled, candidate.predictions[order], atol=1e-5, rtol=0)


def test_equal_seeds_give_equal_fits(problem, small, fitted):
    again = fit(problem, small)
    assert np.array_equal(again.predictions, fitted.predictions)
    assert not np.array_equal(fit(problem, small, seed=1).predictions, fitted.predictions)
    one, other = (fit(problem, {**small, "routes": "composite", "epochs": 2}) for _ in range(2))
    assert np.array_equal(one.predictions, other.predictions)
    assert not np.array_equal(one.predictions, fitted.predictions)


def test_a_fit_leaves_the_callers_random_numbers_alone(problem, small):
    torch.manual_seed(5)
    wanted = torch.rand(1)
    torch.manual_seed(5)
    fit(problem, {**small, "epochs": 1})
    assert torch.equal(torch.rand(1), wanted)


@pytest.mark.parametrize("routes", ["off", "composite"])
@pytest.mark.parametrize("strategy", ["last", "uniform"])
def test_predictions_do_not_depend_on_the_batch(problem, small, strategy, routes):
    candidate = fit(problem, {**small, "strategy": strategy, "routes": routes, "epochs": 1})
    rows = problem.rows("val")
    whole = RDL("cpu").predict(candidate, problem, rows)
    order = np.random.default_rng(0).permutation(len(rows))
    assert np.allclose(RDL("cpu").predict(candidate, problem, rows.take(order)), whole[order], atol=1e-5, rtol=0)
    alone = [
        RDL("cpu").predict(candidate, problem, rows.take(np.array([place])))[0] for place in range(0, len(rows), 17)
    ]
    assert np.allclose(alone, whole[::17], atol=1e-5, rtol=0)


@pytest.mark.parametrize("routes", ["off", "composite"])
@pytest.mark.parametrize("strategy", ["last", "uniform"])
def test_predictions_do_not_depend_on_hidden_rows(problem, small, shop_frames, make_shop, strategy, routes):
    candidate = fit(problem, {**small, "strategy": strategy, "routes": routes, "epochs": 1})
    rows = problem.rows("val")
    asof = int(rows.asof.min())
    rows = rows.take(rows.asof == asof)
    draw = np.random.default_rng(3)
    orders = shop_frames["orders"].to_pandas()
    hidden, later = (orders[column].astype("datetime64[us]").astype("int64") > asof for column in ("when", "closed"))
    orders.loc[later, "state"] = "elsewhere"
    orders = orders[~hidden | (draw.random(len(orders)) < 0.5)].sample(frac=1.0, random_state=1)
    assert len(orders) < shop_frames["orders"].num_rows
    changed = {**shop_frames, "orders": pa.Table.from_pandas(orders, preserve_index=False)}
    other = problem.rebind(make_shop(changed))
    before, after = (RDL("cpu").predict(candidate, each, rows) for each in (problem, other))
    assert np.allclose(before, after, atol=1e-5, rtol=0)


def test_unknown_entities_and_empty_requests_get_predictions(problem, fitted):
    rows = problem.rows("val").take(np.arange(3))
    strangers = dataclasses.replace(rows, entity=np.full(3, -1))
    assert np.isfinite(RDL("cpu").predict(fitted, problem, strangers)).all()
    assert RDL("cpu").predict(fitted, problem, rows.take(np.arange(0))).shape == (0,)


def test_saved_and_loaded_predictions_are_bit_identical(problem, fitted, tmp_path):
    family = RDL("cpu")
    family.save(fitted, tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.suffix not in (".json", ".safetensors")]
    loaded = family.load(tmp_path, dataclasses.replace(fitted, model=None, checkpoints=()))
    assert np.array_equal(family.predict(loaded, problem, problem.rows("val")), fitted.predictions)
    assert [each.score for each in loaded.checkpoints] == [each.score for each in fitted.checkpoints]
    chosen = family.choose(loaded, len(loaded.checkpoints) - 1)
    assert np.isfinite(family.predict(chosen, problem, problem.rows("val"))).all()
    (tmp_path / "network.safetensors").unlink()
    with pytest.raises(BundleError, match="network"):
        family.load(tmp_path, fitted)


def test_choosing_a_checkpoint_changes_the_network_of_the_copy_only(problem, fitted):
    family, rows = RDL("cpu"), problem.rows("val")
    last = len(fitted.checkpoints) - 1
    chosen = family.choose(fitted, last)
    score = problem.task.metric.score(rows.label, family.predict(chosen, problem, rows))
    assert score == pytest.approx(fitted.checkpoints[last].score)
    assert np.array_equal(family.predict(fitted, problem, rows), fitted.predictions)


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_the_probe_is_smooth(make_problem, small, kind):
    problem = make_problem(kind)
    candidate = fit(problem, {**small, "epochs": 1, "layers": 1})
    probe = RDL("cpu").probe(candidate, problem, shared_rows(problem))
    weights = {name: tensor.requires_grad_() for name, tensor in probe.parameters(0).items()}
    loss = probe.loss(weights)
    assert torch.equal(loss, probe.loss(weights))
    slope = torch.autograd.grad(loss, list(weights.values()), create_graph=True, allow_unused=True)
    length = sum((each**2).sum() for each in slope if each is not None)
    curvature = torch.autograd.grad(length, list(weights.values()), allow_unused=True)
    assert any(each is not None and each.abs().max() > 0 for each in curvature)
    assert "channels" in probe.architecture


def test_the_budget_is_kept(problem, small):
    with pytest.raises(BudgetExhausted):
        fit(problem, small, budget=1e-9)
    begun = Budget()
    candidate = fit(problem, {**small, "epochs": 10_000, "patience": 10_000}, budget=3)
    assert begun.elapsed() < 6
    assert np.isfinite(candidate.score)


def test_epochs_are_told(problem, small):
    events = []
    fit(problem, {**small, "epochs": 2}, emit=events.append)
    epochs = [event for event in events if isinstance(event, EpochDone)]
    assert [event.epoch for event in epochs] == [0, 1]
    assert epochs[0].family == "rdl"


@pytest.mark.parametrize(
    "config",
    [{"chanels": 3}, {"channels": 0}, {"dropout": 1.5}, {"strategy": "first"}, {"layers": 1.5}, {"routes": "atomic"}],
)
def test_wrong_options_are_refused(problem, config):
    with pytest.raises(ConfigError, match=next(iter(config))):
        fit(problem, config)


def test_a_large_label_is_standardised_before_it_is_rounded():
    label = torch.tensor([1e12, 1e12 + 1.0], dtype=torch.float64)
    target = Target("regression", 1, 1e12 + 0.5, 0.5, True, (0.0,))
    assert target.loss(torch.tensor([[-1.0], [1.0]]), label).item() == 0.0


@pytest.mark.parametrize("regime", ["rolling", "frozen"])
def test_a_study_tries_wider_trees_and_routes_after_the_default(make_problem, regime):
    problem, family = make_problem(regime=regime), RDL("cpu")
    wider, routes = family.alternatives(problem)
    points = []
    for config in (routes, wider):
        point, inside = nearest_point(family, problem, config)
        assert inside
        assert config != family.default(problem)
        points.append(point)
    assert points[0]["routes"] == "composite"
    assert (points[1]["layers"], points[1]["fan_out"], points[1]["routes"]) == (3, 16, "off")


def test_without_a_bridge_table_no_routes_are_tried():
    problem, family = numeric_problem(), RDL("cpu")
    assert [config["routes"] for config in family.alternatives(problem)] == ["off"]


@pytest.mark.parametrize(
    "change", [{"members": 2}, {"level": False}, {"texts": "all"}, {"fan_out": 4}, {"routes": "composite"}]
)
def test_what_changes_the_weights_is_another_architecture(make_problem, small, change):
    """Flatness compares weights of one shape only."""
    problem, family = make_problem("regression"), RDL("cpu")
    plain, other = (fit(problem, {**small, "epochs": 1, **extra}) for extra in ({}, change))
    assert (
        family.probe(plain, problem, shared_rows(problem)).architecture
        != family.probe(other, problem, shared_rows(problem)).architecture
    )


@pytest.mark.parametrize(
    "options",
    [
        *({"convolution": name} for name in CONVOLUTIONS),
        *({"convolution": name, "routes": "composite"} for name in CONVOLUTIONS),
        {"routes": "composite", "layers": 3, "jumping": True, "members": 2, "strategy": "uniform"},
        {"jumping": True},
        {"layers": 1},
        {"layers": 3},
        {"mark": False, "layers": 4},
        {"without": ["shops"]},
    ],
    ids=str,
)
def test_the_design_space_is_reached_by_configuration(problem, small, options, tmp_path):
    candidate = fit(problem, {**small, **options})
    assert candidate.score > 0.7
    rows = problem.rows("val").unlabelled()
    family, half = RDL("cpu"), len(rows) // 2
    parts = [family.predict(candidate, problem, rows.take(part)) for part in (slice(0, half), slice(half, None))]
    assert np.allclose(np.concatenate(parts), family.predict(candidate, problem, rows), atol=1e-5, rtol=0)
    family.save(candidate, tmp_path)
    loaded = family.load(tmp_path, dataclasses.replace(candidate, model=None, checkpoints=()))
    assert family.predict(loaded, problem, rows).tobytes() == family.predict(candidate, problem, rows).tobytes()
    assert set(options.get("without", ())).isdisjoint(family.reads(candidate))


@pytest.mark.parametrize("left_out", [["users"], ["nowhere"], "shops", [3]])
def test_only_tables_beside_the_entitys_are_left_out(problem, small, left_out):
    with pytest.raises(ConfigError, match="without"):
        fit(problem, {**small, "without": left_out})


def test_composite_routes_are_searched_and_taken_where_there_is_a_bridge_table(problem, small, shop_frames):
    family = RDL("cpu")
    assert family.known(problem)["routes"] == ["off", "composite"]
    assert family.adjusted(problem, {"routes": "composite"})["routes"] == "composite"
    database = Database.from_dataframes(
        {name: shop_frames[name] for name in ("users", "orders")},
        keys={"users": "id", "orders": "order"},
        times={"orders": "when"},
        foreign_keys={"orders": {"user": "users"}},
    )
    day = pa.array(np.repeat(np.arange(60, 300, 30), 10) * DAY).cast(pa.timestamp("us"))
    labels = pa.table({"user": np.tile(np.arange(10), 8), "date": day, "label": np.arange(80) % 3 == 0})
    options = {"entity": "users", "kind": "binary", "time": "date", "entity_columns": "user", "horizon": "30d"}
    without = Problem(database, Task.from_labels(database, labels, name="returns", **options))
    assert family.known(without)["routes"] == ["off"]
    for build in (family.adjusted, lambda one, config: fit(one, {**small, **config})):
        with pytest.raises(ConfigError, match="two foreign keys"):
            build(without, {"routes": "composite"})
