from __future__ import annotations

import itertools
import json
import math
from dataclasses import fields, replace

import jsonschema
import numpy as np
import pytest

from relselect.bank import BankFolder, BankTask, BankTrial, LabelledPart, PerformanceBank
from relselect.bank.arrays import order_of
from relselect.bank.rows import trial_id
from relselect.bank.schema import manifest_schema, rows_schema
from relselect.configs import config_path
from relselect.errors import BankError


def task(name: str = "t", **changes) -> BankTask:
    usual = {
        "id": f"id-{name}", "database": "d", "name": name, "origin": "real", "kind": "binary", "metric": "roc_auc",
        "regime": "rolling", "label_history": True, "refitted_over_time": False, "validation": "cutoffs",
    }  # fmt: skip
    return BankTask(**{**usual, **changes})


def trial(of: BankTask, family: str = "ridge", seed: int = 0, **changes) -> BankTrial:
    config = {"penalty": 1.0}
    row = BankTrial(
        id=trial_id(task=of.id, family=family, config=config, seed=seed, generation=1),
        task=of.id, family=family, learner="", config=config, number=0, role="default", seed=seed, generation=1,
        select_score=0.6, test_score=0.5,
    )  # fmt: skip
    return replace(row, **changes)


def arrays(rows: int, value: float) -> dict:
    return {"select": np.full(rows, value, np.float32), "test": np.full((rows + 1, 3), value, np.float32)}


def labels(rows: int) -> dict:
    part = LabelledPart(np.arange(rows, dtype=np.float32), np.arange(rows, dtype=np.int32) // 2)
    return {"select": part, "test": LabelledPart(np.ones(rows + 1, np.float32), np.zeros(rows + 1, np.int32))}


def test_what_is_added_is_read_loose_and_packed(tmp_path):
    folder = BankFolder.made(tmp_path / "bank")
    one, two = task("one", facts={"a": [1, "x"]}, profile={"measures": []}), task("two")
    folder.add_task(one, labels(4))
    folder.add_task(two, None)
    first, second = trial(one), trial(one, seed=1, facts={"n": 3}, error="it broke", select_score=math.nan)
    folder.add_trial(first, arrays(4, 0.25))
    folder.add_trial(second, None)
    loose = PerformanceBank.open(tmp_path / "bank")
    folder.pack()
    packed = PerformanceBank.open(tmp_path / "bank")
    assert loose.fingerprint == packed.fingerprint
    for bank in (loose, packed):
        assert bank.task_of[one.id].to_json() == one.to_json()
        assert {t.id: t.to_json() for t in bank.trials} == {t.id: t.to_json() for t in (first, second)}
        found = bank.predictions(one.id)
        assert list(found) == [first.id]
        np.testing.assert_array_equal(found[first.id]["test"], arrays(4, 0.25)["test"])
        np.testing.assert_array_equal(bank.labels(one.id)["select"].cluster, [0, 0, 1, 1])
        assert bank.labels(two.id) is None
    names = {str(path.relative_to(folder.path)) for path in folder.path.rglob("*") if path.is_file()}
    assert names == {
        "manifest.json", "tasks.parquet", "trials.parquet", ".pack.lock",
        f"labels/{one.id}.parquet", f"predictions/{one.id}.parquet",
    }  # fmt: skip
    third = trial(one, seed=2)
    folder.add_trial(third, arrays(4, 0.75))
    folder.pack()
    assert set(PerformanceBank.open(tmp_path / "bank").predictions(one.id)) == {first.id, third.id}
    assert folder.manifest()["counts"] == {"tasks": 2, "trials": 3, "failed": 1}


def test_merging_is_associative_and_commutative_and_keeps_what_finished(tmp_path):
    one = task("one")
    cut = trial(one, ended="budget", test_score=0.7)
    failed, done = trial(one, error="it broke"), trial(one, ended="converged")
    banks = [
        PerformanceBank([one], [failed, trial(one, seed=1)]),
        PerformanceBank([one, task("two")], [cut]),
        PerformanceBank([one], [done, trial(task("two"))]),
    ]
    for a, b, c in itertools.permutations(banks):
        merged = a.merge(b).merge(c)
        assert merged.fingerprint == a.merge(b.merge(c)).fingerprint == banks[0].merge(*banks[1:]).fingerprint
    kept = next(t for t in merged.trials if t.id == done.id)
    assert kept.ended == "converged"
    assert len(merged) == 2


def test_a_saved_part_keeps_the_first_rows_and_what_may_be_handed_on(tmp_path, tiny_bank):
    title = {each.title: each for each in tiny_bank.tasks}
    private = replace(title["a/value"], shares_rows=False)
    bank = PerformanceBank(
        [private, *(each for each in tiny_bank.tasks if each.id != private.id)], tiny_bank.trials, tiny_bank.folders
    )
    part = bank.save(tmp_path / "part", shareable=True, most_rows=50)
    assert part.labels(private.id) is None
    assert part.predictions(private.id) == {}
    open_task = title["a/high"]
    assert len(part.labels(open_task.id)["test"]) == 50
    whole, cut = bank.predictions(open_task.id), part.predictions(open_task.id)
    assert set(whole) == set(cut)
    for each in whole:
        np.testing.assert_array_equal(whole[each]["test"][:50], cut[each]["test"])
    assert {t.id: t.to_json() for t in part.trials} == {t.id: t.to_json() for t in bank.trials}
    part.validate()


def test_filters_leave_what_they_say(tiny_bank):
    assert tiny_bank.filter(databases=["b"]).databases == ("b",)
    assert tiny_bank.filter(origin="real").tasks == ()
    assert {t.family for t in tiny_bank.filter(families=["ridge"]).trials} == {"ridge"}
    assert len(tiny_bank.filter(generations={"ridge": 2}).filter(families=["ridge"])) == 0
    assert {t.seed for t in tiny_bank.filter(trial=lambda t: t.seed == 1).trials} == {1}


def test_a_default_that_was_fitted_anew_takes_the_place_of_the_former():
    one = task("one")

    def fitted(name: str, **changes) -> BankTrial:
        return replace(trial(one), id=name, **changes)

    trials = [
        fitted("former", begun="2026-01-02T00:00:00"),
        fitted("now", begun="2026-03-02T00:00:00"),
        fitted("failed", begun="2026-04-02T00:00:00", error="it broke"),
        fitted("further", begun="2026-01-02T00:00:00", role="space", number=1),
        fitted("seed", begun="2026-01-01T00:00:00", seed=1),
    ]
    bank = PerformanceBank([one], trials)
    assert {each.id for each in bank.current().trials} == {"now", "further", "seed"}
    assert len(bank.trials) == 5


def test_a_bank_is_queried_with_sql(tiny_bank, tmp_path):
    connection = tiny_bank.to_duckdb(tmp_path / "bank.duckdb")
    query = "SELECT k.database, count(*) FROM trials t JOIN tasks k ON t.task = k.id GROUP BY 1 ORDER BY 1"
    assert connection.execute(query).fetchall() == [("a", 10), ("b", 5)]
    measured = connection.execute(
        "SELECT count(DISTINCT task) FROM measures WHERE name = 'log10_train_rows'"
    ).fetchone()
    assert measured == (3,)
    assert "3 tasks of 2 databases" in tiny_bank._repr_html_()


def test_published_schemas_are_those_of_the_rows(tiny_bank):
    published = json.loads(config_path("bank_rows.schema.json").read_text(encoding="utf-8"))
    assert published == rows_schema()
    assert json.loads(config_path("bank.schema.json").read_text(encoding="utf-8")) == manifest_schema()
    for kind, rows in (("task", tiny_bank.tasks), ("trial", tiny_bank.trials)):
        assert all(each["description"] for each in published["$defs"][kind]["properties"].values())
        for row in rows:
            jsonschema.validate(row.to_json(), {**published["$defs"][kind], "additionalProperties": False})


def test_rows_of_another_shape_are_refused():
    stored = trial(task()).to_json()
    assert BankTrial.from_json({k: v for k, v in stored.items() if k != "facts"}).facts == {}
    with pytest.raises(KeyError, match="family"):
        BankTrial.from_json({k: v for k, v in stored.items() if k != "family"})
    for name, value in (("seed", True), ("seed", "1"), ("test_score", "high"), ("config", [1]), ("role", "guess")):
        with pytest.raises((TypeError, ValueError), match=name):
            BankTrial.from_json({**stored, name: value})


def test_what_is_wrong_with_a_bank_is_said_at_once(tmp_path):
    folder = BankFolder.made(tmp_path / "bank")
    one = task("one", kind="ranking")
    folder.add_task(one, labels(2))
    folder.add_trial(trial(one, config={"penalty": 2.0}), arrays(3, 0.5))
    folder.add_trial(trial(one, seed=3, select_score=math.nan, test_score=math.nan), None)
    folder.pack()
    (folder.path / "labels" / f"{one.id}.parquet").write_bytes(
        (folder.path / "labels" / f"{one.id}.parquet").read_bytes() + b" "
    )
    damaged = PerformanceBank.open(folder.path)
    damaged.labels = lambda task: labels(2)  # the damaged file is reported by its hash
    with pytest.raises(BankError) as caught:
        damaged.validate()
    text = str(caught.value)
    for part in (
        "sha256 differs",
        "unknown kind 'ranking'",
        "should have the id",
        "neither scores nor an error",
        "3 select",
    ):
        assert part in text


@pytest.mark.parametrize("name", ["manifest.json", "tasks.parquet", "trials.parquet"])
def test_damaged_files_are_named(tmp_path, name):
    folder = BankFolder.made(tmp_path / "bank")
    folder.add_task(task(), None)
    folder.pack()
    (folder.path / name).write_bytes(b"{not json")
    with pytest.raises(BankError, match=name.replace(".", r"\.")):
        PerformanceBank.open(folder.path)
    (folder.path / "manifest.json").write_text('{"format": 99}')
    with pytest.raises(BankError, match="format 99"):
        PerformanceBank.open(folder.path)


def test_kept_rows_are_a_sample_that_does_not_depend_on_how_many_are_kept():
    order = order_of("a1", "test", 5_000, 5_000)
    assert sorted(order) == list(range(5_000))
    assert list(order_of("a1", "test", 5_000, 200)) == list(order[:200])
    assert abs(order[:1_000].mean() - 2_500) < 150
    assert list(order_of("a2", "test", 5_000, 200)) != list(order[:200])


def test_every_field_of_a_row_is_flat_or_json():
    for kind in (BankTask, BankTrial):
        assert {str(each.type) for each in fields(kind)} <= {
            "str", "int", "float", "bool", "Origin", "TrialRole", "Mapping[str, Any]",
        }  # fmt: skip


def test_seconds_of_a_busy_machine_are_scaled_to_an_idle_one():
    row = trial(task(), seconds_features=1.0, seconds_training=3.0, seconds_refit=4.0, seconds_prediction=2.0)
    assert row.seconds == 4.0
    assert row.idle_share == 1.0
    busy = replace(row, threads=1, device="cpu", cpu_seconds=2.5)
    assert busy.idle_share == 0.25
    assert replace(busy, device="cuda").idle_share == 1.0
